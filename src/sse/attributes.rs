//! What is known of an object only after it has streamed, and is not a fingerprint of its plaintext (but for the ETag
//! and OSS's CRC-64, which HEAD and LIST show): the manifest's attribute section.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::types::{PartNumber, RandomError, random};

use super::wire::Reader;
use super::{Error, Salt, SealedPart};

/// The 16 random bytes that metadata, manifest and summary of one write share, so that those of two writes can't be
/// mixed. A copy that shares the body keeps it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ObjectId([u8; 16]);

impl ObjectId {
    /// A fresh one.
    ///
    /// # Errors
    /// Only when the random generator fails.
    pub fn random() -> Result<Self, RandomError> {
        random().map(Self)
    }

    /// An id read from a record.
    #[must_use]
    pub fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// Its bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

impl fmt::Debug for ObjectId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ObjectId({})", hex::encode(self.0))
    }
}

/// How an object came to be (OSS's `x-oss-object-type`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum ObjectKind {
    /// By one PUT.
    Normal,
    /// By a multipart upload.
    Multipart,
    /// By OSS's AppendObject.
    Appendable,
    /// By OSS's PutSymlink: it has no bytes of its own and leads to another object of its bucket.
    Symlink,
}

impl From<ObjectKind> for u8 {
    fn from(kind: ObjectKind) -> Self {
        match kind {
            ObjectKind::Normal => 0,
            ObjectKind::Multipart => 1,
            ObjectKind::Appendable => 2,
            ObjectKind::Symlink => 3,
        }
    }
}

impl TryFrom<u8> for ObjectKind {
    type Error = Error;

    fn try_from(id: u8) -> Result<Self, Error> {
        match id {
            0 => Ok(Self::Normal),
            1 => Ok(Self::Multipart),
            2 => Ok(Self::Appendable),
            3 => Ok(Self::Symlink),
            _ => Err(Error::Unsupported("object type")),
        }
    }
}

/// The longest ETag, in bytes.
pub const MAX_ETAG_LEN: usize = 64;

/// The manifest's attribute section.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attributes {
    /// The object id.
    pub object: ObjectId,
    /// The ETag that clients see, unquoted: at most 64 bytes.
    pub etag: String,
    /// OSS's CRC-64 (ECMA, reflected) of the plaintext. Objects from before every mode kept it may have none.
    pub crc64: Option<u64>,
    /// How the object came to be.
    pub kind: ObjectKind,
    /// Its parts, by ascending number.
    pub parts: Vec<SealedPart>,
}

/// Object id, type, whether there is a CRC, the CRC, the ETag's length.
const FIXED_LEN: usize = 16 + 1 + 1 + 8 + 1;
const PART_LEN: usize = 4 + 8 + Salt::LEN;

impl Attributes {
    /// The length of an encoded section, before it is sealed.
    pub(super) fn plain_len(parts: usize, etag_len: usize) -> usize {
        FIXED_LEN + etag_len + parts * PART_LEN
    }

    pub(super) fn encode(&self, out: &mut Vec<u8>) -> Result<(), Error> {
        out.extend_from_slice(self.object.as_bytes());
        out.push(self.kind.into());
        put_crc64_and_etag(out, self.crc64, &self.etag)?;
        for part in &self.parts {
            out.extend_from_slice(&part.number.get().to_be_bytes());
            out.extend_from_slice(&part.plain_len.to_be_bytes());
            out.extend_from_slice(part.salt.as_bytes());
        }
        Ok(())
    }

    /// Reads a section that has been opened. `parts` has been checked to be at most 10,000.
    pub(super) fn decode(bytes: &[u8], parts: usize) -> Result<Self, Error> {
        let mut reader = Reader::new(bytes);
        let attributes = Self::read(&mut reader, parts)?;
        reader.end().ok_or(SHORT)?;
        Ok(attributes)
    }

    fn read(reader: &mut Reader<'_>, count: usize) -> Result<Self, Error> {
        let object = ObjectId(reader.array().ok_or(SHORT)?);
        let kind = reader.u8().ok_or(SHORT)?.try_into()?;
        let (crc64, etag) = read_crc64_and_etag(reader)?;
        let mut parts = Vec::with_capacity(count);
        for _ in 0..count {
            let number = reader.u32().and_then(|n| PartNumber::try_from(n).ok()).ok_or(SHORT)?;
            let plain_len = reader.u64().ok_or(SHORT)?;
            let salt = Salt::from_bytes(reader.array().ok_or(SHORT)?);
            parts.push(SealedPart { number, plain_len, salt });
        }
        Ok(Self { object, etag, crc64, kind, parts })
    }
}

const SHORT: Error = Error::Malformed("attributes");

pub(super) fn put_crc64_and_etag(out: &mut Vec<u8>, crc64: Option<u64>, etag: &str) -> Result<(), Error> {
    let len = u8::try_from(etag.len()).ok().filter(|&len| usize::from(len) <= MAX_ETAG_LEN);
    out.push(crc64.is_some().into());
    out.extend_from_slice(&crc64.unwrap_or(0).to_be_bytes());
    out.push(len.ok_or(Error::Malformed("an ETag of more than 64 bytes"))?);
    out.extend_from_slice(etag.as_bytes());
    Ok(())
}

pub(super) fn read_crc64_and_etag(reader: &mut Reader<'_>) -> Result<(Option<u64>, String), Error> {
    let crc64 = match (reader.u8(), reader.u64()) {
        (Some(0), Some(0)) => None,
        (Some(1), crc64 @ Some(_)) => crc64,
        _ => return Err(SHORT),
    };
    let etag = reader.short_text().filter(|etag| etag.len() <= MAX_ETAG_LEN).ok_or(SHORT)?;
    Ok((crc64, etag.to_owned()))
}
