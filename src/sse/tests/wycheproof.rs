//! Known answers for AES-256-GCM, from outside, through all implementations in use. `fixtures/wycheproof/README.md` says
//! where they are from.

use aes_gcm::Aes256Gcm;
use aes_gcm::aead::{Aead, KeyInit, Payload};
use serde::Deserialize;

const FILE: &str = include_str!("../../../fixtures/wycheproof/aes_256_gcm.json");

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Vector {
    tc_id: u32,
    key: String,
    iv: String,
    aad: String,
    msg: String,
    ct: String,
    tag: String,
    result: String,
}

struct Case {
    key: [u8; 32],
    nonce: [u8; 12],
    aad: Vec<u8>,
    msg: Vec<u8>,
    sealed: Vec<u8>,
}

fn case(vector: &Vector) -> Case {
    let bytes = |text: &String| hex::decode(text).unwrap();
    Case {
        key: bytes(&vector.key).try_into().unwrap(),
        nonce: bytes(&vector.iv).try_into().unwrap(),
        aad: bytes(&vector.aad),
        msg: bytes(&vector.msg),
        sealed: [bytes(&vector.ct), bytes(&vector.tag)].concat(),
    }
}

fn reference(case: &Case) -> (Vec<u8>, Option<Vec<u8>>) {
    let cipher = Aes256Gcm::new(&case.key.into());
    let sealed = cipher.encrypt(&case.nonce.into(), Payload { msg: &case.msg, aad: &case.aad }).unwrap();
    (sealed, cipher.decrypt(&case.nonce.into(), Payload { msg: &case.sealed, aad: &case.aad }).ok())
}

/// What seals segments.
fn segments(case: &Case) -> (Vec<u8>, Option<Vec<u8>>) {
    use ring::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
    let cipher = LessSafeKey::new(UnboundKey::new(&AES_256_GCM, &case.key).unwrap());
    let nonce = || Nonce::assume_unique_for_key(case.nonce);
    let mut sealed = case.msg.clone();
    let tag = cipher.seal_in_place_separate_tag(nonce(), Aad::from(&case.aad), &mut sealed).unwrap();
    sealed.extend_from_slice(tag.as_ref());
    let mut opened = case.sealed.clone();
    (sealed, cipher.open_in_place(nonce(), Aad::from(&case.aad), &mut opened).ok().map(|p| p.to_vec()))
}

/// What seals manifests and records.
fn records(case: &Case) -> (Vec<u8>, Option<Vec<u8>>) {
    use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
    let cipher = LessSafeKey::new(UnboundKey::new(&AES_256_GCM, &case.key).unwrap());
    let nonce = || Nonce::assume_unique_for_key(case.nonce);
    let mut sealed = case.msg.clone();
    let tag = cipher.seal_in_place_separate_tag(nonce(), Aad::from(&case.aad), &mut sealed).unwrap();
    sealed.extend_from_slice(tag.as_ref());
    let mut opened = case.sealed.clone();
    (sealed, cipher.open_in_place(nonce(), Aad::from(&case.aad), &mut opened).ok().map(|p| p.to_vec()))
}

#[test]
fn all_implementations_give_the_known_answers() {
    let vectors: Vec<Vector> = serde_json::from_str(FILE).unwrap();
    let count = |result: &str| vectors.iter().filter(|v| v.result == result).count();
    assert!(count("valid") >= 20 && count("invalid") >= 20);
    for vector in &vectors {
        let case = case(vector);
        let answers = [("aes-gcm", reference(&case)), ("ring", segments(&case)), ("aws-lc-rs", records(&case))];
        for (name, (sealed, opened)) in answers {
            let id = vector.tc_id;
            if vector.result == "valid" {
                assert_eq!(sealed, case.sealed, "{name} seals case {id}");
                assert_eq!(opened.as_ref(), Some(&case.msg), "{name} opens case {id}");
            } else {
                assert_eq!(opened, None, "{name} refuses case {id}");
            }
        }
    }
}
