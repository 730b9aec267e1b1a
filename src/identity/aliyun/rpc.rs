//! `SignatureVersion` 1.0: HMAC-SHA1, in base64, over the method and all parameters. Headers are not covered, and what they
//! say counts for nothing.

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

use crate::identity::caller::{Caller, Scheme};
use crate::identity::canonical::encode_into;
use crate::identity::mac::compare;
use crate::types::AccessKeyId;

use super::{AliyunAuthError, Asked, check_date};

pub(super) fn verify(asked: &Asked<'_>, signature: &str) -> Result<Caller, AliyunAuthError> {
    let required = |name| asked.parameters.get(name).ok_or(AliyunAuthError::Missing(name));
    let id = AccessKeyId::new(required("AccessKeyId")?);
    for (name, value) in [("SignatureMethod", "HMAC-SHA1"), ("SignatureVersion", "1.0")] {
        if required(name)? != value {
            return Err(AliyunAuthError::Incomplete(format!("{name} must be {value}")));
        }
    }
    if required("SignatureNonce")?.is_empty() {
        return Err(AliyunAuthError::Missing("SignatureNonce"));
    }
    let credential = asked.credential(&id)?;
    check_date(required("Timestamp")?, asked.verifier.now())?;
    let mut text = Zeroizing::new(format!("{}&%2F&", asked.parts.method));
    encode_into(&mut text, asked.parameters.canonical().as_bytes(), false);
    let secret = Zeroizing::new(format!("{}&", credential.secret().expose()));
    let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, secret.as_bytes());
    let computed = hmac::sign(&key, text.as_bytes());
    // What is no base64 equals no signature.
    let proof = STANDARD.decode(signature).ok().and_then(|given| compare(computed.as_ref(), &given));
    let proof = proof.ok_or_else(|| AliyunAuthError::SignatureMismatch(id.clone()))?;
    asked.admit(proof, &credential, id, asked.parameters.get("SecurityToken"), Scheme::AliyunRpc)
}
