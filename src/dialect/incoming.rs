//! A request's body between the edge of a dialect and the gateway: a stream that remembers whether it was read to its end.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};

use bytes::{Bytes, BytesMut};
use futures::{Stream, StreamExt as _};
use http_body::Body;

use crate::gateway::{BodyError, LengthIs, PlainBody, TrailerSlot};

/// Whether a body was read to its end, so that its connection can be used again.
#[derive(Debug, Clone)]
pub(super) struct End(Arc<AtomicBool>);

impl End {
    /// Whether it was.
    pub(super) fn reached(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// Why a small body is not all there.
#[derive(Debug)]
pub(super) enum NotWhole {
    /// It failed on its way in.
    Failed(BodyError),
    /// It is longer than it may be.
    TooLarge,
}

/// The request's body as a stream of plaintext that remembers whether it was read to its end.
pub(super) struct Incoming {
    body: Pin<Box<dyn Body<Data = Bytes, Error = BodyError> + Send>>,
    length_is: LengthIs,
    ended: Arc<AtomicBool>,
}

impl Stream for Incoming {
    type Item = Result<Bytes, BodyError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        loop {
            match ready!(self.body.as_mut().poll_frame(cx)) {
                Some(Ok(frame)) => {
                    if let Ok(data) = frame.into_data() {
                        return Poll::Ready(Some(Ok(data)));
                    }
                }
                Some(Err(error)) => return Poll::Ready(Some(Err(error))),
                None => {
                    self.ended.store(true, Ordering::Relaxed);
                    return Poll::Ready(None);
                }
            }
        }
    }
}

impl Incoming {
    /// Takes a body that its edge verifies while it streams.
    pub(super) fn new<B>(body: B) -> (Self, End)
    where
        B: Body<Data = Bytes, Error = BodyError> + Send + 'static,
    {
        let hint = body.size_hint();
        let ended = Arc::new(AtomicBool::new(body.is_end_stream() || hint.exact() == Some(0)));
        let length_is =
            if hint.exact().is_none() && hint.upper().is_some() { LengthIs::Ceiling } else { LengthIs::Declared };
        (Self { body: Box::pin(body), length_is, ended: Arc::clone(&ended) }, End(ended))
    }

    /// The body as the gateway takes it; `len` bytes, exact or at most.
    pub(super) fn plain(self, len: u64, trailers: Option<TrailerSlot>) -> PlainBody {
        PlainBody { length_is: self.length_is, stream: Box::pin(self), len, trailers }
    }

    /// Reads a small body whole.
    pub(super) async fn whole(mut self, maximum: usize) -> Result<Bytes, NotWhole> {
        let mut whole = BytesMut::new();
        while let Some(chunk) = self.next().await {
            let chunk = chunk.map_err(NotWhole::Failed)?;
            if whole.len().saturating_add(chunk.len()) > maximum {
                return Err(NotWhole::TooLarge);
            }
            whole.extend_from_slice(&chunk);
        }
        Ok(whole.freeze())
    }
}
