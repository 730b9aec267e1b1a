//! The gateway's promises: over a store that tampers with what it gives back, and in ordinary operation.

#![allow(clippy::cast_possible_truncation, reason = "offsets in tests are of bodies in memory")]

mod appends;
mod bodies;
mod bucket_keys;
mod ciphers;
mod copies;
mod hostile;
mod keys;
mod ledger;
mod links;
mod metadata;
mod operations;
mod rollback;
mod support;
