//! Bodies and who shares them: reference counts, and what becomes garbage when the last one goes.

use std::sync::Arc;

use super::committer::Change;
use super::core::Core;
use super::database::Table;
use super::files::Files;
use super::reader::Body;
use super::record::{BodyRecord, GarbageRecord, Id, Piece};
use crate::store::Error;

/// Pins a body and looks where it is; `None` when it is gone, because its object was replaced since it was looked at.
///
/// # Errors
/// I/O or damage.
pub(crate) fn open(core: &Core, id: Id) -> Result<Option<Body>, Error> {
    // First the pin, then the look: see `pins`.
    let pin = core.pins.pin(id);
    let record: Option<BodyRecord> = core.db.record(Table::Bodies, &id)?;
    Ok(record.map(|body| Body { files: Arc::clone(&core.files), pieces: body.pieces, len: body.len, _pin: pin }))
}

/// Whether a body's files are there and long enough.
pub(crate) fn is_whole(files: &Files, body: &BodyRecord) -> bool {
    body.pieces.iter().all(|piece| match piece {
        Piece::Inline(_) | Piece::Grown => true,
        Piece::File { id, len } => std::fs::metadata(files.path(id)).is_ok_and(|file| file.len() >= *len),
    })
}

/// One more object names the body.
///
/// # Errors
/// [`Error::Corrupt`] when there is no such body.
pub(crate) fn share(change: &mut Change<'_>, id: Id) -> Result<(), Error> {
    let mut body = need(change, id)?;
    let more = body.references.checked_add(1);
    body.references = more.ok_or_else(|| Error::Corrupt("a body has too many references".to_owned()))?;
    change.put(Table::Bodies, id.to_vec(), &body)
}

/// One object less names the body; the last one takes it away.
///
/// # Errors
/// [`Error::Corrupt`] when there is no such body.
pub(crate) fn release(change: &mut Change<'_>, id: Id) -> Result<(), Error> {
    let mut body = need(change, id)?;
    if body.references > 1 {
        body.references -= 1;
        return change.put(Table::Bodies, id.to_vec(), &body);
    }
    change.delete(Table::Bodies, id.to_vec());
    discard(change, id, body.pieces.iter().filter_map(Piece::file).collect())
}

/// Queues files to be unlinked once nobody reads the body.
///
/// # Errors
/// When the record cannot be written as bytes.
pub(crate) fn discard(change: &mut Change<'_>, body: Id, files: Vec<Id>) -> Result<(), Error> {
    if files.is_empty() {
        return Ok(());
    }
    let key = change.core().next_sequence().to_be_bytes().to_vec();
    change.put(Table::Garbage, key, &GarbageRecord { body, files })?;
    change.after(|core| core.cleanup.add_garbage());
    Ok(())
}

/// A body as of a change.
///
/// # Errors
/// [`Error::Corrupt`] when there is no such body.
pub(crate) fn need(change: &Change<'_>, id: Id) -> Result<BodyRecord, Error> {
    let body = change.record(Table::Bodies, &id)?;
    body.ok_or_else(|| Error::Corrupt(format!("body {} has no record", hex::encode(id))))
}
