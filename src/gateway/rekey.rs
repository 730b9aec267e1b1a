//! Moving to another master key without touching a body: a whole bucket by its epochs' records, one object by its own
//! wrap. ETags and dates stay.

use crate::identity::{Action, Requester};
use crate::kms::{KeyArn, KeyRef, Principal};
use crate::sse::{Epoch, SseChoice, SseMode};
use crate::store::{self, NewMetadata};
use crate::types::{BucketName, ObjectAt, UserId, VersionId};

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
    /// others change it without end; the KMS's errors, as whoever reads and writes the object.
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
            let shown = shown_version(&bucket, &looked.object.version);
            if self.rekey(&principal, &bucket, at, looked, &to).await? {
                return Ok(shown);
            }
        }
        Err(Error::Conflict)
    }

    /// Wraps the data key of an object that was looked at anew, and puts the new wrap in its metadata. `false` when the
    /// object has changed since.
    pub(super) async fn rekey(
        &self,
        principal: &Principal,
        bucket: &store::Bucket,
        at: &ObjectAt,
        looked: Looked,
        to: &NewKey,
    ) -> Result<bool, Error> {
        let Looked { object, envelope: old, .. } = looked;
        let choice = SseChoice::Kms {
            key: Some(to.key.clone()),
            context: old.context(),
            bucket_key: to.bucket_key,
            cipher: old.cipher,
        };
        let data_key = self.data_key_as(principal, at, &old, None).await?;
        let lease = self.lease(principal, &choice, bucket).await?;
        let mut envelope = self.keys.rewrap(principal, &data_key, &old, &choice, at, lease.as_deref()).await?;
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
}

/// On whose behalf the tools of the operator use keys.
pub(super) fn operator() -> Principal {
    Principal { user: UserId::new("sealgate rewrap"), root: true }
}
