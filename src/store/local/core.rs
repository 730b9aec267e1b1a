//! What all of the store's parts share. It owns no thread and starts nothing.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::Sender;
use std::sync::{Arc, PoisonError, RwLock};

use rocksdb::WriteBatch;

use super::cleanup::Cleanup;
use super::database::{Database, Table, status};
use super::files::Files;
use super::health::{Health, io};
use super::maintenance::Task;
use super::pins::Pins;
use super::record;
use crate::store::{Bucket, Error};
use crate::types::{BucketName, Clock};

const SEQUENCE_KEY: &[u8] = b"sequence";

/// The shared state.
#[derive(Debug)]
pub(crate) struct Core {
    pub(crate) db: Database,
    pub(crate) files: Arc<Files>,
    pub(crate) pins: Arc<Pins>,
    pub(crate) health: Health,
    pub(crate) clock: Arc<dyn Clock>,
    /// What waits to be unlinked.
    pub(crate) cleanup: Arc<Cleanup>,
    /// To the maintenance thread.
    pub(crate) sweeper: Sender<Task>,
    /// All buckets: asked on every request, changed seldom, and only after the change is durable.
    buckets: RwLock<BTreeMap<BucketName, Bucket>>,
    sequence: AtomicU64,
    /// Held, not read: the directory is ours while it is open. The last field, so that it is released last.
    _lock: File,
}

impl Core {
    /// Opens what lies in the directory, or starts it.
    ///
    /// # Errors
    /// [`Error::Unavailable`] when another process has the directory; damage; I/O.
    pub(crate) fn open(dir: &Path, clock: Arc<dyn Clock>, sweeper: Sender<Task>) -> Result<Self, Error> {
        std::fs::create_dir_all(dir).map_err(io("making the data directory"))?;
        let lock = lock(dir)?;
        let cleanup = Arc::new(Cleanup::default());
        let files = Arc::new(Files::open(&dir.join("bodies"), Arc::clone(&cleanup))?);
        let db = Database::open(&dir.join("db"))?;
        File::open(dir).and_then(|dir| dir.sync_all()).map_err(io("syncing the data directory"))?;
        let sequence = db.record::<u64>(Table::Meta, SEQUENCE_KEY)?.unwrap_or(0);
        let buckets = load_buckets(&db)?;
        let core = Self {
            db,
            files,
            pins: Arc::default(),
            health: Health::default(),
            clock,
            cleanup,
            sweeper,
            buckets: RwLock::new(buckets),
            sequence: AtomicU64::new(sequence),
            _lock: lock,
        };
        core.health.look_at_space(core.files.root());
        Ok(core)
    }

    /// The next number in the order of writes.
    pub(crate) fn next_sequence(&self) -> u64 {
        self.sequence.fetch_add(1, Ordering::Relaxed).saturating_add(1)
    }

    /// Adds the sequence number to a batch, so that no number that a durable record has is given again.
    ///
    /// # Errors
    /// When the table is missing.
    pub(crate) fn save_sequence(&self, batch: &mut WriteBatch) -> Result<(), Error> {
        let value = record::encode(&self.sequence.load(Ordering::Relaxed))?;
        batch.put_cf(self.db.table(Table::Meta)?, SEQUENCE_KEY, value);
        Ok(())
    }

    /// A bucket, from memory.
    ///
    /// # Errors
    /// [`Error::NoSuchBucket`].
    pub(crate) fn bucket(&self, name: &BucketName) -> Result<Bucket, Error> {
        self.read_buckets().get(name).cloned().ok_or(Error::NoSuchBucket)
    }

    /// Whether there is such a bucket.
    ///
    /// # Errors
    /// [`Error::NoSuchBucket`].
    pub(crate) fn need_bucket(&self, name: &BucketName) -> Result<(), Error> {
        if self.read_buckets().contains_key(name) { Ok(()) } else { Err(Error::NoSuchBucket) }
    }

    /// All buckets, by name.
    pub(crate) fn buckets(&self) -> Vec<Bucket> {
        self.read_buckets().values().cloned().collect()
    }

    /// Remembers a bucket as it is now on disk.
    pub(crate) fn remember_bucket(&self, name: BucketName, bucket: Option<Bucket>) {
        let mut buckets = self.buckets.write().unwrap_or_else(PoisonError::into_inner);
        match bucket {
            Some(bucket) => buckets.insert(name, bucket),
            None => buckets.remove(&name),
        };
    }

    fn read_buckets(&self) -> std::sync::RwLockReadGuard<'_, BTreeMap<BucketName, Bucket>> {
        self.buckets.read().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Takes the directory for this process.
fn lock(dir: &Path) -> Result<File, Error> {
    let options = File::options().create(true).truncate(false).write(true).open(dir.join("lock"));
    let file = options.map_err(io("opening the lock file"))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(std::fs::TryLockError::WouldBlock) => {
            Err(Error::Unavailable(format!("{} is in use by another sealgate", dir.display())))
        }
        Err(std::fs::TryLockError::Error(error)) => Err(io("locking the data directory")(error)),
    }
}

fn load_buckets(db: &Database) -> Result<BTreeMap<BucketName, Bucket>, Error> {
    let mut buckets = BTreeMap::new();
    let mut iter = db.iter(Table::Buckets, &[])?;
    iter.seek_to_first();
    while let Some(value) = iter.value() {
        let bucket: Bucket = record::decode(value)?;
        buckets.insert(bucket.name.clone(), bucket);
        iter.next();
    }
    status(&iter)?;
    Ok(buckets)
}
