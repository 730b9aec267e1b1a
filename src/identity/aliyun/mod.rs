//! The signatures of Alibaba Cloud's RPC style, in which its key service is called: HMAC-SHA1 over all parameters
//! (`SignatureVersion` 1.0), and `ACS3-HMAC-SHA256` in the `Authorization` header, over query, headers and body.
//! <https://www.alibabacloud.com/help/en/sdk/product-overview/rpc-mechanism>
//! <https://www.alibabacloud.com/help/en/sdk/product-overview/v3-request-structure-and-signature>
//!
//! Both know a nonce. It is signed, but not remembered: a captured request can be sent again within its 15 minutes, as one
//! of S3's can.

mod acs3;
mod parameters;
mod rpc;
#[cfg(test)]
mod tests;

use http::request::Parts;

use crate::types::{AccessKeyId, Timestamp};

use super::caller::{Authenticated, Caller, Scheme};
use super::credentials::{Credential, TokenFlaw};
use super::date::{SignedDate, is_skewed};
use super::mac::SignatureMatch;
use super::verify::Verifier;

pub use parameters::{ParameterError, Parameters};

/// Why a request's caller is not established.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AliyunAuthError {
    /// No such access key.
    #[error("unknown access key {0}")]
    AccessKeyUnknown(AccessKeyId),
    /// The declared hash is not the body's.
    #[error("x-acs-content-sha256 is not the hash of the body")]
    ContentHash,
    /// The date is none, or too far from ours.
    #[error("the timestamp is no time within 15 minutes of the server's")]
    Expired,
    /// A header that is part of what was asked is not signed, or stands twice.
    #[error("the header {0} must be signed, once")]
    Header(String),
    /// The signature lacks something, or has another form (said in the text).
    #[error("{0}")]
    Incomplete(String),
    /// A parameter that must be there is not.
    #[error("the parameter {0} is missing")]
    Missing(&'static str),
    /// The security token is none, is another's, or is missing.
    #[error("the security token is not valid")]
    SecurityToken,
    /// The credential is past its end.
    #[error("the security token has expired")]
    SecurityTokenExpired,
    /// The signature is not the one that we compute.
    #[error("the signature does not match")]
    SignatureMismatch(AccessKeyId),
}

/// What both schemes are told.
struct Asked<'a> {
    parts: &'a Parts,
    parameters: &'a Parameters,
    body: &'a [u8],
    verifier: &'a Verifier,
}

impl Verifier {
    /// Establishes the caller of a request of the RPC style, whose small body has been read. `parameters` are those of its
    /// query and, where it is a form, its body.
    ///
    /// # Errors
    /// [`AliyunAuthError`].
    pub fn identify_aliyun(
        &self,
        parts: &Parts,
        parameters: &Parameters,
        body: &[u8],
    ) -> Result<Caller, AliyunAuthError> {
        let asked = Asked { parts, parameters, body, verifier: self };
        let in_header = parts.headers.contains_key(http::header::AUTHORIZATION);
        match (in_header, parameters.get("Signature")) {
            (true, None) => acs3::verify(&asked),
            (false, Some(signature)) => rpc::verify(&asked, signature),
            (false, None) => Ok(Caller::Anonymous),
            (true, Some(_)) => Err(AliyunAuthError::Incomplete("the request has two signatures".to_owned())),
        }
    }
}

impl Asked<'_> {
    /// The credential of an access key.
    fn credential(&self, id: &AccessKeyId) -> Result<std::sync::Arc<Credential>, AliyunAuthError> {
        self.verifier.credentials().lookup(id).ok_or_else(|| AliyunAuthError::AccessKeyUnknown(id.clone()))
    }

    /// The caller of a signature that was compared.
    fn admit(
        &self,
        proof: SignatureMatch,
        credential: &Credential,
        id: AccessKeyId,
        token: Option<&str>,
        scheme: Scheme,
    ) -> Result<Caller, AliyunAuthError> {
        let in_force = credential.in_force(token, self.verifier.now()).map_err(|flaw| match flaw {
            TokenFlaw::Expired => AliyunAuthError::SecurityTokenExpired,
            TokenFlaw::Missing | TokenFlaw::Wrong => AliyunAuthError::SecurityToken,
        })?;
        Ok(Caller::User(Authenticated::new(proof, in_force, credential, id, scheme)))
    }
}

/// The date is within 15 minutes of ours.
fn check_date(text: &str, now: Timestamp) -> Result<(), AliyunAuthError> {
    // `2016-01-20T00:00:00Z`: the same as S3's basic form but for the marks.
    let marks = |at: usize, mark: u8| text.as_bytes().get(at) == Some(&mark);
    let marked = text.len() == 20 && marks(4, b'-') && marks(7, b'-') && marks(13, b':') && marks(16, b':');
    let basic: String = text.chars().filter(|c| !matches!(c, '-' | ':')).collect();
    let date = SignedDate::from_iso(&basic).filter(|_| marked).ok_or(AliyunAuthError::Expired)?;
    if is_skewed(&date, now) { Err(AliyunAuthError::Expired) } else { Ok(()) }
}
