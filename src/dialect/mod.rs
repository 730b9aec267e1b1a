//! The wire protocols: requests and answers of each ⇄ calls of the rooms behind it.

pub mod kms;
pub mod s3;
