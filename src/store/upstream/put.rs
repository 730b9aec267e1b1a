//! Writing objects. The last bytes wait for the commit, so that an upstream never has a whole body that the gateway has
//! not said yes to.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use http::Method;
use http::header::{DATE, HeaderMap, IF_MATCH};

use super::claims::{Claim, claim_of, under};
use super::client::{Again, Call};
use super::failure::Failure;
use super::gathered::Gathered;
use super::headers::{encode, etag_of, write_of};
use super::listing::http_date;
use super::lock::past;
use super::memory::Memory;
use super::objects::{split_tag, tag_of};
use super::reserved::create_only;
use super::target::{Spot, Target};
use super::upload::Streaming;
use crate::store::{
    Ahead, CipherOffset, Commit, Error, Governance, Metadata, ObjectWriter, Precondition, StoredObject, Versioning,
};
use crate::types::{Clock, ObjectAt, Timestamp, random};

/// A body of at most this many bytes is kept until its end, and sent in one piece that can be sent again.
pub(super) const IN_ONE_PIECE: u64 = 256 << 10;

/// The longest answer to a write, in bytes: none is expected to have a body at all.
pub(super) const MAX_ANSWER: usize = 64 << 10;

/// A fresh name for a write.
pub(super) fn fresh_write() -> Result<String, Error> {
    let bits: [u8; 8] = random().map_err(|error| Error::Unavailable(error.to_string()))?;
    Ok(hex::encode(bits))
}

/// How a body goes.
enum Way {
    /// All of it at the commit.
    InOnePiece(BytesMut),
    /// As it comes. The last bytes are held until the commit.
    Streamed { streaming: Streaming, held: Bytes },
    /// As an upload of parts, since nobody knows how long it will be.
    Gathered(Box<Gathered>),
}

/// A put in progress.
pub(super) struct PutWriter {
    spot: Spot,
    at: ObjectAt,
    metadata: Metadata,
    write: String,
    call: Call,
    len: Option<u64>,
    received: u64,
    way: Way,
    memory: Arc<Memory>,
    clock: Arc<dyn Clock>,
}

/// Where things come from that every write needs.
pub(super) struct Shop {
    pub(super) memory: Arc<Memory>,
    pub(super) clock: Arc<dyn Clock>,
}

impl PutWriter {
    /// Begins a write. Nothing goes out before the first bytes.
    pub(super) fn begin(
        spot: Spot,
        at: &ObjectAt,
        metadata: Metadata,
        ahead: &Ahead,
        shop: &Shop,
    ) -> Result<Self, Error> {
        let target = &spot.target;
        let write = fresh_write()?;
        let headers = encode(&metadata, &write, target.client.wire, target.abilities.metadata)?;
        let mut call = Call::object(Method::PUT, &spot.bucket, &spot.key).headers(headers.clone());
        match &ahead.precondition {
            Precondition::None => {}
            Precondition::Absent => {
                let (name, value) = create_only(target.client.wire);
                call.headers.insert(name, value);
            }
            // Judged here, too; but where the upstream can, also against writers without a condition.
            Precondition::Is(tag) if target.abilities.conditional_put => {
                call = call.header(IF_MATCH, &format!("\"{}\"", split_tag(tag).0));
            }
            Precondition::Is(_) => {}
        }
        let len = ahead.len.map(|len| len.0);
        let way = match len {
            Some(len) if len <= IN_ONE_PIECE => Way::InOnePiece(BytesMut::new()),
            Some(len) => {
                Way::Streamed { streaming: Streaming::begin(&target.client, call.clone(), len), held: Bytes::new() }
            }
            None => Way::Gathered(Box::new(Gathered::new(spot.clone(), headers))),
        };
        let (memory, clock) = (Arc::clone(&shop.memory), Arc::clone(&shop.clock));
        Ok(Self { spot, at: at.clone(), metadata, write, call, len, received: 0, way, memory, clock })
    }

    /// Sends the end of the body. Gives the headers of the answer.
    async fn end(&mut self, precondition: &Precondition) -> Result<HeaderMap, Error> {
        let client = Arc::clone(&self.spot.target.client);
        let outcome = match &mut self.way {
            Way::InOnePiece(bytes) => {
                if *precondition == Precondition::Absent {
                    let (name, value) = create_only(client.wire);
                    self.call.headers.insert(name, value);
                }
                let body = bytes.split().freeze();
                client.ask(&self.call, body, Again::IfRefused).await.map(|(headers, _)| headers)
            }
            Way::Streamed { streaming, held } => {
                streaming.send(std::mem::take(held)).await?;
                match streaming.finish().await {
                    Ok(answer) => {
                        let (head, body) = answer.into_parts();
                        // Read to its end, so that the connection can be used again.
                        client.collect(body, MAX_ANSWER).await.map(|_| head.headers)
                    }
                    Err(failure) => Err(failure),
                }
            }
            Way::Gathered(gathered) => {
                let done = gathered.complete().await;
                let Err(error) = done else { return done };
                return self.spot.standing(&self.write).await.ok_or(error);
            }
        };
        match outcome {
            Ok(headers) => Ok(headers),
            Err(failure) => self.settle(failure).await,
        }
    }

    /// Finds out what became of a write whose answer did not come: if it is what stands there, it was made.
    async fn settle(&self, failure: Failure) -> Result<HeaderMap, Error> {
        if !failure.is_doubtful() && !failure.is_refusal() {
            return Err(failure.into());
        }
        self.spot.standing(&self.write).await.ok_or_else(|| failure.into())
    }
}

#[async_trait]
impl ObjectWriter for PutWriter {
    async fn write(&mut self, chunk: Bytes) -> Result<(), Error> {
        self.received = self.received.saturating_add(chunk.len() as u64);
        if self.len.is_some_and(|len| self.received > len) {
            return Err(Error::Corrupt("a body is longer than was said of it".to_owned()));
        }
        match &mut self.way {
            Way::InOnePiece(bytes) => bytes.extend_from_slice(&chunk),
            Way::Streamed { streaming, held } => {
                if !chunk.is_empty() {
                    streaming.send(std::mem::replace(held, chunk)).await?;
                }
            }
            Way::Gathered(gathered) => gathered.write(chunk).await?,
        }
        Ok(())
    }

    async fn commit(mut self: Box<Self>, commit: Commit) -> Result<StoredObject, Error> {
        if self.len.is_some_and(|len| self.received != len) {
            return Err(Error::Corrupt("a body is shorter than was said of it".to_owned()));
        }
        // A condition that the request itself carries needs no turn.
        let foreign = self.spot.target.settings.foreign.contains(&self.at.bucket);
        // Where there are versions, a create-only write may be a version more (Ceph, OSS).
        let plain = self.spot.versioning == Versioning::Never;
        let by_itself = !foreign
            && match (&commit.precondition, &self.way) {
                (Precondition::None, _) => true,
                (Precondition::Absent, Way::InOnePiece(_)) => plain,
                (Precondition::Absent, Way::Streamed { .. }) => {
                    plain && self.call.headers.contains_key(create_only(self.spot.target.client.wire).0)
                }
                (Precondition::Absent, Way::Gathered(_)) | (Precondition::Is(_), _) => false,
            };
        let claim = if by_itself { None } else { Some(judged(&self.spot, &self.at, &commit.precondition).await?) };
        let headers = under(claim, self.end(&commit.precondition)).await?;
        let version = self.spot.made(&headers, &self.write, &self.metadata).await;
        self.spot.at_version(&version).lock(&commit.lock).await?;
        let object = StoredObject {
            version,
            tag: tag_of(&etag_of(&headers), &self.write),
            modified: written_at(&headers, self.clock.as_ref()),
            lock: commit.lock,
            metadata: self.metadata,
            summary: commit.summary,
            tail: Bytes::new(),
            len: CipherOffset(self.received),
        };
        // A staged part has none: it is no object.
        if !object.summary.is_empty() {
            self.memory.keep(&self.at, &object);
        }
        Ok(object)
    }
}

/// Waits for the turn at an object where one is needed: to judge a condition, or because the object may just be brought
/// under encryption by somebody who must not lay what it was over what it is.
pub(super) async fn turn(spot: &Spot, at: &ObjectAt, precondition: &Precondition) -> Result<Option<Claim>, Error> {
    let foreign = spot.target.settings.foreign.contains(&at.bucket);
    if *precondition == Precondition::None && !foreign {
        return Ok(None);
    }
    judged(spot, at, precondition).await.map(Some)
}

/// Waits for the turn at an object, and judges a condition of it.
pub(super) async fn judged(spot: &Spot, at: &ObjectAt, precondition: &Precondition) -> Result<Claim, Error> {
    let claim = Claim::wait(&spot.target.reserved, &claim_of(at)).await?;
    let there = match spot.with_amendments(at).tag().await {
        Ok(there) => there,
        Err(error) => {
            claim.release().await;
            return Err(error);
        }
    };
    let holds = match precondition {
        Precondition::None => true,
        Precondition::Absent => there.is_none(),
        Precondition::Is(tag) => there.as_ref() == Some(tag),
    };
    if holds {
        return Ok(claim);
    }
    claim.release().await;
    Err(Error::PreconditionFailed)
}

/// When a write was made, as far as its answer says: by the upstream's clock, to the second.
pub(super) fn written_at(headers: &HeaderMap, clock: &dyn Clock) -> Timestamp {
    let told = headers.get(http::header::LAST_MODIFIED).or(headers.get(DATE));
    let told = told.and_then(|value| value.to_str().ok()).and_then(http_date);
    told.unwrap_or(Timestamp(clock.now().0 / 1000 * 1000))
}

impl Spot {
    /// The headers of what a write made, if it is seen to have made anything: it is the object, or one of its versions.
    pub(super) async fn standing(&self, write: &str) -> Option<HeaderMap> {
        match self.headers().await {
            Ok(headers) if write_of(&headers, self.target.client.wire) == write => return Some(headers),
            Ok(_) | Err(Error::NoSuchObject) if self.versioning == Versioning::Enabled => {}
            _ => return None,
        }
        let version = self.made_by(write).await.ok().flatten()?;
        self.at_version(&version).headers().await.ok()
    }

    /// The object's headers.
    pub(super) async fn headers(&self) -> Result<HeaderMap, Error> {
        let call = self.call(Method::HEAD);
        let answer = self.target.client.send(&call, Bytes::new(), Again::Always).await?;
        Ok(answer.into_parts().0.headers)
    }

    /// Deletes what is there. Gives the headers of the answer, if there was something.
    pub(super) async fn remove(&self) -> Result<HeaderMap, Error> {
        self.remove_past(Governance::Heeded).await
    }

    /// The same, past what the caller may pass.
    pub(super) async fn remove_past(&self, governance: Governance) -> Result<HeaderMap, Error> {
        let call = past(self.call(Method::DELETE), governance);
        match self.target.client.ask(&call, Bytes::new(), Again::Always).await {
            Ok((headers, _)) => Ok(headers),
            Err(failure) if failure.code() == "NoSuchBucket" => Err(Error::NoSuchBucket),
            Err(failure) if failure.is_absence() => Ok(HeaderMap::new()),
            // Of a version, whose upstream takes our deletions otherwise.
            Err(failure) if self.version.is_some() && failure.is_denial() => Err(Error::Held),
            Err(failure) => Err(failure.into()),
        }
    }
}

/// A place in the reserved bucket as a spot.
pub(super) fn reserved_spot(target: &Arc<Target>, name: &str) -> Spot {
    Spot::new(target, target.settings.reserved.clone(), name.to_owned())
}
