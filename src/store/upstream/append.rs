//! Growing an object: what stays is copied inside the upstream where that is worth it, and what is new follows.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use futures::TryStreamExt as _;

use super::claims::{Claim, claim_of};
use super::gathered::Gathered;
use super::headers::{encode, etag_of};
use super::objects::{Opened, tag_of};
use super::put::{Shop, fresh_write, written_at};
use super::target::Spot;
use crate::store::{
    CipherOffset, Commit, Error, Growth, ObjectLock, ObjectWriter, OpenObject as _, StoredObject, Versioning,
};
use crate::types::{ObjectAt, VersionId};

/// How much is read at once of what stays and is not worth a copy inside the upstream.
const CHUNK: usize = 256 << 10;

/// An append in progress. Those of one object take turns at the commit; in between, it is seen to be the same.
pub(super) struct AppendWriter {
    spot: Spot,
    at: ObjectAt,
    growth: Growth,
    write: String,
    body: Gathered,
    len: u64,
    /// The version that grows.
    version: VersionId,
    shop: Shop,
}

impl AppendWriter {
    pub(super) async fn begin(spot: Spot, at: &ObjectAt, growth: Growth, shop: &Shop) -> Result<Self, Error> {
        let object = match spot.look().await {
            Err(Error::NoSuchObject | Error::DeleteMarker(_)) => return Err(Error::Changed),
            found => found?,
        };
        if object.tag != growth.was {
            return Err(Error::Changed);
        }
        // What it becomes would be the `null` version, and replace the one that may be there.
        if spot.versioning == Versioning::Suspended && !object.version.is_null() {
            return Err(Error::Unsupported(
                "an append to a kept version, where versioning is suspended, on an upstream store",
            ));
        }
        let keep = growth.keep.0;
        if keep > object.len.0 {
            return Err(Error::Corrupt("more is to be kept of a body than there is".to_owned()));
        }
        let write = fresh_write()?;
        let target = &spot.target;
        let headers = encode(&growth.metadata, &write, target.client.wire, target.abilities.metadata)?;
        let version = object.version.clone();
        let mut body = Gathered::new(spot.clone(), headers);
        if !body.copy(&spot, keep).await? {
            let open = Opened { spot: spot.clone(), object };
            let mut chunks = open.read(CipherOffset(0)..growth.keep, CHUNK).await?;
            while let Some(chunk) = chunks.try_next().await? {
                body.write(chunk.freeze()).await?;
            }
        }
        let shop = Shop { memory: Arc::clone(&shop.memory), clock: Arc::clone(&shop.clock) };
        Ok(Self { spot, at: at.clone(), growth, write, body, len: keep, version, shop })
    }
}

#[async_trait]
impl ObjectWriter for AppendWriter {
    async fn write(&mut self, chunk: Bytes) -> Result<(), Error> {
        self.len = self.len.saturating_add(chunk.len() as u64);
        self.body.write(chunk).await
    }

    async fn commit(mut self: Box<Self>, commit: Commit) -> Result<StoredObject, Error> {
        let claim = Claim::wait(&self.spot.target.reserved, &claim_of(&self.at)).await?;
        let grown = async {
            // A tag never comes back: that it is the same now says that it was all the time.
            let ended = match self.spot.with_amendments(&self.at).tag().await {
                Ok(Some(tag)) if tag == self.growth.was => self.body.complete().await,
                Ok(_) => Err(Error::Changed),
                Err(error) => Err(error),
            };
            match ended {
                Err(error @ Error::Unavailable(_)) => self.spot.standing(&self.write).await.ok_or(error),
                ended => ended,
            }
        };
        let headers = claim.hold(grown).await?;
        let version = self.spot.made(&headers, &self.write, &self.growth.metadata).await;
        self.replaced(&version).await;
        let object = StoredObject {
            version,
            tag: tag_of(&etag_of(&headers), &self.write),
            modified: written_at(&headers, self.shop.clock.as_ref()),
            lock: ObjectLock::default(),
            metadata: self.growth.metadata,
            summary: commit.summary,
            tail: Bytes::new(),
            len: CipherOffset(self.len),
        };
        self.shop.memory.keep(&self.at, &object);
        Ok(object)
    }
}

impl AppendWriter {
    /// The version that was grown is no version of its own any more.
    async fn replaced(&self, grown: &VersionId) {
        if self.version == *grown || self.version.is_null() {
            return;
        }
        let old = Spot { version: self.version.own().map(str::to_owned), ..self.spot.clone() };
        if let Err(error) = old.remove().await {
            tracing::warn!(%error, "what was appended to stays as a version of its own");
        }
    }
}
