//! `sealgate verify`: reads every version of every object as a client would, and says what does not authenticate. It works
//! on a data directory that no gateway serves. Objects under a customer's key are checked as far as that goes without
//! the key: their metadata, their layout and the seal of their manifest.

use std::path::PathBuf;
use std::time::Duration;

use futures::StreamExt as _;
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use crate::config::Config;
use crate::gateway::{self, Gateway};
use crate::serve::{self, opened};
use crate::store::{self, ObjectStore, VersionEntry, VersionQuery};
use crate::types::{BucketName, ObjectAt, VersionId};
use crate::walk::{Pace, place, read_cursor, remove_cursor, write_cursor};

/// How many rows are asked for at once.
const PAGE: usize = 1000;
/// How often the cursor is written, in objects …
const CURSOR_EVERY: u64 = 256;
/// … and after how long at the latest.
const CURSOR_AFTER: Duration = Duration::from_secs(2);

/// What to verify, and how.
#[derive(Debug, Clone, Default)]
pub struct Plan {
    /// These buckets; all when none is named.
    pub buckets: Vec<BucketName>,
    /// A file that remembers how far it came: a run that was cut goes on from there. It is removed at the end.
    pub cursor: Option<PathBuf>,
    /// At most this many bytes of plaintext a second.
    pub rate: Option<u64>,
}

/// Why verifying did not come to an end.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Keystore or store do not open.
    #[error(transparent)]
    Open(#[from] serve::Error),
    /// A bucket that was named is not there, or cannot be listed.
    #[error("{0}: {1}")]
    Bucket(BucketName, store::Error),
    /// The cursor's file.
    #[error("{path}: {source}")]
    Cursor {
        /// Where.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
}

/// How far a run came, and what it found.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Found {
    /// Versions that were read.
    pub objects: u64,
    /// Bytes of plaintext that were authenticated.
    pub bytes: u64,
    /// Versions among them that only their customer's key opens.
    pub sealed: u64,
    /// Versions that do not verify.
    pub damaged: u64,
}

/// Where a run stands: after this version.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Cursor {
    bucket: BucketName,
    key: String,
    version: VersionId,
    found: Found,
}

/// What a run tells while it goes.
pub trait Watcher {
    /// So many versions lie ahead, of so many stored bytes.
    fn begins(&mut self, versions: u64, bytes: u64);
    /// So many bytes more were authenticated.
    fn took(&mut self, bytes: u64);
    /// A version does not verify.
    fn damaged(&mut self, at: &ObjectAt, version: &VersionId, why: &gateway::Error);
}

/// Verifies.
///
/// # Errors
/// What kept it from coming to the end. Damage is no error here: see [`Found::damaged`].
pub async fn verify(config: &Config, plan: &Plan, watcher: &mut (impl Watcher + Send)) -> Result<Found, Error> {
    let (gateway, store) = opened(config).await?;
    let mut run = Run {
        gateway: &gateway,
        store: store.as_ref(),
        plan,
        pace: Pace::new(plan.rate),
        found: Found::default(),
        kept: Instant::now(),
    };
    let cursor: Option<Cursor> = match &plan.cursor {
        Some(path) => read_cursor(path).map_err(|source| Error::Cursor { path: path.clone(), source })?,
        None => None,
    };
    let mut buckets = plan.buckets.clone();
    if buckets.is_empty() {
        let all = store.buckets().await.map_err(|error| Error::Open(error.into()))?;
        buckets = all.into_iter().map(|bucket| bucket.name).collect();
    }
    buckets.sort();
    buckets.dedup();
    if let Some(cursor) = &cursor {
        run.found = cursor.found.clone();
        buckets.retain(|bucket| *bucket >= cursor.bucket);
    }
    let (mut versions, mut bytes) = (0, 0);
    for bucket in &buckets {
        let (more, longer) = run.count(bucket).await?;
        (versions, bytes) = (versions + more, bytes + longer);
    }
    watcher.begins(versions, bytes);
    for bucket in &buckets {
        let after = cursor.as_ref().filter(|cursor| cursor.bucket == *bucket);
        run.bucket(bucket, after.map(|cursor| (cursor.key.clone(), Some(cursor.version.clone()))), watcher).await?;
    }
    if let Some(path) = &plan.cursor {
        remove_cursor(path).map_err(|source| Error::Cursor { path: path.clone(), source })?;
    }
    Ok(run.found)
}

struct Run<'a> {
    gateway: &'a Gateway,
    store: &'a dyn ObjectStore,
    plan: &'a Plan,
    pace: Pace,
    found: Found,
    /// When the cursor was written last.
    kept: Instant,
}

impl Run<'_> {
    async fn page(
        &self,
        bucket: &BucketName,
        after: Option<(String, Option<VersionId>)>,
    ) -> Result<store::VersionPage, Error> {
        let query = VersionQuery { after, limit: PAGE, ..VersionQuery::default() };
        self.store.list_versions(bucket, query).await.map_err(|error| Error::Bucket(bucket.clone(), error))
    }

    async fn count(&self, bucket: &BucketName) -> Result<(u64, u64), Error> {
        let (mut versions, mut bytes, mut after) = (0, 0, None);
        loop {
            let page = self.page(bucket, after).await?;
            for entry in &page.entries {
                if let VersionEntry::Object { object, .. } = entry {
                    (versions, bytes) = (versions + 1, bytes + object.len.0);
                }
            }
            after = page.entries.last().and_then(place);
            if !page.truncated {
                return Ok((versions, bytes));
            }
        }
    }

    async fn bucket(
        &mut self,
        bucket: &BucketName,
        mut after: Option<(String, Option<VersionId>)>,
        watcher: &mut (impl Watcher + Send),
    ) -> Result<(), Error> {
        loop {
            let page = self.page(bucket, after).await?;
            for entry in &page.entries {
                let VersionEntry::Object { key, object, .. } = entry else { continue };
                let at = ObjectAt { bucket: bucket.clone(), key: key.clone() };
                self.object(&at, &object.version, watcher).await?;
            }
            after = page.entries.last().and_then(place);
            if !page.truncated {
                return Ok(());
            }
        }
    }

    async fn object(
        &mut self,
        at: &ObjectAt,
        version: &VersionId,
        watcher: &mut (impl Watcher + Send),
    ) -> Result<(), Error> {
        self.found.objects += 1;
        match self.read(at, version, watcher).await {
            Ok(true) => {}
            Ok(false) => self.found.sealed += 1,
            Err(why) => {
                self.found.damaged += 1;
                watcher.damaged(at, version, &why);
            }
        }
        let due = self.found.objects.is_multiple_of(CURSOR_EVERY) || self.kept.elapsed() > CURSOR_AFTER;
        match &self.plan.cursor {
            Some(path) if due => {
                self.kept = Instant::now();
                let (bucket, key) = (at.bucket.clone(), at.key.as_str().to_owned());
                let cursor = Cursor { bucket, key, version: version.clone(), found: self.found.clone() };
                write_cursor(path, &cursor).map_err(|source| Error::Cursor { path: path.clone(), source })
            }
            _ => Ok(()),
        }
    }

    /// Reads one version to its end; `false` when only its customer could.
    async fn read(
        &mut self,
        at: &ObjectAt,
        version: &VersionId,
        watcher: &mut (impl Watcher + Send),
    ) -> Result<bool, gateway::Error> {
        let Some(mut body) = self.gateway.verify_object(at, version).await? else { return Ok(false) };
        while let Some(chunk) = body.next().await {
            let bytes = chunk?.len() as u64;
            self.found.bytes += bytes;
            watcher.took(bytes);
            self.pace.took(bytes).await;
        }
        Ok(true)
    }
}
