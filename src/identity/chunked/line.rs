//! One line at a time, over any split of the input, in bounded memory.

use bytes::{Buf, Bytes};

use crate::gateway::BodyError;

/// Collects a line up to its CRLF. A lone CR is always refused, a lone LF unless the reader is lenient.
#[derive(Debug)]
pub(super) struct Line {
    bytes: Vec<u8>,
    limit: usize,
    lone_lf: bool,
}

impl Line {
    /// Lines of at most `limit` bytes that end in CRLF and have no other CR or LF.
    pub(super) fn strict(limit: usize) -> Self {
        Self { bytes: Vec::new(), limit, lone_lf: false }
    }

    /// As [`Line::strict`], but one LF may stand before the CRLF: S3's documentation and several clients write a
    /// trailing header as `name:value LF CRLF`.
    pub(super) fn lenient(limit: usize) -> Self {
        Self { bytes: Vec::new(), limit, lone_lf: true }
    }

    /// Whether no line has been begun.
    pub(super) fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// Takes bytes from the front of `input`; the line without its end once that has come.
    pub(super) fn take(&mut self, input: &mut Bytes) -> Result<Option<Vec<u8>>, BodyError> {
        while let Some(&byte) = input.first() {
            input.advance(1);
            let after_cr = self.bytes.last() == Some(&b'\r');
            match byte {
                b'\n' if after_cr => {
                    self.bytes.pop();
                    return self.complete().map(Some);
                }
                b'\n' if !self.lone_lf => return Err(BodyError::MalformedChunk("a line feed without carriage return")),
                _ if after_cr => return Err(BodyError::MalformedChunk("a carriage return without line feed")),
                _ => self.bytes.push(byte),
            }
            if self.bytes.len() > self.limit.saturating_add(2) {
                return Err(self.too_long());
            }
        }
        Ok(None)
    }

    fn complete(&mut self) -> Result<Vec<u8>, BodyError> {
        let mut line = std::mem::take(&mut self.bytes);
        if self.lone_lf && line.len() > 1 && line.last() == Some(&b'\n') {
            line.pop();
        }
        if line.contains(&b'\n') {
            return Err(BodyError::MalformedTrailer("a line feed without carriage return"));
        }
        if line.len() > self.limit {
            return Err(self.too_long());
        }
        Ok(line)
    }

    fn too_long(&self) -> BodyError {
        if self.lone_lf {
            BodyError::MalformedTrailer("it is too long")
        } else {
            BodyError::MalformedChunk("a line is too long")
        }
    }
}
