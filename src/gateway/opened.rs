//! An object looked at or opened: record verified, summary opened, nothing decrypted yet.

use std::sync::Arc;

use bytes::BytesMut;
use futures::{StreamExt as _, TryStreamExt as _};

use crate::identity::Requester;
use crate::kms::{DataKey, Principal};
use crate::sse::{
    BodyOpener, CustomerKey, Digests, Envelope, Layout, ObjectKind, PlainOffset, SseMode, Summary, TAIL_GUESS, manifest,
};
use crate::store::{Bucket, CipherOffset, OpenObject, StoredObject, Versioning};
use crate::types::{ObjectAt, VersionId};

use super::access::principal_for;
use super::transfer::open_from;
use super::{Error, Gateway, ObjectHeaders, ObjectInfo, PlainOut, Tags};

/// A stored object whose metadata has been verified: nothing of it was altered, and it belongs to this bucket and key.
pub(super) struct Looked {
    pub(super) object: StoredObject,
    pub(super) envelope: Envelope,
    pub(super) summary: Summary,
}

impl Looked {
    /// The ETag that clients see: the manifest's, unless a copy from another mode gave the object its own.
    pub(super) fn etag(&self) -> String {
        self.envelope.etag.as_ref().unwrap_or(&self.summary.etag).clone()
    }

    /// The MD5 of the plaintext, where the ETag is it.
    fn md5(&self) -> Option<[u8; 16]> {
        if self.summary.kind != ObjectKind::Normal || !self.envelope.mode().shows_digests() {
            return None;
        }
        let mut md5 = [0; 16];
        hex::decode_to_slice(self.etag(), &mut md5).ok().map(|()| md5)
    }

    pub(super) fn headers(&self) -> ObjectHeaders {
        let metadata = self.object.metadata.clone();
        ObjectHeaders { system: metadata.system, user: metadata.user, tags: Tags::kept(metadata.tags), acl: None }
    }
}

impl Gateway {
    /// Looks at an object. No KMS call.
    pub(super) async fn look(&self, at: &ObjectAt, version: Option<&VersionId>) -> Result<Looked, Error> {
        let object = self.store.head(at, version).await.map_err(|error| missing(error, version))?;
        self.verify_version(at, version, object)
    }

    /// Opens an object for reading. No KMS call.
    pub(super) async fn open(
        &self,
        at: &ObjectAt,
        version: Option<&VersionId>,
    ) -> Result<(Looked, Box<dyn OpenObject>), Error> {
        let open = self.store.open(at, version).await.map_err(|error| missing(error, version))?;
        let looked = self.verify_version(at, version, open.object().clone())?;
        Ok((looked, open))
    }

    /// Verifies what came for the version that was asked for: a store must not give another one.
    fn verify_version(&self, at: &ObjectAt, asked: Option<&VersionId>, object: StoredObject) -> Result<Looked, Error> {
        if asked.is_some_and(|asked| *asked != object.version) {
            return Err(Error::Integrity(crate::sse::Error::MetadataMac));
        }
        self.verify(at, object)
    }

    pub(super) fn verify(&self, at: &ObjectAt, object: StoredObject) -> Result<Looked, Error> {
        let envelope = self.keys.verify(at, &object.metadata).map_err(Error::Integrity)?;
        let summary = Summary::open(&object.summary, self.keys.attribute_key(), at).map_err(Error::Integrity)?;
        // The MAC pins the version: a store cannot serve one under another's id.
        if !object.version.is_null() && envelope.version.as_ref() != Some(&object.version) {
            return Err(Error::Integrity(crate::sse::Error::MetadataMac));
        }
        // The record pins the body: metadata, summary and stored length of two writes cannot be mixed.
        if summary.object != envelope.object || summary.cipher_len != object.len {
            return Err(Error::Integrity(crate::sse::Error::Summary));
        }
        envelope.check_body(summary.aead).map_err(Error::Integrity)?;
        Ok(Looked { object, envelope, summary })
    }

    pub(super) fn info(
        &self,
        bucket: &Bucket,
        looked: &Looked,
        customer: Option<&CustomerKey>,
    ) -> Result<ObjectInfo, Error> {
        Ok(ObjectInfo {
            etag: looked.etag(),
            version: shown_version(bucket, &looked.object.version),
            modified: looked.object.modified,
            size: looked.summary.plain_len.0,
            headers: looked.headers(),
            sse: looked.envelope.status(customer).without_context(),
            checksums: Vec::new(),
            range: None,
            md5: looked.md5(),
            crc64: looked.summary.crc64,
            kind: looked.summary.kind,
            symlink: looked.link_target()?,
            parts: (looked.summary.kind == ObjectKind::Multipart).then_some(looked.summary.parts),
        })
    }

    /// The object's data key. One KMS call under SSE-KMS, none otherwise.
    pub(super) async fn data_key(
        &self,
        caller: &Requester,
        at: &ObjectAt,
        envelope: &Envelope,
        customer: Option<&CustomerKey>,
    ) -> Result<DataKey, Error> {
        let principal = principal_for(caller, envelope.mode() == SseMode::Kms)?;
        self.data_key_as(&principal, at, envelope, customer).await
    }

    /// The same, on behalf of somebody who is known already.
    pub(super) async fn data_key_as(
        &self,
        principal: &Principal,
        at: &ObjectAt,
        envelope: &Envelope,
        customer: Option<&CustomerKey>,
    ) -> Result<DataKey, Error> {
        self.keys.unwrap(principal, envelope, at, customer).await.map_err(Error::from)
    }

    /// Plaintext of `range` (first byte and length; `None`: the whole, with the manifest checked at its end).
    pub(super) async fn plaintext(
        &self,
        looked: &Looked,
        open: &dyn OpenObject,
        data_key: &DataKey,
        range: Option<(u64, u64)>,
    ) -> Result<PlainOut, Error> {
        let layout = self.layout(looked, open).await?;
        self.plaintext_in(&layout, looked, open, data_key, range).await
    }

    /// The same, where the layout is known already.
    pub(super) async fn plaintext_in(
        &self,
        layout: &Arc<Layout>,
        looked: &Looked,
        open: &dyn OpenObject,
        data_key: &DataKey,
        range: Option<(u64, u64)>,
    ) -> Result<PlainOut, Error> {
        let (cipher, opener) = match range {
            None => BodyOpener::whole(data_key, self.keys.attribute_key(), looked.envelope.object, Arc::clone(layout)),
            Some((first, len)) => {
                let plain = PlainOffset(first)..PlainOffset(first.saturating_add(len));
                BodyOpener::range(data_key, Arc::clone(layout), plain).map_err(Error::Integrity)?
            }
        };
        let chunk = opener.chunk_len();
        let mut streams = Vec::new();
        // Cutting the read after each part's header makes every chunk whole segments, which open in place. That is
        // worth a stream more per part, but not for a body of one chunk.
        if cipher.end.0.saturating_sub(cipher.start.0) > chunk as u64 && layout.part_count() == 1 {
            for piece in layout.aligned_reads(cipher) {
                streams.push(open.read(piece, chunk).await?);
            }
        } else {
            streams.push(open.read(cipher, chunk).await?);
        }
        open_from(Box::pin(futures::stream::iter(streams).flatten()), opener).await
    }

    /// The layout of the body: from the summary for one part, from the manifest for several.
    pub(super) async fn layout(&self, looked: &Looked, open: &dyn OpenObject) -> Result<Arc<Layout>, Error> {
        if let Some(layout) = looked.summary.layout().map_err(Error::Integrity)? {
            return Ok(layout);
        }
        let tail = self.manifest(looked, open).await?;
        let opened =
            manifest::open_attributes(&tail, looked.object.len, self.keys.attribute_key()).map_err(Error::Integrity)?;
        // All of it, and not only the object id, which an append does not change.
        if Summary::from(&opened) != looked.summary {
            return Err(Error::Integrity(crate::sse::Error::Manifest));
        }
        looked.envelope.check_body(opened.layout.aead()).map_err(Error::Integrity)?;
        Ok(Arc::new(opened.layout))
    }

    /// The end of the body, with the whole manifest in it.
    pub(super) async fn manifest(&self, looked: &Looked, open: &dyn OpenObject) -> Result<BytesMut, Error> {
        let tail = read_tail(looked.object.len, TAIL_GUESS as u64, open).await?;
        let trailer = manifest::parse_trailer(&tail).map_err(Error::Integrity)?;
        if trailer.manifest_len() <= tail.len() as u64 {
            return Ok(tail);
        }
        read_tail(looked.object.len, trailer.manifest_len(), open).await
    }

    /// The digests that the manifest keeps.
    pub(super) async fn digests(
        &self,
        looked: &Looked,
        open: &dyn OpenObject,
        data_key: &DataKey,
    ) -> Result<Digests, Error> {
        let tail = self.manifest(looked, open).await?;
        manifest::open_digests(&tail, data_key).map_err(Error::Integrity)
    }
}

/// The last `wanted` bytes of a body (or all of a shorter one).
async fn read_tail(len: CipherOffset, wanted: u64, open: &dyn OpenObject) -> Result<BytesMut, Error> {
    let start = CipherOffset(len.0.saturating_sub(wanted));
    let stream = open.read(start..len, usize::try_from(wanted).unwrap_or(usize::MAX)).await?;
    let joined = stream.try_fold(BytesMut::new(), |mut all, chunk| async move {
        if all.is_empty() {
            return Ok(chunk);
        }
        all.extend_from_slice(&chunk);
        Ok(all)
    });
    Ok(joined.await?)
}

/// A customer key must be given for an SSE-C object and for no other.
pub(super) fn check_customer_key(envelope: &Envelope, customer: Option<&CustomerKey>) -> Result<(), Error> {
    match (envelope.mode(), customer) {
        (SseMode::Customer, None) => Err(Error::CustomerKeyRequired),
        (SseMode::S3 | SseMode::Kms | SseMode::None, Some(_)) => Err(Error::CustomerKeyNotApplicable),
        (SseMode::Customer, Some(_)) | (SseMode::S3 | SseMode::Kms | SseMode::None, None) => Ok(()),
    }
}

/// The version as answers name it: not at all in a bucket that never kept versions.
pub(super) fn shown_version(bucket: &Bucket, version: &VersionId) -> Option<VersionId> {
    (bucket.versioning != Versioning::Never).then(|| version.clone())
}

/// Naming a version that is not there is another error than naming a key that is not there.
fn missing(error: crate::store::Error, asked: Option<&VersionId>) -> Error {
    match Error::from(error) {
        Error::NoSuchKey if asked.is_some() => Error::NoSuchVersion,
        Error::DeleteMarker { version, .. } => Error::DeleteMarker { version, named: asked.is_some() },
        other => other,
    }
}
