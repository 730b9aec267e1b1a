//! Objects: put, look, open, delete, copy.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;

use super::block::Block;
use super::bodies;
use super::committer::{Change, Committer};
use super::core::Core;
use super::database::Table;
use super::keyspace;
use super::reader::OpenBody;
use super::record::{Blob, BodyRecord, Id, ObjectRecord, Piece, fresh_id, tag_of, total_len};
use super::writer::{BodyWriter, Finished, Placement};
use crate::store::{Commit, CopyPlan, Deleted, Error, Metadata, ObjectWriter, Precondition, StoredObject, StoredTag};
use crate::types::{BucketName, ObjectAt, VersionId};

/// How often an object that keeps being replaced is looked up again before a reader gives up.
const OPEN_TRIES: usize = 100;

/// The current object.
///
/// The look-up runs on the caller's thread: a record is small, and what is asked for often is in RocksDB's memory; a
/// hop to a blocking thread would cost each of these more than a rare wait for the disk costs all of them.
///
/// # Errors
/// [`Error::NoSuchBucket`], [`Error::NoSuchObject`].
pub(crate) fn find(core: &Core, at: &ObjectAt, version: Option<&VersionId>) -> Result<ObjectRecord, Error> {
    core.need_bucket(&at.bucket)?;
    if version.is_some_and(|version| !version.is_null()) {
        return Err(Error::NoSuchObject);
    }
    core.db.record(Table::Objects, &keyspace::object(at))?.ok_or(Error::NoSuchObject)
}

/// Opens the current object with its body pinned.
///
/// # Errors
/// As [`find`]; [`Error::Corrupt`] when the record names a body that is not there.
pub(crate) fn open(core: &Core, at: &ObjectAt, version: Option<&VersionId>) -> Result<OpenBody, Error> {
    let mut last: Option<Id> = None;
    for _ in 0..OPEN_TRIES {
        let record = find(core, at, version)?;
        if let Some(body) = bodies::open(core, record.body)? {
            return Ok(OpenBody { object: record.to_stored(), body: Arc::new(body) });
        }
        // Replaced between the two looks: look again. The same body missing twice was not replaced.
        if last.replace(record.body) == Some(record.body) {
            return Err(Error::Corrupt(format!("body {} has no record", hex::encode(record.body))));
        }
    }
    Err(Error::Unavailable("the object is being replaced too fast to read".to_owned()))
}

/// What a write puts at a key.
#[derive(Debug)]
pub(crate) struct NewObject {
    pub(crate) at: ObjectAt,
    pub(crate) record: ObjectRecord,
    pub(crate) precondition: Precondition,
}

impl NewObject {
    /// A record for this moment and place in the order of writes. `len` is still 0.
    pub(crate) fn new(core: &Core, at: ObjectAt, tag: Id, metadata: Metadata, commit: Commit) -> Self {
        let record = ObjectRecord {
            tag: tag_of(&tag),
            body: tag,
            len: 0,
            modified: core.clock.now(),
            sequence: core.next_sequence(),
            metadata,
            summary: Blob(commit.summary),
            side: None,
        };
        Self { at, record, precondition: commit.precondition }
    }

    /// The block that a body file carries for this object.
    pub(crate) fn block(&self, pieces: Vec<(Id, u64)>) -> Block {
        Block {
            bucket: self.at.bucket.clone(),
            key: self.at.key.clone(),
            version: VersionId::null(),
            tag: self.record.tag.clone(),
            sequence: self.record.sequence,
            modified: self.record.modified,
            metadata: self.record.metadata.clone(),
            summary: self.record.summary.0.to_vec(),
            pieces,
        }
    }

    /// Makes it the current object with a body of its own.
    ///
    /// # Errors
    /// As [`NewObject::replace`].
    pub(crate) fn commit(mut self, change: &mut Change<'_>, pieces: Vec<Piece>) -> Result<StoredObject, Error> {
        let len = total_len(&pieces)?;
        self.record.len = len;
        let body = BodyRecord { references: 1, len, pieces };
        change.put(Table::Bodies, self.record.body.to_vec(), &body)?;
        self.replace(change)
    }

    /// Makes it the current object; its body is counted already.
    ///
    /// # Errors
    /// [`Error::NoSuchBucket`], [`Error::PreconditionFailed`].
    fn replace(self, change: &mut Change<'_>) -> Result<StoredObject, Error> {
        need_bucket(change, &self.at.bucket)?;
        let key = keyspace::object(&self.at);
        let before: Option<ObjectRecord> = change.record(Table::Objects, &key)?;
        judge(&self.precondition, before.as_ref())?;
        change.put(Table::Objects, key, &self.record)?;
        if let Some(before) = before {
            drop_object(change, &before)?;
        }
        Ok(self.record.to_stored())
    }
}

/// Whether a bucket is there, as of this change.
///
/// # Errors
/// [`Error::NoSuchBucket`].
pub(crate) fn need_bucket(change: &Change<'_>, name: &BucketName) -> Result<(), Error> {
    let bucket: Option<crate::store::Bucket> = change.record(Table::Buckets, name.as_str().as_bytes())?;
    bucket.map(|_| ()).ok_or(Error::NoSuchBucket)
}

fn judge(precondition: &Precondition, current: Option<&ObjectRecord>) -> Result<(), Error> {
    let holds = match precondition {
        Precondition::None => true,
        Precondition::Absent => current.is_none(),
        Precondition::Is(tag) => current.is_some_and(|object| object.tag == *tag),
    };
    if holds { Ok(()) } else { Err(Error::PreconditionFailed) }
}

/// Lets go of what a record that is no longer there named.
fn drop_object(change: &mut Change<'_>, object: &ObjectRecord) -> Result<(), Error> {
    bodies::release(change, object.body)?;
    // A side file is never read through, so nobody pins it.
    bodies::discard(change, object.side.unwrap_or_default(), object.side.into_iter().collect())
}

/// A put in progress.
#[derive(Debug)]
pub(crate) struct PutWriter {
    pub(crate) core: Arc<Core>,
    pub(crate) committer: Arc<Committer>,
    pub(crate) at: ObjectAt,
    pub(crate) metadata: Metadata,
    pub(crate) body: BodyWriter,
}

#[async_trait]
impl ObjectWriter for PutWriter {
    async fn write(&mut self, chunk: Bytes) -> Result<(), Error> {
        self.body.write(chunk).await
    }

    async fn commit(self: Box<Self>, commit: Commit) -> Result<StoredObject, Error> {
        self.core.health.may_add()?;
        let object = NewObject::new(&self.core, self.at, fresh_id()?, self.metadata, commit);
        let (block, len) = (object.block(Vec::new()), self.body.len());
        let done = self.body.finish(&self.core, move |_| block.seal(len)).await?;
        self.committer.change(move |change| commit_body(change, object, done)).await
    }
}

fn commit_body(change: &mut Change<'_>, object: NewObject, done: Finished) -> Result<StoredObject, Error> {
    if let Some(file) = done.file {
        change.adopt(file);
    }
    object.commit(change, vec![done.piece])
}

/// Deletes the current object.
///
/// # Errors
/// [`Error::NoSuchBucket`], [`Error::PreconditionFailed`].
pub(crate) fn delete(change: &mut Change<'_>, at: &ObjectAt, precondition: &Precondition) -> Result<Deleted, Error> {
    need_bucket(change, &at.bucket)?;
    let key = keyspace::object(at);
    let before: Option<ObjectRecord> = change.record(Table::Objects, &key)?;
    judge(precondition, before.as_ref())?;
    let Some(before) = before else { return Ok(Deleted::Absent) };
    change.delete(Table::Objects, key);
    drop_object(change, &before)?;
    Ok(Deleted::Gone)
}

/// Copies an object: one more reference to the body, a record of its own, and for a body in files a file with the
/// copy's block.
///
/// # Errors
/// As [`crate::store::ObjectStore::copy`].
pub(crate) async fn copy(core: &Arc<Core>, committer: &Committer, plan: CopyPlan) -> Result<StoredObject, Error> {
    core.health.may_add()?;
    core.need_bucket(&plan.target.bucket)?;
    let (source_at, version, tag) = plan.source;
    let source = unchanged(find(core, &source_at, version.as_ref())?, &tag)?;
    let body = bodies::open(core, source.body)?.ok_or(Error::Changed)?;
    let mut object = NewObject::new(core, plan.target, fresh_id()?, plan.metadata, plan.commit);
    object.record.body = source.body;
    object.record.len = source.len;
    let files = body.pieces.iter().filter_map(|piece| piece.file().map(|id| (id, piece.len()))).collect();
    let side = if body.pieces.iter().any(|piece| piece.file().is_some()) {
        let block = object.block(files);
        let writer = BodyWriter::new(core, Placement::File);
        writer.finish(core, move |_| block.seal(0)).await?.file
    } else {
        None
    };
    committer
        .change(move |change| {
            need_bucket(change, &source_at.bucket)?;
            let now: Option<ObjectRecord> = change.record(Table::Objects, &keyspace::object(&source_at))?;
            // It was there a moment ago, so its absence is a change.
            unchanged(now.ok_or(Error::Changed)?, &tag)?;
            // Shared before the target's old body is let go: that may be the same one.
            bodies::share(change, object.record.body)?;
            object.record.side = side.as_ref().map(super::files::NewFile::id);
            if let Some(file) = side {
                change.adopt(file);
            }
            object.replace(change)
        })
        .await
}

fn unchanged(object: ObjectRecord, tag: &StoredTag) -> Result<ObjectRecord, Error> {
    if object.tag == *tag { Ok(object) } else { Err(Error::Changed) }
}
