//! Who may do what. For now: a user may do anything with what it owns, root may do everything, anonymous callers
//! nothing. Bucket and key policies will be asked here, so every operation names its action already.

use crate::types::UserId;

use super::caller::Caller;

macro_rules! actions {
    ($($(#[$doc:meta])* $name:ident = $text:literal,)*) => {
        /// What a caller wants to do, by the name that policies use.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Action {
            $($(#[$doc])* $name,)*
        }

        impl Action {
            /// The name in a policy, such as `s3:GetObject`.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$name => $text,)*
                }
            }
        }
    };
}

actions! {
    /// Abort a multipart upload.
    AbortMultipartUpload = "s3:AbortMultipartUpload",
    /// Make a bucket.
    CreateBucket = "s3:CreateBucket",
    /// Make a CMK.
    CreateKey = "kms:CreateKey",
    /// Delete a bucket.
    DeleteBucket = "s3:DeleteBucket",
    /// Delete an object.
    DeleteObject = "s3:DeleteObject",
    /// Delete a version of an object.
    DeleteObjectVersion = "s3:DeleteObjectVersion",
    /// Take an object's tags away.
    DeleteObjectTagging = "s3:DeleteObjectTagging",
    /// Take the tags of a version away.
    DeleteObjectVersionTagging = "s3:DeleteObjectVersionTagging",
    /// Read a bucket's tags.
    GetBucketTagging = "s3:GetBucketTagging",
    /// Learn a bucket's region.
    GetBucketLocation = "s3:GetBucketLocation",
    /// Learn whether a bucket keeps versions.
    GetBucketVersioning = "s3:GetBucketVersioning",
    /// Read a bucket's default encryption.
    GetEncryptionConfiguration = "s3:GetEncryptionConfiguration",
    /// Read an object.
    GetObject = "s3:GetObject",
    /// Read a version of an object.
    GetObjectVersion = "s3:GetObjectVersion",
    /// Read what is known of an object: lengths, checksums, parts.
    GetObjectAttributes = "s3:GetObjectAttributes",
    /// Read an object's tags.
    GetObjectTagging = "s3:GetObjectTagging",
    /// Read what is known of a version.
    GetObjectVersionAttributes = "s3:GetObjectVersionAttributes",
    /// Read the tags of a version.
    GetObjectVersionTagging = "s3:GetObjectVersionTagging",
    /// List one's buckets.
    ListAllMyBuckets = "s3:ListAllMyBuckets",
    /// List a bucket's objects, or learn that the bucket is there.
    ListBucket = "s3:ListBucket",
    /// List a bucket's uploads.
    ListBucketMultipartUploads = "s3:ListBucketMultipartUploads",
    /// List the versions of a bucket's objects.
    ListBucketVersions = "s3:ListBucketVersions",
    /// List one's CMKs.
    ListKeys = "kms:ListKeys",
    /// List an upload's parts.
    ListMultipartUploadParts = "s3:ListMultipartUploadParts",
    /// Change a CMK: its state, its aliases, its description.
    ManageKey = "kms:PutKeyPolicy",
    /// Set or remove a bucket's tags.
    PutBucketTagging = "s3:PutBucketTagging",
    /// Set whether a bucket keeps versions.
    PutBucketVersioning = "s3:PutBucketVersioning",
    /// Set or remove a bucket's default encryption.
    PutEncryptionConfiguration = "s3:PutEncryptionConfiguration",
    /// Write an object, and every step of a multipart upload that writes.
    PutObject = "s3:PutObject",
    /// Set an object's tags.
    PutObjectTagging = "s3:PutObjectTagging",
    /// Set the tags of a version.
    PutObjectVersionTagging = "s3:PutObjectVersionTagging",
    /// Wrap or unwrap under a CMK.
    UseKey = "kms:Decrypt",
}

impl Action {
    /// Whether the action is on the service and not on something that a user owns already.
    #[must_use]
    pub fn is_on_service(self) -> bool {
        matches!(self, Self::CreateBucket | Self::CreateKey | Self::ListAllMyBuckets | Self::ListKeys)
    }
}

/// Why a caller may not do it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Denied {
    /// The request carries no credentials.
    #[error("anonymous requests are not allowed")]
    Anonymous,
    /// The user does not own what it wants to act on.
    #[error("user {user} is not authorized to perform {action}")]
    NotOwner {
        /// Who.
        user: UserId,
        /// What, by its name in a policy.
        action: &'static str,
    },
}

/// Decides whether `caller` may do `action` on something that `owner` owns. `owner` is `None` only for an action on the
/// service itself ([`Action::is_on_service`]); an unowned bucket or key is nobody's but root's.
///
/// # Errors
/// [`Denied`], with what to tell the caller.
pub fn authorize(caller: &Caller, action: Action, owner: Option<&UserId>) -> Result<(), Denied> {
    let user = caller.user().ok_or(Denied::Anonymous)?;
    let allowed = user.root() || owner.map_or(action.is_on_service(), |owner| owner == user.user());
    if allowed { Ok(()) } else { Err(Denied::NotOwner { user: user.user().clone(), action: action.name() }) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::Authenticated;

    #[test]
    fn anonymous_may_do_nothing() {
        assert_eq!(authorize(&Caller::Anonymous, Action::ListAllMyBuckets, None), Err(Denied::Anonymous));
        let owner = UserId::new("ann");
        assert_eq!(authorize(&Caller::Anonymous, Action::GetObject, Some(&owner)), Err(Denied::Anonymous));
        assert_eq!(Caller::Anonymous.principal(), Err(Denied::Anonymous));
    }

    #[test]
    fn a_user_may_act_on_its_own_and_root_on_everything() {
        let (ann, bob) = (UserId::new("ann"), UserId::new("bob"));
        let caller = Caller::User(Authenticated::for_test("ann", false));
        assert_eq!(authorize(&caller, Action::PutObject, Some(&ann)), Ok(()));
        assert_eq!(authorize(&caller, Action::CreateBucket, None), Ok(()));
        let denied = authorize(&caller, Action::GetObject, Some(&bob)).unwrap_err();
        assert_eq!(denied.to_string(), "user ann is not authorized to perform s3:GetObject");
        let root = Caller::User(Authenticated::for_test("root", true));
        assert_eq!(authorize(&root, Action::GetObject, Some(&bob)), Ok(()));
        assert!(root.principal().unwrap().root);
    }

    #[test]
    fn what_nobody_owns_is_not_everybodys() {
        let caller = Caller::User(Authenticated::for_test("ann", false));
        assert!(authorize(&caller, Action::GetObject, None).is_err());
    }
}
