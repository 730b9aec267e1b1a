//! `multipart/form-data` as a stream: bytes in, fields and the file's bytes out, over any split of the input and in
//! bounded memory. RFC 7578, RFC 2046 §5.1.1.

use bytes::{Bytes, BytesMut};
use memchr::memmem::Finder;

/// The most bytes before the file (and again after it) that a form may have.
/// <https://docs.aws.amazon.com/AmazonS3/latest/API/RESTObjectPOST.html>
pub(crate) const MAX_FIELDS: usize = 20 * 1024;

/// What a form consists of, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Event {
    /// A field before the file.
    Field { name: String, value: String },
    /// The file begins; its name is what the client gave.
    File { name: Option<String> },
    /// Bytes of the file.
    Data(Bytes),
    /// The file has ended. What follows is read, checked for form and forgotten.
    FileEnd,
}

/// Why a body is no form.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum FormFlaw {
    /// It is not `multipart/form-data`; the text says why.
    #[error("{0}")]
    Malformed(&'static str),
    /// Everything around the file is too long.
    #[error("the fields are too long")]
    TooLong,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Right before a delimiter, of which the line break is there already or is not needed.
    Delimiter,
    /// Behind `--boundary`.
    Behind,
    Headers,
    Field,
    File,
    Ended,
}

/// The parser. It holds at most [`MAX_FIELDS`] bytes and what was pushed last.
#[derive(Debug)]
pub(crate) struct FormParser {
    /// `CR LF -- boundary`.
    delimiter: Vec<u8>,
    finder: Finder<'static>,
    buffer: BytesMut,
    state: State,
    /// The field whose value comes.
    name: String,
    file_seen: bool,
    /// Bytes around the file that may still come.
    budget: usize,
}

impl FormParser {
    /// A parser for the boundary that a `Content-Type` names.
    pub(crate) fn new(content_type: &[u8]) -> Result<Self, FormFlaw> {
        let text =
            std::str::from_utf8(content_type).map_err(|_| FormFlaw::Malformed("the content type is not text"))?;
        let (_, parameters) = text.split_once(';').ok_or(FormFlaw::Malformed("there is no boundary"))?;
        let boundary = single(parameters, "boundary")?.ok_or(FormFlaw::Malformed("there is no boundary"))?;
        let is_boundary = |b: u8| b.is_ascii_alphanumeric() || b"'()+_,-./:=? ".contains(&b);
        let fits = (1..=70).contains(&boundary.len()) && boundary.bytes().all(is_boundary) && !boundary.ends_with(' ');
        if !fits {
            return Err(FormFlaw::Malformed("the boundary is not one"));
        }
        let delimiter = [b"\r\n--", boundary.as_bytes()].concat();
        Ok(Self {
            finder: Finder::new(&delimiter).into_owned(),
            delimiter,
            // The first delimiter needs no line break before it: it is given one.
            buffer: BytesMut::from(&b"\r\n"[..]),
            state: State::Delimiter,
            name: String::new(),
            file_seen: false,
            budget: MAX_FIELDS,
        })
    }

    /// Takes more bytes.
    pub(crate) fn push(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// What the bytes taken so far lead to; `None`: more are needed.
    pub(crate) fn next(&mut self) -> Result<Option<Event>, FormFlaw> {
        loop {
            let event = match self.state {
                State::Delimiter => self.delimiter()?,
                State::Behind => self.behind()?,
                State::Headers => self.headers()?,
                State::Field => self.field()?,
                State::File => return Ok(self.file()),
                State::Ended => {
                    let rest = self.buffer.len();
                    self.spend(rest)?;
                    return Ok(None);
                }
            };
            match event {
                Step::Done(event) => return Ok(Some(event)),
                Step::Again => {}
                // What waits for its end counts as it stands, so that nothing grows without limit.
                Step::More if self.buffer.len() > self.budget => return Err(FormFlaw::TooLong),
                Step::More => return Ok(None),
            }
        }
    }

    /// The input has ended: was it a whole form?
    pub(crate) fn finish(&self) -> Result<(), FormFlaw> {
        if self.state == State::Ended { Ok(()) } else { Err(FormFlaw::Malformed("the closing boundary is missing")) }
    }

    fn spend(&mut self, len: usize) -> Result<Bytes, FormFlaw> {
        self.budget = self.budget.checked_sub(len).ok_or(FormFlaw::TooLong)?;
        Ok(self.buffer.split_to(len).freeze())
    }

    fn delimiter(&mut self) -> Result<Step, FormFlaw> {
        let seen = self.buffer.len().min(self.delimiter.len());
        if self.buffer[..seen] != self.delimiter[..seen] {
            return Err(FormFlaw::Malformed("it does not begin with its boundary"));
        }
        if seen < self.delimiter.len() {
            return Ok(Step::More);
        }
        self.spend(seen)?;
        self.state = State::Behind;
        Ok(Step::Again)
    }

    fn behind(&mut self) -> Result<Step, FormFlaw> {
        let blanks = self.buffer.iter().take_while(|byte| matches!(byte, b' ' | b'\t')).count();
        match self.buffer.get(blanks..) {
            Some([b'-', b'-', ..]) if blanks == 0 => {
                self.spend(2)?;
                self.state = State::Ended;
                Ok(Step::Again)
            }
            Some([b'\r', b'\n', ..]) => {
                self.spend(blanks.saturating_add(2))?;
                self.state = State::Headers;
                Ok(Step::Again)
            }
            None | Some([] | [b'\r'] | [b'-']) => Ok(Step::More),
            Some(_) => Err(FormFlaw::Malformed("a boundary is followed by something else")),
        }
    }

    fn headers(&mut self) -> Result<Step, FormFlaw> {
        let end = match memchr::memmem::find(&self.buffer, b"\r\n\r\n") {
            Some(end) => end,
            None if self.buffer.starts_with(b"\r\n") => {
                return Err(FormFlaw::Malformed("a part has no headers"));
            }
            None => return Ok(Step::More),
        };
        let block = self.spend(end.saturating_add(4))?;
        let head = part_head(&block[..end])?;
        let is_file = head.name.eq_ignore_ascii_case("file");
        if is_file && self.file_seen {
            return Err(FormFlaw::Malformed("there is more than one file"));
        }
        if is_file {
            self.file_seen = true;
            self.state = State::File;
            return Ok(Step::Done(Event::File { name: head.file_name }));
        }
        self.name = head.name;
        self.state = State::Field;
        Ok(Step::Again)
    }

    fn field(&mut self) -> Result<Step, FormFlaw> {
        let Some(end) = self.finder.find(&self.buffer) else { return Ok(Step::More) };
        let value = self.spend(end)?;
        self.state = State::Delimiter;
        if self.file_seen {
            return Ok(Step::Again);
        }
        let value = std::str::from_utf8(&value).map_err(|_| FormFlaw::Malformed("a field is not UTF-8"))?;
        Ok(Step::Done(Event::Field { name: std::mem::take(&mut self.name), value: value.to_owned() }))
    }

    fn file(&mut self) -> Option<Event> {
        if let Some(end) = self.finder.find(&self.buffer) {
            if end > 0 {
                return Some(Event::Data(self.buffer.split_to(end).freeze()));
            }
            self.state = State::Delimiter;
            self.budget = MAX_FIELDS;
            return Some(Event::FileEnd);
        }
        // The end of what is there may be the beginning of the delimiter.
        let sure = self.buffer.len().saturating_sub(self.delimiter.len().saturating_sub(1));
        (sure > 0).then(|| Event::Data(self.buffer.split_to(sure).freeze()))
    }
}

enum Step {
    Done(Event),
    Again,
    More,
}

struct PartHead {
    name: String,
    file_name: Option<String>,
}

fn part_head(block: &[u8]) -> Result<PartHead, FormFlaw> {
    let text = std::str::from_utf8(block).map_err(|_| FormFlaw::Malformed("a part's header is not UTF-8"))?;
    let mut disposition = None;
    for line in text.split("\r\n") {
        if line.contains(['\r', '\n', '\0']) {
            return Err(FormFlaw::Malformed("a part's header is not one"));
        }
        let (name, value) = line.split_once(':').ok_or(FormFlaw::Malformed("a part's header has no colon"))?;
        match name.to_ascii_lowercase().as_str() {
            "content-disposition" if disposition.replace(value.trim()).is_some() => {
                return Err(FormFlaw::Malformed("a part has two dispositions"));
            }
            "content-transfer-encoding"
                if !matches!(value.trim().to_ascii_lowercase().as_str(), "binary" | "8bit" | "7bit") =>
            {
                return Err(FormFlaw::Malformed("a part is encoded for mail"));
            }
            _ => {}
        }
    }
    let missing = FormFlaw::Malformed("a part has no Content-Disposition: form-data");
    let (kind, parameters) = disposition.and_then(|text| text.split_once(';')).ok_or(missing)?;
    if !kind.trim().eq_ignore_ascii_case("form-data") {
        return Err(missing);
    }
    let name = single(parameters, "name")?.filter(|name| !name.is_empty());
    let name = name.ok_or(FormFlaw::Malformed("a part has no name"))?;
    Ok(PartHead { name, file_name: single(parameters, "filename")? })
}

/// The value of the parameter `wanted` in `; name=value; name="value"`, which may be there once.
fn single(parameters: &str, wanted: &str) -> Result<Option<String>, FormFlaw> {
    let mut found = None;
    let mut rest = parameters.trim();
    while !rest.is_empty() {
        let (name, after) = rest.split_once('=').ok_or(FormFlaw::Malformed("a parameter has no value"))?;
        let (value, later) = parameter_value(after.trim_start())?;
        if name.trim().eq_ignore_ascii_case(wanted) && found.replace(value).is_some() {
            return Err(FormFlaw::Malformed("a parameter is given twice"));
        }
        let later = later.trim_start();
        rest = match later.strip_prefix(';') {
            Some(more) => more.trim_start(),
            None if later.is_empty() => later,
            None => return Err(FormFlaw::Malformed("a parameter is followed by something else")),
        };
    }
    Ok(found)
}

/// A token, or a quoted string. Browsers write the backslashes of a Windows path as they are, so a backslash is one
/// unless a quote follows.
fn parameter_value(text: &str) -> Result<(String, &str), FormFlaw> {
    let Some(quoted) = text.strip_prefix('"') else {
        let end = text.find(';').unwrap_or(text.len());
        return Ok((text[..end].trim_end().to_owned(), &text[end..]));
    };
    let mut value = String::new();
    let mut characters = quoted.char_indices().peekable();
    while let Some((at, character)) = characters.next() {
        match character {
            '"' => return Ok((value, &quoted[at + 1..])),
            '\\' if characters.peek().is_some_and(|(_, next)| *next == '"') => {
                // `"C:\"` ends in a backslash; `"a\"b"` has a quote: what follows the quote tells.
                let after = &quoted[at + 2..];
                if after.trim_start().is_empty() || after.trim_start().starts_with(';') {
                    value.push('\\');
                } else {
                    characters.next();
                    value.push('"');
                }
            }
            other => value.push(other),
        }
    }
    Err(FormFlaw::Malformed("a quoted value does not end"))
}
