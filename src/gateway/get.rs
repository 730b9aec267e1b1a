//! GetObject and HeadObject.

use crate::identity::{Action, Caller};
use crate::sse::SseMode;
use crate::types::VersionId;

use super::opened::{Looked, check_customer_key};
use super::records::checksums_of;
use super::{Error, Gateway, GetRequest, Got, ObjectInfo, RangeSpec, principal};

impl Gateway {
    /// Reads an object or a range of it. Only the segments that the range touches are fetched and opened.
    ///
    /// # Errors
    /// [`Error::NoSuchKey`], [`Error::NotModified`], [`Error::PreconditionFailed`], [`Error::InvalidRange`], the customer key's and the
    /// KMS's errors, and [`Error::Integrity`] when what is stored does not verify. The body can end in an error too:
    /// whoever sends it on must cut the connection then.
    pub async fn get_object(&self, caller: &Caller, request: GetRequest) -> Result<Got, Error> {
        let got = self.alarm.heed(self.read_object(caller, request).await)?;
        Ok(Got { body: self.alarm.heed_body(got.body), ..got })
    }

    async fn read_object(&self, caller: &Caller, request: GetRequest) -> Result<Got, Error> {
        let bucket = self.bucket_for(caller, &request.at.bucket, read_action(request.version.as_ref())).await?;
        let (looked, open) = self.open(&request.at, request.version.as_ref()).await?;
        check_customer_key(&looked.envelope, request.customer_key.as_ref())?;
        request.conditions.judge_read(&looked.etag(), looked.object.modified)?;
        let range = range_of(request.range, looked.summary.plain_len.0)?;

        let principal = principal(caller)?;
        let data_key = self.data_key(&principal, &request.at, &looked.envelope, request.customer_key.as_ref()).await?;
        let mut info = self.info(&bucket, &looked, request.customer_key.as_ref())?;
        if request.checksum_mode && range.is_none() {
            info.checksums = checksums_of(&self.digests(&looked, open.as_ref(), &data_key).await?);
        }
        let body = self.plaintext(&looked, open.as_ref(), &data_key, range).await?;
        Ok(Got { info, range, body })
    }

    /// What GET would say, without a body. No KMS call, so that it works while a CMK is disabled; only the checksums,
    /// which are sealed under the data key, need the key.
    ///
    /// # Errors
    /// As [`Gateway::get_object`].
    pub async fn head_object(&self, caller: &Caller, request: GetRequest) -> Result<ObjectInfo, Error> {
        self.alarm.heed(self.describe_object(caller, request).await)
    }

    async fn describe_object(&self, caller: &Caller, request: GetRequest) -> Result<ObjectInfo, Error> {
        let bucket = self.bucket_for(caller, &request.at.bucket, read_action(request.version.as_ref())).await?;
        let looked = self.look(&request.at, request.version.as_ref()).await?;
        let customer = request.customer_key.as_ref();
        check_customer_key(&looked.envelope, customer)?;
        if looked.envelope.mode() == SseMode::Customer {
            self.data_key(&principal(caller)?, &request.at, &looked.envelope, customer).await?;
        }
        request.conditions.judge_read(&looked.etag(), looked.object.modified)?;
        let mut info = self.info(&bucket, &looked, customer)?;
        if request.checksum_mode {
            info.checksums = self.checksums(caller, &request, &looked).await?;
        }
        Ok(info)
    }

    async fn checksums(
        &self,
        caller: &Caller,
        request: &GetRequest,
        looked: &Looked,
    ) -> Result<Vec<super::Checksum>, Error> {
        let customer = request.customer_key.as_ref();
        let (again, open) = self.open(&request.at, request.version.as_ref()).await?;
        if again.object.tag != looked.object.tag {
            // Overwritten between the two looks: the checksum would be another object's. Leave it out, as for an
            // object that has none.
            return Ok(Vec::new());
        }
        let data_key = self.data_key(&principal(caller)?, &request.at, &looked.envelope, customer).await?;
        Ok(checksums_of(&self.digests(looked, open.as_ref(), &data_key).await?))
    }
}

/// What reading takes: a version named is another right than the current one.
pub(super) fn read_action(version: Option<&VersionId>) -> Action {
    if version.is_some() { Action::GetObjectVersion } else { Action::GetObject }
}

fn range_of(range: Option<RangeSpec>, len: u64) -> Result<Option<(u64, u64)>, Error> {
    range.map(|range| range.resolve(len)).transpose()
}
