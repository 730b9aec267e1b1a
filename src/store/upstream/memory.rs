//! What a gateway remembers of objects, so that a listing of known objects takes no request for each, and a GET one
//! instead of two. A memory is of one write; whoever uses it compares it with what the upstream says. It can be deleted
//! at any time, and is sealed: who steals the disk learns nothing from it.

use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rocksdb::{BlockBasedOptions, Cache, DB, LogLevel, Options, WriteOptions};
use serde::{Deserialize, Serialize};

use super::listing::Row;
use super::objects::split_tag;
use super::reserved::Seal;
use crate::store::{CipherOffset, Error, Metadata, ObjectLock, StoredObject, StoredTag};
use crate::types::{ObjectAt, Timestamp, VersionId};

/// How long what nobody asks for is kept.
const FORGET_AFTER: Duration = Duration::from_secs(30 * 24 * 60 * 60);
/// What RocksDB keeps in memory.
const BLOCKS: usize = 64 << 20;

/// What is remembered of an object.
#[derive(Serialize, Deserialize)]
struct Known {
    tag: StoredTag,
    len: u64,
    modified: Timestamp,
    metadata: Metadata,
    summary: Vec<u8>,
    /// The manifest: it takes it to read an object of several parts, and to tell checksums.
    tail: Vec<u8>,
    version: VersionId,
}

/// Remembers objects.
pub(super) struct Memory {
    db: Option<DB>,
    seal: Arc<dyn Seal>,
}

impl fmt::Debug for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Memory").field("on_disk", &self.db.is_some()).finish_non_exhaustive()
    }
}

impl Memory {
    /// Opens the memory in a directory; none at all without one. Blocking.
    ///
    /// # Errors
    /// [`Error::Unavailable`] when another process has it, or the disk fails.
    pub(super) fn open(directory: Option<&Path>, seal: Arc<dyn Seal>) -> Result<Self, Error> {
        let db = directory.map(open_db).transpose()?;
        Ok(Self { db, seal })
    }

    /// Remembers the current version of an object, which has its summary, or is none of ours and has none.
    pub(super) fn keep(&self, at: &ObjectAt, object: &StoredObject) {
        self.keep_as(&name_of(at, None), object);
        self.keep_version(at, object);
    }

    /// Remembers a version that need not be the current one. A `null` version is never more than that.
    pub(super) fn keep_version(&self, at: &ObjectAt, object: &StoredObject) {
        if let Some(own) = object.version.own().filter(|_| !object.version.is_null()) {
            self.keep_as(&name_of(at, Some(own)), object);
        }
    }

    fn keep_as(&self, name: &str, object: &StoredObject) {
        let Some(db) = self.db.as_ref().filter(|_| is_whole(object)) else { return };
        let known = Known {
            tag: object.tag.clone(),
            len: object.len.0,
            modified: object.modified,
            metadata: object.metadata.clone(),
            summary: object.summary.to_vec(),
            // Of what is none of ours the end is plaintext, and reading it must ask whether it is still that.
            tail: if object.metadata.envelope.is_empty() { Vec::new() } else { object.tail.to_vec() },
            version: object.version.clone(),
        };
        let sealed = postcard::to_allocvec(&known).ok().and_then(|plain| self.seal.seal(name, &plain).ok());
        let mut options = WriteOptions::default();
        // Losing it costs a request.
        options.disable_wal(true);
        if let Some(sealed) = sealed
            && let Err(error) = db.put_opt(name.as_bytes(), sealed, &options)
        {
            tracing::debug!(%error, "an object cannot be remembered");
        }
    }

    /// What is remembered of an object: of the version that the upstream calls so, or of what was its current one.
    pub(super) fn recall(&self, at: &ObjectAt, own: Option<&str>) -> Option<StoredObject> {
        let name = name_of(at, own);
        let sealed = self.db.as_ref()?.get_pinned(name.as_bytes()).ok()??;
        let known: Known = postcard::from_bytes(&self.seal.open(&name, &sealed)?).ok()?;
        Some(StoredObject {
            version: known.version,
            metadata: known.metadata,
            summary: known.summary.into(),
            tail: known.tail.into(),
            len: CipherOffset(known.len),
            tag: known.tag,
            modified: known.modified,
            // It can change while all that is remembered stays as it is.
            lock: ObjectLock::default(),
        })
    }

    /// What is remembered of an object, if it is the one that a listing shows.
    pub(super) fn recall_as(&self, at: &ObjectAt, own: Option<&str>, row: &Row) -> Option<StoredObject> {
        let object = self.recall(at, own)?;
        let same = split_tag(&object.tag).0 == row.etag && object.len.0 == row.size && object.modified == row.modified;
        same.then_some(object)
    }

    /// Forgets an object: what was its current version, and the version named.
    pub(super) fn forget(&self, at: &ObjectAt, version: Option<&VersionId>) {
        let Some(db) = &self.db else { return };
        let mut options = WriteOptions::default();
        options.disable_wal(true);
        let _ = db.delete_opt(name_of(at, None).as_bytes(), &options);
        if let Some(own) = version.and_then(VersionId::own) {
            let _ = db.delete_opt(name_of(at, Some(own)).as_bytes(), &options);
        }
    }
}

/// Whether what is known of an object is all that there is to know without its body.
fn is_whole(object: &StoredObject) -> bool {
    !object.summary.is_empty() || object.metadata.envelope.is_empty()
}

/// What an object is remembered under, and sealed for. A version is under the upstream's id of it.
fn name_of(at: &ObjectAt, own: Option<&str>) -> String {
    match own {
        None => format!("memory/{}/{}", at.bucket, at.key),
        Some(own) => format!("memory-of/{own}/{}/{}", at.bucket, at.key),
    }
}

fn open_db(directory: &Path) -> Result<DB, Error> {
    let mut blocks = BlockBasedOptions::default();
    blocks.set_block_cache(&Cache::new_lru_cache(BLOCKS));
    blocks.set_bloom_filter(10.0, false);
    let mut options = Options::default();
    options.create_if_missing(true);
    options.set_block_based_table_factory(&blocks);
    options.set_write_buffer_size(16 << 20);
    options.set_max_open_files(256);
    options.set_keep_log_file_num(2);
    options.set_log_level(LogLevel::Warn);
    let opened = DB::open_with_ttl(&options, directory, FORGET_AFTER);
    opened.or_else(|error| {
        if matches!(error.kind(), rocksdb::ErrorKind::IOError | rocksdb::ErrorKind::Busy) {
            return Err(Error::Unavailable(format!("{}: {error}", directory.display())));
        }
        // A damaged memory is forgotten.
        tracing::warn!(%error, "the attribute cache is damaged and begun anew");
        std::fs::remove_dir_all(directory)
            .map_err(|source| Error::Io { doing: "removing the damaged attribute cache", source })?;
        DB::open_with_ttl(&options, directory, FORGET_AFTER)
            .map_err(|error| Error::Unavailable(format!("{}: {error}", directory.display())))
    })
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::super::testing::TestSeal;
    use super::*;

    fn at(key: &str) -> ObjectAt {
        ObjectAt { bucket: "bucket".parse().unwrap(), key: key.parse().unwrap() }
    }

    fn object() -> StoredObject {
        StoredObject {
            version: VersionId::null(),
            metadata: Metadata { user: [("a".to_owned(), "canary".to_owned())].into(), ..Metadata::default() },
            summary: Bytes::from_static(b"summary"),
            tail: Bytes::new(),
            len: CipherOffset(100),
            tag: StoredTag("etag:w".to_owned()),
            modified: Timestamp(5000),
            lock: ObjectLock::default(),
        }
    }

    #[test]
    fn an_object_is_remembered_as_one_write_and_in_no_readable_form() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("cache");
        {
            let memory = Memory::open(Some(&path), Arc::new(TestSeal)).unwrap();
            memory.keep(&at("k"), &object());
            let row = |etag: &str, size, modified| Row {
                key: "k".into(),
                etag: etag.into(),
                size,
                modified: Timestamp(modified),
            };
            let known = memory.recall_as(&at("k"), None, &row("etag", 100, 5000)).unwrap();
            assert_eq!((known.metadata, known.tag), (object().metadata, object().tag));
            for other in [row("gate", 100, 5000), row("etag", 101, 5000), row("etag", 100, 6000)] {
                assert!(memory.recall_as(&at("k"), None, &other).is_none());
            }
            assert!(memory.recall(&at("l"), None).is_none());
            let envelope = [("v".to_owned(), "1".to_owned())].into();
            let metadata = Metadata { envelope, ..Metadata::default() };
            memory.keep(&at("l"), &StoredObject { summary: Bytes::new(), metadata, ..object() });
            assert!(memory.recall(&at("l"), None).is_none(), "without a summary there is nothing to remember");
            memory.db.as_ref().unwrap().flush().unwrap();
        }
        for file in std::fs::read_dir(&path).unwrap() {
            let bytes = std::fs::read(file.unwrap().path()).unwrap();
            assert!(!bytes.windows(6).any(|window| window == b"canary"));
        }
    }

    #[test]
    fn what_was_sealed_by_others_or_for_another_object_is_not_believed() {
        let dir = tempfile::tempdir().unwrap();
        let memory = Memory::open(Some(dir.path()), Arc::new(TestSeal)).unwrap();
        memory.keep(&at("k"), &object());
        let db = memory.db.as_ref().unwrap();
        let stolen = db.get(name_of(&at("k"), None)).unwrap().unwrap();
        db.put(name_of(&at("other"), None), &stolen).unwrap();
        db.put(name_of(&at("junk"), None), b"junk").unwrap();
        assert!(memory.recall(&at("other"), None).is_none() && memory.recall(&at("junk"), None).is_none());
        memory.forget(&at("k"), None);
        assert!(memory.recall(&at("k"), None).is_none());
    }
}
