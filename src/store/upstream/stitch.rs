//! Parts that an upstream takes out of pieces of any length, wherever those are.

use std::future::Future;

use bytes::{Bytes, BytesMut};
use futures::{StreamExt as _, TryStreamExt as _, stream};
use http::Method;
use http::header::RANGE;

use super::client::{Again, Call};
use super::gathered::Kept;
use super::headers::etag_of;
use super::multipart::LEAST_PART;
use super::objects::Opened;
use super::target::Spot;
use super::upload::Streaming;
use crate::store::{CipherOffset, Error, OpenObject as _};

#[cfg(test)]
mod tests;

/// The most that one copied part may have (S3: 5 GiB).
const MAX_PART: u64 = 5 << 30;
/// How much is read at once of what is streamed.
const CHUNK: usize = 256 << 10;
/// A staged part of at most this many bytes is read whole, so that its sending can be repeated.
const SMALL: u64 = 16 << 20;
/// What one request reads, at most, of what is joined.
const STRETCH: u64 = 512 << 10;
/// How many stretches of a part are read at once.
const READS: usize = 4;
/// How many parts are made at once: the next is read while one is sent.
const PARTS: usize = 2;

/// A piece of the body.
#[derive(Debug, Clone)]
pub(super) enum Piece<S = Spot> {
    /// In an object of the upstream, from an offset on.
    There { spot: S, start: u64, len: u64 },
    /// Here.
    Here(Bytes),
}

/// Sends pieces as one part.
pub(super) async fn send_pieces(raw: &Kept, number: u32, pieces: Vec<Piece>) -> Result<String, Error> {
    let len: u64 = pieces.iter().map(Piece::len).sum();
    if len <= SMALL {
        return raw.send(number, join(pieces, Piece::read).await?).await;
    }
    let client = &raw.spot.target.client;
    let mut streaming = Streaming::begin(client, raw.part_call(number), len);
    for piece in pieces {
        match piece {
            Piece::Here(bytes) => streaming.send(bytes).await?,
            Piece::There { spot, start, len } => {
                let object = spot.look_without_body().await?;
                let range = CipherOffset(start)..CipherOffset(start.saturating_add(len));
                let mut chunks = Opened { spot, object }.read(range, CHUNK).await?;
                while let Some(chunk) = chunks.try_next().await? {
                    streaming.send(chunk.freeze()).await?;
                }
            }
        }
    }
    let (head, body) = streaming.finish().await?.into_parts();
    client.collect(body, CHUNK).await?;
    Ok(etag_of(&head.headers))
}

impl<S: Clone> Piece<S> {
    fn len(&self) -> u64 {
        match self {
            Self::There { len, .. } => *len,
            Self::Here(bytes) => bytes.len() as u64,
        }
    }

    /// Takes the first bytes off.
    fn split(&mut self, wanted: u64) -> Self {
        match self {
            Self::There { spot, start, len } => {
                let taken = Self::There { spot: spot.clone(), start: *start, len: wanted };
                *start += wanted;
                *len -= wanted;
                taken
            }
            Self::Here(bytes) => Self::Here(bytes.split_to(usize::try_from(wanted).unwrap_or(usize::MAX))),
        }
    }

    /// The same in pieces that one request reads.
    fn stretches(mut self) -> impl Iterator<Item = Self> {
        std::iter::from_fn(move || {
            let len = self.len();
            let most = if matches!(self, Self::Here(_)) { len } else { len.min(STRETCH) };
            (len > 0).then(|| self.split(most))
        })
    }
}

impl Piece {
    /// What is in it. One request, and no look before it: nobody else writes to where a completion's pieces are.
    async fn read(self) -> Result<Bytes, Error> {
        let Self::There { spot, start, len } = self else {
            return Ok(if let Self::Here(bytes) = self { bytes } else { Bytes::new() });
        };
        let call = Call::object(Method::GET, &spot.bucket, &spot.key)
            .header(RANGE, &format!("bytes={start}-{}", start.saturating_add(len).saturating_sub(1)));
        let (_, bytes) = spot.target.client.ask(&call, Bytes::new(), Again::Always).await?;
        if bytes.len() as u64 != len {
            return Err(Error::Unavailable("the upstream gives a staged part another length".to_owned()));
        }
        Ok(bytes)
    }
}

/// Makes parts that an upstream takes out of pieces of any length: large stretches are copied where they are, small ones
/// are read and joined with their neighbours, up to [`READS`] of them at once in each of [`PARTS`] parts. A joined part is
/// shorter than 10 MiB and as a rule has 5, so that what is here at a time is below 24 MiB (two such parts and eight stretches
/// on their way), and as a rule 14.
pub(super) struct Stitching {
    upload: Kept,
}

impl Stitching {
    pub(super) fn new(upload: Kept) -> Self {
        Self { upload }
    }

    /// Gives the parts' numbers and ETags.
    pub(super) async fn stitch(self, pieces: Vec<Piece>) -> Result<Vec<(u32, String)>, Error> {
        make_all(plan(pieces), |number, part| self.make(number, part)).await
    }

    async fn make(&self, number: u32, mut part: Vec<Piece>) -> Result<String, Error> {
        if let [Piece::There { spot, start, len }] = part.as_slice()
            && *len >= LEAST_PART
        {
            return self.upload.copy_part(number, spot, *start, start.saturating_add(*len)).await;
        }
        let bytes = match part.as_mut_slice() {
            [Piece::Here(bytes)] => std::mem::take(bytes),
            _ => join(part, Piece::read).await?,
        };
        self.upload.send(number, bytes).await
    }
}

/// What each part is made of. A part of several pieces, or of a short one, goes through here.
fn plan<S: Clone>(pieces: Vec<Piece<S>>) -> Vec<Vec<Piece<S>>> {
    let mut parts = Vec::new();
    let mut joined: Vec<Piece<S>> = Vec::new();
    let mut filled = 0u64;
    for mut piece in pieces {
        if filled > 0 || piece.len() < LEAST_PART {
            let missing = LEAST_PART.saturating_sub(filled);
            let left = piece.len().saturating_sub(missing);
            // A rest that could not stand alone comes along.
            let taken = if left < LEAST_PART { piece.len() } else { missing };
            joined.push(piece.split(taken));
            filled = filled.saturating_add(taken);
            if filled >= LEAST_PART {
                parts.push(std::mem::take(&mut joined));
                filled = 0;
            }
        }
        while piece.len() > 0 {
            let most = if piece.len() > MAX_PART { MAX_PART / 2 } else { piece.len() };
            parts.push(vec![piece.split(most)]);
        }
    }
    if filled > 0 || parts.is_empty() {
        parts.push(joined);
    }
    parts
}

/// Makes parts, [`PARTS`] of them at once. Gives their numbers, which count from one, and what became of each.
async fn make_all<P, M, F, T>(parts: Vec<P>, make: M) -> Result<Vec<(u32, T)>, Error>
where
    M: Fn(u32, P) -> F,
    F: Future<Output = Result<T, Error>>,
{
    let making = (1u32..).zip(parts).map(|(number, part)| {
        let made = make(number, part);
        async move { Ok((number, made.await?)) }
    });
    stream::iter(making).buffered(PARTS).try_collect().await
}

/// Reads pieces, [`READS`] stretches of them at once, and joins them in their order.
async fn join<S, R, F>(pieces: Vec<Piece<S>>, read: R) -> Result<Bytes, Error>
where
    S: Clone,
    R: Fn(Piece<S>) -> F,
    F: Future<Output = Result<Bytes, Error>>,
{
    let len: u64 = pieces.iter().map(Piece::len).sum();
    let mut all = BytesMut::with_capacity(usize::try_from(len).unwrap_or_default());
    let stretches = pieces.into_iter().flat_map(Piece::stretches);
    let mut reads = stream::iter(stretches).map(read).buffered(READS);
    while let Some(bytes) = reads.try_next().await? {
        all.extend_from_slice(&bytes);
    }
    Ok(all.freeze())
}
