//! CopyObject: the body is shared and only the data key wrapped anew, wherever the copy's ETag and checksums allow it.

use crate::identity::{Action, Requester};
use crate::kms::DataKey;
use crate::sse::{Envelope, ObjectKind, SseChoice, SseMode};
use crate::store::{self, Bucket, Commit, CopyPlan, OpenObject, Precondition, Versioning};
use crate::types::{ObjectAt, ObjectKey, VersionId};

use super::access::principal_for;
use super::acl::check_acl;
use super::get::read_action;
use super::opened::{Looked, check_customer_key, shown_version};
use super::put::{ObjectWrite, check_metadata, customer_of, opaque_etag};
use super::records::checksums_of;
use super::transfer::Intake;
use super::{
    Checksum, CopyRequest, CopySource, DeclaredDigests, Error, Gateway, LengthIs, MetadataDirective, ObjectHeaders,
    Written,
};

/// A source that the caller may read, opened, with its data key.
pub(super) struct OpenedSource {
    pub(super) looked: Looked,
    pub(super) open: Box<dyn OpenObject>,
    pub(super) data_key: DataKey,
    /// Its version, where its bucket has versions.
    pub(super) version: Option<VersionId>,
}

/// A copy whose key and conditions are settled.
struct Copying {
    at: ObjectAt,
    headers: ObjectHeaders,
    choice: SseChoice,
    precondition: Precondition,
    bucket: Bucket,
}

impl Gateway {
    /// Copies an object, within a bucket or between buckets.
    ///
    /// # Errors
    /// As reading the source and writing the target; [`Error::CopyOntoItself`] when nothing would change.
    pub async fn copy_object(&self, caller: &Requester, request: CopyRequest) -> Result<Written, Error> {
        self.alarm.heed(self.copied(caller, request).await)
    }

    async fn copied(&self, caller: &Requester, request: CopyRequest) -> Result<Written, Error> {
        let bucket = self.object_for(caller, &request.at, Action::PutObject).await?;
        let changes = request.metadata != MetadataDirective::Copy || request.sse.is_some() || request.tags.is_some();
        if !changes && onto_itself(&request, &bucket) {
            return Err(Error::CopyOntoItself);
        }
        let source = self.open_source(caller, &request.source).await?;
        let source_tags = source.looked.headers().tags;
        let headers = match request.metadata {
            MetadataDirective::Copy => source.looked.headers(),
            MetadataDirective::Replace(headers) => headers,
        };
        // An ACL is never copied: the copy has the request's.
        let headers = ObjectHeaders { tags: request.tags.unwrap_or(source_tags), acl: request.acl, ..headers };
        check_acl(&bucket, request.acl)?;
        check_metadata(&headers)?;
        let copying = Copying {
            precondition: self.precondition(&request.at, &request.conditions).await?,
            choice: self.choose(&bucket, request.sse)?,
            at: request.at,
            headers,
            bucket,
        };
        if let Some(target) = source.looked.link_target()? {
            return self.copy_link(caller, source, copying, target).await;
        }
        let checksums = self.source_checksums(&source).await?;
        let has_checksum = request.checksum.is_none_or(|wanted| checksums.iter().any(|one| one.algorithm == wanted));
        if has_checksum
            && !source.looked.foreign
            && shares_body(&source.looked.envelope, &copying.choice)
            && let Some(written) = self.copy_sharing(caller, &request.source, &source, &copying, &checksums).await?
        {
            return Ok(written);
        }
        let compute = request.checksum.or(checksums.first().map(|one| one.algorithm));
        self.copy_sealing_anew(caller, source, copying, compute).await
    }

    /// Opens the source of a copy, as the caller: its right to read, its customer key, its right to the CMK.
    pub(super) async fn open_source(&self, caller: &Requester, source: &CopySource) -> Result<OpenedSource, Error> {
        let bucket =
            self.read_for(caller, &source.at, source.version.as_ref(), read_action(source.version.as_ref())).await?;
        let opened = self.open(&source.at, source.version.as_ref()).await;
        let (looked, open) = opened.map_err(|error| match error {
            Error::DeleteMarker { named: true, .. } => Error::CopyOfMarker,
            other => self.seen_by(caller, &bucket, other),
        })?;
        let customer = source.customer_key.as_ref();
        check_customer_key(&looked.envelope, customer)?;
        source.conditions.judge_copy_source(&looked.etag(), looked.object.modified)?;
        let data_key = self.data_key(caller, &source.at, &looked.envelope, customer).await?;
        let version = shown_version(&bucket, &looked.object.version);
        Ok(OpenedSource { looked, open, data_key, version })
    }

    async fn source_checksums(&self, source: &OpenedSource) -> Result<Vec<Checksum>, Error> {
        Ok(checksums_of(&self.digests(&source.looked, source.open.as_ref(), &source.data_key).await?))
    }

    /// The same ciphertext under a new wrap: O(1) in the size of the body. `None` when the source was replaced
    /// meanwhile: what was opened can still be read, but no longer shared.
    async fn copy_sharing(
        &self,
        caller: &Requester,
        named: &CopySource,
        source: &OpenedSource,
        copying: &Copying,
        checksums: &[Checksum],
    ) -> Result<Option<Written>, Error> {
        let OpenedSource { looked, data_key, .. } = source;
        let at = &copying.at;
        let mut envelope = self
            .keys
            .rewrap(&principal_for(caller, copying.choice.uses_cmk())?, data_key, &looked.envelope, &copying.choice, at)
            .await?;
        if looked.envelope.mode().shows_digests() && !envelope.mode().shows_digests() {
            // The source's ETag is the MD5 of its plaintext; under a CMK or a customer key no such fingerprint shows.
            envelope.etag = Some(opaque_etag()?);
        }
        let mut metadata = copying.headers.clone().into_metadata(&copying.bucket, caller);
        self.keys.bind(at, &mut metadata, &envelope)?;
        let plan = CopyPlan {
            source: (named.at.clone(), named.version.clone(), looked.object.tag.clone()),
            target: at.clone(),
            metadata,
            commit: Commit {
                summary: looked.summary.seal(self.keys.attribute_key(), at)?.into(),
                precondition: copying.precondition.clone(),
                version: envelope.version.clone(),
            },
        };
        let stored = match self.store.copy(plan).await {
            Err(store::Error::Changed | store::Error::NoSuchObject | store::Error::DeleteMarker(_)) => return Ok(None),
            copied => copied?,
        };
        self.sample(at, Some(&stored.version)).await;
        Ok(Some(Written {
            etag: envelope.etag.as_ref().unwrap_or(&looked.summary.etag).clone(),
            version: shown_version(&copying.bucket, &stored.version),
            modified: stored.modified,
            sse: envelope.status(customer_of(&copying.choice)),
            checksum: checksums.first().cloned(),
            crc64: looked.summary.crc64,
            size: looked.summary.plain_len.0,
            source_version: source.version.clone(),
        }))
    }

    /// Copies a symbolic link as one: what it leads to is not read, and the link has no data that a key could be for.
    async fn copy_link(
        &self,
        caller: &Requester,
        source: OpenedSource,
        copying: Copying,
        target: ObjectKey,
    ) -> Result<Written, Error> {
        let write = ObjectWrite {
            choice: SseChoice::resolve(None, None, self.default),
            at: copying.at,
            headers: copying.headers,
            digests: DeclaredDigests::default(),
            precondition: copying.precondition,
            kind: ObjectKind::Symlink,
            target: Some(target),
            bucket: copying.bucket,
        };
        let written = self.write_object(caller, write, Intake::nothing()).await?;
        Ok(Written { source_version: source.version, ..written })
    }

    /// Opens the source and seals it anew, as a stream: where the copy's ETag must be an MD5 that the source has not,
    /// or a checksum is asked for that the source has not.
    async fn copy_sealing_anew(
        &self,
        caller: &Requester,
        source: OpenedSource,
        copying: Copying,
        compute: Option<super::ChecksumAlgorithm>,
    ) -> Result<Written, Error> {
        let OpenedSource { looked, open, data_key, version } = source;
        let plain = self.plaintext(&looked, open.as_ref(), &data_key, None).await?;
        let body =
            Intake { stream: plain, len: looked.summary.plain_len.0, length_is: LengthIs::Declared, trailers: None };
        let write = ObjectWrite {
            at: copying.at,
            headers: copying.headers,
            choice: copying.choice,
            digests: DeclaredDigests { compute, ..DeclaredDigests::default() },
            precondition: copying.precondition,
            kind: ObjectKind::Normal,
            target: None,
            bucket: copying.bucket,
        };
        let written = self.write_object(caller, write, body).await?;
        Ok(Written { source_version: version, ..written })
    }
}

/// Whether the copy would take its source's own place. A version that is named can be one to bring back; not so the
/// `null` version of a bucket that never kept another.
fn onto_itself(request: &CopyRequest, bucket: &Bucket) -> bool {
    let only = |version: &VersionId| version.is_null() && bucket.versioning == Versioning::Never;
    request.source.at == request.at && request.source.version.as_ref().is_none_or(only)
}

/// Whether the copy can have the source's body. Not when it goes to SSE-S3 from another mode: an SSE-S3 object's ETag
/// is the MD5 of its plaintext, and the source's manifest has none. Nor between an encrypted body and one that is not, nor
/// where another cipher is to encrypt it.
fn shares_body(from: &Envelope, to: &SseChoice) -> bool {
    if from.cipher != to.cipher() {
        return false;
    }
    match (from.mode(), to) {
        (SseMode::S3, SseChoice::S3 { .. } | SseChoice::Kms { .. } | SseChoice::Customer(_))
        | (SseMode::Kms | SseMode::Customer, SseChoice::Kms { .. } | SseChoice::Customer(_)) => true,
        (SseMode::Kms | SseMode::Customer, SseChoice::S3 { .. }) => false,
        (SseMode::None, to) => matches!(to, SseChoice::None),
        (SseMode::S3 | SseMode::Kms | SseMode::Customer, SseChoice::None) => false,
    }
}
