//! Multipart uploads. Parts are files from the start; completing names them, with the manifest's file as the last, as
//! the pieces of a body: no byte is copied.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;

use super::bodies;
use super::committer::{Change, Committer};
use super::core::Core;
use super::database::{Table, status};
use super::keyspace;
use super::objects::{NewObject, need_bucket};
use super::record::{self, Blob, Id, PartRecord, Piece, UploadRecord, tag_of};
use super::writer::{BodyWriter, Finished, Placement};
use crate::store::{Completion, Error, Metadata, PartPage, PartWriter, StoredObject, StoredPart, StoredTag, UploadAt};
use crate::types::{PartNumber, Timestamp};

/// The upload, if it is in progress and for this object.
fn belongs(upload: Option<UploadRecord>, at: &UploadAt) -> Result<UploadRecord, Error> {
    upload.filter(|upload| upload.bucket == at.object.bucket && upload.key == at.object.key).ok_or(Error::NoSuchUpload)
}

/// An upload in progress.
///
/// # Errors
/// [`Error::NoSuchUpload`].
pub(crate) fn find(core: &Core, at: &UploadAt) -> Result<UploadRecord, Error> {
    belongs(core.db.record(Table::Uploads, &keyspace::upload_bits(&at.id)?)?, at)
}

/// The same, as of a change.
fn find_now(change: &Change<'_>, at: &UploadAt) -> Result<(Id, UploadRecord), Error> {
    let bits = keyspace::upload_bits(&at.id)?;
    Ok((bits, belongs(change.record(Table::Uploads, &bits)?, at)?))
}

/// Starts an upload.
///
/// # Errors
/// [`Error::NoSuchBucket`]; [`Error::Changed`] when the id is in use, which random ids are not.
pub(crate) fn create(
    change: &mut Change<'_>,
    at: UploadAt,
    metadata: Metadata,
    state: Bytes,
    initiated: Timestamp,
) -> Result<(), Error> {
    need_bucket(change, &at.object.bucket)?;
    let bits = keyspace::upload_bits(&at.id)?;
    if change.record::<UploadRecord>(Table::Uploads, &bits)?.is_some() {
        return Err(Error::Changed);
    }
    change.mark(Table::UploadOrder, keyspace::upload_order(&at.object, initiated, &bits));
    let upload = UploadRecord { bucket: at.object.bucket, key: at.object.key, initiated, metadata, state: Blob(state) };
    change.put(Table::Uploads, bits.to_vec(), &upload)
}

/// A page of parts.
///
/// # Errors
/// [`Error::NoSuchUpload`].
pub(crate) fn parts(core: &Core, at: &UploadAt, after: Option<PartNumber>, limit: usize) -> Result<PartPage, Error> {
    find(core, at)?;
    let bits = keyspace::upload_bits(&at.id)?;
    let mut iter = core.db.iter(Table::Parts, &bits)?;
    match after {
        None => iter.seek(bits),
        Some(number) => iter.seek([keyspace::part(&bits, number), vec![0]].concat()),
    }
    let mut page = PartPage::default();
    while let Some((key, value)) = iter.item() {
        if page.parts.len() >= limit {
            page.truncated = limit > 0;
            break;
        }
        let part: PartRecord = record::decode(value)?;
        page.parts.push(part.into_stored(keyspace::part_number(key)?));
        iter.next();
    }
    status(&iter)?;
    Ok(page)
}

/// A part in progress.
#[derive(Debug)]
pub(crate) struct LocalPartWriter {
    pub(crate) core: Arc<Core>,
    pub(crate) committer: Arc<Committer>,
    pub(crate) at: UploadAt,
    pub(crate) number: PartNumber,
    pub(crate) body: BodyWriter,
}

#[async_trait]
impl PartWriter for LocalPartWriter {
    async fn write(&mut self, chunk: Bytes) -> Result<(), Error> {
        self.body.write(chunk).await
    }

    async fn commit(self: Box<Self>, record: Bytes) -> Result<StoredPart, Error> {
        self.core.health.may_add()?;
        let (at, number, modified, len) = (self.at, self.number, self.core.clock.now(), self.body.len());
        let done = self.body.finish(&self.core).await?;
        let file = done.file.ok_or_else(|| Error::Corrupt("a part has no file".to_owned()))?;
        let part = PartRecord { tag: tag_of(&file.id()), file: file.id(), len, record: Blob(record), modified };
        self.committer
            .change(move |change| {
                let (upload, _) = find_now(change, &at)?;
                let key = keyspace::part(&upload, number);
                if let Some(before) = change.record::<PartRecord>(Table::Parts, &key)? {
                    bodies::discard(change, before.file, vec![before.file])?;
                }
                change.adopt(file);
                change.put(Table::Parts, key, &part)?;
                Ok(part.into_stored(number))
            })
            .await
    }
}

/// The files of the named parts, each in the attempt that was named, taken out of `there`.
fn pick(
    upload: &Id,
    named: &[(PartNumber, StoredTag)],
    there: &mut BTreeMap<Vec<u8>, PartRecord>,
) -> Result<Vec<(Id, u64)>, Error> {
    let pick = |(number, tag): &(PartNumber, StoredTag)| {
        let part = there.remove(&keyspace::part(upload, *number)).filter(|part| part.tag == *tag);
        part.map(|part| (part.file, part.len)).ok_or(Error::NoSuchPart(*number))
    };
    named.iter().map(pick).collect()
}

/// Makes the object of the named parts.
///
/// # Errors
/// As [`crate::store::ObjectStore::complete`].
pub(crate) async fn complete(
    core: &Arc<Core>,
    committer: &Committer,
    at: UploadAt,
    completion: Completion,
) -> Result<StoredObject, Error> {
    core.health.may_add()?;
    let Completion { parts, manifest, metadata, commit } = completion;
    find(core, &at)?;
    let object = NewObject::new(core, at.object.clone(), metadata, commit)?;
    let mut writer = BodyWriter::new(core, Placement::File);
    writer.write(manifest).await?;
    let done = writer.finish(core).await?;
    committer.change(move |change| commit_upload(change, &at, &parts, object, done)).await
}

fn commit_upload(
    change: &mut Change<'_>,
    at: &UploadAt,
    parts: &[(PartNumber, StoredTag)],
    object: NewObject,
    done: Finished,
) -> Result<StoredObject, Error> {
    let (upload, record) = find_now(change, at)?;
    let mut there = change.rows::<PartRecord>(Table::Parts, &upload)?;
    let keys: Vec<Vec<u8>> = there.keys().cloned().collect();
    let files = pick(&upload, parts, &mut there)?;
    if let Some(file) = done.file {
        change.adopt(file);
    }
    let mut pieces: Vec<Piece> = files.into_iter().map(|(id, len)| Piece::File { id, len }).collect();
    pieces.push(done.piece);
    let stored = object.commit(change, pieces)?;
    let unnamed = there.into_values().map(|part| part.file).collect();
    end(change, at, &record, keys, unnamed)?;
    Ok(stored)
}

/// Aborts an upload.
///
/// # Errors
/// [`Error::NoSuchUpload`].
pub(crate) fn abort(change: &mut Change<'_>, at: &UploadAt) -> Result<(), Error> {
    let (upload, record) = find_now(change, at)?;
    let there = change.rows::<PartRecord>(Table::Parts, &upload)?;
    let (keys, parts): (Vec<_>, Vec<_>) = there.into_iter().unzip();
    end(change, at, &record, keys, parts.iter().map(|part| part.file).collect())
}

/// Takes an upload and the rows of its parts away; `unused` files become garbage.
fn end(
    change: &mut Change<'_>,
    at: &UploadAt,
    record: &UploadRecord,
    parts: Vec<Vec<u8>>,
    unused: Vec<Id>,
) -> Result<(), Error> {
    let upload = keyspace::upload_bits(&at.id)?;
    parts.into_iter().for_each(|key| change.delete(Table::Parts, key));
    change.delete(Table::UploadOrder, keyspace::upload_order(&at.object, record.initiated, &upload));
    change.delete(Table::Uploads, upload.to_vec());
    // Nobody reads a part, so the upload's own id, which no reader pins, stands for them.
    bodies::discard(change, upload, unused)
}
