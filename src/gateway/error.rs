//! What an operation can answer instead of its result. Each dialect maps every variant to its own code and status.

use crate::types::PartNumber;
use crate::{kms, sse, store};

use super::BodyError;

/// Why an operation was not done. Nothing was changed then.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The caller may not do this.
    #[error("access denied: {0}")]
    AccessDenied(String),
    /// The bucket was not made with object lock.
    #[error("the bucket has no object lock")]
    NoObjectLock,
    /// The bucket has object lock, and so keeps versions for ever.
    #[error("the bucket has object lock")]
    BucketLocked,
    /// The version is under a retention period or a legal hold.
    #[error("the version is under a retention period or a legal hold")]
    Held,
    /// The body failed on its way in.
    #[error(transparent)]
    Body(#[from] BodyError),
    /// A declared digest of the body is not the body's.
    #[error("the {0} you specified did not match what we received")]
    BadDigest(&'static str),
    /// A declared digest is not base64 of the right length, or names an unknown algorithm.
    #[error("the {0} you specified is not valid")]
    InvalidDigest(&'static str),
    /// The bucket exists and belongs to someone else.
    #[error("the bucket name is taken")]
    BucketAlreadyExists,
    /// The bucket exists and is the caller's.
    #[error("the bucket exists and is yours")]
    BucketAlreadyOwnedByYou,
    /// The bucket holds objects or uploads.
    #[error("the bucket is not empty")]
    BucketNotEmpty,
    /// No such bucket.
    #[error("the bucket does not exist")]
    NoSuchBucket,
    /// No such object key.
    #[error("the key does not exist")]
    NoSuchKey,
    /// No such upload.
    #[error("the upload does not exist")]
    NoSuchUpload,
    /// No such version.
    #[error("the version does not exist")]
    NoSuchVersion,
    /// The version named, or else the current one, is a delete marker.
    #[error("the object is a delete marker")]
    DeleteMarker {
        /// The marker.
        version: crate::types::VersionId,
        /// Whether the request named it.
        named: bool,
    },
    /// The version named as the source of a copy is a delete marker.
    #[error("the source of the copy is a delete marker")]
    CopyOfMarker,
    /// A part named at completion is missing or its ETag is another.
    #[error("part {0} could not be found, or its ETag did not match")]
    InvalidPart(PartNumber),
    /// The parts named at completion do not ascend.
    #[error("the list of parts is not in ascending order")]
    InvalidPartOrder,
    /// A part that is not the last is smaller than the minimum.
    #[error("part {number} has {size} bytes, fewer than the minimum of {minimum}")]
    PartTooSmall {
        /// Which.
        number: PartNumber,
        /// Its plaintext length.
        size: u64,
        /// The least allowed.
        minimum: u64,
    },
    /// The body (or the completed object) is larger than allowed.
    #[error("the upload exceeds the maximum of {maximum} bytes")]
    TooLarge {
        /// The most allowed.
        maximum: u64,
    },
    /// User metadata beyond 2 KiB (or our own envelope beyond its budget).
    #[error("the metadata headers exceed the maximum of {maximum} bytes")]
    MetadataTooLarge {
        /// The most allowed.
        maximum: usize,
    },
    /// A tag is not valid (said in the text).
    #[error("{0}")]
    InvalidTag(String),
    /// More tags than allowed.
    #[error("there are more than {maximum} tags")]
    TooManyTags {
        /// The most allowed.
        maximum: usize,
    },
    /// A bucket policy is not one (said in the text).
    #[error("{0}")]
    MalformedPolicy(String),
    /// The bucket has no policy.
    #[error("the bucket has no policy")]
    NoSuchPolicy,
    /// The bucket has no public access block.
    #[error("the bucket has no public access block")]
    NoSuchPublicAccessBlock,
    /// A CORS rule is not valid (said in the text).
    #[error("{0}")]
    InvalidCors(String),
    /// The bucket has no CORS rules.
    #[error("the bucket has no CORS rules")]
    NoSuchCors,
    /// The bucket has no tags.
    #[error("the bucket has no tags")]
    NoSuchTagSet,
    /// The object has no such part.
    #[error("the object has no part {number}")]
    NoSuchObjectPart {
        /// Which was asked for.
        number: PartNumber,
    },
    /// A conditional read found the object unchanged (`If-None-Match`, `If-Modified-Since`).
    #[error("not modified")]
    NotModified {
        /// What a 304 shows: the object's ETag, unquoted.
        etag: String,
        /// Its date.
        modified: crate::types::Timestamp,
    },
    /// A precondition does not hold.
    #[error("the precondition {0} does not hold")]
    PreconditionFailed(&'static str),
    /// A concurrent conditional write won.
    #[error("a conflicting conditional operation is in progress")]
    Conflict,
    /// The range lies outside the object.
    #[error("the range is not satisfiable; the object has {len} bytes")]
    InvalidRange {
        /// The object's plaintext length.
        len: u64,
    },
    /// Copying an object onto itself without changing anything.
    #[error("the copy would change nothing")]
    CopyOntoItself,
    /// Bytes can be appended to appendable objects only, and to their current version.
    #[error("the object is not appendable")]
    NotAppendable,
    /// The position of an append is not the object's end.
    #[error("the position is not the length of the object, which is {next}")]
    PositionMismatch {
        /// The object's plaintext length; 0 when there is no object.
        next: u64,
    },
    /// A symbolic link leads to no object.
    #[error("the target of the symbolic link does not exist")]
    SymlinkTargetMissing,
    /// A symbolic link leads to another.
    #[error("the target of the symbolic link is a symbolic link")]
    SymlinkToSymlink,
    /// The object is no symbolic link.
    #[error("the object is not a symbolic link")]
    NotSymlink,
    /// The object is SSE-C and the request has no key for it.
    #[error("the object was stored with a customer key, which the request does not carry")]
    CustomerKeyRequired,
    /// The request carries a customer key and the object is not SSE-C.
    #[error("the encryption parameters are not applicable to this object")]
    CustomerKeyNotApplicable,
    /// The customer key is not the one that the object was stored with.
    #[error("the customer key is not the one that the object was stored with")]
    CustomerKeyWrong,
    /// UploadPart without the customer key that CreateMultipartUpload had.
    #[error("the upload was initiated with a customer key, which this request does not carry")]
    UploadKeyRequired,
    /// UploadPart with another customer key than CreateMultipartUpload's, or with one where there was none.
    #[error("the customer key does not match the one used to initiate the upload")]
    UploadKeyMismatch,
    /// A KMS said no.
    #[error(transparent)]
    Kms(#[from] kms::Error),
    /// What is stored does not verify: altered, cut, swapped or mislabelled. Nothing of it was let out.
    #[error("the stored object fails verification")]
    Integrity(#[source] sse::Error),
    /// Not implemented yet.
    #[error("{0} is not implemented")]
    NotImplemented(&'static str),
    /// An argument is out of its range (said in the text).
    #[error("{0}")]
    InvalidArgument(String),
    /// The store said something that is not the client's doing.
    #[error(transparent)]
    Store(store::Error),
    /// The system's random generator failed.
    #[error(transparent)]
    Random(#[from] crate::types::RandomError),
}

impl From<store::Error> for Error {
    fn from(error: store::Error) -> Self {
        match error {
            store::Error::NoSuchBucket => Self::NoSuchBucket,
            store::Error::NoSuchObject => Self::NoSuchKey,
            store::Error::DeleteMarker(version) => Self::DeleteMarker { version, named: false },
            store::Error::NoSuchUpload => Self::NoSuchUpload,
            store::Error::NoSuchPart(number) => Self::InvalidPart(number),
            store::Error::BucketNotEmpty => Self::BucketNotEmpty,
            store::Error::PreconditionFailed => Self::PreconditionFailed("If-Match or If-None-Match"),
            store::Error::Changed => Self::Conflict,
            store::Error::Held => Self::Held,
            store::Error::BucketLocked => Self::BucketLocked,
            store::Error::BucketExists { .. } => Self::BucketAlreadyExists,
            store::Error::Unsupported(what) => Self::NotImplemented(what),
            store::Error::MetadataTooLarge => Self::MetadataTooLarge { maximum: super::MAX_USER_METADATA },
            other @ (store::Error::Full
            | store::Error::ReadOnly(_)
            | store::Error::Unavailable(_)
            | store::Error::Corrupt(_)
            | store::Error::Io { .. }) => Self::Store(other),
        }
    }
}

impl From<sse::Error> for Error {
    fn from(error: sse::Error) -> Self {
        match error {
            // A wrapped key that does not open was altered, or belongs to another object: never the client's fault.
            sse::Error::Kms(kms::Error::InvalidCiphertext) => Self::Integrity(error),
            sse::Error::Kms(error) => Self::Kms(error),
            sse::Error::CustomerKeyRequired => Self::CustomerKeyRequired,
            sse::Error::CustomerKeyNotApplicable => Self::CustomerKeyNotApplicable,
            sse::Error::CustomerKeyWrong => Self::CustomerKeyWrong,
            sse::Error::TooLarge => Self::MetadataTooLarge { maximum: super::MAX_USER_METADATA },
            sse::Error::Random(error) => Self::Random(error),
            other => Self::Integrity(other),
        }
    }
}
