//! Listings of objects and of uploads: plaintext sizes, the ETags that HEAD shows, no KMS call.

use crate::identity::{Action, Requester};
use crate::store::{ListEntry, ListQuery, StoredObject, UploadEntry, UploadQuery, VersionEntry, VersionQuery};
use crate::types::{BucketName, ObjectAt, ObjectKey};

use super::opened::lacks_manifest;
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
                ListEntry::Object { key, object } => match self.listed_now(name, key, object).await? {
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
        let listed = |entry| match entry {
            VersionEntry::Prefix(prefix) => Ok(ListedVersion::Prefix(prefix)),
            VersionEntry::Marker { key, latest, version, modified } => {
                Ok(ListedVersion::Marker { key, version, latest, modified })
            }
            VersionEntry::Object { key, latest, object } => {
                let version = object.version.clone();
                let object = self.listed(name, key, object)?;
                Ok(ListedVersion::Object { object, version, latest })
            }
        };
        let entries = page.entries.into_iter().map(listed).collect::<Result<_, Error>>()?;
        Ok(VersionListing { entries, truncated: page.truncated, owner: bucket.owner })
    }

    /// A row. One of which the store gave too short an end is looked at on its own; `None`: it is gone by now.
    async fn listed_now(
        &self,
        bucket: &BucketName,
        key: ObjectKey,
        object: StoredObject,
    ) -> Result<Option<ListedObject>, Error> {
        if !lacks_manifest(&object) {
            return self.listed(bucket, key, object).map(Some);
        }
        match self.look(&ObjectAt { bucket: bucket.clone(), key: key.clone() }, None).await {
            Ok(looked) => self.listed(bucket, key, looked.object).map(Some),
            Err(Error::NoSuchKey) => Ok(None),
            Err(other) => Err(other),
        }
    }

    fn listed(&self, bucket: &BucketName, key: ObjectKey, object: StoredObject) -> Result<ListedObject, Error> {
        let looked = self.verify(&ObjectAt { bucket: bucket.clone(), key: key.clone() }, object)?;
        Ok(ListedObject {
            key,
            etag: looked.etag(),
            size: looked.summary.plain_len.0,
            modified: looked.object.modified,
            kind: looked.summary.kind,
        })
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
