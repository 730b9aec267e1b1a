//! Promises about objects.

use bytes::Bytes;
use futures::TryStreamExt;

use super::{Store, ahead, at, body_of, given, kept_summary, metadata, noise, put, put_plain, read, with_bucket};
use crate::store::{CipherOffset, Commit, CopyPlan, Deleted, Error, Precondition, StoredTag};
use crate::types::VersionId;

/// Lengths on both sides of what an implementation may treat differently: inline bodies, batches, chunks.
const LENGTHS: [usize; 10] = [0, 1, 4096, 16_383, 16_384, 16_385, 65_536, 262_144, 262_145, 1_500_001];

pub(crate) async fn bodies_of_any_length_read_back(store: Store) {
    with_bucket(&store).await;
    for (seed, len) in LENGTHS.into_iter().enumerate() {
        let body = noise(len, seed as u64);
        let stored = put(&store, &at("a"), &body, Commit::default()).await.unwrap();
        assert_eq!(stored.len, CipherOffset(len as u64));
        assert_eq!(body_of(&store, "a").await.unwrap(), body, "{len} bytes");
    }
    // One chunk as long as many batches, and single bytes.
    let body = noise(3_000_000, 99);
    let mut writer = store.put(&at("b"), metadata("m"), ahead(3_001_000, &Precondition::None)).await.unwrap();
    writer.write(Bytes::from(body.clone())).await.unwrap();
    for byte in &body[..1000] {
        writer.write(Bytes::copy_from_slice(&[*byte])).await.unwrap();
    }
    writer.commit(Commit::default()).await.unwrap();
    assert_eq!(body_of(&store, "b").await.unwrap(), [&body[..], &body[..1000]].concat());
}

pub(crate) async fn any_range_is_that_slice(store: Store) {
    with_bucket(&store).await;
    for len in [10_usize, 400_000] {
        let body = noise(len, 5);
        put_plain(&store, "a", &body).await;
        let open = store.open(&at("a"), None).await.unwrap();
        let edges = [0, 1, 5, len / 3, len / 2, len - 1, len];
        for from in edges {
            for to in edges.into_iter().filter(|&to| to >= from) {
                let slice = read(&*open, from as u64, to as u64, 4096).await.unwrap();
                assert_eq!(slice, body[from..to], "{from}..{to} of {len}");
            }
        }
    }
}

pub(crate) async fn chunks_have_the_length_asked_for(store: Store) {
    with_bucket(&store).await;
    put_plain(&store, "a", &noise(200_000, 1)).await;
    let open = store.open(&at("a"), None).await.unwrap();
    let range = CipherOffset(100)..CipherOffset(200_000);
    let chunks: Vec<_> = open.read(range, 65_552).await.unwrap().try_collect().await.unwrap();
    assert_eq!(chunks.iter().map(|chunk| chunk.len()).collect::<Vec<_>>(), [65_552, 65_552, 65_552, 3_244]);
}

pub(crate) async fn a_range_past_the_end_is_refused(store: Store) {
    with_bucket(&store).await;
    put_plain(&store, "a", b"0123456789").await;
    let open = store.open(&at("a"), None).await.unwrap();
    assert!(matches!(read(&*open, 5, 11, 64).await, Err(Error::Corrupt(_))));
    assert_eq!(read(&*open, 10, 10, 64).await.unwrap(), b"");
}

pub(crate) async fn names_that_look_like_paths_are_only_names(store: Store) {
    with_bucket(&store).await;
    let long = "é".repeat(512);
    let names = ["../../etc/passwd", "..", ".", "/", "//", "a/", "a\\b", "%2e%2e%2f", "a", "A", "a\u{301}", &long];
    for name in names {
        put_plain(&store, name, name.as_bytes()).await;
    }
    for name in names {
        assert_eq!(body_of(&store, name).await.unwrap(), name.as_bytes(), "{name:?}");
    }
}

pub(crate) async fn a_nul_is_a_letter_like_others(store: Store) {
    with_bucket(&store).await;
    for name in ["a", "a\0", "a\0b", "\0"] {
        put_plain(&store, name, name.as_bytes()).await;
        assert_eq!(body_of(&store, name).await.unwrap(), name.as_bytes(), "{name:?}");
    }
    assert_eq!(body_of(&store, "a").await.unwrap(), b"a");
}

pub(crate) async fn metadata_and_summary_come_back(store: Store) {
    with_bucket(&store).await;
    let mut writer = store.put(&at("a"), metadata("blue"), ahead(4, &Precondition::None)).await.unwrap();
    writer.write(Bytes::from_static(b"body")).await.unwrap();
    let commit = Commit { summary: Bytes::from_static(b"sealed"), ..Commit::default() };
    let made = writer.commit(commit).await.unwrap();
    let seen = store.head(&at("a"), None).await.unwrap();
    let opened = store.open(&at("a"), Some(&VersionId::null())).await.unwrap();
    for object in [&made, &seen, opened.object()] {
        assert_eq!((&object.metadata, &object.summary[..]), (&metadata("blue"), kept_summary(object, b"sealed")));
        assert_eq!((&object.tag, object.len), (&made.tag, CipherOffset(4)));
        // A store that has its dates from another's clock may be a second off.
        assert!(object.modified == made.modified || object.modified.0.abs_diff(made.modified.0) == 1000);
        assert!(!object.tail.is_empty() || object.modified == made.modified);
        assert!(object.version.is_null());
    }
}

pub(crate) async fn each_write_has_its_own_tag(store: Store) {
    with_bucket(&store).await;
    let first = put_plain(&store, "a", b"same").await;
    let second = put_plain(&store, "a", b"same").await;
    assert_ne!(first, second);
    assert_eq!(store.head(&at("a"), None).await.unwrap().tag, second);
}

pub(crate) async fn preconditions_are_judged(store: Store) {
    with_bucket(&store).await;
    let stale = StoredTag("stale".to_owned());
    let refused = |result| assert!(matches!(result, Err(Error::PreconditionFailed)), "{result:?}");
    refused(put(&store, &at("a"), b"0", given(Precondition::Is(stale.clone()))).await.map(drop));
    let first = put(&store, &at("a"), b"1", given(Precondition::Absent)).await.unwrap().tag;
    refused(put(&store, &at("a"), &noise(100_000, 1), given(Precondition::Absent)).await.map(drop));
    refused(put(&store, &at("a"), b"2", given(Precondition::Is(stale.clone()))).await.map(drop));
    assert_eq!(body_of(&store, "a").await.unwrap(), b"1");
    let second = put(&store, &at("a"), b"3", given(Precondition::Is(first.clone()))).await.unwrap().tag;
    refused(store.delete(&at("a"), None, Precondition::Is(first)).await.map(drop));
    refused(store.delete(&at("a"), None, Precondition::Absent).await.map(drop));
    assert_eq!(store.delete(&at("a"), None, Precondition::Is(second)).await.unwrap(), Deleted::Gone { marker: false });
}

pub(crate) async fn deletes_tell_what_they_did(store: Store) {
    with_bucket(&store).await;
    put_plain(&store, "a", b"1").await;
    assert_eq!(store.delete(&at("a"), None, Precondition::None).await.unwrap(), Deleted::Gone { marker: false });
    assert_eq!(store.delete(&at("a"), None, Precondition::None).await.unwrap(), Deleted::Absent);
    assert!(matches!(store.head(&at("a"), None).await, Err(Error::NoSuchObject)));
    assert!(matches!(store.open(&at("a"), None).await, Err(Error::NoSuchObject)));
}

pub(crate) async fn other_versions_are_not_there(store: Store) {
    with_bucket(&store).await;
    put_plain(&store, "a", b"1").await;
    let other = VersionId::from_bits([9; 16]);
    assert!(matches!(store.head(&at("a"), Some(&other)).await, Err(Error::NoSuchObject)));
    assert_eq!(store.delete(&at("a"), Some(&other), Precondition::None).await.unwrap(), Deleted::Absent);
    assert!(store.head(&at("a"), None).await.is_ok());
}

pub(crate) async fn a_dropped_writer_changes_nothing(store: Store) {
    with_bucket(&store).await;
    put_plain(&store, "a", b"old").await;
    for len in [10, 2_000_000] {
        let mut writer = store.put(&at("a"), metadata("m"), ahead(len, &Precondition::None)).await.unwrap();
        writer.write(Bytes::from(noise(len, 1))).await.unwrap();
        drop(writer);
        assert_eq!(body_of(&store, "a").await.unwrap(), b"old");
    }
}

pub(crate) async fn an_open_body_outlives_its_object(store: Store) {
    with_bucket(&store).await;
    for len in [100_usize, 900_000] {
        let body = noise(len, 7);
        put_plain(&store, "a", &body).await;
        let open = store.open(&at("a"), None).await.unwrap();
        let stream = open.read(CipherOffset(0)..CipherOffset(len as u64), 65_536).await.unwrap();
        put_plain(&store, "a", b"new").await;
        store.delete(&at("a"), None, Precondition::None).await.unwrap();
        assert_eq!(read(&*open, 0, len as u64, 1000).await.unwrap(), body);
        drop(open);
        assert_eq!(stream.try_collect::<Vec<_>>().await.unwrap().concat(), body, "the stream alone keeps the body");
    }
}

async fn plan(store: &Store, from: &str, to: &str, text: &str) -> CopyPlan {
    let tag = store.head(&at(from), None).await.unwrap().tag;
    let commit = Commit { summary: Bytes::from_static(b"copied"), ..Commit::default() };
    CopyPlan { source: (at(from), None, tag), target: at(to), metadata: metadata(text), commit }
}

pub(crate) async fn a_copy_has_the_body_and_its_own_metadata(store: Store) {
    with_bucket(&store).await;
    for len in [10, 300_000] {
        let body = noise(len, 3);
        put_plain(&store, "a", &body).await;
        put_plain(&store, "b", b"to be replaced").await;
        let copied = store.copy(plan(&store, "a", "b", "green").await).await.unwrap();
        assert_eq!((&copied.metadata, &copied.summary[..]), (&metadata("green"), &b"copied"[..]));
        assert_eq!(body_of(&store, "b").await.unwrap(), body);
        assert_ne!(copied.tag, store.head(&at("a"), None).await.unwrap().tag);
        assert_eq!(store.head(&at("a"), None).await.unwrap().metadata, metadata("plain"));
    }
}

pub(crate) async fn a_copy_onto_itself_keeps_the_body(store: Store) {
    with_bucket(&store).await;
    let body = noise(300_000, 4);
    let first = put_plain(&store, "a", &body).await;
    for text in ["once", "twice"] {
        let copied = store.copy(plan(&store, "a", "a", text).await).await.unwrap();
        assert_ne!(copied.tag, first);
        assert_eq!(store.head(&at("a"), None).await.unwrap().metadata, metadata(text));
    }
    assert_eq!(body_of(&store, "a").await.unwrap(), body);
}

pub(crate) async fn a_copy_of_a_changed_source_is_refused(store: Store) {
    with_bucket(&store).await;
    put_plain(&store, "a", b"1").await;
    let stale = plan(&store, "a", "b", "x").await;
    put_plain(&store, "a", b"2").await;
    assert!(matches!(store.copy(stale.clone()).await, Err(Error::Changed)));
    store.delete(&at("a"), None, Precondition::None).await.unwrap();
    assert!(matches!(store.copy(stale).await, Err(Error::NoSuchObject)));
    assert!(matches!(store.head(&at("b"), None).await, Err(Error::NoSuchObject)));
    put_plain(&store, "a", b"3").await;
    let mut there = plan(&store, "a", "a", "x").await;
    there.commit.precondition = Precondition::Absent;
    assert!(matches!(store.copy(there).await, Err(Error::PreconditionFailed)));
}

pub(crate) async fn a_body_lives_as_long_as_one_copy(store: Store) {
    with_bucket(&store).await;
    let body = noise(300_000, 6);
    put_plain(&store, "a", &body).await;
    for to in ["b", "c"] {
        store.copy(plan(&store, "a", to, "x").await).await.unwrap();
    }
    store.delete(&at("a"), None, Precondition::None).await.unwrap();
    assert_eq!(body_of(&store, "b").await.unwrap(), body);
    put_plain(&store, "b", b"new").await;
    assert_eq!(body_of(&store, "c").await.unwrap(), body);
}
