//! Canned ACLs of buckets and objects, and what blocks public ones. The bucket's owner may do everything in it whatever
//! an object's ACL says; ACLs let others in. An object's ACL and owner stand under its metadata's MAC.
//! See <https://docs.aws.amazon.com/AmazonS3/latest/userguide/acl-overview.html>.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::identity::{Action, Requester};
use crate::store::{self, Bucket, Metadata};
use crate::types::{BucketName, ObjectAt, UserId, VersionId};

use super::tags::action_on;
use super::{Error, Gateway};

/// The kind under which the store keeps a bucket's ACL.
const ACL: &str = "acl";
/// The kind that is there when the bucket's ACL reaches its objects too.
const REACH: &str = "acl-reach";
/// The kind of its public access block.
const BLOCK: &str = "public-access-block";
/// The fields of an object's metadata.
const ACL_FIELD: &str = "acl";
const OWNER_FIELD: &str = "owner";

/// An ACL by the name that S3 gives it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum CannedAcl {
    /// Nobody but the owner.
    #[default]
    Private,
    /// Everybody reads.
    PublicRead,
    /// Everybody reads and, in a bucket, writes.
    PublicReadWrite,
    /// Every authenticated user reads.
    AuthenticatedRead,
    /// The bucket's owner reads the object.
    BucketOwnerRead,
    /// The bucket's owner has full control of the object.
    BucketOwnerFullControl,
}

impl CannedAcl {
    const ALL: [(Self, &str); 6] = [
        (Self::Private, "private"),
        (Self::PublicRead, "public-read"),
        (Self::PublicReadWrite, "public-read-write"),
        (Self::AuthenticatedRead, "authenticated-read"),
        (Self::BucketOwnerRead, "bucket-owner-read"),
        (Self::BucketOwnerFullControl, "bucket-owner-full-control"),
    ];

    /// The ACL of this name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|(_, known)| *known == name).map(|(acl, _)| acl)
    }

    /// Its name.
    #[must_use]
    pub fn name(self) -> &'static str {
        Self::ALL.into_iter().find(|(acl, _)| *acl == self).map_or("private", |(_, name)| name)
    }

    /// Whether it lets in more than users that someone named, as the public access block has it.
    fn is_public(self) -> bool {
        matches!(self, Self::PublicRead | Self::PublicReadWrite | Self::AuthenticatedRead)
    }

    /// Whether someone may read what has this ACL.
    fn lets_read(self, caller: &Requester) -> bool {
        match self {
            Self::PublicRead | Self::PublicReadWrite => true,
            Self::AuthenticatedRead => caller.user().is_some(),
            Self::Private | Self::BucketOwnerRead | Self::BucketOwnerFullControl => false,
        }
    }
}

/// What of public access a bucket blocks; nothing unless set.
/// See <https://docs.aws.amazon.com/AmazonS3/latest/userguide/access-control-block-public-access.html>.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PublicAccessBlock {
    /// Refuse to set public ACLs.
    pub block_acls: bool,
    /// Take public ACLs as private ones.
    pub ignore_acls: bool,
    /// Refuse to set a public policy.
    pub block_policy: bool,
    /// Let a public policy let in users only.
    pub restrict_buckets: bool,
}

/// A bucket's ACL, and what it is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BucketAcl {
    /// The ACL.
    pub acl: CannedAcl,
    /// What it is about.
    pub reach: AclReach,
}

/// What a bucket's ACL is about. The dialects differ, so that what one's owner opened stays as narrow as it was meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AclReach {
    /// The bucket: who lists it, who writes to it (S3).
    Bucket,
    /// The objects in it too, those that have no ACL of their own (OSS).
    Objects,
}

impl From<CannedAcl> for BucketAcl {
    /// As S3 means it.
    fn from(acl: CannedAcl) -> Self {
        Self { acl, reach: AclReach::Bucket }
    }
}

/// Who owns something, who owns its bucket, and its ACL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Acl {
    /// The owner of the bucket or the object.
    pub owner: UserId,
    /// The owner of the bucket.
    pub bucket_owner: UserId,
    /// The ACL.
    pub acl: CannedAcl,
    /// Whether an object has none of its own: `acl` is private then, or the bucket's where that reaches its objects.
    pub inherited: bool,
}

/// What of public access the bucket blocks. What cannot be read blocks everything.
pub(super) fn block_of(bucket: &Bucket) -> Option<PublicAccessBlock> {
    let all = PublicAccessBlock { block_acls: true, ignore_acls: true, block_policy: true, restrict_buckets: true };
    bucket.configs.get(BLOCK).map(|value| serde_json::from_slice(value).unwrap_or(all))
}

fn bucket_acl(bucket: &Bucket) -> CannedAcl {
    let name = bucket.configs.get(ACL).and_then(|value| std::str::from_utf8(value).ok());
    name.and_then(CannedAcl::named).unwrap_or_default()
}

/// The configurations that keep a bucket's ACL; one that is absent takes what was there away.
fn kept(acl: BucketAcl) -> [(&'static str, Option<Vec<u8>>); 2] {
    let public = acl.acl != CannedAcl::Private;
    let reaches = public && acl.reach == AclReach::Objects;
    [(REACH, reaches.then(|| b"objects".to_vec())), (ACL, public.then(|| acl.acl.name().as_bytes().to_vec()))]
}

/// The configurations of a new bucket with this ACL.
pub(super) fn acl_config(acl: BucketAcl) -> BTreeMap<String, Vec<u8>> {
    kept(acl).into_iter().filter_map(|(kind, value)| Some((kind.to_owned(), value?))).collect()
}

/// What an object without an ACL of its own has.
fn inherited(bucket: &Bucket) -> CannedAcl {
    if bucket.configs.contains_key(REACH) { bucket_acl(bucket) } else { CannedAcl::Private }
}

/// The ACL as it counts in a bucket.
fn effective(bucket: &Bucket, acl: CannedAcl) -> CannedAcl {
    let ignored = acl.is_public() && block_of(bucket).is_some_and(|block| block.ignore_acls);
    if ignored { CannedAcl::Private } else { acl }
}

/// Whether the bucket's ACL lets someone do what no policy speaks of.
pub(super) fn bucket_lets(bucket: &Bucket, caller: &Requester, action: Action) -> bool {
    let acl = effective(bucket, bucket_acl(bucket));
    match action {
        Action::ListBucket | Action::ListBucketVersions | Action::ListBucketMultipartUploads => acl.lets_read(caller),
        Action::PutObject | Action::DeleteObject | Action::AbortMultipartUpload | Action::ListMultipartUploadParts => {
            acl == CannedAcl::PublicReadWrite
        }
        _ => false,
    }
}

/// Whether an object's ACL, or being its owner, lets someone do what no policy speaks of.
pub(super) fn object_lets(bucket: &Bucket, metadata: &Metadata, caller: &Requester, action: Action) -> bool {
    let reads = matches!(action, Action::GetObject | Action::GetObjectVersion);
    let keeps_acl = matches!(
        action,
        Action::GetObjectAcl | Action::GetObjectVersionAcl | Action::PutObjectAcl | Action::PutObjectVersionAcl
    );
    let (owner, own) = of_object(bucket, metadata);
    let acl = own.unwrap_or_else(|| inherited(bucket));
    let owns = caller.user().is_some_and(|user| *user.user() == owner);
    (owns && (reads || keeps_acl)) || (reads && effective(bucket, acl).lets_read(caller))
}

/// An object's owner, and the ACL that it was given.
fn of_object(bucket: &Bucket, metadata: &Metadata) -> (UserId, Option<CannedAcl>) {
    let owner = metadata.access.get(OWNER_FIELD).map_or_else(|| bucket.owner.clone(), UserId::new);
    // A name that is none is no reason to let more people in.
    let named = |name: &String| CannedAcl::named(name).unwrap_or_default();
    (owner, metadata.access.get(ACL_FIELD).map(named))
}

/// The fields that say who owns a new object and who else may read it; none where the bucket's owner wrote it and gave it
/// no ACL.
pub(super) fn fields_of(bucket: &Bucket, caller: &Requester, acl: Option<CannedAcl>) -> BTreeMap<String, String> {
    let mut fields = BTreeMap::new();
    if let Some(user) = caller.user().filter(|user| *user.user() != bucket.owner && !user.root()) {
        fields.insert(OWNER_FIELD.to_owned(), user.user().as_str().to_owned());
    }
    if let Some(acl) = acl {
        fields.insert(ACL_FIELD.to_owned(), acl.name().to_owned());
    }
    fields
}

/// Refuses an ACL that the bucket does not let anybody set.
pub(super) fn check_acl(bucket: &Bucket, acl: Option<CannedAcl>) -> Result<(), Error> {
    if acl.is_some_and(CannedAcl::is_public) && block_of(bucket).is_some_and(|block| block.block_acls) {
        return Err(Error::AccessDenied("public ACLs are blocked by the bucket's public access block".to_owned()));
    }
    Ok(())
}

impl Gateway {
    /// The bucket's ACL.
    ///
    /// # Errors
    /// [`Error::NoSuchBucket`], [`Error::AccessDenied`].
    pub async fn bucket_acl(&self, caller: &Requester, name: &BucketName) -> Result<Acl, Error> {
        let bucket = self.bucket_for(caller, name, Action::GetBucketAcl).await?;
        let acl = bucket_acl(&bucket);
        Ok(Acl { owner: bucket.owner.clone(), bucket_owner: bucket.owner, acl, inherited: false })
    }

    /// Sets the bucket's ACL.
    ///
    /// # Errors
    /// [`Error::NoSuchBucket`], [`Error::AccessDenied`].
    pub async fn put_bucket_acl(
        &self,
        caller: &Requester,
        name: &BucketName,
        acl: impl Into<BucketAcl>,
    ) -> Result<(), Error> {
        let bucket = self.bucket_for(caller, name, Action::PutBucketAcl).await?;
        let acl = acl.into();
        check_acl(&bucket, Some(acl.acl))?;
        let [reach, own] = kept(acl);
        // Two writes: between them the bucket is never more open than before and after.
        for (kind, value) in if reach.1.is_some() { [own, reach] } else { [reach, own] } {
            self.store.set_bucket_config(name, kind, value).await?;
        }
        Ok(())
    }

    /// The object's ACL. No KMS call.
    ///
    /// # Errors
    /// As [`Gateway::object_tags`].
    pub async fn object_acl(
        &self,
        caller: &Requester,
        at: &ObjectAt,
        version: Option<VersionId>,
    ) -> Result<Acl, Error> {
        let action = action_on(version.as_ref(), Action::GetObjectAcl, Action::GetObjectVersionAcl);
        let bucket = self.read_for(caller, at, version.as_ref(), action).await?;
        let looked = self.alarm.heed(self.look(at, version.as_ref()).await);
        let looked = looked.map_err(|error| self.seen_by(caller, &bucket, error))?;
        let (owner, own) = of_object(&bucket, &looked.object.metadata);
        let acl = own.unwrap_or_else(|| inherited(&bucket));
        Ok(Acl { owner, bucket_owner: bucket.owner, acl, inherited: own.is_none() })
    }

    /// Sets the object's ACL, or takes it away; body, ETag and date stay, and so does the owner.
    ///
    /// # Errors
    /// As [`Gateway::put_object_tags`].
    pub async fn put_object_acl(
        &self,
        caller: &Requester,
        at: &ObjectAt,
        version: Option<VersionId>,
        acl: Option<CannedAcl>,
    ) -> Result<(), Error> {
        let action = action_on(version.as_ref(), Action::PutObjectAcl, Action::PutObjectVersionAcl);
        let bucket = self.read_for(caller, at, version.as_ref(), action).await?;
        check_acl(&bucket, acl)?;
        self.amend(caller, &bucket, at, version, |metadata| {
            metadata.access.remove(ACL_FIELD);
            if let Some(acl) = acl {
                metadata.access.insert(ACL_FIELD.to_owned(), acl.name().to_owned());
            }
        })
        .await
        .map(drop)
    }

    /// What of public access the bucket blocks.
    ///
    /// # Errors
    /// [`Error::NoSuchPublicAccessBlock`], [`Error::NoSuchBucket`], [`Error::AccessDenied`].
    pub async fn public_access_block(&self, caller: &Requester, name: &BucketName) -> Result<PublicAccessBlock, Error> {
        let bucket = self.bucket_for(caller, name, Action::GetBucketPublicAccessBlock).await?;
        block_of(&bucket).ok_or(Error::NoSuchPublicAccessBlock)
    }

    /// Sets it, or with `None` takes it away.
    ///
    /// # Errors
    /// [`Error::NoSuchBucket`], [`Error::AccessDenied`].
    pub async fn put_public_access_block(
        &self,
        caller: &Requester,
        name: &BucketName,
        block: Option<PublicAccessBlock>,
    ) -> Result<(), Error> {
        self.bucket_for(caller, name, Action::PutBucketPublicAccessBlock).await?;
        let value = block.map(|block| serde_json::to_vec(&block)).transpose();
        let value = value.map_err(|_| Error::Store(store::Error::Corrupt("a setting cannot be written".to_owned())))?;
        Ok(self.store.set_bucket_config(name, BLOCK, value).await?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::{Authenticated, Caller};
    use crate::store::Versioning;
    use crate::types::Timestamp;

    fn bucket(acl: CannedAcl, reach: AclReach) -> Bucket {
        Bucket {
            name: "bkt".parse().unwrap(),
            owner: UserId::new("ann"),
            created: Timestamp(0),
            region: "r".into(),
            versioning: Versioning::Never,
            configs: acl_config(BucketAcl { acl, reach }),
        }
    }

    fn object(acl: Option<CannedAcl>) -> Metadata {
        let ann = Requester::from(Caller::User(Authenticated::for_test("ann", false)));
        Metadata { access: fields_of(&bucket(CannedAcl::Private, AclReach::Bucket), &ann, acl), ..Metadata::default() }
    }

    #[test]
    fn a_buckets_acl_reaches_objects_only_where_it_was_meant_to_and_they_have_none() {
        use AclReach::{Bucket as Alone, Objects};
        use CannedAcl::{Private, PublicRead, PublicReadWrite};
        let nobody = Requester::from(Caller::Anonymous);
        let table = [
            (PublicRead, Objects, None, true),
            (PublicReadWrite, Objects, None, true),
            (PublicRead, Objects, Some(Private), false),
            (PublicRead, Alone, None, false),
            (Private, Objects, None, false),
            (Private, Alone, Some(PublicRead), true),
        ];
        for (acl, reach, own, reads) in table {
            let bucket = bucket(acl, reach);
            let lets = |action| object_lets(&bucket, &object(own), &nobody, action);
            assert_eq!(lets(Action::GetObject), reads, "{acl:?} {reach:?} {own:?}");
            assert!(!lets(Action::GetObjectAcl) && !lets(Action::PutObjectAcl));
            // Whichever way it was set, it says who lists.
            assert_eq!(bucket_lets(&bucket, &nobody, Action::ListBucket), acl != Private);
        }
    }

    #[test]
    fn what_blocks_public_acls_blocks_an_inherited_one() {
        let mut bucket = bucket(CannedAcl::PublicRead, AclReach::Objects);
        let block = PublicAccessBlock { ignore_acls: true, ..PublicAccessBlock::default() };
        bucket.configs.insert(BLOCK.to_owned(), serde_json::to_vec(&block).unwrap());
        let nobody = Requester::from(Caller::Anonymous);
        assert!(!object_lets(&bucket, &object(None), &nobody, Action::GetObject));
        assert!(!bucket_lets(&bucket, &nobody, Action::ListBucket));
    }

    #[test]
    fn a_private_bucket_keeps_nothing_of_an_acl() {
        assert!(acl_config(CannedAcl::Private.into()).is_empty());
        assert!(acl_config(BucketAcl { acl: CannedAcl::Private, reach: AclReach::Objects }).is_empty());
        let [(_, reach), (_, own)] = kept(CannedAcl::PublicRead.into());
        assert!(reach.is_none() && own.is_some());
    }
}
