//! The OSS face of every condition of the gateway: status, code and message, by matches without `_`, so that a new
//! condition does not compile until it has one. Codes:
//! <https://www.alibabacloud.com/help/en/oss/developer-reference/error-responses>

use http::{HeaderName, StatusCode, header};

use crate::dialect::conditions::http_date;
use crate::gateway::{BodyError, Error};
use crate::types::{ParseError, VersionId};
use crate::{kms, sse, store};

use super::face::Face;

/// Where an append would have to go on.
pub(super) const NEXT_POSITION: HeaderName = HeaderName::from_static("x-oss-next-append-position");
/// Whether a version is, or a delete made, a delete marker.
pub(super) const DELETE_MARKER: HeaderName = HeaderName::from_static("x-oss-delete-marker");
/// The version written or read.
pub(super) const VERSION_ID: HeaderName = HeaderName::from_static("x-oss-version-id");

/// What OSS says where a key service says no to a caller.
const FORBIDDEN_BY_KMS: &str = "This request is forbidden by kms.";

/// The OSS face of a gateway error.
pub(super) fn face(error: &Error) -> Face {
    use StatusCode as S;
    match error {
        Error::AccessDenied(why) => {
            Face::denied(format!("You have no right to access this object because of bucket acl or policy: {why}"))
        }
        Error::Body(body) => body_face(body),
        // OSS has one code for a digest that is malformed and for one that is another body's.
        Error::BadDigest(what) | Error::InvalidDigest(what) => {
            Face::bad("InvalidDigest", format!("The {what} you specified did not match what we received."))
        }
        Error::BucketAlreadyExists => Face::conflict(
            "BucketAlreadyExists",
            "The requested bucket name is not available. The bucket namespace is shared by all users of the system. \
             Please select a different name and try again.",
        ),
        Error::BucketAlreadyOwnedByYou => {
            Face::conflict("BucketAlreadyExists", "The bucket you tried to create already exists, and you own it.")
        }
        Error::BucketNotEmpty => Face::conflict("BucketNotEmpty", "The bucket you tried to delete is not empty."),
        Error::NoSuchBucket => Face::missing("NoSuchBucket", "The specified bucket does not exist."),
        Error::NoSuchKey => Face::missing("NoSuchKey", "The specified key does not exist."),
        Error::NoSuchUpload => Face::missing(
            "NoSuchUpload",
            "The specified upload does not exist. The upload ID may be invalid, or the upload may have been aborted or \
             completed.",
        ),
        Error::NoSuchVersion => Face::missing("NoSuchVersion", "The specified version does not exist."),
        Error::DeleteMarker { version, named } => delete_marker(version, *named),
        Error::CopyOfMarker => Face::bad(
            "InvalidArgument",
            "The source of a copy request may not be a delete marker named by its version.",
        ),
        Error::InvalidPart(number) => Face::bad(
            "InvalidPart",
            "One or more of the specified parts could not be found or the specified entity tag might not have matched \
             the part's entity tag.",
        )
        .with("PartNumber", number),
        Error::InvalidPartOrder => Face::bad(
            "InvalidPartOrder",
            "The list of parts was not in ascending order. Parts list must be specified in order by part number.",
        ),
        Error::PartTooSmall { number, size, minimum } => {
            Face::bad("EntityTooSmall", "Your proposed upload smaller than the minimum allowed size.")
                .with("ProposedSize", size)
                .with("MinSizeAllowed", minimum)
                .with("PartNumber", number)
        }
        Error::TooLarge { maximum } => {
            Face::bad("EntityTooLarge", "Your proposed upload exceeds the maximum allowed size.")
                .with("MaxSizeAllowed", maximum)
        }
        Error::MetadataTooLarge { maximum } => Face::bad(
            "InvalidArgument",
            format!("Your metadata headers exceed the maximum allowed metadata size of {maximum} bytes."),
        ),
        Error::InvalidTag(why) => Face::bad("InvalidTag", why.clone()),
        Error::TooManyTags { maximum } => {
            Face::bad("InvalidTag", format!("Tags cannot be greater in number than {maximum}."))
        }
        Error::MalformedPolicy(why) => Face::bad("InvalidPolicyDocument", why.clone()),
        Error::NoSuchPolicy => Face::missing("NoSuchBucketPolicy", "The bucket policy does not exist."),
        Error::NoSuchPublicAccessBlock => Face::missing(
            "NoSuchPublicAccessBlockConfiguration",
            "The public access block configuration does not exist.",
        ),
        Error::InvalidCors(why) => Face::bad("InvalidArgument", why.clone()),
        Error::NoSuchCors => Face::missing("NoSuchCORSConfiguration", "The CORS Configuration does not exist."),
        Error::NoSuchTagSet => Face::missing("NoSuchTagSet", "The TagSet does not exist."),
        Error::NoSuchObjectPart { number } => Face::new(
            S::RANGE_NOT_SATISFIABLE,
            "InvalidRange",
            format!("The requested part number {number} cannot be satisfied."),
        ),
        Error::NotModified { etag, modified } => {
            not_modified().header(header::ETAG, &quoted(etag)).header(header::LAST_MODIFIED, &http_date(*modified))
        }
        Error::PreconditionFailed(which) => precondition(which),
        Error::NoObjectLock => Face::bad("InvalidRequest", "The bucket has no object lock."),
        Error::BucketLocked => Face::conflict("InvalidBucketState", "The bucket has object lock."),
        Error::Held => Face::conflict("FileImmutable", "The object you specified is immutable."),
        Error::Conflict => Face::conflict(
            "OperationConflict",
            "A conflicting operation is currently in progress against this resource. Please try again.",
        ),
        Error::InvalidRange { len } => {
            Face::new(S::RANGE_NOT_SATISFIABLE, "InvalidRange", "The requested range cannot be satisfied.")
                .with("ActualObjectSize", len)
                .header(header::CONTENT_RANGE, &format!("bytes */{len}"))
        }
        // OSS lets an object be copied onto itself and then replaces its metadata; the dialect asks for that.
        Error::CopyOntoItself => Face::bad("InvalidArgument", "The copy would change nothing."),
        Error::CustomerKeyRequired => customer_key_required(),
        Error::CustomerKeyNotApplicable => customer_key_not_applicable(),
        Error::CustomerKeyWrong => Face::denied("The customer key is not the one that the object was stored with."),
        Error::UploadKeyRequired => Face::bad(
            "InvalidRequest",
            "The multipart upload was initiated with a customer key, which each of its requests must carry.",
        ),
        Error::UploadKeyMismatch => Face::bad(
            "InvalidRequest",
            "The provided encryption parameters did not match the ones used originally to initiate the upload.",
        ),
        Error::Kms(error) => kms_face(error),
        Error::Integrity(error) => integrity_face(error),
        Error::NotImplemented(what) => Face::not_implemented(what),
        Error::InvalidArgument(why) => Face::invalid_argument(why.clone()),
        Error::NotAppendable => Face::conflict("ObjectNotAppendable", "The object is not appendable."),
        Error::PositionMismatch { next } => {
            Face::conflict("PositionNotEqualToLength", "Position is not equal to file length.")
                .header(NEXT_POSITION, &next.to_string())
        }
        Error::SymlinkTargetMissing => {
            Face::missing("SymlinkTargetNotExist", "The symlink target object does not exist.")
        }
        Error::SymlinkToSymlink => Face::bad("InvalidTargetType", "The symbolic link's target object type is invalid."),
        Error::NotSymlink => Face::bad("NotSymlink", "The object is not a symbolic link."),
        Error::Store(error) => store_face(error),
        Error::Random(_) => Face::internal(),
    }
}

/// An ETag as OSS writes it: in quotes and upper case.
pub(super) fn quoted(etag: &str) -> String {
    format!("\"{}\"", etag.to_ascii_uppercase())
}

fn not_modified() -> Face {
    Face::new(StatusCode::NOT_MODIFIED, "NotModified", "Not Modified")
}

/// `which` names the header. A copy whose source is unchanged is answered like a read of it: 304.
fn precondition(which: &str) -> Face {
    if which.eq_ignore_ascii_case("x-amz-copy-source-if-none-match")
        || which.eq_ignore_ascii_case("x-amz-copy-source-if-modified-since")
    {
        return not_modified();
    }
    Face::new(
        StatusCode::PRECONDITION_FAILED,
        "PreconditionFailed",
        "At least one of the pre-conditions you specified did not hold.",
    )
    .with("Condition", which)
}

/// What a write answers that must not overwrite (`x-oss-forbid-overwrite`).
pub(super) fn already_exists() -> Face {
    Face::conflict("FileAlreadyExists", "The object you specified already exists and can not be overwritten.")
}

/// A delete marker has no body: to who names it, it has no such method; to who does not, the object is gone.
fn delete_marker(version: &VersionId, named: bool) -> Face {
    let face = if named {
        Face::new(
            StatusCode::METHOD_NOT_ALLOWED,
            "MethodNotAllowed",
            "The specified method is not allowed against this resource.",
        )
        .header(header::ALLOW, "DELETE")
    } else {
        face(&Error::NoSuchKey)
    };
    face.header(DELETE_MARKER, "true").header(VERSION_ID, version.as_str())
}

/// The OSS face of a body that failed on its way in.
pub(super) fn body_face(error: &BodyError) -> Face {
    match error {
        BodyError::Incomplete | BodyError::Connection(_) | BodyError::TooLong | BodyError::MalformedChunk(_) => {
            Face::bad(
                "IncompleteBody",
                "You did not provide the number of bytes specified by the Content-Length HTTP header.",
            )
        }
        BodyError::HashMismatch => {
            Face::bad("InvalidDigest", "The body does not have the hash that the request declares.")
        }
        BodyError::ChunkSignature => Face::new(
            StatusCode::FORBIDDEN,
            "SignatureDoesNotMatch",
            "The signature of a chunk of the body does not match the signature we calculated.",
        ),
        BodyError::MalformedForm(why) => Face::bad(
            "MalformedPOSTRequest",
            format!("The body of your POST request is not well-formed multipart/form-data: {why}."),
        ),
        BodyError::FormTooLong => {
            Face::bad("FieldItemTooLong", "Your post policy form fields, and what surrounds the file, are too long.")
                .with("MaxSizeAllowed", crate::dialect::form::MAX_FIELDS)
        }
        BodyError::FileTooLarge { proposed, maximum } => {
            Face::bad("EntityTooLarge", "Your proposed upload exceeds the maximum allowed size.")
                .with("ProposedSize", proposed)
                .with("MaxSizeAllowed", maximum)
        }
        BodyError::FileTooSmall { proposed, minimum } => {
            Face::bad("EntityTooSmall", "Your proposed upload smaller than the minimum allowed size.")
                .with("ProposedSize", proposed)
                .with("MinSizeAllowed", minimum)
        }
        BodyError::MalformedTrailer(_) => Face::bad("InvalidArgument", "The trailer of the body is malformed."),
        BodyError::Timeout => Face::bad(
            "RequestTimeout",
            "Your socket connection to the server was not read from or written to within the timeout period.",
        ),
    }
}

fn customer_key_required() -> Face {
    Face::bad(
        "InvalidRequest",
        "The object was stored using a form of Server Side Encryption. The correct parameters must be provided to \
         retrieve the object.",
    )
}

fn customer_key_not_applicable() -> Face {
    Face::bad("InvalidRequest", "The encryption parameters are not applicable to this object.")
}

/// What the key service says, by the codes of
/// <https://www.alibabacloud.com/help/en/oss/user-guide/server-side-encryption-8>.
fn kms_face(error: &kms::Error) -> Face {
    match error {
        kms::Error::NotFound(key) if key.contains("alias/") => {
            Face::missing("AliasNotFound", "The specified Alias is not found.")
        }
        kms::Error::NotFound(_) => Face::missing("KeyNotFound", "The specified parameter KMS keyId is not found."),
        kms::Error::Disabled(_) => {
            Face::conflict("KeyDisabled", "The request was rejected because the key state is Disabled.")
        }
        kms::Error::PendingDeletion(_) => {
            Face::conflict("KeyPendingDeletion", "The request was rejected because the key state is PendingDeletion.")
        }
        kms::Error::PendingImport(_) => {
            Face::conflict("KeyPendingImport", "The request was rejected because the key state is PendingImport.")
        }
        kms::Error::InvalidKeyUsage(_) => {
            Face::bad("InvalidArgument", "The specified KMS key cannot be used for this operation.")
        }
        kms::Error::Denied(_) => Face::denied(FORBIDDEN_BY_KMS),
        kms::Error::Invalid(_) => Face::bad("InvalidParameter", "The specified parameter KMS keyId is not valid."),
        kms::Error::AlreadyExists(_) => {
            Face::conflict("OperationConflict", "A conflicting operation on the KMS key is in progress.")
        }
        kms::Error::Unavailable(_) => Face::unavailable("The key service is not available. Please try again."),
        // A wrapped key that does not open is damage of what is stored, not a request's fault.
        kms::Error::InvalidCiphertext | kms::Error::Corrupt(_) => Face::internal(),
    }
}

fn integrity_face(error: &sse::Error) -> Face {
    match error {
        sse::Error::CustomerKeyRequired => customer_key_required(),
        sse::Error::CustomerKeyNotApplicable => customer_key_not_applicable(),
        sse::Error::CustomerKeyWrong => face(&Error::CustomerKeyWrong),
        sse::Error::Kms(error) => kms_face(error),
        sse::Error::ContextReserved(name) => {
            Face::invalid_argument(format!("The encryption context may not set {name}, which the service sets itself."))
        }
        sse::Error::TooLarge => {
            Face::invalid_argument("The encryption context and metadata exceed the maximum allowed metadata size.")
        }
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
        store::Error::PreconditionFailed => precondition("the object has changed"),
        store::Error::Changed => face(&Error::Conflict),
        store::Error::Held => face(&Error::Held),
        store::Error::BucketLocked => face(&Error::BucketLocked),
        store::Error::Full => Face::unavailable("The storage is full."),
        store::Error::ReadOnly(_) => Face::unavailable("The storage is read-only."),
        store::Error::Unsupported(what) => face(&Error::NotImplemented(what)),
        store::Error::MetadataTooLarge => face(&Error::from(store::Error::MetadataTooLarge)),
        store::Error::Unavailable(_) => Face::unavailable("The storage is not available. Please try again."),
        store::Error::Corrupt(_) | store::Error::Io { .. } => Face::internal(),
    }
}

/// The OSS face of a name that is none.
pub(super) fn bad_name(error: &ParseError, text: &str) -> Face {
    match error {
        ParseError::BucketName => {
            Face::bad("InvalidBucketName", "The specified bucket is not valid.").with("BucketName", text)
        }
        ParseError::KeyEmpty | ParseError::KeyTooLong => bad_key(text),
        ParseError::PartNumber => {
            Face::argument("partNumber", text, "Part number must be an integer between 1 and 10000, inclusive.")
        }
        ParseError::UploadId => face(&Error::NoSuchUpload),
        // One that we never made is of no version.
        ParseError::VersionId => face(&Error::NoSuchVersion),
    }
}

/// A name that no object may have.
pub(super) fn bad_key(text: &str) -> Face {
    Face::bad("InvalidObjectName", "The specified object is not valid.").with("ObjectName", text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::{PartNumber, Timestamp};

    const EPOCH: Timestamp = Timestamp(0);

    #[test]
    fn each_gateway_error_has_its_status_and_code() {
        let part = PartNumber::FIRST;
        let table: Vec<(Error, u16, &str)> = vec![
            (Error::AccessDenied("no".into()), 403, "AccessDenied"),
            (Error::Held, 409, "FileImmutable"),
            (Error::BucketLocked, 409, "InvalidBucketState"),
            (Error::NoObjectLock, 400, "InvalidRequest"),
            (Error::BadDigest("Content-MD5"), 400, "InvalidDigest"),
            (Error::BucketAlreadyExists, 409, "BucketAlreadyExists"),
            (Error::BucketAlreadyOwnedByYou, 409, "BucketAlreadyExists"),
            (Error::BucketNotEmpty, 409, "BucketNotEmpty"),
            (Error::NoSuchBucket, 404, "NoSuchBucket"),
            (Error::NoSuchKey, 404, "NoSuchKey"),
            (Error::NoSuchUpload, 404, "NoSuchUpload"),
            (Error::NoSuchVersion, 404, "NoSuchVersion"),
            (Error::DeleteMarker { version: VersionId::null(), named: true }, 405, "MethodNotAllowed"),
            (Error::DeleteMarker { version: VersionId::null(), named: false }, 404, "NoSuchKey"),
            (Error::InvalidPart(part), 400, "InvalidPart"),
            (Error::InvalidPartOrder, 400, "InvalidPartOrder"),
            (Error::PartTooSmall { number: part, size: 1, minimum: 2 }, 400, "EntityTooSmall"),
            (Error::TooLarge { maximum: 1 }, 400, "EntityTooLarge"),
            (Error::InvalidTag("x".into()), 400, "InvalidTag"),
            (Error::MalformedPolicy("x".into()), 400, "InvalidPolicyDocument"),
            (Error::NoSuchPolicy, 404, "NoSuchBucketPolicy"),
            (Error::NoSuchCors, 404, "NoSuchCORSConfiguration"),
            (Error::NotModified { etag: "e".into(), modified: EPOCH }, 304, "NotModified"),
            (Error::PreconditionFailed("If-Match"), 412, "PreconditionFailed"),
            (Error::PreconditionFailed("x-amz-copy-source-If-None-Match"), 304, "NotModified"),
            (Error::InvalidRange { len: 3 }, 416, "InvalidRange"),
            (Error::CustomerKeyRequired, 400, "InvalidRequest"),
            (Error::CustomerKeyWrong, 403, "AccessDenied"),
            (Error::Integrity(sse::Error::MetadataMac), 500, "InternalError"),
            (Error::NotImplemented("x"), 400, "NotImplemented"),
            (Error::InvalidArgument("x".into()), 400, "InvalidArgument"),
            (Error::NotAppendable, 409, "ObjectNotAppendable"),
            (Error::PositionMismatch { next: 7 }, 409, "PositionNotEqualToLength"),
            (Error::SymlinkTargetMissing, 404, "SymlinkTargetNotExist"),
            (Error::SymlinkToSymlink, 400, "InvalidTargetType"),
            (Error::NotSymlink, 400, "NotSymlink"),
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
        let key = || "9468da86-3509-4f8d-a61e-6eab1eac0001".to_owned();
        let table = [
            (K::NotFound(key()), 404, "KeyNotFound"),
            (K::NotFound("alias/nobody".into()), 404, "AliasNotFound"),
            (K::Disabled(key()), 409, "KeyDisabled"),
            (K::PendingDeletion(key()), 409, "KeyPendingDeletion"),
            (K::PendingImport(key()), 409, "KeyPendingImport"),
            (K::Denied(key()), 403, "AccessDenied"),
            (K::Unavailable("breaker open".into()), 503, "ServiceUnavailable"),
            (K::InvalidCiphertext, 500, "InternalError"),
            (K::Corrupt("x".into()), 500, "InternalError"),
        ];
        for (error, status, code) in table {
            let denied = matches!(error, K::Denied(_));
            let face = face(&Error::Kms(error));
            assert_eq!((face.status.as_u16(), face.code), (status, code));
            assert_eq!(status == 503, face.headers.iter().any(|(name, _)| name == header::RETRY_AFTER));
            assert_eq!(denied, face.message == FORBIDDEN_BY_KMS);
        }
    }

    #[test]
    fn what_a_client_needs_to_go_on_is_in_the_headers() {
        let next = face(&Error::PositionMismatch { next: 7 });
        assert_eq!(next.headers, [(NEXT_POSITION, http::HeaderValue::from_static("7"))]);
        let same = face(&Error::NotModified { etag: "ab".into(), modified: EPOCH });
        assert!(same.headers.iter().any(|(name, value)| name == header::ETAG && value == "\"AB\""));
        let marker = face(&Error::DeleteMarker { version: VersionId::null(), named: true });
        assert!(marker.headers.iter().any(|(name, value)| name == header::ALLOW && value == "DELETE"));
        assert!(marker.headers.iter().any(|(name, value)| *name == DELETE_MARKER && value == "true"));
    }
}
