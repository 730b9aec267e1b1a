//! The keystore's RocksDB: sealed records under short names. A write is on the disk when it returns. Blocking: called at
//! start, and from blocking threads.

use std::fs::{DirBuilder, File};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use rocksdb::{DB, DBRecoveryMode, ErrorKind, IteratorMode, LogLevel, Options, WriteBatch, WriteOptions};

use crate::kms::Error;

use super::names::KeyId;

/// A record's name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Name {
    Check,
    ServiceKey,
    Cmk(KeyId),
    Alias([u8; 32]),
}

impl Name {
    pub(super) fn bytes(self) -> Vec<u8> {
        match self {
            Self::Check => b"c".to_vec(),
            Self::ServiceKey => b"s".to_vec(),
            Self::Cmk(id) => [b"k".as_slice(), id.as_bytes()].concat(),
            Self::Alias(index) => [b"a".as_slice(), &index].concat(),
        }
    }

    pub(super) fn parse(bytes: &[u8]) -> Option<Self> {
        match bytes.split_first()? {
            (b'c', []) => Some(Self::Check),
            (b's', []) => Some(Self::ServiceKey),
            (b'k', id) => Some(Self::Cmk(KeyId::from_bytes(id.try_into().ok()?))),
            (b'a', index) => Some(Self::Alias(index.try_into().ok()?)),
            _ => None,
        }
    }
}

/// A record on a shelf: its name, and what it says, sealed.
pub type ShelfRecord = (Vec<u8>, Vec<u8>);

/// Where the keystore's sealed records are kept, under opaque names. Blocking.
pub trait Shelf: Send + Sync {
    /// All records, in no promised order.
    ///
    /// # Errors
    /// [`Error::Unavailable`], [`Error::Corrupt`].
    fn read_all(&self) -> Result<Vec<ShelfRecord>, Error>;
    /// Writes all of these or none; durable when it returns. `Ok(false)`: others have changed what is there since it was
    /// read, and nothing was written.
    ///
    /// # Errors
    /// [`Error::Unavailable`].
    fn write(&self, records: Vec<ShelfRecord>) -> Result<bool, Error>;
    /// Whether nothing can be written before the next start.
    fn is_read_only(&self) -> bool;
}

pub(super) struct Disk {
    db: DB,
    /// Set when a write failed: whether it is on the disk is unknown then, and what is in memory may be the older.
    failed: AtomicBool,
}

/// Where the keystore is, beside the data.
fn directory(data_dir: &Path) -> PathBuf {
    data_dir.join("keystore")
}

/// Whether a keystore was ever begun beside this data.
pub(super) fn exists(data_dir: &Path) -> bool {
    // RocksDB's own sign of a database; if it cannot be looked at, opening will say why.
    directory(data_dir).join("CURRENT").try_exists().unwrap_or(true)
}

/// Makes a new name in a directory durable.
pub(super) fn sync_parent(path: &Path) -> io::Result<()> {
    let parent = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(parent)?.sync_all()
}

impl Disk {
    /// Opens the keystore beside the data, or begins one if `create`.
    pub(super) fn open(data_dir: &Path, create: bool) -> Result<Self, Error> {
        let path = directory(data_dir);
        if create && !path.exists() {
            DirBuilder::new()
                .mode(0o700)
                .create(&path)
                .and_then(|()| sync_parent(&path))
                .map_err(|e| Error::Unavailable(format!("the keystore's directory cannot be made: {e}")))?;
        }
        let mut options = Options::default();
        options.create_if_missing(create);
        // Keep a torn last record (it was never answered for) from stopping a start, but nothing else: the default
        // would quietly drop acknowledged records behind a damaged one, and with them a key or its being disabled.
        options.set_wal_recovery_mode(DBRecoveryMode::TolerateCorruptedTailRecords);
        options.set_paranoid_checks(true);
        options.set_write_buffer_size(4 << 20);
        options.set_max_open_files(64);
        options.set_keep_log_file_num(2);
        options.set_log_level(LogLevel::Warn);
        let db = DB::open(&options, &path).map_err(|e| opening(&e))?;
        Ok(Self { db, failed: AtomicBool::new(false) })
    }
}

impl Shelf for Disk {
    fn read_all(&self) -> Result<Vec<ShelfRecord>, Error> {
        let entries = self.db.iterator(IteratorMode::Start);
        entries.map(|entry| entry.map(|(name, value)| (name.into(), value.into())).map_err(|e| opening(&e))).collect()
    }

    /// A write that fails is the last: what a failed sync left on the disk cannot be known until the next start reads it.
    fn write(&self, records: Vec<ShelfRecord>) -> Result<bool, Error> {
        if self.failed.load(Ordering::Acquire) {
            return Err(Error::Unavailable("the keystore is read-only since a write failed; restart".to_owned()));
        }
        let mut batch = WriteBatch::default();
        for (name, value) in records {
            batch.put(name, value);
        }
        let mut options = WriteOptions::default();
        options.set_sync(true);
        let written = self.db.write_opt(batch, &options).map_err(|e| {
            self.failed.store(true, Ordering::Release);
            tracing::error!(error = %e, "the keystore cannot be written and is read-only from now on");
            Error::Unavailable("the keystore cannot be written".to_owned())
        });
        written.map(|()| true)
    }

    fn is_read_only(&self) -> bool {
        self.failed.load(Ordering::Acquire)
    }
}

fn opening(error: &rocksdb::Error) -> Error {
    match error.kind() {
        ErrorKind::IOError | ErrorKind::Busy | ErrorKind::TryAgain | ErrorKind::TimedOut => {
            Error::Unavailable(format!("the keystore cannot be read, or another process has it: {error}"))
        }
        _ => Error::Corrupt(error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_are_there_after_reopening_and_a_second_opener_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let name = Name::Cmk(KeyId::from_bytes([7; 16]));
        let disk = Disk::open(dir.path(), true).unwrap();
        let records = vec![(name.bytes(), b"sealed".to_vec()), (Name::Check.bytes(), b"check".to_vec())];
        assert!(disk.write(records.clone()).unwrap());
        assert!(matches!(Disk::open(dir.path(), false), Err(Error::Unavailable(_))));
        drop(disk);
        let disk = Disk::open(dir.path(), false).unwrap();
        let mut there = disk.read_all().unwrap();
        there.sort();
        let mut expected = records;
        expected.sort();
        assert_eq!(there, expected);
    }

    #[test]
    fn opening_without_create_begins_nothing() {
        let dir = tempfile::tempdir().unwrap();
        assert!(!exists(dir.path()));
        assert!(Disk::open(dir.path(), false).is_err());
        assert!(!exists(dir.path()));
    }

    #[test]
    fn record_names_read_back_and_strangers_are_refused() {
        for name in [Name::Check, Name::ServiceKey, Name::Cmk(KeyId::from_bytes([1; 16])), Name::Alias([2; 32])] {
            assert_eq!(Name::parse(&name.bytes()), Some(name));
        }
        for stranger in [b"".as_slice(), b"x", b"cc", b"k123", b"a1234567890123456"] {
            assert_eq!(Name::parse(stranger), None);
        }
    }
}
