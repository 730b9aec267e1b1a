//! Objects that grow.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;

use super::support::*;
use crate::gateway::{
    AppendRequest, CannedAcl, Conditions, CopyRequest, DeclaredDigests, Error, EtagMatch, GetRequest, LengthIs,
    ObjectHeaders, PlainBody, Tags,
};
use crate::kms::{self, KeyRef};
use crate::sse::{BucketDefault, DataCipher, ObjectKind, PartHeader, SseRequest, SseStatus};
use crate::store::Versioning;
use crate::types::ObjectAt;

fn only_if_absent() -> Conditions {
    Conditions { if_none_match: Some(EtagMatch::Any), ..Conditions::default() }
}

#[tokio::test]
async fn bytes_go_to_the_end_and_every_answer_is_about_the_whole() {
    let house = House::new().await;
    let object = at("one", "log");
    let mut whole = Vec::new();
    let mut etags = Vec::new();
    for len in [5, 0, 100_000, 1, 3 * SEGMENT, 7, 200] {
        let bytes = pattern(len + whole.len() + 1)[whole.len() + 1..].to_vec();
        let appended = house.append(&object, whole.len() as u64, &bytes).await.unwrap();
        whole.extend_from_slice(&bytes);
        assert_eq!((appended.next, appended.written.size), (whole.len() as u64, whole.len() as u64));
        assert_eq!(appended.written.crc64, crc64(&whole));
        assert_eq!(house.bytes(&object).await, whole);
        let head = house.head(&object).await.unwrap();
        assert_eq!((head.size, head.crc64, head.kind), (whole.len() as u64, crc64(&whole), ObjectKind::Appendable));
        assert_eq!((&head.etag, head.md5, head.parts), (&appended.written.etag, None, None));
        if len > 0 {
            etags.push(head.etag);
        }
    }
    // S3's clients would compare an ETag of just 32 digits with the MD5 of what they read.
    assert!(etags.iter().all(|etag| etag.len() == 34 && etag.ends_with("-1")));
    etags.sort();
    etags.dedup();
    assert_eq!(etags.len(), 6, "each state has an ETag of its own");
    for (first, last) in [(0, 4), (4, 6), (100_003, 100_007), (whole.len() - 208, whole.len() - 1)] {
        assert!(house.range_is_true(&object, &whole, first, last).await);
    }
    let one = GetRequest { part: Some(crate::types::PartNumber::FIRST), ..get(&object) };
    assert!(matches!(house.read(one).await, Read::Whole(plain) if plain == whole));
    let two = GetRequest { part: Some(2.try_into().unwrap()), ..get(&object) };
    assert!(matches!(house.read(two).await, Read::Refused(Error::NoSuchObjectPart { .. })));
}

#[tokio::test]
async fn a_position_that_is_not_the_end_is_refused_with_the_right_one() {
    let house = House::new().await;
    let object = at("one", "log");
    let next = |outcome: Result<crate::gateway::Appended, Error>| match outcome {
        Err(Error::PositionMismatch { next }) => next,
        other => panic!("{other:?}"),
    };
    assert_eq!(next(house.append(&object, 5, b"x").await), 0);
    house.append(&object, 0, b"hello").await.unwrap();
    for position in [0, 4, 6, u64::MAX] {
        assert_eq!(next(house.append(&object, position, b"x").await), 5);
    }
    assert_eq!(house.bytes(&object).await, b"hello");

    house.put(&at("one", "normal"), b"hello").await;
    for position in [0, 5] {
        let refused = house.append(&at("one", "normal"), position, b"x").await;
        assert!(matches!(refused, Err(Error::NotAppendable)), "{refused:?}");
    }
    let digests = DeclaredDigests { md5: Some([0; 16]), ..DeclaredDigests::default() };
    for bytes in [&b"x"[..], b""] {
        let request = AppendRequest { digests: digests.clone(), ..append(&object, 5, bytes) };
        let refused = house.gateway.append(&house.caller, request).await;
        assert!(matches!(refused, Err(Error::BadDigest("Content-MD5"))), "{refused:?}");
    }
    let request = AppendRequest { conditions: only_if_absent(), ..append(&object, 5, b"x") };
    let refused = house.gateway.append(&house.caller, request).await;
    assert!(matches!(refused, Err(Error::PreconditionFailed(_))), "{refused:?}");
    assert_eq!(house.bytes(&object).await, b"hello");
}

#[tokio::test]
async fn of_appends_at_once_one_wins_and_the_others_hear_where_to_go_on() {
    let house = Arc::new(House::new().await);
    let object = at("one", "log");
    let mut whole = Vec::new();
    for round in 0..6_usize {
        let len = if round % 2 == 0 { 20 } else { 3 * SEGMENT };
        let tasks: Vec<_> = (0..6_u8)
            .map(|nth| {
                let (house, object, position) = (Arc::clone(&house), object.clone(), whole.len() as u64);
                tokio::spawn(async move { (nth, house.append(&object, position, &vec![nth; len]).await) })
            })
            .collect();
        let mut won = None;
        for task in tasks {
            match task.await.unwrap() {
                (nth, Ok(appended)) => {
                    assert!(won.replace(nth).is_none(), "two appends at one position");
                    assert_eq!(appended.next, (whole.len() + len) as u64);
                }
                (_, Err(Error::PositionMismatch { next })) => assert_eq!(next, (whole.len() + len) as u64),
                (_, Err(other)) => panic!("{other:?}"),
            }
        }
        whole.extend_from_slice(&vec![won.unwrap(); len]);
        assert_eq!(house.bytes(&object).await, whole);
    }
}

#[tokio::test]
async fn thousands_of_small_appends_stay_few_parts_and_little_writing() {
    let house = House::new().await;
    let object = at("one", "log");
    let (mut whole, before) = (Vec::new(), house.store.written());
    for nth in 0..3000_usize {
        let line = format!("{nth:05} a line of a log, and some more of it\n");
        house.append(&object, whole.len() as u64, line.as_bytes()).await.unwrap();
        whole.extend_from_slice(line.as_bytes());
    }
    assert_eq!(house.bytes(&object).await, whole);
    assert_eq!(house.head(&object).await.unwrap().crc64, crc64(&whole));
    let kept = house.store.kept(&object).await;
    // What is not plaintext: a header, a tag and 44 bytes of manifest for each of at most a dozen parts, and the manifest.
    let overhead = kept.body.len() - whole.len();
    assert!(overhead < 12 * 110 + 250, "{overhead} bytes beside the plaintext");
    // Each line is sealed a dozen times, and each append writes a manifest.
    let written = (house.store.written() - before) as usize;
    assert!(written < 13 * whole.len() + 3000 * 1600, "{written} bytes written for {}", whole.len());
}

/// The body's parts by their headers: the salts.
fn salts(body: &[u8], lens: &[usize]) -> Vec<Vec<u8>> {
    let mut at = 0;
    lens.iter()
        .map(|len| {
            let header = body[at..at + HEADER].to_vec();
            assert_eq!(&header[..4], b"SGE1");
            at += HEADER + len + 16 * len.div_ceil(SEGMENT).max(1);
            header[HEADER - 32..].to_vec()
        })
        .collect()
}

#[tokio::test]
async fn each_append_has_a_key_of_its_own_and_what_stays_is_not_sealed_again() {
    let house = House::new().await;
    let object = at("one", "log");
    house.append(&object, 0, &pattern(1000)).await.unwrap();
    house.append(&object, 1000, &pattern(100)).await.unwrap();
    let old = house.store.kept(&object).await;
    house.append(&object, 1100, &pattern(60)).await.unwrap();
    let new = house.store.kept(&object).await;
    let (before, after) = (salts(&old.body, &[1000, 100]), salts(&new.body, &[1000, 160]));
    assert_eq!(before[0], after[0]);
    assert_ne!(before[1], after[1], "a part that takes in what was there has a fresh salt");
    let first = HEADER + 1000 + 16;
    assert_eq!(old.body[..first], new.body[..first]);
    let header: &[u8; HEADER] = new.body[first..first + HEADER].try_into().unwrap();
    assert_eq!(PartHeader::parse(header).unwrap().number.get(), 2);
    assert_eq!(old.object.metadata, new.object.metadata, "envelope and MAC stay");
    assert_eq!(house.bytes(&object).await, [pattern(1000), pattern(100), pattern(60)].concat());
}

/// The states have one length, so that nothing but what the record pins tells them apart.
#[tokio::test]
async fn the_body_from_before_an_append_under_the_record_from_after_it_is_found_out() {
    let house = House::new().await;
    let object = at("one", "log");
    let plain = pattern(1248);
    for (from, to) in [(0, 1000), (1000, 1100), (1100, 1140)] {
        house.append(&object, from as u64, &plain[from..to]).await.unwrap();
    }
    let old = house.store.kept(&object).await;
    house.append(&object, 1140, &plain[1140..]).await.unwrap();
    let new = house.store.kept(&object).await;
    assert_eq!(old.body.len(), new.body.len());
    assert_eq!(house.bytes(&object).await, plain);

    let body = old.body.clone();
    house.store.edit_objects(move |_, kept| kept.body = body.clone());
    house.assert_whole_read_fails(&object, &plain, "the body").await;
    assert!(!house.range_is_true(&object, &plain, 10, 20).await);
    assert!(house.append(&object, 1248, b"x").await.is_err());
    // The parts of the one with the manifest of the other.
    let (start, manifest) = (HEADER + 1000 + 16, new.body[new.body.len() - 300..].to_vec());
    let mut mixed = old.body.clone();
    let len = mixed.len();
    mixed[len - 300..].copy_from_slice(&manifest);
    assert_ne!(mixed[start..], new.body[start..]);
    house.store.edit_objects(move |_, kept| kept.body = mixed.clone());
    house.assert_whole_read_fails(&object, &plain, "the parts").await;
    house.store.behave();
    assert_eq!(house.bytes(&object).await, plain);
}

#[tokio::test]
async fn flipped_bits_of_what_is_taken_in_are_found_out_and_not_sealed_anew() {
    let house = House::new().await;
    let object = at("one", "log");
    house.append(&object, 0, &pattern(100)).await.unwrap();
    house.store.edit_objects(|_, kept| kept.body[HEADER + 7] ^= 1);
    let refused = house.append(&object, 100, &pattern(100)).await;
    assert!(matches!(refused, Err(Error::Integrity(_))), "{refused:?}");
    house.store.behave();
    assert_eq!(house.bytes(&object).await, pattern(100));
}

#[tokio::test]
async fn the_first_append_chooses_the_encryption_and_the_headers() {
    let house = House::new().await;
    let bucket = "one".parse().unwrap();
    let cmk = house.cmk().await;
    let sm4 = SseRequest::S3 { cipher: DataCipher::Sm4 };
    let object = at("one", "log");
    let system = BTreeMap::from([("content-type".to_owned(), "text/plain".to_owned())]);
    let headers = ObjectHeaders { system, acl: Some(CannedAcl::AuthenticatedRead), ..ObjectHeaders::default() };
    let request = AppendRequest { sse: Some(sm4), headers: headers.clone(), ..append(&object, 0, b"one") };
    let first = house.gateway.append(&house.caller, request).await.unwrap();
    assert_eq!(first.written.sse, SseStatus::S3 { cipher: DataCipher::Sm4 });

    let rule = BucketDefault::Kms { key: Some(cmk), bucket_key: false, cipher: DataCipher::Aes256 };
    house.gateway.put_bucket_encryption(&house.caller, &bucket, rule).await.unwrap();
    let other = ObjectHeaders { system: BTreeMap::from([("content-type".into(), "a/b".into())]), ..headers };
    let sse = Some(SseRequest::S3 { cipher: DataCipher::Aes256 });
    let request = AppendRequest { sse, headers: other, ..append(&object, 3, b"two") };
    let second = house.gateway.append(&house.caller, request).await.unwrap();
    assert_eq!(second.written.sse, SseStatus::S3 { cipher: DataCipher::Sm4 });
    let head = house.head(&object).await.unwrap();
    assert_eq!(head.headers.system["content-type"], "text/plain");
    assert_eq!(house.store.kept(&object).await.body[5], 2, "the AEAD of a part");
    assert_eq!(house.bytes(&object).await, b"onetwo");
    assert_eq!(house.suspects.load(std::sync::atomic::Ordering::Relaxed), 0);
}

#[tokio::test]
async fn appends_under_a_cmk_use_it_as_the_caller_each_time() {
    let house = House::new().await;
    let (object, cmk) = (at("one", "log"), house.cmk().await);
    let request = AppendRequest { sse: under(&cmk), ..append(&object, 0, b"one") };
    house.gateway.append(&house.caller, request).await.unwrap();
    let calls = house.kms.calls();
    let second = house.append(&object, 3, b"two").await.unwrap();
    assert!(matches!(&second.written.sse, SseStatus::Kms { key, .. } if key.0 == cmk));
    assert_eq!(house.kms.calls(), calls + 1, "one unwrap");
    let principal = house.caller.principal().unwrap();
    house.keystore.disable_key(&principal, &KeyRef(cmk.clone())).await.unwrap();
    let refused = house.append(&object, 6, b"three").await;
    assert!(matches!(refused, Err(Error::Kms(kms::Error::Disabled(_)))), "{refused:?}");
    let mismatch = house.append(&object, 3, b"three").await;
    assert!(matches!(mismatch, Err(Error::PositionMismatch { next: 6 })), "{mismatch:?}");
    house.keystore.enable_key(&principal, &KeyRef(cmk)).await.unwrap();
    assert_eq!(house.bytes(&object).await, b"onetwo");
}

#[tokio::test]
async fn appends_under_a_customers_key_need_it_each_time() {
    let house = House::new().await;
    let object = at("one", "log");
    let with = |key: u8, position, bytes| AppendRequest {
        sse: Some(SseRequest::Customer(customer(key))),
        ..append(&object, position, bytes)
    };
    house.gateway.append(&house.caller, with(1, 0, b"one")).await.unwrap();
    assert!(matches!(house.append(&object, 3, b"x").await, Err(Error::CustomerKeyRequired)));
    assert!(matches!(house.gateway.append(&house.caller, with(2, 3, b"x")).await, Err(Error::CustomerKeyWrong)));
    house.gateway.append(&house.caller, with(1, 3, b"two")).await.unwrap();
    let read = house.read(GetRequest { customer_key: Some(customer(1)), ..get(&object) }).await;
    assert!(matches!(read, Read::Whole(plain) if plain == b"onetwo"));
    let other = at("one", "other");
    house.append(&other, 0, b"x").await.unwrap();
    let request = AppendRequest { sse: Some(SseRequest::Customer(customer(1))), ..append(&other, 1, b"y") };
    assert!(matches!(house.gateway.append(&house.caller, request).await, Err(Error::CustomerKeyNotApplicable)));
}

#[tokio::test]
async fn tags_and_acl_survive_appends_and_a_copy_can_grow_too() {
    let house = House::new().await;
    let (object, cmk) = (at("one", "log"), house.cmk().await);
    house.append(&object, 0, b"one").await.unwrap();
    let tags = Tags::new([("team".to_owned(), "red".to_owned())], crate::gateway::OBJECT_TAGS).unwrap();
    house.gateway.put_object_tags(&house.caller, &object, None, tags.clone()).await.unwrap();
    house.append(&object, 3, b"two").await.unwrap();
    assert_eq!(house.gateway.object_tags(&house.caller, &object, None).await.unwrap().0, tags);

    // Under another mode, with an ETag that stands in the metadata: the append gives it a new one.
    let copied = at("two", "copy");
    let request = CopyRequest { sse: under(&cmk), ..copy(&object, &copied) };
    let written = house.gateway.copy_object(&house.caller, request).await.unwrap();
    assert_eq!(written.crc64, crc64(b"onetwo"), "a copy keeps the CRC");
    let appended = house.append(&copied, 6, b"three").await.unwrap();
    assert_ne!(appended.written.etag, written.etag);
    assert_eq!(house.head(&copied).await.unwrap().etag, appended.written.etag);
    house.append(&object, 6, b"3").await.unwrap();
    assert_eq!(house.bytes(&copied).await, b"onetwothree");
    assert_eq!(house.bytes(&object).await, b"onetwo3");
    assert_eq!(house.head(&object).await.unwrap().crc64, crc64(b"onetwo3"));
}

#[tokio::test]
async fn only_the_current_version_grows_and_in_place() {
    let house = House::new().await;
    let (object, bucket) = (at("one", "log"), "one".parse().unwrap());
    house.gateway.put_bucket_versioning(&house.caller, &bucket, Versioning::Enabled).await.unwrap();
    let first = house.append(&object, 0, b"one").await.unwrap().written;
    let second = house.append(&object, 3, b"two").await.unwrap().written;
    assert!(first.version.is_some() && first.version == second.version);
    assert_eq!(house.bytes(&object).await, b"onetwo");
    // Behind a marker there is nothing to grow, and a new object can be begun.
    house
        .gateway
        .delete_object(&house.caller, &object, None, &Conditions::default(), crate::gateway::Governance::Heeded)
        .await
        .unwrap();
    assert!(matches!(house.append(&object, 6, b"x").await, Err(Error::PositionMismatch { next: 0 })));
    let again = house.append(&object, 0, b"new").await.unwrap().written;
    assert_ne!(again.version, first.version);
    let old = GetRequest { version: first.version, ..get(&object) };
    assert!(matches!(house.read(old).await, Read::Whole(plain) if plain == b"onetwo"));
    house.put(&object, b"normal").await;
    assert!(matches!(house.append(&object, 6, b"x").await, Err(Error::NotAppendable)));
}

/// As a chunked request without a declared length.
fn unmeasured(chunks: Vec<&'static [u8]>) -> PlainBody {
    let chunks = chunks.into_iter().map(|chunk| Ok(Bytes::from_static(chunk)));
    PlainBody {
        stream: Box::pin(futures::stream::iter(chunks.collect::<Vec<_>>())),
        len: 1 << 20,
        length_is: LengthIs::Ceiling,
        trailers: None,
    }
}

#[tokio::test]
async fn bytes_without_a_declared_length_are_merged_all_the_same() {
    let house = House::new().await;
    let object: ObjectAt = at("one", "log");
    let mut whole = Vec::new();
    for _ in 0..200 {
        let request =
            AppendRequest { body: unmeasured(vec![b"ab", b"", b"cde"]), ..append(&object, whole.len() as u64, b"") };
        house.gateway.append(&house.caller, request).await.unwrap();
        whole.extend_from_slice(b"abcde");
    }
    let request = AppendRequest { body: unmeasured(vec![]), ..append(&object, 1000, b"") };
    assert_eq!(house.gateway.append(&house.caller, request).await.unwrap().next, 1000);
    assert_eq!(house.bytes(&object).await, whole);
    assert!(house.store.kept(&object).await.body.len() < 1000 + 10 * 110 + 250);
    let mut long = unmeasured(vec![b"too long"]);
    long.len = 3;
    let request = AppendRequest { body: long, ..append(&object, 1000, b"") };
    let refused = house.gateway.append(&house.caller, request).await;
    assert!(matches!(refused, Err(Error::Body(_))), "{refused:?}");
    assert_eq!(house.bytes(&object).await, whole);
}
