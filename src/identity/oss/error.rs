//! Why a request of the OSS dialect is not from whom it says it is.

use std::fmt;

use zeroize::Zeroize;

use crate::identity::error::Place;
use crate::identity::query::ParameterFlaw;
use crate::types::AccessKeyId;

/// What is wrong with the form of an OSS signature. The texts are part of the service's own messages where those are
/// known (wrong region, wrong product).
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OssFlaw {
    /// `AdditionalHeaders` is empty, not lower-case, not sorted, or names a header twice.
    #[error("AdditionalHeaders must be a sorted list of distinct lower-case header names")]
    AdditionalHeaders,
    /// A component of the `Authorization` header is missing, occurs twice, or is none of the scheme's.
    #[error("The Authorization header is not well-formed.")]
    Components,
    /// `x-oss-content-sha256` is not `UNSIGNED-PAYLOAD`: the service verifies no body by its hash, and neither do we.
    #[error("x-oss-content-sha256 must be UNSIGNED-PAYLOAD")]
    ContentHash(String),
    /// The credential is not `key/yyyymmdd/region/oss/aliyun_v4_request`.
    #[error("The Credential must be <AccessKeyId>/<date>/<region>/oss/aliyun_v4_request")]
    Credential,
    /// The credential's day is not the day of the request.
    #[error("Invalid signing date in Authorization header.")]
    CredentialDate {
        /// The credential's day.
        given: String,
        /// The request's day.
        expected: String,
    },
    /// The date in the URL or the form is not ISO 8601's basic form.
    #[error("x-oss-date must be in the ISO8601 format yyyyMMdd'T'HHmmss'Z'")]
    Date,
    /// `Expires` (V1) or `x-oss-expires` (V4) is not a number, or outside 1–604,800 seconds (V4).
    #[error("{0} is not a number of seconds that is allowed")]
    Expires(&'static str),
    /// A parameter of a V4 URL is missing.
    #[error("The query parameter {0} is missing")]
    Incomplete(&'static str),
    /// A parameter occurs twice or is not UTF-8.
    #[error("The query parameter {0} {1}")]
    Parameter(&'static str, ParameterFlaw),
    /// The product is not `oss`.
    #[error("Invalid signing product in Authorization header.")]
    Product(String),
    /// The region is another.
    #[error("Invalid signing region in Authorization header.")]
    Region {
        /// The credential's region.
        given: String,
        /// Ours.
        expected: String,
    },
    /// The credential does not end in `aliyun_v4_request`.
    #[error("Invalid signing terminator in Authorization header.")]
    Terminal(String),
}

/// A signature that is not the one we compute, with what the answer shows so that a client's author can compare: the
/// strings that we signed. Tokens and customer keys in them are replaced, and `Debug` shows neither string.
#[derive(Clone, PartialEq, Eq)]
pub struct Mismatch {
    /// The access key id that the request names.
    pub access_key: AccessKeyId,
    /// The signature that it carries, as text.
    pub provided: String,
    /// What we signed. A key is in it as sent, so it need not be UTF-8.
    pub string_to_sign: Vec<u8>,
    /// V4's canonical request, whose hash is in the string to sign.
    pub canonical_request: Option<Vec<u8>>,
}

impl fmt::Debug for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mismatch").field("access_key", &self.access_key).finish_non_exhaustive()
    }
}

impl Drop for Mismatch {
    fn drop(&mut self) {
        self.string_to_sign.zeroize();
        self.canonical_request.zeroize();
    }
}

/// Why an OSS request's caller is not established. Each variant is a condition; what it is on the wire is the dialect's
/// to say. None carries what a right signature, token or secret would have been.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OssAuthError {
    /// No such access key.
    #[error("unknown access key {0}")]
    AccessKeyUnknown(AccessKeyId),
    /// The request has no `Date` and no `x-oss-date` that can be read.
    #[error("the request has no valid date")]
    DateInvalid,
    /// A header that must occur once occurs more than once.
    #[error("the header {0} is given more than once")]
    DuplicateHeader(String),
    /// The signature in the URL, or in the form, is too old.
    #[error("the signature has expired")]
    Expired {
        /// Until when it held, in seconds since 1970.
        until: i64,
        /// The time now, in seconds since 1970.
        now: i64,
    },
    /// `x-oss-*` headers beside a form, whose signature covers fields only; lower-case names.
    #[error("headers were not signed: {}", .0.join(", "))]
    HeadersNotSigned(Vec<String>),
    /// The parts of the request that say the host do not agree, or there is none.
    #[error("the request does not name one host")]
    HostInvalid,
    /// The signature is not in the required form.
    #[error("malformed signature: {flaw}")]
    Malformed {
        /// Where it stands.
        place: Place,
        /// What is wrong.
        flaw: OssFlaw,
    },
    /// More than one signature: in the header and in the URL, or of two schemes.
    #[error("more than one authentication mechanism")]
    MoreThanOneMechanism,
    /// The signature in the URL, or in the form, holds only from a later time on.
    #[error("the signature is not yet valid")]
    NotYetValid {
        /// From when, in seconds since 1970.
        from: i64,
        /// The time now, in seconds since 1970.
        now: i64,
    },
    /// One of V1's three parameters is missing from the URL.
    #[error("the query parameter {0} is missing")]
    ParameterMissing(&'static str),
    /// The credential is past its end.
    #[error("the security token has expired")]
    SecurityTokenExpired(AccessKeyId),
    /// The token is none of this gateway's.
    #[error("the security token is not valid")]
    SecurityTokenInvalid,
    /// A temporary credential without its token. The service answers as to an unknown key.
    #[error("the access key {0} needs its security token")]
    SecurityTokenMissing(AccessKeyId),
    /// The token belongs to another access key.
    #[error("the security token is not the one of access key {0}")]
    SecurityTokenOfAnother(AccessKeyId),
    /// A token in more than one place.
    #[error("the security token is given more than once")]
    SecurityTokenTwice,
    /// The signature is not the one that we compute.
    #[error("the signature does not match")]
    SignatureMismatch(Box<Mismatch>),
    /// The request's date is too far from ours.
    #[error("the request time is too far from the server's")]
    TimeTooSkewed {
        /// The request's time, in seconds since 1970.
        request: i64,
        /// Ours.
        now: i64,
    },
    /// A scheme that is none of OSS's, or the URL form of V2.
    #[error("unsupported authorization type")]
    UnsupportedScheme,
}
