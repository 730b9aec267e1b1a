//! `sealgate encrypt-bucket`: brings under encryption, object by object, what was in an upstream's bucket before sealgate
//! was in front of it. It can be stopped at any time and goes on where it is needed: what is encrypted already is passed
//! over. Gateways may serve the bucket meanwhile. Clients that write to the upstream past the gateways must not.

use std::time::Duration;

use tokio::time::Instant;

use crate::config::Config;
use crate::gateway::{self, Brought, Gateway};
use crate::serve::{self, opened_upstream};
use crate::store::{self, ListEntry, ListQuery, ObjectStore, VersionEntry, VersionQuery, Versioning};
use crate::types::{BucketName, ObjectAt};
use crate::walk::place;

/// How many rows are asked for at once.
const PAGE: usize = 1000;

/// What to encrypt, and how.
#[derive(Debug, Clone)]
pub struct Plan {
    /// The bucket.
    pub bucket: BucketName,
    /// Only keys that start with this.
    pub prefix: String,
    /// Only say what would be done.
    pub dry_run: bool,
    /// At most this many bytes a second.
    pub rate: Option<u64>,
}

/// Why it did not come to an end.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Keystore or store do not open.
    #[error(transparent)]
    Open(#[from] serve::Error),
    /// The bucket is not one that may hold foreign objects.
    #[error(
        "{0}: upstream_foreign_buckets does not name it, so nothing in it is served that would have to be encrypted"
    )]
    NotForeign(BucketName),
    /// The bucket is not there, or cannot be listed.
    #[error("{0}: {1}")]
    Bucket(BucketName, store::Error),
}

/// What was found and done.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Done {
    /// Objects that were encrypted (or would be).
    pub objects: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Objects that were encrypted before.
    pub already: u64,
    /// Objects that changed while they were read: run it again.
    pub changed: u64,
    /// Objects that could not be encrypted.
    pub failed: u64,
    /// Older versions that are not encrypted, and stay so: a version cannot be replaced.
    pub older: u64,
}

/// What a run tells while it goes.
pub trait Watcher {
    /// So many bytes lie ahead.
    fn begins(&mut self, bytes: u64);
    /// So many bytes more are encrypted.
    fn took(&mut self, bytes: u64);
    /// An object could not be encrypted.
    fn failed(&mut self, at: &ObjectAt, why: &gateway::Error);
}

/// Encrypts.
///
/// # Errors
/// What kept it from coming to the end. Objects that fail are no error here: see [`Done::failed`].
pub async fn encrypt(config: &Config, plan: &Plan, watcher: &mut (impl Watcher + Send)) -> Result<Done, Error> {
    let named = std::iter::once(&config.upstream).chain(config.upstreams.iter().map(|one| &one.upstream));
    if !named.into_iter().any(|upstream| upstream.foreign_buckets.contains(&plan.bucket)) {
        return Err(Error::NotForeign(plan.bucket.clone()));
    }
    let (gateway, store) = opened_upstream(config).await?;
    let mut done = Done::default();
    // A first walk for the bar's length, and it is all that a dry run does.
    let mut ahead = 0_u64;
    let mut walk = Walk { store: store.as_ref(), plan, after: None, ended: false };
    while let Some(rows) = walk.page().await? {
        for (_, len, foreign) in rows {
            if !foreign {
                done.already += 1;
                continue;
            }
            done.objects += 1;
            ahead = ahead.saturating_add(len);
        }
    }
    if plan.dry_run {
        done.older = older(store.as_ref(), plan).await?;
        return Ok(Done { bytes: ahead, ..done });
    }
    // So that it stays a bucket of the gateways' when it is taken off the list.
    store.adopt(&plan.bucket).await.map_err(|error| Error::Bucket(plan.bucket.clone(), error))?;
    watcher.begins(ahead);
    done.objects = 0;
    let begun = Instant::now();
    let mut walk = Walk { store: store.as_ref(), plan, after: None, ended: false };
    while let Some(rows) = walk.page().await? {
        for (at, len, foreign) in rows {
            if foreign {
                one(&gateway, &at, &mut done, watcher).await;
                watcher.took(len);
                if let Some(rate) = plan.rate.filter(|&rate| rate > 0) {
                    let due = Duration::from_millis(done.bytes.saturating_mul(1000) / rate);
                    tokio::time::sleep_until(begun + due).await;
                }
            }
        }
    }
    done.older = older(store.as_ref(), plan).await?;
    Ok(done)
}

/// Counts the versions that are not current and that sealgate did not write.
async fn older(store: &dyn ObjectStore, plan: &Plan) -> Result<u64, Error> {
    let bucket = &plan.bucket;
    let told = |error| Error::Bucket(bucket.clone(), error);
    if store.bucket(bucket).await.map_err(told)?.versioning == Versioning::Never {
        return Ok(0);
    }
    let (mut count, mut after) = (0, None);
    loop {
        let query = VersionQuery { prefix: plan.prefix.clone(), after, limit: PAGE, delimiter: None };
        let page = store.list_versions(bucket, query).await.map_err(told)?;
        after = page.entries.last().and_then(place);
        let is_old = |entry: &&VersionEntry| match entry {
            VersionEntry::Object { latest, object, .. } => !latest && object.metadata.envelope.is_empty(),
            VersionEntry::Marker { .. } | VersionEntry::Prefix(_) => false,
        };
        count += page.entries.iter().filter(is_old).count() as u64;
        if !page.truncated || after.is_none() {
            return Ok(count);
        }
    }
}

async fn one(gateway: &Gateway, at: &ObjectAt, done: &mut Done, watcher: &mut (impl Watcher + Send)) {
    match gateway.encrypt_object(at).await {
        Ok(Brought::Under(bytes)) => {
            done.objects += 1;
            done.bytes = done.bytes.saturating_add(bytes);
        }
        Ok(Brought::Already) => done.already += 1,
        Ok(Brought::Changed) => done.changed += 1,
        Err(why) => {
            done.failed += 1;
            watcher.failed(at, &why);
        }
    }
}

/// A walk over a bucket.
struct Walk<'a> {
    store: &'a dyn ObjectStore,
    plan: &'a Plan,
    after: Option<String>,
    ended: bool,
}

impl Walk<'_> {
    /// The next objects, their lengths, and whether sealgate did not write them.
    async fn page(&mut self) -> Result<Option<Vec<(ObjectAt, u64, bool)>>, Error> {
        if self.ended {
            return Ok(None);
        }
        let bucket = &self.plan.bucket;
        let query = ListQuery {
            prefix: self.plan.prefix.clone(),
            after: self.after.take(),
            limit: PAGE,
            ..ListQuery::default()
        };
        let page = self.store.list(bucket, query).await.map_err(|error| Error::Bucket(bucket.clone(), error))?;
        let rows: Vec<_> = page
            .entries
            .into_iter()
            .filter_map(|entry| match entry {
                ListEntry::Prefix(_) => None,
                ListEntry::Object { key, object } => {
                    let foreign = object.metadata.envelope.is_empty();
                    Some((ObjectAt { bucket: bucket.clone(), key }, object.len.0, foreign))
                }
            })
            .collect();
        self.after = rows.last().map(|(at, ..)| at.key.as_str().to_owned());
        self.ended = !page.truncated;
        Ok(Some(rows))
    }
}
