//! The thread that writes the trail. Events come in without waiting; lines go out in batches and are synced every second, or
//! at once where a change waits for it.
//!
//! A file that fails is given up: what was not synced in it is written again into the next one, as after a failed sync nobody
//! knows what is on the disk (readers skip a line that they have seen). Until that works no more than [`MOST`] events are
//! held; then keys are not used any more.

use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Write as _};
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::oneshot;

use crate::kms::embedded::RecordSeal;
use crate::kms::{AuditTrail, KeyEvent};
use crate::types::Clock;

use super::chain::End;
use super::closed::{self, Closed};
use super::read::{self, FileName};
use super::{DIRECTORY, Error, event, origin};

/// How long events may wait for a sync.
const SYNC_EVERY: Duration = Duration::from_secs(1);
/// How long a batch is gathered: a wake-up for each event would cost more than the event.
const GATHER: Duration = Duration::from_millis(10);
/// The most events that are held because they cannot be written.
const MOST: usize = 1 << 16;
/// A file ends here, or with its hour.
const FILE_BYTES: u64 = 64 << 20;

/// The trail of one data directory.
pub struct Trail {
    shared: Arc<Shared>,
    region: String,
    clock: Arc<dyn Clock>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Shared {
    /// Held for putting in and taking out, never across I/O.
    queue: Mutex<Queue>,
    wake: Condvar,
}

#[derive(Default)]
struct Queue {
    events: Vec<Pending>,
    /// How many of those are waited for.
    waited_for: usize,
    asking: Vec<Asking>,
    /// What the thread has taken and not synced.
    held: usize,
    closed: bool,
}

/// Somebody who asks what is finished.
struct Asking {
    /// The hour that it is.
    hour: String,
    answer: oneshot::Sender<Result<Vec<Closed>, Error>>,
}

struct Pending {
    json: String,
    hour: String,
    done: Option<oneshot::Sender<()>>,
}

impl fmt::Debug for Trail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Trail").field("region", &self.region).finish_non_exhaustive()
    }
}

impl Trail {
    /// Goes on with a trail in `data_dir/audit`, or begins it: the gateway's, or that of a `tool`, which may run beside a
    /// gateway and has a directory of its own in there. Blocking.
    ///
    /// # Errors
    /// [`Error`]: the directory cannot be read or written, or another process writes this trail.
    pub fn open(
        data_dir: &Path,
        tool: Option<&str>,
        seal: RecordSeal,
        region: String,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, Error> {
        let directory = data_dir.join(DIRECTORY);
        let directory = tool.map_or_else(|| directory.clone(), |tool| directory.join(tool));
        fs::create_dir_all(&directory).map_err(Error::io(&directory))?;
        let path = directory.join(read::HEAD);
        let head = OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(&path);
        let head = head.map_err(Error::io(&path))?;
        // Two that write would make two chains of it.
        head.try_lock().map_err(|error| Error::io(&path)(error.into()))?;
        let end = read::end(&directory, &seal)?;
        closed::name(&directory)?;
        let data_dir = data_dir.to_owned();
        let writer = Writer {
            data_dir: data_dir.clone(),
            directory,
            seal,
            head,
            end,
            file: None,
            lines: Vec::new(),
            written: 0,
        };
        let shared = Arc::new(Shared::default());
        let mine = Arc::clone(&shared);
        let thread = std::thread::Builder::new().name("audit".to_owned()).spawn(move || writer.run(&mine));
        Ok(Self { shared, region, clock, thread: Some(thread.map_err(Error::io(&data_dir))?) })
    }

    /// The files that are finished and not marked as delivered, of the gateway's trail and of those of tools that do not run
    /// now; the oldest of each first. A file is finished when its hour is over or the next has begun.
    ///
    /// # Errors
    /// [`Error`]: the directory cannot be read.
    pub async fn closed(&self) -> Result<Vec<Closed>, Error> {
        let (answer, answered) = oneshot::channel();
        let hour = event::hour(self.clock.now());
        self.shared.queue().asking.push(Asking { hour, answer });
        self.shared.wake.notify_one();
        // Without its thread a trail finishes nothing.
        answered.await.unwrap_or_else(|_| Ok(Vec::new()))
    }

    fn put(&self, event: &KeyEvent<'_>, done: Option<oneshot::Sender<()>>) {
        let now = self.clock.now();
        let json = event::json(event, now, &self.region, origin::current().as_ref());
        let pending = Pending { json, hour: event::hour(now), done };
        let mut queue = self.shared.queue();
        let wake = queue.events.is_empty() || pending.done.is_some();
        queue.waited_for += usize::from(pending.done.is_some());
        queue.events.push(pending);
        drop(queue);
        if wake {
            self.shared.wake.notify_one();
        }
    }
}

impl Drop for Trail {
    /// Writes and syncs what came in.
    fn drop(&mut self) {
        self.shared.queue().closed = true;
        self.shared.wake.notify_one();
        if self.thread.take().is_some_and(|thread| thread.join().is_err()) {
            tracing::error!("the audit trail's thread failed");
        }
    }
}

fn unavailable() -> crate::kms::Error {
    crate::kms::Error::Unavailable("the audit trail cannot be written".to_owned())
}

#[async_trait]
impl AuditTrail for Trail {
    fn admits(&self) -> Result<(), crate::kms::Error> {
        let queue = self.shared.queue();
        if queue.events.len().saturating_add(queue.held) < MOST { Ok(()) } else { Err(unavailable()) }
    }

    fn used(&self, event: &KeyEvent<'_>) {
        self.put(event, None);
    }

    async fn changed(&self, event: &KeyEvent<'_>) -> Result<(), crate::kms::Error> {
        let (done, synced) = oneshot::channel();
        self.put(event, Some(done));
        synced.await.map_err(|_| unavailable())
    }
}

impl Shared {
    fn queue(&self) -> std::sync::MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for a batch: until events came and a moment more, at once where one is waited for, and no longer than a sync
    /// may be put off. Gives it, and whether it is the last.
    fn take(&self) -> (Vec<Pending>, bool) {
        let calm = |queue: &mut Queue| queue.events.is_empty() && queue.asking.is_empty() && !queue.closed;
        let waited = self.wake.wait_timeout_while(self.queue(), SYNC_EVERY, calm);
        let (queue, _) = waited.unwrap_or_else(PoisonError::into_inner);
        let gathering = |queue: &mut Queue| !queue.events.is_empty() && queue.waited_for == 0 && !queue.closed;
        let waited = self.wake.wait_timeout_while(queue, GATHER, gathering);
        let (mut queue, _) = waited.unwrap_or_else(PoisonError::into_inner);
        queue.waited_for = 0;
        let events = std::mem::take(&mut queue.events);
        queue.held = queue.held.saturating_add(events.len());
        (events, queue.closed)
    }
}

struct Writer {
    data_dir: PathBuf,
    directory: PathBuf,
    seal: RecordSeal,
    head: File,
    end: End,
    file: Option<Open>,
    /// What is not synced yet, and how much of it is in the file.
    lines: Vec<Line>,
    written: usize,
}

struct Open {
    file: File,
    path: PathBuf,
    hour: String,
    len: u64,
}

struct Line {
    sequence: u64,
    /// With its line feed.
    bytes: Vec<u8>,
    hour: String,
}

impl Writer {
    fn run(mut self, shared: &Shared) {
        #[allow(clippy::disallowed_methods, reason = "measures how long, not when")]
        let mut synced = std::time::Instant::now();
        loop {
            let (events, last) = shared.take();
            let mut waiting = Vec::new();
            for Pending { json, hour, done } in events {
                let mut bytes = self.end.append(&json);
                bytes.push(b'\n');
                self.lines.push(Line { sequence: self.end.sequence, bytes, hour });
                waiting.extend(done);
            }
            let due = !waiting.is_empty() || last || synced.elapsed() >= SYNC_EVERY;
            let done = self.write().and_then(|()| if due { self.sync() } else { Ok(()) });
            // Before anybody is told: who is may ask at once whether there is room.
            shared.queue().held = self.lines.len();
            match done {
                Ok(()) if due => {
                    #[allow(clippy::disallowed_methods, reason = "measures how long, not when")]
                    let now = std::time::Instant::now();
                    synced = now;
                    for done in waiting {
                        let _ = done.send(());
                    }
                }
                Ok(()) => {}
                Err(error) => {
                    tracing::error!(%error, events = self.lines.len(), "the audit trail cannot be written; trying again");
                    (self.file, self.written) = (None, 0);
                }
            }
            let asking = std::mem::take(&mut shared.queue().asking);
            for Asking { hour, answer } in asking {
                let _ = answer.send(self.closed(&hour));
            }
            if last {
                return;
            }
        }
    }

    /// What is finished when it is this hour.
    fn closed(&mut self, hour: &str) -> Result<Vec<Closed>, Error> {
        // What comes late for an hour that is over goes into a file of its own.
        if self.lines.is_empty() && self.file.as_ref().is_some_and(|open| open.hour != hour) {
            self.file = None;
        }
        closed::of(&self.data_dir, self.file.as_ref().map(|open| open.path.as_path()))
    }

    /// Writes what is not in the file yet, and goes on to the next file where the hour or the size asks for it.
    fn write(&mut self) -> Result<(), Error> {
        while let Some(line) = self.lines.get(self.written) {
            if self.file.as_ref().is_some_and(|open| open.hour != line.hour || open.len >= FILE_BYTES) {
                self.sync()?;
                self.file = None;
                continue;
            }
            let open = match self.file.take() {
                Some(open) => self.file.insert(open),
                None => {
                    let open = create(&self.directory, line.sequence, &line.hour)?;
                    self.file.insert(open)
                }
            };
            // As much as fits, in one call.
            let mut text = Vec::new();
            let mut count = 0;
            for line in self.lines.iter().skip(self.written).take_while(|line| line.hour == open.hour) {
                text.extend_from_slice(&line.bytes);
                count += 1;
                if open.len.saturating_add(text.len() as u64) >= FILE_BYTES {
                    break;
                }
            }
            open.file.write_all(&text).map_err(Error::io(&open.path))?;
            open.len = open.len.saturating_add(text.len() as u64);
            self.written = self.written.saturating_add(count);
        }
        Ok(())
    }

    /// Syncs what is written, and lets the head follow. The head itself need not be synced: an older one says less.
    fn sync(&mut self) -> Result<(), Error> {
        let Some(open) = self.file.as_ref().filter(|_| self.written > 0) else { return Ok(()) };
        open.file.sync_data().map_err(Error::io(&open.path))?;
        let Some(last) = self.written.checked_sub(1).and_then(|at| self.lines.get(at)) else { return Ok(()) };
        let end = End::at(last.sequence, last.bytes.strip_suffix(b"\n").unwrap_or(&last.bytes));
        let head = end.seal(&self.seal).map_err(|error| Error::Seal(error.to_string()))?;
        self.head.write_all_at(&head, 0).map_err(Error::io(&self.directory.join(read::HEAD)))?;
        self.lines.drain(..self.written);
        self.written = 0;
        Ok(())
    }
}

/// A new file for lines from this one on. Its name is durable when this returns.
fn create(directory: &Path, sequence: u64, hour: &str) -> Result<Open, Error> {
    for attempt in 0..u32::MAX {
        let name = FileName { sequence, hour: hour.to_owned(), attempt };
        let path = directory.join(name.to_string());
        match OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path) {
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
            Err(error) => return Err(Error::io(&path)(error)),
            Ok(file) => {
                File::open(directory).and_then(|directory| directory.sync_all()).map_err(Error::io(directory))?;
                return Ok(Open { file, path, hour: hour.to_owned(), len: 0 });
            }
        }
    }
    Err(Error::io(directory)(ErrorKind::AlreadyExists.into()))
}
