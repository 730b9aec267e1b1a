//! Where ciphertext is kept. [`ObjectStore`] is about opaque bodies and opaque sealed records: nothing here can read
//! plaintext, and no key ever comes into this room. Two implementations share one contract test suite (`contract.rs`).

#[cfg(test)]
pub(crate) mod contract;
pub mod local;
mod lock;
mod passage;
pub mod upstream;

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;
use std::pin::Pin;

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use futures::Stream;
use serde::{Deserialize, Serialize};

pub use lock::{BUCKET_LOCK, Governance, ObjectLock, Retention, RetentionMode};
pub use passage::{Crossing, Passage, Passed, PassedObject, Passing, SubResource, Verb, passage_about};

use crate::types::{BucketName, ObjectAt, ObjectKey, PartNumber, Timestamp, UploadId, UserId, VersionId};

/// An offset into (or a length of) a stored body: ciphertext with headers, tags and manifest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct CipherOffset(pub u64);

/// What a store can answer instead of the thing asked for.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No such bucket.
    #[error("no such bucket")]
    NoSuchBucket,
    /// No such object (or no such version of it).
    #[error("no such object")]
    NoSuchObject,
    /// The version (the current one, when none was named) is a delete marker.
    #[error("the version is a delete marker")]
    DeleteMarker(VersionId),
    /// No such upload: never made, aborted or completed.
    #[error("no such upload")]
    NoSuchUpload,
    /// A part named at completion is not there, or not in the attempt that was named.
    #[error("part {0} is not there as named")]
    NoSuchPart(PartNumber),
    /// The bucket is there already; its owner is told so that the dialect can choose its answer.
    #[error("the bucket exists")]
    BucketExists {
        /// Who owns it.
        owner: UserId,
    },
    /// The bucket still holds objects or uploads.
    #[error("the bucket is not empty")]
    BucketNotEmpty,
    /// A precondition of the write does not hold.
    #[error("a precondition does not hold")]
    PreconditionFailed,
    /// The object was replaced or deleted since it was looked at; look again.
    #[error("the object has changed")]
    Changed,
    /// The disk is full, or a quota is.
    #[error("the storage is full")]
    Full,
    /// What is there is not to be deleted or replaced yet: a retention period or a legal hold is on it.
    #[error("the version is under a retention period or a legal hold")]
    Held,
    /// The bucket has object lock, and so keeps versions for ever.
    #[error("the bucket has object lock")]
    BucketLocked,
    /// The store went read-only after a failed sync, or its medium is.
    #[error("the store is read-only: {0}")]
    ReadOnly(String),
    /// The store cannot do this at all (said in the text).
    #[error("{0}")]
    Unsupported(&'static str),
    /// Names and values together are more than the store keeps beside a body.
    #[error("the metadata exceeds what the store keeps")]
    MetadataTooLarge,
    /// Cannot be reached or is too slow: try again later.
    #[error("the store is not available: {0}")]
    Unavailable(String),
    /// What is stored contradicts itself: someone must act.
    #[error("the store is damaged: {0}")]
    Corrupt(String),
    /// An I/O error.
    #[error("i/o error while {doing}")]
    Io {
        /// What was being done.
        doing: &'static str,
        /// The cause.
        #[source]
        source: std::io::Error,
    },
}

/// What is stored in the clear beside a body: the headers that a client gave, and the envelope's fields.
/// The envelope's MAC covers all of it (`sse::envelope`), so a store that alters it is found out.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Metadata {
    /// System headers by lower-case name: `content-type`, `cache-control`, `content-encoding`, `content-disposition`,
    /// `content-language`, `expires`.
    pub system: BTreeMap<String, String>,
    /// User metadata by lower-case name, without the `x-amz-meta-` prefix. At most 2 KiB, judged by the gateway.
    pub user: BTreeMap<String, String>,
    /// Tags by key. Not in upstream user metadata, but under the same MAC.
    #[serde(default)]
    pub tags: BTreeMap<String, String>,
    /// Who owns the object and who may read it, where that does not follow from the bucket, and where a symbolic link
    /// leads; under the same MAC.
    #[serde(default)]
    pub access: BTreeMap<String, String>,
    /// The envelope's fields by short name; see `sse/FORMAT.md`.
    pub envelope: BTreeMap<String, String>,
}

impl Metadata {
    /// The name of the envelope's field that says which version id the write was made with: the one field that a store may
    /// look at, and does where version ids are given by somebody else.
    pub const VERSION: &str = "ver";

    /// The version id that the write was made with.
    #[must_use]
    pub fn version(&self) -> Option<&str> {
        self.envelope.get(Self::VERSION).map(String::as_str)
    }
}

/// A store's own name for one body: changes with every write, never reused. Opaque.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct StoredTag(pub String);

/// A stored object as the store knows it.
#[derive(Debug, Clone)]
pub struct StoredObject {
    /// Its version (`null` in a bucket without versioning).
    pub version: VersionId,
    /// The metadata given at the write.
    pub metadata: Metadata,
    /// The sealed summary given at commit (`sse::summary`); empty where a store could not keep it.
    pub summary: Bytes,
    /// Where the store kept no summary: the body's last bytes (all of a short body), from which one can be made, or the
    /// manifest alone once that has been done.
    pub tail: Bytes,
    /// The body's length, manifest and all.
    pub len: CipherOffset,
    /// This body.
    pub tag: StoredTag,
    /// When it was committed.
    pub modified: Timestamp,
    /// What keeps it from being deleted, as far as the store says so when it is asked for the object.
    pub lock: ObjectLock,
}

/// Ciphertext as it streams out of a store. An error ends it; `None` comes only after the last byte of the range.
pub type CipherStream = Pin<Box<dyn Stream<Item = Result<BytesMut, Error>> + Send>>;

/// An object opened for reading. The body stays readable while this (or a stream made of it) lives, whatever
/// happens to the object meanwhile.
#[async_trait]
pub trait OpenObject: Send + Sync {
    /// The object as it was when opened.
    fn object(&self) -> &StoredObject;

    /// Reads a range of the body. Chunks are `chunk` bytes long where the store can choose (a hint: local disk
    /// honours it, so that whole segments arrive in one buffer), except the last.
    ///
    /// # Errors
    /// [`Error::Changed`] where the store cannot keep an old body readable; [`Error::Corrupt`] when the range is not
    /// all there.
    async fn read(&self, range: Range<CipherOffset>, chunk: usize) -> Result<CipherStream, Error>;

    /// Whether each read costs a request, so that few of them are better than aligned chunks.
    fn asks_for_each_read(&self) -> bool {
        false
    }
}

/// What must hold of the object at a key for a write to be made. Judged atomically with the commit.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Precondition {
    /// Nothing.
    #[default]
    None,
    /// There is no (current) object at the key; a delete marker is none.
    Absent,
    /// The current object is this one.
    Is(StoredTag),
}

/// What is known of a write before its body streams. A store that must say it beforehand (over HTTP) needs it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Ahead {
    /// The body's length; a body of another length fails then.
    pub len: Option<CipherOffset>,
    /// The precondition that the commit will name.
    pub precondition: Precondition,
}

/// What a commit adds to what was streamed.
#[derive(Debug, Clone, Default)]
pub struct Commit {
    /// The sealed summary to keep with the record.
    pub summary: Bytes,
    /// What must hold.
    pub precondition: Precondition,
    /// The version's id, where the bucket keeps versions; `None`: the store chooses. Never given twice.
    pub version: Option<VersionId>,
    /// What the version is under when the commit returns. Nothing, unless [`ObjectStore::can_lock`] said that it can be.
    pub lock: ObjectLock,
}

/// A body on its way into the store. Dropping it without `commit` leaves nothing behind that a reader could see.
#[async_trait]
pub trait ObjectWriter: Send {
    /// Takes the next bytes of the body. Waits while the store cannot keep up.
    ///
    /// # Errors
    /// Any; the write is over then.
    async fn write(&mut self, chunk: Bytes) -> Result<(), Error>;

    /// Makes the body the object, durably and atomically: when this returns `Ok` it survives a power cut.
    ///
    /// # Errors
    /// [`Error::PreconditionFailed`], [`Error::NoSuchBucket`] (deleted meanwhile) or any I/O error; the key is as before then.
    async fn commit(self: Box<Self>, commit: Commit) -> Result<StoredObject, Error>;
}

/// A part on its way into the store; as [`ObjectWriter`].
#[async_trait]
pub trait PartWriter: Send {
    /// Takes the next bytes of the part.
    ///
    /// # Errors
    /// Any; the write is over then.
    async fn write(&mut self, chunk: Bytes) -> Result<(), Error>;

    /// Makes these bytes the part, durably; an earlier attempt of the same number is replaced. `record` is the
    /// gateway's sealed record of the part (salt, lengths, digests), given back by [`ObjectStore::parts`].
    ///
    /// # Errors
    /// [`Error::NoSuchUpload`] when the upload was completed or aborted meanwhile.
    async fn commit(self: Box<Self>, record: Bytes) -> Result<StoredPart, Error>;
}

/// What a bucket keeps of objects that are replaced or deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum Versioning {
    /// Nothing: each object is its own `null` version. What a bucket starts with, and never comes back to.
    #[default]
    Never,
    /// Every write is a version with an id of its own; a delete adds a marker.
    Enabled,
    /// What was kept stays; a write or a delete replaces the `null` version only.
    Suspended,
}

/// A bucket.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bucket {
    /// Its name.
    pub name: BucketName,
    /// Who made it.
    pub owner: UserId,
    /// When.
    pub created: Timestamp,
    /// The region that the creation named, or the gateway's.
    pub region: String,
    /// What becomes of the versions of its objects.
    pub versioning: Versioning,
    /// Configurations by kind (`encryption`, `policy` …), opaque to the store.
    pub configs: BTreeMap<String, Vec<u8>>,
}

/// Which page of a listing is wanted.
#[derive(Debug, Clone, Default)]
pub struct ListQuery {
    /// Only keys that start with this.
    pub prefix: String,
    /// Roll keys up to the first occurrence of this after the prefix.
    pub delimiter: Option<String>,
    /// Only keys after this one, bytewise. A rolled-up prefix equal to it is skipped as a whole.
    pub after: Option<String>,
    /// At most this many entries (objects and prefixes together).
    pub limit: usize,
}

/// One row of a listing.
#[derive(Debug, Clone)]
#[allow(clippy::large_enum_variant, reason = "nearly every row is an object")]
pub enum ListEntry {
    /// An object (its current version).
    Object {
        /// Its key.
        key: ObjectKey,
        /// The object.
        object: StoredObject,
    },
    /// A rolled-up prefix, delimiter included.
    Prefix(String),
}

/// A page of a listing, in bytewise order.
#[derive(Debug, Clone, Default)]
pub struct ListPage {
    /// The rows.
    pub entries: Vec<ListEntry>,
    /// Whether there is more after the last row.
    pub truncated: bool,
}

/// Which page of the versions is wanted.
#[derive(Debug, Clone, Default)]
pub struct VersionQuery {
    /// Only keys that start with this.
    pub prefix: String,
    /// Roll keys up to the first occurrence of this after the prefix.
    pub delimiter: Option<String>,
    /// Only versions after all of this key, or, with a version, after that version of the key.
    pub after: Option<(String, Option<VersionId>)>,
    /// At most this many rows.
    pub limit: usize,
}

/// A row of the versions: ordered by key, newest first.
#[derive(Debug, Clone)]
#[allow(clippy::large_enum_variant, reason = "nearly every row is an object")]
pub enum VersionEntry {
    /// A version with a body.
    Object {
        /// Its key.
        key: ObjectKey,
        /// Whether it is the current version.
        latest: bool,
        /// The object.
        object: StoredObject,
    },
    /// A delete marker.
    Marker {
        /// Its key.
        key: ObjectKey,
        /// Whether it is the current version.
        latest: bool,
        /// Its id.
        version: VersionId,
        /// When it was made.
        modified: Timestamp,
    },
    /// A rolled-up prefix.
    Prefix(String),
}

/// A page of versions.
#[derive(Debug, Clone, Default)]
pub struct VersionPage {
    /// The rows.
    pub entries: Vec<VersionEntry>,
    /// Whether there is more.
    pub truncated: bool,
}

/// An upload in progress.
#[derive(Debug, Clone)]
pub struct StoredUpload {
    /// Its id.
    pub id: UploadId,
    /// The object it will become.
    pub key: ObjectKey,
    /// The metadata for that object.
    pub metadata: Metadata,
    /// The gateway's sealed state, opaque.
    pub state: Bytes,
    /// When it was made.
    pub initiated: Timestamp,
}

/// A part in progress.
#[derive(Debug, Clone)]
pub struct StoredPart {
    /// Its number.
    pub number: PartNumber,
    /// This attempt of it.
    pub tag: StoredTag,
    /// Its length as stored.
    pub len: CipherOffset,
    /// The gateway's sealed record, opaque.
    pub record: Bytes,
    /// When it was committed.
    pub modified: Timestamp,
}

/// A page of parts, by number.
#[derive(Debug, Clone, Default)]
pub struct PartPage {
    /// The parts.
    pub parts: Vec<StoredPart>,
    /// Whether there is more.
    pub truncated: bool,
}

/// Which page of the uploads in progress is wanted.
#[derive(Debug, Clone, Default)]
pub struct UploadQuery {
    /// Only keys that start with this.
    pub prefix: String,
    /// Roll keys up to the first occurrence of this after the prefix.
    pub delimiter: Option<String>,
    /// Only uploads after this key, or, with an upload id, after that upload of the key.
    pub after: Option<(String, Option<UploadId>)>,
    /// At most this many rows.
    pub limit: usize,
}

/// A row of the uploads in progress, ordered by key, then by time of initiation, then id.
#[derive(Debug, Clone)]
pub enum UploadEntry {
    /// An upload.
    Upload(StoredUpload),
    /// A rolled-up prefix.
    Prefix(String),
}

/// A page of uploads.
#[derive(Debug, Clone, Default)]
pub struct UploadPage {
    /// The rows.
    pub entries: Vec<UploadEntry>,
    /// Whether there is more.
    pub truncated: bool,
}

/// Which upload is meant.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct UploadAt {
    /// The object it will become.
    pub object: ObjectAt,
    /// Its id.
    pub id: UploadId,
}

/// How an upload becomes an object: the parts in order, then `manifest` as the body's last bytes.
#[derive(Debug, Clone)]
pub struct Completion {
    /// The parts, ascending, each the attempt that the manifest pins.
    pub parts: Vec<(PartNumber, StoredTag)>,
    /// The sealed manifest.
    pub manifest: Bytes,
    /// The metadata of the object (the upload's, with what only now is known).
    pub metadata: Metadata,
    /// Summary and precondition.
    pub commit: Commit,
}

/// A copy inside the store: same body, other metadata.
#[derive(Debug, Clone)]
pub struct CopyPlan {
    /// What to copy; refused with [`Error::Changed`] when it is no longer this body.
    pub source: (ObjectAt, Option<VersionId>, StoredTag),
    /// Where to.
    pub target: ObjectAt,
    /// The copy's metadata.
    pub metadata: Metadata,
    /// Summary and precondition.
    pub commit: Commit,
}

/// How the current version of an object grows: its body from `keep` on is replaced.
#[derive(Debug, Clone)]
pub struct Growth {
    /// The write that was looked at; refused with [`Error::Changed`] when it is no longer this one.
    pub was: StoredTag,
    /// How many bytes of its body stay, from the beginning.
    pub keep: CipherOffset,
    /// The object's metadata from now on.
    pub metadata: Metadata,
}

/// What a delete did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Deleted {
    /// The object, or the version named, is gone. A store that cannot tell says so of what was not there, too.
    Gone {
        /// What is gone was a delete marker.
        marker: bool,
    },
    /// There was none.
    Absent,
    /// A delete marker is the current version now, with this id.
    Marked(VersionId),
}

/// New metadata for a version whose body, ETag and date stay.
#[derive(Debug, Clone)]
pub struct NewMetadata {
    /// The version; the current one when not named.
    pub version: Option<VersionId>,
    /// The write that was looked at; refused with [`Error::Changed`] when it is no longer this one.
    pub was: StoredTag,
    /// The metadata.
    pub metadata: Metadata,
    /// The sealed summary.
    pub summary: Bytes,
}

/// A store of ciphertext objects. All changes are durable and atomic when a method returns `Ok`.
#[async_trait]
pub trait ObjectStore: Send + Sync + fmt::Debug {
    /// Makes a bucket.
    ///
    /// # Errors
    /// [`Error::BucketExists`].
    async fn create_bucket(&self, bucket: Bucket) -> Result<(), Error>;
    /// Removes an empty bucket.
    ///
    /// # Errors
    /// [`Error::NoSuchBucket`], [`Error::BucketNotEmpty`].
    async fn delete_bucket(&self, name: &BucketName) -> Result<(), Error>;
    /// A bucket's record. Called on every request: cheap.
    ///
    /// # Errors
    /// [`Error::NoSuchBucket`].
    async fn bucket(&self, name: &BucketName) -> Result<Bucket, Error>;
    /// All buckets, by name.
    ///
    /// # Errors
    /// I/O.
    async fn buckets(&self) -> Result<Vec<Bucket>, Error>;
    /// Sets or clears one configuration of a bucket.
    ///
    /// # Errors
    /// [`Error::NoSuchBucket`].
    async fn set_bucket_config(&self, name: &BucketName, kind: &str, value: Option<Vec<u8>>) -> Result<(), Error>;

    /// Sets what the bucket keeps of replaced objects. There is no way back to [`Versioning::Never`].
    ///
    /// # Errors
    /// [`Error::NoSuchBucket`].
    async fn set_versioning(&self, name: &BucketName, versioning: Versioning) -> Result<(), Error>;

    /// Starts a write. The metadata goes first; the body follows through the writer.
    ///
    /// # Errors
    /// [`Error::NoSuchBucket`].
    async fn put(&self, at: &ObjectAt, metadata: Metadata, ahead: Ahead) -> Result<Box<dyn ObjectWriter>, Error>;
    /// Starts to replace the end of an object's body by what the writer is given: its commit makes beginning and new end
    /// the body, in place: the version stays the one it was and no other version is kept of it; tag and date are new. What
    /// stays is not written again, and whoever has opened the object before reads on what was there. Of the [`Commit`]
    /// only the summary counts.
    ///
    /// # Errors
    /// [`Error::NoSuchBucket`]; [`Error::Changed`], here or from the commit, when the object at the key is no longer the
    /// write that was looked at; [`Error::Corrupt`] when more is to be kept than there is.
    async fn append(&self, at: &ObjectAt, growth: Growth) -> Result<Box<dyn ObjectWriter>, Error>;
    /// Looks at an object (its current version, or the one named).
    ///
    /// # Errors
    /// [`Error::NoSuchBucket`], [`Error::NoSuchObject`], [`Error::DeleteMarker`].
    async fn head(&self, at: &ObjectAt, version: Option<&VersionId>) -> Result<StoredObject, Error>;
    /// Opens an object for reading.
    ///
    /// # Errors
    /// As [`ObjectStore::head`].
    async fn open(&self, at: &ObjectAt, version: Option<&VersionId>) -> Result<Box<dyn OpenObject>, Error>;
    /// As [`ObjectStore::open`], out of the store's memory of the object, if it has one. Reading finds out whether it is
    /// still that object, and gives [`Error::Changed`] if not: so nothing may be answered before something was read.
    ///
    /// # Errors
    /// As [`ObjectStore::open`].
    async fn recall(&self, at: &ObjectAt, version: Option<&VersionId>) -> Result<Option<Box<dyn OpenObject>>, Error> {
        let _ = (at, version);
        Ok(None)
    }
    /// Whether the store's own upstream is asked this of the bucket. For the operator to say; no I/O.
    fn passes(&self, bucket: &BucketName, passage: Passage) -> Crossing {
        let _ = (bucket, passage);
        Crossing::Never
    }
    /// Has the store's upstream do it, with the document as it is.
    ///
    /// # Errors
    /// [`Error::Unsupported`] where it does not pass, or the upstream does not know it; [`Error::NoSuchBucket`];
    /// [`Error::Unavailable`].
    async fn pass(&self, bucket: &BucketName, passing: &Passing, document: Bytes) -> Result<Passed, Error> {
        let _ = (bucket, passing, document);
        Err(Error::Unsupported("this configuration of a bucket"))
    }
    /// Whether the bucket may hold objects that sealgate did not write, to be served as they are. For the operator to say,
    /// never for what is stored: a store could else pass plaintext of its own for what was encrypted.
    fn may_be_foreign(&self, bucket: &BucketName) -> bool {
        let _ = bucket;
        false
    }
    /// Whether the rows of a listing of the bucket have the metadata that objects have now. Where some of it is kept
    /// beside, a listing may have what was there at the write, and a look at the object tells.
    fn lists_metadata_of_now(&self, bucket: &Bucket) -> bool {
        let _ = bucket;
        true
    }
    /// Takes an object that came without its sealed summary, and now has it, for the next time that it is asked for:
    /// `latest`, where it came as the current version. A store may forget it.
    fn keep_summary(&self, at: &ObjectAt, object: &StoredObject, latest: bool) {
        let _ = (at, object, latest);
    }
    /// Deletes an object: the version named, for good; otherwise the object, of which a bucket with versions keeps what
    /// there was behind a delete marker. Deleting what is not there is no error. The precondition is about the version
    /// named, or the current one.
    ///
    /// # Errors
    /// [`Error::NoSuchBucket`], [`Error::PreconditionFailed`].
    async fn delete(
        &self,
        at: &ObjectAt,
        version: Option<&VersionId>,
        precondition: Precondition,
    ) -> Result<Deleted, Error>;
    /// As [`ObjectStore::delete`] of a version, past a retention period in governance mode.
    ///
    /// # Errors
    /// As there; [`Error::Held`] by what cannot be passed.
    async fn delete_past_governance(
        &self,
        at: &ObjectAt,
        version: &VersionId,
        precondition: Precondition,
    ) -> Result<Deleted, Error> {
        self.delete(at, Some(version), precondition).await
    }
    /// Whether versions of a bucket's objects can be locked in this way.
    ///
    /// # Errors
    /// [`Error::Unsupported`] where no bucket's can; [`Error::NoSuchBucket`].
    async fn can_lock(&self, bucket: &BucketName, lock: &ObjectLock) -> Result<bool, Error> {
        let _ = (bucket, lock);
        Err(Error::Unsupported("object lock"))
    }
    /// Copies without touching the body.
    ///
    /// # Errors
    /// [`Error::NoSuchBucket`], [`Error::NoSuchObject`], [`Error::Changed`], [`Error::PreconditionFailed`].
    async fn copy(&self, plan: CopyPlan) -> Result<StoredObject, Error>;
    /// Replaces the metadata of a version. It gets a new tag.
    ///
    /// # Errors
    /// As [`ObjectStore::head`]; [`Error::Changed`].
    async fn set_metadata(&self, at: &ObjectAt, new: NewMetadata) -> Result<StoredObject, Error>;
    /// A page of all versions.
    ///
    /// # Errors
    /// [`Error::NoSuchBucket`].
    async fn list_versions(&self, bucket: &BucketName, query: VersionQuery) -> Result<VersionPage, Error>;
    /// A page of the current objects.
    ///
    /// # Errors
    /// [`Error::NoSuchBucket`].
    async fn list(&self, bucket: &BucketName, query: ListQuery) -> Result<ListPage, Error>;

    /// Starts a multipart upload.
    ///
    /// # Errors
    /// [`Error::NoSuchBucket`].
    async fn create_upload(&self, at: &UploadAt, metadata: Metadata, state: Bytes) -> Result<(), Error>;
    /// An upload in progress.
    ///
    /// # Errors
    /// [`Error::NoSuchUpload`] (also when it belongs to another key).
    async fn upload(&self, at: &UploadAt) -> Result<StoredUpload, Error>;
    /// The object that a completion made of this upload, if that is known and the object is still the one there.
    ///
    /// # Errors
    /// I/O.
    async fn completed(&self, at: &UploadAt) -> Result<Option<StoredObject>, Error> {
        let _ = at;
        Ok(None)
    }
    /// Starts writing a part of `len` bytes, where that is known.
    ///
    /// # Errors
    /// [`Error::NoSuchUpload`].
    async fn put_part(
        &self,
        at: &UploadAt,
        number: PartNumber,
        len: Option<CipherOffset>,
    ) -> Result<Box<dyn PartWriter>, Error>;
    /// A page of an upload's parts with numbers above `after`.
    ///
    /// # Errors
    /// [`Error::NoSuchUpload`].
    async fn parts(&self, at: &UploadAt, after: Option<PartNumber>, limit: usize) -> Result<PartPage, Error>;
    /// A page of the uploads in progress.
    ///
    /// # Errors
    /// [`Error::NoSuchBucket`].
    async fn uploads(&self, bucket: &BucketName, query: UploadQuery) -> Result<UploadPage, Error>;
    /// Makes the object of the named parts and ends the upload; parts that are not named are discarded.
    ///
    /// # Errors
    /// [`Error::NoSuchUpload`], [`Error::NoSuchPart`], [`Error::PreconditionFailed`].
    async fn complete(&self, at: &UploadAt, completion: Completion) -> Result<StoredObject, Error>;
    /// Ends the upload and discards its parts.
    ///
    /// # Errors
    /// [`Error::NoSuchUpload`].
    async fn abort(&self, at: &UploadAt) -> Result<(), Error>;
}
