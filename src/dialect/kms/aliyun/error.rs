//! Errors of this API: an HTTP status, a code and a message. Source: "Common errors" of the API reference.

use crate::identity::AliyunAuthError;
use crate::kms;
use crate::kms::embedded::AdminError;

/// An error answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Fault {
    pub(super) status: u16,
    pub(super) code: &'static str,
    pub(super) message: String,
}

impl Fault {
    pub(super) fn new(status: u16, code: &'static str, message: impl Into<String>) -> Self {
        Self { status, code, message: message.into() }
    }

    pub(super) fn parameter(name: &str) -> Self {
        Self::new(400, "InvalidParameter", format!("The specified parameter \"{name}\" is not valid."))
    }

    pub(super) fn missing(name: &str) -> Self {
        Self::new(400, "MissingParameter", format!("The parameter \"{name}\" is needed but not provided."))
    }

    pub(super) fn unsupported(message: &str) -> Self {
        Self::new(400, "UnsupportedOperation", message)
    }

    /// The face of an error of the keystore in an operation that changes a key's state: it does not say which state was in
    /// the way.
    pub(super) fn of_change(error: AdminError) -> Self {
        let fault = Self::from(error);
        if fault.status == 409 {
            return Self::new(409, "Rejected.StateModifiedFailed", "Keystate modified failed.");
        }
        fault
    }

    /// The face of an error in an operation about imported material.
    pub(super) fn of_import(error: AdminError) -> Self {
        match error {
            AdminError::Kms(kms::Error::InvalidCiphertext) => Self::from(AdminError::IncorrectMaterial),
            AdminError::Unsupported(_) => {
                Self::new(400, "Unsupported.Origin", "This key origin is not valid for this api.")
            }
            error => Self::from(error),
        }
    }
}

fn rejected(state: &str, code: &'static str) -> Fault {
    Fault::new(409, code, format!("The request was rejected because the key state is {state}."))
}

impl From<kms::Error> for Fault {
    fn from(error: kms::Error) -> Self {
        match error {
            kms::Error::NotFound(name) if name.contains("alias/") => {
                Self::new(404, "Forbidden.AliasNotFound", "The specified Alias is not found.")
            }
            kms::Error::NotFound(_) => Self::new(404, "Forbidden.KeyNotFound", "The specified Key is not found."),
            kms::Error::Disabled(_) => rejected("Disabled", "Rejected.Disabled"),
            kms::Error::PendingDeletion(_) => rejected("PendingDeletion", "Rejected.PendingDeletion"),
            kms::Error::PendingImport(_) => rejected("PendingImport", "Rejected.PendingImport"),
            kms::Error::InvalidKeyUsage(_) => Self::unsupported("This key cannot be used for this."),
            kms::Error::InvalidCiphertext => Self::parameter("CiphertextBlob"),
            kms::Error::Denied(_) => {
                Self::new(403, "Forbidden.NoPermission", "This operation is forbidden by permission system.")
            }
            kms::Error::Invalid(text) => Self::new(400, "InvalidParameter", text),
            kms::Error::AlreadyExists(_) => Self::new(400, "AliasAlreadyExists", "AliasName Already Exists."),
            kms::Error::Unavailable(_) => {
                Self::new(503, "ServiceUnavailableTemporary", "Service Unavailable Temporary.")
            }
            kms::Error::Corrupt(_) => Self::new(500, "InternalFailure", "Internal Failure."),
        }
    }
}

impl From<AdminError> for Fault {
    fn from(error: AdminError) -> Self {
        let message = error.to_string();
        match error {
            AdminError::ExpiredImportToken => Self::new(400, "ExpiredImportToken", "import token is expired."),
            AdminError::IncorrectKey => Self::parameter("SourceKeyId"),
            AdminError::IncorrectMaterial => Self::new(400, "InvalidKeyMaterial", "key material is invalid."),
            AdminError::InvalidImportToken => Self::new(400, "InvalidImportToken", "import token is invalid."),
            AdminError::InvalidTag(_) => Self::new(400, "InvalidParameter", message),
            AdminError::Kms(error) => error.into(),
            AdminError::LimitExceeded(_) => Self::new(400, "Rejected.LimitExceeded", message),
            AdminError::MalformedPolicy(_) => Self::parameter("Policy"),
            AdminError::NotPendingDeletion(_) => {
                Self::new(409, "Rejected.StateModifiedFailed", "Keystate modified failed.")
            }
            AdminError::Overtaken => Self::from(kms::Error::Unavailable(message)),
            AdminError::ReservedAlias(_) => Self::parameter("AliasName"),
            AdminError::ServiceManaged(_) => Self::unsupported("The key is managed by the service."),
            AdminError::Unsupported(_) => Self::new(400, "Rejected.UnsupportedOperation", message),
        }
    }
}

impl From<&AliyunAuthError> for Fault {
    fn from(error: &AliyunAuthError) -> Self {
        let message = error.to_string();
        match error {
            AliyunAuthError::AccessKeyUnknown(_) => {
                Self::new(404, "InvalidAccessKeyId.NotFound", "Specified access key is not found.")
            }
            AliyunAuthError::Expired => {
                Self::new(400, "InvalidTimeStamp.Expired", "Specified time stamp or date value is expired.")
            }
            AliyunAuthError::ContentHash | AliyunAuthError::Header(_) | AliyunAuthError::Incomplete(_) => {
                Self::new(400, "IncompleteSignature", message)
            }
            AliyunAuthError::Missing(name) => Self::missing(name),
            AliyunAuthError::SecurityToken => Self::new(
                400,
                "InvalidSecurityToken.MismatchWithAccessKey",
                "Specified SecurityToken mismatch with the AccessKey.",
            ),
            AliyunAuthError::SecurityTokenExpired => {
                Self::new(400, "InvalidSecurityToken.Expired", "Specified SecurityToken is expired.")
            }
            AliyunAuthError::SignatureMismatch(_) => {
                Self::new(400, "SignatureDoesNotMatch", "Specified signature is not matched with our calculation.")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_of_keys_have_the_codes_of_the_reference() {
        let key = || "arn:aws:kms:r:a:key/k".to_owned();
        let cases = [
            (kms::Error::NotFound(key()), 404, "Forbidden.KeyNotFound"),
            (kms::Error::NotFound("arn:aws:kms:r:a:alias/k".into()), 404, "Forbidden.AliasNotFound"),
            (kms::Error::Disabled(key()), 409, "Rejected.Disabled"),
            (kms::Error::PendingDeletion(key()), 409, "Rejected.PendingDeletion"),
            (kms::Error::PendingImport(key()), 409, "Rejected.PendingImport"),
            (kms::Error::Denied(key()), 403, "Forbidden.NoPermission"),
            (kms::Error::Unavailable("why".into()), 503, "ServiceUnavailableTemporary"),
            (kms::Error::Corrupt("why".into()), 500, "InternalFailure"),
        ];
        for (error, status, code) in cases {
            let fault = Fault::from(error);
            assert_eq!((fault.status, fault.code), (status, code));
            assert!(!fault.message.contains("why"));
        }
    }
}
