//! Signing keys: derived from a secret for a day, a region and a service, and kept for the next request.

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use aws_lc_rs::hmac;
use zeroize::Zeroizing;

use crate::identity::credentials::Secret;
use crate::identity::mac::hmac_sha256;

/// Whose derivation a signing key has: the two differ in what stands before the secret and at the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::identity) enum Derivation {
    /// OSS's version 4.
    Aliyun,
    /// Signature version 4.
    Aws,
}

impl Derivation {
    fn prefix(self) -> &'static str {
        match self {
            Self::Aliyun => "aliyun_v4",
            Self::Aws => "AWS4",
        }
    }

    /// What a credential scope ends in.
    pub(in crate::identity) fn terminal(self) -> &'static str {
        match self {
            Self::Aliyun => "aliyun_v4_request",
            Self::Aws => "aws4_request",
        }
    }
}

/// What a signing key is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::identity) struct KeyScope {
    /// By which rule it is derived.
    pub(in crate::identity) derivation: Derivation,
    /// `yyyymmdd`.
    pub(in crate::identity) day: String,
    /// The region.
    pub(in crate::identity) region: String,
    /// The service.
    pub(in crate::identity) service: &'static str,
}

/// Signing keys kept per credential: a presigned URL lives a week, so eight days, for three services.
const KEPT: usize = 24;

/// The signing keys of one credential. Deriving one is four HMACs, most of the cost of a verification.
#[derive(Default)]
pub(in crate::identity) struct SigningKeys(Mutex<VecDeque<(KeyScope, Arc<hmac::Key>)>>);

impl fmt::Debug for SigningKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SigningKeys(…)")
    }
}

impl SigningKeys {
    /// The key for this scope. The caller has checked that the scope is one it accepts, so what is kept here is not an
    /// attacker's to choose.
    pub(in crate::identity) fn get(&self, secret: &Secret, scope: &KeyScope) -> Arc<hmac::Key> {
        let find = |keys: &VecDeque<(KeyScope, Arc<hmac::Key>)>| {
            keys.iter().find(|(kept, _)| kept == scope).map(|(_, key)| Arc::clone(key))
        };
        if let Some(key) = find(&self.0.lock().unwrap_or_else(PoisonError::into_inner)) {
            return key;
        }
        let key = Arc::new(derive(secret, scope));
        let mut keys = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if find(&keys).is_none() {
            if keys.len() >= KEPT {
                keys.pop_back();
            }
            keys.push_front((scope.clone(), Arc::clone(&key)));
        }
        key
    }
}

/// <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html>
/// <https://www.alibabacloud.com/help/en/oss/developer-reference/recommend-to-use-signature-version-4>
fn derive(secret: &Secret, scope: &KeyScope) -> hmac::Key {
    let prefix = scope.derivation.prefix();
    let mut start = Zeroizing::new(String::with_capacity(secret.expose().len().saturating_add(prefix.len())));
    start.push_str(prefix);
    start.push_str(secret.expose());
    let mut key = hmac::Key::new(hmac::HMAC_SHA256, start.as_bytes());
    for part in [scope.day.as_str(), scope.region.as_str(), scope.service, scope.derivation.terminal()] {
        let next = Zeroizing::new(hmac_sha256(&key, part.as_bytes()));
        key = hmac::Key::new(hmac::HMAC_SHA256, next.as_slice());
    }
    key
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scope(day: &str) -> KeyScope {
        KeyScope { derivation: Derivation::Aws, day: day.to_owned(), region: "us-east-1".to_owned(), service: "s3" }
    }

    #[test]
    fn a_derived_key_is_the_sdks() {
        let secret = Secret::new("wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY".to_owned());
        let at = std::time::UNIX_EPOCH + std::time::Duration::from_secs(1_369_353_600);
        let theirs = aws_sigv4::sign::v4::generate_signing_key(secret.expose(), at, "us-east-1", "s3");
        let expected = aws_sigv4::sign::v4::calculate_signature(theirs, b"text");
        let ours = SigningKeys::default().get(&secret, &scope("20130524"));
        assert_eq!(hex::encode(hmac_sha256(&ours, b"text")), expected);
    }

    /// A key of OSS's version 4, recorded from its Python SDK.
    #[test]
    fn a_derived_oss_key_is_the_sdks() {
        let secret = Secret::new("oss-test-sk-0001-not-a-real-secret".to_owned());
        let scope = KeyScope {
            derivation: Derivation::Aliyun,
            day: "20260102".to_owned(),
            region: "cn-hangzhou".to_owned(),
            service: "oss",
        };
        let theirs = hex::decode("b51e4d9ab2b62e798bed73cc8e47fed02ea39ff867dd6f1d75437d440e15e1bc").unwrap();
        let ours = SigningKeys::default().get(&secret, &scope);
        assert_eq!(hmac_sha256(&ours, b"text"), hmac_sha256(&hmac::Key::new(hmac::HMAC_SHA256, &theirs), b"text"));
    }

    #[test]
    fn keys_are_kept_and_bounded() {
        let (keys, secret) = (SigningKeys::default(), Secret::new("s".to_owned()));
        let first = keys.get(&secret, &scope("20130524"));
        assert!(Arc::ptr_eq(&first, &keys.get(&secret, &scope("20130524"))));
        for day in 0..100 {
            keys.get(&secret, &scope(&format!("{day:08}")));
        }
        assert_eq!(keys.0.lock().unwrap().len(), KEPT);
        let again = keys.get(&secret, &scope("20130524"));
        assert_eq!(hmac_sha256(&again, b"x"), hmac_sha256(&first, b"x"));
    }
}
