//! The AWS KMS JSON 1.1 protocol for key administrators and for whoever wraps keys of their own.
//!
//! A request is a POST with `X-Amz-Target: TrentService.Operation` and a JSON body; shapes and error names are those of
//! the AWS KMS API Reference. This room must not know how keys are wrapped or kept.

mod aliases;
pub mod aliyun;
mod api;
mod crypto;
mod error;
mod import;
mod keys;
mod pages;
mod policy;
mod rotation;
mod tags;

pub use api::{KmsApi, KmsReply, MAX_BODY, is_target};
