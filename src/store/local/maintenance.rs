//! The thread that unlinks: orphans at start, given-up writes, and the files of dead bodies in batches (an unlink per
//! overwrite makes ext4's next creates ten times slower). It also watches the free space. Nothing waits for it.

use std::fs::ReadDir;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rocksdb::WriteBatch;
use tokio::sync::oneshot;

use super::core::Core;
use super::database::{Sync, Table, status};
use super::health::io;
use super::record::{self, GarbageRecord, Id};
use crate::store::Error;

/// How long dead bodies gather before they are unlinked, and how often the free space is looked at.
const PAUSE: Duration = Duration::from_millis(500);
/// How long after a sweep that failed the next begins.
const SWEEP_AGAIN: Duration = Duration::from_secs(60);
/// How many garbage records one pass takes.
const PASS: usize = 1024;

/// What the thread is told.
#[derive(Debug)]
pub(crate) enum Task {
    /// A write was given up: unlink its file.
    Abandoned(Id),
    /// Collect now, and say when it is done.
    Collect(oneshot::Sender<()>),
    /// Only wakes the thread, to see that the store is closing.
    Wake,
}

/// The thread; dropping this ends it.
#[derive(Debug)]
pub(crate) struct Maintenance {
    tasks: Sender<Task>,
    stop: Arc<AtomicBool>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Maintenance {
    /// Starts the thread; the sweep of orphans comes first.
    ///
    /// # Errors
    /// I/O when no thread can be made.
    pub(crate) fn start(core: Arc<Core>, queue: Receiver<Task>) -> Result<Self, Error> {
        let (tasks, stop) = (core.sweeper.clone(), Arc::new(AtomicBool::new(false)));
        let stopped = Arc::clone(&stop);
        let thread = std::thread::Builder::new()
            .name("store-sweep".to_owned())
            .spawn(move || run(&core, &queue, &stopped))
            .map_err(io("starting the sweeper"))?;
        Ok(Self { tasks, stop, thread: Mutex::new(Some(thread)) })
    }

    /// Waits until all that was dead or given up before this call is unlinked, save what is being read.
    pub(crate) async fn collect(&self) {
        let (done, wait) = oneshot::channel();
        if self.tasks.send(Task::Collect(done)).is_ok() {
            // An error means that the thread is gone, and nothing is left to wait for.
            let _ = wait.await;
        }
    }
}

impl Drop for Maintenance {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        let _ = self.tasks.send(Task::Wake);
        if let Some(thread) = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take() {
            let _ = thread.join();
        }
    }
}

fn run(core: &Core, queue: &Receiver<Task>, stop: &AtomicBool) {
    let mut sweep_again = try_sweep(core, stop);
    collect(core, stop);
    while !stop.load(Ordering::Relaxed) {
        match queue.recv_timeout(PAUSE) {
            Ok(Task::Abandoned(id)) => abandon(core, id),
            Ok(Task::Collect(done)) => {
                collect(core, stop);
                let _ = done.send(());
            }
            Ok(Task::Wake) => {}
            Err(RecvTimeoutError::Timeout) => {
                core.health.look_at_space(core.files.root());
                if sweep_again.is_some_and(|when| Instant::now() >= when) {
                    sweep_again = try_sweep(core, stop);
                }
                collect(core, stop);
            }
            Err(RecvTimeoutError::Disconnected) => return,
        }
    }
    // What was given up until now; later ones are unlinked where they are dropped.
    while let Ok(task) = queue.try_recv() {
        if let Task::Abandoned(id) = task {
            abandon(core, id);
        }
    }
}

/// Sweeps; gives back when to try again, if that failed.
fn try_sweep(core: &Core, stop: &AtomicBool) -> Option<Instant> {
    let swept = sweep(core, stop);
    let again = swept.is_err().then(|| Instant::now() + SWEEP_AGAIN);
    report("sweeping orphans", swept);
    again
}

fn report(doing: &'static str, result: Result<(), Error>) {
    if let Err(error) = result {
        tracing::warn!(?error, doing, "maintenance failed; it is tried again later");
    }
}

fn abandon(core: &Core, id: Id) {
    report("unlinking a given-up write", core.files.unlink(&id));
    core.files.set_pending(id, false);
    core.cleanup.forget();
}

/// Unlinks every file that neither a record nor a writer knows. Checked in this order: a writer's file leaves the
/// pending set only after its record is in the database (or the file is gone).
fn sweep(core: &Core, stop: &AtomicBool) -> Result<(), Error> {
    let mut swept = 0_u64;
    for part in 0..=u8::MAX {
        let directory = core.files.root().join(format!("{part:02x}"));
        let entries: ReadDir = std::fs::read_dir(directory).map_err(io("listing bodies"))?;
        for entry in entries {
            if stop.load(Ordering::Relaxed) {
                return Ok(());
            }
            let name = entry.map_err(io("listing bodies"))?.file_name();
            let mut id: Id = [0; 16];
            let named = name.to_str().is_some_and(|name| hex::decode_to_slice(name, &mut id).is_ok());
            // What is not named like a body was not made here: leave it.
            if named && !core.files.is_pending(&id) && core.db.get(Table::Files, &id)?.is_none() {
                core.files.unlink(&id)?;
                swept += 1;
            }
        }
    }
    if swept > 0 {
        tracing::info!(swept, "unlinked files of writes that were never committed");
    }
    Ok(())
}

/// Collects until nothing is left but what is being read.
fn collect(core: &Core, stop: &AtomicBool) {
    // After a failed sync nobody knows what is durable: what looks dead may live after a restart.
    let _running = core.cleanup.begin();
    if core.health.may_change().is_err() || !core.cleanup.take_garbage() {
        return;
    }
    let mut from = Vec::new();
    while !stop.load(Ordering::Relaxed) {
        match pass(core, &from) {
            Ok(Some(next)) => from = next,
            Ok(None) => return,
            Err(error) => {
                core.cleanup.add_garbage();
                report("collecting dead bodies", Err(error));
                return;
            }
        }
    }
}

/// One pass over the garbage table; gives back where the next begins.
fn pass(core: &Core, from: &[u8]) -> Result<Option<Vec<u8>>, Error> {
    let mut batch = WriteBatch::default();
    let (garbage, files) = (core.db.table(Table::Garbage)?, core.db.table(Table::Files)?);
    let mut iter = core.db.iter(Table::Garbage, &[])?;
    iter.seek(from);
    for _ in 0..PASS {
        let Some((key, value)) = iter.item() else { break };
        let dead: GarbageRecord = record::decode(value)?;
        if core.pins.is_pinned(&dead.body) {
            core.cleanup.add_garbage();
        } else {
            for id in &dead.files {
                core.files.unlink(id)?;
                batch.delete_cf(files, id);
            }
            batch.delete_cf(garbage, key);
        }
        iter.next();
    }
    let next = iter.key().map(<[u8]>::to_vec);
    status(&iter)?;
    // Lazy: if this is lost, the files are unlinked once more, which is no error.
    core.db.write(batch, Sync::Lazy)?;
    Ok(next)
}
