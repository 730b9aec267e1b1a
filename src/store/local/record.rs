//! The records that RocksDB holds, and their bytes: one format-version byte, then postcard.

use bytes::Bytes;
use serde::de::{DeserializeOwned, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::store::{
    Bucket, CipherOffset, Error, Metadata, ObjectLock, StoredObject, StoredPart, StoredTag, StoredUpload,
};
use crate::types::{BucketName, ObjectKey, PartNumber, Timestamp, UploadId, VersionId};

/// The format of every record below. Anything else is refused.
const FORMAT: u8 = 1;

/// 16 random bytes that name a body, a file or a write. Never derived from an object key.
pub(crate) type Id = [u8; 16];

/// Bytes inside a record. Its own type because serde would otherwise visit a `Vec<u8>` one byte at a time.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Blob(pub(crate) Bytes);

impl Serialize for Blob {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(&self.0)
    }
}

impl<'de> Deserialize<'de> for Blob {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Bits;
        impl Visitor<'_> for Bits {
            type Value = Blob;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("bytes")
            }
            fn visit_bytes<E>(self, bytes: &[u8]) -> Result<Blob, E> {
                Ok(Blob(Bytes::copy_from_slice(bytes)))
            }
        }
        deserializer.deserialize_bytes(Bits)
    }
}

/// An object: what HEAD and LIST need without a second look-up.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ObjectRecord {
    /// Its version's id; `None`: the `null` version.
    pub(crate) version: Option<Id>,
    /// This write of the object; a copy onto itself has a new one.
    pub(crate) tag: StoredTag,
    /// The body in the `bodies` table, which copies share; `None`: this is a delete marker.
    pub(crate) body: Option<Id>,
    /// The body's length.
    pub(crate) len: u64,
    /// When it was committed.
    pub(crate) modified: Timestamp,
    /// The write's place in the order of writes, and so the version's among the versions of its key.
    pub(crate) sequence: u64,
    /// The client's headers and the envelope.
    pub(crate) metadata: Metadata,
    /// The sealed summary.
    pub(crate) summary: Blob,
}

impl ObjectRecord {
    /// The version's id as callers see it.
    pub(crate) fn version(&self) -> VersionId {
        self.version.map_or_else(VersionId::null, VersionId::from_bits)
    }

    /// Whether it is a delete marker.
    pub(crate) fn is_marker(&self) -> bool {
        self.body.is_none()
    }

    /// The object as callers see it.
    pub(crate) fn to_stored(&self) -> StoredObject {
        StoredObject {
            version: self.version(),
            metadata: self.metadata.clone(),
            summary: self.summary.0.clone(),
            tail: Bytes::new(),
            len: CipherOffset(self.len),
            tag: self.tag.clone(),
            modified: self.modified,
            lock: ObjectLock::default(),
        }
    }
}

/// A stretch of a body.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Piece {
    /// The first `len` bytes of a body file.
    File {
        /// The file.
        id: Id,
        /// How many of its bytes belong to the body.
        len: u64,
    },
    /// The bytes themselves.
    Inline(Blob),
    /// Nothing: stands first in a body that was appended to, whose pieces are therefore not the same for ever.
    Grown,
}

impl Piece {
    /// Its length in bytes.
    pub(crate) fn len(&self) -> u64 {
        match self {
            Self::File { len, .. } => *len,
            Self::Inline(blob) => blob.0.len() as u64,
            Self::Grown => 0,
        }
    }

    /// Its file, if it has one.
    pub(crate) fn file(&self) -> Option<Id> {
        match self {
            Self::File { id, .. } => Some(*id),
            Self::Inline(_) | Self::Grown => None,
        }
    }

    /// Names another file, if it names this one.
    pub(crate) fn rename(&mut self, from: Id, to: Id) {
        match self {
            Self::File { id, .. } if *id == from => *id = to,
            Self::File { .. } | Self::Inline(_) | Self::Grown => {}
        }
    }
}

/// The length of all pieces together.
///
/// # Errors
/// [`Error::Corrupt`] when the sum passes 2^64.
pub(crate) fn total_len(pieces: &[Piece]) -> Result<u64, Error> {
    pieces
        .iter()
        .try_fold(0_u64, |sum, piece| sum.checked_add(piece.len()))
        .ok_or_else(|| Error::Corrupt("a body's pieces are longer than any body".to_owned()))
}

/// A body, shared by as many objects as `references` says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct BodyRecord {
    /// How many object records name it; never 0 in the table.
    pub(crate) references: u64,
    /// The sum of the pieces' lengths.
    pub(crate) len: u64,
    /// The pieces, in order.
    pub(crate) pieces: Vec<Piece>,
}

/// An upload in progress.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct UploadRecord {
    pub(crate) bucket: BucketName,
    pub(crate) key: ObjectKey,
    pub(crate) initiated: Timestamp,
    pub(crate) metadata: Metadata,
    pub(crate) state: Blob,
}

impl UploadRecord {
    /// The upload as callers see it.
    pub(crate) fn into_stored(self, id: UploadId) -> StoredUpload {
        StoredUpload { id, key: self.key, metadata: self.metadata, state: self.state.0, initiated: self.initiated }
    }
}

/// A part in progress: always a file, so that completing copies no byte.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct PartRecord {
    pub(crate) tag: StoredTag,
    pub(crate) file: Id,
    pub(crate) len: u64,
    pub(crate) record: Blob,
    pub(crate) modified: Timestamp,
}

impl PartRecord {
    /// The part as callers see it.
    pub(crate) fn into_stored(self, number: PartNumber) -> StoredPart {
        StoredPart {
            number,
            tag: self.tag,
            len: CipherOffset(self.len),
            record: self.record.0,
            modified: self.modified,
        }
    }
}

/// Files that no record names any more.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct GarbageRecord {
    /// Whoever still reads has this body pinned.
    pub(crate) body: Id,
    pub(crate) files: Vec<Id>,
}

/// What may stand as a value in the database.
pub(crate) trait Record: Serialize + DeserializeOwned {
    /// Its name in errors.
    const NAME: &'static str;
}

macro_rules! records {
    ($($kind:ty => $name:literal),* $(,)?) => { $(impl Record for $kind { const NAME: &'static str = $name; })* };
}
records! {
    Bucket => "bucket", ObjectRecord => "object", BodyRecord => "body", UploadRecord => "upload",
    PartRecord => "part", GarbageRecord => "garbage", u64 => "number",
}

/// A record's bytes.
///
/// # Errors
/// [`Error::Corrupt`] when it cannot be written (no record here can refuse, short of a lack of memory).
pub(crate) fn encode<T: Record>(record: &T) -> Result<Vec<u8>, Error> {
    postcard::to_extend(record, vec![FORMAT])
        .map_err(|error| Error::Corrupt(format!("a {} record cannot be written: {error}", T::NAME)))
}

/// The record that these bytes are.
///
/// # Errors
/// [`Error::Corrupt`] for an unknown format, a truncated record or bytes after its end.
pub(crate) fn decode<T: Record>(bytes: &[u8]) -> Result<T, Error> {
    let Some((&FORMAT, rest)) = bytes.split_first() else {
        return Err(Error::Corrupt(format!("a {} record is of an unknown format", T::NAME)));
    };
    match postcard::take_from_bytes(rest) {
        Ok((record, [])) => Ok(record),
        Ok(_) => Err(Error::Corrupt(format!("a {} record has bytes after its end", T::NAME))),
        Err(error) => Err(Error::Corrupt(format!("a {} record cannot be read: {error}", T::NAME))),
    }
}

/// A fresh random id.
///
/// # Errors
/// [`Error::Unavailable`] when the system's generator fails.
pub(crate) fn fresh_id() -> Result<Id, Error> {
    crate::types::random().map_err(|error| Error::Unavailable(error.to_string()))
}

/// The tag that this id makes.
pub(crate) fn tag_of(id: &Id) -> StoredTag {
    StoredTag(hex::encode(id))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn body() -> BodyRecord {
        let inline = Piece::Inline(Blob(Bytes::from_static(b"abc")));
        BodyRecord { references: 2, len: 10, pieces: vec![Piece::File { id: [7; 16], len: 7 }, inline] }
    }

    #[test]
    fn a_record_reads_back_as_written() {
        assert_eq!(decode::<BodyRecord>(&encode(&body()).unwrap()).unwrap(), body());
        assert_eq!(total_len(&body().pieces).unwrap(), 10);
    }

    #[test]
    fn an_unknown_format_a_cut_and_a_longer_record_are_refused() {
        let good = encode(&body()).unwrap();
        let mut other = good.clone();
        other[0] = 2;
        let mut longer = good.clone();
        longer.push(0);
        for bad in [&other[..], &longer, &good[..good.len() - 1], &[]] {
            assert!(matches!(decode::<BodyRecord>(bad), Err(Error::Corrupt(_))));
        }
    }

    #[test]
    fn lengths_that_overflow_are_corrupt() {
        let huge = Piece::File { id: [0; 16], len: u64::MAX };
        assert!(matches!(total_len(&[huge.clone(), huge]), Err(Error::Corrupt(_))));
    }
}
