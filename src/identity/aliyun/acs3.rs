//! `ACS3-HMAC-SHA256`: in hexadecimal, over the method, the path, the query, the headers that it lists, and the hash of the
//! body.

use aws_lc_rs::hmac;
use http::HeaderMap;
use http::header::{AUTHORIZATION, CONTENT_TYPE};
use zeroize::Zeroizing;

use crate::identity::caller::{Caller, Scheme};
use crate::identity::canonical::{self, HostFlaw};
use crate::identity::mac::{Signature, compare, hmac_sha256, sha256};
use crate::types::AccessKeyId;

use super::{AliyunAuthError, Asked, check_date};

const SCHEME: &str = "ACS3-HMAC-SHA256";
const TOKEN: &str = "x-acs-security-token";
const HASH: &str = "x-acs-content-sha256";
/// What a signature must cover, beside all other `x-acs-*` headers and the body's type.
const REQUIRED: [&str; 6] = ["host", "x-acs-action", HASH, "x-acs-date", "x-acs-signature-nonce", "x-acs-version"];

/// What the `Authorization` header says.
struct Claim<'a> {
    id: AccessKeyId,
    signed: Vec<&'a str>,
    listed: &'a str,
    signature: &'a str,
}

impl<'a> Claim<'a> {
    fn parse(headers: &'a HeaderMap) -> Result<Self, AliyunAuthError> {
        let malformed = || AliyunAuthError::Incomplete("the Authorization header is not well-formed".to_owned());
        let mut lines = headers.get_all(AUTHORIZATION).iter();
        let line = lines.next().filter(|_| lines.next().is_none()).ok_or_else(malformed)?;
        let text = line.to_str().map_err(|_| malformed())?.trim();
        let rest = text.strip_prefix(SCHEME).and_then(|rest| rest.strip_prefix(' ')).ok_or_else(malformed)?;
        let (mut id, mut listed, mut signature) = (None, None, None);
        for component in rest.split(',') {
            let (name, value) = component.trim().split_once('=').ok_or_else(malformed)?;
            let slot = match name {
                "Credential" => &mut id,
                "SignedHeaders" => &mut listed,
                "Signature" => &mut signature,
                _ => return Err(malformed()),
            };
            if slot.replace(value).is_some() {
                return Err(malformed());
            }
        }
        let (Some(id), Some(listed), Some(signature)) = (id, listed, signature) else { return Err(malformed()) };
        let signed: Vec<&str> = listed.split(';').collect();
        let lower = signed.iter().all(|name| !name.is_empty() && !name.bytes().any(|b| b.is_ascii_uppercase()));
        if !lower || !signed.is_sorted_by(|a, b| a < b) {
            return Err(malformed());
        }
        Ok(Self { id: AccessKeyId::new(id), signed, listed, signature })
    }

    /// Everything that says what is asked is signed, and stands once.
    fn check(&self, headers: &HeaderMap) -> Result<(), AliyunAuthError> {
        let unsigned = |name: &str| !self.signed.contains(&name);
        let asks = |name: &&str| name.starts_with("x-acs-") || *name == CONTENT_TYPE.as_str();
        let mut must = REQUIRED.into_iter().chain(headers.keys().map(http::HeaderName::as_str).filter(asks));
        let twice = |name: &&&str| **name != "host" && headers.get_all(**name).iter().nth(1).is_some();
        match must.find(|name| unsigned(name)).or_else(|| self.signed.iter().find(twice).copied()) {
            Some(name) => Err(AliyunAuthError::Header(name.to_owned())),
            None => Ok(()),
        }
    }
}

pub(super) fn verify(asked: &Asked<'_>) -> Result<Caller, AliyunAuthError> {
    let headers = &asked.parts.headers;
    let claim = Claim::parse(headers)?;
    let credential = asked.credential(&claim.id)?;
    claim.check(headers)?;
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).map(str::trim);
    check_date(text("x-acs-date").ok_or(AliyunAuthError::Missing("x-acs-date"))?, asked.verifier.now())?;
    let hash = hex::encode(sha256(asked.body));
    if text(HASH).is_none_or(|declared| !declared.eq_ignore_ascii_case(&hash)) {
        return Err(AliyunAuthError::ContentHash);
    }
    let canonical = canonical_request(asked, &claim, &hash)?;
    let to_sign = format!("{SCHEME}\n{}", hex::encode(sha256(canonical.as_bytes())));
    let key = hmac::Key::new(hmac::HMAC_SHA256, credential.secret().expose().as_bytes());
    let computed = hmac_sha256(&key, to_sign.as_bytes());
    let given = Signature::from_hex(claim.signature.as_bytes());
    let proof = given.and_then(|given| compare(&computed, given.as_bytes()));
    let proof = proof.ok_or_else(|| AliyunAuthError::SignatureMismatch(claim.id.clone()))?;
    asked.admit(proof, &credential, claim.id, text(TOKEN), Scheme::AliyunAcs3)
}

fn canonical_request(asked: &Asked<'_>, claim: &Claim<'_>, hash: &str) -> Result<Zeroizing<String>, AliyunAuthError> {
    let host = canonical::host(asked.parts).map_err(|flaw| match flaw {
        HostFlaw::Invalid | HostFlaw::Twice => AliyunAuthError::Header("host".to_owned()),
    })?;
    let mut out = Zeroizing::new(String::with_capacity(1024));
    let query = Zeroizing::new(canonical::query(asked.parts.uri.query().unwrap_or_default()));
    for line in [asked.parts.method.as_str(), asked.parts.uri.path(), query.as_str()] {
        out.push_str(line);
        out.push('\n');
    }
    for name in &claim.signed {
        let value = match *name {
            "host" => Some(host.as_str()),
            name => asked.parts.headers.get(name).and_then(|value| value.to_str().ok()).map(str::trim),
        };
        // A header that was signed and is gone makes another signature than the one that was given.
        let value = value.ok_or_else(|| AliyunAuthError::SignatureMismatch(claim.id.clone()))?;
        for part in [name, ":", value, "\n"] {
            out.push_str(part);
        }
    }
    for part in ["\n", claim.listed, "\n", hash] {
        out.push_str(part);
    }
    Ok(out)
}
