//! The body of a request on its way upstream: nothing, bytes, or a stream of declared length.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use tokio::sync::mpsc;

/// A body of known length.
pub(super) enum Outgoing {
    /// Bytes that are all there; none at the end.
    Whole(Bytes),
    /// Chunks that are still being made. When whoever makes them goes away before `left` bytes have come, the body ends
    /// in an error, and with it the connection: nothing that is not whole becomes an object.
    Stream { chunks: mpsc::Receiver<Bytes>, left: u64 },
}

impl Body for Outgoing {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        match self.get_mut() {
            Self::Whole(bytes) if bytes.is_empty() => Poll::Ready(None),
            Self::Whole(bytes) => Poll::Ready(Some(Ok(Frame::data(std::mem::take(bytes))))),
            Self::Stream { left: 0, .. } => Poll::Ready(None),
            Self::Stream { chunks, left } => chunks.poll_recv(cx).map(|chunk| {
                let given_up = || io::Error::new(io::ErrorKind::UnexpectedEof, "the body was given up");
                let taken = chunk.and_then(|chunk| left.checked_sub(chunk.len() as u64).map(|rest| (chunk, rest)));
                let Some((chunk, rest)) = taken else { return Some(Err(given_up())) };
                *left = rest;
                Some(Ok(Frame::data(chunk)))
            }),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.remaining() == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.remaining())
    }
}

impl Outgoing {
    /// How many bytes are still to be sent.
    pub(super) fn remaining(&self) -> u64 {
        match self {
            Self::Whole(bytes) => bytes.len() as u64,
            Self::Stream { left, .. } => *left,
        }
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt as _;

    use super::*;

    #[tokio::test]
    async fn a_stream_that_is_given_up_or_too_long_ends_in_an_error() {
        for (chunks, left, good) in [(&[3, 4][..], 7, true), (&[3], 7, false), (&[3, 5], 7, false), (&[], 0, true)] {
            let (sender, receiver) = mpsc::channel(4);
            for &len in chunks {
                sender.send(Bytes::from(vec![0; len])).await.unwrap();
            }
            drop(sender);
            let collected = Outgoing::Stream { chunks: receiver, left }.collect().await;
            assert_eq!(collected.is_ok(), good, "{chunks:?}");
        }
    }
}
