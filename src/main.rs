//! The `sealgate` command.
#![forbid(unsafe_code)]

fn main() {}
