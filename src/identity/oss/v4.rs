//! Version 4: HMAC-SHA256 under a key that is derived for a day and a region. It covers the whole query and the headers
//! that the client lists beside those that are always signed.
//! <https://www.alibabacloud.com/help/en/oss/developer-reference/recommend-to-use-signature-version-4>
//! <https://www.alibabacloud.com/help/en/oss/developer-reference/add-signatures-to-urls-v4>

use http::HeaderMap;
use http::header::{CONTENT_TYPE, HeaderName};
use zeroize::Zeroizing;

use crate::identity::date::{SignedDate, is_early, is_skewed, millis};
use crate::identity::mac::{Signature, sha256};
use crate::identity::sigv4::{Derivation, KeyScope};
use crate::types::AccessKeyId;

use super::canonical::{For, Text, encoded_path, headers, query};
use super::head::{V4, flawed, header_date, parameter};
use super::{Asked, Claimed, OssAuthError, OssFlaw, OssIdentified, OssResource, Place, Scheme, Signed, lookup};

/// The longest validity of a signed URL in seconds, and of a form's date: a week.
pub(super) const MAX_VALIDITY: i64 = 7 * 24 * 3600;
const PRODUCT: &str = "oss";
const UNSIGNED: &str = "UNSIGNED-PAYLOAD";
/// Headers that are signed when they are there, beside all `x-oss-*`.
const ALWAYS: [HeaderName; 2] = [HeaderName::from_static("content-md5"), CONTENT_TYPE];

/// A credential with its scope: `key/yyyymmdd/region/oss/aliyun_v4_request`. Nothing of it is believed yet.
#[derive(Debug)]
pub(super) struct Scope {
    pub(super) access_key: AccessKeyId,
    day: String,
    region: String,
    product: String,
    terminal: String,
}

impl Scope {
    pub(super) fn parse(text: &str) -> Result<Self, OssFlaw> {
        // From the right: an access key id may contain slashes, the four others never do.
        let mut fields = text.rsplitn(5, '/');
        let mut field = || fields.next().filter(|text| !text.is_empty()).map(str::to_owned).ok_or(OssFlaw::Credential);
        let (terminal, product, region, day, key) = (field()?, field()?, field()?, field()?, field()?);
        if day.len() != 8 || !day.bytes().all(|b| b.is_ascii_digit()) {
            return Err(OssFlaw::Credential);
        }
        Ok(Self { access_key: AccessKeyId::new(key), day, region, product, terminal })
    }

    /// The scope is this day, our region and product.
    pub(super) fn check(&self, date: &SignedDate, region: &str) -> Result<KeyScope, OssFlaw> {
        if self.day != date.day() {
            return Err(OssFlaw::CredentialDate { given: self.day.clone(), expected: date.day().to_owned() });
        }
        if self.region != region {
            return Err(OssFlaw::Region { given: self.region.clone(), expected: region.to_owned() });
        }
        if self.product != PRODUCT {
            return Err(OssFlaw::Product(self.product.clone()));
        }
        if self.terminal != Derivation::Aliyun.terminal() {
            return Err(OssFlaw::Terminal(self.terminal.clone()));
        }
        let (day, region) = (self.day.clone(), region.to_owned());
        Ok(KeyScope { derivation: Derivation::Aliyun, day, region, service: PRODUCT })
    }
}

/// The components of an `Authorization` header by these names: separated by commas, in any order, each once at most.
pub(super) fn components<'a, const N: usize>(
    text: &'a str,
    separator: char,
    names: [&str; N],
) -> Result<[Option<&'a str>; N], OssFlaw> {
    let mut found = [None; N];
    for component in text.split(',') {
        let (name, value) = component.trim().split_once(separator).ok_or(OssFlaw::Components)?;
        let slot = names.iter().zip(&mut found).find(|(known, _)| **known == name).ok_or(OssFlaw::Components)?.1;
        if slot.replace(value).is_some() {
            return Err(OssFlaw::Components);
        }
    }
    Ok(found)
}

/// The headers that a client signs by its own choice.
pub(super) struct Additional<'a> {
    pub(super) names: Vec<&'a str>,
    /// Whether the request has them all. One that lacks some is refused whatever its signature: the header that was signed
    /// is gone.
    pub(super) all_there: bool,
}

/// Reads the list: absent, or distinct lower-case names in order. A line of its own for a value that was signed within
/// another would leave the signature right and change what a reader of the first line sees, so none may be split.
pub(super) fn check_additional<'a>(
    listed: Option<&'a str>,
    place: Place,
    headers: &HeaderMap,
) -> Result<Additional<'a>, OssAuthError> {
    let Some(listed) = listed else { return Ok(Additional { names: Vec::new(), all_there: true }) };
    let names: Vec<&str> = listed.split(';').collect();
    let is_lower =
        |name: &&str| !name.is_empty() && name.bytes().all(|b| b.is_ascii_graphic() && !b.is_ascii_uppercase());
    if !names.iter().all(is_lower) || !names.is_sorted_by(|a, b| a < b) {
        return Err(OssAuthError::Malformed { place, flaw: OssFlaw::AdditionalHeaders });
    }
    let split = |name: &&&str| !name.starts_with("x-oss-meta-") && headers.get_all(**name).iter().nth(1).is_some();
    if let Some(name) = names.iter().find(split) {
        return Err(OssAuthError::DuplicateHeader((*name).to_owned()));
    }
    let all_there = names.iter().all(|name| *name == "host" || headers.contains_key(*name));
    Ok(Additional { names, all_there })
}

/// Verifies what follows `OSS4-HMAC-SHA256` in the `Authorization` header.
pub(super) fn verify_header(text: &str, asked: &Asked<'_>) -> Result<OssIdentified, OssAuthError> {
    let malformed = |flaw| OssAuthError::Malformed { place: Place::Header, flaw };
    let [credential, listed, signature] =
        components(text, '=', ["Credential", "AdditionalHeaders", "Signature"]).map_err(malformed)?;
    let (Some(credential), Some(signature)) = (credential, signature) else {
        return Err(malformed(OssFlaw::Components));
    };
    let claim = Claim {
        scheme: Scheme::OssV4Header,
        place: Place::Header,
        scope: Scope::parse(credential).map_err(malformed)?,
        listed,
        signature,
    };
    let known = lookup(asked.credentials, &claim.scope.access_key)?;
    let (date, stamp) = header_date(&asked.parts.headers)?;
    let scope = claim.scope.check(&date, asked.region).map_err(malformed)?;
    if is_skewed(&date, asked.now) {
        return Err(OssAuthError::TimeTooSkewed { request: date.seconds(), now: millis(asked.now) / 1000 });
    }
    claim.verify(asked, &known, &scope, &stamp)
}

/// Verifies the `x-oss-*` parameters of a signed URL.
pub(super) fn verify_url(asked: &Asked<'_>) -> Result<OssIdentified, OssAuthError> {
    let required = |name| parameter(asked.query(), name)?.ok_or_else(|| flawed(OssFlaw::Incomplete(name)));
    let (credential, signature) = (required("x-oss-credential")?, required("x-oss-signature")?);
    let (stamp, expires) = (required("x-oss-date")?, required("x-oss-expires")?);
    let listed = parameter(asked.query(), "x-oss-additional-headers")?;
    let date = SignedDate::from_iso(&stamp).ok_or_else(|| flawed(OssFlaw::Date))?;
    let valid_for = validity(&expires).ok_or_else(|| flawed(OssFlaw::Expires("x-oss-expires")))?;
    let claim = Claim {
        scheme: Scheme::OssV4Url,
        place: Place::Url,
        scope: Scope::parse(&credential).map_err(flawed)?,
        listed: listed.as_deref(),
        signature: &signature,
    };
    let known = lookup(asked.credentials, &claim.scope.access_key)?;
    let scope = claim.scope.check(&date, asked.region).map_err(flawed)?;
    check_window(&date, valid_for, asked.now)?;
    claim.verify(asked, &known, &scope, &stamp)
}

/// From 15 minutes before a date on, for so many seconds after it.
pub(super) fn check_window(
    date: &SignedDate,
    valid_for: i64,
    now: crate::types::Timestamp,
) -> Result<(), OssAuthError> {
    let (until, seconds) = (date.seconds().saturating_add(valid_for), millis(now) / 1000);
    if millis(now) > until.saturating_mul(1000) {
        return Err(OssAuthError::Expired { until, now: seconds });
    }
    if is_early(date, now) {
        return Err(OssAuthError::NotYetValid { from: date.seconds(), now: seconds });
    }
    Ok(())
}

fn validity(text: &str) -> Option<i64> {
    let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    text.parse().ok().filter(|seconds| digits && (1..=MAX_VALIDITY).contains(seconds))
}

/// A V4 signature as a request carries it.
struct Claim<'a> {
    scheme: Scheme,
    place: Place,
    scope: Scope,
    listed: Option<&'a str>,
    signature: &'a str,
}

impl Claim<'_> {
    fn verify(
        self,
        asked: &Asked<'_>,
        credential: &super::Credential,
        scope: &KeyScope,
        stamp: &str,
    ) -> Result<OssIdentified, OssAuthError> {
        let additional = check_additional(self.listed, self.place, &asked.parts.headers)?;
        check_payload(&asked.parts.headers, self.place)?;
        let signature = Signature::from_hex(self.signature.as_bytes()).filter(|_| additional.all_there);
        let listed = self.listed.unwrap_or_default();
        let claimed = Claimed {
            scheme: self.scheme,
            access_key: self.scope.access_key,
            provided: self.signature.to_owned(),
            signature: signature.map(|signature| signature.as_bytes().to_vec()),
        };
        let key = credential.signing_keys().get(credential.secret(), scope);
        let terminal = scope.derivation.terminal();
        asked.decide(claimed, credential, &key, |resource, to| {
            let canonical = |to| canonical_request(asked, resource, &additional.names, listed, to);
            let hash = hex::encode(sha256(&canonical(For::Sign)));
            let (day, region, product) = (&scope.day, &scope.region, scope.service);
            let text = format!("{V4}\n{stamp}\n{day}/{region}/{product}/{terminal}\n{hash}");
            let shown = if to == For::Show { Some(canonical(For::Show)) } else { None };
            Signed { string_to_sign: Zeroizing::new(text.into_bytes()), canonical_request: shown }
        })
    }
}

/// The header is signed like any other. It must not say what would not be verified.
fn check_payload(headers: &HeaderMap, place: Place) -> Result<(), OssAuthError> {
    match headers.get("x-oss-content-sha256") {
        Some(value) if value != UNSIGNED => {
            let flaw = OssFlaw::ContentHash(String::from_utf8_lossy(value.as_bytes()).into_owned());
            Err(OssAuthError::Malformed { place, flaw })
        }
        _ => Ok(()),
    }
}

fn canonical_request(asked: &Asked<'_>, resource: &OssResource, additional: &[&str], listed: &str, to: For) -> Text {
    let mut out = Zeroizing::new(Vec::with_capacity(512));
    let query = query(asked.query(), b"x-oss-signature", to);
    for line in [asked.parts.method.as_str(), encoded_path(resource, true).as_str(), query.as_str()] {
        out.extend_from_slice(line.as_bytes());
        out.push(b'\n');
    }
    out.extend_from_slice(&headers(asked.parts, asked.host, &ALWAYS, additional, to));
    for line in ["", listed] {
        out.extend_from_slice(line.as_bytes());
        out.push(b'\n');
    }
    out.extend_from_slice(UNSIGNED.as_bytes());
    out
}
