//! The Alibaba Cloud OSS dialect: its wire ⇄ calls of the same gateway that S3 calls. Nothing of encryption, storage or
//! semantics is here.
//!
//! A request goes through these files in order: `host` (what the address can mean), `service` (who calls; the order of
//! everything), `route` and `refuse` (what is not implemented is refused), `sse` (what the encryption headers ask for),
//! `request` (what a call is), one file per group of operations (one gateway call each), `error`, `auth` and `response`
//! (the wire form of the answer).
//!
//! Source for wire decisions: <https://www.alibabacloud.com/help/en/oss/developer-reference/>.

mod acl;
mod append;
mod auth;
mod buckets;
mod copy;
mod cors;
mod delete_multiple;
mod describe;
mod encryption;
mod error;
mod face;
pub(crate) mod fuzzing;
mod headers;
mod host;
mod listing;
mod multipart;
mod objects;
mod pass;
mod policy;
mod post;
mod query;
mod refuse;
mod request;
mod response;
mod route;
mod service;
mod sse;
mod stat;
mod symlink;
mod tagging;
mod versions;
mod words;
mod xml;

pub use host::Hosts;
pub(super) use post::is_ours as is_posted_form;
pub use service::{Connection, OssConfig, OssDialect};
