//! The service's own key (SSE-S3, SSE-OSS) and the attribute key derived from it. Both belong to the deployment, not
//! to a CMK: every gateway of a deployment has them, and their use makes no audit event.

use std::fmt;

use zeroize::Zeroizing;

use crate::types::{RandomError, random};

use super::once::{TAG_LEN, derive, open_once, seal_once};
use super::{DataKey, EncryptionContext, Error, WrappedKey};

/// The first byte of a key that the service key wrapped.
const WRAP_VERSION: u8 = 1;
const IV_LEN: usize = 16;
const WRAPPED_LEN: usize = 1 + IV_LEN + 32 + TAG_LEN;

/// The service's own key: wraps the data keys of SSE-S3 objects. Wiped on drop, never printed.
pub struct ServiceKey(Zeroizing<[u8; 32]>);

/// The key of what HEAD and LIST read: the metadata MAC, the manifest's attribute section, summaries, records.
/// Wiped on drop, never printed.
pub struct AttributeKey(Zeroizing<[u8; 32]>);

impl ServiceKey {
    /// A service key of these bytes.
    #[must_use]
    pub fn new(bytes: [u8; 32]) -> Self {
        Self(Zeroizing::new(bytes))
    }

    /// The attribute key: HKDF-SHA256 of the service key with the info `sealgate/1/attribute`.
    #[must_use]
    pub fn attribute_key(&self) -> AttributeKey {
        AttributeKey(derive(&self.0, &[], &[b"sealgate/1/attribute"]))
    }

    /// Wraps a data key: version ‖ IV\[16\] ‖ AES-256-GCM under HKDF(service key, salt = IV), with the canonical
    /// context as AAD.
    ///
    /// # Errors
    /// Only when the random generator fails.
    pub fn wrap(&self, data_key: &DataKey, context: &EncryptionContext) -> Result<WrappedKey, RandomError> {
        let iv: [u8; IV_LEN] = random()?;
        let mut blob = Vec::with_capacity(WRAPPED_LEN);
        blob.push(WRAP_VERSION);
        blob.extend_from_slice(&iv);
        blob.extend_from_slice(data_key.expose());
        seal_once(&self.wrapping_key(&iv), &context.canonical(), &mut blob, 1 + IV_LEN);
        Ok(WrappedKey(blob))
    }

    /// Unwraps what [`ServiceKey::wrap`] made under the same context.
    ///
    /// # Errors
    /// [`Error::InvalidCiphertext`] when key, context or blob are not those of the wrap.
    pub fn unwrap_key(&self, wrapped: &WrappedKey, context: &EncryptionContext) -> Result<DataKey, Error> {
        let blob: &[u8; WRAPPED_LEN] = wrapped.0.as_slice().try_into().map_err(|_| Error::InvalidCiphertext)?;
        let (head, sealed) = blob.split_at(1 + IV_LEN);
        if head[0] != WRAP_VERSION {
            return Err(Error::InvalidCiphertext);
        }
        let mut sealed = Zeroizing::new(sealed.to_vec());
        open_once(&self.wrapping_key(&head[1..]), &context.canonical(), &mut sealed)
            .and_then(|plain| <[u8; 32]>::try_from(&*plain).ok())
            .map(DataKey::new)
            .ok_or(Error::InvalidCiphertext)
    }

    fn wrapping_key(&self, iv: &[u8]) -> Zeroizing<[u8; 32]> {
        derive(&self.0, iv, &[b"sealgate/1/service-wrap"])
    }
}

impl AttributeKey {
    /// The key's bytes, for deriving only.
    pub(crate) fn expose(&self) -> &[u8; 32] {
        &self.0
    }

    /// A second holder of the same key, for a stream that outlives its caller's borrow.
    #[must_use]
    pub(crate) fn duplicate(&self) -> Self {
        Self(self.0.clone())
    }
}

impl fmt::Debug for ServiceKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ServiceKey(…)")
    }
}

impl fmt::Debug for AttributeKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AttributeKey(…)")
    }
}

impl EncryptionContext {
    /// The context as bytes, the same for equal contexts only: the number of pairs, then each name and value, in
    /// order of name, each preceded by its length. Numbers are u32, big-endian.
    #[must_use]
    pub fn canonical(&self) -> Vec<u8> {
        let mut bytes = count(self.0.len()).to_vec();
        for text in self.0.iter().flat_map(|(name, value)| [name, value]) {
            bytes.extend_from_slice(&count(text.len()));
            bytes.extend_from_slice(text.as_bytes());
        }
        bytes
    }
}

/// Saturating: what is longer than 4 GiB is refused long before it comes here.
fn count(n: usize) -> [u8; 4] {
    u32::try_from(n).unwrap_or(u32::MAX).to_be_bytes()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn context(pairs: &[(&str, &str)]) -> EncryptionContext {
        EncryptionContext(pairs.iter().map(|&(k, v)| (k.into(), v.into())).collect::<BTreeMap<_, _>>())
    }

    #[test]
    fn a_wrapped_key_opens_under_its_key_and_context_only() {
        let service = ServiceKey::new([7; 32]);
        let at = context(&[("aws:s3:arn", "arn:aws:s3:::b/k")]);
        let wrapped = service.wrap(&DataKey::new([9; 32]), &at).unwrap();
        assert_eq!(service.unwrap_key(&wrapped, &at).unwrap().expose(), &[9; 32]);
        let elsewhere = context(&[("aws:s3:arn", "arn:aws:s3:::b/l")]);
        assert!(matches!(service.unwrap_key(&wrapped, &elsewhere), Err(Error::InvalidCiphertext)));
        assert!(matches!(ServiceKey::new([8; 32]).unwrap_key(&wrapped, &at), Err(Error::InvalidCiphertext)));
        for byte in 0..wrapped.0.len() {
            let mut altered = wrapped.clone();
            altered.0[byte] ^= 0x10;
            assert!(matches!(service.unwrap_key(&altered, &at), Err(Error::InvalidCiphertext)), "byte {byte}");
            altered.0.truncate(byte);
            assert!(matches!(service.unwrap_key(&altered, &at), Err(Error::InvalidCiphertext)), "cut at {byte}");
        }
    }

    #[test]
    fn two_wraps_of_one_key_differ() {
        let service = ServiceKey::new([7; 32]);
        let wrap = || service.wrap(&DataKey::new([9; 32]), &context(&[])).unwrap();
        assert_ne!(wrap(), wrap());
    }

    #[test]
    fn contexts_that_differ_only_in_where_a_text_ends_are_not_equal() {
        assert_ne!(context(&[("ab", "c")]).canonical(), context(&[("a", "bc")]).canonical());
        assert_ne!(context(&[("a", "b"), ("c", "d")]).canonical(), context(&[("a", "bc"), ("", "d")]).canonical());
    }

    #[test]
    fn keys_are_not_printed() {
        let service = ServiceKey::new([0x61; 32]);
        let printed = format!("{service:?} {:?}", service.attribute_key());
        assert_eq!(printed, "ServiceKey(…) AttributeKey(…)");
        assert_ne!(service.attribute_key().expose(), &[0x61; 32]);
    }
}
