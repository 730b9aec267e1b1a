//! Parts that an upstream takes out of pieces of any length, wherever those are.

use bytes::{Bytes, BytesMut};
use futures::TryStreamExt as _;

use super::gathered::Kept;
use super::headers::etag_of;
use super::multipart::LEAST_PART;
use super::objects::Opened;
use super::target::Spot;
use super::upload::Streaming;
use crate::store::{CipherOffset, Error, OpenObject as _};

/// The most that one copied part may have (S3: 5 GiB).
const MAX_PART: u64 = 5 << 30;
/// How much is read at once of what is staged.
const CHUNK: usize = 256 << 10;
/// A staged part of at most this many bytes is read whole, so that its sending can be repeated.
const SMALL: u64 = 16 << 20;

/// A stretch of the body.
#[derive(Debug, Clone)]
pub(super) enum Piece {
    /// In an object of the upstream, from an offset on.
    There { spot: Spot, start: u64, len: u64 },
    /// Here.
    Here(Bytes),
}

/// Sends pieces as one part.
pub(super) async fn send_pieces(raw: &Kept, number: u32, pieces: Vec<Piece>) -> Result<String, Error> {
    let len: u64 = pieces.iter().map(Piece::len).sum();
    if len <= SMALL {
        let mut all = BytesMut::new();
        for piece in &pieces {
            piece.read(|chunk| all.extend_from_slice(&chunk)).await?;
        }
        return raw.send(number, all.freeze()).await;
    }
    let client = &raw.spot.target.client;
    let mut streaming = Streaming::begin(client, raw.part_call(number), len);
    for piece in pieces {
        match piece {
            Piece::Here(bytes) => streaming.send(bytes).await?,
            Piece::There { spot, start, len } => {
                let mut chunks = read_range(&spot, start, len).await?;
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

async fn read_range(spot: &Spot, start: u64, len: u64) -> Result<crate::store::CipherStream, Error> {
    let object = spot.look_without_body().await?;
    let open = Opened { spot: spot.clone(), object };
    open.read(CipherOffset(start)..CipherOffset(start.saturating_add(len)), CHUNK).await
}

impl Piece {
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

    async fn read(&self, mut take: impl FnMut(Bytes)) -> Result<(), Error> {
        match self {
            Self::Here(bytes) => take(bytes.clone()),
            Self::There { spot, start, len } if *len > 0 => {
                let mut chunks = read_range(spot, *start, *len).await?;
                while let Some(chunk) = chunks.try_next().await? {
                    take(chunk.freeze());
                }
            }
            Self::There { .. } => {}
        }
        Ok(())
    }
}

/// Makes parts that an upstream takes out of pieces of any length: large stretches are copied where they are, small ones
/// are read and joined with their neighbours. What is here at a time is below 10 MiB.
pub(super) struct Stitching {
    upload: Kept,
    parts: Vec<(u32, String)>,
    filling: BytesMut,
}

impl Stitching {
    pub(super) fn new(upload: Kept) -> Self {
        Self { upload, parts: Vec::new(), filling: BytesMut::new() }
    }

    fn number(&self) -> u32 {
        u32::try_from(self.parts.len()).unwrap_or(u32::MAX).saturating_add(1)
    }

    pub(super) async fn stitch(mut self, pieces: Vec<Piece>) -> Result<Vec<(u32, String)>, Error> {
        for mut piece in pieces {
            if !self.filling.is_empty() || piece.len() < LEAST_PART {
                let missing = LEAST_PART.saturating_sub(self.filling.len() as u64);
                let left = piece.len().saturating_sub(missing);
                // A rest that could not stand alone comes along.
                let taken = if left < LEAST_PART { piece.len() } else { missing };
                let head = piece.split(taken);
                let filling = &mut self.filling;
                head.read(|chunk| filling.extend_from_slice(&chunk)).await?;
                if self.filling.len() as u64 >= LEAST_PART {
                    self.flush().await?;
                }
            }
            self.copy(piece).await?;
        }
        if !self.filling.is_empty() || self.parts.is_empty() {
            self.flush().await?;
        }
        Ok(self.parts)
    }

    async fn flush(&mut self) -> Result<(), Error> {
        let number = self.number();
        let etag = self.upload.send(number, self.filling.split().freeze()).await?;
        self.parts.push((number, etag));
        Ok(())
    }

    /// Copies a piece that is large enough, or nothing at all.
    async fn copy(&mut self, mut piece: Piece) -> Result<(), Error> {
        while piece.len() > 0 {
            let number = self.number();
            let most = if piece.len() > MAX_PART { MAX_PART / 2 } else { piece.len() };
            let etag = match piece.split(most) {
                Piece::There { spot, start, len } => {
                    self.upload.copy_part(number, &spot, start, start.saturating_add(len)).await?
                }
                Piece::Here(bytes) => self.upload.send(number, bytes).await?,
            };
            self.parts.push((number, etag));
        }
        Ok(())
    }
}
