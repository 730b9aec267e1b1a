//! Promises about stored bytes. See `crate::fuzzing`.

use std::collections::BTreeMap;

use crate::kms::ServiceKey;
use crate::store::CipherOffset;
use crate::types::ObjectAt;

use super::{Attributes, Digests, Envelope, MAX_MANIFEST_LEN, PartHeader, Summary, manifest};

const KEY: [u8; 32] = [7; 32];

/// A part's header that is read is written as it was.
pub(crate) fn part_header(input: &[u8]) {
    let Some(bytes) = input.first_chunk::<{ PartHeader::LEN }>() else { return };
    if let Ok(header) = PartHeader::parse(bytes) {
        assert_eq!(&header.encode(), bytes);
    }
}

/// Lines `name=value` of an envelope: one that is read is written with the same fields.
pub(crate) fn envelope(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    let pairs = text.lines().filter_map(|line| line.split_once('='));
    let fields: BTreeMap<String, String> = pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    let attributes = ServiceKey::new(KEY).attribute_key();
    let Ok(envelope) = Envelope::from_fields(&fields, &attributes) else { return };
    if let Ok(written) = envelope.fields(&attributes) {
        for (name, value) in &written {
            // The version is checked before the MAC is, which comes before this.
            let same = fields.get(name) == Some(value) || name == super::envelope::VERSION;
            assert!(same, "{name} came back as {value:?}");
        }
    }
}

/// A body's tail: its trailer claims no more than a manifest may have, and nothing opens that nobody sealed.
pub(crate) fn manifest(input: &[u8]) {
    let attributes = ServiceKey::new(KEY).attribute_key();
    if let Ok(trailer) = manifest::parse_trailer(input) {
        assert!(trailer.manifest_len() <= MAX_MANIFEST_LEN as u64 && trailer.parts >= 1);
    }
    let opened = manifest::open_attributes(input, CipherOffset(input.len() as u64), &attributes);
    assert!(opened.is_err(), "a manifest that nobody sealed");
    if let (Ok(bucket), Ok(key)) = ("bucket".parse(), "key".parse()) {
        let at = ObjectAt { bucket, key };
        assert!(Summary::open(input, &attributes, &at).is_err(), "a summary that nobody sealed");
    }
}

/// The sections of a manifest after they have been opened (two bytes: the number of parts): what is read is written as
/// it was.
pub(crate) fn manifest_sections(input: &[u8]) {
    let [high, low, bytes @ ..] = input else { return };
    let parts = usize::from(u16::from_be_bytes([*high, *low])).min(10_000);
    if let Ok(read) = Attributes::decode(bytes, parts) {
        let mut out = Vec::new();
        assert!(read.encode(&mut out).is_ok() && out == bytes, "attributes");
    }
    if let Ok(read) = Digests::decode(bytes, parts) {
        let mut out = Vec::new();
        assert!(read.encode(&mut out, parts).is_ok() && out == bytes, "digests");
    }
}
