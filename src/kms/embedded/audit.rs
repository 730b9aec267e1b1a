//! What the audit trail learns: who did what with which CMK, and how it ended. Of an encryption context the names only,
//! since values may be anything; of keys never more than their ARNs.

use crate::kms::{EncryptionContext, Error, KeyRef, Principal};

const TARGET: &str = "sealgate::audit";
/// What is shown of a key reference that named nothing: it may be any text.
const SHOWN_CHARS: usize = 256;

/// Leaves the event of one use of a CMK.
pub(super) fn used(
    operation: &'static str,
    principal: &Principal,
    key: &str,
    context: &EncryptionContext,
    outcome: Result<(), &Error>,
) {
    let key: String = key.chars().take(SHOWN_CHARS).collect();
    let context_keys: Vec<&str> = context.0.keys().map(String::as_str).collect();
    tracing::info!(
        target: TARGET,
        event = "kms.use",
        operation,
        principal = ?principal.user,
        root = principal.root,
        key = ?key,
        context_keys = ?context_keys,
        outcome = outcome_name(outcome),
    );
}

/// Leaves the event of a change of a CMK or alias.
pub(super) fn administered(
    operation: &'static str,
    principal: &Principal,
    key: &str,
    outcome: Result<(), &super::AdminError>,
) {
    let key: String = key.chars().take(SHOWN_CHARS).collect();
    tracing::info!(
        target: TARGET,
        event = "kms.admin",
        operation,
        principal = ?principal.user,
        root = principal.root,
        key = ?key,
        outcome = match outcome {
            Err(super::AdminError::Kms(error)) => outcome_name(Err(error)),
            Err(_) => "refused",
            Ok(()) => "ok",
        },
    );
}

/// How a key was asked for, where it is not resolved yet.
pub(super) fn asked(key: Option<&KeyRef>) -> &str {
    key.map_or("alias/aws/s3", |key| key.0.as_str())
}

fn outcome_name(outcome: Result<(), &Error>) -> &'static str {
    match outcome {
        Ok(()) => "ok",
        Err(Error::NotFound(_)) => "not_found",
        Err(Error::Disabled(_)) => "disabled",
        Err(Error::PendingDeletion(_)) => "pending_deletion",
        Err(Error::PendingImport(_)) => "pending_import",
        Err(Error::InvalidKeyUsage(_)) => "invalid_key_usage",
        Err(Error::InvalidCiphertext) => "invalid_ciphertext",
        Err(Error::Denied(_)) => "denied",
        Err(Error::Invalid(_)) => "invalid",
        Err(Error::AlreadyExists(_)) => "already_exists",
        Err(Error::Unavailable(_)) => "unavailable",
        Err(Error::Corrupt(_)) => "corrupt",
    }
}
