//! Ciphertext in an existing object store, with any number of gateways in front of it. Nothing but caches lives here:
//! whatever a gateway must know is upstream, sealed, and changed in a way that lets one of many win.
//!
//! * `settings`, `credentials`, `connect`, `sign`, `client`, `outgoing`, `upload`, `retry`, `failure`, `xml`: requests.
//! * `target`, `probe`: what an upstream is and can do.
//! * `reserved`, `claims`, `buckets`: what the gateways agree on.
//! * `headers`, `objects`, `put`, `gathered`, `copy`, `amend`, `listing`, `list`, `memory`: objects.
//! * `versions`, `list_versions`: what a bucket keeps of them.
//! * `pass`: configurations of buckets that are the upstream's business.
//! * `multipart`, `complete`, `stitch`, `sweep`: uploads, and what is left of them.

mod amend;
mod append;
mod buckets;
mod claims;
mod client;
mod complete;
mod connect;
mod copy;
mod credentials;
mod failure;
mod gathered;
mod headers;
mod list;
mod list_versions;
mod listing;
mod lock;
mod memory;
mod multipart;
mod objects;
mod outgoing;
mod pass;
mod probe;
mod put;
mod reserved;
mod retry;
mod seen;
mod settings;
mod sign;
mod stitch;
mod sweep;
mod target;
#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
mod upload;
mod versions;
mod xml;

use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;

use self::append::AppendWriter;
use self::buckets::Buckets;
use self::claims::under;
use self::client::Client;
use self::memory::Memory;
use self::multipart::UpstreamPart;
use self::objects::Opened;
use self::probe::Probe;
use self::put::{PutWriter, Shop, turn};
use self::seen::Seen;
use self::target::{Closed, Spot, Target};
use super::{
    Ahead, Bucket, CipherOffset, Completion, CopyPlan, Crossing, Deleted, Error, Governance, Growth, ListEntry,
    ListPage, ListQuery, Metadata, NewMetadata, ObjectLock, ObjectStore, ObjectWriter, OpenObject, PartPage,
    PartWriter, Passage, Passed, Passing, Precondition, StoredObject, StoredUpload, UploadAt, UploadPage, UploadQuery,
    VersionEntry, VersionPage, VersionQuery, Versioning,
};
use crate::types::{BucketName, Clock, ObjectAt, PartNumber, VersionId};

pub use reserved::{Reserved, Seal, Version};
pub use settings::{Addressing, Endpoint, KeySource, Mapped, Settings, Takes, UpstreamKey, Wire};
pub use sweep::Swept;
pub use target::Abilities;

/// A bucket for which no upstream is configured.
const NO_PLACE: &str = "a bucket without an upstream (none names it, and none is the default)";

/// A store of ciphertext in other stores.
#[derive(Debug)]
pub struct UpstreamStore {
    /// The first has the records of all buckets.
    targets: Vec<Arc<Target>>,
    buckets: Buckets,
    memory: Arc<Memory>,
    seen: Seen,
    clock: Arc<dyn Clock>,
}

/// Upstreams that were reached and tried, before there is a store of them. The keystore can be there, and so the key
/// that seals has to come first.
#[derive(Debug)]
pub struct Reached {
    targets: Vec<Arc<Target>>,
    seal: Arc<dyn Seal>,
    clock: Arc<dyn Clock>,
}

impl Reached {
    /// The reserved place of the first upstream.
    #[must_use]
    pub fn reserved(&self) -> Option<Reserved> {
        self.targets.first().map(|target| target.reserved.clone())
    }

    /// Whether there is anything in the place already.
    ///
    /// # Errors
    /// [`Error::Unavailable`].
    pub async fn is_used(&self) -> Result<bool, Error> {
        let Some(reserved) = self.reserved() else { return Ok(false) };
        Ok(!reserved.names("buckets/", None, 1).await?.0.is_empty())
    }

    /// The store of these upstreams. `region` is what buckets are in that nobody made through sealgate; `cache` a directory
    /// for what can be forgotten. Blocking.
    ///
    /// # Errors
    /// [`Error::Unavailable`] when the cache cannot be opened.
    pub fn open(self, region: String, cache: Option<&Path>) -> Result<UpstreamStore, Error> {
        let reserved = self.reserved().ok_or_else(|| Error::Unavailable("there is no upstream".to_owned()))?;
        let memory = Arc::new(Memory::open(cache, Arc::clone(&self.seal))?);
        let buckets = Buckets::new(reserved, region);
        Ok(UpstreamStore { targets: self.targets, buckets, memory, seen: Seen::default(), clock: self.clock })
    }
}

/// Reaches each upstream, and tries what it can do.
///
/// # Errors
/// [`Error::Unavailable`] says exactly what is wrong with which.
pub async fn reach(settings: Vec<Settings>, seal: Arc<dyn Seal>, clock: Arc<dyn Clock>) -> Result<Reached, Error> {
    let mut targets = Vec::with_capacity(settings.len());
    for one in &settings {
        let client = Arc::new(Client::new(one, Arc::clone(&clock))?);
        let abilities = Probe::new(&client, one)?.run().await?;
        let reserved = Reserved::new(Arc::clone(&client), one.reserved.clone(), Arc::clone(&seal));
        let closed = Closed::at(&one.endpoint, &settings);
        let target = Target { client, settings: one.clone(), reserved, abilities, closed };
        if !targets.is_empty() {
            no_records(&target).await?;
        }
        targets.push(Arc::new(target));
    }
    Ok(Reached { targets, seal, clock })
}

/// Whether an upstream that is not the first has what only the first may have: then the order was changed, and a new and
/// empty keystore would take the place of the old one.
async fn no_records(target: &Target) -> Result<(), Error> {
    for record in ["buckets/", "keystore/"] {
        if !target.reserved.names(record, None, 1).await?.0.is_empty() {
            return Err(Error::Unavailable(format!(
                "upstream {}: its reserved bucket {} has records of buckets and keys: list it as the first upstream",
                target.settings.label(),
                target.settings.reserved
            )));
        }
    }
    Ok(())
}

impl UpstreamStore {
    /// The upstream that has a bucket.
    fn target(&self, name: &BucketName) -> Result<&Arc<Target>, Error> {
        let named = self.targets.iter().find(|target| target.settings.buckets.contains_key(name));
        let default = || self.targets.iter().find(|target| target.settings.takes == Takes::Unnamed);
        named.or_else(default).ok_or(Error::NoSuchBucket)
    }

    /// The upstream of a bucket that is there.
    async fn at(&self, name: &BucketName) -> Result<&Arc<Target>, Error> {
        let target = self.target(name)?;
        self.buckets.get(target, name).await?;
        Ok(target)
    }

    /// Where an object is, in a bucket that is there.
    async fn spot(&self, at: &ObjectAt) -> Result<Spot, Error> {
        let target = self.target(&at.bucket)?;
        let bucket = self.buckets.get(target, &at.bucket).await?;
        placed(target, &bucket, at)
    }

    /// Deletes an object, or a version for good.
    async fn deleted(
        &self,
        at: &ObjectAt,
        version: Option<&VersionId>,
        precondition: Precondition,
        governance: Governance,
    ) -> Result<Deleted, Error> {
        let spot = self.spot(at).await?;
        let deleted = match version {
            None if spot.versioning != Versioning::Never => spot.mark(at, &precondition).await,
            Some(version) if spot.versioning != Versioning::Never => {
                spot.remove_version(at, version, &precondition, governance).await
            }
            Some(version) if !version.is_null() => return Ok(Deleted::Absent),
            _ => {
                let claim = turn(&spot, at, &precondition).await?;
                under(claim, spot.remove()).await.map(|_| Deleted::Gone { marker: false })
            }
        };
        self.memory.forget(at, version);
        let deleted = deleted?;
        if let Deleted::Gone { .. } = deleted
            && let Some(name) = spot.amendment_name(version.unwrap_or(&VersionId::null()))
            && let Err(error) = spot.target.reserved.remove(&name).await
        {
            tracing::warn!(%error, "the record of a deleted object stays");
        }
        Ok(deleted)
    }

    fn shop(&self) -> Shop {
        Shop { memory: Arc::clone(&self.memory), clock: Arc::clone(&self.clock) }
    }

    /// Makes the record of a bucket that so far only the configuration names.
    ///
    /// # Errors
    /// [`Error::NoSuchBucket`]; [`Error::Unavailable`].
    pub async fn adopt(&self, name: &BucketName) -> Result<(), Error> {
        let target = self.target(name)?;
        if self.buckets.is_recorded(name).await? {
            return Ok(());
        }
        self.buckets.change(target, name, |_| {}).await
    }

    /// Whether every upstream answers.
    ///
    /// # Errors
    /// The first that does not, and why.
    pub async fn check(&self) -> Result<(), Error> {
        for target in &self.targets {
            target.reserved.names("buckets/", None, 1).await.map_err(|error| match target.settings.name.as_str() {
                "" => error,
                _ => Error::Unavailable(format!("upstream {}: {error}", target.settings.label())),
            })?;
        }
        Ok(())
    }

    /// Removes what nobody comes back for, if it is this gateway's turn; `None` if it is not.
    ///
    /// # Errors
    /// [`Error::Unavailable`]; the next sweep goes on.
    pub async fn sweep(&self) -> Result<Option<Swept>, Error> {
        let buckets = self.buckets.all().await?;
        let mut all: Option<Swept> = None;
        for target in &self.targets {
            // Where others may write past the gateways, uploads may be theirs.
            let ours = buckets.iter().map(|bucket| bucket.name.clone()).filter(|name| {
                self.target(name).is_ok_and(|its| Arc::ptr_eq(its, target)) && !target.settings.foreign.contains(name)
            });
            let ours: Vec<BucketName> = ours.collect();
            let abandoned_after = target.settings.abandoned_after.map_or(u128::MAX, |after| after.as_millis());
            let abandoned_after = u64::try_from(abandoned_after).unwrap_or(u64::MAX);
            if let Some(swept) = sweep::in_turn(target, &ours, self.clock.now(), abandoned_after).await? {
                let all = all.get_or_insert_default();
                all.uploads += swept.uploads;
                all.records += swept.records;
                all.nameless += swept.nameless;
            }
        }
        Ok(all)
    }

    /// What the first upstream was found to be able to do.
    #[must_use]
    pub fn abilities(&self) -> Abilities {
        self.targets.first().map(|target| target.abilities).unwrap_or_default()
    }
}

/// Where an object is, in a bucket as it is now.
fn placed(target: &Arc<Target>, bucket: &Bucket, at: &ObjectAt) -> Result<Spot, Error> {
    let amends = bucket.configs.contains_key(amend::AMENDED).then(|| amend::name_of(at));
    Ok(Spot { amends, versioning: bucket.versioning, ..target.spot(at)? })
}

/// Looks at the version that was named. One that is there under the upstream's id and not under ours is not there.
async fn look_named(spot: &Spot, version: Option<&VersionId>) -> Result<StoredObject, Error> {
    let object = spot.look().await?;
    if version.is_none_or(|version| object.version == *version) { Ok(object) } else { Err(Error::NoSuchObject) }
}

#[async_trait]
impl ObjectStore for UpstreamStore {
    async fn create_bucket(&self, bucket: Bucket) -> Result<(), Error> {
        let target = self.target(&bucket.name).map_err(|_| Error::Unsupported(NO_PLACE))?;
        self.buckets.create(target, bucket).await
    }

    async fn delete_bucket(&self, name: &BucketName) -> Result<(), Error> {
        self.buckets.delete(self.target(name)?, name).await
    }

    async fn bucket(&self, name: &BucketName) -> Result<Bucket, Error> {
        self.buckets.get(self.target(name)?, name).await.map(|bucket| Bucket::clone(&bucket))
    }

    async fn buckets(&self) -> Result<Vec<Bucket>, Error> {
        let mut all = self.buckets.all().await?;
        // What no upstream has any more can be neither read nor written.
        all.retain(|bucket| self.target(&bucket.name).is_ok());
        for target in &self.targets {
            for name in &target.settings.foreign {
                if all.iter().any(|bucket| bucket.name == *name) {
                    continue;
                }
                match self.bucket(name).await {
                    Ok(bucket) => all.push(bucket),
                    Err(Error::NoSuchBucket) => {}
                    Err(error) => return Err(error),
                }
            }
        }
        all.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(all)
    }

    async fn set_bucket_config(&self, name: &BucketName, kind: &str, value: Option<Vec<u8>>) -> Result<(), Error> {
        let change = |bucket: &mut Bucket| match &value {
            Some(value) => {
                bucket.configs.insert(kind.to_owned(), value.clone());
            }
            None => {
                bucket.configs.remove(kind);
            }
        };
        self.buckets.change(self.target(name)?, name, change).await
    }

    async fn set_versioning(&self, name: &BucketName, versioning: Versioning) -> Result<(), Error> {
        let target = self.at(name).await?;
        if versioning == Versioning::Never {
            return Ok(());
        }
        // The upstream first: a gateway that believes in versions which nobody keeps would lose what it deletes.
        versions::set(target, name, versioning).await?;
        self.buckets.change(target, name, |bucket| bucket.versioning = versioning).await
    }

    fn passes(&self, bucket: &BucketName, passage: Passage) -> Crossing {
        self.target(bucket).map_or(Crossing::Never, |target| pass::passes(&target.settings, bucket, passage))
    }

    async fn pass(&self, bucket: &BucketName, passing: &Passing, document: Bytes) -> Result<Passed, Error> {
        let target = self.at(bucket).await?;
        if pass::passes(&target.settings, bucket, passing.passage) != Crossing::Passes {
            return Err(Error::Unsupported("this configuration of a bucket"));
        }
        let Some(object) = &passing.object else { return pass::pass(target, bucket, passing, document).await };
        let at = ObjectAt { bucket: bucket.clone(), key: object.key.clone() };
        let spot = self.spot(&at).await?.named(object.version.as_ref()).await?;
        // An id of ours that is not the object's names nothing.
        let found = look_named(&spot, object.version.as_ref()).await?;
        pass::pass_of_object(&spot.at_version(&found.version), passing, object.governance, document).await
    }

    async fn put(&self, at: &ObjectAt, metadata: Metadata, ahead: Ahead) -> Result<Box<dyn ObjectWriter>, Error> {
        let spot = self.spot(at).await?;
        Ok(Box::new(PutWriter::begin(spot, at, metadata, &ahead, &self.shop())?))
    }

    async fn append(&self, at: &ObjectAt, growth: Growth) -> Result<Box<dyn ObjectWriter>, Error> {
        let spot = self.spot(at).await?;
        Ok(Box::new(AppendWriter::begin(spot, at, growth, &self.shop()).await?))
    }

    async fn head(&self, at: &ObjectAt, version: Option<&VersionId>) -> Result<StoredObject, Error> {
        let spot = self.spot(at).await?.named(version).await?;
        look_named(&spot, version).await
    }

    async fn open(&self, at: &ObjectAt, version: Option<&VersionId>) -> Result<Box<dyn OpenObject>, Error> {
        let spot = self.spot(at).await?.named(version).await?;
        let object = look_named(&spot, version).await?;
        // What was looked at stays readable, whatever becomes the current version meanwhile.
        Ok(Box::new(Opened { spot: spot.at_version(&object.version), object }))
    }

    async fn recall(&self, at: &ObjectAt, version: Option<&VersionId>) -> Result<Option<Box<dyn OpenObject>>, Error> {
        let Some(object) = self.memory.recall(at, version.and_then(VersionId::own)) else { return Ok(None) };
        let spot = self.spot(at).await?;
        if version.is_some_and(|version| *version != object.version) {
            return Ok(None);
        }
        // Of what was said beside the object since, and of locks, a memory knows nothing; and an empty body is read without
        // asking.
        let lockable = spot.versioning == Versioning::Enabled && lock::shows_locks(&spot.target);
        if spot.amends.is_some() || object.len == CipherOffset(0) || lockable {
            return Ok(None);
        }
        let spot = if version.is_some() { spot.at_version(&object.version) } else { spot };
        Ok(Some(Box::new(Opened { spot, object })))
    }

    fn may_be_foreign(&self, bucket: &BucketName) -> bool {
        self.target(bucket).is_ok_and(|target| target.settings.foreign.contains(bucket))
    }

    fn keep_summary(&self, at: &ObjectAt, object: &StoredObject, latest: bool) {
        if latest { self.memory.keep(at, object) } else { self.memory.keep_version(at, object) }
    }

    async fn delete(
        &self,
        at: &ObjectAt,
        version: Option<&VersionId>,
        precondition: Precondition,
    ) -> Result<Deleted, Error> {
        self.deleted(at, version, precondition, Governance::Heeded).await
    }

    async fn delete_past_governance(
        &self,
        at: &ObjectAt,
        version: &VersionId,
        precondition: Precondition,
    ) -> Result<Deleted, Error> {
        self.deleted(at, Some(version), precondition, Governance::Bypassed).await
    }

    async fn can_lock(&self, bucket: &BucketName, lock: &ObjectLock) -> Result<bool, Error> {
        let target = self.target(bucket)?;
        let keeps_versions = self.buckets.get(target, bucket).await?.versioning == Versioning::Enabled;
        Ok(lock::can_lock(target, bucket, lock).await? && keeps_versions)
    }

    async fn copy(&self, plan: CopyPlan) -> Result<StoredObject, Error> {
        let source = self.spot(&plan.source.0).await?.named(plan.source.1.as_ref()).await?;
        let spot = self.spot(&plan.target).await?;
        copy::copy(source, spot, plan, &self.shop()).await
    }

    fn lists_metadata_of_now(&self, bucket: &Bucket) -> bool {
        !bucket.configs.contains_key(amend::AMENDED)
    }

    async fn set_metadata(&self, at: &ObjectAt, new: NewMetadata) -> Result<StoredObject, Error> {
        let spot = self.spot(at).await?.named(new.version.as_ref()).await?;
        amend::amend(&self.buckets, spot, at, new).await
    }

    async fn list_versions(&self, bucket: &BucketName, query: VersionQuery) -> Result<VersionPage, Error> {
        let target = self.target(bucket)?;
        let known = self.buckets.get(target, bucket).await?;
        if known.versioning != Versioning::Never {
            let place = |at: &ObjectAt| placed(target, &known, at);
            return list_versions::versions(target, place, &self.memory, bucket, query).await;
        }
        let query = ListQuery {
            prefix: query.prefix,
            delimiter: query.delimiter,
            // Each key has one version, so what comes after any version of a key comes after the key.
            after: query.after.map(|(key, _)| key),
            limit: query.limit,
        };
        let page = self.list(bucket, query).await?;
        let entries = page.entries.into_iter().map(|entry| match entry {
            ListEntry::Object { key, object } => VersionEntry::Object { key, latest: true, object },
            ListEntry::Prefix(prefix) => VersionEntry::Prefix(prefix),
        });
        Ok(VersionPage { entries: entries.collect(), truncated: page.truncated })
    }

    async fn list(&self, bucket: &BucketName, query: ListQuery) -> Result<ListPage, Error> {
        list::objects(self.at(bucket).await?, &self.memory, bucket, &query).await
    }

    async fn create_upload(&self, at: &UploadAt, metadata: Metadata, state: Bytes) -> Result<(), Error> {
        let target = self.at(&at.object.bucket).await?;
        multipart::create(target, at, metadata, state, self.clock.now()).await
    }

    async fn upload(&self, at: &UploadAt) -> Result<StoredUpload, Error> {
        let target = self.target(&at.object.bucket)?;
        let upload = multipart::find(&target.reserved, at).await?;
        self.seen.keep(at, &upload);
        Ok(upload.into_stored(at.id.clone()))
    }

    async fn put_part(
        &self,
        at: &UploadAt,
        number: PartNumber,
        len: Option<CipherOffset>,
    ) -> Result<Box<dyn PartWriter>, Error> {
        let target = self.target(&at.object.bucket)?;
        let upload = match self.seen.get(at) {
            Some(upload) => upload,
            None => multipart::find(&target.reserved, at).await?,
        };
        Ok(Box::new(UpstreamPart::begin(target, at, &upload, number, len, &self.shop())?))
    }

    async fn parts(&self, at: &UploadAt, after: Option<PartNumber>, limit: usize) -> Result<PartPage, Error> {
        multipart::parts(&self.target(&at.object.bucket)?.reserved, at, after, limit).await
    }

    async fn uploads(&self, bucket: &BucketName, query: UploadQuery) -> Result<UploadPage, Error> {
        multipart::uploads(&self.at(bucket).await?.reserved, bucket, &query).await
    }

    async fn complete(&self, at: &UploadAt, completion: Completion) -> Result<StoredObject, Error> {
        self.seen.forget(at);
        complete::complete(&self.spot(&at.object).await?, at, completion, &self.shop()).await
    }

    async fn completed(&self, at: &UploadAt) -> Result<Option<StoredObject>, Error> {
        complete::completed(&self.spot(&at.object).await?, at).await
    }

    async fn abort(&self, at: &UploadAt) -> Result<(), Error> {
        self.seen.forget(at);
        multipart::abort(self.target(&at.object.bucket)?, at).await
    }
}
