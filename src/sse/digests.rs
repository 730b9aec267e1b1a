//! Digests of the plaintext: the manifest's other section. They are fingerprints, so they are under the data key.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::Error;
use super::wire::Reader;

const VERSION: u8 = 1;

/// An algorithm whose digest of an object (or part) may be kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum DigestAlgorithm {
    /// MD5, 16 bytes.
    Md5,
    /// CRC-32 (ISO-HDLC), 4 bytes.
    Crc32,
    /// CRC-32C (Castagnoli), 4 bytes.
    Crc32c,
    /// CRC-64/NVME, 8 bytes.
    Crc64Nvme,
    /// SHA-1, 20 bytes.
    Sha1,
    /// SHA-256, 32 bytes.
    Sha256,
}

impl DigestAlgorithm {
    /// All, in the order of their bits.
    pub const ALL: [Self; 6] = [Self::Md5, Self::Crc32, Self::Crc32c, Self::Crc64Nvme, Self::Sha1, Self::Sha256];

    /// The digest's length in bytes.
    #[must_use]
    #[allow(clippy::len_without_is_empty, reason = "a digest is never empty")]
    pub fn len(self) -> usize {
        match self {
            Self::Crc32 | Self::Crc32c => 4,
            Self::Crc64Nvme => 8,
            Self::Md5 => 16,
            Self::Sha1 => 20,
            Self::Sha256 => 32,
        }
    }

    /// Its number in the format, 1–6; its bit is one less.
    fn id(self) -> u8 {
        match self {
            Self::Md5 => 1,
            Self::Crc32 => 2,
            Self::Crc32c => 3,
            Self::Crc64Nvme => 4,
            Self::Sha1 => 5,
            Self::Sha256 => 6,
        }
    }

    fn from_id(id: u8) -> Result<Self, Error> {
        Self::ALL.into_iter().find(|a| a.id() == id).ok_or(Error::Unsupported("digest algorithm"))
    }
}

/// What an object's checksums (all but MD5) are over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
pub enum DigestScope {
    /// The whole plaintext.
    #[default]
    FullObject,
    /// The checksums of the parts.
    Composite,
}

/// The digests of each part, all of one algorithm.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartDigests {
    algorithm: DigestAlgorithm,
    /// One after the other, in the order of the parts.
    bytes: Vec<u8>,
}

impl PartDigests {
    /// A list without entries.
    #[must_use]
    pub fn new(algorithm: DigestAlgorithm) -> Self {
        Self { algorithm, bytes: Vec::new() }
    }

    /// Appends the digest of the next part.
    ///
    /// # Errors
    /// [`Error::Malformed`] when its length is not the algorithm's.
    pub fn push(&mut self, digest: &[u8]) -> Result<(), Error> {
        if digest.len() != self.algorithm.len() {
            return Err(Error::Malformed("digest length"));
        }
        self.bytes.extend_from_slice(digest);
        Ok(())
    }

    /// The algorithm.
    #[must_use]
    pub fn algorithm(&self) -> DigestAlgorithm {
        self.algorithm
    }

    /// The digests, in the order of the parts.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &[u8]> {
        self.bytes.chunks_exact(self.algorithm.len())
    }
}

/// The manifest's digest section.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Digests {
    values: BTreeMap<DigestAlgorithm, Vec<u8>>,
    /// What the checksums are over.
    pub scope: DigestScope,
    /// The digests of the parts, when they are kept: as many as there are parts.
    pub parts: Option<PartDigests>,
}

impl Digests {
    /// Sets one digest.
    ///
    /// # Errors
    /// [`Error::Malformed`] when its length is not the algorithm's.
    pub fn set(&mut self, algorithm: DigestAlgorithm, digest: &[u8]) -> Result<(), Error> {
        if digest.len() != algorithm.len() {
            return Err(Error::Malformed("digest length"));
        }
        self.values.insert(algorithm, digest.to_vec());
        Ok(())
    }

    /// One digest.
    #[must_use]
    pub fn value(&self, algorithm: DigestAlgorithm) -> Option<&[u8]> {
        self.values.get(&algorithm).map(Vec::as_slice)
    }

    /// Which digests there are.
    pub fn algorithms(&self) -> impl Iterator<Item = DigestAlgorithm> + '_ {
        self.values.keys().copied()
    }

    /// The length of an encoded section, before it is sealed. `digests` without repetitions.
    pub(super) fn plain_len(parts: usize, digests: &[DigestAlgorithm], per_part: Option<DigestAlgorithm>) -> usize {
        let values: usize = digests.iter().map(|a| a.len()).sum();
        1 + 2 + 1 + 1 + values + per_part.map_or(0, |a| parts * a.len())
    }

    pub(super) fn encode(&self, out: &mut Vec<u8>, parts: usize) -> Result<(), Error> {
        let mask = self.algorithms().fold(0_u16, |mask, a| mask | 1 << (a.id() - 1));
        out.push(VERSION);
        out.extend_from_slice(&mask.to_be_bytes());
        out.push((self.scope == DigestScope::Composite).into());
        out.push(self.parts.as_ref().map_or(0, |parts| parts.algorithm.id()));
        self.values.values().for_each(|value| out.extend_from_slice(value));
        if let Some(list) = &self.parts {
            if list.iter().len() != parts {
                return Err(Error::Malformed("number of part digests"));
            }
            out.extend_from_slice(&list.bytes);
        }
        Ok(())
    }

    /// Reads a section that has been opened.
    pub(super) fn decode(bytes: &[u8], parts: usize) -> Result<Self, Error> {
        const SHORT: Error = Error::Malformed("digests");
        let mut reader = Reader::new(bytes);
        if reader.u8() != Some(VERSION) {
            return Err(Error::Unsupported("version of the digest section"));
        }
        let mask = reader.u16().ok_or(SHORT)?;
        if mask >> DigestAlgorithm::ALL.len() != 0 {
            return Err(Error::Unsupported("digest algorithm"));
        }
        let scope = match reader.u8().ok_or(SHORT)? {
            0 => DigestScope::FullObject,
            1 => DigestScope::Composite,
            _ => return Err(Error::Unsupported("scope of checksums")),
        };
        let per_part = match reader.u8().ok_or(SHORT)? {
            0 => None,
            id => Some(DigestAlgorithm::from_id(id)?),
        };
        let mut values = BTreeMap::new();
        for algorithm in DigestAlgorithm::ALL.into_iter().filter(|a| mask & 1 << (a.id() - 1) != 0) {
            values.insert(algorithm, reader.bytes(algorithm.len()).ok_or(SHORT)?.to_vec());
        }
        let parts = match per_part {
            None => None,
            Some(algorithm) => {
                let len = parts.checked_mul(algorithm.len()).ok_or(SHORT)?;
                Some(PartDigests { algorithm, bytes: reader.bytes(len).ok_or(SHORT)?.to_vec() })
            }
        };
        reader.end().ok_or(SHORT)?;
        Ok(Self { values, scope, parts })
    }
}
