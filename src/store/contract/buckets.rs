//! Promises about buckets.

use bytes::Bytes;

use super::{Store, ahead, at, bucket, metadata, put, put_plain, with_bucket};
use crate::store::{Commit, Error, ListQuery, Precondition, UploadAt, UploadQuery};
use crate::types::{BucketName, UploadId, UserId};

pub(crate) async fn a_bucket_is_as_it_was_made(store: Store) {
    for name in ["bbb", "aaa", "ccc"] {
        store.create_bucket(bucket(name)).await.unwrap();
    }
    assert_eq!(store.bucket(&"bbb".parse().unwrap()).await.unwrap(), bucket("bbb"));
    assert_eq!(store.buckets().await.unwrap(), [bucket("aaa"), bucket("bbb"), bucket("ccc")]);
    store.delete_bucket(&"bbb".parse().unwrap()).await.unwrap();
    assert_eq!(store.buckets().await.unwrap(), [bucket("aaa"), bucket("ccc")]);
}

pub(crate) async fn a_second_creation_names_the_owner(store: Store) {
    store.create_bucket(bucket("aaa")).await.unwrap();
    let other = crate::store::Bucket { owner: UserId::new("mallory"), ..bucket("aaa") };
    let refused = store.create_bucket(other).await;
    assert!(matches!(refused, Err(Error::BucketExists { owner }) if owner == UserId::new("alice")));
    assert_eq!(store.bucket(&"aaa".parse().unwrap()).await.unwrap(), bucket("aaa"));
}

pub(crate) async fn configurations_come_and_go(store: Store) {
    let name = with_bucket(&store).await;
    store.set_bucket_config(&name, "encryption", Some(b"sm4".to_vec())).await.unwrap();
    store.set_bucket_config(&name, "policy", Some(b"{}".to_vec())).await.unwrap();
    store.set_bucket_config(&name, "encryption", Some(b"kms".to_vec())).await.unwrap();
    assert_eq!(store.bucket(&name).await.unwrap().configs["encryption"], b"kms");
    store.set_bucket_config(&name, "encryption", None).await.unwrap();
    store.set_bucket_config(&name, "encryption", None).await.unwrap();
    assert_eq!(store.bucket(&name).await.unwrap().configs.keys().collect::<Vec<_>>(), ["policy"]);
    assert_eq!(store.buckets().await.unwrap()[0].configs.len(), 1);
}

pub(crate) async fn a_bucket_with_anything_in_it_stays(store: Store) {
    let name = with_bucket(&store).await;
    // A bucket whose name begins with this one's must not count.
    store.create_bucket(bucket("contract-2")).await.unwrap();
    put_plain(&store, "a", b"1").await;
    assert!(matches!(store.delete_bucket(&name).await, Err(Error::BucketNotEmpty)));
    store.delete(&at("a"), None, Precondition::None).await.unwrap();
    let upload = UploadAt { object: at("a"), id: UploadId::from_bits([1; 16]) };
    store.create_upload(&upload, metadata("m"), Bytes::new()).await.unwrap();
    assert!(matches!(store.delete_bucket(&name).await, Err(Error::BucketNotEmpty)));
    store.abort(&upload).await.unwrap();
    store.delete_bucket(&name).await.unwrap();
    assert!(matches!(store.delete_bucket(&name).await, Err(Error::NoSuchBucket)));
}

pub(crate) async fn what_needs_a_bucket_says_when_there_is_none(store: Store) {
    let name: BucketName = super::BUCKET.parse().unwrap();
    let upload = UploadAt { object: at("a"), id: UploadId::from_bits([1; 16]) };
    let refused = [
        store.bucket(&name).await.err(),
        store.delete_bucket(&name).await.err(),
        store.set_bucket_config(&name, "policy", None).await.err(),
        store.put(&at("a"), metadata("m"), ahead(4, &Precondition::None)).await.err(),
        store.head(&at("a"), None).await.err(),
        store.open(&at("a"), None).await.err(),
        store.delete(&at("a"), None, Precondition::None).await.err(),
        store.list(&name, ListQuery { limit: 1, ..ListQuery::default() }).await.err(),
        store.uploads(&name, UploadQuery { limit: 1, ..UploadQuery::default() }).await.err(),
        store.create_upload(&upload, metadata("m"), Bytes::new()).await.err(),
    ];
    for (nth, error) in refused.into_iter().enumerate() {
        assert!(matches!(error, Some(Error::NoSuchBucket)), "call {nth}: {error:?}");
    }
    // Deleted between the start of a write and its commit.
    with_bucket(&store).await;
    let mut writer = store.put(&at("a"), metadata("m"), ahead(4, &Precondition::None)).await.unwrap();
    writer.write(Bytes::from_static(b"late")).await.unwrap();
    store.delete_bucket(&name).await.unwrap();
    assert!(matches!(writer.commit(Commit::default()).await, Err(Error::NoSuchBucket)));
    assert!(matches!(put(&store, &at("a"), b"x", Commit::default()).await, Err(Error::NoSuchBucket)));
}
