//! The bytes of the journal's files.
//!
//! ```text
//! file  = magic 8 ‖ salt 16 ‖ number u64 LE ‖ CRC-32C of these u32 LE ‖ frame …
//! frame = payload length u32 LE ‖ number u64 LE ‖ CRC-32C of salt, length, number and payload u32 LE ‖ payload
//! row   = table u8 ‖ key length u32 LE ‖ value length u32 LE (FFFFFFFF: deleted) ‖ key ‖ value
//! ```
//!
//! The salt is random for each file. A client can choose some of the bytes in a payload, but never make them look like
//! a frame, as he does not know the salt.

use super::super::database::Table;
use super::super::record::{Id, fresh_id};
use crate::store::Error;

/// Length of a file's head.
pub(super) const FILE_HEAD: usize = 36;
/// Length of a frame's head.
pub(super) const FRAME_HEAD: usize = 16;
/// No payload is longer: a group has 4 MiB and one change more, and a change is an upload with all its parts at most.
const MAX_PAYLOAD: u32 = 256 << 20;
const DELETED: u32 = u32::MAX;

/// What the frames of one file share.
#[derive(Debug, Clone, Copy)]
pub(super) struct Salt(Id);

impl Salt {
    /// A new file's salt and its head.
    ///
    /// # Errors
    /// When the system has no randomness.
    pub(super) fn fresh(magic: [u8; 8], number: u64) -> Result<(Self, Vec<u8>), Error> {
        let salt = fresh_id()?;
        let mut head = Vec::with_capacity(FILE_HEAD);
        head.extend_from_slice(&magic);
        head.extend_from_slice(&salt);
        head.extend_from_slice(&number.to_le_bytes());
        let sum = checksum(&[&head]);
        head.extend_from_slice(&sum.to_le_bytes());
        Ok((Self(salt), head))
    }

    /// Reads a file's head; `None` when it is not this kind's and number's.
    pub(super) fn read(head: &[u8], magic: [u8; 8], number: u64) -> Option<Self> {
        let (body, sum) = head.get(..FILE_HEAD)?.split_last_chunk::<4>()?;
        let (found, rest) = body.split_first_chunk::<8>()?;
        let (salt, named) = rest.split_first_chunk::<16>()?;
        let whole = checksum(&[body]).to_le_bytes() == *sum;
        (whole && *found == magic && named == number.to_le_bytes()).then_some(Self(*salt))
    }

    /// The head of a frame.
    ///
    /// # Errors
    /// [`Error::Corrupt`] when the payload is longer than any should be.
    pub(super) fn frame_head(&self, number: u64, payload: &[u8]) -> Result<[u8; FRAME_HEAD], Error> {
        let len = u32::try_from(payload.len()).ok().filter(|&len| len <= MAX_PAYLOAD);
        let len = len.ok_or_else(|| Error::Corrupt("a group of changes is too long".to_owned()))?;
        let mut head = [0; FRAME_HEAD];
        head[..4].copy_from_slice(&len.to_le_bytes());
        head[4..12].copy_from_slice(&number.to_le_bytes());
        let sum = checksum(&[&self.0, &head[..12], payload]);
        head[12..].copy_from_slice(&sum.to_le_bytes());
        Ok(head)
    }

    /// The payload of a frame, if its head and bytes are right.
    pub(super) fn verify(&self, head: &FrameHead, payload: &[u8]) -> bool {
        checksum(&[&self.0, &head.bytes[..12], payload]) == head.sum
    }
}

/// A frame's head, not verified yet.
#[derive(Debug, Clone, Copy)]
pub(super) struct FrameHead {
    bytes: [u8; FRAME_HEAD],
    pub(super) len: u32,
    pub(super) number: u64,
    sum: u32,
}

impl FrameHead {
    /// Reads one; `None` when there are too few bytes or the length can't be.
    pub(super) fn read(bytes: &[u8]) -> Option<Self> {
        let bytes: [u8; FRAME_HEAD] = *bytes.first_chunk()?;
        let (len, rest) = bytes.split_first_chunk()?;
        let (number, sum) = rest.split_first_chunk()?;
        let len = u32::from_le_bytes(*len);
        let sum = u32::from_le_bytes(*sum.first_chunk()?);
        (len <= MAX_PAYLOAD).then_some(Self { bytes, len, number: u64::from_le_bytes(*number), sum })
    }
}

/// CRC-32C (iSCSI), which fits in 32 bits by definition.
fn checksum(parts: &[&[u8]]) -> u32 {
    let mut digest = crc_fast::Digest::new(crc_fast::CrcAlgorithm::Crc32Iscsi);
    parts.iter().for_each(|part| digest.update(part));
    u32::try_from(digest.finalize() & u64::from(u32::MAX)).unwrap_or_default()
}

/// One row as a change leaves it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Row<'a> {
    pub(crate) table: Table,
    pub(crate) key: &'a [u8],
    /// `None`: deleted.
    pub(crate) value: Option<&'a [u8]>,
}

/// Appends a row to a payload.
///
/// # Errors
/// [`Error::Corrupt`] when a length does not fit.
pub(crate) fn push_row(out: &mut Vec<u8>, row: Row<'_>) -> Result<(), Error> {
    let fits = |len: usize| u32::try_from(len).ok().filter(|&len| len < DELETED);
    let too_long = || Error::Corrupt("a row is too long".to_owned());
    let key = fits(row.key.len()).ok_or_else(too_long)?;
    let value = row.value.map_or(Some(DELETED), |value| fits(value.len())).ok_or_else(too_long)?;
    out.push(row.table.code());
    out.extend_from_slice(&key.to_le_bytes());
    out.extend_from_slice(&value.to_le_bytes());
    out.extend_from_slice(row.key);
    out.extend_from_slice(row.value.unwrap_or_default());
    Ok(())
}

/// Visits the rows of a payload.
///
/// # Errors
/// [`Error::Corrupt`] when it is not a sequence of rows; what `visit` answers.
pub(crate) fn rows<'a>(
    mut payload: &'a [u8],
    mut visit: impl FnMut(Row<'a>) -> Result<(), Error>,
) -> Result<(), Error> {
    while !payload.is_empty() {
        let (row, rest) = split_row(payload).ok_or_else(|| Error::Corrupt("a row cannot be read".to_owned()))?;
        visit(row)?;
        payload = rest;
    }
    Ok(())
}

fn split_row(payload: &[u8]) -> Option<(Row<'_>, &[u8])> {
    let (&table, rest) = payload.split_first()?;
    let (key, rest) = rest.split_first_chunk()?;
    let (value, rest) = rest.split_first_chunk()?;
    let (key, rest) = rest.split_at_checked(u32::from_le_bytes(*key) as usize)?;
    let (value, rest) = match u32::from_le_bytes(*value) {
        DELETED => (None, rest),
        len => rest.split_at_checked(len as usize).map(|(value, rest)| (Some(value), rest))?,
    };
    Some((Row { table: Table::from_code(table)?, key, value }, rest))
}
