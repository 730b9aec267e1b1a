//! What can come instead of a success, and what it means to the store.

use std::error::Error as _;
use std::fmt;
use std::time::Duration;

use http::StatusCode;
use http::header::{HeaderMap, RETRY_AFTER};

use super::xml;
use crate::store::Error;

/// A request that had no success.
#[derive(Debug)]
pub(super) enum Failure {
    /// The upstream was not reached: nothing was sent.
    Unreached(String),
    /// The connection failed, or an answer is not one: what the upstream did is not known.
    Broken(String),
    /// The upstream said no.
    Answer {
        status: StatusCode,
        /// The code of its error document, or empty.
        code: String,
        message: String,
        /// How long it wants us to wait.
        wait: Option<Duration>,
    },
    /// The request cannot be written (said in the text).
    Unfit(&'static str),
}

impl Failure {
    /// Of an error that hyper's client has.
    pub(super) fn of(error: &hyper_util::client::legacy::Error) -> Self {
        let mut text = error.to_string();
        let mut cause = error.source();
        while let Some(inner) = cause {
            text = format!("{text}: {inner}");
            cause = inner.source();
        }
        if error.is_connect() { Self::Unreached(text) } else { Self::Broken(text) }
    }

    pub(super) fn unfit(what: &'static str) -> Self {
        Self::Unfit(what)
    }

    /// Of an answer that is no success.
    pub(super) fn answer(status: StatusCode, headers: &HeaderMap, body: &[u8]) -> Self {
        let document = xml::parse(body).ok().filter(|root| root.name == "Error");
        let text = |name: &str| document.as_ref().map(|root| root.text(name).to_owned()).unwrap_or_default();
        let seconds = headers.get(RETRY_AFTER).and_then(|value| value.to_str().ok()?.parse().ok());
        Self::Answer {
            status,
            code: text("Code"),
            message: text("Message"),
            wait: seconds.map(|seconds: u64| Duration::from_secs(seconds.min(5))),
        }
    }

    pub(super) fn status(&self) -> Option<StatusCode> {
        match self {
            Self::Answer { status, .. } => Some(*status),
            Self::Unreached(_) | Self::Broken(_) | Self::Unfit(_) => None,
        }
    }

    pub(super) fn code(&self) -> &str {
        match self {
            Self::Answer { code, .. } => code,
            Self::Unreached(_) | Self::Broken(_) | Self::Unfit(_) => "",
        }
    }

    /// Whether another try may go better.
    pub(super) fn may_pass(&self) -> bool {
        match self {
            Self::Unreached(_) | Self::Broken(_) => true,
            Self::Answer { status, code, .. } => {
                status.is_server_error() && *status != StatusCode::NOT_IMPLEMENTED
                    || *status == StatusCode::TOO_MANY_REQUESTS
                    || *status == StatusCode::REQUEST_TIMEOUT
                    || matches!(code.as_str(), "SlowDown" | "RequestTimeout" | "OperationAborted")
            }
            Self::Unfit(_) => false,
        }
    }

    /// Whether another try may go better, and this one did nothing for sure.
    pub(super) fn did_nothing(&self) -> bool {
        match self {
            Self::Unreached(_) => true,
            Self::Answer { status, code, .. } => {
                *status == StatusCode::SERVICE_UNAVAILABLE
                    || *status == StatusCode::TOO_MANY_REQUESTS
                    || code == "SlowDown"
            }
            Self::Broken(_) | Self::Unfit(_) => false,
        }
    }

    /// Whether the upstream may have done what was asked, although it did not say so.
    pub(super) fn is_doubtful(&self) -> bool {
        match self {
            Self::Broken(_) => true,
            Self::Answer { status, .. } => status.is_server_error() && !self.did_nothing(),
            Self::Unreached(_) | Self::Unfit(_) => false,
        }
    }

    /// How long the upstream wants us to wait.
    pub(super) fn wait(&self) -> Option<Duration> {
        match self {
            Self::Answer { wait, .. } => *wait,
            Self::Unreached(_) | Self::Broken(_) | Self::Unfit(_) => None,
        }
    }

    /// Whether what was asked for is not there: the bucket, or what is in it.
    pub(super) fn is_absence(&self) -> bool {
        self.status() == Some(StatusCode::NOT_FOUND)
    }

    /// Whether the upstream knows who asks, and does not let him: OSS answers 409 where a retention policy forbids it.
    pub(super) fn is_denial(&self) -> bool {
        let denied = self.status() == Some(StatusCode::FORBIDDEN) && self.code() == "AccessDenied";
        denied || self.code() == "FileImmutable"
    }

    /// Whether a condition of the request did not hold.
    pub(super) fn is_refusal(&self) -> bool {
        let exists = matches!(self.code(), "FileAlreadyExists" | "PreconditionFailed" | "ConditionalRequestConflict");
        self.status() == Some(StatusCode::PRECONDITION_FAILED) || exists
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreached(why) => write!(f, "the upstream cannot be reached: {why}"),
            Self::Broken(why) => write!(f, "the upstream broke off: {why}"),
            Self::Answer { status, code, message, .. } => {
                write!(f, "the upstream answered {}", status.as_u16())?;
                if !code.is_empty() {
                    write!(f, " {code}")?;
                }
                if message.is_empty() { Ok(()) } else { write!(f, ": {message}") }
            }
            Self::Unfit(what) => write!(f, "the request cannot be written: its {what} is not valid"),
        }
    }
}

impl From<Failure> for Error {
    fn from(failure: Failure) -> Self {
        match &failure {
            Failure::Unreached(_) | Failure::Broken(_) => Self::Unavailable(failure.to_string()),
            Failure::Unfit(_) => Self::Unsupported("the upstream cannot be told this name or header"),
            Failure::Answer { status, code, .. } => match (status.as_u16(), code.as_str()) {
                (404, "NoSuchBucket") => Self::NoSuchBucket,
                (404, "NoSuchUpload") => Self::NoSuchUpload,
                // 405 is what S3 and OSS say of a version that is a delete marker.
                (404 | 405, _) => Self::NoSuchObject,
                (409, "BucketNotEmpty") => Self::BucketNotEmpty,
                (409, "FileImmutable") => Self::Held,
                (400, "MetadataTooLarge") => Self::MetadataTooLarge,
                // OSS has none that begin with a slash.
                (400, "InvalidObjectName" | "InvalidURI" | "KeyTooLongError") => {
                    Self::Unsupported("the upstream takes no object of this name")
                }
                (507, _) | (_, "QuotaExceeded" | "QuotaExceed" | "StorageFull" | "XMinioStorageFull") => Self::Full,
                _ if failure.is_refusal() => Self::PreconditionFailed,
                (501, _) => Self::Unsupported("the upstream does not implement this"),
                _ => Self::Unavailable(failure.to_string()),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(status: u16, code: &str) -> Failure {
        let body = format!("<?xml version=\"1.0\"?><Error><Code>{code}</Code><Message>no</Message></Error>");
        Failure::answer(StatusCode::from_u16(status).unwrap(), &HeaderMap::new(), body.as_bytes())
    }

    #[test]
    fn answers_mean_what_the_store_means() {
        assert!(matches!(Error::from(answer(404, "NoSuchKey")), Error::NoSuchObject));
        assert!(matches!(Error::from(answer(404, "NoSuchBucket")), Error::NoSuchBucket));
        assert!(matches!(Error::from(answer(404, "NoSuchUpload")), Error::NoSuchUpload));
        assert!(matches!(Error::from(answer(412, "PreconditionFailed")), Error::PreconditionFailed));
        assert!(matches!(Error::from(answer(409, "FileAlreadyExists")), Error::PreconditionFailed));
        assert!(matches!(Error::from(answer(409, "BucketNotEmpty")), Error::BucketNotEmpty));
        assert!(matches!(Error::from(answer(409, "FileImmutable")), Error::Held));
        assert!(matches!(Error::from(answer(405, "MethodNotAllowed")), Error::NoSuchObject), "of a delete marker");
        assert!(matches!(Error::from(answer(403, "QuotaExceeded")), Error::Full));
        assert!(matches!(Error::from(answer(400, "InvalidObjectName")), Error::Unsupported(_)));
        for (status, code) in [(500, "InternalError"), (503, "SlowDown"), (403, "AccessDenied"), (502, "")] {
            assert!(matches!(Error::from(answer(status, code)), Error::Unavailable(_)), "{status}");
        }
    }

    #[test]
    fn only_what_was_surely_not_done_is_safe_to_repeat_always() {
        assert!(answer(503, "SlowDown").did_nothing() && answer(503, "").may_pass());
        assert!(!answer(500, "InternalError").did_nothing() && answer(500, "InternalError").is_doubtful());
        assert!(answer(500, "").may_pass() && !answer(403, "AccessDenied").may_pass() && !answer(501, "").may_pass());
        assert!(Failure::Unreached(String::new()).did_nothing() && !Failure::Broken(String::new()).did_nothing());
    }

    #[test]
    fn a_body_that_is_no_document_is_no_code() {
        let failure = Failure::answer(StatusCode::BAD_GATEWAY, &HeaderMap::new(), b"<html>bad gateway");
        assert_eq!(failure.code(), "");
    }
}
