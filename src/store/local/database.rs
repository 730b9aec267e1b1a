//! RocksDB as this store uses it: the tables, their options, and what its errors mean.

use std::path::Path;

use rocksdb::{
    BlockBasedOptions, Cache, ColumnFamily, ColumnFamilyDescriptor, DB, DBCompressionType, DBRawIterator, ErrorKind,
    FlushOptions, Options, ReadOptions, WriteBatch, WriteOptions,
};

use super::journal::{self, Row};
use super::record::{self, Record};
use crate::store::Error;

/// The layout of the tables; another number on disk is refused.
const LAYOUT: u64 = 2;
const LAYOUT_KEY: &[u8] = b"layout";
/// The number of the last group of the journal that the tables have.
const APPLIED_KEY: &[u8] = b"applied";

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

    /// Its number in the journal. Never given to another table.
    pub(crate) fn code(self) -> u8 {
        match self {
            Self::Bodies => 1,
            Self::Buckets => 2,
            Self::Files => 3,
            Self::Garbage => 4,
            Self::Meta => 5,
            Self::Objects => 6,
            Self::Parts => 7,
            Self::UploadOrder => 8,
            Self::Uploads => 9,
        }
    }

    /// The table that has a number in the journal.
    pub(crate) fn from_code(code: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|table| table.code() == code)
    }

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

/// The database. Its own log is off: what the committer writes is in the journal first, and what the sweeper writes may
/// be lost and is then done again.
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
                this.write(batch)?;
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

    /// Writes a batch atomically, to memory first: a crash loses it unless the journal has it.
    ///
    /// # Errors
    /// [`Error::Full`] or I/O.
    pub(crate) fn write(&self, batch: WriteBatch) -> Result<(), Error> {
        let mut options = WriteOptions::default();
        options.disable_wal(true);
        self.db.write_opt(batch, &options).map_err(failed)
    }

    /// Writes a group of the journal, with its number.
    ///
    /// # Errors
    /// As [`Database::write`]; [`Error::Corrupt`] for what is no group.
    pub(crate) fn apply(&self, number: u64, payload: &[u8]) -> Result<(), Error> {
        let mut batch = WriteBatch::default();
        journal::rows(payload, |row| {
            let table = self.table(row.table)?;
            match row.value {
                Some(value) => batch.put_cf(table, row.key, value),
                None => batch.delete_cf(table, row.key),
            }
            Ok(())
        })?;
        batch.put_cf(self.table(Table::Meta)?, APPLIED_KEY, record::encode(&number)?);
        self.write(batch)
    }

    /// The number of the last group that the tables have; 0 before the first.
    ///
    /// # Errors
    /// I/O or damage.
    pub(crate) fn applied(&self) -> Result<u64, Error> {
        Ok(self.record(Table::Meta, APPLIED_KEY)?.unwrap_or(0))
    }

    /// Writes all tables' memory to disk, as of one moment.
    ///
    /// # Errors
    /// [`Error::Full`] or I/O.
    pub(crate) fn flush(&self) -> Result<(), Error> {
        let tables = Table::ALL.iter().map(|&table| self.table(table)).collect::<Result<Vec<_>, _>>()?;
        self.db.flush_cfs_opt(&tables, &FlushOptions::default()).map_err(failed)
    }

    /// Visits every row of one moment; `begin` hears first which group was the last then.
    ///
    /// # Errors
    /// What the visitors answer; I/O or damage.
    pub(crate) fn dump<V>(
        &self,
        begin: impl FnOnce(u64) -> Result<V, Error>,
        mut visit: impl FnMut(&mut V, Row<'_>) -> Result<(), Error>,
    ) -> Result<V, Error> {
        let snapshot = self.db.snapshot();
        let applied = snapshot.get_cf(self.table(Table::Meta)?, APPLIED_KEY).map_err(failed)?;
        let mut state = begin(applied.map(|bytes| record::decode(&bytes)).transpose()?.unwrap_or(0))?;
        for table in Table::ALL {
            let mut options = ReadOptions::default();
            options.fill_cache(false);
            let mut iter = snapshot.raw_iterator_cf_opt(self.table(table)?, options);
            iter.seek_to_first();
            while let Some((key, value)) = iter.item() {
                visit(&mut state, Row { table, key, value: Some(value) })?;
                iter.next();
            }
            iter.status().map_err(failed)?;
        }
        Ok(state)
    }
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
    // Without this, one table could be on disk further than the number that says how far all are.
    options.set_atomic_flush(true);
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
    fn every_table_has_a_number_of_its_own_in_the_journal() {
        for table in Table::ALL {
            assert_eq!(Table::from_code(table.code()), Some(table));
        }
        assert_eq!(Table::from_code(0), None);
    }

    #[test]
    fn an_unknown_layout_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let db = Database::open(dir.path()).unwrap();
        let mut batch = WriteBatch::default();
        batch.put_cf(db.table(Table::Meta).unwrap(), LAYOUT_KEY, record::encode(&9_u64).unwrap());
        db.write(batch).unwrap();
        db.flush().unwrap();
        drop(db);
        assert!(matches!(Database::open(dir.path()), Err(Error::Corrupt(_))));
    }
}
