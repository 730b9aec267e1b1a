//! Edits of stored bodies (C1–C5 and C15 in tests/threats.toml): none is ever shown as the object.

use super::hostile::Kept;
use super::support::*;
use crate::gateway::{GetRequest, MIN_PART};
use crate::sse::SseRequest;
use crate::types::ObjectAt;

#[tokio::test]
async fn every_flipped_bit_of_a_small_body_is_found_out() {
    let house = House::new().await;
    let (small, plain) = (at("one", "small"), pattern(100));
    house.put(&small, &plain).await;
    let len = house.store.kept(&small).await.body.len();
    for byte in 0..len {
        house.store.edit_objects(move |_, kept| kept.body[byte] ^= 1 << (byte % 8));
        house.assert_whole_read_fails(&small, &plain, &format!("byte {byte}")).await;
        house.range_is_true(&small, &plain, 10, 20).await;
    }
    house.store.behave();
    assert_eq!(house.bytes(&small).await, plain);
}

#[tokio::test]
async fn flipped_bits_of_segments_and_parts_are_found_out_before_the_segment_shows() {
    let house = House::new().await;
    let (big, plain) = (at("one", "big"), pattern(MIN_PART as usize + 2 * SEGMENT + 500));
    let (first, second) = plain.split_at(MIN_PART as usize);
    house.put_parts(&big, &[first, second]).await;
    let kept = house.store.kept(&big).await;
    let parts = 2 * HEADER + SEALED_SEGMENT * (MIN_PART as usize / SEGMENT + 2) + 500 + 16;
    let last_part = HEADER + SEALED_SEGMENT * (MIN_PART as usize / SEGMENT);
    let near = |at: usize| [at.saturating_sub(1), at];
    let mut places: Vec<usize> = [HEADER, HEADER + SEALED_SEGMENT - 16, HEADER + SEALED_SEGMENT, last_part, parts]
        .into_iter()
        .flat_map(near)
        .collect();
    places.extend([0, 4, 7, 16, last_part + 11, last_part + HEADER + 3, kept.body.len() - 88, kept.body.len() - 1]);
    for byte in places {
        house.store.edit_objects(move |_, kept| kept.body[byte] ^= 0x10);
        house.assert_whole_read_fails(&big, &plain, &format!("byte {byte}")).await;
    }
    // What a range does not touch, it does not see; what it touches must verify.
    house.store.edit_objects(move |_, kept| kept.body[HEADER + SEALED_SEGMENT + 5] ^= 1);
    assert!(!house.range_is_true(&big, &plain, SEGMENT, SEGMENT).await);
    assert!(!house.range_is_true(&big, &plain, SEGMENT - 1, SEGMENT).await);
    assert!(house.range_is_true(&big, &plain, 0, SEGMENT - 1).await);
}

#[tokio::test]
async fn cut_extended_and_reordered_bodies_are_found_out() {
    let house = House::new().await;
    let (three, plain) = (at("one", "three"), pattern(2 * SEGMENT + 100));
    house.put(&three, &plain).await;
    let len = house.store.kept(&three).await.body.len();
    let parts = HEADER + 2 * SEALED_SEGMENT + 116;
    let (one, two) = (HEADER, HEADER + SEALED_SEGMENT);
    type Edit = Box<dyn Fn(&mut Vec<u8>) + Send + Sync>;
    let edits: Vec<(&str, Edit)> = vec![
        ("cut to nothing", Box::new(Vec::clear)),
        ("cut to the header", Box::new(|body| body.truncate(HEADER))),
        ("cut in a segment", Box::new(|body| body.truncate(HEADER + 1000))),
        ("cut after a segment", Box::new(move |body| body.truncate(two))),
        ("manifest dropped", Box::new(move |body| body.truncate(parts))),
        ("last byte dropped", Box::new(move |body| body.truncate(len - 1))),
        ("last segment dropped", Box::new(move |body| drop(body.drain(parts - 116..parts)))),
        ("first segment dropped", Box::new(move |body| drop(body.drain(one..two)))),
        ("a byte appended", Box::new(|body| body.push(0))),
        ("a second manifest", Box::new(move |body| body.extend_from_within(parts..))),
        (
            "a segment repeated",
            Box::new(move |body| {
                let again = body[one..two].to_vec();
                drop(body.splice(two..two, again));
            }),
        ),
        ("segments swapped", Box::new(move |body| body[one..one + 2 * SEALED_SEGMENT].rotate_left(SEALED_SEGMENT))),
    ];
    for (name, edit) in edits {
        let edit = std::sync::Arc::new(edit);
        // Once the store tells the length of what it gives, once it says that nothing changed.
        let honest = std::sync::Arc::clone(&edit);
        house.store.edit_objects(move |_, kept| {
            let mut body = kept.body.clone();
            honest(&mut body);
            kept.set_body(body);
        });
        house.assert_whole_read_fails(&three, &plain, name).await;
        if name != "segments swapped" {
            assert!(house.head(&three).await.is_err(), "{name}: HEAD shows a size that is not the body's");
        }
        // Bytes beyond the length that the record pins are never asked for.
        if name != "a byte appended" && name != "a second manifest" {
            house.store.edit_objects(move |_, kept| edit(&mut kept.body));
            house.assert_whole_read_fails(&three, &plain, name).await;
        }
    }
}

#[tokio::test]
async fn a_manifest_with_absurd_numbers_is_refused() {
    let house = House::new().await;
    let (two, plain) = (at("one", "two"), pattern(MIN_PART as usize + 10));
    house.put_parts(&two, &[&plain[..MIN_PART as usize], &plain[MIN_PART as usize..]]).await;
    // Offsets from the trailer's start: FORMAT.md §4.
    let cases: [(&str, usize, &[u8]); 9] = [
        ("version", 4, &[2]),
        ("AEAD", 5, &[9]),
        ("segment size 2^0", 6, &[0]),
        ("segment size 2^63", 6, &[63]),
        ("flags", 7, &[1]),
        ("2^32 - 1 parts", 8, &[0xff; 4]),
        ("huge sections", 12, &[0xff; 8]),
        ("no attribute section", 12, &[0; 4]),
        ("reserved", 20, &[1]),
    ];
    for (name, offset, bytes) in cases {
        house.store.edit_objects(move |_, kept| {
            let start = kept.body.len() - 88 + offset;
            kept.body[start..start + bytes.len()].copy_from_slice(bytes);
        });
        house.assert_whole_read_fails(&two, &plain, name).await;
        // The layout of several parts is the manifest's: without it not even a range is read.
        assert!(!house.range_is_true(&two, &plain, 0, 9).await, "{name}");
    }
}

#[tokio::test]
async fn parts_dropped_repeated_or_reordered_are_found_out() {
    let house = House::new().await;
    let unit = MIN_PART as usize;
    let (object, plain) = (at("one", "parts"), pattern(3 * unit));
    let parts: Vec<&[u8]> = plain.chunks(unit).collect();
    house.put_parts(&object, &parts).await;
    let sealed = HEADER + SEALED_SEGMENT * (unit / SEGMENT);
    type Edit = fn(&mut Vec<u8>, usize);
    let edits: [(&str, Edit); 5] = [
        ("first and second swapped", |body, part| body[..2 * part].rotate_left(part)),
        ("second and third swapped", |body, part| body[part..3 * part].rotate_left(part)),
        ("second replaced by the first", |body, part| body.copy_within(..part, part)),
        ("middle dropped", |body, part| drop(body.drain(part..2 * part))),
        ("a segment from another part", |body, part| {
            body.copy_within(HEADER..HEADER + SEALED_SEGMENT, part + HEADER);
        }),
    ];
    for (name, edit) in edits {
        house.store.edit_objects(move |_, kept| edit(&mut kept.body, sealed));
        house.assert_whole_read_fails(&object, &plain, name).await;
        assert!(!house.range_is_true(&object, &plain, unit, unit + 10).await, "{name}: a range of the second part");
    }
}

#[tokio::test]
async fn an_earlier_attempt_at_a_part_is_not_the_part() {
    let house = House::new().await;
    let (object, unit) = (at("one", "attempts"), MIN_PART as usize);
    let upload = house.upload(&object, None).await;
    let (old, new) = (vec![1; unit], vec![2; unit]);
    let sealed = HEADER + SEALED_SEGMENT * (unit / SEGMENT);
    let named = house.part(&object, &upload, 1, &old).await;
    // Valid ciphertext of part 1 of this very upload, under its data key: the store kept it.
    let aside = house.store.last_part();
    assert_eq!((aside.len(), named.number.get()), (sealed, 1));
    let first = house.part(&object, &upload, 1, &new).await;
    let last = house.part(&object, &upload, 2, b"end").await;
    house.complete(&object, &upload, vec![first, last]).await.unwrap();
    let plain = [new.as_slice(), b"end"].concat();
    assert_eq!(house.bytes(&object).await, plain);

    house.store.edit_objects(move |_, kept| kept.body[..aside.len()].copy_from_slice(&aside));
    house.assert_whole_read_fails(&object, &plain, "earlier attempt").await;
    assert!(!house.range_is_true(&object, &plain, 0, 9).await);
}

#[tokio::test]
async fn every_range_around_an_edge_is_that_slice() {
    let house = House::new().await;
    let (object, unit) = (at("one", "ranges"), MIN_PART as usize);
    let plain = pattern(unit + SEGMENT + 77);
    house.put_parts(&object, &[&plain[..unit], &plain[unit..]]).await;
    let end = plain.len() - 1;
    let edges: Vec<usize> = [0, SEGMENT, unit, unit + SEGMENT, end]
        .into_iter()
        .flat_map(|edge| [edge.saturating_sub(1), edge, (edge + 1).min(end)])
        .collect();
    for &first in &edges {
        for &last in edges.iter().filter(|&&last| first <= last) {
            assert!(house.range_is_true(&object, &plain, first, last).await, "{first}-{last}");
        }
    }
}

/// A suffix is counted from the length that is authenticated, never from one that the store tells.
#[tokio::test]
async fn a_suffix_of_a_body_whose_length_is_a_lie_is_refused() {
    let house = House::new().await;
    let (object, plain) = (at("one", "suffix"), pattern(300));
    house.put(&object, &plain).await;
    house.store.edit_objects(|_: &ObjectAt, kept: &mut Kept| kept.object.len.0 -= 100);
    let request = crate::gateway::GetRequest { range: Some(crate::gateway::RangeSpec::Suffix(10)), ..get(&object) };
    assert!(matches!(house.read(request).await, Read::Refused(crate::gateway::Error::Integrity(_))));
}

#[tokio::test]
async fn a_failed_verification_raises_one_alarm_and_a_clients_mistake_none() {
    let house = House::new().await;
    let (object, plain) = (at("one", "object"), pattern(2 * SEGMENT));
    house.put(&object, &plain).await;
    let alarms = || house.alarms.load(std::sync::atomic::Ordering::Relaxed);

    let absent = house.gateway.get_object(&house.caller, get(&at("one", "absent"))).await;
    let with_key = GetRequest { customer_key: Some(customer(1)), ..get(&object) };
    let not_applicable = house.gateway.get_object(&house.caller, with_key).await;
    assert!(absent.is_err() && not_applicable.is_err());
    assert_eq!(house.bytes(&object).await, plain);
    assert_eq!(alarms(), 0);

    // In the middle of the body, which has begun by then; and in the metadata, which HEAD and LIST verify.
    house.store.edit_objects(move |_, kept| kept.body[HEADER + SEALED_SEGMENT + 9] ^= 1);
    house.assert_whole_read_fails(&object, &plain, "second segment").await;
    assert_eq!(alarms(), 1);
    let copied = house.gateway.copy_object(&house.caller, copy(&object, &at("two", "copy"))).await;
    assert_eq!(alarms(), 1 + u64::from(copied.is_err()));
}

#[tokio::test]
async fn a_write_that_is_not_stored_as_ciphertext_is_suspected() {
    let house = House::new().await;
    let suspects = || house.suspects.load(std::sync::atomic::Ordering::Relaxed);
    let object = at("one", "object");
    let text: Vec<u8> = b"what nobody else may read; ".iter().copied().cycle().take(2 * SEGMENT).collect();
    for sse in [None, under(&house.cmk().await), Some(SseRequest::Customer(customer(1)))] {
        house.put_under(&object, &text, sse).await;
    }
    house.put_parts(&object, &[&pattern(MIN_PART as usize), b"end"]).await;
    house.gateway.copy_object(&house.caller, copy(&object, &at("two", "copy"))).await.unwrap();
    assert_eq!(suspects(), 0);

    let plain = text.clone();
    house.store.edit_objects(move |_, kept| kept.body[HEADER..HEADER + SEGMENT].copy_from_slice(&plain[..SEGMENT]));
    house.put(&object, &text).await;
    assert_eq!(suspects(), 1);
    // A header that says that the part is not encrypted.
    house.store.edit_objects(|_, kept| kept.body[5] = 0);
    house.put(&object, &text).await;
    assert_eq!(suspects(), 2);
    house.store.behave();
    house.put(&object, &text).await;
    assert_eq!(suspects(), 2);
}
