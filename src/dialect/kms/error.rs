//! Errors of the AWS KMS JSON protocol: a type name and a message, status 400 unless it is our own fault.

use crate::identity::{AuthError, Flaw};
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
            AdminError::Overtaken => kms::Error::Unavailable(message).into(),
            AdminError::ReservedAlias(_) => Self::new("NotAuthorizedException", message),
        }
    }
}

/// The names of the AWS KMS API Reference's "Common Errors". A stale date is an `InvalidSignatureException` there
/// ("Signature expired"), and so is a scope for another region or service.
impl From<&AuthError> for Fault {
    fn from(error: &AuthError) -> Self {
        let invalid = |message: &str| Self::new("InvalidSignatureException", message);
        let incomplete = |message: String| Self::new("IncompleteSignatureException", message);
        let token =
            || Self::new("UnrecognizedClientException", "The security token included in the request is invalid.");
        match error {
            AuthError::AccessKeyUnknown(_) | AuthError::SessionToken | AuthError::SessionTokenMissing(_) => token(),
            AuthError::SessionTokenExpired => {
                Self::new("ExpiredTokenException", "The security token included in the request is expired")
            }
            AuthError::SignatureMismatch(_) | AuthError::ContentHashInvalid(_) => invalid(
                "The request signature we calculated does not match the signature you provided. Check your AWS Secret \
                 Access Key and signing method. Consult the service documentation for details.",
            ),
            AuthError::TimeTooSkewed { request, now } | AuthError::Expired { until: request, now, .. }
                if request <= now =>
            {
                invalid("Signature expired: the request is older than 15 minutes")
            }
            AuthError::TimeTooSkewed { .. } | AuthError::Expired { .. } | AuthError::NotYetValid { .. } => {
                invalid("Signature not yet current: the request is dated more than 15 minutes ahead")
            }
            AuthError::Malformed { flaw, .. } => match flaw {
                Flaw::CredentialDate { .. } | Flaw::Region { .. } | Flaw::Service { .. } | Flaw::Terminal(_) => {
                    invalid(&format!("Credential should be scoped correctly: {flaw}"))
                }
                Flaw::Algorithm
                | Flaw::Components
                | Flaw::Credential
                | Flaw::Date
                | Flaw::DuplicateParameter(_)
                | Flaw::ExpiresNotNumber
                | Flaw::ExpiresNotPositive
                | Flaw::ExpiresTooLong
                | Flaw::Incomplete
                | Flaw::NotText(_)
                | Flaw::SignedHeaderAbsent(_)
                | Flaw::SignedHeaders
                | Flaw::SignedHostMissing => incomplete(flaw.to_string()),
            },
            AuthError::ContentHashMissing
            | AuthError::ContentHashUnsupported(_)
            | AuthError::DateInvalid
            | AuthError::DuplicateHeader(_)
            | AuthError::HeadersNotSigned(_)
            | AuthError::HostInvalid
            | AuthError::MoreThanOneMechanism
            | AuthError::ParameterContradictsHeader(_)
            | AuthError::SigV2Malformed(_)
            | AuthError::SigV2Refused
            | AuthError::StreamingNotAllowed
            | AuthError::UnsupportedScheme => incomplete(error.to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::Place;
    use crate::types::AccessKeyId;

    #[test]
    fn a_refused_caller_is_told_so_in_the_names_of_aws_kms() {
        let key = AccessKeyId::new("AK");
        let flaw = |flaw| AuthError::Malformed { place: Place::Header, flaw };
        let region = Flaw::Region { given: "a".into(), expected: "b".into() };
        let cases = [
            (AuthError::AccessKeyUnknown(key.clone()), "UnrecognizedClientException", "security token"),
            (AuthError::SessionToken, "UnrecognizedClientException", "security token"),
            (AuthError::SessionTokenMissing(key.clone()), "UnrecognizedClientException", "security token"),
            (AuthError::SessionTokenExpired, "ExpiredTokenException", "expired"),
            (AuthError::SignatureMismatch(key), "InvalidSignatureException", "does not match"),
            (AuthError::TimeTooSkewed { request: 0, now: 1000 }, "InvalidSignatureException", "expired"),
            (AuthError::TimeTooSkewed { request: 2000, now: 1000 }, "InvalidSignatureException", "not yet current"),
            (flaw(region), "InvalidSignatureException", "scoped"),
            (flaw(Flaw::Components), "IncompleteSignatureException", "Credential"),
            (flaw(Flaw::SignedHostMissing), "IncompleteSignatureException", "host"),
            (AuthError::DateInvalid, "IncompleteSignatureException", "date"),
            (AuthError::UnsupportedScheme, "IncompleteSignatureException", "unsupported"),
        ];
        for (error, name, says) in cases {
            let fault = Fault::from(&error);
            assert_eq!((fault.status, fault.name), (400, name), "{error:?}");
            assert!(fault.message.contains(says), "{}", fault.message);
        }
    }

    #[test]
    fn errors_of_keys_have_the_names_of_aws_kms() {
        let key = || "key".to_owned();
        let cases = [
            (kms::Error::NotFound(key()), 400, "NotFoundException"),
            (kms::Error::Disabled(key()), 400, "DisabledException"),
            (kms::Error::PendingDeletion(key()), 400, "KMSInvalidStateException"),
            (kms::Error::PendingImport(key()), 400, "KMSInvalidStateException"),
            (kms::Error::InvalidKeyUsage(key()), 400, "InvalidKeyUsageException"),
            (kms::Error::InvalidCiphertext, 400, "InvalidCiphertextException"),
            (kms::Error::Denied(key()), 400, "AccessDeniedException"),
            (kms::Error::Invalid(key()), 400, "ValidationException"),
            (kms::Error::AlreadyExists(key()), 400, "AlreadyExistsException"),
            (kms::Error::Unavailable("why".into()), 503, "KeyUnavailableException"),
            (kms::Error::Corrupt("why".into()), 500, "KMSInternalException"),
        ];
        for (error, status, name) in cases {
            let ours = status >= 500;
            let fault = Fault::from(error);
            assert_eq!((fault.status, fault.name), (status, name));
            assert!(!ours || !fault.message.contains("why"), "our own troubles are not the client's to read");
        }
    }
}
