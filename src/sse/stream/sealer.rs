//! A part on its way in: plaintext to header and sealed segments.

use bytes::{BufMut, BytesMut};

use crate::kms::DataKey;
use crate::types::PartNumber;

use super::super::layout::{SealedPart, chunk_len};
use super::super::segment::{Last, SegmentSealer};
use super::super::{Aead, Error, PartHeader, Salt, SegmentSize};

/// Seals one part. Plaintext is copied once, into the buffer that goes out, and sealed there.
///
/// A full segment waits until more plaintext comes (or the end): only then is it known whether it is the last.
/// Memory: one batch of about 256 KiB beside what the caller has not yet taken from `out`.
pub struct PartSealer {
    segments: SegmentSealer,
    header: PartHeader,
    plain_len: u64,
    /// The header (before the first segment is out) and the segment that is being filled. Where it was split from what
    /// `out` holds, the two are neighbours in memory, and joining them costs nothing.
    filling: BytesMut,
    /// How many bytes of `filling` are the header.
    lead: usize,
    /// How much plaintext is still to come, where the caller knows.
    expected: Option<u64>,
}

impl PartSealer {
    /// Starts a part with a fresh salt: no two attempts at a part share a key.
    ///
    /// # Errors
    /// Only when the random generator fails.
    pub fn new(data_key: &DataKey, number: PartNumber, aead: Aead, size: SegmentSize) -> Result<Self, Error> {
        let salt = Salt::random()?;
        Ok(Self::with_salt(data_key, PartHeader { aead, segment_size: size, number, salt }))
    }

    /// Starts a part with a given salt: for test vectors only, since a repeated salt repeats nonces.
    pub(crate) fn with_salt(data_key: &DataKey, header: PartHeader) -> Self {
        Self {
            segments: SegmentSealer::new(data_key, &header),
            header,
            plain_len: 0,
            filling: BytesMut::from(&header.encode()[..]),
            lead: PartHeader::LEN,
            expected: None,
        }
    }

    /// What seals the part.
    #[must_use]
    pub fn aead(&self) -> Aead {
        self.header.aead
    }

    /// Says how long the plaintext will be, so that small parts take little memory. A hint, not a promise.
    #[must_use]
    pub fn expecting(mut self, plain_len: u64) -> Self {
        self.expected = Some(plain_len);
        self
    }

    /// Takes the next plaintext, of any length, and appends what is sealed to `out` (nothing, as long as a segment is
    /// not full). The caller may take bytes from `out` at any time; best is all of it, from 256 KiB on.
    ///
    /// # Errors
    /// [`Error::Malformed`] beyond 2^32 segments; the part can't be finished then.
    pub fn push(&mut self, mut plain: &[u8], out: &mut BytesMut) -> Result<(), Error> {
        self.make_room(plain.len(), out.is_empty());
        let size = self.header.segment_size.bytes();
        while !plain.is_empty() {
            let filled = self.filling.len() - self.lead;
            if filled == size {
                self.seal(Last::No, out)?;
                continue;
            }
            let (now, later) = plain.split_at(plain.len().min(size - filled));
            self.filling.put_slice(now);
            self.plain_len = self.plain_len.checked_add(now.len() as u64).ok_or(Error::Malformed("part length"))?;
            plain = later;
        }
        Ok(())
    }

    /// Seals the last segment, which may be empty, and appends it to `out`.
    ///
    /// # Errors
    /// As [`PartSealer::push`].
    pub fn finish(mut self, out: &mut BytesMut) -> Result<SealedPart, Error> {
        self.seal(Last::Yes, out)?;
        Ok(SealedPart { number: self.header.number, plain_len: self.plain_len, salt: self.header.salt })
    }

    /// Makes sure that `more` plaintext fits behind what is being filled, tags included. Buffers are exchanged when
    /// there is no room, or when the caller has just taken everything and the next batch would not fit in one piece;
    /// the unfinished segment moves along. What is left of a part is all that a buffer is ever made for.
    fn make_room(&mut self, more: usize, taken: bool) {
        let size = self.header.segment_size.bytes();
        let sealed = |plain: usize| self.lead + plain + plain.div_ceil(size).max(1) * self.header.aead.tag_len();
        let filled = self.filling.len() - self.lead;
        let left = self.expected.map_or(u64::MAX, |all| all.saturating_sub(self.plain_len));
        let rest = filled.saturating_add(usize::try_from(left).unwrap_or(usize::MAX).max(more));
        let batch = chunk_len(self.header.aead, self.header.segment_size);
        let capacity = self.filling.capacity();
        if capacity >= sealed(filled + more) && (!taken || capacity >= sealed(rest.min(batch + more))) {
            return;
        }
        let wanted = sealed(rest.min(batch + 2 * more.max(size)));
        if self.filling.try_reclaim(wanted - self.filling.len()) {
            return;
        }
        let mut fresh = BytesMut::with_capacity(wanted);
        fresh.put_slice(&self.filling);
        self.filling = fresh;
    }

    /// Seals what is being filled and hands it to `out`.
    fn seal(&mut self, last: Last, out: &mut BytesMut) -> Result<(), Error> {
        let tag = self.segments.seal(&mut self.filling[self.lead..], last)?;
        if let Some(tag) = tag {
            self.filling.extend_from_slice(&tag);
        }
        self.lead = 0;
        // An empty `out` is replaced, one that ends where this begins is joined; only what lies elsewhere is copied.
        out.unsplit(self.filling.split());
        Ok(())
    }
}
