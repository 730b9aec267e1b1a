//! A store that is not to be trusted: a local store whose answers an edit alters on their way out.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use futures::TryStreamExt as _;

use crate::store::local::LocalStore;
use crate::store::{
    Ahead, Bucket, CipherOffset, CipherStream, Commit, Completion, CopyPlan, Deleted, Error, Growth, ListEntry,
    ListPage, ListQuery, Metadata, NewMetadata, ObjectStore, ObjectWriter, OpenObject, PartPage, PartWriter,
    Precondition, StoredObject, StoredPart, StoredUpload, UploadAt, UploadPage, UploadQuery, VersionEntry, VersionPage,
    VersionQuery, Versioning,
};
use crate::types::{BucketName, ObjectAt, PartNumber, UploadId, VersionId};

/// What is stored of an object: all of it is the store's to change.
#[derive(Clone)]
pub(super) struct Kept {
    pub(super) object: StoredObject,
    pub(super) body: Vec<u8>,
}

impl Kept {
    /// Replaces the body, and the length with it: a lie that is consistent.
    pub(super) fn set_body(&mut self, body: Vec<u8>) {
        self.object.len = CipherOffset(body.len() as u64);
        self.body = body;
    }
}

type Edit<T> = Arc<dyn Fn(&ObjectAt, &mut T) + Send + Sync>;

/// What the store does to what it gives back. Nothing, unless a test says so.
#[derive(Default)]
struct Edits {
    object: Option<Edit<Kept>>,
    part: Option<Edit<StoredPart>>,
    upload: Option<Edit<StoredUpload>>,
}

/// The store. Counts the bytes that are written to it, too.
pub(super) struct Hostile {
    inner: LocalStore,
    edits: Mutex<Edits>,
    written: Arc<AtomicU64>,
    last_part: Arc<Mutex<Vec<u8>>>,
}

impl fmt::Debug for Hostile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Hostile")
    }
}

impl Hostile {
    pub(super) fn new(inner: LocalStore) -> Self {
        Self { inner, edits: Mutex::default(), written: Arc::default(), last_part: Arc::default() }
    }

    /// From now on objects come back as `edit` leaves them.
    pub(super) fn edit_objects(&self, edit: impl Fn(&ObjectAt, &mut Kept) + Send + Sync + 'static) {
        self.edits.lock().unwrap().object = Some(Arc::new(edit));
    }

    pub(super) fn edit_parts(&self, edit: impl Fn(&ObjectAt, &mut StoredPart) + Send + Sync + 'static) {
        self.edits.lock().unwrap().part = Some(Arc::new(edit));
    }

    pub(super) fn edit_uploads(&self, edit: impl Fn(&ObjectAt, &mut StoredUpload) + Send + Sync + 'static) {
        self.edits.lock().unwrap().upload = Some(Arc::new(edit));
    }

    /// From now on everything comes back as it was stored.
    pub(super) fn behave(&self) {
        *self.edits.lock().unwrap() = Edits::default();
    }

    /// Bytes of bodies and manifests written so far.
    pub(super) fn written(&self) -> u64 {
        self.written.load(Ordering::Relaxed)
    }

    /// An object as it is stored.
    pub(super) async fn kept(&self, at: &ObjectAt) -> Kept {
        self.truth(at, None).await.unwrap()
    }

    /// The sealed record of the only part of an upload.
    pub(super) async fn part_record(&self, at: &ObjectAt, id: &UploadId) -> Bytes {
        let at = UploadAt { object: at.clone(), id: id.clone() };
        self.inner.parts(&at, None, 1).await.unwrap().parts.remove(0).record
    }

    /// The bytes of the part that was written last, as they came.
    pub(super) fn last_part(&self) -> Vec<u8> {
        self.last_part.lock().unwrap().clone()
    }

    async fn truth(&self, at: &ObjectAt, version: Option<&VersionId>) -> Result<Kept, Error> {
        let open = self.inner.open(at, version).await?;
        let object = open.object().clone();
        let chunks: Vec<BytesMut> = open.read(CipherOffset(0)..object.len, 64 << 10).await?.try_collect().await?;
        Ok(Kept { object, body: chunks.concat() })
    }

    async fn told(&self, at: &ObjectAt, version: Option<&VersionId>) -> Result<Kept, Error> {
        let mut kept = self.truth(at, version).await?;
        let edit = self.edits.lock().unwrap().object.clone();
        if let Some(edit) = edit {
            edit(at, &mut kept);
        }
        Ok(kept)
    }
}

struct Opened(Kept);

#[async_trait]
impl OpenObject for Opened {
    fn object(&self) -> &StoredObject {
        &self.0.object
    }

    /// Gives what there is of the range, and ends well: a store that cuts need not say so.
    async fn read(&self, range: Range<CipherOffset>, chunk: usize) -> Result<CipherStream, Error> {
        let end = (range.end.0 as usize).min(self.0.body.len());
        let start = (range.start.0 as usize).min(end);
        let chunks: Vec<_> =
            self.0.body[start..end].chunks(chunk.max(1)).map(|bytes| Ok(BytesMut::from(bytes))).collect();
        Ok(Box::pin(futures::stream::iter(chunks)))
    }
}

struct Counted {
    written: Arc<AtomicU64>,
    inner: Box<dyn ObjectWriter>,
}

#[async_trait]
impl ObjectWriter for Counted {
    async fn write(&mut self, chunk: Bytes) -> Result<(), Error> {
        self.written.fetch_add(chunk.len() as u64, Ordering::Relaxed);
        self.inner.write(chunk).await
    }

    async fn commit(self: Box<Self>, commit: Commit) -> Result<StoredObject, Error> {
        self.inner.commit(commit).await
    }
}

struct KeptAside {
    written: Arc<AtomicU64>,
    bytes: Arc<Mutex<Vec<u8>>>,
    inner: Box<dyn PartWriter>,
}

#[async_trait]
impl PartWriter for KeptAside {
    async fn write(&mut self, chunk: Bytes) -> Result<(), Error> {
        self.written.fetch_add(chunk.len() as u64, Ordering::Relaxed);
        self.bytes.lock().unwrap().extend_from_slice(&chunk);
        self.inner.write(chunk).await
    }

    async fn commit(self: Box<Self>, record: Bytes) -> Result<StoredPart, Error> {
        self.inner.commit(record).await
    }
}

#[async_trait]
impl ObjectStore for Hostile {
    async fn create_bucket(&self, bucket: Bucket) -> Result<(), Error> {
        self.inner.create_bucket(bucket).await
    }

    async fn delete_bucket(&self, name: &BucketName) -> Result<(), Error> {
        self.inner.delete_bucket(name).await
    }

    async fn bucket(&self, name: &BucketName) -> Result<Bucket, Error> {
        self.inner.bucket(name).await
    }

    async fn buckets(&self) -> Result<Vec<Bucket>, Error> {
        self.inner.buckets().await
    }

    async fn set_bucket_config(&self, name: &BucketName, kind: &str, value: Option<Vec<u8>>) -> Result<(), Error> {
        self.inner.set_bucket_config(name, kind, value).await
    }

    async fn set_versioning(&self, name: &BucketName, versioning: Versioning) -> Result<(), Error> {
        self.inner.set_versioning(name, versioning).await
    }

    async fn set_metadata(&self, at: &ObjectAt, new: NewMetadata) -> Result<StoredObject, Error> {
        self.inner.set_metadata(at, new).await
    }

    async fn list_versions(&self, bucket: &BucketName, query: VersionQuery) -> Result<VersionPage, Error> {
        let mut page = self.inner.list_versions(bucket, query).await?;
        for entry in &mut page.entries {
            if let VersionEntry::Object { key, object, .. } = entry {
                let at = ObjectAt { bucket: bucket.clone(), key: key.clone() };
                *object = self.told(&at, Some(&object.version)).await?.object;
            }
        }
        Ok(page)
    }

    async fn put(&self, at: &ObjectAt, metadata: Metadata, ahead: Ahead) -> Result<Box<dyn ObjectWriter>, Error> {
        let inner = self.inner.put(at, metadata, ahead).await?;
        Ok(Box::new(Counted { written: Arc::clone(&self.written), inner }))
    }

    async fn append(&self, at: &ObjectAt, growth: Growth) -> Result<Box<dyn ObjectWriter>, Error> {
        let inner = self.inner.append(at, growth).await?;
        Ok(Box::new(Counted { written: Arc::clone(&self.written), inner }))
    }

    async fn head(&self, at: &ObjectAt, version: Option<&VersionId>) -> Result<StoredObject, Error> {
        Ok(self.told(at, version).await?.object)
    }

    async fn open(&self, at: &ObjectAt, version: Option<&VersionId>) -> Result<Box<dyn OpenObject>, Error> {
        Ok(Box::new(Opened(self.told(at, version).await?)))
    }

    async fn delete(
        &self,
        at: &ObjectAt,
        version: Option<&VersionId>,
        precondition: Precondition,
    ) -> Result<Deleted, Error> {
        self.inner.delete(at, version, precondition).await
    }

    async fn copy(&self, plan: CopyPlan) -> Result<StoredObject, Error> {
        self.inner.copy(plan).await
    }

    async fn list(&self, bucket: &BucketName, query: ListQuery) -> Result<ListPage, Error> {
        let mut page = self.inner.list(bucket, query).await?;
        for entry in &mut page.entries {
            if let ListEntry::Object { key, object } = entry {
                let at = ObjectAt { bucket: bucket.clone(), key: key.clone() };
                *object = self.told(&at, None).await?.object;
            }
        }
        Ok(page)
    }

    async fn create_upload(&self, at: &UploadAt, metadata: Metadata, state: Bytes) -> Result<(), Error> {
        self.inner.create_upload(at, metadata, state).await
    }

    async fn upload(&self, at: &UploadAt) -> Result<StoredUpload, Error> {
        let mut upload = self.inner.upload(at).await?;
        let edit = self.edits.lock().unwrap().upload.clone();
        if let Some(edit) = edit {
            edit(&at.object, &mut upload);
        }
        Ok(upload)
    }

    async fn put_part(
        &self,
        at: &UploadAt,
        number: PartNumber,
        len: Option<CipherOffset>,
    ) -> Result<Box<dyn PartWriter>, Error> {
        let inner = self.inner.put_part(at, number, len).await?;
        self.last_part.lock().unwrap().clear();
        let (written, bytes) = (Arc::clone(&self.written), Arc::clone(&self.last_part));
        Ok(Box::new(KeptAside { written, bytes, inner }))
    }

    async fn parts(&self, at: &UploadAt, after: Option<PartNumber>, limit: usize) -> Result<PartPage, Error> {
        let mut page = self.inner.parts(at, after, limit).await?;
        let edit = self.edits.lock().unwrap().part.clone();
        if let Some(edit) = edit {
            page.parts.iter_mut().for_each(|part| edit(&at.object, part));
        }
        Ok(page)
    }

    async fn uploads(&self, bucket: &BucketName, query: UploadQuery) -> Result<UploadPage, Error> {
        self.inner.uploads(bucket, query).await
    }

    async fn complete(&self, at: &UploadAt, completion: Completion) -> Result<StoredObject, Error> {
        self.inner.complete(at, completion).await
    }

    async fn abort(&self, at: &UploadAt) -> Result<(), Error> {
        self.inner.abort(at).await
    }
}
