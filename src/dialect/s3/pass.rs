//! Sub-resources of a bucket that pass to the upstream, where the operator lists them. The request is judged here like any
//! other; its document goes on and the upstream's comes back as they are.

use bytes::Bytes;
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Response, StatusCode, header};
use s3s::{S3Error, S3ErrorCode};

use crate::dialect::incoming::Incoming;
use crate::dialect::owner;
use crate::gateway::{Crossing, Gateway, Passage, Passed, Passing, Verb, Wire};
use crate::identity::{Caller, Requester};
use crate::types::BucketName;

use super::adapter::EXPECTED_OWNER;
use super::context::RequestContext;
use super::error::{Face, face};
use super::refuse;
use super::route::{Target, named_in};
use super::service::{checked_document, refusal};
use super::sse_headers::SseHeaders;
use super::sse_request::{self, Accepts};
use super::words::conditions_of;

/// Headers that change what such a request means, and that do not pass.
const REFUSED: [&str; 3] = [
    "x-amz-bucket-object-lock-token",
    "x-amz-skip-destination-validation",
    "x-amz-transition-default-minimum-object-size",
];

/// What of a bucket a request asks its upstream, or would if it were said in other words; `None` for every other request, which is then routed as any.
pub(super) fn wanted(
    gateway: &Gateway,
    parts: &Parts,
    target: Target,
    bucket: Option<BucketName>,
    caller: &Caller,
) -> Option<(BucketName, Passage)> {
    let (Target::Bucket, Caller::User(_), Some(bucket)) = (target, caller, bucket) else { return None };
    let [sub] = named_in(parts.uri.query().unwrap_or_default())[..] else { return None };
    let passage = Passage::named(Wire::S3, parts.method.as_str(), sub)?;
    match gateway.passes(&bucket, passage) {
        Crossing::Passes | Crossing::OtherWords => Some((bucket, passage)),
        Crossing::NotThis | Crossing::Never => None,
    }
}

/// Answers such a request.
pub(super) async fn answer(
    gateway: &Gateway,
    parts: Parts,
    body: Incoming,
    sse: &SseHeaders,
    context: &RequestContext,
    (bucket, passage): (BucketName, Passage),
) -> Response<s3s::Body> {
    match try_answer(gateway, parts, body, sse, context, &bucket, passage).await {
        Ok(Passed::Done { document, made: _ }) => done(passage, document),
        Ok(Passed::Refused { status, code, message }) => {
            let Ok(code) = code.parse::<S3ErrorCode>();
            let mut error = S3Error::with_message(code, message);
            error.set_status_code(StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_REQUEST));
            refusal(error)
        }
        Err(face) => refusal(face.into()),
    }
}

async fn try_answer(
    gateway: &Gateway,
    parts: Parts,
    body: Incoming,
    sse: &SseHeaders,
    context: &RequestContext,
    bucket: &BucketName,
    passage: Passage,
) -> Result<Passed, Face> {
    if gateway.passes(bucket, passage) != Crossing::Passes {
        return Err(Face::not_implemented(format_args!("{passage} beside a store that has it in OSS's words")));
    }
    refuse::any_headers(&parts.headers)?;
    refuse::query(parts.uri.query().unwrap_or_default(), false)?;
    for name in REFUSED {
        if parts.headers.contains_key(name) {
            return Err(Face::not_implemented(format_args!("The header {name}")));
        }
    }
    sse_request::parse(sse, Accepts::Nothing, context.transport())?;
    let caller = Requester::new(context.caller.clone(), conditions_of(&parts, sse, context));
    expected_owner(gateway, &caller, bucket, &parts.headers).await?;
    let document = match passage.verb() {
        Verb::Post | Verb::Put => checked_document(body, &parts.headers, &parts.headers, context).await?,
        Verb::Delete | Verb::Get => Bytes::new(),
    };
    gateway.pass(&caller, bucket, &Passing::bare(passage), document).await.map_err(|error| face(&error))
}

async fn expected_owner(
    gateway: &Gateway,
    caller: &Requester,
    bucket: &BucketName,
    headers: &HeaderMap,
) -> Result<(), Face> {
    let Some(expected) = headers.get(EXPECTED_OWNER) else { return Ok(()) };
    let expected = expected.to_str().unwrap_or_default();
    let owned = gateway.is_owned(caller, bucket, |found| owner::means(expected, found)).await;
    match owned.map_err(|error| face(&error))? {
        true => Ok(()),
        false => Err(Face::denied("Access Denied: the bucket's owner is another than expected")),
    }
}

fn done(passage: Passage, document: Bytes) -> Response<s3s::Body> {
    let status = match passage.verb() {
        Verb::Delete => StatusCode::NO_CONTENT,
        Verb::Get | Verb::Post | Verb::Put => StatusCode::OK,
    };
    let mut response = Response::new(s3s::Body::from(document));
    *response.status_mut() = status;
    if passage.verb() == Verb::Get {
        response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/xml"));
    }
    response
}
