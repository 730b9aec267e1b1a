//! Objects, beyond the contract.

use bytes::Bytes;

use super::*;
use crate::store::contract::{at, metadata, noise, put, put_plain, read, with_bucket};
use crate::store::{Ahead, Commit, CopyPlan, Error, NewMetadata, Precondition, StoredTag};

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs SEALGATE_TEST_UPSTREAM"]
async fn an_old_body_is_changed_and_never_another() {
    let (_guard, store) = open().await;
    with_bucket(&store).await;
    for len in [100_usize, 900_000] {
        put_plain(&store, "a", &noise(len, 1)).await;
        let open = store.open(&at("a"), None).await.unwrap();
        put_plain(&store, "a", &noise(len, 2)).await;
        match read(&*open, 0, len as u64, 65_536).await {
            // What came with the look.
            Ok(body) => assert!(len == 100 && body == noise(len, 1)),
            Err(error) => assert!(matches!(error, Error::Changed), "{error}"),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs SEALGATE_TEST_UPSTREAM"]
async fn a_body_of_unknown_length_becomes_an_object_whatever_its_length() {
    let (_guard, store) = open().await;
    with_bucket(&store).await;
    for len in [0_usize, 1000, 8 << 20, (8 << 20) + 1, 20_000_000] {
        let body = noise(len, 3);
        let mut writer = store.put(&at("a"), metadata("m"), Ahead::default()).await.unwrap();
        for chunk in body.chunks(1_000_000) {
            writer.write(Bytes::copy_from_slice(chunk)).await.unwrap();
        }
        let made = writer.commit(Commit::default()).await.unwrap();
        let seen = store.open(&at("a"), None).await.unwrap();
        assert_eq!(seen.object().tag, made.tag);
        assert_eq!(read(&*seen, 0, len as u64, 65_536).await.unwrap(), body, "{len}");
    }
    let mut dropped = store.put(&at("b"), metadata("m"), Ahead::default()).await.unwrap();
    dropped.write(Bytes::from(noise(9 << 20, 1))).await.unwrap();
    drop(dropped);
    assert!(matches!(store.head(&at("b"), None).await, Err(Error::NoSuchObject)));
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs SEALGATE_TEST_UPSTREAM"]
async fn a_body_of_another_length_than_was_said_is_refused() {
    let (_guard, store) = open().await;
    with_bucket(&store).await;
    for (said, len) in [(100, 99), (100, 101), (600_000, 599_999), (600_000, 600_001)] {
        let ahead = contract::ahead(said, &Precondition::None);
        let mut writer = store.put(&at("a"), metadata("m"), ahead).await.unwrap();
        let written = writer.write(Bytes::from(noise(len, 1))).await;
        assert!(written.is_err() || writer.commit(Commit::default()).await.is_err(), "{said} {len}");
        assert!(matches!(store.head(&at("a"), None).await, Err(Error::NoSuchObject)));
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs SEALGATE_TEST_UPSTREAM"]
async fn a_memory_of_an_object_that_was_replaced_elsewhere_is_found_out() {
    let settings = settings();
    let (_one, here) = gateway(&settings).await;
    let (_two, there) = gateway(&settings).await;
    let (here, there): (Store, Store) = (here, there);
    with_bucket(&here).await;
    let commit = || Commit { summary: Bytes::from_static(b"sealed"), ..Commit::default() };
    put(&here, &at("a"), &noise(500_000, 1), commit()).await.unwrap();
    let remembered = here.recall(&at("a"), None).await.unwrap().expect("what was written here is remembered");
    assert_eq!(&remembered.object().summary[..], b"sealed");
    put(&there, &at("a"), &noise(500_000, 2), commit()).await.unwrap();
    let stale = here.recall(&at("a"), None).await.unwrap().unwrap();
    assert!(matches!(read(&*stale, 0, 500_000, 65_536).await, Err(Error::Changed)));
    assert!(matches!(read(&*remembered, 0, 500_000, 65_536).await, Err(Error::Changed)));
    there.delete(&at("a"), None, Precondition::None).await.unwrap();
    assert!(matches!(read(&*stale, 0, 500_000, 65_536).await, Err(Error::Changed)));
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs SEALGATE_TEST_UPSTREAM"]
async fn the_reserved_place_is_no_bucket_of_a_clients() {
    let settings = settings();
    let mut open = settings.clone();
    // Without a prefix a client could name it.
    open.bucket_prefix = String::new();
    let (_guard, store) = gateway(&open).await;
    let name = settings.reserved.parse().unwrap();
    assert!(matches!(store.bucket(&name).await, Err(Error::NoSuchBucket)));
    assert!(matches!(store.create_bucket(contract::bucket(name.as_str())).await, Err(Error::BucketExists { .. })));
    assert!(matches!(store.delete_bucket(&name).await, Err(Error::NoSuchBucket)));
    assert!(matches!(store.set_bucket_config(&name, "policy", None).await, Err(Error::NoSuchBucket)));
    assert!(store.buckets().await.unwrap().is_empty());
    let query = ListQuery { limit: 9, ..ListQuery::default() };
    assert!(matches!(store.list(&name, query).await, Err(Error::NoSuchBucket)));
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs SEALGATE_TEST_UPSTREAM"]
async fn a_mapped_bucket_is_a_prefix_of_another_and_sees_nothing_beside_it() {
    let mut settings = settings();
    let shared = format!("{}shared", settings.bucket_prefix);
    for name in ["contract", "contract-2"] {
        let mapped = Mapped { bucket: shared.clone(), prefix: format!("in/{name}/") };
        settings.buckets.insert(name.parse().unwrap(), mapped);
    }
    let (_guard, store) = gateway(&settings).await;
    let store: Store = store;
    with_bucket(&store).await;
    store.create_bucket(contract::bucket("contract-2")).await.unwrap();
    for key in ["a", "b/1", "b/2"] {
        put_plain(&store, key, key.as_bytes()).await;
    }
    let next_door = ObjectAt { bucket: "contract-2".parse().unwrap(), key: "z".parse().unwrap() };
    put(&store, &next_door, b"z", Commit::default()).await.unwrap();
    let query = ListQuery { delimiter: Some("/".into()), limit: 9, ..ListQuery::default() };
    let page = store.list(&at("a").bucket, query).await.unwrap();
    let names: Vec<String> = page
        .entries
        .iter()
        .map(|entry| match entry {
            ListEntry::Object { key, .. } => key.to_string(),
            ListEntry::Prefix(prefix) => prefix.clone(),
        })
        .collect();
    assert_eq!(names, ["a", "b/"]);
    assert!(matches!(store.delete_bucket(&at("a").bucket).await, Err(Error::BucketNotEmpty)));
    assert_eq!(contract::body_of(&store, "b/2").await.unwrap(), b"b/2");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs SEALGATE_TEST_UPSTREAM"]
async fn new_metadata_is_of_one_write_and_seen_everywhere() {
    let settings = settings();
    let (_one, first) = gateway(&settings).await;
    let here: Store = first.clone();
    with_bucket(&here).await;
    let body = noise(400_000, 1);
    let old = put_plain(&here, "a", &body).await;
    let change = |was: StoredTag, text: &str| NewMetadata {
        version: None,
        was,
        metadata: metadata(text),
        summary: Bytes::new(),
    };
    let once = here.set_metadata(&at("a"), change(old.clone(), "once")).await.unwrap();
    assert!(matches!(here.set_metadata(&at("a"), change(old.clone(), "late")).await, Err(Error::Changed)));
    let twice = here.set_metadata(&at("a"), change(once.tag.clone(), "twice")).await.unwrap();
    assert!(old != once.tag && once.tag != twice.tag && twice.metadata == metadata("twice"));
    let (_two, other) = gateway(&settings).await;
    let open = other.open(&at("a"), None).await.unwrap();
    assert_eq!((open.object().metadata.clone(), &open.object().tag), (metadata("twice"), &twice.tag));
    assert_eq!(read(&*open, 0, 400_000, 65_536).await.unwrap(), body);
    assert!(here.recall(&at("a"), None).await.unwrap().is_none());
    // Conditions, copies and deletions are about the object with what is said of it.
    let stale = put(&here, &at("a"), b"x", contract::given(Precondition::Is(once.tag.clone()))).await;
    assert!(matches!(stale, Err(Error::PreconditionFailed)));
    let plan = |tag: &StoredTag| CopyPlan {
        source: (at("a"), None, tag.clone()),
        target: at("copy"),
        metadata: metadata("copied"),
        commit: Commit::default(),
    };
    assert!(matches!(here.copy(plan(&old)).await, Err(Error::Changed)));
    here.copy(plan(&twice.tag)).await.unwrap();
    assert_eq!(here.head(&at("copy"), None).await.unwrap().metadata, metadata("copied"));
    put(&here, &at("a"), b"new", contract::given(Precondition::Is(twice.tag))).await.unwrap();
    let new = here.head(&at("a"), None).await.unwrap();
    assert_eq!(new.metadata, metadata("plain"), "over another write it is nothing");
    here.set_metadata(&at("a"), change(new.tag, "again")).await.unwrap();
    here.delete(&at("a"), None, Precondition::None).await.unwrap();
    let left = first.targets[0].reserved.all_names("amends/").await.unwrap();
    assert_eq!(left, [], "what was said of an object goes with it");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
#[ignore = "needs SEALGATE_TEST_UPSTREAM"]
async fn an_append_does_not_replace_the_null_version_of_a_suspended_bucket() {
    let (_guard, store) = super::open().await;
    let name = contract::with_bucket(&store).await;
    contract::put_plain(&store, "a", b"null").await;
    store.set_versioning(&name, Versioning::Enabled).await.unwrap();
    let was = contract::put_plain(&store, "a", b"kept").await;
    store.set_versioning(&name, Versioning::Suspended).await.unwrap();
    let growth = crate::store::Growth { was, keep: CipherOffset(4), metadata: contract::metadata("grown") };
    assert!(matches!(store.append(&contract::at("a"), growth).await, Err(Error::Unsupported(_))));
    let null = store.open(&contract::at("a"), Some(&VersionId::null())).await.unwrap();
    assert_eq!(contract::read(&*null, 0, 4, 64).await.unwrap(), b"null");
    assert_eq!(contract::body_of(&store, "a").await.unwrap(), b"kept");
}
