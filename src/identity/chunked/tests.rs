//! The documentation's examples, every refusal of the framing, and any split or change of a body.

use std::collections::BTreeMap;

use bytes::Bytes;
use proptest::prelude::*;

use super::ChunkDecoder;
use crate::gateway::BodyError;
use crate::identity::testing::*;
use crate::identity::{SigV2, Verifier};

const CRC: &str = "x-amz-checksum-crc32c";

type Decoded = Result<(Vec<u8>, BTreeMap<String, String>), BodyError>;

fn decode(mut decoder: ChunkDecoder, body: &[u8], split: usize) -> Decoded {
    let mut data = Vec::new();
    for piece in body.chunks(split.max(1)) {
        let mut input = Bytes::copy_from_slice(piece);
        while let Some(more) = decoder.decode(&mut input)? {
            data.extend_from_slice(&more);
        }
        assert!(input.is_empty());
    }
    let trailers = decoder.finish()?;
    Ok((data, trailers))
}

fn unsigned(body: &[u8], declared: u64) -> Decoded {
    decode(ChunkDecoder::unsigned_trailer(CRC, declared), body, 7)
}

/// A decoder and the seed signature of a request that announces signed chunks.
fn signed(trailer: bool, declared: u64) -> (ChunkDecoder, String) {
    let mode =
        if trailer { "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER" } else { "STREAMING-AWS4-HMAC-SHA256-PAYLOAD" };
    let parts = Signer::default().header("PUT", "/b/k", &[], mode);
    let verifier = Verifier::new(credentials(), StoppedClock::at(SECONDS), "us-east-1".to_owned(), SigV2::Refused);
    let signer = verifier.identify(&parts, None).unwrap().chunks.unwrap();
    let decoder = if trailer {
        ChunkDecoder::signed_trailer(signer, CRC, declared)
    } else {
        ChunkDecoder::signed(signer, declared)
    };
    (decoder, signature_of(&parts))
}

fn signed_body(seed: &str, chunks: &[&[u8]], trailer: bool) -> Vec<u8> {
    Signer::default().chunks(seed, chunks, trailer.then_some((CRC, "sOO8/Q==")))
}

fn documented(authorization: &str, extra: &[(&str, &str)], trailer: bool) -> ChunkDecoder {
    let mode =
        if trailer { "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER" } else { "STREAMING-AWS4-HMAC-SHA256-PAYLOAD" };
    let mut headers = vec![
        ("host", "s3.amazonaws.com"),
        ("x-amz-date", STAMP),
        ("x-amz-storage-class", "REDUCED_REDUNDANCY"),
        ("x-amz-content-sha256", mode),
        ("content-encoding", "aws-chunked"),
        ("x-amz-decoded-content-length", "66560"),
        ("content-length", "66824"),
        ("authorization", authorization),
    ];
    headers.extend_from_slice(extra);
    let parts = head("PUT", "/examplebucket/chunkObject.txt", &headers);
    let verifier = Verifier::new(credentials(), StoppedClock::at(SECONDS), "us-east-1".to_owned(), SigV2::Refused);
    let signer = verifier.identify(&parts, None).unwrap().chunks.unwrap();
    if trailer { ChunkDecoder::signed_trailer(signer, CRC, 66_560) } else { ChunkDecoder::signed(signer, 66_560) }
}

fn documented_body(signatures: [&str; 3], end: &str) -> Vec<u8> {
    let [first, second, last] = signatures;
    let mut body = format!("10000;chunk-signature={first}\r\n").into_bytes();
    body.extend_from_slice(&[b'a'; 65_536]);
    body.extend_from_slice(format!("\r\n400;chunk-signature={second}\r\n").as_bytes());
    body.extend_from_slice(&[b'a'; 1024]);
    body.extend_from_slice(format!("\r\n0;chunk-signature={last}\r\n{end}").as_bytes());
    body
}

/// <https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-streaming.html>
#[test]
fn the_documented_chunked_upload_decodes() {
    let authorization = format!(
        "AWS4-HMAC-SHA256 Credential={ACCESS_KEY}/20130524/us-east-1/s3/aws4_request,SignedHeaders=content-encoding;\
         content-length;host;x-amz-content-sha256;x-amz-date;x-amz-decoded-content-length;x-amz-storage-class,\
         Signature=4f232c4386841ef735655705268965c44a0e4690baa4adea153f7db9fa80a0a9"
    );
    let signatures = [
        "ad80c730a21e5b8d04586a2213dd63b9a0e99e0e2307b0ade35a65485a288648",
        "0055627c9e194cb4542bae2aa5492e3c1575bbb81b612b7d234b86a503ef5497",
        "b6c6ea8a5354eaf15b3cb7646744f4275b71ea724fed81ceb9323e279d449df9",
    ];
    let body = documented_body(signatures, "\r\n");
    assert_eq!(body.len(), 66_824);
    for split in [1, 100, 65_536, body.len()] {
        let (data, trailers) = decode(documented(&authorization, &[], false), &body, split).unwrap();
        assert!(data == vec![b'a'; 66_560] && trailers.is_empty(), "{split}");
    }
}

/// <https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-streaming-trailers.html>
#[test]
fn the_documented_trailer_upload_decodes() {
    let authorization = format!(
        "AWS4-HMAC-SHA256 Credential={ACCESS_KEY}/20130524/us-east-1/s3/aws4_request,SignedHeaders=content-encoding;\
         host;x-amz-content-sha256;x-amz-date;x-amz-decoded-content-length;x-amz-storage-class;x-amz-trailer,\
         Signature=106e2a8a18243abcf37539882f36619c00e2dfc72633413f02d3b74544bfeb8e"
    );
    let signatures = [
        "b474d8862b1487a5145d686f57f013e54db672cee1c953b3010fb58501ef5aa2",
        "1c1344b170168f8e65b41376b44b20fe354e373826ccbbe2c1d40a8cae51e5c7",
        "2ca2aba2005185cf7159c6277faf83795951dd77a3a99e6e65d5c9f85863f992",
    ];
    let signature = "x-amz-trailer-signature:d81f82fc3505edab99d459891051a732e8730629a2e4a59689829ca17fe2e435\r\n";
    for header in ["x-amz-checksum-crc32c:sOO8/Q==\r\n", "x-amz-checksum-crc32c:sOO8/Q==\n\r\n"] {
        for end in ["\r\n", ""] {
            let body = documented_body(signatures, &format!("{header}{signature}{end}"));
            let decoder = documented(&authorization, &[("x-amz-trailer", CRC)], true);
            let (data, trailers) = decode(decoder, &body, 1000).unwrap();
            assert_eq!(data.len(), 66_560);
            assert_eq!(trailers.get(CRC).map(String::as_str), Some("sOO8/Q=="));
        }
    }
}

/// A6: chunks altered, swapped, removed.
#[test]
fn altered_swapped_and_removed_chunks_are_refused() {
    let chunks: [&[u8]; 3] = [b"first---", b"second--", b"third---"];
    let (decoder, seed) = signed(false, 24);
    let good = signed_body(&seed, &chunks, false);
    assert_eq!(decode(decoder, &good, 5).unwrap().0, b"first---second--third---");
    // size line, eight bytes and a line end of one chunk
    let chunk = 1 + 17 + 64 + 2 + 8 + 2;
    let mut altered = good.clone();
    altered[chunk + chunk - 5] ^= 1;
    let mut swapped = good.clone();
    let (one, two) = (good[17..82].to_vec(), good[chunk + 17..chunk + 82].to_vec());
    swapped[17..82].copy_from_slice(&two);
    swapped[chunk + 17..chunk + 82].copy_from_slice(&one);
    let reordered = [&good[chunk..2 * chunk], &good[..chunk], &good[2 * chunk..]].concat();
    let removed = [&good[..chunk], &good[2 * chunk..]].concat();
    let unsigned = String::from_utf8(good.clone()).unwrap().split(';').next().unwrap().to_owned() + "\r\nfirst---\r\n";
    for (name, bad) in [
        ("altered", altered),
        ("swapped", swapped),
        ("reordered", reordered),
        ("removed", removed),
        ("unsigned", unsigned.into_bytes()),
    ] {
        assert_eq!(decode(signed(false, 24).0, &bad, 3), Err(BodyError::ChunkSignature), "{name}");
    }
}

/// A forged chunk's last bytes never leave.
#[test]
fn the_end_of_a_forged_chunk_is_kept_back() {
    let (mut decoder, seed) = signed(false, 8);
    let mut body = signed_body(&seed, &[b"genuine!"], false);
    body[84] ^= 1;
    let mut out = 0;
    let failed = body.chunks(3).any(|piece| {
        let mut input = Bytes::copy_from_slice(piece);
        loop {
            match decoder.decode(&mut input) {
                Ok(Some(data)) => out += data.len(),
                Ok(None) => return false,
                Err(_) => return true,
            }
        }
    });
    assert!(failed && out < 8);
    assert_eq!(decoder.decode(&mut Bytes::from_static(b"x")), Err(BodyError::ChunkSignature));
    assert_eq!(decoder.finish(), Err(BodyError::ChunkSignature));
}

/// A7: a body that is cut anywhere has not ended.
#[test]
fn a_body_cut_anywhere_is_refused() {
    for trailer in [false, true] {
        let (_, seed) = signed(trailer, 16);
        let body = signed_body(&seed, &[b"01234567", b"89abcdef"], trailer);
        // After a verified trailer signature the last, empty line may be missing.
        let least = if trailer { body.len() - 2 } else { body.len() };
        for cut in (0..least).chain([body.len() - 1]) {
            let result = decode(signed(trailer, 16).0, &body[..cut], 9);
            assert_eq!(result, Err(BodyError::Incomplete), "{cut} of {}", body.len());
        }
    }
    let body = unsigned_chunks(&[b"01234567"], (CRC, "AAAAAA=="));
    for cut in 0..body.len() {
        assert_eq!(unsigned(&body[..cut], 8), Err(BodyError::Incomplete), "{cut}");
    }
    assert!(unsigned(&body, 8).is_ok());
}

/// A7: the final chunk is signed like the others.
#[test]
fn a_wrong_final_signature_is_refused() {
    let (decoder, seed) = signed(false, 3);
    let mut body = signed_body(&seed, &[b"abc"], false);
    let at = body.len() - 5;
    body[at] = if body[at] == b'0' { b'1' } else { b'0' };
    assert_eq!(decode(decoder, &body, 100), Err(BodyError::ChunkSignature));
}

/// A8: the decoded bytes are as many as declared.
#[test]
fn the_declared_length_is_exact() {
    let body = unsigned_chunks(&[b"abc", b"de"], (CRC, "AAAAAA=="));
    assert_eq!(unsigned(&body, 5).unwrap().0, b"abcde");
    assert_eq!(unsigned(&body, 6), Err(BodyError::Incomplete));
    assert_eq!(unsigned(&body, 4), Err(BodyError::TooLong));
    assert_eq!(unsigned(b"ffffffffffffffff\r\n", u64::MAX - 1), Err(BodyError::TooLong));
    assert_eq!(unsigned(&unsigned_chunks(&[], (CRC, "A")), 0).unwrap().0, b"");
}

/// A9: the trailer is the announced one.
#[test]
fn a_trailer_is_exactly_what_was_announced() {
    let with = |end: &str| unsigned(format!("3\r\nabc\r\n0\r\n{end}").as_bytes(), 3);
    assert!(with("x-amz-checksum-crc32c:AA==\r\n\r\n").is_ok());
    assert!(with("X-Amz-Checksum-Crc32c: AA== \n\r\n\r\n").is_ok());
    for end in [
        "\r\n",
        "x-amz-checksum-sha1:AA==\r\n\r\n",
        "x-amz-checksum-crc32c:AA==\r\nx-amz-checksum-crc32c:AA==\r\n\r\n",
        "x-amz-checksum-crc32c:AA==\r\nx-amz-meta-evil:1\r\n\r\n",
        "x-amz-checksum-crc32c:AA==\r\nx-amz-trailer-signature:00\r\n\r\n",
        "x-amz-checksum-crc32c\r\n\r\n",
        "x-amz-checksum-crc32c:\r\n\r\n",
        "x-amz-checksum-crc32c :AA==\r\n\r\n",
        "x-amz-checksum-crc32c:A\tA\r\n\r\n",
        "x-amz-checksum-crc32c:A\nA\r\n\r\n",
        "x-amz-checksum-crc32c:AA==\n\n\r\n\r\n",
    ] {
        assert!(matches!(with(end), Err(BodyError::MalformedTrailer(_))), "{end:?}");
    }
    let long = format!("x-amz-checksum-crc32c:{}\r\n\r\n", "A".repeat(17 * 1024));
    assert!(matches!(with(&long), Err(BodyError::MalformedTrailer(_))));
    assert!(matches!(with("x-amz-checksum-crc32c:AA==\r\n\r\nx"), Err(BodyError::MalformedChunk(_))));
}

/// A9: a signed trailer cannot be stripped, renamed or altered.
#[test]
fn a_signed_trailer_is_verified() {
    let (decoder, seed) = signed(true, 3);
    let body = String::from_utf8(signed_body(&seed, &[b"abc"], true)).unwrap();
    assert!(decode(decoder, body.as_bytes(), 4).is_ok());
    let with = |text: String| decode(signed(true, 3).0, text.as_bytes(), 4).unwrap_err();
    let (front, trailer) = body.split_once(CRC).unwrap();
    let header = format!("{CRC}:sOO8/Q==\r\n");
    let signature = trailer.split_once("\r\n").unwrap().1;
    assert_eq!(with(body.replace("sOO8", "sOO9")), BodyError::ChunkSignature);
    let zero = format!("x-amz-trailer-signature:{}\r\n\r\n", "0".repeat(64));
    assert_eq!(with(format!("{front}{header}{zero}")), BodyError::ChunkSignature);
    for text in [
        format!("{front}\r\n"),
        format!("{front}{header}\r\n"),
        format!("{front}{signature}"),
        body.replace(CRC, "x-amz-checksum-crc32"),
    ] {
        assert!(matches!(with(text.clone()), BodyError::MalformedTrailer(_)), "{text:?}");
    }
    assert!(matches!(with(format!("{}x-a:b\r\n\r\n", body.trim_end_matches("\r\n"))), BodyError::ChunkSignature));
    assert!(matches!(with(format!("{body}x")), BodyError::MalformedChunk(_)));
}

#[test]
fn the_framing_is_strict() {
    for body in [
        "3\nabc\r\n",
        "3\r\nabc\n",
        "3\r\nabcd\r\n",
        "3\rabc\r\n",
        "\r\n",
        " 3\r\n",
        "3 \r\n",
        "+3\r\n",
        "0x3\r\n",
        "-1\r\n",
        "3;a=b\r\n",
        "3;\r\n",
        "00000000000000003\r\n",
        "g\r\n",
        "\u{ff13}\r\n",
        "3\r\nabc\r\n\r\n",
    ] {
        assert!(matches!(unsigned(body.as_bytes(), 3), Err(BodyError::MalformedChunk(_))), "{body:?}");
    }
    let endless = "0".repeat(1 << 20);
    assert!(matches!(unsigned(endless.as_bytes(), 3), Err(BodyError::MalformedChunk(_))));
    for extension in ["chunk-signatur=", "chunk-signature:", "a=b;chunk-signature=", "CHUNK-SIGNATURE="] {
        let body = format!("3;{extension}{}\r\nabc\r\n", "0".repeat(64));
        assert!(matches!(decode(signed(false, 3).0, body.as_bytes(), 9), Err(BodyError::MalformedChunk(_))));
    }
}

proptest! {
    #[test]
    fn any_split_decodes_to_the_same(
        chunks in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..200), 0..6),
        trailer: bool,
        split in 1usize..300,
    ) {
        let plain: Vec<u8> = chunks.concat();
        let views: Vec<&[u8]> = chunks.iter().map(Vec::as_slice).collect();
        let declared = u64::try_from(plain.len()).unwrap();
        let (decoder, seed) = signed(trailer, declared);
        let (data, trailers) = decode(decoder, &signed_body(&seed, &views, trailer), split).unwrap();
        prop_assert_eq!(&data, &plain);
        prop_assert_eq!(trailers.len(), usize::from(trailer));
        let unsigned_body = unsigned_chunks(&views, (CRC, "AA=="));
        let (data, _) = decode(ChunkDecoder::unsigned_trailer(CRC, declared), &unsigned_body, split).unwrap();
        prop_assert_eq!(&data, &plain);
    }

    #[test]
    fn no_changed_signed_body_passes_as_another(
        at in any::<prop::sample::Index>(), bit in 0u8..8, trailer: bool, split in 1usize..100,
    ) {
        let (decoder, seed) = signed(trailer, 30);
        let mut body = signed_body(&seed, &[b"0123456789abcdef", b"ghijklmnopqrst"], trailer);
        let at = at.index(body.len());
        body[at] ^= 1 << bit;
        if let Ok((data, trailers)) = decode(decoder, &body, split) {
            // The case of a hex size or of a trailer's name says nothing.
            prop_assert_eq!(data, b"0123456789abcdefghijklmnopqrst");
            prop_assert!(trailers.get(CRC).map(String::as_str) == trailer.then_some("sOO8/Q=="));
        }
    }

    #[test]
    fn junk_never_panics(body in prop::collection::vec(any::<u8>(), 0..400), split in 1usize..50) {
        let _ = decode(signed(true, 100).0, &body, split);
        let _ = decode(signed(false, 100).0, &body, split);
        let _ = unsigned(&body, 100);
    }
}
