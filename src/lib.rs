//! sealgate is an object gateway that encrypts: it speaks S3 (and Alibaba Cloud OSS) to its clients and keeps
//! ciphertext only. A request passes the rooms below from top to bottom and comes back once:
//!
//! * `listener`: sockets, HTTP limits, request ids, drain; picks the dialect.
//! * `dialect`: a wire protocol's routing, types and error codes ⇄ calls of the gateway.
//! * `identity`: who is calling, by which signature, and what they may do.
//! * `gateway`: object operations in plaintext terms, without HTTP.
//! * `sse`: which key applies, the envelope format, segment streams.
//! * `policy`: the language of policies, on buckets and on keys: a pure function for whoever decides.
//! * `kms`: customer master keys and the service's own key.
//! * `store`: ciphertext objects on local disk (or upstream).
//!
//! `ARCHITECTURE.md` has the reasons, `src/sse/FORMAT.md` the bytes.
#![forbid(unsafe_code)]

pub mod audit;
pub mod config;
pub mod control;
mod deliver;
pub mod dialect;
pub mod encrypt;
pub mod fleet;
pub(crate) mod flight;
#[doc(hidden)]
pub mod fuzzing;
pub mod gateway;
pub mod identity;
pub mod kms;
pub mod listener;
pub mod logging;
pub mod metrics;
pub mod policy;
pub mod rewrap;
pub mod serve;
pub mod sse;
pub mod store;
pub mod tools;
pub mod types;
pub mod usage;
pub mod verify;
pub mod walk;
