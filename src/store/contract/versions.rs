//! Promises about buckets that keep versions.

use std::collections::BTreeMap;

use bytes::Bytes;

use super::uploads::{send, start, upload};
use super::{
    Store, at, body_of, given, kept_summary, metadata, noise, put, put_plain, read, with_bucket, with_version,
};
use crate::store::{
    Commit, Completion, CopyPlan, Deleted, Error, Metadata, NewMetadata, Precondition, VersionEntry, VersionQuery,
    Versioning,
};
use crate::types::{ObjectAt, VersionId};

async fn versioned(store: &Store) {
    let name = with_bucket(store).await;
    store.set_versioning(&name, Versioning::Enabled).await.unwrap();
}

async fn read_version(store: &Store, key: &str, version: Option<&VersionId>) -> Result<Vec<u8>, Error> {
    let open = store.open(&at(key), version).await?;
    let len = open.object().len.0;
    read(&*open, 0, len, 4096).await
}

/// The rows of a listing as (key, version, latest, marker).
fn rows(entries: &[VersionEntry]) -> Vec<(String, String, bool, bool)> {
    let row = |entry: &VersionEntry| match entry {
        VersionEntry::Object { key, latest, object } => {
            (key.as_str().to_owned(), object.version.as_str().to_owned(), *latest, false)
        }
        VersionEntry::Marker { key, latest, version, .. } => {
            (key.as_str().to_owned(), version.as_str().to_owned(), *latest, true)
        }
        VersionEntry::Prefix(prefix) => (prefix.clone(), String::new(), false, false),
    };
    entries.iter().map(row).collect()
}

async fn listed(store: &Store, query: VersionQuery) -> Vec<(String, String, bool, bool)> {
    rows(&store.list_versions(&at("x").bucket, query).await.unwrap().entries)
}

fn all() -> VersionQuery {
    VersionQuery { limit: 1000, ..VersionQuery::default() }
}

pub(crate) async fn a_bucket_starts_without_versions_and_never_comes_back_to_that(store: Store) {
    let name = with_bucket(&store).await;
    assert_eq!(store.bucket(&name).await.unwrap().versioning, Versioning::Never);
    for versioning in [Versioning::Enabled, Versioning::Suspended] {
        store.set_versioning(&name, versioning).await.unwrap();
        assert_eq!(store.bucket(&name).await.unwrap().versioning, versioning);
        store.set_versioning(&name, Versioning::Never).await.unwrap();
        assert_eq!(store.bucket(&name).await.unwrap().versioning, versioning);
    }
    let missing = "missing".parse().unwrap();
    assert!(matches!(store.set_versioning(&missing, Versioning::Enabled).await, Err(Error::NoSuchBucket)));
}

pub(crate) async fn every_write_is_a_version_under_the_id_that_was_given(store: Store) {
    versioned(&store).await;
    let large = noise(100_000, 1);
    let id = VersionId::from_bits([7; 16]);
    let commit = Commit { version: Some(id.clone()), ..Commit::default() };
    let first = put(&store, &at("a"), b"first", commit).await.unwrap();
    let second = put(&store, &at("a"), &large, Commit::default()).await.unwrap();
    assert_eq!(first.version.write(), id.as_str());
    let id = first.version.clone();
    assert!(!second.version.is_null() && second.version != id);
    assert_eq!(body_of(&store, "a").await.unwrap(), large);
    assert_eq!(read_version(&store, "a", Some(&id)).await.unwrap(), b"first");
    assert_eq!(read_version(&store, "a", Some(&second.version)).await.unwrap(), large);
    assert_eq!(store.head(&at("a"), Some(&id)).await.unwrap().tag, first.tag);
    for absent in [VersionId::null(), VersionId::from_bits([9; 16]), VersionId::from_bits([0; 16])] {
        assert!(matches!(read_version(&store, "a", Some(&absent)).await, Err(Error::NoSuchObject)));
    }
}

pub(crate) async fn a_delete_hides_and_deleting_the_marker_shows_again(store: Store) {
    versioned(&store).await;
    let object = put(&store, &at("a"), b"kept", Commit::default()).await.unwrap();
    let Deleted::Marked(marker) = store.delete(&at("a"), None, Precondition::None).await.unwrap() else {
        panic!("no marker");
    };
    assert!(matches!(body_of(&store, "a").await, Err(Error::DeleteMarker(version)) if version == marker));
    assert!(matches!(store.head(&at("a"), Some(&marker)).await, Err(Error::DeleteMarker(_))));
    assert_eq!(read_version(&store, "a", Some(&object.version)).await.unwrap(), b"kept");
    assert!(
        store
            .list(&at("a").bucket, crate::store::ListQuery { limit: 9, ..Default::default() })
            .await
            .unwrap()
            .entries
            .is_empty()
    );
    let marked = ("a".to_owned(), marker.as_str().to_owned(), true, true);
    let below = ("a".to_owned(), object.version.as_str().to_owned(), false, false);
    assert_eq!(listed(&store, all()).await, [marked, below]);
    let gone = store.delete(&at("a"), Some(&marker), Precondition::None).await.unwrap();
    assert_eq!(gone, Deleted::Gone { marker: true });
    assert_eq!(body_of(&store, "a").await.unwrap(), b"kept");
    // A marker stands also where nothing was.
    assert!(matches!(store.delete(&at("b"), None, Precondition::None).await.unwrap(), Deleted::Marked(_)));
    assert!(matches!(store.delete_bucket(&at("a").bucket).await, Err(Error::BucketNotEmpty)));
}

pub(crate) async fn a_suspended_bucket_replaces_the_null_version_only(store: Store) {
    let name = with_bucket(&store).await;
    put_plain(&store, "a", b"before").await;
    store.set_versioning(&name, Versioning::Enabled).await.unwrap();
    let kept = put(&store, &at("a"), b"kept", Commit::default()).await.unwrap();
    assert_eq!(read_version(&store, "a", Some(&VersionId::null())).await.unwrap(), b"before");
    store.set_versioning(&name, Versioning::Suspended).await.unwrap();
    for body in [&b"null 1"[..], b"null 2"] {
        let written = put(&store, &at("a"), body, Commit::default()).await.unwrap();
        assert!(written.version.is_null());
        assert_eq!(body_of(&store, "a").await.unwrap(), body);
        assert_eq!(listed(&store, all()).await.len(), 2);
    }
    assert_eq!(read_version(&store, "a", Some(&kept.version)).await.unwrap(), b"kept");
    let marked = store.delete(&at("a"), None, Precondition::None).await.unwrap();
    assert_eq!(marked, Deleted::Marked(VersionId::null()));
    assert!(matches!(body_of(&store, "a").await, Err(Error::DeleteMarker(version)) if version.is_null()));
    assert_eq!(listed(&store, all()).await.len(), 2);
    store.delete(&at("a"), Some(&VersionId::null()), Precondition::None).await.unwrap();
    assert_eq!(body_of(&store, "a").await.unwrap(), b"kept");
}

pub(crate) async fn conditions_see_a_marker_as_nothing(store: Store) {
    versioned(&store).await;
    let tag = put_plain(&store, "a", b"1").await;
    assert!(matches!(put(&store, &at("a"), b"2", given(Precondition::Absent)).await, Err(Error::PreconditionFailed)));
    store.delete(&at("a"), None, Precondition::Is(tag.clone())).await.unwrap();
    assert!(matches!(put(&store, &at("a"), b"2", given(Precondition::Is(tag))).await, Err(Error::PreconditionFailed)));
    put(&store, &at("a"), b"2", given(Precondition::Absent)).await.unwrap();
    assert_eq!(body_of(&store, "a").await.unwrap(), b"2");
}

pub(crate) async fn a_version_can_be_copied_and_the_copy_outlives_it(store: Store) {
    versioned(&store).await;
    let body = noise(90_000, 3);
    let old = put(&store, &at("a"), &body, Commit::default()).await.unwrap();
    put_plain(&store, "a", b"new").await;
    let source = (at("a"), Some(old.version.clone()), old.tag.clone());
    let plan = CopyPlan { source, target: at("a"), metadata: metadata("c"), commit: Commit::default() };
    let copy = store.copy(plan.clone()).await.unwrap();
    assert!(copy.version != old.version);
    assert_eq!(body_of(&store, "a").await.unwrap(), body);
    store.delete(&at("a"), Some(&old.version), Precondition::None).await.unwrap();
    assert_eq!(read_version(&store, "a", Some(&copy.version)).await.unwrap(), body);
    assert!(matches!(store.copy(plan).await, Err(Error::NoSuchObject | Error::Changed)));
}

pub(crate) async fn metadata_changes_in_place_and_only_once_per_look(store: Store) {
    versioned(&store).await;
    let old = put(&store, &at("a"), b"old", Commit::default()).await.unwrap();
    put_plain(&store, "a", b"new").await;
    let new = |was: &crate::store::StoredTag, version: Option<VersionId>| NewMetadata {
        version,
        was: was.clone(),
        metadata: metadata("changed"),
        summary: Bytes::from_static(b"sealed anew"),
    };
    let before = store.head(&at("a"), Some(&old.version)).await.unwrap();
    let changed = store.set_metadata(&at("a"), new(&old.tag, Some(old.version.clone()))).await.unwrap();
    assert_eq!((&changed.version, changed.modified, changed.len), (&old.version, before.modified, old.len));
    assert!(changed.tag != old.tag);
    let seen = store.head(&at("a"), Some(&old.version)).await.unwrap();
    assert_eq!((&seen.metadata, &seen.summary[..]), (&metadata("changed"), kept_summary(&seen, b"sealed anew")));
    assert_eq!(read_version(&store, "a", Some(&old.version)).await.unwrap(), b"old");
    assert!(store.head(&at("a"), None).await.unwrap().metadata != metadata("changed"));
    let again = store.set_metadata(&at("a"), new(&old.tag, Some(old.version))).await;
    assert!(matches!(again, Err(Error::Changed)));
    assert!(matches!(store.set_metadata(&at("b"), new(&old.tag, None)).await, Err(Error::NoSuchObject)));
}

pub(crate) async fn versions_are_listed_by_key_then_newest_first_and_in_pages(store: Store) {
    listed_in_pages(store, "a!").await;
}

pub(crate) async fn versions_of_a_key_with_a_nul_are_listed_like_others(store: Store) {
    listed_in_pages(store, "a\0").await;
}

/// `next_to_a` comes right after the key `a`.
async fn listed_in_pages(store: Store, next_to_a: &str) {
    versioned(&store).await;
    for round in 0..3 {
        for key in ["a", next_to_a, "b/1", "b/2", "c"] {
            if round == 1 && key == "b/2" {
                store.delete(&at(key), None, Precondition::None).await.unwrap();
            } else {
                put_plain(&store, key, &[round]).await;
            }
        }
    }
    let whole = listed(&store, all()).await;
    assert_eq!(whole.len(), 15);
    assert!(whole.iter().enumerate().all(|(nth, row)| row.2 == (nth % 3 == 0)), "{whole:?}");
    for (key, versions) in [("a", 0..3), (next_to_a, 3..6), ("b/1", 6..9), ("b/2", 9..12), ("c", 12..15)] {
        for (nth, row) in whole[versions].iter().enumerate() {
            assert_eq!(row.0, key);
            let version: VersionId = row.1.parse().unwrap();
            match read_version(&store, key, Some(&version)).await {
                Ok(body) => assert_eq!(body, [2 - u8::try_from(nth).unwrap()]),
                Err(Error::DeleteMarker(_)) => assert!(row.3),
                Err(other) => panic!("{other}"),
            }
        }
    }
    for limit in 1..=7 {
        let mut found = Vec::new();
        let mut after = None;
        loop {
            let query = VersionQuery { after, limit, ..VersionQuery::default() };
            let page = store.list_versions(&at("a").bucket, query).await.unwrap();
            found.extend(rows(&page.entries));
            if !page.truncated {
                break;
            }
            after = found.last().map(|row| (row.0.clone(), Some(row.1.parse().unwrap())));
        }
        assert_eq!(found, whole, "pages of {limit}");
    }
    let query = VersionQuery { delimiter: Some("/".to_owned()), ..all() };
    assert_eq!(listed(&store, query).await.iter().filter(|row| row.0 == "b/").count(), 1);
    let query = VersionQuery { prefix: "b/".to_owned(), after: Some(("b/1".to_owned(), None)), ..all() };
    assert_eq!(listed(&store, query).await, whole[9..12]);
}

pub(crate) async fn an_upload_is_a_version_only_once_it_is_completed(store: Store) {
    versioned(&store).await;
    let before = put(&store, &at("a"), b"before", Commit::default()).await.unwrap().version;
    let (up, given_up) = (upload("a", 1), upload("a", 2));
    for each in [&up, &given_up] {
        start(&store, each).await;
    }
    let part = send(&store, &up, 1, &noise(90_000, 1)).await.unwrap();
    send(&store, &given_up, 1, b"part").await.unwrap();
    assert_eq!(listed(&store, all()).await.len(), 1);
    let marker = store.delete(&at("a"), None, Precondition::None).await.unwrap();
    let completion = |precondition| Completion {
        parts: vec![(part.number, part.tag.clone())],
        manifest: Bytes::from_static(b"!"),
        metadata: with_version(metadata("done"), Some(&VersionId::from_bits([3; 16]))),
        commit: Commit { version: Some(VersionId::from_bits([3; 16])), ..given(precondition) },
    };
    // A marker is no object, so there is none that could be replaced.
    let wrong = Precondition::Is(crate::store::StoredTag(String::new()));
    assert!(matches!(store.complete(&up, completion(wrong)).await, Err(Error::PreconditionFailed)));
    assert_eq!(listed(&store, all()).await.len(), 2);
    let done = store.complete(&up, completion(Precondition::Absent)).await.unwrap();
    store.abort(&given_up).await.unwrap();
    assert_eq!(done.version.write(), VersionId::from_bits([3; 16]).as_str());
    let Deleted::Marked(marker) = marker else { panic!("no marker") };
    let ids: Vec<String> = listed(&store, all()).await.into_iter().map(|row| row.1).collect();
    assert_eq!(ids, [done.version.as_str(), marker.as_str(), before.as_str()]);
    assert_eq!(body_of(&store, "a").await.unwrap(), [&noise(90_000, 1)[..], b"!"].concat());
    assert_eq!(read_version(&store, "a", Some(&before)).await.unwrap(), b"before");
}

pub(crate) async fn an_open_version_outlives_its_deletion(store: Store) {
    versioned(&store).await;
    let body = noise(200_000, 1);
    let old = put(&store, &at("a"), &body, Commit::default()).await.unwrap();
    put_plain(&store, "a", b"new").await;
    let source = (at("a"), Some(old.version.clone()), old.tag.clone());
    let plan = CopyPlan { source, target: at("b"), metadata: metadata("c"), commit: Commit::default() };
    let copy = store.copy(plan).await.unwrap();
    let open = store.open(&at("a"), Some(&old.version)).await.unwrap();
    store.delete(&at("a"), Some(&old.version), Precondition::None).await.unwrap();
    assert_eq!(body_of(&store, "b").await.unwrap(), body);
    store.delete(&at("b"), Some(&copy.version), Precondition::None).await.unwrap();
    assert_eq!(read(&*open, 0, 200_000, 4096).await.unwrap(), body);
    assert!(matches!(read_version(&store, "a", Some(&old.version)).await, Err(Error::NoSuchObject)));
    assert_eq!(body_of(&store, "a").await.unwrap(), b"new");
}

/// One version in the model: its id, and its body unless it is a delete marker.
type Kept = (VersionId, Option<Vec<u8>>);

/// A bucket as its versions should be, newest first.
#[derive(Default)]
struct Model {
    versioning: Versioning,
    keys: BTreeMap<&'static str, Vec<Kept>>,
}

impl Model {
    fn add(&mut self, key: &'static str, version: VersionId, body: Option<Vec<u8>>) {
        let versions = self.keys.entry(key).or_default();
        if version.is_null() {
            versions.retain(|(there, _)| !there.is_null());
        }
        versions.insert(0, (version, body));
    }

    fn is_newest(&self, key: &str, version: &VersionId) -> bool {
        self.keys.get(key).and_then(|versions| versions.first()).is_some_and(|(newest, _)| newest == version)
    }

    fn rows(&self) -> Vec<(String, String, bool, bool)> {
        let mut out = Vec::new();
        for (key, versions) in &self.keys {
            for (nth, (version, body)) in versions.iter().enumerate() {
                out.push(((*key).to_owned(), version.as_str().to_owned(), nth == 0, body.is_none()));
            }
        }
        out
    }
}

async fn step(
    store: &Store,
    model: &mut Model,
    states: [Versioning; 2],
    dice: &mut impl FnMut(usize) -> usize,
    round: u64,
) {
    const KEYS: [&str; 3] = ["a", "a/b", "c"];
    let key = KEYS[dice(3)];
    let place: ObjectAt = at(key);
    let some_version = model
        .keys
        .get(key)
        .filter(|versions| !versions.is_empty())
        .map(|versions| versions[dice(versions.len())].0.clone());
    match (dice(10), some_version) {
        (0, _) => {
            model.versioning = states[dice(2)];
            store.set_versioning(&place.bucket, model.versioning).await.unwrap();
        }
        (1..=4, _) => {
            let body = noise([10, 20_000][dice(2)], round);
            let written = put(store, &place, &body, Commit::default()).await.unwrap();
            assert_eq!(written.version.is_null(), model.versioning != Versioning::Enabled);
            model.add(key, written.version, Some(body));
        }
        (5..=6, _) => match store.delete(&place, None, Precondition::None).await.unwrap() {
            // Some upstreams lay no marker over a marker.
            Deleted::Marked(version) if model.is_newest(key, &version) && !version.is_null() => {}
            Deleted::Marked(version) => model.add(key, version, None),
            Deleted::Gone { .. } | Deleted::Absent => {
                assert_eq!(model.versioning, Versioning::Never);
                model.keys.remove(key);
            }
        },
        (_, Some(version)) => {
            let gone = store.delete(&place, Some(&version), Precondition::None).await.unwrap();
            let versions = model.keys.get_mut(key).unwrap();
            let nth = versions.iter().position(|(there, _)| *there == version).unwrap();
            let (_, body) = versions.remove(nth);
            assert_eq!(gone, Deleted::Gone { marker: body.is_none() });
        }
        (_, None) => assert_eq!(
            store.delete(&place, Some(&VersionId::from_bits([5; 16])), Precondition::None).await.unwrap(),
            Deleted::Absent
        ),
    }
}

pub(crate) async fn histories_agree_with_the_model(store: Store) {
    histories(store, [Versioning::Enabled, Versioning::Suspended]).await;
}

pub(crate) async fn histories_without_suspension_agree_with_the_model(store: Store) {
    histories(store, [Versioning::Enabled; 2]).await;
}

async fn histories(store: Store, states: [Versioning; 2]) {
    for seed in 0..4_u64 {
        let name = at("x").bucket;
        if seed == 0 {
            with_bucket(&store).await;
        }
        let mut model = Model { versioning: store.bucket(&name).await.unwrap().versioning, ..Model::default() };
        let mut bytes = noise(10_000, seed + 100).into_iter();
        let mut dice = |sides: usize| usize::from(bytes.next().unwrap()) % sides;
        for round in 0..120 {
            step(&store, &mut model, states, &mut dice, round).await;
            assert_eq!(listed(&store, all()).await, model.rows(), "seed {seed}, round {round}");
        }
        for (key, versions) in &model.keys {
            for (nth, (version, body)) in versions.iter().enumerate() {
                let found = read_version(&store, key, Some(version)).await;
                assert_eq!(found.ok().as_ref(), body.as_ref());
                if nth == 0 {
                    assert_eq!(body_of(&store, key).await.ok().as_ref(), body.as_ref());
                }
            }
        }
        for (key, version, ..) in model.rows() {
            store.delete(&at(&key), Some(&version.parse().unwrap()), Precondition::None).await.unwrap();
        }
        assert!(listed(&store, all()).await.is_empty());
    }
    store.delete_bucket(&at("x").bucket).await.unwrap();
}

pub(crate) async fn readers_of_a_version_find_it_while_others_come_and_go(store: Store) {
    versioned(&store).await;
    let kept = put(&store, &at("a"), b"kept", Commit::default()).await.unwrap().version;
    let writer = {
        let store = std::sync::Arc::clone(&store);
        tokio::spawn(async move {
            for _ in 0..100 {
                let top = put(&store, &at("a"), b"top", Commit::default()).await.unwrap().version;
                store.delete(&at("a"), Some(&top), Precondition::None).await.unwrap();
            }
        })
    };
    while !writer.is_finished() {
        assert_eq!(read_version(&store, "a", Some(&kept)).await.unwrap(), b"kept");
    }
    writer.await.unwrap();
    assert_eq!(store.head(&at("a"), None).await.unwrap().version, kept);
    assert_ne!(store.head(&at("a"), None).await.unwrap().metadata, Metadata::default());
}
