//! A copy of an object onto itself: it changes what is there, and brings nothing back that was overwritten meanwhile.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::hostile::Kept;
use super::support::*;
use crate::gateway::{CopyRequest, Error, MetadataDirective, ObjectHeaders};
use crate::sse::{DataCipher, SseRequest};
use crate::types::ObjectAt;

const OLD: usize = 3 * SEGMENT;

/// The object is opened as it was before for so many times: what a copy sees whose object is overwritten while it runs.
fn overtake(house: &House, before: Kept, times: usize) -> Arc<AtomicUsize> {
    let left = Arc::new(AtomicUsize::new(times));
    let counter = Arc::clone(&left);
    house.store.edit_objects(move |_, kept| {
        if counter.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1)).is_ok() {
            *kept = before.clone();
        }
    });
    left
}

fn onto_itself(object: &ObjectAt, sse: Option<SseRequest>) -> CopyRequest {
    let headers = ObjectHeaders { user: [("copied".to_owned(), "yes".to_owned())].into(), ..ObjectHeaders::default() };
    CopyRequest { metadata: MetadataDirective::Replace(headers), sse, ..copy(object, object) }
}

/// A copy that shares the body, and one that has to seal it anew.
async fn objects(house: &House) -> [(ObjectAt, Option<SseRequest>); 2] {
    let cmk = house.cmk().await;
    let (shared, sealed) = (at("one", "shared"), at("one", "sealed"));
    house.put(&shared, &pattern(OLD)).await;
    house.put_under(&sealed, &pattern(OLD), under(&cmk)).await;
    [(shared, None), (sealed, Some(SseRequest::S3 { cipher: DataCipher::Aes256 }))]
}

#[tokio::test]
async fn a_copy_onto_itself_is_of_what_overtook_it() {
    let house = House::new().await;
    for (object, sse) in objects(&house).await {
        let before = house.store.kept(&object).await;
        house.put(&object, b"newer").await;
        let left = overtake(&house, before, 3);
        let written = house.gateway.copy_object(&house.caller, onto_itself(&object, sse)).await.unwrap();
        assert_eq!(left.load(Ordering::Relaxed), 0, "the copy saw the old object");
        house.store.behave();
        assert_eq!(house.bytes(&object).await, b"newer", "{object:?}");
        let head = house.head(&object).await.unwrap();
        assert_eq!((head.headers.user.get("copied").map(String::as_str), head.etag), (Some("yes"), written.etag));
    }
}

#[tokio::test]
async fn a_copy_onto_itself_that_is_always_overtaken_gives_up_and_changes_nothing() {
    let house = House::new().await;
    for (object, sse) in objects(&house).await {
        let before = house.store.kept(&object).await;
        house.put(&object, b"newer").await;
        overtake(&house, before, usize::MAX);
        let copied = house.gateway.copy_object(&house.caller, onto_itself(&object, sse)).await;
        assert!(matches!(copied, Err(Error::Conflict)), "{copied:?}");
        house.store.behave();
        assert_eq!(house.bytes(&object).await, b"newer", "{object:?}");
        assert!(house.head(&object).await.unwrap().headers.user.is_empty());
    }
}

#[tokio::test]
async fn a_copy_to_another_key_is_of_what_was_opened() {
    let house = House::new().await;
    for (object, sse) in objects(&house).await {
        let before = house.store.kept(&object).await;
        house.put(&object, b"newer").await;
        overtake(&house, before, 1);
        let target = at("two", "copy");
        house.gateway.copy_object(&house.caller, CopyRequest { sse, ..copy(&object, &target) }).await.unwrap();
        house.store.behave();
        assert_eq!(house.bytes(&target).await, pattern(OLD));
        assert_eq!(house.bytes(&object).await, b"newer");
    }
}
