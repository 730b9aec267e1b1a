//! Keys for one message: each is derived with a fresh salt, seals one message and is wiped. That is why their nonce
//! can be constant, and why a long-lived key is good for 2^50 messages instead of the 2^32 that random 96-bit nonces
//! under one key allow (NIST SP 800-38D §8.3).

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use aws_lc_rs::hkdf;
use zeroize::Zeroizing;

/// What AES-256-GCM adds to a message: its tag.
pub(crate) const TAG_LEN: usize = 16;

/// HKDF-SHA256 (RFC 5869) to 32 bytes. `info` is the concatenation of its pieces: the caller keeps it unambiguous.
pub(crate) fn derive(ikm: &[u8; 32], salt: &[u8], info: &[&[u8]]) -> Zeroizing<[u8; 32]> {
    let prk = hkdf::Salt::new(hkdf::HKDF_SHA256, salt).extract(ikm);
    let mut key = Zeroizing::new([0; 32]);
    prk.expand(info, hkdf::HKDF_SHA256)
        .and_then(|okm| okm.fill(key.as_mut()))
        .expect("32 bytes are one block of HKDF-SHA256, which allows 255");
    key
}

/// Seals one message in place under a key that seals no other, and appends the tag.
pub(crate) fn seal_once(key: &[u8; 32], aad: &[u8], message: &mut Vec<u8>, from: usize) {
    #[cfg(test)]
    super::ledger::spend("message", key);
    let tag = cipher(key)
        .seal_in_place_separate_tag(zero_nonce(), Aad::from(aad), &mut message[from..])
        .expect("a message in memory is below AES-GCM's 64 GiB");
    message.extend_from_slice(tag.as_ref());
}

/// Opens what [`seal_once`] made, in place. `None` when the tag does not verify.
pub(crate) fn open_once<'a>(key: &[u8; 32], aad: &[u8], sealed: &'a mut [u8]) -> Option<&'a mut [u8]> {
    cipher(key).open_in_place(zero_nonce(), Aad::from(aad), sealed).ok()
}

fn cipher(key: &[u8; 32]) -> LessSafeKey {
    LessSafeKey::new(UnboundKey::new(&AES_256_GCM, key).expect("AES-256 takes a key of 32 bytes"))
}

fn zero_nonce() -> Nonce {
    Nonce::assume_unique_for_key([0; NONCE_LEN])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn derivation_is_rfc_5869() {
        // Computed with Python's hmac module: ikm = 32 × 0x0b, salt = 00…0c, info = f0…f9.
        let key = derive(
            &[0x0b; 32],
            &(0..13).collect::<Vec<u8>>(),
            &[&[0xf0, 0xf1, 0xf2, 0xf3, 0xf4], &[0xf5, 0xf6, 0xf7, 0xf8, 0xf9]],
        );
        assert_eq!(hex::encode(*key), "d4100799f26a09615a72af3e58fa3841a2ff20d5ace3fb392e562e207fe6b718");
    }

    #[test]
    fn a_message_opens_only_with_its_key_and_aad_and_unaltered() {
        let mut sealed = b"head".to_vec();
        sealed.extend_from_slice(b"message");
        seal_once(&[1; 32], b"aad", &mut sealed, 4);
        assert_eq!(sealed.len(), 4 + 7 + TAG_LEN);
        assert_eq!(&sealed[..4], b"head");
        let open = |key: u8, aad: &[u8], mut bytes: Vec<u8>| open_once(&[key; 32], aad, &mut bytes).map(|p| p.to_vec());
        assert_eq!(open(1, b"aad", sealed[4..].to_vec()).as_deref(), Some(&b"message"[..]));
        assert_eq!(open(2, b"aad", sealed[4..].to_vec()), None);
        assert_eq!(open(1, b"aae", sealed[4..].to_vec()), None);
        for at in 4..sealed.len() {
            let mut bytes = sealed[4..].to_vec();
            bytes[at - 4] ^= 1;
            assert_eq!(open(1, b"aad", bytes), None, "byte {at}");
        }
    }
}
