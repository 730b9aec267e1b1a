//! What is cleared, and what stays.

use super::*;
use crate::store::Error;
use crate::store::contract::uploads::{complete, send, start, upload};
use crate::store::contract::{at, body_of, noise, put_plain, with_bucket};
use crate::types::Clock as _;

const DAY: u64 = 24 * 60 * 60 * 1000;
const MIB: usize = 1 << 20;

/// The names in the reserved place, without buckets.
async fn names(store: &UpstreamStore) -> Vec<String> {
    let rows = store.targets[0].reserved.all_names("").await.unwrap();
    rows.into_iter().map(|row| row.key).filter(|name| !name.starts_with("buckets/")).collect()
}

async fn sweep(store: &UpstreamStore, days: u64) -> Swept {
    let now = crate::types::Timestamp(SystemClock.now().0 + days * DAY);
    let buckets = [at("a").bucket];
    super::super::sweep::sweep(&store.targets[0], &buckets, now, 7 * DAY).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs SEALGATE_TEST_UPSTREAM"]
async fn what_is_abandoned_goes_and_what_is_in_use_stays() {
    let (_guard, upstream) = gateway(&settings()).await;
    let store: Store = upstream.clone();
    with_bucket(&store).await;
    put_plain(&store, "object", &noise(1000, 1)).await;
    let target = &upstream.targets[0];
    // One whose gateway died between its record and its parts, one that is left alone, one that was completed.
    let (orphan, idle, done) = (upload("a", 1), upload("b", 2), upload("c", 3));
    for up in [&orphan, &idle, &done] {
        start(&store, up).await;
        send(&store, up, 1, &noise(5 * MIB, 1)).await.unwrap();
        send(&store, up, 2, &noise(100, 2)).await.unwrap();
    }
    target.reserved.remove(&multipart::upload_name(&orphan.object.bucket, &orphan.id)).await.unwrap();
    let parts = store.parts(&done, None, 9).await.unwrap().parts;
    complete(&store, &done, &parts.iter().collect::<Vec<_>>(), b"end").await.unwrap();
    target.reserved.write("private/copy", b"").await.unwrap();
    target.reserved.write("claims/dead/0", b"").await.unwrap();

    let before = names(&upstream).await;
    assert_eq!(sweep(&upstream, 0).await, Swept::default());
    assert_eq!(names(&upstream).await, before);

    let swept = sweep(&upstream, 2).await;
    // Two records, a staged part, a copy and a claim; and the upstream's upload.
    assert_eq!(swept, Swept { uploads: 0, records: 5, nameless: 1 });
    assert_eq!(store.parts(&idle, None, 9).await.unwrap().parts.len(), 2);
    assert!(store.completed(&done).await.unwrap().is_some());

    let swept = sweep(&upstream, 8).await;
    assert_eq!(swept, Swept { uploads: 1, records: 1, nameless: 0 });
    assert!(matches!(store.upload(&idle).await, Err(Error::NoSuchUpload)));
    assert_eq!(names(&upstream).await, Vec::<String>::new());
    assert_eq!(sweep(&upstream, 8).await, Swept::default());
    assert_eq!(body_of(&store, "object").await.unwrap(), noise(1000, 1));
    assert_eq!(body_of(&store, "c").await.unwrap().len(), 5 * MIB + 103);
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs SEALGATE_TEST_UPSTREAM"]
async fn one_gateway_of_many_sweeps_within_an_hour() {
    let settings = settings();
    let (_one, here) = gateway(&settings).await;
    let (_two, there) = gateway(&settings).await;
    assert_eq!(here.sweep().await.unwrap(), Some(Swept::default()));
    assert_eq!(there.sweep().await.unwrap(), None);
    assert_eq!(here.sweep().await.unwrap(), None);
}
