//! What travels with a request past `s3s`: who calls, how it came, and everything that `s3s` must not see or would read
//! wrongly. It goes through the request's extensions, which nothing prints.

use std::fmt;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

use http::HeaderMap;
use s3s::{S3Error, S3Request};

use crate::gateway::{DeclaredDigests, NewKey, PlainBody, TrailerSlot};
use crate::identity::{Caller, Requester};
use crate::sse::{CustomerKey, SseRequest};

use super::digests;
use super::error::Face;
use super::sse_request::{SseInput, Transport};

/// What the listener and the edge know of a request.
#[derive(Clone)]
pub struct RequestContext {
    /// Who calls; the signature is verified.
    pub caller: Caller,
    /// The other end of the connection.
    pub peer: IpAddr,
    /// Whether the client's connection is TLS, here or at a trusted proxy.
    pub tls: bool,
    /// Whether keys may travel: TLS, a loopback peer, a trusted proxy's word, or the operator's permission.
    pub secure: bool,
    /// Whether the request was signed with Signature Version 4.
    pub sigv4: bool,
    /// The request's id, shown in every answer.
    pub request_id: String,
    /// Where trailing headers appear at the end of the body.
    pub trailers: Option<TrailerSlot>,
    /// The checksum header announced in `x-amz-trailer`.
    pub trailing_checksum: Option<String>,
}

impl RequestContext {
    pub(super) fn transport(&self) -> Transport {
        Transport { secure: self.secure, sigv4: self.sigv4 }
    }
}

impl fmt::Debug for RequestContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RequestContext").field("request_id", &self.request_id).finish_non_exhaustive()
    }
}

/// What `s3s` cannot read of a document, and is not shown.
#[derive(Debug, Default)]
pub(super) struct Taken {
    /// What an encryption configuration says of SSE-C.
    pub(super) customer_blocked: Option<bool>,
    /// Where UpdateObjectEncryption moves an object to.
    pub(super) new_key: Option<NewKey>,
}

/// One request on its way through `s3s`.
pub(super) struct Call {
    /// What the listener and the edge know.
    pub(super) context: RequestContext,
    requester: Requester,
    /// The headers as they came, without those of encryption.
    pub(super) headers: HeaderMap,
    /// What was read out of the document.
    pub(super) taken: Taken,
    sse: Mutex<SseInput>,
    body: Mutex<Option<PlainBody>>,
}

impl Call {
    pub(super) fn new(
        context: RequestContext,
        requester: Requester,
        headers: HeaderMap,
        taken: Taken,
        sse: SseInput,
        body: Option<PlainBody>,
    ) -> Self {
        Self { context, requester, headers, taken, sse: Mutex::new(sse), body: Mutex::new(body) }
    }

    /// The call that a request came with.
    pub(super) fn of<T>(request: &S3Request<T>) -> Result<Arc<Self>, S3Error> {
        request.extensions.get::<Arc<Self>>().cloned().ok_or_else(|| s3s::s3_error!(InternalError))
    }

    /// Who calls.
    pub(super) fn caller(&self) -> &Requester {
        &self.requester
    }

    /// Takes what the encryption headers ask for a write.
    pub(super) fn take_write(&self) -> Option<SseRequest> {
        self.sse.lock().unwrap_or_else(PoisonError::into_inner).write.take()
    }

    /// Takes the customer key of what is read, or of the upload.
    pub(super) fn take_customer_key(&self) -> Option<CustomerKey> {
        self.sse.lock().unwrap_or_else(PoisonError::into_inner).customer.take()
    }

    /// Takes the customer key of a copy's source.
    pub(super) fn take_source_key(&self) -> Option<CustomerKey> {
        self.sse.lock().unwrap_or_else(PoisonError::into_inner).source.take()
    }

    /// Whether the headers say how a write is to be encrypted.
    pub(super) fn chooses_encryption(&self) -> bool {
        self.sse.lock().unwrap_or_else(PoisonError::into_inner).write.is_some()
    }

    /// Takes the body. It has a length: S3 wants one.
    pub(super) fn take_body(&self) -> Result<PlainBody, Face> {
        self.body.lock().unwrap_or_else(PoisonError::into_inner).take().ok_or_else(|| {
            Face::new(
                http::StatusCode::LENGTH_REQUIRED,
                "MissingContentLength",
                "You must provide the Content-Length HTTP header.",
            )
        })
    }

    /// What was declared of the body.
    pub(super) fn digests(&self) -> Result<DeclaredDigests, Face> {
        digests::declared(&self.headers, self.context.trailing_checksum.as_deref())
    }

    /// A header's text.
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }
}
