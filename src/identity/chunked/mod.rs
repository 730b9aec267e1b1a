//! `aws-chunked`: a body in chunks, each signed or not, and what may follow them.
//!
//! ```text
//! body    = chunk* last end
//! chunk   = hex-size [";chunk-signature=" hex64] CRLF bytes CRLF
//! last    = "0" [";chunk-signature=" hex64] CRLF
//! end     = CRLF                                                      without a trailer
//!         | name ":" value eol ["x-amz-trailer-signature:" hex64 eol] CRLF   with one
//! ```
//! <https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-streaming.html>, `…/sigv4-streaming-trailers.html`
//!
//! The decoder does no I/O and holds no chunk: it hands data on as it comes, hashes it on the way, and fails at the end
//! of the chunk whose signature is wrong, before that chunk's last bytes leave. Nothing is committed before the body
//! has ended well, so what was handed on of a forged chunk is thrown away.

mod line;
mod signer;
#[cfg(test)]
mod tests;
mod trailer;

use std::collections::BTreeMap;

use bytes::Bytes;

use crate::gateway::BodyError;

use super::mac::{Sha256, Signature};
use line::Line;
pub use signer::ChunkSigner;
use trailer::Trailer;

/// Which of the chunked forms a body has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Chunking {
    /// Signed chunks: `STREAMING-AWS4-HMAC-SHA256-PAYLOAD`.
    Signed,
    /// Signed chunks and a signed trailer: `STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER`.
    SignedTrailer,
    /// Unsigned chunks and an unsigned trailer: `STREAMING-UNSIGNED-PAYLOAD-TRAILER`.
    UnsignedTrailer,
}

impl Chunking {
    /// Whether a trailer follows the chunks.
    #[must_use]
    pub fn has_trailer(self) -> bool {
        matches!(self, Self::SignedTrailer | Self::UnsignedTrailer)
    }
}

/// The longest first line of a chunk: 16 digits, `;chunk-signature=` and 64 digits are 97 bytes.
const SIZE_LINE: usize = 128;
const SIGNATURE_PREFIX: &[u8] = b"chunk-signature=";

/// Decodes one chunked body.
#[derive(Debug)]
pub struct ChunkDecoder {
    state: State,
    line: Line,
    signer: Option<ChunkSigner>,
    trailer: Option<Trailer>,
    hash: Sha256,
    /// The signature that the chunk being read came with.
    signature: Option<SignatureText>,
    declared: u64,
    decoded: u64,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum State {
    /// In a chunk's first line.
    Size,
    /// In a chunk's bytes; this many are to come.
    Data(u64),
    /// In the line end after a chunk's bytes.
    DataEnd,
    /// In the trailer.
    Trailer,
    /// After a verified trailer signature: an empty line, or nothing.
    TrailerEnd,
    /// In the empty line that ends a body without a trailer.
    LastEnd,
    /// All is read and right.
    Done,
    /// Something was wrong.
    Failed(BodyError),
}

struct SignatureText(Signature);

impl std::fmt::Debug for SignatureText {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Signature(…)")
    }
}

impl ChunkDecoder {
    /// A decoder of signed chunks without a trailer, of `declared` bytes once decoded.
    #[must_use]
    pub fn signed(signer: ChunkSigner, declared: u64) -> Self {
        Self::new(Some(signer), None, declared)
    }

    /// A decoder of signed chunks and a signed trailer, which is the header `trailer`.
    #[must_use]
    pub fn signed_trailer(signer: ChunkSigner, trailer: &str, declared: u64) -> Self {
        Self::new(Some(signer), Some(trailer), declared)
    }

    /// A decoder of unsigned chunks and an unsigned trailer, which is the header `trailer`.
    #[must_use]
    pub fn unsigned_trailer(trailer: &str, declared: u64) -> Self {
        Self::new(None, Some(trailer), declared)
    }

    fn new(signer: Option<ChunkSigner>, trailer: Option<&str>, declared: u64) -> Self {
        Self {
            state: State::Size,
            line: Line::strict(SIZE_LINE),
            trailer: trailer.map(|name| Trailer::new(name, signer.is_some())),
            signer,
            hash: Sha256::new(),
            signature: None,
            declared,
            decoded: 0,
        }
    }

    /// Takes what it can from the front of `input` and returns the next data; `None` when `input` is used up.
    ///
    /// # Errors
    /// [`BodyError`] once anything is wrong, and again at every later call.
    pub fn decode(&mut self, input: &mut Bytes) -> Result<Option<Bytes>, BodyError> {
        let step = self.step(input);
        if let Err(error) = &step {
            self.state = State::Failed(error.clone());
        }
        step
    }

    /// Says that no more input will come, and returns the verified trailing headers (lower-case names).
    ///
    /// # Errors
    /// [`BodyError::Incomplete`] when the body has not ended; the earlier error when there was one.
    pub fn finish(&mut self) -> Result<BTreeMap<String, String>, BodyError> {
        match &self.state {
            State::Done | State::TrailerEnd if self.line.is_empty() => {
                Ok(self.trailer.as_mut().map(Trailer::take_headers).unwrap_or_default())
            }
            State::Failed(error) => Err(error.clone()),
            _ => Err(BodyError::Incomplete),
        }
    }

    fn step(&mut self, input: &mut Bytes) -> Result<Option<Bytes>, BodyError> {
        while !input.is_empty() {
            match self.state.clone() {
                State::Data(left) => return self.data(left, input).map(Some),
                State::Size => {
                    if let Some(line) = self.line.take(input)? {
                        self.begin_chunk(&line)?;
                    }
                }
                State::DataEnd => self.empty_line(input, "no line end after a chunk", State::Size)?,
                State::LastEnd => self.empty_line(input, "no empty line after the last chunk", State::Done)?,
                State::TrailerEnd => self.empty_line(input, "bytes after the trailer", State::Done)?,
                State::Trailer => {
                    if let Some(line) = self.line.take(input)? {
                        self.trailer_line(&line)?;
                    }
                }
                State::Done => return Err(BodyError::MalformedChunk("bytes after the end")),
                State::Failed(error) => return Err(error),
            }
        }
        match &self.state {
            State::Failed(error) => Err(error.clone()),
            _ => Ok(None),
        }
    }

    fn begin_chunk(&mut self, line: &[u8]) -> Result<(), BodyError> {
        let (size, signature) = parse_size_line(line, self.signer.is_some())?;
        self.signature = signature.map(SignatureText);
        if size > self.declared.saturating_sub(self.decoded) {
            return Err(BodyError::TooLong);
        }
        self.hash = Sha256::new();
        if size > 0 {
            self.state = State::Data(size);
            return Ok(());
        }
        self.verify_chunk()?;
        if self.decoded != self.declared {
            return Err(BodyError::Incomplete);
        }
        if self.trailer.is_some() {
            self.line = Line::lenient(trailer::MAX_BYTES);
            self.state = State::Trailer;
        } else {
            self.state = State::LastEnd;
        }
        Ok(())
    }

    /// The next bytes of a chunk. Its last ones leave only when its signature is right.
    fn data(&mut self, left: u64, input: &mut Bytes) -> Result<Bytes, BodyError> {
        let here = usize::try_from(left).map_or(input.len(), |left| left.min(input.len()));
        let piece = input.split_to(here);
        // `here` is at most `left`, and the sum of all chunks at most `declared`, so neither can wrap.
        let len = here as u64;
        let left = left.saturating_sub(len);
        self.decoded = self.decoded.saturating_add(len);
        if self.signer.is_some() {
            self.hash.update(&piece);
        }
        if left == 0 {
            self.verify_chunk()?;
            self.state = State::DataEnd;
        } else {
            self.state = State::Data(left);
        }
        Ok(piece)
    }

    fn verify_chunk(&mut self) -> Result<(), BodyError> {
        let hash = std::mem::take(&mut self.hash).finish();
        match (&mut self.signer, self.signature.take()) {
            (None, _) => Ok(()),
            (Some(_), None) => Err(BodyError::ChunkSignature),
            (Some(signer), Some(given)) => {
                let right = signer.verify_chunk(&hash, &given.0);
                right.then_some(()).ok_or(BodyError::ChunkSignature)
            }
        }
    }

    fn empty_line(&mut self, input: &mut Bytes, wrong: &'static str, next: State) -> Result<(), BodyError> {
        match self.line.take(input)? {
            None => Ok(()),
            Some(line) if line.is_empty() => {
                self.state = next;
                Ok(())
            }
            Some(_) => Err(BodyError::MalformedChunk(wrong)),
        }
    }

    fn trailer_line(&mut self, line: &[u8]) -> Result<(), BodyError> {
        let Some(trailer) = &mut self.trailer else {
            return Err(BodyError::MalformedTrailer("none was announced"));
        };
        match trailer.line(line)? {
            trailer::Next::More => {}
            trailer::Next::End => self.state = State::Done,
            trailer::Next::Verify { signature, hash } => {
                let right = self.signer.as_mut().is_some_and(|signer| signer.verify_trailer(&hash, &signature));
                if !right {
                    return Err(BodyError::ChunkSignature);
                }
                self.line = Line::strict(SIZE_LINE);
                self.state = State::TrailerEnd;
            }
        }
        Ok(())
    }
}

/// Reads `hex-size [;chunk-signature=hex64]`. A signed chunk has exactly that one extension, an unsigned one has none.
fn parse_size_line(line: &[u8], signed: bool) -> Result<(u64, Option<Signature>), BodyError> {
    let malformed = BodyError::MalformedChunk;
    let mut fields = line.splitn(2, |&b| b == b';');
    let digits = fields.next().unwrap_or_default();
    let size = match std::str::from_utf8(digits) {
        Ok(text) if (1..=16).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_hexdigit()) => {
            u64::from_str_radix(text, 16).map_err(|_| malformed("the size of a chunk is not a number"))?
        }
        _ => return Err(malformed("the size of a chunk is not a number")),
    };
    match (fields.next(), signed) {
        (None, false) => Ok((size, None)),
        (None, true) => Err(BodyError::ChunkSignature),
        (Some(_), false) => Err(malformed("an unsigned chunk has an extension")),
        (Some(extension), true) => {
            let hex = extension.strip_prefix(SIGNATURE_PREFIX).ok_or(malformed("an unknown chunk extension"))?;
            Signature::from_hex(hex).map(|signature| (size, Some(signature))).ok_or(BodyError::ChunkSignature)
        }
    }
}
