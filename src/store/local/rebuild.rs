//! The database made anew from the journal, for when it is lost: every bucket, object, version, upload and part as it
//! was acknowledged, and nothing that was deleted. Also how the body files are found to be all there.

use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use super::bodies;
use super::core::{DATABASE, JOURNAL, lock};
use super::database::{Database, Table, status};
use super::files::Files;
use super::health::io;
use super::journal::Directory;
use super::keyspace;
use super::record::{self, BodyRecord, ObjectRecord};
use crate::store::Error;

/// The database while it is made; it gets its name only when it is whole.
const UNFINISHED: &str = "db.rebuilding";

/// What a rebuild brought back.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Rebuilt {
    /// Buckets.
    pub buckets: u64,
    /// Objects, each version counted, delete markers not.
    pub objects: u64,
    /// Uploads in progress.
    pub uploads: u64,
    /// `bucket/key` of objects whose body files are not all there, or shorter than they should be.
    pub damaged: Vec<String>,
}

/// Rebuilds the database of a data directory whose `db/` is gone. Blocks.
///
/// # Errors
/// [`Error::Unavailable`] when a process has the directory, when `db/` is there, or when there is no journal;
/// [`Error::Corrupt`] when the journal is damaged; I/O. The directory is as it was then.
pub fn rebuild(data_dir: &Path) -> Result<Rebuilt, Error> {
    let _lock = lock(data_dir)?;
    let target = data_dir.join(DATABASE);
    if target.exists() {
        return Err(Error::Unavailable(format!("{} is there: move it away first", target.display())));
    }
    let journal = data_dir.join(JOURNAL);
    if !journal.is_dir() {
        return Err(Error::Unavailable(format!("there is no journal in {}", data_dir.display())));
    }
    let journal = Directory::read(&journal)?;
    if journal.is_empty() {
        return Err(Error::Unavailable("the journal is empty".to_owned()));
    }
    let unfinished = data_dir.join(UNFINISHED);
    if unfinished.exists() {
        std::fs::remove_dir_all(&unfinished).map_err(io("removing an unfinished rebuild"))?;
    }
    let db = Database::open(&unfinished)?;
    let mut apply = |number: u64, rows: &[u8]| db.apply(number, rows);
    let base = journal.load_base(&mut apply)?;
    journal.apply_after(base, &mut apply)?;
    db.flush()?;
    let rebuilt = look(&db, data_dir)?;
    drop(db);
    std::fs::rename(&unfinished, &target).map_err(io("naming the database"))?;
    File::open(data_dir).and_then(|dir| dir.sync_all()).map_err(io("syncing the data directory"))?;
    Ok(rebuilt)
}

/// Counts what is there and looks for the body files.
fn look(db: &Database, data_dir: &Path) -> Result<Rebuilt, Error> {
    let files = Files::open(&data_dir.join("bodies"), Arc::default())?;
    let mut found =
        Rebuilt { buckets: count(db, Table::Buckets)?, uploads: count(db, Table::Uploads)?, ..Rebuilt::default() };
    let mut iter = db.iter(Table::Objects, &[])?;
    iter.seek_to_first();
    while let Some((key, value)) = iter.item() {
        if keyspace::is_version(key) {
            let object: ObjectRecord = record::decode(value)?;
            if let Some(id) = object.body {
                found.objects += 1;
                let body: Option<BodyRecord> = db.record(Table::Bodies, &id)?;
                if !body.is_some_and(|body| bodies::is_whole(&files, &body)) {
                    found.damaged.push(keyspace::readable(key));
                }
            }
        }
        iter.next();
    }
    status(&iter).map(|()| found)
}

fn count(db: &Database, table: Table) -> Result<u64, Error> {
    let mut iter = db.iter(table, &[])?;
    iter.seek_to_first();
    let mut count = 0;
    while iter.valid() {
        count += 1;
        iter.next();
    }
    status(&iter).map(|()| count)
}
