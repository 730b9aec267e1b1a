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
    reading: Pace,
    writing: Pace,
}

impl<T> GuardedIo<T> {
    /// Guards `io`; a body that does not move for `idle`, in either direction, fails, and so does one that falls so far
    /// behind `rate` bytes a second (0: any).
    pub(super) fn new(io: T, idle: Duration, rate: u64, shared: Arc<Shared>) -> Self {
        Self {
            io,
            framing: Framing::new(),
            shared,
            refused: None,
            spoiler: &[],
            reading: Pace::new(idle, rate),
            writing: Pace::new(idle, rate),
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
                result?;
                if this.framing.in_body() {
                    this.reading.moved(buf.filled().len().saturating_sub(start));
                } else {
                    this.reading.renew();
                    this.writing.renew();
                }
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
    fn timed<R>(
        &mut self,
        cx: &mut Context<'_>,
        result: Poll<io::Result<R>>,
        bytes: impl FnOnce(&R) -> usize,
    ) -> Poll<io::Result<R>> {
        if let Poll::Ready(done) = &result {
            self.writing.moved(done.as_ref().map_or(0, bytes));
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
        this.timed(cx, result, |written| *written)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let result = Pin::new(&mut this.io).poll_write_vectored(cx, bufs);
        this.timed(cx, result, |written| *written)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let result = Pin::new(&mut this.io).poll_flush(cx);
        this.timed(cx, result, |()| 0)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let result = Pin::new(&mut this.io).poll_shutdown(cx);
        this.timed(cx, result, |()| 0)
    }
}

/// How long may be waited yet. Waiting uses it up, and each byte that moves buys some back, `1 / rate` seconds, up to the
/// limit. So a standstill ends after the limit, and a body slower than the rate once it is that far behind.
#[derive(Debug)]
struct Budget {
    limit: Duration,
    /// Bytes a second; 0: any byte buys back everything.
    rate: u64,
    left: Duration,
}

impl Budget {
    fn spend(&mut self, waited: Duration) {
        self.left = self.left.saturating_sub(waited);
    }

    fn earn(&mut self, bytes: usize) {
        if bytes == 0 {
            return;
        }
        let bytes = u64::try_from(bytes).unwrap_or(u64::MAX);
        let bought = bytes.saturating_mul(1_000_000).checked_div(self.rate).map(Duration::from_micros);
        self.left = bought.map_or(self.limit, |bought| self.left.saturating_add(bought).min(self.limit));
    }
}

/// Times one direction: from a fruitless poll until something moves.
#[derive(Debug)]
struct Pace {
    budget: Budget,
    /// Kept between waits, so that a stall costs no allocation.
    timer: Option<Pin<Box<Sleep>>>,
    waiting: Option<Instant>,
}

impl Pace {
    fn new(limit: Duration, rate: u64) -> Self {
        Self { budget: Budget { limit, rate, left: limit }, timer: None, waiting: None }
    }

    /// A poll bore fruit, be it without a byte.
    fn moved(&mut self, bytes: usize) {
        if let Some(since) = self.waiting.take() {
            self.charge(since.elapsed());
        }
        self.budget.earn(bytes);
    }

    /// A wait that outlasted the budget and was not cut is one that nobody asked about: the handler was slow, and it is
    /// not the client's fault.
    fn charge(&mut self, waited: Duration) {
        if waited > self.budget.left {
            self.budget.left = self.budget.limit;
        } else {
            self.budget.spend(waited);
        }
    }

    /// A new message: what an earlier one used up is its own.
    fn renew(&mut self) {
        self.waiting = None;
        self.budget.left = self.budget.limit;
    }

    /// Ready once the time is used up.
    fn poll_over(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let timer = self.timer.get_or_insert_with(|| Box::pin(tokio::time::sleep(self.budget.limit)));
        if self.waiting.is_none() {
            let now = Instant::now();
            self.waiting = Some(now);
            timer.as_mut().reset(now + self.budget.left);
        }
        timer.as_mut().poll(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Seconds until a body that moves `bytes` after every `step` seconds is over, if it ever is.
    fn dripped(rate: u64, step: u64, bytes: usize) -> Option<u64> {
        let limit = Duration::from_secs(60);
        let mut budget = Budget { limit, rate, left: limit };
        (0..1000).find_map(|steps| {
            let left = budget.left;
            budget.spend(Duration::from_secs(step));
            let over = budget.left.is_zero().then(|| steps * step + left.as_secs());
            budget.earn(bytes);
            over
        })
    }

    #[test]
    fn a_body_slower_than_the_rate_is_over_once_it_is_the_limit_behind() {
        assert_eq!(dripped(1024, 1, 1), Some(60));
        assert_eq!(dripped(1024, 1, 512), Some(119), "half the rate lasts twice as long");
        assert_eq!(dripped(1024, 1, 1024), None, "the rate itself is enough");
        assert_eq!(dripped(1024, 50, 1 << 30), None, "a pause is no standstill");
        assert_eq!(dripped(1024, 61, 1 << 30), Some(60), "nothing is saved up");
        assert_eq!(dripped(0, 59, 1), None, "without a rate any byte will do");
        assert_eq!(dripped(0, 60, 1), Some(60));
        assert_eq!(dripped(0, 1, 0), Some(60), "no byte will not");
    }

    #[tokio::test]
    async fn a_wait_that_nobody_asked_about_is_not_the_clients() {
        let mut pace = Pace::new(Duration::from_secs(60), 1024);
        pace.charge(Duration::from_secs(61));
        assert_eq!(pace.budget.left, Duration::from_secs(60));
        pace.charge(Duration::from_secs(50));
        assert_eq!(pace.budget.left, Duration::from_secs(10));
    }

    #[tokio::test]
    async fn a_new_message_has_all_the_time() {
        let mut pace = Pace::new(Duration::from_secs(60), 1024);
        pace.budget.spend(Duration::from_secs(59));
        pace.moved(1);
        assert!(pace.budget.left < Duration::from_secs(2));
        pace.renew();
        assert_eq!(pace.budget.left, Duration::from_secs(60));
    }
}
