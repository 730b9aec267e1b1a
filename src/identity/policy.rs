//! Who may do what. A user may do anything with what it owns, root may do everything, anonymous callers nothing
//! ([`authorize`]); [`decide`] asks a bucket's policy as well. The gateway does not give it policies yet.

use crate::policy::{Context, Policy, Question, Verdict};
use crate::types::UserId;

use super::caller::{Authenticated, Caller, Scheme};

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
    /// Remove a bucket's policy.
    DeleteBucketPolicy = "s3:DeleteBucketPolicy",
    /// Delete an object.
    DeleteObject = "s3:DeleteObject",
    /// Delete a version of an object.
    DeleteObjectVersion = "s3:DeleteObjectVersion",
    /// Take an object's tags away.
    DeleteObjectTagging = "s3:DeleteObjectTagging",
    /// Take the tags of a version away.
    DeleteObjectVersionTagging = "s3:DeleteObjectVersionTagging",
    /// Read a bucket's ACL.
    GetBucketAcl = "s3:GetBucketAcl",
    /// Read a bucket's CORS rules.
    GetBucketCors = "s3:GetBucketCORS",
    /// Set a bucket's CORS rules.
    PutBucketCors = "s3:PutBucketCORS",
    /// Read what of public access a bucket blocks.
    GetBucketPublicAccessBlock = "s3:GetBucketPublicAccessBlock",
    /// Read an object's ACL.
    GetObjectAcl = "s3:GetObjectAcl",
    /// Read the ACL of a version.
    GetObjectVersionAcl = "s3:GetObjectVersionAcl",
    /// Set a bucket's ACL.
    PutBucketAcl = "s3:PutBucketAcl",
    /// Set what of public access a bucket blocks.
    PutBucketPublicAccessBlock = "s3:PutBucketPublicAccessBlock",
    /// Set an object's ACL.
    PutObjectAcl = "s3:PutObjectAcl",
    /// Set the ACL of a version.
    PutObjectVersionAcl = "s3:PutObjectVersionAcl",
    /// Read a bucket's tags.
    GetBucketTagging = "s3:GetBucketTagging",
    /// Learn a bucket's region.
    GetBucketLocation = "s3:GetBucketLocation",
    /// Learn whether a bucket keeps versions.
    GetBucketVersioning = "s3:GetBucketVersioning",
    /// Read a bucket's policy.
    GetBucketPolicy = "s3:GetBucketPolicy",
    /// Learn whether a bucket's policy is public.
    GetBucketPolicyStatus = "s3:GetBucketPolicyStatus",
    /// Read a bucket's default encryption.
    GetEncryptionConfiguration = "s3:GetEncryptionConfiguration",
    /// Read whether transfers are accelerated.
    GetAccelerateConfiguration = "s3:GetAccelerateConfiguration",
    /// Set it.
    PutAccelerateConfiguration = "s3:PutAccelerateConfiguration",
    /// Read which lists of a bucket's objects are made.
    GetInventoryConfiguration = "s3:GetInventoryConfiguration",
    /// Set or remove them.
    PutInventoryConfiguration = "s3:PutInventoryConfiguration",
    /// Read the rules by which objects expire.
    GetLifecycleConfiguration = "s3:GetLifecycleConfiguration",
    /// Set or remove them.
    PutLifecycleConfiguration = "s3:PutLifecycleConfiguration",
    /// Read where requests are logged.
    GetBucketLogging = "s3:GetBucketLogging",
    /// Set it.
    PutBucketLogging = "s3:PutBucketLogging",
    /// Read whom events are sent to.
    GetBucketNotification = "s3:GetBucketNotification",
    /// Set it.
    PutBucketNotification = "s3:PutBucketNotification",
    /// Read a bucket's object lock.
    GetBucketObjectLockConfiguration = "s3:GetBucketObjectLockConfiguration",
    /// Set it.
    PutBucketObjectLockConfiguration = "s3:PutBucketObjectLockConfiguration",
    /// Read where a bucket is replicated to.
    GetReplicationConfiguration = "s3:GetReplicationConfiguration",
    /// Set or remove it.
    PutReplicationConfiguration = "s3:PutReplicationConfiguration",
    /// Read who pays.
    GetBucketRequestPayment = "s3:GetBucketRequestPayment",
    /// Set it.
    PutBucketRequestPayment = "s3:PutBucketRequestPayment",
    /// Read a bucket's site.
    GetBucketWebsite = "s3:GetBucketWebsite",
    /// Set it.
    PutBucketWebsite = "s3:PutBucketWebsite",
    /// Remove it.
    DeleteBucketWebsite = "s3:DeleteBucketWebsite",
    /// Shorten a retention period in governance mode, or delete what it protects.
    BypassGovernanceRetention = "s3:BypassGovernanceRetention",
    /// Read whether a version is under a legal hold.
    GetObjectLegalHold = "s3:GetObjectLegalHold",
    /// Set it.
    PutObjectLegalHold = "s3:PutObjectLegalHold",
    /// Read a version's retention period.
    GetObjectRetention = "s3:GetObjectRetention",
    /// Set it.
    PutObjectRetention = "s3:PutObjectRetention",
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
    /// Set a bucket's policy.
    PutBucketPolicy = "s3:PutBucketPolicy",
    /// Set or remove a bucket's default encryption.
    PutEncryptionConfiguration = "s3:PutEncryptionConfiguration",
    /// Write an object, and every step of a multipart upload that writes.
    PutObject = "s3:PutObject",
    /// Set an object's tags.
    PutObjectTagging = "s3:PutObjectTagging",
    /// Set the tags of a version.
    PutObjectVersionTagging = "s3:PutObjectVersionTagging",
    /// Move an object to another key.
    UpdateObjectEncryption = "s3:UpdateObjectEncryption",
    /// Wrap or unwrap under a CMK.
    UseKey = "kms:Decrypt",
}

impl Action {
    /// Whether the action is on the service and not on something that a user owns already.
    #[must_use]
    pub fn is_on_service(self) -> bool {
        matches!(self, Self::CreateBucket | Self::CreateKey | Self::ListAllMyBuckets | Self::ListKeys)
    }

    /// Whether the action is on a bucket's policy itself.
    #[must_use]
    pub fn is_on_policy(self) -> bool {
        matches!(self, Self::DeleteBucketPolicy | Self::GetBucketPolicy | Self::PutBucketPolicy)
    }
}

/// Why a caller may not do it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Denied {
    /// The request carries no credentials.
    #[error("anonymous requests are not allowed")]
    Anonymous,
    /// A statement of the bucket's policy denies it.
    #[error("{action} is denied by an explicit statement of the bucket's policy")]
    ByPolicy {
        /// What, by its name in a policy.
        action: &'static str,
    },
    /// The user does not own what it wants to act on.
    #[error("user {user} is not authorized to perform {action}")]
    NotOwner {
        /// Who.
        user: UserId,
        /// What, by its name in a policy.
        action: &'static str,
    },
}

/// Decides whether `caller` may do `action` on something that `owner` owns and that has no policy. `owner` is `None` only
/// for an action on the service itself ([`Action::is_on_service`]); an unowned bucket or key is nobody's but root's.
///
/// # Errors
/// [`Denied`], with what to tell the caller.
pub fn authorize(caller: &Caller, action: Action, owner: Option<&UserId>) -> Result<(), Denied> {
    let user = caller.user().ok_or(Denied::Anonymous)?;
    let allowed = user.root() || owner.map_or(action.is_on_service(), |owner| owner == user.user());
    if allowed { Ok(()) } else { Err(Denied::NotOwner { user: user.user().clone(), action: action.name() }) }
}

/// What a decision about a bucket or an object in it needs to know.
#[derive(Debug, Clone, Copy)]
pub struct Asked<'a> {
    /// Who asks.
    pub caller: &'a Caller,
    /// What for.
    pub action: Action,
    /// The ARN of the bucket or the object.
    pub resource: &'a str,
    /// The bucket's owner.
    pub owner: &'a UserId,
    /// The bucket's policy, if it has one.
    pub policy: Option<&'a Policy>,
    /// Whether a policy that lets the public in counts for users only (S3: `RestrictPublicBuckets`).
    pub restricted: bool,
    /// The account that all users here belong to.
    pub account: &'a str,
    /// What the request says. What depends on the caller alone is added by [`decide`].
    pub context: &'a Context,
}

/// Decides on a bucket or an object in it. A statement that denies wins, even over the owner and root; only the policy
/// itself can always be repaired by root. Then the owner and root may do everything, and others what a statement allows.
///
/// # Errors
/// [`Denied`], with what to tell the caller.
pub fn decide(asked: &Asked<'_>) -> Result<(), Denied> {
    let plainly = || authorize(asked.caller, asked.action, Some(asked.owner));
    let root = asked.caller.user().is_some_and(Authenticated::root);
    let Some(policy) = asked.policy.filter(|_| !(root && asked.action.is_on_policy())) else { return plainly() };
    let arn = asked.caller.user().map(|user| arn(user, asked.account));
    let mut context = asked.context.clone();
    add_caller(&mut context, asked.caller, arn.as_deref());
    let question = Question {
        principal: arn.as_deref(),
        action: asked.action.name(),
        resource: asked.resource,
        context: &context,
        speaks_for_account: false,
    };
    match policy.judge(&question) {
        Verdict::Deny => Err(Denied::ByPolicy { action: asked.action.name() }),
        Verdict::Allow if asked.restricted && asked.caller.user().is_none() && policy.is_public() => plainly(),
        Verdict::Allow => Ok(()),
        Verdict::Silent => plainly(),
    }
}

/// The name of a user in a policy.
fn arn(user: &Authenticated, account: &str) -> String {
    if user.root() {
        format!("arn:aws:iam::{account}:root")
    } else {
        format!("arn:aws:iam::{account}:user/{}", user.user())
    }
}

/// The condition keys that tell of the caller, whatever the context said of them.
const OF_THE_CALLER: [&str; 4] = ["aws:PrincipalArn", "aws:username", "s3:authType", "s3:signatureversion"];

/// Sets the condition keys that tell of the caller. An anonymous one has none of them; root has no user name.
fn add_caller(context: &mut Context, caller: &Caller, arn: Option<&str>) {
    OF_THE_CALLER.iter().for_each(|key| context.unset(key));
    let (Some(user), Some(arn)) = (caller.user(), arn) else { return };
    context.set("aws:PrincipalArn", arn);
    if !user.root() {
        context.set("aws:username", user.user().to_string());
    }
    let (kind, version) = match user.scheme() {
        Scheme::AliyunAcs3 => ("REST-HEADER", "ACS3-HMAC-SHA256"),
        Scheme::AliyunRpc => ("REST-QUERY-STRING", "ACS"),
        Scheme::OssV1Form => ("POST", "OSS"),
        Scheme::OssV1Header => ("REST-HEADER", "OSS"),
        Scheme::OssV1Url => ("REST-QUERY-STRING", "OSS"),
        Scheme::OssV2Header => ("REST-HEADER", "OSS2"),
        Scheme::OssV4Form => ("POST", "OSS4-HMAC-SHA256"),
        Scheme::OssV4Header => ("REST-HEADER", "OSS4-HMAC-SHA256"),
        Scheme::OssV4Url => ("REST-QUERY-STRING", "OSS4-HMAC-SHA256"),
        Scheme::SigV2Form => ("POST", "AWS"),
        Scheme::SigV2Header => ("REST-HEADER", "AWS"),
        Scheme::SigV2Url => ("REST-QUERY-STRING", "AWS"),
        Scheme::SigV4Form => ("POST", "AWS4-HMAC-SHA256"),
        Scheme::SigV4Header => ("REST-HEADER", "AWS4-HMAC-SHA256"),
        Scheme::SigV4Url => ("REST-QUERY-STRING", "AWS4-HMAC-SHA256"),
    };
    context.set("s3:authType", kind);
    context.set("s3:signatureversion", version);
}

#[cfg(test)]
mod tests {
    use super::*;

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

    /// Reading is open to bob, writing to everybody but not without AES256, and deleting is denied to all.
    const POLICY: &str = r#"{"Version":"2012-10-17","Statement":[
        {"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::000000000000:user/bob"},"Action":"s3:Get*",
         "Resource":["arn:aws:s3:::b","arn:aws:s3:::b/*"],"Condition":{"StringEquals":{"aws:username":"bob"}}},
        {"Effect":"Allow","Principal":"*","Action":"s3:PutObject","Resource":"arn:aws:s3:::b/*"},
        {"Effect":"Deny","Principal":"*","Action":"s3:PutObject","Resource":"arn:aws:s3:::b/*",
         "Condition":{"StringNotEquals":{"s3:x-amz-server-side-encryption":"AES256"}}},
        {"Effect":"Deny","Principal":"*","Action":["s3:DeleteObject","s3:*BucketPolicy"],
         "Resource":["arn:aws:s3:::b","arn:aws:s3:::b/*"]}]}"#;

    #[test]
    fn users_get_what_owner_policy_and_root_allow() {
        let policy = Policy::parse(POLICY.as_bytes()).unwrap();
        let user = |name| Caller::User(Authenticated::for_test(name, false));
        let (ann, bob, eve) = (user("ann"), user("bob"), user("eve"));
        let root = Caller::User(Authenticated::for_test("root", true));
        let nobody = Caller::Anonymous;
        for (caller, action, sse, allowed) in [
            (&ann, Action::GetObject, None, true),
            (&bob, Action::GetObject, None, true),
            (&eve, Action::GetObject, None, false),
            (&nobody, Action::GetObject, None, false),
            (&root, Action::GetObject, None, true),
            (&ann, Action::PutObject, None, false),
            (&ann, Action::PutObject, Some("AES256"), true),
            (&eve, Action::PutObject, Some("AES256"), true),
            (&eve, Action::PutObject, Some("aws:kms"), false),
            (&nobody, Action::PutObject, Some("AES256"), true),
            (&root, Action::PutObject, None, false),
            (&ann, Action::DeleteObject, None, false),
            (&ann, Action::PutBucketPolicy, None, false),
            (&bob, Action::GetBucketPolicy, None, false),
            (&root, Action::PutBucketPolicy, None, true),
            (&root, Action::DeleteBucketPolicy, None, true),
            (&bob, Action::ListBucket, None, false),
        ] {
            let mut context = Context::default();
            if let Some(sse) = sse {
                context.set("s3:x-amz-server-side-encryption", sse);
            }
            let asked = Asked {
                caller,
                action,
                resource: if action.name().contains("Bucket") { "arn:aws:s3:::b" } else { "arn:aws:s3:::b/k" },
                owner: &UserId::new("ann"),
                policy: Some(&policy),
                restricted: false,
                account: "000000000000",
                context: &context,
            };
            assert_eq!(decide(&asked).is_ok(), allowed, "{caller:?} {action:?} {sse:?}");
            let without = Asked { policy: None, ..asked };
            assert_eq!(decide(&without).is_ok(), *caller == ann || *caller == root, "{caller:?} {action:?}");
        }
    }

    #[test]
    fn a_request_cannot_claim_to_be_someone_else() {
        let document = r#"{"Statement":{"Effect":"Allow","Principal":"*","Action":"s3:GetObject",
            "Resource":"arn:aws:s3:::b/*","Condition":{"StringEquals":{"aws:username":"bob"}}}}"#;
        let policy = Policy::parse(document.as_bytes()).unwrap();
        let mut context = Context::default();
        context.set("aws:username", "bob");
        for (caller, allowed) in [
            (Caller::User(Authenticated::for_test("bob", false)), true),
            (Caller::User(Authenticated::for_test("eve", false)), false),
            (Caller::Anonymous, false),
        ] {
            let asked = Asked {
                caller: &caller,
                action: Action::GetObject,
                resource: "arn:aws:s3:::b/k",
                owner: &UserId::new("ann"),
                policy: Some(&policy),
                restricted: false,
                account: "000000000000",
                context: &context,
            };
            assert_eq!(decide(&asked).is_ok(), allowed, "{caller:?}");
        }
    }
}
