//! How long a body is and in what form it comes, decided from the head alone.

use http::request::Parts;
use http::{HeaderMap, Method, header};

use crate::gateway::BodyError;
use crate::identity::{Payload, sha256};

use super::EdgeError;

/// The largest object or part that one PUT may carry.
/// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/qfacts.html>
pub(super) const MAX_OBJECT: u64 = 5 << 30;
/// The longest message of a POST: 10,000 parts with their checksums stay below it.
pub(super) const MAX_MESSAGE: u64 = 4 << 20;

/// The checksums that a trailer may carry.
const TRAILERS: [&str; 5] = [
    "x-amz-checksum-crc32",
    "x-amz-checksum-crc32c",
    "x-amz-checksum-crc64nvme",
    "x-amz-checksum-sha1",
    "x-amz-checksum-sha256",
];

/// What is to come after the head.
#[derive(Debug)]
pub(super) struct Plan {
    /// The length of the plain body.
    pub(super) len: u64,
    /// Whether the head speaks of a body at all, be it an empty one.
    pub(super) has_body: bool,
    /// The trailer that follows, by lower-case name.
    pub(super) trailer: Option<String>,
    chunked: bool,
}

impl Plan {
    /// Reads the head of a request that is verified already.
    pub(super) fn of(parts: &Parts, payload: Payload) -> Result<Self, EdgeError> {
        let headers = &parts.headers;
        let encoded = content_length(headers)?;
        let plan = match payload {
            Payload::Chunked(chunking) => Self {
                len: decoded_length(headers)?,
                has_body: true,
                trailer: trailer(headers, chunking.has_trailer())?,
                chunked: true,
            },
            Payload::Hashed(_) | Payload::Unsigned => {
                trailer(headers, false)?;
                let is_upload = parts.method == Method::PUT || parts.method == Method::POST;
                let unknown = encoded.is_none() && (is_upload || headers.contains_key(header::TRANSFER_ENCODING));
                if unknown {
                    return Err(EdgeError::LengthMissing);
                }
                let len = encoded.unwrap_or(0);
                Self { len, has_body: encoded.is_some(), trailer: None, chunked: false }
            }
        };
        plan.check_limits(parts, encoded)?;
        match payload {
            Payload::Hashed(hash) if plan.len == 0 && hash != sha256(b"") => Err(BodyError::HashMismatch.into()),
            _ => Ok(plan),
        }
    }

    /// Whether the body comes in chunks, so that even an empty one has bytes on the wire.
    pub(super) fn is_framed(&self) -> bool {
        self.chunked
    }

    fn check_limits(&self, parts: &Parts, encoded: Option<u64>) -> Result<(), EdgeError> {
        if parts.method == Method::PUT && self.len > MAX_OBJECT {
            return Err(EdgeError::TooLarge { proposed: self.len, maximum: MAX_OBJECT });
        }
        if parts.method == Method::POST && self.len > MAX_MESSAGE {
            return Err(EdgeError::MessageTooLong { maximum: MAX_MESSAGE });
        }
        // Chunks only add to the plain bytes: a shorter body cannot hold what is declared.
        if encoded.is_some_and(|encoded| encoded < self.len) { Err(BodyError::Incomplete.into()) } else { Ok(()) }
    }
}

/// Digits only: no sign, no space, no list.
fn number(value: &http::HeaderValue) -> Option<u64> {
    let text = value.to_str().ok()?;
    text.bytes().all(|b| b.is_ascii_digit()).then(|| text.parse().ok()).flatten()
}

pub(super) fn content_length(headers: &HeaderMap) -> Result<Option<u64>, EdgeError> {
    match headers.get(header::CONTENT_LENGTH) {
        None => Ok(None),
        Some(_) if headers.contains_key(header::TRANSFER_ENCODING) => Err(EdgeError::LengthConflict),
        Some(value) => number(value).map(Some).ok_or(EdgeError::LengthConflict),
    }
}

fn decoded_length(headers: &HeaderMap) -> Result<u64, EdgeError> {
    let value = headers.get("x-amz-decoded-content-length").ok_or(EdgeError::LengthMissing)?;
    number(value).ok_or(EdgeError::DecodedLengthInvalid)
}

/// S3 takes one trailing checksum, and takes `x-amz-trailer` only where one can follow.
fn trailer(headers: &HeaderMap, follows: bool) -> Result<Option<String>, EdgeError> {
    let announced = headers.get("x-amz-trailer");
    match (announced, follows) {
        (None, false) => Ok(None),
        (None, true) => Err(EdgeError::TrailerMissing),
        (Some(value), _) => {
            let name = String::from_utf8_lossy(value.as_bytes()).trim().to_ascii_lowercase();
            let known = follows && TRAILERS.contains(&name.as_str());
            if known { Ok(Some(name)) } else { Err(EdgeError::TrailerUnsupported(name)) }
        }
    }
}
