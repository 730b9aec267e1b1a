//! The one door: finds the signature of a request, if it has one, and verifies it.

use std::sync::Arc;

use http::request::Parts;
use http::{HeaderMap, header};
use zeroize::Zeroizing;

use crate::types::{Clock, Timestamp};

use super::caller::Caller;
use super::canonical;
use super::chunked::{ChunkSigner, Chunking};
use super::credentials::Credentials;
use super::error::{AuthError, Flaw, Place};
use super::payload::{self, Payload};
use super::query;
use super::sigv4::{Against, Claim, KMS, S3, Service};
use super::{sigv2, sigv4};

/// Whether requests signed with signature version 2 are verified or refused unseen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum SigV2 {
    /// Verified.
    Allowed,
    /// Refused.
    #[default]
    Refused,
}

/// Who sent a request, and how its payload is to be verified.
#[derive(Debug)]
pub struct Identified {
    /// Who.
    pub caller: Caller,
    /// What was said of the payload.
    pub payload: Payload,
    /// The chain of chunk signatures; there exactly for the payloads with signed chunks.
    pub chunks: Option<ChunkSigner>,
}

/// Verifies the signatures of requests.
#[derive(Debug)]
pub struct Verifier {
    credentials: Arc<Credentials>,
    clock: Arc<dyn Clock>,
    region: String,
    sigv2: SigV2,
}

/// Where a request carries which kind of signature.
enum Mechanism<'a> {
    None,
    SigV2Header(&'a str),
    SigV2Url,
    SigV4Header(&'a str),
    SigV4Url,
}

/// Headers that say one thing: two lines of one would let the signature see one and a reader the other.
const SINGLE: [&str; 7] =
    ["authorization", "content-length", "content-md5", "content-type", "date", "host", "transfer-encoding"];

impl Verifier {
    /// A verifier for requests to `region` (as their credential scopes name it).
    #[must_use]
    pub fn new(credentials: Arc<Credentials>, clock: Arc<dyn Clock>, region: String, sigv2: SigV2) -> Self {
        Self { credentials, clock, region, sigv2 }
    }

    pub(super) fn sigv2(&self) -> SigV2 {
        self.sigv2
    }

    pub(super) fn credentials(&self) -> &Credentials {
        &self.credentials
    }

    pub(super) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Establishes the caller of an S3 request from its head alone. A request without any signature is anonymous; one
    /// with a signature is what that signature says or refused. `bucket_in_host` is the bucket of virtual-host
    /// addressing, which SigV2 signs.
    ///
    /// # Errors
    /// [`AuthError`].
    pub fn identify(&self, parts: &Parts, bucket_in_host: Option<&str>) -> Result<Identified, AuthError> {
        let mechanism = self.mechanism(parts)?;
        let token = session_token(parts, &mechanism)?;
        let against = self.against(S3, token.as_ref().map(|token| token.as_str()));
        match mechanism {
            Mechanism::None => {
                let payload = plain_payload(&parts.headers)?;
                Ok(Identified { caller: Caller::Anonymous, payload, chunks: None })
            }
            Mechanism::SigV4Header(text) => sigv4_header(text, parts, &against),
            Mechanism::SigV4Url => sigv4_url(parts, &against),
            Mechanism::SigV2Header(text) => {
                let payload = whole_payload(&parts.headers)?;
                let caller = sigv2::verify_header(text, parts, bucket_in_host, &against)?;
                Ok(Identified { caller: Caller::User(caller), payload, chunks: None })
            }
            Mechanism::SigV2Url => {
                let payload = whole_payload(&parts.headers)?;
                let caller = sigv2::verify_url(parts, bucket_in_host, &against)?;
                Ok(Identified { caller: Caller::User(caller), payload, chunks: None })
            }
        }
    }

    /// Establishes the caller of a request to the key service, whose small body has been read: it must be the one
    /// that was signed. Only the `Authorization` header counts there.
    ///
    /// # Errors
    /// [`AuthError`].
    pub fn identify_kms(&self, parts: &Parts, body_sha256: &[u8; 32]) -> Result<Caller, AuthError> {
        let mechanism = self.mechanism(parts)?;
        let token = session_token(parts, &mechanism)?;
        let text = match mechanism {
            Mechanism::None => return Ok(Caller::Anonymous),
            Mechanism::SigV4Header(text) => text,
            Mechanism::SigV2Header(_) | Mechanism::SigV2Url | Mechanism::SigV4Url => {
                return Err(AuthError::UnsupportedScheme);
            }
        };
        let claim = Claim::from_header(text)?;
        let against = self.against(KMS, token.as_ref().map(|token| token.as_str()));
        let checked = claim.check(parts, &against)?;
        let hash = hex::encode(body_sha256);
        if let Some(declared) = content_hash(&parts.headers)?
            && !declared.eq_ignore_ascii_case(&hash)
        {
            return Err(AuthError::ContentHashInvalid(declared.to_owned()));
        }
        checked.verify(parts, &hash, KMS).map(|verified| Caller::User(verified.caller))
    }

    pub(super) fn against<'a>(&'a self, service: Service, token: Option<&'a str>) -> Against<'a> {
        Against { credentials: &self.credentials, now: self.clock.now(), region: &self.region, service, token }
    }

    fn mechanism<'a>(&self, parts: &'a Parts) -> Result<Mechanism<'a>, AuthError> {
        check_duplicates(&parts.headers)?;
        canonical::host(parts)?;
        let raw = parts.uri.query().unwrap_or_default();
        let header = parts.headers.get(header::AUTHORIZATION);
        match (header, sigv4::has_url_parameters(raw), sigv2::has_url_parameters(raw)) {
            (None, false, false) => Ok(Mechanism::None),
            (None, true, false) => Ok(Mechanism::SigV4Url),
            (None, false, true) => self.allow_sigv2(Mechanism::SigV2Url),
            (Some(header), false, false) => {
                let flaw = AuthError::Malformed { place: Place::Header, flaw: Flaw::Components };
                let text = header.to_str().map_err(|_| flaw.clone())?.trim();
                match text.split_once(' ') {
                    Some(("AWS4-HMAC-SHA256", rest)) => Ok(Mechanism::SigV4Header(rest)),
                    Some(("AWS", rest)) => self.allow_sigv2(Mechanism::SigV2Header(rest)),
                    None if text == "AWS4-HMAC-SHA256" => Err(flaw),
                    _ => Err(AuthError::UnsupportedScheme),
                }
            }
            _ => Err(AuthError::MoreThanOneMechanism),
        }
    }

    fn allow_sigv2<'a>(&self, mechanism: Mechanism<'a>) -> Result<Mechanism<'a>, AuthError> {
        match self.sigv2 {
            SigV2::Allowed => Ok(mechanism),
            SigV2::Refused => Err(AuthError::SigV2Refused),
        }
    }
}

fn sigv4_header(text: &str, parts: &Parts, against: &Against<'_>) -> Result<Identified, AuthError> {
    let claim = Claim::from_header(text)?;
    let checked = claim.check(parts, against)?;
    let declared = content_hash(&parts.headers)?.ok_or(AuthError::ContentHashMissing)?;
    let payload = Payload::parse(declared)?;
    let verified = checked.verify(parts, declared, S3)?;
    let caller = Caller::User(verified.caller.clone());
    let chunks = match payload {
        Payload::Chunked(Chunking::Signed | Chunking::SignedTrailer) => Some(verified.chunk_signer()),
        Payload::Chunked(Chunking::UnsignedTrailer) | Payload::Hashed(_) | Payload::Unsigned => None,
    };
    Ok(Identified { caller, payload, chunks })
}

fn sigv4_url(parts: &Parts, against: &Against<'_>) -> Result<Identified, AuthError> {
    let raw = parts.uri.query().unwrap_or_default();
    let claim = Claim::from_url(raw)?;
    let checked = claim.check(parts, against)?;
    let in_query = query::single(raw, "X-Amz-Content-Sha256")?;
    let declared = match (content_hash(&parts.headers)?, in_query.as_deref()) {
        (Some(header), Some(parameter)) if header != parameter => {
            return Err(AuthError::ParameterContradictsHeader("x-amz-content-sha256".to_owned()));
        }
        (header, parameter) => header.or(parameter).unwrap_or(payload::UNSIGNED),
    };
    let payload = refuse_chunks(Payload::parse(declared)?)?;
    let verified = checked.verify(parts, declared, S3)?;
    Ok(Identified { caller: Caller::User(verified.caller), payload, chunks: None })
}

/// The session token that a request shows, from where its signature covers it: the `x-amz-*` headers are signed always,
/// the query only where the signature stands in it.
fn session_token(parts: &Parts, mechanism: &Mechanism<'_>) -> Result<Option<Zeroizing<String>>, AuthError> {
    let header =
        parts.headers.get(query::SESSION_TOKEN).map(|value| value.to_str().map_err(|_| AuthError::SessionToken));
    let header = header.transpose()?.map(|text| Zeroizing::new(text.to_owned()));
    let parameter = query::session_token(parts.uri.query().unwrap_or_default())?;
    match (mechanism, header, parameter) {
        (_, None, None) => Ok(None),
        (Mechanism::SigV2Header(_) | Mechanism::SigV4Header(_), Some(token), None) => Ok(Some(token)),
        (Mechanism::SigV2Url | Mechanism::SigV4Url, Some(token), None)
        | (Mechanism::SigV2Url | Mechanism::SigV4Url, None, Some(token)) => Ok(Some(token)),
        (Mechanism::SigV2Url | Mechanism::SigV4Url, Some(_), Some(_)) => {
            Err(AuthError::ParameterContradictsHeader(query::SESSION_TOKEN.to_owned()))
        }
        (Mechanism::None, ..) | (Mechanism::SigV2Header(_) | Mechanism::SigV4Header(_), _, Some(_)) => {
            Err(AuthError::SessionToken)
        }
    }
}

pub(super) fn check_duplicates(headers: &HeaderMap) -> Result<(), AuthError> {
    match duplicate(headers, "x-amz-") {
        Some(name) => Err(AuthError::DuplicateHeader(name)),
        None => Ok(()),
    }
}

/// A header that is there twice and may not be: one of those that say one thing, or of a dialect's own (those that begin
/// with `prefix`) any but its user metadata, whose lines are joined wherever they are read.
pub(super) fn duplicate(headers: &HeaderMap, prefix: &str) -> Option<String> {
    let once =
        |name: &str| SINGLE.contains(&name) || name.strip_prefix(prefix).is_some_and(|rest| !rest.starts_with("meta-"));
    let twice = |name: &&str| headers.get_all(*name).iter().nth(1).is_some();
    headers.keys().map(header::HeaderName::as_str).filter(|name| once(name)).find(twice).map(str::to_owned)
}

fn content_hash(headers: &HeaderMap) -> Result<Option<&str>, AuthError> {
    let value = headers.get("x-amz-content-sha256");
    value.map(|value| value.to_str().map_err(|_| AuthError::ContentHashInvalid(String::new()))).transpose()
}

/// The payload of an anonymous request: anything but signed chunks, since there is nothing that could sign them.
fn plain_payload(headers: &HeaderMap) -> Result<Payload, AuthError> {
    match content_hash(headers)?.map_or(Ok(Payload::Unsigned), Payload::parse)? {
        Payload::Chunked(Chunking::Signed | Chunking::SignedTrailer) => Err(AuthError::StreamingNotAllowed),
        payload => Ok(payload),
    }
}

/// The payload of a request whose credentials carry no chunked one: SigV2, and every signature in a URL.
fn whole_payload(headers: &HeaderMap) -> Result<Payload, AuthError> {
    refuse_chunks(content_hash(headers)?.map_or(Ok(Payload::Unsigned), Payload::parse)?)
}

fn refuse_chunks(payload: Payload) -> Result<Payload, AuthError> {
    match payload {
        Payload::Chunked(_) => Err(AuthError::StreamingNotAllowed),
        payload => Ok(payload),
    }
}
