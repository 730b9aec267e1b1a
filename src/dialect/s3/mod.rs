//! The S3 dialect.

pub mod edge;
