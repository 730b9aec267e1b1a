//! The signatures of the OSS dialect: V1 and V4 in the `Authorization` header, the URL and a form's fields, and V2 in the
//! header. All cover the method, the resource and every `x-oss-*` header. V4 covers the whole query, V1 a list of
//! parameters. Neither covers the body.
//! <https://www.alibabacloud.com/help/en/oss/developer-reference/signature-overview>

mod canonical;
mod error;
mod form;
pub(super) mod fuzzing;
mod head;
mod subresources;
#[cfg(test)]
mod tests;
mod v1;
mod v2;
mod v4;

use std::sync::Arc;

use aws_lc_rs::hmac;
use http::header;
use http::request::Parts;

use crate::types::{AccessKeyId, Clock, Timestamp};

use super::caller::{Authenticated, Caller, Scheme};
use super::credentials::{Credential, Credentials, InForce, TokenFlaw};
use super::error::Place;
use super::mac::compare;
use super::query::pairs;
use canonical::{For, Text};
use head::Mechanism;

pub use error::{Mismatch, OssAuthError, OssFlaw};
pub use form::OssFormError;
pub use subresources::v1_signs;

/// What a request's address can mean: the service (no bucket), a bucket (no key) or an object. Names are decoded.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OssResource {
    /// The bucket.
    pub bucket: Option<String>,
    /// The object key.
    pub key: Option<String>,
}

/// Who sent a request, and what its address means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OssIdentified {
    /// Who.
    pub caller: Caller,
    /// Which of the readings the signature is right for; the first for an anonymous request.
    pub reading: usize,
}

/// Verifies the signatures of OSS requests.
#[derive(Debug)]
pub struct OssVerifier {
    credentials: Arc<Credentials>,
    clock: Arc<dyn Clock>,
    region: String,
}

/// A request, and what it is verified against.
struct Asked<'a> {
    parts: &'a Parts,
    readings: &'a [OssResource],
    credentials: &'a Credentials,
    now: Timestamp,
    region: &'a str,
    host: &'a str,
    token: Option<&'a str>,
}

/// A signature as a request carries it.
struct Claimed {
    scheme: Scheme,
    access_key: AccessKeyId,
    /// As text.
    provided: String,
    /// `None`: not the form of a signature, so no signature can equal it.
    signature: Option<Vec<u8>>,
}

/// What a scheme signs of a request.
struct Signed {
    string_to_sign: Text,
    canonical_request: Option<Text>,
}

impl OssVerifier {
    /// A verifier for requests to `region`, as V4's credential scopes name it (`cn-hangzhou`).
    #[must_use]
    pub fn new(credentials: Arc<Credentials>, clock: Arc<dyn Clock>, region: String) -> Self {
        Self { credentials, clock, region }
    }

    /// Establishes the caller of a request from its head alone. A request without any signature is anonymous; one with a
    /// signature is what that signature says or refused. `readings` are what the address can mean, most likely first: the
    /// first for which the signature is right counts.
    ///
    /// # Errors
    /// [`OssAuthError`].
    pub fn identify(&self, parts: &Parts, readings: &[OssResource]) -> Result<OssIdentified, OssAuthError> {
        head::check_duplicates(&parts.headers)?;
        let host = head::host(parts)?;
        let mechanism = head::mechanism(parts)?;
        let token = head::security_token(parts, &mechanism)?;
        let asked = Asked {
            parts,
            readings,
            credentials: &self.credentials,
            now: self.clock.now(),
            region: &self.region,
            host: &host,
            token: token.as_ref().map(|token| token.as_str()),
        };
        match mechanism {
            Mechanism::None => Ok(OssIdentified { caller: Caller::Anonymous, reading: 0 }),
            Mechanism::V1Header(text) => v1::verify_header(text, &asked),
            Mechanism::V1Url => v1::verify_url(&asked),
            Mechanism::V2Header(text) => v2::verify_header(text, &asked),
            Mechanism::V4Header(text) => v4::verify_header(text, &asked),
            Mechanism::V4Url => v4::verify_url(&asked),
        }
    }
}

impl Asked<'_> {
    fn query(&self) -> &str {
        self.parts.uri.query().unwrap_or_default()
    }

    /// Compares signatures, reading by reading. `signed` is what the scheme signs of a resource.
    fn decide(
        &self,
        claimed: Claimed,
        credential: &Credential,
        key: &hmac::Key,
        signed: impl Fn(&OssResource, For) -> Signed,
    ) -> Result<OssIdentified, OssAuthError> {
        let given = claimed.signature.as_deref();
        // A slash within a bucket's name would make `/a/b` + `c` and `/a` + `b/c` one resource.
        let is_sound = |resource: &OssResource| !resource.bucket.as_ref().is_some_and(|bucket| bucket.contains('/'));
        for (reading, resource) in self.readings.iter().enumerate().filter(|(_, resource)| is_sound(resource)) {
            let tag = hmac::sign(key, &signed(resource, For::Sign).string_to_sign);
            let Some(proof) = given.and_then(|given| compare(tag.as_ref(), given)) else { continue };
            let in_force = in_force(credential, &claimed.access_key, self.token, self.credentials, self.now)?;
            let user = Authenticated::new(proof, in_force, credential, claimed.access_key, claimed.scheme);
            return Ok(OssIdentified { caller: Caller::User(user), reading });
        }
        let shown = signed(self.readings.first().unwrap_or(&OssResource::default()), For::Show);
        Err(OssAuthError::SignatureMismatch(Box::new(Mismatch {
            access_key: claimed.access_key,
            provided: claimed.provided,
            string_to_sign: shown.string_to_sign.to_vec(),
            canonical_request: shown.canonical_request.map(|text| text.to_vec()),
        })))
    }
}

fn lookup(credentials: &Credentials, key: &AccessKeyId) -> Result<Arc<Credential>, OssAuthError> {
    credentials.lookup(key).ok_or_else(|| OssAuthError::AccessKeyUnknown(key.clone()))
}

fn in_force(
    credential: &Credential,
    key: &AccessKeyId,
    token: Option<&str>,
    credentials: &Credentials,
    now: Timestamp,
) -> Result<InForce, OssAuthError> {
    credential.in_force(token, now).map_err(|flaw| match flaw {
        TokenFlaw::Expired => OssAuthError::SecurityTokenExpired(key.clone()),
        TokenFlaw::Missing => OssAuthError::SecurityTokenMissing(key.clone()),
        TokenFlaw::Wrong if token.is_some_and(|token| credentials.knows_token(token)) => {
            OssAuthError::SecurityTokenOfAnother(key.clone())
        }
        TokenFlaw::Wrong => OssAuthError::SecurityTokenInvalid,
    })
}

/// Whether a request is OSS's by its own words: by the scheme of its `Authorization` header, which decides where there is
/// one; else by the parameters of a signed URL, an `x-oss-*` header or an `x-oss-*` parameter. What its host says is the
/// dialect's matter.
#[must_use]
pub fn is_oss(parts: &Parts) -> bool {
    if let Some(value) = parts.headers.get(header::AUTHORIZATION) {
        let scheme = value.as_bytes().trim_ascii().split(|&b| b == b' ').next().unwrap_or_default();
        return [head::V1, head::V2, head::V4].iter().any(|ours| ours.as_bytes() == scheme);
    }
    let by_query =
        |query: &str| pairs(query).any(|pair| *pair.name == *b"OSSAccessKeyId" || pair.name.starts_with(b"x-oss-"));
    parts.uri.query().is_some_and(by_query) || parts.headers.keys().any(|name| name.as_str().starts_with("x-oss-"))
}

/// Whether a (decoded) parameter's name is one of those that carry an OSS signature or token. They are no part of the
/// request's meaning.
#[must_use]
pub fn is_oss_auth_parameter(name: &[u8]) -> bool {
    const NAMES: [&[u8]; 11] = [
        b"Expires",
        b"OSSAccessKeyId",
        b"Signature",
        b"security-token",
        b"x-oss-additional-headers",
        b"x-oss-credential",
        b"x-oss-date",
        b"x-oss-expires",
        b"x-oss-security-token",
        b"x-oss-signature",
        b"x-oss-signature-version",
    ];
    NAMES.contains(&name)
}
