//! Looking at objects and reading them. One request tells all of an object: its headers have the metadata, and the
//! suffix of its body has the manifest.

use std::ops::Range;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::{Buf as _, Bytes, BytesMut};
use futures::stream;
use http::header::{CONTENT_LENGTH, CONTENT_RANGE, HeaderMap, IF_MATCH, LAST_MODIFIED, RANGE};
use http::{Method, Response, StatusCode};
use hyper::body::Incoming;

use super::client::{Again, Call, is_empty_range};
use super::failure::Failure;
use super::headers::{decode, etag_of, write_of};
use super::listing::http_date;
use super::lock::lock_in;
use super::target::Spot;
use super::versions::VERSION;
use crate::store::{CipherOffset, CipherStream, Error, OpenObject, StoredObject, StoredTag};
use crate::types::Timestamp;

/// How much of a body's end comes with a look at it: the manifest of some eighty parts, or all of a small object.
pub(super) const TAIL: u64 = 8 << 10;
/// How often a body that breaks off is gone on with.
const RESUMES: usize = 4;

/// The store's name for a body: the upstream's ETag, and which write it was, since equal bodies have equal ETags.
pub(super) fn tag_of(etag: &str, write: &str) -> StoredTag {
    StoredTag(format!("{etag}:{write}"))
}

/// The two halves of a tag: ETag and write. How often its metadata was amended since makes no other body.
pub(super) fn split_tag(tag: &StoredTag) -> (&str, &str) {
    let (etag, rest) = tag.0.split_once(':').unwrap_or((&tag.0, ""));
    (etag, rest.split('+').next().unwrap_or_default())
}

/// The first byte, the byte after the last, and the whole length, of a `Content-Range`.
fn content_range(headers: &HeaderMap) -> Option<(u64, u64, u64)> {
    let text = headers.get(CONTENT_RANGE)?.to_str().ok()?.strip_prefix("bytes ")?;
    let (range, total) = text.split_once('/')?;
    let (first, last) = range.split_once('-')?;
    Some((first.parse().ok()?, last.parse::<u64>().ok()?.checked_add(1)?, total.parse().ok()?))
}

fn content_length(headers: &HeaderMap) -> Option<u64> {
    headers.get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

/// An answer that says something impossible: not a clean end, and nothing to go on with.
fn lies(what: &str) -> Error {
    Error::Unavailable(format!("the upstream's answer contradicts itself: {what}"))
}

impl Spot {
    /// A request about the version that is meant.
    pub(super) fn call(&self, method: Method) -> Call {
        let call = Call::object(method, &self.bucket, &self.key);
        match &self.version {
            Some(version) => call.query(VERSION, version.clone()),
            None => call,
        }
    }

    fn described(&self, headers: &HeaderMap, len: u64, tail: Bytes) -> Result<StoredObject, Error> {
        let (metadata, write) = decode(headers, self.target.client.wire);
        let modified = headers.get(LAST_MODIFIED).and_then(|value| value.to_str().ok()).and_then(http_date);
        Ok(StoredObject {
            version: self.served(headers, &metadata)?,
            metadata,
            summary: Bytes::new(),
            tail,
            len: CipherOffset(len),
            tag: tag_of(&etag_of(headers), &write),
            modified: modified.unwrap_or(Timestamp(0)),
            lock: lock_in(headers),
        })
    }

    /// Looks at the object.
    ///
    /// # Errors
    /// [`Error::NoSuchObject`], [`Error::DeleteMarker`]; [`Error::Unavailable`].
    pub(super) async fn look(&self) -> Result<StoredObject, Error> {
        match self.amended(self.look_at_end()).await {
            Err(Error::NoSuchObject) => Err(self.absence().await?),
            looked => looked,
        }
    }

    async fn look_at_end(&self) -> Result<StoredObject, Error> {
        let client = &self.target.client;
        let call = self.call(Method::GET).header(RANGE, &format!("bytes=-{TAIL}"));
        let mut left = RESUMES;
        loop {
            let answer = match client.send(&call, Bytes::new(), Again::Always).await {
                Ok(answer) => answer,
                // An empty body has no suffix. One that is not empty by now has come in between, and is looked at anew.
                Err(failure) if is_empty_range(&failure) => {
                    let object = self.look_at_headers().await?;
                    if object.len == CipherOffset(0) {
                        return Ok(object);
                    }
                    left = left.checked_sub(1).ok_or(Error::Changed)?;
                    continue;
                }
                Err(failure) => return Err(failure.into()),
            };
            let (head, body) = answer.into_parts();
            let declared = content_length(&head.headers);
            let len = match head.status {
                StatusCode::PARTIAL_CONTENT => content_range(&head.headers).map(|(_, _, len)| len),
                // Small enough to be all there, or a server that knows no ranges.
                _ => declared.filter(|&len| len <= TAIL),
            };
            let len = len.ok_or_else(|| lies("a range without a length"))?;
            let tail = match client.collect(body, usize::try_from(TAIL).unwrap_or(usize::MAX)).await {
                Ok(tail) => tail,
                Err(_) if left > 0 => {
                    left -= 1;
                    continue;
                }
                Err(failure) => return Err(failure.into()),
            };
            if tail.len() as u64 != len.min(TAIL) {
                return Err(lies("a suffix of another length"));
            }
            return self.described(&head.headers, len, tail);
        }
    }

    /// Looks at the headers only.
    pub(super) async fn look_without_body(&self) -> Result<StoredObject, Error> {
        self.amended(self.look_at_headers()).await
    }

    async fn look_at_headers(&self) -> Result<StoredObject, Error> {
        let answer = self.target.client.send(&self.call(Method::HEAD), Bytes::new(), Again::Always).await?;
        let headers = answer.headers();
        let len = content_length(headers).ok_or_else(|| lies("no length"))?;
        self.described(headers, len, Bytes::new())
    }

    /// The object's tag and nothing else; `None` when there is no object.
    pub(super) async fn tag(&self) -> Result<Option<StoredTag>, Error> {
        match self.look_without_body().await {
            Ok(object) => Ok(Some(object.tag)),
            Err(Error::NoSuchObject) => Ok(None),
            Err(error) => Err(error),
        }
    }
}

/// An object that was looked at, or is remembered.
pub(super) struct Opened {
    pub(super) spot: Spot,
    pub(super) object: StoredObject,
}

#[async_trait]
impl OpenObject for Opened {
    fn object(&self) -> &StoredObject {
        &self.object
    }

    fn asks_for_each_read(&self) -> bool {
        true
    }

    async fn read(&self, range: Range<CipherOffset>, chunk: usize) -> Result<CipherStream, Error> {
        let (start, end) = (range.start.0, range.end.0);
        let len = self.object.len.0;
        if start > end || end > len {
            return Err(Error::Corrupt("a range beyond the body".to_owned()));
        }
        if start == end {
            return Ok(Box::pin(stream::empty()));
        }
        let tail_start = len.saturating_sub(self.object.tail.len() as u64);
        let mut reading = Reading {
            spot: self.spot.clone(),
            tag: self.object.tag.clone(),
            modified: self.object.modified,
            len,
            next: start,
            end,
            chunk: chunk.max(1),
            body: None,
            pending: Bytes::new(),
            rest: 0,
            resumes: RESUMES,
        };
        if start >= tail_start {
            // It came with the look: no request for what is here.
            let from = usize::try_from(start - tail_start).unwrap_or(usize::MAX);
            let to = usize::try_from(end - tail_start).unwrap_or(usize::MAX);
            reading.pending = self.object.tail.slice(from.min(to)..to.min(self.object.tail.len()));
            reading.next = end;
        } else {
            // Now, so that an object which is another by now is an error answer and not a cut body.
            reading.request().await?;
        }
        let reading = stream::try_unfold(reading, |mut reading| async move {
            Ok(reading.chunk().await?.map(|chunk| (chunk, reading)))
        });
        Ok(Box::pin(reading))
    }
}

/// A range on its way in.
struct Reading {
    spot: Spot,
    tag: StoredTag,
    modified: Timestamp,
    len: u64,
    /// The next byte that has not been given out or put into `pending`.
    next: u64,
    end: u64,
    chunk: usize,
    body: Option<Incoming>,
    /// What came and has no place in a chunk yet.
    pending: Bytes,
    /// How many bytes come after the end that nobody asked for.
    rest: u64,
    resumes: usize,
}

impl Reading {
    /// Asks for what is still to come, of the write that was looked at and of no other.
    async fn request(&mut self) -> Result<(), Error> {
        let client = Arc::clone(&self.spot.target.client);
        let (etag, write) = split_tag(&self.tag);
        // A range makes some stores slower: where all is wanted but the manifest, all is asked for.
        let all = self.next == 0 && self.len.saturating_sub(self.end) <= TAIL;
        let mut call = self.spot.call(Method::GET).header(IF_MATCH, &format!("\"{etag}\""));
        if !all {
            call = call.header(RANGE, &format!("bytes={}-{}", self.next, self.end.saturating_sub(1)));
        }
        let answer: Response<Incoming> = match client.send(&call, Bytes::new(), Again::Always).await {
            Ok(answer) => answer,
            Err(failure) if failure.is_refusal() || failure.is_absence() || is_empty_range(&failure) => {
                return Err(Error::Changed);
            }
            Err(failure) => return Err(failure.into()),
        };
        let headers = answer.headers();
        let modified = headers.get(LAST_MODIFIED).and_then(|value| value.to_str().ok()).and_then(http_date);
        // A change of metadata alone keeps the ETag.
        if etag_of(headers) != etag || write_of(headers, client.wire) != write || modified != Some(self.modified) {
            return Err(Error::Changed);
        }
        let expected = if all { (0, self.len, self.len) } else { (self.next, self.end, self.len) };
        let whole = answer.status() == StatusCode::OK && (expected.0, expected.1) == (0, self.len);
        if !whole && content_range(headers) != Some(expected) {
            return Err(lies("another range than was asked for"));
        }
        if content_length(headers).is_some_and(|len| len != expected.1.saturating_sub(expected.0)) {
            return Err(lies("a range of another length"));
        }
        self.rest = expected.1.saturating_sub(self.end);
        self.body = Some(answer.into_body());
        Ok(())
    }

    /// Takes the next bytes off the wire; goes on with a new request where the old one broke off.
    async fn fill(&mut self) -> Result<(), Error> {
        loop {
            let failure = match &mut self.body {
                None => None,
                Some(body) => match self.spot.target.client.next_chunk(body).await {
                    Ok(Some(mut bytes)) => {
                        let left = self.end - self.next;
                        let more = (bytes.len() as u64).saturating_sub(left);
                        if more > self.rest {
                            return Err(lies("more than was asked for"));
                        }
                        self.rest -= more;
                        bytes.truncate(usize::try_from(left).unwrap_or(usize::MAX));
                        self.next += bytes.len() as u64;
                        self.pending = bytes;
                        return Ok(());
                    }
                    Ok(None) => Some(Failure::Broken("its body ends too early".to_owned())),
                    Err(failure) => Some(failure),
                },
            };
            if let Some(failure) = failure {
                self.body = None;
                if self.resumes == 0 {
                    return Err(failure.into());
                }
                self.resumes -= 1;
                tracing::debug!(%failure, "going on with a body that broke off");
            }
            self.request().await?;
        }
    }

    /// The next chunk, of exactly the length asked for except at the end.
    async fn chunk(&mut self) -> Result<Option<BytesMut>, Error> {
        // What is pending was counted when it came; a tail is pending as a whole from the start.
        if self.pending.is_empty() && self.next == self.end {
            return Ok(None);
        }
        let mut chunk = BytesMut::with_capacity(self.expected());
        loop {
            let taken = self.pending.len().min(self.chunk - chunk.len());
            chunk.extend_from_slice(&self.pending[..taken]);
            self.pending.advance(taken);
            let ended = self.pending.is_empty() && self.next == self.end;
            if ended {
                self.let_end().await;
            }
            if ended || chunk.len() == self.chunk {
                return Ok(Some(chunk));
            }
            self.fill().await?;
        }
    }

    /// Takes what comes after the end off the wire: a connection that is left in the middle of an answer is lost.
    async fn let_end(&mut self) {
        let Some(mut body) = self.body.take().filter(|_| self.rest > 0) else { return };
        while let Ok(Some(bytes)) = self.spot.target.client.next_chunk(&mut body).await {
            self.rest = self.rest.saturating_sub(bytes.len() as u64);
            if self.rest == 0 {
                return;
            }
        }
    }

    fn expected(&self) -> usize {
        let left = usize::try_from(self.end - self.next).unwrap_or(usize::MAX);
        left.saturating_add(self.pending.len()).min(self.chunk)
    }
}
