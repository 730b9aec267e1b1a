//! The S3 dialect: an adapter between the `s3s` crate (routing, types, XML) and the gateway.
//!
//! Signatures and body framing are verified by the edge before anything here runs; `s3s` sees neither credentials nor
//! encryption keys nor bodies. A request goes through these files in order: `service` (what `s3s` must not see or would
//! get wrong is taken out), `route` and `refuse` (what is not implemented is refused), `sse_request` and `digests` (what
//! the headers ask for), `direct` for the plainest requests, which pass `s3s` by, `adapter` with `buckets`, `objects`, `multipart`, `listing` (one gateway call each), `error` and
//! `response` (the wire form of the answer).
//!
//! Source for wire decisions: <https://docs.aws.amazon.com/AmazonS3/latest/API/>.

mod acl;
mod adapter;
mod attributes;
mod blocked;
mod buckets;
mod conditions;
mod context;
mod cors;
mod digests;
mod direct;
pub mod edge;
mod encoded;
mod error;
pub(crate) mod fuzzing;
mod host;
mod listing;
mod lock;
mod multipart;
mod numbers;
mod objects;
mod owner;
mod pass;
mod policy;
mod refuse;
mod rekey;
mod response;
mod route;
mod service;
mod sse_headers;
mod sse_request;
mod tagging;
mod versions;
mod words;

pub use crate::dialect::host::BaseDomains;
pub use context::RequestContext;
pub use error::{Face, face};
pub use route::Operation;
pub use service::{ResponseBody, S3Dialect};
pub use sse_headers::SseHeaders;
