//! The metadata block that stands in a body file behind the body, so that objects can be found again when RocksDB is
//! lost. Its bytes: postcard of [`Block`], then a footer of 24 bytes at the very end of the file:
//!
//! ```text
//! block length u32 LE ‖ CRC-32C of the block u32 LE ‖ body bytes in this file u64 LE ‖ "SGBLOCK1"
//! ```
//!
//! A body of several files (a completed upload) has the block in the last one, behind the manifest, with the whole list
//! of pieces. A copy, whose body belongs to another object too, has a file with nothing but its block. Of several blocks
//! for one object the highest sequence number is the last write. What is *not* recoverable this way: bodies up to
//! 16 KiB, which RocksDB holds itself, uploads in progress, buckets, and the knowledge that an object was deleted
//! while its body still stands (deleted lately, or shared with a copy). The checksum finds accidents, not malice: the
//! envelope's own MAC does that.

use std::fs::File;
use std::os::unix::fs::FileExt;

use serde::{Deserialize, Serialize};

use super::health::io;
use crate::store::{Error, Metadata, StoredTag};
use crate::types::{BucketName, ObjectKey, Timestamp, VersionId};

const MAGIC: [u8; 8] = *b"SGBLOCK1";
const FOOTER: usize = 24;
/// No block is longer: 10,000 pieces and a few KiB of metadata stay far below.
const MAX_BLOCK: u32 = 4 << 20;

/// What a body file says about its object.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Block {
    /// The bucket.
    pub bucket: BucketName,
    /// The object key.
    pub key: ObjectKey,
    /// The version.
    pub version: VersionId,
    /// The write's tag.
    pub tag: StoredTag,
    /// The write's place in the order of writes.
    pub sequence: u64,
    /// When it was committed.
    pub modified: Timestamp,
    /// The headers and the envelope.
    pub metadata: Metadata,
    /// The sealed summary.
    pub summary: Vec<u8>,
    /// The body's files and how many bytes of each, in order; empty means this file alone.
    pub pieces: Vec<([u8; 16], u64)>,
}

impl Block {
    /// The block and its footer, to append to a file that holds `body_len` bytes of body.
    ///
    /// # Errors
    /// [`Error::Corrupt`] when the block is longer than any should be.
    pub(crate) fn seal(&self, body_len: u64) -> Result<Vec<u8>, Error> {
        let mut out =
            postcard::to_allocvec(self).map_err(|_| Error::Corrupt("a block cannot be written".to_owned()))?;
        let len = u32::try_from(out.len()).ok().filter(|&len| len <= MAX_BLOCK);
        let len = len.ok_or_else(|| Error::Corrupt("an object's metadata is too long".to_owned()))?;
        let sum = checksum(&out);
        out.extend_from_slice(&len.to_le_bytes());
        out.extend_from_slice(&sum.to_le_bytes());
        out.extend_from_slice(&body_len.to_le_bytes());
        out.extend_from_slice(&MAGIC);
        Ok(out)
    }

    /// Reads the block at the end of a body file, and how many bytes of body stand before it. `None` when the file has
    /// no whole block: a part of an upload, or a write that was cut.
    ///
    /// # Errors
    /// I/O.
    pub fn read(file: &File) -> Result<Option<(Self, u64)>, Error> {
        let size = file.metadata().map_err(io("looking at a body file"))?.len();
        let Some(footer_at) = size.checked_sub(FOOTER as u64) else { return Ok(None) };
        let mut footer = [0; FOOTER];
        file.read_exact_at(&mut footer, footer_at).map_err(io("reading a block"))?;
        let Some((len, sum, body_len)) = parse_footer(&footer) else { return Ok(None) };
        if len > MAX_BLOCK || body_len.checked_add(u64::from(len)) != Some(footer_at) {
            return Ok(None);
        }
        let mut block = vec![0; len as usize];
        file.read_exact_at(&mut block, body_len).map_err(io("reading a block"))?;
        if checksum(&block) != sum {
            return Ok(None);
        }
        Ok(postcard::from_bytes(&block).ok().map(|block| (block, body_len)))
    }
}

fn parse_footer(footer: &[u8; FOOTER]) -> Option<(u32, u32, u64)> {
    let (len, rest) = footer.split_first_chunk()?;
    let (sum, rest) = rest.split_first_chunk()?;
    let (body_len, magic) = rest.split_first_chunk()?;
    (magic == MAGIC).then_some((u32::from_le_bytes(*len), u32::from_le_bytes(*sum), u64::from_le_bytes(*body_len)))
}

/// CRC-32C (iSCSI), which fits in 32 bits by definition.
fn checksum(bytes: &[u8]) -> u32 {
    let sum = crc_fast::checksum(crc_fast::CrcAlgorithm::Crc32Iscsi, bytes);
    u32::try_from(sum & u64::from(u32::MAX)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn block() -> Block {
        Block {
            bucket: "bucket".parse().unwrap(),
            key: "a/\0key".parse().unwrap(),
            version: VersionId::null(),
            tag: StoredTag("tag".to_owned()),
            sequence: 7,
            modified: Timestamp(5),
            metadata: Metadata::default(),
            summary: b"summary".to_vec(),
            pieces: vec![([3; 16], 9)],
        }
    }

    fn file(bytes: &[u8]) -> File {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(bytes).unwrap();
        file
    }

    #[test]
    fn a_block_is_found_behind_the_body() {
        let bytes = [b"body".to_vec(), block().seal(4).unwrap()].concat();
        assert_eq!(Block::read(&file(&bytes)).unwrap(), Some((block(), 4)));
    }

    #[test]
    fn a_cut_or_altered_block_is_none() {
        let bytes = [b"body".to_vec(), block().seal(4).unwrap()].concat();
        for cut in [0, 3, bytes.len() - 1] {
            assert_eq!(Block::read(&file(&bytes[..cut])).unwrap(), None);
        }
        for at in 4..bytes.len() {
            let mut altered = bytes.clone();
            altered[at] ^= 1;
            assert_eq!(Block::read(&file(&altered)).unwrap(), None, "byte {at}");
        }
    }
}
