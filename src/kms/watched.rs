//! A key service that is listened to: what was asked and how it went, for counting. No key, name or context goes by.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;

use super::{DataKey, EncryptionContext, Error, GeneratedKey, KeyArn, KeyRef, KeyService, Principal, WrappedKey};

/// Passes every call on and tells a listener the operation and its outcome, both from fixed sets of words.
pub struct Watched {
    inner: Arc<dyn KeyService>,
    listener: Box<dyn Fn(&'static str, &'static str) + Send + Sync>,
}

impl Watched {
    /// `listener` gets the operation (`generate_data_key`, `wrap`, `unwrap_key`) and the outcome (`ok`, or the error's
    /// kind such as `disabled`).
    #[must_use]
    pub fn new(
        inner: Arc<dyn KeyService>,
        listener: impl Fn(&'static str, &'static str) + Send + Sync + 'static,
    ) -> Self {
        Self { inner, listener: Box::new(listener) }
    }

    fn tell<T>(&self, operation: &'static str, result: Result<T, Error>) -> Result<T, Error> {
        (self.listener)(operation, result.as_ref().map_or_else(outcome, |_| "ok"));
        result
    }
}

impl fmt::Debug for Watched {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Watched").field(&self.inner).finish()
    }
}

fn outcome(error: &Error) -> &'static str {
    match error {
        Error::NotFound(_) => "not_found",
        Error::Disabled(_) => "disabled",
        Error::PendingDeletion(_) => "pending_deletion",
        Error::PendingImport(_) => "pending_import",
        Error::InvalidKeyUsage(_) => "invalid_key_usage",
        Error::InvalidCiphertext => "invalid_ciphertext",
        Error::Denied(_) => "denied",
        Error::Invalid(_) => "invalid",
        Error::AlreadyExists(_) => "already_exists",
        Error::Unavailable(_) => "unavailable",
        Error::Corrupt(_) => "corrupt",
    }
}

#[async_trait]
impl KeyService for Watched {
    async fn generate_data_key(
        &self,
        principal: &Principal,
        key: Option<&KeyRef>,
        context: &EncryptionContext,
    ) -> Result<GeneratedKey, Error> {
        self.tell("generate_data_key", self.inner.generate_data_key(principal, key, context).await)
    }

    async fn wrap(
        &self,
        principal: &Principal,
        key: Option<&KeyRef>,
        data_key: &DataKey,
        context: &EncryptionContext,
    ) -> Result<(KeyArn, WrappedKey), Error> {
        self.tell("wrap", self.inner.wrap(principal, key, data_key, context).await)
    }

    async fn unwrap_key(
        &self,
        principal: &Principal,
        key: &KeyArn,
        wrapped: &WrappedKey,
        context: &EncryptionContext,
    ) -> Result<DataKey, Error> {
        self.tell("unwrap_key", self.inner.unwrap_key(principal, key, wrapped, context).await)
    }
    fn generation(&self) -> u64 {
        self.inner.generation()
    }
}
