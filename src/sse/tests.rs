//! Promises of the whole room, against plain oracles and against stored bytes that were edited.

#![allow(clippy::cast_possible_truncation, reason = "offsets in tests are of bodies in memory")]

mod body;
mod speed;
mod support;
mod tamper;
mod two_keys;
mod vectors;
mod wycheproof;
