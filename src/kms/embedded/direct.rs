//! Using CMKs directly, as the programs of key owners do through the API.

use std::fmt;

use zeroize::Zeroizing;

use crate::kms::{EncryptionContext, Error, KeyArn, KeyRef, Principal};
use crate::types::RandomError;

use super::admin::AdminError;
use super::call::Call;
use super::keystore::EmbeddedKms;
use super::names::KeyId;
use super::rights::{Right, Via};
use super::seal::no_random;
use super::wrap::Blob;

/// The most that [`EmbeddedKms::encrypt`] takes, as AWS KMS documents it.
const MAX_PLAINTEXT: usize = 4096;
/// The longest random plaintext that [`EmbeddedKms::generate`] makes.
const MAX_GENERATED: usize = 1024;

/// Random bytes made by [`EmbeddedKms::generate`].
pub struct Generated {
    /// The CMK.
    pub key: KeyArn,
    /// The bytes.
    pub plaintext: Zeroizing<Vec<u8>>,
    /// The same, wrapped.
    pub ciphertext: Vec<u8>,
}

impl fmt::Debug for Generated {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Generated").field("key", &self.key).finish_non_exhaustive()
    }
}

impl EmbeddedKms {
    /// Makes `len` (1–1,024) random bytes, plain and wrapped: the API's GenerateDataKey.
    ///
    /// # Errors
    /// As [`crate::kms::KeyService::generate_data_key`]; [`Error::Invalid`] for another length.
    pub async fn generate(
        &self,
        principal: &Principal,
        key: &KeyRef,
        len: usize,
        context: &EncryptionContext,
    ) -> Result<Generated, Error> {
        let plaintext = random_bytes(len)?;
        let call = Call { right: Right::GenerateDataKey, via: Via::Api, principal, context };
        let (key, ciphertext) = self.seal(&call, Some(key), &plaintext).await?;
        Ok(Generated { key, plaintext, ciphertext })
    }

    /// Encrypts 1–4,096 bytes directly under a CMK: the API's Encrypt.
    ///
    /// # Errors
    /// As [`crate::kms::KeyService::wrap`]; [`Error::Invalid`] for another length.
    pub async fn encrypt(
        &self,
        principal: &Principal,
        key: &KeyRef,
        plaintext: &[u8],
        context: &EncryptionContext,
    ) -> Result<(KeyArn, Vec<u8>), Error> {
        if !(1..=MAX_PLAINTEXT).contains(&plaintext.len()) {
            return Err(Error::Invalid(format!("the plaintext must have between 1 and {MAX_PLAINTEXT} bytes")));
        }
        let call = Call { right: Right::Encrypt, via: Via::Api, principal, context };
        self.seal(&call, Some(key), plaintext).await
    }

    /// Makes `len` (1–1,024) random bytes and gives them wrapped only: the API's GenerateDataKeyWithoutPlaintext.
    ///
    /// # Errors
    /// As [`EmbeddedKms::generate`].
    pub async fn generate_wrapped(
        &self,
        principal: &Principal,
        key: &KeyRef,
        len: usize,
        context: &EncryptionContext,
    ) -> Result<(KeyArn, Vec<u8>), Error> {
        let plaintext = random_bytes(len)?;
        let call = Call { right: Right::GenerateDataKeyWithoutPlaintext, via: Via::Api, principal, context };
        self.seal(&call, Some(key), &plaintext).await
    }

    /// Decrypts what [`EmbeddedKms::generate`], [`EmbeddedKms::encrypt`] or the key service made: the API's Decrypt.
    /// The ciphertext names its CMK; when `expected` is given, it must be that one.
    ///
    /// # Errors
    /// [`AdminError::IncorrectKey`]; else as [`crate::kms::KeyService::unwrap_key`].
    pub async fn decrypt(
        &self,
        principal: &Principal,
        expected: Option<&KeyRef>,
        ciphertext: &[u8],
        context: &EncryptionContext,
    ) -> Result<(KeyArn, Zeroizing<Vec<u8>>), AdminError> {
        let call = Call { right: Right::Decrypt, via: Via::Api, principal, context };
        self.open_blob(&call, expected, ciphertext)
    }

    /// Decrypts a ciphertext under its CMK and context, and encrypts what was in it under another CMK or context, without
    /// anybody seeing it: the API's ReEncrypt. Gives the CMK that it was under, the one that it is under, and the new
    /// ciphertext.
    ///
    /// # Errors
    /// As [`EmbeddedKms::decrypt`] and [`EmbeddedKms::encrypt`]; the right to either CMK is one of its own.
    pub async fn re_encrypt(
        &self,
        principal: &Principal,
        from: ReEncryptFrom<'_>,
        to: &KeyRef,
        context: &EncryptionContext,
    ) -> Result<(KeyArn, KeyArn, Vec<u8>), AdminError> {
        let call = Call { right: Right::ReEncryptFrom, via: Via::Api, principal, context: from.context };
        let (source, plaintext) = self.open_blob(&call, from.expected, from.ciphertext)?;
        let call = Call { right: Right::ReEncryptTo, via: Via::Api, principal, context };
        let (destination, ciphertext) = self.seal(&call, Some(to), &plaintext).await?;
        Ok((source, destination, ciphertext))
    }

    /// Opens a ciphertext that names its CMK.
    fn open_blob(
        &self,
        call: &Call<'_>,
        expected: Option<&KeyRef>,
        ciphertext: &[u8],
    ) -> Result<(KeyArn, Zeroizing<Vec<u8>>), AdminError> {
        let blob = Blob::parse(ciphertext);
        if let (Some(expected), Ok(blob)) = (expected, &blob) {
            let other = self.inner.find(&expected.0).and_then(|cmk| {
                call.admit(&self.inner, &cmk)?;
                Ok(cmk.record.id != blob.key)
            });
            if !matches!(other, Ok(false)) {
                call.leave(&self.inner, &expected.0, None, Err(&Error::InvalidCiphertext));
            }
            if other? {
                return Err(AdminError::IncorrectKey);
            }
        }
        // A key that is unknown here makes the same answer as an altered ciphertext: it says nothing about keys.
        let cmk = blob.as_ref().ok().and_then(|blob| self.inner.key(blob.key));
        let arn = cmk.as_ref().map_or_else(|| KeyArn("unknown".to_owned()), |cmk| cmk.record.arn.clone());
        let version = blob.as_ref().ok().map(|blob| blob.version);
        let opened =
            blob.and_then(|blob| call.open(&self.inner, cmk.as_deref().ok_or(Error::InvalidCiphertext)?, &blob));
        call.leave(&self.inner, &arn.0, version, opened.as_ref().map(|_| ()));
        Ok((arn, opened?))
    }
}

/// What [`EmbeddedKms::re_encrypt`] begins with.
#[derive(Debug, Clone, Copy)]
pub struct ReEncryptFrom<'a> {
    /// The ciphertext.
    pub ciphertext: &'a [u8],
    /// The CMK that it must be under, if the caller says so.
    pub expected: Option<&'a KeyRef>,
    /// Its context.
    pub context: &'a EncryptionContext,
}

/// # Errors
/// [`Error::Invalid`] for another length than 1–1,024; [`Error::Unavailable`] without randomness.
pub fn random_bytes(len: usize) -> Result<Zeroizing<Vec<u8>>, Error> {
    if !(1..=MAX_GENERATED).contains(&len) {
        return Err(Error::Invalid(format!("the number of bytes must be between 1 and {MAX_GENERATED}")));
    }
    let mut bytes = Zeroizing::new(vec![0; len]);
    aws_lc_rs::rand::fill(&mut bytes).map_err(|_| no_random(RandomError))?;
    Ok(bytes)
}

/// The CMK and the version of it that a ciphertext says it is under. Whether that is so, opening it shows.
#[must_use]
pub fn version_of(ciphertext: &[u8]) -> Option<(KeyId, u32)> {
    Blob::parse(ciphertext).ok().map(|blob| (blob.key, blob.version))
}
