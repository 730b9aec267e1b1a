//! A body on its way out: ciphertext to authenticated plaintext.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Arc;

use bytes::{Buf, Bytes, BytesMut};
use subtle::ConstantTimeEq;

use crate::kms::{AttributeKey, DataKey};
use crate::store::CipherOffset;

use super::super::layout::Window;
use super::super::segment::{Last, SegmentOpener};
use super::super::{Aead, Error, Layout, ObjectId, PartHeader, PlainOffset, manifest};

/// Opens a body, or a range of one, from chunks of ciphertext of any size.
///
/// Segments that lie whole in a chunk are opened where they are and leave without a copy; only a segment that
/// straddles two chunks is gathered first. A segment's plaintext leaves after its tag verified, and the last bytes
/// of a whole body only after the manifest verified as well: a reader can't see a clean end of a body that is not
/// whole.
///
/// Use: `push` a chunk, call `next` until it gives `None`, push the next chunk …, then `finish`. After an error the
/// opener gives nothing but errors.
pub struct BodyOpener {
    data_key: DataKey,
    layout: Arc<Layout>,
    input: Input,
    state: State,
    /// The part that `state` is about, by its place.
    part: usize,
    /// Plaintext of the next segment to leave out.
    skip: u64,
    /// Plaintext still to come.
    left: u64,
    /// What the manifest must say, when the whole body is read.
    whole: Option<Whole>,
    /// The last plaintext of a whole body, until the manifest has verified.
    held: Bytes,
}

/// What only a reader of the whole body checks.
struct Whole {
    attribute_key: AttributeKey,
    object: ObjectId,
}

enum State {
    Header,
    Segments { opener: Box<SegmentOpener>, next: u64 },
    Manifest,
    Done,
    Failed,
}

impl BodyOpener {
    /// Opens the whole body, manifest and all. `object` is the id that the object's metadata has; the layout comes
    /// from its summary or manifest. Gives the ciphertext to read, which is all of it.
    #[must_use]
    pub fn whole(
        data_key: &DataKey,
        attribute_key: &AttributeKey,
        object: ObjectId,
        layout: Arc<Layout>,
    ) -> (Range<CipherOffset>, Self) {
        let cipher = CipherOffset(0)..layout.cipher_len();
        let left = layout.plain_len().0;
        let whole = Some(Whole { attribute_key: attribute_key.duplicate(), object });
        let opener = Self { whole, state: State::Header, ..Self::new(data_key, layout, left) };
        (cipher, opener)
    }

    /// Opens a range of the plaintext. Gives the ciphertext to read, which is empty for an empty range. Headers of
    /// parts that the range crosses into are verified; the one before its first segment is not read, but what it must
    /// say is bound into that segment's key.
    ///
    /// # Errors
    /// [`Error::Malformed`] when the range is backwards or reaches beyond the plaintext.
    pub fn range(
        data_key: &DataKey,
        layout: Arc<Layout>,
        plain: Range<PlainOffset>,
    ) -> Result<(Range<CipherOffset>, Self), Error> {
        let left = plain.end.0.saturating_sub(plain.start.0);
        let Window { part, segment, skip, cipher } = layout.window(plain)?;
        let mut opener = Self { part, skip, ..Self::new(data_key, layout, left) };
        if left > 0 {
            opener.state = opener.segments_from(segment)?;
        }
        Ok((cipher, opener))
    }

    fn new(data_key: &DataKey, layout: Arc<Layout>, left: u64) -> Self {
        Self {
            data_key: DataKey::new(*data_key.expose()),
            layout,
            input: Input::default(),
            state: State::Done,
            part: 0,
            skip: 0,
            left,
            whole: None,
            held: Bytes::new(),
        }
    }

    /// How long the chunks are best that a store reads for this: whole segments, about 256 KiB.
    #[must_use]
    pub fn chunk_len(&self) -> usize {
        self.layout.chunk_len()
    }

    /// What sealed the body.
    #[must_use]
    pub fn aead(&self) -> Aead {
        self.layout.aead()
    }

    /// How much plaintext is still to come out of [`BodyOpener::next`].
    #[must_use]
    pub fn remaining(&self) -> u64 {
        self.left + self.held.len() as u64
    }

    /// Takes the next ciphertext.
    pub fn push(&mut self, chunk: BytesMut) {
        self.input.push(chunk);
    }

    /// The next plaintext, or `None` when more ciphertext is needed (or all is out: see [`BodyOpener::finish`]). At
    /// most a segment at a time, never empty.
    ///
    /// # Errors
    /// [`Error::SegmentTag`], [`Error::PartHeader`], [`Error::Manifest`], [`Error::Commitment`] or
    /// [`Error::TrailingBytes`]: what was stored is not what was sealed. The reader must be cut off.
    #[allow(clippy::should_implement_trait, reason = "None does not end it: more input may follow")]
    pub fn next(&mut self) -> Result<Option<Bytes>, Error> {
        let result = self.advance();
        if result.is_err() {
            self.state = State::Failed;
            self.held = Bytes::new();
        }
        result
    }

    /// Ends the reading.
    ///
    /// # Errors
    /// [`Error::Truncated`] when something is missing, [`Error::TrailingBytes`] when something is left over. A reader
    /// that has not had all plaintext must be cut off.
    pub fn finish(self) -> Result<(), Error> {
        match self.state {
            State::Done if !self.input.is_empty() => Err(Error::TrailingBytes),
            State::Done if self.held.is_empty() => Ok(()),
            State::Done | State::Failed | State::Header | State::Manifest | State::Segments { .. } => {
                Err(Error::Truncated)
            }
        }
    }

    fn advance(&mut self) -> Result<Option<Bytes>, Error> {
        loop {
            let progress = match self.state {
                State::Header => self.header()?,
                State::Segments { .. } => match self.segment()? {
                    Some(plain) if plain.is_empty() => true,
                    Some(plain) => return Ok(Some(plain)),
                    None => false,
                },
                State::Manifest => self.manifest()?,
                State::Done if !self.input.is_empty() => return Err(Error::TrailingBytes),
                State::Done if !self.held.is_empty() => return Ok(Some(std::mem::take(&mut self.held))),
                State::Done => false,
                State::Failed => return Err(Error::Malformed("a body that failed before")),
            };
            if !progress {
                return Ok(None);
            }
        }
    }

    /// Reads a part's header and starts its segments; false when it is not all there yet.
    fn header(&mut self) -> Result<bool, Error> {
        let Some(bytes) = self.input.take(PartHeader::LEN) else { return Ok(false) };
        let expected = self.layout.header(self.part).ok_or(Error::TrailingBytes)?;
        // An unknown version or AEAD says so; anything else that is not what is pinned is another part, or altered.
        let bytes: &[u8; PartHeader::LEN] = (&*bytes).try_into().map_err(|_| Error::Truncated)?;
        if PartHeader::parse(bytes)? != expected {
            return Err(Error::PartHeader(expected.number));
        }
        self.state = self.segments_from(0)?;
        Ok(true)
    }

    fn segments_from(&self, first: u64) -> Result<State, Error> {
        let header = self.layout.header(self.part).ok_or(Error::TrailingBytes)?;
        let opener = Box::new(SegmentOpener::new(&self.data_key, &header, first));
        Ok(State::Segments { opener, next: first })
    }

    /// Opens a segment; `None` when it is not all there yet, empty when there is nothing of it to give (now).
    fn segment(&mut self) -> Result<Option<Bytes>, Error> {
        let State::Segments { opener, next } = &mut self.state else { return Ok(None) };
        let (len, last) = self.layout.segment(self.part, *next).ok_or(Error::TrailingBytes)?;
        let Some(mut bytes) = self.input.take(len) else { return Ok(None) };
        let plain_len = opener.open(&mut bytes, last)?;
        *next += 1;
        bytes.truncate(plain_len);
        let skip = usize::try_from(self.skip).unwrap_or(usize::MAX).min(plain_len);
        self.skip = 0;
        bytes.advance(skip);
        let plain = self.within_range(bytes);
        let ended = last == Last::Yes;
        if self.left == 0 && self.whole.is_none() {
            self.state = State::Done;
        } else if ended {
            self.part += 1;
            self.state = if self.part < self.layout.part_count() { State::Header } else { State::Manifest };
        }
        if self.whole.is_some() && self.left == 0 && !plain.is_empty() {
            self.held = plain;
            return Ok(Some(Bytes::new()));
        }
        Ok(Some(plain))
    }

    /// Cuts off what lies behind the range.
    fn within_range(&mut self, mut plain: BytesMut) -> Bytes {
        let wanted = usize::try_from(self.left).unwrap_or(usize::MAX).min(plain.len());
        plain.truncate(wanted);
        self.left -= wanted as u64;
        plain.freeze()
    }

    /// Checks the manifest against what the reader was told; false when it is not all there yet.
    fn manifest(&mut self) -> Result<bool, Error> {
        let Some(whole) = &self.whole else { return Err(Error::TrailingBytes) };
        let len = self.layout.cipher_len().0 - self.layout.manifest_start().0;
        let Some(bytes) = self.input.take(usize::try_from(len).map_err(|_| Error::Manifest)?) else {
            return Ok(false);
        };
        let opened = manifest::open_attributes(&bytes, self.layout.cipher_len(), &whole.attribute_key)?;
        let same_id = opened.attributes.object.as_bytes().ct_eq(whole.object.as_bytes());
        let same_body = opened.layout.aead() == self.layout.aead()
            && opened.layout.segment_size() == self.layout.segment_size()
            && opened.layout.parts().eq(self.layout.parts());
        if !bool::from(same_id) || !same_body {
            return Err(Error::Manifest);
        }
        manifest::open_digests(&bytes, &self.data_key)?;
        self.state = State::Done;
        Ok(true)
    }
}

/// Ciphertext that has come and is not opened yet. What is taken is contiguous.
#[derive(Default)]
struct Input {
    chunks: VecDeque<BytesMut>,
    /// The beginning of something that straddles chunks.
    gathered: BytesMut,
}

impl Input {
    fn push(&mut self, chunk: BytesMut) {
        if !chunk.is_empty() {
            self.chunks.push_back(chunk);
        }
    }

    fn is_empty(&self) -> bool {
        self.chunks.is_empty() && self.gathered.is_empty()
    }

    /// The next `len` bytes, or `None` as long as they have not all come. What is there of them is gathered then, so
    /// the next call must ask for the same length.
    fn take(&mut self, len: usize) -> Option<BytesMut> {
        if self.gathered.is_empty() {
            let front = self.chunks.front_mut()?;
            if front.len() >= len {
                let taken = front.split_to(len);
                self.drop_empty();
                return Some(taken);
            }
            self.gathered = BytesMut::with_capacity(len);
        }
        while let Some(front) = self.chunks.front_mut() {
            let n = front.len().min(len - self.gathered.len());
            self.gathered.extend_from_slice(&front.split_to(n));
            self.drop_empty();
            if self.gathered.len() == len {
                return Some(std::mem::take(&mut self.gathered));
            }
        }
        None
    }

    fn drop_empty(&mut self) {
        if self.chunks.front().is_some_and(BytesMut::is_empty) {
            self.chunks.pop_front();
        }
    }
}
