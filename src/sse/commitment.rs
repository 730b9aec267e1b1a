//! The commitment to a data key. AES-GCM and ChaCha20-Poly1305 do not commit to their key: a body can be made that
//! opens under two. HKDF-SHA256 does, and its output tells nothing of the key.

use std::fmt;

use subtle::ConstantTimeEq;

use crate::kms::DataKey;
use crate::kms::once::derive;

use super::Error;

/// `HKDF-SHA256(ikm = DK, no salt, info = "sealgate/1/commit")`.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Commitment([u8; 32]);

impl Commitment {
    /// Its length in bytes.
    pub const LEN: usize = 32;

    /// The commitment to a key.
    #[must_use]
    pub fn of(data_key: &DataKey) -> Self {
        Self(*derive(data_key.expose(), &[], &[b"sealgate/1/commit"]))
    }

    /// A commitment read from a record.
    #[must_use]
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// Its bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// Checks in constant time that this commits to `data_key`.
    ///
    /// # Errors
    /// [`Error::Commitment`].
    pub fn check(&self, data_key: &DataKey) -> Result<(), Error> {
        if bool::from(self.0.ct_eq(&Self::of(data_key).0)) { Ok(()) } else { Err(Error::Commitment) }
    }
}

impl fmt::Debug for Commitment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Commitment({})", hex::encode(self.0))
    }
}
