//! The keys under which records stand, so that RocksDB's bytewise order is the order of listings.
//!
//! * object: `bucket ‖ 00 ‖ key, each 00 written 00 FF ‖ 00 00`, then
//!   `00` for the current version, `01 ‖ its sequence number u64 BE, all bits inverted` for another one (so that the newest
//!   comes first), and `02 ‖ version id` (zeros: `null`) for where such another one stands. A key has a current version or
//!   none at all.
//! * upload order: the same up to `00 00`, then `initiated u64 BE ‖ upload id`
//! * part: `upload id ‖ number u32 BE`
//!
//! Escaping NUL keeps the order: the terminator `00 00` sorts before an escaped NUL (`00 FF`), and that before every
//! other byte. `FF` is in no UTF-8 text, so `escaped text ‖ FF` stands after everything that begins with that text.

use crate::store::Error;
use crate::types::{BucketName, ObjectAt, ObjectKey, PartNumber, Timestamp, UploadId, VersionId};

/// Ends an object key.
const END: [u8; 2] = [0, 0];
/// Sorts after whatever may follow.
pub(crate) const PAST: u8 = 0xFF;
/// The current version.
pub(crate) const CURRENT: u8 = 0;
/// Other versions.
pub(crate) const OTHER: u8 = 1;
/// Where other versions stand.
const POINTER: u8 = 2;

/// What every key of a bucket begins with.
pub(crate) fn bucket_prefix(bucket: &BucketName) -> Vec<u8> {
    let mut out = Vec::with_capacity(1200);
    out.extend_from_slice(bucket.as_str().as_bytes());
    out.push(0);
    out
}

/// Appends text, NULs escaped.
pub(crate) fn push_escaped(out: &mut Vec<u8>, text: &str) {
    for &byte in text.as_bytes() {
        out.push(byte);
        if byte == 0 {
            out.push(PAST);
        }
    }
}

/// `bucket ‖ 00 ‖ text`: where keys that start with the text begin.
pub(crate) fn text_start(bucket: &BucketName, text: &str) -> Vec<u8> {
    let mut out = bucket_prefix(bucket);
    push_escaped(&mut out, text);
    out
}

/// `bucket ‖ 00 ‖ key ‖ 00 00`: where the rows of exactly this key begin.
pub(crate) fn key_start(bucket: &BucketName, key: &str) -> Vec<u8> {
    let mut out = text_start(bucket, key);
    out.extend_from_slice(&END);
    out
}

/// The current version of an object.
pub(crate) fn object(at: &ObjectAt) -> Vec<u8> {
    let mut out = key_start(&at.bucket, at.key.as_str());
    out.push(CURRENT);
    out
}

/// What the rows of all versions but the current one begin with.
pub(crate) fn others(at: &ObjectAt) -> Vec<u8> {
    let mut out = key_start(&at.bucket, at.key.as_str());
    out.push(OTHER);
    out
}

/// A version that is not the current one.
pub(crate) fn other(at: &ObjectAt, sequence: u64) -> Vec<u8> {
    let mut out = others(at);
    out.extend_from_slice(&(!sequence).to_be_bytes());
    out
}

/// Where a version that is not the current one stands; `None` is the `null` version.
pub(crate) fn pointer(at: &ObjectAt, version: Option<[u8; 16]>) -> Vec<u8> {
    let mut out = key_start(&at.bucket, at.key.as_str());
    out.push(POINTER);
    out.extend_from_slice(&version.unwrap_or_default());
    out
}

/// The bits of a version id; `None` is the `null` version. Every other [`VersionId`] is 32 hex digits by construction.
///
/// # Errors
/// [`Error::NoSuchObject`] for what is none, and for the zeros that stand for `null` in rows.
pub(crate) fn version_bits(version: &VersionId) -> Result<Option<[u8; 16]>, Error> {
    if version.is_null() {
        return Ok(None);
    }
    let mut bits = [0; 16];
    hex::decode_to_slice(version.as_str(), &mut bits).map_err(|_| Error::NoSuchObject)?;
    if bits == [0; 16] { Err(Error::NoSuchObject) } else { Ok(Some(bits)) }
}

/// An upload's place in its bucket's order.
pub(crate) fn upload_order(at: &ObjectAt, initiated: Timestamp, id: &[u8; 16]) -> Vec<u8> {
    let mut out = key_start(&at.bucket, at.key.as_str());
    out.extend_from_slice(&initiated.0.to_be_bytes());
    out.extend_from_slice(id);
    out
}

/// A part.
pub(crate) fn part(upload: &[u8; 16], number: PartNumber) -> Vec<u8> {
    let mut out = upload.to_vec();
    out.extend_from_slice(&number.get().to_be_bytes());
    out
}

/// The number in a part's key.
///
/// # Errors
/// [`Error::Corrupt`] when it is no part's key.
pub(crate) fn part_number(key: &[u8]) -> Result<PartNumber, Error> {
    key.get(16..)
        .and_then(|tail| <[u8; 4]>::try_from(tail).ok())
        .and_then(|bits| PartNumber::try_from(u32::from_be_bytes(bits)).ok())
        .ok_or_else(|| Error::Corrupt("a part's key has no part number".to_owned()))
}

/// The bits of an upload id. Every [`UploadId`] is 32 hex digits by construction.
///
/// # Errors
/// [`Error::NoSuchUpload`] for what is none.
pub(crate) fn upload_bits(id: &UploadId) -> Result<[u8; 16], Error> {
    let mut bits = [0; 16];
    hex::decode_to_slice(id.as_str(), &mut bits).map_err(|_| Error::NoSuchUpload)?;
    Ok(bits)
}

/// Splits a row's key (after the bucket prefix) into the object key and what follows its end.
///
/// # Errors
/// [`Error::Corrupt`] when it was not made by this module.
pub(crate) fn split(row: &[u8]) -> Result<(ObjectKey, &[u8]), Error> {
    let bad = || Error::Corrupt("a row's key cannot be read".to_owned());
    let mut text = Vec::with_capacity(row.len());
    let mut rest = row;
    loop {
        match rest {
            [0, PAST, tail @ ..] => {
                text.push(0);
                rest = tail;
            }
            [0, 0, tail @ ..] => {
                let text = String::from_utf8(text).map_err(|_| bad())?;
                return Ok((text.parse().map_err(|_| bad())?, tail));
            }
            [0, ..] | [] => return Err(bad()),
            [byte, tail @ ..] => {
                text.push(*byte);
                rest = tail;
            }
        }
    }
}

/// Whether an object's row holds a version, and not where one stands.
pub(crate) fn is_version(row: &[u8]) -> bool {
    let rest = row.iter().position(|&byte| byte == 0).and_then(|end| row.get(end + 1..));
    let kind = rest.and_then(|rest| split(rest).ok()).and_then(|(_, rest)| rest.first().copied());
    matches!(kind, Some(CURRENT | OTHER))
}

/// `bucket/key` of an object's row, for people.
pub(crate) fn readable(row: &[u8]) -> String {
    let end = row.iter().position(|&byte| byte == 0).unwrap_or(row.len());
    let (bucket, rest) = row.split_at(end);
    let key = rest.get(1..).and_then(|rest| split(rest).ok()).map(|(key, _)| key);
    let bucket = String::from_utf8_lossy(bucket);
    key.map_or_else(|| format!("{bucket}/?"), |key| format!("{bucket}/{}", key.as_str()))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(key: &str) -> ObjectAt {
        ObjectAt { bucket: "bucket".parse().unwrap(), key: key.parse().unwrap() }
    }

    proptest! {
        #[test]
        fn rows_sort_as_their_object_keys_do(a in "[\0\u{1}a/é\u{ff}]{1,6}", b in "[\0\u{1}a/é\u{ff}]{1,6}") {
            prop_assert_eq!(object(&at(&a)).cmp(&object(&at(&b))), a.as_bytes().cmp(b.as_bytes()));
        }

        #[test]
        fn a_row_gives_its_object_key_back(key in "\\PC{1,40}|[\0a]{1,9}") {
            let row = object(&at(&key));
            let (back, rest) = split(&row["bucket\0".len()..]).unwrap();
            prop_assert_eq!(back.as_str(), key.as_str());
            prop_assert_eq!(rest, &[CURRENT][..]);
        }

        #[test]
        fn past_a_text_means_after_all_that_begins_with_it(text in "[\0a/]{1,4}", more in "[\0a\u{10ffff}]{0,4}") {
            let mut past = text_start(&at("x").bucket, &text);
            past.push(PAST);
            let key = [text, more].concat();
            prop_assert!(object(&at(&key)) < past);
        }
    }

    #[test]
    fn the_rows_of_a_key_are_current_then_newest_first_then_pointers() {
        let at = at("k");
        let rows = [object(&at), other(&at, u64::MAX), other(&at, 8), other(&at, 7), pointer(&at, None)];
        assert!(rows.is_sorted() && pointer(&at, None) < pointer(&at, Some([1; 16])));
        assert!(rows[4] < object(&super::tests::at("k0")));
    }

    #[test]
    fn a_key_that_was_not_made_here_is_corrupt() {
        for bad in [&b"abc"[..], b"a\0", b"a\0\x01", b"\0\0", b"\xff\0\0"] {
            assert!(matches!(split(bad), Err(Error::Corrupt(_))));
        }
    }
}
