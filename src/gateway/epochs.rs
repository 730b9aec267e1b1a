//! The epochs of a bucket's keys, as records among the bucket's configurations: one configuration each, so that gateways
//! which begin epochs at the same moment do not undo each other's.

use std::sync::Arc;

use crate::kms::{self, KeyArn, KeyRef, Principal, WrappedKey};
use crate::sse::{Envelope, Epoch, EpochShelf, Epochs, Lease, SseChoice, Wrap};
use crate::store::{self, Bucket, Metadata};
use crate::types::{BucketName, ObjectAt, Timestamp};

use super::opened::Looked;
use super::{Error, Gateway};

/// A bucket as a request found it, and where its next epoch goes.
struct Shelf<'a> {
    gateway: &'a Gateway,
    bucket: &'a Bucket,
}

impl EpochShelf for Shelf<'_> {
    fn epochs(&self) -> Epochs<'_> {
        self.gateway.epochs(self.bucket)
    }

    fn now(&self) -> Timestamp {
        self.gateway.clock.now()
    }

    async fn keep(&self, kind: &str, record: Vec<u8>) -> Result<(), kms::Error> {
        let kept = self.gateway.store.set_bucket_config(&self.bucket.name, kind, Some(record)).await;
        kept.map_err(|error| kms::Error::Unavailable(format!("the record of a bucket key cannot be written: {error}")))
    }
}

/// A wrap by a CMK.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wrapper {
    /// The CMK.
    pub key: KeyArn,
    /// What it made, of the data key or of the bucket key.
    pub wrapped: WrappedKey,
    /// Whether it wraps a bucket key, and that the data key.
    pub by_bucket_key: bool,
}

impl Gateway {
    pub(super) fn epochs<'a>(&'a self, bucket: &'a Bucket) -> Epochs<'a> {
        Epochs { bucket: &bucket.name, configs: &bucket.configs, seal: self.keys.attribute_key() }
    }

    /// The bucket key by which a new data key is to be wrapped, if the choice is to have one.
    pub(super) async fn lease(
        &self,
        principal: &Principal,
        choice: &SseChoice,
        bucket: &Bucket,
    ) -> Result<Option<Arc<Lease>>, Error> {
        Ok(self.keys.lease(principal, choice, &Shelf { gateway: self, bucket }).await?)
    }

    /// Begins an epoch of the bucket under a CMK, whether or not there is one.
    pub(super) async fn begin_epoch(
        &self,
        principal: &Principal,
        key: &KeyRef,
        bucket: &Bucket,
    ) -> Result<Lease, kms::Error> {
        self.keys.begin_epoch(principal, key, &Shelf { gateway: self, bucket }).await
    }

    /// Has the envelope of an object be what the bucket's record makes of it, if its epoch has one.
    pub(super) async fn follow_epoch(&self, bucket: &BucketName, envelope: &mut Envelope) -> Result<(), Error> {
        let Some(id) = envelope.epoch() else { return Ok(()) };
        let bucket = match self.store.bucket(bucket).await {
            // Deleted under the request's feet.
            Err(store::Error::NoSuchBucket) => return Ok(()),
            found => found?,
        };
        if let Some(kept) = self.epochs(&bucket).get(id).map_err(Error::Integrity)? {
            envelope.follow(kept);
        }
        Ok(())
    }

    /// The same for an object that was looked at.
    pub(super) async fn in_epoch(&self, bucket: &BucketName, mut looked: Looked) -> Result<Looked, Error> {
        self.follow_epoch(bucket, &mut looked.envelope).await?;
        Ok(looked)
    }

    /// The epochs that a bucket has records of.
    ///
    /// # Errors
    /// [`Error::Integrity`] for a record that was altered.
    pub fn epochs_of(&self, bucket: &Bucket) -> Result<Vec<Epoch>, Error> {
        self.epochs(bucket).all().map_err(Error::Integrity)
    }

    /// What wraps the data key of an object, or its bucket key, by its metadata alone; `None` where no CMK does.
    ///
    /// # Errors
    /// [`Error::Integrity`] when the metadata does not verify.
    pub fn wrapper_of(&self, bucket: &Bucket, at: &ObjectAt, metadata: &Metadata) -> Result<Option<Wrapper>, Error> {
        if metadata.envelope.is_empty() && self.store.may_be_foreign(&at.bucket) {
            return Ok(None);
        }
        let mut envelope = self.keys.verify(at, metadata).map_err(Error::Integrity)?;
        if let Some(id) = envelope.epoch()
            && let Some(kept) = self.epochs(bucket).get(id).map_err(Error::Integrity)?
        {
            envelope.follow(kept);
        }
        Ok(match envelope.wrap {
            Wrap::Kms { key, epoch: Some(epoch), .. } => {
                Some(Wrapper { key, wrapped: epoch.wrapped, by_bucket_key: true })
            }
            Wrap::Kms { key, wrapped, epoch: None, .. } => Some(Wrapper { key, wrapped, by_bucket_key: false }),
            Wrap::S3 { .. } | Wrap::Customer { .. } | Wrap::None { .. } => None,
        })
    }

    /// The time by the gateway's clock.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Wipes the keys that were remembered long enough. To be called from time to time.
    pub fn sweep_keys(&self) {
        self.keys.sweep();
    }
}
