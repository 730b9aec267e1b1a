//! The two pumps: plaintext → segments → store, and store → segments → plaintext. Memory is a few segments each.

use std::collections::VecDeque;

use bytes::{Bytes, BytesMut};
use futures::{StreamExt as _, TryStreamExt as _};

use crate::sse::{BodyOpener, PartSealer, SealedPart};
use crate::store::{self, CipherStream, ObjectWriter, PartWriter};

use super::digest::{Computed, Digester};
use super::{BodyError, Error, LengthIs, PlainBody, PlainOut, TrailerSlot};

/// Ciphertext is handed to the store in batches of about this many bytes: four segments, so that a thread hop or an
/// upstream frame is paid once per batch and not per segment (limits.md §2).
const BATCH: usize = 256 << 10;

/// A client's chunk is sealed in pieces of at most this many bytes, so that the buffers in flight are as long as a
/// batch and not as whatever the client sends at once.
const PIECE: usize = 64 << 10;

/// How far a body of unknown length is read ahead.
const AHEAD: u64 = 64 << 10;

/// Where ciphertext goes: an object or a part.
pub(super) enum Sink {
    Object(Box<dyn ObjectWriter>),
    Part(Box<dyn PartWriter>),
}

impl Sink {
    /// Takes the next bytes.
    pub(super) async fn take(&mut self, chunk: Bytes) -> Result<(), store::Error> {
        match self {
            Self::Object(writer) => writer.write(chunk).await,
            Self::Part(writer) => writer.write(chunk).await,
        }
    }

    /// Makes what went in an object.
    pub(super) async fn commit_object(self, commit: store::Commit) -> Result<store::StoredObject, store::Error> {
        match self {
            Self::Object(writer) => writer.commit(commit).await,
            Self::Part(_) => Err(store::Error::Corrupt("a part is no object".to_owned())),
        }
    }

    /// Makes what went in a part.
    pub(super) async fn commit_part(self, record: Bytes) -> Result<store::StoredPart, store::Error> {
        match self {
            Self::Part(writer) => writer.commit(record).await,
            Self::Object(_) => Err(store::Error::Corrupt("an object is no part".to_owned())),
        }
    }
}

/// Plaintext on its way in: from a client, or from another object.
pub(super) struct Intake {
    pub(super) stream: PlainOut,
    pub(super) len: u64,
    pub(super) length_is: LengthIs,
    pub(super) trailers: Option<TrailerSlot>,
}

impl From<PlainBody> for Intake {
    fn from(body: PlainBody) -> Self {
        Self {
            stream: Box::pin(body.stream.map_err(Error::from)),
            len: body.len,
            length_is: body.length_is,
            trailers: body.trailers,
        }
    }
}

/// What went through the pump: the part as the manifest will pin it, its digests, and the last bytes of ciphertext,
/// which the caller hands on (an object's manifest follows in the same batch).
pub(super) struct Sealed {
    pub(super) part: SealedPart,
    pub(super) digests: Computed,
    pub(super) rest: BytesMut,
}

impl Intake {
    /// A body of no bytes.
    pub(super) fn nothing() -> Self {
        Self { stream: Box::pin(futures::stream::empty()), len: 0, length_is: LengthIs::Declared, trailers: None }
    }

    /// Reads ahead as far as it takes to know how long a short body is. Gives back the body, none of it lost, and how many
    /// bytes it has, or at least has.
    pub(super) async fn look_ahead(mut self) -> Result<(Self, u64), Error> {
        if self.length_is == LengthIs::Declared && self.len > 0 {
            let len = self.len;
            return Ok((self, len));
        }
        let (mut ahead, mut len) = (Vec::new(), 0u64);
        while len < AHEAD {
            let Some(chunk) = self.stream.next().await else { break };
            let chunk = chunk?;
            len = len.saturating_add(chunk.len() as u64);
            ahead.push(Ok(chunk));
        }
        self.stream = Box::pin(futures::stream::iter(ahead).chain(self.stream));
        Ok((self, len))
    }
}

/// Seals a body into a sink. Nothing is committed here: the caller commits after this has returned `Ok`, which it does
/// only when the body ended well, with its declared length and every declared digest.
pub(super) async fn seal_into(
    body: Intake,
    sealer: PartSealer,
    digester: Digester,
    sink: &mut Sink,
) -> Result<Sealed, Error> {
    seal_behind(Intake::nothing().stream, body, sealer, digester, sink).await
}

/// As [`seal_into`], behind plaintext that was stored before: it goes into the same part, and no digest is about it.
pub(super) async fn seal_behind(
    mut before: PlainOut,
    mut body: Intake,
    mut sealer: PartSealer,
    mut digester: Digester,
    sink: &mut Sink,
) -> Result<Sealed, Error> {
    // Empty: it takes over the sealer's buffers.
    let mut out = BytesMut::new();
    while let Some(chunk) = before.next().await {
        push(&chunk?, &mut sealer, &mut out, sink).await?;
    }
    let mut received = 0u64;
    while let Some(chunk) = body.stream.next().await {
        let chunk = chunk?;
        received = received.saturating_add(chunk.len() as u64);
        if received > body.len {
            return Err(BodyError::TooLong.into());
        }
        digester.update(&chunk);
        push(&chunk, &mut sealer, &mut out, sink).await?;
    }
    if received != body.len && body.length_is == LengthIs::Declared {
        return Err(BodyError::Incomplete.into());
    }
    let digests = digester.finish(body.trailers.as_ref())?;
    let part = sealer.finish(&mut out)?;
    Ok(Sealed { part, digests, rest: out })
}

async fn push(chunk: &[u8], sealer: &mut PartSealer, out: &mut BytesMut, sink: &mut Sink) -> Result<(), Error> {
    for piece in chunk.chunks(PIECE) {
        sealer.push(piece, out)?;
        if out.len() >= BATCH {
            sink.take(out.split().freeze()).await?;
        }
        if sealer.aead().is_slow() {
            tokio::task::yield_now().await;
        }
    }
    Ok(())
}

struct Opening {
    cipher: CipherStream,
    /// Until the end.
    opener: Option<BodyOpener>,
    ready: VecDeque<Bytes>,
    ended: bool,
}

impl Opening {
    /// The next plaintext. The last chunk is held back until the whole read has verified: once a client has the
    /// declared number of bytes it takes the answer as complete, so an error after that would come too late.
    async fn next(&mut self) -> Result<Option<Bytes>, Error> {
        while !self.ended && self.ready.len() < 2 {
            match self.cipher.next().await {
                Some(chunk) => {
                    let chunk = chunk?;
                    let Some(opener) = &mut self.opener else { break };
                    opener.push(chunk);
                    let slow = opener.aead().is_slow();
                    while let Some(plain) = opener.next().map_err(Error::Integrity)? {
                        self.ready.push_back(plain);
                        if slow {
                            tokio::task::yield_now().await;
                        }
                    }
                }
                None => {
                    if let Some(opener) = self.opener.take() {
                        opener.finish().map_err(Error::Integrity)?;
                    }
                    self.ended = true;
                }
            }
        }
        Ok(self.ready.pop_front())
    }
}

/// Opens ciphertext as plaintext. The first chunk is opened before this returns, so that an object whose beginning
/// does not verify is an error answer and not a cut connection.
pub(super) async fn open_from(cipher: CipherStream, opener: BodyOpener) -> Result<PlainOut, Error> {
    let mut opening = Opening { cipher, opener: Some(opener), ready: VecDeque::new(), ended: false };
    let first = opening.next().await?;
    let start = futures::stream::iter(first.map(Ok));
    let rest = futures::stream::try_unfold(opening, |mut opening| async move {
        Ok(opening.next().await?.map(|plain| (plain, opening)))
    });
    Ok(Box::pin(start.chain(rest)))
}
