//! Objects to test with: sealed with fixed keys and salts, opened in pieces of any size.

use std::ops::Range;
use std::sync::Arc;

use bytes::BytesMut;

use crate::kms::{AttributeKey, DataKey, ServiceKey};
use crate::sse::{
    Aead, Attributes, BodyOpener, Commitment, DigestAlgorithm, Digests, Error, Layout, ObjectId, ObjectKind,
    PartHeader, PartSealer, PlainOffset, Salt, SealedPart, SegmentSize, manifest,
};
use crate::store::CipherOffset;
use crate::types::PartNumber;

pub(super) fn data_key() -> DataKey {
    DataKey::new([0x11; 32])
}

pub(super) fn attribute_key() -> AttributeKey {
    ServiceKey::new([0x22; 32]).attribute_key()
}

pub(super) const OBJECT: [u8; 16] = [0x33; 16];

/// Bytes without a short period, so that no two segments are alike.
pub(super) fn pattern(len: usize) -> Vec<u8> {
    (0..len as u64).map(|i| (i.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 56) as u8).collect()
}

/// A sealed object and what was sealed.
#[derive(Clone)]
pub(super) struct Sample {
    pub(super) plain: Vec<u8>,
    pub(super) body: Vec<u8>,
    pub(super) parts: Vec<SealedPart>,
    pub(super) aead: Aead,
    pub(super) size: SegmentSize,
}

/// The salt of part `number`, in attempt `attempt`.
pub(super) fn salt(number: u32, attempt: u8) -> Salt {
    let mut bytes = [attempt; 32];
    bytes[28..].copy_from_slice(&number.to_be_bytes());
    Salt::from_bytes(bytes)
}

pub(super) fn seal_part(
    aead: Aead,
    size: SegmentSize,
    number: u32,
    attempt: u8,
    plain: &[u8],
) -> (Vec<u8>, SealedPart) {
    let number = PartNumber::try_from(number).unwrap();
    let header = PartHeader { aead, segment_size: size, number, salt: salt(number.get(), attempt) };
    let mut sealer = PartSealer::with_salt(&data_key(), header);
    let mut out = BytesMut::new();
    sealer.push(plain, &mut out).unwrap();
    let part = sealer.finish(&mut out).unwrap();
    (out.to_vec(), part)
}

impl Sample {
    /// An object whose parts (1, 2, …) have these lengths.
    pub(super) fn new(aead: Aead, size: SegmentSize, lens: &[usize]) -> Self {
        let plain = pattern(lens.iter().sum());
        let (mut rest, mut body, mut parts) = (plain.as_slice(), Vec::new(), Vec::new());
        for (number, &len) in (1..).zip(lens) {
            let (bytes, part) = seal_part(aead, size, number, 0x44, &rest[..len]);
            rest = &rest[len..];
            body.extend_from_slice(&bytes);
            parts.push(part);
        }
        let mut sample = Self { plain, body, parts, aead, size };
        sample.complete();
        sample
    }

    /// Appends the manifest to the parts.
    pub(super) fn complete(&mut self) {
        let manifest = self.manifest(OBJECT, 0x55);
        self.body.extend_from_slice(&manifest);
    }

    /// The same object, completed by someone who had not the data key.
    pub(super) fn without_digests(mut self) -> Self {
        let (parts, attributes, body) = (self.parts_len(), self.attributes(OBJECT), (self.aead, self.size));
        let (commitment, salt) = (Commitment::of(&data_key()), Salt::from_bytes([0x56; 32]));
        let manifest =
            manifest::seal_without_digests_with_salt(&attributes, body, commitment, &attribute_key(), salt).unwrap();
        self.body.truncate(parts);
        self.body.extend_from_slice(&manifest);
        self
    }

    fn attributes(&self, object: [u8; 16]) -> Attributes {
        Attributes {
            object: ObjectId::from_bytes(object),
            etag: "9e107d9d372bb6826bd81d3542a419d6".into(),
            crc64: Some(0x995d_c9bb_df19_39fa),
            kind: if self.parts.len() == 1 { ObjectKind::Normal } else { ObjectKind::Multipart },
            parts: self.parts.clone(),
        }
    }

    pub(super) fn manifest(&self, object: [u8; 16], salt: u8) -> Vec<u8> {
        let attributes = self.attributes(object);
        let mut digests = Digests::default();
        digests.set(DigestAlgorithm::Md5, &[0x66; 16]).unwrap();
        digests.set(DigestAlgorithm::Crc64Nvme, &[0x77; 8]).unwrap();
        let salt = Salt::from_bytes([salt; 32]);
        let body = (self.aead, self.size);
        manifest::seal_with_salt(&attributes, &digests, body, &data_key(), &attribute_key(), salt).unwrap().to_vec()
    }

    pub(super) fn parts_len(&self) -> usize {
        self.layout().manifest_start().0 as usize
    }

    pub(super) fn layout(&self) -> Arc<Layout> {
        Arc::new(Layout::new(self.aead, self.size, &self.parts, CipherOffset(self.body.len() as u64)).unwrap())
    }

    /// Opens a body in place of this object's, told what is true of this object, in chunks of `chunk` bytes.
    pub(super) fn open(&self, body: &[u8], chunk: usize) -> Opened {
        let (_, opener) = BodyOpener::whole(&data_key(), &attribute_key(), ObjectId::from_bytes(OBJECT), self.layout());
        drive(opener, body.chunks(chunk))
    }

    /// Opens a range of a body in place of this object's.
    pub(super) fn open_range(&self, body: &[u8], range: Range<usize>, chunk: usize) -> Opened {
        let plain = PlainOffset(range.start as u64)..PlainOffset(range.end as u64);
        let (cipher, opener) = BodyOpener::range(&data_key(), self.layout(), plain).unwrap();
        let (from, to) = (cipher.start.0 as usize, cipher.end.0 as usize);
        drive(opener, body[from.min(body.len())..to.min(body.len())].chunks(chunk))
    }
}

/// What came out, and how it ended.
#[derive(Debug)]
pub(super) struct Opened {
    pub(super) plain: Vec<u8>,
    pub(super) end: Result<(), Error>,
}

impl Opened {
    pub(super) fn all(self) -> Vec<u8> {
        self.end.unwrap();
        self.plain
    }
}

pub(super) fn drive<'a>(mut opener: BodyOpener, chunks: impl IntoIterator<Item = &'a [u8]>) -> Opened {
    let mut plain = Vec::new();
    for chunk in chunks {
        opener.push(BytesMut::from(chunk));
        loop {
            match opener.next() {
                Ok(Some(bytes)) => {
                    assert!(!bytes.is_empty());
                    plain.extend_from_slice(&bytes);
                }
                Ok(None) => break,
                Err(end) => return Opened { plain, end: Err(end) },
            }
        }
    }
    Opened { plain, end: opener.finish() }
}
