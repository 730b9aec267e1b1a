//! What S3 answers to each refusal.
//! <https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html>

use std::fmt::Write as _;

use http::StatusCode;

use crate::gateway::BodyError;
use crate::identity::{AuthError, Flaw, FormError, Place, shown_time};

use super::EdgeError;

/// The most characters of a request's own text that an error repeats.
const ECHOED: usize = 256;

/// An S3 error: what its status line and XML say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Face {
    /// The status.
    pub status: StatusCode,
    /// `<Code>`.
    pub code: &'static str,
    /// `<Message>`.
    pub message: String,
    /// Further elements in order: name and text.
    pub extra: Vec<(&'static str, String)>,
}

impl Face {
    fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        Self { status, code, message: message.into(), extra: Vec::new() }
    }

    fn with(mut self, name: &'static str, text: impl ToString) -> Self {
        self.extra.push((name, text.to_string().chars().take(ECHOED).collect()));
        self
    }

    /// The error's XML document.
    #[must_use]
    pub fn to_xml(&self, resource: &str, request_id: &str) -> String {
        let mut out = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error>");
        let message: String = self.message.chars().take(4 * ECHOED).collect();
        let head = [("Code", self.code), ("Message", message.as_str())];
        let extra = self.extra.iter().map(|(name, text)| (*name, text.as_str()));
        let tail = [("Resource", resource), ("RequestId", request_id)];
        for (name, text) in head.into_iter().chain(extra).chain(tail) {
            // Writing to a String cannot fail.
            let _ = write!(out, "<{name}>{}</{name}>", escape(text));
        }
        out.push_str("</Error>");
        out
    }
}

/// Text for XML 1.0: what it has no place for becomes U+FFFD.
pub(super) fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\t' | '\n' | '\r' | '\u{20}'..='\u{d7ff}' | '\u{e000}'..='\u{fffd}' | '\u{10000}'.. => out.push(character),
            _ => out.push('\u{fffd}'),
        }
    }
    out
}

impl EdgeError {
    /// What S3 answers.
    #[must_use]
    pub fn face(&self) -> Face {
        let bad = |code, message: &str| Face::new(StatusCode::BAD_REQUEST, code, message);
        match self {
            Self::Auth(error) => s3_face(error),
            Self::Body(error) => body_face(error),
            Self::DecodedLengthInvalid => {
                bad("InvalidArgument", "x-amz-decoded-content-length must be a number of bytes.")
            }
            Self::Form(error) => form_face(error),
            Self::FormFileMissing => {
                bad("IncorrectNumberOfFilesInPostRequest", "POST requires exactly one file upload per request.")
            }
            Self::FormUnsupported(what) => Face::new(
                StatusCode::NOT_IMPLEMENTED,
                "NotImplemented",
                format!("The form field {what} is not implemented."),
            ),
            Self::LengthConflict => {
                bad("InvalidRequest", "The request must give the length of its body once, in one way.")
            }
            Self::LengthMissing => Face::new(
                StatusCode::LENGTH_REQUIRED,
                "MissingContentLength",
                "You must provide the Content-Length HTTP header.",
            ),
            Self::MessageTooLong { maximum } => {
                bad("MaxMessageLengthExceeded", "Your request was too big.").with("MaxMessageLengthBytes", maximum)
            }
            Self::TooLarge { proposed, maximum } => {
                bad("EntityTooLarge", "Your proposed upload exceeds the maximum allowed size")
                    .with("ProposedSize", proposed)
                    .with("MaxSizeAllowed", maximum)
            }
            Self::TrailerMissing => bad("MalformedTrailerError", "The request announces no trailer in x-amz-trailer."),
            Self::TrailerUnsupported(name) => {
                bad("InvalidRequest", "The value specified in the x-amz-trailer header is not supported")
                    .with("ArgumentName", "x-amz-trailer")
                    .with("ArgumentValue", name)
            }
        }
    }
}

/// What S3 answers to a body that fails.
#[must_use]
pub fn body_face(error: &BodyError) -> Face {
    let bad = |code, message: &str| Face::new(StatusCode::BAD_REQUEST, code, message);
    let incomplete = "You did not provide the number of bytes specified by the Content-Length HTTP header";
    match error {
        BodyError::Incomplete | BodyError::Connection(_) | BodyError::TooLong => bad("IncompleteBody", incomplete),
        BodyError::HashMismatch => bad(
            "XAmzContentSHA256Mismatch",
            "The provided 'x-amz-content-sha256' header does not match what was computed.",
        ),
        BodyError::ChunkSignature => Face::new(StatusCode::FORBIDDEN, "SignatureDoesNotMatch", MISMATCH),
        BodyError::MalformedChunk(why) => bad("InvalidRequest", &format!("The chunked encoding is malformed: {why}.")),
        BodyError::MalformedForm(why) => bad(
            "MalformedPOSTRequest",
            &format!("The body of your POST request is not well-formed multipart/form-data: {why}."),
        ),
        BodyError::FormTooLong => bad(
            "MaxPostPreDataLengthExceededError",
            "Your POST request fields preceding the upload file were too large.",
        )
        .with("MaxPostPreDataLengthBytes", crate::dialect::form::MAX_FIELDS),
        BodyError::FileTooLarge { proposed, maximum } => {
            bad("EntityTooLarge", "Your proposed upload exceeds the maximum allowed size")
                .with("ProposedSize", proposed)
                .with("MaxSizeAllowed", maximum)
        }
        BodyError::FileTooSmall { proposed, minimum } => {
            bad("EntityTooSmall", "Your proposed upload is smaller than the minimum allowed size")
                .with("ProposedSize", proposed)
                .with("MinSizeAllowed", minimum)
        }
        BodyError::MalformedTrailer(why) => bad(
            "MalformedTrailerError",
            &format!(
                "The request contained trailing data that was not well-formed or did not conform to our published schema: {why}."
            ),
        ),
        BodyError::Timeout => bad(
            "RequestTimeout",
            "Your socket connection to the server was not read from or written to within the timeout period. \
             Idle connections will be closed.",
        ),
    }
}

const MISMATCH: &str = "The request signature we calculated does not match the signature you provided. \
                        Check your key and signing method.";

/// What S3 answers to a caller that is not established.
#[must_use]
pub fn s3_face(error: &AuthError) -> Face {
    let bad = |code, message: &str| Face::new(StatusCode::BAD_REQUEST, code, message);
    let forbidden = |code, message: &str| Face::new(StatusCode::FORBIDDEN, code, message);
    match error {
        // As S3 does: a temporary key without its token is as good as unknown.
        AuthError::AccessKeyUnknown(key) | AuthError::SessionTokenMissing(key) => {
            forbidden("InvalidAccessKeyId", "The AWS Access Key Id you provided does not exist in our records.")
                .with("AWSAccessKeyId", key)
        }
        AuthError::ContentHashMissing => {
            bad("InvalidRequest", "Missing required header for this request: x-amz-content-sha256")
        }
        AuthError::ContentHashInvalid(text) => bad(
            "InvalidArgument",
            "x-amz-content-sha256 must be UNSIGNED-PAYLOAD, STREAMING-UNSIGNED-PAYLOAD-TRAILER, \
             STREAMING-AWS4-HMAC-SHA256-PAYLOAD, STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER or a valid sha256 value.",
        )
        .with("ArgumentName", "x-amz-content-sha256")
        .with("ArgumentValue", text),
        AuthError::ContentHashUnsupported(_) => Face::new(
            StatusCode::NOT_IMPLEMENTED,
            "NotImplemented",
            "Payloads signed with AWS4-ECDSA-P256-SHA256 are not implemented.",
        ),
        AuthError::DateInvalid => {
            forbidden("AccessDenied", "AWS authentication requires a valid Date or x-amz-date header")
        }
        AuthError::DuplicateHeader(name) => {
            bad("InvalidArgument", "A header that may be given once is given more than once.")
                .with("ArgumentName", name)
        }
        AuthError::Expired { valid_for, until, now } => {
            let face = forbidden("AccessDenied", "Request has expired");
            let face = match valid_for {
                Some(seconds) => face.with("X-Amz-Expires", seconds),
                None => face,
            };
            face.with("Expires", shown_time(*until)).with("ServerTime", shown_time(*now))
        }
        AuthError::HostInvalid => bad("InvalidRequest", "The request must name one host, in the Host header."),
        AuthError::HeadersNotSigned(names) => {
            forbidden("AccessDenied", "There were headers present in the request which were not signed")
                .with("HeadersNotSigned", names.join(", "))
        }
        AuthError::Malformed { place: Place::Form, flaw } => {
            region(bad("InvalidArgument", &format!("The form's credentials are malformed; {flaw}")), flaw)
        }
        AuthError::Malformed { place: Place::Header, flaw } => {
            let message = format!("The authorization header is malformed; {flaw}");
            region(bad("AuthorizationHeaderMalformed", &message), flaw)
        }
        AuthError::Malformed { place: Place::Url, flaw } => {
            let message = match flaw {
                Flaw::Credential | Flaw::Region { .. } | Flaw::Service { .. } | Flaw::Terminal(_) => {
                    format!("Error parsing the X-Amz-Credential parameter; {flaw}")
                }
                _ => flaw.to_string(),
            };
            region(bad("AuthorizationQueryParametersError", &message), flaw)
        }
        AuthError::MoreThanOneMechanism => bad(
            "InvalidArgument",
            "Only one auth mechanism allowed; only the X-Amz-Algorithm query parameter, Signature query string \
             parameter or the Authorization header should be specified",
        )
        .with("ArgumentName", "Authorization"),
        AuthError::NotYetValid { from, now } => forbidden("AccessDenied", "Request is not yet valid")
            .with("X-Amz-Date", shown_time(*from))
            .with("ServerTime", shown_time(*now)),
        AuthError::ParameterContradictsHeader(name) => {
            bad("InvalidArgument", "A query parameter and the header of its name do not agree.")
                .with("ArgumentName", name)
        }
        AuthError::SessionToken => bad("InvalidToken", "The provided token is malformed or otherwise invalid."),
        AuthError::SessionTokenExpired => bad("ExpiredToken", "The provided token has expired."),
        AuthError::SigV2Refused => bad(
            "InvalidRequest",
            "The authorization mechanism you have provided is not supported. Please use AWS4-HMAC-SHA256.",
        ),
        AuthError::SigV2Malformed(_) => bad("InvalidArgument", "AWS authorization header or query is invalid.")
            .with("ArgumentName", "Authorization"),
        AuthError::SignatureMismatch(key) => forbidden("SignatureDoesNotMatch", MISMATCH).with("AWSAccessKeyId", key),
        AuthError::StreamingNotAllowed => forbidden(
            "AccessDenied",
            "A payload in chunks requires AWS4-HMAC-SHA256 credentials in the Authorization header.",
        ),
        AuthError::TimeTooSkewed { request, now } => forbidden(
            "RequestTimeTooSkewed",
            "The difference between the request time and the current time is too large.",
        )
        .with("RequestTime", shown_time(*request))
        .with("ServerTime", shown_time(*now))
        .with("MaxAllowedSkewMilliseconds", 900_000),
        AuthError::UnsupportedScheme => {
            bad("InvalidArgument", "Unsupported Authorization Type").with("ArgumentName", "Authorization")
        }
    }
}

/// What S3 answers to a form.
fn form_face(error: &FormError) -> Face {
    let bad = |code, message: &str| Face::new(StatusCode::BAD_REQUEST, code, message);
    let refused =
        |why: &str| Face::new(StatusCode::FORBIDDEN, "AccessDenied", format!("Invalid according to Policy: {why}"));
    match error {
        FormError::Auth(error) => s3_face(error),
        FormError::FieldMissing(name) => bad(
            "InvalidArgument",
            &format!(
                "Bucket POST must contain a field named '{name}'.  If it is specified, please check the order of the fields."
            ),
        )
        .with("ArgumentName", name),
        FormError::FieldTwice(name) => {
            bad("InvalidArgument", "A form field is given more than once.").with("ArgumentName", name)
        }
        FormError::FieldNotText(name) => {
            bad("InvalidArgument", "A form field has characters that it cannot have.").with("ArgumentName", name)
        }
        FormError::FieldInvalid(name) => bad("InvalidArgument", "A form field is not valid.").with("ArgumentName", name),
        FormError::PolicyExpired => refused("Policy expired."),
        FormError::PolicyInvalid(why) => bad("InvalidPolicyDocument", &format!("Invalid Policy: {why}")),
        FormError::PolicyRefuses(why) => refused(why),
    }
}

/// Clients that meet a wrong region look for the right one in `<Region>` and sign again.
fn region(face: Face, flaw: &Flaw) -> Face {
    match flaw {
        Flaw::Region { expected, .. } => face.with("Region", expected),
        _ => face,
    }
}
