//! The S3 face of every condition: status, code and message, by matches without `_`, so that a new condition does not
//! compile until it has one. Codes: <https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html>.
//!
//! The status is always set explicitly: `s3s` answers 500 to a code that it does not know.

use std::borrow::Cow;

use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use s3s::{S3Error, S3ErrorCode};

use crate::gateway::{BodyError, Error};
use crate::types::VersionId;
use crate::{kms, sse, store};

use super::conditions::http_date;

/// Seconds that a client is asked to wait after a 503.
const RETRY_AFTER: &str = "2";

/// How a refusal looks on the wire.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Face {
    /// The HTTP status.
    pub status: StatusCode,
    /// S3's error code.
    pub code: &'static str,
    /// The message; never carries a secret.
    pub message: Cow<'static, str>,
    /// Headers that go with it (`Retry-After`, a 304's `ETag`, a 416's `Content-Range`).
    pub headers: Vec<(HeaderName, HeaderValue)>,
}

impl Face {
    /// A refusal.
    #[must_use]
    pub fn new(status: StatusCode, code: &'static str, message: impl Into<Cow<'static, str>>) -> Self {
        Self { status, code, message: message.into(), headers: Vec::new() }
    }

    pub(super) fn bad(code: &'static str, message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, code, message)
    }

    pub(super) fn invalid_argument(message: impl Into<Cow<'static, str>>) -> Self {
        Self::bad("InvalidArgument", message)
    }

    pub(super) fn invalid_request(message: impl Into<Cow<'static, str>>) -> Self {
        Self::bad("InvalidRequest", message)
    }

    pub(super) fn malformed_xml() -> Self {
        Self::bad(
            "MalformedXML",
            "The XML you provided was not well-formed or did not validate against our published schema",
        )
    }

    pub(super) fn not_implemented(what: impl std::fmt::Display) -> Self {
        Self::new(StatusCode::NOT_IMPLEMENTED, "NotImplemented", format!("{what} is not implemented"))
    }

    pub(super) fn denied(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::FORBIDDEN, "AccessDenied", message)
    }

    fn unavailable(message: &'static str) -> Self {
        let mut face = Self::new(StatusCode::SERVICE_UNAVAILABLE, "ServiceUnavailable", message);
        face.headers.push((header::RETRY_AFTER, HeaderValue::from_static(RETRY_AFTER)));
        face
    }

    fn internal() -> Self {
        Self::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "InternalError",
            "We encountered an internal error. Please try again.",
        )
    }
}

impl From<Face> for S3Error {
    fn from(face: Face) -> Self {
        let Ok(code) = face.code.parse::<S3ErrorCode>();
        let mut error = S3Error::with_message(code, face.message);
        error.set_status_code(face.status);
        if !face.headers.is_empty() {
            // s3s replaces all headers of the response by these, the content type too.
            let mut headers = HeaderMap::from_iter(face.headers);
            headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/xml"));
            error.set_headers(headers);
        }
        error
    }
}

/// An operation's error as `s3s` takes it.
pub(super) fn failed(error: Error) -> S3Error {
    face(&error).into()
}

/// The S3 face of a gateway error.
#[must_use]
pub fn face(error: &Error) -> Face {
    use StatusCode as S;
    match error {
        Error::NoObjectLock => Face::invalid_request("Bucket is missing Object Lock Configuration"),
        Error::BucketLocked => Face::new(
            StatusCode::CONFLICT,
            "InvalidBucketState",
            "An Object Lock configuration is present on this bucket, so the versioning state cannot be changed.",
        ),
        Error::Held => Face::denied("Access Denied because object protected by object lock."),
        Error::AccessDenied(why) => Face::denied(format!("Access Denied: {why}")),
        Error::Body(body) => body_face(body),
        Error::BadDigest(what) => {
            Face::bad("BadDigest", format!("The {what} you specified did not match what we received."))
        }
        // Only a trailer gets this far; what stands in a header is parsed by the dialect. S3's InvalidDigest is of
        // Content-MD5 alone.
        Error::InvalidDigest(what) => Face::invalid_request(format!("Value for {what} trailing header is invalid.")),
        Error::BucketAlreadyExists => Face::new(
            S::CONFLICT,
            "BucketAlreadyExists",
            "The requested bucket name is not available. Please select a different name and try again.",
        ),
        Error::BucketAlreadyOwnedByYou => Face::new(
            S::CONFLICT,
            "BucketAlreadyOwnedByYou",
            "Your previous request to create the named bucket succeeded and you already own it.",
        ),
        Error::BucketNotEmpty => {
            Face::new(S::CONFLICT, "BucketNotEmpty", "The bucket you tried to delete is not empty")
        }
        Error::NoSuchBucket => Face::new(S::NOT_FOUND, "NoSuchBucket", "The specified bucket does not exist"),
        Error::NoSuchKey => Face::new(S::NOT_FOUND, "NoSuchKey", "The specified key does not exist."),
        Error::NoSuchUpload => Face::new(
            S::NOT_FOUND,
            "NoSuchUpload",
            "The specified upload does not exist. The upload ID may be invalid, or the upload may have been aborted or \
             completed.",
        ),
        Error::DeleteMarker { version, named } => delete_marker(version, *named),
        Error::CopyOfMarker => Face::invalid_request(
            "The source of a copy request may not specifically refer to a delete marker by version id.",
        ),
        Error::NoSuchVersion => Face::new(S::NOT_FOUND, "NoSuchVersion", "The specified version does not exist."),
        Error::InvalidPart(number) => Face::bad(
            "InvalidPart",
            format!(
                "Part {number} could not be found. The part may not have been uploaded, or the specified entity tag \
                 may not match the part's entity tag."
            ),
        ),
        Error::InvalidPartOrder => Face::bad(
            "InvalidPartOrder",
            "The list of parts was not in ascending order. Parts must be ordered by part number.",
        ),
        Error::PartTooSmall { number, size, minimum } => Face::bad(
            "EntityTooSmall",
            format!("Part {number} has {size} bytes, fewer than the minimum allowed size of {minimum}."),
        ),
        Error::TooLarge { maximum } => Face::bad(
            "EntityTooLarge",
            format!("Your proposed upload exceeds the maximum allowed size of {maximum} bytes."),
        ),
        Error::MetadataTooLarge { maximum } => Face::bad(
            "MetadataTooLarge",
            format!("Your metadata headers exceed the maximum allowed metadata size of {maximum} bytes."),
        ),
        Error::InvalidTag(why) => Face::bad("InvalidTag", why.clone()),
        Error::TooManyTags { maximum } => {
            Face::bad("BadRequest", format!("Tags cannot be greater in number than {maximum}."))
        }
        Error::MalformedPolicy(why) => Face::bad("MalformedPolicy", why.clone()),
        Error::NoSuchPolicy => Face::new(S::NOT_FOUND, "NoSuchBucketPolicy", "The bucket policy does not exist"),
        Error::NoSuchPublicAccessBlock => Face::new(
            S::NOT_FOUND,
            "NoSuchPublicAccessBlockConfiguration",
            "The public access block configuration was not found",
        ),
        Error::InvalidCors(why) => Face::invalid_request(why.clone()),
        Error::NoSuchCors => {
            Face::new(S::NOT_FOUND, "NoSuchCORSConfiguration", "The CORS configuration does not exist")
        }
        Error::NoSuchTagSet => Face::new(S::NOT_FOUND, "NoSuchTagSet", "The TagSet does not exist"),
        Error::NoSuchObjectPart { number } => Face::new(
            S::RANGE_NOT_SATISFIABLE,
            "InvalidPartNumber",
            format!("The requested partnumber {number} is not satisfiable"),
        ),
        Error::NotModified { etag, modified } => {
            let mut face = Face::new(S::NOT_MODIFIED, "NotModified", "Not Modified");
            face.headers.extend(text_header(header::ETAG, format!("\"{etag}\"")));
            face.headers.extend(text_header(header::LAST_MODIFIED, http_date(*modified)));
            face
        }
        Error::PreconditionFailed(which) => Face::new(
            S::PRECONDITION_FAILED,
            "PreconditionFailed",
            format!("At least one of the pre-conditions you specified did not hold: {which}"),
        ),
        Error::Conflict => Face::new(
            S::CONFLICT,
            "ConditionalRequestConflict",
            "A conflicting conditional operation is currently in progress against this resource. Try again.",
        ),
        Error::InvalidRange { len } => {
            let mut face =
                Face::new(S::RANGE_NOT_SATISFIABLE, "InvalidRange", "The requested range is not satisfiable");
            face.headers.extend(text_header(header::CONTENT_RANGE, format!("bytes */{len}")));
            face
        }
        Error::CopyOntoItself => Face::invalid_request(
            "This copy request is illegal because it is trying to copy an object to itself without changing the \
             object's metadata, storage class, website redirect location or encryption attributes.",
        ),
        // OSS's append has no S3 operation; only a link can be met here.
        Error::NotAppendable => Face::invalid_request("The object is not appendable."),
        Error::PositionMismatch { next } => Face::bad(
            "InvalidWriteOffset",
            format!("The write offset does not match the current object size of {next} bytes."),
        ),
        Error::SymlinkTargetMissing => {
            Face::new(S::NOT_FOUND, "NoSuchKey", "The key is a symbolic link, and what it leads to does not exist.")
        }
        Error::SymlinkToSymlink => Face::invalid_request("The key is a symbolic link to a symbolic link."),
        Error::NotSymlink => Face::invalid_request("The object is not a symbolic link."),
        Error::CustomerKeyRequired => customer_key_required(),
        Error::CustomerKeyNotApplicable => customer_key_not_applicable(),
        Error::CustomerKeyWrong => Face::denied("Access Denied"),
        Error::UploadKeyRequired => Face::invalid_request(
            "The multipart upload initiate requested encryption. Subsequent part requests must include the \
             appropriate encryption parameters.",
        ),
        Error::UploadKeyMismatch => Face::invalid_request(
            "The provided encryption parameters did not match the ones used originally to initiate the upload.",
        ),
        Error::Kms(error) => kms_face(error),
        Error::Integrity(error) => integrity_face(error),
        Error::NotImplemented(what) => Face::not_implemented(what),
        Error::InvalidArgument(why) => Face::invalid_argument(why.clone()),
        Error::Store(error) => store_face(error),
        Error::Random(_) => Face::internal(),
    }
}

/// A delete marker has no body: to who names it, it has no such method; to who does not, the object is gone.
fn delete_marker(version: &VersionId, named: bool) -> Face {
    let mut face = if named {
        Face::new(
            StatusCode::METHOD_NOT_ALLOWED,
            "MethodNotAllowed",
            "The specified method is not allowed against this resource.",
        )
    } else {
        face(&Error::NoSuchKey)
    };
    face.headers.push((HeaderName::from_static("x-amz-delete-marker"), HeaderValue::from_static("true")));
    face.headers.extend(text_header(HeaderName::from_static("x-amz-version-id"), version.as_str().to_owned()));
    if named {
        face.headers.push((header::ALLOW, HeaderValue::from_static("DELETE")));
    }
    face
}

/// The S3 face of a body that failed on its way in.
#[must_use]
pub(super) fn body_face(error: &BodyError) -> Face {
    match error {
        BodyError::Incomplete | BodyError::Connection(_) | BodyError::MalformedChunk(_) => Face::bad(
            "IncompleteBody",
            "You did not provide the number of bytes specified by the Content-Length HTTP header, or the body's \
             framing is broken.",
        ),
        BodyError::TooLong => Face::bad("IncompleteBody", "The request body is longer than the length it declares."),
        BodyError::HashMismatch => Face::bad(
            "XAmzContentSHA256Mismatch",
            "The provided 'x-amz-content-sha256' header does not match what was computed.",
        ),
        BodyError::ChunkSignature => Face::new(
            StatusCode::FORBIDDEN,
            "SignatureDoesNotMatch",
            "The signature of a chunk of the body does not match the signature we calculated.",
        ),
        BodyError::MalformedForm(why) => Face::bad(
            "MalformedPOSTRequest",
            format!("The body of your POST request is not well-formed multipart/form-data: {why}."),
        ),
        BodyError::FormTooLong => Face::bad(
            "MaxPostPreDataLengthExceededError",
            "Your POST request fields preceding the upload file were too large.",
        ),
        BodyError::FileTooLarge { maximum, .. } => Face::bad(
            "EntityTooLarge",
            format!("Your proposed upload exceeds the maximum allowed size ({maximum} bytes)."),
        ),
        BodyError::FileTooSmall { minimum, .. } => Face::bad(
            "EntityTooSmall",
            format!("Your proposed upload is smaller than the minimum allowed size ({minimum} bytes)."),
        ),
        BodyError::MalformedTrailer(_) => Face::bad(
            "MalformedTrailerError",
            "The request contained trailing data that was not well-formed or did not conform to our published schema.",
        ),
        BodyError::Timeout => Face::bad(
            "RequestTimeout",
            "Your socket connection to the server was not read from or written to within the timeout period.",
        ),
    }
}

fn customer_key_required() -> Face {
    Face::invalid_request(
        "The object was stored using a form of Server Side Encryption. The correct parameters must be provided to \
         retrieve the object.",
    )
}

fn customer_key_not_applicable() -> Face {
    Face::invalid_request("The encryption parameters are not applicable to this object.")
}

fn kms_face(error: &kms::Error) -> Face {
    match error {
        kms::Error::NotFound(key) => Face::bad("KMS.NotFoundException", format!("Key '{key}' does not exist")),
        kms::Error::Disabled(key) => Face::bad("KMS.DisabledException", format!("{key} is disabled.")),
        kms::Error::PendingDeletion(key) => {
            Face::bad("KMS.KMSInvalidStateException", format!("{key} is pending deletion."))
        }
        kms::Error::PendingImport(key) => {
            Face::bad("KMS.KMSInvalidStateException", format!("{key} is pending import."))
        }
        kms::Error::InvalidKeyUsage(key) => {
            Face::bad("KMS.InvalidKeyUsageException", format!("{key} cannot be used for this operation."))
        }
        kms::Error::Denied(key) => Face::denied(format!(
            "Access Denied: not allowed to use key {key} (kms:GenerateDataKey to write, kms:Decrypt to read)"
        )),
        kms::Error::Invalid(why) => Face::invalid_argument(why.clone()),
        kms::Error::AlreadyExists(name) => Face::new(
            StatusCode::CONFLICT,
            "OperationAborted",
            format!("A conflicting operation on key {name} is in progress. Please try again."),
        ),
        kms::Error::Unavailable(_) => Face::unavailable("The key service is not available. Please try again."),
        // A wrapped key that does not open is damage of what is stored, not a request's fault.
        kms::Error::InvalidCiphertext | kms::Error::Corrupt(_) => Face::internal(),
    }
}

fn integrity_face(error: &sse::Error) -> Face {
    match error {
        sse::Error::CustomerKeyRequired => customer_key_required(),
        sse::Error::CustomerKeyNotApplicable => customer_key_not_applicable(),
        sse::Error::CustomerKeyWrong => Face::denied("Access Denied"),
        sse::Error::Kms(error) => kms_face(error),
        sse::Error::ContextReserved(name) => Face::bad(
            "InvalidArgument",
            format!("The encryption context may not set {name}, which the service sets itself."),
        ),
        sse::Error::TooLarge => Face::bad(
            "MetadataTooLarge",
            "The encryption context and metadata exceed the maximum allowed metadata size.",
        ),
        // What exactly does not verify is for the log and the operator, not for the client.
        sse::Error::Unsupported(_)
        | sse::Error::Malformed(_)
        | sse::Error::SegmentTag { .. }
        | sse::Error::PartHeader(_)
        | sse::Error::WrongMode
        | sse::Error::Record
        | sse::Error::Truncated
        | sse::Error::TrailingBytes
        | sse::Error::Manifest
        | sse::Error::MetadataMac
        | sse::Error::Commitment
        | sse::Error::Summary
        | sse::Error::Random(_) => Face::internal(),
    }
}

fn store_face(error: &store::Error) -> Face {
    match error {
        store::Error::NoSuchBucket => face(&Error::NoSuchBucket),
        store::Error::NoSuchObject => face(&Error::NoSuchKey),
        store::Error::DeleteMarker(version) => delete_marker(version, false),
        store::Error::NoSuchUpload => face(&Error::NoSuchUpload),
        store::Error::NoSuchPart(number) => face(&Error::InvalidPart(*number)),
        store::Error::BucketExists { .. } => face(&Error::BucketAlreadyExists),
        store::Error::BucketNotEmpty => face(&Error::BucketNotEmpty),
        store::Error::PreconditionFailed => face(&Error::PreconditionFailed("the object has changed")),
        store::Error::Changed => face(&Error::Conflict),
        store::Error::Held => face(&Error::Held),
        store::Error::BucketLocked => face(&Error::BucketLocked),
        store::Error::Full => Face::unavailable("The storage is full."),
        store::Error::ReadOnly(_) => Face::unavailable("The storage is read-only."),
        store::Error::Unsupported(what) => Face::not_implemented(what),
        store::Error::MetadataTooLarge => face(&Error::from(store::Error::MetadataTooLarge)),
        store::Error::Unavailable(_) => Face::unavailable("The storage is not available. Please try again."),
        store::Error::Corrupt(_) | store::Error::Io { .. } => Face::internal(),
    }
}

fn text_header(name: HeaderName, value: String) -> Option<(HeaderName, HeaderValue)> {
    HeaderValue::try_from(value).ok().map(|value| (name, value))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::{PartNumber, Timestamp};

    #[test]
    fn each_gateway_error_has_its_status_and_code() {
        let part = PartNumber::FIRST;
        let table: Vec<(Error, u16, &str)> = vec![
            (Error::AccessDenied("no".into()), 403, "AccessDenied"),
            (Error::Held, 403, "AccessDenied"),
            (Error::BucketLocked, 409, "InvalidBucketState"),
            (Error::NoObjectLock, 400, "InvalidRequest"),
            (Error::BadDigest("Content-MD5"), 400, "BadDigest"),
            (Error::InvalidDigest("x-amz-checksum-crc32"), 400, "InvalidRequest"),
            (Error::BucketAlreadyExists, 409, "BucketAlreadyExists"),
            (Error::BucketAlreadyOwnedByYou, 409, "BucketAlreadyOwnedByYou"),
            (Error::BucketNotEmpty, 409, "BucketNotEmpty"),
            (Error::NoSuchBucket, 404, "NoSuchBucket"),
            (Error::NoSuchKey, 404, "NoSuchKey"),
            (Error::NoSuchUpload, 404, "NoSuchUpload"),
            (Error::NoSuchVersion, 404, "NoSuchVersion"),
            (Error::InvalidPart(part), 400, "InvalidPart"),
            (Error::InvalidPartOrder, 400, "InvalidPartOrder"),
            (Error::PartTooSmall { number: part, size: 1, minimum: 2 }, 400, "EntityTooSmall"),
            (Error::TooLarge { maximum: 1 }, 400, "EntityTooLarge"),
            (Error::MetadataTooLarge { maximum: 2048 }, 400, "MetadataTooLarge"),
            (Error::NotModified { etag: "e".into(), modified: Timestamp(0) }, 304, "NotModified"),
            (Error::PreconditionFailed("If-Match"), 412, "PreconditionFailed"),
            (Error::Conflict, 409, "ConditionalRequestConflict"),
            (Error::InvalidRange { len: 3 }, 416, "InvalidRange"),
            (Error::CopyOntoItself, 400, "InvalidRequest"),
            (Error::CustomerKeyRequired, 400, "InvalidRequest"),
            (Error::CustomerKeyNotApplicable, 400, "InvalidRequest"),
            (Error::CustomerKeyWrong, 403, "AccessDenied"),
            (Error::UploadKeyRequired, 400, "InvalidRequest"),
            (Error::UploadKeyMismatch, 400, "InvalidRequest"),
            (Error::Integrity(sse::Error::MetadataMac), 500, "InternalError"),
            (Error::NotImplemented("x"), 501, "NotImplemented"),
            (Error::InvalidArgument("x".into()), 400, "InvalidArgument"),
            (Error::Random(crate::types::RandomError), 500, "InternalError"),
        ];
        for (error, status, code) in table {
            let face = face(&error);
            assert_eq!((face.status.as_u16(), face.code), (status, code), "{error:?}");
        }
    }

    #[test]
    fn each_kms_error_has_its_status_and_code() {
        use kms::Error as K;
        let key = || "arn:aws:kms:r:a:key/k".to_owned();
        let table = [
            (K::NotFound(key()), 400, "KMS.NotFoundException"),
            (K::Disabled(key()), 400, "KMS.DisabledException"),
            (K::PendingDeletion(key()), 400, "KMS.KMSInvalidStateException"),
            (K::PendingImport(key()), 400, "KMS.KMSInvalidStateException"),
            (K::InvalidKeyUsage(key()), 400, "KMS.InvalidKeyUsageException"),
            (K::Denied(key()), 403, "AccessDenied"),
            (K::Unavailable("breaker open".into()), 503, "ServiceUnavailable"),
            (K::InvalidCiphertext, 500, "InternalError"),
            (K::Corrupt("x".into()), 500, "InternalError"),
        ];
        for (error, status, code) in table {
            let face = face(&Error::Kms(error));
            assert_eq!((face.status.as_u16(), face.code), (status, code));
            assert_eq!(status == 503, face.headers.iter().any(|(name, _)| name == header::RETRY_AFTER));
        }
    }

    #[test]
    fn each_body_failure_has_its_status_and_code() {
        let table = [
            (BodyError::Incomplete, 400, "IncompleteBody"),
            (BodyError::TooLong, 400, "IncompleteBody"),
            (BodyError::HashMismatch, 400, "XAmzContentSHA256Mismatch"),
            (BodyError::ChunkSignature, 403, "SignatureDoesNotMatch"),
            (BodyError::MalformedChunk("x"), 400, "IncompleteBody"),
            (BodyError::MalformedTrailer("x"), 400, "MalformedTrailerError"),
            (BodyError::Timeout, 400, "RequestTimeout"),
            (BodyError::Connection("x".into()), 400, "IncompleteBody"),
        ];
        for (error, status, code) in table {
            let face = face(&Error::Body(error));
            assert_eq!((face.status.as_u16(), face.code), (status, code));
        }
    }

    #[test]
    fn store_trouble_is_asked_to_be_retried_and_says_nothing_of_paths() {
        let full = face(&Error::Store(store::Error::Unavailable("/var/lib/secret".into())));
        assert_eq!((full.status.as_u16(), full.code), (503, "ServiceUnavailable"));
        assert!(!full.message.contains("/var"));
        let io = store::Error::Io { doing: "open", source: std::io::Error::other("x") };
        assert_eq!(face(&Error::Store(io)).status.as_u16(), 500);
    }

    #[test]
    fn custom_codes_keep_their_status_through_s3s() {
        let error = failed(Error::Kms(kms::Error::Disabled("k".into())));
        let response = error.to_http_response().unwrap();
        assert_eq!(response.status(), 400);
        assert_eq!(response.headers()[header::CONTENT_TYPE], "application/xml");
        let gone = failed(Error::Kms(kms::Error::Unavailable("k".into()))).to_http_response().unwrap();
        assert_eq!(gone.status(), 503);
        assert_eq!(gone.headers()[header::RETRY_AFTER], "2");
    }
}
