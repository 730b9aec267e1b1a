//! What happens to each request on its way to the handler: last checks, id, record.

use std::convert::Infallible;
use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderValue, Request, Response, StatusCode, Version, header, request::Parts};
use http_body_util::{BodyExt, Full};
use hyper::body::{Body as _, Incoming};

use super::guard::Shared;
use super::record::{Record, RecordedBody};
use super::{ConnInfo, Handler, RequestId, ResponseBody, Role};
use crate::metrics::Metrics;

/// Longest request target in bytes: an object key of 1,024 escaped bytes and a presigned query with a session token fit.
const MAX_URI: usize = 8 * 1024;
/// Most bytes of header names and values. S3 documents 8 KiB; proxies add theirs.
const MAX_HEADERS: usize = 16 * 1024;

/// What one connection's requests share.
#[derive(Debug)]
pub(super) struct Context {
    pub(super) info: ConnInfo,
    pub(super) role: Role,
    pub(super) metrics: Arc<Metrics>,
    pub(super) shared: Arc<Shared>,
}

/// Answers one request: by the handler, or, if it is malformed, by a refusal that closes the connection.
pub(super) async fn answer<H: Handler>(
    handler: Arc<H>,
    context: Arc<Context>,
    request: Request<Incoming>,
) -> Result<Response<RecordedBody>, Infallible> {
    let (mut parts, body) = request.into_parts();
    let uncontinued = body.is_end_stream() && parts.headers.contains_key(header::EXPECT);
    let (id, verdict) = match RequestId::fresh() {
        Ok(id) => (id, check(&parts)),
        Err(_) => (RequestId::from_bits(0), Err((StatusCode::INTERNAL_SERVER_ERROR, "no randomness"))),
    };
    let record = Record::begin(
        id,
        context.role,
        context.info.peer,
        &parts,
        Arc::clone(&context.metrics),
        Arc::clone(&context.shared),
    );
    let mut response = match verdict {
        Ok(()) => {
            parts.extensions.insert(context.info);
            parts.extensions.insert(id);
            handler.handle(Request::from_parts(parts, body)).await
        }
        Err((status, reason)) => refusal(id, status, reason),
    };
    if uncontinued {
        // No 100 is due for an empty body (RFC 9110 §10.1.1). botocore sends the expectation all the same, and after an
        // answer without a 100 misreads the next one on the connection: let there be none.
        response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    let status = response.status();
    Ok(response.map(|body| record.body(status, body)))
}

/// What the framing cannot know. RFC 9112 §3.2: exactly one `Host`, and one that agrees with an absolute target.
fn check(parts: &Parts) -> Result<(), (StatusCode, &'static str)> {
    let bad = |reason| Err((StatusCode::BAD_REQUEST, reason));
    let mut hosts = parts.headers.get_all(header::HOST).iter();
    let host = hosts.next();
    if hosts.next().is_some() {
        return bad("more than one Host header");
    }
    if host.is_none() && parts.version == Version::HTTP_11 {
        return bad("no Host header");
    }
    if let Some(authority) = parts.uri.authority() {
        let same = host.is_some_and(|host| host.as_bytes().eq_ignore_ascii_case(authority.as_str().as_bytes()));
        if !same {
            return bad("the Host header is not the request target's");
        }
    }
    let uri = parts.uri.path_and_query().map_or(0, |target| target.as_str().len());
    if uri > MAX_URI {
        return Err((StatusCode::URI_TOO_LONG, "the request target is longer than 8192 bytes"));
    }
    // Name, value, and the four bytes of `: ` and the line end.
    let headers: usize = parts.headers.iter().map(|(name, value)| name.as_str().len() + value.len() + 4).sum();
    if headers > MAX_HEADERS {
        return Err((StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE, "the headers are longer than 16384 bytes"));
    }
    Ok(())
}

/// An answer that needs no dialect. It closes the connection: nothing of what follows is trusted.
fn refusal(id: RequestId, status: StatusCode, reason: &'static str) -> Response<ResponseBody> {
    let body = Full::new(Bytes::from_static(reason.as_bytes())).map_err(|never| match never {}).boxed_unsync();
    let mut response = Response::new(body);
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain"));
    if let Ok(id) = HeaderValue::from_str(id.as_str()) {
        headers.insert("x-amz-request-id", id.clone());
        headers.insert("x-oss-request-id", id);
    }
    response
}
