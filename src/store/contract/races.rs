//! Promises about many callers at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use futures::future::join_all;

use super::uploads::{complete, number, send, start, upload};
use super::{Store, ahead, at, body_of, bucket, given, metadata, noise, put, put_plain, with_bucket};
use crate::store::{Commit, Error, Precondition};

/// Lets every caller have its own task.
async fn all<T: Send + 'static>(calls: impl Iterator<Item = impl Future<Output = T> + Send + 'static>) -> Vec<T> {
    let tasks: Vec<_> = calls.map(tokio::spawn).collect();
    join_all(tasks).await.into_iter().map(Result::unwrap).collect()
}

pub(crate) async fn one_of_many_conditional_creators_wins(store: Store) {
    with_bucket(&store).await;
    for (key, len) in [("small", 10), ("large", 100_000)] {
        let outcomes = all((0..64_u64).map(|nth| {
            let store = store.clone();
            async move { put(&store, &at(key), &noise(len, nth), given(Precondition::Absent)).await }
        }))
        .await;
        let winners: Vec<usize> = (0..64).filter(|&nth| outcomes[nth].is_ok()).collect();
        assert_eq!(winners.len(), 1);
        let lost = outcomes.iter().filter(|outcome| matches!(outcome, Err(Error::PreconditionFailed))).count();
        assert_eq!(lost, 63);
        assert_eq!(body_of(&store, key).await.unwrap(), noise(len, winners[0] as u64));
    }
}

pub(crate) async fn one_of_many_conditional_replacers_wins(store: Store) {
    with_bucket(&store).await;
    let mut tag = put_plain(&store, "a", b"0").await;
    for _ in 0..5 {
        let outcomes = all((0..16_u64).map(|nth| {
            let (store, tag) = (store.clone(), tag.clone());
            async move { put(&store, &at("a"), &noise(20, nth), given(Precondition::Is(tag))).await }
        }))
        .await;
        let mut winners = outcomes.into_iter().filter_map(Result::ok);
        tag = winners.next().unwrap().tag;
        assert!(winners.next().is_none());
    }
    assert_eq!(store.head(&at("a"), None).await.unwrap().tag, tag);
}

pub(crate) async fn readers_see_whole_versions(store: Store) {
    with_bucket(&store).await;
    // Every version is of one byte, repeated, and as long as that byte says.
    let version = |nth: u8| vec![nth; 1000 + usize::from(nth) * 9_000];
    let done = Arc::new(AtomicBool::new(false));
    let writers = (0..4_u8).map(|writer| {
        let store = store.clone();
        async move {
            for round in 0..15_u8 {
                put_plain(&store, "a", &version(writer * 15 + round)).await;
                // Never after the last round: in the end there is an object to see.
                if round % 5 == 3 && round < 10 {
                    store.delete(&at("a"), None, Precondition::None).await.unwrap();
                }
            }
        }
    });
    let readers = (0..4_u8).map(|_| {
        let (store, done) = (store.clone(), done.clone());
        async move {
            let mut last = false;
            loop {
                match body_of(&store, "a").await {
                    Ok(body) => assert_eq!(body, version(body[0])),
                    Err(error) => assert!(!last && matches!(error, Error::NoSuchObject), "{error:?}"),
                }
                if last {
                    break;
                }
                last = done.load(Ordering::SeqCst);
                tokio::task::yield_now().await;
            }
        }
    });
    let writing = async {
        all(writers).await;
        done.store(true, Ordering::SeqCst);
    };
    tokio::join!(all(readers), writing);
}

pub(crate) async fn a_bucket_never_vanishes_under_an_object(store: Store) {
    for _ in 0..40 {
        let name = with_bucket(&store).await;
        let (putting, deleting) = (store.clone(), store.clone());
        let put = tokio::spawn(async move { put(&putting, &at("a"), b"x", Commit::default()).await });
        let gone = name.clone();
        let delete = tokio::spawn(async move { deleting.delete_bucket(&gone).await });
        match (put.await.unwrap(), delete.await.unwrap()) {
            (Ok(_), Err(Error::BucketNotEmpty)) => {
                store.delete(&at("a"), None, Precondition::None).await.unwrap();
                store.delete_bucket(&name).await.unwrap();
            }
            (Err(Error::NoSuchBucket), Ok(())) => {}
            other => panic!("{other:?}"),
        }
        // Nothing is left that a new bucket of the name would show.
        store.create_bucket(bucket(super::BUCKET)).await.unwrap();
        assert!(matches!(store.head(&at("a"), None).await, Err(Error::NoSuchObject)));
        store.delete_bucket(&name).await.unwrap();
    }
}

pub(crate) async fn a_late_part_never_survives_an_abort(store: Store) {
    let name = with_bucket(&store).await;
    for round in 0..20 {
        let up = upload("a", round);
        start(&store, &up).await;
        let mut calls = Vec::new();
        for nth in 1..5 {
            let (store, up) = (store.clone(), up.clone());
            calls.push(tokio::spawn(async move { send(&store, &up, nth, &noise(1000, 1)).await.map(drop) }));
        }
        let (aborting, up_again) = (store.clone(), up.clone());
        calls.push(tokio::spawn(async move { aborting.abort(&up_again).await }));
        for (nth, call) in join_all(calls).await.into_iter().enumerate() {
            let outcome = call.unwrap();
            assert!(matches!(outcome, Ok(()) | Err(Error::NoSuchUpload)), "{outcome:?}");
            assert!(nth != 4 || outcome.is_ok());
        }
        start(&store, &up).await;
        assert!(store.parts(&up, None, 9).await.unwrap().parts.is_empty(), "a part outlived its upload");
        store.abort(&up).await.unwrap();
    }
    store.delete_bucket(&name).await.unwrap();
}

pub(crate) async fn an_upload_completes_once(store: Store) {
    with_bucket(&store).await;
    let up = upload("a", 1);
    start(&store, &up).await;
    let part = send(&store, &up, 1, b"part").await.unwrap();
    let outcomes = all((0..8_u8).map(|nth| {
        let (store, up, part) = (store.clone(), up.clone(), part.clone());
        async move { complete(&store, &up, &[&part], &[nth]).await }
    }))
    .await;
    let winners: Vec<usize> = (0..8).filter(|&nth| outcomes[nth].is_ok()).collect();
    assert_eq!(winners.len(), 1);
    assert!(outcomes.iter().all(|outcome| matches!(outcome, Ok(_) | Err(Error::NoSuchUpload))));
    assert_eq!(body_of(&store, "a").await.unwrap(), [b"part", &[u8::try_from(winners[0]).unwrap()][..]].concat());
    // A new attempt of the part that comes while nobody looks must not have changed what was pinned.
    assert!(matches!(store.put_part(&up, number(1), None).await.err(), Some(Error::NoSuchUpload)));
    let mut writer = store.put(&at("a"), metadata("m"), ahead(5, &Precondition::None)).await.unwrap();
    writer.write(Bytes::from_static(b"after")).await.unwrap();
    writer.commit(Commit::default()).await.unwrap();
    assert_eq!(body_of(&store, "a").await.unwrap(), b"after");
}
