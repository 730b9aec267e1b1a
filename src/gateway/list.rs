//! Listings of objects and of uploads: plaintext sizes, the ETags that HEAD shows, no KMS call.

use crate::identity::{Action, Requester};
use crate::store::{ListEntry, ListQuery, StoredObject, UploadEntry, UploadQuery, VersionEntry, VersionQuery};
use crate::types::{BucketName, ObjectAt, ObjectKey};

use super::{
    Error, Gateway, ListedEntry, ListedObject, ListedUpload, ListedUploadEntry, ListedVersion, Listing, UploadListing,
    VersionListing,
};

impl Gateway {
    /// A page of the bucket's objects.
    ///
    /// # Errors
    /// [`Error::NoSuchBucket`], [`Error::AccessDenied`]; [`Error::Integrity`] when an object's record does not verify.
    pub async fn list_objects(
        &self,
        caller: &Requester,
        name: &BucketName,
        query: ListQuery,
    ) -> Result<Listing, Error> {
        self.alarm.heed(self.list_page(caller, name, query).await)
    }

    /// A page of the versions of the bucket's objects, by key, newest first.
    ///
    /// # Errors
    /// As [`Gateway::list_objects`].
    pub async fn list_object_versions(
        &self,
        caller: &Requester,
        name: &BucketName,
        query: VersionQuery,
    ) -> Result<VersionListing, Error> {
        self.alarm.heed(self.list_versions(caller, name, query).await)
    }

    async fn list_page(&self, caller: &Requester, name: &BucketName, query: ListQuery) -> Result<Listing, Error> {
        let bucket = self.bucket_for(caller, name, Action::ListBucket).await?;
        if query.limit == 0 {
            return Ok(Listing { entries: Vec::new(), truncated: false, owner: bucket.owner });
        }
        let page = self.store.list(name, query).await?;
        let mut entries = Vec::with_capacity(page.entries.len());
        for entry in page.entries {
            entries.push(match entry {
                ListEntry::Prefix(prefix) => ListedEntry::Prefix(prefix),
                ListEntry::Object { key, object } => match self.listed(name, key, object, true).await? {
                    Some(listed) => ListedEntry::Object(listed),
                    None => continue,
                },
            });
        }
        Ok(Listing { entries, truncated: page.truncated, owner: bucket.owner })
    }

    async fn list_versions(
        &self,
        caller: &Requester,
        name: &BucketName,
        query: VersionQuery,
    ) -> Result<VersionListing, Error> {
        let bucket = self.bucket_for(caller, name, Action::ListBucketVersions).await?;
        if query.limit == 0 {
            return Ok(VersionListing { entries: Vec::new(), truncated: false, owner: bucket.owner });
        }
        let page = self.store.list_versions(name, query).await?;
        let mut entries = Vec::with_capacity(page.entries.len());
        for entry in page.entries {
            entries.push(match entry {
                VersionEntry::Prefix(prefix) => ListedVersion::Prefix(prefix),
                VersionEntry::Marker { key, latest, version, modified } => {
                    ListedVersion::Marker { key, version, latest, modified }
                }
                VersionEntry::Object { key, latest, object } => {
                    let version = object.version.clone();
                    match self.listed(name, key, object, latest).await? {
                        Some(object) => ListedVersion::Object { object, version, latest },
                        None => continue,
                    }
                }
            });
        }
        Ok(VersionListing { entries, truncated: page.truncated, owner: bucket.owner })
    }

    /// A row; `None`: it is gone by now.
    async fn listed(
        &self,
        bucket: &BucketName,
        key: ObjectKey,
        object: StoredObject,
        latest: bool,
    ) -> Result<Option<ListedObject>, Error> {
        let at = ObjectAt { bucket: bucket.clone(), key };
        let Some(looked) = self.verify_row(&at, object, latest).await? else { return Ok(None) };
        Ok(Some(ListedObject {
            key: at.key,
            etag: looked.etag(),
            size: looked.summary.plain_len.0,
            modified: looked.object.modified,
            kind: looked.summary.kind,
        }))
    }

    /// A page of the bucket's uploads in progress.
    ///
    /// # Errors
    /// [`Error::NoSuchBucket`], [`Error::AccessDenied`].
    pub async fn list_uploads(
        &self,
        caller: &Requester,
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
