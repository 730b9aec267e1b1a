//! Configurations of buckets and objects that the store's own upstream keeps and follows: they touch neither bodies nor keys.

use bytes::Bytes;

use crate::identity::{Action, Requester};
use crate::store::{self, Crossing, Governance, Passage, Passed, Passing, SubResource, Verb};
use crate::types::{BucketName, ObjectAt};

use super::{Error, Gateway};

impl Gateway {
    /// Whether this passes to the upstream of a bucket. By the configuration alone: it says nothing of the bucket.
    #[must_use]
    pub fn passes(&self, bucket: &BucketName, passage: Passage) -> Crossing {
        self.store.passes(bucket, passage)
    }

    /// Has the upstream do it, for a caller who may. `document` goes as it is.
    ///
    /// # Errors
    /// [`Error::NoSuchBucket`], [`Error::AccessDenied`]; [`Error::NotImplemented`] where it does not pass.
    pub async fn pass(
        &self,
        caller: &Requester,
        bucket: &BucketName,
        passing: &Passing,
        document: Bytes,
    ) -> Result<Passed, Error> {
        let Some(object) = &passing.object else {
            self.bucket_for(caller, bucket, action(passing.passage)).await?;
            return Ok(self.store.pass(bucket, passing, document).await?);
        };
        let at = ObjectAt { bucket: bucket.clone(), key: object.key.clone() };
        let record = self.object_for(caller, &at, action(passing.passage)).await?;
        if object.governance == Governance::Bypassed {
            self.permit(caller, &record, Some(&at), Action::BypassGovernanceRetention)?;
        }
        self.store.pass(bucket, passing, document).await.map_err(|error| match (error, &object.version) {
            (store::Error::NoSuchObject, Some(_)) => self.seen_by(caller, &record, Error::NoSuchVersion),
            (store::Error::DeleteMarker(version), named) => {
                self.seen_by(caller, &record, Error::DeleteMarker { version, named: named.is_some() })
            }
            (error, _) => self.seen_by(caller, &record, error.into()),
        })
    }
}

/// The right that it takes.
/// See <https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazons3.html>.
fn action(passage: Passage) -> Action {
    let reads = passage.verb() == Verb::Get;
    let either = |read, write| if reads { read } else { write };
    match passage.sub() {
        SubResource::Accelerate => either(Action::GetAccelerateConfiguration, Action::PutAccelerateConfiguration),
        SubResource::Inventory => either(Action::GetInventoryConfiguration, Action::PutInventoryConfiguration),
        SubResource::Lifecycle => either(Action::GetLifecycleConfiguration, Action::PutLifecycleConfiguration),
        SubResource::LegalHold => either(Action::GetObjectLegalHold, Action::PutObjectLegalHold),
        SubResource::LogFields | SubResource::Logging => either(Action::GetBucketLogging, Action::PutBucketLogging),
        SubResource::Notification => either(Action::GetBucketNotification, Action::PutBucketNotification),
        SubResource::ObjectLock => {
            either(Action::GetBucketObjectLockConfiguration, Action::PutBucketObjectLockConfiguration)
        }
        SubResource::Replication => either(Action::GetReplicationConfiguration, Action::PutReplicationConfiguration),
        SubResource::RequestPayment => either(Action::GetBucketRequestPayment, Action::PutBucketRequestPayment),
        SubResource::Retention => either(Action::GetObjectRetention, Action::PutObjectRetention),
        SubResource::Website if passage.verb() == Verb::Delete => Action::DeleteBucketWebsite,
        SubResource::Website => either(Action::GetBucketWebsite, Action::PutBucketWebsite),
    }
}
