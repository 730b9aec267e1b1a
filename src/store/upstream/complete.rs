//! Completing an upload. The manifest goes last. Where the parts lie in the upstream's upload as they should, that is all
//! there is to do; where they do not (small parts between others, parts that are not wanted), the object is put together
//! anew: large parts inside the upstream, small ones through here, in pieces that it takes.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use http::Method;
use http::header::HeaderMap;
use serde::{Deserialize, Serialize};

use super::claims::{Claim, under};
use super::client::{Again, Call};
use super::gathered::{Kept, Raw};
use super::headers::{encode, etag_of, unquoted, write_of};
use super::multipart::{
    PartRecord, UploadRecord, claim_name, decoded, discard, find, named_parts, parts_prefix, temporary_name,
    upload_name,
};
use super::objects::{split_tag, tag_of};
use super::put::{Shop, reserved_spot, turn, written_at};
use super::stitch::{Piece, Stitching, send_pieces};
use super::target::{Spot, Target};
use super::xml;
use crate::store::{CipherOffset, Completion, Error, StoredObject, StoredTag, UploadAt};
use crate::types::{PartNumber, VersionId};

/// What became of an upload: for a client that did not hear it.
#[derive(Debug, Serialize, Deserialize)]
struct Done {
    tag: StoredTag,
    version: VersionId,
}

/// The parts that were in an upload when it was completed in its temporary place: number and length, in order.
#[derive(Debug, Serialize, Deserialize)]
struct Laid(Vec<(u32, u64)>);

fn done_name(at: &UploadAt) -> String {
    format!("done/{}/{}", at.object.bucket, at.id)
}

fn laid_name(at: &UploadAt) -> String {
    format!("{}laid", super::multipart::staged_prefix(at))
}

/// Makes the object.
pub(super) async fn complete(
    spot: &Spot,
    at: &UploadAt,
    completion: Completion,
    shop: &Shop,
) -> Result<StoredObject, Error> {
    let target = &spot.target;
    find(&target.reserved, at).await?;
    let claim = Claim::wait(&target.reserved, &claim_name(&at.id)).await?;
    claim.hold(alone(spot, at, completion, shop)).await
}

/// The same, with no other completion of the upload under way.
async fn alone(spot: &Spot, at: &UploadAt, completion: Completion, shop: &Shop) -> Result<StoredObject, Error> {
    let target = &spot.target;
    let upload = find(&target.reserved, at).await?;
    let numbers: Vec<PartNumber> = completion.parts.iter().map(|(number, _)| *number).collect();
    let parts = named_parts(&target.reserved, at, numbers).await?;
    let mut found: BTreeMap<PartNumber, PartRecord> = parts.into_iter().collect();
    let mut named = Vec::with_capacity(completion.parts.len());
    for (number, tag) in &completion.parts {
        let part = found.remove(number).filter(|part| part.tag == *tag).ok_or(Error::NoSuchPart(*number))?;
        named.push((*number, part));
    }
    let turn = match turn(spot, &at.object, &completion.commit.precondition).await {
        Ok(turn) => turn,
        // A completion whose answer was lost stands there already, and that is no reason to refuse it.
        Err(Error::PreconditionFailed) if is_there(spot, &upload, &completion).await? => None,
        Err(error) => return Err(error),
    };
    let placing = Placing { target, at, upload: &upload, named, spot, completion: &completion };
    let len = under(turn, placing.go()).await?;
    finish(target, at, &upload, spot, completion, len, shop).await
}

/// Whether what stands at the object's place is what this upload makes. Under a lock, whose setting may have failed after the
/// object was made and others may have overwritten since, it is looked for among the versions, too.
async fn is_there(spot: &Spot, upload: &UploadRecord, completion: &Completion) -> Result<bool, Error> {
    if !completion.commit.lock.is_empty() {
        return Ok(spot.standing(&upload.write).await.is_some());
    }
    match spot.headers().await {
        Ok(headers) => Ok(write_of(&headers, spot.target.client.wire) == upload.write),
        Err(Error::NoSuchObject) => Ok(false),
        Err(error) => Err(error),
    }
}

/// Writes down what became of the upload, and lets go of it.
async fn finish(
    target: &Arc<Target>,
    at: &UploadAt,
    upload: &UploadRecord,
    spot: &Spot,
    completion: Completion,
    len: u64,
    shop: &Shop,
) -> Result<StoredObject, Error> {
    let headers = spot.headers().await;
    let here = headers.as_ref().is_ok_and(|headers| write_of(headers, target.client.wire) == upload.write);
    let headers = match headers {
        Ok(headers) => headers,
        // Deleted or overwritten since: it was made all the same.
        Err(Error::NoSuchObject) => HeaderMap::new(),
        Err(error) => return Err(error),
    };
    let etag = if here { etag_of(&headers) } else { String::new() };
    let version = if here {
        spot.made(&headers, &upload.write, &completion.metadata).await
    } else {
        spot.made(&HeaderMap::new(), &upload.write, &completion.metadata).await
    };
    // Before anybody is told that it is there.
    spot.at_version(&version).lock(&completion.commit.lock).await?;
    let object = StoredObject {
        version,
        metadata: completion.metadata,
        summary: completion.commit.summary,
        tail: Bytes::new(),
        len: CipherOffset(len),
        tag: tag_of(&etag, &upload.write),
        modified: written_at(&headers, shop.clock.as_ref()),
        lock: completion.commit.lock,
    };
    let done = postcard::to_allocvec(&Done { tag: object.tag.clone(), version: object.version.clone() })
        .map_err(|_| Error::Corrupt("a record cannot be written".to_owned()))?;
    target.reserved.write(&done_name(at), &done).await?;
    target.reserved.remove(&upload_name(&at.object.bucket, &at.id)).await?;
    if here {
        shop.memory.keep(&at.object, &object);
    }
    let cleaned = async {
        // Where nothing went straight, the upload was never used.
        upload.raw(target, at)?.abort().await?;
        reserved_spot(target, &temporary_name(at)).remove().await?;
        discard(&target.reserved, at).await
    };
    if let Err(error) = cleaned.await {
        tracing::warn!(%error, "what a completed upload leaves is removed later");
    }
    Ok(object)
}

/// The object that a completion made, if it is still there.
pub(super) async fn completed(spot: &Spot, at: &UploadAt) -> Result<Option<StoredObject>, Error> {
    let name = done_name(at);
    let Some(record) = spot.target.reserved.read(&name).await? else { return Ok(None) };
    let done: Done = decoded(&name, &record)?;
    match spot.at_version(&done.version).look().await {
        Ok(object) => Ok((split_tag(&object.tag) == split_tag(&done.tag)).then_some(object)),
        Err(Error::NoSuchObject | Error::DeleteMarker(_)) => Ok(None),
        Err(error) => Err(error),
    }
}

/// An upload on its way to its place.
struct Placing<'a> {
    target: &'a Arc<Target>,
    at: &'a UploadAt,
    upload: &'a UploadRecord,
    named: Vec<(PartNumber, PartRecord)>,
    spot: &'a Spot,
    completion: &'a Completion,
}

impl Placing<'_> {
    /// Gives the length of the body.
    async fn go(&self) -> Result<u64, Error> {
        let parts: u64 = self.named.iter().map(|(_, part)| part.len).sum();
        let len = parts.saturating_add(self.completion.manifest.len() as u64);
        // Made by a completion whose gateway died before it could say so.
        if is_there(self.spot, self.upload, self.completion).await? {
            return Ok(len);
        }
        if self.lies_straight().await? {
            match self.straight(len).await {
                // The upstream has parts of which there is no record, or others than recorded.
                Err(Refused::Parts) => {}
                Err(Refused::Other(error)) => return Err(error),
                Ok(()) => return Ok(len),
            }
        }
        self.anew().await?;
        Ok(len)
    }

    /// Whether the parts lie in the upload as the body has them, but perhaps for a small last one.
    async fn lies_straight(&self) -> Result<bool, Error> {
        let Some(((last_number, last), before)) = self.named.split_last() else { return Ok(false) };
        let all_straight = before.iter().all(|(_, part)| part.staged.is_none());
        let any_straight = !before.is_empty() || last.staged.is_none();
        let room = last.staged.is_some() || last_number.get() < PartNumber::MAX;
        if !(all_straight && any_straight && room) {
            return Ok(false);
        }
        if self.target.abilities.partial_completion {
            return Ok(true);
        }
        let there = self.target.reserved.all_names(&parts_prefix(self.at)).await?;
        Ok(there.len() == self.named.len())
    }

    async fn straight(&self, len: u64) -> Result<(), Refused> {
        let raw = self.upload.raw(self.target, self.at)?;
        let mut parts: Vec<(u32, String)> = Vec::with_capacity(self.named.len() + 1);
        for (number, part) in &self.named {
            if part.staged.is_none() {
                parts.push((number.get(), part.etag.clone()));
            }
        }
        let last = self.named.last().map(|(number, part)| (number.get(), part));
        if let Some((number, part)) = last {
            let (number, pieces) = match &part.staged {
                Some(name) => {
                    (number, vec![self.staged(name, part.len), Piece::Here(self.completion.manifest.clone())])
                }
                None => (number.saturating_add(1), vec![Piece::Here(self.completion.manifest.clone())]),
            };
            let etag = send_pieces(&raw, number, pieces).await;
            match etag {
                Ok(etag) => parts.push((number, etag)),
                // Completed by one who died: what it made may be in the temporary place.
                Err(Error::NoSuchUpload | Error::NoSuchObject) => return self.copied_over(len).await,
                Err(error) => return Err(error.into()),
            }
        }
        match raw.complete(&parts).await {
            Ok(_) => {}
            Err(failure) if failure.is_absence() => {}
            Err(failure) if matches!(failure.code(), "InvalidPart" | "EntityTooSmall") => return Err(Refused::Parts),
            Err(failure) => return Err(Refused::Other(failure.into())),
        }
        self.copied_over(len).await
    }

    /// Brings what is whole in the temporary place to the object's place.
    async fn copied_over(&self, len: u64) -> Result<(), Refused> {
        let temporary = reserved_spot(self.target, &temporary_name(self.at));
        let there = temporary.look_without_body().await.map_err(|error| match error {
            Error::NoSuchObject => Error::NoSuchUpload,
            other => other,
        })?;
        if there.len.0 != len {
            return Err(Refused::Parts);
        }
        let headers = self.headers()?;
        self.spot.copy_all_from(&temporary, len, headers).await?;
        Ok(())
    }

    fn headers(&self) -> Result<HeaderMap, Error> {
        let target = self.target;
        encode(&self.completion.metadata, &self.upload.write, target.client.wire, target.abilities.metadata)
    }

    fn staged(&self, name: &str, len: u64) -> Piece {
        Piece::There { spot: reserved_spot(self.target, name), start: 0, len }
    }

    /// Puts the object together out of pieces.
    async fn anew(&self) -> Result<(), Error> {
        let mut pieces = Vec::with_capacity(self.named.len() + 1);
        let laid =
            if self.named.iter().any(|(_, part)| part.staged.is_none()) { self.lay().await? } else { Laid(vec![]) };
        let temporary = reserved_spot(self.target, &temporary_name(self.at));
        for (number, part) in &self.named {
            match &part.staged {
                Some(name) => pieces.push(self.staged(name, part.len)),
                None => {
                    let before = laid.0.iter().take_while(|(there, _)| *there < number.get());
                    let start = before.map(|(_, len)| len).sum();
                    let there = laid.0.iter().any(|&(there, len)| there == number.get() && len == part.len);
                    if !there {
                        return Err(Error::NoSuchPart(*number));
                    }
                    pieces.push(Piece::There { spot: temporary.clone(), start, len: part.len });
                }
            }
        }
        pieces.push(Piece::Here(self.completion.manifest.clone()));
        let raw = Raw::start(self.spot.clone(), self.headers()?).await?;
        let parts = Stitching::new(raw.as_kept()).stitch(pieces).await?;
        raw.as_kept().complete(&parts).await?;
        drop(raw.kept());
        Ok(())
    }

    /// Completes the upstream's upload in its temporary place with all that is in it, so that it can be read.
    async fn lay(&self) -> Result<Laid, Error> {
        let name = laid_name(self.at);
        if let Some(record) = self.target.reserved.read(&name).await? {
            let laid: Laid = decoded(&name, &record)?;
            let temporary = reserved_spot(self.target, &temporary_name(self.at));
            if temporary.tag().await?.is_some() {
                return Ok(laid);
            }
        }
        let raw = self.upload.raw(self.target, self.at)?;
        let there = raw.list().await?;
        let laid = Laid(there.iter().map(|part| (part.number, part.len)).collect());
        let record =
            postcard::to_allocvec(&laid).map_err(|_| Error::Corrupt("a record cannot be written".to_owned()))?;
        self.target.reserved.write(&name, &record).await?;
        let parts: Vec<(u32, String)> = there.into_iter().map(|part| (part.number, part.etag)).collect();
        // The attempts that were recorded must be those that are there.
        for (number, part) in self.named.iter().filter(|(_, part)| part.staged.is_none()) {
            if !parts.iter().any(|(there, etag)| *there == number.get() && *etag == part.etag) {
                return Err(Error::NoSuchPart(*number));
            }
        }
        raw.complete(&parts).await?;
        Ok(laid)
    }
}

/// Why the straight way does not work.
enum Refused {
    /// The upstream wants other parts.
    Parts,
    Other(Error),
}

impl From<Error> for Refused {
    fn from(error: Error) -> Self {
        Self::Other(error)
    }
}

/// A part as the upstream lists it.
pub(super) struct Listed {
    number: u32,
    etag: String,
    len: u64,
}

impl Kept {
    /// All parts that are in the upload.
    pub(super) async fn list(&self) -> Result<Vec<Listed>, Error> {
        let mut all: Vec<Listed> = Vec::new();
        loop {
            let mut call =
                Call::object(Method::GET, &self.spot.bucket, &self.spot.key).query("uploadId", self.id.clone());
            if let Some(last) = all.last() {
                call = call.query("part-number-marker", last.number.to_string());
            }
            let (_, body) = self.spot.target.client.ask(&call, Bytes::new(), Again::Always).await?;
            let unreadable = || Error::Unavailable("the upstream's list of parts cannot be read".to_owned());
            let root = xml::parse(&body).map_err(|_| unreadable())?;
            let before = all.len();
            for part in root.all("Part") {
                all.push(Listed {
                    number: part.text("PartNumber").parse().map_err(|_| unreadable())?,
                    etag: unquoted(part.text("ETag")),
                    len: part.text("Size").parse().map_err(|_| unreadable())?,
                });
            }
            if root.text("IsTruncated") != "true" || all.len() == before {
                return Ok(all);
            }
        }
    }
}
