//! The canonical forms that the OSS schemes sign.

use std::fmt::Write as _;

use http::request::Parts;
use http::{HeaderName, HeaderValue, header};
use zeroize::Zeroizing;

use crate::identity::canonical::{encode_into, joined_header_value};
use crate::identity::query::pairs;

use super::OssResource;
use super::subresources::v1_signs;

/// Whether a canonical form is to be signed, or shown to the one whose signature was wrong: what is a secret in itself is
/// not repeated in an answer, which may be logged by any number of proxies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum For {
    Show,
    Sign,
}

/// Bytes that may hold a token or a customer's key.
pub(super) type Text = Zeroizing<Vec<u8>>;

const MASK: &[u8] = b"***";

fn is_secret(name: &[u8]) -> bool {
    name.ends_with(b"security-token") || name.ends_with(b"customer-key")
}

fn shown<'a>(name: &[u8], value: &'a [u8], to: For) -> &'a [u8] {
    if to == For::Show && is_secret(name) { MASK } else { value }
}

/// `/`, `/bucket/` or `/bucket/key`, whatever the style of the address; the key as its bytes are.
pub(super) fn path(resource: &OssResource) -> String {
    let mut out = "/".to_owned();
    if let Some(bucket) = &resource.bucket {
        out.push_str(bucket);
        out.push('/');
    }
    out.push_str(resource.key.as_deref().unwrap_or_default());
    out
}

/// [`path`], every byte but the unreserved ones (and, where `keep_slash`, the slash) as `%XX`.
pub(super) fn encoded_path(resource: &OssResource, keep_slash: bool) -> String {
    encoded(path(resource).as_bytes(), keep_slash)
}

fn encoded(bytes: &[u8], keep_slash: bool) -> String {
    let mut out = String::with_capacity(bytes.len());
    encode_into(&mut out, bytes, keep_slash);
    out
}

/// V1's resource: the path and the signed parameters in order, their values decoded; an empty value has no `=`.
///
/// A key with `?acl` in its name and the operation `?acl` on the shorter key are one text here. That is V1's own
/// weakness; V4 has it not.
pub(super) fn v1_resource(resource: &OssResource, query: &str, to: For) -> Text {
    let mut out = Zeroizing::new(path(resource).into_bytes());
    let mut signed: Vec<_> = pairs(query).filter(|pair| v1_signs(&pair.name)).collect();
    signed.sort_by(|a, b| (&a.name, &a.value).cmp(&(&b.name, &b.value)));
    for (index, pair) in signed.iter().enumerate() {
        out.push(if index == 0 { b'?' } else { b'&' });
        out.extend_from_slice(&pair.name);
        if !pair.value.is_empty() {
            out.push(b'=');
            out.extend_from_slice(shown(&pair.name, &pair.value, to));
        }
    }
    out
}

/// All parameters but the one of the name `except`, encoded and in order; an empty value has no `=`.
pub(super) fn query(raw: &str, except: &[u8], to: For) -> Zeroizing<String> {
    let signed = pairs(raw).filter(|pair| *pair.name != *except);
    let encode =
        |name: &[u8], value: &[u8]| (encoded(name, false), Zeroizing::new(encoded(shown(name, value, to), false)));
    let mut all: Vec<_> = signed.map(|pair| encode(&pair.name, &pair.value)).collect();
    all.sort_by(|a, b| (&a.0, a.1.as_str()).cmp(&(&b.0, b.1.as_str())));
    let mut out = Zeroizing::new(String::with_capacity(raw.len()));
    for (index, (name, value)) in all.iter().enumerate() {
        let separator = if index == 0 { "" } else { "&" };
        let equals = if value.is_empty() { "" } else { "=" };
        // Writing to a String cannot fail.
        let _ = write!(out, "{separator}{name}{equals}{}", value.as_str());
    }
    out
}

/// Which headers a scheme signs beside those of the name `x-oss-*`.
pub(super) fn headers(parts: &Parts, host: &str, always: &[HeaderName], additional: &[&str], to: For) -> Text {
    let of_request = parts.headers.keys().map(HeaderName::as_str).filter(|name| name.starts_with("x-oss-"));
    let always = always.iter().filter(|name| parts.headers.contains_key(*name)).map(HeaderName::as_str);
    let mut names: Vec<&str> = of_request.chain(always).chain(additional.iter().copied()).collect();
    names.sort_unstable();
    names.dedup();
    let mut out = Zeroizing::new(Vec::new());
    for name in names {
        let value = if name == header::HOST { Some(host.into()) } else { joined_header_value(&parts.headers, name) };
        let value = Zeroizing::new(value.unwrap_or_default());
        out.extend_from_slice(name.as_bytes());
        out.push(b':');
        out.extend_from_slice(shown(name.as_bytes(), &value, to));
        out.push(b'\n');
    }
    out
}

/// The lines that V1 and V2 begin with: method, `Content-MD5`, `Content-Type` and the date line.
pub(super) fn first_lines(parts: &Parts, date: &str) -> Text {
    let value = |name: &str| parts.headers.get(name).map(HeaderValue::as_bytes).unwrap_or_default();
    let mut out = Zeroizing::new(Vec::with_capacity(256));
    for line in [parts.method.as_str().as_bytes(), value("content-md5"), value("content-type"), date.as_bytes()] {
        out.extend_from_slice(line);
        out.push(b'\n');
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::testing::head;

    fn at(bucket: &str, key: &str) -> OssResource {
        OssResource { bucket: Some(bucket.to_owned()), key: Some(key.to_owned()).filter(|key| !key.is_empty()) }
    }

    #[test]
    fn a_resource_is_always_named_by_its_bucket() {
        assert_eq!(path(&OssResource::default()), "/");
        assert_eq!(path(&at("b", "")), "/b/");
        assert_eq!(path(&at("b", "a//../é")), "/b/a//../é");
        assert_eq!(encoded_path(&at("b", "a/ +é~"), true), "/b/a/%20%2B%C3%A9~");
        assert_eq!(encoded_path(&at("b", "a/"), false), "%2Fb%2Fa%2F");
    }

    #[test]
    fn v1_takes_what_it_signs_and_v4_takes_all() {
        let raw = "uploads=&prefix=a%2Fb&partNumber=2&response-content-type=a%2F%2B&x-oss-process=&%61cl";
        let v1 = v1_resource(&at("b", "k"), raw, For::Sign);
        assert_eq!(v1.as_slice(), b"/b/k?acl&partNumber=2&response-content-type=a/+&uploads&x-oss-process");
        let v4 = query(raw, b"x-oss-process", For::Sign);
        assert_eq!(v4.as_str(), "acl&partNumber=2&prefix=a%2Fb&response-content-type=a%2F%2B&uploads");
    }

    #[test]
    fn headers_are_trimmed_joined_and_in_order() {
        let parts = head(
            "PUT",
            "/",
            &[("x-oss-meta-b", " 1  2 "), ("x-oss-meta-b", "3"), ("content-type", "t"), ("range", "r")],
        );
        let signed = headers(&parts, "h", &[header::CONTENT_TYPE], &["host"], For::Sign);
        assert_eq!(signed.as_slice(), b"content-type:t\nhost:h\nx-oss-meta-b:1  2,3\n");
    }

    #[test]
    fn what_is_shown_repeats_no_secret() {
        let parts =
            head("PUT", "/", &[("x-oss-security-token", "tok"), ("x-oss-server-side-encryption-customer-key", "key")]);
        let lines = headers(&parts, "h", &[], &[], For::Show);
        assert_eq!(lines.as_slice(), b"x-oss-security-token:***\nx-oss-server-side-encryption-customer-key:***\n");
        assert_eq!(v1_resource(&at("b", "k"), "security-token=tok", For::Show).as_slice(), b"/b/k?security-token=***");
        assert_eq!(query("x-oss-security-token=tok", b"", For::Show).as_str(), "x-oss-security-token=%2A%2A%2A");
    }
}
