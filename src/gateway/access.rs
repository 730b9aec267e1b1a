//! Who may do what: each operation asks here, once for everything that it touches, before it looks at anything else.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};

use crate::identity::{Action, Asked, Denied, Policy, Requester, decide};
use crate::kms::Principal;
use crate::store::{self, Bucket};
use crate::types::{ACCOUNT, BucketName, ObjectAt, UserId, VersionId};

use super::acl::{block_of, bucket_lets, object_lets};
use super::{Error, Gateway};

/// The kind under which the store keeps a bucket's policy.
pub(super) const POLICY: &str = "policy";
/// How many parsed policies are remembered.
const REMEMBERED: usize = 1024;

/// A policy and the bytes that it was parsed from.
type Parsed = (Vec<u8>, Arc<Policy>);

/// Parsed policies by bucket.
#[derive(Debug, Default)]
pub(super) struct Policies(RwLock<BTreeMap<BucketName, Parsed>>);

impl Policies {
    /// The bucket's policy, if it has one. One that cannot be read is an error and never "no policy": a statement in it
    /// may deny.
    pub(super) fn of(&self, bucket: &Bucket) -> Result<Option<Arc<Policy>>, Error> {
        let Some(document) = bucket.configs.get(POLICY) else { return Ok(None) };
        let known = self.0.read().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, policy)) = known.get(&bucket.name).filter(|(bytes, _)| bytes == document) {
            return Ok(Some(Arc::clone(policy)));
        }
        drop(known);
        let policy = Policy::parse(document)
            .map_err(|_| Error::Store(store::Error::Corrupt(format!("the policy of bucket {}", bucket.name))))?;
        let policy = Arc::new(policy);
        let mut known = self.0.write().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= REMEMBERED {
            known.clear();
        }
        known.insert(bucket.name.clone(), (document.clone(), Arc::clone(&policy)));
        Ok(Some(policy))
    }
}

impl Gateway {
    /// The bucket, for a caller who may do `action` on it. Whoever is nobody does not even learn whether it exists.
    pub(super) async fn bucket_for(
        &self,
        caller: &Requester,
        name: &BucketName,
        action: Action,
    ) -> Result<Bucket, Error> {
        let bucket = self.bucket_shown(caller, name).await?;
        self.permit(caller, &bucket, None, action)?;
        Ok(bucket)
    }

    /// The bucket of an object, for a caller who may do `action` on the object.
    pub(super) async fn object_for(&self, caller: &Requester, at: &ObjectAt, action: Action) -> Result<Bucket, Error> {
        let bucket = self.bucket_shown(caller, &at.bucket).await?;
        self.permit(caller, &bucket, Some(at), action)?;
        Ok(bucket)
    }

    /// As [`Gateway::object_for`], for what an object's ACL may allow too.
    pub(super) async fn read_for(
        &self,
        caller: &Requester,
        at: &ObjectAt,
        version: Option<&VersionId>,
        action: Action,
    ) -> Result<Bucket, Error> {
        let bucket = self.bucket_shown(caller, &at.bucket).await?;
        let denied = match self.judge(caller, &bucket, Some(at), action)? {
            Ok(()) => return Ok(bucket),
            Err(denied) => denied,
        };
        if !matches!(denied, Denied::ByPolicy { .. })
            && let Ok(looked) = self.look(at, version).await
            && object_lets(&bucket, &looked.object.metadata, caller, action)
        {
            return Ok(bucket);
        }
        Err(denied.into())
    }

    /// What no policy denies, and policy, ownership or the bucket's ACL allow.
    pub(super) fn permit(
        &self,
        caller: &Requester,
        bucket: &Bucket,
        object: Option<&ObjectAt>,
        action: Action,
    ) -> Result<(), Error> {
        match self.judge(caller, bucket, object, action)? {
            Err(denied @ Denied::ByPolicy { .. }) => Err(denied.into()),
            Err(_) if bucket_lets(bucket, caller, action) => Ok(()),
            judged => Ok(judged?),
        }
    }

    async fn bucket_shown(&self, caller: &Requester, name: &BucketName) -> Result<Bucket, Error> {
        match self.store.bucket(name).await {
            Err(store::Error::NoSuchBucket) if caller.user().is_none() => Err(denied()),
            found => Ok(found?),
        }
    }

    /// What policy and ownership say, ACLs aside.
    fn judge(
        &self,
        caller: &Requester,
        bucket: &Bucket,
        object: Option<&ObjectAt>,
        action: Action,
    ) -> Result<Result<(), Denied>, Error> {
        let policy = self.policies.of(bucket)?;
        let resource = match object {
            None => format!("arn:aws:s3:::{}", bucket.name),
            Some(at) => format!("arn:aws:s3:::{}/{}", at.bucket, at.key.as_str()),
        };
        Ok(decide(&Asked {
            caller: caller.caller(),
            action,
            resource: &resource,
            owner: &bucket.owner,
            policy: policy.as_deref(),
            restricted: block_of(bucket).is_some_and(|block| block.restrict_buckets),
            account: ACCOUNT,
            context: caller.context(),
        }))
    }

    /// What a failed look at an object may say: that there is none is for those who may list the bucket.
    pub(super) fn seen_by(&self, caller: &Requester, bucket: &Bucket, error: Error) -> Error {
        let tells = matches!(error, Error::NoSuchKey | Error::NoSuchVersion | Error::DeleteMarker { .. });
        match self.permit(caller, bucket, None, Action::ListBucket) {
            Err(_) if tells => denied(),
            _ => error,
        }
    }
}

fn denied() -> Error {
    Error::AccessDenied("anonymous requests are not allowed, or the object is not there".to_owned())
}

/// On whose behalf keys are used. Only a CMK asks: what is wrapped under the service's own key or a customer's is nobody's
/// to refuse, so that an anonymous request which a policy lets in needs no name there.
pub(super) fn principal_for(caller: &Requester, uses_cmk: bool) -> Result<Principal, Error> {
    if caller.user().is_none() && !uses_cmk {
        return Ok(Principal { user: UserId::new("anonymous"), root: false });
    }
    Ok(caller.principal()?)
}
