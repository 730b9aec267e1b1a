//! Digests of plaintext, computed while it streams: the ones that were declared, the ETag's MD5, CRC-64/ECMA for OSS.

use aws_lc_rs::digest;
use crc_fast::CrcAlgorithm;
use md5::{Digest as _, Md5};

use crate::sse::DigestAlgorithm;

use super::{Checksum, ChecksumAlgorithm, ChecksumKind, DeclaredDigests, Error, TrailerSlot};

impl ChecksumAlgorithm {
    /// Length of the checksum in bytes.
    #[must_use]
    #[allow(clippy::len_without_is_empty, reason = "a checksum is never empty")]
    pub fn len(self) -> usize {
        match self {
            Self::Crc32 | Self::Crc32c => 4,
            Self::Crc64Nvme => 8,
            Self::Sha1 => 20,
            Self::Sha256 => 32,
        }
    }

    /// The header (or trailer) that carries it on S3's wire, which is also the name that messages use.
    #[must_use]
    pub fn header(self) -> &'static str {
        match self {
            Self::Crc32 => "x-amz-checksum-crc32",
            Self::Crc32c => "x-amz-checksum-crc32c",
            Self::Crc64Nvme => "x-amz-checksum-crc64nvme",
            Self::Sha1 => "x-amz-checksum-sha1",
            Self::Sha256 => "x-amz-checksum-sha256",
        }
    }

    fn crc(self) -> Option<CrcAlgorithm> {
        match self {
            Self::Crc32 => Some(CrcAlgorithm::Crc32IsoHdlc),
            Self::Crc32c => Some(CrcAlgorithm::Crc32Iscsi),
            Self::Crc64Nvme => Some(CrcAlgorithm::Crc64Nvme),
            Self::Sha1 | Self::Sha256 => None,
        }
    }

    /// Whether checksums of parts combine to the checksum of the whole (CRCs do, hashes do not).
    #[must_use]
    pub fn combines(self) -> bool {
        self.crc().is_some()
    }
}

#[allow(clippy::large_enum_variant, reason = "one a request, on its stack")]
enum Running {
    Crc(crc_fast::Digest),
    Hash(digest::Context),
}

impl Running {
    fn new(algorithm: ChecksumAlgorithm) -> Self {
        match algorithm {
            ChecksumAlgorithm::Sha1 => Self::Hash(digest::Context::new(&digest::SHA1_FOR_LEGACY_USE_ONLY)),
            ChecksumAlgorithm::Sha256 => Self::Hash(digest::Context::new(&digest::SHA256)),
            ChecksumAlgorithm::Crc32 => Self::Crc(crc_fast::Digest::new(CrcAlgorithm::Crc32IsoHdlc)),
            ChecksumAlgorithm::Crc32c => Self::Crc(crc_fast::Digest::new(CrcAlgorithm::Crc32Iscsi)),
            ChecksumAlgorithm::Crc64Nvme => Self::Crc(crc_fast::Digest::new(CrcAlgorithm::Crc64Nvme)),
        }
    }

    fn update(&mut self, data: &[u8]) {
        match self {
            Self::Crc(crc) => crc.update(data),
            Self::Hash(hash) => hash.update(data),
        }
    }

    fn finish(self, algorithm: ChecksumAlgorithm) -> Vec<u8> {
        match self {
            Self::Crc(crc) => crc_bytes(crc.finalize(), algorithm.len()),
            Self::Hash(hash) => hash.finish().as_ref().to_vec(),
        }
    }
}

/// The low `len` bytes of a CRC, big-endian, as S3 writes it.
fn crc_bytes(crc: u64, len: usize) -> Vec<u8> {
    let bytes = crc.to_be_bytes();
    bytes.get(bytes.len() - len..).unwrap_or_default().to_vec()
}

/// Computes the digests of one body (or part) while it streams, and compares them with what was declared.
pub(super) struct Digester {
    declared: DeclaredDigests,
    md5: Option<Md5>,
    crc64: crc_fast::Digest,
    checksum: Option<(ChecksumAlgorithm, Running)>,
}

/// The digests of one body.
#[derive(Debug, Clone)]
pub(super) struct Computed {
    pub(super) md5: Option<[u8; 16]>,
    pub(super) crc64: u64,
    pub(super) checksum: Option<(ChecksumAlgorithm, Vec<u8>)>,
}

impl Digester {
    /// `etag_md5`: whether the ETag is the MD5 of the plaintext. MD5 is by far the slowest of all (limits.md §1), so it
    /// is computed only where a client can see or has declared it.
    pub(super) fn new(declared: DeclaredDigests, etag_md5: bool) -> Self {
        let algorithm =
            declared.checksum.as_ref().map(|(algorithm, _)| *algorithm).or(declared.trailing).or(declared.compute);
        Self {
            md5: (etag_md5 || declared.md5.is_some()).then(Md5::new),
            crc64: crc_fast::Digest::new(CrcAlgorithm::Crc64Xz),
            checksum: algorithm.map(|algorithm| (algorithm, Running::new(algorithm))),
            declared,
        }
    }

    /// The digests that will be computed.
    pub(super) fn planned(&self) -> Vec<DigestAlgorithm> {
        let checksum = self.checksum.as_ref().map(|(algorithm, _)| (*algorithm).into());
        self.md5.as_ref().map(|_| DigestAlgorithm::Md5).into_iter().chain(checksum).collect()
    }

    pub(super) fn update(&mut self, data: &[u8]) {
        if let Some(md5) = &mut self.md5 {
            md5.update(data);
        }
        self.crc64.update(data);
        if let Some((_, running)) = &mut self.checksum {
            running.update(data);
        }
    }

    /// Ends the body: everything declared must match.
    pub(super) fn finish(self, trailers: Option<&TrailerSlot>) -> Result<Computed, Error> {
        let md5 = self.md5.map(|md5| md5.finalize().into());
        if self.declared.md5.is_some() && self.declared.md5 != md5 {
            return Err(Error::BadDigest("Content-MD5"));
        }
        let checksum = self.checksum.map(|(algorithm, running)| (algorithm, running.finish(algorithm)));
        if let Some((algorithm, value)) = &checksum {
            let trailing = match self.declared.trailing {
                Some(announced) => Some(trailing_value(announced, trailers)?),
                None => None,
            };
            let declared = self.declared.checksum.map(|(_, value)| value).or(trailing);
            if declared.is_some_and(|declared| declared != *value) {
                return Err(Error::BadDigest(algorithm.header()));
            }
        }
        Ok(Computed { md5, crc64: self.crc64.finalize(), checksum })
    }
}

fn trailing_value(algorithm: ChecksumAlgorithm, trailers: Option<&TrailerSlot>) -> Result<Vec<u8>, Error> {
    use base64::Engine as _;
    let text = trailers
        .and_then(|slot| slot.header(algorithm.header()))
        .ok_or(super::BodyError::MalformedTrailer("the announced checksum is missing"))?;
    base64::engine::general_purpose::STANDARD
        .decode(text)
        .ok()
        .filter(|value| value.len() == algorithm.len())
        .ok_or(Error::InvalidDigest(algorithm.header()))
}

impl Computed {
    /// The checksum, as answers say it.
    pub(super) fn into_checksum(self) -> Option<Checksum> {
        self.checksum.map(|(algorithm, value)| Checksum { algorithm, kind: ChecksumKind::FullObject, value })
    }
}

/// CRC-64/ECMA of two adjacent pieces from their own.
pub(super) fn combine_crc64(left: u64, right: u64, right_len: u64) -> u64 {
    crc_fast::checksum_combine(CrcAlgorithm::Crc64Xz, left, right, right_len)
}

/// A multipart object's checksum from its parts' (value and plaintext length each).
pub(super) fn combine_parts(algorithm: ChecksumAlgorithm, kind: ChecksumKind, parts: &[(Vec<u8>, u64)]) -> Checksum {
    let value = match (kind, algorithm.crc()) {
        (ChecksumKind::FullObject, Some(crc)) => {
            let whole = parts.iter().fold(None, |whole, (value, len)| {
                let part = value.iter().fold(0u64, |number, byte| (number << 8) | u64::from(*byte));
                Some(whole.map_or(part, |whole| crc_fast::checksum_combine(crc, whole, part, *len)))
            });
            crc_bytes(whole.unwrap_or_default(), algorithm.len())
        }
        (ChecksumKind::FullObject, None) | (ChecksumKind::Composite, _) => {
            let mut running = Running::new(algorithm);
            parts.iter().for_each(|(value, _)| running.update(value));
            running.finish(algorithm)
        }
    };
    Checksum { algorithm, kind, value }
}

/// The ETag of a multipart object: MD5 over the parts' ETags, and their number.
pub(super) fn multipart_etag(parts: &[[u8; 16]]) -> String {
    let mut md5 = Md5::new();
    parts.iter().for_each(|part| md5.update(part));
    format!("{}-{}", hex::encode(md5.finalize()), parts.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn digest_of(algorithm: ChecksumAlgorithm, data: &[u8]) -> Vec<u8> {
        let mut digester =
            Digester::new(DeclaredDigests { compute: Some(algorithm), ..DeclaredDigests::default() }, false);
        digester.update(data);
        digester.finish(None).unwrap().checksum.unwrap().1
    }

    /// Check values of the CRC catalogue and of FIPS 180-4 for "123456789" and "abc".
    #[test]
    fn checksums_have_their_published_check_values() {
        assert_eq!(hex::encode(digest_of(ChecksumAlgorithm::Crc32, b"123456789")), "cbf43926");
        assert_eq!(hex::encode(digest_of(ChecksumAlgorithm::Crc32c, b"123456789")), "e3069283");
        assert_eq!(hex::encode(digest_of(ChecksumAlgorithm::Crc64Nvme, b"123456789")), "ae8b14860a799888");
        assert_eq!(hex::encode(digest_of(ChecksumAlgorithm::Sha1, b"abc")), "a9993e364706816aba3e25717850c26c9cd0d89d");
        let mut digester = Digester::new(DeclaredDigests::default(), true);
        digester.update(b"123456789");
        let computed = digester.finish(None).unwrap();
        assert_eq!(computed.crc64, 0x995d_c9bb_df19_39fa);
        assert_eq!(hex::encode(computed.md5.unwrap()), "25f9e794323b453885f5181f1b624d0b");
    }

    #[test]
    fn a_wrong_declared_digest_is_refused() {
        let declared =
            DeclaredDigests { checksum: Some((ChecksumAlgorithm::Crc32, vec![0; 4])), ..DeclaredDigests::default() };
        let mut digester = Digester::new(declared, false);
        digester.update(b"data");
        assert!(matches!(digester.finish(None), Err(Error::BadDigest("x-amz-checksum-crc32"))));
        let mut digester = Digester::new(DeclaredDigests { md5: Some([0; 16]), ..DeclaredDigests::default() }, false);
        digester.update(b"data");
        assert!(matches!(digester.finish(None), Err(Error::BadDigest("Content-MD5"))));
    }

    #[test]
    fn an_announced_trailer_must_come_and_match() {
        let announced = || DeclaredDigests { trailing: Some(ChecksumAlgorithm::Crc32), ..DeclaredDigests::default() };
        let finish = |trailer: Option<&str>| {
            let slot = TrailerSlot::default();
            slot.set(trailer.map(|value| ("x-amz-checksum-crc32".to_owned(), value.to_owned())).into_iter().collect());
            let mut digester = Digester::new(announced(), false);
            digester.update(b"123456789");
            digester.finish(Some(&slot))
        };
        assert!(finish(Some("y/Q5Jg==")).is_ok());
        assert!(matches!(finish(Some("y/Q5Jw==")), Err(Error::BadDigest(_))));
        assert!(matches!(finish(Some("y/Q5")), Err(Error::InvalidDigest(_))));
        assert!(matches!(finish(None), Err(Error::Body(_))));
    }

    #[test]
    fn crcs_of_parts_combine_to_the_crc_of_the_whole() {
        let (left, right) = (b"12345".as_slice(), b"6789".as_slice());
        for algorithm in [ChecksumAlgorithm::Crc32, ChecksumAlgorithm::Crc32c, ChecksumAlgorithm::Crc64Nvme] {
            let parts = [(digest_of(algorithm, left), 5), (digest_of(algorithm, right), 4)];
            let whole = combine_parts(algorithm, ChecksumKind::FullObject, &parts);
            assert_eq!(whole.value, digest_of(algorithm, b"123456789"), "{algorithm:?}");
        }
    }
}
