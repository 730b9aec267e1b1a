//! XML as OSS writes and reads it: no namespace, elements found by name in whatever order they come.

mod read;
mod write;

pub(super) use read::{Element, parse, parse_any};
pub(super) use write::{Encoding, Writer, time};
