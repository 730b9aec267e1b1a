//! Objects: put, open, copy.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;

use super::bodies;
use super::committer::{Change, Committer};
use super::core::Core;
use super::database::Table;
use super::keyspace;
use super::reader::OpenBody;
use super::record::{Blob, BodyRecord, Id, ObjectRecord, Piece, fresh_id, tag_of, total_len};
use super::versions;
use super::writer::{BodyWriter, Finished};
use crate::store::{Bucket, Commit, CopyPlan, Error, Metadata, ObjectWriter, Precondition, StoredObject, StoredTag};
use crate::types::{BucketName, ObjectAt, VersionId};

/// How often an object that keeps being replaced is looked up again before a reader gives up.
const OPEN_TRIES: usize = 100;

/// Opens an object with its body pinned.
///
/// # Errors
/// As [`versions::find`]; [`Error::Corrupt`] when the record names a body that is not there.
pub(crate) fn open(core: &Core, at: &ObjectAt, version: Option<&VersionId>) -> Result<OpenBody, Error> {
    let mut last: Option<Id> = None;
    for _ in 0..OPEN_TRIES {
        let record = versions::find(core, at, version)?;
        let id = body_of(&record)?;
        if let Some(body) = bodies::open(core, id)? {
            // An append changes a body and its object together, but this was two looks. They were at one state if the
            // object is still the same write.
            if body.has_grown() && versions::find(core, at, version)?.tag != record.tag {
                continue;
            }
            return Ok(OpenBody { object: record.to_stored(), body: Arc::new(body) });
        }
        // Replaced between the two looks: look again. The same body missing twice was not replaced.
        if last.replace(id) == Some(id) {
            return Err(Error::Corrupt(format!("body {} has no record", hex::encode(id))));
        }
    }
    Err(Error::Unavailable("the object is being replaced too fast to read".to_owned()))
}

/// The body of a record that is no delete marker.
///
/// # Errors
/// [`Error::DeleteMarker`].
pub(crate) fn body_of(record: &ObjectRecord) -> Result<Id, Error> {
    record.body.ok_or_else(|| Error::DeleteMarker(record.version()))
}

/// What a write puts at a key.
#[derive(Debug)]
pub(crate) struct NewObject {
    at: ObjectAt,
    record: ObjectRecord,
    precondition: Precondition,
}

impl NewObject {
    /// A record for this moment, without a body as yet.
    ///
    /// # Errors
    /// [`Error::Unavailable`] without randomness; [`Error::NoSuchObject`] for a version id that is none.
    pub(crate) fn new(core: &Core, at: ObjectAt, metadata: Metadata, commit: Commit) -> Result<Self, Error> {
        let id = fresh_id()?;
        let named = commit.version.as_ref().map(keyspace::version_bits).transpose()?.flatten();
        let record = ObjectRecord {
            version: Some(named.unwrap_or(id)),
            tag: tag_of(&id),
            body: None,
            len: 0,
            modified: core.clock.now(),
            sequence: 0,
            metadata,
            summary: Blob(commit.summary),
        };
        Ok(Self { at, record, precondition: commit.precondition })
    }

    /// Makes it the current object with a body of its own.
    ///
    /// # Errors
    /// As [`versions::place`].
    pub(crate) fn commit(mut self, change: &mut Change<'_>, pieces: Vec<Piece>) -> Result<StoredObject, Error> {
        let (len, id) = (total_len(&pieces)?, fresh_id()?);
        self.record.len = len;
        self.record.body = Some(id);
        change.put(Table::Bodies, id.to_vec(), &BodyRecord { references: 1, len, pieces })?;
        self.place(change)
    }

    fn place(self, change: &mut Change<'_>) -> Result<StoredObject, Error> {
        Ok(versions::place(change, &self.at, self.record, &self.precondition)?.to_stored())
    }
}

/// A bucket, as of this change.
///
/// # Errors
/// [`Error::NoSuchBucket`].
pub(crate) fn need_bucket(change: &Change<'_>, name: &BucketName) -> Result<Bucket, Error> {
    change.record(Table::Buckets, name.as_str().as_bytes())?.ok_or(Error::NoSuchBucket)
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
        let object = NewObject::new(&self.core, self.at, self.metadata, commit)?;
        let done = self.body.finish(&self.core).await?;
        self.committer.change(move |change| commit_body(change, object, done)).await
    }
}

fn commit_body(change: &mut Change<'_>, object: NewObject, done: Finished) -> Result<StoredObject, Error> {
    if let Some(file) = done.file {
        change.adopt(file);
    }
    object.commit(change, vec![done.piece])
}

/// Copies an object: one more reference to the body, and a record of its own.
///
/// # Errors
/// As [`crate::store::ObjectStore::copy`].
pub(crate) async fn copy(core: &Arc<Core>, committer: &Committer, plan: CopyPlan) -> Result<StoredObject, Error> {
    core.health.may_add()?;
    core.need_bucket(&plan.target.bucket)?;
    let (source_at, version, tag) = plan.source;
    unchanged(versions::find(core, &source_at, version.as_ref())?, &tag)?;
    let mut object = NewObject::new(core, plan.target, plan.metadata, plan.commit)?;
    committer
        .change(move |change| {
            let source = match versions::find_now(change, &source_at, version.as_ref()) {
                // It was there a moment ago, so its absence is a change.
                Err(Error::NoSuchObject | Error::DeleteMarker(_)) => Err(Error::Changed),
                found => unchanged(found?.1, &tag),
            }?;
            let body = body_of(&source)?;
            // Shared before the target's old body is let go: that may be the same one.
            bodies::share(change, body)?;
            object.record.body = Some(body);
            object.record.len = source.len;
            object.place(change)
        })
        .await
}

fn unchanged(object: ObjectRecord, tag: &StoredTag) -> Result<ObjectRecord, Error> {
    if object.tag == *tag { Ok(object) } else { Err(Error::Changed) }
}
