//! A body on its way to disk. Small bodies stay in memory and become part of their record; others go to a file, one
//! batch at a time: while a blocking thread writes one, the next is filled. So a writer holds two batches at most.

use std::sync::Arc;
use std::sync::mpsc::Sender;

use bytes::{Bytes, BytesMut};
use tokio::task::JoinHandle;

use super::core::Core;
use super::files::{Files, NewFile, OpenFile};
use super::maintenance::Task;
use super::record::{Blob, Piece};
use crate::store::Error;

/// Bodies up to this long are kept in RocksDB: a file costs two syncs and an inode, which for a small body is most of
/// its cost; from about here on the second and third copy (journal,
/// table, base) cost more.
pub(crate) const INLINE_MAX: u64 = 16 << 10;
/// How much goes to the disk in one call.
const BATCH: usize = 256 << 10;
/// Chunks below this are copied together; longer ones are passed on as they came.
const COPY_BELOW: usize = 16 << 10;

/// Where a finished body lies, and the file to adopt with its record.
#[derive(Debug)]
pub(crate) struct Finished {
    pub(crate) piece: Piece,
    pub(crate) file: Option<NewFile>,
}

/// Whether a small body may stay in memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Placement {
    /// Bodies up to [`INLINE_MAX`] need no file.
    ByLength,
    /// Always a file: parts and manifests, of which bodies are made without copying.
    File,
}

#[derive(Debug, Default)]
struct Batch {
    chunks: Vec<Bytes>,
    tail: BytesMut,
    len: usize,
}

impl Batch {
    fn push(&mut self, chunk: Bytes) {
        self.len = self.len.saturating_add(chunk.len());
        if chunk.len() < COPY_BELOW {
            self.tail.extend_from_slice(&chunk);
        } else {
            self.close_tail();
            self.chunks.push(chunk);
        }
    }

    fn close_tail(&mut self) {
        if !self.tail.is_empty() {
            self.chunks.push(self.tail.split().freeze());
        }
    }

    fn take(&mut self) -> Vec<Bytes> {
        self.close_tail();
        self.len = 0;
        std::mem::take(&mut self.chunks)
    }
}

/// The file behind a writer.
#[derive(Debug)]
enum Sink {
    /// None yet.
    Memory,
    /// A blocking thread writes a batch and then gives the file back. If the writer is dropped meanwhile, the file is
    /// dropped there, and so unlinked.
    Busy(JoinHandle<Result<OpenFile, Error>>),
    /// A batch failed; the write is over.
    Failed,
}

/// A body being written.
#[derive(Debug)]
pub(crate) struct BodyWriter {
    files: Arc<Files>,
    sweeper: Sender<Task>,
    placement: Placement,
    batch: Batch,
    sink: Sink,
    len: u64,
}

impl BodyWriter {
    /// A writer for an empty body.
    pub(crate) fn new(core: &Core, placement: Placement) -> Self {
        Self {
            files: Arc::clone(&core.files),
            sweeper: core.sweeper.clone(),
            placement,
            batch: Batch::default(),
            sink: Sink::Memory,
            len: 0,
        }
    }

    /// The bytes taken so far.
    pub(crate) fn len(&self) -> u64 {
        self.len
    }

    /// Takes the next bytes; waits while the batch before last is still being written.
    ///
    /// # Errors
    /// [`Error::Full`] or I/O; the write is over then.
    pub(crate) async fn write(&mut self, chunk: Bytes) -> Result<(), Error> {
        let longer = self.len.checked_add(chunk.len() as u64);
        self.len = longer.ok_or_else(|| Error::Corrupt("a body is longer than any can be".to_owned()))?;
        self.batch.push(chunk);
        if self.batch.len < BATCH {
            return Ok(());
        }
        let file = self.file().await?;
        let chunks = self.batch.take();
        let (files, sweeper) = (Arc::clone(&self.files), self.sweeper.clone());
        self.sink = Sink::Busy(tokio::task::spawn_blocking(move || {
            let mut file = match file {
                Some(file) => file,
                None => OpenFile::create(files, sweeper)?,
            };
            file.append(&chunks)?;
            Ok(file)
        }));
        Ok(())
    }

    /// The file once the batch before is written; `None` while there is none. The sink reads `Failed` until the caller
    /// has put something better there.
    async fn file(&mut self) -> Result<Option<OpenFile>, Error> {
        match std::mem::replace(&mut self.sink, Sink::Failed) {
            Sink::Memory => Ok(None),
            Sink::Busy(task) => joined(task.await).map(Some),
            Sink::Failed => Err(Error::Unavailable("this write has failed before".to_owned())),
        }
    }

    /// Ends the body: what is left goes to the file, and all of it becomes durable. A body in memory is only handed on.
    ///
    /// # Errors
    /// As [`BodyWriter::write`], and [`Error::ReadOnly`] after a failed sync.
    pub(crate) async fn finish(mut self, core: &Arc<Core>) -> Result<Finished, Error> {
        let file = self.file().await?;
        let chunks = self.batch.take();
        if file.is_none() && self.placement == Placement::ByLength && self.len <= INLINE_MAX {
            let piece = Piece::Inline(Blob(joined_bytes(chunks)));
            return Ok(Finished { piece, file: None });
        }
        let (core, len) = (Arc::clone(core), self.len);
        let task = tokio::task::spawn_blocking(move || {
            let mut file = match file {
                Some(file) => file,
                None => OpenFile::create(Arc::clone(&core.files), core.sweeper.clone())?,
            };
            let id = file.id();
            file.append(&chunks)?;
            let file = file.sync(&core.health)?;
            Ok(Finished { piece: Piece::File { id, len }, file: Some(file) })
        });
        joined(task.await)
    }
}

fn joined_bytes(mut chunks: Vec<Bytes>) -> Bytes {
    match chunks.len() {
        1 => chunks.swap_remove(0),
        _ => Bytes::from(chunks.concat()),
    }
}

/// What a blocking task answered.
///
/// # Errors
/// The task's, or [`Error::Unavailable`] when it panicked or the runtime is shutting down.
pub(crate) fn joined<T>(outcome: Result<Result<T, Error>, tokio::task::JoinError>) -> Result<T, Error> {
    outcome.unwrap_or_else(|error| Err(Error::Unavailable(format!("a blocking task ended early: {error}"))))
}
