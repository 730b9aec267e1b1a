//! Small sealed records that come back from an untrusted store: summaries, upload state, part records.
//!
//! ```text
//! record = version u8 ‖ salt[32] ‖ AES-256-GCM(HKDF(key, salt, "sealgate/1/record/" ‖ purpose), AAD, plaintext)
//! ```

use zeroize::Zeroizing;

use crate::kms::once::{TAG_LEN, derive, open_once, seal_once};
use crate::kms::{AttributeKey, DataKey};

use super::{Error, Salt};

const VERSION: u8 = 1;
const HEAD: usize = 1 + Salt::LEN;

/// How many bytes longer than its plaintext a sealed record is.
pub const RECORD_OVERHEAD: usize = HEAD + TAG_LEN;

/// Seals a record under the attribute key. `purpose` is a fixed name for the kind of record; `aad` says what it
/// belongs to (an object, an upload id and part number): both must be repeated to open it.
///
/// # Errors
/// Only when the random generator fails.
pub fn seal_record(key: &AttributeKey, purpose: &str, aad: &[u8], plain: &[u8]) -> Result<Vec<u8>, Error> {
    seal(key.expose(), purpose, aad, plain)
}

/// Opens what [`seal_record`] made.
///
/// # Errors
/// [`Error::Record`] when it is not unaltered, of this purpose, and of this place.
pub fn open_record(key: &AttributeKey, purpose: &str, aad: &[u8], sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, Error> {
    open(key.expose(), purpose, aad, sealed)
}

/// As [`seal_record`], under a data key: for what is a fingerprint of plaintext, as the digests of a part.
///
/// # Errors
/// Only when the random generator fails.
pub fn seal_under(key: &DataKey, purpose: &str, aad: &[u8], plain: &[u8]) -> Result<Vec<u8>, Error> {
    seal(key.expose(), purpose, aad, plain)
}

/// Opens what [`seal_under`] made.
///
/// # Errors
/// [`Error::Record`] as in [`open_record`].
pub fn open_under(key: &DataKey, purpose: &str, aad: &[u8], sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, Error> {
    open(key.expose(), purpose, aad, sealed)
}

fn seal(key: &[u8; 32], purpose: &str, aad: &[u8], plain: &[u8]) -> Result<Vec<u8>, Error> {
    let salt = Salt::random()?;
    let mut record = Vec::with_capacity(plain.len() + RECORD_OVERHEAD);
    record.push(VERSION);
    record.extend_from_slice(salt.as_bytes());
    record.extend_from_slice(plain);
    seal_once(&record_key(key, salt.as_bytes(), purpose), aad, &mut record, HEAD);
    Ok(record)
}

fn open(key: &[u8; 32], purpose: &str, aad: &[u8], record: &[u8]) -> Result<Zeroizing<Vec<u8>>, Error> {
    let (head, sealed) = record.split_at_checked(HEAD).ok_or(Error::Record)?;
    if head[0] != VERSION {
        return Err(Error::Unsupported("version of a sealed record"));
    }
    let mut plain = Zeroizing::new(sealed.to_vec());
    let len = open_once(&record_key(key, &head[1..], purpose), aad, &mut plain).ok_or(Error::Record)?.len();
    plain.truncate(len);
    Ok(plain)
}

fn record_key(key: &[u8; 32], salt: &[u8], purpose: &str) -> Zeroizing<[u8; 32]> {
    derive(key, salt, &[b"sealgate/1/record/", purpose.as_bytes()])
}

#[cfg(test)]
mod tests {
    use crate::kms::ServiceKey;

    use super::*;

    #[test]
    fn a_record_opens_with_its_key_purpose_and_place_only() {
        let (key, other) = (ServiceKey::new([1; 32]).attribute_key(), ServiceKey::new([2; 32]).attribute_key());
        let sealed = seal_record(&key, "part", b"upload 1 part 2", b"state").unwrap();
        assert_eq!(sealed.len(), 5 + RECORD_OVERHEAD);
        assert_eq!(open_record(&key, "part", b"upload 1 part 2", &sealed).unwrap().as_slice(), b"state");
        assert!(matches!(open_record(&other, "part", b"upload 1 part 2", &sealed), Err(Error::Record)));
        assert!(matches!(open_record(&key, "upload", b"upload 1 part 2", &sealed), Err(Error::Record)));
        assert!(matches!(open_record(&key, "part", b"upload 1 part 3", &sealed), Err(Error::Record)));
        for at in 0..sealed.len() {
            let mut altered = sealed.clone();
            altered[at] ^= 0x20;
            assert!(open_record(&key, "part", b"upload 1 part 2", &altered).is_err(), "byte {at}");
            assert!(open_record(&key, "part", b"upload 1 part 2", &sealed[..at]).is_err(), "cut at {at}");
        }
    }

    #[test]
    fn records_under_a_data_key_open_under_that_key_only() {
        let sealed = seal_under(&DataKey::new([1; 32]), "digests", b"", b"md5").unwrap();
        assert_eq!(open_under(&DataKey::new([1; 32]), "digests", b"", &sealed).unwrap().as_slice(), b"md5");
        assert!(matches!(open_under(&DataKey::new([2; 32]), "digests", b"", &sealed), Err(Error::Record)));
    }

    #[test]
    fn equal_records_do_not_look_equal() {
        let key = DataKey::new([1; 32]);
        assert_ne!(seal_under(&key, "a", b"", b"x").unwrap(), seal_under(&key, "a", b"", b"x").unwrap());
    }
}
