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
use crate::kms;
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
    /// A master key that was deleted, by id or ARN: what only it opened is reported as that, and is no damage.
    pub key: Option<String>,
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
    /// Versions that nobody can read any more since the plan's key is gone.
    #[serde(default)]
    pub shredded: u64,
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
    /// A version was under the plan's key, which is gone.
    fn shredded(&mut self, at: &ObjectAt, version: &VersionId);
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
            Err(why) if self.is_shredded(&why) => {
                self.found.shredded += 1;
                watcher.shredded(at, version);
            }
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

    /// Whether a version is unreadable because the plan's key is gone. A key that is closed only, as long as it can be
    /// opened again, is another matter, and so is any other key.
    fn is_shredded(&self, why: &gateway::Error) -> bool {
        let (Some(key), gateway::Error::Kms(kms::Error::NotFound(gone))) = (&self.plan.key, why) else { return false };
        gone == key || gone.rsplit_once('/').is_some_and(|(_, id)| id == key)
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

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::gateway::{CannedAcl, Conditions, DeclaredDigests, LengthIs, ObjectHeaders, PlainBody, PutRequest};
    use crate::identity::{Authenticated, Caller, Requester};
    use crate::kms::embedded::{EmbeddedKms, KeystoreOptions, NewKey, RootKey};
    use crate::kms::{KeyRef, ServiceKey};
    use crate::sse::{DataCipher, Keyring, SseRequest};
    use crate::store::local::LocalStore;
    use crate::types::{Clock, SystemClock, Timestamp};

    /// Eight days ago: a deletion that is scheduled then, for seven, has happened by now.
    #[derive(Debug)]
    struct LastWeek;

    impl Clock for LastWeek {
        fn now(&self) -> Timestamp {
            Timestamp(SystemClock.now().0 - 8 * 24 * 3600 * 1000)
        }
    }

    #[derive(Default)]
    struct Heard {
        shredded: Vec<String>,
        damaged: Vec<String>,
    }

    impl Watcher for Heard {
        fn begins(&mut self, _: u64, _: u64) {}

        fn took(&mut self, _: u64) {}

        fn shredded(&mut self, at: &ObjectAt, _: &VersionId) {
            self.shredded.push(at.key.as_str().to_owned());
        }

        fn damaged(&mut self, at: &ObjectAt, _: &VersionId, _: &gateway::Error) {
            self.damaged.push(at.key.as_str().to_owned());
        }
    }

    fn put(key: &str, sse: Option<(&str, bool)>) -> PutRequest {
        let body = bytes::Bytes::from_static(b"hello");
        PutRequest {
            at: ObjectAt { bucket: "bucket".parse().unwrap(), key: key.parse().unwrap() },
            headers: ObjectHeaders::default(),
            sse: sse.map(|(key, bucket_key)| SseRequest::Kms {
                key: Some(KeyRef(key.to_owned())),
                context: None,
                bucket_key,
                cipher: DataCipher::Aes256,
            }),
            digests: DeclaredDigests::default(),
            conditions: Conditions::default(),
            body: PlainBody {
                len: body.len() as u64,
                stream: Box::pin(futures::stream::iter([Ok(body)])),
                length_is: LengthIs::Declared,
                trailers: None,
            },
        }
    }

    #[tokio::test]
    async fn a_deleted_key_takes_its_objects_with_it_and_no_others() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path();
        let clock: Arc<dyn Clock> = Arc::new(LastWeek);
        let root = RootKey::load(None, path).unwrap();
        let keystore = EmbeddedKms::open(path, root, KeystoreOptions::default(), Arc::clone(&clock), false).unwrap();
        let keystore = Arc::new(keystore);
        let store = Arc::new(LocalStore::open(path, Arc::clone(&clock)).unwrap());
        let keys = Keyring::new(keystore.clone(), ServiceKey::new(*keystore.service_key()));
        let gateway = Gateway::new(store, keys, "us-east-1".to_owned(), clock);
        let caller = Requester::from(Caller::User(Authenticated::for_test("alice", false)));
        gateway.create_bucket(&caller, "bucket".parse().unwrap(), None, CannedAcl::Private, false).await.unwrap();
        let principal = caller.principal().unwrap();
        let mut arns = Vec::new();
        for _ in 0..3 {
            arns.push(keystore.create_key(&principal, NewKey::default()).await.unwrap().arn.0);
        }
        let [gone, kept, closed] = arns.try_into().unwrap();
        for (key, sse) in [
            ("gone directly", Some((gone.as_str(), false))),
            ("gone by a bucket key", Some((gone.as_str(), true))),
            ("kept", Some((kept.as_str(), false))),
            ("kept by a bucket key", Some((kept.as_str(), true))),
            ("of the service", None),
            ("under a closed key", Some((closed.as_str(), true))),
        ] {
            gateway.put_object(&caller, put(key, sse)).await.unwrap();
        }
        keystore.schedule_deletion(&principal, &KeyRef(gone.clone()), 7).await.unwrap();
        keystore.disable_key(&principal, &KeyRef(closed)).await.unwrap();
        drop((gateway, keystore));

        let config = Config { data_dir: path.to_owned(), ..Config::default() };
        let id = gone.rsplit_once('/').unwrap().1.to_owned();
        for (key, shredded) in [(Some(gone.clone()), true), (Some(id), true), (Some(kept), false), (None, false)] {
            let (mut heard, plan) = (Heard::default(), Plan { key, ..Plan::default() });
            let found = loop {
                match verify(&config, &plan, &mut heard).await {
                    // The gateway before ends on threads of its own.
                    Err(Error::Open(_)) => tokio::task::yield_now().await,
                    verified => break verified.unwrap(),
                }
            };
            let lost = ["gone by a bucket key", "gone directly"];
            let others = ["under a closed key"];
            assert_eq!((found.objects, found.shredded), (6, if shredded { 2 } else { 0 }));
            assert_eq!(heard.shredded, if shredded { lost.to_vec() } else { Vec::new() });
            let damaged = if shredded { others.to_vec() } else { [&lost[..], &others[..]].concat() };
            assert_eq!(heard.damaged, damaged);
        }
    }
}
