//! The embedded store: records in RocksDB, bodies in files (small ones in RocksDB too). It knows ciphertext and names
//! only; keys, plaintext and HTTP are no concern of it.
//!
//! How a write becomes durable: the body's file is written while it streams, then synced with its directory, then the
//! committer appends the record to the journal, with a sync. A crash before that leaves an orphan file, which the next start
//! sweeps; after it, the whole object. What is overwritten becomes garbage in the same batch and is unlinked later.
//!
//! A data directory holds `lock`, `db/` (RocksDB), `journal/` and `bodies/xx/<id>`. One process at a time.
//!
//! * `committer`: the thread that makes all changes, in groups. `maintenance`: the thread that unlinks. `checkpoint`: the
//!   thread that keeps the journal short.
//! * `journal`: what the committer writes first. `rebuild`: the database made anew from it.
//! * `objects`, `append`, `versions`, `uploads`, `buckets`, `list`, `bodies`: the verbs.
//! * `writer`, `reader`, `files`, `pins`: bodies on disk.
//! * `record`, `keyspace`, `database`: bytes in RocksDB. `health`: when writing must stop.

mod append;
mod bodies;
mod buckets;
mod checkpoint;
mod cleanup;
mod committer;
mod core;
mod database;
mod files;
mod health;
mod journal;
mod keyspace;
mod list;
mod maintenance;
mod objects;
mod pins;
mod reader;
pub mod rebuild;
mod record;
#[cfg(test)]
mod tests;
mod uploads;
mod versions;
mod writer;

use std::path::Path;
use std::sync::{Arc, mpsc};

use async_trait::async_trait;
use bytes::Bytes;

use self::append::AppendWriter;
use self::checkpoint::Checkpointer;
use self::committer::{Change, Committer};
use self::core::Core;
use self::maintenance::Maintenance;
use self::objects::PutWriter;
use self::uploads::LocalPartWriter;
use self::writer::{BodyWriter, Placement, joined};
use super::{
    Ahead, Bucket, CipherOffset, Completion, CopyPlan, Deleted, Error, Growth, ListPage, ListQuery, Metadata,
    NewMetadata, ObjectStore, ObjectWriter, OpenObject, PartPage, PartWriter, Precondition, StoredObject, StoredUpload,
    UploadAt, UploadPage, UploadQuery, VersionPage, VersionQuery, Versioning,
};
use crate::types::{BucketName, Clock, ObjectAt, PartNumber, VersionId};

/// A store on local disk. The directory is free again when this and every reader and writer made of it are dropped;
/// dropping it waits for the three threads.
#[derive(Debug)]
pub struct LocalStore {
    core: Arc<Core>,
    committer: Arc<Committer>,
    maintenance: Maintenance,
    checkpointer: Checkpointer,
}

impl LocalStore {
    /// Opens the store in a directory, which is made when it is missing. Blocks; call it before serving.
    ///
    /// # Errors
    /// [`Error::Unavailable`] when another process has the directory; [`Error::Corrupt`] when what lies there cannot be
    /// read; I/O.
    pub fn open(data_dir: &Path, clock: Arc<dyn Clock>) -> Result<Self, Error> {
        let (sweeper, tasks) = mpsc::channel();
        let (core, journal) = Core::open(data_dir, clock, sweeper)?;
        let core = Arc::new(core);
        let committer = Arc::new(Committer::start(Arc::clone(&core), journal)?);
        let maintenance = Maintenance::start(Arc::clone(&core), tasks)?;
        let checkpointer = Checkpointer::start(Arc::clone(&core))?;
        Ok(Self { core, committer, maintenance, checkpointer })
    }

    /// How the store is, from memory.
    #[must_use]
    pub fn status(&self) -> Status {
        Status {
            read_only: self.core.health.read_only().map(str::to_owned),
            full: self.core.health.is_full(),
            cleaning: !self.core.cleanup.is_idle(),
        }
    }

    /// Waits until the sweep at start is over and everything that was dead or given up before this call is unlinked,
    /// save what is being read. For tests and for a quiet end; nothing depends on it.
    pub async fn collect_garbage(&self) {
        self.maintenance.collect().await;
    }

    /// Writes a new base of the journal and removes what it makes superfluous, as happens by itself when the journal has
    /// grown. For tests; nothing depends on it.
    ///
    /// # Errors
    /// [`Error::Full`] or I/O; the journal is as it was then.
    pub async fn checkpoint(&self) -> Result<(), Error> {
        self.checkpointer.now().await
    }

    /// Makes a change that adds nothing.
    async fn change<T, F>(&self, work: F) -> Result<T, Error>
    where
        T: Send + 'static,
        F: FnOnce(&mut Change<'_>) -> Result<T, Error> + Send + 'static,
    {
        self.core.health.may_change()?;
        self.committer.change(work).await
    }

    /// Reads on a blocking thread: for scans, which may touch any number of blocks.
    async fn scan<T, F>(&self, work: F) -> Result<T, Error>
    where
        T: Send + 'static,
        F: FnOnce(&Core) -> Result<T, Error> + Send + 'static,
    {
        let core = Arc::clone(&self.core);
        joined(tokio::task::spawn_blocking(move || work(&core)).await)
    }
}

/// How a store is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Status {
    /// Why it takes no more changes until it is started again, if so.
    pub read_only: Option<String>,
    /// The disk has no room for new objects.
    pub full: bool,
    /// Files wait to be unlinked: orphans at start, dead bodies, given-up writes.
    pub cleaning: bool,
}

#[async_trait]
impl ObjectStore for LocalStore {
    async fn create_bucket(&self, bucket: Bucket) -> Result<(), Error> {
        self.core.health.may_add()?;
        self.change(move |change| buckets::create(change, bucket)).await
    }

    async fn delete_bucket(&self, name: &BucketName) -> Result<(), Error> {
        let name = name.clone();
        self.change(move |change| buckets::delete(change, name)).await
    }

    async fn bucket(&self, name: &BucketName) -> Result<Bucket, Error> {
        self.core.bucket(name)
    }

    async fn buckets(&self) -> Result<Vec<Bucket>, Error> {
        Ok(self.core.buckets())
    }

    async fn set_bucket_config(&self, name: &BucketName, kind: &str, value: Option<Vec<u8>>) -> Result<(), Error> {
        if value.is_some() {
            self.core.health.may_add()?;
        }
        let (name, kind) = (name.clone(), kind.to_owned());
        self.change(move |change| buckets::configure(change, &name, kind, value)).await
    }

    async fn set_versioning(&self, name: &BucketName, versioning: Versioning) -> Result<(), Error> {
        let name = name.clone();
        self.change(move |change| buckets::set_versioning(change, &name, versioning)).await
    }

    async fn put(&self, at: &ObjectAt, metadata: Metadata, _: Ahead) -> Result<Box<dyn ObjectWriter>, Error> {
        self.core.need_bucket(&at.bucket)?;
        self.core.health.may_add()?;
        Ok(Box::new(PutWriter {
            core: Arc::clone(&self.core),
            committer: Arc::clone(&self.committer),
            at: at.clone(),
            metadata,
            body: BodyWriter::new(&self.core, Placement::ByLength),
        }))
    }

    async fn append(&self, at: &ObjectAt, growth: Growth) -> Result<Box<dyn ObjectWriter>, Error> {
        append::look(&self.core, at, &growth)?;
        self.core.health.may_add()?;
        Ok(Box::new(AppendWriter {
            core: Arc::clone(&self.core),
            committer: Arc::clone(&self.committer),
            at: at.clone(),
            growth,
            body: BodyWriter::new(&self.core, Placement::ByLength),
        }))
    }

    async fn head(&self, at: &ObjectAt, version: Option<&VersionId>) -> Result<StoredObject, Error> {
        versions::find(&self.core, at, version).map(|record| record.to_stored())
    }

    async fn open(&self, at: &ObjectAt, version: Option<&VersionId>) -> Result<Box<dyn OpenObject>, Error> {
        objects::open(&self.core, at, version).map(|open| Box::new(open) as Box<dyn OpenObject>)
    }

    async fn delete(
        &self,
        at: &ObjectAt,
        version: Option<&VersionId>,
        precondition: Precondition,
    ) -> Result<Deleted, Error> {
        self.core.need_bucket(&at.bucket)?;
        let (at, version, fresh) = (at.clone(), version.cloned(), record::fresh_id()?);
        self.change(move |change| versions::delete(change, &at, version.as_ref(), &precondition, fresh)).await
    }

    async fn copy(&self, plan: CopyPlan) -> Result<StoredObject, Error> {
        objects::copy(&self.core, &self.committer, plan).await
    }

    async fn set_metadata(&self, at: &ObjectAt, new: NewMetadata) -> Result<StoredObject, Error> {
        self.core.health.may_add()?;
        let (at, fresh) = (at.clone(), record::fresh_id()?);
        self.change(move |change| versions::set_metadata(change, &at, new, fresh)).await
    }

    async fn list_versions(&self, bucket: &BucketName, query: VersionQuery) -> Result<VersionPage, Error> {
        let bucket = bucket.clone();
        self.scan(move |core| list::versions(core, &bucket, &query)).await
    }

    async fn list(&self, bucket: &BucketName, query: ListQuery) -> Result<ListPage, Error> {
        let bucket = bucket.clone();
        self.scan(move |core| list::objects(core, &bucket, &query)).await
    }

    async fn create_upload(&self, at: &UploadAt, metadata: Metadata, state: Bytes) -> Result<(), Error> {
        self.core.health.may_add()?;
        let (at, now) = (at.clone(), self.core.clock.now());
        self.change(move |change| uploads::create(change, at, metadata, state, now)).await
    }

    async fn upload(&self, at: &UploadAt) -> Result<StoredUpload, Error> {
        uploads::find(&self.core, at).map(|upload| upload.into_stored(at.id.clone()))
    }

    async fn put_part(
        &self,
        at: &UploadAt,
        number: PartNumber,
        _: Option<CipherOffset>,
    ) -> Result<Box<dyn PartWriter>, Error> {
        uploads::find(&self.core, at)?;
        self.core.health.may_add()?;
        Ok(Box::new(LocalPartWriter {
            core: Arc::clone(&self.core),
            committer: Arc::clone(&self.committer),
            at: at.clone(),
            number,
            body: BodyWriter::new(&self.core, Placement::File),
        }))
    }

    async fn parts(&self, at: &UploadAt, after: Option<PartNumber>, limit: usize) -> Result<PartPage, Error> {
        let at = at.clone();
        self.scan(move |core| uploads::parts(core, &at, after, limit)).await
    }

    async fn uploads(&self, bucket: &BucketName, query: UploadQuery) -> Result<UploadPage, Error> {
        let bucket = bucket.clone();
        self.scan(move |core| list::uploads(core, &bucket, &query)).await
    }

    async fn complete(&self, at: &UploadAt, completion: Completion) -> Result<StoredObject, Error> {
        uploads::complete(&self.core, &self.committer, at.clone(), completion).await
    }

    async fn abort(&self, at: &UploadAt) -> Result<(), Error> {
        let at = at.clone();
        self.change(move |change| uploads::abort(change, &at)).await
    }
}
