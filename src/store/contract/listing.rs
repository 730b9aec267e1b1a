//! Promises about listings, most of them by comparison with a model.

use std::collections::BTreeSet;

use bytes::Bytes;
use proptest::prelude::*;

use super::{Store, at, bucket, metadata, put, put_plain, with_bucket};
use crate::store::{Commit, ListEntry, ListPage, ListQuery, UploadAt, UploadEntry, UploadQuery};
use crate::types::{BucketName, ObjectAt, UploadId};

fn name_of(entry: &ListEntry) -> String {
    match entry {
        ListEntry::Object { key, .. } => key.as_str().to_owned(),
        ListEntry::Prefix(prefix) => format!("{prefix}*"),
    }
}

fn names(page: &ListPage) -> Vec<String> {
    page.entries.iter().map(name_of).collect()
}

pub(crate) async fn a_page_says_whether_there_is_more(store: Store) {
    let name = with_bucket(&store).await;
    for key in ["a", "b/1", "b/2", "c"] {
        put_plain(&store, key, key.as_bytes()).await;
    }
    let query = |limit, after: Option<&str>| ListQuery {
        delimiter: Some("/".to_owned()),
        after: after.map(str::to_owned),
        limit,
        ..ListQuery::default()
    };
    for (limit, after, expected, more) in [
        (3, None, &["a", "b/*", "c"][..], false),
        (2, None, &["a", "b/*"], true),
        (1, Some("a"), &["b/*"], true),
        (1, Some("b/"), &["c"], false),
        (9, Some("b/1"), &["b/*", "c"], false),
        (9, Some("b/2"), &["c"], false),
        (0, None, &[], false),
    ] {
        let page = store.list(&name, query(limit, after)).await.unwrap();
        assert_eq!((names(&page), page.truncated), (expected.iter().map(|&s| s.to_owned()).collect(), more));
    }
    let page = store.list(&name, ListQuery { limit: 1, ..ListQuery::default() }).await.unwrap();
    let ListEntry::Object { object, .. } = &page.entries[0] else { panic!("a row is an object") };
    let seen = store.head(&at("a"), None).await.unwrap();
    assert_eq!((&object.tag, object.len, &object.metadata), (&seen.tag, seen.len, &seen.metadata));
}

pub(crate) async fn an_equal_prefix_is_skipped_as_a_whole(store: Store) {
    let name = with_bucket(&store).await;
    // A neighbour's objects must never show.
    store.create_bucket(bucket("contract-2")).await.unwrap();
    let next_door = ObjectAt { bucket: "contract-2".parse().unwrap(), key: "zzz".parse().unwrap() };
    put(&store, &next_door, b"x", Commit::default()).await.unwrap();
    for key in ["p/", "p/a", "p/z/b", "p0"] {
        put_plain(&store, key, b"x").await;
    }
    let query = ListQuery { delimiter: Some("/".into()), after: Some("p/".into()), limit: 9, ..ListQuery::default() };
    assert_eq!(names(&store.list(&name, query).await.unwrap()), ["p0"]);
    let inside = ListQuery { prefix: "p/".into(), delimiter: Some("/".into()), limit: 9, ..ListQuery::default() };
    assert_eq!(names(&store.list(&name, inside).await.unwrap()), ["p/", "p/a", "p/z/*"]);
}

/// All rows that a listing without limit has, by the words of [`ListQuery`].
fn model(keys: &BTreeSet<String>, query: &ListQuery) -> Vec<String> {
    let roll = |key: &str| {
        let delimiter = query.delimiter.as_deref().filter(|d| !d.is_empty())?;
        let rest = key.strip_prefix(query.prefix.as_str())?;
        let (head, _) = rest.split_once(delimiter)?;
        Some(format!("{}{head}{delimiter}", query.prefix))
    };
    let mut rows = Vec::new();
    for key in keys.iter().filter(|key| key.starts_with(&query.prefix)) {
        let rolled = roll(key);
        let skip = query.after.as_ref().is_some_and(|after| key <= after || rolled.as_ref() == Some(after));
        let row = rolled.map_or_else(|| key.clone(), |prefix| format!("{prefix}*"));
        if !skip && rows.last() != Some(&row) {
            rows.push(row);
        }
    }
    rows
}

async fn check(store: &Store, name: &BucketName, keys: &BTreeSet<String>, query: ListQuery) {
    let expected = model(keys, &query);
    let page = store.list(name, query.clone()).await.unwrap();
    let first: Vec<String> = expected.iter().take(query.limit).cloned().collect();
    assert_eq!((names(&page), page.truncated), (first, expected.len() > query.limit), "{keys:?} {query:?}");
    // All pages one after another are the whole.
    let (mut all, mut next) = (Vec::new(), query.clone());
    loop {
        let page = store.list(name, next.clone()).await.unwrap();
        all.extend(names(&page));
        let last = page.entries.last().map(|entry| match entry {
            ListEntry::Object { key, .. } => key.as_str().to_owned(),
            ListEntry::Prefix(prefix) => prefix.clone(),
        });
        match last {
            Some(last) if page.truncated => next.after = Some(last),
            _ => break,
        }
    }
    assert_eq!(all, expected, "{keys:?} {query:?}");
}

/// Prefix, delimiter, after, limit.
type Asked = (String, Option<String>, Option<String>, usize);

async fn case(store: &Store, name: &str, keys: BTreeSet<String>, queries: Vec<Asked>) {
    store.create_bucket(bucket(name)).await.unwrap();
    let name: BucketName = name.parse().unwrap();
    for key in &keys {
        let at = ObjectAt { bucket: name.clone(), key: key.parse().unwrap() };
        put(store, &at, b"x", Commit::default()).await.unwrap();
    }
    for (prefix, delimiter, after, limit) in queries {
        check(store, &name, &keys, ListQuery { prefix, delimiter, after, limit }).await;
    }
}

pub(crate) async fn listings_agree_with_the_model(store: Store) {
    agree(store, "[ab/\u{1}\u{10ffff}]{1,4}", "(/|b|a/|\u{1}|)").await;
}

pub(crate) async fn listings_with_nul_agree_with_the_model(store: Store) {
    agree(store, "[ab/\0\u{10ffff}]{1,4}", "(/|b|a/|\0|)").await;
}

async fn agree(store: Store, texts: &'static str, delimiters: &'static str) {
    let text = || texts;
    let asked = (
        prop_oneof![Just(String::new()), text()],
        proptest::option::of(delimiters),
        proptest::option::of(text()),
        1..5_usize,
    );
    let cases = (proptest::collection::btree_set(text(), 0..12), proptest::collection::vec(asked, 8));
    let config = ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() };
    let number = std::cell::Cell::new(0_u32);
    let outcome = tokio::task::block_in_place(|| {
        proptest::test_runner::TestRunner::new(config).run(&cases, |(keys, queries)| {
            number.set(number.get() + 1);
            let name = format!("model-{}", number.get());
            tokio::runtime::Handle::current().block_on(case(&store, &name, keys, queries));
            Ok(())
        })
    });
    outcome.unwrap();
}

fn upload_row(entry: &UploadEntry) -> String {
    match entry {
        UploadEntry::Upload(upload) => format!("{}#{}", upload.key, &upload.id.as_str()[..2]),
        UploadEntry::Prefix(prefix) => format!("{prefix}*"),
    }
}

pub(crate) async fn uploads_are_ordered_and_paged(store: Store) {
    let name = with_bucket(&store).await;
    let uploads = [("b/x", 1), ("a", 4), ("a", 3), ("c", 2), ("b/y", 5)];
    for (key, id) in uploads {
        let at = UploadAt { object: at(key), id: UploadId::from_bits([id; 16]) };
        store.create_upload(&at, metadata("m"), Bytes::from_static(b"state")).await.unwrap();
        // Only so that the next one is initiated later.
        tokio::time::sleep(std::time::Duration::from_millis(2)).await;
    }
    let query = |after: Option<(&str, Option<u8>)>, delimiter: Option<&str>, limit| UploadQuery {
        after: after.map(|(key, id)| (key.to_owned(), id.map(|id| UploadId::from_bits([id; 16])))),
        delimiter: delimiter.map(str::to_owned),
        limit,
        ..UploadQuery::default()
    };
    for (query, expected, more) in [
        (query(None, None, 9), &["a#04", "a#03", "b/x#01", "b/y#05", "c#02"][..], false),
        (query(None, Some("/"), 3), &["a#04", "a#03", "b/*"], true),
        (query(Some(("b/", None)), Some("/"), 3), &["c#02"], false),
        (query(Some(("a", Some(4))), None, 1), &["a#03"], true),
        (query(Some(("a", Some(3))), None, 1), &["b/x#01"], true),
        (query(Some(("a", None)), None, 2), &["b/x#01", "b/y#05"], true),
        (UploadQuery { prefix: "b/".into(), ..query(None, Some("/"), 2) }, &["b/x#01", "b/y#05"], false),
        (query(None, None, 0), &[], false),
    ] {
        let page = store.uploads(&name, query.clone()).await.unwrap();
        let rows: Vec<String> = page.entries.iter().map(upload_row).collect();
        assert_eq!((rows, page.truncated), (expected.iter().map(|&s| s.to_owned()).collect(), more), "{query:?}");
    }
}
