//! Object lock as clients ask for it with a write, and as it is shown to them. The store keeps it.

use crate::identity::{Action, Requester};
use crate::store::upstream::Wire;
use crate::store::{BUCKET_LOCK, Bucket, Crossing, Deleted, Governance, ObjectLock, Passage, Precondition};
use crate::types::{BucketName, ObjectAt, VersionId};

use super::{Error, Gateway, ObjectHeaders};

/// The longest retention period that S3 takes, in milliseconds: 100 years.
const LONGEST: u64 = 36_525 * 24 * 3_600_000;

impl Gateway {
    /// Whether the caller may write under this lock, and the bucket has locks. Asked before the body is read: what is written
    /// and cannot be locked is there all the same.
    ///
    /// # Errors
    /// [`Error::AccessDenied`]; [`Error::NoObjectLock`]; [`Error::InvalidArgument`]; [`Error::NotImplemented`].
    pub(super) async fn check_lock(
        &self,
        caller: &Requester,
        bucket: &Bucket,
        at: &ObjectAt,
        lock: &ObjectLock,
    ) -> Result<(), Error> {
        if lock.is_empty() {
            return Ok(());
        }
        if let Some(retention) = lock.retention {
            self.permit(caller, bucket, Some(at), Action::PutObjectRetention)?;
            let now = self.clock.now();
            if retention.until <= now {
                return Err(Error::InvalidArgument("The retain until date must be in the future!".to_owned()));
            }
            if retention.until.0.saturating_sub(now.0) > LONGEST {
                return Err(Error::InvalidArgument("The retain until date is more than 100 years away".to_owned()));
            }
        }
        if lock.legal_hold.is_some() {
            self.permit(caller, bucket, Some(at), Action::PutObjectLegalHold)?;
        }
        if self.store.can_lock(&bucket.name, lock).await? { Ok(()) } else { Err(Error::NoObjectLock) }
    }

    /// Headers of an object that is to be written again under the same lock: a period that is over cannot be set.
    pub(super) fn with_lock_of_now(&self, mut headers: ObjectHeaders) -> ObjectHeaders {
        let now = self.clock.now();
        headers.lock.retention = headers.lock.retention.filter(|retention| retention.until > now);
        headers
    }

    /// What of a lock a caller may see, where locks pass at all.
    pub(super) fn lock_seen_by(
        &self,
        caller: &Requester,
        bucket: &Bucket,
        at: &ObjectAt,
        lock: ObjectLock,
    ) -> ObjectLock {
        let passes = |sub| {
            let passage = Passage::named(Wire::S3, "GET", sub);
            passage.is_some_and(|passage| self.store.passes(&bucket.name, passage) == Crossing::Passes)
        };
        let may = |sub, action| passes(sub) && self.permit(caller, bucket, Some(at), action).is_ok();
        ObjectLock {
            retention: lock.retention.filter(|_| may("retention", Action::GetObjectRetention)),
            legal_hold: lock.legal_hold.filter(|_| may("legal-hold", Action::GetObjectLegalHold)),
        }
    }

    /// What is kept of a new bucket that is to have object lock.
    ///
    /// # Errors
    /// [`Error::NotImplemented`] where it does not pass.
    pub(super) fn bucket_lock(&self, name: &BucketName) -> Result<(String, Vec<u8>), Error> {
        let passage = Passage::named(Wire::S3, "PUT", "object-lock");
        let passes = passage.is_some_and(|passage| self.store.passes(name, passage) == Crossing::Passes);
        if passes { Ok((BUCKET_LOCK.to_owned(), Vec::new())) } else { Err(Error::NotImplemented("Object lock")) }
    }

    /// Deletes a version past a retention period in governance mode, for a caller who may.
    pub(super) async fn delete_version(
        &self,
        caller: &Requester,
        bucket: &Bucket,
        (at, version): (&ObjectAt, &VersionId),
        precondition: Precondition,
        governance: Governance,
    ) -> Result<Deleted, Error> {
        Ok(match governance {
            Governance::Heeded => self.store.delete(at, Some(version), precondition).await?,
            Governance::Bypassed => {
                self.permit(caller, bucket, Some(at), Action::BypassGovernanceRetention)?;
                self.store.delete_past_governance(at, version, precondition).await?
            }
        })
    }
}
