//! Which key applies: the request's SSE headers, else the bucket's default, else the gateway's (design.md §4).
//! A request's headers replace a default as a unit: `AES256` drops the bucket's key id.

use std::fmt;

use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::kms::{EncryptionContext, KeyArn, KeyRef};

/// A key that the client holds (SSE-C). Wiped on drop (and so is each copy), never printed.
#[derive(Clone)]
pub struct CustomerKey {
    key: Zeroizing<[u8; 32]>,
    md5: [u8; 16],
}

impl CustomerKey {
    /// The key and the MD5 of it, which the dialect has compared already; responses echo the MD5.
    #[must_use]
    pub fn new(key: [u8; 32], md5: [u8; 16]) -> Self {
        Self { key: Zeroizing::new(key), md5 }
    }

    /// The key's MD5, as responses echo it.
    #[must_use]
    pub fn md5(&self) -> [u8; 16] {
        self.md5
    }

    pub(crate) fn expose(&self) -> &[u8; 32] {
        &self.key
    }
}

impl fmt::Debug for CustomerKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CustomerKey(…)")
    }
}

/// What encrypts the data itself, whoever wraps the data key. OSS lets clients choose it, S3 does not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
pub enum DataCipher {
    /// AES with a key of 256 bits.
    #[default]
    Aes256,
    /// SM4 (GB/T 32907-2016), whose keys have 128 bits.
    Sm4,
}

/// What a request's SSE headers ask for, already checked to agree with each other.
#[derive(Debug)]
pub enum SseRequest {
    /// SSE-S3 (OSS: SSE-OSS): the service's own key.
    S3 {
        /// What encrypts the data.
        cipher: DataCipher,
    },
    /// SSE-KMS.
    Kms {
        /// The CMK; the service-managed default when not named.
        key: Option<KeyRef>,
        /// The caller's encryption context.
        context: Option<EncryptionContext>,
        /// The bucket-key flag.
        bucket_key: bool,
        /// What encrypts the data.
        cipher: DataCipher,
    },
    /// SSE-C.
    Customer(CustomerKey),
}

/// A bucket's default encryption, as its owner set it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "KeptDefault", into = "KeptDefault")]
pub enum BucketDefault {
    /// SSE-S3.
    S3 {
        /// What encrypts the data.
        cipher: DataCipher,
    },
    /// SSE-KMS.
    Kms {
        /// The CMK as it was given (echoed so); the service-managed default when not named.
        key: Option<String>,
        /// The bucket-key flag.
        bucket_key: bool,
        /// What encrypts the data.
        cipher: DataCipher,
    },
}

/// A [`BucketDefault`] as it is kept. Buckets had defaults before data ciphers could be chosen: what they have kept says
/// nothing of one and means AES.
#[derive(Serialize, Deserialize)]
enum KeptDefault {
    S3,
    S3Sm4,
    Kms {
        key: Option<String>,
        #[serde(default)]
        bucket_key: bool,
        #[serde(default)]
        cipher: DataCipher,
    },
}

impl From<KeptDefault> for BucketDefault {
    fn from(kept: KeptDefault) -> Self {
        match kept {
            KeptDefault::S3 => Self::S3 { cipher: DataCipher::Aes256 },
            KeptDefault::S3Sm4 => Self::S3 { cipher: DataCipher::Sm4 },
            KeptDefault::Kms { key, bucket_key, cipher } => Self::Kms { key, bucket_key, cipher },
        }
    }
}

impl From<BucketDefault> for KeptDefault {
    fn from(default: BucketDefault) -> Self {
        match default {
            BucketDefault::S3 { cipher: DataCipher::Aes256 } => Self::S3,
            BucketDefault::S3 { cipher: DataCipher::Sm4 } => Self::S3Sm4,
            BucketDefault::Kms { key, bucket_key, cipher } => Self::Kms { key, bucket_key, cipher },
        }
    }
}

/// How a bucket's objects are encrypted, as its owner set it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BucketEncryption {
    /// What applies to a write that says nothing.
    pub default: BucketDefault,
    /// Whether writes under a client's key (SSE-C) are refused. What is stored so already can still be read.
    pub customer_blocked: bool,
}

impl From<BucketDefault> for BucketEncryption {
    fn from(default: BucketDefault) -> Self {
        Self { default, customer_blocked: false }
    }
}

/// What applies where neither request nor bucket says anything: the gateway's `default_encryption`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum DefaultEncryption {
    /// SSE-S3.
    #[default]
    S3,
    /// Objects are kept in plaintext, as OSS does without a bucket rule.
    None,
}

/// The resolved choice for one write.
#[derive(Debug, Clone)]
pub enum SseChoice {
    /// The service's own key.
    S3 {
        /// What encrypts the data.
        cipher: DataCipher,
    },
    /// A CMK.
    Kms {
        /// The CMK; `None` is the service-managed default.
        key: Option<KeyRef>,
        /// The caller's encryption context.
        context: EncryptionContext,
        /// The bucket-key flag: a bucket key is to wrap the data key, unless the caller has a context of his own.
        bucket_key: bool,
        /// What encrypts the data.
        cipher: DataCipher,
    },
    /// The client's key.
    Customer(CustomerKey),
    /// No encryption: nobody asked for it, and the gateway's default is none.
    None,
}

impl SseChoice {
    /// Whether a CMK is used, so that a key service asks who does.
    #[must_use]
    pub fn uses_cmk(&self) -> bool {
        matches!(self, Self::Kms { .. })
    }

    /// What encrypts the data. Says nothing where nothing does.
    #[must_use]
    pub fn cipher(&self) -> DataCipher {
        match self {
            Self::S3 { cipher } | Self::Kms { cipher, .. } => *cipher,
            Self::Customer(_) | Self::None => DataCipher::Aes256,
        }
    }

    /// Applies the precedence: request, bucket default, gateway default.
    #[must_use]
    pub fn resolve(request: Option<SseRequest>, bucket: Option<&BucketDefault>, gateway: DefaultEncryption) -> Self {
        match (request, bucket) {
            (Some(SseRequest::S3 { cipher }), _) => Self::S3 { cipher },
            (None, Some(BucketDefault::S3 { cipher })) => Self::S3 { cipher: *cipher },
            (None, None) => match gateway {
                DefaultEncryption::S3 => Self::S3 { cipher: DataCipher::Aes256 },
                DefaultEncryption::None => Self::None,
            },
            (Some(SseRequest::Kms { key, context, bucket_key, cipher }), _) => {
                Self::Kms { key, context: context.unwrap_or_default(), bucket_key, cipher }
            }
            (Some(SseRequest::Customer(key)), _) => Self::Customer(key),
            (None, Some(BucketDefault::Kms { key, bucket_key, cipher })) => {
                let context = EncryptionContext::default();
                Self::Kms { key: key.clone().map(KeyRef), context, bucket_key: *bucket_key, cipher: *cipher }
            }
        }
    }
}

/// How a stored object is encrypted, without its parameters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum SseMode {
    /// SSE-S3, written `AES256`.
    S3,
    /// SSE-KMS, written `aws:kms`.
    Kms,
    /// SSE-C, written `SSE-C`.
    Customer,
    /// Not encrypted, written `none`.
    None,
}

impl SseMode {
    /// Whether the gateway may show digests of the plaintext without the data key: the ETag is its MD5 then, as
    /// clients verify it. Under a CMK or a customer key it would be a fingerprint of what only the key's owner may
    /// know (sse-semantics.md §4c).
    #[must_use]
    pub fn shows_digests(self) -> bool {
        match self {
            Self::S3 | Self::None => true,
            Self::Kms | Self::Customer => false,
        }
    }
}

/// What responses say of an object's encryption.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SseStatus {
    /// SSE-S3.
    S3 {
        /// What encrypts the data.
        cipher: DataCipher,
    },
    /// SSE-KMS.
    Kms {
        /// The CMK's full ARN.
        key: KeyArn,
        /// The caller's context; returned by writes only.
        context: Option<EncryptionContext>,
        /// The bucket-key flag.
        bucket_key: bool,
        /// What encrypts the data.
        cipher: DataCipher,
    },
    /// SSE-C.
    Customer {
        /// MD5 of the customer key; known where the request carried the key.
        md5: Option<[u8; 16]>,
    },
    /// Not encrypted.
    None,
}

impl SseStatus {
    /// The same without the context, which reads and parts never return.
    #[must_use]
    pub fn without_context(self) -> Self {
        match self {
            Self::Kms { key, bucket_key, cipher, .. } => Self::Kms { key, context: None, bucket_key, cipher },
            other @ (Self::S3 { .. } | Self::Customer { .. } | Self::None) => other,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_replaces_the_bucket_default_as_a_unit() {
        let kms = BucketDefault::Kms { key: Some("alias/bucket".into()), bucket_key: false, cipher: DataCipher::Sm4 };
        let plain = SseRequest::S3 { cipher: DataCipher::Aes256 };
        assert!(matches!(
            SseChoice::resolve(Some(plain), Some(&kms), DefaultEncryption::S3),
            SseChoice::S3 { cipher: DataCipher::Aes256 }
        ));
        let own = SseRequest::Kms { key: None, context: None, bucket_key: false, cipher: DataCipher::Aes256 };
        assert!(matches!(
            SseChoice::resolve(Some(own), Some(&kms), DefaultEncryption::S3),
            SseChoice::Kms { key: None, cipher: DataCipher::Aes256, .. }
        ));
    }

    #[test]
    fn without_headers_the_bucket_default_applies_and_then_the_gateways() {
        let kms = BucketDefault::Kms { key: Some("alias/bucket".into()), bucket_key: false, cipher: DataCipher::Sm4 };
        let SseChoice::Kms { key: Some(KeyRef(key)), cipher: DataCipher::Sm4, .. } =
            SseChoice::resolve(None, Some(&kms), DefaultEncryption::None)
        else {
            panic!("the bucket's default was not taken");
        };
        assert_eq!(key, "alias/bucket");
        let sm4 = BucketDefault::S3 { cipher: DataCipher::Sm4 };
        assert_eq!(SseChoice::resolve(None, Some(&sm4), DefaultEncryption::S3).cipher(), DataCipher::Sm4);
        assert!(matches!(
            SseChoice::resolve(None, None, DefaultEncryption::S3),
            SseChoice::S3 { cipher: DataCipher::Aes256 }
        ));
        assert!(matches!(SseChoice::resolve(None, None, DefaultEncryption::None), SseChoice::None));
    }

    #[test]
    fn a_bucket_default_reads_back_and_one_from_before_data_ciphers_means_aes() {
        for cipher in [DataCipher::Aes256, DataCipher::Sm4] {
            for default in [
                BucketDefault::S3 { cipher },
                BucketDefault::Kms { key: Some("k".into()), bucket_key: true, cipher },
                BucketDefault::Kms { key: None, bucket_key: false, cipher },
            ] {
                let kept = serde_json::to_vec(&default).unwrap();
                assert_eq!(serde_json::from_slice::<BucketDefault>(&kept).unwrap(), default);
            }
        }
        let old = |kept: &str| serde_json::from_str::<BucketDefault>(kept).unwrap();
        let cipher = DataCipher::Aes256;
        assert_eq!(old(r#""S3""#), BucketDefault::S3 { cipher });
        assert_eq!(old(r#"{"Kms":{"key":null}}"#), BucketDefault::Kms { key: None, bucket_key: false, cipher });
    }
}
