//! Uploads in progress. An upload is a record in the reserved place and an upload of the upstream's; a part of five
//! mebibytes and more goes straight into that under its own number, a smaller one is staged as an object, since an
//! upstream takes no small part that is not the last. Each part leaves a record too, so that any gateway can take any
//! part, and any complete.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use futures::{StreamExt as _, TryStreamExt as _, stream};
use serde::{Deserialize, Serialize};

use super::gathered::{Kept, Raw};
use super::headers::{encode, etag_of};
use super::put::{MAX_ANSWER, PutWriter, Shop, fresh_write, reserved_spot, written_at};
use super::reserved::{AT_ONCE, Reserved};
use super::target::Target;
use super::upload::Streaming;
use crate::store::{
    Ahead, CipherOffset, Commit, Error, Metadata, ObjectWriter as _, PartPage, PartWriter, Precondition, StoredPart,
    StoredTag, StoredUpload, UploadAt, UploadEntry, UploadPage, UploadQuery,
};
use crate::types::{BucketName, Clock, ObjectKey, PartNumber, Timestamp, UploadId};

/// The least that an upstream takes of a part which is not the last.
pub(super) const LEAST_PART: u64 = 5 << 20;

/// What is kept of an upload.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct UploadRecord {
    pub(super) key: ObjectKey,
    pub(super) metadata: Metadata,
    pub(super) state: Vec<u8>,
    pub(super) initiated: Timestamp,
    /// The upstream's own upload.
    pub(super) upload: String,
    /// The write that the object will be.
    pub(super) write: String,
}

/// What is kept of a part.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct PartRecord {
    pub(super) tag: StoredTag,
    /// The upstream's ETag of a part that went straight into its upload.
    pub(super) etag: String,
    /// The object that a staged part is.
    pub(super) staged: Option<String>,
    pub(super) len: u64,
    pub(super) record: Vec<u8>,
    pub(super) modified: Timestamp,
}

pub(super) fn upload_name(bucket: &BucketName, id: &UploadId) -> String {
    format!("uploads/{bucket}/{id}")
}

pub(super) fn parts_prefix(at: &UploadAt) -> String {
    format!("parts/{}/{}/", at.object.bucket, at.id)
}

pub(super) fn staged_prefix(at: &UploadAt) -> String {
    format!("staged/{}/{}/", at.object.bucket, at.id)
}

/// Where parts are put together that cannot be in the object's own place.
pub(super) fn temporary_name(at: &UploadAt) -> String {
    format!("temporary/{}/{}", at.object.bucket, at.id)
}

/// The claim of whoever ends an upload.
pub(super) fn claim_name(id: &UploadId) -> String {
    format!("upload-{id}")
}

fn part_name(at: &UploadAt, number: PartNumber) -> String {
    format!("{}{:05}", parts_prefix(at), number.get())
}

fn encoded<T: Serialize>(value: &T) -> Result<Vec<u8>, Error> {
    postcard::to_allocvec(value).map_err(|_| Error::Corrupt("a record cannot be written".to_owned()))
}

pub(super) fn decoded<T: for<'a> Deserialize<'a>>(name: &str, bytes: &[u8]) -> Result<T, Error> {
    postcard::from_bytes(bytes).map_err(|_| Error::Corrupt(format!("the record {name} cannot be read")))
}

/// Starts an upload.
pub(super) async fn create(
    target: &Arc<Target>,
    at: &UploadAt,
    metadata: Metadata,
    state: Bytes,
    now: Timestamp,
) -> Result<(), Error> {
    let write = fresh_write()?;
    let headers = encode(&metadata, &write, target.client.wire, target.abilities.metadata)?;
    // Not in the object's own place: what its metadata is, is known at the completion, and cannot be said then.
    let spot = reserved_spot(target, &temporary_name(at));
    let upload = Raw::start(spot, headers).await?;
    let record = UploadRecord {
        key: at.object.key.clone(),
        metadata,
        state: state.to_vec(),
        initiated: now,
        upload: upload.as_kept().id,
        write,
    };
    let name = upload_name(&at.object.bucket, &at.id);
    if !target.reserved.create(&name, &encoded(&record)?).await? {
        return Err(Error::Changed);
    }
    drop(upload.kept());
    Ok(())
}

/// The record of an upload in progress.
pub(super) async fn find(reserved: &Reserved, at: &UploadAt) -> Result<UploadRecord, Error> {
    let name = upload_name(&at.object.bucket, &at.id);
    let record = reserved.read(&name).await?.ok_or(Error::NoSuchUpload)?;
    let record: UploadRecord = decoded(&name, &record)?;
    if record.key == at.object.key { Ok(record) } else { Err(Error::NoSuchUpload) }
}

impl UploadRecord {
    /// The upstream's upload.
    pub(super) fn raw(&self, target: &Arc<Target>, at: &UploadAt) -> Result<Kept, Error> {
        let spot = reserved_spot(target, &temporary_name(at));
        Ok(Raw::resume(spot, self.upload.clone()))
    }

    pub(super) fn into_stored(self, id: UploadId) -> StoredUpload {
        StoredUpload { id, key: self.key, metadata: self.metadata, state: self.state.into(), initiated: self.initiated }
    }
}

/// How a part goes.
enum Way {
    Straight { streaming: Streaming, held: Bytes },
    Staged { writer: Box<PutWriter>, name: String },
}

/// A part in progress.
pub(super) struct UpstreamPart {
    target: Arc<Target>,
    at: UploadAt,
    number: PartNumber,
    len: Option<u64>,
    received: u64,
    way: Way,
    clock: Arc<dyn Clock>,
}

impl UpstreamPart {
    /// Begins a part of an upload that was found.
    pub(super) fn begin(
        target: &Arc<Target>,
        at: &UploadAt,
        upload: &UploadRecord,
        number: PartNumber,
        len: Option<CipherOffset>,
        shop: &Shop,
    ) -> Result<Self, Error> {
        let len = len.map(|len| len.0);
        let way = match len {
            // The last number is left for the manifest's part.
            Some(len) if len >= LEAST_PART && number.get() < PartNumber::MAX => {
                let call = upload.raw(target, at)?.part_call(number.get());
                Way::Straight { streaming: Streaming::begin(&target.client, call, len), held: Bytes::new() }
            }
            _ => {
                let name = format!("{}{:05}-{}", staged_prefix(at), number.get(), fresh_write()?);
                let spot = reserved_spot(target, &name);
                let ahead = Ahead { len: len.map(CipherOffset), precondition: Precondition::None };
                let writer = PutWriter::begin(spot, &at.object, Metadata::default(), &ahead, shop)?;
                Way::Staged { writer: Box::new(writer), name }
            }
        };
        let (target, clock) = (Arc::clone(target), Arc::clone(&shop.clock));
        Ok(Self { target, at: at.clone(), number, len, received: 0, way, clock })
    }
}

#[async_trait]
impl PartWriter for UpstreamPart {
    async fn write(&mut self, chunk: Bytes) -> Result<(), Error> {
        self.received = self.received.saturating_add(chunk.len() as u64);
        match &mut self.way {
            Way::Staged { writer, .. } => writer.write(chunk).await,
            Way::Straight { .. } if self.len.is_some_and(|len| self.received > len) => {
                Err(Error::Corrupt("a part is longer than was said of it".to_owned()))
            }
            Way::Straight { streaming, held } if !chunk.is_empty() => {
                streaming.send(std::mem::replace(held, chunk)).await
            }
            Way::Straight { .. } => Ok(()),
        }
    }

    async fn commit(self: Box<Self>, record: Bytes) -> Result<StoredPart, Error> {
        let Self { target, at, number, len, received, way, clock } = *self;
        if len.is_some_and(|len| len != received) {
            return Err(Error::Corrupt("a part is shorter than was said of it".to_owned()));
        }
        let (tag, etag, staged, modified) = match way {
            Way::Straight { mut streaming, held } => {
                streaming.send(held).await?;
                let (head, body) = streaming.finish().await?.into_parts();
                target.client.collect(body, MAX_ANSWER).await?;
                let etag = etag_of(&head.headers);
                (StoredTag(etag.clone()), etag, None, written_at(&head.headers, clock.as_ref()))
            }
            Way::Staged { writer, name } => {
                let stored = writer.commit(Commit::default()).await?;
                (stored.tag, String::new(), Some(name), stored.modified)
            }
        };
        let kept = PartRecord { tag: tag.clone(), etag, staged, len: received, record: record.to_vec(), modified };
        let name = part_name(&at, number);
        target.reserved.write(&name, &encoded(&kept)?).await?;
        // An upload that ended before its record of this part was there has not taken it away: it is ours to.
        if let Err(error) = find(&target.reserved, &at).await {
            target.reserved.remove(&name).await?;
            if let Some(staged) = &kept.staged {
                target.reserved.remove(staged).await?;
            }
            return Err(error);
        }
        Ok(StoredPart { number, tag, len: CipherOffset(received), record, modified })
    }
}

/// The records of parts by these names, in their order; those that are gone are left out.
pub(super) async fn read_parts(
    reserved: &Reserved,
    names: Vec<(PartNumber, String)>,
) -> Result<Vec<(PartNumber, PartRecord)>, Error> {
    let read = names.into_iter().map(|(number, name)| async move {
        let Some(bytes) = reserved.read(&name).await? else { return Ok(None) };
        Ok::<_, Error>(Some((number, decoded::<PartRecord>(&name, &bytes)?)))
    });
    let found: Vec<_> = stream::iter(read).buffered(AT_ONCE).try_collect().await?;
    Ok(found.into_iter().flatten().collect())
}

/// The records of these parts.
pub(super) async fn named_parts(
    reserved: &Reserved,
    at: &UploadAt,
    numbers: Vec<PartNumber>,
) -> Result<Vec<(PartNumber, PartRecord)>, Error> {
    let names = numbers.into_iter().map(|number| (number, part_name(at, number))).collect();
    read_parts(reserved, names).await
}

/// A page of parts.
pub(super) async fn parts(
    reserved: &Reserved,
    at: &UploadAt,
    after: Option<PartNumber>,
    limit: usize,
) -> Result<PartPage, Error> {
    find(reserved, at).await?;
    let prefix = parts_prefix(at);
    let mut found: Vec<(PartNumber, String)> = Vec::new();
    let mut from = after.map(|number| part_name(at, number));
    let mut truncated = true;
    while found.len() < limit && truncated {
        let (rows, more) = reserved.names(&prefix, from.as_deref(), limit - found.len()).await?;
        truncated = more;
        let Some(last) = rows.last() else { break };
        from = Some(last.key.clone());
        for row in rows {
            let number = row.key.strip_prefix(&prefix).and_then(|digits| digits.parse::<u32>().ok());
            let number = number.and_then(|number| PartNumber::try_from(number).ok());
            let number = number.ok_or_else(|| Error::Corrupt(format!("{} is no part's name", row.key)))?;
            found.push((number, row.key));
        }
    }
    let read = read_parts(reserved, found).await?;
    let parts = read.into_iter().map(|(number, part)| StoredPart {
        number,
        tag: part.tag,
        len: CipherOffset(part.len),
        record: part.record.into(),
        modified: part.modified,
    });
    Ok(PartPage { parts: parts.collect(), truncated: truncated && limit > 0 })
}

/// Ends an upload and discards its parts.
pub(super) async fn abort(target: &Arc<Target>, at: &UploadAt) -> Result<(), Error> {
    let upload = find(&target.reserved, at).await?;
    // From here on no part can join it, and a part that is just being written takes itself away.
    target.reserved.remove(&upload_name(&at.object.bucket, &at.id)).await?;
    upload.raw(target, at)?.abort().await?;
    discard(&target.reserved, at).await
}

/// Removes what an upload leaves.
pub(super) async fn discard(reserved: &Reserved, at: &UploadAt) -> Result<(), Error> {
    reserved.remove_all(&parts_prefix(at)).await?;
    reserved.remove_all(&staged_prefix(at)).await
}

/// A page of the uploads in progress. All of them are read: there are not many in a bucket at a time.
pub(super) async fn uploads(reserved: &Reserved, name: &BucketName, query: &UploadQuery) -> Result<UploadPage, Error> {
    let prefix = format!("uploads/{name}/");
    let rows = reserved.all_names(&prefix).await?;
    let read = rows.into_iter().filter_map(|row| {
        let id: UploadId = row.key.strip_prefix(&prefix)?.parse().ok()?;
        Some(async move {
            let Some(bytes) = reserved.read(&row.key).await? else { return Ok(None) };
            let record: UploadRecord = decoded(&row.key, &bytes)?;
            Ok::<_, Error>(Some(record.into_stored(id)))
        })
    });
    let all: Vec<Option<StoredUpload>> = stream::iter(read).buffered(AT_ONCE).try_collect().await?;
    Ok(page_of(all.into_iter().flatten().collect(), query))
}

fn page_of(mut all: Vec<StoredUpload>, query: &UploadQuery) -> UploadPage {
    all.sort_by(|a, b| (&a.key, a.initiated, &a.id).cmp(&(&b.key, b.initiated, &b.id)));
    let delimiter = query.delimiter.as_deref().filter(|delimiter| !delimiter.is_empty());
    let roll = |key: &str| {
        let rest = key.strip_prefix(query.prefix.as_str())?;
        let end = query.prefix.len() + rest.find(delimiter?)? + delimiter?.len();
        key.get(..end).map(str::to_owned)
    };
    let marker = query.after.as_ref().and_then(|(key, id)| {
        let id = id.as_ref()?;
        let found = all.iter().find(|upload| upload.key.as_str() == key && upload.id == *id)?;
        Some((found.initiated, found.id.clone()))
    });
    let comes_after = |upload: &StoredUpload| match &query.after {
        None => true,
        Some((key, _)) if upload.key.as_str() != key => upload.key.as_str() > key.as_str(),
        Some((_, None)) => false,
        Some((_, Some(_))) => match &marker {
            Some((initiated, marked)) => (upload.initiated, &upload.id) > (*initiated, marked),
            // The marker's upload has ended: one shown twice does less harm than one left out.
            None => true,
        },
    };
    let mut page = UploadPage::default();
    let mut last: Option<String> = None;
    for upload in all.into_iter().filter(|upload| upload.key.as_str().starts_with(&query.prefix)) {
        let rolled = roll(upload.key.as_str());
        let passed = rolled.is_some() && query.after.as_ref().is_some_and(|(key, _)| rolled.as_ref() == Some(key));
        if passed || !comes_after(&upload) || (rolled.is_some() && rolled == last) {
            continue;
        }
        if page.entries.len() >= query.limit {
            page.truncated = query.limit > 0;
            break;
        }
        page.entries.push(match &rolled {
            Some(prefix) => UploadEntry::Prefix(prefix.clone()),
            None => UploadEntry::Upload(upload),
        });
        last = rolled;
    }
    page
}
