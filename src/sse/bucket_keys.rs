//! Bucket keys in use: found or made, remembered for a while, and counted.

use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::kms::{self, DataKey, GeneratedKey, KeyArn, KeyCache, KeyRef, KeyService, Principal, WrappedKey};
use crate::types::{BucketName, Timestamp};

use super::bucket_key::{BucketKey, Epoch, EpochId, Epochs, MOST_EPOCHS, WRAP_BUDGET, WrapPlace, bucket_context};
use super::{EpochCopy, Error};

/// How often a bucket key is looked for anew that turns out to be spent, or to be kept otherwise by now.
const TRIES: usize = 4;

/// A bucket's epochs, as whoever keeps the bucket knows them.
pub trait EpochShelf: Sync {
    /// The bucket and the epochs that it had when the request began.
    fn epochs(&self) -> Epochs<'_>;
    /// What time it is.
    fn now(&self) -> Timestamp;
    /// Keeps the record of a new epoch under a name; see [`Epoch::kind`]. It is durable when this returns.
    ///
    /// # Errors
    /// [`kms::Error::Unavailable`].
    fn keep(&self, kind: &str, record: Vec<u8>) -> impl Future<Output = Result<(), kms::Error>> + Send;
}

/// A bucket key that somebody may wrap new data keys by.
pub struct Lease {
    epoch: Epoch,
    key: BucketKey,
    wraps: Arc<AtomicU64>,
}

impl Lease {
    /// The CMK behind it.
    #[must_use]
    pub fn cmk(&self) -> &KeyArn {
        &self.epoch.key
    }

    /// The epoch, as it travels with an object.
    pub(super) fn copy(&self) -> EpochCopy {
        EpochCopy { id: self.epoch.id, wrapped: self.epoch.wrapped.clone() }
    }

    pub(super) fn wrap(
        &self,
        data_key: &DataKey,
        at: &crate::types::ObjectAt,
        object: super::ObjectId,
    ) -> Result<WrappedKey, Error> {
        Ok(self.key.wrap(data_key, &WrapPlace { epoch: self.epoch.id, at, object })?)
    }

    /// Counts one wrap more; `false` when the budget is spent.
    pub(crate) fn spend(&self) -> bool {
        self.wraps.fetch_add(1, Ordering::Relaxed) < WRAP_BUDGET
    }
}

impl fmt::Debug for Lease {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lease").field("epoch", &self.epoch).finish_non_exhaustive()
    }
}

/// Who wraps by which CMK, as he names it, in which bucket.
type Writing = (Principal, BucketName, Option<KeyRef>);
/// Who opens which wrapped bucket key of which bucket.
type Reading = (Principal, BucketName, KeyArn, WrappedKey);

/// The bucket keys that a gateway has at hand. Each was unwrapped, or made, by the CMK for the principal that it is for.
#[derive(Debug)]
pub(super) struct BucketKeys {
    writers: KeyCache<Writing, Lease, kms::Error>,
    readers: KeyCache<Reading, BucketKey, kms::Error>,
    /// How often this process has wrapped by each, and until when it may.
    spent: Mutex<HashMap<EpochId, (Timestamp, Arc<AtomicU64>)>>,
}

impl BucketKeys {
    pub(super) fn new(ttl: Duration) -> Self {
        Self { writers: KeyCache::new(ttl), readers: KeyCache::new(ttl), spent: Mutex::default() }
    }

    pub(super) fn sweep(&self) {
        self.writers.sweep();
        self.readers.sweep();
    }

    /// The bucket key for one new wrap under a CMK, on behalf of a principal.
    pub(super) async fn lease(
        &self,
        kms: &dyn KeyService,
        principal: &Principal,
        key: Option<&KeyRef>,
        shelf: &impl EpochShelf,
    ) -> Result<Arc<Lease>, Error> {
        let epochs = shelf.epochs();
        let writing = (principal.clone(), epochs.bucket.clone(), key.cloned());
        for _ in 0..TRIES {
            let lease = self.writers.get(&writing, || kms.generation(), self.begin(kms, principal, key, shelf)).await?;
            // Moved to another CMK since it was remembered, or at the end of its time or of its budget.
            let kept = epochs.get(lease.epoch.id)?;
            let moved = kept.is_some_and(|kept| kept.key != lease.epoch.key || kept.wrapped != lease.epoch.wrapped);
            if !moved && lease.epoch.is_open(shelf.now()) && lease.spend() {
                return Ok(lease);
            }
            self.writers.forget(&writing, &lease);
        }
        Err(Error::Kms(kms::Error::Unavailable("the bucket's keys are being changed".to_owned())))
    }

    /// Asks the CMK. Making a data key shows that the principal may, and that the CMK can be used. The epoch that is there
    /// is taken if the principal may open it; what was made is the next epoch otherwise, as of somebody who writes and may
    /// not read.
    async fn begin(
        &self,
        kms: &dyn KeyService,
        principal: &Principal,
        key: Option<&KeyRef>,
        shelf: &impl EpochShelf,
    ) -> Result<Lease, kms::Error> {
        let epochs = shelf.epochs();
        let context = bucket_context(epochs.bucket);
        let generated = kms.generate_data_key(principal, key, &context).await?;
        let damaged = |error: Error| kms::Error::Corrupt(format!("an epoch of bucket {}: {error}", epochs.bucket));
        let current = epochs.current(&generated.key, shelf.now()).map_err(damaged)?;
        if let Some(epoch) = current.filter(|epoch| !self.is_spent(epoch.id)) {
            match kms.unwrap_key(principal, &epoch.key, &epoch.wrapped, &context).await {
                Ok(key) => return Ok(self.leased(epoch, BucketKey::new(key), shelf.now())),
                Err(kms::Error::Denied(_)) => {}
                Err(other) => return Err(other),
            }
        }
        self.keep(generated, shelf).await
    }

    /// Begins another epoch under a CMK, whether or not there is one.
    pub(super) async fn begin_another(
        &self,
        kms: &dyn KeyService,
        principal: &Principal,
        key: &KeyRef,
        shelf: &impl EpochShelf,
    ) -> Result<Lease, kms::Error> {
        let context = bucket_context(shelf.epochs().bucket);
        let generated = kms.generate_data_key(principal, Some(key), &context).await?;
        self.keep(generated, shelf).await
    }

    /// Makes what the CMK made the next epoch.
    async fn keep(&self, generated: GeneratedKey, shelf: &impl EpochShelf) -> Result<Lease, kms::Error> {
        let epochs = shelf.epochs();
        let id = EpochId::random().map_err(|error| kms::Error::Unavailable(error.to_string()))?;
        let epoch = Epoch { id, created: shelf.now(), key: generated.key, wrapped: generated.wrapped };
        if epochs.count() < MOST_EPOCHS {
            let record = epoch.seal(epochs.bucket, epochs.seal);
            let record = record.map_err(|error| kms::Error::Corrupt(error.to_string()))?;
            shelf.keep(&Epoch::kind(id), record).await?;
        }
        Ok(self.leased(epoch, BucketKey::new(generated.plaintext), shelf.now()))
    }

    fn leased(&self, epoch: Epoch, key: BucketKey, now: Timestamp) -> Lease {
        let mut spent = self.spent.lock().unwrap_or_else(PoisonError::into_inner);
        if !spent.contains_key(&epoch.id) {
            spent.retain(|_, (end, _)| now < *end);
        }
        let end = Timestamp(epoch.created.0.saturating_add(super::bucket_key::PERIOD));
        let wraps = Arc::clone(&spent.entry(epoch.id).or_insert_with(|| (end, Arc::default())).1);
        Lease { epoch, key, wraps }
    }

    /// Leaves so many wraps to every bucket key that this process has wrapped by.
    #[cfg(test)]
    pub(super) fn leave_wraps(&self, left: u64) {
        for (_, wraps) in self.spent.lock().unwrap_or_else(PoisonError::into_inner).values() {
            wraps.store(WRAP_BUDGET.saturating_sub(left), Ordering::Relaxed);
        }
    }

    fn is_spent(&self, id: EpochId) -> bool {
        let spent = self.spent.lock().unwrap_or_else(PoisonError::into_inner);
        spent.get(&id).is_some_and(|(_, wraps)| wraps.load(Ordering::Relaxed) >= WRAP_BUDGET)
    }

    /// The bucket key of an epoch, unwrapped on behalf of a principal.
    pub(super) async fn read(
        &self,
        kms: &dyn KeyService,
        principal: &Principal,
        bucket: &BucketName,
        key: &KeyArn,
        wrapped: &WrappedKey,
    ) -> Result<Arc<BucketKey>, kms::Error> {
        let reading = (principal.clone(), bucket.clone(), key.clone(), wrapped.clone());
        let fetch = async {
            let unwrapped = kms.unwrap_key(principal, key, wrapped, &bucket_context(bucket)).await?;
            Ok(BucketKey::new(unwrapped))
        };
        self.readers.get(&reading, || kms.generation(), fetch).await
    }
}
