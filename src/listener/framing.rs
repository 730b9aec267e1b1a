//! Where requests begin and end, by strict rules: a pure state machine over the bytes that a client sends.
//!
//! It accepts a subset of HTTP/1.1 (RFC 9112) on which every server agrees. Whatever two servers might frame
//! differently is refused: bare line feeds and carriage returns, folded lines, space before a colon, several lengths,
//! a length beside a transfer coding, any coding but `chunked`, chunk sizes beyond 60 bits.

/// Most bytes of a request's head. Beyond what [`super::request`] answers with 414 and 431, there is no answer.
const MAX_HEAD: usize = 128 * 1024;
/// Most bytes of a chunk's size line, with extensions.
const MAX_CHUNK_LINE: usize = 1024;
/// Most bytes of a body's trailing headers.
const MAX_TRAILERS: usize = 16 * 1024;
/// Most empty lines before a request line; RFC 9112 §2.2 asks for tolerance of one.
const MAX_BLANKS: usize = 2;
/// A line buffer that grew beyond this is given back after the head.
const KEEP_LINE: usize = 16 * 1024;

/// Why bytes are not an unambiguous request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Violation {
    BareLineEnd,
    ChunkSize,
    ContentLength,
    ContentLengthAndTransferEncoding,
    ControlCharacter,
    HeaderName,
    Fold,
    LengthTwice,
    RequestLine,
    TooLarge,
    TransferEncoding,
}

impl Violation {
    /// A few words: the label of the metric and the text of the log line.
    pub(super) fn reason(self) -> &'static str {
        match self {
            Self::BareLineEnd => "bare line end",
            Self::ChunkSize => "malformed chunk",
            Self::ContentLength => "malformed content-length",
            Self::ContentLengthAndTransferEncoding => "content-length with transfer-encoding",
            Self::ControlCharacter => "control character in a header",
            Self::HeaderName => "malformed header name",
            Self::Fold => "folded header line",
            Self::LengthTwice => "content-length or transfer-encoding twice",
            Self::RequestLine => "malformed request line",
            Self::TooLarge => "head or trailer too large",
            Self::TransferEncoding => "transfer-encoding other than chunked",
        }
    }
}

/// What came, up to where it is refused.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Refusal {
    /// How many bytes of the input may still be passed on. Always less than all: the byte after them is the one that
    /// would have completed the malformed line.
    pub(super) passed: usize,
    /// Why.
    pub(super) why: Violation,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// Before or within a request line.
    RequestLine,
    /// Within the header lines of a head.
    Header,
    /// Within a body of known length.
    Sized(u64),
    /// Within a chunk's size line.
    ChunkSize,
    /// Within a chunk's data.
    Chunk(u64),
    /// Within the line end after a chunk's data.
    ChunkEnd,
    /// Within the trailing headers.
    Trailer,
}

/// Follows one connection's bytes, in pieces of any size.
#[derive(Debug)]
pub(super) struct Framing {
    phase: Phase,
    /// The line that has begun, when the phase reads lines.
    line: Vec<u8>,
    /// Bytes of the head, or of the trailers, before this line.
    section: usize,
    blanks: usize,
    http_1_0: bool,
    length: Option<u64>,
    chunked: bool,
    body: u64,
}

impl Framing {
    pub(super) fn new() -> Self {
        Self {
            phase: Phase::RequestLine,
            line: Vec::new(),
            section: 0,
            blanks: 0,
            http_1_0: false,
            length: None,
            chunked: false,
            body: 0,
        }
    }

    /// Whether the last byte ended a request (or none came): nothing is owed by the client.
    pub(super) fn between_requests(&self) -> bool {
        self.phase == Phase::RequestLine && self.line.is_empty()
    }

    /// Whether a body is due.
    pub(super) fn in_body(&self) -> bool {
        !matches!(self.phase, Phase::RequestLine | Phase::Header)
    }

    /// Bytes of bodies since the last call, without chunk framing.
    pub(super) fn take_body_bytes(&mut self) -> u64 {
        std::mem::take(&mut self.body)
    }

    /// Follows `bytes`.
    ///
    /// # Errors
    /// The first violation. The connection is over then: nothing after it has a meaning.
    pub(super) fn feed(&mut self, bytes: &[u8]) -> Result<(), Refusal> {
        let mut at = 0;
        while let Some(rest) = bytes.get(at..).filter(|rest| !rest.is_empty()) {
            at += match self.phase {
                Phase::Sized(left) => self.skip(rest, left, Phase::RequestLine, Phase::Sized),
                Phase::Chunk(left) => self.skip(rest, left, Phase::ChunkEnd, Phase::Chunk),
                _ => self.feed_line(rest).map_err(|(offset, why)| Refusal { passed: at + offset, why })?,
            };
        }
        Ok(())
    }

    /// Passes over body bytes; `then` follows the last of them. Returns how many of `rest` were used.
    fn skip(&mut self, rest: &[u8], left: u64, then: Phase, more: fn(u64) -> Phase) -> usize {
        let here = u64::try_from(rest.len()).unwrap_or(u64::MAX);
        let used = left.min(here);
        self.body = self.body.saturating_add(used);
        self.phase = if used == left { then } else { more(left - used) };
        usize::try_from(used).unwrap_or(rest.len())
    }

    /// Adds to the current line and reads it once it is complete. Returns how many of `rest` were used.
    fn feed_line(&mut self, rest: &[u8]) -> Result<usize, (usize, Violation)> {
        let end = rest.iter().position(|&b| b == b'\n');
        let used = end.map_or(rest.len(), |at| at + 1);
        // What is refused ends before this piece's last byte, so that its receiver cannot find the line complete.
        let refuse = |why| (used - 1, why);
        let (limit, over) = match self.phase {
            Phase::RequestLine | Phase::Header => (MAX_HEAD, Violation::TooLarge),
            Phase::Trailer => (MAX_TRAILERS, Violation::TooLarge),
            _ => (MAX_CHUNK_LINE, Violation::ChunkSize),
        };
        if self.section + self.line.len() + used > limit {
            return Err(refuse(over));
        }
        self.line.extend_from_slice(rest.get(..used).unwrap_or_default());
        if end.is_none() {
            return Ok(used);
        }
        let line = std::mem::take(&mut self.line);
        self.section += line.len();
        let text = line.strip_suffix(b"\r\n").ok_or(Violation::BareLineEnd).map_err(refuse)?;
        if text.contains(&b'\r') {
            return Err(refuse(Violation::BareLineEnd));
        }
        self.phase = self.read_line(text).map_err(refuse)?;
        self.line = line;
        self.line.clear();
        if self.line.capacity() > KEEP_LINE {
            self.line = Vec::new();
        }
        Ok(used)
    }

    /// Reads one line without its end and says what follows it.
    fn read_line(&mut self, text: &[u8]) -> Result<Phase, Violation> {
        match self.phase {
            Phase::RequestLine if text.is_empty() => {
                self.blanks += 1;
                if self.blanks > MAX_BLANKS { Err(Violation::RequestLine) } else { Ok(Phase::RequestLine) }
            }
            Phase::RequestLine => {
                self.http_1_0 = request_line(text)?;
                self.length = None;
                self.chunked = false;
                Ok(Phase::Header)
            }
            Phase::Header if text.is_empty() => self.head_end(),
            Phase::Header => self.header(text).map(|()| Phase::Header),
            Phase::Trailer if text.is_empty() => {
                self.section = 0;
                self.blanks = 0;
                Ok(Phase::RequestLine)
            }
            Phase::Trailer => header_line(text).map(|_| Phase::Trailer),
            Phase::ChunkEnd if text.is_empty() => {
                self.section = 0;
                Ok(Phase::ChunkSize)
            }
            Phase::ChunkEnd => Err(Violation::ChunkSize),
            Phase::ChunkSize => {
                self.section = 0;
                Ok(match chunk_size(text)? {
                    0 => Phase::Trailer,
                    size => Phase::Chunk(size),
                })
            }
            // Not read in lines.
            Phase::Sized(_) | Phase::Chunk(_) => Ok(self.phase),
        }
    }

    fn header(&mut self, text: &[u8]) -> Result<(), Violation> {
        let (name, value) = header_line(text)?;
        if name.eq_ignore_ascii_case(b"content-length") {
            if self.length.is_some() {
                return Err(Violation::LengthTwice);
            }
            self.length = Some(content_length(value)?);
        } else if name.eq_ignore_ascii_case(b"transfer-encoding") {
            if self.chunked {
                return Err(Violation::LengthTwice);
            }
            // RFC 9112 §6.1: a coding in HTTP/1.0 cannot be framed reliably.
            if self.http_1_0 || !value.eq_ignore_ascii_case(b"chunked") {
                return Err(Violation::TransferEncoding);
            }
            self.chunked = true;
        }
        // Said at the later of the two lines, while the head is still open.
        if self.chunked && self.length.is_some() {
            return Err(Violation::ContentLengthAndTransferEncoding);
        }
        Ok(())
    }

    fn head_end(&mut self) -> Result<Phase, Violation> {
        self.section = 0;
        self.blanks = 0;
        Ok(match (self.chunked, self.length) {
            (true, _) => Phase::ChunkSize,
            (false, None | Some(0)) => Phase::RequestLine,
            (false, Some(length)) => Phase::Sized(length),
        })
    }
}

/// Reads `method SP target SP version`; true for HTTP/1.0.
fn request_line(text: &[u8]) -> Result<bool, Violation> {
    let mut words = text.split(|&b| b == b' ');
    let (Some(method), Some(target), Some(version), None) = (words.next(), words.next(), words.next(), words.next())
    else {
        return Err(Violation::RequestLine);
    };
    // CONNECT has no framing of its own: what follows is a tunnel.
    let fits = !method.is_empty()
        && method.iter().copied().all(is_token)
        && method != b"CONNECT"
        && !target.is_empty()
        && !target.iter().any(u8::is_ascii_control);
    match version {
        b"HTTP/1.1" if fits => Ok(false),
        b"HTTP/1.0" if fits => Ok(true),
        _ => Err(Violation::RequestLine),
    }
}

/// Reads `name: value`; the value is without the space around it.
fn header_line(text: &[u8]) -> Result<(&[u8], &[u8]), Violation> {
    if text.first().is_some_and(|&b| b == b' ' || b == b'\t') {
        return Err(Violation::Fold);
    }
    let colon = text.iter().position(|&b| b == b':').ok_or(Violation::HeaderName)?;
    let (name, value) = text.split_at(colon);
    if name.is_empty() || !name.iter().copied().all(is_token) {
        return Err(Violation::HeaderName);
    }
    let value = value.strip_prefix(b":").unwrap_or_default().trim_ascii();
    if value.iter().any(|&b| b.is_ascii_control() && b != b'\t') {
        return Err(Violation::ControlCharacter);
    }
    Ok((name, value))
}

/// A character of a method or a header name (RFC 9110 §5.6.2).
fn is_token(b: u8) -> bool {
    b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b)
}

/// One to eighteen digits: more than any object, less than any overflow.
fn content_length(value: &[u8]) -> Result<u64, Violation> {
    if !(1..=18).contains(&value.len()) {
        return Err(Violation::ContentLength);
    }
    value.iter().try_fold(0u64, |sum, &b| match b {
        b'0'..=b'9' => Ok(sum * 10 + u64::from(b - b'0')),
        _ => Err(Violation::ContentLength),
    })
}

/// One to fifteen hex digits, then nothing or an extension (which means nothing to anyone, RFC 9112 §7.1.1).
fn chunk_size(text: &[u8]) -> Result<u64, Violation> {
    let digits = text.iter().take_while(|b| b.is_ascii_hexdigit()).count();
    let (size, extension) = text.split_at(digits);
    let printable = extension.iter().all(|b| !b.is_ascii_control());
    if !(1..=15).contains(&digits) || !printable || extension.first().is_some_and(|&b| b != b';') {
        return Err(Violation::ChunkSize);
    }
    size.iter().try_fold(0u64, |sum, &b| {
        let digit = char::from(b).to_digit(16).ok_or(Violation::ChunkSize)?;
        Ok(sum * 16 + u64::from(digit))
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn verdict(bytes: &[u8]) -> Result<bool, Violation> {
        let mut framing = Framing::new();
        framing.feed(bytes).map_err(|refusal| refusal.why)?;
        Ok(framing.between_requests())
    }

    const WHOLE: &[&str] = &[
        "GET / HTTP/1.1\r\nHost: a\r\n\r\n",
        "\r\nGET /k?x=1 HTTP/1.0\r\n\r\n",
        "PUT /k HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello",
        "PUT /k HTTP/1.1\r\nContent-Length: 0\r\n\r\nGET / HTTP/1.1\r\n\r\n",
        "PUT /k HTTP/1.1\r\nTransfer-Encoding: Chunked\r\n\r\n5\r\nhello\r\n00A;x=y\r\n0123456789\r\n0\r\n\r\n",
        "PUT /k HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n\n\r\n0\r\nx-t: 1\r\n\r\nGET / HTTP/1.1\r\n\r\n",
    ];

    #[test]
    fn whole_requests_end_between_requests() {
        for text in WHOLE {
            assert_eq!(verdict(text.as_bytes()), Ok(true), "{text:?}");
            let cut = &text.as_bytes()[..text.len() - 1];
            assert_eq!(verdict(cut), Ok(false), "{text:?}");
        }
    }

    #[test]
    fn what_servers_read_differently_is_refused() {
        use Violation as V;
        let cases: &[(&str, V)] = &[
            ("GET / HTTP/1.1\nHost: a\n\n", V::BareLineEnd),
            ("GET / HTTP/1.1\r\nHost: a\nX: b\r\n\r\n", V::BareLineEnd),
            ("GET / HTTP/1.1\r\nHost: a\rX: b\r\n\r\n", V::BareLineEnd),
            ("GET / HTTP/1.1\r\nX: a\r\n folded\r\n\r\n", V::Fold),
            ("GET / HTTP/1.1\r\nContent-Length : 5\r\n\r\n", V::HeaderName),
            ("GET / HTTP/1.1\r\nno colon\r\n\r\n", V::HeaderName),
            ("GET / HTTP/1.1\r\n: empty\r\n\r\n", V::HeaderName),
            ("GET / HTTP/1.1\r\nX: a\0b\r\n\r\n", V::ControlCharacter),
            ("PUT / HTTP/1.1\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\n", V::LengthTwice),
            ("PUT / HTTP/1.1\r\nContent-Length: 5, 5\r\n\r\n", V::ContentLength),
            ("PUT / HTTP/1.1\r\nContent-Length: +5\r\n\r\n", V::ContentLength),
            ("PUT / HTTP/1.1\r\nContent-Length: -1\r\n\r\n", V::ContentLength),
            ("PUT / HTTP/1.1\r\nContent-Length:\r\n\r\n", V::ContentLength),
            ("PUT / HTTP/1.1\r\nContent-Length: 9999999999999999999\r\n\r\n", V::ContentLength),
            (
                "PUT / HTTP/1.1\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
                V::ContentLengthAndTransferEncoding,
            ),
            (
                "PUT / HTTP/1.1\r\nTransfer-Encoding: chunked\r\ncontent-length: 5\r\n\r\n",
                V::ContentLengthAndTransferEncoding,
            ),
            ("PUT / HTTP/1.1\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n", V::LengthTwice),
            ("PUT / HTTP/1.1\r\nTransfer-Encoding: identity, chunked\r\n\r\n", V::TransferEncoding),
            ("PUT / HTTP/1.1\r\nTransfer-Encoding: gzip\r\n\r\n", V::TransferEncoding),
            ("PUT / HTTP/1.1\r\nTransfer-Encoding: xchunked\r\n\r\n", V::TransferEncoding),
            ("PUT / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", V::TransferEncoding),
            ("CONNECT a:1 HTTP/1.1\r\n\r\n", V::RequestLine),
            ("GET /a b HTTP/1.1\r\n\r\n", V::RequestLine),
            ("GET  / HTTP/1.1\r\n\r\n", V::RequestLine),
            ("GET /\r\n\r\n", V::RequestLine),
            ("PRI * HTTP/2.0\r\n\r\n", V::RequestLine),
            ("\r\n\r\n\r\nGET / HTTP/1.1\r\n\r\n", V::RequestLine),
        ];
        for (text, why) in cases {
            assert_eq!(verdict(text.as_bytes()), Err(*why), "{text:?}");
        }
    }

    #[test]
    fn malformed_chunks_are_refused() {
        for chunk in [
            "\r\n",
            "g\r\n",
            "-1\r\n",
            "0x5\r\n",
            " 5\r\n",
            "5 \r\n",
            "5\nhello",
            "5\r\nhelloX\r\n",
            "5\r\nhello\n",
            "FFFFFFFFFFFFFFFFF\r\n",
            "1000000000000000\r\n",
            "5;a\u{0}\r\n",
        ] {
            let text = format!("PUT / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n{chunk}");
            assert!(verdict(text.as_bytes()).is_err(), "{chunk:?}");
        }
    }

    #[test]
    fn heads_chunk_lines_and_trailers_have_a_limit() {
        let long = "a".repeat(MAX_HEAD);
        assert_eq!(verdict(format!("GET /{long}").as_bytes()), Err(Violation::TooLarge));
        let many = "x: y\r\n".repeat(MAX_HEAD / 6);
        assert_eq!(verdict(format!("GET / HTTP/1.1\r\n{many}").as_bytes()), Err(Violation::TooLarge));
        let head = "PUT / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n";
        assert_eq!(verdict(format!("{head}1;{long}").as_bytes()), Err(Violation::ChunkSize));
        assert_eq!(verdict(format!("{head}0\r\n{many}").as_bytes()), Err(Violation::TooLarge));
    }

    #[test]
    fn body_bytes_are_counted_without_their_framing() {
        let mut framing = Framing::new();
        for text in WHOLE {
            framing.feed(text.as_bytes()).unwrap();
        }
        assert_eq!(framing.take_body_bytes(), 5 + 15 + 1);
        assert_eq!(framing.take_body_bytes(), 0);
    }

    proptest! {
        #[test]
        fn the_verdict_does_not_depend_on_how_bytes_arrive(
            parts in proptest::collection::vec(
                prop_oneof![
                    Just("GET / HTTP/1.1\r\n"), Just("PUT /k HTTP/1.1\r\n"), Just("Content-Length: 3\r\n"),
                    Just("Transfer-Encoding: chunked\r\n"), Just("\r\n"), Just("\n"), Just("3\r\nabc\r\n"),
                    Just("0\r\n\r\n"), Just("abc"), Just("x: y\r\n"), Just("\r"), Just("\0"),
                ],
                0..12,
            ),
            cuts in proptest::collection::vec(1usize..9, 1..40),
        ) {
            let text = parts.concat();
            let whole = {
                let mut framing = Framing::new();
                framing.feed(text.as_bytes()).map(|()| framing.between_requests()).map_err(|r| r.why)
            };
            let mut framing = Framing::new();
            let mut rest = text.as_bytes();
            let mut pieces = Ok(());
            for cut in cuts.iter().cycle() {
                if rest.is_empty() {
                    break;
                }
                let (piece, later) = rest.split_at((*cut).min(rest.len()));
                pieces = framing.feed(piece);
                rest = later;
                if let Err(refusal) = &pieces {
                    prop_assert!(refusal.passed < piece.len());
                    break;
                }
            }
            prop_assert_eq!(pieces.map(|()| framing.between_requests()).map_err(|r| r.why), whole);
        }
    }
}
