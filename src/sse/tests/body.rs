//! What was sealed comes back: any length, any parts, any range, any split of input and output.

use bytes::BytesMut;
use proptest::prelude::*;

use crate::sse::{
    Aead, Attributes, BodyOpener, DigestAlgorithm, Digests, Error, ObjectId, ObjectKind, PartDigests, PartHeader,
    PartSealer, PlainOffset, SegmentSize, manifest, sealed_part_len,
};
use crate::store::CipherOffset;
use crate::types::PartNumber;

use super::support::*;

const SIZE: SegmentSize = SegmentSize::MIN;

fn lens() -> impl Strategy<Value = Vec<usize>> {
    let len = prop_oneof![Just(0_usize), 1..3_usize, 4094..4099_usize, 8190..8195_usize, 0..30_000_usize];
    prop::collection::vec(len, 1..5)
}

fn aead() -> impl Strategy<Value = Aead> {
    prop_oneof![Just(Aead::Aes256Gcm), Just(Aead::Sm4Gcm), Just(Aead::ChaCha20Poly1305), Just(Aead::None)]
}

proptest! {
    #[test]
    fn any_body_comes_back_whole_from_chunks_of_any_size(aead in aead(), lens in lens(), chunk in 1..40_000_usize) {
        let sample = Sample::new(aead, SIZE, &lens);
        prop_assert_eq!(sample.open(&sample.body, chunk).all(), sample.plain);
    }

    #[test]
    fn any_range_of_a_body_is_that_slice_of_the_plaintext(
        aead in aead(), lens in lens(), a: prop::sample::Index, b: prop::sample::Index, chunk in 1..40_000_usize,
    ) {
        let sample = Sample::new(aead, SIZE, &lens);
        let (a, b) = (a.index(sample.plain.len() + 1), b.index(sample.plain.len() + 1));
        let range = a.min(b)..a.max(b);
        prop_assert_eq!(sample.open_range(&sample.body, range.clone(), chunk).all(), &sample.plain[range]);
    }

    #[test]
    fn how_plaintext_is_split_and_taken_does_not_matter(
        len in prop_oneof![0..20_000_usize, 0..1_000_000_usize],
        cuts in prop::collection::vec((1..90_000_usize, any::<bool>()), 1..12),
        hint in prop_oneof![Just(None), (0..2_000_000_u64).prop_map(Some), Just(Some(u64::MAX))],
        exact: bool,
        log2 in 12..18_u8,
    ) {
        let plain = pattern(len);
        let size = SegmentSize::try_from(log2).unwrap();
        let header = PartHeader { aead: Aead::Aes256Gcm, segment_size: size, number: PartNumber::FIRST, salt: salt(1, 9) };
        let mut sealer = PartSealer::with_salt(&data_key(), header);
        if let Some(hint) = if exact { Some(len as u64) } else { hint } {
            sealer = sealer.expecting(hint);
        }
        let (mut rest, mut out, mut body) = (plain.as_slice(), BytesMut::new(), Vec::new());
        for &(cut, take) in cuts.iter().cycle() {
            let (now, later) = rest.split_at(cut.min(rest.len()));
            sealer.push(now, &mut out).unwrap();
            if take {
                body.extend_from_slice(&out.split());
            }
            rest = later;
            if rest.is_empty() {
                break;
            }
        }
        let part = sealer.finish(&mut out).unwrap();
        body.extend_from_slice(&out);
        prop_assert_eq!(part.plain_len, len as u64);
        prop_assert_eq!(body.len() as u64, sealed_part_len(part.plain_len, Aead::Aes256Gcm, size).unwrap());
        prop_assert_eq!(body, seal_part(Aead::Aes256Gcm, size, 1, 9, &plain).0);
    }
}

#[test]
fn a_hinted_part_is_sealed_in_one_allocation_and_given_out_in_one_piece() {
    for (len, push) in [(4096, 4096), (4096, 100), (200_000, 200_000), (200_000, 16_384), (200_000, 70_000)] {
        let plain = pattern(len);
        let mut sealer =
            PartSealer::new(&data_key(), PartNumber::FIRST, Aead::Aes256Gcm, SegmentSize::DEFAULT).unwrap();
        sealer = sealer.expecting(len as u64);
        let mut out = BytesMut::new();
        let mut start = None;
        for piece in plain.chunks(push) {
            sealer.push(piece, &mut out).unwrap();
            if !out.is_empty() {
                assert_eq!(*start.get_or_insert(out.as_ptr()), out.as_ptr(), "{len} in pieces of {push}");
            }
        }
        sealer.finish(&mut out).unwrap();
        assert_eq!(start.unwrap_or(out.as_ptr()), out.as_ptr(), "{len} in pieces of {push}");
        assert_eq!(out.len() as u64, sealed_part_len(len as u64, Aead::Aes256Gcm, SegmentSize::DEFAULT).unwrap());
    }
}

#[test]
fn whole_segments_are_opened_where_they_are() {
    let sample = Sample::new(Aead::Aes256Gcm, SIZE, &[40_000]);
    let plain = PlainOffset(0)..PlainOffset(40_000);
    let (cipher, mut opener) = BodyOpener::range(&data_key(), sample.layout(), plain).unwrap();
    assert_eq!(cipher.start, CipherOffset(48));
    for piece in sample.body[48..cipher.end.0 as usize].chunks(3 * (4096 + 16)) {
        let chunk = BytesMut::from(piece);
        let memory = chunk.as_ptr_range();
        opener.push(chunk);
        while let Some(bytes) = opener.next().unwrap() {
            assert!(memory.contains(&bytes.as_ptr()), "a segment was copied");
        }
    }
    opener.finish().unwrap();
}

#[test]
fn every_attempt_at_a_part_takes_another_salt() {
    let seal = || {
        let sealer = PartSealer::new(&data_key(), PartNumber::FIRST, Aead::Aes256Gcm, SIZE).unwrap();
        sealer.finish(&mut BytesMut::new()).unwrap().salt
    };
    assert_ne!(seal(), seal());
}

#[test]
fn the_last_bytes_of_a_whole_body_wait_for_the_manifest() {
    let sample = Sample::new(Aead::Aes256Gcm, SIZE, &[5000, 0]);
    let cut = sample.open(&sample.body[..sample.body.len() - 1], 1000);
    assert!(matches!(cut.end, Err(Error::Truncated)));
    assert_eq!(cut.plain, &sample.plain[..4096]);
}

#[test]
fn an_opener_that_failed_gives_nothing_more() {
    let sample = Sample::new(Aead::Aes256Gcm, SIZE, &[9000]);
    let mut body = sample.body.clone();
    body[100] ^= 1;
    let (_, mut opener) =
        BodyOpener::whole(&data_key(), &attribute_key(), ObjectId::from_bytes(OBJECT), sample.layout());
    opener.push(BytesMut::from(body.as_slice()));
    assert!(matches!(opener.next(), Err(Error::SegmentTag { segment: 0, .. })));
    assert!(opener.next().is_err());
    assert!(opener.finish().is_err());
}

fn full_manifest(
    parts: usize,
    etag: &str,
    algorithms: &[DigestAlgorithm],
    per_part: Option<DigestAlgorithm>,
) -> Vec<u8> {
    let part = |n| seal_part(Aead::Aes256Gcm, SIZE, n, 1, b"").1;
    let attributes = Attributes {
        object: ObjectId::from_bytes(OBJECT),
        etag: etag.into(),
        crc64: None,
        kind: ObjectKind::Multipart,
        parts: (1..=u32::try_from(parts).unwrap()).map(part).collect(),
    };
    let mut digests = Digests::default();
    algorithms.iter().for_each(|&a| digests.set(a, &vec![9; a.len()]).unwrap());
    digests.parts = per_part.map(|algorithm| {
        let mut list = PartDigests::new(algorithm);
        (0..parts).for_each(|_| list.push(&vec![7; algorithm.len()]).unwrap());
        list
    });
    let sealed = manifest::seal(&attributes, &digests, (Aead::Aes256Gcm, SIZE), &data_key(), &attribute_key()).unwrap();
    let body_len = CipherOffset(parts as u64 * 64 + sealed.len() as u64);
    let opened = manifest::open_attributes(&sealed, body_len, &attribute_key()).unwrap();
    assert_eq!(opened.attributes, attributes);
    assert_eq!(opened.trailer.manifest_len(), sealed.len() as u64);
    assert_eq!(manifest::open_digests(&sealed, &data_key()).unwrap(), digests);
    sealed.to_vec()
}

#[test]
fn a_manifest_comes_back_and_has_the_predicted_length() {
    use DigestAlgorithm::*;
    for (parts, etag, algorithms, per_part) in [
        (1, "", &[][..], None),
        (1, "9e107d9d372bb6826bd81d3542a419d6", &[Md5], None),
        (3, "9e107d9d372bb6826bd81d3542a419d6-3", &[Md5, Crc32, Sha256], Some(Sha256)),
        (10_000, "x", &DigestAlgorithm::ALL, Some(Sha256)),
    ] {
        let sealed = full_manifest(parts, etag, algorithms, per_part);
        assert_eq!(sealed.len(), manifest::encoded_len(parts, etag.len(), algorithms, per_part));
        assert!(sealed.len() <= manifest::MAX_MANIFEST_LEN);
    }
}

#[test]
fn what_readers_would_refuse_is_not_sealed() {
    let seal = |attributes: &Attributes, digests: &Digests| {
        manifest::seal(attributes, digests, (Aead::Aes256Gcm, SIZE), &data_key(), &attribute_key())
    };
    let part = |n, plain_len| crate::sse::SealedPart { plain_len, ..seal_part(Aead::Aes256Gcm, SIZE, n, 1, b"").1 };
    let good = Attributes {
        object: ObjectId::from_bytes(OBJECT),
        etag: "e".into(),
        crc64: None,
        kind: ObjectKind::Normal,
        parts: vec![part(1, 1), part(2, 1)],
    };
    let refused = |edit: &dyn Fn(&mut Attributes)| {
        let mut attributes = good.clone();
        edit(&mut attributes);
        seal(&attributes, &Digests::default()).is_err()
    };
    assert!(seal(&good, &Digests::default()).is_ok());
    assert!(refused(&|a| a.etag = "e".repeat(65)));
    assert!(refused(&|a| a.parts.clear()));
    assert!(refused(&|a| a.parts.reverse()));
    assert!(refused(&|a| a.parts = vec![part(1, u64::MAX), part(2, 1)]));
    let mut digests = Digests::default();
    digests.parts = Some(PartDigests::new(DigestAlgorithm::Crc32));
    assert!(seal(&good, &digests).is_err(), "fewer part digests than parts");
    assert!(Digests::default().set(DigestAlgorithm::Crc32, &[0; 5]).is_err());
}
