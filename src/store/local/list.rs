//! Listings: one iterator over one bucket's rows, rolled up by delimiter. A rolled-up prefix is passed by one seek,
//! however many objects lie under it, and so are the older versions of a key where only current ones are wanted. Runs on
//! blocking threads.

use rocksdb::DBRawIterator;

use super::core::Core;
use super::database::{Table, status};
use super::keyspace::{self, CURRENT, OTHER, PAST};
use super::record::{self, ObjectRecord, UploadRecord};
use crate::store::{
    Error, ListEntry, ListPage, ListQuery, UploadEntry, UploadPage, UploadQuery, VersionEntry, VersionPage,
    VersionQuery,
};
use crate::types::{BucketName, ObjectAt, ObjectKey, UploadId, VersionId};

/// The prefix that a key is rolled up to, delimiter included; `None` when it stands for itself. An empty delimiter is
/// none.
fn rolled<'k>(key: &'k str, prefix: &str, delimiter: Option<&str>) -> Option<&'k str> {
    let delimiter = delimiter.filter(|delimiter| !delimiter.is_empty())?;
    let at = key.strip_prefix(prefix)?.find(delimiter)?;
    key.get(..prefix.len() + at + delimiter.len())
}

/// One thing a walk comes to.
enum Step {
    /// A row: its object key, what follows that in the row's key, and its value.
    Row(ObjectKey, Vec<u8>, Vec<u8>),
    /// A rolled-up prefix.
    Prefix(String),
}

/// Which rows a walk shows. A prefix is rolled up only for a row that shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Shows {
    /// Every row.
    All,
    /// Of objects, the current version, unless it is a delete marker.
    Current,
    /// Of objects, each version.
    Versions,
}

/// A walk over the rows of one bucket whose object keys begin with a prefix.
struct Walk<'a> {
    iter: DBRawIterator<'a>,
    shows: Shows,
    bucket: &'a BucketName,
    prefix: &'a str,
    delimiter: Option<&'a str>,
    row_start: usize,
}

impl<'a> Walk<'a> {
    /// Starts at the first row at or after `from` (a row's key).
    fn new(
        core: &'a Core,
        (table, shows): (Table, Shows),
        bucket: &'a BucketName,
        (prefix, delimiter): (&'a str, Option<&'a str>),
        from: Vec<u8>,
    ) -> Result<Self, Error> {
        let within = keyspace::text_start(bucket, prefix);
        let mut iter = core.db.iter(table, &within)?;
        iter.seek(from.max(within));
        Ok(Self { iter, shows, bucket, prefix, delimiter, row_start: keyspace::bucket_prefix(bucket).len() })
    }

    fn next(&mut self) -> Result<Option<Step>, Error> {
        let (key, rest, value) = loop {
            let Some((row, value)) = self.iter.item() else {
                status(&self.iter)?;
                return Ok(None);
            };
            let (key, rest) = keyspace::split(row.get(self.row_start..).unwrap_or_default())?;
            match (self.shows, rest.first()) {
                (Shows::All, _) | (Shows::Versions, Some(&(CURRENT | OTHER))) => break (key, rest, value),
                (Shows::Current, Some(&CURRENT)) => {
                    if !record::decode::<ObjectRecord>(value)?.is_marker() {
                        break (key, rest, value);
                    }
                    self.iter.next();
                }
                (Shows::Current | Shows::Versions, _) => {
                    self.iter.seek(after_key(self.bucket, key.as_str(), self.prefix, None));
                }
            }
        };
        if let Some(prefix) = rolled(key.as_str(), self.prefix, self.delimiter) {
            self.iter.seek(past_text(self.bucket, prefix));
            return Ok(Some(Step::Prefix(prefix.to_owned())));
        }
        let step = Step::Row(key, rest.to_vec(), value.to_vec());
        self.iter.next();
        Ok(Some(step))
    }

    /// Takes up to `limit` steps, and says whether there is one more. A limit of 0 asks for nothing, so nothing is
    /// left out: no caller should page on without getting anywhere.
    fn page<T>(mut self, limit: usize, row: impl Fn(Step) -> Result<T, Error>) -> Result<(Vec<T>, bool), Error> {
        let mut entries = Vec::new();
        while entries.len() < limit {
            match self.next()? {
                Some(step) => entries.push(row(step)?),
                None => return Ok((entries, false)),
            }
        }
        Ok((entries, limit > 0 && self.next()?.is_some()))
    }
}

/// After every row whose object key begins with the text.
fn past_text(bucket: &BucketName, text: &str) -> Vec<u8> {
    let mut out = keyspace::text_start(bucket, text);
    out.push(PAST);
    out
}

/// After every row of exactly this key, or of everything under it when it is a rolled-up prefix.
fn after_key(bucket: &BucketName, after: &str, prefix: &str, delimiter: Option<&str>) -> Vec<u8> {
    if rolled(after, prefix, delimiter) == Some(after) {
        return past_text(bucket, after);
    }
    let mut out = keyspace::key_start(bucket, after);
    out.push(PAST);
    out
}

/// A page of objects.
///
/// # Errors
/// [`Error::NoSuchBucket`], I/O, damage.
pub(crate) fn objects(core: &Core, bucket: &BucketName, query: &ListQuery) -> Result<ListPage, Error> {
    core.need_bucket(bucket)?;
    let (prefix, delimiter) = (query.prefix.as_str(), query.delimiter.as_deref());
    let from = query.after.as_deref().map_or_else(Vec::new, |after| after_key(bucket, after, prefix, delimiter));
    let walk = Walk::new(core, (Table::Objects, Shows::Current), bucket, (prefix, delimiter), from)?;
    let (entries, truncated) = walk.page(query.limit, |step| match step {
        Step::Prefix(prefix) => Ok(ListEntry::Prefix(prefix)),
        Step::Row(key, _, value) => {
            let object = record::decode::<ObjectRecord>(&value)?.to_stored();
            Ok(ListEntry::Object { key, object })
        }
    })?;
    Ok(ListPage { entries, truncated })
}

/// A page of versions.
///
/// # Errors
/// As [`objects`].
pub(crate) fn versions(core: &Core, bucket: &BucketName, query: &VersionQuery) -> Result<VersionPage, Error> {
    core.need_bucket(bucket)?;
    let (prefix, delimiter) = (query.prefix.as_str(), query.delimiter.as_deref());
    let from = match &query.after {
        None => Vec::new(),
        Some((key, None)) => after_key(bucket, key, prefix, delimiter),
        Some((key, Some(version))) => after_version(core, bucket, key, version)?,
    };
    let walk = Walk::new(core, (Table::Objects, Shows::Versions), bucket, (prefix, delimiter), from)?;
    let (entries, truncated) = walk.page(query.limit, |step| match step {
        Step::Prefix(prefix) => Ok(VersionEntry::Prefix(prefix)),
        Step::Row(key, rest, value) => {
            let (latest, record) = (rest.first() == Some(&CURRENT), record::decode::<ObjectRecord>(&value)?);
            if record.is_marker() {
                let (version, modified) = (record.version(), record.modified);
                return Ok(VersionEntry::Marker { key, latest, version, modified });
            }
            Ok(VersionEntry::Object { key, latest, object: record.to_stored() })
        }
    })?;
    Ok(VersionPage { entries, truncated })
}

/// The row after a version's. The marker's version may be gone: then the key's versions are listed from their start,
/// since one shown twice does less harm than one left out.
fn after_version(core: &Core, bucket: &BucketName, key: &str, version: &VersionId) -> Result<Vec<u8>, Error> {
    let start = keyspace::key_start(bucket, key);
    let Ok(key) = key.parse::<ObjectKey>() else { return Ok(start) };
    let at = ObjectAt { bucket: bucket.clone(), key };
    let Ok(wanted) = keyspace::version_bits(version) else { return Ok(start) };
    let current: Option<ObjectRecord> = core.db.record(Table::Objects, &keyspace::object(&at))?;
    if current.is_some_and(|current| current.version == wanted) {
        return Ok(keyspace::others(&at));
    }
    let sequence: Option<u64> = core.db.record(Table::Objects, &keyspace::pointer(&at, wanted))?;
    let mut row = sequence.map_or(start, |sequence| keyspace::other(&at, sequence));
    row.push(0);
    Ok(row)
}

/// A page of uploads in progress.
///
/// # Errors
/// As [`objects`].
pub(crate) fn uploads(core: &Core, bucket: &BucketName, query: &UploadQuery) -> Result<UploadPage, Error> {
    core.need_bucket(bucket)?;
    let (prefix, delimiter) = (query.prefix.as_str(), query.delimiter.as_deref());
    let from = match &query.after {
        None => Vec::new(),
        Some((key, None)) => after_key(bucket, key, prefix, delimiter),
        Some((key, Some(id))) => after_upload(core, bucket, key, id)?,
    };
    let mut walk = Walk::new(core, (Table::UploadOrder, Shows::All), bucket, (prefix, delimiter), from)?;
    let mut page = UploadPage::default();
    while let Some(step) = walk.next()? {
        if page.entries.len() >= query.limit {
            page.truncated = query.limit > 0;
            break;
        }
        match step {
            Step::Prefix(prefix) => page.entries.push(UploadEntry::Prefix(prefix)),
            Step::Row(_, order, _) => {
                let bits: Option<[u8; 16]> = order.get(8..).and_then(|bits| bits.try_into().ok());
                let bits = bits.ok_or_else(|| Error::Corrupt("an upload's row has no id".to_owned()))?;
                // Completed or aborted since the iterator was made: no row.
                if let Some(upload) = core.db.record::<UploadRecord>(Table::Uploads, &bits)? {
                    page.entries.push(UploadEntry::Upload(upload.into_stored(UploadId::from_bits(bits))));
                }
            }
        }
    }
    Ok(page)
}

/// The row after an upload's. The marker's upload may be gone: then the key's uploads are listed from their start,
/// since one shown twice does less harm than one left out.
fn after_upload(core: &Core, bucket: &BucketName, key: &str, id: &UploadId) -> Result<Vec<u8>, Error> {
    let mut out = keyspace::key_start(bucket, key);
    let bits = keyspace::upload_bits(id)?;
    let marker: Option<UploadRecord> = core.db.record(Table::Uploads, &bits)?;
    if let Some(upload) = marker.filter(|upload| upload.bucket == *bucket && upload.key.as_str() == key) {
        out.extend_from_slice(&upload.initiated.0.to_be_bytes());
        out.extend_from_slice(&bits);
        out.push(0);
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_rolls_up_to_the_first_delimiter_after_the_prefix() {
        assert_eq!(rolled("a/b/c", "", Some("/")), Some("a/"));
        assert_eq!(rolled("a/b/c", "a/", Some("/")), Some("a/b/"));
        assert_eq!(rolled("a/b", "a/", Some("/")), None);
        assert_eq!(rolled("a//b", "a/", Some("/")), Some("a//"));
        assert_eq!(rolled("axxb", "", Some("xx")), Some("axx"));
        assert_eq!(rolled("a/b", "", Some("")), None);
        assert_eq!(rolled("a/b", "b", Some("/")), None);
    }
}
