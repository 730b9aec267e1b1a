//! A request's body on its way in: plaintext that the edge has decoded and verifies while it streams.

use std::collections::BTreeMap;
use std::fmt;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use futures::Stream;

/// Plaintext chunks of any size. An error ends the stream and forbids the commit.
pub type PlainStream = Pin<Box<dyn Stream<Item = Result<Bytes, BodyError>> + Send>>;

/// Why a body is not one. The conditions that the edge finds while it decodes and verifies.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BodyError {
    /// The client went away, or the body ended before its declared length (or without its final chunk).
    #[error("the body ended before its declared length")]
    Incomplete,
    /// More bytes than declared.
    #[error("the body is longer than declared")]
    TooLong,
    /// The body's SHA-256 is not the one that was signed.
    #[error("the body does not match the signed x-amz-content-sha256")]
    HashMismatch,
    /// A chunk's (or the trailer's) signature is wrong.
    #[error("a chunk signature does not match")]
    ChunkSignature,
    /// The chunked framing is not as specified.
    #[error("malformed chunked encoding: {0}")]
    MalformedChunk(&'static str),
    /// The trailer is missing, renamed, duplicated or malformed.
    #[error("malformed trailer: {0}")]
    MalformedTrailer(&'static str),
    /// The body of an HTML form is none.
    #[error("malformed form: {0}")]
    MalformedForm(&'static str),
    /// The fields of an HTML form take more bytes than they may.
    #[error("the fields of the form are too long")]
    FormTooLong,
    /// The file of a form is longer than its policy (or anything) allows.
    #[error("the file of {proposed} bytes exceeds the maximum of {maximum}")]
    FileTooLarge {
        /// How long it is at least.
        proposed: u64,
        /// The most allowed.
        maximum: u64,
    },
    /// The file of a form is shorter than its policy asks for.
    #[error("the file of {proposed} bytes is below the minimum of {minimum}")]
    FileTooSmall {
        /// How long it is.
        proposed: u64,
        /// The least allowed.
        minimum: u64,
    },
    /// No byte came for too long.
    #[error("the body did not arrive in time")]
    Timeout,
    /// The connection failed.
    #[error("the connection failed: {0}")]
    Connection(String),
}

/// Trailing headers, there once the body has ended well. Shared by the edge (writes) and the gateway (reads).
#[derive(Clone, Default)]
pub struct TrailerSlot(Arc<Mutex<BTreeMap<String, String>>>);

impl TrailerSlot {
    /// Sets the verified trailing headers (lower-case names).
    pub fn set(&self, trailers: BTreeMap<String, String>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = trailers;
    }

    /// One trailing header; `None` until the body has ended.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(name).cloned()
    }
}

impl fmt::Debug for TrailerSlot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TrailerSlot")
    }
}

/// What is known of a body's length before it has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LengthIs {
    /// It was declared; a body of another length is refused.
    Declared,
    /// Only what it cannot exceed: the file of an HTML form ends where its boundary stands. The stream's clean end says
    /// that the body is whole.
    Ceiling,
}

/// A request's body in plaintext.
pub struct PlainBody {
    /// The chunks.
    pub stream: PlainStream,
    /// The length of the plaintext in bytes, exact or the most that it may be.
    pub len: u64,
    /// Which of the two.
    pub length_is: LengthIs,
    /// Where trailing headers appear, for a body that announced some.
    pub trailers: Option<TrailerSlot>,
}

impl fmt::Debug for PlainBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PlainBody").field("len", &self.len).finish_non_exhaustive()
    }
}
