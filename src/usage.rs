//! `sealgate keys usage`: what still depends on each version of a master key, so that its owner knows whether it can go.
//!
//! It walks over all metadata and opens nothing: bucket keys by the buckets' records, objects and uploads by what is
//! authenticated of them. What was there when the walk began, and still is, is counted; what came later may be missed.

use std::collections::{BTreeMap, BTreeSet};

use futures::{StreamExt as _, TryStreamExt as _};
use serde::{Deserialize, Serialize};

use crate::gateway::{self, Gateway, Wrapper};
use crate::kms::embedded::{AdminError, EmbeddedKms, KeyState, version_of};
use crate::kms::{KeyArn, KeyRef, Principal, WrappedKey};
use crate::store::{self, ObjectStore, StoredObject, UploadEntry, UploadQuery, VersionEntry, VersionQuery};
use crate::types::{BucketName, ObjectAt, Timestamp, UserId, VersionId};
use crate::walk::place;

/// How many rows are asked for at once.
const PAGE: usize = 1000;
/// How many objects are looked at at once, where a listing does not do.
const LOOKS: usize = 32;

/// What depends on one version of a key.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dependents {
    /// In these buckets.
    pub buckets: BTreeSet<String>,
    /// Bucket keys that have a record.
    pub epochs: u64,
    /// Versions of objects whose bucket key it wraps.
    pub by_bucket_key: u64,
    /// Versions of objects whose data key it wraps itself.
    pub direct: u64,
    /// Uploads in progress.
    pub uploads: u64,
}

/// What depends on a key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Usage {
    /// The key.
    pub key: KeyArn,
    /// Whether it can be used now, so that more can come to depend on it.
    pub enabled: bool,
    /// The version that wraps.
    pub current: Option<u32>,
    /// By version; 0 where a wrap does not say which.
    pub versions: BTreeMap<u32, Dependents>,
    /// Buckets whose default encryption names it.
    pub defaults: Vec<String>,
    /// Objects and uploads whose metadata does not verify: nobody knows what they depend on.
    pub unknown: u64,
    /// Everything written before this time is counted.
    pub complete_to: Timestamp,
}

impl Usage {
    /// Whether nothing depends on the key.
    #[must_use]
    pub fn is_retirable(&self) -> bool {
        self.versions.is_empty() && self.defaults.is_empty() && self.unknown == 0
    }
}

/// Why it cannot be said.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The key.
    #[error(transparent)]
    Key(#[from] AdminError),
    /// Buckets or objects.
    #[error(transparent)]
    Gateway(#[from] gateway::Error),
    /// The store.
    #[error(transparent)]
    Store(#[from] store::Error),
}

/// Counts. `hear` is told, from time to time, how many versions more were looked at.
///
/// # Errors
/// When key, buckets or objects cannot be looked at; a count that leaves something out would be none.
pub async fn usage(
    gateway: &Gateway,
    store: &dyn ObjectStore,
    keystore: &EmbeddedKms,
    key: &str,
    hear: &mut (impl FnMut(u64) + Send),
) -> Result<Usage, Error> {
    let operator = Principal { user: UserId::new("sealgate keys usage"), root: true };
    let described = keystore.describe_key(&operator, &KeyRef(key.to_owned())).await?;
    let mut count = Count {
        gateway,
        store,
        usage: Usage {
            key: described.arn,
            enabled: described.state == KeyState::Enabled,
            current: described.current.map(|(number, _)| number),
            versions: BTreeMap::new(),
            defaults: Vec::new(),
            unknown: 0,
            complete_to: gateway.now(),
        },
    };
    for bucket in store.buckets().await? {
        let named = gateway.default_key(&bucket)?;
        if let Some(named) = named {
            // A name that leads nowhere is no dependence.
            let named = keystore.describe_key(&operator, &named).await.ok().map(|described| described.arn);
            if named.as_ref() == Some(&count.usage.key) {
                count.usage.defaults.push(bucket.name.to_string());
            }
        }
        for epoch in gateway.epochs_of(&bucket)? {
            if let Some(dependents) = count.of(&bucket.name, &epoch.key, &epoch.wrapped) {
                dependents.epochs += 1;
            }
        }
        count.objects(&bucket.name, hear).await?;
        count.uploads(&bucket.name).await?;
    }
    Ok(count.usage)
}

/// An object as it is now; `None` when it is gone.
async fn look(
    store: &dyn ObjectStore,
    at: ObjectAt,
    version: VersionId,
) -> Result<Option<(ObjectAt, StoredObject)>, store::Error> {
    match store.head(&at, Some(&version)).await {
        Err(store::Error::NoSuchObject | store::Error::DeleteMarker(_)) => Ok(None),
        found => Ok(Some((at, found?))),
    }
}

struct Count<'a> {
    gateway: &'a Gateway,
    store: &'a dyn ObjectStore,
    usage: Usage,
}

impl Count<'_> {
    /// Where a wrap in this bucket counts, if it is by the key.
    fn of(&mut self, bucket: &BucketName, key: &KeyArn, wrapped: &WrappedKey) -> Option<&mut Dependents> {
        if *key != self.usage.key {
            return None;
        }
        let version = version_of(&wrapped.0).map_or(0, |(_, version)| version);
        let dependents = self.usage.versions.entry(version).or_default();
        dependents.buckets.insert(bucket.to_string());
        Some(dependents)
    }

    async fn objects(&mut self, bucket: &BucketName, hear: &mut (impl FnMut(u64) + Send)) -> Result<(), Error> {
        let mut after = None;
        loop {
            // Anew for each page: an epoch may be begun, or moved, meanwhile.
            let record = self.store.bucket(bucket).await?;
            let query = VersionQuery { after, limit: PAGE, ..VersionQuery::default() };
            let page = self.store.list_versions(bucket, query).await?;
            after = page.entries.last().and_then(place);
            hear(page.entries.len() as u64);
            let rows = page.entries.into_iter().filter_map(|entry| match entry {
                VersionEntry::Object { key, object, .. } => Some((ObjectAt { bucket: bucket.clone(), key }, object)),
                VersionEntry::Marker { .. } | VersionEntry::Prefix(_) => None,
            });
            let rows: Vec<_> = if self.store.lists_metadata_of_now(&record) {
                rows.collect()
            } else {
                let looks = futures::stream::iter(rows).map(|(at, listed)| look(self.store, at, listed.version));
                looks.buffer_unordered(LOOKS).try_filter_map(async |found| Ok(found)).try_collect().await?
            };
            for (at, object) in rows {
                match self.gateway.wrapper_of(&record, &at, &object.metadata) {
                    Ok(Some(Wrapper { key, wrapped, by_bucket_key })) => {
                        if let Some(dependents) = self.of(bucket, &key, &wrapped) {
                            if by_bucket_key { dependents.by_bucket_key += 1 } else { dependents.direct += 1 }
                        }
                    }
                    Ok(None) => {}
                    Err(_) => self.usage.unknown += 1,
                }
            }
            if !page.truncated {
                return Ok(());
            }
        }
    }

    async fn uploads(&mut self, bucket: &BucketName) -> Result<(), Error> {
        let record = self.store.bucket(bucket).await?;
        let mut after = None;
        loop {
            let query = UploadQuery { after, limit: PAGE, ..UploadQuery::default() };
            let page = self.store.uploads(bucket, query).await?;
            after = None;
            for entry in page.entries {
                let UploadEntry::Upload(upload) = entry else { continue };
                after = Some((upload.key.as_str().to_owned(), Some(upload.id)));
                let at = ObjectAt { bucket: bucket.clone(), key: upload.key };
                match self.gateway.wrapper_of(&record, &at, &upload.metadata) {
                    Ok(Some(Wrapper { key, wrapped, .. })) => {
                        if let Some(dependents) = self.of(bucket, &key, &wrapped) {
                            dependents.uploads += 1;
                        }
                    }
                    Ok(None) => {}
                    Err(_) => self.usage.unknown += 1,
                }
            }
            if !page.truncated || after.is_none() {
                return Ok(());
            }
        }
    }
}
