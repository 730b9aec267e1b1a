//! Signature version 4, in the header and in the URL.
//! <https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-authenticating-requests.html>

mod claim;
mod keys;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use aws_lc_rs::hmac;
use http::HeaderMap;
use http::request::Parts;

use crate::types::{AccessKeyId, Timestamp};

use super::caller::{Authenticated, Scheme};
use super::canonical::{self, PathRule};
use super::chunked::ChunkSigner;
use super::credentials::{Credential, Credentials};
use super::date::{SignedDate, is_early, is_skewed, millis};
use super::error::{AuthError, Flaw, Place};
use super::mac::{Signature, compare, hmac_sha256, sha256};
pub(super) use claim::{Claim, has_url_parameters};
pub(super) use keys::{Derivation, KeyScope, SigningKeys};

/// A service that requests are signed for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Service {
    name: &'static str,
    path: PathRule,
}

/// Object storage.
pub(super) const S3: Service = Service { name: "s3", path: PathRule::EncodeOnce };
/// Key administration.
pub(super) const KMS: Service = Service { name: "kms", path: PathRule::EncodeSent };

/// Against what a claim is verified.
#[derive(Debug)]
pub(super) struct Against<'a> {
    pub(super) credentials: &'a Credentials,
    pub(super) now: Timestamp,
    pub(super) region: &'a str,
    pub(super) service: Service,
    /// The session token that the request shows.
    pub(super) token: Option<&'a str>,
}

/// A claim that has passed every check but the signature's.
pub(super) struct Checked<'a> {
    claim: &'a Claim,
    credential: Arc<Credential>,
    date: SignedDate,
    scope: KeyScope,
    now: Timestamp,
    token: Option<&'a str>,
}

/// A claim whose signature is right, and what a chunked body needs of it.
pub(super) struct Verified {
    pub(super) caller: Authenticated,
    key: Arc<hmac::Key>,
    date: SignedDate,
    scope: String,
    signature: Signature,
}

impl Verified {
    /// The chain of chunk signatures that starts at this request's.
    pub(super) fn chunk_signer(self) -> ChunkSigner {
        ChunkSigner::new(self.key, self.date.stamp(), &self.scope, self.signature)
    }
}

impl Claim {
    /// Checks key, dates and scope, in S3's order.
    pub(super) fn check<'a>(&'a self, parts: &Parts, against: &Against<'a>) -> Result<Checked<'a>, AuthError> {
        let unknown = || AuthError::AccessKeyUnknown(self.access_key.clone());
        let credential = against.credentials.lookup(&self.access_key).ok_or_else(unknown)?;
        let date = match &self.window {
            Some(window) => window.date.clone(),
            None => header_date(&parts.headers)?,
        };
        let scope = self.check_scope(&date, against)?;
        match &self.window {
            Some(window) => window.check(against.now)?,
            None => check_skew(&date, against.now)?,
        }
        self.check_coverage(&parts.headers)?;
        Ok(Checked { claim: self, credential, date, scope, now: against.now, token: against.token })
    }

    /// Verifies a form: its signature is over the policy alone, as the form has it. How long it holds is the policy's
    /// to say, so its date may be any that has come.
    pub(in crate::identity) fn verify_form(
        &self,
        date: SignedDate,
        policy: &str,
        against: &Against<'_>,
    ) -> Result<Authenticated, AuthError> {
        let unknown = || AuthError::AccessKeyUnknown(self.access_key.clone());
        let credential = against.credentials.lookup(&self.access_key).ok_or_else(unknown)?;
        let scope = self.check_scope(&date, against)?;
        if is_early(&date, against.now) {
            return Err(AuthError::NotYetValid { from: date.seconds(), now: millis(against.now) / 1000 });
        }
        let key = credential.signing_keys().get(credential.secret(), &scope);
        let mismatch = || AuthError::SignatureMismatch(self.access_key.clone());
        let given = self.signature.ok_or_else(mismatch)?;
        let proof = compare(&hmac_sha256(&key, policy.as_bytes()), given.as_bytes()).ok_or_else(mismatch)?;
        let in_force = credential.in_force(against.token, against.now);
        let in_force = in_force.map_err(|flaw| AuthError::of_token(flaw, &self.access_key))?;
        Ok(Authenticated::new(proof, in_force, &credential, self.access_key.clone(), Scheme::SigV4Form))
    }

    fn check_scope(&self, date: &SignedDate, against: &Against<'_>) -> Result<KeyScope, AuthError> {
        let (region, service) = (against.region, against.service.name);
        let flaw = if self.day != date.day() {
            Flaw::CredentialDate { given: self.day.clone(), expected: date.day().to_owned() }
        } else if self.region != region {
            Flaw::Region { given: self.region.clone(), expected: region.to_owned() }
        } else if self.service != service {
            Flaw::Service { given: self.service.clone(), expected: service }
        } else if self.terminal != Derivation::Aws.terminal() {
            Flaw::Terminal(self.terminal.clone())
        } else {
            let (day, region) = (self.day.clone(), region.to_owned());
            return Ok(KeyScope { derivation: Derivation::Aws, day, region, service });
        };
        Err(AuthError::Malformed { place: self.place, flaw })
    }

    /// Every signed header is there, once; every `x-amz-*` header is signed. A line of its own for a value that was
    /// signed within another would leave the signature right and change what a reader of the first line sees, so a
    /// signed header may be split only where lines are joined again (`x-amz-meta-*`).
    fn check_coverage(&self, headers: &HeaderMap) -> Result<(), AuthError> {
        for name in self.header_names().filter(|&name| name != "host") {
            let mut lines = headers.get_all(name).iter();
            if lines.next().is_none() {
                let flaw = Flaw::SignedHeaderAbsent(name.to_owned());
                return Err(AuthError::Malformed { place: self.place, flaw });
            }
            if lines.next().is_some() && !name.starts_with("x-amz-meta-") {
                return Err(AuthError::DuplicateHeader(name.to_owned()));
            }
        }
        let is_signed = |name: &str| self.header_names().any(|signed| signed == name);
        let amz = headers.keys().map(http::HeaderName::as_str).filter(|name| name.starts_with("x-amz-"));
        let mut bare: Vec<String> = amz.filter(|name| !is_signed(name)).map(str::to_owned).collect();
        if bare.is_empty() {
            return Ok(());
        }
        bare.sort();
        Err(AuthError::HeadersNotSigned(bare))
    }
}

impl Checked<'_> {
    /// Compares signatures. `payload` is the last line of the canonical request: the text of `x-amz-content-sha256`, or
    /// the hash of the body for services that do not send it.
    pub(super) fn verify(self, parts: &Parts, payload: &str, service: Service) -> Result<Verified, AuthError> {
        let canonical = self.canonical_request(parts, payload, service)?;
        let scope = format!("{}/{}/{}/aws4_request", self.scope.day, self.scope.region, self.scope.service);
        let signed = format!("AWS4-HMAC-SHA256\n{}\n{scope}\n{}", self.date.stamp(), hex::encode(sha256(&canonical)));
        let key = self.credential.signing_keys().get(self.credential.secret(), &self.scope);
        let computed = hmac_sha256(&key, signed.as_bytes());
        let mismatch = || AuthError::SignatureMismatch(self.claim.access_key.clone());
        let given = self.claim.signature.ok_or_else(mismatch)?;
        let proof = compare(&computed, given.as_bytes()).ok_or_else(mismatch)?;
        let scheme = match self.claim.place {
            Place::Form => Scheme::SigV4Form,
            Place::Header => Scheme::SigV4Header,
            Place::Url => Scheme::SigV4Url,
        };
        let in_force = self.credential.in_force(self.token, self.now);
        let in_force = in_force.map_err(|flaw| AuthError::of_token(flaw, &self.claim.access_key))?;
        let caller = Authenticated::new(proof, in_force, &self.credential, self.claim.access_key.clone(), scheme);
        Ok(Verified { caller, key, date: self.date, scope, signature: Signature::of(computed) })
    }

    fn canonical_request(&self, parts: &Parts, payload: &str, service: Service) -> Result<Vec<u8>, AuthError> {
        let mut out = Vec::with_capacity(512);
        let mut line = |bytes: &[u8]| {
            out.extend_from_slice(bytes);
            out.push(b'\n');
        };
        line(parts.method.as_str().as_bytes());
        line(canonical::path(parts.uri.path(), service.path).as_bytes());
        line(canonical::query(parts.uri.query().unwrap_or_default()).as_bytes());
        for name in self.claim.header_names() {
            let value = match name {
                "host" => Some(canonical::host(parts)?.into_bytes()),
                _ => canonical::header_value(&parts.headers, name),
            };
            line(&[name.as_bytes(), b":", &value.unwrap_or_default()].concat());
        }
        line(b"");
        line(self.claim.signed_headers.as_bytes());
        out.extend_from_slice(payload.as_bytes());
        Ok(out)
    }
}

/// The date of a request that is signed in its header: `x-amz-date`, and `Date` only where that is absent.
fn header_date(headers: &HeaderMap) -> Result<SignedDate, AuthError> {
    let text = |name: &str| headers.get(name).map(|value| value.to_str().map_err(|_| AuthError::DateInvalid));
    let date = match (text("x-amz-date").transpose()?, text("date").transpose()?) {
        (Some(amz), _) => SignedDate::from_iso(amz.trim()),
        (None, Some(date)) => SignedDate::from_iso(date.trim()).or_else(|| SignedDate::from_http(date.trim())),
        (None, None) => None,
    };
    date.ok_or(AuthError::DateInvalid)
}

/// A request's date may be 15 minutes from ours, both ways.
pub(super) fn check_skew(date: &SignedDate, now: Timestamp) -> Result<(), AuthError> {
    if is_skewed(date, now) {
        return Err(AuthError::TimeTooSkewed { request: date.seconds(), now: millis(now) / 1000 });
    }
    Ok(())
}

/// A presigned URL's time: from its date on, for so many seconds.
#[derive(Debug, Clone)]
pub(super) struct Window {
    date: SignedDate,
    valid_for: i64,
}

impl Window {
    fn check(&self, now: Timestamp) -> Result<(), AuthError> {
        let (from, seconds) = (self.date.seconds(), millis(now) / 1000);
        let until = from.saturating_add(self.valid_for);
        if millis(now) > until.saturating_mul(1000) {
            return Err(AuthError::Expired { valid_for: Some(self.valid_for), until, now: seconds });
        }
        if is_early(&self.date, now) {
            return Err(AuthError::NotYetValid { from, now: seconds });
        }
        Ok(())
    }
}

fn access_key(text: &str) -> AccessKeyId {
    AccessKeyId::new(text)
}
