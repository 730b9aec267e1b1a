//! Stands between the socket and hyper: lets only well-framed bytes through and ends what stands still.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep};

use super::framing::Framing;

/// What a connection's guard, its requests and its owner tell each other.
#[derive(Debug, Default)]
pub(super) struct Shared {
    /// Body bytes received and not yet attributed to a request.
    pub(super) body_bytes: AtomicU64,
    /// The response must not look complete: the socket is to be reset.
    pub(super) reset: AtomicBool,
}

/// What ends a malformed head: a NUL, which no head may contain, and an empty line, without which hyper would not parse.
const SPOILER: &[u8] = b"\0\r\n\r\n";

/// A stream that refuses malformed framing and standstill.
///
/// A malformed head is shown to hyper as far as it is harmless and then ended by [`SPOILER`]: hyper answers 400, closes,
/// and never sees what followed. A malformed body fails the read.
#[derive(Debug)]
pub(super) struct GuardedIo<T> {
    io: T,
    framing: Framing,
    shared: Arc<Shared>,
    refused: Option<&'static str>,
    /// What hyper has yet to be shown of the spoiler.
    spoiler: &'static [u8],
    reading: Standstill,
    writing: Standstill,
}

impl<T> GuardedIo<T> {
    /// Guards `io`; a body that does not move for `idle`, in either direction, fails.
    pub(super) fn new(io: T, idle: Duration, shared: Arc<Shared>) -> Self {
        Self {
            io,
            framing: Framing::new(),
            shared,
            refused: None,
            spoiler: &[],
            reading: Standstill::new(idle),
            writing: Standstill::new(idle),
        }
    }

    /// Why the client was cut off, if it was.
    pub(super) fn refused(&self) -> Option<&'static str> {
        self.refused
    }

    /// Whether the client may still be sending a request that was answered early.
    pub(super) fn mid_request(&self) -> bool {
        self.refused.is_some() || !self.framing.between_requests()
    }

    /// The stream itself.
    pub(super) fn into_inner(self) -> T {
        self.io
    }

    fn stalled(&mut self, reason: &'static str) -> io::Error {
        self.refused = Some(reason);
        io::Error::new(io::ErrorKind::TimedOut, reason)
    }

    /// Checks what was read into `buf` from `start` on, and takes away what must not be seen.
    fn inspect(&mut self, buf: &mut ReadBuf<'_>, start: usize) -> io::Result<()> {
        let fresh = buf.filled().get(start..).unwrap_or_default();
        let result = self.framing.feed(fresh);
        self.shared.body_bytes.fetch_add(self.framing.take_body_bytes(), Ordering::Relaxed);
        let Err(refusal) = result else { return Ok(()) };
        self.refused = Some(refusal.why.reason());
        buf.set_filled(start + refusal.passed);
        if !self.framing.in_body() {
            self.spoiler = SPOILER;
            self.spoil(buf);
        } else if refusal.passed == 0 {
            return Err(io::Error::new(io::ErrorKind::InvalidData, refusal.why.reason()));
        }
        Ok(())
    }

    /// Shows as much of the spoiler as there is room for; after a refusal there is room for a byte at least.
    fn spoil(&mut self, buf: &mut ReadBuf<'_>) {
        let (now, later) = self.spoiler.split_at(self.spoiler.len().min(buf.remaining()));
        buf.put_slice(now);
        self.spoiler = later;
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for GuardedIo<T> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if !this.spoiler.is_empty() {
            this.spoil(buf);
            return Poll::Ready(Ok(()));
        }
        if let Some(reason) = this.refused {
            return Poll::Ready(Err(io::Error::new(io::ErrorKind::InvalidData, reason)));
        }
        let start = buf.filled().len();
        match Pin::new(&mut this.io).poll_read(cx, buf) {
            Poll::Ready(result) => {
                this.reading.moved();
                result?;
                Poll::Ready(this.inspect(buf, start))
            }
            Poll::Pending if this.framing.in_body() => {
                ready!(this.reading.poll_over(cx));
                Poll::Ready(Err(this.stalled("request body stalled")))
            }
            // Heads, and the wait for them, are timed by hyper.
            Poll::Pending => Poll::Pending,
        }
    }
}

impl<T: AsyncWrite + Unpin> GuardedIo<T> {
    fn timed<R>(&mut self, cx: &mut Context<'_>, result: Poll<io::Result<R>>) -> Poll<io::Result<R>> {
        if result.is_ready() {
            self.writing.moved();
            return result;
        }
        ready!(self.writing.poll_over(cx));
        self.shared.reset.store(true, Ordering::Relaxed);
        Poll::Ready(Err(self.stalled("response stalled")))
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for GuardedIo<T> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let result = Pin::new(&mut this.io).poll_write(cx, buf);
        this.timed(cx, result)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let result = Pin::new(&mut this.io).poll_write_vectored(cx, bufs);
        this.timed(cx, result)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let result = Pin::new(&mut this.io).poll_flush(cx);
        this.timed(cx, result)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let result = Pin::new(&mut this.io).poll_shutdown(cx);
        this.timed(cx, result)
    }
}

/// Times one direction: from the first fruitless poll until the next byte.
#[derive(Debug)]
struct Standstill {
    limit: Duration,
    /// Kept between waits, so that a stall costs no allocation.
    timer: Option<Pin<Box<Sleep>>>,
    waiting: bool,
}

impl Standstill {
    fn new(limit: Duration) -> Self {
        Self { limit, timer: None, waiting: false }
    }

    fn moved(&mut self) {
        self.waiting = false;
    }

    /// Ready once nothing has moved for the limit.
    fn poll_over(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let timer = self.timer.get_or_insert_with(|| Box::pin(tokio::time::sleep(self.limit)));
        if !self.waiting {
            self.waiting = true;
            timer.as_mut().reset(Instant::now() + self.limit);
        }
        timer.as_mut().poll(cx)
    }
}
