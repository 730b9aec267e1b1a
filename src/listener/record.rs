//! One request's line in the log and its share in the counters, written when its response has ended, however it did.

use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll, ready};
use std::time::Instant;

use bytes::{Buf, Bytes};
use http::{Method, StatusCode};
use http_body::{Body, Frame, SizeHint};

use super::guard::Shared;
use super::{BodyError, RequestId, ResponseBody, Role};
use crate::metrics::Metrics;

/// How a response ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Outcome {
    /// Nothing ended it yet: the client went away, or the drain ran out.
    Aborted,
    /// Its last byte was handed to the socket.
    Complete,
    /// Its body failed; the connection is reset.
    Failed,
}

/// Follows one request. Dropping it writes the line.
#[derive(Debug)]
pub(super) struct Record {
    pub(super) id: RequestId,
    pub(super) role: Role,
    peer: SocketAddr,
    method: Method,
    /// Without the query, which may hold a signature or a token.
    path: String,
    begun: Instant,
    status: Option<StatusCode>,
    sent: u64,
    outcome: Outcome,
    metrics: Arc<Metrics>,
    shared: Arc<Shared>,
}

impl Record {
    pub(super) fn begin(
        id: RequestId,
        role: Role,
        peer: SocketAddr,
        request: &http::request::Parts,
        metrics: Arc<Metrics>,
        shared: Arc<Shared>,
    ) -> Self {
        if role == Role::Gateway {
            metrics.in_flight.inc();
        }
        Self {
            id,
            role,
            peer,
            method: request.method.clone(),
            path: request.uri.path().to_owned(),
            begun: Instant::now(),
            status: None,
            sent: 0,
            outcome: Outcome::Aborted,
            metrics,
            shared,
        }
    }

    /// Ties the record to a response's body.
    pub(super) fn body(mut self, status: StatusCode, body: ResponseBody) -> RecordedBody {
        self.status = Some(status);
        // Bodies that hyper never polls: it sees that they are empty, or that there must be none.
        let bodiless = self.method == Method::HEAD
            || matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED)
            || body.is_end_stream();
        if bodiless {
            self.outcome = Outcome::Complete;
        }
        let expected = body.size_hint().exact();
        RecordedBody { body, expected, record: self }
    }

    fn failed(&mut self, error: &BodyError) {
        self.outcome = Outcome::Failed;
        // A body without a length ends with the connection; only a reset tells its reader that something is missing.
        self.shared.reset.store(true, Ordering::Relaxed);
        tracing::warn!(target: "sealgate::listener", request_id = %self.id, error = %Chain(error.as_ref()), "response body failed");
    }
}

impl Drop for Record {
    fn drop(&mut self) {
        if self.role == Role::Admin {
            return;
        }
        let seconds = self.begun.elapsed().as_secs_f64();
        let received = self.shared.body_bytes.swap(0, Ordering::Relaxed);
        self.metrics.in_flight.dec();
        self.metrics.bytes_in.inc_by(received);
        self.metrics.bytes_out.inc_by(self.sent);
        self.metrics.request(&self.method, self.status, seconds);
        let outcome = match self.outcome {
            Outcome::Aborted => "aborted",
            Outcome::Complete => "complete",
            Outcome::Failed => "failed",
        };
        // The path is written escaped: it holds whatever a client sent.
        tracing::info!(
            target: "sealgate::access",
            request_id = %self.id,
            peer = %self.peer,
            method = %self.method,
            path = %self.path.escape_debug(),
            status = self.status.map_or(0, |status| status.as_u16()),
            bytes_in = received,
            bytes_out = self.sent,
            duration_ms = (seconds * 1e6).round() / 1e3,
            outcome,
            "request"
        );
    }
}

/// An error and its causes on one line.
struct Chain<'e>(&'e dyn std::error::Error);

impl std::fmt::Display for Chain<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.0)?;
        let mut cause = self.0.source();
        while let Some(error) = cause {
            write!(f, ": {error}")?;
            cause = error.source();
        }
        Ok(())
    }
}

/// A response body that keeps its request's record until it has ended.
#[derive(Debug)]
pub(super) struct RecordedBody {
    body: ResponseBody,
    /// The length, where it is known beforehand: hyper stops asking after the last byte of it.
    expected: Option<u64>,
    record: Record,
}

impl Body for RecordedBody {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let this = self.get_mut();
        let frame = ready!(Pin::new(&mut this.body).poll_frame(cx));
        match &frame {
            None => this.record.outcome = Outcome::Complete,
            Some(Err(error)) => this.record.failed(error),
            Some(Ok(frame)) => {
                let bytes = frame.data_ref().map_or(0, Buf::remaining);
                this.record.sent = this.record.sent.saturating_add(u64::try_from(bytes).unwrap_or(u64::MAX));
                if this.expected.is_some_and(|expected| this.record.sent >= expected) || this.body.is_end_stream() {
                    this.record.outcome = Outcome::Complete;
                }
            }
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
