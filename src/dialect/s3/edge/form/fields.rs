//! A verified form as the PutObject that it means.

use http::request::Parts;
use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderName, HeaderValue, Method, header};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use s3s::dto;
use s3s::xml::{Deserialize as _, Deserializer};

use crate::identity::{AuthError, FormError, FormFields, Transport};

use super::super::EdgeError;
use super::FormReply;

/// Everything but RFC 3986's unreserved characters and the slash.
const IN_PATH: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~').remove(b'/');

/// Fields that become the header of their name.
const AS_HEADERS: [&str; 7] = [
    "cache-control",
    "content-disposition",
    "content-encoding",
    "content-language",
    "content-md5",
    "content-type",
    "expires",
];

/// `x-amz-…` fields that become the header of their name: exactly these, and those that begin so. A copy source in a form,
/// say, must not make a copy of the upload.
const AMZ_HEADERS: [&str; 5] = [
    "x-amz-checksum-algorithm",
    "x-amz-sdk-checksum-algorithm",
    "x-amz-storage-class",
    "x-amz-website-redirect-location",
    "x-amz-expected-bucket-owner",
];
const AMZ_PREFIXES: [&str; 4] =
    ["x-amz-checksum-", "x-amz-meta-", "x-amz-object-lock-", "x-amz-server-side-encryption"];

/// `x-amz-…` fields of the signature.
const AMZ_SIGNATURE: [&str; 5] =
    ["x-amz-algorithm", "x-amz-credential", "x-amz-date", "x-amz-security-token", "x-amz-signature"];

/// What a form's `tagging` becomes.
const TAGGING: HeaderName = HeaderName::from_static("x-amz-tagging");

/// Headers of the POST that go on. Everything else that it says was signed by nobody.
const KEPT: [HeaderName; 3] = [header::HOST, header::REFERER, header::USER_AGENT];

/// Makes the head of the PutObject. `ceiling` is what the file cannot exceed.
pub(super) fn into_put(
    mut parts: Parts,
    fields: &FormFields,
    bucket: &str,
    virtual_host: bool,
    ceiling: u64,
    transport: Transport,
) -> Result<(Parts, FormReply), EdgeError> {
    let key = fields.get("key").ok_or(FormError::FieldMissing("key"))?;
    if key.is_empty() {
        return Err(FormError::FieldInvalid("key").into());
    }
    let mut headers: HeaderMap =
        KEPT.iter().filter_map(|name| parts.headers.get(name).map(|value| (name.clone(), value.clone()))).collect();
    for (name, value) in fields.iter() {
        if name == "tagging" {
            headers.insert(TAGGING, tagging(value)?);
        } else if let Some(name) = header_of(name)? {
            // Line breaks and control characters have no place in a header.
            let value = HeaderValue::from_bytes(value.as_bytes());
            let mut value = value.map_err(|_| FormError::FieldNotText(name.as_str().to_owned()))?;
            value.set_sensitive(name.as_str().contains("customer-key"));
            headers.insert(name, value);
        }
    }
    headers.insert(header::CONTENT_LENGTH, HeaderValue::from(ceiling));

    let encoded = utf8_percent_encode(key, IN_PATH);
    let path = if virtual_host {
        format!("/{encoded}")
    } else {
        format!("/{}/{encoded}", utf8_percent_encode(bucket, IN_PATH))
    };
    let host = headers.get(header::HOST).and_then(|value| value.to_str().ok());
    let host = host.or(parts.uri.authority().map(http::uri::Authority::as_str)).unwrap_or_default();
    let scheme = if transport.tls { "https" } else { "http" };
    let reply = FormReply::new(fields, bucket, key, format!("{scheme}://{host}{path}"));
    let mut uri = std::mem::take(&mut parts.uri).into_parts();
    // An encoded path is a target; were it not, there would be no host to speak of.
    uri.path_and_query = Some(PathAndQuery::try_from(path).map_err(|_| AuthError::HostInvalid)?);
    parts.uri = http::Uri::from_parts(uri).map_err(|_| AuthError::HostInvalid)?;
    parts.method = Method::PUT;
    parts.headers = headers;
    Ok((parts, reply))
}

/// A form's tags, which are an XML document, as the header's query. The tags themselves are judged with the PUT.
fn tagging(document: &str) -> Result<HeaderValue, EdgeError> {
    let flaw = || EdgeError::from(FormError::FieldInvalid("tagging"));
    let mut reader = Deserializer::new(document.as_bytes());
    let tagging = dto::Tagging::deserialize(&mut reader).map_err(|_| flaw())?;
    reader.expect_eof().map_err(|_| flaw())?;
    let pair = |tag: dto::Tag| {
        let (key, value) = (tag.key?, tag.value?);
        Some(format!(
            "{}={}",
            utf8_percent_encode(&key, NON_ALPHANUMERIC),
            utf8_percent_encode(&value, NON_ALPHANUMERIC)
        ))
    };
    let pairs: Option<Vec<String>> = tagging.tag_set.into_iter().map(pair).collect();
    HeaderValue::try_from(pairs.ok_or_else(flaw)?.join("&")).map_err(|_| flaw())
}

/// The header that a field stands for, if it stands for one.
fn header_of(name: &str) -> Result<Option<HeaderName>, EdgeError> {
    let unsupported = || EdgeError::FormUnsupported(name.to_owned());
    let as_header = |name: &str| HeaderName::try_from(name).map(Some).map_err(|_| unsupported());
    match name {
        // A canned ACL is judged like the header of a PUT: what is not implemented is refused there.
        "acl" => as_header("x-amz-acl"),
        _ if AS_HEADERS.contains(&name) || AMZ_HEADERS.contains(&name) => as_header(name),
        _ if AMZ_PREFIXES.iter().any(|prefix| name.starts_with(prefix)) => as_header(name),
        _ if AMZ_SIGNATURE.contains(&name) || !name.starts_with("x-amz-") => Ok(None),
        _ => Err(unsupported()),
    }
}
