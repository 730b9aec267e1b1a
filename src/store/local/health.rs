//! Whether the store may write. A failed sync is final: the kernel may have dropped the dirty pages it could not
//! write, so a second sync that succeeds proves nothing (the lesson of PostgreSQL's "fsyncgate"). Reads go on.

use std::io::ErrorKind;
use std::path::Path;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::store::Error;

/// Free bytes below which nothing new is taken, so that RocksDB itself never meets a full disk.
const RESERVE: u64 = 32 << 20;

/// The store's ability to write.
#[derive(Debug, Default)]
pub(crate) struct Health {
    broken: OnceLock<String>,
    full: AtomicBool,
}

impl Health {
    /// May something be deleted or changed?
    ///
    /// # Errors
    /// [`Error::ReadOnly`].
    pub(crate) fn may_change(&self) -> Result<(), Error> {
        match self.broken.get() {
            None => Ok(()),
            Some(why) => Err(Error::ReadOnly(why.clone())),
        }
    }

    /// May something be added?
    ///
    /// # Errors
    /// [`Error::ReadOnly`], [`Error::Full`].
    pub(crate) fn may_add(&self) -> Result<(), Error> {
        self.may_change()?;
        if self.full.load(Ordering::Relaxed) { Err(Error::Full) } else { Ok(()) }
    }

    /// Why nothing may be changed any more.
    pub(crate) fn read_only(&self) -> Option<&str> {
        self.broken.get().map(String::as_str)
    }

    /// Whether nothing may be added for want of space.
    pub(crate) fn is_full(&self) -> bool {
        self.full.load(Ordering::Relaxed)
    }

    /// No more writes, for good. The first reason stays.
    pub(crate) fn fail(&self, why: String) {
        if self.broken.set(why.clone()).is_ok() {
            tracing::error!(reason = %why, "the store is read-only from now on");
        }
    }

    /// Looks at the free space of the file system.
    pub(crate) fn look_at_space(&self, path: &Path) {
        if let Ok(space) = rustix::fs::statvfs(path) {
            let full = space.f_bavail.saturating_mul(space.f_frsize) < RESERVE;
            if self.full.swap(full, Ordering::Relaxed) != full {
                tracing::warn!(full, "free space crossed the reserve");
            }
        }
    }

    /// What a failed sync means: read-only, save for a full disk, where only the new and unnamed body is lost.
    pub(crate) fn sync_failed(&self, doing: &'static str, source: std::io::Error) -> Error {
        if is_full(&source) {
            return Error::Full;
        }
        self.fail(format!("{doing} failed: {source}"));
        Error::ReadOnly(format!("{doing} failed"))
    }
}

fn is_full(error: &std::io::Error) -> bool {
    matches!(error.kind(), ErrorKind::StorageFull | ErrorKind::QuotaExceeded)
}

/// An I/O error as the store tells it.
pub(crate) fn io(doing: &'static str) -> impl FnOnce(std::io::Error) -> Error {
    move |source| match source.kind() {
        _ if is_full(&source) => Error::Full,
        ErrorKind::ReadOnlyFilesystem => Error::ReadOnly("the file system is mounted read-only".to_owned()),
        _ => Error::Io { doing, source },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_sync_is_final_but_a_full_disk_is_not() {
        let health = Health::default();
        let full = health.sync_failed("syncing", std::io::Error::from(ErrorKind::StorageFull));
        assert!(matches!(full, Error::Full) && health.may_add().is_ok());
        let broken = health.sync_failed("syncing", std::io::Error::other("EIO"));
        assert!(matches!(broken, Error::ReadOnly(_)));
        assert!(matches!(health.may_change(), Err(Error::ReadOnly(why)) if why.contains("syncing")));
    }
}
