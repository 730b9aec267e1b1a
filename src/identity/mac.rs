//! Hashes, MACs and the one comparison of signatures.

use aws_lc_rs::{digest, hmac};
use subtle::ConstantTimeEq;

/// Proof that a signature was computed here and found equal to the one that a request carries. Only [`compare`] makes
/// it, and nothing but it makes an [`super::Authenticated`].
#[derive(Debug)]
pub(super) struct SignatureMatch(());

/// Compares signatures in time that does not depend on where they differ.
pub(super) fn compare(computed: &[u8], given: &[u8]) -> Option<SignatureMatch> {
    same(computed, given).then_some(SignatureMatch(()))
}

/// Compares secrets that prove nothing by themselves, in time that does not depend on where they differ.
pub(super) fn same(ours: &[u8], given: &[u8]) -> bool {
    ours.ct_eq(given).into()
}

/// A SigV4 signature: 32 bytes, on the wire 64 lower-case hex digits.
#[derive(Clone, Copy)]
pub(super) struct Signature([u8; 32]);

/// Signatures are compared by [`compare`] alone: were `Signature` to get an `==`, this would not compile.
const _: fn() = || {
    trait Comparable<Marker> {
        fn only_one_way() {}
    }
    struct ByEquality;
    impl<T: ?Sized> Comparable<()> for T {}
    impl<T: ?Sized + PartialEq> Comparable<ByEquality> for T {}
    <Signature as Comparable<_>>::only_one_way();
};

impl Signature {
    /// Reads the wire form. S3 compares text, so upper-case digits are as wrong as any other character.
    pub(super) fn from_hex(text: &[u8]) -> Option<Self> {
        let lower = text.iter().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
        let mut bytes = [0; 32];
        (lower && hex::decode_to_slice(text, &mut bytes).is_ok()).then_some(Self(bytes))
    }

    pub(super) fn of(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    pub(super) fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    pub(super) fn to_hex(self) -> String {
        hex::encode(self.0)
    }
}

/// HMAC-SHA256.
pub(super) fn hmac_sha256(key: &hmac::Key, data: &[u8]) -> [u8; 32] {
    let mut bytes = [0; 32];
    // The tag of HMAC-SHA256 has 32 bytes; `zip` needs no promise of it.
    for (to, from) in bytes.iter_mut().zip(hmac::sign(key, data).as_ref()) {
        *to = *from;
    }
    bytes
}

/// SHA-256 of `data`.
#[must_use]
pub fn sha256(data: &[u8]) -> [u8; 32] {
    let mut hash = Sha256::new();
    hash.update(data);
    hash.finish()
}

/// SHA-256 of a stream.
#[derive(Clone)]
pub struct Sha256(digest::Context);

impl std::fmt::Debug for Sha256 {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Sha256")
    }
}

impl Default for Sha256 {
    fn default() -> Self {
        Self::new()
    }
}

impl Sha256 {
    /// The hash of nothing yet.
    #[must_use]
    pub fn new() -> Self {
        Self(digest::Context::new(&digest::SHA256))
    }

    /// Takes more bytes.
    pub fn update(&mut self, data: &[u8]) {
        self.0.update(data);
    }

    /// The hash of all bytes taken.
    #[must_use]
    pub fn finish(self) -> [u8; 32] {
        let mut bytes = [0; 32];
        for (to, from) in bytes.iter_mut().zip(self.0.finish().as_ref()) {
            *to = *from;
        }
        bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_equal_signatures_match() {
        assert!(compare(b"abc", b"abc").is_some());
        assert!(compare(b"abc", b"abd").is_none());
        assert!(compare(b"abc", b"ab").is_none());
    }

    #[test]
    fn a_signature_is_64_lower_case_hex_digits() {
        assert!(Signature::from_hex("0f".repeat(32).as_bytes()).is_some());
        for bad in ["0F".repeat(32), "0f".repeat(31), "0f".repeat(33), "0g".repeat(32), String::new()] {
            assert!(Signature::from_hex(bad.as_bytes()).is_none(), "{bad}");
        }
    }

    #[test]
    fn sha256_is_nists() {
        let abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(hex::encode(sha256(b"abc")), abc);
    }
}
