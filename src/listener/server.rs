//! The accept loop and the drain.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::{JoinError, JoinSet};
use tokio_rustls::rustls::ServerConfig;
use tokio_util::sync::CancellationToken;

use super::{Handler, connection};
use crate::config::Config;
use crate::metrics::Metrics;

/// Connections that the kernel may hold ready for us.
const BACKLOG: u32 = 4096;
/// The first and the longest pause after an accept that failed for want of resources.
const ACCEPT_PAUSE: (Duration, Duration) = (Duration::from_millis(5), Duration::from_secs(1));
/// Connections of the admin endpoint, which has no limit in the configuration.
const ADMIN_CONNECTIONS: usize = 256;
/// How long cut connections may take to fall.
const CUT_GRACE: Duration = Duration::from_secs(1);

/// Whose requests a server answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Probes and scrapers: neither logged nor counted.
    Admin,
    /// Clients: one log line and one count each.
    Gateway,
}

/// How a server treats its connections.
#[derive(Debug, Clone)]
pub struct Options {
    /// Whose requests.
    pub role: Role,
    /// Longest time for a handshake, a request's head, and a connection without a request.
    pub header_read_timeout: Duration,
    /// Longest standstill of a body, in either direction.
    pub body_idle_timeout: Duration,
    /// Bytes a second that a body must move on average while we wait for the client; 0: any rate.
    pub body_min_rate: u64,
    /// Connections at once; more wait in the kernel's queue.
    pub max_connections: usize,
    /// How long requests in flight may go on after the shutdown signal.
    pub drain_timeout: Duration,
    /// TLS, if the port speaks it.
    pub tls: Option<Arc<ServerConfig>>,
}

impl Options {
    /// The clients' port. `tls` is what [`super::server_config`] read.
    #[must_use]
    pub fn gateway(config: &Config, tls: Option<Arc<ServerConfig>>) -> Self {
        Self {
            role: Role::Gateway,
            header_read_timeout: config.header_read_timeout,
            body_idle_timeout: config.body_idle_timeout,
            body_min_rate: config.body_min_rate,
            max_connections: config.max_connections,
            drain_timeout: config.drain_timeout,
            tls,
        }
    }

    /// The admin port: plain HTTP, few connections.
    #[must_use]
    pub fn admin(config: &Config) -> Self {
        Self { role: Role::Admin, max_connections: ADMIN_CONNECTIONS, ..Self::gateway(config, None) }
    }
}

/// How a drain went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Drained {
    /// Connections that had to be cut, because their requests outlasted the drain.
    pub cut: usize,
}

/// What all connections of one server share.
#[derive(Debug)]
pub(super) struct Service<H> {
    pub(super) handler: Arc<H>,
    pub(super) options: Options,
    pub(super) metrics: Arc<Metrics>,
    /// Stop accepting, finish what is in flight.
    pub(super) shutdown: CancellationToken,
    /// The time for that is over.
    pub(super) cut: CancellationToken,
}

/// Opens a port.
///
/// # Errors
/// The system's, most often that the address is in use.
pub async fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    // A restart must not wait for old connections to leave TIME_WAIT.
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

/// Serves `listener` until `shutdown` is cancelled and the drain is over: connections without a request end at once,
/// those with one after its response, and what is left after the drain timeout is cut. No task outlives the call;
/// dropping the future cuts all connections.
pub async fn serve<H: Handler>(
    listener: TcpListener,
    handler: Arc<H>,
    options: Options,
    metrics: Arc<Metrics>,
    shutdown: CancellationToken,
) -> Drained {
    let drain_timeout = options.drain_timeout;
    let places = Arc::new(Semaphore::new(options.max_connections.min(Semaphore::MAX_PERMITS)));
    let service = Arc::new(Service { handler, options, metrics, shutdown, cut: CancellationToken::new() });
    let mut tasks = JoinSet::new();
    loop {
        let next = async {
            let place = Arc::clone(&places).acquire_owned().await.ok()?;
            Some((place, accept(&listener).await))
        };
        let Some((place, (stream, peer))) = (tokio::select! {
            biased;
            () = service.shutdown.cancelled() => None,
            next = next => next,
        }) else {
            break;
        };
        while let Some(ended) = tasks.try_join_next() {
            report(ended);
        }
        let service = Arc::clone(&service);
        tasks.spawn(async move {
            let _place = place;
            let _open = Open::new(&service);
            connection::serve(Arc::clone(&service), stream, peer).await;
        });
    }
    drop(listener);
    drain(tasks, drain_timeout, &service.cut).await
}

/// Waits for the connections, up to the timeout; then cuts the rest.
async fn drain(mut tasks: JoinSet<()>, limit: Duration, cut: &CancellationToken) -> Drained {
    let mut all_ended = async |limit| {
        let ended = async {
            while let Some(ended) = tasks.join_next().await {
                report(ended);
            }
        };
        let _ = tokio::time::timeout(limit, ended).await;
        tasks.len()
    };
    let left = all_ended(limit).await;
    if left > 0 {
        cut.cancel();
        all_ended(CUT_GRACE).await;
    }
    tasks.shutdown().await;
    Drained { cut: left }
}

/// The next connection. Never fails: a listener that cannot accept for now is asked again, less and less often.
async fn accept(listener: &TcpListener) -> (TcpStream, SocketAddr) {
    let mut pause = ACCEPT_PAUSE.0;
    loop {
        match listener.accept().await {
            Ok(connection) => return connection,
            // The client gave up in the queue; the next one is fine.
            Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => {}
            Err(error) => {
                tracing::warn!(target: "sealgate::listener", %error, ?pause, "cannot accept connections");
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(ACCEPT_PAUSE.1);
            }
        }
    }
}

/// A connection that ended by a panic cost one client its answer; the rest go on.
fn report(ended: Result<(), JoinError>) {
    if let Err(error) = ended
        && error.is_panic()
    {
        tracing::error!(target: "sealgate::listener", %error, "a connection's task panicked");
    }
}

/// Counts a connection while it is open.
struct Open(Option<Arc<Metrics>>);

impl Open {
    fn new<H>(service: &Service<H>) -> Self {
        let metrics = (service.options.role == Role::Gateway).then(|| Arc::clone(&service.metrics));
        if let Some(metrics) = &metrics {
            metrics.connections_total.inc();
            metrics.connections.inc();
        }
        Self(metrics)
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        if let Some(metrics) = &self.0 {
            metrics.connections.dec();
        }
    }
}
