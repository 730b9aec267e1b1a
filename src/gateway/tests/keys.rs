//! Which key, how often it is used, and what a copy costs.

use super::support::*;
use crate::gateway::{CopyRequest, CopySource, Error, GetRequest};
use crate::kms::{self, KeyRef};
use crate::sse::{BucketDefault, DataCipher, DefaultEncryption, SseRequest, SseStatus};

const AES: SseStatus = SseStatus::S3 { cipher: DataCipher::Aes256 };

fn key_of(status: &SseStatus) -> Option<&str> {
    match status {
        SseStatus::Kms { key, .. } => Some(&key.0),
        _ => None,
    }
}

#[tokio::test]
async fn the_request_wins_over_the_bucket_and_the_bucket_over_the_gateway() {
    let mut house = House::new().await;
    let (asked, default) = (house.cmk().await, house.cmk().await);
    let (object, bucket) = (at("one", "object"), "one".parse().unwrap());
    assert_eq!(house.put(&object, b"x").await.sse, AES);

    let rule = BucketDefault::Kms { key: Some(default.clone()), bucket_key: false, cipher: DataCipher::Aes256 };
    house.gateway.put_bucket_encryption(&house.caller, &bucket, rule).await.unwrap();
    assert_eq!(key_of(&house.put(&object, b"x").await.sse), Some(default.as_str()));
    assert_eq!(key_of(&house.put_under(&object, b"x", under(&asked)).await.sse), Some(asked.as_str()));
    assert_eq!(house.put_under(&object, b"x", Some(SseRequest::S3 { cipher: DataCipher::Aes256 })).await.sse, AES);
    let customers = house.put_under(&object, b"x", Some(SseRequest::Customer(customer(3)))).await.sse;
    assert!(matches!(customers, SseStatus::Customer { .. }), "{customers:?}");

    house.gateway.delete_bucket_encryption(&house.caller, &bucket).await.unwrap();
    house.gateway = house.gateway.defaulting_to(DefaultEncryption::None);
    assert_eq!(house.put(&object, b"x").await.sse, SseStatus::None);
    assert_eq!(house.put_under(&object, b"x", Some(SseRequest::S3 { cipher: DataCipher::Aes256 })).await.sse, AES);
}

#[tokio::test]
async fn a_copy_that_keeps_the_body_writes_none_of_it() {
    let house = House::new().await;
    let (one, two) = (house.cmk().await, house.cmk().await);
    let plain = pattern(3 * SEGMENT);
    let (s3, kms) = (at("one", "s3"), at("one", "kms"));
    house.put(&s3, &plain).await;
    house.put_under(&kms, &plain, under(&one)).await;
    for (source, to, sse) in [(&s3, "s3-to-s3", None), (&s3, "s3-to-kms", under(&two)), (&kms, "re-keyed", under(&two))]
    {
        let target = at("two", to);
        let before = house.store.written();
        house.gateway.copy_object(&house.caller, CopyRequest { sse, ..copy(source, &target) }).await.unwrap();
        assert_eq!(house.store.written(), before, "{to}");
        assert_eq!(house.bytes(&target).await, plain, "{to}");
    }
    // Back to SSE-S3 the ETag must be an MD5 that the source has not: this one is sealed anew.
    let (target, before) = (at("two", "kms-to-s3"), house.store.written());
    let sse = Some(SseRequest::S3 { cipher: DataCipher::Aes256 });
    house.gateway.copy_object(&house.caller, CopyRequest { sse, ..copy(&kms, &target) }).await.unwrap();
    assert!(house.store.written() - before > plain.len() as u64);
    assert_eq!(house.bytes(&target).await, plain);
}

#[tokio::test]
async fn head_and_list_call_no_kms_and_work_while_the_cmk_is_disabled() {
    let house = House::new().await;
    let cmk = house.cmk().await;
    let object = at("one", "object");
    house.put_under(&object, b"hello", under(&cmk)).await;
    let before = house.kms.calls();
    let principal = house.caller.principal().unwrap();
    house.keystore.disable_key(&principal, &KeyRef(cmk.clone())).await.unwrap();

    assert_eq!(house.head(&object).await.unwrap().size, 5);
    assert_eq!(house.list("one").await.unwrap().entries.len(), 1);
    assert_eq!(house.kms.calls(), before, "HEAD and LIST called the KMS");
    let read = house.read(get(&object)).await;
    assert!(matches!(read, Read::Refused(Error::Kms(kms::Error::Disabled(_)))), "{read:?}");
    let put =
        house.gateway.put_object(&house.caller, crate::gateway::PutRequest { sse: under(&cmk), ..put(&object, b"x") });
    assert!(matches!(put.await, Err(Error::Kms(kms::Error::Disabled(_)))));

    house.keystore.enable_key(&principal, &KeyRef(cmk)).await.unwrap();
    assert_eq!(house.bytes(&object).await, b"hello");
}

#[tokio::test]
async fn a_customer_key_opens_its_own_object_only() {
    let house = House::new().await;
    let (sealed, plain) = (at("one", "customers"), at("one", "ours"));
    house.put_under(&sealed, b"hello", Some(SseRequest::Customer(customer(1)))).await;
    house.put(&plain, b"hello").await;
    let with = |object, key: Option<u8>| GetRequest { customer_key: key.map(customer), ..get(object) };

    assert!(matches!(house.read(with(&sealed, Some(1))).await, Read::Whole(bytes) if bytes == b"hello"));
    assert!(matches!(house.read(with(&sealed, Some(2))).await, Read::Refused(Error::CustomerKeyWrong)));
    assert!(matches!(house.read(with(&sealed, None)).await, Read::Refused(Error::CustomerKeyRequired)));
    assert!(matches!(house.read(with(&plain, Some(1))).await, Read::Refused(Error::CustomerKeyNotApplicable)));
    let head = house.gateway.head_object(&house.caller, with(&sealed, Some(2))).await;
    assert!(matches!(head, Err(Error::CustomerKeyWrong)), "{head:?}");

    let target = at("two", "copied");
    let source = CopySource { customer_key: Some(customer(2)), ..copy(&sealed, &target).source };
    let copied = house.gateway.copy_object(&house.caller, CopyRequest { source, ..copy(&sealed, &target) }).await;
    assert!(matches!(copied, Err(Error::CustomerKeyWrong)), "{copied:?}");
    assert!(matches!(house.head(&target).await, Err(Error::NoSuchKey)));
}
