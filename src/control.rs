//! What the operator asks of a running gateway that has its data directory locked: through a socket in that directory,
//! which answers only the user that the gateway runs as, and root. One line of JSON asks, lines of JSON answer.

use std::io;
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::gateway::Gateway;
use crate::kms::embedded::EmbeddedKms;
use crate::store::ObjectStore;
use crate::tools::{self, Hands};
use crate::{rewrap, usage};

/// The socket's name in the data directory.
const SOCKET: &str = "control.sock";
/// The longest line that asks for something.
const LONGEST: u64 = 64 << 10;

/// What can be asked for.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub enum Task {
    /// Moves what master keys wrap.
    Rewrap(rewrap::Plan),
    /// Counts what depends on a master key.
    Usage(String),
}

/// What is said on the way, and at the end.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub enum Said {
    /// How a rewrap goes on.
    Rewrapping(rewrap::Progress),
    /// So many versions more were looked at.
    Counted(u64),
    /// What depends on the key.
    Usage(usage::Usage),
    /// It is done.
    Rewrapped(rewrap::Done),
    /// It cannot be done.
    Failed(String),
}

/// Why a running gateway gave no answer.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The socket.
    #[error("the running gateway cannot be asked: {0}")]
    Socket(#[from] io::Error),
    /// It went away, or said what is not understood.
    #[error("the running gateway gave no answer: it ended, or is of another version")]
    NoAnswer,
}

/// Opens the socket. Whoever calls has the directory locked: what is there is of a process that has ended. Blocking.
///
/// # Errors
/// I/O.
pub fn open(data_dir: &Path) -> io::Result<std::os::unix::net::UnixListener> {
    let path = data_dir.join(SOCKET);
    match std::fs::remove_file(&path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let listener = in_short(data_dir, |path| std::os::unix::net::UnixListener::bind(path))?;
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600))?;
    listener.set_nonblocking(true)?;
    Ok(listener)
}

/// An address has room for some hundred bytes, and a data directory may have a longer name: it is named by its descriptor.
fn in_short<T>(data_dir: &Path, with: impl FnOnce(&Path) -> io::Result<T>) -> io::Result<T> {
    let directory = std::fs::File::open(data_dir)?;
    with(Path::new(&format!("/proc/self/fd/{}/{SOCKET}", directory.as_raw_fd())))
}

/// Answers until the shutdown, which ends what is being done; all of it can be done again.
pub async fn serve(
    listener: UnixListener,
    gateway: Arc<Gateway>,
    store: Arc<dyn ObjectStore>,
    keystore: Arc<EmbeddedKms>,
    shutdown: CancellationToken,
) {
    let mut tasks = JoinSet::new();
    loop {
        tokio::select! {
            () = shutdown.cancelled() => return,
            Some(_) = tasks.join_next(), if !tasks.is_empty() => {}
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    let (gateway, store, keystore) = (Arc::clone(&gateway), Arc::clone(&store), Arc::clone(&keystore));
                    tasks.spawn(async move {
                        let hands = Hands { gateway: &gateway, store: store.as_ref(), keystore: &keystore };
                        if let Err(error) = answer(stream, &hands).await {
                            tracing::debug!(%error, "a request of the operator's ended");
                        }
                    });
                }
                Err(error) => {
                    tracing::warn!(%error, "the operator's socket does not accept");
                    tokio::time::sleep(std::time::Duration::from_secs(1)).await;
                }
            },
        }
    }
}

async fn answer(stream: UnixStream, hands: &Hands<'_>) -> io::Result<()> {
    let peer = stream.peer_cred()?.uid();
    if peer != 0 && peer != rustix::process::geteuid().as_raw() {
        return Err(io::ErrorKind::PermissionDenied.into());
    }
    let (read, mut write) = stream.into_split();
    let mut line = String::new();
    let mut read = BufReader::new(read.take(LONGEST));
    read.read_line(&mut line).await?;
    let Ok(task) = serde_json::from_str::<Task>(&line) else {
        return tell(&mut write, &Said::Failed("what was asked for is not understood".to_owned())).await;
    };
    let (hear, mut heard) = tokio::sync::mpsc::unbounded_channel();
    let work = async {
        // Whoever asked reads at once, or has gone; then this is ended.
        let mut hear = move |said| drop(hear.send(said));
        tools::here(hands, &task, &mut hear).await;
    };
    let told = async {
        while let Some(said) = heard.recv().await {
            tell(&mut write, &said).await?;
        }
        Ok::<_, io::Error>(())
    };
    tokio::select! {
        ((), told) = futures::future::join(work, told) => told,
        // Whoever asked went away.
        _ = read.read_u8() => Ok(()),
    }
}

async fn tell(write: &mut (impl tokio::io::AsyncWrite + Unpin), said: &Said) -> io::Result<()> {
    let mut line = serde_json::to_vec(said)?;
    line.push(b'\n');
    write.write_all(&line).await
}

/// Asks the gateway that runs on this data directory; `None` when none does. `hear` is told everything, in order.
///
/// # Errors
/// [`Error`].
pub async fn ask(data_dir: &Path, task: &Task, mut hear: impl FnMut(Said)) -> Result<Option<()>, Error> {
    let stream = match in_short(data_dir, |path| std::os::unix::net::UnixStream::connect(path)) {
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused) => {
            return Ok(None);
        }
        stream => stream?,
    };
    stream.set_nonblocking(true)?;
    let (read, mut write) = UnixStream::from_std(stream)?.into_split();
    let mut line = serde_json::to_vec(task).map_err(io::Error::from)?;
    line.push(b'\n');
    write.write_all(&line).await?;
    let mut lines = BufReader::new(read).lines();
    while let Some(line) = lines.next_line().await? {
        let said: Said = serde_json::from_str(&line).map_err(|_| Error::NoAnswer)?;
        let ends = matches!(said, Said::Rewrapped(_) | Said::Usage(_) | Said::Failed(_));
        hear(said);
        if ends {
            return Ok(Some(()));
        }
    }
    Err(Error::NoAnswer)
}
