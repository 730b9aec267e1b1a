//! Seals a part while it streams in, and opens a body while it streams out. Free of I/O: bytes are pushed in and
//! taken out, so the same code serves disk, network and tests.

mod opener;
mod sealer;

pub use opener::BodyOpener;
pub use sealer::PartSealer;
