//! Promises of envelopes: what opens them, and what is found out.

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::path::PathBuf;
use std::sync::Mutex;

use async_trait::async_trait;
use proptest::prelude::*;
use serde::{Deserialize, Serialize};

use crate::kms;
use crate::sse::{Aead, BucketKey, DataCipher, ENVELOPE_BUDGET, EpochCopy, EpochId, SseMode, SseStatus};
use crate::types::UserId;

use super::*;
use crate::kms::GeneratedKey;

const AES: SseChoice = SseChoice::S3 { cipher: DataCipher::Aes256 };
const SM4: SseChoice = SseChoice::S3 { cipher: DataCipher::Sm4 };

/// The CMK, the context and the data key of a wrap.
type Wrapping = (String, EncryptionContext, [u8; 32]);

/// A key service that keeps every data key it wrapped, with the context.
#[derive(Debug, Default)]
struct Vault {
    wraps: Mutex<HashMap<Vec<u8>, Wrapping>>,
    padding: usize,
}

impl Vault {
    fn put(&self, key: Option<&KeyRef>, dk: &DataKey, context: &EncryptionContext) -> (KeyArn, WrappedKey) {
        let arn = format!("arn:aws:kms:local:0:key/{}", key.map_or("default", |k| k.0.as_str()));
        let mut blob = random::<16>().unwrap().to_vec();
        blob.resize(16 + self.padding, 0);
        self.wraps.lock().unwrap().insert(blob.clone(), (arn.clone(), context.clone(), *dk.expose()));
        (KeyArn(arn), WrappedKey(blob))
    }
}

#[async_trait]
impl KeyService for Vault {
    async fn generate_data_key(
        &self,
        _: &Principal,
        key: Option<&KeyRef>,
        context: &EncryptionContext,
    ) -> Result<GeneratedKey, kms::Error> {
        let plaintext = DataKey::new(random().unwrap());
        let (key, wrapped) = self.put(key, &plaintext, context);
        Ok(GeneratedKey { key, plaintext, wrapped })
    }

    async fn wrap(
        &self,
        _: &Principal,
        key: Option<&KeyRef>,
        data_key: &DataKey,
        context: &EncryptionContext,
    ) -> Result<(KeyArn, WrappedKey), kms::Error> {
        Ok(self.put(key, data_key, context))
    }

    async fn unwrap_key(
        &self,
        _: &Principal,
        key: &KeyArn,
        wrapped: &WrappedKey,
        context: &EncryptionContext,
    ) -> Result<DataKey, kms::Error> {
        match self.wraps.lock().unwrap().get(&wrapped.0) {
            Some((arn, bound, dk)) if *arn == key.0 && bound == context => Ok(DataKey::new(*dk)),
            _ => Err(kms::Error::InvalidCiphertext),
        }
    }

    fn generation(&self) -> u64 {
        0
    }
}

fn keyring() -> Keyring {
    Keyring::new(Arc::new(Vault::default()), ServiceKey::new([1; 32]))
}

fn principal() -> Principal {
    Principal { user: UserId::new("alice"), root: false }
}

fn at(bucket: &str, key: &str) -> ObjectAt {
    ObjectAt { bucket: bucket.parse().unwrap(), key: key.parse().unwrap() }
}

fn pairs(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|&(k, v)| (k.to_owned(), v.to_owned())).collect()
}

fn kms_choice(key: &str, context: &[(&str, &str)]) -> SseChoice {
    SseChoice::Kms {
        key: Some(KeyRef(key.into())),
        context: EncryptionContext(pairs(context)),
        bucket_key: false,
        cipher: DataCipher::Aes256,
    }
}

fn customer(byte: u8) -> CustomerKey {
    CustomerKey::new([byte; 32], [byte; 16])
}

/// Every mode, with the customer key that opens it.
fn choices() -> [(SseChoice, Option<CustomerKey>); 7] {
    [
        (AES, None),
        (kms_choice("k1", &[("team", "blue"), ("ö", "")]), None),
        (
            SseChoice::Kms {
                key: None,
                context: EncryptionContext::default(),
                bucket_key: true,
                cipher: DataCipher::Aes256,
            },
            None,
        ),
        (SseChoice::Customer(customer(9)), Some(customer(9))),
        (SseChoice::None, None),
        (SM4, None),
        (
            SseChoice::Kms {
                key: None,
                context: EncryptionContext(pairs(&[("a", "b")])),
                bucket_key: true,
                cipher: DataCipher::Sm4,
            },
            None,
        ),
    ]
}

fn metadata() -> Metadata {
    Metadata {
        system: pairs(&[("content-type", "text/plain"), ("cache-control", "no-store")]),
        user: pairs(&[("a", "bc"), ("ab", "c")]),
        tags: BTreeMap::new(),
        access: BTreeMap::new(),
        envelope: BTreeMap::new(),
    }
}

fn run<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
}

#[test]
fn an_envelope_comes_back_from_metadata_and_opens_in_every_mode() {
    let (keys, at) = (keyring(), at("bucket", "key"));
    for (choice, customer) in choices() {
        let (envelope, dk) = run(keys.create(&principal(), &choice, &at, None)).unwrap();
        let mut metadata = metadata();
        keys.bind(&at, &mut metadata, &envelope).unwrap();
        let read = keys.verify(&at, &metadata).unwrap();
        assert_eq!(read, envelope);
        let unwrapped = run(keys.unwrap(&principal(), &read, &at, customer.as_ref())).unwrap();
        assert_eq!(unwrapped.expose(), dk.expose());
        let size: usize = metadata.envelope.iter().map(|(k, v)| 9 + k.len() + v.len()).sum();
        assert!(size <= ENVELOPE_BUDGET);
        let text = format!("{metadata:?}");
        assert!(!text.contains("blue"), "the context is not in the clear");
    }
}

#[test]
fn an_envelope_opens_at_its_own_place_only() {
    let (keys, here, there) = (keyring(), at("bucket", "key"), at("bucket", "other"));
    for (choice, customer) in choices() {
        let (envelope, _) = run(keys.create(&principal(), &choice, &here, None)).unwrap();
        let error = run(keys.unwrap(&principal(), &envelope, &there, customer.as_ref())).unwrap_err();
        match envelope.mode() {
            SseMode::Customer => assert!(matches!(error, Error::CustomerKeyWrong)),
            SseMode::Kms | SseMode::S3 | SseMode::None => {
                assert!(matches!(error, Error::Kms(kms::Error::InvalidCiphertext)))
            }
        }
    }
}

#[test]
fn customer_keys_are_required_right_and_applicable() {
    let (keys, at) = (keyring(), at("bucket", "key"));
    let (own, _) = run(keys.create(&principal(), &SseChoice::Customer(customer(9)), &at, None)).unwrap();
    let unwrap = |envelope: &Envelope, customer: Option<CustomerKey>| {
        run(keys.unwrap(&principal(), envelope, &at, customer.as_ref())).map(|_| ())
    };
    assert!(unwrap(&own, Some(customer(9))).is_ok());
    assert!(matches!(unwrap(&own, None), Err(Error::CustomerKeyRequired)));
    assert!(matches!(unwrap(&own, Some(customer(8))), Err(Error::CustomerKeyWrong)));
    for choice in [AES, SseChoice::None, kms_choice("k", &[])] {
        let (envelope, _) = run(keys.create(&principal(), &choice, &at, None)).unwrap();
        assert!(matches!(unwrap(&envelope, Some(customer(9))), Err(Error::CustomerKeyNotApplicable)));
    }
}

#[test]
fn nothing_stored_is_a_function_of_the_customer_key_alone() {
    let (keys, at) = (keyring(), at("bucket", "key"));
    let create = || run(keys.create(&principal(), &SseChoice::Customer(customer(9)), &at, None)).unwrap().0;
    let (Wrap::Customer { wrapped: one }, Wrap::Customer { wrapped: two }) = (create().wrap, create().wrap) else {
        panic!("not SSE-C");
    };
    assert_eq!(one.0.len(), 1 + 32 + 32 + 16);
    assert!(one.0[1..].iter().zip(&two.0[1..]).filter(|(a, b)| a == b).count() < 16);
}

#[test]
fn the_callers_context_may_not_set_the_arn() {
    let (keys, at) = (keyring(), at("bucket", "key"));
    let choice = kms_choice("k", &[("aws:s3:arn", "arn:aws:s3:::victim/key")]);
    assert!(matches!(run(keys.create(&principal(), &choice, &at, None)), Err(Error::ContextReserved("aws:s3:arn"))));
}

#[test]
fn a_data_key_that_is_not_the_objects_is_refused() {
    let (keys, at) = (keyring(), at("bucket", "key"));
    for choice in [AES, kms_choice("k", &[])] {
        let (mut one, dk) = run(keys.create(&principal(), &choice, &at, None)).unwrap();
        let (two, _) = run(keys.create(&principal(), &choice, &at, None)).unwrap();
        one.wrap = two.wrap.clone();
        assert!(matches!(run(keys.unwrap(&principal(), &one, &at, None)), Err(Error::Commitment)));
        assert!(matches!(run(keys.rewrap(&principal(), &dk, &two, &choice, &at, None)), Err(Error::Commitment)));
    }
}

#[test]
fn rewrapping_keeps_body_key_id_and_commitment_between_all_modes() {
    let (keys, from, to) = (keyring(), at("bucket", "key"), at("other-bucket", "copy"));
    for (source, _) in choices() {
        for (target, customer) in choices() {
            let (old, dk) = run(keys.create(&principal(), &source, &from, None)).unwrap();
            let new = run(keys.rewrap(&principal(), &dk, &old, &target, &to, None));
            let same = matches!(source, SseChoice::None) == matches!(target, SseChoice::None);
            if !same || source.cipher() != target.cipher() {
                assert!(matches!(new, Err(Error::WrongMode)), "the body would not be what the metadata says");
                continue;
            }
            let new = new.unwrap();
            assert_eq!((new.object, new.commitment), (old.object, old.commitment));
            let opened = run(keys.unwrap(&principal(), &new, &to, customer.as_ref())).unwrap();
            assert_eq!(opened.expose(), dk.expose());
        }
    }
}

#[test]
fn a_body_is_sealed_as_the_metadata_says_and_no_other_is_read() {
    let (keys, at) = (keyring(), at("bucket", "key"));
    for (choice, _) in choices() {
        let (envelope, _) = run(keys.create(&principal(), &choice, &at, None)).unwrap();
        let (plain, sm4) = (matches!(choice, SseChoice::None), choice.cipher() == DataCipher::Sm4);
        assert_eq!(envelope.check_body(Aead::None).is_ok(), plain);
        assert_eq!(envelope.check_body(Aead::Aes256Gcm).is_ok(), !plain && !sm4);
        assert_eq!(envelope.check_body(Aead::ChaCha20Poly1305).is_ok(), !plain && !sm4);
        assert_eq!(envelope.check_body(Aead::Sm4Gcm).is_ok(), sm4);
        assert!(envelope.check_body(envelope.body_aead()).is_ok());
    }
}

#[test]
fn an_envelope_beyond_its_budget_is_refused_before_the_body_comes() {
    let (keys, at) = (keyring(), at("bucket", "key"));
    let long = "x".repeat(700);
    let choice = kms_choice("k", &[("a", &long)]);
    assert!(matches!(run(keys.create(&principal(), &choice, &at, None)), Err(Error::TooLarge)));
    let vault = Vault { padding: 800, ..Vault::default() };
    let keys = Keyring::new(Arc::new(vault), ServiceKey::new([1; 32]));
    assert!(matches!(run(keys.create(&principal(), &kms_choice("k", &[]), &at, None)), Err(Error::TooLarge)));
}

#[test]
fn an_etag_that_a_copy_sets_fits_and_comes_back() {
    let (keys, at) = (keyring(), at("bucket", "key"));
    let (mut envelope, _) = run(keys.create(&principal(), &AES, &at, None)).unwrap();
    envelope.etag = Some("e".repeat(64));
    let mut metadata = metadata();
    keys.bind(&at, &mut metadata, &envelope).unwrap();
    assert_eq!(keys.verify(&at, &metadata).unwrap().etag, envelope.etag);
    envelope.etag = Some("not\nprintable".into());
    assert!(keys.bind(&at, &mut metadata, &envelope).is_err());
}

#[test]
fn responses_name_the_cmk_the_context_or_the_customer_keys_md5() {
    let (keys, at) = (keyring(), at("bucket", "key"));
    let status = |choice: &SseChoice, customer: Option<&CustomerKey>| {
        run(keys.create(&principal(), choice, &at, None)).unwrap().0.status(customer)
    };
    assert_eq!(status(&AES, None), SseStatus::S3 { cipher: DataCipher::Aes256 });
    let key = KeyArn("arn:aws:kms:local:0:key/k".into());
    let context = Some(EncryptionContext(pairs(&[("a", "b")])));
    assert_eq!(
        status(&kms_choice("k", &[("a", "b")]), None),
        SseStatus::Kms { key: key.clone(), context, bucket_key: false, cipher: DataCipher::Aes256 }
    );
    assert_eq!(
        status(&kms_choice("k", &[]), None),
        SseStatus::Kms { key, context: None, bucket_key: false, cipher: DataCipher::Aes256 }
    );
    let own = SseChoice::Customer(customer(9));
    assert_eq!(status(&own, Some(&customer(9))), SseStatus::Customer { md5: Some([9; 16]) });
    assert_eq!(status(&own, None), SseStatus::Customer { md5: None });
}

fn bound(keys: &Keyring, at: &ObjectAt, choice: &SseChoice) -> Metadata {
    let (envelope, _) = run(keys.create(&principal(), choice, at, None)).unwrap();
    let mut metadata = metadata();
    keys.bind(at, &mut metadata, &envelope).unwrap();
    metadata
}

#[test]
fn any_change_to_metadata_is_found() {
    let (keys, at) = (keyring(), at("bucket", "key"));
    let good = bound(&keys, &at, &kms_choice("k", &[("a", "b")]));
    let refused = |what: &str, edit: &dyn Fn(&mut Metadata)| {
        let mut metadata = good.clone();
        edit(&mut metadata);
        assert!(keys.verify(&at, &metadata).is_err(), "{what}");
    };
    keys.verify(&at, &good).unwrap();
    for name in good.envelope.keys() {
        refused(&format!("{name} removed"), &|m| drop(m.envelope.remove(name)));
        refused(&format!("{name} altered"), &|m| m.envelope.get_mut(name).unwrap().insert(0, 'A'));
        refused(&format!("{name} emptied"), &|m| m.envelope.get_mut(name).unwrap().clear());
    }
    refused("a field added", &|m| drop(m.envelope.insert("x".into(), "y".into())));
    refused("content type altered", &|m| drop(m.system.insert("content-type".into(), "text/html".into())));
    refused("header removed", &|m| drop(m.system.remove("cache-control")));
    refused("user metadata added", &|m| drop(m.user.insert("z".into(), String::new())));
    refused("a header made user metadata", &|m| {
        let value = m.system.remove("cache-control").unwrap();
        m.user.insert("cache-control".into(), value);
    });
    refused("texts joined elsewhere", &|m| m.user = pairs(&[("ab", "c"), ("abc", "")]));
    refused("all stripped", &|m| *m = Metadata::default());
    refused("the envelope stripped", &|m| m.envelope.clear());
}

#[test]
fn metadata_of_another_object_bucket_or_deployment_is_refused() {
    let (keys, here) = (keyring(), at("bucket", "key"));
    let good = bound(&keys, &here, &AES);
    for there in [at("bucket", "kez"), at("bucketk", "ey"), at("bucke2", "key")] {
        assert!(matches!(keys.verify(&there, &good), Err(Error::MetadataMac)));
    }
    let other = Keyring::new(Arc::new(Vault::default()), ServiceKey::new([2; 32]));
    assert!(matches!(other.verify(&here, &good), Err(Error::MetadataMac)));
}

#[test]
fn an_unknown_version_is_said_to_be_one() {
    let (keys, at) = (keyring(), at("bucket", "key"));
    let mut metadata = bound(&keys, &at, &AES);
    metadata.envelope.insert("v".into(), "2".into());
    assert!(matches!(keys.verify(&at, &metadata), Err(Error::Unsupported(_))));
}

#[test]
fn authentic_fields_that_contradict_each_other_are_refused() {
    let (keys, at) = (keyring(), at("bucket", "key"));
    let reseal = |edit: &dyn Fn(&mut BTreeMap<String, String>)| {
        let mut metadata = bound(&keys, &at, &AES);
        edit(&mut metadata.envelope);
        let mac = STANDARD.encode(keys.metadata_mac(&at, &metadata).as_ref());
        metadata.envelope.insert(MAC.into(), mac);
        keys.verify(&at, &metadata)
    };
    assert!(reseal(&|_| ()).is_ok());
    assert!(matches!(reseal(&|f| drop(f.insert("mode".into(), "aws:kms".into()))), Err(Error::Malformed(_))));
    assert!(matches!(reseal(&|f| drop(f.insert("mode".into(), "None".into()))), Err(Error::Unsupported(_))));
    assert!(matches!(reseal(&|f| drop(f.insert("key".into(), "arn".into()))), Err(Error::Malformed(_))));
    assert!(matches!(reseal(&|f| drop(f.insert("later".into(), "1".into()))), Err(Error::Unsupported(_))));
    assert!(matches!(reseal(&|f| drop(f.insert("data".into(), "AES256".into()))), Err(Error::Unsupported(_))));
    assert!(matches!(reseal(&|f| drop(f.insert("data".into(), "SM4".into()))), Ok(e) if e.cipher == DataCipher::Sm4));
    for mode in ["SSE-C", "none"] {
        let edited = reseal(&|f| {
            f.insert("data".into(), "SM4".into());
            f.insert("mode".into(), mode.into());
        });
        assert!(matches!(edited, Err(Error::Malformed(_))), "{mode}");
    }
    assert!(matches!(reseal(&|f| drop(f.remove("id"))), Err(Error::Malformed(_))));
}

proptest! {
    #[test]
    fn any_context_comes_back_or_is_too_large(
        context in prop::collection::btree_map(".{0,20}", ".{0,40}", 0..6),
    ) {
        let (keys, at) = (keyring(), at("bucket", "key"));
        let choice = SseChoice::Kms { key: None, context: EncryptionContext(context), bucket_key: true, cipher: DataCipher::Aes256 };
        match run(keys.create(&principal(), &choice, &at, None)) {
            Err(error) => prop_assert!(matches!(error, Error::TooLarge)),
            Ok((envelope, _)) => {
                let mut metadata = metadata();
                keys.bind(&at, &mut metadata, &envelope).unwrap();
                prop_assert_eq!(keys.verify(&at, &metadata).unwrap(), envelope);
            }
        }
    }
}

#[derive(Serialize, Deserialize)]
struct Vectors {
    about: String,
    service_key: String,
    objects: BTreeMap<String, Object>,
    refused: Vec<Refused>,
}

#[derive(Serialize, Deserialize, Clone)]
struct Object {
    bucket: String,
    key: String,
    metadata: Metadata,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    customer_key: Option<String>,
    /// What the CMK makes of the wrapped bucket key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    bucket_key: Option<String>,
    data_key: String,
}

/// One edit of an object: a bucket or key that it is moved to, or a text set (removed, where there is none).
#[derive(Serialize, Deserialize)]
struct Refused {
    name: String,
    object: String,
    edit: Edit,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Edit {
    Bucket(String),
    Key(String),
    System(String, Option<String>),
    User(String, Option<String>),
    Envelope(String, Option<String>),
}

fn path() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("fixtures/envelope/metadata.json")
}

#[test]
fn the_checked_in_metadata_verifies_and_its_edits_do_not() {
    let vectors: Vectors = serde_json::from_slice(&fs::read(path()).unwrap()).unwrap();
    let service = <[u8; 32]>::try_from(hex::decode(&vectors.service_key).unwrap()).unwrap();
    let keys = Keyring::new(Arc::new(Vault::default()), ServiceKey::new(service));
    for (name, object) in &vectors.objects {
        let at = at(&object.bucket, &object.key);
        let envelope = keys.verify(&at, &object.metadata).unwrap();
        let own = object
            .customer_key
            .as_ref()
            .map(|key| CustomerKey::new(hex::decode(key).unwrap().try_into().unwrap(), [0; 16]));
        let dk = match (&object.bucket_key, &envelope.wrap) {
            (Some(key), Wrap::Kms { wrapped, epoch: Some(epoch), .. }) => {
                let key = BucketKey::new(DataKey::new(hex::decode(key).unwrap().try_into().unwrap()));
                key.unwrap_key(wrapped, &WrapPlace { epoch: epoch.id, at: &at, object: envelope.object }).unwrap()
            }
            _ => run(keys.unwrap(&principal(), &envelope, &at, own.as_ref())).unwrap(),
        };
        envelope.commitment.check(&dk).unwrap();
        assert_eq!(hex::encode(dk.expose()), object.data_key, "{name}");
    }
    assert!(vectors.refused.len() >= 10);
    for Refused { name, object, edit } in &vectors.refused {
        let mut object = vectors.objects[object].clone();
        let (map, field, value) = match edit {
            Edit::Bucket(bucket) => (None, &mut object.bucket, Some(bucket)),
            Edit::Key(key) => (None, &mut object.key, Some(key)),
            Edit::System(field, value) => (Some(&mut object.metadata.system), &mut field.clone(), value.as_ref()),
            Edit::User(field, value) => (Some(&mut object.metadata.user), &mut field.clone(), value.as_ref()),
            Edit::Envelope(field, value) => (Some(&mut object.metadata.envelope), &mut field.clone(), value.as_ref()),
        };
        let before = match (map, value) {
            (None, Some(value)) => Some(std::mem::replace(field, value.clone())),
            (Some(map), Some(value)) => map.insert(field.clone(), value.clone()),
            (Some(map), None) => map.remove(field),
            (None, None) => None,
        };
        assert_ne!(before.as_ref(), value, "{name}: the edit changes nothing");
        assert!(keys.verify(&at(&object.bucket, &object.key), &object.metadata).is_err(), "{name}");
    }
}

fn refused_of(object: &'static str) -> impl Fn((&str, Edit)) -> Refused {
    move |(name, edit)| Refused { name: name.into(), object: object.into(), edit }
}

/// An object whose data key a bucket key wraps, put together by hand.
fn by_bucket_key() -> Object {
    let (at, object, epoch) =
        (at("bucket", "path/to/ключ"), ObjectId::from_bytes([3; 16]), EpochId::from_bytes([5; 16]));
    let (bucket_key, data_key) = (BucketKey::new(DataKey::new([0x77; 32])), DataKey::new([0x99; 32]));
    let envelope = Envelope {
        wrap: Wrap::Kms {
            key: KeyArn("arn:aws:kms:local:0:key/default".to_owned()),
            context: EncryptionContext::default(),
            wrapped: bucket_key.wrap(&data_key, &WrapPlace { epoch, at: &at, object }).unwrap(),
            bucket_key: true,
            epoch: Some(EpochCopy { id: epoch, wrapped: WrappedKey(vec![0x42; 85]) }),
        },
        cipher: DataCipher::Aes256,
        commitment: Commitment::of(&data_key),
        object,
        version: None,
        etag: None,
    };
    let mut metadata = metadata();
    Keyring::new(Arc::new(Vault::default()), ServiceKey::new([0x22; 32])).bind(&at, &mut metadata, &envelope).unwrap();
    Object {
        bucket: at.bucket.to_string(),
        key: at.key.to_string(),
        metadata,
        customer_key: None,
        bucket_key: Some("77".repeat(32)),
        data_key: "99".repeat(32),
    }
}

#[test]
#[ignore = "rewrites the checked-in vectors"]
fn regenerate_metadata_vectors() {
    let keys = Keyring::new(Arc::new(Vault::default()), ServiceKey::new([0x22; 32]));
    let object = |choice: SseChoice, customer_key: Option<String>| {
        let at = at("bucket", "path/to/ключ");
        let (envelope, dk) = run(keys.create(&principal(), &choice, &at, None)).unwrap();
        let mut metadata = metadata();
        keys.bind(&at, &mut metadata, &envelope).unwrap();
        let data_key = hex::encode(dk.expose());
        let (bucket, key) = (at.bucket.to_string(), at.key.to_string());
        Object { bucket, key, metadata, customer_key, bucket_key: None, data_key }
    };
    let own = SseChoice::Customer(customer(9));
    // What is there stays: it was made by earlier builds.
    let mut objects = serde_json::from_slice::<Vectors>(&fs::read(path()).unwrap()).unwrap().objects;
    objects.entry("SSE-S3".to_owned()).or_insert_with(|| object(AES, None));
    objects.entry("SSE-S3 with SM4".to_owned()).or_insert_with(|| object(SM4, None));
    objects.entry("SSE-C".to_owned()).or_insert_with(|| object(own, Some("09".repeat(32))));
    objects.entry("aws:kms by a bucket key".to_owned()).or_insert_with(by_bucket_key);
    let text = |text: &str| Some(text.to_owned());
    let field = |object: &str, name: &str| Some(objects[object].metadata.envelope[name].clone());
    let edits = [
        ("another bucket", Edit::Bucket("bucket2".into())),
        ("another key", Edit::Key("path/to".into())),
        ("content type altered", Edit::System("content-type".into(), text("text/html"))),
        ("cache control removed", Edit::System("cache-control".into(), None)),
        ("user metadata altered", Edit::User("a".into(), text("bd"))),
        ("user metadata added", Edit::User("new".into(), text(""))),
        ("mode altered", Edit::Envelope("mode".into(), text("SSE-C"))),
        ("mode removed", Edit::Envelope("mode".into(), None)),
        ("wrapped key of another object", Edit::Envelope("dk".into(), field("SSE-C", "dk"))),
        ("commitment of another object", Edit::Envelope("com".into(), field("SSE-C", "com"))),
        ("object id of another object", Edit::Envelope("id".into(), field("SSE-C", "id"))),
        ("MAC of another object", Edit::Envelope("mac".into(), field("SSE-C", "mac"))),
        ("MAC removed", Edit::Envelope("mac".into(), None)),
        ("version removed", Edit::Envelope("v".into(), None)),
        ("unknown version", Edit::Envelope("v".into(), text("2"))),
        ("ETag added", Edit::Envelope("etag".into(), text("d41d8cd98f00b204e9800998ecf8427e"))),
        ("cipher added", Edit::Envelope("data".into(), text("SM4"))),
        ("unknown field added", Edit::Envelope("plain".into(), text("1"))),
    ];
    let by_bucket_key = [
        ("bucket key: epoch removed", Edit::Envelope("ep".into(), None)),
        ("bucket key: flag removed", Edit::Envelope("bk".into(), None)),
        ("bucket key: another CMK", Edit::Envelope("key".into(), text("arn:aws:kms:local:0:key/other"))),
        ("bucket key: another epoch", Edit::Envelope("ep".into(), text(&STANDARD.encode([7; 40])))),
        ("bucket key: another bucket", Edit::Bucket("bucket2".into())),
    ];
    let of_sm4 = [
        ("SM4: cipher removed", Edit::Envelope("data".into(), None)),
        ("SM4: cipher altered", Edit::Envelope("data".into(), text("AES256"))),
    ];
    let refused =
        edits.into_iter().map(refused_of("SSE-S3")).chain(of_sm4.into_iter().map(refused_of("SSE-S3 with SM4")));
    let refused = refused.chain(by_bucket_key.into_iter().map(refused_of("aws:kms by a bucket key")));
    let about = "Metadata of objects in sealgate's envelope format, version 1 (src/sse/FORMAT.md): each object verifies \
        under the service key and unwraps to its data key; with each edit it must be refused.";
    let vectors = Vectors {
        about: about.into(),
        service_key: "22".repeat(32),
        objects: objects.clone(),
        refused: refused.collect(),
    };
    fs::write(path(), serde_json::to_string_pretty(&vectors).unwrap() + "\n").unwrap();
}
