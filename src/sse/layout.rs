//! Where plaintext lies in a body. The only place that turns a plaintext offset into a ciphertext offset.
//!
//! The length of a sealed part is a function of its plaintext's length, so any range of plaintext is one range of
//! ciphertext: the whole segments that hold it, and the part headers between them.

use std::ops::Range;

use serde::{Deserialize, Serialize};

use crate::store::CipherOffset;
use crate::types::PartNumber;

use super::segment::{Last, MAX_SEGMENTS};
use super::{Aead, Error, MAX_MANIFEST_LEN, PartHeader, Salt, SegmentSize, TRAILER_LEN};

/// An offset into (or a length of) an object's plaintext, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PlainOffset(pub u64);

/// A part as it was sealed: what a manifest pins of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct SealedPart {
    /// Its number.
    pub number: PartNumber,
    /// Its plaintext's length in bytes.
    pub plain_len: u64,
    /// The salt of the attempt that counts.
    pub salt: Salt,
}

const HEADER: u64 = PartHeader::LEN as u64;
const TOO_LONG: Error = Error::Malformed("a part or body that is too long");

/// How much longer a segment is sealed, for arithmetic with offsets.
fn tag(aead: Aead) -> u64 {
    aead.tag_len() as u64
}

/// How many segments a part of `plain_len` bytes has: one even when it is empty.
fn segments(plain_len: u64, size: SegmentSize) -> u64 {
    plain_len.div_ceil(size.bytes_u64()).max(1)
}

/// The length of a part as it is stored: header, segments and tags.
///
/// # Errors
/// [`Error::Malformed`] beyond 2^32 segments.
pub fn sealed_part_len(plain_len: u64, aead: Aead, size: SegmentSize) -> Result<u64, Error> {
    let segments = segments(plain_len, size);
    if segments > MAX_SEGMENTS {
        return Err(TOO_LONG);
    }
    // At most 2^32 × (2^20 + 16) + 48: far below 2^64.
    Ok(HEADER + plain_len + segments * tag(aead))
}

/// Where one part lies in plaintext and ciphertext.
#[derive(Debug, Clone)]
struct Span {
    part: SealedPart,
    plain_start: u64,
    plain_end: u64,
    /// Of its header.
    start: u64,
    end: u64,
}

/// The shape of a body: its parts, in order, and the manifest after them.
#[derive(Debug, Clone)]
pub struct Layout {
    aead: Aead,
    size: SegmentSize,
    spans: Vec<Span>,
    cipher_len: u64,
}

/// Where a range of plaintext begins and ends in terms of segments.
pub(super) struct Window {
    /// The part that holds the first byte, by its place in the body.
    pub(super) part: usize,
    /// The segment of that part.
    pub(super) segment: u64,
    /// How many bytes of that segment come before the range.
    pub(super) skip: u64,
    /// The ciphertext to read.
    pub(super) cipher: Range<CipherOffset>,
}

impl Layout {
    /// The layout of a body of `cipher_len` bytes, manifest included, that has these parts.
    ///
    /// # Errors
    /// [`Error::Malformed`] when there is no part or more than 10,000, when their numbers do not ascend, when a length
    /// overflows, or when what remains for the manifest can't be one.
    pub fn new(aead: Aead, size: SegmentSize, parts: &[SealedPart], cipher_len: CipherOffset) -> Result<Self, Error> {
        let spans = spans(parts, aead, size)?;
        let parts_len = spans.last().map_or(0, |span| span.end);
        let manifest = cipher_len.0.checked_sub(parts_len).ok_or(Error::Truncated)?;
        if manifest < TRAILER_LEN as u64 {
            return Err(Error::Truncated);
        }
        if manifest > MAX_MANIFEST_LEN as u64 {
            return Err(Error::TrailingBytes);
        }
        Ok(Self { aead, size, spans, cipher_len: cipher_len.0 })
    }

    /// The AEAD of the parts.
    #[must_use]
    pub fn aead(&self) -> Aead {
        self.aead
    }

    /// The segment size.
    #[must_use]
    pub fn segment_size(&self) -> SegmentSize {
        self.size
    }

    /// The parts, in order.
    pub fn parts(&self) -> impl ExactSizeIterator<Item = &SealedPart> {
        self.spans.iter().map(|span| &span.part)
    }

    /// How many parts there are: 1–10,000.
    #[must_use]
    pub fn part_count(&self) -> usize {
        self.spans.len()
    }

    /// The object's plaintext length.
    #[must_use]
    pub fn plain_len(&self) -> PlainOffset {
        PlainOffset(self.spans.last().map_or(0, |span| span.plain_end))
    }

    /// The body's length, manifest included.
    #[must_use]
    pub fn cipher_len(&self) -> CipherOffset {
        CipherOffset(self.cipher_len)
    }

    /// Where the manifest begins.
    #[must_use]
    pub fn manifest_start(&self) -> CipherOffset {
        CipherOffset(self.spans.last().map_or(0, |span| span.end))
    }

    /// The plaintext of a part, by its number (`partNumber=` of GET); `None` when there is no such part.
    #[must_use]
    pub fn part_range(&self, number: PartNumber) -> Option<Range<PlainOffset>> {
        let at = self.spans.binary_search_by_key(&number, |span| span.part.number).ok()?;
        self.spans.get(at).map(|span| PlainOffset(span.plain_start)..PlainOffset(span.plain_end))
    }

    /// The ciphertext of a part by its place in the body (0 is the first), header included.
    #[must_use]
    pub fn part_span(&self, place: usize) -> Option<Range<CipherOffset>> {
        self.spans.get(place).map(|span| CipherOffset(span.start)..CipherOffset(span.end))
    }

    /// The ciphertext that holds a range of plaintext: whole segments. An empty range holds nothing.
    ///
    /// # Errors
    /// [`Error::Malformed`] when the range is backwards or reaches beyond the plaintext.
    pub fn cipher_range(&self, plain: Range<PlainOffset>) -> Result<Range<CipherOffset>, Error> {
        self.window(plain).map(|window| window.cipher)
    }

    /// How long a store's chunks are best: whole segments, about 256 KiB.
    #[must_use]
    pub fn chunk_len(&self) -> usize {
        chunk_len(self.aead, self.size)
    }

    /// Splits a range of ciphertext after each part header in it, so that segments are whole in chunks of
    /// [`Layout::chunk_len`] when each piece is read on its own. Not worth it for a range of few chunks.
    pub fn aligned_reads(&self, cipher: Range<CipherOffset>) -> impl Iterator<Item = Range<CipherOffset>> + '_ {
        let mut from = cipher.start.0;
        let first = self.spans.partition_point(|span| span.start + HEADER <= from);
        let cuts = self.spans.iter().skip(first).map(|span| span.start + HEADER);
        let end = cipher.end.0;
        cuts.take_while(move |&cut| cut < end).chain([end]).filter_map(move |cut| {
            let piece = from..cut;
            from = cut;
            (!piece.is_empty()).then_some(CipherOffset(piece.start)..CipherOffset(piece.end))
        })
    }

    pub(super) fn window(&self, plain: Range<PlainOffset>) -> Result<Window, Error> {
        let Range { start: PlainOffset(start), end: PlainOffset(end) } = plain;
        if start > end || end > self.plain_len().0 {
            return Err(Error::Malformed("a range beyond the plaintext"));
        }
        if start == end {
            return Ok(Window { part: 0, segment: 0, skip: 0, cipher: CipherOffset(0)..CipherOffset(0) });
        }
        // The first part that ends after the range's first byte holds it; likewise for its last byte.
        let part = self.spans.partition_point(|span| span.plain_end <= start);
        let last = self.spans.partition_point(|span| span.plain_end < end);
        let (Some(first_span), Some(last_span)) = (self.spans.get(part), self.spans.get(last)) else {
            return Err(TOO_LONG);
        };
        let size = self.size.bytes_u64();
        let within = start - first_span.plain_start;
        let segment = within / size;
        let last_segment = (end - 1 - last_span.plain_start) / size;
        let sealed = size + tag(self.aead);
        let from = first_span.start + HEADER + segment * sealed;
        let to = (last_span.start + HEADER + (last_segment + 1) * sealed).min(last_span.end);
        Ok(Window { part, segment, skip: within % size, cipher: CipherOffset(from)..CipherOffset(to) })
    }

    /// The header that the part at this place must have.
    pub(super) fn header(&self, place: usize) -> Option<PartHeader> {
        let part = self.spans.get(place)?.part;
        Some(PartHeader { aead: self.aead, segment_size: self.size, number: part.number, salt: part.salt })
    }

    /// The sealed length of a segment, and whether it is its part's last; `None` beyond it.
    pub(super) fn segment(&self, place: usize, segment: u64) -> Option<(usize, Last)> {
        let plain_len = self.spans.get(place)?.part.plain_len;
        let count = segments(plain_len, self.size);
        if segment + 1 < count {
            return Some((self.size.bytes() + self.aead.tag_len(), Last::No));
        }
        let rest = plain_len - segment.checked_mul(self.size.bytes_u64()).filter(|&before| before <= plain_len)?;
        (segment + 1 == count).then_some(())?;
        usize::try_from(rest + tag(self.aead)).ok().map(|len| (len, Last::Yes))
    }
}

/// About 256 KiB of whole sealed segments.
pub(super) fn chunk_len(aead: Aead, size: SegmentSize) -> usize {
    (256 * 1024 / size.bytes()).max(1) * (size.bytes() + aead.tag_len())
}

fn spans(parts: &[SealedPart], aead: Aead, size: SegmentSize) -> Result<Vec<Span>, Error> {
    if parts.is_empty() || parts.len() > PartNumber::MAX as usize {
        return Err(Error::Malformed("part count"));
    }
    if !parts.is_sorted_by(|a, b| a.number < b.number) {
        return Err(Error::Malformed("part numbers that do not ascend"));
    }
    let (mut plain_start, mut start) = (0_u64, 0_u64);
    let mut spans = Vec::with_capacity(parts.len());
    for &part in parts {
        let plain_end = plain_start.checked_add(part.plain_len).ok_or(TOO_LONG)?;
        let end = start.checked_add(sealed_part_len(part.plain_len, aead, size)?).ok_or(TOO_LONG)?;
        spans.push(Span { part, plain_start, plain_end, start, end });
        (plain_start, start) = (plain_end, end);
    }
    Ok(spans)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SIZE: SegmentSize = SegmentSize::MIN;

    fn layout(lens: &[u64]) -> Layout {
        let parts: Vec<_> = (1..)
            .zip(lens)
            .map(|(n, &plain_len)| SealedPart {
                number: PartNumber::try_from(n).unwrap(),
                plain_len,
                salt: Salt::from_bytes([0; 32]),
            })
            .collect();
        let len: u64 = lens.iter().map(|&len| sealed_part_len(len, Aead::Aes256Gcm, SIZE).unwrap()).sum();
        Layout::new(Aead::Aes256Gcm, SIZE, &parts, CipherOffset(len + 200)).unwrap()
    }

    #[test]
    fn an_empty_part_is_a_header_and_one_empty_segment() {
        assert_eq!(sealed_part_len(0, Aead::Aes256Gcm, SIZE).unwrap(), 48 + 16);
        let empty = layout(&[0]);
        assert_eq!(empty.plain_len(), PlainOffset(0));
        assert_eq!(empty.manifest_start(), CipherOffset(64));
        assert_eq!(empty.segment(0, 0), Some((16, Last::Yes)));
        assert_eq!(empty.segment(0, 1), None);
        assert!(empty.cipher_range(PlainOffset(0)..PlainOffset(0)).unwrap().is_empty());
    }

    #[test]
    fn a_full_last_segment_is_not_followed_by_an_empty_one() {
        assert_eq!(sealed_part_len(4096, Aead::Aes256Gcm, SIZE).unwrap(), 48 + 4096 + 16);
        assert_eq!(sealed_part_len(4097, Aead::Aes256Gcm, SIZE).unwrap(), 48 + 4097 + 32);
        assert_eq!(layout(&[4096]).segment(0, 0), Some((4112, Last::Yes)));
        assert_eq!(layout(&[4097]).segment(0, 0), Some((4112, Last::No)));
        assert_eq!(layout(&[4097]).segment(0, 1), Some((17, Last::Yes)));
    }

    #[test]
    fn lengths_that_overflow_are_refused() {
        assert!(sealed_part_len(1 << 44, Aead::Aes256Gcm, SIZE).is_ok());
        assert!(sealed_part_len((1 << 44) + 1, Aead::Aes256Gcm, SIZE).is_err());
        assert!(sealed_part_len(u64::MAX, Aead::Aes256Gcm, SegmentSize::try_from(20).unwrap()).is_err());
    }

    #[test]
    fn impossible_layouts_are_refused() {
        let part = |number: u32| SealedPart {
            number: PartNumber::try_from(number).unwrap(),
            plain_len: 1,
            salt: Salt::from_bytes([0; 32]),
        };
        let layout = |parts: &[SealedPart], len| Layout::new(Aead::Aes256Gcm, SIZE, parts, CipherOffset(len));
        assert!(matches!(layout(&[], 1000), Err(Error::Malformed(_))));
        assert!(matches!(layout(&[part(2), part(1)], 1000), Err(Error::Malformed(_))));
        assert!(matches!(layout(&[part(1), part(1)], 1000), Err(Error::Malformed(_))));
        assert!(matches!(layout(&[part(1)], 64), Err(Error::Truncated)));
        assert!(matches!(layout(&[part(1)], 100), Err(Error::Truncated)));
        assert!(matches!(layout(&[part(1)], 1 << 30), Err(Error::TrailingBytes)));
        assert!(layout(&[part(1), part(10_000)], 1000).is_ok());
    }

    #[test]
    fn ranges_beyond_the_plaintext_are_refused() {
        let layout = layout(&[10]);
        for (from, to) in [(0, 11), (11, 11), (u64::MAX, u64::MAX), (5, 4)] {
            assert!(layout.cipher_range(PlainOffset(from)..PlainOffset(to)).is_err(), "{from}..{to}");
        }
    }

    #[test]
    fn parts_are_found_by_number() {
        let layout = layout(&[10, 0, 20]);
        let range = |n| layout.part_range(PartNumber::try_from(n).unwrap());
        assert_eq!(range(3), Some(PlainOffset(10)..PlainOffset(30)));
        assert_eq!(range(2), Some(PlainOffset(10)..PlainOffset(10)));
        assert_eq!(range(4), None);
    }

    /// Walks the body byte by byte, as the format is written, without the arithmetic under test.
    fn oracle(lens: &[u64], plain: Range<u64>) -> Range<u64> {
        let (mut cipher, mut offset) = (0, 0);
        let (mut from, mut to) = (None, 0);
        if plain.is_empty() {
            return 0..0;
        }
        for &len in lens {
            cipher += 48;
            let mut left = len;
            loop {
                let n = left.min(4096);
                if offset < plain.end && plain.start < offset + n {
                    from.get_or_insert(cipher);
                    to = cipher + n + 16;
                }
                (cipher, offset, left) = (cipher + n + 16, offset + n, left - n);
                if left == 0 {
                    break;
                }
            }
        }
        from.unwrap_or(0)..to
    }

    proptest! {
        #[test]
        fn any_plaintext_range_is_the_segments_that_hold_it(
            lens in prop::collection::vec(prop_oneof![0..3_u64, 4090..4100_u64, 0..20_000_u64], 1..6),
            a: prop::sample::Index, b: prop::sample::Index,
        ) {
            let layout = layout(&lens);
            let total = usize::try_from(layout.plain_len().0).unwrap();
            let (a, b) = (a.index(total + 1) as u64, b.index(total + 1) as u64);
            let plain = a.min(b)..a.max(b);
            let cipher = layout.cipher_range(PlainOffset(plain.start)..PlainOffset(plain.end)).unwrap();
            prop_assert_eq!(cipher.start.0..cipher.end.0, oracle(&lens, plain));
        }

        #[test]
        fn aligned_reads_cover_the_range_and_begin_where_segments_begin(
            lens in prop::collection::vec(0..20_000_u64, 1..6), from in 0..200_u64,
        ) {
            let layout = layout(&lens);
            let whole = CipherOffset(from)..layout.cipher_len();
            let pieces: Vec<_> = layout.aligned_reads(whole.clone()).collect();
            prop_assert_eq!(pieces.first().unwrap().start, whole.start);
            prop_assert_eq!(pieces.last().unwrap().end, whole.end);
            prop_assert!(pieces.windows(2).all(|w| w[0].end == w[1].start));
            let starts: Vec<_> = (0..lens.len()).map(|i| layout.part_span(i).unwrap().start.0 + 48).collect();
            prop_assert!(pieces[1..].iter().all(|piece| starts.contains(&piece.start.0)));
        }
    }
}
