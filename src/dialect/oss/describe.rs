//! What answers say of an object: the headers of GET, HEAD and writes.

use http::{HeaderMap, HeaderName, HeaderValue, header};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;

use crate::dialect::conditions::http_date;
use crate::gateway::{ObjectInfo, Written};
use crate::sse::ObjectKind;
use crate::types::VersionId;

use super::error::{NEXT_POSITION, VERSION_ID, quoted};
use super::face::Face;
use super::headers::META;
use super::query::Query;
use super::sse;

/// CRC-64 (ECMA-182, reflected) of the whole plaintext, decimal.
const CRC64: HeaderName = HeaderName::from_static("x-oss-hash-crc64ecma");
const CONTENT_MD5: HeaderName = HeaderName::from_static("content-md5");
const OBJECT_TYPE: HeaderName = HeaderName::from_static("x-oss-object-type");
const STORAGE_CLASS: HeaderName = HeaderName::from_static("x-oss-storage-class");
const TAGGING_COUNT: HeaderName = HeaderName::from_static("x-oss-tagging-count");

/// The parameters of a signed GET that replace what the object says of itself.
const OVERRIDES: [(&str, HeaderName); 6] = [
    ("response-content-type", header::CONTENT_TYPE),
    ("response-content-language", header::CONTENT_LANGUAGE),
    ("response-expires", header::EXPIRES),
    ("response-cache-control", header::CACHE_CONTROL),
    ("response-content-disposition", header::CONTENT_DISPOSITION),
    ("response-content-encoding", header::CONTENT_ENCODING),
];

/// The word for how an object came to be.
pub(super) fn kind(kind: ObjectKind) -> &'static str {
    match kind {
        ObjectKind::Normal => "Normal",
        ObjectKind::Multipart => "Multipart",
        ObjectKind::Appendable => "Appendable",
        ObjectKind::Symlink => "Symlink",
    }
}

/// Sets a header; text that no header can hold is left out.
pub(super) fn set(name: HeaderName, text: &str, out: &mut HeaderMap) {
    if let Ok(value) = HeaderValue::try_from(text) {
        out.insert(name, value);
    }
}

/// Names the ETag, quoted and in upper case.
pub(super) fn etag(etag: &str, out: &mut HeaderMap) {
    set(header::ETAG, &quoted(etag), out);
}

/// Names the version, where the bucket has versions.
pub(super) fn version(version: Option<&VersionId>, out: &mut HeaderMap) {
    if let Some(version) = version {
        set(VERSION_ID, version.as_str(), out);
    }
}

/// Names the CRC-64. Clients take a wrong one for damage, and an absent one for none.
pub(super) fn crc64(crc64: Option<u64>, out: &mut HeaderMap) {
    out.extend(crc64.map(|crc64| (CRC64, HeaderValue::from(crc64))));
}

/// Names the MD5 of a body.
pub(super) fn content_md5(md5: Option<[u8; 16]>, out: &mut HeaderMap) {
    if let Some(md5) = md5 {
        set(CONTENT_MD5, &BASE64.encode(md5), out);
    }
}

/// The headers that describe an object, or the range of it that was asked for.
pub(super) fn object(info: &ObjectInfo) -> HeaderMap {
    let mut out = HeaderMap::new();
    for (name, text) in &info.headers.system {
        let (name, value) = (HeaderName::try_from(name.as_str()), HeaderValue::from_bytes(text.as_bytes()));
        out.extend(name.ok().zip(value.ok()));
    }
    for (name, text) in &info.headers.user {
        let (name, value) = (HeaderName::try_from(format!("{META}{name}")), HeaderValue::from_bytes(text.as_bytes()));
        out.extend(name.ok().zip(value.ok()));
    }
    etag(&info.etag, &mut out);
    version(info.version.as_ref(), &mut out);
    crc64(info.crc64, &mut out);
    content_md5(info.md5, &mut out);
    out.insert(header::ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    set(header::LAST_MODIFIED, &http_date(info.modified), &mut out);
    out.insert(header::CONTENT_LENGTH, HeaderValue::from(info.range.map_or(info.size, |(_, len)| len)));
    if let Some(text) = content_range(info) {
        set(header::CONTENT_RANGE, &text, &mut out);
    }
    out.insert(OBJECT_TYPE, HeaderValue::from_static(kind(info.kind)));
    out.insert(STORAGE_CLASS, HeaderValue::from_static("Standard"));
    if info.kind == ObjectKind::Appendable {
        out.insert(NEXT_POSITION, HeaderValue::from(info.size));
    }
    if let tags @ 1.. = info.headers.tags.len() {
        out.insert(TAGGING_COUNT, HeaderValue::from(tags));
    }
    sse::describe(&info.sse, &mut out);
    out
}

fn content_range(info: &ObjectInfo) -> Option<String> {
    let (first, len) = info.range.filter(|&(_, len)| len > 0)?;
    let last = first.checked_add(len)?.checked_sub(1)?;
    Some(format!("bytes {first}-{last}/{}", info.size))
}

/// The headers of an answer to a write.
pub(super) fn written(written: &Written) -> HeaderMap {
    let mut out = HeaderMap::new();
    etag(&written.etag, &mut out);
    version(written.version.as_ref(), &mut out);
    crc64(written.crc64, &mut out);
    sse::describe(&written.sse, &mut out);
    out
}

/// Applies the `response-*` parameters. A value that no header can hold, as one with a line break, is refused.
pub(super) fn overrides(query: &Query, out: &mut HeaderMap) -> Result<(), Face> {
    for (parameter, name) in OVERRIDES {
        let Some(text) = query.get(parameter) else { continue };
        let value = HeaderValue::from_bytes(text.as_bytes())
            .map_err(|_| Face::argument(parameter, text, "The value is not one that a header can have."))?;
        out.insert(name, value);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gateway::{ObjectHeaders, Tags};
    use crate::sse::{DataCipher, SseStatus};
    use crate::types::Timestamp;
    use std::collections::BTreeMap;

    fn info() -> ObjectInfo {
        ObjectInfo {
            etag: "ab12".into(),
            version: None,
            modified: Timestamp(784_111_777_123),
            size: 10,
            headers: ObjectHeaders {
                system: BTreeMap::from([("content-type".into(), "text/plain".into())]),
                user: BTreeMap::from([("a".into(), "é".into())]),
                tags: Tags::default(),
                acl: None,
                lock: crate::gateway::ObjectLock::default(),
            },
            sse: SseStatus::S3 { cipher: DataCipher::Sm4 },
            checksums: Vec::new(),
            md5: Some([0; 16]),
            crc64: Some(u64::MAX),
            kind: ObjectKind::Normal,
            symlink: None,
            parts: None,
            range: None,
        }
    }

    #[test]
    fn an_object_is_described_as_clients_expect_it() {
        let out = object(&info());
        let text = |name: &str| out.get(name).map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned());
        for (name, value) in [
            ("etag", "\"AB12\""),
            ("content-length", "10"),
            ("content-type", "text/plain"),
            ("last-modified", "Sun, 06 Nov 1994 08:49:37 GMT"),
            ("content-md5", "AAAAAAAAAAAAAAAAAAAAAA=="),
            ("x-oss-hash-crc64ecma", "18446744073709551615"),
            ("x-oss-object-type", "Normal"),
            ("x-oss-storage-class", "Standard"),
            ("x-oss-server-side-encryption", "SM4"),
            ("x-oss-meta-a", "é"),
        ] {
            assert_eq!(text(name).as_deref(), Some(value), "{name}");
        }
        for absent in ["content-range", "x-oss-version-id", "x-oss-next-append-position", "x-oss-tagging-count"] {
            assert_eq!(text(absent), None, "{absent}");
        }
    }

    #[test]
    fn a_range_keeps_the_whole_objects_crc_and_an_appendable_object_says_where_it_ends() {
        let out = object(&ObjectInfo { range: Some((2, 3)), kind: ObjectKind::Appendable, ..info() });
        assert_eq!(out[header::CONTENT_RANGE], "bytes 2-4/10");
        assert_eq!(out[header::CONTENT_LENGTH], "3");
        assert_eq!(out[CRC64], "18446744073709551615");
        assert_eq!(out[NEXT_POSITION], "10");
    }

    #[test]
    fn overrides_replace_and_line_breaks_are_refused() {
        let ask = |text: &str, out: &mut HeaderMap| overrides(&Query::of(&format!("/?{text}").parse().unwrap()), out);
        let mut out = object(&info());
        ask("response-content-type=text/html&response-expires=now", &mut out).unwrap();
        assert_eq!(
            (&out[header::CONTENT_TYPE], &out[header::EXPIRES]),
            (&HeaderValue::from_static("text/html"), &HeaderValue::from_static("now"))
        );
        let refused = ask("response-cache-control=a%0d%0aSet-Cookie:b", &mut out).unwrap_err();
        assert_eq!(refused.code, "InvalidArgument");
        assert!(!out.contains_key(header::CACHE_CONTROL));
    }
}
