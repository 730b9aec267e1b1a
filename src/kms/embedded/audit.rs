//! What the audit trail learns: who did what with which CMK, and how it ended. Of keys never more than their ARNs. The log
//! shows the same, but of an encryption context its names only, since values may be anything.

use std::sync::Arc;

use crate::kms::{AuditTrail, EncryptionContext, KeyEvent, KeyRef, NoTrail, Principal};

use super::admin::AdminError;
use super::keystore::{EmbeddedKms, Inner};

const TARGET: &str = "sealgate::audit";
/// What is shown of a key reference that named nothing: it may be any text.
const SHOWN_CHARS: usize = 256;

impl EmbeddedKms {
    /// Tells a trail of everything from now on. The first one that is given stays.
    pub fn audit_with(&self, trail: Arc<dyn AuditTrail>) {
        let _ = self.inner.trail.set(trail);
    }
}

impl Inner {
    /// The trail.
    pub(super) fn trail(&self) -> &dyn AuditTrail {
        self.trail.get().map_or(&NoTrail, AsRef::as_ref)
    }

    /// Leaves the event of one use of a CMK.
    pub(super) fn used(&self, event: &KeyEvent<'_>) {
        let key: String = event.key.chars().take(SHOWN_CHARS).collect();
        tracing::info!(
            target: TARGET,
            event = "kms.use",
            operation = event.operation,
            principal = ?event.principal.user,
            root = event.principal.root,
            key = ?key,
            context_keys = ?event.context.map(names),
            outcome = event.outcome.err().unwrap_or("ok"),
        );
        self.trail().used(event);
    }

    /// Leaves the event of a change of a CMK or alias; gives what the caller is to answer. A change that the trail could not
    /// keep is not acknowledged.
    pub(super) async fn administered<T>(
        &self,
        operation: &str,
        principal: &Principal,
        key: &str,
        done: Result<T, AdminError>,
    ) -> Result<T, AdminError> {
        let outcome = done.as_ref().map(|_| ()).map_err(AdminError::aws_name);
        let shown: String = key.chars().take(SHOWN_CHARS).collect();
        tracing::info!(
            target: TARGET,
            event = "kms.admin",
            operation,
            principal = ?principal.user,
            root = principal.root,
            key = ?shown,
            outcome = outcome.err().unwrap_or("ok"),
        );
        let event = KeyEvent { operation, principal, key, version: None, context: None, outcome };
        let told = self.trail().changed(&event).await;
        let done = done?;
        told?;
        Ok(done)
    }
}

impl AdminError {
    /// AWS KMS's name of this error.
    fn aws_name(&self) -> &'static str {
        match self {
            Self::ExpiredImportToken => "ExpiredImportTokenException",
            Self::IncorrectKey => "IncorrectKeyException",
            Self::IncorrectMaterial => "IncorrectKeyMaterialException",
            Self::InvalidImportToken => "InvalidImportTokenException",
            Self::InvalidTag(_) => "TagException",
            Self::Kms(error) => error.aws_name(),
            Self::LimitExceeded(_) => "LimitExceededException",
            Self::MalformedPolicy(_) => "MalformedPolicyDocumentException",
            Self::NotPendingDeletion(_) => "KMSInvalidStateException",
            Self::Overtaken => "KMSInternalException",
            Self::ReservedAlias(_) => "InvalidAliasNameException",
            Self::ServiceManaged(_) => "AccessDeniedException",
            Self::Unsupported(_) => "UnsupportedOperationException",
        }
    }
}

fn names(context: &EncryptionContext) -> Vec<&str> {
    context.0.keys().map(String::as_str).collect()
}

/// How a key was asked for, where it is not resolved yet.
pub(super) fn asked(key: Option<&KeyRef>) -> &str {
    key.map_or("alias/aws/s3", |key| key.0.as_str())
}
