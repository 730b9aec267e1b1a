//! No key seals twice, whatever is repeated, given up, or begun again after a crash.

use bytes::Bytes;
use futures::FutureExt as _;
use futures::StreamExt as _;

use super::support::*;
use crate::gateway::{BodyError, CopyRequest, MetadataDirective, ObjectHeaders, PlainBody, PutRequest};
use crate::kms::ledger;
use crate::sse::{DataCipher, SseRequest};

/// `SEALGATE_LEDGER_ROUNDS` asks for more.
fn rounds() -> usize {
    std::env::var("SEALGATE_LEDGER_ROUNDS").ok().and_then(|text| text.parse().ok()).unwrap_or(60)
}

/// A body that stops after its first bytes: with an error, or for ever.
fn broken(bytes: &[u8], forever: bool) -> PlainBody {
    let first = futures::stream::iter([Ok(Bytes::copy_from_slice(&bytes[..bytes.len() / 2]))]);
    let rest = futures::stream::iter([Err(BodyError::Incomplete)]).left_stream();
    let rest = if forever { futures::stream::pending().right_stream() } else { rest };
    PlainBody { stream: Box::pin(first.chain(rest)), ..body(bytes) }
}

#[tokio::test]
async fn no_key_seals_twice_through_retries_copies_and_crashes() {
    ledger::keep();
    let mut house = House::new().await;
    let cmk = house.cmk().await;
    let (small, large) = (pattern(100), pattern(2 * SEGMENT + 1));
    let mut open = None;
    for round in 0..rounds() {
        let object = at("one", ["a", "b", "c"][round % 3]);
        let sm4 = Some(SseRequest::S3 { cipher: DataCipher::Sm4 });
        for sse in [None, under(&cmk), by_bucket_key(&cmk), Some(SseRequest::Customer(customer(1))), sm4] {
            // The same bytes under the same key, again and again.
            house.put_under(&object, &small, sse).await;
        }
        for forever in [false, true] {
            let request = PutRequest { body: broken(&large, forever), ..put(&object, &large) };
            // One fails; the other is dropped where it stands.
            if forever {
                assert!(house.gateway.put_object(&house.caller, request).now_or_never().is_none());
            } else {
                house.gateway.put_object(&house.caller, request).await.unwrap_err();
            }
        }
        house.put(&object, &large).await;
        house.put_under(&at("two", "kms"), &large, under(&cmk)).await;
        let aes = Some(SseRequest::S3 { cipher: DataCipher::Aes256 });
        for (from, sse) in [
            (&object, None),
            (&object, under(&cmk)),
            (&at("two", "kms"), by_bucket_key(&cmk)),
            (&at("two", "kms"), aes),
        ] {
            house
                .gateway
                .copy_object(&house.caller, CopyRequest { sse, ..copy(from, &at("two", "copy")) })
                .await
                .unwrap();
        }
        let metadata = MetadataDirective::Replace(ObjectHeaders::default());
        house.gateway.copy_object(&house.caller, CopyRequest { metadata, ..copy(&object, &object) }).await.unwrap();

        // Each append seals a part, and its last parts again. A log has so many parts only that any number of rounds
        // takes a time in proportion.
        let (log, end) = (at("two", &format!("log-{}", round / 64)), (round % 64 * small.len()) as u64);
        house.append(&log, end, &small).await.unwrap();
        house.append(&log, end, &small).await.unwrap_err();

        // Parts are sent twice; an upload that a crash interrupts goes on after it, with the same parts again.
        let target = at("two", "parts");
        let upload = match open.take() {
            Some(upload) => upload,
            None => house.upload(&target, under(&cmk)).await,
        };
        house.part(&target, &upload, 1, &small).await;
        let named = house.part(&target, &upload, 1, &small).await;
        if round % 4 == 3 {
            house = house.reopened();
            open = Some(upload);
        } else {
            let (one, two) = tokio::join!(
                house.complete(&target, &upload, vec![named.clone()]),
                house.complete(&target, &upload, vec![named]),
            );
            assert!(one.is_ok() || two.is_ok());
        }
    }
    let kinds = ledger::close();
    for (kind, per_round) in [("part", 12), ("message", 24), ("keystore", 3)] {
        assert!(kinds.get(kind).is_some_and(|count| *count >= per_round * rounds()), "{kinds:?}");
    }
}
