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
    Checksum, ChecksumAlgorithm, CopyRequest, CopySource, DeclaredDigests, Error, Gateway, LengthIs, MetadataDirective,
    ObjectHeaders, Written,
};

/// How often a copy of an object onto itself is tried while others write the same object.
const TRIES: usize = 16;

/// A source that the caller may read, opened, with its data key.
pub(super) struct OpenedSource {
    pub(super) looked: Looked,
    pub(super) open: Box<dyn OpenObject>,
    pub(super) data_key: DataKey,
    /// Its version, where its bucket has versions.
    pub(super) version: Option<VersionId>,
}

/// A copy that the caller may make, with its key chosen.
struct Wanted {
    request: CopyRequest,
    choice: SseChoice,
    bucket: Bucket,
}

/// One try at it: its headers and conditions are settled.
struct Copying<'a> {
    at: &'a ObjectAt,
    choice: &'a SseChoice,
    bucket: &'a Bucket,
    headers: ObjectHeaders,
    precondition: Precondition,
}

impl Gateway {
    /// Copies an object, within a bucket or between buckets.
    ///
    /// # Errors
    /// As reading the source and writing the target; [`Error::CopyOntoItself`] when nothing would change.
    pub async fn copy_object(&self, caller: &Requester, request: CopyRequest) -> Result<Written, Error> {
        self.alarm.heed(self.copied(caller, request).await)
    }

    async fn copied(&self, caller: &Requester, mut request: CopyRequest) -> Result<Written, Error> {
        let bucket = self.object_for(caller, &request.at, Action::PutObject).await?;
        let changes = request.metadata != MetadataDirective::Copy
            || request.tags.is_some()
            || request.sse.is_some()
            // The customer key of the source: a copy that names no other does without it.
            || request.source.customer_key.is_some();
        if !changes && onto_itself(&request, &bucket) {
            return Err(Error::CopyOntoItself);
        }
        self.check_lock(caller, &bucket, &request.at, &request.lock).await?;
        let choice = self.choose(&bucket, request.sse.take())?;
        let wanted = Wanted { request, choice, bucket };
        for _ in 0..TRIES {
            if let Some(written) = self.try_copy(caller, &wanted).await? {
                return Ok(written);
            }
        }
        Err(Error::Conflict)
    }

    /// Copies what is at the source now. `None` when it was to take its own place, and has been replaced meanwhile: to write
    /// what was read would undo that.
    async fn try_copy(&self, caller: &Requester, wanted: &Wanted) -> Result<Option<Written>, Error> {
        let Wanted { request, choice, bucket } = wanted;
        let source = self.open_source(caller, &request.source).await?;
        let source_tags = source.looked.headers().tags;
        let headers = match &request.metadata {
            MetadataDirective::Copy => source.looked.headers(),
            MetadataDirective::Replace(headers) => headers.clone(),
        };
        // An ACL and a lock are never copied: the copy has the request's.
        let tags = request.tags.clone().unwrap_or(source_tags);
        let headers = ObjectHeaders { tags, acl: request.acl, lock: request.lock.clone(), ..headers };
        check_acl(bucket, request.acl)?;
        check_metadata(&headers)?;
        let mut precondition = self.precondition(&request.at, &request.conditions).await?;
        let onto_itself = onto_itself(request, bucket);
        if onto_itself {
            let read = Precondition::Is(source.looked.object.tag.clone());
            if precondition != Precondition::None && precondition != read {
                return Ok(None);
            }
            precondition = read;
        }
        let copying = Copying { at: &request.at, choice, bucket, headers, precondition };
        if let Some(target) = source.looked.link_target()? {
            return unless_overtaken(self.copy_link(caller, source, copying, target).await, onto_itself);
        }
        let checksums = self.source_checksums(&source).await?;
        let has_checksum = request.checksum.is_none_or(|wanted| checksums.iter().any(|one| one.algorithm == wanted));
        if has_checksum && !source.looked.foreign && shares_body(&source.looked.envelope, choice) {
            match self.copy_sharing(caller, &request.source, &source, &copying, &checksums).await {
                // A store may find out by the condition what another finds out by the source.
                Ok(None) | Err(Error::PreconditionFailed(_)) if onto_itself => return Ok(None),
                // The copy of another object may be of what that was when it was opened.
                Ok(None) => {}
                written => return written,
            }
        }
        let compute = request.checksum.or(checksums.first().map(|one| one.algorithm));
        unless_overtaken(self.copy_sealing_anew(caller, source, copying, compute).await, onto_itself)
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
        copying: &Copying<'_>,
        checksums: &[Checksum],
    ) -> Result<Option<Written>, Error> {
        let OpenedSource { looked, data_key, .. } = source;
        let Copying { at, choice, bucket, headers, precondition } = copying;
        let principal = principal_for(caller, choice.uses_cmk())?;
        let lease = self.lease(&principal, choice, bucket).await?;
        let mut envelope =
            self.keys.rewrap(&principal, data_key, &looked.envelope, choice, at, lease.as_deref()).await?;
        if looked.envelope.mode().shows_digests() && !envelope.mode().shows_digests() {
            // The source's ETag is the MD5 of its plaintext; under a CMK or a customer key no such fingerprint shows.
            envelope.etag = Some(opaque_etag()?);
        }
        let mut metadata = headers.clone().into_metadata(bucket, caller);
        self.keys.bind(at, &mut metadata, &envelope)?;
        let plan = CopyPlan {
            source: (named.at.clone(), named.version.clone(), looked.object.tag.clone()),
            target: ObjectAt::clone(at),
            metadata,
            commit: Commit {
                summary: looked.summary.seal(self.keys.attribute_key(), at)?.into(),
                precondition: precondition.clone(),
                version: envelope.version.clone(),
                lock: headers.lock.clone(),
            },
        };
        let stored = match self.store.copy(plan).await {
            Err(store::Error::Changed | store::Error::NoSuchObject | store::Error::DeleteMarker(_)) => return Ok(None),
            copied => copied?,
        };
        self.sample(at, Some(&stored.version)).await;
        Ok(Some(Written {
            etag: envelope.etag.as_ref().unwrap_or(&looked.summary.etag).clone(),
            version: shown_version(bucket, &stored.version),
            modified: stored.modified,
            sse: envelope.status(customer_of(choice)),
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
        copying: Copying<'_>,
        target: ObjectKey,
    ) -> Result<Written, Error> {
        let write = ObjectWrite {
            choice: SseChoice::resolve(None, None, self.default),
            at: copying.at.clone(),
            headers: copying.headers,
            digests: DeclaredDigests::default(),
            precondition: copying.precondition,
            kind: ObjectKind::Symlink,
            target: Some(target),
            bucket: copying.bucket.clone(),
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
        copying: Copying<'_>,
        compute: Option<ChecksumAlgorithm>,
    ) -> Result<Written, Error> {
        let OpenedSource { looked, open, data_key, version } = source;
        let plain = self.plaintext(&looked, open.as_ref(), &data_key, None).await?;
        let body =
            Intake { stream: plain, len: looked.summary.plain_len.0, length_is: LengthIs::Declared, trailers: None };
        let write = ObjectWrite {
            at: copying.at.clone(),
            headers: copying.headers,
            choice: copying.choice.clone(),
            digests: DeclaredDigests { compute, ..DeclaredDigests::default() },
            precondition: copying.precondition,
            kind: ObjectKind::Normal,
            target: None,
            bucket: copying.bucket.clone(),
        };
        let written = self.write_object(caller, write, body).await?;
        Ok(Written { source_version: version, ..written })
    }
}

/// How a try to copy ended: `None` when it was to take its source's place and something else is there now. The request's own
/// conditions are judged against that, in the next try.
fn unless_overtaken(copied: Result<Written, Error>, onto_itself: bool) -> Result<Option<Written>, Error> {
    match copied {
        Err(Error::PreconditionFailed(_)) if onto_itself => Ok(None),
        copied => copied.map(Some),
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
