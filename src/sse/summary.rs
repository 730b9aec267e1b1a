//! What a local record or cache keeps of an object, so that HEAD and LIST read no body, and a GET of a one-part
//! object streams without reading its manifest first.
//!
//! A summary is a sealed record (purpose `summary`) under the attribute key, bound to bucket and object key. It is a
//! copy of what metadata and manifest say: it can be thrown away and made again.

use std::sync::Arc;

use crate::kms::AttributeKey;
use crate::store::CipherOffset;
use crate::types::{ObjectAt, PartNumber};

use super::attributes::{put_crc64_and_etag, read_crc64_and_etag};
use super::record::{open_record, seal_record};
use super::wire::{Reader, place};
use super::{Aead, Error, Layout, ObjectId, ObjectKind, PlainOffset, Salt, SealedPart, SegmentSize};
use super::{Attributes, OpenedAttributes};

const VERSION: u8 = 1;
const PURPOSE: &str = "summary";

/// What HEAD and LIST show, and what it takes to read the body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Summary {
    /// The object id. A reader compares it with the one in the object's metadata.
    pub object: ObjectId,
    /// The plaintext's length.
    pub plain_len: PlainOffset,
    /// The body's length, manifest included.
    pub cipher_len: CipherOffset,
    /// The ETag that clients see, unquoted: at most 64 bytes.
    pub etag: String,
    /// OSS's CRC-64 of the plaintext.
    pub crc64: Option<u64>,
    /// How the object came to be.
    pub kind: ObjectKind,
    /// How many parts it has: 1–10,000.
    pub parts: u32,
    /// The AEAD of its parts.
    pub aead: Aead,
    /// Their segment size.
    pub segment_size: SegmentSize,
    /// Number and salt of the part, when there is only one.
    pub only_part: Option<(PartNumber, Salt)>,
}

impl Summary {
    /// The summary of a body with this layout. The layout's parts are the attributes'.
    #[must_use]
    pub fn new(attributes: &Attributes, layout: &Layout) -> Self {
        let only_part = match attributes.parts.as_slice() {
            [only] => Some((only.number, only.salt)),
            _ => None,
        };
        Self {
            object: attributes.object,
            plain_len: layout.plain_len(),
            cipher_len: layout.cipher_len(),
            etag: attributes.etag.clone(),
            crc64: attributes.crc64,
            kind: attributes.kind,
            parts: u32::try_from(layout.part_count()).unwrap_or(u32::MAX),
            aead: layout.aead(),
            segment_size: layout.segment_size(),
            only_part,
        }
    }

    /// The layout of the body, when it has only one part. Of others it takes the manifest to know it.
    ///
    /// # Errors
    /// What [`Layout::new`] refuses.
    pub fn layout(&self) -> Result<Option<Arc<Layout>>, Error> {
        let Some((number, salt)) = self.only_part else { return Ok(None) };
        let part = SealedPart { number, plain_len: self.plain_len.0, salt };
        Layout::new(self.aead, self.segment_size, &[part], self.cipher_len).map(Arc::new).map(Some)
    }

    /// Seals the summary of the object at this place.
    ///
    /// # Errors
    /// [`Error::Malformed`] when the ETag has more than 64 bytes; [`Error::Random`].
    pub fn seal(&self, key: &AttributeKey, at: &ObjectAt) -> Result<Vec<u8>, Error> {
        let mut plain = Vec::with_capacity(160);
        plain.extend_from_slice(&[VERSION, self.aead.into(), self.segment_size.into(), self.kind.into()]);
        plain.extend_from_slice(&self.parts.to_be_bytes());
        plain.extend_from_slice(self.object.as_bytes());
        plain.extend_from_slice(&self.plain_len.0.to_be_bytes());
        plain.extend_from_slice(&self.cipher_len.0.to_be_bytes());
        put_crc64_and_etag(&mut plain, self.crc64, &self.etag)?;
        if let Some((number, salt)) = self.only_part {
            plain.extend_from_slice(&number.get().to_be_bytes());
            plain.extend_from_slice(salt.as_bytes());
        }
        seal_record(key, PURPOSE, &place(at), &plain)
    }

    /// Opens the summary of the object at this place.
    ///
    /// # Errors
    /// [`Error::Summary`] when it is not this object's, or altered; [`Error::Unsupported`] for an unknown version.
    pub fn open(sealed: &[u8], key: &AttributeKey, at: &ObjectAt) -> Result<Self, Error> {
        let plain = open_record(key, PURPOSE, &place(at), sealed).map_err(|error| match error {
            Error::Record => Error::Summary,
            other => other,
        })?;
        let mut reader = Reader::new(&plain);
        if reader.u8() != Some(VERSION) {
            return Err(Error::Unsupported("version of a summary"));
        }
        let summary = Self::read(&mut reader)?;
        reader.end().ok_or(Error::Summary)?;
        Ok(summary)
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, Error> {
        let aead = reader.u8().ok_or(Error::Summary)?.try_into()?;
        let segment_size = reader.u8().ok_or(Error::Summary)?.try_into()?;
        let kind = reader.u8().ok_or(Error::Summary)?.try_into()?;
        let parts = reader.u32().ok_or(Error::Summary)?;
        let object = ObjectId::from_bytes(reader.array().ok_or(Error::Summary)?);
        let plain_len = PlainOffset(reader.u64().ok_or(Error::Summary)?);
        let cipher_len = CipherOffset(reader.u64().ok_or(Error::Summary)?);
        let (crc64, etag) = read_crc64_and_etag(reader)?;
        let only_part = if parts == 1 {
            let number = reader.u32().and_then(|n| PartNumber::try_from(n).ok()).ok_or(Error::Summary)?;
            Some((number, Salt::from_bytes(reader.array().ok_or(Error::Summary)?)))
        } else {
            None
        };
        Ok(Self { object, plain_len, cipher_len, etag, crc64, kind, parts, aead, segment_size, only_part })
    }
}

impl From<&OpenedAttributes> for Summary {
    fn from(opened: &OpenedAttributes) -> Self {
        Self::new(&opened.attributes, &opened.layout)
    }
}

#[cfg(test)]
mod tests {
    use crate::kms::ServiceKey;
    use crate::sse::sealed_part_len;

    use super::*;

    fn at(bucket: &str, key: &str) -> ObjectAt {
        ObjectAt { bucket: bucket.parse().unwrap(), key: key.parse().unwrap() }
    }

    fn summary(parts: u32) -> Summary {
        let part = |n: u32| SealedPart {
            number: PartNumber::try_from(n + 6).unwrap(),
            plain_len: 100_000,
            salt: Salt::from_bytes([n.to_be_bytes()[3]; 32]),
        };
        let attributes = Attributes {
            object: ObjectId::from_bytes([3; 16]),
            etag: "0123456789abcdef".into(),
            crc64: Some(77),
            kind: ObjectKind::Multipart,
            parts: (1..=parts).map(part).collect(),
        };
        let len =
            u64::from(parts) * sealed_part_len(100_000, Aead::ChaCha20Poly1305, SegmentSize::DEFAULT).unwrap() + 500;
        let layout =
            Layout::new(Aead::ChaCha20Poly1305, SegmentSize::DEFAULT, &attributes.parts, CipherOffset(len)).unwrap();
        Summary::new(&attributes, &layout)
    }

    #[test]
    fn a_summary_comes_back_as_it_was_for_one_part_and_for_many() {
        let key = ServiceKey::new([1; 32]).attribute_key();
        for parts in [1, 2, 1000] {
            let summary = summary(parts);
            let sealed = summary.seal(&key, &at("bucket", "key")).unwrap();
            assert_eq!(Summary::open(&sealed, &key, &at("bucket", "key")).unwrap(), summary);
            assert!(sealed.len() < 200, "{}", sealed.len());
        }
    }

    #[test]
    fn the_layout_of_one_part_follows_from_the_summary_alone() {
        let layout = summary(1).layout().unwrap().unwrap();
        assert_eq!(layout.plain_len(), PlainOffset(100_000));
        assert_eq!(layout.parts().next().unwrap().number.get(), 7);
        assert!(summary(2).layout().unwrap().is_none());
    }

    #[test]
    fn a_summary_of_another_place_or_an_altered_one_is_refused() {
        let key = ServiceKey::new([1; 32]).attribute_key();
        let sealed = summary(1).seal(&key, &at("bucket", "key")).unwrap();
        for other in [at("bucket", "kez"), at("bucke2", "key"), at("bucketk", "ey")] {
            assert!(matches!(Summary::open(&sealed, &key, &other), Err(Error::Summary)));
        }
        let other = ServiceKey::new([2; 32]).attribute_key();
        assert!(matches!(Summary::open(&sealed, &other, &at("bucket", "key")), Err(Error::Summary)));
        for byte in 0..sealed.len() {
            let mut altered = sealed.clone();
            altered[byte] ^= 1;
            assert!(Summary::open(&altered, &key, &at("bucket", "key")).is_err(), "byte {byte}");
        }
        assert!(Summary::open(&[], &key, &at("bucket", "key")).is_err());
    }
}
