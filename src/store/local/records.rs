//! The records in RocksDB: postcard behind one byte of format version.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::store::{Error, Metadata};
use crate::types::{ObjectKey, Timestamp, VersionId};

const VERSION: u8 = 1;

/// 128 random bits that name a body (and a file).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub(super) struct BodyId(pub(super) [u8; 16]);

impl BodyId {
    pub(super) fn fresh() -> Result<Self, Error> {
        crate::types::random().map(Self).map_err(|error| Error::Unavailable(error.to_string()))
    }
}

/// An object: `objects` of [`super::database::Cf`].
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct ObjectRecord {
    pub(super) version: VersionId,
    pub(super) body: BodyId,
    pub(super) len: u64,
    /// Numbers all writes of this store; the tag of this one.
    pub(super) sequence: u64,
    pub(super) modified: Timestamp,
    pub(super) metadata: Metadata,
    pub(super) summary: Vec<u8>,
}

/// A body, shared by the objects that are copies of each other.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct BodyRecord {
    pub(super) references: u64,
    pub(super) pieces: Vec<Piece>,
}

/// A run of bytes of a body.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) enum Piece {
    /// Kept right here: small bodies.
    Inline(Vec<u8>),
    /// The first `len` bytes of a file; what follows them there is for `sealgate rebuild`.
    File {
        /// The file's name.
        id: BodyId,
        /// How many of its bytes are the body's.
        len: u64,
    },
}

impl Piece {
    pub(super) fn len(&self) -> u64 {
        match self {
            Self::Inline(bytes) => bytes.len() as u64,
            Self::File { len, .. } => *len,
        }
    }
}

/// An upload in progress.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct UploadRecord {
    pub(super) bucket: crate::types::BucketName,
    pub(super) key: ObjectKey,
    pub(super) initiated: Timestamp,
    pub(super) metadata: Metadata,
    pub(super) state: Vec<u8>,
}

/// A part in progress.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct PartRecord {
    pub(super) sequence: u64,
    pub(super) modified: Timestamp,
    pub(super) record: Vec<u8>,
    pub(super) piece: Piece,
}

/// Files to unlink once nobody reads them.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct GarbageRecord {
    pub(super) files: Vec<BodyId>,
}

/// What is written behind the bytes of a body's file, so that `sealgate rebuild` can make the records anew.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) enum Footnote {
    /// The file is the end of an object's body (all of it, or the manifest of a multipart object).
    Object {
        bucket: crate::types::BucketName,
        key: ObjectKey,
        record: ObjectRecord,
        /// Files that come before this one, with their lengths.
        before: Vec<(BodyId, u64)>,
    },
    /// The file is a part of an upload.
    Part { upload: crate::types::UploadId, number: crate::types::PartNumber, sequence: u64, record: Vec<u8> },
}

pub(super) fn encode<T: Serialize>(record: &T) -> Result<Vec<u8>, Error> {
    postcard::to_extend(record, vec![VERSION]).map_err(|_| Error::Corrupt("a record can't be written".to_owned()))
}

pub(super) fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Error> {
    match bytes.split_first() {
        Some((&VERSION, record)) => {
            postcard::from_bytes(record).map_err(|_| Error::Corrupt("a record can't be read".to_owned()))
        }
        _ => Err(Error::Corrupt("a record of an unknown version".to_owned())),
    }
}
