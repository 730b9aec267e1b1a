//! The keys that clients bring (SSE-C), as the three headers of either dialect name them.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use md5::{Digest as _, Md5};
use subtle::ConstantTimeEq as _;
use zeroize::Zeroizing;

use crate::sse::CustomerKey;

/// The one algorithm.
const AES256: &str = "AES256";

/// Why three headers are no key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum KeyFlaw {
    /// There is no algorithm.
    AlgorithmMissing,
    /// The algorithm is not AES256.
    Algorithm,
    /// There is no key.
    KeyMissing,
    /// There is no MD5 of the key.
    Md5Missing,
    /// The MD5 is another key's.
    Md5Mismatch,
    /// The key is not 32 bytes in base64.
    NotAKey,
}

/// Raw values of the SSE-C trio for one object. `None`: the header was absent.
#[derive(Default)]
pub(super) struct CustomerHeaders {
    /// `…-customer-algorithm`.
    pub(super) algorithm: Option<String>,
    /// `…-customer-key`, base64; wiped on drop.
    pub(super) key: Option<Zeroizing<String>>,
    /// `…-customer-key-md5`, base64.
    pub(super) md5: Option<String>,
}

impl CustomerHeaders {
    /// Whether any of the three was sent.
    pub(super) fn any(&self) -> bool {
        self.algorithm.is_some() || self.key.is_some() || self.md5.is_some()
    }
}

impl CustomerHeaders {
    /// Takes the value of a header by the end of its name; whether there is such a header.
    pub(super) fn accept(&mut self, rest: &str, text: &str) -> bool {
        match rest {
            "-customer-algorithm" => self.algorithm = Some(text.to_owned()),
            "-customer-key" => self.key = Some(Zeroizing::new(text.to_owned())),
            "-customer-key-md5" => self.md5 = Some(text.to_owned()),
            _ => return false,
        }
        true
    }
}

impl CustomerHeaders {
    /// The key that the headers carry; none when there is no header at all.
    pub(super) fn parse(&self) -> Result<Option<CustomerKey>, KeyFlaw> {
        if !self.any() {
            return Ok(None);
        }
        match self.algorithm.as_deref() {
            None => return Err(KeyFlaw::AlgorithmMissing),
            Some(AES256) => {}
            Some(_) => return Err(KeyFlaw::Algorithm),
        }
        let key = self.key.as_ref().ok_or(KeyFlaw::KeyMissing)?;
        let md5 = self.md5.as_ref().ok_or(KeyFlaw::Md5Missing)?;
        decode(key, md5).map(Some)
    }
}

/// Decodes a key. Its MD5 is checked before its length, as S3 does.
fn decode(key: &Zeroizing<String>, md5: &str) -> Result<CustomerKey, KeyFlaw> {
    let key = BASE64.decode(key.as_bytes()).map(Zeroizing::new).map_err(|_| KeyFlaw::NotAKey)?;
    let computed: [u8; 16] = Md5::digest(key.as_slice()).into();
    let declared = BASE64.decode(md5).unwrap_or_default();
    if !bool::from(computed.as_slice().ct_eq(declared.as_slice())) {
        return Err(KeyFlaw::Md5Mismatch);
    }
    let bytes = <&[u8; 32]>::try_from(key.as_slice()).map_err(|_| KeyFlaw::NotAKey)?;
    Ok(CustomerKey::new(*bytes, computed))
}
