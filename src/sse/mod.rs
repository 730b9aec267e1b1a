//! Server-side encryption: which key applies, the envelope format, segment streams, the manifest.
//!
//! This room turns plaintext into the bytes that a store keeps, and back. It must not know where they are kept.

mod choice;
mod error;

pub use choice::{BucketDefault, CustomerKey, SseChoice, SseMode, SseRequest, SseStatus};
pub use error::Error;
