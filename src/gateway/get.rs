//! GetObject and HeadObject.

use crate::identity::{Action, Requester};
use crate::kms::DataKey;
use crate::sse::{CustomerKey, Envelope, ObjectKind, SealedPart, SseMode};
use crate::store::{Bucket, OpenObject};
use crate::types::{ObjectAt, PartNumber, VersionId};

use super::opened::{Looked, check_customer_key};
use super::records::{checksums_of, part_checksums_of};
use super::symlink::{check_target, through};
use super::{Error, Gateway, GetRequest, Got, ObjectAttributes, ObjectInfo, ObjectPart, RangeSpec};

/// An object looked at, and its body.
type Opened = (Looked, Box<dyn OpenObject>);

/// The data key of a look at an object that the body did not follow: where the next look is at the same object after all,
/// whose date alone was remembered otherwise, the key service is not asked again.
struct Had {
    at: ObjectAt,
    envelope: Envelope,
    data_key: DataKey,
}

/// How often an object that keeps being replaced is looked at again.
const TRIES: usize = 16;

impl Gateway {
    /// Reads an object or a range of it. Only the segments that the range touches are fetched and opened.
    ///
    /// # Errors
    /// [`Error::NoSuchKey`], [`Error::NotModified`], [`Error::PreconditionFailed`], [`Error::InvalidRange`], the customer key's and the
    /// KMS's errors, and [`Error::Integrity`] when what is stored does not verify. The body can end in an error too:
    /// whoever sends it on must cut the connection then.
    pub async fn get_object(&self, caller: &Requester, request: GetRequest) -> Result<Got, Error> {
        let got = self.alarm.heed(self.read_object(caller, request).await)?;
        Ok(Got { body: self.alarm.heed_body(got.body), ..got })
    }

    async fn read_object(&self, caller: &Requester, request: GetRequest) -> Result<Got, Error> {
        let bucket =
            self.read_for(caller, &request.at, request.version.as_ref(), read_action(request.version.as_ref())).await?;
        // Out of memory only what was read in full agreement with the store; whatever else it would say is found out anew.
        let (mut refused, mut had) = (None, None);
        if let Some(recalled) = self.recall(&request.at, request.version.as_ref()).await? {
            let tag = recalled.0.object.tag.clone();
            match self.read_opened(caller, &bucket, &request, recalled, &mut had).await {
                Ok(got) if !matches!(got.info.range, Some((_, 0))) => return Ok(got),
                Err(error @ Error::Kms(_)) => refused = Some((tag, error)),
                _ => {}
            }
        }
        for _ in 0..TRIES {
            let opened = self.open(&request.at, request.version.as_ref()).await;
            let opened = opened.map_err(|error| self.seen_by(caller, &bucket, error))?;
            // It is the object that was remembered: the key service has given its answer, and is not asked again.
            if let Some((_, error)) = refused.take().filter(|(tag, _)| *tag == opened.0.object.tag) {
                return Err(error);
            }
            match self.read_opened(caller, &bucket, &request, opened, &mut had).await {
                // Replaced between the look and the read, where the store cannot keep what was there.
                Err(Error::Conflict) => {}
                read => return read,
            }
        }
        Err(Error::Conflict)
    }

    async fn read_opened(
        &self,
        caller: &Requester,
        bucket: &Bucket,
        request: &GetRequest,
        (looked, open): Opened,
        had: &mut Option<Had>,
    ) -> Result<Got, Error> {
        let (at, link, looked, open) = self.behind(caller, bucket, request, (looked, open)).await?;
        let customer = request.customer_key.as_ref();
        check_customer_key(&looked.envelope, customer)?;
        let mut info = self.info(bucket, &looked, customer)?;
        if let Some(link) = link {
            info = through(link, info);
        }
        info.headers.lock = self.lock_seen_by(caller, bucket, &request.at, info.headers.lock);
        request.conditions.judge_read(&info.etag, info.modified)?;
        let range = self.range_of(request, &looked, open.as_ref()).await?;

        let data_key = match had.take() {
            Some(had) if had.at == at && had.envelope == looked.envelope => had.data_key,
            _ => self.data_key(caller, &at, &looked.envelope, customer).await?,
        };
        if open.asks_for_each_read() {
            let (envelope, data_key) = (looked.envelope.clone(), DataKey::new(*data_key.expose()));
            *had = Some(Had { at, envelope, data_key });
        }
        if request.checksum_mode && range.is_none() {
            info.checksums = checksums_of(&self.digests(&looked, open.as_ref(), &data_key).await?);
        }
        info.range = range;
        // A part may be empty, and a range of no bytes is none that could be opened.
        let body = match range {
            Some((_, 0)) => Box::pin(futures::stream::empty()),
            range => self.plaintext(&looked, open.as_ref(), &data_key, range).await?,
        };
        Ok(Got { info, body })
    }

    /// What GET would say, without a body. No KMS call, so that it works while a CMK is disabled; only the checksums,
    /// which are sealed under the data key, need the key.
    ///
    /// # Errors
    /// As [`Gateway::get_object`].
    pub async fn head_object(&self, caller: &Requester, request: GetRequest) -> Result<ObjectInfo, Error> {
        // An overwrite between two looks at one object is no fault of the request: look again.
        for _ in 0..TRIES {
            match self.describe_object(caller, &request).await {
                Err(Error::Conflict) => {}
                described => return self.alarm.heed(described),
            }
        }
        Err(Error::Conflict)
    }

    async fn describe_object(&self, caller: &Requester, request: &GetRequest) -> Result<ObjectInfo, Error> {
        let bucket =
            self.read_for(caller, &request.at, request.version.as_ref(), read_action(request.version.as_ref())).await?;
        let looked = self.look(&request.at, request.version.as_ref()).await;
        let looked = looked.map_err(|error| self.seen_by(caller, &bucket, error))?;
        let (at, link, looked) = match self.followed(caller, &bucket, request, &looked).await? {
            None => (request.at.clone(), None, looked),
            Some(at) => {
                let target = self.look(&at, None).await;
                let target = target.map_err(|error| self.target_seen_by(caller, &bucket, error))?;
                check_target(&target)?;
                (at, Some(self.info(&bucket, &looked, None)?), target)
            }
        };
        let customer = request.customer_key.as_ref();
        check_customer_key(&looked.envelope, customer)?;
        if looked.envelope.mode() == SseMode::Customer {
            self.data_key(caller, &at, &looked.envelope, customer).await?;
        }
        let mut info = self.info(&bucket, &looked, customer)?;
        if let Some(link) = link {
            info = through(link, info);
        }
        info.headers.lock = self.lock_seen_by(caller, &bucket, &request.at, info.headers.lock);
        request.conditions.judge_read(&info.etag, info.modified)?;
        info.range = match request.part {
            None => range_in(request.range, info.size)?,
            Some(_) => {
                let open = self.open_same(&at, &looked).await?;
                self.range_of(request, &looked, open.as_ref()).await?
            }
        };
        if request.checksum_mode {
            info.checksums = self.checksums(caller, &at, customer, &looked).await?;
        }
        Ok(info)
    }

    /// What a read is about: the object that was opened, or, where it is a link that is to be followed, what it leads to,
    /// with what is known of the link.
    async fn behind(
        &self,
        caller: &Requester,
        bucket: &Bucket,
        request: &GetRequest,
        (looked, open): Opened,
    ) -> Result<(ObjectAt, Option<ObjectInfo>, Looked, Box<dyn OpenObject>), Error> {
        let Some(at) = self.followed(caller, bucket, request, &looked).await? else {
            return Ok((request.at.clone(), None, looked, open));
        };
        let (target, open) = self.open(&at, None).await.map_err(|error| self.target_seen_by(caller, bucket, error))?;
        check_target(&target)?;
        Ok((at, Some(self.info(bucket, &looked, None)?), target, open))
    }

    /// Where the object leads that was looked at, if it is a link and the request wants to follow it.
    async fn followed(
        &self,
        caller: &Requester,
        bucket: &Bucket,
        request: &GetRequest,
        looked: &Looked,
    ) -> Result<Option<ObjectAt>, Error> {
        if request.follow_symlink { self.target_for(caller, bucket, looked).await } else { Ok(None) }
    }

    async fn checksums(
        &self,
        caller: &Requester,
        at: &ObjectAt,
        customer: Option<&CustomerKey>,
        looked: &Looked,
    ) -> Result<Vec<super::Checksum>, Error> {
        let open = self.open_same(at, looked).await?;
        let data_key = self.data_key(caller, at, &looked.envelope, customer).await?;
        Ok(checksums_of(&self.digests(looked, open.as_ref(), &data_key).await?))
    }

    /// Opens what was looked at: that version, so that an overwrite in between does not matter where the bucket keeps
    /// versions. Elsewhere it is [`Error::Conflict`].
    async fn open_same(&self, at: &ObjectAt, looked: &Looked) -> Result<Box<dyn OpenObject>, Error> {
        let (again, open) = self.open(at, Some(&looked.object.version)).await?;
        if again.object.tag == looked.object.tag { Ok(open) } else { Err(Error::Conflict) }
    }

    /// The bytes that a request names, by range or by part.
    async fn range_of(
        &self,
        request: &GetRequest,
        looked: &Looked,
        open: &dyn OpenObject,
    ) -> Result<Option<(u64, u64)>, Error> {
        let Some(number) = request.part else { return range_in(request.range, looked.summary.plain_len.0) };
        // The parts of an object that was appended to are how it is kept, and no client made them.
        if looked.summary.kind == ObjectKind::Appendable {
            return if number == PartNumber::FIRST { Ok(None) } else { Err(Error::NoSuchObjectPart { number }) };
        }
        if looked.foreign && number == PartNumber::FIRST {
            return Ok(None);
        }
        if looked.foreign {
            return Err(Error::NoSuchObjectPart { number });
        }
        let layout = self.layout(looked, open).await?;
        let range = layout.part_range(number).ok_or(Error::NoSuchObjectPart { number })?;
        // The one part of an empty object is the whole of it.
        let whole = looked.summary.plain_len.0 == 0;
        Ok((!whole).then(|| (range.start.0, range.end.0.saturating_sub(range.start.0))))
    }

    /// What is known of an object: as HEAD, with the checksums, and the parts of a multipart object.
    ///
    /// # Errors
    /// As [`Gateway::get_object`].
    pub async fn object_attributes(&self, caller: &Requester, request: GetRequest) -> Result<ObjectAttributes, Error> {
        self.alarm.heed(self.attributes_of(caller, request).await)
    }

    async fn attributes_of(&self, caller: &Requester, request: GetRequest) -> Result<ObjectAttributes, Error> {
        let named = request.version.is_some();
        let action = if named { Action::GetObjectVersionAttributes } else { Action::GetObjectAttributes };
        let bucket = self.object_for(caller, &request.at, action).await?;
        let opened = self.open(&request.at, request.version.as_ref()).await;
        let (looked, open) = opened.map_err(|error| self.seen_by(caller, &bucket, error))?;
        let (at, link, looked, open) = self.behind(caller, &bucket, &request, (looked, open)).await?;
        let customer = request.customer_key.as_ref();
        check_customer_key(&looked.envelope, customer)?;
        let mut info = self.info(&bucket, &looked, customer)?;
        if let Some(link) = link {
            info = through(link, info);
        }
        request.conditions.judge_read(&info.etag, info.modified)?;
        let mut of_parts = Vec::new();
        if request.checksum_mode {
            let data_key = self.data_key(caller, &at, &looked.envelope, customer).await?;
            let digests = self.digests(&looked, open.as_ref(), &data_key).await?;
            info.checksums = checksums_of(&digests);
            of_parts = part_checksums_of(&digests);
        } else if looked.envelope.mode() == SseMode::Customer {
            // Nothing else would show that the key is the object's.
            self.data_key(caller, &at, &looked.envelope, customer).await?;
        }
        let parts = match info.parts {
            None => None,
            Some(_) => {
                let layout = self.layout(&looked, open.as_ref()).await?;
                let mut checksums = of_parts.into_iter();
                let part = |part: &SealedPart| ObjectPart {
                    number: part.number,
                    size: part.plain_len,
                    checksum: checksums.next(),
                };
                Some(layout.parts().map(part).collect())
            }
        };
        Ok(ObjectAttributes { info, parts })
    }
}

/// What reading takes: a version named is another right than the current one.
pub(super) fn read_action(version: Option<&VersionId>) -> Action {
    if version.is_some() { Action::GetObjectVersion } else { Action::GetObject }
}

fn range_in(range: Option<RangeSpec>, len: u64) -> Result<Option<(u64, u64)>, Error> {
    range.map(|range| range.resolve(len)).transpose()
}
