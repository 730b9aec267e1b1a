//! Promises about OSS's documents and addresses. See `crate::fuzzing`.

use super::host::Hosts;
use super::{copy, cors, delete_multiple, encryption, multipart, tagging};

/// The documents that requests carry: they are read or refused, what is read is bounded, and what we would write of it
/// reads back as the same.
pub(crate) fn xml(input: &[u8]) {
    if let Ok(default) = encryption::read(input) {
        assert_eq!(encryption::read(&encryption::write(&default)).ok(), Some(default), "a rule that changes");
    }
    if let Ok(rules) = cors::read(input) {
        let written = cors::write(&rules);
        // Blanks around a text do not count, so that a second reading may see fewer; from then on nothing changes.
        let again = cors::read(&written).unwrap_or_default();
        assert_eq!(cors::read(&cors::write(&again)).ok(), Some(again), "CORS rules that change");
    }
    if let Ok(parts) = multipart::named_parts(input) {
        assert!((1..=10_000).contains(&parts.len()), "parts beyond what an upload can have");
    }
    if let Ok(tags) = tagging::read(input, crate::gateway::OBJECT_TAGS) {
        assert!(tags.len() <= crate::gateway::OBJECT_TAGS, "more tags than an object can have");
    }
    if let Ok(count) = delete_multiple::count(input) {
        assert!((1..=1000).contains(&count), "more keys than one request may name");
    }
}

/// An `x-oss-copy-source`: what names an object names a valid one.
pub(crate) fn copy_source(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else { return };
    if let Ok((at, _)) = copy::read(text) {
        assert!(!at.key.as_str().is_empty() && at.key.as_str().len() <= 1024, "a key that is none");
        assert!(!at.bucket.as_str().contains('/'), "a bucket that is none");
    }
}

/// A host and a path: there is a reading, at most two of them, and both are of one bucket.
pub(crate) fn address(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else { return };
    let (host, path) = text.split_once('\n').unwrap_or((text, "/"));
    let hosts = Hosts::new(&["base.test".to_owned()], &[], [("img.test".to_owned(), "pictures".to_owned())]);
    let Ok(readings) = hosts.readings(host, path) else { return };
    match readings.as_slice() {
        [one] => assert!(one.bucket.is_some() || one.key.is_none(), "a key of no bucket"),
        [first, second] => {
            assert!(first.bucket.is_some() && first.bucket == second.bucket, "two buckets");
            assert_ne!(first.key, second.key, "two readings that are one");
        }
        other => assert!(other.is_empty(), "too many readings"),
    }
    assert!(!readings.is_empty(), "no reading");
    let _ = hosts.is_oss(host);
}
