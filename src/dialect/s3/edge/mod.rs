//! The edge of the S3 dialect: verifies a request before a byte of its body is read, and hands on a request without
//! credentials and with a plain body that is verified while it streams.
//!
//! What is behind the edge never sees `Authorization`, a presigned URL's parameters, `aws-chunked` framing or an
//! announced trailer; it sees a `Content-Length` that is the length of the plain body. A body that is not what its
//! head declared or signed fails before its last bytes leave, so nothing that waits for `Content-Length` bytes can
//! take it for whole.

mod authenticate;
mod decoding;
mod face;
mod form;
mod framing;
#[cfg(test)]
mod tests;

/// What `crate::fuzzing` makes promises of.
pub(super) mod fuzzed {
    pub(crate) use crate::dialect::form::{Event, FormParser, MAX_FIELDS};
}

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::request::Parts;
use http_body::Body;

use crate::dialect::body::Decoding;
use crate::dialect::s3::BaseDomains;
use crate::gateway::{BodyError, TrailerSlot};
use crate::identity::{AuthError, Caller, Credentials, FormError, SigV2, Transport, Verifier};
use crate::types::Clock;

pub use crate::dialect::body::{BodyFailure, BoxError, EdgeBody};
pub use face::{Face, body_face, s3_face};
pub use form::FormReply;

/// How long a client may send nothing of a body that it announced.
pub const IDLE_TIMEOUT: Duration = Duration::from_secs(60);

/// What the edge is configured with.
#[derive(Debug, Clone)]
pub struct EdgeConfig {
    /// The region that credential scopes must name.
    pub region: String,
    /// Whether signature version 2 is verified or refused.
    pub sigv2: SigV2,
    /// The domains below which a label is a bucket (virtual-host addressing), without port.
    pub base_domains: Vec<String>,
    /// How long a client may send nothing of a body that it announced.
    pub idle_timeout: Duration,
}

impl Default for EdgeConfig {
    fn default() -> Self {
        Self {
            region: "us-east-1".to_owned(),
            sigv2: SigV2::Refused,
            base_domains: Vec::new(),
            idle_timeout: IDLE_TIMEOUT,
        }
    }
}

/// Why a request does not pass the edge. Nothing was done, and of its body nothing (or, for an empty object, only the
/// framing) was read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EdgeError {
    /// The caller is not established.
    #[error(transparent)]
    Auth(#[from] AuthError),
    /// The body of an empty object is wrong, or the head contradicts itself about the body.
    #[error(transparent)]
    Body(#[from] BodyError),
    /// `x-amz-decoded-content-length` is not a number.
    #[error("the decoded length is not a number")]
    DecodedLengthInvalid,
    /// A form whose signature, policy or fields are wrong.
    #[error(transparent)]
    Form(#[from] FormError),
    /// A form without a file.
    #[error("the form has no file")]
    FormFileMissing,
    /// A form field asks for what is not implemented.
    #[error("the form field {0} is not implemented")]
    FormUnsupported(String),
    /// `Content-Length` is not a number, or stands beside `Transfer-Encoding`.
    #[error("the length of the body is contradictory")]
    LengthConflict,
    /// The request does not say how long its body is.
    #[error("the request does not say how long its body is")]
    LengthMissing,
    /// The body of a POST is longer than any that S3 defines.
    #[error("the request's message is too long")]
    MessageTooLong {
        /// The most allowed.
        maximum: u64,
    },
    /// The body of an object or part is too long.
    #[error("the body of {proposed} bytes exceeds the maximum of {maximum}")]
    TooLarge {
        /// What the request declares.
        proposed: u64,
        /// The most allowed.
        maximum: u64,
    },
    /// A trailer follows and `x-amz-trailer` does not announce it.
    #[error("no trailer was announced")]
    TrailerMissing,
    /// `x-amz-trailer` announces something that is not one known checksum, or a trailer that cannot follow.
    #[error("the announced trailer is not supported")]
    TrailerUnsupported(String),
}

/// Verifies requests and makes their bodies plain.
#[derive(Debug)]
pub struct Edge {
    verifier: Verifier,
    base_domains: BaseDomains,
    idle_timeout: Duration,
}

/// A request that may go on.
#[derive(Debug)]
pub struct Admitted<B> {
    /// The head, without anything of signatures and framing; `Content-Length` is the plain body's.
    pub parts: Parts,
    /// The plain body, verified while it streams.
    pub body: EdgeBody<B>,
    /// Who sent it.
    pub caller: Caller,
    /// How it reached us.
    pub transport: Transport,
    /// The checksum header (`x-amz-checksum-…`, lower-case) that follows the body.
    pub trailing_checksum: Option<String>,
    /// Where that header's value appears once the body has ended well.
    pub trailers: Option<TrailerSlot>,
    /// What went wrong with the body, once something has.
    pub failure: BodyFailure,
    /// How a form wants to be answered; the request itself has become the PutObject that the form means.
    pub form: Option<FormReply>,
}

impl Edge {
    /// An edge over these credentials.
    #[must_use]
    pub fn new(credentials: Arc<Credentials>, clock: Arc<dyn Clock>, config: EdgeConfig) -> Self {
        Self {
            verifier: Verifier::new(credentials, clock, config.region, config.sigv2),
            base_domains: BaseDomains::new(config.base_domains),
            idle_timeout: config.idle_timeout,
        }
    }

    /// Verifies a request. The body is not touched before the head has passed every check, so a client that waits for
    /// `100 Continue` gets its refusal instead. Only the framing of an object declared empty is read here: a reader
    /// that knows of no bytes to come might never ask for them, and they are signed.
    ///
    /// # Errors
    /// [`EdgeError`]. The connection must be closed after it: the body is still on the wire.
    pub async fn admit<B>(&self, parts: Parts, body: B, transport: Transport) -> Result<Admitted<B>, EdgeError>
    where
        B: Body<Data = Bytes> + Unpin,
        B::Error: Into<BoxError>,
    {
        let bucket = authenticate::bucket_in_host(&parts, &self.base_domains);
        if form::is_posted(&parts, bucket.is_some()) {
            return self.admit_form(parts, body, transport).await;
        }
        let identified = self.verifier.identify(&parts, bucket.as_deref())?;
        let plan = framing::Plan::of(&parts, identified.payload)?;
        let parts = authenticate::strip(parts, &identified.caller, &plan)?;
        let failure = BodyFailure::default();
        let trailing_checksum = plan.trailer.clone();
        let trailers = trailing_checksum.as_ref().map(|_| TrailerSlot::default());
        let drain = plan.is_framed() && plan.len == 0;
        let decoding = decoding::of(plan.len, identified.payload, identified.chunks, plan.trailer)?;
        let mut body = EdgeBody::new(body, decoding, plan.len, self.idle_timeout, failure.clone(), trailers.clone());
        if drain {
            body.drain().await?;
        }
        Ok(Admitted {
            parts,
            body,
            caller: identified.caller,
            transport,
            trailing_checksum,
            trailers,
            failure,
            form: None,
        })
    }
}
