//! An object's plaintext on its way out, as an HTTP body of known length.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};

use crate::gateway::{Error, PlainOut};

/// Why a body was cut. hyper closes the connection on it, so that the client never sees a clean end.
#[derive(Debug, thiserror::Error)]
pub(super) enum Cut {
    /// Reading or authenticating the object failed.
    #[error("the object could not be read to its end")]
    Failed(#[source] Error),
    /// The plaintext is not as long as was announced.
    #[error("the object's plaintext is not as long as announced")]
    Length,
}

/// A body that is held to its announced length.
pub(super) struct Measured {
    inner: PlainOut,
    remaining: u64,
    /// The last chunk, kept until the stream has ended well: hyper stops asking once the announced length is out, so an
    /// error after the last byte would go unseen.
    held: Option<Bytes>,
    over: bool,
}

/// A body of exactly `len` bytes.
pub(super) fn sized(inner: PlainOut, len: u64) -> Measured {
    Measured { inner, remaining: len, held: None, over: false }
}

impl Measured {
    fn cut(&mut self, why: Cut) -> Poll<Option<Result<Frame<Bytes>, Cut>>> {
        self.over = true;
        tracing::error!(error = &why as &dyn std::error::Error, "an object's body was cut");
        Poll::Ready(Some(Err(why)))
    }
}

impl Body for Measured {
    type Data = Bytes;
    type Error = Cut;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Cut>>> {
        let this = self.get_mut();
        if this.over {
            return Poll::Ready(None);
        }
        loop {
            match ready!(this.inner.as_mut().poll_next(cx)) {
                Some(Ok(chunk)) if chunk.is_empty() => {}
                Some(Ok(chunk)) => {
                    let left = u64::try_from(chunk.len()).ok().and_then(|len| this.remaining.checked_sub(len));
                    let Some(left) = left.filter(|_| this.held.is_none()) else { return this.cut(Cut::Length) };
                    if left == 0 {
                        this.held = Some(chunk);
                        continue;
                    }
                    this.remaining = left;
                    return Poll::Ready(Some(Ok(Frame::data(chunk))));
                }
                Some(Err(error)) => return this.cut(Cut::Failed(error)),
                None => {
                    return match this.held.take() {
                        Some(last) => {
                            this.over = true;
                            this.remaining = 0;
                            Poll::Ready(Some(Ok(Frame::data(last))))
                        }
                        None if this.remaining == 0 => {
                            this.over = true;
                            Poll::Ready(None)
                        }
                        None => this.cut(Cut::Length),
                    };
                }
            }
        }
    }

    // `is_end_stream` stays false until the stream has ended: its last word may be that the object does not verify.
    fn is_end_stream(&self) -> bool {
        self.over
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.remaining)
    }
}

impl fmt::Debug for Measured {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Measured").field("remaining", &self.remaining).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sse;
    use http_body_util::BodyExt as _;

    fn body(chunks: Vec<Result<Bytes, Error>>, len: u64) -> Measured {
        sized(Box::pin(futures::stream::iter(chunks)), len)
    }

    #[tokio::test]
    async fn a_body_of_the_announced_length_ends_well() {
        let body = body(vec![Ok(Bytes::from_static(b"abc")), Ok(Bytes::from_static(b"de"))], 5);
        assert_eq!(body.size_hint().exact(), Some(5));
        assert_eq!(body.collect().await.unwrap().to_bytes(), "abcde");
    }

    #[tokio::test]
    async fn the_last_bytes_wait_for_the_streams_good_end() {
        let failing = vec![
            Ok(Bytes::from_static(b"ab")),
            Ok(Bytes::from_static(b"cd")),
            Err(Error::Integrity(sse::Error::Manifest)),
        ];
        let mut body = body(failing, 4);
        assert_eq!(body.frame().await.unwrap().unwrap().into_data().unwrap(), "ab");
        assert!(body.frame().await.unwrap().is_err());
    }

    #[tokio::test]
    async fn short_long_and_failing_bodies_end_with_an_error() {
        let abc = || Ok(Bytes::from_static(b"abc"));
        assert!(body(vec![abc()], 4).collect().await.is_err());
        assert!(body(vec![abc(), abc()], 5).collect().await.is_err());
        assert!(body(vec![abc(), Err(Error::Integrity(sse::Error::Truncated))], 3).collect().await.is_err());
    }
}
