//! An object's metadata as headers, and back. What an upstream may drop, fold or rewrite is packed into a field of its
//! own in base64, so that what comes back is what was given, byte for byte: the metadata MAC depends on it.
//!
//! | header | value |
//! |---|---|
//! | `content-type`, `cache-control` … | the system headers, where they fit; `…-sealgate-h` says which were given |
//! | `x-amz-meta-<name>` | the user's metadata, where name and value fit |
//! | `x-amz-meta-sealgate-<field>` | the envelope's fields |
//! | `x-amz-meta-sealgate-w` | the write, anew with each: what tells two writes with equal bodies apart |
//! | `x-amz-meta-sealgate-h` | one letter for each system header that was given |
//! | `x-amz-meta-sealgate-p` | whatever did not fit, tags, and the ACL: base64 of postcard |

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::header::{HeaderMap, HeaderName, HeaderValue};
use serde::{Deserialize, Serialize};

use super::settings::Wire;
use crate::store::{Error, Metadata};

/// Follows the wire's prefix for user metadata in the name of each field that is ours.
const OURS: &str = "sealgate-";
const WRITE: &str = "w";
const GIVEN: &str = "h";
const PACKED: &str = "p";
/// The system headers, each with its letter.
const SYSTEM: [(&str, char); 6] = [
    ("cache-control", 'c'),
    ("content-disposition", 'd'),
    ("content-encoding", 'e'),
    ("content-language", 'l'),
    ("content-type", 't'),
    ("expires", 'x'),
];
/// What an object without a content type is stored with, so that no server's own default takes its place.
const NO_TYPE: &str = "application/octet-stream";

/// What does not fit into headers.
#[derive(Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Packed {
    system: BTreeMap<String, String>,
    user: BTreeMap<String, String>,
    tags: BTreeMap<String, String>,
    access: BTreeMap<String, String>,
}

/// The prefix of user metadata.
pub(super) fn meta_prefix(wire: Wire) -> &'static str {
    match wire {
        Wire::S3 => "x-amz-meta-",
        Wire::Oss => "x-oss-meta-",
    }
}

/// A value that every server gives back as it came: printable ASCII with single inner blanks.
fn fits(value: &str) -> bool {
    let printable = value.bytes().all(|b| b.is_ascii_graphic() || b == b' ');
    let trimmed = !value.is_empty() && !value.starts_with(' ') && !value.ends_with(' ') && !value.contains("  ");
    // `=?` begins what some servers take for an encoded word and decode.
    printable && trimmed && !value.starts_with("=?")
}

/// A name that every server gives back as it came: Ceph makes `-` of `_`, and none keeps upper case.
fn name_fits(name: &str) -> bool {
    let plain = !name.is_empty() && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
    plain && !name.starts_with(OURS)
}

/// The headers of a write. `most` is what names and values of user metadata may have together.
pub(super) fn encode(metadata: &Metadata, write: &str, wire: Wire, most: usize) -> Result<HeaderMap, Error> {
    let mut headers = HeaderMap::new();
    let mut packed = Packed { tags: metadata.tags.clone(), access: metadata.access.clone(), ..Packed::default() };
    let mut fields: Vec<(String, String)> = Vec::new();
    let mut given = String::new();
    for (name, value) in &metadata.system {
        match SYSTEM.iter().find(|(known, _)| known == name) {
            Some((known, letter)) if fits(value) => {
                given.push(*letter);
                set(&mut headers, known, value)?;
            }
            _ => {
                packed.system.insert(name.clone(), value.clone());
            }
        }
    }
    if !headers.contains_key(http::header::CONTENT_TYPE) {
        set(&mut headers, "content-type", NO_TYPE)?;
    }
    for (name, value) in &metadata.user {
        if name_fits(name) && fits(value) {
            fields.push((name.clone(), value.clone()));
        } else {
            packed.user.insert(name.clone(), value.clone());
        }
    }
    let mut ours = |name: &str, value: String| fields.push((format!("{OURS}{name}"), value));
    for (name, value) in &metadata.envelope {
        ours(name, value.clone());
    }
    ours(WRITE, write.to_owned());
    if !given.is_empty() {
        ours(GIVEN, given);
    }
    if packed != Packed::default() {
        let bytes = postcard::to_allocvec(&packed).map_err(|_| Error::MetadataTooLarge)?;
        ours(PACKED, STANDARD.encode(bytes));
    }
    if fields.iter().map(|(name, value)| name.len() + value.len()).sum::<usize>() > most {
        return Err(Error::MetadataTooLarge);
    }
    for (name, value) in fields {
        set(&mut headers, &format!("{}{name}", meta_prefix(wire)), &value)?;
    }
    Ok(headers)
}

fn set(headers: &mut HeaderMap, name: &str, value: &str) -> Result<(), Error> {
    let unfit = Error::Unsupported("the upstream cannot be told this header");
    let (Ok(name), Ok(value)) = (HeaderName::from_bytes(name.as_bytes()), HeaderValue::from_str(value)) else {
        return Err(unfit);
    };
    headers.insert(name, value);
    Ok(())
}

/// The metadata of an answer, and the write that it names (empty for what sealgate did not write). Whatever was added
/// or altered on the way stays in: the MAC finds it out.
pub(super) fn decode(headers: &HeaderMap, wire: Wire) -> (Metadata, String) {
    let mut metadata = Metadata::default();
    let (mut write, mut given, mut packed) = (String::new(), None, None);
    let prefix = meta_prefix(wire);
    for (name, value) in headers {
        let Some(name) = name.as_str().strip_prefix(prefix) else { continue };
        let value = String::from_utf8_lossy(value.as_bytes()).into_owned();
        match name.strip_prefix(OURS) {
            None => {
                metadata.user.insert(name.to_owned(), value);
            }
            Some(WRITE) => write = value,
            Some(GIVEN) => given = Some(value),
            Some(PACKED) => packed = Some(value),
            Some(field) => {
                metadata.envelope.insert(field.to_owned(), value);
            }
        }
    }
    let foreign = write.is_empty() && metadata.envelope.is_empty();
    for (name, letter) in SYSTEM {
        // What sealgate wrote says what was given; of what it did not write, everything counts.
        let counts = foreign || given.as_ref().is_some_and(|given| given.contains(letter));
        if let Some(value) = headers.get(name).filter(|_| counts) {
            metadata.system.insert(name.to_owned(), String::from_utf8_lossy(value.as_bytes()).into_owned());
        }
    }
    let unpacked = packed.and_then(|text| {
        let bytes = STANDARD.decode(text).ok()?;
        postcard::from_bytes::<Packed>(&bytes).ok()
    });
    if let Some(unpacked) = unpacked {
        metadata.system.extend(unpacked.system);
        metadata.user.extend(unpacked.user);
        metadata.tags = unpacked.tags;
        metadata.access = unpacked.access;
    }
    (metadata, write)
}

/// The name of a header that says of an object which of two writes it is.
pub(super) fn write_of(headers: &HeaderMap, wire: Wire) -> String {
    let name = format!("{}{OURS}{WRITE}", meta_prefix(wire));
    headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned()
}

/// An ETag without its quotes.
pub(super) fn etag_of(headers: &HeaderMap) -> String {
    headers.get(http::header::ETAG).and_then(|value| value.to_str().ok()).map(unquoted).unwrap_or_default()
}

/// A text without quotes around it.
pub(super) fn unquoted(text: &str) -> String {
    text.trim().trim_start_matches("W/").trim_matches('"').to_owned()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const ROOM: usize = 16 << 10;

    fn map(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|&(name, value)| (name.to_owned(), value.to_owned())).collect()
    }

    #[test]
    fn what_fits_stands_in_its_own_header() {
        let metadata = Metadata {
            system: map(&[("content-type", "text/plain"), ("expires", "whenever")]),
            user: map(&[("colour", "dark blue")]),
            envelope: map(&[("v", "1")]),
            ..Metadata::default()
        };
        let headers = encode(&metadata, "77", Wire::Oss, ROOM).unwrap();
        assert_eq!(headers["content-type"], "text/plain");
        assert_eq!(headers["x-oss-meta-colour"], "dark blue");
        assert_eq!(headers["x-oss-meta-sealgate-v"], "1");
        assert!(!headers.contains_key("x-oss-meta-sealgate-p"));
        assert_eq!(decode(&headers, Wire::Oss), (metadata, "77".to_owned()));
    }

    #[test]
    fn a_header_that_was_not_given_does_not_come_back() {
        let mut headers = encode(&Metadata::default(), "1", Wire::S3, ROOM).unwrap();
        headers.insert("cache-control", HeaderValue::from_static("max-age=1"));
        assert_eq!(decode(&headers, Wire::S3).0, Metadata::default());
    }

    #[test]
    fn of_a_foreign_object_everything_comes_back() {
        let pairs = [("content-type", "a/b"), ("x-amz-meta-x", "y")];
        let headers: HeaderMap =
            pairs.into_iter().map(|(n, v)| (HeaderName::from_static(n), HeaderValue::from_static(v))).collect();
        let (metadata, write) = decode(&headers, Wire::S3);
        assert_eq!((metadata.system, metadata.user), (map(&[("content-type", "a/b")]), map(&[("x", "y")])));
        assert_eq!(write, "");
    }

    #[test]
    fn more_than_the_upstream_keeps_is_refused_beforehand() {
        let metadata = Metadata { user: map(&[("a", &"x".repeat(2000))]), ..Metadata::default() };
        assert!(encode(&metadata, "1", Wire::S3, 2048).is_ok());
        assert!(matches!(encode(&metadata, "1", Wire::S3, 2000), Err(Error::MetadataTooLarge)));
    }

    proptest! {
        /// Through what an HTTP server may do: fold blanks at the ends, lower names, `_` to `-`, drop empty values.
        #[test]
        fn everything_comes_back_through_what_servers_do(
            system in prop::collection::btree_map("content-type|expires|content-encoding", "\\PC{0,20}", 0..3),
            user in prop::collection::btree_map("[a-z_.A-Z-]{1,8}", "(\\PC{0,12}| |=\\?x|a  b)", 0..5),
            tags in prop::collection::btree_map("\\PC{1,8}", "\\PC{0,8}", 0..3),
        ) {
            let metadata = Metadata { system, user, tags, envelope: map(&[("v", "1")]), ..Metadata::default() };
            let sent = encode(&metadata, "9", Wire::S3, ROOM).unwrap();
            let mut came = HeaderMap::new();
            for (name, value) in &sent {
                let name = name.as_str().replace('_', "-").to_ascii_lowercase();
                let value = value.to_str().unwrap().split(' ').filter(|word| !word.is_empty()).collect::<Vec<_>>();
                if !value.is_empty() {
                    let value = HeaderValue::from_str(&value.join(" ")).unwrap();
                    came.insert(HeaderName::from_bytes(name.as_bytes()).unwrap(), value);
                }
            }
            prop_assert_eq!(decode(&came, Wire::S3), (metadata, "9".to_owned()));
        }
    }
}
