//! What the tools that walk over a bucket share: where they stand, remembered in a file, and a rate that they hold to.

use std::path::Path;
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::time::Instant;

use crate::store::VersionEntry;
use crate::types::VersionId;

/// Where the page after this row of a listing begins.
pub(crate) fn place(entry: &VersionEntry) -> Option<(String, Option<VersionId>)> {
    match entry {
        VersionEntry::Object { key, object, .. } => Some((key.as_str().to_owned(), Some(object.version.clone()))),
        VersionEntry::Marker { key, version, .. } => Some((key.as_str().to_owned(), Some(version.clone()))),
        VersionEntry::Prefix(_) => None,
    }
}

/// Holds a walk to its rate.
pub(crate) struct Pace {
    begun: Instant,
    taken: u64,
    rate: Option<u64>,
}

impl Pace {
    /// From now on, so much a second at most; `None` or 0: no bound.
    pub(crate) fn new(rate: Option<u64>) -> Self {
        Self { begun: Instant::now(), taken: 0, rate: rate.filter(|&rate| rate > 0) }
    }

    /// Waits until so much more may have been taken.
    pub(crate) async fn took(&mut self, more: u64) {
        self.taken = self.taken.saturating_add(more);
        if let Some(rate) = self.rate {
            let due = Duration::from_millis(self.taken.saturating_mul(1000) / rate);
            tokio::time::sleep_until(self.begun + due).await;
        }
    }
}

/// Reads where a walk stood; `None` when there is no such file.
///
/// # Errors
/// I/O, and a file that is none of ours.
pub fn read_cursor<T: DeserializeOwned>(path: &Path) -> std::io::Result<Option<T>> {
    match std::fs::read(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
        Ok(bytes) => Ok(serde_json::from_slice(&bytes).map(Some)?),
    }
}

/// Writes it: beside and renamed, so that a cut leaves the one before.
///
/// # Errors
/// I/O.
pub fn write_cursor<T: Serialize>(path: &Path, cursor: &T) -> std::io::Result<()> {
    let mut beside = path.as_os_str().to_owned();
    beside.push(".tmp");
    std::fs::write(&beside, serde_json::to_vec(cursor)?).and_then(|()| std::fs::rename(&beside, path))
}

/// Takes it away, at the end.
///
/// # Errors
/// I/O.
pub fn remove_cursor(path: &Path) -> std::io::Result<()> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}
