//! Reading the small documents of requests. What a document may cost is bounded before it is read: its bytes by the
//! caller, its elements and its depth here. There are no document types, so no entities but XML's own five.

use quick_xml::Reader;
use quick_xml::events::{BytesStart, Event};

use crate::dialect::oss::face::Face;

/// The most elements of a document: 10,000 parts of three each, and some.
const ELEMENTS: usize = 40_000;
/// How deep elements may stand in each other.
const DEPTH: usize = 16;

/// An element: its name without prefix, its text, its children.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Element {
    /// The local name.
    pub(crate) name: String,
    text: String,
    children: Vec<Self>,
}

impl Element {
    /// The first child of this name.
    pub(crate) fn child(&self, name: &str) -> Option<&Self> {
        self.children.iter().find(|child| child.name == name)
    }

    /// All children of this name.
    pub(crate) fn children<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Self> {
        self.children.iter().filter(move |child| child.name == name)
    }

    /// How many children there are, of any name.
    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.children.len()
    }

    /// The text as it stands: an object key may begin or end with a blank.
    pub(crate) fn raw(&self) -> &str {
        &self.text
    }

    /// The text without blanks around it.
    pub(crate) fn text(&self) -> &str {
        self.text.trim()
    }

    /// The text of the first child of this name; `None` when it is not there or is empty.
    pub(crate) fn value(&self, name: &str) -> Option<&str> {
        self.child(name).map(Self::text).filter(|text| !text.is_empty())
    }

    /// `true` or `false`, of the first child of this name.
    ///
    /// # Errors
    /// MalformedXML for any other text.
    pub(crate) fn flag(&self, name: &str) -> Result<bool, Face> {
        match self.value(name).map(str::to_ascii_lowercase).as_deref() {
            None | Some("false") => Ok(false),
            Some("true") => Ok(true),
            Some(_) => Err(Face::malformed_xml()),
        }
    }
}

/// Reads a document whose root has this name.
///
/// # Errors
/// MalformedXML, whatever is wrong.
pub(crate) fn parse(document: &[u8], root: &str) -> Result<Element, Face> {
    parse_any(document, |name| name == root)
}

/// Reads a document whose root is one of some.
///
/// # Errors
/// MalformedXML, whatever is wrong.
pub(crate) fn parse_any(document: &[u8], is_root: impl FnOnce(&str) -> bool) -> Result<Element, Face> {
    let element = tree(document).ok_or_else(Face::malformed_xml)?;
    if is_root(&element.name) { Ok(element) } else { Err(Face::malformed_xml()) }
}

fn tree(document: &[u8]) -> Option<Element> {
    let document = document.strip_prefix(b"\xef\xbb\xbf").unwrap_or(document);
    let mut reader = Reader::from_reader(document);
    let mut open: Vec<Element> = Vec::new();
    let mut root = None;
    let mut elements = 0usize;
    loop {
        match reader.read_event().ok()? {
            Event::Start(start) => {
                elements = elements.checked_add(1).filter(|&count| count <= ELEMENTS && open.len() < DEPTH)?;
                open.push(named(&start)?);
            }
            Event::Empty(start) => {
                elements = elements.checked_add(1).filter(|&count| count <= ELEMENTS && open.len() < DEPTH)?;
                close(named(&start)?, &mut open, &mut root)?;
            }
            Event::End(_) => {
                let element = open.pop()?;
                close(element, &mut open, &mut root)?;
            }
            Event::Text(text) => add(std::str::from_utf8(&text).ok()?, &mut open)?,
            Event::CData(text) => add(std::str::from_utf8(&text).ok()?, &mut open)?,
            Event::GeneralRef(reference) => {
                let character = match reference.resolve_char_ref().ok()? {
                    Some(character) => character,
                    None => predefined(&reference)?,
                };
                add(character.encode_utf8(&mut [0; 4]), &mut open)?;
            }
            Event::Decl(_) | Event::Comment(_) => {}
            // No document of ours has a type or an instruction.
            Event::DocType(_) | Event::PI(_) => return None,
            Event::Eof => break,
        }
    }
    root.filter(|_| open.is_empty())
}

fn named(start: &BytesStart<'_>) -> Option<Element> {
    let name = std::str::from_utf8(start.local_name().into_inner()).ok()?.to_owned();
    Some(Element { name, ..Element::default() })
}

/// Gives a finished element to its parent, or makes it the root, of which there is one.
fn close(element: Element, open: &mut [Element], root: &mut Option<Element>) -> Option<()> {
    match open.last_mut() {
        Some(parent) => parent.children.push(element),
        None if root.is_none() => *root = Some(element),
        None => return None,
    }
    Some(())
}

/// Adds text to the innermost element; outside the root only blanks may stand, and NUL nowhere.
fn add(text: &str, open: &mut [Element]) -> Option<()> {
    if text.contains('\0') {
        return None;
    }
    match open.last_mut() {
        Some(element) => element.text.push_str(text),
        None if text.trim().is_empty() => {}
        None => return None,
    }
    Some(())
}

fn predefined(name: &[u8]) -> Option<char> {
    match name {
        b"amp" => Some('&'),
        b"apos" => Some('\''),
        b"gt" => Some('>'),
        b"lt" => Some('<'),
        b"quot" => Some('"'),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn elements_are_found_by_name_in_any_order_and_under_any_prefix() {
        let text = "\u{feff}<?xml version=\"1.0\"?>\n<a:R xmlns:a='u'><C> two </C><!-- x --><B><D/></B><C>&#x33;&amp;<![CDATA[<]]></C></a:R>\n";
        let root = parse(text.as_bytes(), "R").unwrap();
        assert_eq!(root.children("C").map(Element::raw).collect::<Vec<_>>(), [" two ", "3&<"]);
        assert_eq!(root.value("C"), Some("two"));
        assert!(root.child("B").unwrap().child("D").is_some());
        assert_eq!((root.value("B"), root.value("E"), root.len()), (None, None, 3));
        assert!(parse(text.as_bytes(), "S").is_err());
    }

    #[test]
    fn what_is_no_document_of_ours_is_refused() {
        let deep = format!("{}{}", "<a>".repeat(17), "</a>".repeat(17));
        let many = format!("<a>{}</a>", "<b/>".repeat(ELEMENTS));
        for bad in [
            "",
            "text",
            "<a>",
            "<a></b>",
            "<a/><a/>",
            "<a/>x",
            "<!DOCTYPE a [<!ENTITY x 'y'>]><a>&x;</a>",
            "<a>&x;</a>",
            "<?xml-stylesheet href='x'?><a/>",
            deep.as_str(),
            many.as_str(),
        ] {
            assert_eq!(parse(bad.as_bytes(), "a").unwrap_err().code, "MalformedXML", "{bad:.40}");
        }
        assert!(parse(b"<a>\xff</a>", "a").is_err());
    }

    #[test]
    fn flags_are_true_or_false() {
        let flag = |text: &str| parse(format!("<a><Q>{text}</Q></a>").as_bytes(), "a").unwrap().flag("Q");
        assert_eq!((flag("true"), flag(" False"), flag("")), (Ok(true), Ok(false), Ok(false)));
        assert!(flag("yes").is_err());
    }

    proptest! {
        #[test]
        fn junk_never_panics(bytes in prop::collection::vec(any::<u8>(), 0..200), text in "[<>/a&;!\\[\\]\\-?#x0-9 ]{0,80}") {
            let _ = (parse(&bytes, "a"), parse(text.as_bytes(), "a"));
        }
    }
}
