//! Makes, opens, binds and verifies envelopes: the keys of a gateway at work.

use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use crate::kms::once::{TAG_LEN, derive, open_once, seal_once};
use crate::kms::{
    self, AttributeKey, DEFAULT_CACHE_TTL, DataKey, EncryptionContext, KeyArn, KeyRef, KeyService, Principal,
    ServiceKey, WrappedKey,
};
use crate::store::Metadata;
use crate::types::{BucketName, ObjectAt, VersionId, random};

use super::bucket_keys::BucketKeys;
use super::envelope::{MAC, VERSION, VERSION_1, check_budget};
use super::wire::{place, put_long};
use super::{
    Commitment, CustomerKey, Envelope, Epoch, EpochShelf, Error, Lease, ObjectId, Salt, SseChoice, SseMode, Wrap,
    WrapPlace, bucket_context,
};

/// The pair that binds a data key to its object, as AWS names it. Callers can't set it.
pub const ARN_CONTEXT: &str = "aws:s3:arn";

const CUSTOMER_VERSION: u8 = 1;
const CUSTOMER_HEAD: usize = 1 + Salt::LEN;
const CUSTOMER_LEN: usize = CUSTOMER_HEAD + 32 + TAG_LEN;

/// The keys of a gateway: a key service for CMKs, the service's own key, and the attribute key derived from it.
#[derive(Debug)]
pub struct Keyring {
    kms: Arc<dyn KeyService>,
    service: ServiceKey,
    attribute: AttributeKey,
    mac: hmac::Key,
    bucket_keys: BucketKeys,
}

impl Keyring {
    /// A keyring of these.
    #[must_use]
    pub fn new(kms: Arc<dyn KeyService>, service: ServiceKey) -> Self {
        let attribute = service.attribute_key();
        let mac_key = derive(attribute.expose(), &[], &[b"sealgate/1/metadata-mac"]);
        let mac = hmac::Key::new(hmac::HMAC_SHA256, mac_key.as_ref());
        Self { kms, service, attribute, mac, bucket_keys: BucketKeys::new(DEFAULT_CACHE_TTL) }
    }

    /// Has unwrapped bucket keys be remembered for so long; zero: not at all.
    #[must_use]
    pub fn caching(self, ttl: Duration) -> Self {
        Self { bucket_keys: BucketKeys::new(ttl), ..self }
    }

    /// Leaves so many wraps to the bucket keys that are in use.
    #[cfg(test)]
    pub(crate) fn leave_wraps(&self, left: u64) {
        self.bucket_keys.leave_wraps(left);
    }

    /// Wipes the bucket keys whose time is over, used again or not.
    pub fn sweep(&self) {
        self.bucket_keys.sweep();
    }

    /// The bucket key for one new wrap, where the choice is to have one. Not under a caller's own context: the policy of
    /// the CMK is to judge that, so the CMK wraps such a data key itself.
    ///
    /// # Errors
    /// [`Error::Kms`]; [`Error::Record`] when a record of the bucket's epochs was altered.
    pub async fn lease(
        &self,
        principal: &Principal,
        choice: &SseChoice,
        shelf: &impl EpochShelf,
    ) -> Result<Option<Arc<Lease>>, Error> {
        match choice {
            SseChoice::Kms { key, context, bucket_key: true, .. } if context.0.is_empty() => {
                self.bucket_keys.lease(self.kms.as_ref(), principal, key.as_ref(), shelf).await.map(Some)
            }
            SseChoice::S3 { .. } | SseChoice::Kms { .. } | SseChoice::Customer(_) | SseChoice::None => Ok(None),
        }
    }

    /// The attribute key, for manifests, summaries and records.
    #[must_use]
    pub fn attribute_key(&self) -> &AttributeKey {
        &self.attribute
    }

    /// Makes a fresh data key and object id for a new object at this place. `lease` is what [`Keyring::lease`] gave for
    /// the same choice.
    ///
    /// # Errors
    /// [`Error::ContextReserved`] when the caller's context sets `aws:s3:arn`, [`Error::TooLarge`] when the envelope
    /// would exceed its budget, [`Error::Kms`], [`Error::Random`].
    pub async fn create(
        &self,
        principal: &Principal,
        choice: &SseChoice,
        at: &ObjectAt,
        lease: Option<&Lease>,
    ) -> Result<(Envelope, DataKey), Error> {
        let object = ObjectId::random()?;
        let (wrap, data_key) = match (choice, lease) {
            (SseChoice::Kms { .. }, Some(lease)) => {
                let data_key = DataKey::new(random()?);
                (wrap_by(lease, &data_key, at, object)?, data_key)
            }
            (SseChoice::Kms { key, context, bucket_key, .. }, None) => {
                let generated =
                    self.kms.generate_data_key(principal, key.as_ref(), &full_context(context, at)?).await?;
                let wrap = Wrap::Kms {
                    key: generated.key,
                    context: context.clone(),
                    wrapped: generated.wrapped,
                    bucket_key: *bucket_key,
                    epoch: None,
                };
                (wrap, generated.plaintext)
            }
            (SseChoice::S3 { .. } | SseChoice::Customer(_) | SseChoice::None, _) => {
                let data_key = DataKey::new(random()?);
                (self.wrap_locally(&data_key, choice, at)?, data_key)
            }
        };
        let commitment = Commitment::of(&data_key);
        let envelope =
            Envelope { wrap, cipher: choice.cipher(), commitment, object, version: Some(fresh_version()?), etag: None };
        check_budget(&envelope.fields(&self.attribute)?)?;
        Ok((envelope, data_key))
    }

    /// Unwraps the data key of the object at this place. The envelope must come from [`Keyring::verify`].
    ///
    /// # Errors
    /// [`Error::CustomerKeyRequired`], [`Error::CustomerKeyNotApplicable`] and [`Error::CustomerKeyWrong`] are the
    /// request's fault. [`Error::Kms`] says what the key service said; its `InvalidCiphertext` means that what is
    /// stored was not wrapped for this object. [`Error::Commitment`]: the key that came out is not the object's.
    pub async fn unwrap(
        &self,
        principal: &Principal,
        envelope: &Envelope,
        at: &ObjectAt,
        customer: Option<&CustomerKey>,
    ) -> Result<DataKey, Error> {
        let data_key = match (&envelope.wrap, customer) {
            (Wrap::Customer { .. }, None) => return Err(Error::CustomerKeyRequired),
            (Wrap::S3 { .. } | Wrap::Kms { .. } | Wrap::None { .. }, Some(_)) => {
                return Err(Error::CustomerKeyNotApplicable);
            }
            (Wrap::Customer { wrapped }, Some(customer)) => unwrap_customer(customer, wrapped, at)?,
            (Wrap::S3 { wrapped } | Wrap::None { wrapped }, None) => {
                self.service.unwrap_key(wrapped, &full_context(&EncryptionContext::default(), at)?)?
            }
            (Wrap::Kms { key, wrapped, epoch: Some(epoch), .. }, None) => {
                let keys = &self.bucket_keys;
                let kms = self.kms.as_ref();
                let bucket_key = keys.read(kms, principal, &at.bucket, key, &epoch.wrapped).await?;
                bucket_key.unwrap_key(wrapped, &WrapPlace { epoch: epoch.id, at, object: envelope.object })?
            }
            (Wrap::Kms { key, context, wrapped, epoch: None, .. }, None) => {
                self.kms.unwrap_key(principal, key, wrapped, &full_context(context, at)?).await?
            }
        };
        envelope.commitment.check(&data_key)?;
        Ok(data_key)
    }

    /// Wraps an object's data key anew, for a copy or for another CMK: same body, same object id and commitment. An
    /// ETag that must differ from the manifest's is the caller's to set. `lease` is as in [`Keyring::create`].
    ///
    /// # Errors
    /// [`Error::Commitment`] when `data_key` is not the old envelope's, [`Error::WrongMode`] when the body would no
    /// longer be what its metadata says, and as [`Keyring::create`].
    pub async fn rewrap(
        &self,
        principal: &Principal,
        data_key: &DataKey,
        old: &Envelope,
        choice: &SseChoice,
        to: &ObjectAt,
        lease: Option<&Lease>,
    ) -> Result<Envelope, Error> {
        old.commitment.check(data_key)?;
        if (old.mode() == SseMode::None) != matches!(choice, SseChoice::None) || old.cipher != choice.cipher() {
            return Err(Error::WrongMode);
        }
        let wrap = match (choice, lease) {
            (SseChoice::Kms { .. }, Some(lease)) => wrap_by(lease, data_key, to, old.object)?,
            (SseChoice::Kms { key, context, bucket_key, .. }, None) => {
                let (key, wrapped) = self.wrap_kms(principal, key.as_ref(), data_key, context, to).await?;
                Wrap::Kms { key, context: context.clone(), wrapped, bucket_key: *bucket_key, epoch: None }
            }
            (SseChoice::S3 { .. } | SseChoice::Customer(_) | SseChoice::None, _) => {
                self.wrap_locally(data_key, choice, to)?
            }
        };
        let envelope = Envelope {
            wrap,
            cipher: old.cipher,
            commitment: old.commitment,
            object: old.object,
            version: Some(fresh_version()?),
            etag: old.etag.clone(),
        };
        check_budget(&envelope.fields(&self.attribute)?)?;
        Ok(envelope)
    }

    /// Begins an epoch of the bucket under a CMK, whether or not there is one.
    ///
    /// # Errors
    /// The KMS's, and those of keeping its record.
    pub async fn begin_epoch(
        &self,
        principal: &Principal,
        key: &KeyRef,
        shelf: &impl EpochShelf,
    ) -> Result<Lease, kms::Error> {
        self.bucket_keys.begin_another(self.kms.as_ref(), principal, key, shelf).await
    }

    /// What [`KeyService::generation`] says.
    #[must_use]
    pub fn generation(&self) -> u64 {
        self.kms.generation()
    }

    /// Wraps a bucket's epoch under another CMK (`None`: under the current version of its own). The bucket key stays.
    ///
    /// # Errors
    /// [`Error::Kms`]: the principal must have the right to open it where it is, and to wrap it where it goes.
    pub async fn rewrap_epoch(
        &self,
        principal: &Principal,
        bucket: &BucketName,
        epoch: &Epoch,
        to: Option<&KeyRef>,
    ) -> Result<Epoch, Error> {
        let context = bucket_context(bucket);
        let own = KeyRef(epoch.key.0.clone());
        let bucket_key = self.kms.unwrap_key(principal, &epoch.key, &epoch.wrapped, &context).await?;
        let (key, wrapped) = self.kms.wrap(principal, Some(to.unwrap_or(&own)), &bucket_key, &context).await?;
        Ok(Epoch { key, wrapped, ..epoch.clone() })
    }

    /// Writes the envelope's fields into the metadata of the object at this place, and the MAC over all of it. The
    /// client's headers must be final.
    ///
    /// # Errors
    /// [`Error::TooLarge`], [`Error::Malformed`] when a field is not printable ASCII, [`Error::Random`].
    pub fn bind(&self, at: &ObjectAt, metadata: &mut Metadata, envelope: &Envelope) -> Result<(), Error> {
        metadata.envelope = envelope.fields(&self.attribute)?;
        check_budget(&metadata.envelope)?;
        let mac = self.metadata_mac(at, metadata);
        metadata.envelope.insert(MAC.to_owned(), STANDARD.encode(mac.as_ref()));
        Ok(())
    }

    /// Verifies the metadata of the object at this place and reads its envelope. There is no object without one.
    ///
    /// # Errors
    /// [`Error::MetadataMac`] when anything was altered, stripped or is another object's; [`Error::Unsupported`] for
    /// an unknown version; [`Error::Malformed`] when authentic fields contradict each other.
    pub fn verify(&self, at: &ObjectAt, metadata: &Metadata) -> Result<Envelope, Error> {
        let fields = &metadata.envelope;
        if fields.get(VERSION).ok_or(Error::MetadataMac)? != VERSION_1 {
            return Err(Error::Unsupported("envelope version"));
        }
        let mac = fields.get(MAC).and_then(|mac| STANDARD.decode(mac).ok()).ok_or(Error::MetadataMac)?;
        if !bool::from(self.metadata_mac(at, metadata).as_ref().ct_eq(&mac)) {
            return Err(Error::MetadataMac);
        }
        Envelope::from_fields(fields, &self.attribute)
    }

    /// HMAC-SHA256 over the place and all metadata but the MAC itself. Each map is preceded by its number of entries
    /// and each text by its length, so no two different inputs give the same bytes.
    fn metadata_mac(&self, at: &ObjectAt, metadata: &Metadata) -> hmac::Tag {
        let mut input = Vec::with_capacity(2048);
        put_long(&mut input, b"sealgate/1/metadata");
        input.extend_from_slice(&place(at));
        let envelope = metadata.envelope.iter().filter(|(name, _)| *name != MAC);
        put_pairs(&mut input, metadata.system.iter());
        put_pairs(&mut input, metadata.user.iter());
        put_pairs(&mut input, envelope);
        if !metadata.tags.is_empty() || !metadata.access.is_empty() {
            put_pairs(&mut input, metadata.tags.iter());
            put_pairs(&mut input, metadata.access.iter());
        }
        hmac::sign(&self.mac, &input)
    }

    async fn wrap_kms(
        &self,
        principal: &Principal,
        key: Option<&KeyRef>,
        data_key: &DataKey,
        context: &EncryptionContext,
        at: &ObjectAt,
    ) -> Result<(KeyArn, WrappedKey), Error> {
        Ok(self.kms.wrap(principal, key, data_key, &full_context(context, at)?).await?)
    }

    /// Wraps under the service key, or the customer's when the choice carries one.
    fn wrap_locally(&self, data_key: &DataKey, choice: &SseChoice, at: &ObjectAt) -> Result<Wrap, Error> {
        if let SseChoice::Customer(customer) = choice {
            return Ok(Wrap::Customer { wrapped: wrap_customer(customer, data_key, at)? });
        }
        let context = full_context(&EncryptionContext::default(), at)?;
        let wrapped = self.service.wrap(data_key, &context)?;
        Ok(if matches!(choice, SseChoice::None) { Wrap::None { wrapped } } else { Wrap::S3 { wrapped } })
    }
}

/// A data key under a bucket key, which a CMK wraps.
fn wrap_by(lease: &Lease, data_key: &DataKey, at: &ObjectAt, object: ObjectId) -> Result<Wrap, Error> {
    Ok(Wrap::Kms {
        key: lease.cmk().clone(),
        context: EncryptionContext::default(),
        wrapped: lease.wrap(data_key, at, object)?,
        bucket_key: true,
        epoch: Some(lease.copy()),
    })
}

/// A version id for a new write.
fn fresh_version() -> Result<VersionId, Error> {
    Ok(VersionId::from_bits(random()?))
}

fn put_pairs<'a>(out: &mut Vec<u8>, pairs: impl Iterator<Item = (&'a String, &'a String)> + Clone) {
    out.extend_from_slice(&u32::try_from(pairs.clone().count()).unwrap_or(u32::MAX).to_be_bytes());
    for (name, value) in pairs {
        put_long(out, name.as_bytes());
        put_long(out, value.as_bytes());
    }
}

/// The caller's pairs and the object's ARN.
fn full_context(context: &EncryptionContext, at: &ObjectAt) -> Result<EncryptionContext, Error> {
    let mut pairs = context.0.clone();
    match pairs.insert(ARN_CONTEXT.to_owned(), at.arn()) {
        None => Ok(EncryptionContext(pairs)),
        Some(_) => Err(Error::ContextReserved(ARN_CONTEXT)),
    }
}

/// version ‖ salt\[32\] ‖ AES-256-GCM of the data key under HKDF(customer key, salt); the object's place is the AAD.
/// Nothing else is stored, so a guess at the customer key costs an HKDF and an AES-GCM, per object.
fn wrap_customer(customer: &CustomerKey, data_key: &DataKey, at: &ObjectAt) -> Result<WrappedKey, Error> {
    let salt = Salt::random()?;
    let mut blob = Vec::with_capacity(CUSTOMER_LEN);
    blob.push(CUSTOMER_VERSION);
    blob.extend_from_slice(salt.as_bytes());
    blob.extend_from_slice(data_key.expose());
    seal_once(&customer_wrapping_key(customer, salt.as_bytes()), &place(at), &mut blob, CUSTOMER_HEAD);
    Ok(WrappedKey(blob))
}

fn unwrap_customer(customer: &CustomerKey, wrapped: &WrappedKey, at: &ObjectAt) -> Result<DataKey, Error> {
    let blob: &[u8; CUSTOMER_LEN] =
        wrapped.0.as_slice().try_into().map_err(|_| Error::Malformed("the length of a wrapped key"))?;
    let (head, sealed) = blob.split_at(CUSTOMER_HEAD);
    if head[0] != CUSTOMER_VERSION {
        return Err(Error::Unsupported("version of a wrapped key"));
    }
    let mut sealed = Zeroizing::new(sealed.to_vec());
    open_once(&customer_wrapping_key(customer, &head[1..]), &place(at), &mut sealed)
        .and_then(|plain| <[u8; 32]>::try_from(&*plain).ok())
        .map(DataKey::new)
        .ok_or(Error::CustomerKeyWrong)
}

fn customer_wrapping_key(customer: &CustomerKey, salt: &[u8]) -> Zeroizing<[u8; 32]> {
    derive(customer.expose(), salt, &[b"sealgate/1/sse-c"])
}

#[cfg(test)]
mod tests;
