//! One log file: written by appending frames, read whole at start.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use super::frame::{FILE_HEAD, FRAME_HEAD, FrameHead, Salt};
use super::{Kind, io, sync_dir};
use crate::store::Error;

const MAGIC: [u8; 8] = *b"SGJLOG01";
/// Where a new log begins.
const FULL_AT: u64 = 64 << 20;
/// Space is allocated ahead in steps, as a sync that need not change the file's length costs about half.
const STEP: u64 = 4 << 20;
/// How far ahead of the last good frame another may be numbered and still count as proof of damage.
const AHEAD: u64 = 1 << 20;

/// A log that is appended to.
#[derive(Debug)]
pub(super) struct Log {
    file: File,
    salt: Salt,
    /// Where the next frame begins.
    end: u64,
    allocated: u64,
    buffer: Vec<u8>,
}

impl Log {
    /// Makes the log whose first group has this number. A file of the same name holds nothing that was acknowledged.
    ///
    /// # Errors
    /// [`Error::Full`] or I/O.
    pub(super) fn create(dir: &Path, number: u64) -> Result<Self, Error> {
        let (salt, head) = Salt::fresh(MAGIC, number)?;
        let options = OpenOptions::new().create(true).truncate(true).write(true).open(dir.join(Kind::Log.name(number)));
        let file = options.map_err(io("making a journal file"))?;
        file.write_all_at(&head, 0).map_err(io("writing a journal file"))?;
        sync_dir(dir)?;
        Ok(Self { file, salt, end: FILE_HEAD as u64, allocated: 0, buffer: Vec::new() })
    }

    /// Whether another frame should go in here.
    pub(super) fn has_room(&self, payload: usize) -> bool {
        self.end.saturating_add(payload as u64) <= FULL_AT
    }

    /// Writes a frame at the end; gives back its length. Not synced yet.
    ///
    /// # Errors
    /// [`Error::Full`] or I/O; the frame is not whole then.
    pub(super) fn append(&mut self, number: u64, payload: &[u8]) -> Result<u64, Error> {
        self.buffer.clear();
        self.buffer.extend_from_slice(&self.salt.frame_head(number, payload)?);
        self.buffer.extend_from_slice(payload);
        let end = self.end.saturating_add(self.buffer.len() as u64);
        self.allocate(end);
        self.file.write_all_at(&self.buffer, self.end).map_err(io("writing the journal"))?;
        let grown = end - self.end;
        self.end = end;
        Ok(grown)
    }

    /// Allocates ahead. Where the file system can't or has no room, the frame allocates what it needs.
    fn allocate(&mut self, end: u64) {
        if end > self.allocated {
            let want = end.next_multiple_of(STEP);
            let flags = rustix::fs::FallocateFlags::empty();
            let _ = rustix::fs::fallocate(&self.file, flags, self.allocated, want - self.allocated);
            self.allocated = want;
        }
    }

    /// Makes what was appended durable.
    ///
    /// # Errors
    /// The system's.
    pub(super) fn sync(&self) -> std::io::Result<()> {
        self.file.sync_data()
    }
}

/// A log as it was found at start.
#[derive(Debug)]
pub(super) struct Found {
    path: PathBuf,
    number: u64,
    bytes: Vec<u8>,
    /// `None`: the head is not whole, so nothing in the file was ever acknowledged.
    salt: Option<Salt>,
}

impl Found {
    /// Reads a log, at most a little over 64 MiB and one group.
    ///
    /// # Errors
    /// I/O.
    pub(super) fn read(path: &Path, number: u64) -> Result<Self, Error> {
        let bytes = std::fs::read(path).map_err(io("reading the journal"))?;
        let salt = Salt::read(&bytes, MAGIC, number);
        Ok(Self { path: path.to_owned(), number, bytes, salt })
    }

    /// Visits the groups up to, not with, `end` (the first of the next log, which wins where two have a number); gives
    /// back the number after the last.
    ///
    /// # Errors
    /// [`Error::Corrupt`] when a good frame follows a bad one; what `visit` answers.
    pub(super) fn groups(
        &self,
        end: Option<u64>,
        mut visit: impl FnMut(u64, &[u8]) -> Result<(), Error>,
    ) -> Result<u64, Error> {
        let mut next = self.number;
        let mut at = FILE_HEAD;
        while let Some((head, payload)) = self.frame(at).filter(|(head, _)| head.number == next) {
            if Some(next) == end {
                return Ok(next);
            }
            visit(next, payload)?;
            (next, at) = (next + 1, at + FRAME_HEAD + head.len as usize);
        }
        if end.is_none() && self.salt.is_some() && self.good_frame_after(at, next) {
            return Err(Error::Corrupt(format!("the journal is damaged at change {next}")));
        }
        Ok(next)
    }

    /// The frame at an offset, if it is whole.
    fn frame(&self, at: usize) -> Option<(FrameHead, &[u8])> {
        let rest = self.bytes.get(at..)?;
        let head = FrameHead::read(rest)?;
        let payload = rest.get(FRAME_HEAD..)?.get(..head.len as usize)?;
        self.salt?.verify(&head, payload).then_some((head, payload))
    }

    /// A group is appended only after the one before it is synced, so a frame that stands behind a bad one says that
    /// the bad one was once good, and acknowledged.
    fn good_frame_after(&self, at: usize, next: u64) -> bool {
        let likely = next.saturating_add(1)..next.saturating_add(AHEAD);
        (at..self.bytes.len().saturating_sub(FRAME_HEAD)).any(|at| {
            // The eight bytes of the number alone tell nearly all offsets apart.
            let number = self.bytes.get(at + 4..at + 12).and_then(|bits| bits.try_into().ok()).map(u64::from_le_bytes);
            number.is_some_and(|number| likely.contains(&number)) && self.frame(at).is_some()
        })
    }

    /// Writes the log anew with what is good in it, synced, and opens it for appending; `None` when the disk has no
    /// room for that, and the next group begins a new log.
    ///
    /// # Errors
    /// I/O.
    pub(super) fn reopen(&self, dir: &Path) -> Result<Option<Log>, Error> {
        let temporary = self.path.with_extension("tmp");
        match self.rewrite(&temporary) {
            Ok(log) => {
                std::fs::rename(&temporary, &self.path).map_err(io("renaming a journal file"))?;
                sync_dir(dir)?;
                Ok(Some(log))
            }
            Err(Error::Full) => {
                std::fs::remove_file(&temporary).map_err(io("removing a journal file"))?;
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    fn rewrite(&self, to: &Path) -> Result<Log, Error> {
        let (salt, head) = Salt::fresh(MAGIC, self.number)?;
        let file = OpenOptions::new().create(true).truncate(true).write(true).open(to);
        let file = file.map_err(io("making a journal file"))?;
        file.write_all_at(&head, 0).map_err(io("writing a journal file"))?;
        let mut log = Log { file, salt, end: FILE_HEAD as u64, allocated: 0, buffer: Vec::new() };
        self.groups(None, |number, payload| log.append(number, payload).map(|_| ()))?;
        log.sync().map_err(io("syncing a journal file"))?;
        Ok(log)
    }
}
