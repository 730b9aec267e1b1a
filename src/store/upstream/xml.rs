//! The documents that an upstream sends, read into a small tree, and the few that it is sent. An upstream is not
//! trusted: depth and number of elements are bounded, and nothing is resolved.

use std::fmt::Write as _;

use quick_xml::Reader;
use quick_xml::escape::resolve_predefined_entity;
use quick_xml::events::Event;

/// The deepest nesting of any document that is read.
const MAX_DEPTH: usize = 16;
/// The most elements: a page of a listing has 1,000 rows of some ten.
const MAX_ELEMENTS: usize = 200_000;

/// Not a document that we read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the upstream's document cannot be read")]
pub(super) struct Unreadable;

/// An element: its name without namespace, its text, its children in order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Element {
    pub(super) name: String,
    pub(super) text: String,
    pub(super) children: Vec<Element>,
}

impl Element {
    /// The first child of this name.
    pub(super) fn child(&self, name: &str) -> Option<&Element> {
        self.children.iter().find(|child| child.name == name)
    }

    /// All children of this name.
    pub(super) fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Element> {
        self.children.iter().filter(move |child| child.name == name)
    }

    /// The text of the first child of this name; empty without one.
    pub(super) fn text(&self, name: &str) -> &str {
        self.child(name).map_or("", |child| child.text.as_str())
    }
}

/// Reads a document.
pub(super) fn parse(bytes: &[u8]) -> Result<Element, Unreadable> {
    let text = std::str::from_utf8(bytes).map_err(|_| Unreadable)?;
    let mut reader = Reader::from_str(text);
    let mut open: Vec<Element> = Vec::new();
    let mut elements = 0;
    loop {
        match reader.read_event().map_err(|_| Unreadable)? {
            Event::Start(start) => {
                elements += 1;
                if open.len() >= MAX_DEPTH || elements > MAX_ELEMENTS {
                    return Err(Unreadable);
                }
                open.push(Element { name: name_of(start.local_name().as_ref())?, ..Element::default() });
            }
            Event::Empty(empty) => {
                elements += 1;
                let element = Element { name: name_of(empty.local_name().as_ref())?, ..Element::default() };
                match open.last_mut() {
                    Some(parent) if elements <= MAX_ELEMENTS => parent.children.push(element),
                    Some(_) => return Err(Unreadable),
                    None => return Ok(element),
                }
            }
            Event::End(_) => {
                let mut element = open.pop().ok_or(Unreadable)?;
                if !element.children.is_empty() {
                    // Blanks between elements are layout.
                    element.text.clear();
                }
                match open.last_mut() {
                    Some(parent) => parent.children.push(element),
                    None => return Ok(element),
                }
            }
            Event::Text(text) => append(&mut open, &text.decode().map_err(|_| Unreadable)?),
            Event::CData(text) => append(&mut open, &text.decode().map_err(|_| Unreadable)?),
            Event::GeneralRef(reference) => {
                let name = reference.decode().map_err(|_| Unreadable)?;
                match name.strip_prefix('#') {
                    Some(number) => append(&mut open, char_of(number)?.encode_utf8(&mut [0; 4])),
                    None => append(&mut open, resolve_predefined_entity(&name).ok_or(Unreadable)?),
                }
            }
            Event::DocType(_) | Event::Eof => return Err(Unreadable),
            Event::Decl(_) | Event::PI(_) | Event::Comment(_) => {}
        }
    }
}

fn name_of(bytes: &[u8]) -> Result<String, Unreadable> {
    std::str::from_utf8(bytes).map(str::to_owned).map_err(|_| Unreadable)
}

/// The character of a reference by number. XML has none for NUL, and Ceph sends `&#x00;` where it repeats a marker.
fn char_of(number: &str) -> Result<char, Unreadable> {
    let code = match number.strip_prefix('x') {
        Some(hex) => u32::from_str_radix(hex, 16),
        None => number.parse(),
    };
    code.ok().and_then(char::from_u32).ok_or(Unreadable)
}

fn append(open: &mut [Element], text: &str) {
    if let Some(element) = open.last_mut() {
        element.text.push_str(text);
    }
}

/// The body of CompleteMultipartUpload.
pub(super) fn complete<'a>(parts: impl Iterator<Item = (u32, &'a str)>) -> String {
    let mut text = String::from("<CompleteMultipartUpload>");
    for (number, etag) in parts {
        let etag = quick_xml::escape::escape(etag);
        // Writing to a string does not fail.
        let _ = write!(text, "<Part><PartNumber>{number}</PartNumber><ETag>&quot;{etag}&quot;</ETag></Part>");
    }
    text.push_str("</CompleteMultipartUpload>");
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_document_is_read_with_references_and_without_layout() {
        let text = "<?xml version=\"1.0\"?>\n<r xmlns=\"http://s3.amazonaws.com/doc/\">\n  <Key>a&amp;b&#10;&lt;c&#x41;&#x00;</Key>\n\
                    <Key/><ETag>&quot;e&quot;</ETag><!-- no --><s:x xmlns:s=\"y\"><![CDATA[<z>]]></s:x>\n</r>";
        let root = parse(text.as_bytes()).unwrap();
        assert_eq!((root.name.as_str(), root.text.as_str()), ("r", ""));
        assert_eq!(root.all("Key").map(|key| key.text.as_str()).collect::<Vec<_>>(), ["a&b\n<cA\0", ""]);
        assert_eq!((root.text("ETag"), root.text("x"), root.text("none")), ("\"e\"", "<z>", ""));
    }

    #[test]
    fn what_is_no_document_or_a_bomb_is_unreadable() {
        let deep = "<a>".repeat(1000);
        let wide = format!("<a>{}</a>", "<b/>".repeat(MAX_ELEMENTS + 1));
        let bomb = "<!DOCTYPE a [<!ENTITY b \"c\">]><a>&b;</a>";
        for bad in ["", "text", "<a>", "<a></b>", "<a>&b;</a>", bomb, &deep, &wide] {
            assert_eq!(parse(bad.as_bytes()), Err(Unreadable), "{:.40}", bad);
        }
        assert_eq!(parse(b"<a>\xff</a>"), Err(Unreadable));
    }

    #[test]
    fn what_is_sent_reads_back() {
        let sent = complete([(1, "a"), (10_000, "b&c")].into_iter());
        let root = parse(sent.as_bytes()).unwrap();
        let parts: Vec<_> = root.all("Part").map(|part| (part.text("PartNumber"), part.text("ETag"))).collect();
        assert_eq!(parts, [("1", "\"a\""), ("10000", "\"b&c\"")]);
    }
}
