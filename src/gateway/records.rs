//! What the gateway keeps beside an upload and its parts, sealed: it comes back from a store that is not trusted.

use bytes::Bytes;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::kms::{AttributeKey, DataKey};
use crate::sse::{self, DigestAlgorithm, DigestScope, Digests, SealedPart};
use crate::store::{ObjectLock, UploadAt};
use crate::types::PartNumber;

use super::digest::Computed;
use super::{Checksum, ChecksumAlgorithm, ChecksumKind, Error};

const STATE: &str = "upload";
/// An upload's under a lock: who does not know of locks must not complete it without.
const LOCKED: &str = "locked upload";
const PART: &str = "part";
const PART_DIGESTS: &str = "part digests";

/// What an upload was created with, beyond the metadata of its object.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct UploadState {
    pub(super) checksum: Option<(ChecksumAlgorithm, ChecksumKind)>,
    pub(super) lock: ObjectLock,
}

/// The same without a lock.
#[derive(Serialize, Deserialize)]
struct Unlocked {
    checksum: Option<(ChecksumAlgorithm, ChecksumKind)>,
}

impl UploadState {
    pub(super) fn seal(&self, at: &UploadAt, key: &AttributeKey) -> Result<Bytes, Error> {
        let (label, state) = match self.lock.is_empty() {
            true => (STATE, encode(&Unlocked { checksum: self.checksum })?),
            false => (LOCKED, encode(self)?),
        };
        Ok(sse::seal_record(key, label, &place(at, None), &state)?.into())
    }

    pub(super) fn open(at: &UploadAt, sealed: &[u8], key: &AttributeKey) -> Result<Self, Error> {
        let place = place(at, None);
        if let Ok(state) = sse::open_record(key, STATE, &place, sealed) {
            let Unlocked { checksum } = decode(&state)?;
            return Ok(Self { checksum, lock: ObjectLock::default() });
        }
        decode(&sse::open_record(key, LOCKED, &place, sealed)?)
    }
}

/// What Complete has to know of a part: the attempt that the manifest will pin, its ETag, its digests.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct PartRecord {
    pub(super) part: SealedPart,
    pub(super) etag: String,
    pub(super) crc64: u64,
    /// [`PartDigests`] under the data key: fingerprints of the plaintext.
    pub(super) digests: Vec<u8>,
}

impl PartRecord {
    pub(super) fn seal(&self, at: &UploadAt, number: PartNumber, key: &AttributeKey) -> Result<Bytes, Error> {
        Ok(sse::seal_record(key, PART, &place(at, Some(number)), &encode(self)?)?.into())
    }

    pub(super) fn open(at: &UploadAt, number: PartNumber, sealed: &[u8], key: &AttributeKey) -> Result<Self, Error> {
        let record: Self = decode(&sse::open_record(key, PART, &place(at, Some(number)), sealed)?)?;
        if record.part.number == number { Ok(record) } else { Err(damaged()) }
    }

    /// The part's checksum, for who has the data key.
    pub(super) fn checksum(&self, at: &UploadAt, key: &DataKey) -> Result<Option<(ChecksumAlgorithm, Vec<u8>)>, Error> {
        let place = place(at, Some(self.part.number));
        let opened: PartDigests = decode(&sse::open_under(key, PART_DIGESTS, &place, &self.digests)?)?;
        Ok(opened.checksum)
    }

    /// The 128 bits of the part's ETag, which the object's ETag is made of.
    pub(super) fn etag_bits(&self) -> Result<[u8; 16], Error> {
        let mut bits = [0; 16];
        hex::decode_to_slice(&self.etag, &mut bits).map_err(|_| damaged())?;
        Ok(bits)
    }
}

/// The digests of a part.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct PartDigests {
    pub(super) checksum: Option<(ChecksumAlgorithm, Vec<u8>)>,
}

impl PartDigests {
    pub(super) fn seal(&self, at: &UploadAt, number: PartNumber, key: &DataKey) -> Result<Vec<u8>, Error> {
        Ok(sse::seal_under(key, PART_DIGESTS, &place(at, Some(number)), &encode(self)?)?)
    }
}

/// Where a record belongs, as its AAD: bucket and upload id have no blanks, the number is 0 for the upload itself.
fn place(at: &UploadAt, number: Option<PartNumber>) -> Vec<u8> {
    let number = number.map_or(0, PartNumber::get);
    format!("{} {} {number} {}", at.object.bucket, at.id, at.object.key).into_bytes()
}

fn encode<T: Serialize>(value: &T) -> Result<Vec<u8>, Error> {
    postcard::to_allocvec(value).map_err(|_| damaged())
}

fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Error> {
    postcard::from_bytes(bytes).map_err(|_| damaged())
}

fn damaged() -> Error {
    Error::Integrity(sse::Error::Record)
}

impl From<ChecksumAlgorithm> for DigestAlgorithm {
    fn from(algorithm: ChecksumAlgorithm) -> Self {
        match algorithm {
            ChecksumAlgorithm::Crc32 => Self::Crc32,
            ChecksumAlgorithm::Crc32c => Self::Crc32c,
            ChecksumAlgorithm::Crc64Nvme => Self::Crc64Nvme,
            ChecksumAlgorithm::Sha1 => Self::Sha1,
            ChecksumAlgorithm::Sha256 => Self::Sha256,
        }
    }
}

/// A body's digests, as the manifest keeps them.
pub(super) fn digests_of(computed: &Computed) -> Result<Digests, Error> {
    let mut digests = Digests::default();
    if let Some(md5) = &computed.md5 {
        digests.set(DigestAlgorithm::Md5, md5)?;
    }
    if let Some((algorithm, value)) = &computed.checksum {
        digests.set((*algorithm).into(), value)?;
    }
    Ok(digests)
}

/// A multipart object's digests: its checksum, and those of its parts.
pub(super) fn digests_of_multipart(
    checksum: Option<&Checksum>,
    parts: &[(ChecksumAlgorithm, Vec<u8>)],
) -> Result<Digests, Error> {
    let mut digests = Digests::default();
    let Some(checksum) = checksum else { return Ok(digests) };
    digests.set(checksum.algorithm.into(), &checksum.value)?;
    digests.scope = match checksum.kind {
        ChecksumKind::FullObject => DigestScope::FullObject,
        ChecksumKind::Composite => DigestScope::Composite,
    };
    let mut list = sse::PartDigests::new(checksum.algorithm.into());
    for (_, value) in parts {
        list.push(value)?;
    }
    digests.parts = Some(list);
    Ok(digests)
}

/// The checksums of the parts that the manifest has, in the order of the parts.
pub(super) fn part_checksums_of(digests: &Digests) -> Vec<Checksum> {
    let Some(list) = &digests.parts else { return Vec::new() };
    let Some(algorithm) = ALL.into_iter().find(|&algorithm| list.algorithm() == algorithm.into()) else {
        return Vec::new();
    };
    let one = |value: &[u8]| Checksum { algorithm, kind: ChecksumKind::FullObject, value: value.to_vec() };
    list.iter().map(one).collect()
}

const ALL: [ChecksumAlgorithm; 5] = [
    ChecksumAlgorithm::Crc32,
    ChecksumAlgorithm::Crc32c,
    ChecksumAlgorithm::Crc64Nvme,
    ChecksumAlgorithm::Sha1,
    ChecksumAlgorithm::Sha256,
];

/// The checksums that the manifest has.
pub(super) fn checksums_of(digests: &Digests) -> Vec<Checksum> {
    let kind = match digests.scope {
        DigestScope::FullObject => ChecksumKind::FullObject,
        DigestScope::Composite => ChecksumKind::Composite,
    };
    let one = |algorithm: ChecksumAlgorithm| {
        let value = digests.value(algorithm.into())?.to_vec();
        Some(Checksum { algorithm, kind, value })
    };
    ALL.into_iter().filter_map(one).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::{ObjectAt, UploadId};

    #[test]
    fn an_upload_under_a_lock_is_not_opened_by_who_does_not_know_of_locks() {
        let key = crate::kms::ServiceKey::new([9; 32]).attribute_key();
        let object = ObjectAt { bucket: "bucket".parse().unwrap(), key: "key".parse().unwrap() };
        let at = UploadAt { object, id: UploadId::from_bits([1; 16]) };
        for legal_hold in [None, Some(true)] {
            let lock = ObjectLock { legal_hold, ..ObjectLock::default() };
            let sealed = UploadState { checksum: None, lock: lock.clone() }.seal(&at, &key).unwrap();
            assert_eq!(UploadState::open(&at, &sealed, &key).unwrap().lock, lock);
            let before_locks = sse::open_record(&key, STATE, &place(&at, None), &sealed);
            assert_eq!(before_locks.is_ok(), legal_hold.is_none());
        }
    }
}
