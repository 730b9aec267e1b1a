//! The data cipher, and OSS's CRC-64, through every operation.

use super::support::*;
use crate::gateway::{
    CompleteRequest, CompletedParts, Conditions, CopyRequest, CreateUploadRequest, Error, EtagMatch, ListPartsRequest,
    OSS_MIN_PART, ObjectHeaders, PartRequest,
};
use crate::kms::KeyRef;
use crate::sse::{BucketDefault, DataCipher, SseRequest, SseStatus};
use crate::types::ObjectAt;

/// Offsets of the AEAD in a part's header.
const AEAD: usize = 5;
const SM4: u8 = 2;
const AES: u8 = 1;

fn s3(cipher: DataCipher) -> Option<SseRequest> {
    Some(SseRequest::S3 { cipher })
}

fn kms(key: &str, cipher: DataCipher) -> Option<SseRequest> {
    Some(SseRequest::Kms { key: Some(KeyRef(key.to_owned())), context: None, bucket_key: false, cipher })
}

fn cipher_of(status: &SseStatus) -> DataCipher {
    match status {
        SseStatus::S3 { cipher } | SseStatus::Kms { cipher, .. } => *cipher,
        SseStatus::Customer { .. } | SseStatus::None => panic!("{status:?}"),
    }
}

#[tokio::test]
async fn sm4_seals_what_asks_for_it_by_request_or_by_bucket() {
    let house = House::new().await;
    let cmk = house.cmk().await;
    let plain = pattern(2 * SEGMENT + 9);
    for (name, sse) in [("s3", s3(DataCipher::Sm4)), ("kms", kms(&cmk, DataCipher::Sm4))] {
        let object = at("one", name);
        let written = house.put_under(&object, &plain, sse).await;
        assert_eq!(cipher_of(&written.sse), DataCipher::Sm4);
        let kept = house.store.kept(&object).await;
        assert_eq!(kept.body[AEAD], SM4);
        assert_eq!(kept.object.metadata.envelope["data"], "SM4");
        assert!(!kept.body.windows(16).any(|window| window == &plain[..16]));
        assert_eq!(house.bytes(&object).await, plain);
        assert_eq!(cipher_of(&house.head(&object).await.unwrap().sse), DataCipher::Sm4);
        assert!(house.range_is_true(&object, &plain, SEGMENT - 1, SEGMENT + 1).await);
        house.store.edit_objects(|_, kept| kept.body[HEADER + SEALED_SEGMENT + 3] ^= 1);
        house.assert_whole_read_fails(&object, &plain, name).await;
        house.store.behave();
    }
    let bucket = "one".parse().unwrap();
    let rules = [
        BucketDefault::S3 { cipher: DataCipher::Sm4 },
        BucketDefault::Kms { key: Some(cmk), bucket_key: false, cipher: DataCipher::Sm4 },
    ];
    for rule in rules {
        house.gateway.put_bucket_encryption(&house.caller, &bucket, rule.clone()).await.unwrap();
        let told = house.gateway.bucket_encryption_rule(&house.caller, &bucket).await.unwrap();
        assert_eq!(told, Some(rule.into()));
        let object = at("one", "default");
        assert_eq!(cipher_of(&house.put(&object, &plain).await.sse), DataCipher::Sm4);
        assert_eq!(house.store.kept(&object).await.body[AEAD], SM4);
        // The request's header replaces it as a unit.
        assert_eq!(cipher_of(&house.put_under(&object, &plain, s3(DataCipher::Aes256)).await.sse), DataCipher::Aes256);
        assert_eq!(house.store.kept(&object).await.body[AEAD], AES);
    }
}

#[tokio::test]
async fn a_bucket_without_a_rule_of_its_own_says_so_beside_the_default() {
    let house = House::new().await;
    let bucket = "one".parse().unwrap();
    assert_eq!(house.gateway.bucket_encryption_rule(&house.caller, &bucket).await.unwrap(), None);
    let default = BucketDefault::S3 { cipher: DataCipher::Aes256 };
    assert_eq!(house.gateway.bucket_encryption(&house.caller, &bucket).await.unwrap(), Some(default.clone().into()));
    house.gateway.put_bucket_encryption(&house.caller, &bucket, default.clone()).await.unwrap();
    let own = house.gateway.bucket_encryption_rule(&house.caller, &bucket).await.unwrap();
    assert_eq!(own, Some(default.into()));
}

#[tokio::test]
async fn a_body_under_another_cipher_than_the_metadata_says_is_refused() {
    let house = House::new().await;
    for (name, sse) in [("sm4", s3(DataCipher::Sm4)), ("aes", s3(DataCipher::Aes256))] {
        let object = at("one", name);
        house.put_under(&object, b"hello", sse).await;
        house.store.edit_objects(|_, kept| match kept.object.metadata.envelope.remove("data") {
            Some(_) => {}
            None => drop(kept.object.metadata.envelope.insert("data".into(), "SM4".into())),
        });
        house.assert_all_refuse(&object, name).await;
        house.store.behave();
    }
    // The store's record of one write beside the metadata of another, as far as they are authentic each.
    let (sm4, aes) = (at("one", "sm4"), at("one", "aes"));
    let donor = std::sync::Arc::new(house.store.kept(&aes).await);
    house.store.edit_objects(move |at, kept| {
        if *at == sm4 {
            kept.object.metadata.envelope = donor.object.metadata.envelope.clone();
        }
    });
    house.assert_all_refuse(&at("one", "sm4"), "another object's envelope").await;
}

#[tokio::test]
async fn a_copy_to_another_cipher_is_sealed_anew_and_one_that_keeps_it_is_not() {
    let house = House::new().await;
    let (one, two) = (house.cmk().await, house.cmk().await);
    let plain = pattern(2 * SEGMENT);
    let source = at("one", "source");
    house.put_under(&source, &plain, s3(DataCipher::Sm4)).await;
    let copied = async |to: &ObjectAt, sse| {
        let before = house.store.written();
        let written = house.gateway.copy_object(&house.caller, CopyRequest { sse, ..copy(&source, to) }).await.unwrap();
        assert_eq!(written.crc64, crc64(&plain));
        assert_eq!(house.head(to).await.unwrap().crc64, crc64(&plain));
        assert_eq!(house.bytes(to).await, plain);
        (house.store.written() - before, house.store.kept(to).await.body[AEAD], cipher_of(&written.sse))
    };
    for (name, sse) in [("s3", s3(DataCipher::Sm4)), ("kms", kms(&one, DataCipher::Sm4))] {
        assert_eq!(copied(&at("two", name), sse).await, (0, SM4, DataCipher::Sm4), "{name}");
    }
    for (name, sse) in [("aes", s3(DataCipher::Aes256)), ("kms-aes", kms(&two, DataCipher::Aes256)), ("default", None)]
    {
        let (written, aead, cipher) = copied(&at("two", name), sse).await;
        assert!(written > plain.len() as u64, "{name}");
        assert_eq!((aead, cipher), (AES, DataCipher::Aes256), "{name}");
    }
}

/// A part as OSS's clients send them.
async fn send(house: &House, at: &ObjectAt, upload: &crate::types::UploadId, number: u32, bytes: &[u8]) -> Option<u64> {
    let request = PartRequest {
        at: at.clone(),
        upload: upload.clone(),
        number: number.try_into().unwrap(),
        customer_key: None,
        digests: crate::gateway::DeclaredDigests::default(),
        body: body(bytes),
    };
    house.gateway.put_part(&house.caller, request).await.unwrap().crc64
}

fn complete(at: &ObjectAt, upload: &crate::types::UploadId, parts: CompletedParts) -> CompleteRequest {
    CompleteRequest {
        at: at.clone(),
        upload: upload.clone(),
        parts,
        min_part: OSS_MIN_PART,
        customer_key: None,
        conditions: Conditions::default(),
        checksum: None,
        size: None,
    }
}

#[tokio::test]
async fn parts_of_an_upload_have_its_cipher_and_their_crcs_combine() {
    let house = House::new().await;
    let cmk = house.cmk().await;
    let unit = OSS_MIN_PART as usize;
    for (name, sse) in [("s3", s3(DataCipher::Sm4)), ("kms", kms(&cmk, DataCipher::Sm4)), ("aes", None)] {
        let object = at("one", name);
        let upload = house.upload(&object, sse).await;
        let (first, second) = (pattern(unit), pattern(unit + 77));
        send(&house, &object, &upload, 9, b"to be replaced").await;
        assert_eq!(send(&house, &object, &upload, 9, &second).await, crc64(&second));
        assert_eq!(send(&house, &object, &upload, 3, &first).await, crc64(&first));
        send(&house, &object, &upload, 12, b"").await;
        let request = ListPartsRequest { at: object.clone(), upload: upload.clone(), after: None, limit: 10 };
        let listed = house.gateway.list_parts(&house.caller, request).await.unwrap().parts;
        assert_eq!(listed.iter().map(|part| part.crc64).collect::<Vec<_>>(), [crc64(&first), crc64(&second), Some(0)]);
        // All that are there, each in its last attempt.
        let request = complete(&object, &upload, CompletedParts::All);
        let written = house.gateway.complete_upload(&house.caller, request).await.unwrap();
        let whole = [first, second].concat();
        assert_eq!((written.crc64, written.size), (crc64(&whole), whole.len() as u64), "{name}");
        assert!(written.etag.ends_with("-3"));
        assert_eq!(house.head(&object).await.unwrap().crc64, crc64(&whole), "{name}");
        assert_eq!(house.bytes(&object).await, whole);
        assert_eq!(house.store.kept(&object).await.body[AEAD], if name == "aes" { AES } else { SM4 });
    }
}

#[tokio::test]
async fn the_least_part_is_what_the_request_says_and_no_part_is_no_object() {
    let house = House::new().await;
    let object = at("one", "parts");
    let upload = house.upload(&object, None).await;
    let none = house.gateway.complete_upload(&house.caller, complete(&object, &upload, CompletedParts::All)).await;
    assert!(matches!(none, Err(Error::InvalidArgument(_))), "{none:?}");
    send(&house, &object, &upload, 1, &pattern(OSS_MIN_PART as usize - 1)).await;
    send(&house, &object, &upload, 2, b"end").await;
    let small = house.gateway.complete_upload(&house.caller, complete(&object, &upload, CompletedParts::All)).await;
    assert!(matches!(small, Err(Error::PartTooSmall { minimum: OSS_MIN_PART, .. })), "{small:?}");
    send(&house, &object, &upload, 1, &pattern(OSS_MIN_PART as usize)).await;
    house.gateway.complete_upload(&house.caller, complete(&object, &upload, CompletedParts::All)).await.unwrap();
}

#[tokio::test]
async fn an_upload_can_be_begun_only_where_there_is_no_object_yet() {
    let house = House::new().await;
    let object = at("one", "object");
    let create = || CreateUploadRequest {
        at: object.clone(),
        headers: ObjectHeaders::default(),
        sse: None,
        checksum: None,
        conditions: Conditions { if_none_match: Some(EtagMatch::Any), ..Conditions::default() },
    };
    house.gateway.create_upload(&house.caller, create()).await.unwrap();
    house.put(&object, b"x").await;
    let refused = house.gateway.create_upload(&house.caller, create()).await;
    assert!(matches!(refused, Err(Error::PreconditionFailed(_))), "{refused:?}");
}

/// OSS's clients compare it on every answer, HEAD's too, whatever the mode and while a CMK is disabled.
#[tokio::test]
async fn every_mode_keeps_the_crc_and_shows_it_without_a_key() {
    let house = House::new().await;
    let cmk = house.cmk().await;
    let plain = pattern(SEGMENT + 5);
    assert_eq!(crc64(b"hello world"), Some(5_981_764_153_023_615_706), "the variant of OSS");
    let modes = [
        ("s3", None, true),
        ("sm4", s3(DataCipher::Sm4), true),
        ("kms", under(&cmk), false),
        ("customer", Some(SseRequest::Customer(customer(1))), false),
    ];
    for (name, sse, md5) in modes {
        let object = at("one", name);
        let written = house.put_under(&object, &plain, sse).await;
        assert_eq!(written.crc64, crc64(&plain), "{name}");
        let calls = house.kms.calls();
        let customer_key = (name == "customer").then(|| customer(1));
        let request = crate::gateway::GetRequest { customer_key, ..get(&object) };
        let head = house.gateway.head_object(&house.caller, request).await.unwrap();
        assert_eq!((head.crc64, head.md5.is_some()), (crc64(&plain), md5), "{name}");
        if let Some(md5) = head.md5 {
            assert_eq!(hex::encode(md5), head.etag);
        }
        assert_eq!(house.kms.calls(), calls, "{name}");
        // A store that has no key sees none of it.
        let kept = house.store.kept(&object).await;
        let bytes = crc64(&plain).unwrap().to_be_bytes();
        let shown = |bytes: &[u8], within: &[u8]| within.windows(bytes.len()).any(|window| window == bytes);
        assert!(!shown(&bytes, &kept.body) && !shown(&bytes, &kept.object.summary), "{name}");
    }
}

#[tokio::test]
async fn a_bucket_is_counted_with_its_versions_markers_and_uploads() {
    let house = House::new().await;
    let name = "one".parse().unwrap();
    let stat = async || {
        let stat = house.gateway.bucket_stat(&house.caller, &name).await.unwrap();
        (stat.storage, stat.objects, stat.markers, stat.uploads)
    };
    assert_eq!(stat().await, (0, 0, 0, 0));
    // More than a page of rows.
    for nth in 0..1005 {
        house.put(&at("one", &format!("key-{nth}")), b"12345").await;
    }
    assert_eq!(stat().await, (5025, 1005, 0, 0));
    house.gateway.put_bucket_versioning(&house.caller, &name, crate::store::Versioning::Enabled).await.unwrap();
    house.put(&at("one", "key-0"), b"123").await;
    house
        .gateway
        .delete_object(
            &house.caller,
            &at("one", "key-1"),
            None,
            &Conditions::default(),
            crate::gateway::Governance::Heeded,
        )
        .await
        .unwrap();
    house.upload(&at("one", "up"), None).await;
    house.append(&at("one", "log"), 0, b"1234567").await.unwrap();
    assert_eq!(stat().await, (5035, 1007, 1, 1));
    let stranger = crate::identity::Requester::from(crate::identity::Caller::User(
        crate::identity::Authenticated::for_test("mallory", false),
    ));
    let denied = house.gateway.bucket_stat(&stranger, &name).await;
    assert!(matches!(denied, Err(Error::AccessDenied(_))), "{denied:?}");
}
