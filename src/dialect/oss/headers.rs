//! The headers that a client gives an object.

use std::collections::BTreeMap;

use http::{HeaderMap, HeaderName, header};

use crate::gateway::{ObjectHeaders, ObjectLock};

use super::face::Face;
use super::{acl, tagging};

/// What begins the name of user metadata.
pub(super) const META: &str = "x-oss-meta-";
/// The type of an object whose client names none.
const DEFAULT_TYPE: &str = "application/octet-stream";

/// The headers that an object keeps, besides its user metadata.
const SYSTEM: [HeaderName; 6] = [
    header::CONTENT_TYPE,
    header::CACHE_CONTROL,
    header::CONTENT_ENCODING,
    header::CONTENT_DISPOSITION,
    header::CONTENT_LANGUAGE,
    header::EXPIRES,
];

/// The headers of a request that are the object's.
pub(super) fn of(headers: &HeaderMap) -> Result<ObjectHeaders, Face> {
    let mut system = BTreeMap::new();
    for name in SYSTEM {
        let joined = joined(headers, &name)?;
        if !joined.is_empty() {
            system.insert(name.as_str().to_owned(), joined);
        }
    }
    system.entry(header::CONTENT_TYPE.as_str().to_owned()).or_insert_with(|| DEFAULT_TYPE.to_owned());
    let mut user = BTreeMap::new();
    for name in headers.keys() {
        let Some(short) = name.as_str().strip_prefix(META).filter(|short| !short.is_empty()) else { continue };
        user.insert(short.to_owned(), joined(headers, name)?);
    }
    let (tags, acl) = (tagging::header(headers)?, acl::of_object(headers)?);
    Ok(ObjectHeaders { system, user, tags, acl, lock: ObjectLock::default() })
}

/// Several lines of one header are one value, as they were signed.
fn joined(headers: &HeaderMap, name: &HeaderName) -> Result<String, Face> {
    let mut values = Vec::new();
    for value in headers.get_all(name) {
        let text = std::str::from_utf8(value.as_bytes());
        values.push(text.map_err(|_| Face::argument(name.as_str(), "", "The header is not UTF-8 text."))?);
    }
    Ok(values.join(","))
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    #[test]
    fn system_headers_and_metadata_are_kept_and_the_type_has_a_default() {
        let mut headers = HeaderMap::new();
        headers.insert(header::EXPIRES, HeaderValue::from_static("soon"));
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static(""));
        headers.insert("x-oss-meta-author", HeaderValue::from_bytes("é".as_bytes()).unwrap());
        headers.append("x-oss-meta-two", HeaderValue::from_static("a"));
        headers.append("x-oss-meta-two", HeaderValue::from_static("b"));
        let kept = of(&headers).unwrap();
        let pairs: Vec<_> = kept.system.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        assert_eq!(pairs, [("content-type", "application/octet-stream"), ("expires", "soon")]);
        let user: Vec<_> = kept.user.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        assert_eq!(user, [("author", "é"), ("two", "a,b")]);
    }

    #[test]
    fn what_is_not_text_is_refused() {
        let mut headers = HeaderMap::new();
        headers.insert("x-oss-meta-a", HeaderValue::from_bytes(b"\xff").unwrap());
        assert_eq!(of(&headers).unwrap_err().code, "InvalidArgument");
    }
}
