//! A body that opens under two data keys: neither AEAD promises that there is none, and whoever makes both keys can make the
//! body. That is what the commitment is for. The constructions are those of Len, Grubbs and Ristenpart ("Partitioning Oracle
//! Attacks", USENIX Security 2021) for two keys: the tag is linear in the ciphertext blocks.

use aes_gcm::AesGcm;
use aes_gcm::aead::consts::U12;
use aes_gcm::aead::{AeadInOut as _, KeyInit as _};
use ring::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use sm4::Sm4;

use crate::kms::DataKey;
use crate::kms::once::derive;
use crate::sse::segment::{Last, SegmentOpener};
use crate::sse::{Aead, BodyOpener, Commitment, Error, ObjectId, PartHeader, SealedPart, SegmentSize, manifest};
use crate::types::PartNumber;

use super::support::*;

/// Two blocks of ciphertext, a tag.
const BLOCKS: usize = 32;
/// That of the first segment, which is the last.
const NONCE: [u8; 12] = [0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0];

fn other_key() -> DataKey {
    DataKey::new([0x99; 32])
}

/// Elements of GHASH's field (SP 800-38D §6.3): bit 0 is the most significant.
fn gf_mul(x: u128, mut y: u128) -> u128 {
    let mut product = 0;
    for bit in (0..128).rev() {
        if x >> bit & 1 == 1 {
            product ^= y;
        }
        y = if y & 1 == 1 { y >> 1 ^ 0xe1 << 120 } else { y >> 1 };
    }
    product
}

fn gf_invert(x: u128) -> u128 {
    // x^(2^128 - 2)
    let (mut result, mut power) = (1 << 127, x);
    for _ in 1..128 {
        power = gf_mul(power, power);
        result = gf_mul(result, power);
    }
    result
}

/// The tag of an AAD and nothing else.
type TagOf = fn(&[u8; 32], &[u8]) -> u128;

fn aes_tag(key: &[u8; 32], aad: &[u8]) -> u128 {
    let cipher = LessSafeKey::new(UnboundKey::new(&AES_256_GCM, key).unwrap());
    let nonce = Nonce::assume_unique_for_key(NONCE);
    let tag = cipher.seal_in_place_separate_tag(nonce, Aad::from(aad), &mut []).unwrap();
    u128::from_be_bytes(tag.as_ref().try_into().unwrap())
}

/// As parts are sealed: under the first half of what was derived.
fn sm4_tag(key: &[u8; 32], aad: &[u8]) -> u128 {
    let cipher = AesGcm::<Sm4, U12>::new_from_slice(&key[..16]).unwrap();
    let tag = cipher.encrypt_inout_detached(&NONCE.into(), aad, (&mut [][..]).into()).unwrap();
    u128::from_be_bytes(tag.into())
}

/// What GCM's tag is made of under a key: the hash key H, and the block that masks the hash.
fn gcm_secrets(tag: TagOf, key: &[u8; 32]) -> (u128, u128) {
    let tag_of = |aad: &[u8]| tag(key, aad);
    // Nothing hashes to zero; a block of AAD that is 1 adds H² to what a block of zeros gives.
    let mut square = tag_of(&(1_u128 << 127).to_be_bytes()) ^ tag_of(&[0; 16]);
    for _ in 0..127 {
        square = gf_mul(square, square);
    }
    (square, tag_of(&[]))
}

fn gcm_body(tag: TagOf, keys: [&[u8; 32]; 2]) -> Vec<u8> {
    let [(a, mask_a), (b, mask_b)] = keys.map(|key| gcm_secrets(tag, key));
    let (second, len) = (0x5eed_u128, BLOCKS as u128 * 8);
    let powers = |h: u128| (h, gf_mul(h, h), gf_mul(gf_mul(h, h), h));
    let ((a1, a2, a3), (b1, b2, b3)) = (powers(a), powers(b));
    let rest = gf_mul(second, a2 ^ b2) ^ gf_mul(len, a1 ^ b1) ^ mask_a ^ mask_b;
    let first = gf_mul(rest, gf_invert(a3 ^ b3));
    let tag = gf_mul(first, a3) ^ gf_mul(second, a2) ^ gf_mul(len, a1) ^ mask_a;
    [first, second, tag].map(u128::to_be_bytes).concat()
}

/// A number modulo 2^130 - 5.
#[derive(Clone, Copy, PartialEq)]
struct Mod {
    high: u8,
    low: u128,
}

impl Mod {
    fn new(low: u128) -> Self {
        Self { high: 0, low }
    }

    fn reduced(high: u8, low: u128) -> Self {
        let (low, carry) = low.overflowing_add(5 * u128::from(high >> 2));
        let high = (high & 3) + u8::from(carry);
        match (high, low.checked_add(5)) {
            // At least the modulus: take it away, which is to add 5 and to drop 2^130.
            (3.., None) => Self { high: high - 3, low: low.wrapping_add(5) },
            (4.., Some(low)) => Self { high: high - 4, low },
            _ => Self { high, low },
        }
    }

    fn plus(self, other: Self) -> Self {
        let (low, carry) = self.low.overflowing_add(other.low);
        Self::reduced(self.high + other.high + u8::from(carry), low)
    }

    fn times(self, other: Self) -> Self {
        (0..130).rev().fold(Self::new(0), |sum, bit| {
            let set = if bit < 128 { self.low >> bit & 1 == 1 } else { self.high >> (bit - 128) & 1 == 1 };
            let doubled = sum.plus(sum);
            if set { doubled.plus(other) } else { doubled }
        })
    }

    fn minus(self, other: Self) -> Self {
        // -1 is 2^130 - 6.
        self.plus(other.times(Self { high: 3, low: u128::MAX - 5 }))
    }

    fn inverse(self) -> Self {
        // To the power of 2^130 - 7: all its 130 bits are set but bits 1 and 2.
        (0..130).rev().fold(Self::new(1), |power, bit| {
            let square = power.times(power);
            if bit == 1 || bit == 2 { square } else { square.times(self) }
        })
    }
}

/// Poly1305's one-time key (RFC 8439 §2.6): the first block of the key stream.
fn poly_secrets(key: &[u8; 32]) -> (Mod, u128) {
    let word = |bytes: &[u8]| u32::from_le_bytes(bytes.try_into().unwrap());
    let mut state = [0x6170_7865, 0x3320_646e, 0x7962_2d32, 0x6b20_6574, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0_u32];
    state[4..12].iter_mut().zip(key.chunks(4)).for_each(|(place, bytes)| *place = word(bytes));
    state[13..].iter_mut().zip(NONCE.chunks(4)).for_each(|(place, bytes)| *place = word(bytes));
    let mut block = state;
    for round in 0..20 {
        for column in 0..4 {
            let shift = |n: usize| (column + n * (round % 2)) % 4;
            let [a, b, c, d] = [column, 4 + shift(1), 8 + shift(2), 12 + shift(3)];
            for (sum, add, rotate, by) in [(a, b, d, 16), (c, d, b, 12), (a, b, d, 8), (c, d, b, 7)] {
                block[sum] = block[sum].wrapping_add(block[add]);
                block[rotate] = (block[rotate] ^ block[sum]).rotate_left(by);
            }
        }
    }
    let bytes: Vec<u8> = block.iter().zip(state).flat_map(|(a, b)| a.wrapping_add(b).to_le_bytes()).collect();
    let number = |from: usize| u128::from_le_bytes(bytes[from..from + 16].try_into().unwrap());
    (Mod::new(number(0) & 0x0fff_fffc_0fff_fffc_0fff_fffc_0fff_ffff), number(16))
}

fn poly_body(keys: [&[u8; 32]; 2]) -> Vec<u8> {
    let [(a, add_a), (b, add_b)] = keys.map(poly_secrets);
    // The last block says that there is no AAD, and how long the ciphertext is; every block has a 1 above it.
    let len = Mod { high: 1, low: (BLOCKS as u128) << 64 };
    let per_square = |r: Mod, hash: u128| Mod::new(hash).minus(len.times(r)).times(r.times(r).inverse());
    for tag in 0_u128..1000 {
        let (for_a, for_b) = (per_square(a, tag.wrapping_sub(add_a)), per_square(b, tag.wrapping_sub(add_b)));
        let first = for_a.minus(for_b).times(a.minus(b).inverse());
        let second = for_a.minus(first.times(a));
        // Only one number in four is a block.
        if first.high == 1 && second.high == 1 {
            return [first.low, second.low, tag].map(u128::to_le_bytes).concat();
        }
    }
    panic!("no body in 1,000 tries");
}

#[test]
fn a_body_made_to_open_under_two_keys_opens_under_the_one_it_commits_to() {
    for aead in [Aead::Aes256Gcm, Aead::Sm4Gcm, Aead::ChaCha20Poly1305] {
        let (one, two) = (data_key(), other_key());
        let header =
            PartHeader { aead, segment_size: SegmentSize::MIN, number: PartNumber::FIRST, salt: salt(1, 0x44) };
        let keys = [&one, &two]
            .map(|key| derive(key.expose(), header.salt.as_bytes(), &[b"sealgate/1/part", &header.fixed()]));
        let both = [&*keys[0], &*keys[1]];
        let segment = match aead {
            Aead::Aes256Gcm => gcm_body(aes_tag, both),
            Aead::Sm4Gcm => gcm_body(sm4_tag, both),
            Aead::ChaCha20Poly1305 => poly_body(both),
            Aead::None => unreachable!("it has no tags"),
        };
        let [plain, other] = [&one, &two].map(|key| {
            let mut bytes = segment.clone();
            let len =
                SegmentOpener::new(key, &header, 0).open(&mut bytes, Last::Yes).expect("the AEAD alone takes both");
            bytes[..len].to_vec()
        });
        assert_ne!(plain, other);

        let part = SealedPart { number: header.number, salt: header.salt, plain_len: BLOCKS as u64 };
        let body = [header.encode().as_slice(), &segment].concat();
        let mut sample = Sample { plain: plain.clone(), body, parts: vec![part], aead, size: header.segment_size };
        sample.complete();
        assert_eq!(sample.open(&sample.body, 1000).all(), plain);
        let (tail, object) = (sample.parts_len(), ObjectId::from_bytes(OBJECT));
        assert!(matches!(manifest::open_digests(&sample.body[tail..], &two), Err(Error::Commitment)));
        let (_, opener) = BodyOpener::whole(&two, &attribute_key(), object, sample.layout());
        let opened = drive(opener, [sample.body.as_slice()]);
        assert!(matches!(opened.end, Err(Error::Commitment)) && opened.plain.is_empty(), "{opened:?}");
        // A range reads no manifest: whoever unwraps a data key holds it against the envelope's commitment first.
        assert!(matches!(Commitment::of(&one).check(&two), Err(Error::Commitment)));
    }
}
