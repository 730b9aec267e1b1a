//! The signature of an HTML form (PostObject): it covers the policy document, and the policy covers the fields.
//! <https://www.alibabacloud.com/help/en/oss/developer-reference/postobject>
//! <https://www.alibabacloud.com/help/en/oss/developer-reference/signature-version-4-recommend>

use aws_lc_rs::hmac;
use http::header::{self, HeaderName};
use http::request::Parts;

use crate::identity::caller::{Authenticated, Caller};
use crate::identity::credentials::Credential;
use crate::identity::date::SignedDate;
use crate::identity::form::{FormFields, FormIdentified, Policy, PolicyError, Rules};
use crate::identity::mac::{Signature, compare};

use super::head::{TOKEN, V4, check_duplicates, host};
use super::v1;
use super::v4::{MAX_VALIDITY, Scope, check_window};
use super::{Claimed, Mismatch, OssAuthError, OssFlaw, OssVerifier, Place, Scheme, in_force, lookup};
use crate::types::AccessKeyId;

/// Why a form is refused. Nothing of its file was read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OssFormError {
    /// The signature, or what stands in its place.
    #[error(transparent)]
    Auth(#[from] OssAuthError),
    /// A field is required here.
    #[error("the field {0} is missing")]
    FieldMissing(&'static str),
    /// The policy document is none, has expired or does not allow these fields.
    #[error(transparent)]
    Policy(#[from] PolicyError),
}

impl OssVerifier {
    /// Checks the head of a form: its credentials stand in its fields, and headers that mean something to an object would
    /// be covered by nothing.
    ///
    /// # Errors
    /// [`OssAuthError`].
    pub fn check_form_head(&self, parts: &Parts) -> Result<(), OssAuthError> {
        check_duplicates(&parts.headers)?;
        host(parts)?;
        if parts.headers.contains_key(header::AUTHORIZATION) {
            return Err(OssAuthError::MoreThanOneMechanism);
        }
        let names = parts.headers.keys().map(HeaderName::as_str).filter(|name| name.starts_with("x-oss-"));
        let mut bare: Vec<String> = names.map(str::to_owned).collect();
        bare.sort();
        if bare.is_empty() { Ok(()) } else { Err(OssAuthError::HeadersNotSigned(bare)) }
    }

    /// Establishes the caller of a form and holds its fields to its policy. A form without any signature or policy is
    /// anonymous. `bucket` is the bucket that the form is posted to.
    ///
    /// # Errors
    /// [`OssFormError`].
    pub fn identify_form(&self, fields: &FormFields, bucket: &str) -> Result<FormIdentified, OssFormError> {
        let any = |names: &[&str]| names.iter().any(|name| fields.get(name).is_some());
        let v4 = any(&["x-oss-signature-version", "x-oss-credential", "x-oss-signature"]);
        let v1 = any(&["ossaccesskeyid", "signature"]);
        let foreign = any(&["awsaccesskeyid", "x-amz-algorithm", "x-amz-credential", "x-amz-signature"]);
        let document = fields.get("policy");
        let caller = match (v4, v1, document) {
            _ if foreign => return Err(OssAuthError::UnsupportedScheme.into()),
            (true, true, _) => return Err(OssAuthError::MoreThanOneMechanism.into()),
            (false, false, None) if fields.get(TOKEN).is_some() => {
                return Err(OssAuthError::SecurityTokenInvalid.into());
            }
            (false, false, None) => return Ok(FormIdentified { caller: Caller::Anonymous, length: None }),
            (false, false, Some(_)) => return Err(OssFormError::FieldMissing("OSSAccessKeyId")),
            (_, _, None) => return Err(OssFormError::FieldMissing("policy")),
            (true, false, Some(policy)) => self.v4_form(fields, policy)?,
            (false, true, Some(policy)) => self.v1_form(fields, policy)?,
        };
        let policy = Policy::parse(document.unwrap_or_default(), Rules::Oss)?;
        let length = policy.check(fields, bucket, self.clock.now())?;
        Ok(FormIdentified { caller: Caller::User(caller), length })
    }

    fn v1_form(&self, fields: &FormFields, policy: &str) -> Result<Authenticated, OssFormError> {
        let required = |field, name| fields.get(field).ok_or(OssFormError::FieldMissing(name));
        let key = AccessKeyId::new(required("ossaccesskeyid", "OSSAccessKeyId")?);
        let claimed = v1::claim(Scheme::OssV1Form, key, required("signature", "Signature")?);
        let credential = lookup(&self.credentials, &claimed.access_key)?;
        Ok(self.decide(claimed, &credential, &v1::signing_key(credential.secret()), fields, policy)?)
    }

    fn v4_form(&self, fields: &FormFields, policy: &str) -> Result<Authenticated, OssFormError> {
        let required = |name| fields.get(name).ok_or(OssFormError::FieldMissing(name));
        let malformed = |flaw| OssAuthError::Malformed { place: Place::Form, flaw };
        if required("x-oss-signature-version")? != V4 {
            return Err(OssAuthError::UnsupportedScheme.into());
        }
        let (scope, date) = (required("x-oss-credential")?, required("x-oss-date")?);
        let provided = required("x-oss-signature")?.to_owned();
        let date = SignedDate::from_iso(date).ok_or_else(|| malformed(OssFlaw::Date))?;
        let scope = Scope::parse(scope).map_err(malformed)?;
        let credential = lookup(&self.credentials, &scope.access_key)?;
        let derived = scope.check(&date, &self.region).map_err(malformed)?;
        check_window(&date, MAX_VALIDITY, self.clock.now())?;
        let signature = Signature::from_hex(provided.as_bytes()).map(|signature| signature.as_bytes().to_vec());
        let claimed = Claimed { scheme: Scheme::OssV4Form, access_key: scope.access_key, provided, signature };
        let key = credential.signing_keys().get(credential.secret(), &derived);
        Ok(self.decide(claimed, &credential, &key, fields, policy)?)
    }

    fn decide(
        &self,
        claimed: Claimed,
        credential: &Credential,
        key: &hmac::Key,
        fields: &FormFields,
        policy: &str,
    ) -> Result<Authenticated, OssAuthError> {
        let tag = hmac::sign(key, policy.as_bytes());
        let Some(proof) = claimed.signature.as_deref().and_then(|given| compare(tag.as_ref(), given)) else {
            return Err(OssAuthError::SignatureMismatch(Box::new(Mismatch {
                access_key: claimed.access_key,
                provided: claimed.provided,
                string_to_sign: policy.as_bytes().to_vec(),
                canonical_request: None,
            })));
        };
        let (token, now) = (fields.get(TOKEN), self.clock.now());
        let in_force = in_force(credential, &claimed.access_key, token, &self.credentials, now)?;
        Ok(Authenticated::new(proof, in_force, credential, claimed.access_key, claimed.scheme))
    }
}
