//! The body on its way in: decoded, counted and verified frame by frame.

use std::error::Error;
use std::fmt;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use subtle::ConstantTimeEq;
use tokio::time::{Instant, Sleep};

use crate::gateway::{BodyError, LengthIs, PlainBody, TrailerSlot};
use crate::identity::{ChunkDecoder, Sha256};

use super::form::FormFile;

/// Any error of a connection.
pub type BoxError = Box<dyn Error + Send + Sync>;

/// What went wrong with a body first. Whoever turns a failed operation into an answer looks here, since the layers
/// between carry a body's error as text at best.
#[derive(Debug, Clone, Default)]
pub struct BodyFailure(Arc<OnceLock<BodyError>>);

impl BodyFailure {
    /// The failure, if there was one.
    #[must_use]
    pub fn get(&self) -> Option<&BodyError> {
        self.0.get()
    }

    fn set(&self, error: &BodyError) {
        // Only the first failure counts; later ones follow from it.
        drop(self.0.set(error.clone()));
    }
}

/// How the bytes on the wire become plain bytes, and what they are held against.
#[derive(Debug)]
pub(super) enum Decoding {
    /// `aws-chunked`.
    Chunked(Box<ChunkDecoder>),
    /// The file of an HTML form.
    Form(Box<FormFile>),
    /// As it is, with the SHA-256 that was signed.
    Hashed(Sha256, [u8; 32]),
    /// As it is.
    Plain,
    /// As it is, and of a length that only its end tells (HTTP's own chunks).
    Unmeasured,
}

impl Decoding {
    /// What a length beside such a body means.
    fn length_is(&self) -> LengthIs {
        match self {
            Self::Form(_) | Self::Unmeasured => LengthIs::Ceiling,
            Self::Chunked(_) | Self::Hashed(..) | Self::Plain => LengthIs::Declared,
        }
    }
}

/// A plain body of exactly the declared length. The frame that completes it leaves only after everything that was
/// declared or signed of the body has been found true.
pub struct EdgeBody<B> {
    inner: B,
    decoding: Decoding,
    /// Bytes of the wire that are not decoded yet.
    pending: Bytes,
    /// The frame that completes the body, until the body is verified.
    held: Option<Bytes>,
    /// Plain bytes still to be decoded.
    to_decode: u64,
    /// Plain bytes still to be handed on.
    to_deliver: u64,
    progress: Progress,
    idle: Idle,
    failure: BodyFailure,
    trailers: Option<TrailerSlot>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Progress {
    Reading,
    Verified,
    Ended,
}

impl<B> fmt::Debug for EdgeBody<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EdgeBody").field("to_deliver", &self.to_deliver).finish_non_exhaustive()
    }
}

impl<B> EdgeBody<B>
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: Into<BoxError>,
{
    pub(super) fn new(
        inner: B,
        decoding: Decoding,
        len: u64,
        idle_timeout: Duration,
        failure: BodyFailure,
        trailers: Option<TrailerSlot>,
    ) -> Self {
        Self {
            inner,
            decoding,
            pending: Bytes::new(),
            held: None,
            to_decode: len,
            to_deliver: len,
            progress: Progress::Reading,
            idle: Idle { timeout: idle_timeout, sleep: None, armed: false },
            failure,
            trailers,
        }
    }

    /// Reads a body declared empty to its end.
    pub(super) async fn drain(&mut self) -> Result<(), BodyError> {
        while let Some(frame) = std::future::poll_fn(|cx| Pin::new(&mut *self).poll_frame(cx)).await {
            frame?;
        }
        Ok(())
    }

    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Bytes>, BodyError>> {
        while self.progress == Progress::Reading {
            if let Some(data) = self.decode_pending()? {
                return Poll::Ready(Ok(Some(data)));
            }
            match self.inner_frame(cx) {
                Poll::Ready(Some(frame)) => self.pending = frame?,
                Poll::Ready(None) => self.verify_end()?,
                Poll::Pending => {
                    ready!(self.idle.poll_expired(cx));
                    return Poll::Ready(Err(BodyError::Timeout));
                }
            }
        }
        if self.held.is_none() {
            self.progress = Progress::Ended;
        }
        Poll::Ready(Ok(self.held.take()))
    }

    /// The next frame's data; frames without data (HTTP trailers) count as sent and are skipped.
    fn inner_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, BodyError>>> {
        let frame = ready!(Pin::new(&mut self.inner).poll_frame(cx));
        self.idle.armed = false;
        Poll::Ready(frame.map(|frame| match frame {
            Ok(frame) => Ok(frame.into_data().unwrap_or_default()),
            Err(error) => Err(connection_error(error.into().as_ref())),
        }))
    }

    fn decode_pending(&mut self) -> Result<Option<Bytes>, BodyError> {
        if let Decoding::Form(file) = &mut self.decoding {
            return file.decode(&mut self.pending);
        }
        while !self.pending.is_empty() {
            let data = match &mut self.decoding {
                Decoding::Chunked(decoder) => match decoder.decode(&mut self.pending)? {
                    Some(data) => data,
                    None => break,
                },
                Decoding::Form(_) | Decoding::Hashed(..) | Decoding::Plain | Decoding::Unmeasured => {
                    std::mem::take(&mut self.pending)
                }
            };
            // A usize is at most 64 bits wide on every platform that Rust has.
            self.to_decode = self.to_decode.checked_sub(data.len() as u64).ok_or(BodyError::TooLong)?;
            if let Decoding::Hashed(hash, _) = &mut self.decoding {
                hash.update(&data);
            }
            if self.to_decode == 0 {
                self.held = Some(data);
            } else {
                return Ok(Some(data));
            }
        }
        Ok(None)
    }

    /// The wire has ended: is this what was declared and signed?
    fn verify_end(&mut self) -> Result<(), BodyError> {
        match &mut self.decoding {
            Decoding::Form(file) => {
                file.finish()?;
                self.to_decode = 0;
            }
            Decoding::Chunked(decoder) => {
                let headers = decoder.finish()?;
                if let Some(slot) = &self.trailers {
                    slot.set(headers);
                }
            }
            Decoding::Hashed(..) | Decoding::Plain if self.to_decode > 0 => return Err(BodyError::Incomplete),
            Decoding::Hashed(hash, signed) => {
                if !bool::from(std::mem::take(hash).finish().ct_eq(&*signed)) {
                    return Err(BodyError::HashMismatch);
                }
            }
            Decoding::Unmeasured => self.to_decode = 0,
            Decoding::Plain => {}
        }
        if self.to_decode > 0 {
            return Err(BodyError::Incomplete);
        }
        self.progress = Progress::Verified;
        Ok(())
    }
}

impl<B> EdgeBody<B>
where
    B: Body<Data = Bytes> + Unpin + Send + 'static,
    B::Error: Into<BoxError>,
{
    /// The same body as the gateway takes it.
    #[must_use]
    pub fn into_plain(self) -> PlainBody {
        let (len, trailers) = (self.to_deliver, self.trailers.clone());
        let length_is = self.decoding.length_is();
        let mut body = self;
        let stream = futures::stream::poll_fn(move |cx| {
            let frame = ready!(Pin::new(&mut body).poll_frame(cx));
            Poll::Ready(frame.map(|frame| frame.map(|frame| frame.into_data().unwrap_or_default())))
        });
        PlainBody { stream: Box::pin(stream), len, length_is, trailers }
    }
}

impl<B> Body for EdgeBody<B>
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: Into<BoxError>,
{
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let this = self.get_mut();
        if this.progress == Progress::Ended {
            return Poll::Ready(None);
        }
        Poll::Ready(match ready!(this.poll_next(cx)) {
            Ok(Some(data)) => {
                this.to_deliver = this.to_deliver.saturating_sub(data.len() as u64);
                if this.to_deliver == 0 {
                    this.progress = Progress::Ended;
                }
                Some(Ok(Frame::data(data)))
            }
            Ok(None) => None,
            Err(error) => {
                this.progress = Progress::Ended;
                this.held = None;
                this.failure.set(&error);
                Some(Err(error))
            }
        })
    }

    fn is_end_stream(&self) -> bool {
        self.progress == Progress::Ended
    }

    fn size_hint(&self) -> SizeHint {
        let mut hint = SizeHint::new();
        match self.decoding.length_is() {
            LengthIs::Ceiling => hint.set_upper(self.to_deliver),
            LengthIs::Declared => hint.set_exact(self.to_deliver),
        }
        hint
    }
}

/// Times the silence between frames. The timer is set only when there is nothing to read, once per silence.
struct Idle {
    timeout: Duration,
    sleep: Option<Pin<Box<Sleep>>>,
    armed: bool,
}

impl Idle {
    fn poll_expired(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let timeout = self.timeout;
        let sleep = self.sleep.get_or_insert_with(|| Box::pin(tokio::time::sleep(timeout)));
        if !self.armed {
            sleep.as_mut().reset(Instant::now() + timeout);
            self.armed = true;
        }
        sleep.as_mut().poll(cx)
    }
}

/// A connection's end before the body's is the client's doing and has its own answer.
pub(super) fn connection_error(error: &(dyn Error + 'static)) -> BodyError {
    let mut cause = Some(error);
    while let Some(current) = cause {
        if let Some(hyper) = current.downcast_ref::<hyper::Error>() {
            if hyper.is_timeout() {
                return BodyError::Timeout;
            }
            if hyper.is_incomplete_message() || hyper.is_closed() {
                return BodyError::Incomplete;
            }
        }
        if let Some(io) = current.downcast_ref::<io::Error>() {
            use io::ErrorKind as Kind;
            if matches!(io.kind(), Kind::UnexpectedEof | Kind::ConnectionReset | Kind::ConnectionAborted) {
                return BodyError::Incomplete;
            }
        }
        cause = current.source();
    }
    BodyError::Connection(error.to_string())
}
