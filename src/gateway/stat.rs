//! What a bucket holds, counted page by page.

use crate::identity::{Action, Requester};
use crate::store::{UploadEntry, UploadQuery, VersionEntry, VersionQuery};
use crate::types::{BucketName, ObjectAt};

use super::{BucketStat, Error, Gateway};

/// How many rows are asked for at once, which is all that is ever in memory.
const PAGE: usize = 1000;

impl Gateway {
    /// Counts what is in a bucket: its versions, delete markers and uploads in progress. Reads every row of the bucket, a
    /// page at a time, and opens each summary, since sizes are sealed; no KMS call.
    ///
    /// # Errors
    /// [`Error::NoSuchBucket`], [`Error::AccessDenied`]; [`Error::Integrity`] when an object's record does not verify.
    pub async fn bucket_stat(&self, caller: &Requester, name: &BucketName) -> Result<BucketStat, Error> {
        self.bucket_for(caller, name, Action::ListBucket).await?;
        self.alarm.heed(self.counted(name).await)
    }

    async fn counted(&self, name: &BucketName) -> Result<BucketStat, Error> {
        let mut stat = BucketStat { storage: 0, objects: 0, markers: 0, uploads: 0, counted: self.clock.now() };
        let mut after = None;
        loop {
            let page =
                self.store.list_versions(name, VersionQuery { after, limit: PAGE, ..VersionQuery::default() }).await?;
            let mut last = None;
            for entry in page.entries {
                match entry {
                    VersionEntry::Object { key, object, latest } => {
                        last = Some((key.as_str().to_owned(), Some(object.version.clone())));
                        let at = ObjectAt { bucket: name.clone(), key };
                        let Some(looked) = self.verify_row(&at, object, latest).await? else { continue };
                        stat.objects += 1;
                        stat.storage = stat.storage.saturating_add(looked.summary.plain_len.0);
                    }
                    VersionEntry::Marker { key, version, .. } => {
                        last = Some((key.as_str().to_owned(), Some(version)));
                        stat.markers += 1;
                    }
                    VersionEntry::Prefix(_) => {}
                }
            }
            if !page.truncated || last.is_none() {
                break;
            }
            after = last;
        }
        stat.uploads = self.count_uploads(name).await?;
        Ok(stat)
    }

    async fn count_uploads(&self, name: &BucketName) -> Result<u64, Error> {
        let (mut count, mut after) = (0, None);
        loop {
            let page = self.store.uploads(name, UploadQuery { after, limit: PAGE, ..UploadQuery::default() }).await?;
            let mut last = None;
            for entry in page.entries {
                match entry {
                    UploadEntry::Upload(upload) => {
                        last = Some((upload.key.as_str().to_owned(), Some(upload.id)));
                        count += 1;
                    }
                    UploadEntry::Prefix(_) => {}
                }
            }
            if !page.truncated || last.is_none() {
                return Ok(count);
            }
            after = last;
        }
    }
}
