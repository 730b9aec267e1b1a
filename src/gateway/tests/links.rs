//! Symbolic links: what they lead to is read through them, one hop far, by whoever may read both.

use std::collections::BTreeMap;

use super::support::*;
use crate::gateway::{
    CannedAcl, Conditions, CopyRequest, Error, EtagMatch, GetRequest, ListedEntry, ObjectHeaders, PartCopyRequest,
    PutRequest, SymlinkRequest, Tags, Written,
};
use crate::identity::{Authenticated, Caller, Requester};
use crate::sse::{ObjectKind, SseRequest, SseStatus};
use crate::types::{ObjectAt, PartNumber};

fn link(at: &ObjectAt, target: &str) -> SymlinkRequest {
    let system = BTreeMap::from([("content-type".to_owned(), "link/type".to_owned())]);
    SymlinkRequest {
        at: at.clone(),
        target: target.parse().unwrap(),
        headers: ObjectHeaders { system, ..ObjectHeaders::default() },
        conditions: Conditions::default(),
    }
}

async fn make(house: &House, at: &ObjectAt, target: &str) -> Written {
    house.gateway.put_symlink(&house.caller, link(at, target)).await.unwrap()
}

fn itself(at: &ObjectAt) -> GetRequest {
    GetRequest { follow_symlink: false, ..get(at) }
}

#[tokio::test]
async fn a_link_shows_what_it_leads_to_and_is_itself_when_it_is_not_followed() {
    let house = House::new().await;
    let (object, here) = (at("one", "dir/ключ"), at("one", "link"));
    let plain = pattern(2 * SEGMENT);
    let written = make(&house, &here, "dir/ключ").await;
    house.put(&object, &plain).await;
    let target = house.head(&object).await.unwrap();

    assert_eq!(house.bytes(&here).await, plain);
    assert!(house.range_is_true(&here, &plain, 10, SEGMENT + 10).await);
    let head = house.head(&here).await.unwrap();
    assert_eq!((head.size, &head.etag, head.md5), (plain.len() as u64, &target.etag, target.md5));
    assert_eq!((head.crc64, &head.sse), (crc64(&plain), &target.sse));
    assert_eq!((head.kind, head.symlink.as_ref()), (ObjectKind::Symlink, Some(&object.key)));
    assert_eq!(head.headers.system["content-type"], "link/type");
    assert_eq!(head.modified, target.modified, "the later of the two dates");
    let got = house.gateway.get_object(&house.caller, get(&here)).await.unwrap();
    assert_eq!((got.info.kind, got.info.size, &got.info.etag), (ObjectKind::Symlink, head.size, &head.etag));

    let own = house.gateway.head_object(&house.caller, itself(&here)).await.unwrap();
    assert_eq!((own.size, &own.etag, own.md5, own.crc64), (0, &written.etag, None, Some(0)));
    assert_eq!((own.kind, own.symlink.as_ref()), (ObjectKind::Symlink, Some(&object.key)));
    assert!(matches!(house.read(itself(&here)).await, Read::Whole(plain) if plain.is_empty()));
    assert_eq!(house.gateway.symlink(&house.caller, &here, None).await.unwrap().symlink, Some(object.key.clone()));
    let no_link = house.gateway.symlink(&house.caller, &object, None).await;
    assert!(matches!(no_link, Err(Error::NotSymlink)), "{no_link:?}");
    let listed = house.list("one").await.unwrap().entries;
    let kinds: Vec<_> = listed
        .iter()
        .map(|entry| match entry {
            ListedEntry::Object(object) => (object.key.as_str(), object.kind, object.size),
            ListedEntry::Prefix(prefix) => panic!("{prefix}"),
        })
        .collect();
    assert_eq!(kinds, [("dir/ключ", ObjectKind::Normal, plain.len() as u64), ("link", ObjectKind::Symlink, 0)]);
}

#[tokio::test]
async fn a_link_to_nothing_or_to_a_link_is_an_error_of_its_own() {
    let house = House::new().await;
    let (one, two) = (at("one", "one"), at("one", "two"));
    make(&house, &one, "two").await;
    for outcome in
        [house.head(&one).await.map(drop), house.gateway.get_object(&house.caller, get(&one)).await.map(drop)]
    {
        assert!(matches!(outcome, Err(Error::SymlinkTargetMissing)), "{outcome:?}");
    }
    make(&house, &two, "three").await;
    for outcome in
        [house.head(&one).await.map(drop), house.gateway.get_object(&house.caller, get(&one)).await.map(drop)]
    {
        assert!(matches!(outcome, Err(Error::SymlinkToSymlink)), "{outcome:?}");
    }
    let absent = house.head(&at("one", "three")).await;
    assert!(matches!(absent, Err(Error::NoSuchKey)), "{absent:?}");
    house.put(&two, b"now an object").await;
    assert_eq!(house.bytes(&one).await, b"now an object");
    let create = Conditions { if_none_match: Some(EtagMatch::Any), ..Conditions::default() };
    let refused =
        house.gateway.put_symlink(&house.caller, SymlinkRequest { conditions: create, ..link(&one, "x") }).await;
    assert!(matches!(refused, Err(Error::PreconditionFailed(_))), "{refused:?}");
}

#[tokio::test]
async fn reading_through_a_link_takes_the_right_to_read_both() {
    let house = House::new().await;
    let stranger = Requester::from(Caller::User(Authenticated::for_test("mallory", false)));
    let put_as = async |key: &str, acl: CannedAcl| {
        let headers = ObjectHeaders { acl: Some(acl), ..ObjectHeaders::default() };
        house.gateway.put_object(&house.caller, PutRequest { headers, ..put(&at("one", key), b"x") }).await.unwrap();
    };
    put_as("open", CannedAcl::PublicRead).await;
    put_as("closed", CannedAcl::Private).await;
    let link_as = async |key: &str, target: &str, acl: CannedAcl| {
        let mut request = link(&at("one", key), target);
        request.headers.acl = Some(acl);
        house.gateway.put_symlink(&house.caller, request).await.unwrap();
    };
    link_as("open-open", "open", CannedAcl::PublicRead).await;
    link_as("open-closed", "closed", CannedAcl::PublicRead).await;
    link_as("closed-open", "open", CannedAcl::Private).await;
    link_as("open-nothing", "nothing", CannedAcl::PublicRead).await;
    let read = async |key: &str| house.gateway.get_object(&stranger, get(&at("one", key))).await.map(drop);
    let look = async |key: &str| house.gateway.head_object(&stranger, get(&at("one", key))).await.map(drop);
    assert!(read("open-open").await.is_ok() && look("open-open").await.is_ok());
    for key in ["open-closed", "closed-open", "open-nothing"] {
        for outcome in [read(key).await, look(key).await] {
            assert!(matches!(outcome, Err(Error::AccessDenied(_))), "{key}: {outcome:?}");
        }
    }
    // The link itself is for who may read it.
    let own = house.gateway.symlink(&stranger, &at("one", "open-closed"), None).await.unwrap();
    assert_eq!(own.symlink.unwrap().as_str(), "closed");
    let denied = house.gateway.symlink(&stranger, &at("one", "closed-open"), None).await;
    assert!(matches!(denied, Err(Error::AccessDenied(_))), "{denied:?}");
}

#[tokio::test]
async fn conditions_and_keys_are_the_targets() {
    let house = House::new().await;
    let (object, here, cmk) = (at("one", "object"), at("one", "link"), house.cmk().await);
    make(&house, &here, "object").await;
    let etag = house.put_under(&object, b"hello", under(&cmk)).await.etag;
    let unless = |etag: &str| GetRequest {
        conditions: Conditions {
            if_none_match: Some(EtagMatch::OneOf(vec![etag.to_owned()])),
            ..Conditions::default()
        },
        ..get(&here)
    };
    assert!(matches!(house.read(unless(&etag)).await, Read::Refused(Error::NotModified { .. })));
    assert!(matches!(house.read(unless("other")).await, Read::Whole(plain) if plain == b"hello"));
    assert!(matches!(house.head(&here).await.unwrap().sse, SseStatus::Kms { .. }));
    house.put_under(&object, b"mine", Some(SseRequest::Customer(customer(1)))).await;
    assert!(matches!(house.read(get(&here)).await, Read::Refused(Error::CustomerKeyRequired)));
    let with_key = GetRequest { customer_key: Some(customer(1)), ..get(&here) };
    assert!(matches!(house.read(with_key).await, Read::Whole(plain) if plain == b"mine"));
}

#[tokio::test]
async fn making_a_link_uses_no_cmk_even_where_the_bucket_has_one() {
    let house = House::new().await;
    let rule = crate::sse::BucketDefault::Kms {
        key: Some(house.cmk().await),
        bucket_key: false,
        cipher: crate::sse::DataCipher::Sm4,
    };
    house.gateway.put_bucket_encryption(&house.caller, &"one".parse().unwrap(), rule).await.unwrap();
    let calls = house.kms.calls();
    make(&house, &at("one", "link"), "object").await;
    assert_eq!(house.kms.calls(), calls);
}

#[tokio::test]
async fn a_link_is_copied_as_a_link_and_has_no_bytes_for_a_part() {
    let house = House::new().await;
    let (object, here, there) = (at("one", "object"), at("one", "link"), at("one", "copy"));
    house.put(&object, b"hello").await;
    make(&house, &here, "object").await;
    house
        .gateway
        .copy_object(&house.caller, CopyRequest { sse: under(&house.cmk().await), ..copy(&here, &there) })
        .await
        .unwrap();
    assert_eq!(house.gateway.symlink(&house.caller, &there, None).await.unwrap().symlink, Some(object.key.clone()));
    assert_eq!(house.bytes(&there).await, b"hello");
    let tags = Tags::new([("a".to_owned(), "b".to_owned())], crate::gateway::OBJECT_TAGS).unwrap();
    house.gateway.put_object_tags(&house.caller, &there, None, tags).await.unwrap();
    house.gateway.put_object_acl(&house.caller, &there, None, Some(CannedAcl::PublicRead)).await.unwrap();
    assert_eq!(house.bytes(&there).await, b"hello", "new tags and another ACL leave the target");

    let upload = house.upload(&at("one", "parts"), None).await;
    let request = PartCopyRequest {
        source: copy(&here, &there).source,
        range: None,
        at: at("one", "parts"),
        upload,
        number: PartNumber::FIRST,
        customer_key: None,
    };
    let refused = house.gateway.copy_part(&house.caller, request).await;
    assert!(matches!(refused, Err(Error::InvalidArgument(_))), "{refused:?}");
}

#[tokio::test]
async fn a_link_that_the_store_alters_is_found_out() {
    let house = House::new().await;
    let here = at("one", "link");
    make(&house, &here, "object").await;
    type Edit = fn(&mut super::hostile::Kept);
    let edits: [(&str, Edit); 4] = [
        ("another target", |kept| drop(kept.object.metadata.access.insert("target".into(), "secret".into()))),
        ("no target", |kept| drop(kept.object.metadata.access.remove("target"))),
        ("a target for the owner's field", |kept| {
            drop(kept.object.metadata.access.insert("owner".into(), "eve".into()))
        }),
        ("no access fields", |kept| kept.object.metadata.access.clear()),
    ];
    for (name, edit) in edits {
        house.store.edit_objects(move |_, kept| edit(kept));
        house.assert_all_refuse(&here, name).await;
    }
    house.store.behave();
    // An object made to lead somewhere, and a link's summary under an object.
    let object = at("one", "object");
    house.put(&object, b"hello").await;
    let target = object.clone();
    house.store.edit_objects(move |at, kept| {
        if *at == target {
            kept.object.metadata.access.insert("target".into(), "secret".into());
        }
    });
    house.assert_all_refuse(&object, "an object with a target").await;
}
