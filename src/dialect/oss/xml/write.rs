//! Writing the documents of answers.

use bytes::Bytes;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use quick_xml::escape::escape;
use time::OffsetDateTime;
use time::format_description::BorrowedFormatItem;
use time::macros::format_description;

use crate::dialect::xml::well_formed;
use crate::types::Timestamp;

/// Milliseconds are always zero: oss2 parses exactly this form.
const TIME: &[BorrowedFormatItem<'_>] = format_description!("[year]-[month]-[day]T[hour]:[minute]:[second].000Z");
/// What `encoding-type=url` leaves plain. A space becomes `%20` and a plus `%2B`, which every client's decoder reads.
const PLAIN: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~').remove(b'/');

/// A moment as documents write it.
pub(crate) fn time(at: Timestamp) -> String {
    let seconds = i64::try_from(at.0 / 1000).unwrap_or(i64::MAX);
    let at = OffsetDateTime::from_unix_timestamp(seconds).unwrap_or(OffsetDateTime::UNIX_EPOCH);
    at.format(TIME).unwrap_or_default()
}

/// How names are written: plain, or percent-encoded on demand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Encoding {
    /// As they are; XML's own escapes apart.
    Plain,
    /// `encoding-type=url`.
    Url,
}

impl Encoding {
    /// A name in this encoding.
    pub(crate) fn write(self, text: &str) -> String {
        match self {
            Self::Plain => text.to_owned(),
            Self::Url => utf8_percent_encode(text, PLAIN).to_string(),
        }
    }
}

/// A document on its way out. Every text is escaped.
pub(crate) struct Writer {
    out: String,
    root: &'static str,
}

impl Writer {
    /// A document with this root.
    pub(crate) fn new(root: &'static str) -> Self {
        let out = format!("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<{root}>");
        Self { out, root }
    }

    /// An element with text.
    pub(crate) fn text(&mut self, name: &str, text: &str) {
        self.start(name);
        self.out.push_str(&escape(text));
        self.end(name);
    }

    /// An element with whatever shows itself.
    pub(crate) fn show(&mut self, name: &str, value: impl std::fmt::Display) {
        self.text(name, &value.to_string());
    }

    /// An element, where there is something to say.
    pub(crate) fn some(&mut self, name: &str, text: Option<&str>) {
        if let Some(text) = text {
            self.text(name, text);
        }
    }

    /// An element with elements in it.
    pub(crate) fn within(&mut self, name: &str, fill: impl FnOnce(&mut Self)) {
        self.start(name);
        fill(self);
        self.end(name);
    }

    /// The whole document.
    pub(crate) fn finish(mut self) -> Bytes {
        let root = self.root;
        self.end(root);
        well_formed(self.out.into())
    }

    fn start(&mut self, name: &str) {
        self.out.push('<');
        self.out.push_str(name);
        self.out.push('>');
    }

    fn end(&mut self, name: &str) {
        self.out.push_str("</");
        self.out.push_str(name);
        self.out.push('>');
    }
}

#[cfg(test)]
mod tests {
    use super::super::parse;
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn times_have_whole_seconds_and_zero_milliseconds() {
        assert_eq!(time(Timestamp(784_111_777_987)), "1994-11-06T08:49:37.000Z");
    }

    #[test]
    fn names_are_encoded_so_that_every_client_decodes_them() {
        assert_eq!(Encoding::Url.write("a b+é/~*"), "a%20b%2B%C3%A9/~%2A");
        assert_eq!(Encoding::Plain.write("a b+é"), "a b+é");
    }

    proptest! {
        #[test]
        fn any_text_reads_back(text in any::<String>()) {
            // NUL has no reference in XML; a key with one is told by `encoding-type=url`.
            prop_assume!(!text.contains('\0'));
            let mut out = Writer::new("R");
            out.text("K", &text);
            let document = out.finish();
            let root = parse(&document, "R").unwrap();
            prop_assert_eq!(root.child("K").unwrap().raw(), text);
        }
    }
}
