//! The ciphertext blob of an embedded CMK, version 1 (all numbers big-endian):
//!
//! ```text
//! blob   = header[37] ‖ AES-256-GCM(key, nonce 0, plaintext, AAD = context ‖ header)
//! header = version u8 (1) ‖ key id[16] ‖ key version u32 ‖ IV[16]
//! key    = HKDF-SHA256(ikm = the CMK's material, salt = IV, info = "sealgate/kms/1/wrap")
//! context = number of pairs u32, then per pair, sorted by name: len u32 ‖ name ‖ len u32 ‖ value
//! ```
//!
//! With a random 128-bit IV that makes a key of its own for each wrap, a CMK is good for 2^50 wraps: the chance that
//! two share a key is then below 2^-28, where random GCM nonces under one key stop at 2^32 (NIST SP 800-38D §8.3).

use crate::kms::{EncryptionContext, Error};
use crate::types::random;

use super::names::KeyId;
use super::seal::{TAG_BYTES, derive, no_random, open_once, seal_once};
use super::state::{Cmk, Material};

use zeroize::Zeroizing;

const VERSION: u8 = 1;
const IV_BYTES: usize = 16;
const HEADER_BYTES: usize = 1 + 16 + 4 + IV_BYTES;
const INFO: &[u8] = b"sealgate/kms/1/wrap";

/// A blob that has the form of one; whether it opens is another question.
#[derive(Debug, Clone, Copy)]
pub(super) struct Blob<'a> {
    header: &'a [u8],
    sealed: &'a [u8],
    pub(super) key: KeyId,
    pub(super) version: u32,
    iv: &'a [u8],
}

impl<'a> Blob<'a> {
    /// # Errors
    /// [`Error::InvalidCiphertext`].
    pub(super) fn parse(bytes: &'a [u8]) -> Result<Self, Error> {
        Self::split(bytes).ok_or(Error::InvalidCiphertext)
    }

    fn split(bytes: &'a [u8]) -> Option<Self> {
        let (header, sealed) = bytes.split_at_checked(HEADER_BYTES)?;
        let (&VERSION, fields) = header.split_first()? else { return None };
        let (key, fields) = fields.split_first_chunk::<16>()?;
        let (version, iv) = fields.split_first_chunk::<4>()?;
        let blob = Self { header, sealed, key: KeyId::from_bytes(*key), version: u32::from_be_bytes(*version), iv };
        (sealed.len() >= TAG_BYTES).then_some(blob)
    }
}

/// Wraps `plain` under the CMK's current material.
///
/// # Errors
/// [`Error::PendingImport`] when there is no material yet; [`Error::Unavailable`] without randomness.
pub(super) fn wrap(cmk: &Cmk, plain: &[u8], context: &EncryptionContext) -> Result<Vec<u8>, Error> {
    let (version, material) = cmk.current().ok_or_else(|| Error::PendingImport(cmk.record.arn.0.clone()))?;
    wrap_with(cmk.record.id, version, material, random().map_err(no_random)?, plain, context)
}

fn wrap_with(
    id: KeyId,
    version: u32,
    material: &Material,
    iv: [u8; IV_BYTES],
    plain: &[u8],
    context: &EncryptionContext,
) -> Result<Vec<u8>, Error> {
    let mut blob = Vec::with_capacity(HEADER_BYTES + plain.len() + TAG_BYTES);
    blob.push(VERSION);
    blob.extend_from_slice(id.as_bytes());
    blob.extend_from_slice(&version.to_be_bytes());
    blob.extend_from_slice(&iv);
    let aad = aad(context, &blob)?;
    seal_once(&*derive(&material.0, &iv, INFO)?, &aad, plain, &mut blob)?;
    Ok(blob)
}

/// Unwraps a blob that names this CMK.
///
/// # Errors
/// [`Error::InvalidCiphertext`] for another CMK's blob, an unknown key version, another context, or altered bytes.
pub(super) fn unwrap(cmk: &Cmk, blob: &Blob<'_>, context: &EncryptionContext) -> Result<Zeroizing<Vec<u8>>, Error> {
    if blob.key != cmk.record.id {
        return Err(Error::InvalidCiphertext);
    }
    let material = cmk.material.get(&blob.version).ok_or(Error::InvalidCiphertext)?;
    let key = derive(&material.0, blob.iv, INFO)?;
    open_once(&key, &aad(context, blob.header)?, blob.sealed).ok_or(Error::InvalidCiphertext)
}

fn aad(context: &EncryptionContext, header: &[u8]) -> Result<Vec<u8>, Error> {
    let mut aad = len(context.0.len())?.to_vec();
    for text in context.0.iter().flat_map(|(name, value)| [name, value]) {
        aad.extend_from_slice(&len(text.len())?);
        aad.extend_from_slice(text.as_bytes());
    }
    aad.extend_from_slice(header);
    Ok(aad)
}

fn len(len: usize) -> Result<[u8; 4], Error> {
    let len = u32::try_from(len).map_err(|_| Error::Invalid("the encryption context is too long".to_owned()))?;
    Ok(len.to_be_bytes())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::cast_possible_truncation, reason = "indices below 32")]

    use std::collections::BTreeMap;
    use std::sync::Arc;

    use proptest::prelude::*;

    use crate::kms::KeyArn;
    use crate::types::Timestamp;

    use super::super::record::{CmkRecord, KeyOrigin, KeyState, KeyUsage};
    use super::*;

    fn cmk(id: u8, versions: &[(u32, u8)]) -> Cmk {
        let record = CmkRecord {
            id: KeyId::from_bytes([id; 16]),
            arn: KeyArn("arn".into()),
            description: String::new(),
            owner: None,
            state: KeyState::Enabled,
            usage: KeyUsage::EncryptDecrypt,
            origin: KeyOrigin::Service,
            created: Timestamp(0),
            deletion: None,
            tags: vec![],
            versions: vec![],
            rotation: None,
            import: None,
            policy: None,
        };
        let material = |byte: u8| Arc::new(Material(Zeroizing::new([byte; 32])));
        let policy = super::super::key_policy::KeyPolicy::Default;
        Cmk { record, policy, material: versions.iter().map(|(n, byte)| (*n, material(*byte))).collect() }
    }

    fn context(pairs: &[(&str, &str)]) -> EncryptionContext {
        EncryptionContext(pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect())
    }

    fn open(cmk: &Cmk, blob: &[u8], context: &EncryptionContext) -> Result<Vec<u8>, Error> {
        Ok(unwrap(cmk, &Blob::parse(blob)?, context)?.to_vec())
    }

    #[test]
    fn the_blob_is_as_specified() {
        // Made by another implementation of the module's text: Python's hmac and the cryptography package's AESGCM.
        let id = KeyId::from_bytes(std::array::from_fn(|i| 0x10 + i as u8));
        let material = Material(Zeroizing::new(std::array::from_fn(|i| i as u8)));
        let iv = std::array::from_fn(|i| 0xa0 + i as u8);
        let context = context(&[("aws:s3:arn", "arn:aws:s3:::b/k"), ("a", "")]);
        let blob = wrap_with(id, 1, &material, iv, &[0x55; 32], &context).unwrap();
        assert_eq!(
            hex::encode(blob),
            "01101112131415161718191a1b1c1d1e1f00000001a0a1a2a3a4a5a6a7a8a9aaabacadaeaf58911e5e1d76ee964e2e6bed7028\
             8be2ff6f9673ebec4a69f1d0c9b27825e02ba1679e16eff9a33edb89ec451889930d"
        );
    }

    #[test]
    fn every_flipped_bit_and_every_cut_is_refused() {
        let (cmk, context) = (cmk(1, &[(1, 7)]), context(&[("a", "b")]));
        let blob = wrap(&cmk, b"data key", &context).unwrap();
        assert_eq!(open(&cmk, &blob, &context).unwrap(), b"data key");
        for bit in 0..blob.len() * 8 {
            let mut altered = blob.clone();
            altered[bit / 8] ^= 1 << (bit % 8);
            assert!(matches!(open(&cmk, &altered, &context), Err(Error::InvalidCiphertext)), "bit {bit}");
        }
        for end in 0..blob.len() {
            assert!(matches!(open(&cmk, &blob[..end], &context), Err(Error::InvalidCiphertext)), "cut at {end}");
        }
    }

    #[test]
    fn contexts_that_look_alike_when_joined_are_different() {
        let cmk = cmk(1, &[(1, 7)]);
        let blob = wrap(&cmk, b"x", &context(&[("ab", "c"), ("d", "e")])).unwrap();
        for other in [
            context(&[("a", "bc"), ("d", "e")]),
            context(&[("ab", "cd"), ("", "e")]),
            context(&[("ab", "c")]),
            context(&[("ab", "c"), ("d", "e"), ("f", "")]),
            context(&[]),
        ] {
            assert!(open(&cmk, &blob, &other).is_err(), "{other:?}");
        }
    }

    #[test]
    fn the_latest_material_wraps_and_older_material_still_unwraps() {
        let none = EncryptionContext::default();
        let old = wrap(&cmk(1, &[(1, 7)]), b"old", &none).unwrap();
        let rotated = cmk(1, &[(1, 7), (2, 8)]);
        let new = wrap(&rotated, b"new", &none).unwrap();
        assert_eq!(open(&rotated, &old, &none).unwrap(), b"old");
        assert_eq!(open(&rotated, &new, &none).unwrap(), b"new");
        assert!(open(&cmk(1, &[(1, 7)]), &new, &none).is_err());
        assert!(open(&cmk(2, &[(1, 7)]), &old, &none).is_err());
        assert!(matches!(wrap(&cmk(1, &[]), b"x", &none), Err(Error::PendingImport(_))));
    }

    proptest! {
        #[test]
        fn any_plaintext_and_context_comes_back(
            plain in proptest::collection::vec(any::<u8>(), 0..200),
            pairs in proptest::collection::btree_map(".*", ".*", 0..4),
        ) {
            let (cmk, context) = (cmk(1, &[(1, 7)]), EncryptionContext(pairs));
            let blob = wrap(&cmk, &plain, &context).unwrap();
            prop_assert_eq!(blob.len(), HEADER_BYTES + plain.len() + TAG_BYTES);
            prop_assert_eq!(open(&cmk, &blob, &context).unwrap(), plain);
        }

        #[test]
        fn no_bytes_at_all_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..120)) {
            prop_assert!(open(&cmk(1, &[(1, 7)]), &bytes, &EncryptionContext(BTreeMap::new())).is_err());
        }
    }
}
