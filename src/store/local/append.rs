//! Appends: the body of an object grows at its end, and no byte that stays is written again.
//!
//! A body that no other object shares keeps its id and gets other pieces: what is dropped of the old ones becomes garbage
//! under that id, so that whoever reads the old state, with its pieces in memory and the id pinned, reads on. A body that
//! copies share stays as it is for them; the grown one is another, whose files are hard links to the same bytes.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;

use super::bodies;
use super::committer::{Change, Committer};
use super::core::Core;
use super::database::Table;
use super::files::NewFile;
use super::objects::body_of;
use super::record::{Blob, BodyRecord, Id, ObjectRecord, Piece, fresh_id, tag_of, total_len};
use super::versions;
use super::writer::{BodyWriter, Finished, joined};
use crate::store::{Commit, Error, Growth, ObjectWriter, StoredObject};
use crate::types::{ObjectAt, Timestamp};

/// The object that is to grow, if it is still the one that was looked at.
///
/// # Errors
/// [`Error::NoSuchBucket`], [`Error::Changed`]; [`Error::Corrupt`] when more is to be kept than there is.
pub(crate) fn look(core: &Core, at: &ObjectAt, growth: &Growth) -> Result<(), Error> {
    let current = versions::find(core, at, None).map_err(gone)?;
    check(&current, growth)?;
    if growth.keep.0 > current.len { Err(keeps_too_much()) } else { Ok(()) }
}

/// It was there when it was looked at, so its absence is a change.
fn gone(error: Error) -> Error {
    if matches!(error, Error::NoSuchObject | Error::DeleteMarker(_)) { Error::Changed } else { error }
}

fn check(record: &ObjectRecord, growth: &Growth) -> Result<(), Error> {
    if record.tag == growth.was { Ok(()) } else { Err(Error::Changed) }
}

fn keeps_too_much() -> Error {
    Error::Corrupt("an append keeps more of a body than there is".to_owned())
}

/// An append in progress.
#[derive(Debug)]
pub(crate) struct AppendWriter {
    pub(crate) core: Arc<Core>,
    pub(crate) committer: Arc<Committer>,
    pub(crate) at: ObjectAt,
    pub(crate) growth: Growth,
    pub(crate) body: BodyWriter,
}

#[async_trait]
impl ObjectWriter for AppendWriter {
    async fn write(&mut self, chunk: Bytes) -> Result<(), Error> {
        self.body.write(chunk).await
    }

    async fn commit(self: Box<Self>, commit: Commit) -> Result<StoredObject, Error> {
        self.core.health.may_add()?;
        let mut growing = Growing {
            at: self.at,
            growth: self.growth,
            summary: Blob(commit.summary),
            write: fresh_id()?,
            body: fresh_id()?,
            modified: self.core.clock.now(),
            done: self.body.finish(&self.core).await?,
            links: None,
        };
        loop {
            match self.committer.change(move |change| growing.commit(change)).await? {
                Outcome::Grown(stored) => return Ok(*stored),
                Outcome::Shared(back, files) => growing = back.linked(&self.core, files).await?,
            }
        }
    }
}

/// All that an append needs at its commit.
#[derive(Debug)]
struct Growing {
    at: ObjectAt,
    growth: Growth,
    summary: Blob,
    /// The id of this write.
    write: Id,
    /// The id of the body, should it need another one.
    body: Id,
    modified: Timestamp,
    done: Finished,
    /// Files to have instead of those that other objects' body has, each with the one that it replaces.
    links: Option<Vec<(Id, NewFile)>>,
}

enum Outcome {
    Grown(Box<StoredObject>),
    /// Nothing was changed: the body is shared, and these files of it are needed under other names first. The commit
    /// thread waits for no disk.
    Shared(Box<Growing>, Shared),
}

/// A body that other objects have too.
struct Shared {
    body: Id,
    files: Vec<Id>,
}

impl Growing {
    fn commit(mut self, change: &mut Change<'_>) -> Result<Outcome, Error> {
        let (row, before) = versions::find_now(change, &self.at, None).map_err(gone)?;
        check(&before, &self.growth)?;
        let id = body_of(&before)?;
        let old = bodies::need(change, id)?;
        let (mut kept, dropped) = cut(old.pieces, self.growth.keep.0)?;
        if old.references == 1 {
            self.body = id;
            bodies::discard(change, id, dropped)?;
            return self.place(change, (row, before), kept, None);
        }
        let files: Vec<Id> = kept.iter().filter_map(Piece::file).collect();
        let links = self.links.take();
        if links.is_none() && !files.is_empty() {
            return Ok(Outcome::Shared(Box::new(self), Shared { body: id, files }));
        }
        for (old, link) in links.into_iter().flatten() {
            kept.iter_mut().for_each(|piece| piece.rename(old, link.id()));
            change.adopt(link);
        }
        self.place(change, (row, before), kept, Some(id))
    }

    /// Writes the body and the object; `leaves` is the body that the object no longer has.
    fn place(
        self,
        change: &mut Change<'_>,
        (row, before): (Vec<u8>, ObjectRecord),
        kept: Vec<Piece>,
        leaves: Option<Id>,
    ) -> Result<Outcome, Error> {
        if let Some(file) = self.done.file {
            change.adopt(file);
        }
        let mut pieces = vec![Piece::Grown];
        pieces.extend(kept);
        pieces.push(self.done.piece);
        let len = total_len(&pieces)?;
        change.put(Table::Bodies, self.body.to_vec(), &BodyRecord { references: 1, len, pieces })?;
        if let Some(old) = leaves {
            bodies::release(change, old)?;
        }
        let record = ObjectRecord {
            tag: tag_of(&self.write),
            body: Some(self.body),
            len,
            modified: self.modified,
            metadata: self.growth.metadata,
            summary: self.summary,
            ..before
        };
        change.put(Table::Objects, row, &record)?;
        Ok(Outcome::Grown(Box::new(record.to_stored())))
    }

    /// The same with names of its own for the files of a shared body.
    async fn linked(self, core: &Arc<Core>, shared: Shared) -> Result<Self, Error> {
        let core = Arc::clone(core);
        let task = tokio::task::spawn_blocking(move || {
            // Pinned, so that no file goes away meanwhile; gone already, and with it what was looked at.
            let pinned = bodies::open(&core, shared.body)?.ok_or(Error::Changed)?;
            let link = |file: Id| Ok((file, NewFile::link(&core.files, &core.sweeper, &file, &core.health)?));
            let links = shared.files.into_iter().map(link).collect::<Result<Vec<_>, Error>>()?;
            drop(pinned);
            Ok(Self { links: Some(links), ..self })
        });
        joined(task.await)
    }
}

/// The pieces of a body's first `keep` bytes, and the files of which nothing stays.
fn cut(pieces: Vec<Piece>, keep: u64) -> Result<(Vec<Piece>, Vec<Id>), Error> {
    let (mut kept, mut dropped, mut left) = (Vec::with_capacity(pieces.len()), Vec::new(), keep);
    for piece in pieces {
        let stays = piece.len().min(left);
        left -= stays;
        match piece {
            Piece::Grown => {}
            Piece::File { id, .. } if stays == 0 => dropped.push(id),
            Piece::File { id, .. } => kept.push(Piece::File { id, len: stays }),
            Piece::Inline(_) if stays == 0 => {}
            Piece::Inline(Blob(bytes)) => {
                // At most the blob's own length.
                let stays = usize::try_from(stays).unwrap_or(usize::MAX).min(bytes.len());
                kept.push(Piece::Inline(Blob(bytes.slice(..stays))));
            }
        }
    }
    if left > 0 { Err(keeps_too_much()) } else { Ok((kept, dropped)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cut_keeps_what_lies_before_it_and_names_the_files_that_lie_behind() {
        let file = |n: u8, len| Piece::File { id: [n; 16], len };
        let inline = |text: &'static [u8]| Piece::Inline(Blob(Bytes::from_static(text)));
        let pieces = || vec![Piece::Grown, file(1, 10), inline(b"abc"), file(2, 5), file(3, 1)];
        assert_eq!(cut(pieces(), 0).unwrap(), (vec![], vec![[1; 16], [2; 16], [3; 16]]));
        assert_eq!(cut(pieces(), 4).unwrap(), (vec![file(1, 4)], vec![[2; 16], [3; 16]]));
        assert_eq!(cut(pieces(), 12).unwrap(), (vec![file(1, 10), inline(b"ab")], vec![[2; 16], [3; 16]]));
        assert_eq!(cut(pieces(), 14).unwrap(), (vec![file(1, 10), inline(b"abc"), file(2, 1)], vec![[3; 16]]));
        assert_eq!(cut(pieces(), 19).unwrap(), (pieces()[1..].to_vec(), vec![]));
        assert!(matches!(cut(pieces(), 20), Err(Error::Corrupt(_))));
    }
}
