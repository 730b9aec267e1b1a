//! Buckets and their default encryption.

use crate::identity::{Action, Malformed, Policy, Requester, authorize};
use crate::kms::KeyRef;
use crate::sse::{BucketDefault, BucketEncryption, CustomerKey, DataCipher, DefaultEncryption, SseChoice, SseRequest};
use crate::store::{self, Bucket, Versioning};
use crate::types::{ACCOUNT, BucketName, UserId};

use super::access::POLICY;
use super::acl::{acl_config, block_of};
use super::{BucketAcl, Error, Gateway, principal};

/// The kind under which the store keeps a bucket's default encryption.
const ENCRYPTION: &str = "encryption";
/// The alias of the service-managed CMK.
const SERVICE_DEFAULT: &str = "alias/aws/s3";

impl Gateway {
    /// Makes a bucket that belongs to the caller. `locked`: with object lock.
    ///
    /// # Errors
    /// [`Error::BucketAlreadyOwnedByYou`], [`Error::BucketAlreadyExists`], [`Error::AccessDenied`].
    pub async fn create_bucket(
        &self,
        caller: &Requester,
        name: BucketName,
        region: Option<String>,
        acl: impl Into<BucketAcl>,
        locked: bool,
    ) -> Result<(), Error> {
        let owner = principal(caller)?.user;
        authorize(caller.caller(), Action::CreateBucket, Some(&owner))?;
        let mut configs = acl_config(acl.into());
        configs.extend(locked.then(|| self.bucket_lock(&name)).transpose()?);
        let bucket = Bucket {
            name,
            owner: owner.clone(),
            created: self.clock.now(),
            region: region.unwrap_or_else(|| self.region.clone()),
            versioning: Versioning::Never,
            configs,
        };
        match self.store.create_bucket(bucket).await {
            Ok(()) => Ok(()),
            Err(store::Error::BucketExists { owner: other }) if other == owner => Err(Error::BucketAlreadyOwnedByYou),
            Err(store::Error::BucketExists { .. }) => Err(Error::BucketAlreadyExists),
            Err(other) => Err(other.into()),
        }
    }

    /// Removes an empty bucket.
    ///
    /// # Errors
    /// [`Error::BucketNotEmpty`], [`Error::NoSuchBucket`], [`Error::AccessDenied`].
    pub async fn delete_bucket(&self, caller: &Requester, name: &BucketName) -> Result<(), Error> {
        self.bucket_for(caller, name, Action::DeleteBucket).await?;
        Ok(self.store.delete_bucket(name).await?)
    }

    /// The bucket's record.
    ///
    /// # Errors
    /// [`Error::NoSuchBucket`], [`Error::AccessDenied`].
    pub async fn head_bucket(&self, caller: &Requester, name: &BucketName) -> Result<Bucket, Error> {
        self.bucket_for(caller, name, Action::ListBucket).await
    }

    /// Whether the bucket belongs to whom the caller expects. Anybody with a name may ask: the answer is what it brought.
    ///
    /// # Errors
    /// [`Error::NoSuchBucket`], [`Error::AccessDenied`] for nobody.
    pub async fn is_owned(
        &self,
        caller: &Requester,
        name: &BucketName,
        expected: impl Fn(&UserId) -> bool,
    ) -> Result<bool, Error> {
        principal(caller)?;
        Ok(expected(&self.store.bucket(name).await?.owner))
    }

    /// Whether a write that says nothing of encryption would use a CMK in this bucket.
    ///
    /// # Errors
    /// [`Error::NoSuchBucket`].
    pub async fn defaults_to_cmk(&self, name: &BucketName) -> Result<bool, Error> {
        let bucket = self.store.bucket(name).await?;
        Ok(encryption_of(&bucket)?.is_some_and(|own| matches!(own.default, BucketDefault::Kms { .. })))
    }

    /// Whether the bucket keeps versions, or did: a write then takes nothing away.
    ///
    /// # Errors
    /// [`Error::NoSuchBucket`].
    pub async fn keeps_versions(&self, name: &BucketName) -> Result<bool, Error> {
        Ok(self.store.bucket(name).await?.versioning != Versioning::Never)
    }

    /// The bucket's policy document, as it was set.
    ///
    /// # Errors
    /// [`Error::NoSuchPolicy`], [`Error::NoSuchBucket`], [`Error::AccessDenied`].
    pub async fn bucket_policy(&self, caller: &Requester, name: &BucketName) -> Result<Vec<u8>, Error> {
        let bucket = self.bucket_for(caller, name, Action::GetBucketPolicy).await?;
        bucket.configs.get(POLICY).cloned().ok_or(Error::NoSuchPolicy)
    }

    /// Whether the bucket's policy lets the public in.
    ///
    /// # Errors
    /// As [`Gateway::bucket_policy`].
    pub async fn bucket_policy_is_public(&self, caller: &Requester, name: &BucketName) -> Result<bool, Error> {
        let bucket = self.bucket_for(caller, name, Action::GetBucketPolicyStatus).await?;
        Ok(self.policies.of(&bucket)?.ok_or(Error::NoSuchPolicy)?.is_public())
    }

    /// Sets the bucket's policy. What is not understood, or is not about this bucket, is refused.
    ///
    /// # Errors
    /// [`Error::MalformedPolicy`], [`Error::NoSuchBucket`], [`Error::AccessDenied`].
    pub async fn put_bucket_policy(
        &self,
        caller: &Requester,
        name: &BucketName,
        document: Vec<u8>,
    ) -> Result<(), Error> {
        let bucket = self.bucket_for(caller, name, Action::PutBucketPolicy).await?;
        let malformed = |why: Malformed| Error::MalformedPolicy(why.to_string());
        let policy = Policy::parse(&document).map_err(malformed)?;
        policy.belongs_to(name.as_str(), ACCOUNT).map_err(malformed)?;
        if policy.is_public() && block_of(&bucket).is_some_and(|block| block.block_policy) {
            return Err(Error::AccessDenied(
                "public policies are blocked by the bucket's public access block".to_owned(),
            ));
        }
        Ok(self.store.set_bucket_config(name, POLICY, Some(document)).await?)
    }

    /// Takes the bucket's policy away. Idempotent.
    ///
    /// # Errors
    /// [`Error::NoSuchBucket`], [`Error::AccessDenied`].
    pub async fn delete_bucket_policy(&self, caller: &Requester, name: &BucketName) -> Result<(), Error> {
        self.bucket_for(caller, name, Action::DeleteBucketPolicy).await?;
        Ok(self.store.set_bucket_config(name, POLICY, None).await?)
    }

    /// What the bucket keeps of replaced and deleted objects.
    ///
    /// # Errors
    /// [`Error::NoSuchBucket`], [`Error::AccessDenied`].
    pub async fn bucket_versioning(&self, caller: &Requester, name: &BucketName) -> Result<Versioning, Error> {
        self.bucket_for(caller, name, Action::GetBucketVersioning).await.map(|bucket| bucket.versioning)
    }

    /// Sets it. There is no way back to [`Versioning::Never`].
    ///
    /// # Errors
    /// [`Error::NoSuchBucket`], [`Error::AccessDenied`].
    pub async fn put_bucket_versioning(
        &self,
        caller: &Requester,
        name: &BucketName,
        versioning: Versioning,
    ) -> Result<(), Error> {
        self.bucket_for(caller, name, Action::PutBucketVersioning).await?;
        Ok(self.store.set_versioning(name, versioning).await?)
    }

    /// The caller's buckets, by name; the root user sees all.
    ///
    /// # Errors
    /// [`Error::AccessDenied`] for nobody.
    pub async fn list_buckets(&self, caller: &Requester) -> Result<Vec<Bucket>, Error> {
        principal(caller)?;
        let mut buckets = self.store.buckets().await?;
        buckets.retain(|bucket| authorize(caller.caller(), Action::ListBucket, Some(&bucket.owner)).is_ok());
        Ok(buckets)
    }

    /// Sets the bucket's encryption as a whole. The key is not looked up: AWS accepts unknown ones too.
    ///
    /// # Errors
    /// [`Error::NoSuchBucket`], [`Error::AccessDenied`].
    pub async fn put_bucket_encryption(
        &self,
        caller: &Requester,
        name: &BucketName,
        encryption: impl Into<BucketEncryption>,
    ) -> Result<(), Error> {
        self.bucket_for(caller, name, Action::PutEncryptionConfiguration).await?;
        let value = serde_json::to_vec(&encryption.into())
            .map_err(|_| Error::Store(store::Error::Corrupt("a bucket default cannot be written".to_owned())))?;
        Ok(self.store.set_bucket_config(name, ENCRYPTION, Some(value)).await?)
    }

    /// The encryption that objects get by default: the bucket's, or else the gateway's. `None`: objects are not encrypted.
    ///
    /// # Errors
    /// [`Error::NoSuchBucket`], [`Error::AccessDenied`].
    pub async fn bucket_encryption(
        &self,
        caller: &Requester,
        name: &BucketName,
    ) -> Result<Option<BucketEncryption>, Error> {
        let bucket = self.bucket_for(caller, name, Action::GetEncryptionConfiguration).await?;
        Ok(encryption_of(&bucket)?.or(match self.default {
            DefaultEncryption::S3 => Some(BucketDefault::S3 { cipher: DataCipher::Aes256 }.into()),
            DefaultEncryption::None => None,
        }))
    }

    /// The bucket's own encryption, as it was set. `None`: none was, and [`Gateway::bucket_encryption`] says what applies.
    ///
    /// # Errors
    /// [`Error::NoSuchBucket`], [`Error::AccessDenied`].
    pub async fn bucket_encryption_rule(
        &self,
        caller: &Requester,
        name: &BucketName,
    ) -> Result<Option<BucketEncryption>, Error> {
        encryption_of(&self.bucket_for(caller, name, Action::GetEncryptionConfiguration).await?)
    }

    /// Takes the bucket's default encryption back. Idempotent.
    ///
    /// # Errors
    /// [`Error::NoSuchBucket`], [`Error::AccessDenied`].
    pub async fn delete_bucket_encryption(&self, caller: &Requester, name: &BucketName) -> Result<(), Error> {
        self.bucket_for(caller, name, Action::PutEncryptionConfiguration).await?;
        Ok(self.store.set_bucket_config(name, ENCRYPTION, None).await?)
    }

    /// The CMK that the bucket's default encryption names; the service-managed one by its alias.
    ///
    /// # Errors
    /// [`Error::Store`] when the default cannot be read.
    pub fn default_key(&self, bucket: &Bucket) -> Result<Option<KeyRef>, Error> {
        Ok(match encryption_of(bucket)?.map(|own| own.default) {
            Some(BucketDefault::Kms { key, .. }) => Some(KeyRef(key.unwrap_or_else(|| SERVICE_DEFAULT.to_owned()))),
            Some(BucketDefault::S3 { .. }) | None => None,
        })
    }

    /// How a new object of the bucket is to be encrypted.
    ///
    /// # Errors
    /// [`Error::AccessDenied`] when the bucket's owner has blocked what the request asks for.
    pub(super) fn choose(&self, bucket: &Bucket, request: Option<SseRequest>) -> Result<SseChoice, Error> {
        let own = encryption_of(bucket)?;
        let choice = SseChoice::resolve(request, own.as_ref().map(|own| &own.default), self.default);
        if own.is_some_and(|own| own.customer_blocked) && matches!(choice, SseChoice::Customer(_)) {
            return Err(customer_blocked());
        }
        Ok(choice)
    }
}

/// Refuses a part under a client's key where the bucket's owner has blocked such keys since the upload began.
pub(super) fn check_customer_allowed(bucket: &Bucket, key: Option<&CustomerKey>) -> Result<(), Error> {
    if key.is_some() && encryption_of(bucket)?.is_some_and(|own| own.customer_blocked) {
        return Err(customer_blocked());
    }
    Ok(())
}

fn customer_blocked() -> Error {
    Error::AccessDenied(
        "the bucket blocks uploads that use server-side encryption with customer-provided keys (SSE-C)".to_owned(),
    )
}

/// Reads the bucket's encryption. One that cannot be read is an error, never "none of its own": that would fall back to
/// another key than the owner chose.
fn encryption_of(bucket: &Bucket) -> Result<Option<BucketEncryption>, Error> {
    let Some(value) = bucket.configs.get(ENCRYPTION) else { return Ok(None) };
    serde_json::from_slice(value)
        .map(Some)
        .map_err(|_| Error::Store(store::Error::Corrupt(format!("the default encryption of bucket {}", bucket.name))))
}
