//! Several upstreams in one store: here two places at one endpoint.

use super::*;
use crate::store::contract::{at, bucket, noise, put, read};
use crate::store::{Commit, Error};

/// Two upstreams, of which the second has the bucket `cold` only, under a prefix.
fn two() -> Vec<Settings> {
    let (first, second) = (settings(), settings());
    let place = Mapped { bucket: format!("{}shared", second.bucket_prefix), prefix: "cold/".to_owned() };
    let second = Settings {
        name: "second".to_owned(),
        takes: Takes::Named,
        buckets: [("cold".parse().unwrap(), place)].into(),
        ..second
    };
    vec![Settings { name: "first".to_owned(), ..first }, second]
}

async fn open(all: Vec<Settings>) -> Result<Arc<UpstreamStore>, Error> {
    let reached = reach(all, Arc::new(TestSeal), Arc::new(SystemClock)).await?;
    reached.open("here".to_owned(), None).map(Arc::new)
}

/// An object in the second upstream.
fn cold(key: &str) -> ObjectAt {
    ObjectAt { bucket: "cold".parse().unwrap(), key: key.parse().unwrap() }
}

fn names(buckets: &[Bucket]) -> Vec<&str> {
    buckets.iter().map(|bucket| bucket.name.as_str()).collect()
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs SEALGATE_TEST_UPSTREAM"]
async fn a_bucket_belongs_to_one_upstream_and_all_are_listed() {
    let all = two();
    let store = open(all.clone()).await.unwrap();
    for name in ["contract", "cold"] {
        store.create_bucket(bucket(name)).await.unwrap();
    }
    assert_eq!(names(&store.buckets().await.unwrap()), ["cold", "contract"]);
    let here: Store = store.clone();
    put(&here, &cold("k"), &noise(100, 1), Commit::default()).await.unwrap();
    let client = &store.targets[1].client;
    let raw = format!("{}shared", all[1].bucket_prefix);
    let page = client.page(&raw, &listing::Ask { limit: 10, ..listing::Ask::default() }).await.unwrap();
    assert_eq!(page.rows.iter().map(|row| row.key.as_str()).collect::<Vec<_>>(), ["cold/k"]);
    // Nobody can make a bucket of what others are kept in, or of the gateways' own place.
    let shared = Settings { bucket_prefix: String::new(), ..all[0].clone() };
    let open_prefix = open(vec![shared, all[1].clone()]).await.unwrap();
    for name in [raw.as_str(), all[1].reserved.as_str(), all[0].reserved.as_str()] {
        let refused = open_prefix.create_bucket(bucket(name)).await;
        assert!(matches!(refused, Err(Error::BucketExists { .. })), "{name}: {refused:?}");
        assert!(matches!(open_prefix.bucket(&name.parse().unwrap()).await, Err(Error::NoSuchBucket)), "{name}");
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs SEALGATE_TEST_UPSTREAM"]
async fn without_a_default_a_bucket_that_none_names_cannot_be_made() {
    let mut all = two();
    let maps = all[0].bucket_prefix.clone();
    all[0].takes = Takes::Named;
    all[0].buckets =
        [("contract".parse().unwrap(), Mapped { bucket: format!("{maps}contract"), prefix: String::new() })].into();
    let store = open(all).await.unwrap();
    store.create_bucket(bucket("contract")).await.unwrap();
    assert!(matches!(store.create_bucket(bucket("other")).await, Err(Error::Unsupported(_))));
    assert!(matches!(store.bucket(&"other".parse().unwrap()).await, Err(Error::NoSuchBucket)));
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs SEALGATE_TEST_UPSTREAM"]
async fn a_copy_between_upstreams_is_the_same_body_or_none() {
    let store = open(two()).await.unwrap();
    for name in ["contract", "cold"] {
        store.create_bucket(bucket(name)).await.unwrap();
    }
    let here: Store = store.clone();
    let to = cold("copy");
    for len in [0, 100, (1 << 20) + 7] {
        let object = put(&here, &at("k"), &noise(len, 3), Commit::default()).await.unwrap();
        let plan = CopyPlan {
            source: (at("k"), None, object.tag.clone()),
            target: to.clone(),
            metadata: Metadata { user: [("a".to_owned(), "b".to_owned())].into(), ..object.metadata.clone() },
            commit: Commit::default(),
        };
        store.copy(plan.clone()).await.unwrap();
        let copied = here.open(&to, None).await.unwrap();
        assert_eq!(read(copied.as_ref(), 0, len as u64, 64 << 10).await.unwrap(), noise(len, 3), "{len}");
        assert_eq!(store.head(&to, None).await.unwrap().metadata.user["a"], "b");
        // What stands there has to be judged there, too.
        let absent = Commit { precondition: Precondition::Absent, ..Commit::default() };
        let refused = store.copy(CopyPlan { commit: absent, ..plan.clone() }).await;
        assert!(matches!(refused, Err(Error::PreconditionFailed)), "{refused:?}");
        put(&here, &at("k"), &noise(50, 4), Commit::default()).await.unwrap();
        assert!(matches!(store.copy(plan).await, Err(Error::Changed)));
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs SEALGATE_TEST_UPSTREAM"]
async fn the_upstream_with_the_records_stays_the_first() {
    let all = two();
    let store = open(all.clone()).await.unwrap();
    store.create_bucket(bucket("contract")).await.unwrap();
    let why = open(all.into_iter().rev().collect()).await.unwrap_err().to_string();
    assert!(why.contains("upstream first") && why.contains("list it as the first"), "{why}");
}
