//! Sub-resources of buckets and objects that pass to the upstream, where the operator lists them. The request is judged here
//! like any other; its document goes on and the upstream's comes back as they are.

use bytes::Bytes;
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Response, StatusCode, header};
use s3s::{S3Error, S3ErrorCode};

use crate::dialect::incoming::Incoming;
use crate::dialect::owner;
use crate::gateway::{Crossing, Gateway, Governance, Passage, Passed, PassedObject, Passing, Verb, Wire};
use crate::identity::{Caller, Requester};
use crate::types::{BucketName, ObjectKey};

use super::adapter::{EXPECTED_OWNER, version};
use super::context::RequestContext;
use super::direct::object_in;
use super::error::{Face, face};
use super::route::{Target, named_in, query_pairs};
use super::service::{Addressed, checked_document, refusal};
use super::sse_headers::SseHeaders;
use super::sse_request::{self, Accepts};
use super::words::conditions_of;
use super::{lock, refuse};

/// The parameter that names a version.
const VERSION: &str = "versionId";

/// Headers that change what such a request means, and that do not pass.
const REFUSED: [&str; 3] = [
    "x-amz-bucket-object-lock-token",
    "x-amz-skip-destination-validation",
    "x-amz-transition-default-minimum-object-size",
];

/// A request that goes to the upstream.
#[derive(Debug)]
pub(super) struct Wanted {
    bucket: BucketName,
    passage: Passage,
    /// The object that it is about, and the version as the request names it.
    object: Option<(ObjectKey, Option<String>)>,
}

/// What a request asks the upstream of its bucket, or would if it were said in other words; `None` for every other request,
/// which is then routed as any.
pub(super) fn wanted(
    gateway: &Gateway,
    parts: &Parts,
    addressed: &Addressed,
    bucket: Option<BucketName>,
    caller: &Caller,
) -> Option<Wanted> {
    let (Caller::User(_), Some(bucket)) = (caller, bucket) else { return None };
    let query = parts.uri.query().unwrap_or_default();
    let mut named = named_in(query);
    let object = match addressed.target {
        Target::Root => return None,
        Target::Bucket => None,
        Target::Object => {
            named.retain(|name| *name != VERSION);
            let version = query_pairs(query).find(|(name, _)| name == VERSION).map(|(_, value)| value.into_owned());
            Some((object_in(parts, addressed.in_host.as_deref())?.key, version))
        }
    };
    let [sub] = named[..] else { return None };
    let passage = Passage::named(Wire::S3, parts.method.as_str(), sub)?;
    if passage.sub().is_of_objects() != object.is_some() {
        return None;
    }
    match gateway.passes(&bucket, passage) {
        Crossing::Passes | Crossing::OtherWords => Some(Wanted { bucket, passage, object }),
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
    wanted: Wanted,
) -> Response<s3s::Body> {
    let passage = wanted.passage;
    match try_answer(gateway, parts, body, sse, context, wanted).await {
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
    Wanted { bucket, passage, object }: Wanted,
) -> Result<Passed, Face> {
    if gateway.passes(&bucket, passage) != Crossing::Passes {
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
    expected_owner(gateway, &caller, &bucket, &parts.headers).await?;
    let object = match object {
        None => None,
        Some((key, named)) => {
            let governance = match passage.verb() {
                Verb::Put => lock::governance(&parts.headers),
                Verb::Delete | Verb::Get | Verb::Post => Governance::Heeded,
            };
            Some(PassedObject { key, version: version(named.as_deref())?, governance })
        }
    };
    let document = match passage.verb() {
        Verb::Post | Verb::Put => checked_document(body, &parts.headers, &parts.headers, context).await?,
        Verb::Delete | Verb::Get => Bytes::new(),
    };
    gateway.pass(&caller, &bucket, &Passing::bare(passage, object), document).await.map_err(|error| face(&error))
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
