//! The file of a form while it streams.

use std::ops::RangeInclusive;

use bytes::Bytes;

use crate::gateway::BodyError;

use super::multipart::{Event, FormParser};

/// The file of a form: as long as its policy allows, and whole when its closing boundary stood where it must.
#[derive(Debug)]
pub(crate) struct FormFile {
    parser: FormParser,
    len: u64,
    allowed: RangeInclusive<u64>,
    ended: bool,
}

impl FormFile {
    /// The file at which `parser` stands; `allowed` bytes of it are taken.
    pub(crate) fn new(parser: FormParser, allowed: RangeInclusive<u64>) -> Self {
        Self { parser, len: 0, allowed, ended: false }
    }

    /// The next bytes of the file; `pending` is taken.
    pub(crate) fn decode(&mut self, pending: &mut Bytes) -> Result<Option<Bytes>, BodyError> {
        if !pending.is_empty() {
            self.parser.push(pending);
            pending.clear();
        }
        loop {
            match self.parser.next()? {
                Some(Event::Data(data)) => {
                    self.len = self.len.saturating_add(data.len() as u64);
                    if self.len > *self.allowed.end() {
                        return Err(BodyError::FileTooLarge { proposed: self.len, maximum: *self.allowed.end() });
                    }
                    return Ok(Some(data));
                }
                Some(Event::FileEnd) => self.ended = true,
                Some(Event::Field { .. } | Event::File { .. }) => {}
                None => return Ok(None),
            }
        }
    }

    /// The wire has ended: is the file whole, and as long as it must be?
    pub(crate) fn finish(&mut self) -> Result<(), BodyError> {
        self.parser.finish()?;
        if !self.ended {
            return Err(BodyError::Incomplete);
        }
        if self.len < *self.allowed.start() {
            return Err(BodyError::FileTooSmall { proposed: self.len, minimum: *self.allowed.start() });
        }
        Ok(())
    }
}
