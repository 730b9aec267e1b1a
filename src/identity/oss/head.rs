//! What a request's head says of its signature: where it stands, of which scheme it is, and its date and token.

use http::request::Parts;
use http::{HeaderMap, header};
use zeroize::Zeroizing;

use crate::identity::canonical::{self, HostFlaw};
use crate::identity::date::SignedDate;
use crate::identity::error::Place;
use crate::identity::query::{ParameterFlaw, has, once};
use crate::identity::sigv4;
use crate::identity::verify::duplicate;

use super::{OssAuthError, OssFlaw};

/// The schemes of the `Authorization` header.
pub(super) const V1: &str = "OSS";
pub(super) const V2: &str = "OSS2";
pub(super) const V4: &str = "OSS4-HMAC-SHA256";

pub(super) const TOKEN: &str = "x-oss-security-token";
/// V1's parameter, and the header that the Python SDK sends with V1.
const PLAIN_TOKEN: &str = "security-token";

/// Where a request carries which kind of signature.
pub(super) enum Mechanism<'a> {
    None,
    V1Header(&'a str),
    V1Url,
    V2Header(&'a str),
    V4Header(&'a str),
    V4Url,
}

pub(super) fn check_duplicates(headers: &HeaderMap) -> Result<(), OssAuthError> {
    let plain = headers.get_all(PLAIN_TOKEN).iter().nth(1).map(|_| PLAIN_TOKEN.to_owned());
    match duplicate(headers, "x-oss-").or(plain) {
        Some(name) => Err(OssAuthError::DuplicateHeader(name)),
        None => Ok(()),
    }
}

pub(super) fn host(parts: &Parts) -> Result<String, OssAuthError> {
    canonical::host(parts).map_err(|flaw| match flaw {
        HostFlaw::Invalid => OssAuthError::HostInvalid,
        HostFlaw::Twice => OssAuthError::DuplicateHeader("host".to_owned()),
    })
}

pub(super) fn mechanism(parts: &Parts) -> Result<Mechanism<'_>, OssAuthError> {
    let raw = parts.uri.query().unwrap_or_default();
    let any = |names: &[&str]| names.iter().any(|name| has(raw, name));
    // What S3 signs with means nothing here, and must not stand beside what does.
    let foreign = has(raw, "AWSAccessKeyId") || sigv4::has_url_parameters(raw);
    let v1 = any(&["OSSAccessKeyId", "Signature"]) && !has(raw, "AWSAccessKeyId");
    let later = any(&["x-oss-access-key-id", "x-oss-credential", "x-oss-signature", "x-oss-signature-version"]);
    match (parts.headers.get(header::AUTHORIZATION), v1, later, foreign) {
        (None, false, false, false) => Ok(Mechanism::None),
        (None, true, false, false) => Ok(Mechanism::V1Url),
        (None, false, true, false) => later_url(raw),
        (None, false, false, true) => Err(OssAuthError::UnsupportedScheme),
        (Some(header), false, false, false) => {
            let flaw = OssAuthError::Malformed { place: Place::Header, flaw: OssFlaw::Components };
            let text = header.to_str().map_err(|_| flaw.clone())?.trim();
            match text.split_once(' ') {
                Some((V1, rest)) => Ok(Mechanism::V1Header(rest)),
                Some((V2, rest)) => Ok(Mechanism::V2Header(rest)),
                Some((V4, rest)) => Ok(Mechanism::V4Header(rest)),
                None if [V1, V2, V4].contains(&text) => Err(flaw),
                _ => Err(OssAuthError::UnsupportedScheme),
            }
        }
        _ => Err(OssAuthError::MoreThanOneMechanism),
    }
}

/// V4's URL. V2's, which no client makes by default, is refused.
fn later_url(raw: &str) -> Result<Mechanism<'_>, OssAuthError> {
    match parameter(raw, "x-oss-signature-version")?.as_deref() {
        Some(V4) => Ok(Mechanism::V4Url),
        Some(_) => Err(OssAuthError::UnsupportedScheme),
        None => Err(flawed(OssFlaw::Incomplete("x-oss-signature-version"))),
    }
}

pub(super) fn flawed(flaw: OssFlaw) -> OssAuthError {
    OssAuthError::Malformed { place: Place::Url, flaw }
}

/// The value of a parameter that may stand in the query once.
pub(super) fn parameter(raw: &str, name: &'static str) -> Result<Option<String>, OssAuthError> {
    once(raw, name).map_err(|flaw| flawed(OssFlaw::Parameter(name, flaw)))
}

/// The security token that a request shows: one, from where its signature covers it. The plain header is the exception: it
/// is signed by nobody, but the SDK that sends it knows no other place with V1, and a token is a secret of its own.
pub(super) fn security_token(
    parts: &Parts,
    mechanism: &Mechanism<'_>,
) -> Result<Option<Zeroizing<String>>, OssAuthError> {
    let raw = parts.uri.query().unwrap_or_default();
    let header = |name: &str| {
        let text = parts.headers.get(name).map(|value| value.to_str().map_err(|_| OssAuthError::SecurityTokenInvalid));
        text.transpose().map(|text| text.map(|text| Zeroizing::new(text.trim().to_owned())))
    };
    let parameter = |name: &str| match once(raw, name) {
        Ok(text) => Ok(text.map(Zeroizing::new)),
        Err(ParameterFlaw::NotText) => Err(OssAuthError::SecurityTokenInvalid),
        Err(ParameterFlaw::Twice) => Err(OssAuthError::SecurityTokenTwice),
    };
    let mut found = vec![header(TOKEN)?, parameter(TOKEN)?];
    match mechanism {
        Mechanism::V1Header(_) => found.extend([header(PLAIN_TOKEN)?, parameter(PLAIN_TOKEN)?]),
        Mechanism::None | Mechanism::V1Url => found.push(parameter(PLAIN_TOKEN)?),
        Mechanism::V2Header(_) | Mechanism::V4Header(_) | Mechanism::V4Url => {}
    }
    let mut found = found.into_iter().flatten();
    match (mechanism, found.next(), found.next()) {
        (_, _, Some(_)) => Err(OssAuthError::SecurityTokenTwice),
        (Mechanism::None, Some(_), None) => Err(OssAuthError::SecurityTokenInvalid),
        (_, token, None) => Ok(token),
    }
}

/// The date of a request that is signed in its header, and the text that is signed for it: that of `x-oss-date`, and of
/// `Date` only where that is absent, each in either of its forms.
pub(super) fn header_date(headers: &HeaderMap) -> Result<(SignedDate, String), OssAuthError> {
    let line = headers.get("x-oss-date").or_else(|| headers.get(header::DATE)).ok_or(OssAuthError::DateInvalid)?;
    let text = line.to_str().map_err(|_| OssAuthError::DateInvalid)?.trim();
    let date = SignedDate::from_http(text).or_else(|| SignedDate::from_iso(text)).ok_or(OssAuthError::DateInvalid)?;
    Ok((date, text.to_owned()))
}
