//! The signature of an HTML form (S3's POST Object): it covers the policy document, and the policy covers the fields.
//! <https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-authentication-HTTPPOST.html>

mod policy;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::header;
use http::request::Parts;

use crate::types::{AccessKeyId, Timestamp};

use super::caller::{Authenticated, Caller, Scheme};
use super::canonical;
use super::date::SignedDate;
use super::error::{AuthError, Flaw, Place};
use super::mac::compare;
use super::query::SESSION_TOKEN;
use super::sigv4::{Claim, S3};
use super::verify::{SigV2, Verifier, check_duplicates};
pub(super) use policy::{Policy, Rules};

pub use policy::PolicyError;

const ALGORITHM: &str = "AWS4-HMAC-SHA256";

/// The fields of a form before its file, by lower-case name.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct FormFields(BTreeMap<String, String>);

impl std::fmt::Debug for FormFields {
    /// Names only: values may be keys.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

impl Drop for FormFields {
    /// A customer's key may be among them.
    fn drop(&mut self) {
        self.0.values_mut().for_each(zeroize::Zeroize::zeroize);
    }
}

impl FormFields {
    /// Adds a field; its name is compared without case.
    ///
    /// # Errors
    /// [`FormError::FieldTwice`]: the policy would see one value, and a reader perhaps the other.
    pub fn add(&mut self, name: &str, value: String) -> Result<(), FormError> {
        let name = name.to_ascii_lowercase();
        match self.0.insert(name.clone(), value) {
            None => Ok(()),
            Some(_) => Err(FormError::FieldTwice(name)),
        }
    }

    /// A field's value, by lower-case name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// All fields in the order of their names.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// Puts `name` in place of `${filename}` wherever a field has it. What a signature is over, or is, stays as it came.
    pub fn replace_file_name(&mut self, name: &str) {
        let is_signed = |field: &str| {
            matches!(
                field,
                "policy"
                    | "signature"
                    | "x-amz-signature"
                    | "x-amz-credential"
                    | "x-oss-signature"
                    | "x-oss-credential"
            )
        };
        for (_, value) in self.0.iter_mut().filter(|(field, _)| !is_signed(field)) {
            if value.contains("${filename}") {
                *value = value.replace("${filename}", name);
            }
        }
    }
}

/// Why a form is refused. Nothing of its file was read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FormError {
    /// The signature, or what stands in its place.
    #[error(transparent)]
    Auth(#[from] AuthError),
    /// A field is required here.
    #[error("the field {0} is missing")]
    FieldMissing(&'static str),
    /// A field is there twice.
    #[error("the field {0} is given more than once")]
    FieldTwice(String),
    /// A field's value is not one that it can have.
    #[error("the field {0} is invalid")]
    FieldInvalid(&'static str),
    /// A field has characters that no header can have.
    #[error("the field {0} is not text")]
    FieldNotText(String),
    /// The policy is past its expiration.
    #[error("the policy has expired")]
    PolicyExpired,
    /// The policy document is not one; the text says why.
    #[error("the policy document is invalid: {0}")]
    PolicyInvalid(String),
    /// The policy does not allow these fields; the text says which condition failed.
    #[error("the policy does not allow the form: {0}")]
    PolicyRefuses(String),
}

impl From<PolicyError> for FormError {
    fn from(error: PolicyError) -> Self {
        match error {
            PolicyError::Expired => Self::PolicyExpired,
            PolicyError::Invalid(why) => Self::PolicyInvalid(why),
            PolicyError::Refuses(why) => Self::PolicyRefuses(why),
        }
    }
}

/// Who sent a form, and how long its file may be.
#[derive(Debug)]
pub struct FormIdentified {
    /// Who.
    pub caller: Caller,
    /// The bytes that the policy allows (`content-length-range`).
    pub length: Option<RangeInclusive<u64>>,
}

impl Verifier {
    /// Checks the head of a form: its credentials stand in its fields, and headers that mean something to an object
    /// would be covered by nothing.
    ///
    /// # Errors
    /// [`AuthError`].
    pub fn check_form_head(&self, parts: &Parts) -> Result<(), AuthError> {
        check_duplicates(&parts.headers)?;
        canonical::host(parts)?;
        if parts.headers.contains_key(header::AUTHORIZATION) {
            return Err(AuthError::MoreThanOneMechanism);
        }
        let names = parts.headers.keys().map(header::HeaderName::as_str).filter(|name| name.starts_with("x-amz-"));
        let mut bare: Vec<String> = names.map(str::to_owned).collect();
        bare.sort();
        if bare.is_empty() { Ok(()) } else { Err(AuthError::HeadersNotSigned(bare)) }
    }

    /// Establishes the caller of a form and holds its fields to its policy. A form without any signature or policy is
    /// anonymous. `bucket` is the bucket that the form is posted to.
    ///
    /// # Errors
    /// [`FormError`].
    pub fn identify_form(&self, fields: &FormFields, bucket: &str) -> Result<FormIdentified, FormError> {
        let token = fields.get(SESSION_TOKEN);
        let any = |names: &[&str]| names.iter().any(|name| fields.get(name).is_some());
        let v4 = any(&["x-amz-algorithm", "x-amz-credential", "x-amz-signature"]);
        let v2 = any(&["awsaccesskeyid", "signature"]);
        let caller = match (v4, v2, fields.get("policy")) {
            (true, true, _) => return Err(AuthError::MoreThanOneMechanism.into()),
            (false, false, None) if token.is_some() => return Err(AuthError::SessionToken.into()),
            (false, false, None) => return Ok(FormIdentified { caller: Caller::Anonymous, length: None }),
            (false, false, Some(_)) => return Err(FormError::FieldMissing("x-amz-signature")),
            (_, _, None) => return Err(FormError::FieldMissing("policy")),
            (true, false, Some(policy)) => self.sigv4_form(fields, policy, token)?,
            (false, true, Some(_)) if self.sigv2() == SigV2::Refused => return Err(AuthError::SigV2Refused.into()),
            (false, true, Some(policy)) => self.sigv2_form(fields, policy, token)?,
        };
        let length =
            Policy::parse(fields.get("policy").unwrap_or_default(), Rules::S3)?.check(fields, bucket, self.now())?;
        Ok(FormIdentified { caller: Caller::User(caller), length })
    }

    fn sigv4_form(&self, fields: &FormFields, policy: &str, token: Option<&str>) -> Result<Authenticated, FormError> {
        let required = |name| fields.get(name).ok_or(FormError::FieldMissing(name));
        let (credential, date) = (required("x-amz-credential")?, required("x-amz-date")?);
        if required("x-amz-algorithm")? != ALGORITHM {
            return Err(FormError::FieldInvalid("x-amz-algorithm"));
        }
        let flaw = AuthError::Malformed { place: Place::Form, flaw: Flaw::Date };
        let date = SignedDate::from_iso(date).ok_or(flaw)?;
        let claim = Claim::from_form(credential, required("x-amz-signature")?)?;
        Ok(claim.verify_form(date, policy, &self.against(S3, token))?)
    }

    fn sigv2_form(&self, fields: &FormFields, policy: &str, token: Option<&str>) -> Result<Authenticated, FormError> {
        let required = |name| fields.get(name).ok_or(FormError::FieldMissing(name));
        let key = AccessKeyId::new(required("awsaccesskeyid")?);
        let given = STANDARD.decode(required("signature")?);
        let credential = self.credentials().lookup(&key).ok_or_else(|| AuthError::AccessKeyUnknown(key.clone()))?;
        let signing = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, credential.secret().expose().as_bytes());
        let mismatch = || AuthError::SignatureMismatch(key.clone());
        let given = given.map_err(|_| mismatch())?;
        let proof = compare(hmac::sign(&signing, policy.as_bytes()).as_ref(), &given).ok_or_else(mismatch)?;
        let in_force = credential.in_force(token, self.now()).map_err(|flaw| AuthError::of_token(flaw, &key))?;
        Ok(Authenticated::new(proof, in_force, &credential, key, Scheme::SigV2Form))
    }
}

/// For `crate::fuzzing`: any text as a policy document. One of S3's that parses and lists no bucket allows no form, and
/// one of OSS's that does not mention who may read allows no form that says it.
pub(super) fn policy_promise(text: &str, fields: &FormFields) {
    let document = STANDARD.encode(text);
    let allows = |rules, fields: &FormFields| {
        Policy::parse(&document, rules).is_ok_and(|policy| policy.check(fields, "bucket", Timestamp(0)).is_ok())
    };
    let mentions = |word: &str| text.to_ascii_lowercase().contains(word) || text.contains('\\');
    assert!(!allows(Rules::S3, fields) || mentions("bucket"), "a policy for any bucket");
    let says = fields.get("x-oss-object-acl").is_some();
    assert!(
        !says || !allows(Rules::Oss, fields) || mentions("x-oss-object-acl"),
        "an ACL that the policy does not mention"
    );
}
