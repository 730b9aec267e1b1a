//! The short way: GetObject, HeadObject and PutObject that ask for nothing else, which are most requests, answered without
//! `s3s`. Routing, decoding and encoding a request a second time there is a tenth of the time of a small one. What has a
//! parameter or user metadata of its own goes the long way; both end in the same functions of the adapter.

use std::sync::Arc;

use http::request::Parts;
use http::{HeaderMap, Response, StatusCode};
use percent_encoding::percent_decode_str;
use s3s::S3Result;

use crate::types::ObjectAt;

use super::adapter::{Adapter, object};
use super::context::Call;
use super::objects::read_request;
use super::route::{Operation, query_pairs};

/// The object that a path names, if there can be such. `bucket`: the one in the host's name.
pub(super) fn object_in(parts: &Parts, bucket: Option<&str>) -> Option<ObjectAt> {
    let path = percent_decode_str(parts.uri.path()).decode_utf8().ok()?;
    let path = path.strip_prefix('/')?;
    let (bucket, key) = match bucket {
        Some(bucket) => (bucket, path),
        None => path.split_once('/')?,
    };
    object(bucket, key).ok()
}

/// A request that goes the short way.
#[derive(Debug)]
pub(super) struct Direct {
    operation: Operation,
    pub(super) at: ObjectAt,
}

impl Direct {
    /// The short way of a request, if it has one. `bucket`: the one in the host's name.
    pub(super) fn of(operation: Operation, parts: &Parts, bucket: Option<&str>) -> Option<Self> {
        let speaks = |name: &str| matches!(name, "versionId" | "partNumber") || name.starts_with("response-");
        let plain = match operation {
            Operation::GetObject | Operation::HeadObject => {
                !query_pairs(parts.uri.query().unwrap_or_default()).any(|(name, _)| speaks(&name))
            }
            Operation::PutObject => !parts.headers.keys().any(|name| name.as_str().starts_with("x-amz-meta-")),
            _ => false,
        };
        if !plain {
            return None;
        }
        Some(Self { operation, at: object_in(parts, bucket)? })
    }

    /// Answers it.
    pub(super) async fn answer(self, adapter: &Adapter, call: &Arc<Call>) -> S3Result<Response<s3s::Body>> {
        let (status, headers, body) = match self.operation {
            Operation::PutObject => (StatusCode::OK, adapter.put(call, self.at, None).await?, s3s::Body::empty()),
            Operation::HeadObject => {
                let request = read_request(call, self.at, None, None)?;
                (StatusCode::OK, adapter.head(call, request, None).await?, s3s::Body::empty())
            }
            _ => {
                let got = adapter.get(call, read_request(call, self.at, None, None)?, None).await?;
                let whole = got.content_range.is_none();
                (if whole { StatusCode::OK } else { StatusCode::PARTIAL_CONTENT }, got.headers, got.body)
            }
        };
        Ok(response(status, headers, body))
    }
}

fn response(status: StatusCode, headers: HeaderMap, body: s3s::Body) -> Response<s3s::Body> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    response
}
