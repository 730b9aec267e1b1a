//! Uploads, beyond the contract: through many gateways, and of parts as clients send them.

use bytes::Bytes;

use super::*;
use crate::store::contract::uploads::{complete, number, send, start, upload};
use crate::store::contract::{body_of, given, metadata, noise, with_bucket};
use crate::store::{Completion, Error, Precondition};

const MIB: usize = 1 << 20;

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs SEALGATE_TEST_UPSTREAM"]
async fn parts_of_any_length_in_any_order_make_the_body() {
    let settings = settings();
    let (_guard, upstream) = gateway(&settings).await;
    let store: Store = upstream.clone();
    with_bucket(&store).await;
    // Large ones, small ones between them, one that the completion does not name, the last number.
    let cases: [&[(u32, usize, bool)]; 6] = [
        &[(1, 5 * MIB, true), (2, 6 * MIB, true), (3, 100, true)],
        &[(1, 5 * MIB, true), (2, 6 * MIB, true)],
        &[(1, 100, true), (2, 6 * MIB, true), (3, 200_000, true), (4, 5 * MIB + 1, true), (9, 3, true)],
        &[(1, 5 * MIB, true), (2, 5 * MIB, false), (3, 7 * MIB, true)],
        &[(9_999, 6 * MIB, true), (10_000, 6 * MIB, true)],
        &[(1, 3 * MIB, true), (2, 3 * MIB, true), (3, 3 * MIB, true), (4, 11, true)],
    ];
    for (nth, case) in cases.into_iter().enumerate() {
        let up = upload("a", u8::try_from(nth).unwrap());
        start(&store, &up).await;
        let mut parts = Vec::new();
        let mut whole = Vec::new();
        for &(number, len, named) in case.iter().rev() {
            let part = send(&store, &up, number, &noise(len, u64::from(number))).await.unwrap();
            if named {
                parts.insert(0, part);
            }
        }
        for &(number, len, _) in case.iter().filter(|(.., named)| *named) {
            whole.extend(noise(len, u64::from(number)));
        }
        let manifest = noise(500, 99);
        let done = complete(&store, &up, &parts.iter().collect::<Vec<_>>(), &manifest).await.unwrap();
        whole.extend(&manifest);
        assert_eq!((done.len, &done.metadata), (CipherOffset(whole.len() as u64), &metadata("done")), "case {nth}");
        assert!(body_of(&store, "a").await.unwrap() == whole, "case {nth}");
        assert_eq!(left(&upstream).await, Vec::<String>::new(), "case {nth}");
    }
}

/// What is left in the reserved place beside buckets and what became of uploads.
async fn left(store: &UpstreamStore) -> Vec<String> {
    let reserved = &store.targets[0].reserved;
    let names = reserved.all_names("").await.unwrap().into_iter().map(|row| row.key);
    names.filter(|name| !name.starts_with("buckets/") && !name.starts_with("done/")).collect()
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs SEALGATE_TEST_UPSTREAM"]
async fn any_gateway_takes_any_part_and_any_completes() {
    let settings = settings();
    let up = upload("a", 1);
    let fresh = || async {
        let (dir, store) = gateway(&settings).await;
        let store: Store = store;
        (dir, store)
    };
    {
        let (_dir, first) = fresh().await;
        with_bucket(&first).await;
        start(&first, &up).await;
    }
    {
        let (_dir, second) = fresh().await;
        send(&second, &up, 2, &noise(100, 2)).await.unwrap();
        send(&second, &up, 1, &noise(6 * MIB, 77)).await.unwrap();
    }
    let one = {
        let (_dir, third) = fresh().await;
        send(&third, &up, 1, &noise(5 * MIB, 1)).await.unwrap()
    };
    let (_dir, last) = fresh().await;
    let page = last.parts(&up, None, 10).await.unwrap();
    assert_eq!(page.parts[0].tag, one.tag);
    let done = complete(&last, &up, &page.parts.iter().collect::<Vec<_>>(), b"end").await.unwrap();
    assert_eq!(body_of(&last, "a").await.unwrap(), [&noise(5 * MIB, 1)[..], &noise(100, 2), b"end"].concat());
    // Whoever did not hear the answer can ask another gateway.
    let (_dir, other) = fresh().await;
    assert_eq!(other.completed(&up).await.unwrap().unwrap().tag, done.tag);
    assert!(other.completed(&upload("a", 2)).await.unwrap().is_none());
    contract::put_plain(&other, "a", b"new").await;
    assert!(other.completed(&up).await.unwrap().is_none(), "what was overwritten was not made by it");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs SEALGATE_TEST_UPSTREAM"]
async fn a_condition_at_completion_is_judged_though_the_upstream_ignores_it() {
    let (_guard, store) = open().await;
    with_bucket(&store).await;
    let up = upload("a", 1);
    start(&store, &up).await;
    let part = send(&store, &up, 1, &noise(6 * MIB, 1)).await.unwrap();
    let tag = contract::put_plain(&store, "a", b"there").await;
    let completion = |precondition| Completion {
        parts: vec![(number(1), part.tag.clone())],
        manifest: Bytes::from_static(b"m"),
        metadata: metadata("done"),
        commit: given(precondition),
    };
    for refused in [Precondition::Absent, Precondition::Is(crate::store::StoredTag("other:1".into()))] {
        let outcome = store.complete(&up, completion(refused)).await;
        assert!(matches!(outcome, Err(Error::PreconditionFailed)), "{outcome:?}");
    }
    assert_eq!(body_of(&store, "a").await.unwrap(), b"there");
    store.complete(&up, completion(Precondition::Is(tag))).await.unwrap();
    assert_eq!(body_of(&store, "a").await.unwrap().len(), 6 * MIB + 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
#[ignore = "needs SEALGATE_TEST_UPSTREAM"]
async fn ten_thousand_small_parts_make_the_body() {
    use futures::{StreamExt as _, stream};

    let settings = settings();
    let (_guard, upstream) = gateway(&settings).await;
    let store: Store = upstream.clone();
    with_bucket(&store).await;
    let up = upload("a", 1);
    start(&store, &up).await;
    let bytes = |number: u32| noise(100 + number as usize % 7, u64::from(number));
    // 7,919 is a prime: every number once, in no order.
    let numbers = (0..10_000u32).map(|nth| nth * 7_919 % 10_000 + 1);
    let sent = numbers.map(|number| {
        let (store, up) = (&store, &up);
        async move { send(store, up, number, &bytes(number)).await.unwrap() }
    });
    let mut parts: Vec<_> = stream::iter(sent).buffer_unordered(64).collect().await;
    parts.sort_by_key(|part| part.number);
    let manifest = noise(500_000, 1);
    let done = complete(&store, &up, &parts.iter().collect::<Vec<_>>(), &manifest).await.unwrap();
    let mut whole: Vec<u8> = (1..=10_000).flat_map(bytes).collect();
    whole.extend(&manifest);
    assert_eq!(done.len, CipherOffset(whole.len() as u64));
    assert!(body_of(&store, "a").await.unwrap() == whole);
    assert_eq!(left(&upstream).await, Vec::<String>::new());
}
