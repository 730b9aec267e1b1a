//! The keys of records, so that RocksDB's bytewise order is the order of listings.
//!
//! ```text
//! object = bucket ‖ 00 ‖ object key, each 00 as 00 ff ‖ 00 01
//! upload = bucket ‖ 00 ‖ object key, each 00 as 00 ff ‖ 00 01 ‖ time of initiation u64 ‖ upload id[16]
//! part   = upload id[16] ‖ part number u32
//! ```
//!
//! A bucket's name has no 00. A 00 in an object key sorts after the end of a key and before every other byte, as it
//! must. Current objects have this key in the column family `objects`; versions that are not current will have it with
//! a suffix (newest first) in one of their own, so that the current one stays a single look-up.

use crate::types::{BucketName, ObjectAt, PartNumber, Timestamp, UploadId};

const END: [u8; 2] = [0, 1];
const ESCAPED_NUL: [u8; 2] = [0, 0xff];

/// What every record of a bucket starts with.
pub(super) fn bucket_prefix(bucket: &BucketName) -> Vec<u8> {
    let mut key = bucket.as_str().as_bytes().to_vec();
    key.push(0);
    key
}

/// What every record whose object key starts with `prefix` starts with.
pub(super) fn key_prefix(bucket: &BucketName, prefix: &str) -> Vec<u8> {
    let mut key = bucket_prefix(bucket);
    escape(prefix, &mut key);
    key
}

/// The record of an object.
pub(super) fn object(at: &ObjectAt) -> Vec<u8> {
    object_of(&at.bucket, at.key.as_str())
}

/// The record of an object key (or of what stands for one in a listing).
pub(super) fn object_of(bucket: &BucketName, key: &str) -> Vec<u8> {
    let mut record = key_prefix(bucket, key);
    record.extend_from_slice(&END);
    record
}

/// The object key of a record, and how many bytes of the record it and the bucket take up.
pub(super) fn parse_object(bucket: &BucketName, record: &[u8]) -> Option<(String, usize)> {
    let start = bucket.as_str().len() + 1;
    let mut key = Vec::with_capacity(record.len());
    let mut at = start;
    loop {
        match (*record.get(at)?, record.get(at + 1)) {
            (0, Some(0xff)) => {
                key.push(0);
                at += 2;
            }
            (0, Some(1)) => return Some((String::from_utf8(key).ok()?, at + 2)),
            (0, _) => return None,
            (byte, _) => {
                key.push(byte);
                at += 1;
            }
        }
    }
}

/// The record of an upload in the order of listings.
pub(super) fn upload_order(at: &ObjectAt, initiated: Timestamp, id: &UploadId) -> Vec<u8> {
    let mut record = object(at);
    record.extend_from_slice(&initiated.0.to_be_bytes());
    record.extend_from_slice(&bits(id));
    record
}

/// What the records of an upload's parts start with.
pub(super) fn upload(id: &UploadId) -> Vec<u8> {
    bits(id).to_vec()
}

/// The record of a part.
pub(super) fn part(id: &UploadId, number: PartNumber) -> Vec<u8> {
    let mut record = upload(id);
    record.extend_from_slice(&number.get().to_be_bytes());
    record
}

/// The first key after all that start with `prefix`; `None` when there is none.
pub(super) fn after_prefix(prefix: &[u8]) -> Option<Vec<u8>> {
    let mut end = prefix.to_vec();
    while let Some(last) = end.pop() {
        if last < 0xff {
            end.push(last + 1);
            return Some(end);
        }
    }
    None
}

fn escape(text: &str, into: &mut Vec<u8>) {
    for &byte in text.as_bytes() {
        if byte == 0 { into.extend_from_slice(&ESCAPED_NUL) } else { into.push(byte) }
    }
}

/// An upload id is 32 hex digits by its type.
fn bits(id: &UploadId) -> [u8; 16] {
    let mut bits = [0; 16];
    match hex::decode_to_slice(id.as_str(), &mut bits) {
        Ok(()) => bits,
        Err(_) => [0; 16],
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn records_sort_as_object_keys_do(left in "\\PC*|[\u{0}\u{1}a]{0,4}", right in "\\PC*|[\u{0}\u{1}a]{0,4}") {
            let bucket: BucketName = "bucket".parse().unwrap();
            let (a, b) = (object_of(&bucket, &left), object_of(&bucket, &right));
            prop_assert_eq!(a.cmp(&b), left.as_bytes().cmp(right.as_bytes()));
            prop_assert_eq!(parse_object(&bucket, &a), Some((left, a.len())));
        }
    }
}
