//! The OSS face of a caller that is not established.
//! <https://www.alibabacloud.com/help/en/oss/developer-reference/include-signatures-in-the-authorization-header>

use std::fmt::Write as _;

use http::StatusCode;

use crate::identity::{FormError, OssAuthError, OssFlaw, OssFormError, Place, PolicyError};
use crate::types::Timestamp;

use super::face::Face;
use super::xml;

/// What OSS answers to a signature that is not right.
pub(super) fn face(error: &OssAuthError) -> Face {
    let forbidden = |code, message: &'static str| Face::new(StatusCode::FORBIDDEN, code, message);
    match error {
        OssAuthError::AccessKeyUnknown(key) | OssAuthError::SecurityTokenMissing(key) => {
            forbidden("InvalidAccessKeyId", "The OSS Access Key Id you provided does not exist in our records.")
                .with("OSSAccessKeyId", key)
        }
        OssAuthError::DateInvalid => Face::denied("OSS authentication requires a valid Date."),
        OssAuthError::DuplicateHeader(name) => {
            Face::invalid_argument("A header that may be given once is given more than once.")
                .with("ArgumentName", name)
        }
        OssAuthError::Expired { until, now } => {
            Face::denied("Request has expired.").with("Expires", shown(*until)).with("ServerTime", shown(*now))
        }
        OssAuthError::HeadersNotSigned(names) => {
            Face::denied("There were headers present in the request which were not signed.")
                .with("HeadersNotSigned", names.join(", "))
        }
        OssAuthError::HostInvalid => Face::bad("InvalidRequest", "The request must name one host, in the Host header."),
        OssAuthError::Malformed { place, flaw } => malformed(*place, flaw),
        OssAuthError::MoreThanOneMechanism => Face::invalid_argument(
            "Only one auth mechanism allowed: either the query string or the Authorization header.",
        )
        .with("ArgumentName", "Authorization"),
        OssAuthError::NotYetValid { from, now } => {
            Face::denied("Request is not yet valid.").with("ValidFrom", shown(*from)).with("ServerTime", shown(*now))
        }
        OssAuthError::ParameterMissing(_) => {
            Face::denied("Query-string authentication requires the Signature, Expires and OSSAccessKeyId parameters.")
        }
        OssAuthError::SecurityTokenExpired(_) => {
            forbidden("SecurityTokenExpired", "The security token you provided has expired.")
        }
        OssAuthError::SecurityTokenInvalid => {
            forbidden("InvalidSecurityToken", "The security token you provided is invalid.")
        }
        OssAuthError::SecurityTokenOfAnother(key) => forbidden(
            "AccessKeyIdAndSecurityTokenNotMatch",
            "The AccessKeyId and the security token you provided do not match.",
        )
        .with("OSSAccessKeyId", key),
        OssAuthError::SecurityTokenTwice => Face::invalid_argument("The security token is given more than once.")
            .with("ArgumentName", "x-oss-security-token"),
        OssAuthError::SignatureMismatch(mismatch) => {
            let text = String::from_utf8_lossy(&mismatch.string_to_sign).into_owned();
            let face = forbidden(
                "SignatureDoesNotMatch",
                "The request signature we calculated does not match the signature you provided. Check your key and \
                 signing method.",
            )
            .with("OSSAccessKeyId", &mismatch.access_key)
            .with("SignatureProvided", &mismatch.provided)
            .with_whole("StringToSign", text)
            .with_whole("StringToSignBytes", spaced(&mismatch.string_to_sign));
            match &mismatch.canonical_request {
                None => face,
                Some(request) => face.with_whole("CanonicalRequest", String::from_utf8_lossy(request).into_owned()),
            }
        }
        OssAuthError::TimeTooSkewed { request, now } => forbidden(
            "RequestTimeTooSkewed",
            "The difference between the request time and the current time is too large.",
        )
        .with("RequestTime", shown(*request))
        .with("ServerTime", shown(*now))
        .with("MaxAllowedSkewMilliseconds", 900_000),
        OssAuthError::UnsupportedScheme => {
            Face::invalid_argument("Unsupported authorization type.").with("ArgumentName", "Authorization")
        }
    }
}

fn malformed(place: Place, flaw: &OssFlaw) -> Face {
    let face = Face::invalid_argument(flaw.to_string());
    match place {
        Place::Form => face,
        Place::Header => face.with("ArgumentName", "Authorization"),
        Place::Url => match flaw {
            OssFlaw::Expires(name) | OssFlaw::Incomplete(name) | OssFlaw::Parameter(name, _) => {
                face.with("ArgumentName", name)
            }
            OssFlaw::Date => face.with("ArgumentName", "x-oss-date"),
            OssFlaw::AdditionalHeaders => face.with("ArgumentName", "x-oss-additional-headers"),
            OssFlaw::ContentHash(_) => face.with("ArgumentName", "x-oss-content-sha256"),
            OssFlaw::Components
            | OssFlaw::Credential
            | OssFlaw::CredentialDate { .. }
            | OssFlaw::Product(_)
            | OssFlaw::Region { .. }
            | OssFlaw::Terminal(_) => face.with("ArgumentName", "x-oss-credential"),
        },
    }
}

/// What OSS answers to a form.
/// <https://www.alibabacloud.com/help/en/oss/developer-reference/postobject>
pub(super) fn form_face(error: &OssFormError) -> Face {
    match error {
        OssFormError::Auth(error) => face(error),
        OssFormError::FieldMissing(name) => missing_field(name),
        OssFormError::Policy(error) => policy_face(error),
    }
}

/// What OSS answers to a form without a field that it must have.
pub(super) fn missing_field(name: &str) -> Face {
    Face::invalid_argument(format!(
        "Bucket POST must contain a field named '{name}'. If it is specified, please check the order of the fields."
    ))
    .with("ArgumentName", name)
}

fn policy_face(error: &PolicyError) -> Face {
    match error {
        PolicyError::Expired => Face::denied("Invalid according to Policy: Policy expired."),
        PolicyError::Invalid(why) => Face::bad("InvalidPolicyDocument", format!("Invalid Policy: {why}")),
        PolicyError::Refuses(why) => Face::denied(format!("Invalid according to Policy: {why}")),
    }
}

/// What OSS answers to a form's fields: their flaws are the same in both dialects.
pub(super) fn field_face(error: &FormError) -> Face {
    match error {
        // Signatures and policies of OSS have errors of their own.
        FormError::Auth(_) => Face::denied("The form is not signed as it must be."),
        FormError::FieldMissing(name) => missing_field(name),
        FormError::FieldTwice(name) => {
            Face::invalid_argument("A form field is given more than once.").with("ArgumentName", name)
        }
        FormError::FieldNotText(name) => {
            Face::invalid_argument("A form field has characters that it cannot have.").with("ArgumentName", name)
        }
        FormError::FieldInvalid(name) => {
            Face::invalid_argument("A form field is not valid.").with("ArgumentName", name)
        }
        FormError::PolicyExpired => policy_face(&PolicyError::Expired),
        FormError::PolicyInvalid(why) => policy_face(&PolicyError::Invalid(why.clone())),
        FormError::PolicyRefuses(why) => policy_face(&PolicyError::Refuses(why.clone())),
    }
}

/// Bytes as OSS shows them: hex, spaced.
fn spaced(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len().saturating_mul(3));
    for byte in bytes {
        // Writing to a String cannot fail.
        let _ = write!(out, "{byte:02X} ");
    }
    out
}

/// A moment in seconds since 1970.
fn shown(seconds: i64) -> String {
    xml::time(Timestamp(u64::try_from(seconds).unwrap_or(0).saturating_mul(1000)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::Mismatch;
    use crate::types::AccessKeyId;

    #[test]
    fn each_refusal_of_a_signature_has_its_status_and_code() {
        let key = || AccessKeyId::new("AK");
        let mismatch = Mismatch {
            access_key: key(),
            provided: "S".into(),
            string_to_sign: b"PUT\n<".to_vec(),
            canonical_request: None,
        };
        let header = |flaw| OssAuthError::Malformed { place: Place::Header, flaw };
        let table = [
            (OssAuthError::AccessKeyUnknown(key()), 403, "InvalidAccessKeyId"),
            (OssAuthError::DateInvalid, 403, "AccessDenied"),
            (OssAuthError::Expired { until: 0, now: 1 }, 403, "AccessDenied"),
            (OssAuthError::MoreThanOneMechanism, 400, "InvalidArgument"),
            (OssAuthError::ParameterMissing("Expires"), 403, "AccessDenied"),
            (OssAuthError::SecurityTokenExpired(key()), 403, "SecurityTokenExpired"),
            (OssAuthError::SecurityTokenInvalid, 403, "InvalidSecurityToken"),
            (OssAuthError::SecurityTokenOfAnother(key()), 403, "AccessKeyIdAndSecurityTokenNotMatch"),
            (OssAuthError::SignatureMismatch(Box::new(mismatch)), 403, "SignatureDoesNotMatch"),
            (OssAuthError::TimeTooSkewed { request: 0, now: 1000 }, 403, "RequestTimeTooSkewed"),
            (header(OssFlaw::Product("x".into())), 400, "InvalidArgument"),
            (header(OssFlaw::Components), 400, "InvalidArgument"),
        ];
        for (error, status, code) in table {
            let face = face(&error);
            assert_eq!((face.status.as_u16(), face.code), (status, code), "{error:?}");
        }
    }

    #[test]
    fn a_wrong_signature_shows_what_was_signed() {
        let mismatch = Mismatch {
            access_key: AccessKeyId::new("AK"),
            provided: "S".into(),
            string_to_sign: b"PUT\n<".to_vec(),
            canonical_request: Some(b"C".to_vec()),
        };
        let shown = face(&OssAuthError::SignatureMismatch(Box::new(mismatch))).to_xml("R", "H");
        let root = xml::parse(&shown, "Error").unwrap();
        assert_eq!(root.value("OSSAccessKeyId"), Some("AK"));
        assert_eq!(root.value("StringToSign"), Some("PUT\n<"));
        assert_eq!(root.value("StringToSignBytes"), Some("50 55 54 0A 3C"));
        assert_eq!(root.value("CanonicalRequest"), Some("C"));
    }
}
