//! How lines hang together.
//!
//! ```text
//! line  = {"sequence":N,"previous":"SHA-256 of the line before, hex", …the event…}
//! head  = the number and hash of a line, sealed under the root key: no trail ends before it
//! ```
//!
//! The hash of a line is over its bytes without the line feed; the first line's `previous` is 64 zeros. Who can write the
//! files but has not the root key can neither take lines from the end, where the head is, nor from before it.

use serde::{Deserialize, Serialize};

use crate::identity::sha256;
use crate::kms::embedded::RecordSeal;

/// The name that the head is sealed for.
const HEAD: &str = "audit/head";
/// The file of the head has always this size, so that writing it anew never leaves part of another.
pub(super) const HEAD_BYTES: usize = 256;

/// The end of a chain: the number of its last line (0: none yet) and that line's hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(super) struct End {
    pub(super) sequence: u64,
    pub(super) hash: [u8; 32],
}

/// What of a line says where it belongs.
#[derive(Debug, Deserialize)]
pub(super) struct Link {
    pub(super) sequence: u64,
    previous: String,
}

impl Link {
    /// The link of a line, if it is one.
    pub(super) fn of(line: &[u8]) -> Option<Self> {
        serde_json::from_slice(line).ok()
    }

    /// Whether the line follows this end.
    pub(super) fn follows(&self, end: &End) -> bool {
        end.sequence.checked_add(1) == Some(self.sequence) && self.previous == hex::encode(end.hash)
    }
}

impl End {
    /// Makes a line of an event (a JSON object that is not empty) and goes on to it.
    pub(super) fn append(&mut self, event: &str) -> Vec<u8> {
        let sequence = self.sequence.saturating_add(1);
        let rest = event.strip_prefix('{').unwrap_or(event);
        let line = format!("{{\"sequence\":{sequence},\"previous\":\"{}\",{rest}", hex::encode(self.hash)).into_bytes();
        *self = Self::at(sequence, &line);
        line
    }

    /// The end that a line makes.
    pub(super) fn at(sequence: u64, line: &[u8]) -> Self {
        Self { sequence, hash: sha256(line) }
    }

    /// The head's file.
    pub(super) fn seal(&self, seal: &RecordSeal) -> Result<Vec<u8>, crate::kms::Error> {
        let plain = [&self.sequence.to_be_bytes()[..], &self.hash].concat();
        let mut file = seal.seal(HEAD, &plain)?;
        file.resize(HEAD_BYTES, 0);
        Ok(file)
    }

    /// Reads the head's file; `None` when it is not one that [`End::seal`] made.
    pub(super) fn open(file: &[u8], seal: &RecordSeal) -> Option<Self> {
        // Version, salt, plaintext and tag: the rest is filling.
        let sealed = file.get(..1 + 32 + 40 + 16)?;
        let plain = seal.open(HEAD, sealed)?;
        let (sequence, hash) = plain.split_at_checked(8)?;
        Some(Self { sequence: u64::from_be_bytes(sequence.try_into().ok()?), hash: hash.try_into().ok()? })
    }
}
