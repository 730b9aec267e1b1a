//! The wire protocols: requests and answers of each ⇄ calls of the rooms behind it.

mod front;
pub mod kms;
pub mod s3;

pub use front::{Front, Trust};
