//! Alibaba Cloud KMS's RPC API, version 2016-01-20, over the same keystore: parameters in, JSON out.
//!
//! Shapes and error codes are those of the API reference (<https://www.alibabacloud.com/help/en/kms/>), for the calls about
//! master keys. A parameter that an operation does not know is refused: ignored, it could be the one that mattered.

mod aliases;
mod api;
mod crypto;
mod error;
mod import;
mod keys;
mod names;
mod values;
mod versions;

pub use api::{AliyunApi, Answered, is_addressed};
