//! Multipart uploads: create, parts (uploaded or copied), complete, abort, list.

use bytes::Bytes;

use crate::identity::{Action, Requester};
use crate::kms::DataKey;
use crate::sse::{CustomerKey, Envelope, PartSealer, SegmentSize, SseMode, sealed_part_len};
use crate::store::{CipherOffset, StoredUpload, UploadAt};
use crate::types::{ObjectAt, PartNumber, UploadId};

use super::access::principal_for;
use super::acl::check_acl;
use super::bucket::check_customer_allowed;
use super::digest::Digester;
use super::put::{check_metadata, check_size, customer_of, etag_of};
use super::records::{PartDigests, PartRecord, UploadState};
use super::transfer::{Intake, Sealed, Sink, seal_into};
use super::{
    Checksum, ChecksumKind, CreateUploadRequest, DeclaredDigests, Error, Gateway, LengthIs, ListPartsRequest,
    PartCopyRequest, PartInfo, PartList, PartRequest, PartWritten, UploadCreated,
};

/// An upload in progress whose metadata and state have been verified.
pub(super) struct Uploading {
    pub(super) at: UploadAt,
    pub(super) stored: StoredUpload,
    pub(super) envelope: Envelope,
    pub(super) state: UploadState,
}

impl Gateway {
    /// Starts a multipart upload: chooses the key and wraps the data key that all parts share.
    ///
    /// # Errors
    /// As writing an object.
    pub async fn create_upload(
        &self,
        caller: &Requester,
        request: CreateUploadRequest,
    ) -> Result<UploadCreated, Error> {
        let bucket = self.object_for(caller, &request.at, Action::PutObject).await?;
        check_metadata(&request.headers)?;
        check_acl(&bucket, request.headers.acl)?;
        self.check_lock(caller, &bucket, &request.at, &request.headers.lock).await?;
        self.precondition(&request.at, &request.conditions).await?;
        let choice = self.choose(&bucket, request.sse)?;
        let principal = principal_for(caller, choice.uses_cmk())?;
        let lease = self.lease(&principal, &choice, &bucket).await?;
        let (envelope, _) = self.keys.create(&principal, &choice, &request.at, lease.as_deref()).await?;
        let lock = request.headers.lock.clone();
        let mut metadata = request.headers.into_metadata(&bucket, caller);
        self.keys.bind(&request.at, &mut metadata, &envelope)?;

        let id = UploadId::from_bits(crate::types::random()?);
        let at = UploadAt { object: request.at, id: id.clone() };
        let state = self.seal_upload_state(&at, &UploadState { checksum: request.checksum, lock })?;
        self.store.create_upload(&at, metadata, state).await?;
        let sse = envelope.status(customer_of(&choice));
        Ok(UploadCreated { id, sse, checksum: request.checksum })
    }

    /// Writes a part. A second attempt of the same number replaces the first.
    ///
    /// # Errors
    /// [`Error::NoSuchUpload`], [`Error::UploadKeyRequired`], [`Error::UploadKeyMismatch`], the body's errors.
    pub async fn put_part(&self, caller: &Requester, request: PartRequest) -> Result<PartWritten, Error> {
        let bucket = self.object_for(caller, &request.at, Action::PutObject).await?;
        check_customer_allowed(&bucket, request.customer_key.as_ref())?;
        let uploading = self.uploading(request.at, request.upload).await?;
        let data_key = self.upload_key(caller, &uploading, request.customer_key.as_ref()).await?;
        let digests = with_upload_checksum(request.digests, &uploading.state)?;
        let part = PartWrite { number: request.number, digests, customer: request.customer_key };
        self.write_part(&uploading, &data_key, part, request.body.into()).await
    }

    /// Writes a part from an object or a range of one.
    ///
    /// # Errors
    /// As reading the source and writing a part; [`Error::InvalidRange`] when the range is not inside the source.
    pub async fn copy_part(&self, caller: &Requester, request: PartCopyRequest) -> Result<PartWritten, Error> {
        self.alarm.heed(self.part_from_copy(caller, request).await)
    }

    async fn part_from_copy(&self, caller: &Requester, request: PartCopyRequest) -> Result<PartWritten, Error> {
        let bucket = self.object_for(caller, &request.at, Action::PutObject).await?;
        check_customer_allowed(&bucket, request.customer_key.as_ref())?;
        let uploading = self.uploading(request.at, request.upload).await?;
        let source = self.open_source(caller, &request.source).await?;
        if source.looked.link_target()?.is_some() {
            return Err(Error::InvalidArgument("a symbolic link has no bytes to copy a part from".to_owned()));
        }
        let size = source.looked.summary.plain_len.0;
        let range = match request.range {
            // Unlike a GET's, this range is not clipped: S3 refuses one that ends outside the source.
            Some((first, last)) if first <= last && last < size => Some((first, last - first + 1)),
            Some(_) => return Err(Error::InvalidRange { len: size }),
            None => None,
        };
        let data_key = self.upload_key(caller, &uploading, request.customer_key.as_ref()).await?;
        let stream = self.plaintext(&source.looked, source.open.as_ref(), &source.data_key, range).await?;
        let body =
            Intake { stream, len: range.map_or(size, |(_, len)| len), length_is: LengthIs::Declared, trailers: None };
        let digests = with_upload_checksum(DeclaredDigests::default(), &uploading.state)?;
        let part = PartWrite { number: request.number, digests, customer: request.customer_key };
        let written = self.write_part(&uploading, &data_key, part, body).await?;
        Ok(PartWritten { source_version: source.version, ..written })
    }

    async fn write_part(
        &self,
        uploading: &Uploading,
        data_key: &DataKey,
        part: PartWrite,
        body: Intake,
    ) -> Result<PartWritten, Error> {
        check_size(body.len)?;
        let md5_etag = uploading.envelope.mode().shows_digests();
        let aead = uploading.envelope.body_aead();
        let sealer = PartSealer::new(data_key, part.number, aead, SegmentSize::DEFAULT)?.expecting(body.len);
        let len = (body.length_is == LengthIs::Declared)
            .then(|| sealed_part_len(body.len, aead, SegmentSize::DEFAULT).map(CipherOffset))
            .transpose()?;
        let mut sink = Sink::Part(self.store.put_part(&uploading.at, part.number, len).await?);
        let sealed = seal_into(body, sealer, Digester::new(part.digests, md5_etag), &mut sink).await?;
        let Sealed { part: sealed, digests, rest } = sealed;
        sink.take(rest.freeze()).await?;
        let etag = etag_of(&digests, md5_etag)?;
        let record = PartRecord {
            part: sealed,
            etag: etag.clone(),
            crc64: digests.crc64,
            digests: PartDigests { checksum: digests.checksum.clone() }.seal(&uploading.at, part.number, data_key)?,
        };
        let stored = sink.commit_part(self.seal_part_record(&uploading.at, part.number, &record)?).await?;
        Ok(PartWritten {
            etag,
            modified: stored.modified,
            sse: uploading.envelope.status(part.customer.as_ref()).without_context(),
            crc64: Some(digests.crc64),
            checksum: digests.into_checksum(),
            source_version: None,
        })
    }

    /// Ends an upload and discards its parts.
    ///
    /// # Errors
    /// [`Error::NoSuchUpload`].
    pub async fn abort_upload(&self, caller: &Requester, at: &ObjectAt, upload: &UploadId) -> Result<(), Error> {
        self.object_for(caller, at, Action::AbortMultipartUpload).await?;
        Ok(self.store.abort(&UploadAt { object: at.clone(), id: upload.clone() }).await?)
    }

    /// A page of an upload's parts.
    ///
    /// # Errors
    /// [`Error::NoSuchUpload`].
    pub async fn list_parts(&self, caller: &Requester, request: ListPartsRequest) -> Result<PartList, Error> {
        self.alarm.heed(self.page_of_parts(caller, request).await)
    }

    async fn page_of_parts(&self, caller: &Requester, request: ListPartsRequest) -> Result<PartList, Error> {
        let bucket = self.object_for(caller, &request.at, Action::ListMultipartUploadParts).await?;
        let uploading = self.uploading(request.at, request.upload).await?;
        let page = self.store.parts(&uploading.at, request.after, request.limit).await?;
        // Checksums are sealed under the data key. The service's own key opens it here; a CMK is not used to list.
        let data_key = match uploading.envelope.mode() {
            SseMode::S3 | SseMode::None => {
                Some(self.data_key(caller, &uploading.at.object, &uploading.envelope, None).await?)
            }
            SseMode::Kms | SseMode::Customer => None,
        };
        let mut parts = Vec::with_capacity(page.parts.len());
        for stored in page.parts {
            let record = self.open_part_record(&uploading.at, stored.number, &stored.record)?;
            let checksum = match &data_key {
                Some(data_key) => record.checksum(&uploading.at, data_key)?,
                None => None,
            };
            parts.push(PartInfo {
                number: stored.number,
                size: record.part.plain_len,
                etag: record.etag,
                modified: stored.modified,
                crc64: Some(record.crc64),
                checksum: checksum.map(|(algorithm, value)| Checksum {
                    algorithm,
                    kind: ChecksumKind::FullObject,
                    value,
                }),
            });
        }
        let truncated = page.truncated;
        Ok(PartList { parts, truncated, owner: bucket.owner, checksum: uploading.state.checksum })
    }

    /// The upload, verified to be what this gateway made.
    pub(super) async fn uploading(&self, object: ObjectAt, id: UploadId) -> Result<Uploading, Error> {
        let at = UploadAt { object, id };
        let stored = self.store.upload(&at).await?;
        let mut envelope = self.keys.verify(&at.object, &stored.metadata).map_err(Error::Integrity)?;
        self.follow_epoch(&at.object.bucket, &mut envelope).await?;
        let state = self.open_upload_state(&at, &stored.state)?;
        Ok(Uploading { at, stored, envelope, state })
    }

    /// The data key of the upload, as the caller. A customer key must be the one that the upload was created with.
    pub(super) async fn upload_key(
        &self,
        caller: &Requester,
        uploading: &Uploading,
        customer: Option<&CustomerKey>,
    ) -> Result<DataKey, Error> {
        match (uploading.envelope.mode(), customer) {
            (SseMode::Customer, None) => return Err(Error::UploadKeyRequired),
            (SseMode::S3 | SseMode::Kms | SseMode::None, Some(_)) => return Err(Error::UploadKeyMismatch),
            (SseMode::Customer, Some(_)) | (SseMode::S3 | SseMode::Kms | SseMode::None, None) => {}
        }
        let key = self.data_key(caller, &uploading.at.object, &uploading.envelope, customer).await;
        key.map_err(|error| if matches!(error, Error::CustomerKeyWrong) { Error::UploadKeyMismatch } else { error })
    }

    fn seal_upload_state(&self, at: &UploadAt, state: &UploadState) -> Result<Bytes, Error> {
        state.seal(at, self.keys.attribute_key())
    }

    fn open_upload_state(&self, at: &UploadAt, sealed: &[u8]) -> Result<UploadState, Error> {
        UploadState::open(at, sealed, self.keys.attribute_key())
    }

    fn seal_part_record(&self, at: &UploadAt, number: PartNumber, record: &PartRecord) -> Result<Bytes, Error> {
        record.seal(at, number, self.keys.attribute_key())
    }

    pub(super) fn open_part_record(
        &self,
        at: &UploadAt,
        number: PartNumber,
        sealed: &[u8],
    ) -> Result<PartRecord, Error> {
        PartRecord::open(at, number, sealed, self.keys.attribute_key())
    }
}

/// A part to be written.
struct PartWrite {
    number: PartNumber,
    digests: DeclaredDigests,
    customer: Option<CustomerKey>,
}

/// A part of an upload that was created with a checksum algorithm has a checksum of that algorithm, declared or not.
fn with_upload_checksum(mut digests: DeclaredDigests, state: &UploadState) -> Result<DeclaredDigests, Error> {
    let Some((wanted, _)) = state.checksum else { return Ok(digests) };
    let declared = digests.checksum.as_ref().map(|(algorithm, _)| *algorithm).or(digests.trailing);
    if declared.is_some_and(|declared| declared != wanted) {
        return Err(Error::InvalidArgument(format!(
            "the upload was created with {}, which its parts must use",
            wanted.header()
        )));
    }
    digests.compute = Some(wanted);
    Ok(digests)
}
