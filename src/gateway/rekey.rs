//! Moving to another master key without touching a body: a whole bucket by its epochs' records, one object by its own
//! wrap. ETags and dates stay.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::identity::{Action, Requester};
use crate::kms::embedded::version_of;
use crate::kms::{self, KeyArn, KeyCache, KeyRef, Principal, WrappedKey};
use crate::sse::{Epoch, Lease, SseChoice, SseMode, Wrap};
use crate::store::{self, NewMetadata};
use crate::types::{BucketName, ObjectAt, Timestamp, UserId, VersionId};

use super::access::principal_for;
use super::opened::{Looked, shown_version};
use super::tags::action_on;
use super::{Error, Gateway};

/// How often an object is looked at again because others change it.
const TRIES: usize = 16;

/// What became of the epochs of a bucket.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct EpochsMoved {
    /// Records that another wrap stands in now.
    pub moved: u64,
    /// The CMKs that wrap the bucket's epochs now.
    pub keys: Vec<KeyArn>,
}

/// To which master key an object is to go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewKey {
    /// The CMK.
    pub key: KeyRef,
    /// Whether a bucket key is to stand between.
    pub bucket_key: bool,
}

impl Gateway {
    /// Wraps the epochs of a bucket under another CMK, or each under the current version of its own: O(1) in the number of
    /// objects, and safe while they are read and written. On behalf of the operator.
    ///
    /// An epoch that somebody begins at this moment may stay where it is; doing it again moves that too. Whoever has an old
    /// bucket key unwrapped still opens what it wrapped.
    ///
    /// # Errors
    /// [`Error::NoSuchBucket`], [`Error::Kms`]; what was moved before stays moved.
    pub async fn move_epochs(&self, bucket: &BucketName, to: Option<&KeyRef>) -> Result<EpochsMoved, Error> {
        let operator = operator();
        let mut done = EpochsMoved::default();
        let before = self.store.bucket(bucket).await?;
        for epoch in self.epochs(&before).all().map_err(Error::Integrity)? {
            let moved = self.keys.rewrap_epoch(&operator, bucket, &epoch, to).await?;
            let record = moved.seal(bucket, self.keys.attribute_key())?;
            self.store.set_bucket_config(bucket, &Epoch::kind(moved.id), Some(record)).await?;
            done.moved += 1;
            if !done.keys.contains(&moved.key) {
                done.keys.push(moved.key);
            }
        }
        Ok(done)
    }

    /// S3's UpdateObjectEncryption: wraps an object's data key under a CMK. Body, ETag, date and version stay.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] for an object that is not encrypted, or under a customer's key; [`Error::Conflict`] when
    /// others change it without end; [`Error::Held`] under a lock; the KMS's errors, as whoever reads and writes the object.
    pub async fn update_encryption(
        &self,
        caller: &Requester,
        at: &ObjectAt,
        version: Option<VersionId>,
        to: NewKey,
    ) -> Result<Option<VersionId>, Error> {
        let action = action_on(version.as_ref(), Action::UpdateObjectEncryption, Action::UpdateObjectEncryption);
        let bucket = self.object_for(caller, at, action).await?;
        let principal = principal_for(caller, true)?;
        for _ in 0..TRIES {
            let looked = self.alarm.heed(self.look(at, version.as_ref()).await);
            let looked = looked.map_err(|error| self.seen_by(caller, &bucket, error))?;
            match looked.envelope.mode() {
                SseMode::S3 | SseMode::Kms if !looked.foreign => {}
                SseMode::S3 | SseMode::Kms | SseMode::Customer | SseMode::None => {
                    return Err(Error::InvalidArgument(
                        "only objects under SSE-S3 and SSE-KMS can be moved to another key".to_owned(),
                    ));
                }
            }
            if looked.object.lock.holds(self.clock.now()) {
                return Err(Error::Held);
            }
            let shown = shown_version(&bucket, &looked.object.version);
            let choice = choice_for(&looked, to.key.clone(), to.bucket_key);
            let lease = self.lease(&principal, &choice, &bucket).await?;
            if self.rekey(&principal, at, looked, &choice, lease.as_deref()).await? {
                return Ok(shown);
            }
        }
        Err(Error::Conflict)
    }

    /// Wraps the data key of an object that was looked at anew, and puts the new wrap in its metadata. `false` when the
    /// object has changed since.
    async fn rekey(
        &self,
        principal: &Principal,
        at: &ObjectAt,
        looked: Looked,
        choice: &SseChoice,
        lease: Option<&Lease>,
    ) -> Result<bool, Error> {
        let Looked { object, envelope: old, .. } = looked;
        let data_key = self.data_key_as(principal, at, &old, None).await?;
        let mut envelope = self.keys.rewrap(principal, &data_key, &old, choice, at, lease).await?;
        // The version is not made anew: its id stays bound to it.
        envelope.version = old.version;
        let mut metadata = object.metadata;
        self.keys.bind(at, &mut metadata, &envelope)?;
        let new = NewMetadata { version: Some(object.version), was: object.tag, metadata, summary: object.summary };
        match self.store.set_metadata(at, new).await {
            Err(store::Error::Changed | store::Error::NoSuchObject) => Ok(false),
            Err(other) => Err(other.into()),
            Ok(_) => Ok(true),
        }
    }

    /// Begins to wrap the data keys of a bucket's objects anew, one by one ([`Gateway::rewrap_object`]): under `to`, or each
    /// under the current version of its own CMK. What a bucket key wraps goes under one that is begun after `since`.
    #[must_use]
    pub fn begin_rewrap(&self, to: Option<KeyRef>, since: Option<Timestamp>) -> Rewrapping {
        let since = since.unwrap_or_else(|| self.clock.now());
        Rewrapping { operator: operator(), to, since, leases: KeyCache::new(LEASED), wraps: Mutex::default() }
    }

    /// Wraps the data key of one version anew, by its metadata alone. On behalf of the operator. Where somebody writes the
    /// object meanwhile, what he wrote stays.
    ///
    /// # Errors
    /// The KMS's errors, [`Error::Integrity`], and those of the store; the object is as it was then.
    pub async fn rewrap_object(
        &self,
        run: &Rewrapping,
        at: &ObjectAt,
        version: &VersionId,
        dry_run: bool,
    ) -> Result<Rewrapped, Error> {
        for _ in 0..TRIES {
            let looked = match self.look(at, Some(version)).await {
                Err(Error::NoSuchKey | Error::NoSuchVersion) => return Ok(Rewrapped::Changed),
                looked => looked?,
            };
            let Wrap::Kms { key, wrapped, bucket_key, context, epoch } = &looked.envelope.wrap else {
                return Ok(Rewrapped::Another);
            };
            let to = run.to.clone().unwrap_or_else(|| KeyRef(key.0.clone()));
            let choice = choice_for(&looked, to.clone(), *bucket_key);
            let bucket = self.store.bucket(&at.bucket).await?;
            let by_bucket_key = *bucket_key && context.0.is_empty();
            let begun = match epoch {
                Some(epoch) => self.epochs(&bucket).get(epoch.id).map_err(Error::Integrity)?.map(|epoch| epoch.created),
                None => None,
            };
            let is_new = begun.is_some_and(|begun| begun >= run.since);
            if dry_run {
                return Ok(if is_new { Rewrapped::Already } else { Rewrapped::Anew });
            }
            let lease = match by_bucket_key {
                true => Some(self.next_epoch(run, &bucket, &to).await?),
                false => None,
            };
            let there = match &lease {
                Some(lease) => is_new && lease.cmk() == key,
                None => run.wraps_as(&to, key, wrapped),
            };
            if there {
                return Ok(Rewrapped::Already);
            }
            if self.rekey(&run.operator, at, looked, &choice, lease.as_deref()).await? {
                if lease.is_none() {
                    self.learn(run, at, version, to).await?;
                }
                return Ok(Rewrapped::Anew);
            }
        }
        Ok(Rewrapped::Changed)
    }

    /// The bucket key of a run, begun at the first object that needs it.
    async fn next_epoch(&self, run: &Rewrapping, bucket: &store::Bucket, to: &KeyRef) -> Result<Arc<Lease>, Error> {
        let leased = (bucket.name.clone(), to.clone());
        for _ in 0..TRIES {
            let begin = self.begin_epoch(&run.operator, to, bucket);
            let lease = run.leases.get(&leased, || self.keys.generation(), begin).await?;
            if lease.spend() {
                return Ok(lease);
            }
            run.leases.forget(&leased, &lease);
        }
        Err(Error::Conflict)
    }

    /// Remembers what the first direct wrap under a key came to, so that what is wrapped so is passed over.
    async fn learn(&self, run: &Rewrapping, at: &ObjectAt, version: &VersionId, to: KeyRef) -> Result<(), Error> {
        if run.wraps.lock().unwrap_or_else(PoisonError::into_inner).contains_key(&to) {
            return Ok(());
        }
        if let Ok(Looked { envelope, .. }) = self.look(at, Some(version)).await
            && let Wrap::Kms { key, wrapped, epoch: None, .. } = envelope.wrap
        {
            let version = version_of(&wrapped.0).map(|(_, version)| version);
            run.wraps.lock().unwrap_or_else(PoisonError::into_inner).insert(to, (key, version));
        }
        Ok(())
    }
}

/// What became of an object that was to be wrapped anew.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rewrapped {
    /// It is (or would be).
    Anew,
    /// It was so before.
    Already,
    /// No CMK wraps it.
    Another,
    /// It was replaced or deleted meanwhile.
    Changed,
}

/// How long a run keeps a bucket key of its own.
const LEASED: Duration = Duration::from_secs(3600);

/// A run over the objects of a bucket.
#[derive(Debug)]
pub struct Rewrapping {
    operator: Principal,
    to: Option<KeyRef>,
    since: Timestamp,
    leases: KeyCache<(BucketName, KeyRef), Lease, kms::Error>,
    /// What direct wraps under a key come to: its ARN and version.
    wraps: Mutex<HashMap<KeyRef, (KeyArn, Option<u32>)>>,
}

impl Rewrapping {
    /// Since when a bucket key must have begun to count as a new one.
    #[must_use]
    pub fn since(&self) -> Timestamp {
        self.since
    }

    fn wraps_as(&self, to: &KeyRef, key: &KeyArn, wrapped: &WrappedKey) -> bool {
        let wraps = self.wraps.lock().unwrap_or_else(PoisonError::into_inner);
        let version = version_of(&wrapped.0).map(|(_, version)| version);
        wraps.get(to).is_some_and(|(arn, current)| arn == key && *current == version)
    }
}

/// The object's own cipher and context under another key.
fn choice_for(looked: &Looked, key: KeyRef, bucket_key: bool) -> SseChoice {
    let (context, cipher) = (looked.envelope.context(), looked.envelope.cipher);
    SseChoice::Kms { key: Some(key), context, bucket_key, cipher }
}

/// On whose behalf the tools of the operator use keys.
pub(super) fn operator() -> Principal {
    Principal { user: UserId::new("sealgate rewrap"), root: true }
}
