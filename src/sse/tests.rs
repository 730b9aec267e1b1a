//! Promises of the whole room, against plain oracles and against stored bytes that were edited.

mod body;
mod speed;
mod support;
mod tamper;
mod vectors;
mod wycheproof;
