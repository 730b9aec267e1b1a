//! The manifest: a body's tail, written after its last part. It pins which parts, and which attempts at them, make the
//! object.
//!
//! ```text
//! manifest = attribute section ‖ digest section ‖ trailer
//! trailer  = "SGM1" ‖ version u8 ‖ AEAD u8 ‖ log2(segment size) u8 ‖ flags u8 ‖ part count u32
//!            ‖ attribute section's length u32 ‖ digest section's length u32 ‖ reserved u32 ‖ salt[32] ‖ commitment[32]
//! ```
//!
//! The attribute section is under the attribute key, so HEAD needs no KMS; the digest section is under the data key.
//! Both section keys take the trailer's own salt, and both sections have the whole trailer as AAD.

use bytes::Bytes;
use zeroize::Zeroizing;

use crate::kms::once::{derive, open_once, seal_once};
use crate::kms::{AttributeKey, DataKey};
use crate::store::CipherOffset;
use crate::types::PartNumber;

use super::segment::TAG_LEN;
use super::{
    Aead, Attributes, Commitment, DigestAlgorithm, Digests, Error, Layout, MAX_ETAG_LEN, Salt, SegmentSize,
    sealed_part_len,
};

const MAGIC: &[u8; 4] = b"SGM1";
const VERSION: u8 = 1;

/// The length of a manifest's trailer, its last bytes.
pub const TRAILER_LEN: usize = 24 + Salt::LEN + Commitment::LEN;

/// No manifest is longer: 10,000 parts with a SHA-256 each need less.
pub const MAX_MANIFEST_LEN: usize = 1 << 20;

/// How much of a body's end is worth reading to find its manifest: enough for about 80 parts.
pub const TAIL_GUESS: usize = 4096;

/// How long a manifest will be, so that a body's length is known before it streams. `digests` are the algorithms that
/// will be set (each once), `per_part` the one whose digests of parts will be kept.
#[must_use]
pub fn encoded_len(
    parts: usize,
    etag_len: usize,
    digests: &[DigestAlgorithm],
    per_part: Option<DigestAlgorithm>,
) -> usize {
    let sections = Attributes::plain_len(parts, etag_len) + Digests::plain_len(parts, digests, per_part);
    sections + 2 * TAG_LEN + TRAILER_LEN
}

/// Seals a manifest. Its length is what [`encoded_len`] says.
///
/// # Errors
/// [`Error::Malformed`] when the parts do not ascend or are too many, when the ETag has more than 64 bytes, or when
/// there are not as many part digests as parts; [`Error::Random`].
pub fn seal(
    attributes: &Attributes,
    digests: &Digests,
    body: (Aead, SegmentSize),
    data_key: &DataKey,
    attribute_key: &AttributeKey,
) -> Result<Bytes, Error> {
    seal_with_salt(attributes, digests, body, data_key, attribute_key, Salt::random()?)
}

/// Seals a manifest whose digest section is absent: for who completes an upload without its customer key, which S3
/// allows. The commitment is the one that the upload's envelope has.
///
/// # Errors
/// As [`seal`].
pub fn seal_without_digests(
    attributes: &Attributes,
    body: (Aead, SegmentSize),
    commitment: Commitment,
    attribute_key: &AttributeKey,
) -> Result<Bytes, Error> {
    seal_sections(attributes, None, body, commitment, attribute_key, Salt::random()?)
}

/// As [`seal_without_digests`], with a given salt: for test vectors only.
#[cfg(test)]
pub(crate) fn seal_without_digests_with_salt(
    attributes: &Attributes,
    body: (Aead, SegmentSize),
    commitment: Commitment,
    attribute_key: &AttributeKey,
    salt: Salt,
) -> Result<Bytes, Error> {
    seal_sections(attributes, None, body, commitment, attribute_key, salt)
}

/// As [`seal`], with a given salt: for test vectors only, since a repeated salt repeats nonces.
pub(crate) fn seal_with_salt(
    attributes: &Attributes,
    digests: &Digests,
    body: (Aead, SegmentSize),
    data_key: &DataKey,
    attribute_key: &AttributeKey,
    salt: Salt,
) -> Result<Bytes, Error> {
    seal_sections(attributes, Some((digests, data_key)), body, Commitment::of(data_key), attribute_key, salt)
}

fn seal_sections(
    attributes: &Attributes,
    digests: Option<(&Digests, &DataKey)>,
    (aead, size): (Aead, SegmentSize),
    commitment: Commitment,
    attribute_key: &AttributeKey,
    salt: Salt,
) -> Result<Bytes, Error> {
    let parts = attributes.parts.len();
    let mut first = Zeroizing::new(Vec::with_capacity(Attributes::plain_len(parts, MAX_ETAG_LEN) + TAG_LEN));
    attributes.encode(&mut first)?;
    let mut second = Zeroizing::new(Vec::with_capacity(MAX_DIGESTS_LEN + parts * MAX_DIGEST_LEN));
    if let Some((digests, _)) = digests {
        digests.encode(&mut second, parts)?;
    }

    let section_len = |plain: usize| u32::try_from(plain + TAG_LEN).map_err(|_| Error::Malformed("manifest length"));
    let trailer = Trailer {
        aead,
        segment_size: size,
        parts: u32::try_from(parts).map_err(|_| Error::Malformed("part count"))?,
        attributes_len: section_len(first.len())?,
        digests_len: if digests.is_some() { section_len(second.len())? } else { 0 },
        salt,
        commitment,
    };
    // The layout's rules are the reader's: what breaks them must not be written.
    let parts_len = attributes.parts.iter().try_fold(0_u64, |sum, part| {
        sum.checked_add(sealed_part_len(part.plain_len, aead, size)?).ok_or(Error::Malformed("body length"))
    })?;
    let body_len = parts_len.checked_add(trailer.manifest_len()).ok_or(Error::Malformed("body length"))?;
    Layout::new(aead, size, &attributes.parts, CipherOffset(body_len))?;

    let aad = trailer.encode();
    seal_once(&attributes_key(attribute_key, &salt), &aad, &mut first, 0);
    if let Some((_, data_key)) = digests {
        seal_once(&digests_key(data_key, &salt), &aad, &mut second, 0);
    }
    Ok(Bytes::from([first.as_slice(), &second, &aad].concat()))
}

/// The longest digest section without part digests, tag included.
const MAX_DIGESTS_LEN: usize = 128;
const MAX_DIGEST_LEN: usize = 32;

/// A manifest's trailer: in the clear, and AAD of both sections.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Trailer {
    /// The AEAD of the parts.
    pub aead: Aead,
    /// The segment size of the parts.
    pub segment_size: SegmentSize,
    /// How many parts there are: 1–10,000.
    pub parts: u32,
    attributes_len: u32,
    digests_len: u32,
    salt: Salt,
    /// The commitment to the data key.
    pub commitment: Commitment,
}

impl Trailer {
    /// The length of the whole manifest, trailer included. At most [`MAX_MANIFEST_LEN`].
    #[must_use]
    pub fn manifest_len(&self) -> u64 {
        u64::from(self.attributes_len) + u64::from(self.digests_len) + TRAILER_LEN as u64
    }

    fn encode(&self) -> [u8; TRAILER_LEN] {
        let mut bytes = [0; TRAILER_LEN];
        bytes[..4].copy_from_slice(MAGIC);
        bytes[4..7].copy_from_slice(&[VERSION, self.aead.into(), self.segment_size.into()]);
        bytes[8..12].copy_from_slice(&self.parts.to_be_bytes());
        bytes[12..16].copy_from_slice(&self.attributes_len.to_be_bytes());
        bytes[16..20].copy_from_slice(&self.digests_len.to_be_bytes());
        bytes[24..56].copy_from_slice(self.salt.as_bytes());
        bytes[56..].copy_from_slice(self.commitment.as_bytes());
        bytes
    }
}

/// Reads the trailer, which ends `tail` (a body's last bytes). Nothing of it is authentic until a section opened.
///
/// # Errors
/// [`Error::Truncated`] when the tail is shorter than a trailer, [`Error::Malformed`] when it does not end with one,
/// [`Error::Unsupported`] for a version, AEAD, segment size, flag or reserved bit that this code does not know.
pub fn parse_trailer(tail: &[u8]) -> Result<Trailer, Error> {
    let bytes: &[u8; TRAILER_LEN] = tail.last_chunk().ok_or(Error::Truncated)?;
    if &bytes[..4] != MAGIC {
        return Err(Error::Malformed("manifest magic"));
    }
    if bytes[4] != VERSION {
        return Err(Error::Unsupported("manifest version"));
    }
    if bytes[7] != 0 {
        return Err(Error::Unsupported("manifest flags"));
    }
    if bytes[20..24] != [0; 4] {
        return Err(Error::Unsupported("manifest reserved bytes"));
    }
    let number = |at: usize| u32::from_be_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]);
    let array = |at: usize| bytes[at..].first_chunk::<32>().copied().ok_or(Error::Truncated);
    let trailer = Trailer {
        aead: bytes[5].try_into()?,
        segment_size: bytes[6].try_into()?,
        parts: number(8),
        attributes_len: number(12),
        digests_len: number(16),
        salt: Salt::from_bytes(array(24)?),
        commitment: Commitment::from_bytes(array(56)?),
    };
    if !(1..=PartNumber::MAX).contains(&trailer.parts) {
        return Err(Error::Malformed("part count"));
    }
    if trailer.manifest_len() > MAX_MANIFEST_LEN as u64 {
        return Err(Error::Malformed("manifest length"));
    }
    Ok(trailer)
}

/// What a manifest says without a KMS.
#[derive(Debug, Clone)]
pub struct OpenedAttributes {
    /// The trailer.
    pub trailer: Trailer,
    /// The attribute section.
    pub attributes: Attributes,
    /// The body's layout, which follows from both.
    pub layout: Layout,
}

/// Opens the attribute section of a body of `body_len` bytes, given a `tail` of it that holds the whole manifest.
///
/// # Errors
/// [`Error::Truncated`] when `tail` is shorter than the manifest (whose length [`parse_trailer`] tells),
/// [`Error::Manifest`] when the section does not verify, and what [`parse_trailer`] and [`Layout::new`] refuse.
pub fn open_attributes(
    tail: &[u8],
    body_len: CipherOffset,
    attribute_key: &AttributeKey,
) -> Result<OpenedAttributes, Error> {
    let (trailer, section, _) = sections(tail)?;
    let parts = usize::try_from(trailer.parts).map_err(|_| Error::Malformed("part count"))?;
    let mut section = Zeroizing::new(section.to_vec());
    let key = attributes_key(attribute_key, &trailer.salt);
    let plain = open_once(&key, &trailer.encode(), &mut section).ok_or(Error::Manifest)?;
    let attributes = Attributes::decode(plain, parts)?;
    let layout = Layout::new(trailer.aead, trailer.segment_size, &attributes.parts, body_len)?;
    let manifest_len = body_len.0.checked_sub(layout.manifest_start().0).ok_or(Error::Truncated)?;
    match manifest_len.cmp(&trailer.manifest_len()) {
        std::cmp::Ordering::Less => Err(Error::Truncated),
        std::cmp::Ordering::Equal => Ok(OpenedAttributes { trailer, attributes, layout }),
        std::cmp::Ordering::Greater => Err(Error::TrailingBytes),
    }
}

/// Opens the digest section, given a `tail` that holds the whole manifest.
///
/// # Errors
/// [`Error::Commitment`] when the data key is not the one that the manifest commits to, [`Error::Manifest`] when the
/// section does not verify, [`Error::Truncated`] and others as [`open_attributes`].
pub fn open_digests(tail: &[u8], data_key: &DataKey) -> Result<Digests, Error> {
    let (trailer, _, section) = sections(tail)?;
    trailer.commitment.check(data_key)?;
    let parts = usize::try_from(trailer.parts).map_err(|_| Error::Malformed("part count"))?;
    if section.is_empty() {
        return Ok(Digests::default());
    }
    let mut section = Zeroizing::new(section.to_vec());
    let plain = open_once(&digests_key(data_key, &trailer.salt), &trailer.encode(), &mut section);
    Digests::decode(plain.ok_or(Error::Manifest)?, parts)
}

/// The trailer and both sections.
fn sections(tail: &[u8]) -> Result<(Trailer, &[u8], &[u8]), Error> {
    let trailer = parse_trailer(tail)?;
    let len = usize::try_from(trailer.manifest_len()).map_err(|_| Error::Malformed("manifest length"))?;
    let start = tail.len().checked_sub(len).ok_or(Error::Truncated)?;
    let sections = &tail[start..tail.len() - TRAILER_LEN];
    let at = usize::try_from(trailer.attributes_len).map_err(|_| Error::Malformed("manifest length"))?;
    let (attributes, digests) = sections.split_at_checked(at).ok_or(Error::Truncated)?;
    Ok((trailer, attributes, digests))
}

fn attributes_key(key: &AttributeKey, salt: &Salt) -> Zeroizing<[u8; 32]> {
    derive(key.expose(), salt.as_bytes(), &[b"sealgate/1/attributes"])
}

fn digests_key(key: &DataKey, salt: &Salt) -> Zeroizing<[u8; 32]> {
    derive(key.expose(), salt.as_bytes(), &[b"sealgate/1/digests"])
}
