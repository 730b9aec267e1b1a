//! Reading a body, by pieces opened one at a time. Bytes that the page cache has are read on the async worker
//! (`preadv2` with `RWF_NOWAIT`): a thread hop per chunk costs two to three times the CPU. What it does not have is
//! read on a blocking thread, several chunks at once.

use std::collections::VecDeque;
use std::fs::File;
use std::io::IoSliceMut;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::BytesMut;
use rustix::io::ReadWriteFlags;

use super::files::Files;
use super::health::io;
use super::pins::Pin;
use super::record::{Id, Piece};
use super::writer::joined;
use crate::store::{CipherOffset, CipherStream, Error, OpenObject, StoredObject};

/// How much a blocking thread reads at least before it hands back.
const BLOCKING_BATCH: usize = 256 << 10;
/// The longest chunk that is made, whatever the caller hints.
const MAX_CHUNK: usize = 4 << 20;

/// An object opened for reading; its body is pinned.
#[derive(Debug)]
pub(crate) struct OpenBody {
    pub(crate) object: StoredObject,
    pub(crate) body: Arc<Body>,
}

/// A pinned body.
#[derive(Debug)]
pub(crate) struct Body {
    pub(crate) files: Arc<Files>,
    pub(crate) pieces: Vec<Piece>,
    pub(crate) len: u64,
    /// Held, not read: keeps the collector away.
    pub(crate) _pin: Pin,
}

impl Body {
    /// Whether the body was ever appended to.
    pub(crate) fn has_grown(&self) -> bool {
        self.pieces.first() == Some(&Piece::Grown)
    }
}

#[async_trait]
impl OpenObject for OpenBody {
    fn object(&self) -> &StoredObject {
        &self.object
    }

    async fn read(&self, range: Range<CipherOffset>, chunk: usize) -> Result<CipherStream, Error> {
        let (start, end) = (range.start.0, range.end.0);
        if start > end || end > self.body.len {
            return Err(Error::Corrupt(format!("bytes {start}..{end} of a body of {} bytes", self.body.len)));
        }
        let cursor = Cursor::new(Arc::clone(&self.body), start, end, chunk.clamp(1, MAX_CHUNK));
        let state = Reading { cursor, ready: VecDeque::new() };
        Ok(Box::pin(futures::stream::try_unfold(state, Reading::next)))
    }
}

/// A stream's state: where it stands, and chunks that a blocking thread read ahead.
struct Reading {
    cursor: Cursor,
    ready: VecDeque<BytesMut>,
}

impl Reading {
    async fn next(mut self) -> Result<Option<(BytesMut, Self)>, Error> {
        if let Some(chunk) = self.ready.pop_front() {
            return Ok(Some((chunk, self)));
        }
        let Some(mut chunk) = self.cursor.empty_chunk() else { return Ok(None) };
        let filled = self.cursor.fill(&mut chunk, Wait::Never)?;
        if filled == chunk.len() {
            return Ok(Some((chunk, self)));
        }
        let task = tokio::task::spawn_blocking(move || {
            self.cursor.fill(&mut chunk[filled..], Wait::ForDisk)?;
            let mut read = chunk.len() - filled;
            while read < BLOCKING_BATCH {
                let Some(mut more) = self.cursor.empty_chunk() else { break };
                self.cursor.fill(&mut more, Wait::ForDisk)?;
                read += more.len();
                self.ready.push_back(more);
            }
            Ok((chunk, self))
        });
        joined(task.await).map(Some)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wait {
    /// Only what is in memory; may give less than asked for.
    Never,
    /// All that was asked for, or an error.
    ForDisk,
}

/// A place in a body.
struct Cursor {
    body: Arc<Body>,
    /// The piece it stands in, and how far into it.
    piece: usize,
    within: u64,
    left: u64,
    chunk: usize,
    /// The only descriptor of the stream: the file of the piece it stands in.
    open: Option<(Id, File)>,
}

impl Cursor {
    fn new(body: Arc<Body>, start: u64, end: u64, chunk: usize) -> Self {
        let (mut piece, mut within) = (0, start);
        while let Some(len) = body.pieces.get(piece).map(Piece::len) {
            if within < len {
                break;
            }
            within -= len;
            piece += 1;
        }
        Self { body, piece, within, left: end - start, chunk, open: None }
    }

    /// A buffer for the next chunk; `None` at the end. Zeroed first: `preadv2` takes no uninitialised memory in safe
    /// Rust, and 64 KiB of zeros cost a fiftieth of what reading and opening a segment does.
    fn empty_chunk(&self) -> Option<BytesMut> {
        let len = usize::try_from(self.left).unwrap_or(usize::MAX).min(self.chunk);
        (len > 0).then(|| BytesMut::zeroed(len))
    }

    /// Fills the buffer from here on, across pieces; gives back how much.
    fn fill(&mut self, buffer: &mut [u8], wait: Wait) -> Result<usize, Error> {
        let mut filled = 0;
        while filled < buffer.len() {
            let read = self.read_piece(&mut buffer[filled..], wait)?;
            if read == 0 {
                break;
            }
            filled += read;
            self.within += read as u64;
            self.left = self.left.saturating_sub(read as u64);
        }
        Ok(filled)
    }

    /// Reads from one piece. 0 only where waiting would be needed.
    fn read_piece(&mut self, buffer: &mut [u8], wait: Wait) -> Result<usize, Error> {
        let body = Arc::clone(&self.body);
        loop {
            let piece = body.pieces.get(self.piece);
            let piece = piece.ok_or_else(|| Error::Corrupt("a body ends before its length".to_owned()))?;
            let rest = piece.len().saturating_sub(self.within);
            if rest == 0 {
                self.piece += 1;
                self.within = 0;
                continue;
            }
            let len = usize::try_from(rest).unwrap_or(usize::MAX).min(buffer.len());
            let buffer = &mut buffer[..len];
            return match piece {
                Piece::Inline(blob) => {
                    // `within` is below the blob's length, which is a usize.
                    let from = usize::try_from(self.within).unwrap_or(usize::MAX);
                    let bytes = blob.0.get(from..).and_then(|tail| tail.get(..len));
                    buffer.copy_from_slice(bytes.ok_or_else(|| Error::Corrupt("an inline body is cut".to_owned()))?);
                    Ok(len)
                }
                Piece::File { id, .. } => self.read_file(*id, buffer, wait),
                Piece::Grown => Ok(0),
            };
        }
    }

    fn read_file(&mut self, id: Id, buffer: &mut [u8], wait: Wait) -> Result<usize, Error> {
        let within = self.within;
        let Some(file) = self.file(id, wait)? else { return Ok(0) };
        match wait {
            Wait::ForDisk => match file.read_exact_at(buffer, within) {
                Ok(()) => Ok(buffer.len()),
                Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => {
                    Err(Error::Corrupt(format!("body file {} is cut", hex::encode(id))))
                }
                Err(error) => Err(io("reading a body")(error)),
            },
            // Any refusal (not in memory, not supported here, interrupted) means: ask again where waiting is allowed.
            // There a real error shows itself, and so does an end of file that stands too early.
            Wait::Never => {
                let slices = &mut [IoSliceMut::new(buffer)];
                Ok(rustix::io::preadv2(file, slices, within, ReadWriteFlags::NOWAIT).unwrap_or(0))
            }
        }
    }

    /// The file of a piece, opened when the stream comes to it; the one before is closed first.
    fn file(&mut self, id: Id, wait: Wait) -> Result<Option<&File>, Error> {
        if self.open.as_ref().is_none_or(|(open, _)| *open != id) {
            self.open = None;
            let file = match wait {
                Wait::Never => self.body.files.open_cached(&id),
                Wait::ForDisk => Some(self.body.files.open_file(&id)?),
            };
            self.open = file.map(|file| (id, file));
        }
        Ok(self.open.as_ref().map(|(_, file)| file))
    }
}
