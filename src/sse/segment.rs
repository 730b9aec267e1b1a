//! Seals and opens one segment in place. No I/O and no buffers: [`super::stream`] has those.
//!
//! ```text
//! part key  = HKDF-SHA256(ikm = DK, salt = header.salt, info = "sealgate/1/part" ‖ header[0..16])
//! nonce     = segment index u64 ‖ final flag u8 ‖ 0u24        AAD is empty
//! ```
//!
//! The construction is STREAM (Hoang, Reyhanitabar, Rogaway, Vizár: ePrint 2015/189) with a key per attempt at a
//! part, so no nonce repeats under a key however often a part is uploaded.

use ring::aead::{AES_256_GCM, Aad, CHACHA20_POLY1305, LessSafeKey, NONCE_LEN, Nonce, Tag, UnboundKey};

use crate::kms::DataKey;
use crate::kms::once::derive;

use super::{Aead, Error, PartHeader};

/// How many bytes longer a sealed segment is: the tag of either AEAD.
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

/// The key of one attempt at a part; none where segments are not sealed.
struct PartKey(Option<LessSafeKey>);

impl PartKey {
    fn new(data_key: &DataKey, header: &PartHeader) -> Self {
        let algorithm = match header.aead {
            Aead::Aes256Gcm => &AES_256_GCM,
            Aead::ChaCha20Poly1305 => &CHACHA20_POLY1305,
            Aead::None => return Self(None),
        };
        let key = derive(data_key.expose(), header.salt.as_bytes(), &[b"sealgate/1/part", &header.fixed()]);
        let key = UnboundKey::new(algorithm, key.as_ref()).expect("both AEADs take a key of 32 bytes");
        Self(Some(LessSafeKey::new(key)))
    }
}

fn nonce(index: u64, last: Last) -> Nonce {
    let mut bytes = [0; NONCE_LEN];
    bytes[..8].copy_from_slice(&index.to_be_bytes());
    bytes[8] = u8::from(last == Last::Yes);
    Nonce::assume_unique_for_key(bytes)
}

/// Which segment is next. Refuses any after the last one, and more than [`MAX_SEGMENTS`].
#[derive(Debug)]
struct Counter {
    next: u64,
    ended: bool,
}

impl Counter {
    fn take(&mut self, last: Last) -> Result<(u64, Nonce), Error> {
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
        if key.0.is_some() {
            let part_key = derive(data_key.expose(), header.salt.as_bytes(), &[b"sealgate/1/part", &header.fixed()]);
            crate::kms::ledger::spend("part", &part_key);
        }
        Self { key, counter: Counter { next: 0, ended: false } }
    }

    /// Seals the next segment in place; the tag, if there is one ([`Aead::tag_len`]), goes after it.
    ///
    /// # Errors
    /// [`Error::Malformed`] after the last segment, or beyond [`MAX_SEGMENTS`].
    pub fn seal(&mut self, segment: &mut [u8], last: Last) -> Result<Option<Tag>, Error> {
        let (_, nonce) = self.counter.take(last)?;
        let Some(key) = &self.key.0 else { return Ok(None) };
        let sealed = key.seal_in_place_separate_tag(nonce, Aad::empty(), segment);
        sealed.map(Some).map_err(|_| Error::Malformed("a segment longer than the AEAD allows"))
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
        let Some(key) = &self.key.0 else { return Ok(sealed.len()) };
        match key.open_in_place(nonce, Aad::empty(), sealed) {
            Ok(plain) => Ok(plain.len()),
            Err(_) => Err(Error::SegmentTag { part: self.header.number, segment }),
        }
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
        Aes256Gcm::new(&(*derive(dk.expose(), &header.encode()[16..], &[&info])).into())
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
        for aead in [Aead::Aes256Gcm, Aead::ChaCha20Poly1305] {
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
