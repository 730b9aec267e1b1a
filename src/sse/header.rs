//! The 48 bytes that begin a part, and the small types in them.
//!
//! ```text
//! "SGE1" ‖ version u8 ‖ AEAD u8 ‖ log2(segment size) u8 ‖ flags u8 ‖ part number u32 ‖ reserved u32 ‖ salt[32]
//! ```

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::types::{PartNumber, RandomError, random};

use super::{Error, TAG_LEN};

const MAGIC: &[u8; 4] = b"SGE1";
const VERSION: u8 = 1;

/// What seals a body's segments.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(try_from = "u8", into = "u8")]
pub enum Aead {
    /// AES-256-GCM (NIST SP 800-38D).
    #[default]
    Aes256Gcm,
    /// SM4-GCM (GB/T 32907-2016, RFC 8998), whose key has 128 bits.
    Sm4Gcm,
    /// ChaCha20-Poly1305 (RFC 8439), for processors without AES instructions.
    ChaCha20Poly1305,
    /// Nothing: segments are plaintext, without tags. Only for an object whose authenticated metadata says that it is
    /// not encrypted ([`super::Envelope::check_body`]).
    None,
}

impl Aead {
    /// How many bytes longer a sealed segment is than its plaintext.
    #[must_use]
    pub fn tag_len(self) -> usize {
        match self {
            Self::Aes256Gcm | Self::Sm4Gcm | Self::ChaCha20Poly1305 => TAG_LEN,
            Self::None => 0,
        }
    }

    /// Whether a segment takes about a millisecond, so that whoever seals or opens several should let others have the
    /// thread in between. Processors have no instructions for SM4 here: it does 76 MiB/s a core, and AES 6.5 GB/s.
    #[must_use]
    pub fn is_slow(self) -> bool {
        match self {
            Self::Sm4Gcm => true,
            Self::Aes256Gcm | Self::ChaCha20Poly1305 | Self::None => false,
        }
    }
}

impl From<Aead> for u8 {
    fn from(aead: Aead) -> Self {
        match aead {
            Aead::None => 0,
            Aead::Aes256Gcm => 1,
            Aead::Sm4Gcm => 2,
            Aead::ChaCha20Poly1305 => 3,
        }
    }
}

impl TryFrom<u8> for Aead {
    type Error = Error;

    fn try_from(id: u8) -> Result<Self, Error> {
        match id {
            0 => Ok(Self::None),
            1 => Ok(Self::Aes256Gcm),
            2 => Ok(Self::Sm4Gcm),
            3 => Ok(Self::ChaCha20Poly1305),
            _ => Err(Error::Unsupported("AEAD")),
        }
    }
}

/// How many bytes of plaintext a segment holds: a power of two from 4 KiB to 1 MiB.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "u8", into = "u8")]
pub struct SegmentSize(u8);

impl SegmentSize {
    /// 64 KiB, what writers use: 97 % of the AEAD's peak rate, and little waste for a small range.
    pub const DEFAULT: Self = Self(16);
    /// The smallest, 4 KiB.
    pub const MIN: Self = Self(12);

    /// The size in bytes.
    #[must_use]
    pub fn bytes(self) -> usize {
        1 << self.0
    }

    /// The size in bytes, for arithmetic with offsets.
    #[must_use]
    pub fn bytes_u64(self) -> u64 {
        1 << self.0
    }
}

impl Default for SegmentSize {
    fn default() -> Self {
        Self::DEFAULT
    }
}

impl fmt::Debug for SegmentSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SegmentSize({})", self.bytes())
    }
}

impl From<SegmentSize> for u8 {
    /// The binary logarithm, as headers hold it.
    fn from(size: SegmentSize) -> Self {
        size.0
    }
}

impl TryFrom<u8> for SegmentSize {
    type Error = Error;

    fn try_from(log2: u8) -> Result<Self, Error> {
        if (12..=20).contains(&log2) { Ok(Self(log2)) } else { Err(Error::Unsupported("segment size")) }
    }
}

/// The random salt of one attempt at a part (or of one manifest). Not secret.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Salt([u8; 32]);

impl Salt {
    /// Its length in bytes.
    pub const LEN: usize = 32;

    /// A fresh one.
    ///
    /// # Errors
    /// Only when the random generator fails.
    pub fn random() -> Result<Self, RandomError> {
        random().map(Self)
    }

    /// A salt read from a record or manifest.
    #[must_use]
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// Its bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Debug for Salt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Salt({})", hex::encode(self.0))
    }
}

/// What begins a part. It is bound into the part's key, byte by byte, so altering it makes every segment fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PartHeader {
    /// The AEAD of the part's segments.
    pub aead: Aead,
    /// The plaintext length of its segments but the last.
    pub segment_size: SegmentSize,
    /// Which part this is.
    pub number: PartNumber,
    /// The salt of this attempt.
    pub salt: Salt,
}

impl PartHeader {
    /// Its length in bytes.
    pub const LEN: usize = 48;
    /// How many of its bytes stand before the salt.
    pub const FIXED_LEN: usize = Self::LEN - Salt::LEN;

    /// The bytes before the salt: the end of the part key's `info`.
    #[must_use]
    pub fn fixed(&self) -> [u8; Self::FIXED_LEN] {
        let mut bytes = [0; Self::FIXED_LEN];
        bytes[..4].copy_from_slice(MAGIC);
        bytes[4] = VERSION;
        bytes[5] = self.aead.into();
        bytes[6] = self.segment_size.into();
        bytes[8..12].copy_from_slice(&self.number.get().to_be_bytes());
        bytes
    }

    /// The header as it is stored.
    #[must_use]
    pub fn encode(&self) -> [u8; Self::LEN] {
        let mut bytes = [0; Self::LEN];
        bytes[..Self::FIXED_LEN].copy_from_slice(&self.fixed());
        bytes[Self::FIXED_LEN..].copy_from_slice(self.salt.as_bytes());
        bytes
    }

    /// Reads a header.
    ///
    /// # Errors
    /// [`Error::Malformed`] for what is not a header, [`Error::Unsupported`] for a version, AEAD, segment size, flag
    /// or reserved bit that this code does not know. There is no fallback.
    pub fn parse(bytes: &[u8; Self::LEN]) -> Result<Self, Error> {
        let (fixed, salt) = bytes.split_at(Self::FIXED_LEN);
        if &fixed[..4] != MAGIC {
            return Err(Error::Malformed("part header magic"));
        }
        if fixed[4] != VERSION {
            return Err(Error::Unsupported("part header version"));
        }
        if fixed[7] != 0 {
            return Err(Error::Unsupported("part header flags"));
        }
        if fixed[12..] != [0; 4] {
            return Err(Error::Unsupported("part header reserved bytes"));
        }
        let number = u32::from_be_bytes([fixed[8], fixed[9], fixed[10], fixed[11]]);
        Ok(Self {
            aead: fixed[5].try_into()?,
            segment_size: fixed[6].try_into()?,
            number: number.try_into().map_err(|_| Error::Malformed("part number"))?,
            salt: Salt(salt.try_into().map_err(|_| Error::Malformed("part header length"))?),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header() -> PartHeader {
        PartHeader {
            aead: Aead::ChaCha20Poly1305,
            segment_size: SegmentSize::DEFAULT,
            number: PartNumber::try_from(0x1234).unwrap(),
            salt: Salt([0xab; 32]),
        }
    }

    #[test]
    fn a_header_is_48_bytes_at_the_documented_places() {
        let expected = ["5347453101031000", "0000123400000000", &"ab".repeat(32)].concat();
        assert_eq!(hex::encode(header().encode()), expected);
        assert_eq!(PartHeader::parse(&header().encode()).unwrap(), header());
    }

    #[test]
    fn every_unknown_value_is_refused() {
        let refused = |at: usize, value: u8| {
            let mut bytes = header().encode();
            bytes[at] = value;
            PartHeader::parse(&bytes).is_err()
        };
        assert!((0..4).all(|at| (0..=255).filter(|&v| v != MAGIC[at]).all(|v| refused(at, v))), "magic");
        assert!((0..=255).filter(|&v| v != 1).all(|v| refused(4, v)), "version");
        assert!((0..=255).filter(|v| !(0..=3).contains(v)).all(|v| refused(5, v)), "AEAD");
        assert!((0..=255).filter(|v| !(12..=20).contains(v)).all(|v| refused(6, v)), "segment size");
        assert!((1..=255).all(|v| refused(7, v)), "flags");
        assert!((1..=255).all(|v| refused(8, v) && refused(9, v)), "part number above 10,000");
        assert!((12..16).all(|at| (1..=255).all(|v| refused(at, v))), "reserved");
        let mut zero = header().encode();
        zero[8..12].fill(0);
        assert!(PartHeader::parse(&zero).is_err(), "part 0");
    }

    #[test]
    fn sizes_read_from_records_are_checked_too() {
        assert!(postcard::from_bytes::<SegmentSize>(&[63]).is_err());
        assert_eq!(postcard::from_bytes::<SegmentSize>(&[16]).unwrap().bytes(), 65_536);
        assert!(postcard::from_bytes::<Aead>(&[4]).is_err());
    }
}
