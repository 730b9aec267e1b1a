//! RocksDB as this store uses it: the tables, their options, and what its errors mean.

use std::path::Path;

use rocksdb::{
    BlockBasedOptions, Cache, ColumnFamily, ColumnFamilyDescriptor, DB, DBCompressionType, DBRawIterator,
    DBRecoveryMode, ErrorKind, Options, ReadOptions, WriteBatch, WriteOptions,
};

use super::record::{self, Record};
use crate::store::Error;

/// The layout of the tables; another number on disk is refused.
const LAYOUT: u64 = 1;
const LAYOUT_KEY: &[u8] = b"layout";

/// The tables (RocksDB's column families).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Table {
    /// Body id → body.
    Bodies,
    /// Bucket name → bucket.
    Buckets,
    /// File id → nothing: the files that a record (or garbage) names. What is not here is an orphan.
    Files,
    /// Sequence number → files to unlink.
    Garbage,
    /// Facts about the store itself.
    Meta,
    /// Bucket, object key, version → object.
    Objects,
    /// Upload id, part number → part.
    Parts,
    /// Bucket, object key, initiation, upload id → nothing: the order of uploads.
    UploadOrder,
    /// Upload id → upload.
    Uploads,
}

impl Table {
    /// All of them; a table's place here is its number.
    pub(crate) const ALL: [Self; 9] = [
        Self::Bodies,
        Self::Buckets,
        Self::Files,
        Self::Garbage,
        Self::Meta,
        Self::Objects,
        Self::Parts,
        Self::UploadOrder,
        Self::Uploads,
    ];

    fn name(self) -> &'static str {
        match self {
            Self::Bodies => "bodies",
            Self::Buckets => "buckets",
            Self::Files => "files",
            Self::Garbage => "garbage",
            // The default column family exists in every RocksDB.
            Self::Meta => "default",
            Self::Objects => "objects",
            Self::Parts => "parts",
            Self::UploadOrder => "upload_order",
            Self::Uploads => "uploads",
        }
    }
}

/// The database. Writes from outside the committer are for the garbage tables only.
pub(crate) struct Database {
    db: DB,
}

impl std::fmt::Debug for Database {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Database").finish_non_exhaustive()
    }
}

impl Database {
    /// Opens the database, making it if the directory has none.
    ///
    /// # Errors
    /// [`Error::Unavailable`] when another process has it, [`Error::Corrupt`] when it cannot be read.
    pub(crate) fn open(path: &Path) -> Result<Self, Error> {
        let cache = Cache::new_lru_cache(96 << 20);
        let tables = Table::ALL.map(|table| ColumnFamilyDescriptor::new(table.name(), table_options(table, &cache)));
        let db = DB::open_cf_descriptors(&database_options(), path, tables).map_err(failed)?;
        let this = Self { db };
        match this.record::<u64>(Table::Meta, LAYOUT_KEY)? {
            Some(LAYOUT) => {}
            Some(other) => return Err(Error::Corrupt(format!("the database has layout {other}, not {LAYOUT}"))),
            None => {
                let mut batch = WriteBatch::default();
                batch.put_cf(this.table(Table::Meta)?, LAYOUT_KEY, record::encode(&LAYOUT)?);
                this.write(batch, Sync::Durable)?;
            }
        }
        Ok(this)
    }

    /// A table's handle, for batches.
    ///
    /// # Errors
    /// [`Error::Corrupt`] when the table is missing, which [`Database::open`] rules out.
    pub(crate) fn table(&self, table: Table) -> Result<&ColumnFamily, Error> {
        self.db.cf_handle(table.name()).ok_or_else(|| Error::Corrupt(format!("no table {}", table.name())))
    }

    /// A value's bytes.
    ///
    /// # Errors
    /// I/O or damage.
    pub(crate) fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, Error> {
        self.db.get_cf(self.table(table)?, key).map_err(failed)
    }

    /// A record, decoded where it lies in the block cache.
    ///
    /// # Errors
    /// I/O or damage.
    pub(crate) fn record<T: Record>(&self, table: Table, key: &[u8]) -> Result<Option<T>, Error> {
        let value = self.db.get_pinned_cf(self.table(table)?, key).map_err(failed)?;
        value.map(|bytes| record::decode(&bytes)).transpose()
    }

    /// An iterator over keys that begin with `within`, at most to the end of that range. It sees one moment.
    ///
    /// # Errors
    /// As [`Database::table`]; the iterator has its own [`status`].
    pub(crate) fn iter(&self, table: Table, within: &[u8]) -> Result<DBRawIterator<'_>, Error> {
        let mut options = ReadOptions::default();
        if let Some(end) = successor(within) {
            options.set_iterate_upper_bound(end);
        }
        Ok(self.db.raw_iterator_cf_opt(self.table(table)?, options))
    }

    /// Writes a batch atomically.
    ///
    /// # Errors
    /// [`Error::Full`] or I/O. Whether the batch survives a crash is then unknown.
    pub(crate) fn write(&self, batch: WriteBatch, sync: Sync) -> Result<(), Error> {
        let mut options = WriteOptions::default();
        options.set_sync(sync == Sync::Durable);
        self.db.write_opt(batch, &options).map_err(failed)
    }
}

/// Whether a write waits for the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sync {
    /// It does: acknowledged means durable.
    Durable,
    /// It may be lost in a crash and is then done again.
    Lazy,
}

/// Whether an iterator stopped for its end or for an error.
///
/// # Errors
/// The iterator's.
pub(crate) fn status(iter: &DBRawIterator<'_>) -> Result<(), Error> {
    iter.status().map_err(failed)
}

/// The first key after all that begin with `prefix`; `None` when there is none.
fn successor(prefix: &[u8]) -> Option<Vec<u8>> {
    let keep = prefix.iter().rposition(|&byte| byte != 0xFF)?;
    let mut end = prefix[..=keep].to_vec();
    *end.last_mut()? += 1;
    Some(end)
}

fn database_options() -> Options {
    let mut options = Options::default();
    options.create_if_missing(true);
    options.create_missing_column_families(true);
    // A torn tail is what a power cut leaves; damage before the tail would silently lose acknowledged writes in the
    // default mode, and refuses to open in this one.
    options.set_wal_recovery_mode(DBRecoveryMode::TolerateCorruptedTailRecords);
    options.set_max_total_wal_size(256 << 20);
    options.set_db_write_buffer_size(192 << 20);
    options.set_max_background_jobs(2);
    options.set_max_open_files(512);
    options.set_bytes_per_sync(1 << 20);
    options.set_keep_log_file_num(4);
    options.set_max_log_file_size(8 << 20);
    options
}

fn table_options(table: Table, cache: &Cache) -> Options {
    let mut blocks = BlockBasedOptions::default();
    blocks.set_block_cache(cache);
    // Ten bits a key let a look-up of what is not there (every PUT of a new key) skip the disk.
    blocks.set_bloom_filter(10.0, false);
    blocks.set_cache_index_and_filter_blocks(true);
    blocks.set_pin_l0_filter_and_index_blocks_in_cache(true);
    let mut options = Options::default();
    options.set_block_based_table_factory(&blocks);
    options.set_write_buffer_size(32 << 20);
    // Ciphertext does not compress.
    options.set_compression_type(if table == Table::Bodies { DBCompressionType::None } else { DBCompressionType::Lz4 });
    options
}

/// What a RocksDB error means to a caller.
fn failed(error: rocksdb::Error) -> Error {
    let text = error.to_string();
    match error.kind() {
        // The C API gives only text; this is strerror(ENOSPC) and strerror(EDQUOT), and RocksDB's own sub-code.
        _ if ["No space left", "Disk quota exceeded", "NoSpace"].iter().any(|sign| text.contains(sign)) => Error::Full,
        ErrorKind::Corruption | ErrorKind::InvalidArgument => Error::Corrupt(text),
        ErrorKind::IOError if text.contains("lock") => Error::Unavailable(text),
        ErrorKind::Busy | ErrorKind::TimedOut | ErrorKind::TryAgain => Error::Unavailable(text),
        _ => Error::Io { doing: "using the database", source: std::io::Error::other(error) },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_successor_ends_a_prefixs_range() {
        assert_eq!(successor(b"a\0"), Some(b"a\x01".to_vec()));
        assert_eq!(successor(b"a\xff"), Some(b"b".to_vec()));
        assert_eq!(successor(b"\xff"), None);
        assert_eq!(successor(b""), None);
    }

    #[test]
    fn an_unknown_layout_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let db = Database::open(dir.path()).unwrap();
        let mut batch = WriteBatch::default();
        batch.put_cf(db.table(Table::Meta).unwrap(), LAYOUT_KEY, record::encode(&9_u64).unwrap());
        db.write(batch, Sync::Durable).unwrap();
        drop(db);
        assert!(matches!(Database::open(dir.path()), Err(Error::Corrupt(_))));
    }
}
