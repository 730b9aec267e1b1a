//! The audit trail's way into a bucket: each finished file becomes an object there, once.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt as _;
use tokio::io::AsyncReadExt as _;
use tokio_util::io::ReaderStream;
use tokio_util::sync::CancellationToken;

use crate::audit::{self, Closed, Trail};
use crate::gateway::{self, BodyError, Gateway, LengthIs, PlainBody};
use crate::types::{BucketName, ObjectAt, ParseError};

/// How often finished files are looked for. Hours end rarely; what failed is tried again.
const LOOK: Duration = Duration::from_secs(60);
/// Bytes read at a time.
const PIECE: usize = 64 << 10;
/// As whom the trail is written, for key policies and the trail itself.
const SERVICE: &str = "sealgate audit";

/// Where the trail goes.
#[derive(Debug, Clone)]
pub(crate) struct Destination {
    /// The bucket. It need not be there yet.
    pub(crate) bucket: BucketName,
    /// What its objects' keys begin with: the configured prefix and the region.
    pub(crate) prefix: String,
}

#[derive(Debug, thiserror::Error)]
enum Error {
    #[error(transparent)]
    Trail(#[from] audit::Error),
    #[error(transparent)]
    Gateway(#[from] gateway::Error),
    #[error("{0}")]
    File(#[from] std::io::Error),
    #[error("no object can have this name: {0}")]
    Name(#[from] ParseError),
}

/// Delivers what is finished, again and again, until the end.
pub(crate) async fn keep_delivering(
    trail: &Trail,
    gateway: &Arc<Gateway>,
    to: &Destination,
    shutdown: &CancellationToken,
) {
    loop {
        let round = async {
            if let Err(error) = deliver_closed(trail, gateway, to).await {
                tracing::warn!(%error, bucket = %to.bucket, "the audit trail is not delivered; trying again");
            }
            tokio::time::sleep(LOOK).await;
        };
        tokio::select! {
            () = shutdown.cancelled() => return,
            () = round => {}
        }
    }
}

/// Delivers what is finished, in order; stops where one fails.
async fn deliver_closed(trail: &Trail, gateway: &Gateway, to: &Destination) -> Result<(), Error> {
    for closed in trail.closed().await? {
        let at = ObjectAt { bucket: to.bucket.clone(), key: format!("{}{}", to.prefix, closed.name).parse()? };
        let written =
            gateway.deliver(SERVICE, at, "application/x-ndjson", body(&closed.path, closed.len).await?).await?;
        tracing::debug!(file = %closed.path.display(), written, "delivered");
        mark(closed).await?;
    }
    Ok(())
}

/// A file's bytes. No more than these: they are all there.
async fn body(path: &Path, len: u64) -> Result<PlainBody, std::io::Error> {
    let file = tokio::fs::File::open(path).await?.take(len);
    let pieces = ReaderStream::with_capacity(file, PIECE);
    let stream = pieces.map(|piece| piece.map_err(|error| BodyError::Connection(error.to_string())));
    Ok(PlainBody { stream: Box::pin(stream), len, length_is: LengthIs::Declared, trailers: None })
}

async fn mark(closed: Closed) -> Result<(), Error> {
    let marked = tokio::task::spawn_blocking(move || closed.delivered()).await;
    Ok(marked.map_err(std::io::Error::other)??)
}
