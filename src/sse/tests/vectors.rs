//! Replays `fixtures/envelope/`, and makes it: `cargo test --release --lib -- --ignored regenerate_vectors`.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::sync::Arc;

use aws_lc_rs::digest;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};

use crate::kms::{DataKey, ServiceKey};
use crate::sse::{Aead, BodyOpener, Error, Layout, ObjectId, PlainOffset, SealedPart, SegmentSize, manifest};
use crate::store::CipherOffset;

use super::support::*;

#[derive(Serialize, Deserialize)]
struct Vectors {
    about: String,
    data_key: String,
    service_key: String,
    bodies: BTreeMap<String, Body>,
    cases: Vec<Case>,
}

#[derive(Serialize, Deserialize)]
struct Body {
    aead: u8,
    segment_log2: u8,
    object_id: String,
    parts: Vec<Part>,
    base64: String,
}

#[derive(Serialize, Deserialize)]
struct Part {
    number: u32,
    plain_len: u64,
    salt: String,
}

#[derive(Serialize, Deserialize, Clone)]
#[serde(rename_all = "snake_case")]
enum Edit {
    Append(String),
    CutTo(usize),
    Drop { from: usize, to: usize },
    Flip { at: usize, mask: u8 },
    Repeat { from: usize, to: usize },
    Set { at: usize, hex: String },
    Swap { a: usize, b: usize, len: usize },
}

#[derive(Serialize, Deserialize)]
struct Case {
    name: String,
    body: String,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    edits: Vec<Edit>,
    /// The range of plaintext to read; the whole body where it is missing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    range: Option<(u64, u64)>,
    /// Another data key or object id than the true one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    data_key: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    object_id: Option<String>,
    expect: Expect,
}

#[derive(Serialize, Deserialize, Clone)]
#[serde(rename_all = "snake_case")]
enum Expect {
    Plaintext { len: usize, sha256: String },
    Refused,
}

fn path() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("fixtures/envelope/bodies.json")
}

fn array<const N: usize>(text: &str) -> [u8; N] {
    hex::decode(text).unwrap().try_into().unwrap()
}

fn sha256(bytes: &[u8]) -> String {
    hex::encode(digest::digest(&digest::SHA256, bytes))
}

fn edited(body: &[u8], edits: &[Edit]) -> Vec<u8> {
    let mut body = body.to_vec();
    for edit in edits.iter().cloned() {
        match edit {
            Edit::Append(text) => body.extend_from_slice(&hex::decode(text).unwrap()),
            Edit::CutTo(len) => body.truncate(len),
            Edit::Drop { from, to } => drop(body.drain(from..to)),
            Edit::Flip { at, mask } => body[at] ^= mask,
            Edit::Repeat { from, to } => {
                let copy = body[from..to].to_vec();
                body.splice(to..to, copy);
            }
            Edit::Set { at, hex } => {
                let bytes = hex::decode(hex).unwrap();
                body[at..at + bytes.len()].copy_from_slice(&bytes);
            }
            Edit::Swap { a, b, len } => {
                let copy = body[a..a + len].to_vec();
                body.copy_within(b..b + len, a);
                body[b..b + len].copy_from_slice(&copy);
            }
        }
    }
    body
}

/// Reads a body as a reader does who knows its layout already, or else from its own manifest.
fn read(vectors: &Vectors, case: &Case, bytes: &[u8], known: Option<Layout>) -> Result<Vec<u8>, Error> {
    let body = &vectors.bodies[&case.body];
    let data_key = DataKey::new(array(case.data_key.as_ref().unwrap_or(&vectors.data_key)));
    let attribute_key = ServiceKey::new(array(&vectors.service_key)).attribute_key();
    let object = ObjectId::from_bytes(array(case.object_id.as_ref().unwrap_or(&body.object_id)));
    let len = CipherOffset(bytes.len() as u64);
    let layout = match known {
        Some(layout) => layout,
        None => manifest::open_attributes(bytes, len, &attribute_key)?.layout,
    };
    let layout = Arc::new(layout);
    let (cipher, opener) = match case.range {
        None => BodyOpener::whole(&data_key, &attribute_key, object, layout),
        Some((from, to)) => BodyOpener::range(&data_key, layout, PlainOffset(from)..PlainOffset(to))?,
    };
    let from = (cipher.start.0 as usize).min(bytes.len());
    let to = if case.range.is_none() { bytes.len() } else { (cipher.end.0 as usize).min(bytes.len()) };
    let opened = drive(opener, bytes[from..to].chunks(1500));
    opened.end.map(|()| opened.plain)
}

fn told(body: &Body, len: usize) -> Layout {
    let part = |part: &Part| SealedPart {
        number: part.number.try_into().unwrap(),
        plain_len: part.plain_len,
        salt: crate::sse::Salt::from_bytes(array(&part.salt)),
    };
    let parts: Vec<_> = body.parts.iter().map(part).collect();
    let (aead, size) = (Aead::try_from(body.aead).unwrap(), SegmentSize::try_from(body.segment_log2).unwrap());
    Layout::new(aead, size, &parts, CipherOffset(len as u64)).unwrap()
}

#[test]
fn the_checked_in_bodies_open_or_are_refused_as_they_say() {
    let vectors: Vectors = serde_json::from_slice(&fs::read(path()).unwrap()).unwrap();
    let (mut accepted, mut refused) = (0, 0);
    for case in &vectors.cases {
        let body = &vectors.bodies[&case.body];
        let original = STANDARD.decode(&body.base64).unwrap();
        let bytes = edited(&original, &case.edits);
        assert!(case.edits.is_empty() || bytes != original, "{}: the edit changes nothing", case.name);
        let warm = read(&vectors, case, &bytes, Some(told(body, original.len())));
        let cold = read(&vectors, case, &bytes, None);
        match &case.expect {
            Expect::Plaintext { len, sha256: digest } => {
                accepted += 1;
                for plain in [warm.unwrap(), cold.unwrap()] {
                    assert_eq!((plain.len(), &sha256(&plain)), (*len, digest), "{}", case.name);
                }
            }
            Expect::Refused => {
                refused += 1;
                assert!(warm.is_err() && cold.is_err(), "{}: accepted", case.name);
            }
        }
    }
    assert!(accepted >= 10 && refused >= 20, "{accepted} accepted, {refused} refused");
}

const ABOUT: &str = "Bodies of sealgate's envelope format, version 1 (src/sse/FORMAT.md). Byte i of an object's plaintext is the top \
byte of i * 0x9e3779b97f4a7c15 mod 2^64. A case takes a body, applies the edits in order and reads it whole (manifest and all) or reads a range of \
its plaintext; 'parts' and 'object_id' are what the reader knows beforehand. The same must come out when the reader learns the parts from the \
manifest. Offsets are in bytes, 'from' inclusive, 'to' exclusive.";

fn body(sample: &Sample) -> Body {
    let part = |part: &SealedPart| Part {
        number: part.number.get(),
        plain_len: part.plain_len,
        salt: hex::encode(part.salt.as_bytes()),
    };
    Body {
        aead: sample.aead.into(),
        segment_log2: sample.size.into(),
        object_id: hex::encode(OBJECT),
        parts: sample.parts.iter().map(part).collect(),
        base64: STANDARD.encode(&sample.body),
    }
}

fn samples() -> BTreeMap<&'static str, Sample> {
    let (aes, sm4, chacha) = (Aead::Aes256Gcm, Aead::Sm4Gcm, Aead::ChaCha20Poly1305);
    let size = SegmentSize::MIN;
    BTreeMap::from([
        ("empty", Sample::new(aes, SegmentSize::DEFAULT, &[0])),
        ("one byte", Sample::new(aes, SegmentSize::DEFAULT, &[1])),
        ("one full segment", Sample::new(aes, size, &[4096])),
        ("three segments", Sample::new(aes, size, &[2 * 4096 + 100])),
        ("three parts", Sample::new(aes, size, &[4200, 0, 300])),
        ("no digests", Sample::new(aes, size, &[4200, 300]).without_digests()),
        ("chacha", Sample::new(chacha, size, &[4096, 50])),
        ("sm4", Sample::new(sm4, size, &[4096 + 10, 0, 50])),
    ])
}

fn accepted(cases: &mut Vec<Case>, samples: &BTreeMap<&str, Sample>) {
    let mut add = |name: &str, body: &str, range: Option<(u64, u64)>| {
        let plain = samples[body].plain.as_slice();
        let slice = range.map_or(plain, |(from, to)| &plain[from as usize..to as usize]);
        let expect = Expect::Plaintext { len: slice.len(), sha256: sha256(slice) };
        let (name, body) = (name.to_owned(), body.to_owned());
        cases.push(Case { name, body, edits: vec![], range, data_key: None, object_id: None, expect });
    };
    for name in samples.keys() {
        add(&format!("{name}, whole"), name, None);
    }
    add("first byte", "three segments", Some((0, 1)));
    add("across a segment's edge", "three segments", Some((4095, 4097)));
    add("exactly the second segment", "three segments", Some((4096, 8192)));
    add("last byte", "three segments", Some((8291, 8292)));
    add("across an empty part", "three parts", Some((4190, 4210)));
    add("last part only", "three parts", Some((4200, 4500)));
    add("empty range", "three parts", Some((10, 10)));
    add("across parts of ChaCha20-Poly1305", "chacha", Some((4000, 4100)));
    add("across segments and parts of SM4", "sm4", Some((4090, 4120)));
}

fn refused(cases: &mut Vec<Case>, samples: &BTreeMap<&str, Sample>) {
    let mut add = |name: &str, body: &str, edits: Vec<Edit>| {
        let (name, body) = (name.to_owned(), body.to_owned());
        cases.push(Case { name, body, edits, range: None, data_key: None, object_id: None, expect: Expect::Refused });
    };
    let flip = |at| vec![Edit::Flip { at, mask: 1 }];
    let three = "three segments";
    let manifest = samples[three].parts_len();
    let end = samples[three].body.len();
    let trailer = end - manifest::TRAILER_LEN;
    for (name, at) in [
        ("magic", 0),
        ("version", 4),
        ("AEAD", 5),
        ("segment size", 6),
        ("flags", 7),
        ("part number", 11),
        ("reserved bytes", 15),
        ("salt", 16),
    ] {
        add(&format!("header: {name} flipped"), three, flip(at));
    }
    add("first segment: ciphertext flipped", three, flip(48));
    add("first segment: tag flipped", three, flip(48 + 4096));
    add("last segment: tag flipped", three, flip(manifest - 1));
    add("attribute section flipped", three, flip(manifest));
    add("digest section flipped", three, flip(trailer - 1));
    let digests_len =
        samples[three].body[trailer + 16..trailer + 20].try_into().map(u32::from_be_bytes).unwrap() as usize;
    let digests = trailer - digests_len;
    let cut = |len: &str| {
        vec![Edit::Drop { from: digests, to: trailer }, Edit::Set { at: digests + 16, hex: len.to_owned() }]
    };
    add("digest section cut away and its length set to 0", three, cut("00000000"));
    let flipped = samples["no digests"].body.len() - manifest::TRAILER_LEN + 19;
    add("no digests: a digest section of one byte claimed", "no digests", flip(flipped));
    for (name, at) in [
        ("magic", 0),
        ("version", 4),
        ("AEAD", 5),
        ("segment size", 6),
        ("flags", 7),
        ("part count", 11),
        ("attribute section's length", 15),
        ("digest section's length", 19),
        ("reserved bytes", 23),
        ("salt", 24),
        ("commitment", 56),
    ] {
        add(&format!("trailer: {name} flipped"), three, flip(trailer + at));
    }
    add("trailer: 2^32 - 1 parts", three, vec![Edit::Set { at: trailer + 8, hex: "ffffffff".into() }]);
    add("trailer: huge sections", three, vec![Edit::Set { at: trailer + 12, hex: "ffffffffffffffff".into() }]);
    add("last segment dropped", three, vec![Edit::Drop { from: 48 + 2 * 4112, to: manifest }]);
    add("middle segment dropped", three, vec![Edit::Drop { from: 48 + 4112, to: 48 + 2 * 4112 }]);
    add("first segment repeated", three, vec![Edit::Repeat { from: 48, to: 48 + 4112 }]);
    add("segments swapped", three, vec![Edit::Swap { a: 48, b: 48 + 4112, len: 4112 }]);
    add("cut in a segment", three, vec![Edit::CutTo(2000)]);
    add("cut to the header", three, vec![Edit::CutTo(48)]);
    add("cut to nothing", three, vec![Edit::CutTo(0)]);
    add("manifest dropped", three, vec![Edit::CutTo(manifest)]);
    add("last byte dropped", three, vec![Edit::CutTo(end - 1)]);
    add("a byte appended", three, vec![Edit::Append("00".into())]);
    add("a second manifest", three, vec![Edit::Repeat { from: manifest, to: end }]);
    let layout = samples["three parts"].layout();
    let span = |i| layout.part_span(i).map(|s| (s.start.0 as usize, s.end.0 as usize)).unwrap();
    add("middle part dropped", "three parts", vec![Edit::Drop { from: span(1).0, to: span(1).1 }]);
    add("last part dropped", "three parts", vec![Edit::Drop { from: span(2).0, to: span(2).1 }]);
    add("first part repeated", "three parts", vec![Edit::Repeat { from: span(0).0, to: span(0).1 }]);
    let sample = &samples["three parts"];
    let (old, _) = seal_part(sample.aead, sample.size, 3, 0x43, &sample.plain[4200..]);
    add("earlier attempt of part 3", "three parts", vec![Edit::Set { at: span(2).0, hex: hex::encode(old) }]);
    add("empty body: tag flipped", "empty", flip(63));
    add("ChaCha20-Poly1305: ciphertext flipped", "chacha", flip(50));
    add("ChaCha20-Poly1305 said to be AES", "chacha", vec![Edit::Set { at: 5, hex: "01".into() }]);
    let sm4 = samples["sm4"].layout();
    let span = |i| sm4.part_span(i).map(|s| (s.start.0 as usize, s.end.0 as usize)).unwrap();
    let trailer = samples["sm4"].body.len() - manifest::TRAILER_LEN;
    add("SM4: ciphertext flipped", "sm4", flip(50));
    add("SM4: first tag flipped", "sm4", flip(48 + 4096));
    add("SM4: last tag of a part flipped", "sm4", flip(span(0).1 - 1));
    add("SM4: tag of an empty part flipped", "sm4", flip(span(1).1 - 1));
    add("SM4: salt flipped", "sm4", flip(20));
    add("SM4: middle part dropped", "sm4", vec![Edit::Drop { from: span(1).0, to: span(1).1 }]);
    add("SM4: last segment of a part dropped", "sm4", vec![Edit::Drop { from: 48 + 4112, to: span(0).1 }]);
    add("SM4: cut in a segment", "sm4", vec![Edit::CutTo(2000)]);
    add("SM4 said to be AES in a header", "sm4", vec![Edit::Set { at: 5, hex: "01".into() }]);
    add("SM4 said to be AES in the trailer", "sm4", vec![Edit::Set { at: trailer + 5, hex: "01".into() }]);
    add("AES said to be SM4 in a header", three, vec![Edit::Set { at: 5, hex: "02".into() }]);
    let keyed = |name: &str, data_key: Option<String>, object_id: Option<String>| Case {
        name: name.into(),
        body: three.into(),
        edits: vec![],
        range: None,
        data_key,
        object_id,
        expect: Expect::Refused,
    };
    cases.push(keyed("another data key", Some("12".repeat(32)), None));
    cases.push(keyed("another object id", None, Some("34".repeat(16))));
}

#[test]
#[ignore = "rewrites the checked-in vectors"]
fn regenerate_vectors() {
    let samples = samples();
    let mut cases = Vec::new();
    accepted(&mut cases, &samples);
    refused(&mut cases, &samples);
    let vectors = Vectors {
        about: ABOUT.to_owned(),
        data_key: hex::encode(data_key().expose()),
        service_key: "22".repeat(32),
        bodies: samples.iter().map(|(&name, sample)| (name.to_owned(), body(sample))).collect(),
        cases,
    };
    fs::write(path(), serde_json::to_string_pretty(&vectors).unwrap() + "\n").unwrap();
}

#[test]
fn the_checked_in_bodies_are_what_this_code_seals() {
    let vectors: Vectors = serde_json::from_slice(&fs::read(path()).unwrap()).unwrap();
    for (name, sample) in samples() {
        assert_eq!(vectors.bodies[name].base64, STANDARD.encode(&sample.body), "{name}");
    }
}
