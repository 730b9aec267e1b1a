//! The versions of a key: the current one in a row of its own, which is all that a bucket without versions has, the
//! others behind it, newest first. The commit thread makes every change here, so that "current" is never two.

use super::bodies;
use super::committer::Change;
use super::core::Core;
use super::database::Table;
use super::keyspace;
use super::objects::need_bucket;
use super::record::{Blob, Id, ObjectRecord, tag_of};
use crate::store::{Deleted, Error, Metadata, NewMetadata, Precondition, StoredObject, Versioning};
use crate::types::{ObjectAt, VersionId};

/// How often a version that keeps moving between rows is looked for.
const FIND_TRIES: usize = 100;

/// The version named, or the current one, delete markers too.
///
/// The look-up runs on the caller's thread: a record is small, and what is asked for often is in RocksDB's memory; a
/// hop to a blocking thread would cost each of these more than a rare wait for the disk costs all of them.
///
/// # Errors
/// [`Error::NoSuchBucket`], [`Error::NoSuchObject`].
fn find_any(core: &Core, at: &ObjectAt, version: Option<&VersionId>) -> Result<ObjectRecord, Error> {
    core.need_bucket(&at.bucket)?;
    let wanted = version.map(keyspace::version_bits).transpose()?;
    let mut seen: Option<ObjectRecord> = None;
    for _ in 0..FIND_TRIES {
        let current: ObjectRecord =
            core.db.record(Table::Objects, &keyspace::object(at))?.ok_or(Error::NoSuchObject)?;
        if wanted.is_none_or(|wanted| wanted == current.version) {
            return Ok(current);
        }
        let wanted = wanted.flatten();
        let sequence: Option<u64> = core.db.record(Table::Objects, &keyspace::pointer(at, wanted))?;
        if let Some(sequence) = sequence {
            let found: Option<ObjectRecord> = core.db.record(Table::Objects, &keyspace::other(at, sequence))?;
            if let Some(found) = found.filter(|found| found.version == wanted) {
                return Ok(found);
            }
        }
        // It may have become the current version between the looks; not if that has not changed since.
        if seen.as_ref().is_some_and(|seen| seen.tag == current.tag) {
            return Err(Error::NoSuchObject);
        }
        seen = Some(current);
    }
    Err(Error::Unavailable("the object's versions change too fast to read".to_owned()))
}

/// The version named, or the current one.
///
/// # Errors
/// As [`find_any`]; [`Error::DeleteMarker`].
pub(crate) fn find(core: &Core, at: &ObjectAt, version: Option<&VersionId>) -> Result<ObjectRecord, Error> {
    visible(find_any(core, at, version)?)
}

fn visible(record: ObjectRecord) -> Result<ObjectRecord, Error> {
    if record.is_marker() { Err(Error::DeleteMarker(record.version())) } else { Ok(record) }
}

/// A version as a change finds it, and its row.
fn locate(
    change: &Change<'_>,
    at: &ObjectAt,
    version: Option<Option<Id>>,
) -> Result<Option<(Vec<u8>, ObjectRecord)>, Error> {
    let row = keyspace::object(at);
    let current: Option<ObjectRecord> = change.record(Table::Objects, &row)?;
    let Some(wanted) = version else { return Ok(current.map(|record| (row, record))) };
    if let Some(record) = current.filter(|record| record.version == wanted) {
        return Ok(Some((row, record)));
    }
    let sequence: Option<u64> = change.record(Table::Objects, &keyspace::pointer(at, wanted))?;
    let Some(sequence) = sequence else { return Ok(None) };
    let row = keyspace::other(at, sequence);
    Ok(change.record(Table::Objects, &row)?.map(|record| (row, record)))
}

/// [`find`] as of a change.
///
/// # Errors
/// [`Error::NoSuchBucket`], [`Error::NoSuchObject`], [`Error::DeleteMarker`].
pub(crate) fn find_now(
    change: &Change<'_>,
    at: &ObjectAt,
    version: Option<&VersionId>,
) -> Result<(Vec<u8>, ObjectRecord), Error> {
    need_bucket(change, &at.bucket)?;
    let wanted = version.map(keyspace::version_bits).transpose()?;
    let (row, record) = locate(change, at, wanted)?.ok_or(Error::NoSuchObject)?;
    Ok((row, visible(record)?))
}

fn judge(precondition: &Precondition, found: Option<&ObjectRecord>) -> Result<(), Error> {
    let found = found.filter(|record| !record.is_marker());
    let holds = match precondition {
        Precondition::None => true,
        Precondition::Absent => found.is_none(),
        Precondition::Is(tag) => found.is_some_and(|object| object.tag == *tag),
    };
    if holds { Ok(()) } else { Err(Error::PreconditionFailed) }
}

/// Makes a record the current version of its key. What was there stays or goes as the bucket's versioning says. Gives
/// the record back as it stands: its version and its place in the order are known only now.
///
/// # Errors
/// [`Error::NoSuchBucket`], [`Error::PreconditionFailed`].
pub(crate) fn place(
    change: &mut Change<'_>,
    at: &ObjectAt,
    record: ObjectRecord,
    precondition: &Precondition,
) -> Result<ObjectRecord, Error> {
    let versioning = need_bucket(change, &at.bucket)?.versioning;
    let row = keyspace::object(at);
    let before: Option<ObjectRecord> = change.record(Table::Objects, &row)?;
    judge(precondition, before.as_ref())?;
    let version = record.version.filter(|_| versioning == Versioning::Enabled);
    let record = ObjectRecord { version, sequence: change.core().next_sequence(), ..record };
    change.put(Table::Objects, row, &record)?;
    match before {
        Some(before) if before.version.is_none() && record.version.is_none() => let_go(change, &before)?,
        Some(before) => {
            if record.version.is_none() {
                remove_other(change, at, None)?;
            }
            keep(change, at, &before)?;
        }
        None => {}
    }
    Ok(record)
}

/// Keeps what was the current version, behind the one that is now.
fn keep(change: &mut Change<'_>, at: &ObjectAt, record: &ObjectRecord) -> Result<(), Error> {
    change.put(Table::Objects, keyspace::other(at, record.sequence), record)?;
    change.put(Table::Objects, keyspace::pointer(at, record.version), &record.sequence)
}

/// Takes a version that is not the current one away.
fn remove_other(change: &mut Change<'_>, at: &ObjectAt, version: Option<Id>) -> Result<Option<ObjectRecord>, Error> {
    let pointer = keyspace::pointer(at, version);
    let Some(sequence) = change.record::<u64>(Table::Objects, &pointer)? else { return Ok(None) };
    let row = keyspace::other(at, sequence);
    let record: Option<ObjectRecord> = change.record(Table::Objects, &row)?;
    let record = record.ok_or_else(|| Error::Corrupt("a version is not where it should be".to_owned()))?;
    change.delete(Table::Objects, pointer);
    change.delete(Table::Objects, row);
    let_go(change, &record)?;
    Ok(Some(record))
}

/// Lets go of what a record that is no longer there named.
fn let_go(change: &mut Change<'_>, record: &ObjectRecord) -> Result<(), Error> {
    record.body.map_or(Ok(()), |body| bodies::release(change, body))
}

/// Deletes an object or a version.
///
/// # Errors
/// [`Error::NoSuchBucket`], [`Error::PreconditionFailed`].
pub(crate) fn delete(
    change: &mut Change<'_>,
    at: &ObjectAt,
    version: Option<&VersionId>,
    precondition: &Precondition,
    fresh: Id,
) -> Result<Deleted, Error> {
    let versioning = need_bucket(change, &at.bucket)?.versioning;
    match version.map(keyspace::version_bits) {
        Some(Ok(wanted)) => remove(change, at, Some(wanted), precondition),
        Some(Err(_)) => Ok(Deleted::Absent),
        None if versioning == Versioning::Never => remove(change, at, None, precondition),
        None => {
            let placed = place(change, at, marker(change, fresh), precondition)?;
            Ok(Deleted::Marked(placed.version()))
        }
    }
}

fn marker(change: &Change<'_>, fresh: Id) -> ObjectRecord {
    ObjectRecord {
        version: Some(fresh),
        tag: tag_of(&fresh),
        body: None,
        len: 0,
        modified: change.core().clock.now(),
        sequence: 0,
        metadata: Metadata::default(),
        summary: Blob::default(),
    }
}

/// Removes a version (the current one when none is named) for good; the newest of the others becomes the current one.
fn remove(
    change: &mut Change<'_>,
    at: &ObjectAt,
    version: Option<Option<Id>>,
    precondition: &Precondition,
) -> Result<Deleted, Error> {
    let found = locate(change, at, version)?;
    judge(precondition, found.as_ref().map(|(_, record)| record))?;
    let Some((row, record)) = found else { return Ok(Deleted::Absent) };
    let gone = Deleted::Gone { marker: record.is_marker() };
    if row != keyspace::object(at) {
        remove_other(change, at, record.version)?;
        return Ok(gone);
    }
    let_go(change, &record)?;
    match change.first::<ObjectRecord>(Table::Objects, &keyspace::others(at))? {
        None => change.delete(Table::Objects, row),
        Some((other, next)) => {
            change.delete(Table::Objects, other);
            change.delete(Table::Objects, keyspace::pointer(at, next.version));
            change.put(Table::Objects, row, &next)?;
        }
    }
    Ok(gone)
}

/// Replaces the metadata of a version.
///
/// # Errors
/// As [`crate::store::ObjectStore::set_metadata`].
pub(crate) fn set_metadata(
    change: &mut Change<'_>,
    at: &ObjectAt,
    new: NewMetadata,
    fresh: Id,
) -> Result<StoredObject, Error> {
    let (row, before) = find_now(change, at, new.version.as_ref())?;
    if before.tag != new.was {
        return Err(Error::Changed);
    }
    let record = ObjectRecord { tag: tag_of(&fresh), metadata: new.metadata, summary: Blob(new.summary), ..before };
    change.put(Table::Objects, row, &record)?;
    Ok(record.to_stored())
}
