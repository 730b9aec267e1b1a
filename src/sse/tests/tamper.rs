//! Everything that can be done to a stored body without its keys is found out, and nothing false comes out first.

use proptest::prelude::*;

use crate::kms::{DataKey, ServiceKey};
use crate::sse::{Aead, BodyOpener, Error, ObjectId, SegmentSize, manifest};
use crate::store::CipherOffset;

use super::support::*;

const SIZE: SegmentSize = SegmentSize::MIN;
const SEALED: usize = 4096 + 16;

/// An edited body must end with an error, and what came out before is a prefix of what was sealed.
#[track_caller]
fn refused(sample: &Sample, body: &[u8], what: &str) {
    for chunk in [body.len().max(1), SEALED, 1000] {
        let opened = sample.open(body, chunk);
        assert!(opened.end.is_err(), "{what}: accepted");
        assert!(sample.plain.starts_with(&opened.plain), "{what}: false plaintext came out");
        assert!(opened.plain.len() < sample.plain.len() || sample.plain.is_empty(), "{what}: a clean end was visible");
    }
}

/// What encrypts bodies that clients write.
const CIPHERS: [Aead; 2] = [Aead::Aes256Gcm, Aead::Sm4Gcm];

fn three_segments(aead: Aead) -> Sample {
    Sample::new(aead, SIZE, &[2 * 4096 + 100])
}

fn three_parts(aead: Aead) -> Sample {
    Sample::new(aead, SIZE, &[5000, 5000, 5000])
}

fn cipher() -> impl Strategy<Value = Aead> {
    prop_oneof![Just(Aead::Aes256Gcm), Just(Aead::Sm4Gcm)]
}

/// The bytes of each part, and the manifest.
fn pieces(sample: &Sample) -> Vec<Vec<u8>> {
    let layout = sample.layout();
    let spans = (0..layout.part_count()).map(|i| layout.part_span(i).unwrap());
    let mut pieces: Vec<_> = spans.map(|s| sample.body[s.start.0 as usize..s.end.0 as usize].to_vec()).collect();
    pieces.push(sample.body[sample.parts_len()..].to_vec());
    pieces
}

#[test]
fn one_flipped_bit_in_any_byte_is_found() {
    for sample in [
        Sample::new(Aead::Aes256Gcm, SIZE, &[0]),
        Sample::new(Aead::Aes256Gcm, SIZE, &[33]),
        Sample::new(Aead::ChaCha20Poly1305, SIZE, &[33]),
        Sample::new(Aead::Sm4Gcm, SIZE, &[33]),
        Sample::new(Aead::Sm4Gcm, SIZE, &[20, 0, 30]),
        Sample::new(Aead::Aes256Gcm, SIZE, &[20, 0, 30]),
    ] {
        for at in 0..sample.body.len() {
            let mut body = sample.body.clone();
            body[at] ^= 1 << (at % 8);
            refused(&sample, &body, &format!("byte {at}"));
        }
    }
}

#[test]
fn one_flipped_bit_in_a_manifest_is_found_without_the_body() {
    let sample = Sample::new(Aead::Aes256Gcm, SIZE, &[20, 30]);
    let (tail, len) = (sample.parts_len(), CipherOffset(sample.body.len() as u64));
    manifest::open_attributes(&sample.body[tail..], len, &attribute_key()).unwrap();
    for at in tail..sample.body.len() {
        let mut body = sample.body.clone();
        body[at] ^= 0x40;
        let attributes = manifest::open_attributes(&body[tail..], len, &attribute_key());
        let digests = manifest::open_digests(&body[tail..], &data_key());
        assert!(attributes.is_err() || digests.is_err(), "byte {at}");
    }
}

proptest! {
    #[test]
    fn one_flipped_bit_anywhere_in_a_larger_body_is_found(
        aead in cipher(), at: prop::sample::Index, bit in 0..8_u8,
    ) {
        let sample = Sample::new(aead, SIZE, &[9000, 9000]);
        let mut body = sample.body.clone();
        let at = at.index(body.len());
        body[at] ^= 1 << bit;
        refused(&sample, &body, &format!("byte {at}"));
    }

    #[test]
    fn a_range_gives_no_altered_byte(
        aead in cipher(), at: prop::sample::Index, a in 0..18_000_usize, b in 0..18_000_usize,
    ) {
        let sample = Sample::new(aead, SIZE, &[9000, 9000]);
        let mut body = sample.body.clone();
        let at = at.index(sample.parts_len());
        body[at] ^= 1;
        let range = a.min(b)..a.max(b);
        let opened = sample.open_range(&body, range.clone(), 3000);
        let expected = &sample.plain[range];
        prop_assert!(expected.starts_with(&opened.plain));
        prop_assert!(opened.end.is_err() || opened.plain == expected);
    }

    #[test]
    fn a_body_cut_anywhere_is_truncated(aead in cipher(), at: prop::sample::Index) {
        let sample = Sample::new(aead, SIZE, &[9000, 100]);
        refused(&sample, &sample.body[..at.index(sample.body.len())], "cut");
    }

    #[test]
    fn a_manifest_of_random_bytes_is_refused_without_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        let mut forged = bytes.clone();
        prop_assert!(manifest::open_attributes(&bytes, CipherOffset(1000), &attribute_key()).is_err());
        if let Some(at) = forged.len().checked_sub(manifest::TRAILER_LEN) {
            forged[at..at + 8].copy_from_slice(&[b'S', b'G', b'M', b'1', 1, 1, 12, 0]);
            prop_assert!(manifest::open_attributes(&forged, CipherOffset(1000), &attribute_key()).is_err());
            prop_assert!(manifest::open_digests(&forged, &data_key()).is_err());
        }
    }
}

#[test]
fn dropped_repeated_and_appended_pieces_are_found() {
    CIPHERS.into_iter().for_each(|aead| dropped_repeated_and_appended(&three_segments(aead)));
}

fn dropped_repeated_and_appended(sample: &Sample) {
    let parts = sample.parts_len();
    let segment = |i: usize| 48 + i * SEALED..(48 + (i + 1) * SEALED).min(parts);
    for i in 0..3 {
        let mut body = sample.body.clone();
        body.drain(segment(i));
        refused(sample, &body, &format!("segment {i} dropped"));
        let mut body = sample.body.clone();
        let copy = body[segment(i)].to_vec();
        body.splice(segment(i).end..segment(i).end, copy);
        refused(sample, &body, &format!("segment {i} repeated"));
    }
    refused(sample, &sample.body[..parts], "no manifest");
    refused(sample, &sample.body[..48], "only the header");
    refused(sample, &[], "nothing");
    let with = |tail: &[u8]| [sample.body.as_slice(), tail].concat();
    for tail in [&[0][..], &sample.body[parts..], &sample.body] {
        let body = with(tail);
        let opened = sample.open(&body, body.len());
        assert!(matches!(opened.end, Err(Error::TrailingBytes)) && opened.plain.len() < sample.plain.len());
        // What comes in a later chunk is refused when it comes. A reader asks for no more than the layout's length.
        assert!(matches!(sample.open(&body, sample.body.len()).end, Err(Error::TrailingBytes)));
    }
}

#[test]
fn swapped_segments_and_parts_are_found() {
    CIPHERS.into_iter().for_each(swapped_segments_and_parts);
}

fn swapped_segments_and_parts(aead: Aead) {
    let sample = three_segments(aead);
    let mut body = sample.body.clone();
    let (head, tail) = body[48..].split_at_mut(SEALED);
    head.swap_with_slice(&mut tail[..SEALED]);
    refused(&sample, &body, "segments swapped");

    let sample = three_parts(aead);
    let pieces = pieces(&sample);
    for order in
        [vec![1, 0, 2, 3], vec![0, 2, 1, 3], vec![0, 0, 2, 3], vec![0, 2, 3], vec![0, 1, 3], vec![0, 1, 1, 2, 3]]
    {
        let body: Vec<u8> = order.iter().flat_map(|&i| pieces[i].clone()).collect();
        refused(&sample, &body, &format!("parts {order:?}"));
    }
    let mut body = sample.body.clone();
    let second = pieces[0].len();
    let (one, two) = body.split_at_mut(second);
    one[48..48 + SEALED].swap_with_slice(&mut two[48..48 + SEALED]);
    refused(&sample, &body, "first segments of two parts swapped");
}

#[test]
fn an_earlier_attempt_of_a_part_is_found() {
    CIPHERS.into_iter().for_each(|aead| an_earlier_attempt(&three_parts(aead)));
}

fn an_earlier_attempt(sample: &Sample) {
    let (old, _) = seal_part(sample.aead, SIZE, 2, 0x43, &sample.plain[5000..10_000]);
    let pieces = pieces(sample);
    let body = [pieces[0].clone(), old, pieces[2].clone(), pieces[3].clone()].concat();
    assert_eq!(body.len(), sample.body.len());
    refused(sample, &body, "an earlier attempt");
    assert!(matches!(sample.open(&body, 5000).end, Err(Error::PartHeader(n)) if n.get() == 2));
    let range = sample.open_range(&body, 4000..11_000, 5000);
    assert!(range.end.is_err() && range.plain.len() <= 1000);
}

#[test]
fn the_manifest_of_another_write_is_found() {
    let sample = three_segments(Aead::Aes256Gcm);
    let mut body = sample.body.clone();
    body.truncate(sample.parts_len());
    body.extend_from_slice(&sample.manifest([0x34; 16], 0x55));
    refused(&sample, &body, "another object id");
    let mut other = sample.clone();
    other.parts[0].salt = salt(1, 0x99);
    body.truncate(sample.parts_len());
    body.extend_from_slice(&other.manifest(OBJECT, 0x55));
    refused(&sample, &body, "another attempt's manifest");
}

#[test]
fn a_body_is_refused_under_another_key_and_under_another_object_id() {
    let sample = three_segments(Aead::Aes256Gcm);
    let open = |dk: [u8; 32], ak: [u8; 32], object: [u8; 16]| {
        let (dk, ak) = (DataKey::new(dk), ServiceKey::new(ak).attribute_key());
        let (_, opener) = BodyOpener::whole(&dk, &ak, ObjectId::from_bytes(object), sample.layout());
        drive(opener, [sample.body.as_slice()]).end
    };
    assert!(open([0x11; 32], [0x22; 32], OBJECT).is_ok());
    assert!(matches!(open([0x12; 32], [0x22; 32], OBJECT), Err(Error::SegmentTag { .. })));
    assert!(matches!(open([0x11; 32], [0x23; 32], OBJECT), Err(Error::Manifest)));
    assert!(matches!(open([0x11; 32], [0x22; 32], [0; 16]), Err(Error::Manifest)));
}

#[test]
fn a_manifest_refuses_a_data_key_that_it_does_not_commit_to() {
    let sample = three_segments(Aead::Aes256Gcm);
    let tail = &sample.body[sample.parts_len()..];
    assert!(manifest::open_digests(tail, &data_key()).is_ok());
    assert!(matches!(manifest::open_digests(tail, &DataKey::new([0; 32])), Err(Error::Commitment)));
}

#[test]
fn hostile_trailers_are_refused_before_anything_is_allocated() {
    let sample = three_segments(Aead::Aes256Gcm);
    let tail = sample.body[sample.parts_len()..].to_vec();
    let at = tail.len() - manifest::TRAILER_LEN;
    let refused = |offset: usize, bytes: &[u8]| {
        let mut tail = tail.clone();
        tail[at + offset..at + offset + bytes.len()].copy_from_slice(bytes);
        manifest::parse_trailer(&tail).is_err()
    };
    assert!(manifest::parse_trailer(&tail).is_ok());
    assert!(refused(0, b"SGM2") && refused(4, &[0]) && refused(4, &[2]) && refused(5, &[4]) && refused(5, &[0xff]));
    assert!(refused(6, &[0]) && refused(6, &[63]) && refused(6, &[11]) && refused(6, &[21]) && refused(7, &[1]));
    assert!(refused(8, &[0; 4]) && refused(8, &10_001_u32.to_be_bytes()) && refused(8, &[0xff; 4]));
    assert!(
        refused(12, &[0xff; 4]) && refused(16, &[0xff; 4]) && refused(12, &[0xff; 8]) && refused(20, &[1, 0, 0, 0])
    );
}
