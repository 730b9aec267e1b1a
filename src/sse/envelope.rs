//! The envelope: what must be known, beside the body, to open an object. It travels in the object's metadata as a few
//! short ASCII fields; [`super::Keyring`] makes, binds and verifies them.
//!
//! | field | value |
//! |---|---|
//! | `v` | `1` |
//! | `mode` | `AES256`, `aws:kms`, `SSE-C` or `none` |
//! | `key` | the CMK's ARN (`aws:kms` only) |
//! | `bk` | `1` when the write had the bucket-key flag (`aws:kms` only) |
//! | `ep` | id and wrapped form of the bucket key that wraps the data key, base64 (`aws:kms` with `bk` only) |
//! | `data` | `SM4` where that encrypts the body (`AES256` and `aws:kms` only) |
//! | `dk` | the wrapped data key, base64 |
//! | `ctx` | the caller's encryption context, sealed, base64 (`aws:kms` with a context only) |
//! | `com` | the commitment to the data key, base64 |
//! | `id` | the object id, base64 |
//! | `ver` | the version id that the write was made with |
//! | `etag` | the ETag that clients see, where it is not the manifest's |
//! | `mac` | the metadata MAC, base64 |

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::kms::{AttributeKey, EncryptionContext, KeyArn, WrappedKey};
use crate::types::VersionId;

use super::record::{open_record, seal_record};
use super::wire::Reader;
use super::{
    Aead, Commitment, CustomerKey, DataCipher, Epoch, EpochId, Error, MAX_ETAG_LEN, ObjectId, SseMode, SseStatus,
};

/// What an envelope's fields may take, names with prefix and values together: half of what S3 gives user metadata.
pub const ENVELOPE_BUDGET: usize = 1024;

/// The length of `sealgate-`, which precedes each field's name in an upstream store.
const PREFIX_LEN: usize = 9;

pub(super) const MAC: &str = "mac";
pub(super) const VERSION: &str = "v";
pub(super) const VERSION_1: &str = "1";
const MODE: &str = "mode";
const KEY: &str = "key";
const BUCKET_KEY: &str = "bk";
const EPOCH: &str = "ep";
const DATA: &str = "data";
const WRAPPED: &str = "dk";
const CONTEXT: &str = "ctx";
const COMMITMENT: &str = "com";
const OBJECT: &str = "id";
const ETAG: &str = "etag";
const WRITE: &str = crate::store::Metadata::VERSION;

/// The cipher that the field `data` names.
const SM4: &str = "SM4";

const CONTEXT_PURPOSE: &str = "context";

/// Under which key the data key is wrapped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wrap {
    /// Under the service key.
    S3 {
        /// The wrapped data key.
        wrapped: WrappedKey,
    },
    /// Under a CMK.
    Kms {
        /// The CMK.
        key: KeyArn,
        /// The caller's pairs, without the one that the service adds.
        context: EncryptionContext,
        /// The wrapped data key.
        wrapped: WrappedKey,
        /// The bucket-key flag of the write.
        bucket_key: bool,
        /// The bucket key that wraps the data key; `None` where the CMK does, flag or not.
        epoch: Option<EpochCopy>,
    },
    /// Under a key derived from the client's.
    Customer {
        /// The wrapped data key.
        wrapped: WrappedKey,
    },
    /// Under the service key, though the body is not encrypted: the data key still seals the digests.
    None {
        /// The wrapped data key.
        wrapped: WrappedKey,
    },
}

/// A bucket key's wrapped form, as an object has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EpochCopy {
    /// The epoch.
    pub id: EpochId,
    /// The bucket key under the CMK, for the bucket's ARN.
    pub wrapped: WrappedKey,
}

/// What must be known, beside the body and a key, to open an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Envelope {
    /// The wrapped data key and what wrapped it.
    pub wrap: Wrap,
    /// What encrypts the body, where anything does.
    pub cipher: DataCipher,
    /// The commitment to the data key.
    pub commitment: Commitment,
    /// The object id, which body and summary have too.
    pub object: ObjectId,
    /// The version id that the write was made with. A store that keeps versions serves it under this one and no other.
    pub version: Option<VersionId>,
    /// The ETag that clients see, where it is not the manifest's: after a copy that changed the mode but not the body.
    pub etag: Option<String>,
}

impl Envelope {
    /// How the object is encrypted.
    #[must_use]
    pub fn mode(&self) -> SseMode {
        match self.wrap {
            Wrap::S3 { .. } => SseMode::S3,
            Wrap::Kms { .. } => SseMode::Kms,
            Wrap::Customer { .. } => SseMode::Customer,
            Wrap::None { .. } => SseMode::None,
        }
    }

    /// The bucket key behind it, if one is.
    #[must_use]
    pub fn epoch(&self) -> Option<EpochId> {
        match &self.wrap {
            Wrap::Kms { epoch, .. } => epoch.as_ref().map(|epoch| epoch.id),
            Wrap::S3 { .. } | Wrap::Customer { .. } | Wrap::None { .. } => None,
        }
    }

    /// The caller's encryption context.
    #[must_use]
    pub fn context(&self) -> EncryptionContext {
        match &self.wrap {
            Wrap::Kms { context, .. } => context.clone(),
            Wrap::S3 { .. } | Wrap::Customer { .. } | Wrap::None { .. } => EncryptionContext::default(),
        }
    }

    /// Takes what the bucket's record says of the object's epoch for what the object itself says: the epoch may have been
    /// moved to another CMK since.
    pub fn follow(&mut self, kept: Epoch) {
        if let Wrap::Kms { key, epoch: Some(copy), .. } = &mut self.wrap
            && copy.id == kept.id
        {
            *key = kept.key;
            copy.wrapped = kept.wrapped;
        }
    }

    /// What seals a new body: AES-256-GCM, the fastest here by far, unless SM4 was asked for; or nothing.
    #[must_use]
    pub fn body_aead(&self) -> Aead {
        match (self.mode(), self.cipher) {
            (SseMode::None, _) => Aead::None,
            (SseMode::S3 | SseMode::Kms | SseMode::Customer, DataCipher::Aes256) => Aead::Aes256Gcm,
            (SseMode::S3 | SseMode::Kms | SseMode::Customer, DataCipher::Sm4) => Aead::Sm4Gcm,
        }
    }

    /// Whether a body sealed so is what the metadata says. Whoever reads a body calls this first: a plaintext body
    /// opens only where the metadata, which the MAC covers, says that the object is not encrypted, and one under SM4
    /// only where it says SM4.
    ///
    /// # Errors
    /// [`Error::WrongMode`].
    pub fn check_body(&self, aead: Aead) -> Result<(), Error> {
        let fits = match aead {
            Aead::None => self.mode() == SseMode::None,
            Aead::Aes256Gcm | Aead::ChaCha20Poly1305 => {
                self.mode() != SseMode::None && self.cipher == DataCipher::Aes256
            }
            Aead::Sm4Gcm => self.mode() != SseMode::None && self.cipher == DataCipher::Sm4,
        };
        if fits { Ok(()) } else { Err(Error::WrongMode) }
    }

    /// What a response says of it. `customer` is the key that the request carried. Reads drop the context
    /// ([`SseStatus::without_context`]).
    #[must_use]
    pub fn status(&self, customer: Option<&CustomerKey>) -> SseStatus {
        match &self.wrap {
            Wrap::S3 { .. } => SseStatus::S3 { cipher: self.cipher },
            Wrap::Kms { key, context, bucket_key, .. } => {
                let context = (!context.0.is_empty()).then(|| context.clone());
                SseStatus::Kms { key: key.clone(), context, bucket_key: *bucket_key, cipher: self.cipher }
            }
            Wrap::Customer { .. } => SseStatus::Customer { md5: customer.map(CustomerKey::md5) },
            Wrap::None { .. } => SseStatus::None,
        }
    }

    /// The fields, without the MAC.
    pub(super) fn fields(&self, attribute_key: &AttributeKey) -> Result<BTreeMap<String, String>, Error> {
        let (mode, wrapped) = match &self.wrap {
            Wrap::S3 { wrapped } => ("AES256", wrapped),
            Wrap::Kms { wrapped, .. } => ("aws:kms", wrapped),
            Wrap::Customer { wrapped } => ("SSE-C", wrapped),
            Wrap::None { wrapped } => ("none", wrapped),
        };
        let mut fields = BTreeMap::new();
        let mut set = |name: &str, value: String| fields.insert(name.to_owned(), value);
        set(VERSION, VERSION_1.to_owned());
        set(MODE, mode.to_owned());
        set(WRAPPED, STANDARD.encode(&wrapped.0));
        set(COMMITMENT, STANDARD.encode(self.commitment.as_bytes()));
        set(OBJECT, STANDARD.encode(self.object.as_bytes()));
        if let Wrap::Kms { key, context, bucket_key, epoch, .. } = &self.wrap {
            set(KEY, key.0.clone());
            if let Some(epoch) = epoch {
                set(EPOCH, STANDARD.encode([epoch.id.as_bytes().as_slice(), &epoch.wrapped.0].concat()));
            }
            if *bucket_key {
                set(BUCKET_KEY, "1".to_owned());
            }
            if !context.0.is_empty() {
                let sealed = seal_record(attribute_key, CONTEXT_PURPOSE, self.object.as_bytes(), &context.canonical())?;
                set(CONTEXT, STANDARD.encode(sealed));
            }
        }
        if self.cipher == DataCipher::Sm4 {
            set(DATA, SM4.to_owned());
        }
        if let Some(version) = &self.version {
            set(WRITE, version.as_str().to_owned());
        }
        if let Some(etag) = &self.etag {
            set(ETAG, etag.clone());
        }
        if fields.values().any(|value| !value.bytes().all(|b| b.is_ascii_graphic())) {
            return Err(Error::Malformed("an envelope field that is not printable ASCII"));
        }
        Ok(fields)
    }

    /// Reads fields whose MAC has been verified.
    pub(super) fn from_fields(fields: &BTreeMap<String, String>, attribute_key: &AttributeKey) -> Result<Self, Error> {
        const KNOWN: [&str; 13] =
            [VERSION, MODE, KEY, BUCKET_KEY, EPOCH, DATA, WRAPPED, CONTEXT, COMMITMENT, OBJECT, WRITE, ETAG, MAC];
        if fields.keys().any(|name| !KNOWN.contains(&name.as_str())) {
            return Err(Error::Unsupported("envelope field"));
        }
        let text = |name: &str| fields.get(name).map(String::as_str);
        let object = ObjectId::from_bytes(array(text(OBJECT))?);
        let commitment = Commitment::from_bytes(array(text(COMMITMENT))?);
        let wrapped = WrappedKey(binary(text(WRAPPED))?);
        let wrap = match text(MODE) {
            Some("AES256") => Wrap::S3 { wrapped },
            Some("aws:kms") => {
                let key = KeyArn(text(KEY).ok_or(Error::Malformed("no CMK"))?.to_owned());
                let bucket_key = match text(BUCKET_KEY) {
                    None => false,
                    Some("1") => true,
                    Some(_) => return Err(Error::Malformed("a bucket-key flag")),
                };
                let context = open_context(text(CONTEXT), object, attribute_key)?;
                let epoch = text(EPOCH).map(epoch_copy).transpose()?;
                if epoch.is_some() && !(bucket_key && context.0.is_empty()) {
                    return Err(Error::Malformed("a bucket key without its flag, or with a context"));
                }
                Wrap::Kms { key, context, wrapped, bucket_key, epoch }
            }
            Some("SSE-C") => Wrap::Customer { wrapped },
            Some("none") => Wrap::None { wrapped },
            _ => return Err(Error::Unsupported("encryption mode")),
        };
        let kms = matches!(wrap, Wrap::Kms { .. });
        if !kms && [KEY, CONTEXT, BUCKET_KEY, EPOCH].into_iter().any(|name| text(name).is_some()) {
            return Err(Error::Malformed("a CMK or context without aws:kms"));
        }
        let cipher = match (text(DATA), &wrap) {
            (None, _) => DataCipher::Aes256,
            (Some(SM4), Wrap::S3 { .. } | Wrap::Kms { .. }) => DataCipher::Sm4,
            (Some(SM4), Wrap::Customer { .. } | Wrap::None { .. }) => {
                return Err(Error::Malformed("a data cipher that the mode does not have"));
            }
            (Some(_), _) => return Err(Error::Unsupported("data cipher")),
        };
        let etag = text(ETAG).map(str::to_owned);
        if etag.as_ref().is_some_and(|etag| etag.len() > MAX_ETAG_LEN) {
            return Err(Error::Malformed("an ETag of more than 64 bytes"));
        }
        let version = text(WRITE).map(str::parse).transpose();
        let version = version.map_err(|_| Error::Malformed("a version id"))?;
        Ok(Self { wrap, cipher, commitment, object, version, etag })
    }
}

/// Checks the budget. What is not there yet is counted as it will be: the MAC, and an ETag that a copy may add.
pub(super) fn check_budget(fields: &BTreeMap<String, String>) -> Result<(), Error> {
    let reserve = |name: &str, len: usize| if fields.contains_key(name) { 0 } else { PREFIX_LEN + name.len() + len };
    let there: usize = fields.iter().map(|(name, value)| PREFIX_LEN + name.len() + value.len()).sum();
    let total = there + reserve(MAC, 44) + reserve(ETAG, MAX_ETAG_LEN);
    if total > ENVELOPE_BUDGET { Err(Error::TooLarge) } else { Ok(()) }
}

fn binary(field: Option<&str>) -> Result<Vec<u8>, Error> {
    let field = field.ok_or(Error::Malformed("an envelope field is missing"))?;
    STANDARD.decode(field).map_err(|_| Error::Malformed("an envelope field is not base64"))
}

fn array<const N: usize>(field: Option<&str>) -> Result<[u8; N], Error> {
    binary(field)?.try_into().map_err(|_| Error::Malformed("the length of an envelope field"))
}

fn epoch_copy(field: &str) -> Result<EpochCopy, Error> {
    let bytes = binary(Some(field))?;
    let (id, wrapped) = bytes.split_first_chunk::<{ EpochId::LEN }>().ok_or(Error::Malformed("an epoch"))?;
    Ok(EpochCopy { id: EpochId::from_bytes(*id), wrapped: WrappedKey(wrapped.to_vec()) })
}

fn open_context(field: Option<&str>, object: ObjectId, key: &AttributeKey) -> Result<EncryptionContext, Error> {
    const SHORT: Error = Error::Malformed("encryption context");
    if field.is_none() {
        return Ok(EncryptionContext::default());
    }
    let plain = open_record(key, CONTEXT_PURPOSE, object.as_bytes(), &binary(field)?)?;
    let mut reader = Reader::new(&plain);
    let text = |reader: &mut Reader<'_>| {
        let len = usize::try_from(reader.u32()?).ok()?;
        String::from_utf8(reader.bytes(len)?.to_vec()).ok()
    };
    let mut pairs = BTreeMap::new();
    for _ in 0..reader.u32().ok_or(SHORT)? {
        let name = text(&mut reader).ok_or(SHORT)?;
        pairs.insert(name, text(&mut reader).ok_or(SHORT)?);
    }
    reader.end().ok_or(SHORT)?;
    Ok(EncryptionContext(pairs))
}
