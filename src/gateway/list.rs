//! Listings of objects and of uploads: plaintext sizes, the ETags that HEAD shows, no KMS call.

use crate::identity::{Action, Caller};
use crate::store::{ListEntry, ListQuery, UploadEntry, UploadQuery};
use crate::types::{BucketName, ObjectAt};

use super::{Error, Gateway, ListedEntry, ListedObject, ListedUpload, ListedUploadEntry, Listing, UploadListing};

impl Gateway {
    /// A page of the bucket's objects.
    ///
    /// # Errors
    /// [`Error::NoSuchBucket`], [`Error::AccessDenied`]; [`Error::Integrity`] when an object's record does not verify.
    pub async fn list_objects(&self, caller: &Caller, name: &BucketName, query: ListQuery) -> Result<Listing, Error> {
        self.alarm.heed(self.list_as(caller, name, query, Action::ListBucket).await)
    }

    /// A page of the versions of the bucket's objects. No bucket keeps versions yet: each object is its own null version,
    /// and the latest.
    ///
    /// # Errors
    /// As [`Gateway::list_objects`].
    pub async fn list_object_versions(
        &self,
        caller: &Caller,
        name: &BucketName,
        query: ListQuery,
    ) -> Result<Listing, Error> {
        self.alarm.heed(self.list_as(caller, name, query, Action::ListBucketVersions).await)
    }

    async fn list_as(
        &self,
        caller: &Caller,
        name: &BucketName,
        query: ListQuery,
        action: Action,
    ) -> Result<Listing, Error> {
        let bucket = self.bucket_for(caller, name, action).await?;
        if query.limit == 0 {
            return Ok(Listing { entries: Vec::new(), truncated: false, owner: bucket.owner });
        }
        let page = self.store.list(name, query).await?;
        let entries = page.entries.into_iter().map(|entry| self.listed(name, entry)).collect::<Result<_, _>>()?;
        Ok(Listing { entries, truncated: page.truncated, owner: bucket.owner })
    }

    fn listed(&self, bucket: &BucketName, entry: ListEntry) -> Result<ListedEntry, Error> {
        let (key, object) = match entry {
            ListEntry::Prefix(prefix) => return Ok(ListedEntry::Prefix(prefix)),
            ListEntry::Object { key, object } => (key, object),
        };
        let looked = self.verify(&ObjectAt { bucket: bucket.clone(), key: key.clone() }, object)?;
        Ok(ListedEntry::Object(ListedObject {
            key,
            etag: looked.etag(),
            size: looked.summary.plain_len.0,
            modified: looked.object.modified,
        }))
    }

    /// A page of the bucket's uploads in progress.
    ///
    /// # Errors
    /// [`Error::NoSuchBucket`], [`Error::AccessDenied`].
    pub async fn list_uploads(
        &self,
        caller: &Caller,
        name: &BucketName,
        query: UploadQuery,
    ) -> Result<UploadListing, Error> {
        let bucket = self.bucket_for(caller, name, Action::ListBucketMultipartUploads).await?;
        if query.limit == 0 {
            return Ok(UploadListing { entries: Vec::new(), truncated: false });
        }
        let page = self.store.uploads(name, query).await?;
        let listed = |entry| match entry {
            UploadEntry::Prefix(prefix) => ListedUploadEntry::Prefix(prefix),
            UploadEntry::Upload(upload) => ListedUploadEntry::Upload(ListedUpload {
                key: upload.key,
                id: upload.id,
                initiated: upload.initiated,
                owner: bucket.owner.clone(),
            }),
        };
        Ok(UploadListing { entries: page.entries.into_iter().map(listed).collect(), truncated: page.truncated })
    }
}
