//! The trailer of a chunked body: the one header that `x-amz-trailer` announced, and its signature.

use std::collections::BTreeMap;

use crate::gateway::BodyError;
use crate::identity::mac::{Signature, sha256};

/// The most bytes that a trailer may have in all.
pub(super) const MAX_BYTES: usize = 16 * 1024;

const SIGNATURE: &str = "x-amz-trailer-signature";

/// What a line of the trailer leads to.
pub(super) enum Next {
    /// More lines.
    More,
    /// The end of the body.
    End,
    /// The trailer's signature is to be verified; nothing but an empty line may follow.
    Verify {
        /// The signature that the trailer carries.
        signature: Signature,
        /// The SHA-256 of what it is over.
        hash: [u8; 32],
    },
}

/// Reads a trailer line by line.
#[derive(Debug)]
pub(super) struct Trailer {
    announced: String,
    signed: bool,
    read: usize,
    headers: BTreeMap<String, String>,
}

impl Trailer {
    /// A trailer that is the one header `announced`, and a signature over it when `signed`.
    pub(super) fn new(announced: &str, signed: bool) -> Self {
        Self { announced: announced.to_ascii_lowercase(), signed, read: 0, headers: BTreeMap::new() }
    }

    /// The headers, once they are verified.
    pub(super) fn take_headers(&mut self) -> BTreeMap<String, String> {
        std::mem::take(&mut self.headers)
    }

    /// Takes a line without its end.
    pub(super) fn line(&mut self, line: &[u8]) -> Result<Next, BodyError> {
        let malformed = |why| Err(BodyError::MalformedTrailer(why));
        self.read = self.read.saturating_add(line.len()).saturating_add(2);
        if self.read > MAX_BYTES {
            return malformed("it is too long");
        }
        if line.is_empty() {
            return self.end();
        }
        let text = match std::str::from_utf8(line) {
            Ok(text) if text.bytes().all(|b| (b' '..=b'~').contains(&b)) => text,
            _ => return malformed("a header is not visible ASCII"),
        };
        let Some((name, value)) = text.split_once(':') else {
            return malformed("a header has no colon");
        };
        let (name, value) = (name.to_ascii_lowercase(), value.trim());
        if value.is_empty() {
            return malformed("a header is empty");
        }
        if self.signed && name == SIGNATURE {
            return self.signature(value);
        }
        if name != self.announced {
            return malformed("a header was not announced");
        }
        if self.headers.insert(name, value.to_owned()).is_some() {
            return malformed("a header is given twice");
        }
        Ok(Next::More)
    }

    fn end(&self) -> Result<Next, BodyError> {
        if !self.headers.contains_key(&self.announced) {
            return Err(BodyError::MalformedTrailer("the announced header is missing"));
        }
        if self.signed {
            return Err(BodyError::MalformedTrailer("the trailer signature is missing"));
        }
        Ok(Next::End)
    }

    fn signature(&self, value: &str) -> Result<Next, BodyError> {
        if !self.headers.contains_key(&self.announced) {
            return Err(BodyError::MalformedTrailer("the announced header is missing"));
        }
        let signature = Signature::from_hex(value.as_bytes()).ok_or(BodyError::ChunkSignature)?;
        let lines: String = self.headers.iter().map(|(name, value)| format!("{name}:{value}\n")).collect();
        Ok(Next::Verify { signature, hash: sha256(lines.as_bytes()) })
    }
}
