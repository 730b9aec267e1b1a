//! Why an envelope does not open, or cannot be made.

use crate::kms;
use crate::types::PartNumber;

/// Why an envelope does not open, or cannot be made. Never carries key material or plaintext.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A format version, AEAD, flag or size that this code does not know. There is no fallback.
    #[error("unknown or unsupported {0}")]
    Unsupported(&'static str),
    /// A field is missing, too long, or contradicts another.
    #[error("malformed envelope: {0}")]
    Malformed(&'static str),
    /// A segment's tag does not verify: altered, swapped, repeated, cut, or under another key.
    #[error("segment {segment} of part {part} does not verify")]
    SegmentTag {
        /// The part.
        part: PartNumber,
        /// The segment within it, from 0.
        segment: u64,
    },
    /// A part's header is not the one that the manifest pins.
    #[error("the header of part {0} is not the one the manifest pins")]
    PartHeader(PartNumber),
    /// The body is shorter than its manifest says.
    #[error("the body is cut short")]
    Truncated,
    /// The body is longer than its manifest says.
    #[error("the body has bytes after its end")]
    TrailingBytes,
    /// The manifest does not verify, or is another object's.
    #[error("the manifest does not verify")]
    Manifest,
    /// The metadata MAC does not verify: metadata was altered, stripped, or belongs to another object.
    #[error("the metadata does not verify")]
    MetadataMac,
    /// The body is in plaintext where the metadata says encrypted, or the reverse.
    #[error("the body is not encrypted as the metadata says")]
    WrongMode,
    /// The data key is not the one that the object commits to.
    #[error("the data key is not the one the object commits to")]
    Commitment,
    /// The summary does not verify.
    #[error("the summary does not verify")]
    Summary,
    /// A sealed record (of an upload or a part) does not verify, or was sealed for another purpose or place.
    #[error("the sealed record does not verify")]
    Record,
    /// The caller's encryption context sets a name that the service sets itself (`aws:s3:arn`).
    #[error("the encryption context may not set {0}")]
    ContextReserved(&'static str),
    /// The object is SSE-C and no customer key was given.
    #[error("a customer key is required")]
    CustomerKeyRequired,
    /// The object is not SSE-C and a customer key was given.
    #[error("a customer key is not applicable")]
    CustomerKeyNotApplicable,
    /// The customer key is another.
    #[error("the customer key is another")]
    CustomerKeyWrong,
    /// The envelope's fields would exceed their budget.
    #[error("the envelope exceeds its metadata budget")]
    TooLarge,
    /// The KMS said no.
    #[error(transparent)]
    Kms(#[from] kms::Error),
    /// The random generator failed.
    #[error(transparent)]
    Random(#[from] crate::types::RandomError),
}
