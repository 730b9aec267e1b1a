//! Writes that fail, conditions, and parts written twice.

use bytes::Bytes;

use super::support::*;
use crate::gateway::{
    BodyError, Conditions, DeclaredDigests, Error, EtagMatch, GetRequest, LengthIs, PlainBody, PutRequest,
};

fn one_of(etag: &str) -> Option<EtagMatch> {
    Some(EtagMatch::OneOf(vec![etag.to_owned()]))
}

#[tokio::test]
async fn a_write_that_fails_leaves_the_old_object() {
    let house = House::new().await;
    let object = at("one", "object");
    house.put(&object, b"old").await;
    let chunk = || Ok(Bytes::from(pattern(SEGMENT)));
    let failing = |last, len| PlainBody {
        stream: Box::pin(futures::stream::iter([chunk(), chunk(), last])),
        len,
        length_is: LengthIs::Declared,
        trailers: None,
    };
    let len = 3 * SEGMENT as u64;
    let bodies = [
        ("broke off", failing(Err(BodyError::Connection("reset".into())), len)),
        ("bad chunk signature", failing(Err(BodyError::ChunkSignature), len)),
        ("shorter than declared", failing(Ok(Bytes::from_static(b"x")), len)),
        ("longer than declared", failing(chunk(), len - 1)),
    ];
    for (name, body) in bodies {
        let refused = house.gateway.put_object(&house.caller, PutRequest { body, ..put(&object, b"") }).await;
        assert!(matches!(refused, Err(Error::Body(_))), "{name}: {refused:?}");
        assert_eq!(house.bytes(&object).await, b"old", "{name}");
    }
    let digests = DeclaredDigests { md5: Some([0; 16]), ..DeclaredDigests::default() };
    let refused = house.gateway.put_object(&house.caller, PutRequest { digests, ..put(&object, b"new") }).await;
    assert!(matches!(refused, Err(Error::BadDigest(_))), "{refused:?}");
    assert_eq!(house.bytes(&object).await, b"old");
}

#[tokio::test]
async fn conditional_writes_are_judged_on_the_etag_that_clients_see() {
    let house = House::new().await;
    let (object, cmk) = (at("one", "object"), house.cmk().await);
    let absent = || Conditions { if_none_match: Some(EtagMatch::Any), ..Conditions::default() };
    let write = async |conditions| {
        let request = PutRequest { conditions, sse: under(&cmk), ..put(&object, b"x") };
        house.gateway.put_object(&house.caller, request).await
    };
    let first = write(absent()).await.unwrap();
    assert!(matches!(write(absent()).await, Err(Error::PreconditionFailed(_))));
    let replace = |etag: &str| Conditions { if_match: one_of(etag), ..Conditions::default() };
    let second = write(replace(&first.etag)).await.unwrap();
    assert_ne!(second.etag, first.etag);
    assert!(matches!(write(replace(&first.etag)).await, Err(Error::PreconditionFailed(_))));

    let read = async |conditions| house.read(GetRequest { conditions, ..get(&object) }).await;
    let unless = |etag: &str| Conditions { if_none_match: one_of(etag), ..Conditions::default() };
    assert!(matches!(read(replace(&second.etag)).await, Read::Whole(_)));
    assert!(matches!(read(replace(&first.etag)).await, Read::Refused(Error::PreconditionFailed(_))));
    assert!(matches!(read(unless(&second.etag)).await, Read::Refused(Error::NotModified { .. })));
    assert!(matches!(read(unless(&first.etag)).await, Read::Whole(_)));
}

#[tokio::test]
async fn of_two_create_only_writes_at_once_one_wins() {
    let house = House::new().await;
    let object = at("one", "object");
    let write = |bytes: &'static [u8]| {
        let conditions = Conditions { if_none_match: Some(EtagMatch::Any), ..Conditions::default() };
        house.gateway.put_object(&house.caller, PutRequest { conditions, ..put(&object, bytes) })
    };
    let (one, two) = tokio::join!(write(b"one"), write(b"two"));
    assert!(one.is_ok() != two.is_ok(), "{one:?} {two:?}");
    let expected: &[u8] = if one.is_ok() { b"one" } else { b"two" };
    assert_eq!(house.bytes(&object).await, expected);
}

#[tokio::test]
async fn the_last_attempt_at_a_part_counts_and_an_earlier_etag_is_refused() {
    let house = House::new().await;
    for (name, sse) in [("s3", None), ("kms", under(&house.cmk().await))] {
        let object = at("one", name);
        let upload = house.upload(&object, sse).await;
        let first = house.part(&object, &upload, 1, b"first").await;
        let again = house.part(&object, &upload, 1, b"second").await;
        let refused = house.complete(&object, &upload, vec![first]).await;
        assert!(matches!(refused, Err(Error::InvalidPart(_))), "{name}: {refused:?}");
        house.complete(&object, &upload, vec![again]).await.unwrap();
        assert_eq!(house.bytes(&object).await, b"second", "{name}");
    }
}
