//! Key derivation and the AEAD of the embedded keystore, and how a record is sealed by the root key.
//!
//! Every seal has a key of its own, derived with a fresh random salt (HKDF-SHA256, RFC 5869), so the GCM nonce may be
//! zero: no (key, nonce) pair repeats, however many seals a root key or a CMK makes (NIST SP 800-38D §8.3 would allow
//! 2^32 with random nonces).
//!
//! ```text
//! sealed record = version u8 (1) ‖ salt[32] ‖ AES-256-GCM(key, nonce 0, plaintext, AAD)
//! key           = HKDF-SHA256(ikm = root key, salt, info = "sealgate/keystore/1/record")
//! AAD           = "sealgate/keystore/1" ‖ kind u8 ‖ len(id) u32 ‖ id ‖ key version u32      (big-endian)
//! ```

use aes_gcm::aead::{AeadInOut, KeyInit};
use aes_gcm::{Aes256Gcm, Tag};
use aws_lc_rs::{hkdf, hmac};
use zeroize::{Zeroize, Zeroizing};

use crate::kms::Error;
use crate::types::{RandomError, random};

use super::root_key::RootKey;

pub(super) const TAG_BYTES: usize = 16;
const VERSION: u8 = 1;
const SALT_BYTES: usize = 32;

/// HKDF-SHA256 to 32 bytes.
pub(super) fn derive(ikm: &[u8; 32], salt: &[u8], info: &[u8]) -> Result<Zeroizing<[u8; 32]>, Error> {
    let mut key = Zeroizing::new([0; 32]);
    hkdf::Salt::new(hkdf::HKDF_SHA256, salt)
        .extract(ikm)
        .expand(&[info], hkdf::HKDF_SHA256)
        .and_then(|okm| okm.fill(key.as_mut_slice()))
        .map_err(|_| Error::Unavailable("key derivation failed".to_owned()))?;
    Ok(key)
}

/// Appends AES-256-GCM(key, nonce 0, plain, aad) and its tag to `out`. The key must be used for this one seal only.
pub(super) fn seal_once(key: &[u8; 32], aad: &[u8], plain: &[u8], out: &mut Vec<u8>) -> Result<(), Error> {
    #[cfg(test)]
    crate::kms::ledger::spend("keystore", key);
    let start = out.len();
    // Room for all of it beforehand: growing would leave a copy of the plaintext behind.
    out.reserve(plain.len() + TAG_BYTES);
    out.extend_from_slice(plain);
    let sealed =
        Aes256Gcm::new(key.into()).encrypt_inout_detached(&Default::default(), aad, (&mut out[start..]).into());
    let Ok(tag) = sealed else {
        out.zeroize();
        return Err(Error::Unavailable("sealing failed".to_owned()));
    };
    out.extend_from_slice(&tag);
    Ok(())
}

/// Opens what [`seal_once`] made; `None` when it does not verify.
pub(super) fn open_once(key: &[u8; 32], aad: &[u8], sealed: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let (body, tag) = sealed.split_at_checked(sealed.len().checked_sub(TAG_BYTES)?)?;
    let tag = Tag::try_from(tag).ok()?;
    let mut plain = Zeroizing::new(body.to_vec());
    let cipher = Aes256Gcm::new(key.into());
    cipher.decrypt_inout_detached(&Default::default(), aad, plain.as_mut_slice().into(), &tag).ok()?;
    Some(plain)
}

/// What a sealed record is, so that no record can stand in another's place.
#[derive(Debug, Clone, Copy)]
pub(super) enum Slot<'a> {
    /// The record that tells whether the root key is the right one.
    Check,
    /// The service's own key.
    ServiceKey,
    /// A CMK: its description, state and sealed material.
    Cmk(&'a [u8; 16]),
    /// One version of a CMK's material.
    Material(&'a [u8; 16], u32),
    /// An alias, by its index.
    Alias(&'a [u8; 32]),
}

impl Slot<'_> {
    fn aad(self) -> Vec<u8> {
        let (kind, id, version): (u8, &[u8], u32) = match self {
            Self::Check => (1, &[], 0),
            Self::ServiceKey => (2, &[], 0),
            Self::Cmk(id) => (3, id, 0),
            Self::Material(id, version) => (4, id, version),
            Self::Alias(index) => (5, index, 0),
        };
        // At most 32: the types above say so.
        let len = u32::try_from(id.len()).unwrap_or(u32::MAX);
        [b"sealgate/keystore/1".as_slice(), &[kind], &len.to_be_bytes(), id, &version.to_be_bytes()].concat()
    }
}

impl RootKey {
    /// Seals a record for its slot.
    pub(super) fn seal(&self, slot: Slot<'_>, plain: &[u8]) -> Result<Vec<u8>, Error> {
        let salt: [u8; SALT_BYTES] = random().map_err(no_random)?;
        let mut out = Vec::with_capacity(1 + SALT_BYTES + plain.len() + TAG_BYTES);
        out.push(VERSION);
        out.extend_from_slice(&salt);
        seal_once(&*self.record_key(&salt)?, &slot.aad(), plain, &mut out)?;
        Ok(out)
    }

    /// Opens a record of this slot; `None` when it was altered, moved, or sealed by another root key.
    pub(super) fn open(&self, slot: Slot<'_>, sealed: &[u8]) -> Result<Option<Zeroizing<Vec<u8>>>, Error> {
        let Some((&VERSION, rest)) = sealed.split_first() else { return Ok(None) };
        let Some((salt, body)) = rest.split_at_checked(SALT_BYTES) else { return Ok(None) };
        Ok(open_once(&*self.record_key(salt)?, &slot.aad(), body))
    }

    /// Where an alias's record is kept: a keyed hash of its name, so that the name is not on the disk.
    pub(super) fn alias_index(&self, name: &str) -> Result<[u8; 32], Error> {
        let key = derive(self.expose(), b"", b"sealgate/keystore/1/alias-index")?;
        let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key.as_slice()), name.as_bytes());
        tag.as_ref().try_into().map_err(|_| Error::Unavailable("key derivation failed".to_owned()))
    }

    fn record_key(&self, salt: &[u8]) -> Result<Zeroizing<[u8; 32]>, Error> {
        derive(self.expose(), salt, b"sealgate/keystore/1/record")
    }
}

/// Seals records outside of the keystore that all gateways with the same root key may read: those in an upstream's reserved
/// place, and caches. Each is bound to its name.
///
/// ```text
/// sealed record = version u8 (1) ‖ salt[32] ‖ AES-256-GCM(key, nonce 0, plaintext, AAD = "sealgate/place/1" ‖ name)
/// key           = HKDF-SHA256(ikm = place key, salt, info = "sealgate/place/1/record")
/// place key     = HKDF-SHA256(ikm = root key, no salt, info = "sealgate/place/1")
/// ```
pub struct RecordSeal(Zeroizing<[u8; 32]>);

impl std::fmt::Debug for RecordSeal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("RecordSeal(…)")
    }
}

impl RecordSeal {
    /// Seals a record for its name.
    ///
    /// # Errors
    /// Only when the random generator fails.
    pub fn seal(&self, name: &str, plain: &[u8]) -> Result<Vec<u8>, Error> {
        let salt: [u8; SALT_BYTES] = random().map_err(no_random)?;
        let mut out = Vec::with_capacity(1 + SALT_BYTES + plain.len() + TAG_BYTES);
        out.push(VERSION);
        out.extend_from_slice(&salt);
        seal_once(&*self.key(&salt)?, &place_aad(name), plain, &mut out)?;
        Ok(out)
    }

    /// Opens the record of this name; `None` when it was altered, moved, or sealed by another root key.
    #[must_use]
    pub fn open(&self, name: &str, sealed: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
        let (&VERSION, rest) = sealed.split_first()? else { return None };
        let (salt, body) = rest.split_at_checked(SALT_BYTES)?;
        open_once(&*self.key(salt).ok()?, &place_aad(name), body)
    }

    fn key(&self, salt: &[u8]) -> Result<Zeroizing<[u8; 32]>, Error> {
        derive(&self.0, salt, b"sealgate/place/1/record")
    }
}

fn place_aad(name: &str) -> Vec<u8> {
    [b"sealgate/place/1".as_slice(), name.as_bytes()].concat()
}

impl RootKey {
    /// The seal of what lies outside of the keystore.
    ///
    /// # Errors
    /// Only when key derivation fails.
    pub fn record_seal(&self) -> Result<RecordSeal, Error> {
        derive(self.expose(), b"", b"sealgate/place/1").map(RecordSeal)
    }
}

/// Without randomness nothing may be made.
pub(super) fn no_random(error: RandomError) -> Error {
    Error::Unavailable(error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    const SLOT: Slot<'static> = Slot::Material(&[9; 16], 2);

    fn root() -> RootKey {
        RootKey::new([3; 32])
    }

    #[test]
    fn derivation_is_hkdf_sha256() {
        // Computed with Python's hmac after RFC 5869: extract under the salt, then one expansion block.
        let key = derive(&[1; 32], &[2; 16], b"info").unwrap();
        assert_eq!(hex::encode(key.as_slice()), "c31fe7a7a374b0cb95aadc9fcb9fd0ac03e71d68fa012ffd36c0baa354a97b9e");
    }

    #[test]
    fn a_record_opens_in_its_own_slot_only() {
        let sealed = root().seal(SLOT, b"material").unwrap();
        assert_eq!(root().open(SLOT, &sealed).unwrap().unwrap().as_slice(), b"material");
        for other in [Slot::Check, Slot::ServiceKey, Slot::Cmk(&[9; 16]), Slot::Material(&[9; 16], 3)] {
            assert!(root().open(other, &sealed).unwrap().is_none(), "{other:?}");
        }
        assert!(RootKey::new([4; 32]).open(SLOT, &sealed).unwrap().is_none());
    }

    #[test]
    fn any_flipped_bit_and_any_cut_is_refused() {
        let sealed = root().seal(SLOT, b"material").unwrap();
        for at in 0..sealed.len() {
            let mut altered = sealed.clone();
            altered[at] ^= 0x40;
            assert!(root().open(SLOT, &altered).unwrap().is_none(), "byte {at}");
            assert!(root().open(SLOT, &sealed[..at]).unwrap().is_none(), "cut at {at}");
        }
    }

    #[test]
    fn a_record_of_the_place_opens_under_its_name_and_root_key_only() {
        let seal = root().record_seal().unwrap();
        let sealed = seal.seal("buckets/a/1", b"record").unwrap();
        assert_eq!(seal.open("buckets/a/1", &sealed).unwrap().as_slice(), b"record");
        assert!(seal.open("buckets/a/2", &sealed).is_none());
        assert!(RootKey::new([4; 32]).record_seal().unwrap().open("buckets/a/1", &sealed).is_none());
        for at in 0..sealed.len() {
            let mut altered = sealed.clone();
            altered[at] ^= 1;
            assert!(seal.open("buckets/a/1", &altered).is_none(), "byte {at}");
        }
        // A record of the keystore is none of the place, whatever name is tried.
        let kept = root().seal(SLOT, b"material").unwrap();
        assert!(seal.open("", &kept).is_none());
    }

    #[test]
    fn two_seals_share_no_bytes_of_salt_or_ciphertext() {
        let (a, b) = (root().seal(SLOT, &[0; 32]).unwrap(), root().seal(SLOT, &[0; 32]).unwrap());
        assert_ne!(a[1..33], b[1..33]);
        assert_ne!(a[33..], b[33..]);
    }

    #[test]
    fn an_alias_index_depends_on_the_root_key_and_the_name() {
        let index = root().alias_index("alias/a").unwrap();
        assert_eq!(index, root().alias_index("alias/a").unwrap());
        assert_ne!(index, root().alias_index("alias/b").unwrap());
        assert_ne!(index, RootKey::new([4; 32]).alias_index("alias/a").unwrap());
    }
}
