//! The journal: the write-ahead log of the store, and what the database is rebuilt from when it is lost.
//!
//! The committer appends each group of changes as one frame, syncs, and only then gives the group to RocksDB, whose own
//! log is off: one sync a group, and every row is twice on disk, in RocksDB's tables and here. `journal/` holds
//!
//! * `log-<number>`: groups in order, the first with this number. A new file begins every 64 MiB.
//! * `base-<number>`: all rows as they were after the group with this number. Logs up to it are gone.
//!
//! The newest base and the logs after it are the whole database. At start, groups that RocksDB had not written to its
//! tables yet are replayed; RocksDB says how far it is (`applied`), and flushes all tables at one point, so that this
//! number holds for each of them. A row is set or deleted whole, so replaying a group twice does no harm.
//!
//! The end of the last log may be torn: its group was never acknowledged. Anything else that cannot be read is damage
//! that would lose what was acknowledged, and the store refuses to open.

mod base;
mod frame;
mod log;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

pub(crate) use self::base::BaseWriter;
pub(crate) use self::frame::{Row, push_row, rows};
use self::log::{Found, Log};
use super::health::{Health, io};
use crate::store::Error;

/// A base is written when the logs are longer than this, and than the last base.
const CHECKPOINT_AT: u64 = 256 << 20;

/// How long the files of the journal are; shared with who writes bases.
#[derive(Debug, Default)]
pub(crate) struct Sizes {
    logs: AtomicU64,
    base: AtomicU64,
}

impl Sizes {
    /// Whether a new base would make the journal much shorter.
    pub(crate) fn want_checkpoint(&self) -> bool {
        let base = self.base.load(Ordering::Relaxed);
        self.logs.load(Ordering::Relaxed) > base.max(CHECKPOINT_AT)
    }
}

/// The journal, open for appending. One thread owns it.
#[derive(Debug)]
pub(crate) struct Journal {
    dir: PathBuf,
    log: Option<Log>,
    next: u64,
    sizes: Arc<Sizes>,
}

impl Journal {
    /// Opens the journal in `dir`, which is made when it is missing, and gives every group after `applied` to `apply`,
    /// in order. The last log is written anew before anything is appended: what was read from the page cache may not
    /// be on disk when the last process ended with a failed sync.
    ///
    /// # Errors
    /// [`Error::Corrupt`] when groups are missing or damaged; what `apply` answers; I/O.
    pub(crate) fn open(
        dir: &Path,
        applied: u64,
        mut apply: impl FnMut(u64, &[u8]) -> Result<(), Error>,
    ) -> Result<Self, Error> {
        std::fs::create_dir_all(dir).map_err(io("making the journal directory"))?;
        let files = Directory::read(dir)?;
        files.remove_unfinished()?;
        let replayed = files.replay(applied, &mut apply)?;
        if replayed.last < applied {
            let last = replayed.last;
            return Err(Error::Corrupt(format!("the database is at change {applied}, its journal ends at {last}")));
        }
        let log = match replayed.tail {
            Some(tail) => tail.reopen(dir)?,
            None => None,
        };
        let sizes = Arc::new(Sizes::default());
        files.measure(&sizes);
        Ok(Self { dir: dir.to_owned(), log, next: replayed.last + 1, sizes })
    }

    /// How long its files are.
    pub(crate) fn sizes(&self) -> Arc<Sizes> {
        Arc::clone(&self.sizes)
    }

    /// Appends one group and syncs it; gives back its number.
    ///
    /// # Errors
    /// [`Error::Full`]: nothing was appended, the next group may fit. Any other error leaves it open whether the group
    /// is on disk, and ends all writing.
    pub(crate) fn append(&mut self, payload: &[u8], health: &Health) -> Result<u64, Error> {
        let number = self.next;
        // Taken out, so that after any failure the next group begins a new log: what is behind the last good frame of
        // this one is then never read.
        let mut log = match self.log.take() {
            Some(log) if log.has_room(payload.len()) => log,
            _ => Log::create(&self.dir, number)?,
        };
        let grown = log.append(number, payload)?;
        log.sync().map_err(|error| {
            health.fail(format!("syncing the journal failed: {error}"));
            Error::ReadOnly("syncing the journal failed".to_owned())
        })?;
        self.sizes.logs.fetch_add(grown, Ordering::Relaxed);
        self.log = Some(log);
        self.next = number + 1;
        Ok(number)
    }
}

/// The files of a journal, as listed.
#[derive(Debug)]
pub(crate) struct Directory {
    path: PathBuf,
    /// By number, ascending.
    logs: Vec<u64>,
    bases: Vec<u64>,
    unfinished: Vec<PathBuf>,
}

/// What a replay found.
#[derive(Debug)]
struct Replayed {
    last: u64,
    tail: Option<Found>,
}

impl Directory {
    /// Lists it. Names that are not the journal's are left alone.
    ///
    /// # Errors
    /// I/O.
    pub(crate) fn read(path: &Path) -> Result<Self, Error> {
        let mut found = Self { path: path.to_owned(), logs: Vec::new(), bases: Vec::new(), unfinished: Vec::new() };
        for entry in std::fs::read_dir(path).map_err(io("listing the journal"))? {
            let entry = entry.map_err(io("listing the journal"))?;
            let name = entry.file_name();
            let Some(name) = name.to_str() else { continue };
            if name.strip_suffix(".tmp").is_some_and(|stem| number_in(stem).is_some()) {
                found.unfinished.push(entry.path());
            } else if let Some((kind, number)) = number_in(name) {
                match kind {
                    Kind::Log => found.logs.push(number),
                    Kind::Base => found.bases.push(number),
                }
            }
        }
        found.logs.sort_unstable();
        found.bases.sort_unstable();
        Ok(found)
    }

    /// Whether there is nothing to rebuild from.
    pub(crate) fn is_empty(&self) -> bool {
        self.logs.is_empty() && self.bases.is_empty()
    }

    /// Gives the rows of the newest base to `apply`; the number of its last group, or 0 without a base.
    ///
    /// # Errors
    /// [`Error::Corrupt`] when it is damaged; what `apply` answers; I/O.
    pub(crate) fn load_base(&self, apply: &mut impl FnMut(u64, &[u8]) -> Result<(), Error>) -> Result<u64, Error> {
        let Some(&number) = self.bases.last() else { return Ok(0) };
        base::read(&self.path.join(Kind::Base.name(number)), number, apply)?;
        Ok(number)
    }

    /// Gives every group after `applied` to `apply`.
    ///
    /// # Errors
    /// As [`Journal::open`].
    pub(crate) fn apply_after(
        &self,
        applied: u64,
        apply: &mut impl FnMut(u64, &[u8]) -> Result<(), Error>,
    ) -> Result<u64, Error> {
        self.replay(applied, apply).map(|replayed| replayed.last)
    }

    fn replay(&self, applied: u64, apply: &mut impl FnMut(u64, &[u8]) -> Result<(), Error>) -> Result<Replayed, Error> {
        let base = self.bases.last().copied().unwrap_or(0);
        // Logs whose successor begins at or before the first group that is wanted hold nothing new.
        let old = self.logs.windows(2).take_while(|pair| pair[1] <= applied.saturating_add(1)).count();
        let logs = &self.logs[old..];
        let first = logs.first().copied().unwrap_or(base.saturating_add(1));
        if first > applied.saturating_add(1) {
            return Err(Error::Corrupt(format!(
                "the database is at change {applied} and the journal goes on at {first}: stop sealgate, move the \
                 data directory's db/ away if it is there, and run `sealgate rebuild`"
            )));
        }
        let mut replayed = Replayed { last: first.saturating_sub(1), tail: None };
        for (index, &number) in logs.iter().enumerate() {
            let found = Found::read(&self.path.join(Kind::Log.name(number)), number)?;
            let end = logs.get(index + 1).copied();
            let next =
                found.groups(end, |number, payload| if number > applied { apply(number, payload) } else { Ok(()) })?;
            if end.is_some_and(|end| end != next) {
                return Err(Error::Corrupt(format!("the journal is damaged at change {next}")));
            }
            replayed.last = next - 1;
            replayed.tail = Some(found);
        }
        replayed.last = replayed.last.max(base);
        Ok(replayed)
    }

    fn remove_unfinished(&self) -> Result<(), Error> {
        self.unfinished.iter().try_for_each(|path| std::fs::remove_file(path).map_err(io("removing an old file")))
    }

    /// Removes what the newest base makes superfluous: older bases, and logs that end before it.
    ///
    /// # Errors
    /// I/O.
    pub(crate) fn prune(&self) -> Result<(), Error> {
        let Some((&newest, older)) = self.bases.split_last() else { return Ok(()) };
        let logs = self.logs.windows(2).take_while(|pair| pair[1] <= newest.saturating_add(1)).map(|pair| pair[0]);
        let names =
            older.iter().map(|&number| Kind::Base.name(number)).chain(logs.map(|number| Kind::Log.name(number)));
        for name in names {
            std::fs::remove_file(self.path.join(name)).map_err(io("pruning the journal"))?;
        }
        Ok(())
    }

    /// Notes how long the files are.
    pub(crate) fn measure(&self, sizes: &Sizes) {
        let len = |kind: Kind, number: &u64| {
            std::fs::metadata(self.path.join(kind.name(*number))).map_or(0, |metadata| metadata.len())
        };
        sizes.logs.store(self.logs.iter().map(|number| len(Kind::Log, number)).sum(), Ordering::Relaxed);
        sizes.base.store(self.bases.last().map_or(0, |number| len(Kind::Base, number)), Ordering::Relaxed);
    }
}

/// The two kinds of file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Log,
    Base,
}

impl Kind {
    fn prefix(self) -> &'static str {
        match self {
            Self::Log => "log-",
            Self::Base => "base-",
        }
    }

    /// Twenty digits, so that names sort as numbers do.
    fn name(self, number: u64) -> String {
        format!("{}{number:020}", self.prefix())
    }
}

fn number_in(name: &str) -> Option<(Kind, u64)> {
    [Kind::Log, Kind::Base].into_iter().find_map(|kind| {
        let digits = name.strip_prefix(kind.prefix())?;
        (digits.len() == 20).then(|| digits.parse().ok()).flatten().map(|number| (kind, number))
    })
}

fn sync_dir(dir: &Path) -> Result<(), Error> {
    std::fs::File::open(dir).and_then(|dir| dir.sync_all()).map_err(io("syncing the journal directory"))
}

#[cfg(test)]
mod tests;
