//! Why a request is not who it says it is.

use crate::types::AccessKeyId;

use super::credentials::TokenFlaw;

/// Where a signature stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// In the fields of an HTML form.
    Form,
    /// In the `Authorization` header.
    Header,
    /// In the URL's query.
    Url,
}

/// What is wrong with the form of a SigV4 signature.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Flaw {
    /// The algorithm is not `AWS4-HMAC-SHA256`.
    #[error("X-Amz-Algorithm only supports \"AWS4-HMAC-SHA256\"")]
    Algorithm,
    /// The credential is not `key/yyyymmdd/region/service/aws4_request`.
    #[error("the Credential is mal-formed; expecting \"<YOUR-AKID>/YYYYMMDD/REGION/SERVICE/aws4_request\"")]
    Credential,
    /// The credential's day is not the day of the request.
    #[error("Invalid credential date \"{given}\". This date is not the same as X-Amz-Date: \"{expected}\".")]
    CredentialDate {
        /// The credential's day.
        given: String,
        /// The request's day.
        expected: String,
    },
    /// The date in the URL is not ISO 8601's basic form.
    #[error("X-Amz-Date must be in the ISO8601 Long Format \"yyyyMMdd'T'HHmmss'Z'\"")]
    Date,
    /// A component of the header occurs twice, or is not one of the three.
    #[error("the authorization header requires exactly the components Credential, SignedHeaders and Signature")]
    Components,
    /// A parameter occurs twice.
    #[error("the parameter {0} is given more than once")]
    DuplicateParameter(&'static str),
    /// `X-Amz-Expires` is not a number.
    #[error("X-Amz-Expires should be a number")]
    ExpiresNotNumber,
    /// `X-Amz-Expires` is 0 or negative.
    #[error("X-Amz-Expires must be positive")]
    ExpiresNotPositive,
    /// `X-Amz-Expires` is more than a week.
    #[error(
        "X-Amz-Expires must be less than a week (in seconds); that is, the given X-Amz-Expires must be less than 604800 seconds"
    )]
    ExpiresTooLong,
    /// A parameter is missing from the URL.
    #[error(
        "Query-string authentication version 4 requires the X-Amz-Algorithm, X-Amz-Credential, X-Amz-Signature, X-Amz-Date, X-Amz-SignedHeaders, and X-Amz-Expires parameters."
    )]
    Incomplete,
    /// A parameter is not UTF-8.
    #[error("the parameter {0} is not text")]
    NotText(&'static str),
    /// The region is another.
    #[error("the region '{given}' is wrong; expecting '{expected}'")]
    Region {
        /// The credential's region.
        given: String,
        /// Ours.
        expected: String,
    },
    /// The service is another.
    #[error("incorrect service \"{given}\". This endpoint belongs to \"{expected}\".")]
    Service {
        /// The credential's service.
        given: String,
        /// Ours.
        expected: &'static str,
    },
    /// `SignedHeaders` is empty, not lower-case, not sorted, or names a header twice.
    #[error("SignedHeaders must be a sorted list of distinct lower-case header names")]
    SignedHeaders,
    /// `SignedHeaders` names a header that the request does not have.
    #[error("the signed header '{0}' is not in the request")]
    SignedHeaderAbsent(String),
    /// `SignedHeaders` lacks `host`.
    #[error("SignedHeaders must contain host")]
    SignedHostMissing,
    /// The credential does not end in `aws4_request`.
    #[error("incorrect terminal \"{0}\". This endpoint uses \"aws4_request\".")]
    Terminal(String),
}

/// Why a request's caller is not established. Each variant carries what its answer on the wire shows, and never what a
/// right signature would have been.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AuthError {
    /// No such access key.
    #[error("unknown access key {0}")]
    AccessKeyUnknown(AccessKeyId),
    /// `x-amz-content-sha256` is missing.
    #[error("x-amz-content-sha256 is missing")]
    ContentHashMissing,
    /// `x-amz-content-sha256` is none of its forms.
    #[error("x-amz-content-sha256 is not valid")]
    ContentHashInvalid(String),
    /// `x-amz-content-sha256` is a form that is not offered (ECDSA, the asymmetric variant).
    #[error("payload signing by {0} is not supported")]
    ContentHashUnsupported(String),
    /// The request has no usable date.
    #[error("the request has no valid date")]
    DateInvalid,
    /// A header that must occur once occurs more than once.
    #[error("the header {0} is given more than once")]
    DuplicateHeader(String),
    /// The signature in the URL is too old.
    #[error("the signed URL has expired")]
    Expired {
        /// For how long it was valid, in seconds, if it says so.
        valid_for: Option<i64>,
        /// Until when, in seconds since 1970.
        until: i64,
        /// The time now, in seconds since 1970.
        now: i64,
    },
    /// The parts of the request that say the host do not agree, or there is none.
    #[error("the request does not name one host")]
    HostInvalid,
    /// `x-amz-*` headers that the signature does not cover; lower-case names.
    #[error("headers were not signed: {}", .0.join(", "))]
    HeadersNotSigned(Vec<String>),
    /// The signature is not in the required form.
    #[error("malformed signature: {flaw}")]
    Malformed {
        /// Where it stands.
        place: Place,
        /// What is wrong.
        flaw: Flaw,
    },
    /// Credentials in the header and in the URL at once.
    #[error("more than one authentication mechanism")]
    MoreThanOneMechanism,
    /// The signature in the URL is valid only from a later time on.
    #[error("the signed URL is not yet valid")]
    NotYetValid {
        /// From when, in seconds since 1970.
        from: i64,
        /// The time now, in seconds since 1970.
        now: i64,
    },
    /// A parameter of the URL and the header of the same name do not agree.
    #[error("the header {0} and the query parameter of that name differ")]
    ParameterContradictsHeader(String),
    /// The session token is not the one of this access key, stands where it is not signed, or comes without a signature.
    #[error("the session token is not valid")]
    SessionToken,
    /// The credential is past its end.
    #[error("the session token has expired")]
    SessionTokenExpired,
    /// A temporary credential without its session token. S3 answers as to an unknown key.
    #[error("the access key {0} needs its session token")]
    SessionTokenMissing(AccessKeyId),
    /// SigV2, which the configuration does not allow.
    #[error("signature version 2 is not allowed")]
    SigV2Refused,
    /// A SigV2 signature that is not in the required form.
    #[error("malformed signature version 2: {0}")]
    SigV2Malformed(&'static str),
    /// The signature is not the one that we compute.
    #[error("the signature does not match")]
    SignatureMismatch(AccessKeyId),
    /// A payload in signed or trailed chunks under credentials that cannot carry one.
    #[error("chunked payload signing needs a signature version 4 in the Authorization header")]
    StreamingNotAllowed,
    /// The request's date is too far from ours.
    #[error("the request time is too far from the server's")]
    TimeTooSkewed {
        /// The request's time, in seconds since 1970.
        request: i64,
        /// Ours.
        now: i64,
    },
    /// An `Authorization` scheme that is none of ours.
    #[error("unsupported authorization type")]
    UnsupportedScheme,
}

impl AuthError {
    /// What S3 says of a credential that may not be used.
    pub(super) fn of_token(flaw: TokenFlaw, access_key: &AccessKeyId) -> Self {
        match flaw {
            TokenFlaw::Expired => Self::SessionTokenExpired,
            TokenFlaw::Missing => Self::SessionTokenMissing(access_key.clone()),
            TokenFlaw::Wrong => Self::SessionToken,
        }
    }
}
