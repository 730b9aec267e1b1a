//! The wire protocols: requests and answers of each ⇄ calls of the gateway.

pub mod s3;
