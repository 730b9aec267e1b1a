//! Who may do what with a CMK. The caller's right is looked at before the CMK's state: a stranger learns neither.

use crate::kms::{EncryptionContext, Error, Principal};
use crate::policy::Verdict;

use super::key_policy::KeyPolicy;
use super::keystore::Inner;
use super::state::Cmk;

macro_rules! rights {
    ($($name:ident,)*) => {
        /// What a caller wants to do with a CMK, by the name that AWS KMS's key policies have for it.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub(super) enum Right {
            $($name,)*
        }

        impl Right {
            /// The API's name of it, such as `ScheduleKeyDeletion`.
            pub(super) fn name(self) -> &'static str {
                match self {
                    $(Self::$name => stringify!($name),)*
                }
            }

            /// The name in a policy, such as `kms:ScheduleKeyDeletion`.
            pub(super) fn action(self) -> String {
                format!("kms:{}", self.name())
            }
        }
    };
}

rights! {
    CancelKeyDeletion,
    CreateAlias,
    Decrypt,
    DeleteAlias,
    DeleteImportedKeyMaterial,
    DescribeKey,
    DisableKey,
    DisableKeyRotation,
    EnableKey,
    EnableKeyRotation,
    Encrypt,
    GenerateDataKey,
    GenerateDataKeyWithoutPlaintext,
    GetKeyPolicy,
    GetKeyRotationStatus,
    GetParametersForImport,
    ImportKeyMaterial,
    ListAliases,
    ListKeyPolicies,
    ListKeyRotations,
    ListResourceTags,
    PutKeyPolicy,
    ReEncryptFrom,
    ReEncryptTo,
    RotateKeyOnDemand,
    ScheduleKeyDeletion,
    TagResource,
    UntagResource,
    UpdateAlias,
    UpdateKeyDescription,
}

impl Right {
    /// Whether it is about using a CMK, and not about administering it.
    fn is_use(self) -> bool {
        matches!(
            self,
            Self::Decrypt
                | Self::Encrypt
                | Self::GenerateDataKey
                | Self::GenerateDataKeyWithoutPlaintext
                | Self::ReEncryptFrom
                | Self::ReEncryptTo
        )
    }
}

/// On which way a CMK is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Via {
    /// By a key administrator's own call. The service-managed CMK is closed to it, as AWS's key policy for
    /// `alias/aws/s3` closes it (`kms:ViaService`): its plaintexts are other tenants' data keys.
    Api,
    /// By the gateway, which has judged the caller's right to the object and binds the object in the context.
    Gateway,
}

/// Who asks, and how.
#[derive(Debug, Clone, Copy)]
pub(super) struct Asker<'a> {
    pub(super) principal: &'a Principal,
    pub(super) via: Via,
    /// The encryption context, where the operation has one.
    pub(super) context: Option<&'a EncryptionContext>,
}

impl<'a> Asker<'a> {
    /// Somebody who administers keys.
    pub(super) fn administrator(principal: &'a Principal) -> Self {
        Self { principal, via: Via::Api, context: None }
    }
}

impl Inner {
    /// # Errors
    /// [`Error::Denied`].
    pub(super) fn authorize(&self, asker: &Asker<'_>, right: Right, cmk: &Cmk) -> Result<(), Error> {
        let root = asker.principal.root;
        let allowed = match (&cmk.policy, &cmk.record.owner) {
            (KeyPolicy::Default, Some(owner)) => root || *owner == asker.principal.user,
            // Everyone sees the service-managed CMK, and the gateway uses it for everyone.
            (KeyPolicy::Default, None) => {
                root || asker.via == Via::Gateway || matches!(right, Right::DescribeKey | Right::ListAliases)
            }
            (KeyPolicy::Given(policy), _) => {
                root && !right.is_use() || self.judge(policy, asker, right, cmk) == Verdict::Allow
            }
            (KeyPolicy::Unreadable, _) => root && !right.is_use(),
        };
        if allowed { Ok(()) } else { Err(Error::Denied(cmk.record.arn.0.clone())) }
    }
}
