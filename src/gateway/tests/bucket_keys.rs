//! Bucket keys: how often they ask the CMK, for whom they are remembered, and how they are told of a change at once.

use super::support::*;
use crate::gateway::{CopyRequest, Error};
use crate::identity::{Authenticated, Caller, Requester};
use crate::kms::{self, KeyRef};
use crate::sse::{BucketDefault, DataCipher, MOST_EPOCHS, SseRequest, SseStatus};
use crate::store::ObjectStore as _;
use crate::types::ObjectAt;

/// Bucket `one` has a default CMK and the flag.
async fn flagged() -> (House, String) {
    let house = House::new().await;
    let cmk = house.cmk().await;
    default_of(&house, "one", &cmk).await;
    (house, cmk)
}

async fn default_of(house: &House, bucket: &str, cmk: &str) {
    let rule = BucketDefault::Kms { key: Some(cmk.to_owned()), bucket_key: true, cipher: DataCipher::Aes256 };
    house.gateway.put_bucket_encryption(&house.caller, &bucket.parse().unwrap(), rule).await.unwrap();
}

async fn epochs(house: &House, bucket: &str) -> usize {
    let bucket = house.store.bucket(&bucket.parse().unwrap()).await.unwrap();
    bucket.configs.keys().filter(|kind| kind.starts_with("bucket-key/")).count()
}

fn someone(name: &str) -> Requester {
    Requester::from(Caller::User(Authenticated::for_test(name, false)))
}

/// Lets other users use the CMK so.
async fn allow(house: &House, cmk: &str, grants: &[(&str, &str)]) {
    let one = |(user, action): &(&str, &str)| {
        format!(
            r#"{{"Effect":"Allow","Principal":{{"AWS":"arn:aws:iam::000000000000:user/{user}"}},"Action":"{action}","Resource":"*"}}"#
        )
    };
    let statements: Vec<_> = grants.iter().chain([&("alice", "kms:*")]).map(one).collect();
    let document = format!(r#"{{"Version":"2012-10-17","Statement":[{}]}}"#, statements.join(","));
    let principal = house.caller.principal().unwrap();
    house.keystore.put_key_policy(&principal, &KeyRef(cmk.to_owned()), document, false).await.unwrap();
    let document = br#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":"*","Action":"s3:*","Resource":"arn:aws:s3:::one/*"}]}"#;
    house.gateway.put_bucket_policy(&house.caller, &"one".parse().unwrap(), document.to_vec()).await.unwrap();
}

async fn put_as(house: &House, caller: &Requester, at: &ObjectAt) -> Result<(), Error> {
    house.gateway.put_object(caller, put(at, b"x")).await.map(drop)
}

async fn get_as(house: &House, caller: &Requester, at: &ObjectAt) -> Result<(), Error> {
    house.gateway.get_object(caller, get(at)).await.map(drop)
}

#[tokio::test]
async fn a_bucket_key_whose_wraps_are_spent_has_a_successor() {
    let (house, _) = flagged().await;
    house.put(&at("one", "first"), b"1").await;
    assert_eq!(epochs(&house, "one").await, 1);
    house.gateway.keys.leave_wraps(2);
    for (object, expected) in [("second", 1), ("third", 1), ("fourth", 2), ("fifth", 2)] {
        house.put(&at("one", object), object.as_bytes()).await;
        assert_eq!(epochs(&house, "one").await, expected, "{object}");
    }
    assert_eq!(house.bytes(&at("one", "first")).await, b"1");
    assert_eq!(house.bytes(&at("one", "third")).await, b"third");
    assert_eq!(house.bytes(&at("one", "fifth")).await, b"fifth");
}

#[tokio::test]
async fn a_thousand_writes_and_reads_ask_the_cmk_twice() {
    let (house, cmk) = flagged().await;
    let objects: Vec<_> = (0..500).map(|n| at("one", &format!("object {n}"))).collect();
    for object in &objects {
        let written = house.put(object, b"hello").await;
        assert!(
            matches!(written.sse, SseStatus::Kms { ref key, bucket_key: true, .. } if key.0 == cmk),
            "{:?}",
            written.sse
        );
    }
    assert_eq!(house.kms.calls(), 1, "the first write has the CMK make the bucket key");
    for object in &objects {
        assert_eq!(house.bytes(object).await, b"hello");
    }
    assert_eq!((house.kms.calls(), epochs(&house, "one").await), (2, 1));

    let house = house.reopened();
    house.put(&objects[0], b"again").await;
    assert_eq!((house.kms.calls(), epochs(&house, "one").await), (2, 1), "asked whether alice may, and to unwrap");
    assert_eq!(house.bytes(&objects[0]).await, b"again");
    assert_eq!(house.bytes(&objects[1]).await, b"hello");
    assert_eq!(house.kms.calls(), 3);
}

#[tokio::test]
async fn writes_at_one_moment_begin_one_epoch_and_a_call_each_is_not_made() {
    let (house, _) = flagged().await;
    let objects: Vec<_> = (0..100).map(|n| at("one", &format!("object {n}"))).collect();
    futures::future::join_all(objects.iter().map(|object| house.put(object, b"x"))).await;
    assert_eq!((house.kms.calls(), epochs(&house, "one").await), (1, 1));
    futures::future::join_all(objects.iter().map(|object| house.bytes(object))).await;
    assert_eq!(house.kms.calls(), 2);
}

#[tokio::test]
async fn a_cmk_in_a_header_wraps_directly_unless_it_asks_and_so_does_one_with_a_context() {
    let (house, cmk) = flagged().await;
    let direct = at("one", "direct");
    house.put_under(&direct, b"x", under(&cmk)).await;
    assert_eq!(epochs(&house, "one").await, 0);
    let asked = at("one", "asked");
    assert!(matches!(
        house.put_under(&asked, b"x", by_bucket_key(&cmk)).await.sse,
        SseStatus::Kms { bucket_key: true, .. }
    ));
    assert_eq!(epochs(&house, "one").await, 1);
    let context = kms::EncryptionContext([("team".to_owned(), "blue".to_owned())].into());
    let sse = Some(SseRequest::Kms {
        key: Some(KeyRef(cmk.clone())),
        context: Some(context),
        bucket_key: true,
        cipher: DataCipher::Aes256,
    });
    let before = house.kms.calls();
    house.put_under(&at("one", "context"), b"x", sse).await;
    assert_eq!((house.kms.calls(), epochs(&house, "one").await), (before + 1, 1));
    for key in ["direct", "asked", "context"] {
        assert_eq!(house.bytes(&at("one", key)).await, b"x", "{key}");
    }
}

#[tokio::test]
async fn copies_uploads_and_appends_keep_their_bytes_between_all_kinds_of_wraps() {
    let (house, one) = flagged().await;
    let two = house.cmk().await;
    default_of(&house, "two", &two).await;
    let plain = pattern(2 * SEGMENT + 7);
    let kinds = [None, under(&one), under(&two), by_bucket_key(&one), by_bucket_key(&two)];
    for (n, from) in kinds.into_iter().enumerate() {
        for bucket in ["one", "two"] {
            let source = at(bucket, &format!("source {n}"));
            let sse = |request: &Option<SseRequest>| match request {
                Some(SseRequest::Kms { key, bucket_key, cipher, .. }) => {
                    Some(SseRequest::Kms { key: key.clone(), context: None, bucket_key: *bucket_key, cipher: *cipher })
                }
                _ => None,
            };
            let etag = house.put_under(&source, &plain, sse(&from)).await.etag;
            for (m, to) in [None, under(&two), by_bucket_key(&one)].into_iter().enumerate() {
                for place in ["one", "two"] {
                    let target = at(place, &format!("from {bucket} {n} to {m}"));
                    let before = house.store.written();
                    let request = CopyRequest { sse: sse(&to), ..copy(&source, &target) };
                    let copied = house.gateway.copy_object(&house.caller, request).await.unwrap();
                    assert_eq!((copied.etag, house.store.written()), (etag.clone(), before), "no byte of it");
                    assert_eq!(house.bytes(&target).await, plain, "{bucket} {n} to {place} {m}");
                }
            }
        }
    }
    let (parts, grown) = (at("one", "parts"), at("one", "grown"));
    let long = pattern(5 << 20);
    house.put_parts(&parts, &[&long, b"end"]).await;
    assert_eq!(house.bytes(&parts).await, [&long[..], b"end"].concat());
    house.append(&grown, 0, b"begin").await.unwrap();
    house.append(&grown, 5, b" and end").await.unwrap();
    assert_eq!(house.bytes(&grown).await, b"begin and end");
    let moved = at("two", "parts");
    house.gateway.copy_object(&house.caller, copy(&parts, &moved)).await.unwrap();
    assert_eq!(house.bytes(&moved).await.len(), long.len() + 3);
}

#[tokio::test]
async fn what_a_cmk_would_refuse_somebody_is_not_his_because_it_is_remembered() {
    let (house, cmk) = flagged().await;
    let (object, new) = (at("one", "object"), at("one", "new"));
    house.put(&object, b"x").await;
    house.bytes(&object).await;
    let (bob, carol, dora) = (someone("bob"), someone("carol"), someone("dora"));
    allow(&house, &cmk, &[("bob", "kms:Decrypt"), ("carol", "kms:GenerateDataKey")]).await;
    let denied = |result: Result<(), Error>| matches!(result, Err(Error::Kms(kms::Error::Denied(_))));
    for _ in 0..2 {
        house.bytes(&object).await;
        assert!(denied(get_as(&house, &dora, &object).await) && denied(put_as(&house, &dora, &new).await));
        get_as(&house, &bob, &object).await.unwrap();
        assert!(denied(put_as(&house, &bob, &new).await), "opening is not making");
        put_as(&house, &carol, &new).await.unwrap();
        assert!(denied(get_as(&house, &carol, &new).await), "making is not opening");
    }
    assert_eq!(house.bytes(&new).await, b"x");
    assert_eq!(epochs(&house, "one").await, 2, "who may not open the epoch that there is gets one of his own");
    allow(&house, &cmk, &[]).await;
    assert!(denied(get_as(&house, &bob, &object).await) && denied(put_as(&house, &carol, &new).await), "at once");
}

#[tokio::test]
async fn a_disabled_key_is_forgotten_at_once() {
    let (house, cmk) = flagged().await;
    let (object, principal) = (at("one", "object"), house.caller.principal().unwrap());
    house.put(&object, b"x").await;
    house.bytes(&object).await;
    house.keystore.disable_key(&principal, &KeyRef(cmk.clone())).await.unwrap();
    let refused = |result: Result<(), Error>| matches!(result, Err(Error::Kms(kms::Error::Disabled(_))));
    assert!(refused(get_as(&house, &house.caller, &object).await));
    assert!(refused(put_as(&house, &house.caller, &object).await));
    assert_eq!(house.head(&object).await.unwrap().size, 1);
    house.keystore.enable_key(&principal, &KeyRef(cmk.clone())).await.unwrap();
    assert_eq!(house.bytes(&object).await, b"x");
    house.keystore.schedule_deletion(&principal, &KeyRef(cmk), 7).await.unwrap();
    assert!(matches!(get_as(&house, &house.caller, &object).await, Err(Error::Kms(kms::Error::PendingDeletion(_)))));
}

#[tokio::test]
async fn objects_open_by_their_own_copy_when_the_record_is_gone_and_an_altered_record_is_found_out() {
    let (house, _) = flagged().await;
    let (object, bucket) = (at("one", "object"), "one".parse().unwrap());
    house.put(&object, b"x").await;
    let configs = house.store.bucket(&bucket).await.unwrap().configs;
    let (kind, record) = configs.iter().find(|(kind, _)| kind.starts_with("bucket-key/")).unwrap();
    house.store.set_bucket_config(&bucket, kind, None).await.unwrap();
    assert_eq!(house.bytes(&object).await, b"x");
    let mut altered = record.clone();
    *altered.last_mut().unwrap() ^= 1;
    house.store.set_bucket_config(&bucket, kind, Some(altered)).await.unwrap();
    assert!(matches!(house.read(get(&object)).await, Read::Refused(Error::Integrity(_))));
    assert!(matches!(put_as(&house, &house.caller, &object).await, Err(Error::Integrity(_))));
    house.store.set_bucket_config(&bucket, kind, Some(record.clone())).await.unwrap();
    assert_eq!(house.bytes(&object).await, b"x");
}

#[tokio::test]
async fn nothing_is_remembered_where_the_operator_says_so_and_the_records_stay_few() {
    let (mut house, _) = flagged().await;
    house.gateway = house.gateway_remembering(std::time::Duration::ZERO);
    let object = at("one", "object");
    for n in 1..=3 {
        house.put(&object, b"x").await;
        house.bytes(&object).await;
        assert_eq!((house.kms.calls(), epochs(&house, "one").await), (3 * n - 1, 1));
    }
    // Whoever may write and not read has an epoch with each write then: not all of them are kept.
    let (bob, rule) = (someone("bob"), at("one", "bob's"));
    let cmk = match house.head(&object).await.unwrap().sse {
        SseStatus::Kms { key, .. } => key.0,
        other => panic!("{other:?}"),
    };
    allow(&house, &cmk, &[("bob", "kms:GenerateDataKey")]).await;
    for _ in 0..MOST_EPOCHS + 3 {
        put_as(&house, &bob, &rule).await.unwrap();
    }
    assert_eq!(epochs(&house, "one").await, MOST_EPOCHS);
    assert_eq!(house.bytes(&rule).await, b"x");
}

#[tokio::test]
async fn an_alias_that_comes_to_name_another_key_leads_there_at_once() {
    let house = House::new().await;
    let (one, two, principal) = (house.cmk().await, house.cmk().await, house.caller.principal().unwrap());
    let alias = "alias/ours";
    let named = || alias.parse().unwrap();
    house.keystore.create_alias(&principal, named(), &KeyRef(one.clone())).await.unwrap();
    default_of(&house, "one", alias).await;
    let object = at("one", "object");
    let key_of = |sse| match sse {
        SseStatus::Kms { key, .. } => key.0,
        other => panic!("{other:?}"),
    };
    assert_eq!(key_of(house.put(&object, b"x").await.sse), one);
    house.keystore.update_alias(&principal, named(), &KeyRef(two.clone())).await.unwrap();
    assert_eq!(key_of(house.put(&object, b"x").await.sse), two);
}

fn key_of(sse: &SseStatus) -> &str {
    match sse {
        SseStatus::Kms { key, .. } => &key.0,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_bucket_moves_to_another_key_by_its_records_alone() {
    let (house, one) = flagged().await;
    let (two, principal, bucket) = (house.cmk().await, house.caller.principal().unwrap(), "one".parse().unwrap());
    let objects: Vec<_> = (0..50).map(|n| at("one", &format!("object {n}"))).collect();
    let mut before = Vec::new();
    for object in &objects {
        house.put(object, b"hello").await;
        before.push(house.head(object).await.unwrap());
    }
    // Under a policy that keeps even root from using it: then nobody moves anything, and nothing is lost.
    allow(&house, &two, &[]).await;
    let two_ref = KeyRef(two.clone());
    let refused = house.gateway.move_epochs(&bucket, Some(&two_ref)).await;
    assert!(matches!(refused, Err(Error::Kms(kms::Error::Denied(_)))), "{refused:?}");
    let open = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::000000000000:root"},"Action":"kms:*","Resource":"*"}]}"#;
    house.keystore.put_key_policy(&principal, &two_ref, open.to_owned(), false).await.unwrap();

    let (calls, written) = (house.kms.calls(), house.store.written());
    let moved = house.gateway.move_epochs(&bucket, Some(&two_ref)).await.unwrap();
    assert_eq!((moved.moved, moved.keys.len()), (1, 1));
    assert_eq!(
        (house.kms.calls() - calls, house.store.written()),
        (2, written),
        "two calls, whatever the bucket holds"
    );
    house.keystore.disable_key(&principal, &KeyRef(one.clone())).await.unwrap();
    for (object, before) in objects.iter().zip(&before) {
        let now = house.head(object).await.unwrap();
        assert_eq!((key_of(&before.sse), key_of(&now.sse)), (one.as_str(), two.as_str()));
        assert_eq!((&now.etag, now.modified, &now.version), (&before.etag, before.modified, &before.version));
        assert_eq!(house.bytes(object).await, b"hello");
    }
    // New objects go where the bucket's default says: under the key that was moved to, by the same epoch.
    assert!(put_as(&house, &house.caller, &objects[0]).await.is_err(), "the default is still the closed key");
    default_of(&house, "one", &two).await;
    house.put(&objects[0], b"new").await;
    assert_eq!((house.bytes(&objects[0]).await, epochs(&house, "one").await), (b"new".to_vec(), 1));
    // Tags take the wrap of now along; so does a restart.
    let house = house.reopened();
    assert_eq!(house.bytes(&objects[1]).await, b"hello");
    // To the next version of its own key.
    house.keystore.rotate_on_demand(&principal, &two_ref).await.unwrap();
    assert_eq!(house.gateway.move_epochs(&bucket, None).await.unwrap().keys, [kms::KeyArn(two)]);
    assert_eq!(house.bytes(&objects[1]).await, b"hello");
}

#[tokio::test]
async fn a_bucket_may_move_while_it_is_read_and_written() {
    let (house, one) = flagged().await;
    let (two, bucket) = (house.cmk().await, "one".parse().unwrap());
    let objects: Vec<_> = (0..8).map(|n| at("one", &format!("object {n}"))).collect();
    for object in &objects {
        house.put(object, b"0").await;
    }
    let moving = async {
        for n in 0..40 {
            let to = KeyRef(if n % 2 == 0 { two.clone() } else { one.clone() });
            house.gateway.move_epochs(&bucket, Some(&to)).await.unwrap();
        }
    };
    let using = futures::future::join_all(objects.iter().map(|object| async {
        for n in 0..40 {
            house.put(object, n.to_string().as_bytes()).await;
            assert_eq!(house.bytes(object).await, n.to_string().as_bytes());
        }
    }));
    futures::future::join(moving, using).await;
    for object in &objects {
        assert_eq!(house.bytes(object).await, b"39");
    }
    assert!(epochs(&house, "one").await < 45, "an epoch is begun only where the default's key has none");
}

#[tokio::test]
async fn one_object_moves_to_another_key_with_its_body_etag_date_and_version() {
    let house = House::new().await;
    let (one, two) = (house.cmk().await, house.cmk().await);
    let name = "one".parse().unwrap();
    house.gateway.put_bucket_versioning(&house.caller, &name, crate::store::Versioning::Enabled).await.unwrap();
    let plain = pattern(SEGMENT + 9);
    for (n, sse) in [None, under(&one), by_bucket_key(&one)].into_iter().enumerate() {
        let object = at("one", &format!("object {n}"));
        let written = house.put_under(&object, &plain, sse).await;
        house.put(&object, b"newer").await;
        let named = || crate::gateway::GetRequest { version: written.version.clone(), ..get(&object) };
        for bucket_key in [true, false] {
            let before = house.store.written();
            let to = crate::gateway::NewKey { key: KeyRef(two.clone()), bucket_key };
            let version = written.version.clone();
            let shown = house.gateway.update_encryption(&house.caller, &object, version, to).await.unwrap();
            assert_eq!((shown, house.store.written()), (written.version.clone(), before));
            let now = house.gateway.head_object(&house.caller, named()).await.unwrap();
            assert_eq!((key_of(&now.sse), &now.etag, now.modified), (two.as_str(), &written.etag, written.modified));
            assert!(matches!(now.sse, SseStatus::Kms { bucket_key: flag, .. } if flag == bucket_key));
            assert!(matches!(house.read(named()).await, Read::Whole(bytes) if bytes == plain));
        }
        assert_eq!(house.bytes(&object).await, b"newer");
    }
    let to = || crate::gateway::NewKey { key: KeyRef(two.clone()), bucket_key: false };
    let sealed = at("two", "customers");
    house.put_under(&sealed, b"x", Some(SseRequest::Customer(customer(1)))).await;
    let refused = house.gateway.update_encryption(&house.caller, &sealed, None, to()).await;
    assert!(matches!(refused, Err(Error::InvalidArgument(_))), "{refused:?}");
    let gone = house.gateway.update_encryption(&house.caller, &at("two", "none"), None, to()).await;
    assert!(matches!(gone, Err(Error::NoSuchKey)), "{gone:?}");
    let bob = house.gateway.update_encryption(&someone("bob"), &at("one", "object 0"), None, to()).await;
    assert!(matches!(bob, Err(Error::AccessDenied(_))), "{bob:?}");
}

async fn walk(
    house: &House,
    to: Option<&str>,
    full: crate::rewrap::Full,
) -> (crate::rewrap::Walked, Vec<crate::rewrap::Progress>) {
    let plan = crate::rewrap::Plan { bucket: "one".parse().unwrap(), to: to.map(str::to_owned), full: Some(full) };
    let mut heard = Vec::new();
    let done = crate::rewrap::rewrap(&house.gateway, house.store.as_ref(), &plan, &mut |told| heard.push(told)).await;
    (done.unwrap().walked.unwrap(), heard)
}

#[tokio::test]
async fn a_walk_wraps_every_data_key_anew_by_metadata_alone_and_once() {
    use crate::rewrap::{Full, Progress};
    let (house, one) = flagged().await;
    let (two, principal) = (house.cmk().await, house.caller.principal().unwrap());
    let name = "one".parse().unwrap();
    house.gateway.put_bucket_versioning(&house.caller, &name, crate::store::Versioning::Enabled).await.unwrap();
    let mut before = Vec::new();
    for n in 0..30 {
        let object = at("one", &format!("object {n:02}"));
        let sse = match n % 3 {
            0 => None,
            1 => under(&one),
            _ => Some(SseRequest::S3 { cipher: DataCipher::Aes256 }),
        };
        house.put_under(&object, b"older", under(&one)).await;
        house.put_under(&object, b"hello", sse).await;
        before.push((object.clone(), house.head(&object).await.unwrap()));
    }
    let sealed = at("one", "sealed");
    house.put_under(&sealed, b"x", Some(SseRequest::Customer(customer(1)))).await;

    let (calls, written) = (house.kms.calls(), house.store.written());
    let (dry, _) = walk(&house, Some(&two), Full { dry_run: true, ..Full::default() }).await;
    assert_eq!((dry.objects, dry.others, dry.failed), (50, 11, 0));
    assert_eq!((house.kms.calls(), epochs(&house, "one").await), (calls, 1), "a dry run does nothing");
    let (walked, heard) = walk(&house, Some(&two), Full::default()).await;
    assert_eq!((walked.objects, walked.already, walked.others, walked.changed, walked.failed), (50, 0, 11, 0, 0));
    assert_eq!(house.store.written(), written, "no body was written");
    assert_eq!(heard[0], Progress::Begins(61));
    house.keystore.disable_key(&principal, &KeyRef(one.clone())).await.unwrap();
    for (object, before) in &before {
        let now = house.head(object).await.unwrap();
        assert_eq!((&now.etag, now.modified, &now.version), (&before.etag, before.modified, &before.version));
        assert_eq!(house.bytes(object).await, b"hello");
        if let SseStatus::Kms { bucket_key, .. } = &before.sse {
            assert!(
                matches!(&now.sse, SseStatus::Kms { key, bucket_key: flag, .. } if key.0 == two && flag == bucket_key)
            );
        }
    }
    // The old bucket key opens nothing any more: its record can go.
    let configs = house.store.bucket(&name).await.unwrap().configs;
    assert_eq!(epochs(&house, "one").await, 2);
    let Some(Progress::At(_, cursor)) = heard.last() else { panic!("{heard:?}") };
    let epoch = |kind: &&String| kind.starts_with("bucket-key/");
    for kind in configs.keys().filter(epoch) {
        house.store.set_bucket_config(&name, kind, None).await.unwrap();
        assert_eq!(house.bytes(&before[0].0).await, b"hello", "by its own copy");
        house.store.set_bucket_config(&name, kind, Some(configs[kind].clone())).await.unwrap();
    }
    // From the cursor at the end there is nothing left; from the beginning of the same run, nothing to do.
    let after = crate::rewrap::Cursor {
        key: String::new(),
        version: None,
        walked: crate::rewrap::Walked::default(),
        ..cursor.clone()
    };
    let (again, _) = walk(&house, Some(&two), Full { after: Some(after), ..Full::default() }).await;
    assert_eq!(again.others + again.already + again.objects, 61);
    assert!(again.already >= 10, "what a new bucket key wraps is passed over: {again:?}");
    let (rest, _) = walk(&house, Some(&two), Full { after: Some(cursor.clone()), ..Full::default() }).await;
    assert_eq!(rest, walked, "nothing lies behind the cursor");
}

#[tokio::test]
async fn a_walk_that_races_overwrites_loses_nothing() {
    use crate::rewrap::Full;
    let (house, one) = flagged().await;
    let two = house.cmk().await;
    let objects: Vec<_> = (0..20).map(|n| at("one", &format!("object {n}"))).collect();
    for object in &objects {
        house.put_under(object, b"0", under(&one)).await;
    }
    let walking = async {
        for n in 0..6 {
            let to = if n % 2 == 0 { &two } else { &one };
            let (walked, heard) = walk(&house, Some(to), Full::default()).await;
            assert_eq!(walked.failed, 0, "{heard:?}");
        }
    };
    let writing = futures::future::join_all(objects.iter().enumerate().map(|(n, object)| {
        let (house, one) = (&house, &one);
        async move {
            for round in 0..20 {
                let sse = if n % 2 == 0 { under(one) } else { None };
                house.put_under(object, format!("{n} {round}").as_bytes(), sse).await;
                assert_eq!(house.bytes(object).await, format!("{n} {round}").as_bytes());
            }
        }
    }));
    futures::future::join(walking, writing).await;
    for (n, object) in objects.iter().enumerate() {
        assert_eq!(house.bytes(object).await, format!("{n} 19").as_bytes());
    }
}

#[tokio::test]
async fn what_cannot_be_opened_is_named_and_the_walk_goes_on() {
    use crate::rewrap::{Full, Progress};
    let house = House::new().await;
    let (one, two, principal) = (house.cmk().await, house.cmk().await, house.caller.principal().unwrap());
    house.put_under(&at("one", "a"), b"x", under(&one)).await;
    house.put_under(&at("one", "b"), b"x", under(&two)).await;
    house.keystore.disable_key(&principal, &KeyRef(one)).await.unwrap();
    let (walked, heard) = walk(&house, Some(&two), Full::default()).await;
    assert_eq!((walked.objects, walked.failed), (1, 1));
    assert!(heard.iter().any(|told| matches!(told, Progress::Failed(place, _) if place == "one/a")), "{heard:?}");
}
