//! Promises about bodies that grow.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use futures::future::join_all;

use super::{Store, at, body_of, metadata, noise, put, put_plain, read, with_bucket};
use crate::store::{
    CipherOffset, Commit, CopyPlan, Deleted, Error, Growth, NewMetadata, Precondition, StoredObject, StoredTag,
    Versioning,
};

/// Replaces what lies behind `keep`.
pub(crate) async fn grow(
    store: &Store,
    key: &str,
    was: &StoredTag,
    keep: u64,
    end: &[u8],
) -> Result<StoredObject, Error> {
    let growth = Growth { was: was.clone(), keep: CipherOffset(keep), metadata: metadata("grown") };
    let mut writer = store.append(&at(key), growth).await?;
    for chunk in end.chunks(50_000) {
        writer.write(Bytes::copy_from_slice(chunk)).await?;
    }
    writer.commit(Commit { summary: Bytes::from_static(b"grown"), ..Commit::default() }).await
}

pub(crate) async fn the_beginning_stays_and_the_end_is_replaced(store: Store) {
    with_bucket(&store).await;
    for len in [0_usize, 10, 20_000, 400_000] {
        for added in [0_usize, 7, 30_000, 300_000] {
            let body = noise(len, 1);
            let mut tag = put_plain(&store, "a", &body).await;
            for keep in [len, len / 2, len / 3, 0] {
                let end = noise(added, keep as u64 + 2);
                let before = store.head(&at("a"), None).await.unwrap();
                let grown = grow(&store, "a", &tag, keep as u64, &end).await.unwrap();
                let whole = [&body[..keep], &end].concat();
                assert_eq!(grown.len, CipherOffset(whole.len() as u64));
                assert_eq!((&grown.metadata, &grown.summary[..]), (&metadata("grown"), &b"grown"[..]));
                assert_eq!(grown.version, before.version);
                assert!(grown.tag != tag && grown.modified >= before.modified);
                assert_eq!(body_of(&store, "a").await.unwrap(), whole, "{keep} of {len} and {added} more");
                let head = store.head(&at("a"), None).await.unwrap();
                assert_eq!((head.tag, head.len, head.metadata), (grown.tag.clone(), grown.len, grown.metadata));
                tag = grown.tag;
            }
        }
    }
}

pub(crate) async fn many_pieces_make_one_body(store: Store) {
    with_bucket(&store).await;
    let mut tag = put_plain(&store, "a", b"").await;
    let mut whole = Vec::new();
    for (nth, len) in [5_usize, 20_000, 1, 70_000, 16_384, 3, 100_000, 2].into_iter().enumerate() {
        // Each append leaves something behind what the next one keeps.
        let piece = noise(len, nth as u64);
        let end = [&piece[..], b"manifest"].concat();
        tag = grow(&store, "a", &tag, whole.len() as u64, &end).await.unwrap().tag;
        whole.extend_from_slice(&piece);
    }
    let len = whole.len() as u64;
    let open = store.open(&at("a"), None).await.unwrap();
    assert_eq!(open.object().len, CipherOffset(len + 8));
    for (from, to) in [(0, len), (4, 6), (20_004, 20_007), (90_000, 110_000), (len - 3, len)] {
        let slice = whole[usize::try_from(from).unwrap()..usize::try_from(to).unwrap()].to_vec();
        assert_eq!(read(&*open, from, to, 4096).await.unwrap(), slice, "{from}..{to}");
    }
}

pub(crate) async fn what_has_changed_does_not_grow(store: Store) {
    with_bucket(&store).await;
    let changed = |outcome: Result<StoredObject, Error>| assert!(matches!(outcome, Err(Error::Changed)), "{outcome:?}");
    changed(grow(&store, "absent", &StoredTag("0".into()), 0, b"x").await);
    let stale = put_plain(&store, "a", b"1").await;
    put_plain(&store, "a", b"2").await;
    changed(grow(&store, "a", &stale, 1, b"x").await);
    // Between the beginning and the commit.
    does_not_grow_after(
        store,
        vec![
            ("replaced", Box::new(|store, _| Box::pin(async move { drop(put_plain(&store, "a", b"3").await) }))),
            (
                "grown",
                Box::new(|store, was| Box::pin(async move { drop(grow(&store, "a", &was, 1, b"y").await.unwrap()) })),
            ),
            (
                "deleted",
                Box::new(|store, _| {
                    Box::pin(async move { drop(store.delete(&at("a"), None, Precondition::None).await.unwrap()) })
                }),
            ),
        ],
    )
    .await;
}

pub(crate) async fn what_has_new_metadata_does_not_grow(store: Store) {
    with_bucket(&store).await;
    let act: Act = Box::new(|store, was| {
        Box::pin(async move {
            let new = NewMetadata { version: None, was, metadata: metadata("m"), summary: Bytes::new() };
            store.set_metadata(&at("a"), new).await.unwrap();
        })
    });
    does_not_grow_after(store, vec![("new metadata", act)]).await;
}

/// What somebody does to an object between the beginning and the commit of an append.
type Act = Box<dyn Fn(Store, StoredTag) -> futures::future::BoxFuture<'static, ()>>;

async fn does_not_grow_after(store: Store, acts: Vec<(&str, Act)>) {
    for (name, act) in acts {
        for len in [1_usize, 300_000] {
            let tag = put_plain(&store, "a", b"0").await;
            let growth = Growth { was: tag.clone(), keep: CipherOffset(1), metadata: metadata("late") };
            let mut writer = store.append(&at("a"), growth).await.unwrap();
            writer.write(Bytes::from(noise(len, 9))).await.unwrap();
            act(store.clone(), tag).await;
            let there = store.head(&at("a"), None).await.ok().map(|object| object.tag);
            let outcome = writer.commit(Commit::default()).await;
            assert!(matches!(outcome, Err(Error::Changed)), "{name}: {outcome:?}");
            assert_eq!(store.head(&at("a"), None).await.ok().map(|object| object.tag), there, "{name}");
        }
    }
}

pub(crate) async fn more_than_there_is_cannot_be_kept(store: Store) {
    with_bucket(&store).await;
    let tag = put_plain(&store, "a", b"0123").await;
    assert!(matches!(grow(&store, "a", &tag, 5, b"x").await, Err(Error::Corrupt(_))));
    assert_eq!(body_of(&store, "a").await.unwrap(), b"0123");
}

pub(crate) async fn a_dropped_append_changes_nothing(store: Store) {
    with_bucket(&store).await;
    let tag = put_plain(&store, "a", b"old").await;
    for len in [10, 2_000_000] {
        let growth = Growth { was: tag.clone(), keep: CipherOffset(1), metadata: metadata("m") };
        let mut writer = store.append(&at("a"), growth).await.unwrap();
        writer.write(Bytes::from(noise(len, 1))).await.unwrap();
        drop(writer);
        assert_eq!(body_of(&store, "a").await.unwrap(), b"old");
        assert_eq!(store.head(&at("a"), None).await.unwrap().tag, tag);
    }
}

pub(crate) async fn who_has_it_open_reads_on_what_was_there(store: Store) {
    with_bucket(&store).await;
    let body = noise(300_000, 1);
    let mut tag = put_plain(&store, "a", &body).await;
    let mut opened = vec![(store.open(&at("a"), None).await.unwrap(), body.clone())];
    let mut whole = body;
    for nth in 0..6_usize {
        // By turns only added to, and cut back to far before what was there.
        let keep = if nth % 2 == 0 { whole.len() } else { whole.len() / 2 };
        let end = noise(if nth % 3 == 0 { 100 } else { 120_000 }, nth as u64 + 10);
        tag = grow(&store, "a", &tag, keep as u64, &end).await.unwrap().tag;
        whole.truncate(keep);
        whole.extend_from_slice(&end);
        opened.push((store.open(&at("a"), None).await.unwrap(), whole.clone()));
    }
    assert_eq!(store.delete(&at("a"), None, Precondition::None).await.unwrap(), Deleted::Gone { marker: false });
    for (nth, (open, was)) in opened.iter().enumerate() {
        assert_eq!(open.object().len, CipherOffset(was.len() as u64));
        assert_eq!(&read(&**open, 0, was.len() as u64, 65_536).await.unwrap(), was, "state {nth}");
    }
}

async fn copy(store: &Store, from: &str, to: &str) -> StoredTag {
    let source = (at(from), None, store.head(&at(from), None).await.unwrap().tag);
    let plan = CopyPlan { source, target: at(to), metadata: metadata("copy"), commit: Commit::default() };
    store.copy(plan).await.unwrap().tag
}

pub(crate) async fn a_copy_and_its_source_grow_apart(store: Store) {
    with_bucket(&store).await;
    for len in [10_usize, 200_000] {
        let (body, one, two) = (noise(len, 1), noise(50_000, 2), noise(9, 3));
        let tag = put_plain(&store, "a", &body).await;
        let copied = copy(&store, "a", "b").await;
        let tag = grow(&store, "a", &tag, len as u64, &one).await.unwrap().tag;
        assert_eq!(body_of(&store, "b").await.unwrap(), body, "a copy does not grow with its source");
        grow(&store, "b", &copied, len as u64 / 2, &two).await.unwrap();
        let grown = [&body[..], &one].concat();
        assert_eq!(body_of(&store, "a").await.unwrap(), grown);
        assert_eq!(body_of(&store, "b").await.unwrap(), [&body[..len / 2], &two].concat());
        // A copy of what has grown, whose source grows on and is deleted.
        copy(&store, "a", "c").await;
        grow(&store, "a", &tag, 3, b"short").await.unwrap();
        store.delete(&at("a"), None, Precondition::None).await.unwrap();
        assert_eq!(body_of(&store, "c").await.unwrap(), grown);
        let tag = store.head(&at("c"), None).await.unwrap().tag;
        grow(&store, "c", &tag, grown.len() as u64, &two).await.unwrap();
        assert_eq!(body_of(&store, "c").await.unwrap(), [&grown[..], &two].concat());
    }
}

pub(crate) async fn a_version_grows_in_place_and_only_the_current_one(store: Store) {
    let name = with_bucket(&store).await;
    store.set_versioning(&name, Versioning::Enabled).await.unwrap();
    let first = put(&store, &at("a"), &noise(60_000, 1), Commit::default()).await.unwrap();
    let second = put(&store, &at("a"), b"second", Commit::default()).await.unwrap();
    assert!(matches!(grow(&store, "a", &first.tag, 1, b"x").await, Err(Error::Changed)), "it is not the current one");
    let grown = grow(&store, "a", &second.tag, 6, &noise(60_000, 2)).await.unwrap();
    // A store that is somebody else's gives it a new name of its own behind the dot.
    assert_eq!(grown.version.write(), second.version.write());
    let page =
        store.list_versions(&name, crate::store::VersionQuery { limit: 10, ..Default::default() }).await.unwrap();
    assert_eq!(page.entries.len(), 2, "no version is kept of what it was");
    let old = store.open(&at("a"), Some(&first.version)).await.unwrap();
    assert_eq!(read(&*old, 0, 60_000, 4096).await.unwrap(), noise(60_000, 1));
    store.delete(&at("a"), None, Precondition::None).await.unwrap();
    assert!(matches!(grow(&store, "a", &grown.tag, 6, b"x").await, Err(Error::Changed)), "a marker does not grow");
    let still = store.open(&at("a"), Some(&grown.version)).await.unwrap();
    assert_eq!(read(&*still, 0, 6, 4096).await.unwrap(), b"second");
    // Suspended, what has an id of its own keeps it.
    store.set_versioning(&name, Versioning::Suspended).await.unwrap();
    let null = put(&store, &at("a"), b"null", Commit::default()).await.unwrap();
    assert!(grow(&store, "a", &null.tag, 4, b"!").await.unwrap().version.is_null());
}

pub(crate) async fn of_many_appends_to_one_state_one_is_made(store: Store) {
    with_bucket(&store).await;
    let mut tag = put_plain(&store, "a", b"").await;
    let mut whole: Vec<u8> = Vec::new();
    for round in 0..12_usize {
        let len = if round % 2 == 0 { 10 } else { 40_000 };
        let appends = (0..8_u64).map(|nth| {
            let (store, tag, keep) = (store.clone(), tag.clone(), whole.len() as u64);
            tokio::spawn(async move { grow(&store, "a", &tag, keep, &noise(len, nth)).await })
        });
        let outcomes: Vec<_> = join_all(appends).await.into_iter().map(Result::unwrap).collect();
        let winners: Vec<usize> = (0..8).filter(|&nth| outcomes[nth].is_ok()).collect();
        assert_eq!(winners.len(), 1);
        assert!(outcomes.iter().all(|outcome| matches!(outcome, Ok(_) | Err(Error::Changed))));
        whole.extend_from_slice(&noise(len, winners[0] as u64));
        tag = store.head(&at("a"), None).await.unwrap().tag;
        assert_eq!(body_of(&store, "a").await.unwrap(), whole);
    }
}

pub(crate) async fn readers_see_a_state_and_never_a_mix_of_two(store: Store) {
    with_bucket(&store).await;
    // Every state is of one byte, repeated, and all states have one length, so that no length tells them apart.
    const LEN: usize = 50_000;
    let state = |nth: u8| vec![nth; LEN];
    let mut tag = put_plain(&store, "a", &state(0)).await;
    let done = Arc::new(AtomicBool::new(false));
    let readers: Vec<_> = (0..4)
        .map(|_| {
            let (store, done) = (store.clone(), done.clone());
            tokio::spawn(async move {
                let mut seen = 0;
                while !done.load(Ordering::SeqCst) || seen == 0 {
                    let open = store.open(&at("a"), None).await.unwrap();
                    let summary = open.object().summary.clone();
                    let body = read(&*open, 0, LEN as u64, 16_384).await.unwrap();
                    let nth = summary.first().copied().unwrap_or_default();
                    assert_eq!(body, state(nth), "the body is not the one of the record");
                    seen += 1;
                }
            })
        })
        .collect();
    for nth in 1..=120_u8 {
        let growth = Growth { was: tag.clone(), keep: CipherOffset(0), metadata: metadata("m") };
        let mut writer = store.append(&at("a"), growth).await.unwrap();
        writer.write(Bytes::from(state(nth))).await.unwrap();
        let summary = Bytes::copy_from_slice(&[nth]);
        tag = writer.commit(Commit { summary, ..Commit::default() }).await.unwrap().tag;
    }
    done.store(true, Ordering::SeqCst);
    for reader in readers {
        reader.await.unwrap();
    }
}
