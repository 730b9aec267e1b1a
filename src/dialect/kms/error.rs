//! Errors of the AWS KMS JSON protocol: a type name and a message, status 400 unless it is our own fault.

use crate::kms;
use crate::kms::embedded::AdminError;

/// An error answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Fault {
    pub(super) status: u16,
    pub(super) name: &'static str,
    pub(super) message: String,
}

impl Fault {
    pub(super) fn new(name: &'static str, message: impl Into<String>) -> Self {
        Self { status: 400, name, message: message.into() }
    }

    fn ours(status: u16, name: &'static str) -> Self {
        Self { status, name, message: "the service cannot answer now".to_owned() }
    }
}

impl From<kms::Error> for Fault {
    fn from(error: kms::Error) -> Self {
        let message = error.to_string();
        match error {
            kms::Error::NotFound(_) => Self::new("NotFoundException", message),
            kms::Error::Disabled(_) => Self::new("DisabledException", message),
            kms::Error::PendingDeletion(_) | kms::Error::PendingImport(_) => {
                Self::new("KMSInvalidStateException", message)
            }
            kms::Error::InvalidKeyUsage(_) => Self::new("InvalidKeyUsageException", message),
            kms::Error::InvalidCiphertext => Self::new("InvalidCiphertextException", message),
            kms::Error::Denied(_) => Self::new("AccessDeniedException", message),
            kms::Error::Invalid(_) => Self::new("ValidationException", message),
            kms::Error::AlreadyExists(_) => Self::new("AlreadyExistsException", message),
            kms::Error::Unavailable(_) => Self::ours(503, "KeyUnavailableException"),
            kms::Error::Corrupt(_) => Self::ours(500, "KMSInternalException"),
        }
    }
}

impl From<AdminError> for Fault {
    fn from(error: AdminError) -> Self {
        let message = error.to_string();
        match error {
            AdminError::IncorrectKey => Self::new("IncorrectKeyException", message),
            AdminError::Kms(error) => error.into(),
            AdminError::LimitExceeded(_) => Self::new("LimitExceededException", message),
            AdminError::ReservedAlias(_) => Self::new("NotAuthorizedException", message),
        }
    }
}
