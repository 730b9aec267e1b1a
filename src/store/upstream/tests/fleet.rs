//! Several gateways over one upstream.

use futures::future::join_all;

use super::*;
use crate::store::Error;
use crate::store::contract::{at, bucket, noise, put_plain, with_bucket};

async fn two(settings: &Settings) -> [(tempfile::TempDir, Store); 2] {
    let open = || async {
        let (dir, store) = gateway(settings).await;
        let store: Store = store;
        (dir, store)
    };
    [open().await, open().await]
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs SEALGATE_TEST_UPSTREAM"]
async fn a_change_of_a_bucket_is_seen_at_once_here_and_within_two_seconds_there() {
    let settings = settings();
    let [(_one, here), (_two, there)] = two(&settings).await;
    let name = with_bucket(&here).await;
    assert!(there.bucket(&name).await.unwrap().configs.is_empty());
    here.set_bucket_config(&name, "encryption", Some(b"kms".to_vec())).await.unwrap();
    assert_eq!(here.bucket(&name).await.unwrap().configs["encryption"], b"kms");
    tokio::time::sleep(std::time::Duration::from_secs(2)).await;
    assert_eq!(there.bucket(&name).await.unwrap().configs["encryption"], b"kms");
    there.delete_bucket(&name).await.unwrap();
    assert!(matches!(there.bucket(&name).await, Err(Error::NoSuchBucket)));
    tokio::time::sleep(std::time::Duration::from_secs(2)).await;
    assert!(matches!(here.bucket(&name).await, Err(Error::NoSuchBucket)));
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs SEALGATE_TEST_UPSTREAM"]
async fn of_changes_at_once_none_is_lost_and_of_makers_one_wins() {
    let settings = settings();
    let stores = two(&settings).await;
    let made = join_all((0..6).map(|nth| {
        let store = stores[nth % 2].1.clone();
        async move { store.create_bucket(bucket("contract")).await }
    }))
    .await;
    assert_eq!(made.iter().filter(|outcome| outcome.is_ok()).count(), 1);
    let name = at("a").bucket;
    let changes = join_all((0..8).map(|nth| {
        let (store, name) = (stores[nth % 2].1.clone(), name.clone());
        async move { store.set_bucket_config(&name, &format!("kind-{nth}"), Some(vec![])).await }
    }))
    .await;
    assert!(changes.iter().all(Result::is_ok), "{changes:?}");
    let fresh = gateway(&settings).await;
    assert_eq!(fresh.1.bucket(&name).await.unwrap().configs.len(), 8);
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs SEALGATE_TEST_UPSTREAM"]
async fn listings_show_what_others_wrote_and_overwrote() {
    let settings = settings();
    let [(_one, here), (_two, there)] = two(&settings).await;
    let name = with_bucket(&here).await;
    for nth in 0..40 {
        put_plain(&here, &format!("k{nth:02}"), &noise(100 + nth, nth as u64)).await;
    }
    let lens = |store: Store, name: BucketName| async move {
        let page = store.list(&name, ListQuery { limit: 100, ..ListQuery::default() }).await.unwrap();
        let len = |entry: &ListEntry| match entry {
            ListEntry::Object { object, .. } => object.len.0,
            ListEntry::Prefix(_) => 0,
        };
        page.entries.iter().map(len).collect::<Vec<u64>>()
    };
    assert_eq!(lens(there.clone(), name.clone()).await, (100..140).collect::<Vec<_>>());
    put_plain(&here, "k07", &noise(5000, 1)).await;
    assert_eq!(lens(there.clone(), name.clone()).await[7], 5000);
    assert_eq!(lens(here, name).await[7], 5000);
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs SEALGATE_TEST_UPSTREAM"]
async fn a_record_that_was_altered_or_put_back_is_refused() {
    let settings = settings();
    let (_dir, store) = gateway(&settings).await;
    let name: BucketName = "contract".parse().unwrap();
    store.create_bucket(bucket("contract")).await.unwrap();
    store.set_bucket_config(&name, "policy", Some(b"new".to_vec())).await.unwrap();
    let reserved = &store.targets[0].reserved;
    let newest = reserved.newest("buckets/contract").await.unwrap().unwrap();
    // An older version under its own number verifies, and is found out by who has seen the newer one.
    let old = reserved::version_name("buckets/contract", newest.number - 1);
    reserved.write(&old, &newest.value).await.unwrap();
    reserved.remove(&reserved::version_name("buckets/contract", newest.number)).await.unwrap();
    tokio::time::sleep(std::time::Duration::from_millis(1100)).await;
    assert!(matches!(store.bucket(&name).await, Err(Error::Corrupt(_))));
    // Another's record in this place verifies nowhere.
    store.create_bucket(bucket("contract-2")).await.unwrap();
    let other = reserved.client();
    let stolen = other
        .ask(&client::Call::object(http::Method::GET, reserved.bucket(), &old), Bytes::new(), client::Again::Always)
        .await
        .unwrap()
        .1;
    let place = reserved::version_name("buckets/contract-2", 7);
    let call = client::Call::object(http::Method::PUT, reserved.bucket(), &place);
    other.ask(&call, stolen, client::Again::Always).await.unwrap();
    tokio::time::sleep(std::time::Duration::from_millis(1100)).await;
    assert!(matches!(store.bucket(&"contract-2".parse().unwrap()).await, Err(Error::Corrupt(_))));
}
