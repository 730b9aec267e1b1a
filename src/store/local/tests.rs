//! What the local store promises beyond the contract: what is on disk, and what a restart finds.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use tempfile::TempDir;

use super::LocalStore;
use super::rebuild::{Rebuilt, rebuild};
use crate::store::contract::appends::grow;
use crate::store::contract::uploads::{complete, send, start, upload};
use crate::store::contract::{self, Store, at, body_of, metadata, noise, put, put_plain, read, with_bucket};
use crate::store::{
    Ahead, Commit, CopyPlan, Error, Precondition, StoredObject, VersionEntry, VersionQuery, Versioning,
};
use crate::types::{SystemClock, VersionId};

fn open(dir: &Path) -> Result<LocalStore, Error> {
    LocalStore::open(dir, Arc::new(SystemClock))
}

fn fresh() -> (TempDir, Store) {
    let dir = tempfile::tempdir().unwrap();
    let store: Store = Arc::new(open(dir.path()).unwrap());
    (dir, store)
}

contract::suite!(super::fresh);

/// The store both as itself and as the contract's helpers take it.
fn both(dir: &Path) -> (Arc<LocalStore>, Store) {
    let store = Arc::new(open(dir).unwrap());
    (Arc::clone(&store), store)
}

fn body_files(dir: &Path) -> Vec<PathBuf> {
    let parts = std::fs::read_dir(dir.join("bodies")).unwrap();
    parts.flat_map(|part| std::fs::read_dir(part.unwrap().path()).unwrap()).map(|file| file.unwrap().path()).collect()
}

#[tokio::test]
async fn a_second_opening_is_refused_until_the_first_is_dropped() {
    let dir = tempfile::tempdir().unwrap();
    let first = open(dir.path()).unwrap();
    assert!(matches!(open(dir.path()), Err(Error::Unavailable(why)) if why.contains("in use")));
    drop(first);
    open(dir.path()).unwrap();
}

#[tokio::test]
async fn a_restart_finds_everything() {
    let dir = tempfile::tempdir().unwrap();
    let (up, large) = (upload("parts", 1), noise(300_000, 1));
    let (part, before) = {
        let (_, store) = both(dir.path());
        with_bucket(&store).await;
        store.set_bucket_config(&at("x").bucket, "policy", Some(b"p".to_vec())).await.unwrap();
        put_plain(&store, "small", b"small").await;
        put_plain(&store, "large", &large).await;
        start(&store, &up).await;
        (send(&store, &up, 1, b"part").await.unwrap(), store.head(&at("large"), None).await.unwrap())
    };
    let (_, store) = both(dir.path());
    assert_eq!(store.bucket(&at("x").bucket).await.unwrap().configs["policy"], b"p");
    assert_eq!(body_of(&store, "small").await.unwrap(), b"small");
    assert_eq!(body_of(&store, "large").await.unwrap(), large);
    let after = store.head(&at("large"), None).await.unwrap();
    assert_eq!((before.tag, before.modified), (after.tag, after.modified));
    complete(&store, &up, &[&part], b"!").await.unwrap();
    assert_eq!(body_of(&store, "parts").await.unwrap(), b"part!");
}

#[tokio::test]
async fn the_sweep_at_start_takes_orphans_and_nothing_else() {
    let dir = tempfile::tempdir().unwrap();
    let body = noise(100_000, 1);
    {
        let (_, store) = both(dir.path());
        with_bucket(&store).await;
        put_plain(&store, "a", &body).await;
        start(&store, &upload("b", 1)).await;
        send(&store, &upload("b", 1), 1, b"part").await.unwrap();
    }
    let orphan = dir.path().join("bodies/ab").join(format!("ab{}", "0".repeat(30)));
    let foreign = dir.path().join("bodies/ab/README");
    std::fs::write(&orphan, b"cut").unwrap();
    std::fs::write(&foreign, b"not ours").unwrap();
    let (local, store) = both(dir.path());
    local.collect_garbage().await;
    assert!(!orphan.exists() && foreign.exists());
    assert_eq!(body_files(dir.path()).len(), 3);
    assert_eq!(body_of(&store, "a").await.unwrap(), body);
}

#[tokio::test]
async fn given_up_and_refused_writes_leave_no_file() {
    let dir = tempfile::tempdir().unwrap();
    let (local, store) = both(dir.path());
    with_bucket(&store).await;
    let big = Bytes::from(noise(1_000_000, 1));
    let mut dropped = store.put(&at("a"), metadata("m"), Ahead::default()).await.unwrap();
    dropped.write(big.clone()).await.unwrap();
    dropped.write(big.clone()).await.unwrap();
    drop(dropped);
    let refused =
        Commit { precondition: Precondition::Is(crate::store::StoredTag(String::new())), ..Commit::default() };
    assert!(put(&store, &at("a"), &big, refused).await.is_err());
    start(&store, &upload("a", 1)).await;
    let mut late = store.put_part(&upload("a", 1), crate::types::PartNumber::FIRST, None).await.unwrap();
    late.write(big).await.unwrap();
    store.abort(&upload("a", 1)).await.unwrap();
    assert!(late.commit(Bytes::new()).await.is_err());
    // The dropped writer's last batch may still be on its way; its file goes when that ends.
    for _ in 0..500 {
        local.collect_garbage().await;
        if body_files(dir.path()).is_empty() {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    panic!("left: {:?}", body_files(dir.path()));
}

#[tokio::test]
async fn dead_bodies_go_when_their_last_reader_does() {
    let dir = tempfile::tempdir().unwrap();
    let (local, store) = both(dir.path());
    with_bucket(&store).await;
    let body = noise(900_000, 1);
    put_plain(&store, "a", &body).await;
    let reader = store.open(&at("a"), None).await.unwrap();
    put_plain(&store, "a", b"small").await;
    local.collect_garbage().await;
    assert_eq!(body_files(dir.path()).len(), 1, "a body that is read stays");
    assert_eq!(read(&*reader, 0, 900_000, 4096).await.unwrap(), body);
    drop(reader);
    local.collect_garbage().await;
    assert!(body_files(dir.path()).is_empty());
}

#[tokio::test]
async fn nothing_is_left_of_copies_and_uploads_when_all_is_deleted() {
    let dir = tempfile::tempdir().unwrap();
    let (local, store) = both(dir.path());
    with_bucket(&store).await;
    let up = upload("a", 1);
    start(&store, &up).await;
    let old = send(&store, &up, 1, &noise(50_000, 1)).await.unwrap();
    let new = send(&store, &up, 1, &noise(50_000, 2)).await.unwrap();
    send(&store, &up, 2, b"never named").await.unwrap();
    assert_ne!(old.tag, new.tag);
    let done = complete(&store, &up, &[&new], b"m").await.unwrap();
    for target in ["b", "b", "a"] {
        let source = (at("a"), None, done.tag.clone());
        let plan = CopyPlan { source, target: at(target), metadata: metadata("c"), commit: Commit::default() };
        store.copy(plan).await.unwrap();
    }
    local.collect_garbage().await;
    // The part and the manifest, which all three share.
    assert_eq!(body_files(dir.path()).len(), 2);
    for key in ["a", "b"] {
        store.delete(&at(key), None, Precondition::None).await.unwrap();
    }
    local.collect_garbage().await;
    assert!(body_files(dir.path()).is_empty());
    store.delete_bucket(&at("a").bucket).await.unwrap();
}

/// The rows that the objects of the bucket take.
fn object_rows(local: &LocalStore) -> usize {
    let bucket = super::keyspace::bucket_prefix(&at("x").bucket);
    let mut rows = local.core.db.iter(super::database::Table::Objects, &bucket).unwrap();
    rows.seek(&bucket);
    std::iter::from_fn(|| {
        let there = rows.item().is_some();
        rows.next();
        there.then_some(())
    })
    .count()
}

#[tokio::test]
async fn a_bucket_without_versions_has_one_row_for_each_object() {
    let dir = tempfile::tempdir().unwrap();
    let (local, store) = both(dir.path());
    let name = with_bucket(&store).await;
    for key in ["a", "b", "a", "a"] {
        put_plain(&store, key, b"1").await;
    }
    assert_eq!(object_rows(&local), 2);
    store.set_versioning(&name, Versioning::Enabled).await.unwrap();
    put_plain(&store, "a", b"2").await;
    // The older version and where it stands.
    assert_eq!(object_rows(&local), 4);
    store.delete(&at("a"), None, Precondition::None).await.unwrap();
    store.set_versioning(&name, Versioning::Suspended).await.unwrap();
    put_plain(&store, "a", b"3").await;
    assert_eq!(object_rows(&local), 6, "the null version was replaced");
    let page = store.list_versions(&name, all_versions()).await.unwrap();
    for entry in page.entries {
        let (key, version) = named(&entry);
        store.delete(&at(key), Some(version), Precondition::None).await.unwrap();
    }
    assert_eq!(object_rows(&local), 0);
}

fn all_versions() -> VersionQuery {
    VersionQuery { limit: 1000, ..VersionQuery::default() }
}

fn named(entry: &VersionEntry) -> (&str, &VersionId) {
    match entry {
        VersionEntry::Object { key, object, .. } => (key.as_str(), &object.version),
        VersionEntry::Marker { key, version, .. } => (key.as_str(), version),
        VersionEntry::Prefix(_) => panic!("no delimiter was asked for"),
    }
}

/// Three versions of a key, one of them shared by a copy, and the null version under them; all of them in files.
async fn some_versions(store: &Store) -> Vec<StoredObject> {
    let name = with_bucket(store).await;
    put_plain(store, "a", &noise(100_000, 0)).await;
    store.set_versioning(&name, Versioning::Enabled).await.unwrap();
    let mut versions = Vec::new();
    for seed in 1..=3 {
        versions.push(put(store, &at("a"), &noise(100_000, seed), Commit::default()).await.unwrap());
    }
    let source = (at("a"), Some(versions[0].version.clone()), versions[0].tag.clone());
    let plan = CopyPlan { source, target: at("copy"), metadata: metadata("c"), commit: Commit::default() };
    store.copy(plan).await.unwrap();
    versions
}

#[tokio::test]
async fn the_files_of_versions_go_with_the_last_that_names_them() {
    let dir = tempfile::tempdir().unwrap();
    let (local, store) = both(dir.path());
    let versions = some_versions(&store).await;
    let reader = store.open(&at("a"), Some(&versions[1].version)).await.unwrap();
    let left = async || {
        local.collect_garbage().await;
        body_files(dir.path()).len()
    };
    // Each step: what is deleted for good, and how many files there are then.
    assert_eq!(left().await, 4);
    store.delete(&at("a"), None, Precondition::None).await.unwrap();
    assert_eq!(left().await, 4, "a marker hides and frees nothing");
    store.delete(&at("a"), Some(&versions[0].version), Precondition::None).await.unwrap();
    assert_eq!(left().await, 4, "the copy has that body too");
    store.delete(&at("a"), Some(&versions[1].version), Precondition::None).await.unwrap();
    assert_eq!(left().await, 4, "it is being read");
    assert_eq!(read(&*reader, 0, 100_000, 4096).await.unwrap(), noise(100_000, 2));
    drop(reader);
    assert_eq!(left().await, 3);
    store.set_versioning(&at("a").bucket, Versioning::Suspended).await.unwrap();
    put_plain(&store, "a", b"inline").await;
    assert_eq!(left().await, 2, "the null version was replaced");
    for entry in store.list_versions(&at("a").bucket, all_versions()).await.unwrap().entries {
        let (key, version) = named(&entry);
        store.delete(&at(key), Some(version), Precondition::None).await.unwrap();
    }
    assert_eq!(left().await, 0);
    store.delete_bucket(&at("a").bucket).await.unwrap();
}

#[tokio::test]
async fn a_rebuild_brings_versions_and_markers_back_in_their_order() {
    let dir = tempfile::tempdir().unwrap();
    let before = {
        let (local, store) = both(dir.path());
        let versions = some_versions(&store).await;
        local.checkpoint().await.unwrap();
        store.delete(&at("a"), None, Precondition::None).await.unwrap();
        store.delete(&at("a"), Some(&versions[1].version), Precondition::None).await.unwrap();
        put_plain(&store, "a", b"newest").await;
        store.delete(&at("copy"), None, Precondition::None).await.unwrap();
        format!("{:?}", store.list_versions(&at("a").bucket, all_versions()).await.unwrap())
    };
    std::fs::remove_dir_all(dir.path().join("db")).unwrap();
    assert!(rebuild(dir.path()).unwrap().damaged.is_empty());
    let (local, store) = both(dir.path());
    let page = store.list_versions(&at("a").bucket, all_versions()).await.unwrap();
    assert_eq!(format!("{page:?}"), before);
    assert_eq!(page.entries.len(), 7);
    assert_eq!(store.bucket(&at("a").bucket).await.unwrap().versioning, Versioning::Enabled);
    for entry in page.entries {
        if let VersionEntry::Object { key, object, .. } = entry {
            let open = store.open(&at(key.as_str()), Some(&object.version)).await.unwrap();
            assert_eq!(read(&*open, 0, object.len.0, 4096).await.unwrap().len() as u64, object.len.0);
        }
    }
    // What was deleted before the loss is gone, and a version placed now is newer than all of them.
    local.collect_garbage().await;
    assert_eq!(body_files(dir.path()).len(), 3);
    let newest = put(&store, &at("a"), b"after", Commit::default()).await.unwrap();
    let page = store.list_versions(&at("a").bucket, all_versions()).await.unwrap();
    assert_eq!(named(&page.entries[0]), ("a", &newest.version));
}

#[tokio::test]
async fn after_a_failed_sync_reads_go_on_and_writes_do_not() {
    let dir = tempfile::tempdir().unwrap();
    let (local, store) = both(dir.path());
    with_bucket(&store).await;
    put_plain(&store, "a", b"acked").await;
    let mut writer = store.put(&at("a"), metadata("m"), Ahead::default()).await.unwrap();
    writer.write(Bytes::from_static(b"not acked")).await.unwrap();
    local.core.health.fail("a test says so".to_owned());
    let refused = [
        writer.commit(Commit::default()).await.err(),
        store.put(&at("b"), metadata("m"), Ahead::default()).await.err(),
        store.delete(&at("a"), None, Precondition::None).await.err(),
        store.create_bucket(contract::bucket("other")).await.err(),
        store.create_upload(&upload("a", 1), metadata("m"), Bytes::new()).await.err(),
        local
            .committer
            .change(|change| super::versions::delete(change, &at("a"), None, &Precondition::None, [1; 16]))
            .await
            .err(),
    ];
    for (nth, error) in refused.into_iter().enumerate() {
        assert!(matches!(error, Some(Error::ReadOnly(_))), "call {nth}: {error:?}");
    }
    assert_eq!(body_of(&store, "a").await.unwrap(), b"acked");
}

#[tokio::test]
async fn a_missing_or_cut_body_file_is_corrupt_and_never_a_short_body() {
    let dir = tempfile::tempdir().unwrap();
    let (_, store) = both(dir.path());
    with_bucket(&store).await;
    put_plain(&store, "a", &noise(500_000, 1)).await;
    let path = body_files(dir.path()).remove(0);
    File::options().write(true).open(&path).unwrap().set_len(300_000).unwrap();
    assert!(matches!(body_of(&store, "a").await, Err(Error::Corrupt(_))));
    std::fs::remove_file(&path).unwrap();
    assert!(matches!(body_of(&store, "a").await, Err(Error::Corrupt(_))));
}

#[tokio::test]
async fn a_change_that_panics_is_taken_back_and_the_committer_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    let (local, store) = both(dir.path());
    with_bucket(&store).await;
    let broken = local.committer.change(|change| -> Result<(), Error> {
        change.mark(super::database::Table::Files, vec![1; 16]);
        panic!("a bug");
    });
    assert!(matches!(broken.await, Err(Error::Unavailable(_))));
    put_plain(&store, "a", b"after").await;
    assert!(local.core.db.get(super::database::Table::Files, &[1; 16]).unwrap().is_none());
}

#[tokio::test]
async fn a_refused_change_leaves_no_trace_in_its_group() {
    let dir = tempfile::tempdir().unwrap();
    let (local, store) = both(dir.path());
    with_bucket(&store).await;
    let refused = local.committer.change(|change| -> Result<(), Error> {
        change.delete(super::database::Table::Buckets, at("a").bucket.as_str().as_bytes().to_vec());
        change.after(|core| core.remember_bucket(at("a").bucket, None));
        Err(Error::Changed)
    });
    let target = at("a");
    let (refused, put) = tokio::join!(refused, put(&store, &target, b"1", Commit::default()));
    assert!(matches!(refused, Err(Error::Changed)) && put.is_ok());
    assert!(store.bucket(&at("a").bucket).await.is_ok());
}

/// A store with one of everything, and what must not come back; the keys that must.
async fn one_of_everything(local: &LocalStore, store: &Store) -> Vec<(&'static str, Vec<u8>)> {
    with_bucket(store).await;
    store.create_bucket(contract::bucket("deleted")).await.unwrap();
    store.set_bucket_config(&at("x").bucket, "policy", Some(b"p".to_vec())).await.unwrap();
    let large = noise(300_000, 1);
    for key in ["small", "again", "gone-before"] {
        put_plain(store, key, b"first").await;
    }
    let tag = put_plain(store, "large", &large).await;
    put_plain(store, "gone-large", &large).await;
    put_plain(store, "gone-after", b"x").await;
    store.delete(&at("gone-before"), None, Precondition::None).await.unwrap();
    // The first half is in a base, the other half in the logs after it.
    local.checkpoint().await.unwrap();
    store.delete(&at("gone-after"), None, Precondition::None).await.unwrap();
    store.delete(&at("gone-large"), None, Precondition::None).await.unwrap();
    store.delete_bucket(&contract::bucket("deleted").name).await.unwrap();
    put_plain(store, "again", b"second").await;
    let source = (at("large"), None, tag);
    let plan = CopyPlan { source, target: at("copy"), metadata: metadata("c"), commit: Commit::default() };
    store.copy(plan).await.unwrap();
    start(store, &upload("parts", 1)).await;
    let part = send(store, &upload("parts", 1), 1, &large).await.unwrap();
    complete(store, &upload("parts", 1), &[&part], b"!").await.unwrap();
    start(store, &upload("open", 2)).await;
    send(store, &upload("open", 2), 1, b"part").await.unwrap();
    let parts = [&large[..], b"!"].concat();
    let small = |bytes: &[u8]| bytes.to_vec();
    vec![
        ("again", small(b"second")),
        ("copy", large.clone()),
        ("large", large.clone()),
        ("parts", parts),
        ("small", small(b"first")),
    ]
}

#[tokio::test]
async fn a_rebuild_brings_back_what_was_acknowledged_and_nothing_that_was_deleted() {
    let dir = tempfile::tempdir().unwrap();
    let (objects, heads) = {
        let (local, store) = both(dir.path());
        let objects = one_of_everything(&local, &store).await;
        let mut heads = Vec::new();
        for (key, _) in &objects {
            heads.push(store.head(&at(key), None).await.unwrap());
        }
        (objects, heads)
    };
    std::fs::remove_dir_all(dir.path().join("db")).unwrap();
    let rebuilt = rebuild(dir.path()).unwrap();
    assert_eq!(rebuilt, Rebuilt { buckets: 1, objects: 5, uploads: 1, damaged: Vec::new() });
    let (local, store) = both(dir.path());
    local.collect_garbage().await;
    let listed =
        store.list(&at("x").bucket, crate::store::ListQuery { limit: 100, ..Default::default() }).await.unwrap();
    assert_eq!(listed.entries.len(), objects.len());
    for ((key, body), before) in objects.iter().zip(heads) {
        assert_eq!(body_of(&store, key).await.unwrap(), *body, "{key}");
        let after = store.head(&at(key), None).await.unwrap();
        assert_eq!((after.tag, after.modified, after.metadata), (before.tag, before.modified, before.metadata));
        assert_eq!((after.summary, after.len), (before.summary, before.len));
    }
    assert_eq!(store.bucket(&at("x").bucket).await.unwrap().configs["policy"], b"p");
    assert_eq!(store.parts(&upload("open", 2), None, 10).await.unwrap().parts.len(), 1);
}

#[tokio::test]
async fn a_rebuild_names_objects_whose_files_are_gone_and_never_overwrites_a_database() {
    let dir = tempfile::tempdir().unwrap();
    {
        let (_, store) = both(dir.path());
        with_bucket(&store).await;
        put_plain(&store, "whole", b"inline").await;
        put_plain(&store, "a/lost", &noise(100_000, 1)).await;
    }
    assert!(matches!(rebuild(dir.path()), Err(Error::Unavailable(why)) if why.contains("move it away")));
    std::fs::remove_file(body_files(dir.path()).remove(0)).unwrap();
    std::fs::rename(dir.path().join("db"), dir.path().join("db.lost")).unwrap();
    let rebuilt = rebuild(dir.path()).unwrap();
    assert_eq!((rebuilt.objects, rebuilt.damaged), (2, vec!["contract/a/lost".to_owned()]));
    let (_, store) = both(dir.path());
    assert!(matches!(rebuild(dir.path()), Err(Error::Unavailable(why)) if why.contains("in use")));
    assert_eq!(body_of(&store, "whole").await.unwrap(), b"inline");
}

#[tokio::test]
async fn a_lost_or_damaged_journal_is_noticed_at_start() {
    let dir = tempfile::tempdir().unwrap();
    {
        let (_, store) = both(dir.path());
        with_bucket(&store).await;
        put_plain(&store, "a", b"1").await;
        put_plain(&store, "b", b"2").await;
    }
    let journal = dir.path().join("journal");
    std::fs::rename(&journal, dir.path().join("away")).unwrap();
    assert!(matches!(open(dir.path()), Err(Error::Corrupt(_))));
    std::fs::remove_dir_all(&journal).unwrap();
    std::fs::rename(dir.path().join("away"), &journal).unwrap();
    assert_eq!(body_of(&both(dir.path()).1, "b").await.unwrap(), b"2");
}

#[tokio::test]
async fn checkpoints_under_load_lose_nothing() {
    let dir = tempfile::tempdir().unwrap();
    {
        let (local, store) = both(dir.path());
        with_bucket(&store).await;
        for round in 0..5_u8 {
            let mut writes = tokio::task::JoinSet::new();
            for n in 0..20_u8 {
                let store = Arc::clone(&store);
                writes.spawn(async move { put_plain(&store, &format!("key-{n}"), &[round, n]).await });
            }
            let (done, base) = tokio::join!(writes.join_all(), local.checkpoint());
            assert_eq!(done.len(), 20);
            base.unwrap();
        }
    }
    std::fs::remove_dir_all(dir.path().join("db")).unwrap();
    assert_eq!(rebuild(dir.path()).unwrap().objects, 20);
    let (_, store) = both(dir.path());
    for n in 0..20_u8 {
        assert_eq!(body_of(&store, &format!("key-{n}")).await.unwrap(), [4, n]);
    }
}

#[tokio::test]
async fn what_an_append_drops_goes_when_its_last_reader_does_and_what_stays_is_no_other_file() {
    let dir = tempfile::tempdir().unwrap();
    let (local, store) = both(dir.path());
    with_bucket(&store).await;
    let body = noise(100_000, 1);
    let tag = put_plain(&store, "a", &body).await;
    let first = body_files(dir.path()).remove(0);
    let inode = |path: &Path| std::os::unix::fs::MetadataExt::ino(&std::fs::metadata(path).unwrap());
    let (kept, written) = (inode(&first), std::fs::metadata(&first).unwrap().modified().unwrap());

    let tag = grow(&store, "a", &tag, 90_000, &noise(50_000, 2)).await.unwrap().tag;
    local.collect_garbage().await;
    assert_eq!(body_files(dir.path()).len(), 2, "the old file, of which the beginning stays, and the new one");
    assert_eq!((inode(&first), std::fs::metadata(&first).unwrap().modified().unwrap()), (kept, written));

    let reader = store.open(&at("a"), None).await.unwrap();
    let tag = grow(&store, "a", &tag, 90_000, &noise(50_000, 3)).await.unwrap().tag;
    local.collect_garbage().await;
    assert_eq!(body_files(dir.path()).len(), 3, "what was dropped is being read");
    assert_eq!(read(&*reader, 90_000, 140_000, 4096).await.unwrap(), noise(50_000, 2));
    drop(reader);
    local.collect_garbage().await;
    assert_eq!(body_files(dir.path()).len(), 2);

    grow(&store, "a", &tag, 0, b"inline").await.unwrap();
    local.collect_garbage().await;
    assert!(body_files(dir.path()).is_empty(), "nothing of the files stays");
    store.delete(&at("a"), None, Precondition::None).await.unwrap();
    store.delete_bucket(&at("a").bucket).await.unwrap();
}

#[tokio::test]
async fn a_body_that_a_copy_shares_is_linked_and_not_written_again() {
    let dir = tempfile::tempdir().unwrap();
    let (local, store) = both(dir.path());
    with_bucket(&store).await;
    let body = noise(100_000, 1);
    let tag = put_plain(&store, "a", &body).await;
    let source = (at("a"), None, tag.clone());
    let plan = CopyPlan { source, target: at("b"), metadata: metadata("c"), commit: Commit::default() };
    store.copy(plan).await.unwrap();
    grow(&store, "a", &tag, 100_000, b"more").await.unwrap();
    local.collect_garbage().await;
    let inodes: std::collections::BTreeSet<u64> = body_files(dir.path())
        .iter()
        .map(|path| std::os::unix::fs::MetadataExt::ino(&std::fs::metadata(path).unwrap()))
        .collect();
    assert_eq!((body_files(dir.path()).len(), inodes.len()), (2, 1), "one file under two names");
    store.delete(&at("b"), None, Precondition::None).await.unwrap();
    local.collect_garbage().await;
    assert_eq!(body_files(dir.path()).len(), 1);
    assert_eq!(body_of(&store, "a").await.unwrap(), [&body[..], b"more"].concat());
    store.delete(&at("a"), None, Precondition::None).await.unwrap();
    local.collect_garbage().await;
    assert!(body_files(dir.path()).is_empty());
}

#[tokio::test]
async fn refused_appends_leave_no_file() {
    let dir = tempfile::tempdir().unwrap();
    let (local, store) = both(dir.path());
    with_bucket(&store).await;
    let tag = put_plain(&store, "a", b"0").await;
    let growth = |was: &crate::store::StoredTag| crate::store::Growth {
        was: was.clone(),
        keep: crate::store::CipherOffset(1),
        metadata: metadata("m"),
    };
    let mut late = store.append(&at("a"), growth(&tag)).await.unwrap();
    late.write(Bytes::from(noise(1_000_000, 1))).await.unwrap();
    put_plain(&store, "a", b"1").await;
    assert!(matches!(late.commit(Commit::default()).await, Err(Error::Changed)));
    local.collect_garbage().await;
    assert!(body_files(dir.path()).is_empty());
}

#[tokio::test]
async fn appends_survive_a_restart_a_checkpoint_and_the_loss_of_the_database() {
    let dir = tempfile::tempdir().unwrap();
    let mut whole = noise(50_000, 0);
    let before = {
        let (local, store) = both(dir.path());
        with_bucket(&store).await;
        let mut tag = put_plain(&store, "a", &whole).await;
        for nth in 1..20_u64 {
            let end = noise(if nth % 4 == 0 { 40_000 } else { 100 }, nth);
            tag = grow(&store, "a", &tag, whole.len() as u64, &end).await.unwrap().tag;
            whole.extend_from_slice(&end);
            if nth == 10 {
                local.checkpoint().await.unwrap();
            }
        }
        store.head(&at("a"), None).await.unwrap()
    };
    {
        let (local, store) = both(dir.path());
        local.collect_garbage().await;
        assert_eq!(body_of(&store, "a").await.unwrap(), whole);
        assert_eq!(store.head(&at("a"), None).await.unwrap().tag, before.tag);
    }
    std::fs::rename(dir.path().join("db"), dir.path().join("db.lost")).unwrap();
    let rebuilt = rebuild(dir.path()).unwrap();
    assert_eq!(rebuilt, Rebuilt { buckets: 1, objects: 1, uploads: 0, damaged: Vec::new() });
    let (local, store) = both(dir.path());
    local.collect_garbage().await;
    assert_eq!(body_of(&store, "a").await.unwrap(), whole);
    let tag = store.head(&at("a"), None).await.unwrap().tag;
    grow(&store, "a", &tag, whole.len() as u64, b"!").await.unwrap();
    assert_eq!(body_of(&store, "a").await.unwrap(), [&whole[..], b"!"].concat());
}
