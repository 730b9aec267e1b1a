//! Key material that its owner brings (BYOK). The owner wraps it under an RSA key of ours, so that nobody between the two
//! sees it, and so that no plaintext material is ever in a request.
//!
//! The private half of the wrapping key is kept nowhere: it travels in the import token, sealed by the root key for the CMK
//! that it was made for. So any gateway with the keystore takes the import, and nothing is left of one that never comes.
//!
//! ```text
//! token = sealed record for Slot::Import(key id) of: schema u8 (1) ‖ postcard(Token)
//! ```
//!
//! Source: AWS KMS developer guide, "Importing key material in AWS KMS keys"; PKCS #11 v2.40 §2.1.21 for the two-step wrap.

use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der, PublicKeyX509Der};
use aws_lc_rs::key_wrap::{AES_256, AesKek, KeyWrapPadded as _};
use aws_lc_rs::rsa::{
    KeySize, OAEP_SHA1_MGF1SHA1, OAEP_SHA256_MGF1SHA256, OaepAlgorithm, OaepPrivateDecryptingKey, PrivateDecryptingKey,
};
use serde::{Deserialize, Serialize};
use zeroize::{ZeroizeOnDrop, Zeroizing};

use crate::kms::{Error, KeyArn, KeyRef, Principal};
use crate::types::Timestamp;

use super::admin::AdminError;
use super::keystore::{EmbeddedKms, Inner, open_material};
use super::lifecycle::DAY;
use super::record::{CmkRecord, Import, Kept, KeyOrigin, KeyState, MaterialVersion, VersionCause, decode, whole};
use super::rights::Right;
use super::seal::Slot;
use super::state::Cmk;

/// How long a public key and its token can be used.
const TOKEN_LIFE: u64 = DAY;
/// The furthest end of material that has one.
const MAX_LIFE: u64 = 365 * DAY;
const AES_KEY_BYTES: usize = 32;

/// How the material is wrapped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum WrappingAlgorithm {
    /// RSAES-OAEP with SHA-1, directly (RFC 8017 §7.1).
    OaepSha1,
    /// RSAES-OAEP with SHA-256, directly.
    OaepSha256,
    /// An AES-256 key under RSAES-OAEP with SHA-1, and behind it the material under that key (RFC 5649).
    AesKeyWrapSha1,
    /// The same with SHA-256.
    AesKeyWrapSha256,
}

/// The RSA key under which it is wrapped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WrappingKey {
    /// 2,048 bits.
    Rsa2048,
    /// 3,072 bits.
    Rsa3072,
    /// 4,096 bits.
    Rsa4096,
}

/// When imported material ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expiry {
    /// Never.
    Never,
    /// Then: the CMK waits for its import again from that moment on.
    At(Timestamp),
}

/// What the owner needs to wrap and import material.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImportParameters {
    /// The CMK.
    pub key: KeyArn,
    /// The wrapping key's public half, a DER `SubjectPublicKeyInfo`.
    pub public_key: Vec<u8>,
    /// To be given back with the wrapped material.
    pub token: Vec<u8>,
    /// Until when both can be used.
    pub valid_to: Timestamp,
}

/// What the token says.
#[derive(Serialize, Deserialize, ZeroizeOnDrop)]
struct Token {
    #[zeroize(skip)]
    algorithm: WrappingAlgorithm,
    #[zeroize(skip)]
    valid_to: Timestamp,
    /// The private half of the wrapping key, PKCS #8.
    private_key: Vec<u8>,
}

impl Kept for Token {
    const SCHEMA: u8 = 1;

    fn read(schema: u8, body: &[u8]) -> Option<Self> {
        if schema == 1 { whole(body) } else { None }
    }
}

impl EmbeddedKms {
    /// Makes a wrapping key for a CMK of external origin, good for 24 hours. Several may be open at once.
    ///
    /// # Errors
    /// [`AdminError::Unsupported`] for a CMK of another origin; [`Error::NotFound`], [`Error::Denied`],
    /// [`Error::PendingDeletion`].
    pub async fn import_parameters(
        &self,
        principal: &Principal,
        key: &KeyRef,
        algorithm: WrappingAlgorithm,
        size: WrappingKey,
    ) -> Result<ImportParameters, AdminError> {
        let made = self.make_parameters(principal, key, algorithm, size).await;
        self.inner.administered(Right::GetParametersForImport.name(), principal, &key.0, made).await
    }

    async fn make_parameters(
        &self,
        principal: &Principal,
        key: &KeyRef,
        algorithm: WrappingAlgorithm,
        size: WrappingKey,
    ) -> Result<ImportParameters, AdminError> {
        let cmk = self.inspect(Right::GetParametersForImport, principal, key)?;
        external(&cmk)?;
        self.inner.not_pending_deletion(&cmk)?;
        // Making an RSA key takes a core for up to some seconds: one at a time, whoever asks.
        let stopped = |()| Error::Unavailable("the keystore is shutting down".to_owned());
        let turn = std::sync::Arc::clone(&self.making).acquire_owned().await.map_err(|_| stopped(()))?;
        let inner = std::sync::Arc::clone(&self.inner);
        let made = tokio::task::spawn_blocking(move || {
            let made = inner.new_parameters(&cmk, algorithm, size);
            drop(turn);
            made
        });
        Ok(made.await.map_err(|_| stopped(()))??)
    }

    /// Imports material. Gone or expired material may come back, but no other: what it wrapped would never open again, and
    /// nobody would know. Durable when it returns; a CMK that waited for it is enabled then.
    ///
    /// # Errors
    /// [`AdminError::InvalidImportToken`], [`AdminError::ExpiredImportToken`], [`AdminError::IncorrectMaterial`],
    /// [`AdminError::Unsupported`]; [`Error::InvalidCiphertext`] when the material does not unwrap, [`Error::Invalid`] for
    /// an end that has passed or is more than 365 days away; [`Error::NotFound`], [`Error::Denied`],
    /// [`Error::PendingDeletion`].
    pub async fn import_material(
        &self,
        principal: &Principal,
        key: &KeyRef,
        token: Vec<u8>,
        wrapped: Vec<u8>,
        expiry: Expiry,
    ) -> Result<KeyArn, AdminError> {
        let done = self.administer(Right::ImportKeyMaterial, principal, key, move |inner, cmk| {
            external(cmk)?;
            inner.not_pending_deletion(cmk)?;
            let expires = inner.end_of(expiry)?;
            let token = inner.open_token(cmk, &token)?;
            let material = unwrap(&token, &wrapped)?;
            let fingerprint = inner.root.fingerprint(cmk.record.id.as_bytes(), &material)?;
            let other = |known: &Import| {
                aws_lc_rs::constant_time::verify_slices_are_equal(&known.fingerprint, &fingerprint).is_err()
            };
            if cmk.record.import.as_ref().is_some_and(other) {
                return Err(AdminError::IncorrectMaterial);
            }
            let waited = inner.state_of(cmk)? == KeyState::PendingImport;
            let mut record = cmk.record.clone();
            if waited {
                record.state = KeyState::Enabled;
            }
            let sealed = inner.root.seal(Slot::Material(record.id.as_bytes(), 1), material.as_slice())?;
            record.versions =
                vec![MaterialVersion { number: 1, created: inner.clock.now(), cause: VersionCause::First, sealed }];
            record.import = Some(Import { fingerprint, expires });
            // Opened from what will be written, as when a CMK is made.
            inner.keep(std::sync::Arc::new(open_material(&inner.root, record)?).into())?;
            Ok(cmk.record.arn.clone())
        });
        done.await
    }

    /// Takes imported material away: the CMK waits for its import at once. Without material nothing changes. Durable when
    /// it returns.
    ///
    /// # Errors
    /// [`AdminError::Unsupported`]; [`Error::NotFound`], [`Error::Denied`], [`Error::PendingDeletion`].
    pub async fn delete_material(&self, principal: &Principal, key: &KeyRef) -> Result<KeyArn, AdminError> {
        let done = self.administer(Right::DeleteImportedKeyMaterial, principal, key, |inner, cmk| {
            external(cmk)?;
            inner.not_pending_deletion(cmk)?;
            if !cmk.record.versions.is_empty() {
                inner.forget_material(cmk)?;
            }
            Ok(cmk.record.arn.clone())
        });
        done.await
    }
}

impl Inner {
    /// Takes a CMK's material away; what is remembered is its fingerprint.
    pub(super) fn forget_material(&self, cmk: &Cmk) -> Result<(), AdminError> {
        let mut record = CmkRecord { versions: Vec::new(), state: KeyState::PendingImport, ..cmk.record.clone() };
        if let Some(import) = &mut record.import {
            import.expires = None;
        }
        self.keep(std::sync::Arc::new(open_material(&self.root, record)?).into())?;
        self.scrub();
        Ok(())
    }

    fn new_parameters(
        &self,
        cmk: &Cmk,
        algorithm: WrappingAlgorithm,
        size: WrappingKey,
    ) -> Result<ImportParameters, Error> {
        let failed = |_| Error::Unavailable("no wrapping key could be made".to_owned());
        let size = match size {
            WrappingKey::Rsa2048 => KeySize::Rsa2048,
            WrappingKey::Rsa3072 => KeySize::Rsa3072,
            WrappingKey::Rsa4096 => KeySize::Rsa4096,
        };
        let private = PrivateDecryptingKey::generate(size).map_err(failed)?;
        let public: PublicKeyX509Der<'_> = private.public_key().as_der().map_err(failed)?;
        let pkcs8: Pkcs8V1Der<'_> = private.as_der().map_err(failed)?;
        let valid_to = Timestamp(self.clock.now().0.saturating_add(TOKEN_LIFE));
        let token = Token { algorithm, valid_to, private_key: pkcs8.as_ref().to_vec() };
        // Room for all of it beforehand: growing would leave a copy of the private key behind.
        let mut plain = Vec::with_capacity(pkcs8.as_ref().len() + 64);
        plain.push(Token::SCHEMA);
        let plain = postcard::to_extend(&token, plain).map(Zeroizing::new);
        let plain = plain.map_err(|_| Error::Unavailable("no token could be made".to_owned()))?;
        let token = self.root.seal(Slot::Import(cmk.record.id.as_bytes()), &plain)?;
        Ok(ImportParameters { key: cmk.record.arn.clone(), public_key: public.as_ref().to_vec(), token, valid_to })
    }

    fn open_token(&self, cmk: &Cmk, token: &[u8]) -> Result<Token, AdminError> {
        let opened = self.root.open(Slot::Import(cmk.record.id.as_bytes()), token)?;
        let token = opened.and_then(|plain| decode::<Token>(&plain)).ok_or(AdminError::InvalidImportToken)?;
        if token.valid_to <= self.clock.now() { Err(AdminError::ExpiredImportToken) } else { Ok(token) }
    }

    fn end_of(&self, expiry: Expiry) -> Result<Option<Timestamp>, Error> {
        let Expiry::At(end) = expiry else { return Ok(None) };
        let now = self.clock.now();
        if end <= now || end.0 > now.0.saturating_add(MAX_LIFE) {
            return Err(Error::Invalid("the material must expire within the next 365 days".to_owned()));
        }
        Ok(Some(end))
    }
}

fn external(cmk: &Cmk) -> Result<(), AdminError> {
    match cmk.record.origin {
        KeyOrigin::External => Ok(()),
        KeyOrigin::Service => {
            Err(AdminError::Unsupported(format!("the material of {} was not imported", cmk.record.arn.0)))
        }
    }
}

/// # Errors
/// [`Error::InvalidCiphertext`] for what does not unwrap; [`AdminError::IncorrectMaterial`] for another length than that
/// of an AES-256 key.
fn unwrap(token: &Token, wrapped: &[u8]) -> Result<Zeroizing<[u8; 32]>, AdminError> {
    let private = PrivateDecryptingKey::from_pkcs8(&token.private_key).map_err(|_| AdminError::InvalidImportToken)?;
    let private = OaepPrivateDecryptingKey::new(private).map_err(|_| AdminError::InvalidImportToken)?;
    let (hash, two_steps): (&'static OaepAlgorithm, bool) = match token.algorithm {
        WrappingAlgorithm::OaepSha1 => (&OAEP_SHA1_MGF1SHA1, false),
        WrappingAlgorithm::OaepSha256 => (&OAEP_SHA256_MGF1SHA256, false),
        WrappingAlgorithm::AesKeyWrapSha1 => (&OAEP_SHA1_MGF1SHA1, true),
        WrappingAlgorithm::AesKeyWrapSha256 => (&OAEP_SHA256_MGF1SHA256, true),
    };
    let (head, tail) = wrapped.split_at_checked(private.key_size_bytes()).ok_or(Error::InvalidCiphertext)?;
    if tail.is_empty() == two_steps {
        return Err(Error::InvalidCiphertext.into());
    }
    let mut first = Zeroizing::new(vec![0; private.min_output_size()]);
    let first = private.decrypt(hash, head, &mut first, None).map_err(|_| Error::InvalidCiphertext)?;
    if !two_steps {
        return material(first);
    }
    if first.len() != AES_KEY_BYTES {
        return Err(Error::InvalidCiphertext.into());
    }
    let kek = AesKek::new(&AES_256, first).map_err(|_| Error::InvalidCiphertext)?;
    let mut second = Zeroizing::new(vec![0; tail.len()]);
    let second = kek.unwrap_with_padding(tail, &mut second).map_err(|_| Error::InvalidCiphertext)?;
    material(second)
}

fn material(bytes: &[u8]) -> Result<Zeroizing<[u8; 32]>, AdminError> {
    <&[u8; 32]>::try_from(bytes).map(|bytes| Zeroizing::new(*bytes)).map_err(|_| AdminError::IncorrectMaterial)
}
