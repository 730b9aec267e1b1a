//! The wire protocols: requests and answers of each ⇄ calls of the rooms behind it. What the dialects have in common
//! stands beside them: bodies on their way in and out, conditions, CORS, HTML forms, customer keys.

mod body;
mod conditions;
mod cors;
mod customer_key;
mod form;
mod front;
mod host;
mod incoming;
pub mod kms;
mod kms_front;
pub mod oss;
mod out;
mod owner;
mod query;
pub mod s3;
mod token;
mod words;
mod xml;

pub use front::{Front, Trust};
pub use kms_front::KmsFront;
