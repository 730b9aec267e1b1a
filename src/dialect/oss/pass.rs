//! Configurations of a bucket that pass to the upstream, where it speaks OSS and the operator lists them. The request is judged
//! here like any other; its query and its document go on, and the upstream's document comes back as it is.

use bytes::Bytes;
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};

use crate::gateway::{Crossing, Gateway, Passed, Passing, Verb, Wire, passage_about};
use crate::identity::{Caller, OssResource, Requester, is_oss_auth_parameter};
use crate::types::BucketName;

use super::error::face;
use super::face::Face;
use super::query::Query;
use super::request;
use super::response::Reply;
use super::xml;

/// The headers of OSS's that such a request may have: those of its signature. Any other may change what it means, and none
/// passes.
const HEADERS: [&str; 3] = ["x-oss-content-sha256", "x-oss-date", "x-oss-security-token"];

/// What of a bucket a request asks its upstream; `None` for every other request, which is then routed as any.
///
/// # Errors
/// NotImplemented where the upstream has the configuration, and not this request for it: to say that there is none would be
/// wrong.
pub(super) fn wanted(
    gateway: &Gateway,
    parts: &Parts,
    resource: &OssResource,
    query: &Query,
    caller: &Caller,
) -> Result<Option<(BucketName, Passing)>, Face> {
    let (Some(bucket), None, Caller::User(_)) = (&resource.bucket, &resource.key, caller) else { return Ok(None) };
    let Some(about) = query.iter().find_map(|(name, _)| passage_about(Wire::Oss, name)) else { return Ok(None) };
    let bucket = request::bucket(bucket)?;
    let method = parts.method.as_str();
    let meant = query.iter().filter(|(name, _)| !is_oss_auth_parameter(name.as_bytes()));
    let Some(passing) = Passing::read(Wire::Oss, method, meant) else {
        return match gateway.passes(&bucket, about) {
            Crossing::Never => Ok(None),
            _ => Err(Face::not_implemented(format_args!("{method} of {} with these parameters", about.name()))),
        };
    };
    match gateway.passes(&bucket, passing.passage) {
        Crossing::Passes => Ok(Some((bucket, passing))),
        Crossing::NotThis => Err(Face::not_implemented(passing.passage)),
        Crossing::OtherWords => {
            Err(Face::not_implemented(format_args!("{} beside a store that has it in S3's words", passing.passage)))
        }
        Crossing::Never => Ok(None),
    }
}

/// Refuses headers that ask for more than passes.
pub(super) fn headers(headers: &HeaderMap) -> Result<(), Face> {
    let other = |name: &&HeaderName| name.as_str().starts_with("x-oss-") && !HEADERS.contains(&name.as_str());
    match headers.keys().find(other) {
        Some(name) => Err(Face::not_implemented(format_args!("The header {name}"))),
        None => Ok(()),
    }
}

/// Has the upstream do it.
pub(super) async fn answer(
    gateway: &Gateway,
    caller: &Requester,
    bucket: &BucketName,
    passing: &Passing,
    document: Bytes,
) -> Result<Reply, Face> {
    let passage = passing.passage;
    if passage.sends() {
        xml::parse_any(&document, |root| passage.has_root(root))?;
    }
    match gateway.pass(caller, bucket, passing, document).await.map_err(|error| face(&error))? {
        Passed::Done { document, made } => Ok(done(passing, document, made)),
        Passed::Refused { status, code, message } => {
            let status = StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_REQUEST);
            Err(Face { theirs: Some(code), ..Face::new(status, "RefusedByUpstream", message) })
        }
    }
}

fn done(passing: &Passing, document: Bytes, made: Option<String>) -> Reply {
    let passage = passing.passage;
    let reply = match passage.verb() {
        Verb::Delete => Reply::no_content(),
        Verb::Get => Reply::xml(document),
        Verb::Post | Verb::Put => Reply::empty(),
    };
    let told = made.and_then(|text| HeaderValue::try_from(text).ok());
    let header = passage.tells().map(HeaderName::from_static).zip(told);
    reply.with(HeaderMap::from_iter(header))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_that_would_be_left_out_is_refused() {
        let ask = |name: &'static str| {
            let map = HeaderMap::from_iter([(HeaderName::from_static(name), HeaderValue::from_static("true"))]);
            headers(&map).map_err(|face| face.code)
        };
        assert_eq!(ask("x-oss-allow-same-action-overlap"), Err("NotImplemented"));
        assert_eq!(ask("x-oss-date"), Ok(()));
        assert_eq!(ask("content-type"), Ok(()));
    }

    #[test]
    fn what_was_made_is_told() {
        let passing = Passing::read(Wire::Oss, "POST", [("worm", "")].into_iter()).unwrap();
        let reply = done(&passing, Bytes::new(), Some("ID".into()));
        assert_eq!((reply.status, &reply.headers["x-oss-worm-id"]), (StatusCode::OK, &HeaderValue::from_static("ID")));
        assert!(done(&passing, Bytes::new(), Some("a\nb".into())).headers.is_empty());
    }
}
