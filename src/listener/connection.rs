//! One connection from handshake to close.

use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;

use super::guard::{GuardedIo, Shared};
use super::request::{self, Context};
use super::server::Service;
use super::stream::Stream;
use super::{ConnInfo, Handler, Role};

/// hyper's buffer for each direction of a connection, at most. Smaller ones cost throughput on large bodies.
const MAX_BUFFER: usize = 256 * 1024;
/// Most headers of a request; more are answered 431.
const MAX_HEADERS: usize = 100;
/// How long, and for how many bytes, we listen on after an early answer, so that the client can read it.
const LINGER: (Duration, u64) = (Duration::from_secs(2), 4 * 1024 * 1024);

/// Serves a connection until it ends, by itself or by the drain.
pub(super) async fn serve<H: Handler>(service: Arc<Service<H>>, tcp: TcpStream, peer: SocketAddr) {
    // Small answers must not wait for the client's acknowledgements. A socket that refuses is dead anyway.
    let _ = tcp.set_nodelay(true);
    let Some(stream) = handshake(&service, tcp, peer).await else { return };
    let shared = Arc::new(Shared::default());
    let context = Arc::new(Context {
        info: ConnInfo { peer, tls: matches!(stream, Stream::Tls(_)) },
        role: service.options.role,
        metrics: Arc::clone(&service.metrics),
        shared: Arc::clone(&shared),
    });
    let (idle, rate) = (service.options.body_idle_timeout, service.options.body_min_rate);
    let io = GuardedIo::new(stream, idle, rate, Arc::clone(&shared));
    let handler = Arc::clone(&service.handler);
    let mut connection = http1::Builder::new()
        // Without a timer, hyper's own header timeout does nothing.
        .timer(TokioTimer::new())
        .header_read_timeout(service.options.header_read_timeout)
        .keep_alive(true)
        .half_close(true)
        .max_buf_size(MAX_BUFFER)
        .max_headers(MAX_HEADERS)
        .serve_connection(
            TokioIo::new(io),
            service_fn(move |request| request::answer(Arc::clone(&handler), Arc::clone(&context), request)),
        );
    let result = {
        let drive = async {
            tokio::select! {
                result = &mut connection => return result,
                () = service.shutdown.cancelled() => {}
            }
            // Idle connections end here, busy ones after the response in flight.
            Pin::new(&mut connection).graceful_shutdown();
            (&mut connection).await
        };
        tokio::select! {
            result = drive => Some(result),
            () = service.cut.cancelled() => None,
        }
    };
    let io = connection.into_parts().io.into_inner();
    close(&service, peer, io, &shared, result).await;
}

/// Ends TLS where it is configured. `None`: the client failed, or dawdled.
async fn handshake<H>(service: &Service<H>, tcp: TcpStream, peer: SocketAddr) -> Option<Stream> {
    let Some(tls) = &service.options.tls else { return Some(Stream::Plain(tcp)) };
    let accept = timeout(service.options.header_read_timeout, TlsAcceptor::from(Arc::clone(tls)).accept(tcp));
    let result = tokio::select! {
        result = accept => result,
        () = service.shutdown.cancelled() => return None,
    };
    let reason = match result {
        Ok(Ok(stream)) => return Some(Stream::Tls(Box::new(stream))),
        Ok(Err(error)) => error.to_string(),
        Err(_) => "too slow".to_owned(),
    };
    service.metrics.refused("tls handshake");
    tracing::debug!(target: "sealgate::listener", %peer, reason, "tls handshake failed");
    None
}

/// Says why a connection was cut, and closes it so that the client learns what it should.
async fn close<H>(
    service: &Service<H>,
    peer: SocketAddr,
    io: GuardedIo<Stream>,
    shared: &Shared,
    result: Option<hyper::Result<()>>,
) {
    let reset = result.is_none() || shared.reset.load(Ordering::Relaxed);
    let timed_out = matches!(&result, Some(Err(error)) if error.is_timeout());
    let malformed = matches!(&result, Some(Err(error)) if error.is_parse());
    let reason = match (io.refused(), &result) {
        (Some(reason), _) => Some(reason),
        (None, None) => Some("outlasted the drain"),
        (None, Some(Err(_))) if timed_out && io.mid_request() => Some("request head too slow"),
        (None, Some(Err(_))) if malformed => Some("malformed head"),
        (None, Some(_)) => None,
    };
    if let Some(reason) = reason.filter(|_| service.options.role == Role::Gateway) {
        service.metrics.refused(reason);
        tracing::info!(target: "sealgate::listener", %peer, reason, "connection cut");
    }
    let mid_request = io.mid_request();
    let stream = io.into_inner();
    if reset {
        // A reset cannot be mistaken for the end of a body. If it fails, the socket is gone already.
        let _ = stream.tcp().set_zero_linger();
    } else if mid_request && !timed_out {
        // Closing with unread bytes in the kernel's buffer resets the connection, and the client might lose the answer.
        let _ = timeout(LINGER.0, linger(stream)).await;
    }
}

/// Ends our side, then reads and forgets what the client still sends.
async fn linger(mut stream: Stream) -> std::io::Result<()> {
    stream.shutdown().await?;
    tokio::io::copy(&mut stream.take(LINGER.1), &mut tokio::io::sink()).await.map(|_| ())
}
