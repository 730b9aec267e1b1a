//! The thread that keeps the journal short: when the logs have outgrown the last base, it writes a new one and removes
//! what that makes superfluous. Small objects lie in the journal whole, so a base is about as long as the database.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use super::core::Core;
use super::health::io;
use super::journal::{BaseWriter, Directory};
use crate::store::Error;

/// How often the journal's length is looked at.
const PAUSE: Duration = Duration::from_secs(1);
/// How long after a base that failed the next is tried.
const AGAIN: Duration = Duration::from_secs(60);

type Answer = oneshot::Sender<Result<(), Error>>;

/// The thread; dropping this ends it, also in the middle of a base.
#[derive(Debug)]
pub(crate) struct Checkpointer {
    asked: Option<Sender<Answer>>,
    stop: Arc<AtomicBool>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Checkpointer {
    /// Starts the thread.
    ///
    /// # Errors
    /// I/O when no thread can be made.
    pub(crate) fn start(core: Arc<Core>) -> Result<Self, Error> {
        let (asked, queue) = mpsc::channel();
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let thread = std::thread::Builder::new()
            .name("store-base".to_owned())
            .spawn(move || run(&core, &queue, &stopped))
            .map_err(io("starting the checkpointer"))?;
        Ok(Self { asked: Some(asked), stop, thread: Mutex::new(Some(thread)) })
    }

    /// Writes a base now.
    ///
    /// # Errors
    /// [`Error::Full`] or I/O.
    pub(crate) async fn now(&self) -> Result<(), Error> {
        let (answer, wait) = oneshot::channel();
        let closed = || Error::Unavailable("the store is closing".to_owned());
        self.asked.as_ref().ok_or_else(closed)?.send(answer).map_err(|_| closed())?;
        wait.await.map_err(|_| closed())?
    }
}

impl Drop for Checkpointer {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        self.asked = None;
        if let Some(thread) = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take() {
            // The thread has no other owner, and a panic inside it was logged when it happened.
            let _ = thread.join();
        }
    }
}

fn run(core: &Core, queue: &Receiver<Answer>, stop: &AtomicBool) {
    let mut not_before = Instant::now();
    loop {
        match queue.recv_timeout(PAUSE) {
            Ok(answer) => {
                let _ = answer.send(checkpoint(core, stop));
            }
            Err(RecvTimeoutError::Timeout) => {
                if core.journal.want_checkpoint()
                    && Instant::now() >= not_before
                    && let Err(error) = checkpoint(core, stop)
                {
                    tracing::warn!(?error, "the journal could not be made shorter; it is tried again later");
                    not_before = Instant::now() + AGAIN;
                }
            }
            Err(RecvTimeoutError::Disconnected) => return,
        }
    }
}

/// Writes a base and prunes the journal.
fn checkpoint(core: &Core, stop: &AtomicBool) -> Result<(), Error> {
    core.health.may_change()?;
    let begun = Instant::now();
    let base = core.db.dump(
        |applied| BaseWriter::create(&core.journal_dir, applied),
        |base, row| {
            if stop.load(Ordering::Relaxed) {
                return Err(Error::Unavailable("the store is closing".to_owned()));
            }
            base.push(row)
        },
    )?;
    // Logs that the tables on disk still need must not go: a start replays them.
    core.db.flush()?;
    base.finish()?;
    Directory::read(&core.journal_dir)?.prune()?;
    Directory::read(&core.journal_dir)?.measure(&core.journal);
    tracing::info!(seconds = begun.elapsed().as_secs_f32(), "wrote a new base of the journal");
    Ok(())
}
