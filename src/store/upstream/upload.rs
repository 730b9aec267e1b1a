//! One body on its way upstream, streamed: the request begins with the first byte and succeeds with the last.

use std::sync::Arc;

use bytes::Bytes;
use http::Response;
use hyper::body::Incoming;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::client::{Call, Client};
use super::failure::Failure;
use super::outgoing::Outgoing;
use crate::store::Error;

/// How many chunks may wait for the wire.
const WAITING: usize = 1;

/// A request whose body is being streamed. Dropped before its end it cuts the connection, and nothing becomes visible.
pub(super) struct Streaming {
    chunks: Option<mpsc::Sender<Bytes>>,
    answer: Option<JoinHandle<Result<Response<Incoming>, Failure>>>,
    client: Arc<Client>,
}

impl Streaming {
    /// Begins a request with a body of `len` bytes.
    pub(super) fn begin(client: &Arc<Client>, call: Call, len: u64) -> Self {
        let (chunks, receiver) = mpsc::channel(WAITING);
        let task = {
            let client = Arc::clone(client);
            async move { client.once(&call, Outgoing::Stream { chunks: receiver, left: len }).await }
        };
        Self { chunks: Some(chunks), answer: Some(tokio::spawn(task)), client: Arc::clone(client) }
    }

    /// Sends the next bytes. Waits while the upstream cannot keep up.
    pub(super) async fn send(&mut self, chunk: Bytes) -> Result<(), Error> {
        if chunk.is_empty() {
            return Ok(());
        }
        let sent = match &self.chunks {
            Some(chunks) => tokio::time::timeout(self.client.idle_timeout, chunks.send(chunk)).await,
            None => Ok(Err(mpsc::error::SendError(chunk))),
        };
        match sent {
            Ok(Ok(())) => Ok(()),
            // The request is over already: its answer says why.
            Ok(Err(_)) => match self.finish().await {
                Ok(_) => Err(Error::Unavailable("the upstream answered before the body had ended".to_owned())),
                Err(failure) => Err(failure.into()),
            },
            Err(_) => Err(Error::Unavailable("the upstream takes no more bytes".to_owned())),
        }
    }

    /// Waits for the answer.
    pub(super) async fn finish(&mut self) -> Result<Response<Incoming>, Failure> {
        self.chunks = None;
        let Some(mut answer) = self.answer.take() else {
            return Err(Failure::Broken("its answer was seen already".to_owned()));
        };
        match tokio::time::timeout(self.client.answer_timeout, &mut answer).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(_)) => Err(Failure::Broken("the request was given up".to_owned())),
            Err(_) => {
                answer.abort();
                Err(Failure::Broken("no answer in time".to_owned()))
            }
        }
    }
}

impl Drop for Streaming {
    fn drop(&mut self) {
        if let Some(answer) = self.answer.take() {
            answer.abort();
        }
    }
}
