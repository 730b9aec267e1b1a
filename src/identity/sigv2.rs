//! Signature version 2, verified only where the configuration allows it: it covers neither the query (but for
//! sub-resources) nor the payload.
//! <https://docs.aws.amazon.com/AmazonS3/latest/API/RESTAuthentication.html>

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::request::Parts;
use http::{HeaderMap, header};
use zeroize::Zeroizing;

use crate::types::AccessKeyId;

use super::caller::{Authenticated, Scheme};
use super::canonical::{self, sigv2_resource};
use super::date::{SignedDate, millis};
use super::error::{AuthError, Flaw, Place};
use super::mac::compare;
use super::query::{self, SESSION_TOKEN};
use super::sigv4::{Against, check_skew};

/// Whether a query has a parameter of a SigV2 signature.
pub(super) fn has_url_parameters(raw: &str) -> bool {
    query::has(raw, "AWSAccessKeyId") || query::has(raw, "Signature")
}

/// A SigV2 signature as a request carries it, and the date line that it is over.
struct Claim {
    scheme: Scheme,
    access_key: AccessKeyId,
    signature: Vec<u8>,
    date: String,
}

/// Verifies what follows `AWS` in the `Authorization` header.
pub(super) fn verify_header(
    text: &str,
    parts: &Parts,
    bucket_in_host: Option<&str>,
    against: &Against<'_>,
) -> Result<Authenticated, AuthError> {
    let (key, signature) = text.trim().split_once(':').ok_or(AuthError::SigV2Malformed("no colon"))?;
    if key.is_empty() {
        return Err(AuthError::SigV2Malformed("no access key id"));
    }
    let (date, line) = header_date(&parts.headers)?;
    let claim = Claim {
        scheme: Scheme::SigV2Header,
        access_key: AccessKeyId::new(key),
        signature: decode_signature(signature.trim(), key)?,
        date: line,
    };
    claim.verify(parts, bucket_in_host, against, || check_skew(&date, against.now))
}

/// Verifies `AWSAccessKeyId`, `Signature` and `Expires` in the URL.
pub(super) fn verify_url(
    parts: &Parts,
    bucket_in_host: Option<&str>,
    against: &Against<'_>,
) -> Result<Authenticated, AuthError> {
    let raw = parts.uri.query().unwrap_or_default();
    let required = |name| {
        query::single(raw, name)
            .map_err(|error| match error {
                AuthError::Malformed { place: Place::Url, flaw: Flaw::DuplicateParameter(_) } => {
                    AuthError::SigV2Malformed("a parameter is given more than once")
                }
                _ => AuthError::SigV2Malformed("a parameter is not text"),
            })?
            .ok_or(AuthError::SigV2Malformed("a parameter is missing"))
    };
    let (key, signature, expires) = (required("AWSAccessKeyId")?, required("Signature")?, required("Expires")?);
    let is_number = !expires.is_empty() && expires.bytes().all(|b| b.is_ascii_digit());
    let until = expires.parse::<i64>().ok().filter(|_| is_number);
    let until = until.ok_or(AuthError::SigV2Malformed("Expires is not a number"))?;
    let claim = Claim {
        scheme: Scheme::SigV2Url,
        signature: decode_signature(&signature, &key)?,
        access_key: AccessKeyId::new(key),
        date: expires,
    };
    claim.verify(parts, bucket_in_host, against, || {
        let late = millis(against.now) > until.saturating_mul(1000);
        let expired = AuthError::Expired { valid_for: None, until, now: millis(against.now) / 1000 };
        if late { Err(expired) } else { Ok(()) }
    })
}

impl Claim {
    fn verify(
        self,
        parts: &Parts,
        bucket_in_host: Option<&str>,
        against: &Against<'_>,
        in_time: impl FnOnce() -> Result<(), AuthError>,
    ) -> Result<Authenticated, AuthError> {
        let unknown = || AuthError::AccessKeyUnknown(self.access_key.clone());
        let credential = against.credentials.lookup(&self.access_key).ok_or_else(unknown)?;
        in_time()?;
        canonical::host(parts)?;
        let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, credential.secret().expose().as_bytes());
        let path = parts.uri.path();
        // SDKs sign the token as a header, and move it to the query where they sign a URL.
        let token = against.token.filter(|_| !parts.headers.contains_key(SESSION_TOKEN));
        let matches = |path: &str| {
            let signed = string_to_sign(parts, &self.date, token, bucket_in_host, path);
            compare(hmac::sign(&key, signed.as_slice()).as_ref(), &self.signature)
        };
        // `/bucket` and `/bucket/` are one resource: botocore sends the one and signs the other.
        let is_bucket = bucket_in_host.is_none() && path.len() > 1 && !path[1..].contains('/');
        let also = || if is_bucket { matches(&format!("{path}/")) } else { None };
        let mismatch = || AuthError::SignatureMismatch(self.access_key.clone());
        let proof = matches(path).or_else(also).ok_or_else(mismatch)?;
        let in_force = credential.in_force(against.token, against.now);
        let in_force = in_force.map_err(|flaw| AuthError::of_token(flaw, &self.access_key))?;
        Ok(Authenticated::new(proof, in_force, &credential, self.access_key, self.scheme))
    }
}

/// A signature that is no base64 equals none that we compute.
fn decode_signature(text: &str, key: &str) -> Result<Vec<u8>, AuthError> {
    STANDARD.decode(text).map_err(|_| AuthError::SignatureMismatch(AccessKeyId::new(key)))
}

/// The request's date, and the date line to sign: empty where `x-amz-date` is signed among the headers.
fn header_date(headers: &HeaderMap) -> Result<(SignedDate, String), AuthError> {
    let text = |name: &str| headers.get(name).map(|value| value.to_str().map_err(|_| AuthError::DateInvalid));
    let parse = |text: &str| SignedDate::from_http(text).or_else(|| SignedDate::from_iso(text));
    let found = match (text("x-amz-date").transpose()?, text("date").transpose()?) {
        (Some(amz), _) => parse(amz.trim()).map(|date| (date, String::new())),
        (None, Some(line)) => parse(line.trim()).map(|date| (date, line.trim().to_owned())),
        (None, None) => None,
    };
    found.ok_or(AuthError::DateInvalid)
}

/// `token`: one that stands in the query in a header's stead.
fn string_to_sign(
    parts: &Parts,
    date: &str,
    token: Option<&str>,
    bucket_in_host: Option<&str>,
    path: &str,
) -> Zeroizing<Vec<u8>> {
    let mut out = Zeroizing::new(Vec::with_capacity(256));
    let header = |name| parts.headers.get(name).map(http::HeaderValue::as_bytes).unwrap_or_default();
    for line in [
        parts.method.as_str().as_bytes(),
        header(header::HeaderName::from_static("content-md5")),
        header(header::CONTENT_TYPE),
        date.as_bytes(),
    ] {
        out.extend_from_slice(line);
        out.push(b'\n');
    }
    let mut names: Vec<&str> = parts.headers.keys().map(header::HeaderName::as_str).collect();
    names.retain(|name| name.starts_with("x-amz-"));
    names.extend(token.map(|_| SESSION_TOKEN));
    names.sort_unstable();
    for name in names {
        let value = match token {
            Some(token) if name == SESSION_TOKEN => token.as_bytes().to_vec(),
            _ => canonical::joined_header_value(&parts.headers, name).unwrap_or_default(),
        };
        out.extend_from_slice(&[name.as_bytes(), b":", &value, b"\n"].concat());
    }
    let query = parts.uri.query().unwrap_or_default();
    out.extend_from_slice(&sigv2_resource(bucket_in_host, path, query));
    out
}
