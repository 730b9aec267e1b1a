//! The canonical forms that are signed.
//!
//! S3's rules differ from other services': the path is encoded once and never normalised, so `a//b` and `a/../b` are
//! keys of their own. <https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html>

use std::fmt::Write as _;

use http::request::Parts;
use http::{HeaderMap, header};

use super::error::AuthError;
use super::query::{Pair, pairs, percent_decode};

/// How a service's path is put into canonical form.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum PathRule {
    /// Decode, then encode once (S3).
    EncodeOnce,
    /// Encode what was sent, that is, twice (everything but S3).
    EncodeSent,
}

/// Appends `bytes`, each but RFC 3986's unreserved ones (and, where `keep_slash`, the slash) as `%XX`.
pub(super) fn encode_into(out: &mut String, bytes: &[u8], keep_slash: bool) {
    for &byte in bytes {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => out.push(char::from(byte)),
            b'/' if keep_slash => out.push('/'),
            // Writing to a String cannot fail.
            _ => {
                let _ = write!(out, "%{byte:02X}");
            }
        }
    }
}

/// The canonical path.
pub(super) fn path(raw: &str, rule: PathRule) -> String {
    let mut out = String::with_capacity(raw.len());
    match rule {
        PathRule::EncodeOnce => encode_into(&mut out, &percent_decode(raw.as_bytes()), true),
        PathRule::EncodeSent => encode_into(&mut out, raw.as_bytes(), true),
    }
    if out.is_empty() { "/".to_owned() } else { out }
}

/// The canonical query: every pair but `X-Amz-Signature`, encoded and sorted.
pub(super) fn query(raw: &str) -> String {
    let encoded = |bytes: &[u8]| {
        let mut out = String::with_capacity(bytes.len());
        encode_into(&mut out, bytes, false);
        out
    };
    let signed = pairs(raw).filter(|pair| *pair.name != *b"X-Amz-Signature");
    let mut all: Vec<_> = signed.map(|pair| (encoded(&pair.name), encoded(&pair.value))).collect();
    all.sort();
    let mut out = String::with_capacity(raw.len());
    for (index, (name, value)) in all.iter().enumerate() {
        let separator = if index == 0 { "" } else { "&" };
        let _ = write!(out, "{separator}{name}={value}");
    }
    out
}

/// A header's value in canonical form: trimmed, runs of spaces made one, several lines joined by commas. `None` when
/// the request has no such header.
pub(super) fn header_value(headers: &HeaderMap, name: &str) -> Option<Vec<u8>> {
    let mut out: Option<Vec<u8>> = None;
    for value in headers.get_all(name) {
        let joined = out.get_or_insert_with(Vec::new);
        if !joined.is_empty() {
            joined.push(b',');
        }
        let mut space = false;
        for &byte in value.as_bytes().trim_ascii() {
            if !(byte == b' ' && space) {
                joined.push(byte);
            }
            space = byte == b' ';
        }
    }
    out
}

/// A header's value as SigV2 and the OSS schemes sign it: its lines trimmed and joined by commas, the spaces inside kept.
/// `None` when the request has no such header.
pub(super) fn joined_header_value(headers: &HeaderMap, name: &str) -> Option<Vec<u8>> {
    let lines: Vec<&[u8]> = headers.get_all(name).iter().map(|value| value.as_bytes().trim_ascii()).collect();
    if lines.is_empty() { None } else { Some(lines.join(&b","[..])) }
}

/// Why a request names no host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum HostFlaw {
    /// There is none, or what says it does not agree.
    Invalid,
    /// There are two `Host` headers.
    Twice,
}

impl From<HostFlaw> for AuthError {
    fn from(flaw: HostFlaw) -> Self {
        match flaw {
            HostFlaw::Invalid => Self::HostInvalid,
            HostFlaw::Twice => Self::DuplicateHeader("host".to_owned()),
        }
    }
}

/// The host that a request names: the `Host` header, or the target's authority where there is no header. Two `Host`
/// headers, or a header and a target that differ, could mean one host here and another one behind us.
pub(super) fn host(parts: &Parts) -> Result<String, HostFlaw> {
    let mut headers = parts.headers.get_all(header::HOST).iter();
    let first = headers.next();
    if headers.next().is_some() {
        return Err(HostFlaw::Twice);
    }
    let named = first.map(|value| value.to_str().map_err(|_| HostFlaw::Invalid)).transpose()?;
    match (named.map(str::trim), parts.uri.authority()) {
        (Some(host), None) => Ok(host.to_owned()),
        (Some(host), Some(target)) if host.eq_ignore_ascii_case(target.as_str()) => Ok(host.to_owned()),
        (None, Some(target)) => Ok(target.as_str().to_owned()),
        _ => Err(HostFlaw::Invalid),
    }
}

/// The parameters that SigV2 signs. Everything that selects another operation is here, also what was added to S3 after
/// SigV2's list was written: a parameter outside the list could be added to a signed request.
const SIGV2_PARAMETERS: &[&str] = &[
    "accelerate",
    "acl",
    "analytics",
    "attributes",
    "cors",
    "delete",
    "encryption",
    "intelligent-tiering",
    "inventory",
    "legal-hold",
    "lifecycle",
    "location",
    "logging",
    "metrics",
    "notification",
    "object-lock",
    "ownershipControls",
    "partNumber",
    "policy",
    "policyStatus",
    "publicAccessBlock",
    "replication",
    "requestPayment",
    "response-cache-control",
    "response-content-disposition",
    "response-content-encoding",
    "response-content-language",
    "response-content-type",
    "response-expires",
    "restore",
    "retention",
    "select",
    "select-type",
    "storageClass",
    "tagging",
    "torrent",
    "uploadId",
    "uploads",
    "versionId",
    "versioning",
    "versions",
    "website",
];

/// SigV2's canonical resource: the bucket that the host names, if it names one, the path as sent, and the
/// sub-resources in order, their values decoded.
/// <https://docs.aws.amazon.com/AmazonS3/latest/API/RESTAuthentication.html>
#[must_use]
pub fn sigv2_resource(bucket_in_host: Option<&str>, path: &str, query: &str) -> Vec<u8> {
    let mut out = Vec::with_capacity(path.len());
    if let Some(bucket) = bucket_in_host {
        out.push(b'/');
        out.extend_from_slice(bucket.as_bytes());
    }
    out.extend_from_slice(if path.is_empty() { b"/" } else { path.as_bytes() });
    let signed = |pair: &Pair<'_>| SIGV2_PARAMETERS.iter().any(|name| *name.as_bytes() == *pair.name);
    let mut all: Vec<_> = pairs(query).filter(signed).collect();
    all.sort_by(|a, b| (&a.name, &a.value).cmp(&(&b.name, &b.value)));
    for (index, pair) in all.iter().enumerate() {
        out.push(if index == 0 { b'?' } else { b'&' });
        out.extend_from_slice(&pair.name);
        if pair.raw.contains('=') {
            out.push(b'=');
            out.extend_from_slice(&pair.value);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn s3_paths_are_encoded_once_and_never_normalised() {
        for (raw, canonical) in [
            ("", "/"),
            ("/", "/"),
            ("/a//b/../c/./d", "/a//b/../c/./d"),
            ("/test$file.text", "/test%24file.text"),
            ("/test%24file.text", "/test%24file.text"),
            ("/a%2fb", "/a/b"),
            ("/%e6%97%a5", "/%E6%97%A5"),
            ("/%252e", "/%252e"),
            ("/a+b c*~", "/a%2Bb%20c%2A~"),
            ("/100%", "/100%25"),
        ] {
            assert_eq!(path(raw, PathRule::EncodeOnce), canonical, "{raw}");
        }
        assert_eq!(path("/a%20b", PathRule::EncodeSent), "/a%2520b");
    }

    #[test]
    fn queries_are_sorted_and_the_signature_left_out() {
        assert_eq!(query("prefix=J&max-keys=2"), "max-keys=2&prefix=J");
        assert_eq!(query("lifecycle"), "lifecycle=");
        assert_eq!(query("b=2&X-Amz-Signature=1&a=%2F&b=1&&A="), "A=&a=%2F&b=1&b=2");
        assert_eq!(query("a=x+y"), query("a=x%20y"));
        assert_ne!(query("a=x+y"), query("a=x%2By"));
        assert_eq!(query("a=b=c"), "a=b%3Dc");
    }

    #[test]
    fn header_values_are_trimmed_and_joined() {
        let mut headers = HeaderMap::new();
        headers.append("x", " a   b ".parse().unwrap());
        headers.append("x", "c".parse().unwrap());
        assert_eq!(header_value(&headers, "x").unwrap(), b"a b,c");
        assert_eq!(header_value(&headers, "y"), None);
    }

    #[test]
    fn a_sigv2_resource_names_the_bucket_and_the_sub_resources() {
        assert_eq!(sigv2_resource(Some("b"), "/k", ""), b"/b/k");
        assert_eq!(
            sigv2_resource(None, "/b/k%20", "uploadId=x%2By&partNumber=2&prefix=q"),
            b"/b/k%20?partNumber=2&uploadId=x+y"
        );
        assert_eq!(sigv2_resource(None, "", "acl"), b"/?acl");
        assert_eq!(sigv2_resource(None, "/b", "%61cl"), b"/b?acl");
    }
}
