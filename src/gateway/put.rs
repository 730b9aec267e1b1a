//! PutObject: one body, one part, one manifest.

use crate::identity::{Action, Caller};
use crate::sse::{Attributes, Digests, ObjectKind, PartSealer, SseChoice, SseMode, Summary};
use crate::store::{Commit, Metadata, Precondition};
use crate::types::{ObjectAt, PartNumber};

use super::bucket::default_encryption;
use super::digest::{Computed, Digester};
use super::records::digests_of;
use super::transfer::{Intake, Sealed, seal_into};
use super::{
    ChecksumKind, Conditions, DeclaredDigests, Error, Gateway, MAX_SINGLE_UPLOAD, MAX_USER_METADATA, ObjectHeaders,
    PutRequest, Written, principal,
};

/// A write whose key is chosen and whose body has yet to come. Put and the re-encrypting copy end the same way.
pub(super) struct ObjectWrite {
    pub(super) at: ObjectAt,
    pub(super) headers: ObjectHeaders,
    pub(super) choice: SseChoice,
    pub(super) digests: DeclaredDigests,
    pub(super) precondition: Precondition,
}

impl Gateway {
    /// Writes an object. When this returns `Ok` it is durable; otherwise the key is as it was.
    ///
    /// # Errors
    /// See [`Error`]; the body's own failures are [`Error::Body`] and [`Error::BadDigest`].
    pub async fn put_object(&self, caller: &Caller, request: PutRequest) -> Result<Written, Error> {
        let bucket = self.bucket_for(caller, &request.at.bucket, Action::WriteObject).await?;
        let precondition = self.precondition(&request.at, &request.conditions).await?;
        let write = ObjectWrite {
            choice: SseChoice::resolve(request.sse, default_encryption(&bucket)?.as_ref()),
            at: request.at,
            headers: request.headers,
            digests: request.digests,
            precondition,
        };
        self.write_object(caller, write, request.body.into()).await
    }

    pub(super) async fn write_object(
        &self,
        caller: &Caller,
        write: ObjectWrite,
        body: Intake,
    ) -> Result<Written, Error> {
        check_size(body.len)?;
        check_metadata(&write.headers)?;
        let ObjectWrite { at, headers, choice, digests, precondition } = write;
        let (envelope, data_key) = self.keys.create(&principal(caller)?, &choice, &at).await?;
        let mut metadata = Metadata { system: headers.system, user: headers.user, ..Metadata::default() };
        self.keys.bind(&at, &mut metadata, &envelope)?;

        let md5_etag = envelope.mode() == SseMode::S3;
        let sealer = PartSealer::new(&data_key, PartNumber::FIRST)?;
        let mut writer = self.store.put(&at, metadata).await?;
        let size = body.len;
        let sealed = seal_into(body, sealer, Digester::new(digests, md5_etag), &mut writer).await?;

        let Sealed { part, digests, mut rest } = sealed;
        let etag = etag_of(&digests, md5_etag)?;
        let attributes =
            Attributes::new(envelope.object_id(), vec![part], etag.clone(), Some(digests.crc64), ObjectKind::Normal)?;
        let manifest = self.keys.seal_manifest(&attributes, Some((&digests_of(&digests), &data_key)), &envelope)?;
        rest.extend_from_slice(&manifest);
        writer.write(rest.freeze()).await?;
        let summary = self.keys.seal_summary(&at, &Summary::of(&attributes, manifest.len())?)?;
        let stored = writer.commit(Commit { summary, precondition }).await?;
        Ok(Written {
            etag,
            version: stored.version,
            modified: stored.modified,
            sse: self.keys.status(&envelope, customer_md5(&choice), true)?,
            checksum: digests.into_checksum(),
            size,
        })
    }

    /// What must hold at the commit, judged a first time now so that a write that cannot succeed does not begin.
    pub(super) async fn precondition(&self, at: &ObjectAt, conditions: &Conditions) -> Result<Precondition, Error> {
        if !conditions.concern_writes() {
            return Ok(Precondition::None);
        }
        match self.look(at, None).await {
            Ok(looked) => conditions.judge_write(Some((&looked.object, &looked.etag()))),
            Err(Error::NoSuchKey) => conditions.judge_write(None),
            Err(other) => Err(other),
        }
    }
}

/// The MD5 of a customer key, which answers echo.
pub(super) fn customer_md5(choice: &SseChoice) -> Option<[u8; 16]> {
    match choice {
        SseChoice::Customer(key) => Some(key.md5()),
        SseChoice::S3 | SseChoice::Kms { .. } => None,
    }
}

/// The ETag: MD5 of the plaintext under SSE-S3, as clients verify it; random and stable otherwise, since an MD5 would
/// be a fingerprint of what only the CMK's owner may know (sse-semantics.md §4c).
pub(super) fn etag_of(digests: &Computed, md5_etag: bool) -> Result<String, Error> {
    match digests.md5.filter(|_| md5_etag) {
        Some(md5) => Ok(hex::encode(md5)),
        None => opaque_etag(),
    }
}

/// An ETag that says nothing about the content.
pub(super) fn opaque_etag() -> Result<String, Error> {
    Ok(hex::encode(crate::types::random::<16>()?))
}

pub(super) fn check_size(len: u64) -> Result<(), Error> {
    if len > MAX_SINGLE_UPLOAD { Err(Error::TooLarge { maximum: MAX_SINGLE_UPLOAD }) } else { Ok(()) }
}

pub(super) fn check_metadata(headers: &ObjectHeaders) -> Result<(), Error> {
    let user: usize = headers.user.iter().map(|(name, value)| name.len() + value.len()).sum();
    if user > MAX_USER_METADATA {
        return Err(Error::MetadataTooLarge { maximum: MAX_USER_METADATA });
    }
    Ok(())
}
