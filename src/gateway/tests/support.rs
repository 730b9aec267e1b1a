//! A gateway to test: over a hostile store and a key service that counts.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use bytes::Bytes;
use futures::StreamExt as _;

use super::super::*;
use super::hostile::Hostile;
use crate::identity::{Authenticated, Caller, Requester};
use crate::kms::embedded::{EmbeddedKms, KeystoreOptions, NewKey, RootKey};
use crate::kms::{self, DataKey, EncryptionContext, GeneratedKey, KeyArn, KeyRef, KeyService, ServiceKey, WrappedKey};
use crate::sse::{CustomerKey, DataCipher, SseRequest};
use crate::store::ListQuery;
use crate::store::local::LocalStore;
use crate::types::{ObjectAt, PartNumber, SystemClock, UploadId};

/// One segment as it is stored, and in plaintext.
pub(super) const SEALED_SEGMENT: usize = SEGMENT + 16;
pub(super) const SEGMENT: usize = 64 << 10;
pub(super) const HEADER: usize = 48;

/// Counts what is asked of a key service.
#[derive(Debug)]
pub(super) struct Counting {
    inner: Arc<EmbeddedKms>,
    calls: AtomicU64,
}

impl Counting {
    pub(super) fn calls(&self) -> u64 {
        self.calls.load(Ordering::Relaxed)
    }

    fn count(&self) {
        self.calls.fetch_add(1, Ordering::Relaxed);
    }
}

#[async_trait]
impl KeyService for Counting {
    async fn generate_data_key(
        &self,
        principal: &Principal,
        key: Option<&KeyRef>,
        context: &EncryptionContext,
    ) -> Result<GeneratedKey, kms::Error> {
        self.count();
        self.inner.generate_data_key(principal, key, context).await
    }

    async fn wrap(
        &self,
        principal: &Principal,
        key: Option<&KeyRef>,
        data_key: &DataKey,
        context: &EncryptionContext,
    ) -> Result<(KeyArn, WrappedKey), kms::Error> {
        self.count();
        self.inner.wrap(principal, key, data_key, context).await
    }

    async fn unwrap_key(
        &self,
        principal: &Principal,
        key: &KeyArn,
        wrapped: &WrappedKey,
        context: &EncryptionContext,
    ) -> Result<DataKey, kms::Error> {
        self.count();
        self.inner.unwrap_key(principal, key, wrapped, context).await
    }

    fn generation(&self) -> u64 {
        self.inner.generation()
    }
}

/// Opens what may be in use for a moment longer: a request that was given up ends on a thread of its own.
fn opened<T, E: std::fmt::Debug>(open: impl Fn() -> Result<T, E>) -> T {
    for _ in 0..500 {
        if let Ok(opened) = open() {
            return opened;
        }
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    open().unwrap()
}

/// The rooms joined, with buckets `one` and `two`.
pub(super) struct House {
    pub(super) gateway: Gateway,
    pub(super) store: Arc<Hostile>,
    pub(super) kms: Arc<Counting>,
    pub(super) keystore: Arc<EmbeddedKms>,
    pub(super) caller: Requester,
    pub(super) alarms: Arc<AtomicU64>,
    /// Sampled writes that were not ciphertext.
    pub(super) suspects: Arc<AtomicU64>,
    _directory: tempfile::TempDir,
}

pub(super) fn at(bucket: &str, key: &str) -> ObjectAt {
    ObjectAt { bucket: bucket.parse().unwrap(), key: key.parse().unwrap() }
}

/// Bytes without a short period, so that no two segments are alike.
pub(super) fn pattern(len: usize) -> Vec<u8> {
    (0..len as u64).map(|i| (i.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 56) as u8).collect()
}

pub(super) fn customer(byte: u8) -> CustomerKey {
    CustomerKey::new([byte; 32], [byte; 16])
}

pub(super) fn under(key: &str) -> Option<SseRequest> {
    Some(SseRequest::Kms {
        key: Some(KeyRef(key.to_owned())),
        context: None,
        bucket_key: false,
        cipher: DataCipher::Aes256,
    })
}

pub(super) fn by_bucket_key(key: &str) -> Option<SseRequest> {
    Some(SseRequest::Kms {
        key: Some(KeyRef(key.to_owned())),
        context: None,
        bucket_key: true,
        cipher: DataCipher::Aes256,
    })
}

pub(super) fn body(bytes: &[u8]) -> PlainBody {
    let chunks: Vec<_> = bytes.chunks(100_000).map(|chunk| Ok(Bytes::copy_from_slice(chunk))).collect();
    PlainBody {
        stream: Box::pin(futures::stream::iter(chunks)),
        len: bytes.len() as u64,
        length_is: crate::gateway::LengthIs::Declared,
        trailers: None,
    }
}

pub(super) fn put(at: &ObjectAt, bytes: &[u8]) -> PutRequest {
    PutRequest {
        at: at.clone(),
        headers: ObjectHeaders::default(),
        sse: None,
        digests: DeclaredDigests::default(),
        conditions: Conditions::default(),
        body: body(bytes),
    }
}

pub(super) fn append(at: &ObjectAt, position: u64, bytes: &[u8]) -> AppendRequest {
    AppendRequest {
        at: at.clone(),
        position,
        headers: ObjectHeaders::default(),
        sse: None,
        digests: DeclaredDigests::default(),
        conditions: Conditions::default(),
        body: body(bytes),
    }
}

/// OSS's CRC-64 of these bytes.
pub(super) fn crc64(bytes: &[u8]) -> Option<u64> {
    Some(crc_fast::checksum(crc_fast::CrcAlgorithm::Crc64Xz, bytes))
}

pub(super) fn get(at: &ObjectAt) -> GetRequest {
    GetRequest {
        part: None,
        at: at.clone(),
        version: None,
        range: None,
        conditions: Conditions::default(),
        customer_key: None,
        checksum_mode: false,
        follow_symlink: true,
    }
}

pub(super) fn copy(from: &ObjectAt, to: &ObjectAt) -> CopyRequest {
    CopyRequest {
        tags: None,
        acl: None,
        source: CopySource { at: from.clone(), version: None, conditions: Conditions::default(), customer_key: None },
        at: to.clone(),
        metadata: MetadataDirective::Copy,
        lock: ObjectLock::default(),
        sse: None,
        conditions: Conditions::default(),
        checksum: None,
    }
}

/// How a read ended.
#[derive(Debug)]
pub(super) enum Read {
    /// An error instead of an answer.
    Refused(Error),
    /// An answer that broke off after these bytes.
    Cut(Vec<u8>, Error),
    /// An answer that ended well.
    Whole(Vec<u8>),
}

impl House {
    pub(super) async fn new() -> Self {
        let house = Self::in_directory(tempfile::tempdir().unwrap());
        for bucket in ["one", "two"] {
            let name = bucket.parse().unwrap();
            house.gateway.create_bucket(&house.caller, name, None, CannedAcl::Private, false).await.unwrap();
        }
        house
    }

    /// As after a crash: nothing is finished, and the same directory is opened again.
    pub(super) fn reopened(self) -> Self {
        let Self { gateway, store, kms, keystore, _directory: directory, .. } = self;
        drop((gateway, store, kms, keystore));
        Self::in_directory(directory)
    }

    fn in_directory(directory: tempfile::TempDir) -> Self {
        let clock: Arc<dyn crate::types::Clock> = Arc::new(SystemClock);
        let path = directory.path();
        let keystore = Arc::new(opened(|| {
            EmbeddedKms::open(path, RootKey::new([7; 32]), KeystoreOptions::default(), Arc::clone(&clock), false)
        }));
        let store = Arc::new(Hostile::new(opened(|| LocalStore::open(path, Arc::clone(&clock)))));
        let kms = Arc::new(Counting { inner: Arc::clone(&keystore), calls: AtomicU64::new(0) });
        let keys = Keyring::new(kms.clone(), ServiceKey::new(*keystore.service_key()));
        let alarms = Arc::new(AtomicU64::new(0));
        let heard = Arc::clone(&alarms);
        let suspects = Arc::new(AtomicU64::new(0));
        let suspected = Arc::clone(&suspects);
        let gateway = Gateway::new(store.clone(), keys, "us-east-1".to_owned(), clock)
            .alarming(move || _ = heard.fetch_add(1, Ordering::Relaxed))
            .sampling(1, move || _ = suspected.fetch_add(1, Ordering::Relaxed));
        let caller = Requester::from(Caller::User(Authenticated::for_test("alice", false)));
        Self { gateway, store, kms, keystore, caller, alarms, suspects, _directory: directory }
    }

    /// A gateway over the same store and keys that remembers bucket keys for so long.
    pub(super) fn gateway_remembering(&self, ttl: std::time::Duration) -> Gateway {
        let keys = Keyring::new(self.kms.clone(), ServiceKey::new(*self.keystore.service_key())).caching(ttl);
        Gateway::new(self.store.clone(), keys, "us-east-1".to_owned(), Arc::new(SystemClock))
    }

    /// A new CMK's ARN.
    pub(super) async fn cmk(&self) -> String {
        let principal = self.caller.principal().unwrap();
        self.keystore.create_key(&principal, NewKey::default()).await.unwrap().arn.0
    }

    pub(super) async fn put(&self, at: &ObjectAt, bytes: &[u8]) -> Written {
        self.gateway.put_object(&self.caller, put(at, bytes)).await.unwrap()
    }

    pub(super) async fn append(&self, at: &ObjectAt, position: u64, bytes: &[u8]) -> Result<Appended, Error> {
        self.gateway.append(&self.caller, append(at, position, bytes)).await
    }

    pub(super) async fn put_under(&self, at: &ObjectAt, bytes: &[u8], sse: Option<SseRequest>) -> Written {
        self.gateway.put_object(&self.caller, PutRequest { sse, ..put(at, bytes) }).await.unwrap()
    }

    /// Starts an upload.
    pub(super) async fn upload(&self, at: &ObjectAt, sse: Option<SseRequest>) -> UploadId {
        let request = CreateUploadRequest {
            at: at.clone(),
            headers: ObjectHeaders::default(),
            sse,
            checksum: None,
            conditions: Conditions::default(),
        };
        self.gateway.create_upload(&self.caller, request).await.unwrap().id
    }

    pub(super) async fn part(&self, at: &ObjectAt, upload: &UploadId, number: u32, bytes: &[u8]) -> NamedPart {
        let number = PartNumber::try_from(number).unwrap();
        let request = PartRequest {
            at: at.clone(),
            upload: upload.clone(),
            number,
            customer_key: None,
            digests: DeclaredDigests::default(),
            body: body(bytes),
        };
        let written = self.gateway.put_part(&self.caller, request).await.unwrap();
        NamedPart { number, etag: written.etag, checksum: None }
    }

    pub(super) async fn complete(
        &self,
        at: &ObjectAt,
        upload: &UploadId,
        parts: Vec<NamedPart>,
    ) -> Result<Written, Error> {
        let request = CompleteRequest {
            at: at.clone(),
            upload: upload.clone(),
            parts: CompletedParts::Named(parts),
            min_part: MIN_PART,
            customer_key: None,
            conditions: Conditions::default(),
            checksum: None,
            size: None,
        };
        self.gateway.complete_upload(&self.caller, request).await
    }

    /// An object of these parts.
    pub(super) async fn put_parts(&self, at: &ObjectAt, parts: &[&[u8]]) -> Written {
        let upload = self.upload(at, None).await;
        let mut named = Vec::new();
        for (number, bytes) in (1..).zip(parts) {
            named.push(self.part(at, &upload, number, bytes).await);
        }
        self.complete(at, &upload, named).await.unwrap()
    }

    pub(super) async fn read(&self, request: GetRequest) -> Read {
        let mut got = match self.gateway.get_object(&self.caller, request).await {
            Ok(got) => got,
            Err(error) => return Read::Refused(error),
        };
        let mut plain = Vec::new();
        while let Some(chunk) = got.body.next().await {
            match chunk {
                Ok(chunk) => plain.extend_from_slice(&chunk),
                Err(error) => return Read::Cut(plain, error),
            }
        }
        Read::Whole(plain)
    }

    pub(super) async fn bytes(&self, at: &ObjectAt) -> Vec<u8> {
        match self.read(get(at)).await {
            Read::Whole(plain) => plain,
            other => panic!("{other:?}"),
        }
    }

    pub(super) async fn head(&self, at: &ObjectAt) -> Result<ObjectInfo, Error> {
        self.gateway.head_object(&self.caller, get(at)).await
    }

    pub(super) async fn list(&self, bucket: &str) -> Result<Listing, Error> {
        let query = ListQuery { limit: 100, ..ListQuery::default() };
        self.gateway.list_objects(&self.caller, &bucket.parse().unwrap(), query).await
    }

    /// A whole read must fail, without having shown anything but the plaintext's beginning, and not all of it.
    pub(super) async fn assert_whole_read_fails(&self, at: &ObjectAt, plain: &[u8], case: &str) {
        match self.read(get(at)).await {
            Read::Refused(Error::Integrity(_)) => {}
            Read::Cut(shown, Error::Integrity(_)) => {
                assert!(shown.len() < plain.len() && plain.starts_with(&shown), "{case}: {} bytes shown", shown.len());
            }
            other => panic!("{case}: {other:?}"),
        }
    }

    /// A range read gives the truth or an integrity error; says whether it gave the truth.
    pub(super) async fn range_is_true(&self, at: &ObjectAt, plain: &[u8], first: usize, last: usize) -> bool {
        let request = GetRequest { range: Some(RangeSpec::Bounded(first as u64, last as u64)), ..get(at) };
        let truth = &plain[first..=last];
        match self.read(request).await {
            Read::Whole(shown) => {
                assert_eq!(shown, truth, "range {first}-{last}");
                true
            }
            Read::Refused(Error::Integrity(_)) => false,
            Read::Cut(shown, Error::Integrity(_)) => {
                assert!(shown.len() < truth.len() && truth.starts_with(&shown), "range {first}-{last}");
                false
            }
            other => panic!("range {first}-{last}: {other:?}"),
        }
    }

    /// Nothing may be said of the object: GET, HEAD, LIST and copy all find it out.
    pub(super) async fn assert_all_refuse(&self, at: &ObjectAt, case: &str) {
        let read = self.read(get(at)).await;
        assert!(matches!(read, Read::Refused(Error::Integrity(_))), "{case}: GET {read:?}");
        let head = self.head(at).await;
        assert!(matches!(head, Err(Error::Integrity(_))), "{case}: HEAD {head:?}");
        let list = self.list(at.bucket.as_str()).await;
        assert!(matches!(list, Err(Error::Integrity(_))), "{case}: LIST {list:?}");
        let target = super::support::at("two", "copied");
        let copied = self.gateway.copy_object(&self.caller, copy(at, &target)).await;
        assert!(matches!(copied, Err(Error::Integrity(_))), "{case}: copy {copied:?}");
    }
}
