//! Edits of what is stored beside a body (C6, C7 and C9 in tests/threats.toml), and of uploads in progress.

use std::sync::Arc;

use super::hostile::Kept;
use super::support::*;
use futures::TryStreamExt as _;

use crate::gateway::{CannedAcl, Error, GetRequest, OBJECT_TAGS, ObjectHeaders, PutRequest, Tags};
use crate::sse::{DataCipher, SseRequest};
use crate::store::Versioning;
use crate::types::{ObjectAt, VersionId};

type Edit = Box<dyn Fn(&mut Kept) + Send + Sync>;

fn set(field: &'static str, value: &'static str) -> Edit {
    Box::new(move |kept| drop(kept.object.metadata.envelope.insert(field.into(), value.into())))
}

fn unset(field: &'static str) -> Edit {
    Box::new(move |kept| drop(kept.object.metadata.envelope.remove(field)))
}

async fn refuses_all(house: &House, object: &ObjectAt, edits: Vec<(&str, Edit)>) {
    for (name, edit) in edits {
        let target = object.clone();
        house.store.edit_objects(move |at, kept| {
            if *at == target {
                edit(kept)
            }
        });
        house.assert_all_refuse(object, name).await;
    }
    house.store.behave();
}

#[tokio::test]
async fn altered_headers_sizes_and_summaries_are_found_out() {
    let house = House::new().await;
    let object = at("one", "headers");
    let headers = ObjectHeaders {
        system: [("content-type".to_owned(), "text/plain".to_owned())].into(),
        user: [("owner".to_owned(), "alice".to_owned())].into(),
        tags: Tags::new([("team".to_owned(), "red".to_owned())], OBJECT_TAGS).unwrap(),
        acl: Some(CannedAcl::AuthenticatedRead),
        lock: crate::gateway::ObjectLock::default(),
    };
    house.gateway.put_object(&house.caller, PutRequest { headers, ..put(&object, b"hello") }).await.unwrap();
    assert_eq!(house.bytes(&object).await, b"hello");
    let edits: Vec<(&str, Edit)> = vec![
        ("a tag", Box::new(|kept| drop(kept.object.metadata.tags.insert("team".into(), "blue".into())))),
        ("ACL", Box::new(|kept| drop(kept.object.metadata.access.insert("acl".into(), "public-read".into())))),
        ("owner", Box::new(|kept| drop(kept.object.metadata.access.insert("owner".into(), "eve".into())))),
        ("no tags", Box::new(|kept| kept.object.metadata.tags.clear())),
        (
            "content-type",
            Box::new(|kept| drop(kept.object.metadata.system.insert("content-type".into(), "text/html".into()))),
        ),
        (
            "content-encoding added",
            Box::new(|kept| drop(kept.object.metadata.system.insert("content-encoding".into(), "gzip".into()))),
        ),
        (
            "cache-control added",
            Box::new(|kept| drop(kept.object.metadata.system.insert("cache-control".into(), "public".into()))),
        ),
        ("user metadata", Box::new(|kept| drop(kept.object.metadata.user.insert("owner".into(), "mallory".into())))),
        ("user metadata dropped", Box::new(|kept| kept.object.metadata.user.clear())),
        ("length", Box::new(|kept| kept.object.len.0 += 1)),
        ("no summary", Box::new(|kept| kept.object.summary = bytes::Bytes::new())),
        (
            "summary flipped",
            Box::new(|kept| {
                let mut summary = kept.object.summary.to_vec();
                *summary.last_mut().unwrap() ^= 1;
                kept.object.summary = summary.into();
            }),
        ),
        ("etag given", set("etag", "00000000000000000000000000000000")),
    ];
    refuses_all(&house, &object, edits).await;
}

#[tokio::test]
async fn altered_and_stripped_envelopes_are_found_out() {
    let house = House::new().await;
    let (cmk, other) = (house.cmk().await, house.cmk().await);
    for (name, sse) in [("kms", under(&cmk)), ("s3", None)] {
        let object = at("one", name);
        house.put_under(&object, b"hello", sse).await;
        let donor = at("two", &format!("donor-{name}"));
        house.put_under(&donor, b"other", under(&other)).await;
        let donor = Arc::new(house.store.kept(&donor).await);
        let from_donor = |fields: &'static [&'static str]| -> Edit {
            let donor = Arc::clone(&donor);
            Box::new(move |kept| {
                for &field in fields {
                    let value = donor.object.metadata.envelope[field].clone();
                    kept.object.metadata.envelope.insert(field.into(), value);
                }
            })
        };
        let edits = vec![
            ("wrapped key", from_donor(&["dk"])),
            ("wrapped key and commitment", from_donor(&["dk", "com"])),
            ("wrapped key, commitment and key id", from_donor(&["dk", "com", "key"])),
            ("key id", from_donor(&["key"])),
            ("object id", from_donor(&["id"])),
            ("another object's MAC", from_donor(&["mac"])),
            ("mode none", set("mode", "none")),
            ("mode SSE-C", set("mode", "SSE-C")),
            ("unknown mode", set("mode", "rot13")),
            ("unknown version", set("v", "2")),
            ("unknown field", set("x", "y")),
            ("no version", unset("v")),
            ("no MAC", unset("mac")),
            ("no wrapped key", unset("dk")),
            ("no envelope at all", Box::new(|kept: &mut Kept| kept.object.metadata.envelope.clear()) as Edit),
        ];
        refuses_all(&house, &object, edits).await;
    }
}

#[tokio::test]
async fn objects_bodies_metadata_and_manifests_swapped_between_places_are_found_out() {
    let house = House::new().await;
    // Equal lengths, so that no length gives the swap away; a copy shares even body and data key.
    let (object, plain) = (at("one", "mine"), pattern(100));
    house.put(&object, &plain).await;
    let others = [at("one", "same-bucket"), at("two", "mine"), at("two", "a-copy")];
    house.put(&others[0], &[7; 100]).await;
    house.put(&others[1], &[8; 100]).await;
    house.gateway.copy_object(&house.caller, copy(&object, &others[2])).await.unwrap();
    for other in &others {
        let donor = Arc::new(house.store.kept(other).await);
        let (metadata, summary, whole) = (Arc::clone(&donor), Arc::clone(&donor), Arc::clone(&donor));
        let edits: Vec<(&str, Edit)> = vec![
            ("metadata only", Box::new(move |kept| kept.object.metadata = metadata.object.metadata.clone())),
            ("summary only", Box::new(move |kept| kept.object.summary = summary.object.summary.clone())),
            ("whole object", Box::new(move |kept| *kept = (*whole).clone())),
        ];
        refuses_all(&house, &object, edits).await;
    }
    for other in &others[..2] {
        let donor = house.store.kept(other).await;
        let manifest = HEADER + 100 + 16;
        for (name, from, to) in
            [("body", 0, donor.body.len()), ("part", 0, manifest), ("manifest", manifest, donor.body.len())]
        {
            let bytes = donor.body[from..to].to_vec();
            let target = object.clone();
            house.store.edit_objects(move |at, kept| {
                if *at == target {
                    kept.body[from..to].copy_from_slice(&bytes)
                }
            });
            house.assert_whole_read_fails(&object, &plain, name).await;
        }
    }
}

#[tokio::test]
async fn two_versions_of_an_object_cannot_stand_for_each_other() {
    let house = House::new().await;
    let object = at("one", "mine");
    house.gateway.put_bucket_versioning(&house.caller, &object.bucket, Versioning::Enabled).await.unwrap();
    let plain = [pattern(100), vec![7; 100]];
    house.put(&object, &plain[0]).await;
    let old = house.store.kept(&object).await;
    house.put(&object, &plain[1]).await;
    let new = house.store.kept(&object).await;
    let read = |version: &VersionId| {
        let request = GetRequest { version: Some(version.clone()), ..get(&object) };
        house.gateway.get_object(&house.caller, request)
    };
    assert!(read(&old.object.version).await.is_ok() && read(&new.object.version).await.is_ok());
    let (metadata, summary, body, whole) = (old.clone(), old.clone(), old.clone(), old.clone());
    let (renamed, label) = (old.clone(), new.object.version.clone());
    let swaps: Vec<(&str, Edit)> = vec![
        ("metadata", Box::new(move |kept| kept.object.metadata = metadata.object.metadata.clone())),
        ("summary", Box::new(move |kept| kept.object.summary = summary.object.summary.clone())),
        ("body", Box::new(move |kept| kept.set_body(body.body.clone()))),
        ("whole", Box::new(move |kept| *kept = whole.clone())),
        (
            "whole, under the other's id",
            Box::new(move |kept| {
                *kept = renamed.clone();
                kept.object.version = label.clone();
            }),
        ),
    ];
    for (what, swap) in swaps {
        house.store.edit_objects(move |_, kept| swap(kept));
        let failed = match read(&new.object.version).await {
            Err(error) => error,
            Ok(got) => got.body.try_collect::<Vec<_>>().await.expect_err(what),
        };
        assert!(matches!(failed, Error::Integrity(_)), "{what}: {failed:?}");
    }
}

#[tokio::test]
async fn an_upload_whose_state_or_parts_were_altered_is_not_completed() {
    let house = House::new().await;
    let object = at("one", "upload");
    let upload = house.upload(&object, None).await;
    let part = house.part(&object, &upload, 1, b"hello").await;

    house.store.edit_uploads(|_, upload| {
        let mut state = upload.state.to_vec();
        state[40] ^= 1;
        upload.state = state.into();
    });
    let refused = house.complete(&object, &upload, vec![part.clone()]).await;
    assert!(matches!(refused, Err(Error::Integrity(_))), "state: {refused:?}");

    house.store.behave();
    house.store.edit_uploads(|_, upload| drop(upload.metadata.user.insert("a".into(), "b".into())));
    let refused = house.complete(&object, &upload, vec![part.clone()]).await;
    assert!(matches!(refused, Err(Error::Integrity(_))), "metadata: {refused:?}");

    house.store.behave();
    house.store.edit_parts(|_, part| {
        let mut record = part.record.to_vec();
        record[40] ^= 1;
        part.record = record.into();
    });
    let refused = house.complete(&object, &upload, vec![part.clone()]).await;
    assert!(matches!(refused, Err(Error::Integrity(_))), "part record: {refused:?}");

    // Another upload's record of the same part: sealed by this gateway, but not for this place.
    let donor_at = at("one", "donor");
    let donor = house.upload(&donor_at, None).await;
    house.part(&donor_at, &donor, 1, b"hello").await;
    let record = house.store.part_record(&donor_at, &donor).await;
    house.store.edit_parts(move |_, part| part.record = record.clone());
    let refused = house.complete(&object, &upload, vec![part.clone()]).await;
    assert!(matches!(refused, Err(Error::Integrity(_))), "foreign record: {refused:?}");

    house.store.behave();
    house.complete(&object, &upload, vec![part]).await.unwrap();
    assert_eq!(house.bytes(&object).await, b"hello");
}

#[tokio::test]
async fn a_plaintext_body_without_an_envelope_is_never_served() {
    let house = House::new().await;
    let object = at("one", "planted");
    house.put_under(&object, b"hello", Some(SseRequest::S3 { cipher: DataCipher::Aes256 })).await;
    house.store.edit_objects(|_, kept| {
        kept.object.metadata.envelope.clear();
        kept.object.summary = bytes::Bytes::new();
        kept.set_body(b"planted".to_vec());
    });
    house.assert_all_refuse(&object, "planted").await;
}
