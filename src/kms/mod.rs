//! Customer master keys (CMKs) and the service's own key: who can wrap and unwrap a data key.
//!
//! This room knows key ids, wrapped keys and encryption contexts. It must not know objects or buckets: what binds a
//! data key to an object reaches it as an [`EncryptionContext`].

mod cache;
#[cfg(test)]
pub(crate) mod ledger;
pub(crate) mod once;
mod service;
mod trail;
mod watched;

pub use cache::{DEFAULT_CACHE_TTL, KeyCache};
pub use service::{AttributeKey, ServiceKey};
pub use trail::{AuditTrail, KeyEvent, NoTrail};
pub use watched::Watched;
#[cfg(test)]
pub(crate) mod contract;
pub mod embedded;

use std::collections::BTreeMap;
use std::fmt;

use async_trait::async_trait;
use zeroize::Zeroizing;

/// A data key (DK): 32 random bytes that seal one object. Wiped on drop, never printed.
pub struct DataKey(Zeroizing<[u8; 32]>);

impl DataKey {
    /// A data key of these bytes.
    #[must_use]
    pub fn new(bytes: [u8; 32]) -> Self {
        Self(Zeroizing::new(bytes))
    }

    /// The key's bytes, for deriving or sealing only.
    #[must_use]
    pub fn expose(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Debug for DataKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DataKey(…)")
    }
}

/// A key wrapped by a key service: the service's own ciphertext blob, opaque to everyone else.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct WrappedKey(pub Vec<u8>);

/// How a caller names a CMK: key id, key ARN, alias name (`alias/…`) or alias ARN, as in AWS KMS's `KeyId` parameter.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct KeyRef(pub String);

/// A CMK's full ARN (`arn:aws:kms:region:account:key/id`), as responses echo it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
pub struct KeyArn(pub String);

/// The encryption context: pairs that a wrap binds and an unwrap must repeat. Canonical by being sorted.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct EncryptionContext(pub BTreeMap<String, String>);

/// A fresh data key, plain and wrapped, and the CMK that wrapped it.
#[derive(Debug)]
pub struct GeneratedKey {
    /// The CMK's ARN (an alias is resolved).
    pub key: KeyArn,
    /// The data key.
    pub plaintext: DataKey,
    /// The same, wrapped.
    pub wrapped: WrappedKey,
}

/// Why a key service said no. Never carries key material.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Error {
    /// No such key or alias.
    #[error("key {0:?} does not exist")]
    NotFound(String),
    /// The key is disabled.
    #[error("key {0} is disabled")]
    Disabled(String),
    /// The key is scheduled for deletion.
    #[error("key {0} is pending deletion")]
    PendingDeletion(String),
    /// The key waits for its material to be imported.
    #[error("key {0} is pending import")]
    PendingImport(String),
    /// The key cannot do this (its usage or kind is another).
    #[error("key {0} cannot be used for this")]
    InvalidKeyUsage(String),
    /// The wrapped key does not open: wrong key, wrong context, or altered.
    #[error("the ciphertext does not open under this key and context")]
    InvalidCiphertext,
    /// The principal may not use the key.
    #[error("not allowed to use key {0}")]
    Denied(String),
    /// A request parameter is not valid (said in the text).
    #[error("{0}")]
    Invalid(String),
    /// The name is taken (an alias).
    #[error("{0} exists already")]
    AlreadyExists(String),
    /// The service cannot be reached, throttles or is too slow: try again later.
    #[error("the key service is not available: {0}")]
    Unavailable(String),
    /// The keystore is damaged or contradicts itself: someone must act.
    #[error("the keystore is damaged: {0}")]
    Corrupt(String),
}

/// What sealgate needs of a KMS to wrap and unwrap data keys. All methods check the key's state at the time of the call.
#[async_trait]
pub trait KeyService: Send + Sync + fmt::Debug {
    /// Makes a fresh data key under `key` (`None`: the service-managed default CMK `alias/aws/s3`, made on first use),
    /// on behalf of `principal` (a user name; the embedded keystore lets a key's owner, and the root user, use it;
    /// everyone may use the service-managed default).
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Disabled`], [`Error::PendingDeletion`], [`Error::Denied`], [`Error::Unavailable`] …
    async fn generate_data_key(
        &self,
        principal: &Principal,
        key: Option<&KeyRef>,
        context: &EncryptionContext,
    ) -> Result<GeneratedKey, Error>;

    /// Wraps a given data key: re-keying and copies.
    ///
    /// # Errors
    /// As [`KeyService::generate_data_key`].
    async fn wrap(
        &self,
        principal: &Principal,
        key: Option<&KeyRef>,
        data_key: &DataKey,
        context: &EncryptionContext,
    ) -> Result<(KeyArn, WrappedKey), Error>;

    /// Unwraps what `generate_data_key` or `wrap` gave, under the same context.
    ///
    /// # Errors
    /// [`Error::InvalidCiphertext`] when key, context or blob are not those of the wrap; else as above.
    async fn unwrap_key(
        &self,
        principal: &Principal,
        key: &KeyArn,
        wrapped: &WrappedKey,
        context: &EncryptionContext,
    ) -> Result<DataKey, Error>;

    /// Another number whenever this gateway learns that any key was changed: its state, its policy, its material, what
    /// an alias names. What was unwrapped before is forgotten then. A service that does not tell says always the same;
    /// there the time that keys are remembered is the bound.
    fn generation(&self) -> u64;
}

/// On whose behalf a key is used.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Principal {
    /// The user's name.
    pub user: crate::types::UserId,
    /// Whether this is the gateway's root user, who may use and administer every key.
    pub root: bool,
}
