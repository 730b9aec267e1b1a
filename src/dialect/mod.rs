//! The wire protocols: requests and answers of each ⇄ calls of the rooms behind it.

mod front;
pub mod kms;
mod kms_front;
pub mod s3;

pub use front::{Front, Trust};
pub use kms_front::KmsFront;
