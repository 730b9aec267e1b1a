//! The one thread that changes the database. Changes arrive as closures, are judged one after another against the
//! database plus what the same group has changed already, and then become durable together: one frame of the journal,
//! one sync, however many writers wait. So every read-modify-write (preconditions, reference counts, an empty bucket, complete
//! against abort) is atomic without any lock, and readers never wait for a writer.

use std::any::Any;
use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use tokio::sync::oneshot;

use super::core::Core;
use super::database::{Table, status};
use super::files::NewFile;
use super::health::io;
use super::journal::{Journal, Row, push_row};
use super::record::{self, Record};
use crate::store::Error;

/// A group is closed at this many changes …
const GROUP_JOBS: usize = 512;
/// … or this many bytes, whichever comes first.
const GROUP_BYTES: usize = 4 << 20;

/// Called with the fate of the group once that is known.
type Reply = Box<dyn FnOnce(Result<(), Failure>) + Send>;
/// Judges and makes one change.
type Job = Box<dyn FnOnce(&mut Change<'_>) -> Reply + Send>;

/// Why a whole group did not become durable.
#[derive(Debug, Clone)]
enum Failure {
    Full,
    ReadOnly(String),
}

impl From<Failure> for Error {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Full => Self::Full,
            Failure::ReadOnly(why) => Self::ReadOnly(why),
        }
    }
}

/// The committer: dropping it finishes what was sent, then ends the thread.
#[derive(Debug)]
pub(crate) struct Committer {
    jobs: Option<Sender<Job>>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Committer {
    /// Starts the thread.
    ///
    /// # Errors
    /// I/O when no thread can be made.
    pub(crate) fn start(core: Arc<Core>, mut journal: Journal) -> Result<Self, Error> {
        let (jobs, queue) = mpsc::channel();
        let thread = std::thread::Builder::new()
            .name("store-commit".to_owned())
            .spawn(move || run(&core, &mut journal, &queue))
            .map_err(io("starting the committer"))?;
        Ok(Self { jobs: Some(jobs), thread: Mutex::new(Some(thread)) })
    }

    /// Makes a change; `Ok` means it is durable. `work` runs on the committer thread, must not wait for anything, and
    /// owns the new files that it names: when this future is dropped the change goes on, whole, or not at all.
    ///
    /// # Errors
    /// What `work` answers (nothing is changed then), [`Error::Full`], [`Error::ReadOnly`].
    pub(crate) async fn change<T, F>(&self, work: F) -> Result<T, Error>
    where
        T: Send + 'static,
        F: FnOnce(&mut Change<'_>) -> Result<T, Error> + Send + 'static,
    {
        let (answer, wait) = oneshot::channel();
        let job: Job = Box::new(move |change| {
            let outcome = work(change);
            change.settle(outcome.is_ok());
            Box::new(move |fate| {
                // The caller may have gone; the change stands all the same.
                let _ = answer.send(fate.map_err(Error::from).and(outcome));
            })
        });
        let closed = || Error::Unavailable("the store is closing".to_owned());
        self.jobs.as_ref().ok_or_else(closed)?.send(job).map_err(|_| closed())?;
        wait.await.map_err(|_| Error::Unavailable("a change was given up".to_owned()))?
    }
}

impl Drop for Committer {
    fn drop(&mut self) {
        self.jobs = None;
        if let Some(thread) = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take() {
            // The thread has no other owner, and a panic inside it was logged when it happened.
            let _: Result<(), Box<dyn Any + Send>> = thread.join();
        }
    }
}

/// What a group has changed so far, by table; `None` is a deletion.
#[derive(Debug, Default)]
struct Group {
    tables: [BTreeMap<Vec<u8>, Option<Vec<u8>>>; Table::ALL.len()],
    bytes: usize,
    files: Vec<NewFile>,
    after: Vec<After>,
}

/// A row that a change has set, and what the group had for it before: nothing, a deletion or a value.
type Undo = (Table, Vec<u8>, Option<Option<Vec<u8>>>);

/// What to do in memory once a change is durable.
struct After(Box<dyn FnOnce(&Core) + Send>);

impl std::fmt::Debug for After {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("After")
    }
}

/// One change in the making: reads see the database and the changes before it in the group.
#[derive(Debug)]
pub(crate) struct Change<'a> {
    core: &'a Core,
    group: &'a mut Group,
    /// What stood in the group before this change, newest last.
    undo: Vec<Undo>,
    files: Vec<NewFile>,
    after: Vec<After>,
}

impl Change<'_> {
    /// What the store shares.
    pub(crate) fn core(&self) -> &Core {
        self.core
    }

    /// A record as it stands now.
    ///
    /// # Errors
    /// I/O or damage.
    pub(crate) fn record<T: Record>(&self, table: Table, key: &[u8]) -> Result<Option<T>, Error> {
        match self.group.tables[table as usize].get(key) {
            Some(Some(value)) => record::decode(value).map(Some),
            Some(None) => Ok(None),
            None => self.core.db.record(table, key),
        }
    }

    /// Whether any key begins with `prefix`.
    ///
    /// # Errors
    /// I/O.
    pub(crate) fn any(&self, table: Table, prefix: &[u8]) -> Result<bool, Error> {
        let changed = &self.group.tables[table as usize];
        let within = changed.range(prefix.to_vec()..).take_while(|(key, _)| key.starts_with(prefix));
        if within.into_iter().any(|(_, value)| value.is_some()) {
            return Ok(true);
        }
        let mut iter = self.core.db.iter(table, prefix)?;
        iter.seek(prefix);
        while let Some(key) = iter.key() {
            // What the group added was found above; here a key counts unless the group deleted it.
            if !changed.contains_key(key) {
                return Ok(true);
            }
            iter.next();
        }
        status(&iter).map(|()| false)
    }

    /// The first row whose key begins with `prefix`.
    ///
    /// # Errors
    /// I/O or damage.
    pub(crate) fn first<T: Record>(&self, table: Table, prefix: &[u8]) -> Result<Option<(Vec<u8>, T)>, Error> {
        let changed = &self.group.tables[table as usize];
        let mut added = changed
            .range(prefix.to_vec()..)
            .take_while(|(key, _)| key.starts_with(prefix))
            .filter_map(|(key, value)| value.as_ref().map(|value| (key, value)));
        let added = added.next();
        let mut iter = self.core.db.iter(table, prefix)?;
        iter.seek(prefix);
        while let Some((key, value)) = iter.item() {
            if added.is_some_and(|(first, _)| first.as_slice() <= key) {
                break;
            }
            if !changed.contains_key(key) {
                return Ok(Some((key.to_vec(), record::decode(value)?)));
            }
            iter.next();
        }
        status(&iter)?;
        added.map(|(key, value)| Ok((key.clone(), record::decode(value)?))).transpose()
    }

    /// All rows whose keys begin with `prefix`. For ranges with a bound only (an upload's parts).
    ///
    /// # Errors
    /// I/O or damage.
    pub(crate) fn rows<T: Record>(&self, table: Table, prefix: &[u8]) -> Result<BTreeMap<Vec<u8>, T>, Error> {
        let mut rows = BTreeMap::new();
        let mut iter = self.core.db.iter(table, prefix)?;
        iter.seek(prefix);
        while let Some((key, value)) = iter.item() {
            rows.insert(key.to_vec(), record::decode(value)?);
            iter.next();
        }
        status(&iter)?;
        let changed = &self.group.tables[table as usize];
        for (key, value) in changed.range(prefix.to_vec()..).take_while(|(key, _)| key.starts_with(prefix)) {
            match value {
                Some(value) => rows.insert(key.clone(), record::decode(value)?),
                None => rows.remove(key),
            };
        }
        Ok(rows)
    }

    /// Sets a record.
    ///
    /// # Errors
    /// When it cannot be written as bytes.
    pub(crate) fn put<T: Record>(&mut self, table: Table, key: Vec<u8>, record: &T) -> Result<(), Error> {
        self.set(table, key, Some(record::encode(record)?));
        Ok(())
    }

    /// Sets a key that has no value of its own.
    pub(crate) fn mark(&mut self, table: Table, key: Vec<u8>) {
        self.set(table, key, Some(Vec::new()));
    }

    /// Removes a record.
    pub(crate) fn delete(&mut self, table: Table, key: Vec<u8>) {
        self.set(table, key, None);
    }

    /// Takes a new file that this change names: kept when the change is durable, unlinked when it is refused.
    pub(crate) fn adopt(&mut self, file: NewFile) {
        self.mark(Table::Files, file.id().to_vec());
        self.files.push(file);
    }

    /// Does something in memory once the change is durable, before its caller hears of it.
    pub(crate) fn after(&mut self, work: impl FnOnce(&Core) + Send + 'static) {
        self.after.push(After(Box::new(work)));
    }

    fn set(&mut self, table: Table, key: Vec<u8>, value: Option<Vec<u8>>) {
        self.group.bytes += key.len() + value.as_ref().map_or(0, Vec::len);
        let before = self.group.tables[table as usize].insert(key.clone(), value);
        self.undo.push((table, key, before));
    }

    /// Makes the change part of the group, or takes all of it back.
    fn settle(&mut self, accepted: bool) {
        if accepted {
            self.group.files.append(&mut self.files);
            self.group.after.append(&mut self.after);
            self.undo.clear();
            return;
        }
        self.files.clear();
        self.after.clear();
        while let Some((table, key, before)) = self.undo.pop() {
            let rows = &mut self.group.tables[table as usize];
            match before {
                Some(value) => rows.insert(key, value),
                None => rows.remove(&key),
            };
        }
    }
}

fn run(core: &Core, journal: &mut Journal, queue: &Receiver<Job>) {
    while let Ok(first) = queue.recv() {
        let mut group = Group::default();
        let mut replies = Vec::new();
        let mut next = Some(first);
        while let Some(job) = next {
            replies.extend(judge(core, &mut group, job));
            let room = replies.len() < GROUP_JOBS && group.bytes < GROUP_BYTES;
            next = if room { queue.try_recv().ok() } else { None };
        }
        let fate = finish(core, journal, group);
        for reply in replies {
            reply(fate.clone());
        }
    }
}

/// Runs one job. A panic in it is a bug in this store, but must not take the committer with it.
fn judge(core: &Core, group: &mut Group, job: Job) -> Option<Reply> {
    let mut change = Change { core, group, undo: Vec::new(), files: Vec::new(), after: Vec::new() };
    if let Ok(reply) = catch_unwind(AssertUnwindSafe(|| job(&mut change))) {
        return Some(reply);
    }
    tracing::error!("a change panicked and was taken back");
    change.settle(false);
    None
}

/// Makes a group durable, or leaves the database as it was.
fn finish(core: &Core, journal: &mut Journal, group: Group) -> Result<(), Failure> {
    match write(core, journal, &group) {
        Ok(()) => {
            group.after.into_iter().for_each(|after| after.0(core));
            group.files.into_iter().for_each(NewFile::keep);
            Ok(())
        }
        Err(failure) => {
            group.files.into_iter().for_each(NewFile::leave);
            Err(failure)
        }
    }
}

fn write(core: &Core, journal: &mut Journal, group: &Group) -> Result<(), Failure> {
    if group.tables.iter().all(BTreeMap::is_empty) {
        return Ok(());
    }
    let read_only = |error: Error| match error {
        Error::ReadOnly(why) => Failure::ReadOnly(why),
        Error::Full => Failure::Full,
        other => Failure::ReadOnly(other.to_string()),
    };
    core.health.may_change().map_err(read_only)?;
    let appended = payload(core, group)
        .and_then(|payload| journal.append(&payload, &core.health).map(|number| (number, payload)))
        .and_then(|(number, payload)| {
            // The journal has the group now; when the tables can't take it, only a replay brings the two together.
            core.db.apply(number, &payload).map_err(|error| Error::ReadOnly(error.to_string()))
        });
    appended.map_err(|error| {
        if !matches!(error, Error::Full) {
            // Whether the journal has the group is unknown now, and a retry would prove nothing.
            core.health.fail(format!("a commit failed: {error:?}"));
        }
        read_only(error)
    })
}

/// A group as the journal writes it.
fn payload(core: &Core, group: &Group) -> Result<Vec<u8>, Error> {
    let mut out = Vec::with_capacity(group.bytes + group.bytes / 4 + 64);
    for (table, rows) in Table::ALL.into_iter().zip(&group.tables) {
        for (key, value) in rows {
            push_row(&mut out, Row { table, key, value: value.as_deref() })?;
        }
    }
    let (key, value) = core.sequence_row()?;
    push_row(&mut out, Row { table: Table::Meta, key, value: Some(&value) })?;
    Ok(out)
}
