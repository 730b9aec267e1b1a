//! Server-side encryption: which key applies, the envelope format, segment streams, the manifest.
//!
//! This room turns plaintext into the bytes that a store keeps, and back. It must not know where they are kept. All of
//! it is free of I/O but for the calls to a key service in [`Keyring`]. [`format`](mod@format) is the specification.

mod attributes;
mod bucket_key;
mod bucket_keys;
mod choice;
mod commitment;
mod digests;
mod envelope;
mod error;
pub(crate) mod fuzzing;
mod header;
mod keyring;
mod layout;
pub mod manifest;
mod record;
mod segment;
mod stream;
mod summary;
mod wire;

#[cfg(test)]
mod tests;

/// The envelope format, version 1: a specification that needs no look at the code.
#[doc = include_str!("FORMAT.md")]
pub mod format {}

pub use attributes::{Attributes, MAX_ETAG_LEN, ObjectId, ObjectKind};
pub use bucket_key::{BucketKey, Epoch, EpochId, Epochs, MOST_EPOCHS, PERIOD, WRAP_BUDGET, WrapPlace, bucket_context};
pub use bucket_keys::{EpochShelf, Lease};
pub use choice::{
    BucketDefault, BucketEncryption, CustomerKey, DataCipher, DefaultEncryption, SseChoice, SseMode, SseRequest,
    SseStatus,
};
pub use commitment::Commitment;
pub use digests::{DigestAlgorithm, DigestScope, Digests, PartDigests};
pub use envelope::{ENVELOPE_BUDGET, Envelope, EpochCopy, Wrap};
pub use error::Error;
pub use header::{Aead, PartHeader, Salt, SegmentSize};
pub use keyring::{ARN_CONTEXT, Keyring};
pub use layout::{Layout, PlainOffset, SealedPart, sealed_part_len};
pub use manifest::{MAX_MANIFEST_LEN, OpenedAttributes, TAIL_GUESS, TRAILER_LEN, Trailer};
pub use record::{RECORD_OVERHEAD, open_record, open_under, seal_record, seal_under};
pub use segment::{Last, MAX_SEGMENTS, SegmentOpener, SegmentSealer, TAG_LEN};
pub use stream::{BodyOpener, PartSealer};
pub use summary::Summary;
