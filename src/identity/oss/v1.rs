//! Version 1: HMAC-SHA1 in base64. It covers every `x-oss-*` header and, of the query, a list of parameters.
//! <https://www.alibabacloud.com/help/en/oss/developer-reference/include-signatures-in-the-authorization-header>
//! <https://www.alibabacloud.com/help/en/oss/developer-reference/add-signatures-to-urls>

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::identity::credentials::Secret;
use crate::identity::date::{is_skewed, millis};
use crate::types::AccessKeyId;

use super::canonical::{first_lines, headers, v1_resource};
use super::head::{flawed, header_date, parameter};
use super::{Asked, Claimed, OssAuthError, OssFlaw, OssIdentified, Place, Scheme, Signed, lookup};

/// The key that V1 signs with.
pub(super) fn signing_key(secret: &Secret) -> hmac::Key {
    hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, secret.expose().as_bytes())
}

/// Verifies what follows `OSS` in the `Authorization` header.
pub(super) fn verify_header(text: &str, asked: &Asked<'_>) -> Result<OssIdentified, OssAuthError> {
    let components = || OssAuthError::Malformed { place: Place::Header, flaw: OssFlaw::Components };
    let (key, signature) = text.trim().split_once(':').ok_or_else(components)?;
    if key.is_empty() {
        return Err(components());
    }
    let key = AccessKeyId::new(key);
    let credential = lookup(asked.credentials, &key)?;
    let (date, line) = header_date(&asked.parts.headers)?;
    if is_skewed(&date, asked.now) {
        return Err(OssAuthError::TimeTooSkewed { request: date.seconds(), now: millis(asked.now) / 1000 });
    }
    let claimed = claim(Scheme::OssV1Header, key, signature.trim());
    asked.decide(claimed, &credential, &signing_key(credential.secret()), |resource, to| {
        let mut text = first_lines(asked.parts, &line);
        text.extend_from_slice(&headers(asked.parts, asked.host, &[], &[], to));
        text.extend_from_slice(&v1_resource(resource, asked.query(), to));
        Signed { string_to_sign: text, canonical_request: None }
    })
}

/// Verifies `OSSAccessKeyId`, `Expires` and `Signature` in the URL.
pub(super) fn verify_url(asked: &Asked<'_>) -> Result<OssIdentified, OssAuthError> {
    let required = |name| parameter(asked.query(), name)?.ok_or(OssAuthError::ParameterMissing(name));
    let (key, expires, signature) = (required("OSSAccessKeyId")?, required("Expires")?, required("Signature")?);
    let is_number = !expires.is_empty() && expires.bytes().all(|b| b.is_ascii_digit());
    let until = expires.parse::<i64>().ok().filter(|_| is_number);
    let until = until.ok_or_else(|| flawed(OssFlaw::Expires("Expires")))?;
    let key = AccessKeyId::new(key);
    let credential = lookup(asked.credentials, &key)?;
    if millis(asked.now) > until.saturating_mul(1000) {
        return Err(OssAuthError::Expired { until, now: millis(asked.now) / 1000 });
    }
    let claimed = claim(Scheme::OssV1Url, key, &signature);
    asked.decide(claimed, &credential, &signing_key(credential.secret()), |resource, to| {
        let mut text = first_lines(asked.parts, &expires);
        text.extend_from_slice(&headers(asked.parts, asked.host, &[], &[], to));
        text.extend_from_slice(&v1_resource(resource, asked.query(), to));
        Signed { string_to_sign: text, canonical_request: None }
    })
}

/// A signature that is no base64 equals none that we compute.
pub(super) fn claim(scheme: Scheme, access_key: AccessKeyId, signature: &str) -> Claimed {
    Claimed { scheme, access_key, provided: signature.to_owned(), signature: STANDARD.decode(signature).ok() }
}
