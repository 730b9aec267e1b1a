//! Bucket keys: the middle level between a CMK and the data keys of a bucket's objects.
//!
//! A bucket key lives for an *epoch*: one per bucket, CMK and [`PERIOD`]. The CMK wraps it under the bucket's ARN as
//! context; the wrapped form is a record of the bucket, and a copy of it travels with each object. Where both are there,
//! the record counts: so a bucket moves to another CMK by a few records.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::kms::once::{TAG_LEN, derive, open_once, seal_once};
use crate::kms::{self, AttributeKey, DataKey, EncryptionContext, KeyArn, WrappedKey};
use crate::types::{BucketName, ObjectAt, RandomError, Timestamp, random};

use super::wire::{place, put_long};
use super::{ARN_CONTEXT, Error, ObjectId, open_record, seal_record};

/// How long new data keys are wrapped by the same bucket key, in milliseconds: 30 days. Then there is another.
pub const PERIOD: u64 = 30 * 24 * 3600 * 1000;

/// How many data keys one gateway process wraps under one bucket key. Each wrap has a key of its own, derived with 128
/// random bits, so that 2^50 would do; with this even 200 gateways stay below the 2^32 of random 96-bit nonces.
pub const WRAP_BUDGET: u64 = 1 << 24;

/// How many epochs a bucket has records of. Further ones travel with their objects only.
pub const MOST_EPOCHS: usize = 64;

const WRAP_VERSION: u8 = 1;
const IV_LEN: usize = 16;
const HEAD: usize = 1 + IV_LEN;
const WRAPPED_LEN: usize = HEAD + 32 + TAG_LEN;

const PURPOSE: &str = "bucket key";
/// What precedes an epoch's id in the name of its record among the bucket's configurations.
const KIND: &str = "bucket-key/";

/// The id of an epoch: 16 random bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct EpochId([u8; 16]);

impl EpochId {
    /// Its length in bytes.
    pub const LEN: usize = 16;

    /// A fresh one.
    ///
    /// # Errors
    /// Only when the random generator fails.
    pub fn random() -> Result<Self, RandomError> {
        random().map(Self)
    }

    /// One that was read.
    #[must_use]
    pub fn from_bytes(bytes: [u8; Self::LEN]) -> Self {
        Self(bytes)
    }

    /// Its bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; Self::LEN] {
        &self.0
    }
}

impl fmt::Display for EpochId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

/// A bucket key as it is kept: wrapped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Epoch {
    /// Its id.
    pub id: EpochId,
    /// When it began.
    pub created: Timestamp,
    /// The CMK that wraps it.
    pub key: KeyArn,
    /// The bucket key, wrapped by the CMK under the bucket's ARN.
    pub wrapped: WrappedKey,
}

/// An epoch's record, as postcard writes it.
#[derive(Serialize, Deserialize)]
struct Kept {
    created: u64,
    key: String,
    wrapped: Vec<u8>,
}

impl Epoch {
    /// Whether new data keys may be wrapped by it at this moment.
    #[must_use]
    pub fn is_open(&self, now: Timestamp) -> bool {
        now.0.saturating_sub(self.created.0) < PERIOD
    }

    /// Under which name the bucket's configurations have its record.
    #[must_use]
    pub fn kind(id: EpochId) -> String {
        format!("{KIND}{id}")
    }

    /// Its record, sealed under the attribute key for this bucket and epoch.
    ///
    /// # Errors
    /// Only when the random generator fails.
    pub fn seal(&self, bucket: &BucketName, key: &AttributeKey) -> Result<Vec<u8>, Error> {
        let kept = Kept { created: self.created.0, key: self.key.0.clone(), wrapped: self.wrapped.0.clone() };
        let plain = postcard::to_allocvec(&kept).map_err(|_| Error::Malformed("an epoch"))?;
        seal_record(key, PURPOSE, &record_place(bucket, self.id), &plain)
    }

    fn open(bucket: &BucketName, id: EpochId, sealed: &[u8], key: &AttributeKey) -> Result<Self, Error> {
        let plain = open_record(key, PURPOSE, &record_place(bucket, id), sealed)?;
        let kept: Kept = postcard::from_bytes(&plain).map_err(|_| Error::Malformed("an epoch"))?;
        Ok(Self { id, created: Timestamp(kept.created), key: KeyArn(kept.key), wrapped: WrappedKey(kept.wrapped) })
    }
}

/// Bucket and epoch, as a record's AAD.
fn record_place(bucket: &BucketName, id: EpochId) -> Vec<u8> {
    let mut place = Vec::with_capacity(4 + 63 + EpochId::LEN);
    put_long(&mut place, bucket.as_str().as_bytes());
    place.extend_from_slice(id.as_bytes());
    place
}

/// The epochs that a bucket has records of, read where they are asked for.
#[derive(Debug, Clone, Copy)]
pub struct Epochs<'a> {
    /// The bucket.
    pub bucket: &'a BucketName,
    /// Its configurations, other than epochs too.
    pub configs: &'a BTreeMap<String, Vec<u8>>,
    /// What seals their records.
    pub seal: &'a AttributeKey,
}

impl Epochs<'_> {
    /// One of them, if there is a record of it.
    ///
    /// # Errors
    /// [`Error::Record`] when the record was altered: what it says of a key must not be made up.
    pub fn get(&self, id: EpochId) -> Result<Option<Epoch>, Error> {
        let sealed = self.configs.get(&Epoch::kind(id));
        sealed.map(|sealed| Epoch::open(self.bucket, id, sealed, self.seal)).transpose()
    }

    /// All of them.
    ///
    /// # Errors
    /// As [`Epochs::get`].
    pub fn all(&self) -> Result<Vec<Epoch>, Error> {
        self.ids().map(|id| self.get(id)).filter_map(Result::transpose).collect()
    }

    /// How many there are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.ids().count()
    }

    /// The youngest that a CMK wraps and that new data keys may be wrapped by.
    ///
    /// # Errors
    /// As [`Epochs::get`].
    pub fn current(&self, key: &KeyArn, now: Timestamp) -> Result<Option<Epoch>, Error> {
        let all = self.all()?.into_iter();
        Ok(all.filter(|epoch| epoch.key == *key && epoch.is_open(now)).max_by_key(|epoch| (epoch.created, epoch.id)))
    }

    fn ids(&self) -> impl Iterator<Item = EpochId> {
        let named = self.configs.range(KIND.to_owned()..).map_while(|(kind, _)| kind.strip_prefix(KIND));
        named.filter_map(|id| {
            let mut bytes = [0; EpochId::LEN];
            hex::decode_to_slice(id, &mut bytes).ok().map(|()| EpochId(bytes))
        })
    }
}

/// A bucket key, unwrapped. Wiped on drop, never printed.
pub struct BucketKey(DataKey);

impl BucketKey {
    /// What the CMK made or unwrapped.
    #[must_use]
    pub fn new(key: DataKey) -> Self {
        Self(key)
    }

    /// Wraps a data key: version ‖ IV\[16\] ‖ AES-256-GCM under HKDF(bucket key, salt = IV), with epoch, place and
    /// object id as AAD.
    ///
    /// # Errors
    /// Only when the random generator fails.
    pub fn wrap(&self, data_key: &DataKey, of: &WrapPlace<'_>) -> Result<WrappedKey, RandomError> {
        let iv: [u8; IV_LEN] = random()?;
        let mut blob = Vec::with_capacity(WRAPPED_LEN);
        blob.push(WRAP_VERSION);
        blob.extend_from_slice(&iv);
        blob.extend_from_slice(data_key.expose());
        seal_once(&self.wrapping_key(&iv), &of.aad(), &mut blob, HEAD);
        Ok(WrappedKey(blob))
    }

    /// Unwraps what [`BucketKey::wrap`] made for the same object.
    ///
    /// # Errors
    /// [`kms::Error::InvalidCiphertext`] when key, epoch, place, object id or blob are not those of the wrap.
    pub fn unwrap_key(&self, wrapped: &WrappedKey, of: &WrapPlace<'_>) -> Result<DataKey, kms::Error> {
        let blob: &[u8; WRAPPED_LEN] = wrapped.0.as_slice().try_into().map_err(|_| kms::Error::InvalidCiphertext)?;
        let (head, sealed) = blob.split_at(HEAD);
        if head[0] != WRAP_VERSION {
            return Err(kms::Error::InvalidCiphertext);
        }
        let mut sealed = Zeroizing::new(sealed.to_vec());
        open_once(&self.wrapping_key(&head[1..]), &of.aad(), &mut sealed)
            .and_then(|plain| <[u8; 32]>::try_from(&*plain).ok())
            .map(DataKey::new)
            .ok_or(kms::Error::InvalidCiphertext)
    }

    fn wrapping_key(&self, iv: &[u8]) -> Zeroizing<[u8; 32]> {
        derive(self.0.expose(), iv, &[b"sealgate/1/bucket-wrap"])
    }
}

impl fmt::Debug for BucketKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("BucketKey(…)")
    }
}

/// What a bucket key's wrap of a data key is bound to.
#[derive(Debug, Clone, Copy)]
pub struct WrapPlace<'a> {
    /// Whose wrap it is.
    pub epoch: EpochId,
    /// Bucket and object key.
    pub at: &'a ObjectAt,
    /// The write, which a copy shares with its source.
    pub object: ObjectId,
}

impl WrapPlace<'_> {
    fn aad(&self) -> Vec<u8> {
        let mut aad = place(self.at);
        aad.extend_from_slice(self.object.as_bytes());
        aad.extend_from_slice(self.epoch.as_bytes());
        aad
    }
}

/// The context under which a CMK wraps the bucket keys of a bucket: its ARN, and nothing else.
#[must_use]
pub fn bucket_context(bucket: &BucketName) -> EncryptionContext {
    EncryptionContext(BTreeMap::from([(ARN_CONTEXT.to_owned(), format!("arn:aws:s3:::{bucket}"))]))
}

#[cfg(test)]
mod tests {
    use crate::kms::ServiceKey;

    use super::*;

    fn at(bucket: &str, key: &str) -> ObjectAt {
        ObjectAt { bucket: bucket.parse().unwrap(), key: key.parse().unwrap() }
    }

    #[test]
    fn a_wrap_opens_for_its_key_epoch_object_and_write_only() {
        let (key, here, there) = (BucketKey::new(DataKey::new([7; 32])), at("bucket", "key"), at("bucke", "tkey"));
        let of = |at, object, epoch| WrapPlace {
            epoch: EpochId::from_bytes([epoch; 16]),
            at,
            object: ObjectId::from_bytes([object; 16]),
        };
        let wrapped = key.wrap(&DataKey::new([9; 32]), &of(&here, 1, 2)).unwrap();
        assert_eq!(key.unwrap_key(&wrapped, &of(&here, 1, 2)).unwrap().expose(), &[9; 32]);
        for other in [of(&there, 1, 2), of(&here, 2, 2), of(&here, 1, 1)] {
            assert!(matches!(key.unwrap_key(&wrapped, &other), Err(kms::Error::InvalidCiphertext)), "{other:?}");
        }
        assert!(BucketKey::new(DataKey::new([8; 32])).unwrap_key(&wrapped, &of(&here, 1, 2)).is_err());
        for byte in 0..wrapped.0.len() {
            let mut altered = wrapped.clone();
            altered.0[byte] ^= 0x10;
            assert!(key.unwrap_key(&altered, &of(&here, 1, 2)).is_err(), "byte {byte}");
            altered.0.truncate(byte);
            assert!(key.unwrap_key(&altered, &of(&here, 1, 2)).is_err(), "cut at {byte}");
        }
        assert_ne!(key.wrap(&DataKey::new([9; 32]), &of(&here, 1, 2)).unwrap(), wrapped);
        assert_eq!(format!("{key:?}"), "BucketKey(…)");
    }

    fn epoch(id: u8, created: u64, key: &str) -> Epoch {
        Epoch {
            id: EpochId::from_bytes([id; 16]),
            created: Timestamp(created),
            key: KeyArn(key.to_owned()),
            wrapped: WrappedKey(vec![id; 85]),
        }
    }

    #[test]
    fn records_are_found_among_the_configurations_and_altered_ones_are_not_believed() {
        let (bucket, seal) = ("bucket".parse().unwrap(), ServiceKey::new([1; 32]).attribute_key());
        let made = [epoch(1, 1000, "a"), epoch(2, 2000, "a"), epoch(3, 3000, "b"), epoch(4, 2000 + PERIOD, "c")];
        let mut configs: BTreeMap<_, _> =
            made.iter().map(|epoch| (Epoch::kind(epoch.id), epoch.seal(&bucket, &seal).unwrap())).collect();
        configs.insert("acl".to_owned(), Vec::new());
        configs.insert("policy".to_owned(), Vec::new());
        let epochs = Epochs { bucket: &bucket, configs: &configs, seal: &seal };
        assert_eq!(epochs.all().unwrap(), made);
        assert_eq!(epochs.get(made[1].id).unwrap().as_ref(), Some(&made[1]));
        assert_eq!(epochs.get(EpochId::from_bytes([9; 16])).unwrap(), None);
        let current = |key: &str, now| epochs.current(&KeyArn(key.to_owned()), Timestamp(now)).unwrap();
        assert_eq!(current("a", 4000).as_ref(), Some(&made[1]), "the youngest");
        assert_eq!(current("a", 2000 + PERIOD), None, "its time is over");
        assert_eq!(current("d", 4000), None);
        let other = "other".parse().unwrap();
        assert!(matches!(Epochs { bucket: &other, ..epochs }.all(), Err(Error::Record)));
        let mut swapped = configs.clone();
        swapped.insert(Epoch::kind(made[0].id), configs[&Epoch::kind(made[1].id)].clone());
        assert!(matches!(Epochs { configs: &swapped, ..epochs }.get(made[0].id), Err(Error::Record)));
    }
}
