//! Body files: `bodies/xx/<32 hex digits>`, named by random id. A file is made under its final name at once: nothing
//! looks for it before a record names it, and a crash before that leaves an orphan for the sweep. So no rename is
//! needed, and one sync of the file and one of its directory make it durable.

use std::collections::HashSet;
use std::fs::{File, OpenOptions};
use std::io::IoSlice;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::mpsc::Sender;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use rustix::fs::{Mode, OFlags, ResolveFlags};

use super::cleanup::Cleanup;
use super::health::{Health, io};
use super::maintenance::Task;
use super::record::{Id, fresh_id};
use crate::store::Error;

/// The directory of bodies.
#[derive(Debug)]
pub(crate) struct Files {
    root: PathBuf,
    root_fd: OwnedFd,
    /// Files that exist, or are about to, and that no record names yet: the sweep must spare them.
    pending: Mutex<HashSet<Id>>,
    cleanup: Arc<Cleanup>,
}

impl Files {
    /// Opens the directory, making it and its 256 parts where they are missing.
    ///
    /// # Errors
    /// I/O.
    pub(crate) fn open(root: &Path, cleanup: Arc<Cleanup>) -> Result<Self, Error> {
        std::fs::create_dir_all(root).map_err(io("making the body directory"))?;
        for part in 0..=u8::MAX {
            match std::fs::create_dir(root.join(format!("{part:02x}"))) {
                Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => {
                    return Err(io("making a body directory")(error));
                }
                _ => {}
            }
        }
        let root_file = File::open(root).map_err(io("opening the body directory"))?;
        root_file.sync_all().map_err(io("syncing the body directory"))?;
        Ok(Self { root: root.to_owned(), root_fd: root_file.into(), pending: Mutex::default(), cleanup })
    }

    /// Where a file lies, below the root.
    fn relative(id: &Id) -> String {
        let name = hex::encode(id);
        format!("{}/{name}", &name[..2])
    }

    /// Where a file lies.
    pub(crate) fn path(&self, id: &Id) -> PathBuf {
        self.root.join(Self::relative(id))
    }

    /// The directory itself.
    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// Opens a file for reading if the kernel has its name in memory; `None` when that would wait for the disk.
    pub(crate) fn open_cached(&self, id: &Id) -> Option<File> {
        let flags = OFlags::RDONLY | OFlags::CLOEXEC;
        let how = ResolveFlags::CACHED | ResolveFlags::BENEATH;
        let fd = rustix::fs::openat2(&self.root_fd, Self::relative(id), flags, Mode::empty(), how).ok()?;
        Some(File::from(fd))
    }

    /// Opens a file for reading. May wait for the disk.
    ///
    /// # Errors
    /// [`Error::Corrupt`] when a file that a record names is not there.
    pub(crate) fn open_file(&self, id: &Id) -> Result<File, Error> {
        File::open(self.path(id)).map_err(|error| match error.kind() {
            std::io::ErrorKind::NotFound => Error::Corrupt(format!("body file {} is missing", hex::encode(id))),
            _ => io("opening a body file")(error),
        })
    }

    /// Unlinks a file; one that is gone already is fine.
    ///
    /// # Errors
    /// I/O.
    pub(crate) fn unlink(&self, id: &Id) -> Result<(), Error> {
        match std::fs::remove_file(self.path(id)) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(io("unlinking a body file")(error)),
            _ => Ok(()),
        }
    }

    /// Whether a file is being written.
    pub(crate) fn is_pending(&self, id: &Id) -> bool {
        self.pending.lock().unwrap_or_else(PoisonError::into_inner).contains(id)
    }

    pub(super) fn set_pending(&self, id: Id, pending: bool) {
        let mut set = self.pending.lock().unwrap_or_else(PoisonError::into_inner);
        if pending {
            set.insert(id);
        } else {
            set.remove(&id);
        }
    }
}

/// A file that no record names yet. Dropped, it is unlinked, by the maintenance thread: a drop may happen on an async
/// worker, which must not wait for the disk.
#[derive(Debug)]
pub(crate) struct NewFile {
    id: Id,
    fate: Fate,
    files: Arc<Files>,
    sweeper: Sender<Task>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    Unlink,
    /// A record names it now.
    Named,
    /// A record may name it after a crash: only the next start can tell.
    Unknown,
}

impl NewFile {
    /// The file's id.
    pub(crate) fn id(&self) -> Id {
        self.id
    }

    /// Another name for the bytes of a file, durable; a copy of them where the file system has no hard links.
    ///
    /// # Errors
    /// [`Error::Full`], [`Error::ReadOnly`] after a failed sync, or I/O.
    pub(crate) fn link(files: &Arc<Files>, sweeper: &Sender<Task>, old: &Id, health: &Health) -> Result<Self, Error> {
        let id = fresh_id()?;
        files.set_pending(id, true);
        let new = Self { id, fate: Fate::Unlink, files: Arc::clone(files), sweeper: sweeper.clone() };
        let (from, to) = (files.path(old), files.path(&id));
        if std::fs::hard_link(&from, &to).is_err() {
            std::fs::copy(&from, &to).map_err(io("copying a body file"))?;
            let copy = File::open(&to).and_then(|file| file.sync_data());
            copy.map_err(|error| health.sync_failed("syncing a body", error))?;
        }
        sync_directory(&to, health)?;
        Ok(new)
    }

    /// A durable record names the file.
    pub(crate) fn keep(mut self) {
        self.fate = Fate::Named;
    }

    /// A commit failed half-way: the record may come back from the WAL after a crash, so the file stays until then.
    pub(crate) fn leave(mut self) {
        self.fate = Fate::Unknown;
    }
}

impl Drop for NewFile {
    fn drop(&mut self) {
        match self.fate {
            Fate::Named => self.files.set_pending(self.id, false),
            Fate::Unknown => {}
            Fate::Unlink => {
                self.files.cleanup.abandon();
                if self.sweeper.send(Task::Abandoned(self.id)).is_err() {
                    // The store is closing; what cannot be unlinked now is swept at the next start.
                    let _ = self.files.unlink(&self.id);
                    self.files.cleanup.forget();
                }
            }
        }
    }
}

/// A new file with its descriptor, while it is written. All its methods may wait for the disk.
#[derive(Debug)]
pub(crate) struct OpenFile {
    file: File,
    new: NewFile,
    offset: u64,
}

impl OpenFile {
    /// Makes an empty file.
    ///
    /// # Errors
    /// I/O.
    pub(crate) fn create(files: Arc<Files>, sweeper: Sender<Task>) -> Result<Self, Error> {
        let id = fresh_id()?;
        files.set_pending(id, true);
        let path = files.path(&id);
        // The guard comes first, so that a failure below forgets the pending id too.
        let new = NewFile { id, fate: Fate::Unlink, files, sweeper };
        let file = OpenOptions::new().write(true).create_new(true).open(path).map_err(io("making a body file"))?;
        Ok(Self { file, new, offset: 0 })
    }

    /// The file's id.
    pub(crate) fn id(&self) -> Id {
        self.new.id
    }

    /// Appends these bytes.
    ///
    /// # Errors
    /// [`Error::Full`] or I/O.
    pub(crate) fn append(&mut self, batch: &[Bytes]) -> Result<(), Error> {
        let mut slices: Vec<IoSlice<'_>> =
            batch.iter().filter(|b| !b.is_empty()).map(|bytes| IoSlice::new(bytes)).collect();
        let mut rest = &mut slices[..];
        while !rest.is_empty() {
            // UIO_MAXIOV is 1,024.
            let now = rest.len().min(1024);
            let written = match rustix::io::pwritev(&self.file, &rest[..now], self.offset) {
                Ok(0) => return Err(io("writing a body")(std::io::ErrorKind::WriteZero.into())),
                Ok(written) => written,
                Err(rustix::io::Errno::INTR) => continue,
                Err(error) => return Err(io("writing a body")(error.into())),
            };
            self.offset += written as u64;
            IoSlice::advance_slices(&mut rest, written);
        }
        Ok(())
    }

    /// Makes the file and its name durable.
    ///
    /// # Errors
    /// [`Error::ReadOnly`] after a failed sync, [`Error::Full`].
    pub(crate) fn sync(self, health: &Health) -> Result<NewFile, Error> {
        self.file.sync_data().map_err(|error| health.sync_failed("syncing a body", error))?;
        sync_directory(&self.new.files.path(&self.new.id), health)?;
        Ok(self.new)
    }
}

/// Makes a file's name durable.
fn sync_directory(path: &Path, health: &Health) -> Result<(), Error> {
    let Some(directory) = path.parent() else { return Ok(()) };
    let directory = File::open(directory).map_err(io("opening a body directory"))?;
    directory.sync_all().map_err(|error| health.sync_failed("syncing a body directory", error))
}
