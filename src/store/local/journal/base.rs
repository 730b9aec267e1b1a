//! A base: all rows of one moment, in frames of about a megabyte, and an empty frame to say that it is whole.

use std::fs::{File, OpenOptions};
use std::io::{BufReader, Read, Write};
use std::path::{Path, PathBuf};

use super::frame::{FILE_HEAD, FRAME_HEAD, FrameHead, Row, Salt, push_row};
use super::{Kind, io, sync_dir};
use crate::store::Error;

const MAGIC: [u8; 8] = *b"SGJBASE1";
/// About how long a frame is.
const FRAME: usize = 1 << 20;
/// How much is written between two syncs, so that the committer's own never wait behind gigabytes.
const SYNC_EVERY: u64 = 16 << 20;

/// A base in the making. Dropped before [`BaseWriter::finish`], its file is removed.
#[derive(Debug)]
pub(crate) struct BaseWriter {
    dir: PathBuf,
    path: PathBuf,
    number: u64,
    file: File,
    salt: Salt,
    frames: u64,
    payload: Vec<u8>,
    unsynced: u64,
    done: bool,
}

impl BaseWriter {
    /// Begins the base after the group with this number.
    ///
    /// # Errors
    /// [`Error::Full`] or I/O.
    pub(crate) fn create(dir: &Path, number: u64) -> Result<Self, Error> {
        let (salt, head) = Salt::fresh(MAGIC, number)?;
        let path = dir.join(format!("{}.tmp", Kind::Base.name(number)));
        let file = OpenOptions::new().create(true).truncate(true).write(true).open(&path);
        let mut file = file.map_err(io("making a base"))?;
        file.write_all(&head).map_err(io("writing a base"))?;
        let (payload, dir) = (Vec::with_capacity(FRAME + FRAME / 8), dir.to_owned());
        Ok(Self { dir, path, number, file, salt, frames: 0, payload, unsynced: 0, done: false })
    }

    /// Adds a row.
    ///
    /// # Errors
    /// [`Error::Full`] or I/O.
    pub(crate) fn push(&mut self, row: Row<'_>) -> Result<(), Error> {
        push_row(&mut self.payload, row)?;
        if self.payload.len() >= FRAME { self.flush() } else { Ok(()) }
    }

    fn flush(&mut self) -> Result<(), Error> {
        self.frames += 1;
        let head = self.salt.frame_head(self.frames, &self.payload)?;
        self.file.write_all(&head).and_then(|()| self.file.write_all(&self.payload)).map_err(io("writing a base"))?;
        self.unsynced += self.payload.len() as u64;
        self.payload.clear();
        if self.unsynced >= SYNC_EVERY {
            self.file.sync_data().map_err(io("syncing a base"))?;
            self.unsynced = 0;
        }
        Ok(())
    }

    /// Ends the base, durable under its name.
    ///
    /// # Errors
    /// [`Error::Full`] or I/O; there is no new base then.
    pub(crate) fn finish(mut self) -> Result<(), Error> {
        if !self.payload.is_empty() {
            self.flush()?;
        }
        self.flush()?;
        self.file.sync_all().map_err(io("syncing a base"))?;
        let name = self.dir.join(Kind::Base.name(self.number));
        std::fs::rename(&self.path, name).map_err(io("naming a base"))?;
        self.done = true;
        sync_dir(&self.dir)
    }
}

impl Drop for BaseWriter {
    fn drop(&mut self) {
        if !self.done {
            // Left behind, it is removed at the next start.
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

/// Reads a base, a frame at a time, and gives each frame's rows to `apply`.
///
/// # Errors
/// [`Error::Corrupt`] when anything in it is not as it was written; what `apply` answers; I/O.
pub(super) fn read(
    path: &Path,
    number: u64,
    apply: &mut impl FnMut(u64, &[u8]) -> Result<(), Error>,
) -> Result<(), Error> {
    let damaged = || Error::Corrupt(format!("{} is damaged", path.display()));
    let mut file = BufReader::with_capacity(FRAME, File::open(path).map_err(io("opening a base"))?);
    let mut head = [0; FILE_HEAD];
    file.read_exact(&mut head).map_err(|_| damaged())?;
    let salt = Salt::read(&head, MAGIC, number).ok_or_else(damaged)?;
    let mut payload = Vec::new();
    for expected in 1.. {
        let mut bytes = [0; FRAME_HEAD];
        file.read_exact(&mut bytes).map_err(|_| damaged())?;
        let head = FrameHead::read(&bytes).filter(|head| head.number == expected).ok_or_else(damaged)?;
        payload.clear();
        let read = (&mut file).take(u64::from(head.len)).read_to_end(&mut payload).map_err(io("reading a base"))?;
        if read != head.len as usize || !salt.verify(&head, &payload) {
            return Err(damaged());
        }
        if payload.is_empty() {
            break;
        }
        apply(number, &payload)?;
    }
    Ok(())
}
