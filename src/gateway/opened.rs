//! An object looked at or opened: record verified, summary opened, nothing decrypted yet.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use futures::{StreamExt as _, TryStreamExt as _};

use crate::identity::Requester;
use crate::kms::{DataKey, Principal, WrappedKey};
use crate::sse::{
    Aead, BodyOpener, Commitment, CustomerKey, DataCipher, Digests, Envelope, Layout, ObjectId, ObjectKind,
    PlainOffset, SegmentSize, SseMode, Summary, TAIL_GUESS, Wrap, manifest,
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
    /// Whether sealgate did not write it: it is as it is, in a bucket where the operator allows that.
    pub(super) foreign: bool,
}

impl Looked {
    /// An object that sealgate did not write.
    fn foreign(object: StoredObject) -> Self {
        let nothing = ObjectId::from_bytes([0; 16]);
        let summary = Summary {
            object: nothing,
            plain_len: PlainOffset(object.len.0),
            cipher_len: object.len,
            etag: object.tag.0.split(':').next().unwrap_or_default().to_owned(),
            crc64: None,
            kind: ObjectKind::Normal,
            parts: 1,
            aead: Aead::None,
            segment_size: SegmentSize::DEFAULT,
            only_part: None,
        };
        let envelope = Envelope {
            wrap: Wrap::None { wrapped: WrappedKey(Vec::new()) },
            cipher: DataCipher::default(),
            commitment: Commitment::from_bytes([0; 32]),
            object: nothing,
            version: None,
            etag: None,
        };
        Self { object, envelope, summary, foreign: true }
    }

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
        let (tags, lock) = (Tags::kept(metadata.tags), self.object.lock.clone());
        ObjectHeaders { system: metadata.system, user: metadata.user, tags, acl: None, lock }
    }
}

impl Gateway {
    /// Looks at an object. No KMS call.
    pub(super) async fn look(&self, at: &ObjectAt, version: Option<&VersionId>) -> Result<Looked, Error> {
        let mut object = self.store.head(at, version).await.map_err(|error| missing(error, version))?;
        if lacks_manifest(&object) {
            let open = self.store.open(at, version).await.map_err(|error| missing(error, version))?;
            object = open.object().clone();
            self.complete_tail(&mut object, open.as_ref()).await?;
        }
        let looked = self.verify_version(at, version, object)?;
        self.in_epoch(&at.bucket, looked).await
    }

    /// Opens an object for reading. No KMS call.
    pub(super) async fn open(
        &self,
        at: &ObjectAt,
        version: Option<&VersionId>,
    ) -> Result<(Looked, Box<dyn OpenObject>), Error> {
        let open = self.store.open(at, version).await.map_err(|error| missing(error, version))?;
        let mut object = open.object().clone();
        self.complete_tail(&mut object, open.as_ref()).await?;
        let looked = self.verify_version(at, version, object)?;
        Ok((self.in_epoch(&at.bucket, looked).await?, open))
    }

    /// Opens what the store remembers of an object, if it does; see [`crate::store::ObjectStore::recall`]. A memory that
    /// does not verify is none.
    pub(super) async fn recall(
        &self,
        at: &ObjectAt,
        version: Option<&VersionId>,
    ) -> Result<Option<(Looked, Box<dyn OpenObject>)>, Error> {
        let Some(open) = self.store.recall(at, version).await.map_err(|error| missing(error, version))? else {
            return Ok(None);
        };
        match self.verify_version(at, version, open.object().clone()) {
            Ok(looked) => Ok(Some((self.in_epoch(&at.bucket, looked).await?, open))),
            Err(_) => Ok(None),
        }
    }

    /// Reads the rest of a manifest that is longer than the end of the body which came with the look.
    async fn complete_tail(&self, object: &mut StoredObject, open: &dyn OpenObject) -> Result<(), Error> {
        if lacks_manifest(object) {
            let wanted = manifest::parse_trailer(&object.tail).map_err(Error::Integrity)?.manifest_len();
            object.tail = read_tail(object.len, wanted, open).await?.freeze();
        }
        Ok(())
    }

    /// The summary of an object: the one that came with it, or one made of its manifest.
    fn summary_from(&self, at: &ObjectAt, object: &StoredObject) -> Result<Summary, Error> {
        let key = self.keys.attribute_key();
        if object.summary.is_empty() && !object.tail.is_empty() {
            let opened = manifest::open_attributes(&object.tail, object.len, key).map_err(Error::Integrity)?;
            return Ok(Summary::from(&opened));
        }
        Summary::open(&object.summary, key, at).map_err(Error::Integrity)
    }

    /// Verifies what came for the version that was asked for: a store must not give another one.
    fn verify_version(&self, at: &ObjectAt, asked: Option<&VersionId>, object: StoredObject) -> Result<Looked, Error> {
        if asked.is_some_and(|asked| *asked != object.version) {
            return Err(Error::Integrity(crate::sse::Error::MetadataMac));
        }
        self.verify(at, object, asked.is_none())
    }

    /// Verifies a row of a listing, `latest` where it is the current version. One of which the store gave too short an end
    /// is looked at on its own; `None`: it is gone by now.
    pub(super) async fn verify_row(
        &self,
        at: &ObjectAt,
        object: StoredObject,
        latest: bool,
    ) -> Result<Option<Looked>, Error> {
        if !lacks_manifest(&object) {
            return self.verify(at, object, latest).map(Some);
        }
        let version = (!latest).then_some(&object.version);
        match self.look(at, version).await {
            Ok(looked) => Ok(Some(looked)),
            Err(Error::NoSuchKey | Error::NoSuchVersion | Error::DeleteMarker { .. }) => Ok(None),
            Err(other) => Err(other),
        }
    }

    /// Verifies what came, `latest` where it came as the current version.
    pub(super) fn verify(&self, at: &ObjectAt, object: StoredObject, latest: bool) -> Result<Looked, Error> {
        if object.metadata.envelope.is_empty() && self.store.may_be_foreign(&at.bucket) {
            self.store.keep_summary(at, &object, latest);
            return Ok(Looked::foreign(object));
        }
        let envelope = self.keys.verify(at, &object.metadata).map_err(Error::Integrity)?;
        let summary = self.summary_from(at, &object)?;
        // The MAC pins the version: a store cannot serve one under another's id.
        if !object.version.is_null() && envelope.version.as_ref().map(VersionId::as_str) != Some(object.version.write())
        {
            return Err(Error::Integrity(crate::sse::Error::MetadataMac));
        }
        // The record pins the body: metadata, summary and stored length of two writes cannot be mixed.
        if summary.object != envelope.object || summary.cipher_len != object.len {
            return Err(Error::Integrity(crate::sse::Error::Summary));
        }
        envelope.check_body(summary.aead).map_err(Error::Integrity)?;
        let mut object = object;
        if object.summary.is_empty() {
            object.summary = summary.seal(self.keys.attribute_key(), at)?.into();
            // With the summary it is all that there is to know without the body; the checksums are in it.
            object.tail = manifest_in(&object.tail).unwrap_or_default();
            self.store.keep_summary(at, &object, latest);
        }
        Ok(Looked { object, envelope, summary, foreign: false })
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
        if let Wrap::None { wrapped } = &envelope.wrap
            && wrapped.0.is_empty()
        {
            // A foreign object has no key, and nothing of it is opened with one.
            return Ok(DataKey::new([0; 32]));
        }
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
        if looked.foreign {
            return as_it_is(looked, open, range).await;
        }
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
        let worth_it = cipher.end.0.saturating_sub(cipher.start.0) > chunk as u64 && layout.part_count() == 1;
        if worth_it && !open.asks_for_each_read() {
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
        if let Some(manifest) = manifest_in(&looked.object.tail) {
            return Ok(BytesMut::from(manifest));
        }
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
        if looked.foreign {
            return Ok(Digests::default());
        }
        let tail = self.manifest(looked, open).await?;
        manifest::open_digests(&tail, data_key).map_err(Error::Integrity)
    }
}

/// The bytes of an object that sealgate did not write.
async fn as_it_is(looked: &Looked, open: &dyn OpenObject, range: Option<(u64, u64)>) -> Result<PlainOut, Error> {
    let (first, len) = range.unwrap_or((0, looked.object.len.0));
    let range = CipherOffset(first)..CipherOffset(first.saturating_add(len));
    let stream = open.read(range, AS_IT_IS).await?;
    Ok(Box::pin(stream.map(|chunk| chunk.map(BytesMut::freeze).map_err(Error::from))))
}

/// How much of such an object is read at once.
const AS_IT_IS: usize = 256 << 10;

/// The manifest at the end of the body that came with a look, if it is all there.
fn manifest_in(tail: &Bytes) -> Option<Bytes> {
    let len = usize::try_from(manifest::parse_trailer(tail).ok()?.manifest_len()).ok()?;
    Some(tail.slice(tail.len().checked_sub(len)?..))
}

/// Whether the end of the body that came with a look begins in the middle of the manifest.
pub(super) fn lacks_manifest(object: &StoredObject) -> bool {
    let whole = object.tail.len() as u64 == object.len.0;
    let longer = || manifest::parse_trailer(&object.tail).is_ok_and(|it| it.manifest_len() > object.tail.len() as u64);
    object.summary.is_empty() && !object.tail.is_empty() && !whole && longer()
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
