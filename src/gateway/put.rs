//! PutObject: one body, one part, one manifest.

use std::collections::BTreeMap;

use bytes::Bytes;

use crate::identity::{Action, Requester};
use crate::kms::Principal;
use crate::sse::{
    Aead, Attributes, CustomerKey, Layout, ObjectKind, PartSealer, SegmentSize, SseChoice, Summary, manifest,
    sealed_part_len,
};
use crate::store::{Ahead, Bucket, CipherOffset, Commit, Metadata, Precondition};
use crate::types::{ObjectAt, ObjectKey, PartNumber};

use super::access::principal_for;
use super::acl::{check_acl, fields_of};
use super::digest::{Computed, Digester};
use super::opened::shown_version;
use super::records::digests_of;
use super::symlink::field_of;
use super::transfer::{Intake, Sealed, Sink, seal_into};
use super::{
    Conditions, DeclaredDigests, Error, Gateway, LengthIs, MAX_SINGLE_UPLOAD, MAX_USER_METADATA, ObjectHeaders,
    PutRequest, Written,
};

/// A write whose key is chosen and whose body has yet to come. Put and the re-encrypting copy end the same way.
pub(super) struct ObjectWrite {
    pub(super) at: ObjectAt,
    pub(super) headers: ObjectHeaders,
    pub(super) choice: SseChoice,
    pub(super) digests: DeclaredDigests,
    pub(super) precondition: Precondition,
    /// What it is to be.
    pub(super) kind: ObjectKind,
    /// Where it leads, if it is to be a symbolic link.
    pub(super) target: Option<ObjectKey>,
    /// The bucket, as it was when the caller's right was judged.
    pub(super) bucket: Bucket,
}

impl Gateway {
    /// Writes an object. When this returns `Ok` it is durable; otherwise the key is as it was, save where all that failed is the
    /// lock that was asked for.
    ///
    /// # Errors
    /// See [`Error`]; the body's own failures are [`Error::Body`] and [`Error::BadDigest`].
    pub async fn put_object(&self, caller: &Requester, request: PutRequest) -> Result<Written, Error> {
        let bucket = self.object_for(caller, &request.at, Action::PutObject).await?;
        check_acl(&bucket, request.headers.acl)?;
        self.check_lock(caller, &bucket, &request.at, &request.headers.lock).await?;
        let precondition = self.precondition(&request.at, &request.conditions).await?;
        let write = ObjectWrite {
            choice: self.choose(&bucket, request.sse)?,
            at: request.at,
            headers: request.headers,
            digests: request.digests,
            precondition,
            kind: ObjectKind::Normal,
            target: None,
            bucket,
        };
        self.write_object(caller, write, request.body.into()).await
    }

    pub(super) async fn write_object(
        &self,
        caller: &Requester,
        write: ObjectWrite,
        body: Intake,
    ) -> Result<Written, Error> {
        let principal = principal_for(caller, write.choice.uses_cmk())?;
        let access = fields_of(&write.bucket, caller, write.headers.acl);
        self.write_object_as(&principal, access, write, body).await
    }

    /// The same, on behalf of somebody who is known already. `access` says whose the object is and who else may read it.
    pub(super) async fn write_object_as(
        &self,
        principal: &Principal,
        access: BTreeMap<String, String>,
        write: ObjectWrite,
        body: Intake,
    ) -> Result<Written, Error> {
        if body.length_is == LengthIs::Declared {
            check_size(body.len)?;
        }
        check_metadata(&write.headers)?;
        let ObjectWrite { at, headers, choice, digests, precondition, kind, target, bucket } = write;
        let (lease, lock) = (self.lease(principal, &choice, &bucket).await?, headers.lock.clone());
        let (envelope, data_key) = self.keys.create(principal, &choice, &at, lease.as_deref()).await?;
        let mut metadata = Metadata { access, ..headers.metadata() };
        metadata.access.extend(target.as_ref().map(field_of));
        self.keys.bind(&at, &mut metadata, &envelope)?;

        let aead = envelope.body_aead();
        // The ETag of what may still grow is the MD5 of nothing that a client could verify for long.
        let md5_etag = envelope.mode().shows_digests() && kind == ObjectKind::Normal;
        let sealer = PartSealer::new(&data_key, PartNumber::FIRST, aead, SegmentSize::DEFAULT)?.expecting(body.len);
        let digester = Digester::new(digests, md5_etag);
        let len = (body.length_is == LengthIs::Declared).then(|| sealed_len(body.len, aead, kind, &digester));
        let len = len.transpose()?;
        let ahead = Ahead { len, precondition: precondition.clone() };
        let mut sink = Sink::Object(self.store.put(&at, metadata, ahead).await?);
        let sealed = seal_into(body, sealer, digester, &mut sink).await?;

        let Sealed { part, digests, mut rest } = sealed;
        let size = part.plain_len;
        check_size(size)?;
        let etag = if kind == ObjectKind::Normal { etag_of(&digests, md5_etag)? } else { state_etag()? };
        let attributes = Attributes {
            object: envelope.object,
            etag: etag.clone(),
            crc64: Some(digests.crc64),
            kind,
            parts: vec![part],
        };
        let body = (aead, SegmentSize::DEFAULT);
        let manifest = manifest::seal(&attributes, &digests_of(&digests)?, body, &data_key, self.keys.attribute_key())?;
        rest.extend_from_slice(&manifest);
        sink.take(rest.freeze()).await?;
        let summary = self.summary_of(&at, &attributes, body, manifest.len())?;
        let stored =
            sink.commit_object(Commit { summary, precondition, version: envelope.version.clone(), lock }).await?;
        self.sample(&at, Some(&stored.version)).await;
        Ok(Written {
            etag,
            version: shown_version(&bucket, &stored.version),
            modified: stored.modified,
            sse: envelope.status(customer_of(&choice)),
            crc64: attributes.crc64,
            checksum: digests.into_checksum(),
            size,
            source_version: None,
        })
    }

    /// The sealed summary of a body whose manifest has this length.
    pub(super) fn summary_of(
        &self,
        at: &ObjectAt,
        attributes: &Attributes,
        (aead, size): (Aead, SegmentSize),
        manifest: usize,
    ) -> Result<Bytes, Error> {
        let parts = attributes.parts.iter().try_fold(0u64, |sum, part| {
            Ok::<_, Error>(sum.saturating_add(sealed_part_len(part.plain_len, aead, size)?))
        })?;
        let len = CipherOffset(parts.saturating_add(manifest as u64));
        let layout = Layout::new(aead, size, &attributes.parts, len)?;
        Ok(Summary::new(attributes, &layout).seal(self.keys.attribute_key(), at)?.into())
    }

    /// What must hold at the commit, judged a first time now so that a write that cannot succeed does not begin.
    pub(super) async fn precondition(&self, at: &ObjectAt, conditions: &Conditions) -> Result<Precondition, Error> {
        if !conditions.concern_writes() {
            return Ok(Precondition::None);
        }
        match self.look(at, None).await {
            Ok(looked) => conditions.judge_write(Some((&looked.object, &looked.etag()))),
            Err(Error::NoSuchKey | Error::DeleteMarker { .. }) => conditions.judge_write(None),
            Err(other) => Err(other),
        }
    }
}

impl ObjectHeaders {
    /// The headers as a store keeps them, without an envelope as yet.
    pub(super) fn into_metadata(self, bucket: &Bucket, caller: &Requester) -> Metadata {
        Metadata { access: fields_of(bucket, caller, self.acl), ..self.metadata() }
    }

    /// The same without what says whose the object is.
    fn metadata(self) -> Metadata {
        Metadata { system: self.system, user: self.user, tags: self.tags.into_map(), ..Metadata::default() }
    }
}

/// The length of an object's body, known before it streams: one part, and a manifest with the digests that will be.
fn sealed_len(plain_len: u64, aead: Aead, kind: ObjectKind, digester: &Digester) -> Result<CipherOffset, Error> {
    let etag = if kind == ObjectKind::Normal { ETAG_LEN } else { ETAG_LEN + STATE.len() };
    let manifest = manifest::encoded_len(1, etag, &digester.planned(), None);
    let part = sealed_part_len(plain_len, aead, SegmentSize::DEFAULT)?;
    Ok(CipherOffset(part.saturating_add(manifest as u64)))
}

/// The length of an ETag: 128 bits in hex.
const ETAG_LEN: usize = 32;
/// What follows it where it is not to be taken for an MD5.
const STATE: &str = "-1";

/// The customer key of a choice, whose MD5 answers echo.
pub(super) fn customer_of(choice: &SseChoice) -> Option<&CustomerKey> {
    match choice {
        SseChoice::Customer(key) => Some(key),
        SseChoice::S3 { .. } | SseChoice::Kms { .. } | SseChoice::None => None,
    }
}

/// The ETag: the MD5 of the plaintext where the mode shows it, random and stable otherwise ([`SseMode::shows_digests`]).
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

/// The same for what is not to be taken for an MD5 although its mode would show one: S3's clients compare an ETag of just 32
/// digits with the MD5 of what they read.
pub(super) fn state_etag() -> Result<String, Error> {
    Ok(format!("{}{STATE}", opaque_etag()?))
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
