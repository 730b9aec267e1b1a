//! Who is calling and what they may do: credentials, the arithmetic of signatures (S3's SigV4, SigV2 when it is allowed,
//! signed chunks and trailers; OSS's V1, V2 and V4; the two of Alibaba Cloud's RPC style) and the policy over what a user owns.
//!
//! A caller is [`Caller::User`] only with an [`Authenticated`], and only the constant-time comparison of a signature,
//! under a credential that is in force, makes one. This room reads a request's head; it must not know routing, XML or storage, and it reads no body: the
//! [`ChunkDecoder`] is given bytes and gives bytes back.

mod aliyun;
mod caller;
mod canonical;
mod chunked;
mod credentials;
mod date;
mod error;
mod form;
pub(crate) mod fuzzing;
mod mac;
mod oss;
mod payload;
mod policy;
mod query;
mod requester;
mod sigv2;
mod sigv4;
#[cfg(test)]
pub(crate) mod testing;
mod verify;

use std::net::SocketAddr;

pub use crate::policy::{Context, MAX_POLICY, Malformed, Policy, Question, Verdict};
pub use aliyun::{AliyunAuthError, ParameterError, Parameters};
pub use caller::{Authenticated, Caller, Scheme};
pub use canonical::sigv2_resource;
pub use chunked::{ChunkDecoder, ChunkSigner, Chunking};
pub use credentials::{Credential, Credentials, DuplicateAccessKey, Secret};
pub use date::shown_time;
pub use error::{AuthError, Flaw, Place};
pub use form::{FormError, FormFields, FormIdentified, PolicyError};
pub use mac::{Sha256, sha256};
pub use oss::{
    Mismatch, OssAuthError, OssFlaw, OssFormError, OssIdentified, OssResource, OssVerifier, is_oss,
    is_oss_auth_parameter, v1_signs,
};
pub use payload::Payload;
pub use policy::{Action, Asked, Denied, authorize, decide};
pub use query::{Pair, ParameterFlaw, is_auth_parameter, pairs, percent_decode};
pub use requester::Requester;
pub use verify::{Identified, SigV2, Verifier};

/// How a request reached us.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Transport {
    /// The other end of the connection.
    pub peer: SocketAddr,
    /// Whether the connection is TLS.
    pub tls: bool,
}
