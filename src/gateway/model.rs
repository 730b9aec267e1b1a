//! What requests mean and what answers say, in plaintext terms.

use std::collections::BTreeMap;

use bytes::Bytes;

use crate::sse::{CustomerKey, ObjectKind, SseRequest, SseStatus};
use crate::store::ObjectLock;
use crate::types::{ObjectAt, ObjectKey, PartNumber, Timestamp, UploadId, UserId, VersionId};

use super::{CannedAcl, PlainBody, Tags};

/// A checksum algorithm that S3 clients may declare and ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
pub enum ChecksumAlgorithm {
    /// CRC-32 (ISO-HDLC), 4 bytes.
    Crc32,
    /// CRC-32C (Castagnoli), 4 bytes.
    Crc32c,
    /// CRC-64/NVME, 8 bytes.
    Crc64Nvme,
    /// SHA-1, 20 bytes.
    Sha1,
    /// SHA-256, 32 bytes.
    Sha256,
}

/// Whether a multipart object's checksum is over the whole or over its parts' checksums.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
pub enum ChecksumKind {
    /// Over the whole plaintext.
    FullObject,
    /// Over the parts' checksums, written `…-N`.
    Composite,
}

/// A checksum of plaintext, as bytes (clients write it in base64).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checksum {
    /// Which.
    pub algorithm: ChecksumAlgorithm,
    /// Whole or composite.
    pub kind: ChecksumKind,
    /// Big-endian bytes, as S3 encodes them.
    pub value: Vec<u8>,
}

/// What a client declared of its body, to be verified before the commit.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DeclaredDigests {
    /// `Content-MD5`, decoded (16 bytes).
    pub md5: Option<[u8; 16]>,
    /// A checksum in a header.
    pub checksum: Option<(ChecksumAlgorithm, Vec<u8>)>,
    /// A checksum announced in `x-amz-trailer`; its value is in the body's [`super::TrailerSlot`] at the end.
    pub trailing: Option<ChecksumAlgorithm>,
    /// A checksum to compute without a declared value (`x-amz-sdk-checksum-algorithm` alone, or an upload's algorithm).
    pub compute: Option<ChecksumAlgorithm>,
}

/// The headers that a client gives an object.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ObjectHeaders {
    /// By lower-case name: `content-type`, `cache-control`, `content-encoding`, `content-disposition`,
    /// `content-language`, `expires`.
    pub system: BTreeMap<String, String>,
    /// User metadata by lower-case name without prefix.
    pub user: BTreeMap<String, String>,
    /// Tags.
    pub tags: Tags,
    /// Who else may read a new object; `None`: it has no ACL of its own. Of an object that is there, see
    /// [`super::Gateway::object_acl`].
    pub acl: Option<CannedAcl>,
    /// What keeps it from being deleted. It belongs to one version, and is never copied.
    pub lock: ObjectLock,
}

/// Conditions on an object's ETag and date. ETags are unquoted; `*` is [`EtagMatch::Any`].
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Conditions {
    /// `If-Match`.
    pub if_match: Option<EtagMatch>,
    /// `If-None-Match`.
    pub if_none_match: Option<EtagMatch>,
    /// `If-Modified-Since`.
    pub if_modified_since: Option<Timestamp>,
    /// `If-Unmodified-Since`.
    pub if_unmodified_since: Option<Timestamp>,
}

/// A list of ETags, or any.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EtagMatch {
    /// `*`.
    Any,
    /// One of these, unquoted; compared without case.
    OneOf(Vec<String>),
}

/// A byte range as it was asked for (RFC 9110 §14.1.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RangeSpec {
    /// `bytes=a-b`, both inclusive.
    Bounded(u64, u64),
    /// `bytes=a-`.
    From(u64),
    /// `bytes=-n`.
    Suffix(u64),
}

/// PutObject.
#[derive(Debug)]
pub struct PutRequest {
    /// Where.
    pub at: ObjectAt,
    /// The client's headers.
    pub headers: ObjectHeaders,
    /// The SSE headers, when there were any.
    pub sse: Option<SseRequest>,
    /// What was declared of the body.
    pub digests: DeclaredDigests,
    /// Conditions on the object that is there now.
    pub conditions: Conditions,
    /// The body.
    pub body: PlainBody,
}

/// An object was written.
#[derive(Debug, Clone)]
pub struct Written {
    /// Unquoted, lower-case.
    pub etag: String,
    /// The version written, where the bucket has versions.
    pub version: Option<VersionId>,
    /// When.
    pub modified: Timestamp,
    /// How it is encrypted.
    pub sse: SseStatus,
    /// The checksum that was verified or computed.
    pub checksum: Option<Checksum>,
    /// OSS's CRC-64 (ECMA) of the whole plaintext.
    pub crc64: Option<u64>,
    /// The object's plaintext length.
    pub size: u64,
    /// Of a copy: the version that was copied, where the source's bucket has versions.
    pub source_version: Option<VersionId>,
}

/// OSS's AppendObject.
#[derive(Debug)]
pub struct AppendRequest {
    /// Where.
    pub at: ObjectAt,
    /// Where in the object the bytes go: at its end, or 0 to make it.
    pub position: u64,
    /// The client's headers; they count when the object is made.
    pub headers: ObjectHeaders,
    /// The SSE headers, when there were any; they count when the object is made. A customer key is needed each time.
    pub sse: Option<SseRequest>,
    /// What was declared of these bytes.
    pub digests: DeclaredDigests,
    /// Conditions on the object that is there now.
    pub conditions: Conditions,
    /// The bytes.
    pub body: PlainBody,
}

/// Bytes were appended.
#[derive(Debug, Clone)]
pub struct Appended {
    /// The object as it is now: size and CRC are the whole's.
    pub written: Written,
    /// Where the next bytes go.
    pub next: u64,
}

/// OSS's PutSymlink.
#[derive(Debug)]
pub struct SymlinkRequest {
    /// Where.
    pub at: ObjectAt,
    /// Where it leads, in the same bucket. Nothing need be there.
    pub target: ObjectKey,
    /// The client's headers.
    pub headers: ObjectHeaders,
    /// Conditions on the object that is there now.
    pub conditions: Conditions,
}

/// GetObject and HeadObject.
#[derive(Debug)]
pub struct GetRequest {
    /// Which.
    pub at: ObjectAt,
    /// Which version; the current one when not named.
    pub version: Option<VersionId>,
    /// The range, when one was asked for.
    pub range: Option<RangeSpec>,
    /// The part, when one was asked for instead of a range.
    pub part: Option<PartNumber>,
    /// Conditions.
    pub conditions: Conditions,
    /// The customer key, when the request carried one.
    pub customer_key: Option<CustomerKey>,
    /// Whether checksums are wanted (`x-amz-checksum-mode: ENABLED`).
    pub checksum_mode: bool,
    /// Whether a symbolic link stands for what it leads to, and not for itself.
    pub follow_symlink: bool,
}

/// What GET and HEAD say of an object.
#[derive(Debug, Clone)]
pub struct ObjectInfo {
    /// Unquoted, lower-case.
    pub etag: String,
    /// The version, where the bucket has versions.
    pub version: Option<VersionId>,
    /// When it was written.
    pub modified: Timestamp,
    /// The whole object's plaintext length.
    pub size: u64,
    /// The client's headers.
    pub headers: ObjectHeaders,
    /// How it is encrypted.
    pub sse: SseStatus,
    /// Its checksums, when asked for.
    pub checksums: Vec<Checksum>,
    /// Its MD5, where that is known without a key: the ETag of an object written by one PUT, unless its mode hides it.
    pub md5: Option<[u8; 16]>,
    /// OSS's CRC-64 (ECMA) of the whole plaintext.
    pub crc64: Option<u64>,
    /// How it came to be. A link stays one when it is followed.
    pub kind: ObjectKind,
    /// Where a symbolic link leads.
    pub symlink: Option<ObjectKey>,
    /// Number of parts, for a multipart object.
    pub parts: Option<u32>,
    /// The bytes that a part number or a range named: first byte and length. `None`: the whole.
    pub range: Option<(u64, u64)>,
}

/// Plaintext on its way out: each chunk has been authenticated. An error must cut the connection.
pub type PlainOut = std::pin::Pin<Box<dyn futures::Stream<Item = Result<Bytes, super::Error>> + Send>>;

/// GetObject's answer.
pub struct Got {
    /// The object.
    pub info: ObjectInfo,
    /// The plaintext of the range in `info` (or of the whole).
    pub body: PlainOut,
}

impl std::fmt::Debug for Got {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Got").field("info", &self.info).finish_non_exhaustive()
    }
}

/// A part of a finished multipart object.
#[derive(Debug, Clone)]
pub struct ObjectPart {
    /// Its number.
    pub number: PartNumber,
    /// Plaintext length.
    pub size: u64,
    /// Its checksum, where the upload had one.
    pub checksum: Option<Checksum>,
}

/// What GetObjectAttributes can say.
#[derive(Debug, Clone)]
pub struct ObjectAttributes {
    /// The object, with its checksums.
    pub info: ObjectInfo,
    /// The parts of a multipart object, by number.
    pub parts: Option<Vec<ObjectPart>>,
}

/// What to do with the headers of the source of a copy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MetadataDirective {
    /// Keep them.
    Copy,
    /// Take these instead.
    Replace(ObjectHeaders),
}

/// The source of a copy.
#[derive(Debug)]
pub struct CopySource {
    /// Which object.
    pub at: ObjectAt,
    /// Which version.
    pub version: Option<VersionId>,
    /// `x-amz-copy-source-if-*`.
    pub conditions: Conditions,
    /// The source's customer key.
    pub customer_key: Option<CustomerKey>,
}

/// CopyObject.
#[derive(Debug)]
pub struct CopyRequest {
    /// From.
    pub source: CopySource,
    /// To.
    pub at: ObjectAt,
    /// Headers.
    pub metadata: MetadataDirective,
    /// The SSE headers for the target, when there were any.
    pub sse: Option<SseRequest>,
    /// Conditions on the object at the target now.
    pub conditions: Conditions,
    /// The copy's ACL; the source's is not copied.
    pub acl: Option<CannedAcl>,
    /// The copy's tags; `None`: the source's.
    pub tags: Option<Tags>,
    /// What the copy is under.
    pub lock: ObjectLock,
    /// A checksum the copy is to have.
    pub checksum: Option<ChecksumAlgorithm>,
}

/// CreateMultipartUpload.
#[derive(Debug)]
pub struct CreateUploadRequest {
    /// The object it will become.
    pub at: ObjectAt,
    /// Its headers.
    pub headers: ObjectHeaders,
    /// The SSE headers, when there were any.
    pub sse: Option<SseRequest>,
    /// The checksum of parts and object.
    pub checksum: Option<(ChecksumAlgorithm, ChecksumKind)>,
    /// Conditions on the object that is there now. Completing the upload has its own.
    pub conditions: Conditions,
}

/// An upload was created.
#[derive(Debug, Clone)]
pub struct UploadCreated {
    /// Its id.
    pub id: UploadId,
    /// How its parts are encrypted.
    pub sse: SseStatus,
    /// Its checksum.
    pub checksum: Option<(ChecksumAlgorithm, ChecksumKind)>,
}

/// UploadPart.
#[derive(Debug)]
pub struct PartRequest {
    /// The object that the upload will become.
    pub at: ObjectAt,
    /// The upload.
    pub upload: UploadId,
    /// The part.
    pub number: PartNumber,
    /// The customer key, when the request carried one.
    pub customer_key: Option<CustomerKey>,
    /// What was declared of the body.
    pub digests: DeclaredDigests,
    /// The body.
    pub body: PlainBody,
}

/// UploadPartCopy.
#[derive(Debug)]
pub struct PartCopyRequest {
    /// From.
    pub source: CopySource,
    /// The bytes of the source, first and last inclusive; all when not named.
    pub range: Option<(u64, u64)>,
    /// The object that the upload will become.
    pub at: ObjectAt,
    /// The upload.
    pub upload: UploadId,
    /// The part.
    pub number: PartNumber,
    /// The target's customer key.
    pub customer_key: Option<CustomerKey>,
}

/// A part was written.
#[derive(Debug, Clone)]
pub struct PartWritten {
    /// Unquoted.
    pub etag: String,
    /// When.
    pub modified: Timestamp,
    /// How it is encrypted (without context).
    pub sse: SseStatus,
    /// The checksum that was verified or computed.
    pub checksum: Option<Checksum>,
    /// OSS's CRC-64 (ECMA) of the part.
    pub crc64: Option<u64>,
    /// Of a copy: the version that was copied from, where the source's bucket has versions.
    pub source_version: Option<VersionId>,
}

/// A part as CompleteMultipartUpload names it.
#[derive(Debug, Clone)]
pub struct NamedPart {
    /// Its number.
    pub number: PartNumber,
    /// Its ETag, unquoted.
    pub etag: String,
    /// Its checksum, when named.
    pub checksum: Option<(ChecksumAlgorithm, Vec<u8>)>,
}

/// Which parts an upload is completed with.
#[derive(Debug, Clone)]
pub enum CompletedParts {
    /// These, as the client ordered them.
    Named(Vec<NamedPart>),
    /// All that are there, each in its last attempt (OSS's `x-oss-complete-all: yes`).
    All,
}

/// CompleteMultipartUpload.
#[derive(Debug)]
pub struct CompleteRequest {
    /// The object.
    pub at: ObjectAt,
    /// The upload.
    pub upload: UploadId,
    /// The parts.
    pub parts: CompletedParts,
    /// The least bytes of a part that is not the last ([`super::MIN_PART`], [`super::OSS_MIN_PART`]).
    pub min_part: u64,
    /// The customer key, when the request carried one.
    pub customer_key: Option<CustomerKey>,
    /// Conditions on the object that is there now.
    pub conditions: Conditions,
    /// The object's checksum as the client declares it; a composite one with its number of parts.
    pub checksum: Option<(Checksum, Option<u32>)>,
    /// `x-amz-mp-object-size`.
    pub size: Option<u64>,
}

/// ListParts.
#[derive(Debug)]
pub struct ListPartsRequest {
    /// The object that the upload will become.
    pub at: ObjectAt,
    /// The upload.
    pub upload: UploadId,
    /// Only parts above this number.
    pub after: Option<PartNumber>,
    /// At most this many.
    pub limit: usize,
}

/// A part in a listing.
#[derive(Debug, Clone)]
pub struct PartInfo {
    /// Its number.
    pub number: PartNumber,
    /// Unquoted.
    pub etag: String,
    /// Plaintext length.
    pub size: u64,
    /// When.
    pub modified: Timestamp,
    /// Its checksum. Under SSE-KMS and SSE-C only with the key, hence absent in listings.
    pub checksum: Option<Checksum>,
    /// OSS's CRC-64 (ECMA) of it.
    pub crc64: Option<u64>,
}

/// A page of parts.
#[derive(Debug, Clone)]
pub struct PartList {
    /// The parts.
    pub parts: Vec<PartInfo>,
    /// More follow.
    pub truncated: bool,
    /// Who initiated the upload (the bucket's owner, for now).
    pub owner: UserId,
    /// The upload's checksum.
    pub checksum: Option<(ChecksumAlgorithm, ChecksumKind)>,
}

/// An object in a listing.
#[derive(Debug, Clone)]
pub struct ListedObject {
    /// Its key.
    pub key: ObjectKey,
    /// Unquoted, the same as HEAD's.
    pub etag: String,
    /// Plaintext length.
    pub size: u64,
    /// When it was written.
    pub modified: Timestamp,
    /// How it came to be.
    pub kind: ObjectKind,
}

/// A row of an object listing.
#[derive(Debug, Clone)]
pub enum ListedEntry {
    /// An object.
    Object(ListedObject),
    /// A rolled-up prefix.
    Prefix(String),
}

/// A page of an object listing, in bytewise order.
#[derive(Debug, Clone)]
pub struct Listing {
    /// The rows.
    pub entries: Vec<ListedEntry>,
    /// More follow.
    pub truncated: bool,
    /// Who owns the objects.
    pub owner: UserId,
}

/// A row of a listing of versions.
#[derive(Debug, Clone)]
pub enum ListedVersion {
    /// A version with a body.
    Object {
        /// What an object listing says of it.
        object: ListedObject,
        /// Its id.
        version: VersionId,
        /// Whether it is the current version.
        latest: bool,
    },
    /// A delete marker.
    Marker {
        /// Its key.
        key: ObjectKey,
        /// Its id.
        version: VersionId,
        /// Whether it is the current version.
        latest: bool,
        /// When it was made.
        modified: Timestamp,
    },
    /// A rolled-up prefix.
    Prefix(String),
}

/// A page of versions, by key, newest first.
#[derive(Debug, Clone)]
pub struct VersionListing {
    /// The rows.
    pub entries: Vec<ListedVersion>,
    /// More follow.
    pub truncated: bool,
    /// Who owns the objects.
    pub owner: UserId,
}

/// An upload in a listing.
#[derive(Debug, Clone)]
pub struct ListedUpload {
    /// The object it will become.
    pub key: ObjectKey,
    /// Its id.
    pub id: UploadId,
    /// When.
    pub initiated: Timestamp,
    /// Who.
    pub owner: UserId,
}

/// A row of an upload listing.
#[derive(Debug, Clone)]
pub enum ListedUploadEntry {
    /// An upload.
    Upload(ListedUpload),
    /// A rolled-up prefix.
    Prefix(String),
}

/// A page of uploads.
#[derive(Debug, Clone)]
pub struct UploadListing {
    /// The rows.
    pub entries: Vec<ListedUploadEntry>,
    /// More follow.
    pub truncated: bool,
}

/// What a bucket holds (OSS's GetBucketStat).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BucketStat {
    /// Bytes of plaintext, of all versions.
    pub storage: u64,
    /// Objects, each version counted.
    pub objects: u64,
    /// Delete markers.
    pub markers: u64,
    /// Uploads in progress.
    pub uploads: u64,
    /// When this was counted.
    pub counted: Timestamp,
}
