//! Seals and opens one segment in place. No I/O and no buffers: [`super::stream`] has those.
//!
//! ```text
//! part key  = HKDF-SHA256(ikm = DK, salt = header.salt, info = "sealgate/1/part" ‖ header[0..16]), as long as the AEAD's key
//! nonce     = segment index u64 ‖ final flag u8 ‖ 0u24        AAD is empty
//! ```
//!
//! The construction is STREAM (Hoang, Reyhanitabar, Rogaway, Vizár: ePrint 2015/189) with a key per attempt at a
//! part, so no nonce repeats under a key however often a part is uploaded.

use aes_gcm::AesGcm;
use aes_gcm::aead::consts::U12;
use aes_gcm::aead::{AeadInOut, KeyInit};
use ring::aead::{AES_256_GCM, Aad, CHACHA20_POLY1305, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use sm4::Sm4;

use crate::kms::DataKey;
use crate::kms::once::derive;

use super::{Aead, Error, PartHeader};

/// How many bytes longer a sealed segment is: the tag of every AEAD.
pub const TAG_LEN: usize = 16;

/// No part has more segments. 16 TiB at the smallest segment size.
pub const MAX_SEGMENTS: u64 = 1 << 32;

/// Whether a segment is the last of its part.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Last {
    /// More follow.
    No,
    /// None follows; even an empty part has one such.
    Yes,
}

/// A segment's tag.
type Tag = [u8; TAG_LEN];
/// GCM is generic over the block cipher (RFC 8998 §3.3 is the same mode with SM4 in AES's place).
type Sm4Gcm = AesGcm<Sm4, U12>;

/// The length of SM4's keys.
const SM4_KEY_LEN: usize = 16;

/// The key of one attempt at a part.
#[allow(clippy::large_enum_variant, reason = "one a part, and the large one is the usual one")]
enum PartKey {
    /// What `ring` has.
    Ring(LessSafeKey),
    /// What it has not.
    Sm4(Box<Sm4Gcm>),
    /// Segments are not sealed.
    None,
}

impl PartKey {
    fn new(data_key: &DataKey, header: &PartHeader) -> Self {
        let derived = || derive(data_key.expose(), header.salt.as_bytes(), &[b"sealgate/1/part", &header.fixed()]);
        let ring = |algorithm| {
            let key = UnboundKey::new(algorithm, derived().as_ref()).expect("both AEADs take a key of 32 bytes");
            Self::Ring(LessSafeKey::new(key))
        };
        match header.aead {
            Aead::Aes256Gcm => ring(&AES_256_GCM),
            Aead::ChaCha20Poly1305 => ring(&CHACHA20_POLY1305),
            Aead::Sm4Gcm => {
                // The first 16 bytes are what HKDF gives when it is asked for 16 (RFC 5869 §2.3).
                let key = derived();
                let (key, _) = key.split_at(SM4_KEY_LEN);
                Self::Sm4(Box::new(Sm4Gcm::new_from_slice(key).expect("SM4 takes a key of 16 bytes")))
            }
            Aead::None => Self::None,
        }
    }

    /// Seals in place. `None`: nothing was to be sealed.
    fn seal(&self, nonce: [u8; NONCE_LEN], segment: &mut [u8]) -> Result<Option<Tag>, Error> {
        const TOO_LONG: Error = Error::Malformed("a segment longer than the AEAD allows");
        match self {
            Self::Ring(key) => {
                let nonce = Nonce::assume_unique_for_key(nonce);
                let tag = key.seal_in_place_separate_tag(nonce, Aad::empty(), segment).map_err(|_| TOO_LONG)?;
                Ok(Some(tag.as_ref().try_into().map_err(|_| TOO_LONG)?))
            }
            Self::Sm4(key) => {
                let tag = key.encrypt_inout_detached(&nonce.into(), b"", segment.into()).map_err(|_| TOO_LONG)?;
                Ok(Some(tag.into()))
            }
            Self::None => Ok(None),
        }
    }

    /// Opens ciphertext and tag in place and tells how long the plaintext is; `None` when the tag does not verify.
    fn open(&self, nonce: [u8; NONCE_LEN], sealed: &mut [u8]) -> Option<usize> {
        match self {
            Self::Ring(key) => {
                let nonce = Nonce::assume_unique_for_key(nonce);
                key.open_in_place(nonce, Aad::empty(), sealed).ok().map(|plain| plain.len())
            }
            Self::Sm4(key) => {
                let (cipher, tag) = sealed.split_last_chunk_mut::<TAG_LEN>()?;
                key.decrypt_inout_detached(&nonce.into(), b"", (&mut *cipher).into(), &(*tag).into()).ok()?;
                Some(cipher.len())
            }
            Self::None => Some(sealed.len()),
        }
    }
}

fn nonce(index: u64, last: Last) -> [u8; NONCE_LEN] {
    let mut bytes = [0; NONCE_LEN];
    bytes[..8].copy_from_slice(&index.to_be_bytes());
    bytes[8] = u8::from(last == Last::Yes);
    bytes
}

/// Which segment is next. Refuses any after the last one, and more than [`MAX_SEGMENTS`].
#[derive(Debug)]
struct Counter {
    next: u64,
    ended: bool,
}

impl Counter {
    fn take(&mut self, last: Last) -> Result<(u64, [u8; NONCE_LEN]), Error> {
        if self.ended {
            return Err(Error::Malformed("a segment after the last"));
        }
        let index = self.next;
        if index >= MAX_SEGMENTS {
            return Err(Error::Malformed("too many segments in a part"));
        }
        self.next = index + 1;
        self.ended = last == Last::Yes;
        Ok((index, nonce(index, last)))
    }
}

/// Seals a part's segments in order.
pub struct SegmentSealer {
    key: PartKey,
    counter: Counter,
}

impl SegmentSealer {
    /// Starts a part. The header's salt must be fresh: the caller writes this part once.
    #[must_use]
    pub fn new(data_key: &DataKey, header: &PartHeader) -> Self {
        let key = PartKey::new(data_key, header);
        #[cfg(test)]
        if !matches!(key, PartKey::None) {
            let part_key = derive(data_key.expose(), header.salt.as_bytes(), &[b"sealgate/1/part", &header.fixed()]);
            crate::kms::ledger::spend("part", &part_key);
        }
        Self { key, counter: Counter { next: 0, ended: false } }
    }

    /// Seals the next segment in place; the tag, if there is one ([`Aead::tag_len`]), goes after it.
    ///
    /// # Errors
    /// [`Error::Malformed`] after the last segment, or beyond [`MAX_SEGMENTS`].
    pub fn seal(&mut self, segment: &mut [u8], last: Last) -> Result<Option<[u8; TAG_LEN]>, Error> {
        let (_, nonce) = self.counter.take(last)?;
        self.key.seal(nonce, segment)
    }
}

/// Opens a part's segments in order, from any of them on.
pub struct SegmentOpener {
    key: PartKey,
    counter: Counter,
    header: PartHeader,
}

impl SegmentOpener {
    /// Starts at segment `first` of the part that this header begins. The header is the one that is *expected*, never
    /// the one that was read.
    #[must_use]
    pub fn new(data_key: &DataKey, header: &PartHeader, first: u64) -> Self {
        let counter = Counter { next: first, ended: false };
        Self { key: PartKey::new(data_key, header), counter, header: *header }
    }

    /// Opens the next segment (ciphertext and tag) in place and tells how long its plaintext is, which stands at the
    /// front. Nothing of it may be used when this fails.
    ///
    /// # Errors
    /// [`Error::SegmentTag`] when it does not verify as this segment, and [`Error::Malformed`] as in
    /// [`SegmentSealer::seal`].
    pub fn open(&mut self, sealed: &mut [u8], last: Last) -> Result<usize, Error> {
        let (segment, nonce) = self.counter.take(last)?;
        self.key.open(nonce, sealed).ok_or(Error::SegmentTag { part: self.header.number, segment })
    }
}

#[cfg(test)]
mod tests {
    use aes_gcm::Aes256Gcm;
    use aes_gcm::aead::{Aead as _, KeyInit};
    use proptest::prelude::*;

    use crate::sse::{Salt, SegmentSize};
    use crate::types::PartNumber;

    use super::*;

    fn header(aead: Aead) -> PartHeader {
        let (segment_size, salt) = (SegmentSize::MIN, Salt::from_bytes([5; 32]));
        PartHeader { aead, segment_size, number: PartNumber::FIRST, salt }
    }

    fn reference(dk: &DataKey, header: &PartHeader) -> Aes256Gcm {
        let mut info = b"sealgate/1/part".to_vec();
        info.extend_from_slice(&header.encode()[..16]);
        <Aes256Gcm as KeyInit>::new(&(*derive(dk.expose(), &header.encode()[16..], &[&info])).into())
    }

    proptest! {
        #[test]
        fn each_implementation_opens_what_the_other_sealed(
            dk: [u8; 32], index in 0..MAX_SEGMENTS, last: bool, plain in prop::collection::vec(any::<u8>(), 0..5000),
        ) {
            let (dk, header) = (DataKey::new(dk), header(Aead::Aes256Gcm));
            let mut nonce = index.to_be_bytes().to_vec();
            nonce.extend_from_slice(&[u8::from(last), 0, 0, 0]);
            let nonce: [u8; 12] = nonce.try_into().unwrap();
            let last = if last { Last::Yes } else { Last::No };

            let mut sealed = reference(&dk, &header).encrypt(&nonce.into(), plain.as_slice()).unwrap();
            let n = SegmentOpener::new(&dk, &header, index).open(&mut sealed, last).unwrap();
            prop_assert_eq!(&sealed[..n], plain.as_slice());

            let mut ours = plain.clone();
            let mut sealer = SegmentSealer::new(&dk, &header);
            sealer.counter.next = index;
            let tag = sealer.seal(&mut ours, last).unwrap();
            ours.extend_from_slice(tag.unwrap().as_ref());
            prop_assert_eq!(reference(&dk, &header).decrypt(&nonce.into(), ours.as_slice()).unwrap(), plain);
        }
    }

    #[test]
    fn nothing_is_sealed_or_opened_after_the_last_segment() {
        let dk = DataKey::new([1; 32]);
        let mut sealer = SegmentSealer::new(&dk, &header(Aead::Aes256Gcm));
        assert!(sealer.seal(&mut [0; 4], Last::Yes).is_ok());
        assert!(matches!(sealer.seal(&mut [0; 4], Last::Yes), Err(Error::Malformed(_))));
        assert!(matches!(sealer.seal(&mut [0; 4], Last::No), Err(Error::Malformed(_))));
    }

    /// GB/T 32907-2016, appendix A.1, and A.2 (a million times over); draft-ribose-cfrg-sm4 §2.1 repeats them.
    #[test]
    fn sm4_is_the_published_cipher() {
        use sm4::cipher::{Block, BlockCipherEncrypt as _};

        let key = hex::decode("0123456789abcdeffedcba9876543210").unwrap();
        let cipher = <Sm4 as sm4::cipher::KeyInit>::new_from_slice(&key).unwrap();
        let mut block = Block::<Sm4>::try_from(key.as_slice()).unwrap();
        cipher.encrypt_block(&mut block);
        assert_eq!(hex::encode(block), "681edf34d206965e86b3e94f536e4246");
        for _ in 1..1_000_000 {
            cipher.encrypt_block(&mut block);
        }
        assert_eq!(hex::encode(block), "595298c7c6fd271f0402f804c33d3f66");
    }

    /// RFC 8998, appendix A.1.
    #[test]
    fn sm4_gcm_is_the_published_aead() {
        let unhex = |text: &str| hex::decode(text).unwrap();
        let key = Sm4Gcm::new_from_slice(&unhex("0123456789abcdeffedcba9876543210")).unwrap();
        let nonce: [u8; 12] = unhex("00001234567800000000abcd").try_into().unwrap();
        let aad = unhex("feedfacedeadbeeffeedfacedeadbeefabaddad2");
        let plain = unhex(
            "aaaaaaaaaaaaaaaabbbbbbbbbbbbbbbbccccccccccccccccddddddddddddddddeeeeeeeeeeeeeeeeffffffffffffffffeeeeeeeeeeee\
             eeeeaaaaaaaaaaaaaaaa",
        );
        let mut message = plain.clone();
        let tag = key.encrypt_inout_detached(&nonce.into(), &aad, message.as_mut_slice().into()).unwrap();
        assert_eq!(
            hex::encode(&message),
            "17f399f08c67d5ee19d0dc9969c4bb7d5fd46fd3756489069157b282bb200735d82710ca5c22f0ccfa7cbf93d496ac15a56834cbcf98c3\
             97b4024a2691233b8d"
        );
        assert_eq!(hex::encode(tag), "83de3541e4c2b58177e065a9bf7b62ec");
        key.decrypt_inout_detached(&nonce.into(), &aad, message.as_mut_slice().into(), &tag).unwrap();
        assert_eq!(message, plain);
        let mut altered = tag;
        altered[15] ^= 1;
        assert!(key.decrypt_inout_detached(&nonce.into(), &aad, message.as_mut_slice().into(), &altered).is_err());
    }

    /// The format's key and nonce, with the published AEAD: what another implementation would make of a segment.
    #[test]
    fn an_sm4_segment_is_sealed_under_the_first_16_bytes_of_the_part_key() {
        let (dk, header) = (DataKey::new([7; 32]), header(Aead::Sm4Gcm));
        let mut info = b"sealgate/1/part".to_vec();
        info.extend_from_slice(&header.encode()[..16]);
        let derived = derive(dk.expose(), &header.encode()[16..], &[&info]);
        let mut nonce = [0; 12];
        nonce[8] = 1;
        let reference = Sm4Gcm::new_from_slice(&derived[..16]).unwrap();
        let mut expected = b"segment".to_vec();
        let expected_tag =
            reference.encrypt_inout_detached(&nonce.into(), b"", expected.as_mut_slice().into()).unwrap();
        let mut ours = b"segment".to_vec();
        let tag = SegmentSealer::new(&dk, &header).seal(&mut ours, Last::Yes).unwrap().unwrap();
        assert_eq!((ours, tag.as_slice()), (expected, expected_tag.as_slice()));
    }

    #[test]
    fn a_segment_shorter_than_its_tag_is_refused() {
        let dk = DataKey::new([1; 32]);
        for aead in [Aead::Aes256Gcm, Aead::Sm4Gcm, Aead::ChaCha20Poly1305] {
            for len in 0..TAG_LEN {
                let opened = SegmentOpener::new(&dk, &header(aead), 0).open(&mut vec![0; len], Last::Yes);
                assert!(matches!(opened, Err(Error::SegmentTag { .. })), "{aead:?}, {len} bytes");
            }
        }
    }

    #[test]
    fn the_segment_index_does_not_wrap() {
        let dk = DataKey::new([1; 32]);
        let mut sealer = SegmentSealer::new(&dk, &header(Aead::Aes256Gcm));
        sealer.counter.next = MAX_SEGMENTS - 1;
        assert!(sealer.seal(&mut [], Last::No).is_ok());
        assert!(matches!(sealer.seal(&mut [], Last::No), Err(Error::Malformed(_))));
        let mut opener = SegmentOpener::new(&dk, &header(Aead::Aes256Gcm), u64::MAX);
        assert!(matches!(opener.open(&mut [0; 16], Last::No), Err(Error::Malformed(_))));
    }

    #[test]
    fn a_segment_is_bound_to_its_place_flag_part_aead_size_salt_and_key() {
        let seal = |header: &PartHeader| {
            let mut bytes = b"segment".to_vec();
            let tag = SegmentSealer::new(&DataKey::new([1; 32]), header).seal(&mut bytes, Last::No).unwrap();
            bytes.extend_from_slice(tag.unwrap().as_ref());
            bytes
        };
        for aead in [Aead::Aes256Gcm, Aead::Sm4Gcm, Aead::ChaCha20Poly1305] {
            let header = header(aead);
            let sealed = seal(&header);
            let open = |key: u8, header: &PartHeader, index, last| {
                SegmentOpener::new(&DataKey::new([key; 32]), header, index).open(&mut sealed.clone(), last)
            };
            assert_eq!(open(1, &header, 0, Last::No).unwrap(), 7);
            assert!(open(1, &header, 1, Last::No).is_err());
            assert!(open(1, &header, 0, Last::Yes).is_err());
            assert!(open(2, &header, 0, Last::No).is_err());
            let others = [
                PartHeader { number: PartNumber::try_from(2).unwrap(), ..header },
                PartHeader { segment_size: SegmentSize::DEFAULT, ..header },
                PartHeader { salt: Salt::from_bytes([6; 32]), ..header },
                PartHeader {
                    aead: if aead == Aead::Aes256Gcm { Aead::ChaCha20Poly1305 } else { Aead::Aes256Gcm },
                    ..header
                },
            ];
            assert!(others.iter().all(|other| open(1, other, 0, Last::No).is_err()));
        }
    }
}
