//! An object looked at or opened: record verified, summary opened, nothing decrypted yet.

use crate::kms::{DataKey, Principal};
use crate::sse::{Attributes, BodyOpener, CustomerKey, Envelope, PlainOffset, SseMode, Summary};
use crate::store::{CipherOffset, OpenObject, StoredObject};
use crate::types::{ObjectAt, VersionId};

use super::transfer::open_from;
use super::{Error, Gateway, ObjectHeaders, ObjectInfo, PlainOut};

/// How much of a body's end is read to find a manifest whose length is not known.
const MANIFEST_GUESS: u64 = 64 << 10;

/// A stored object whose metadata has been verified: nothing of it was altered, and it belongs to this bucket and key.
pub(super) struct Looked {
    pub(super) object: StoredObject,
    pub(super) envelope: Envelope,
    pub(super) summary: Summary,
}

impl Looked {
    /// The ETag that clients see: the manifest's, unless a copy from another mode gave the object its own.
    pub(super) fn etag(&self) -> String {
        self.envelope.etag().unwrap_or_else(|| self.summary.etag()).to_owned()
    }

    pub(super) fn headers(&self) -> ObjectHeaders {
        ObjectHeaders { system: self.object.metadata.system.clone(), user: self.object.metadata.user.clone() }
    }
}

impl Gateway {
    /// Looks at an object. No KMS call.
    pub(super) async fn look(&self, at: &ObjectAt, version: Option<&VersionId>) -> Result<Looked, Error> {
        let object = self.store.head(at, version).await.map_err(|error| missing(error, version))?;
        self.verify(at, object)
    }

    /// Opens an object for reading. No KMS call.
    pub(super) async fn open(
        &self,
        at: &ObjectAt,
        version: Option<&VersionId>,
    ) -> Result<(Looked, Box<dyn OpenObject>), Error> {
        let open = self.store.open(at, version).await.map_err(|error| missing(error, version))?;
        let looked = self.verify(at, open.object().clone())?;
        Ok((looked, open))
    }

    pub(super) fn verify(&self, at: &ObjectAt, object: StoredObject) -> Result<Looked, Error> {
        let envelope = self.keys.verify(at, &object.metadata).map_err(Error::Integrity)?;
        let summary = self.keys.open_summary(at, &object.summary).map_err(Error::Integrity)?;
        // The record pins the body: metadata, summary and stored length of two writes cannot be mixed.
        if summary.object_id() != envelope.object_id() || summary.cipher_len() != object.len {
            return Err(Error::Integrity(crate::sse::Error::Summary));
        }
        Ok(Looked { object, envelope, summary })
    }

    pub(super) fn info(&self, looked: &Looked, customer: Option<&CustomerKey>) -> Result<ObjectInfo, Error> {
        Ok(ObjectInfo {
            etag: looked.etag(),
            version: looked.object.version.clone(),
            modified: looked.object.modified,
            size: looked.summary.plain_len(),
            headers: looked.headers(),
            sse: self.keys.status(&looked.envelope, customer.map(CustomerKey::md5), false)?,
            checksums: Vec::new(),
            parts: looked.summary.multipart_count(),
        })
    }

    /// The object's data key. One KMS call under SSE-KMS, none otherwise.
    pub(super) async fn data_key(
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
        let attributes = self.attributes(looked, open).await?;
        let (cipher, opener) = match range {
            None => BodyOpener::whole(data_key, &attributes, &looked.summary, self.keys.attribute_key()),
            Some((first, len)) => {
                let end = first.saturating_add(len);
                BodyOpener::range(data_key, &attributes, PlainOffset(first)..PlainOffset(end))
            }
        }
        .map_err(Error::Integrity)?;
        let stream = open.read(cipher, opener.preferred_chunk()).await?;
        open_from(stream, opener).await
    }

    /// The parts of the body: from the summary for one part, from the manifest for several.
    pub(super) async fn attributes(&self, looked: &Looked, open: &dyn OpenObject) -> Result<Attributes, Error> {
        if let Some(attributes) = looked.summary.attributes() {
            return Ok(attributes);
        }
        let tail = self.manifest(looked, open).await?;
        let attributes = self.keys.open_attributes(&tail, looked.object.len).map_err(Error::Integrity)?;
        if attributes.object_id() != looked.envelope.object_id() {
            return Err(Error::Integrity(crate::sse::Error::Manifest));
        }
        Ok(attributes)
    }

    /// The bytes of the manifest.
    pub(super) async fn manifest(&self, looked: &Looked, open: &dyn OpenObject) -> Result<bytes::BytesMut, Error> {
        use futures::TryStreamExt as _;
        let len = looked.object.len;
        let tail = looked.summary.manifest_len().unwrap_or(MANIFEST_GUESS).min(len.0);
        let range = CipherOffset(len.0 - tail)..len;
        let stream = open.read(range, usize::try_from(tail).unwrap_or(usize::MAX)).await?;
        let joined = stream
            .try_fold(bytes::BytesMut::new(), |mut all, chunk| async move {
                if all.is_empty() {
                    return Ok(chunk);
                }
                all.extend_from_slice(&chunk);
                Ok(all)
            })
            .await?;
        Ok(joined)
    }
}

/// A customer key must be given for an SSE-C object and for no other.
pub(super) fn check_customer_key(envelope: &Envelope, customer: Option<&CustomerKey>) -> Result<(), Error> {
    match (envelope.mode(), customer) {
        (SseMode::Customer, None) => Err(Error::CustomerKeyRequired),
        (SseMode::S3 | SseMode::Kms, Some(_)) => Err(Error::CustomerKeyNotApplicable),
        (SseMode::Customer, Some(_)) | (SseMode::S3 | SseMode::Kms, None) => Ok(()),
    }
}

/// Naming a version that is not there is another error than naming a key that is not there.
fn missing(error: crate::store::Error, version: Option<&VersionId>) -> Error {
    match Error::from(error) {
        Error::NoSuchKey if version.is_some() => Error::NoSuchVersion,
        other => other,
    }
}
