//! Wire protocols: each turns its requests into calls of the rooms behind it, and their answers and errors back.

pub mod kms;
