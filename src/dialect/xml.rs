//! What both dialects' documents need beyond escaping.

use bytes::Bytes;

/// Writes the control characters that an object key may hold, and XML text may not, as character references, as S3
/// does: `&#x1;`. A carriage return is among them, which a reader would otherwise turn into a line feed. A strict
/// XML 1.0 reader still refuses most of them; `encoding-type=url` is S3's answer to that, and the SDKs ask for it.
pub(super) fn well_formed(document: Bytes) -> Bytes {
    // U+FFFE and U+FFFF are the only other characters of valid UTF-8 that XML does not allow.
    let odd = |bytes: &[u8]| match bytes {
        [byte, ..] if *byte < 0x20 && !matches!(byte, b'\t' | b'\n') => 1,
        [0xef, 0xbf, 0xbe | 0xbf, ..] => 3,
        _ => 0,
    };
    if (0..document.len()).all(|at| odd(&document[at..]) == 0) {
        return document;
    }
    let mut out = Vec::with_capacity(document.len().saturating_add(64));
    let mut rest: &[u8] = &document;
    while let Some((&byte, after)) = rest.split_first() {
        match odd(rest) {
            0 => out.push(byte),
            1 => out.extend_from_slice(format!("&#x{byte:x};").as_bytes()),
            _ => out.extend_from_slice(format!("&#xff{:x};", rest[2].wrapping_add(0x40)).as_bytes()),
        }
        rest = if odd(rest) == 3 { &rest[3..] } else { after };
    }
    out.into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use quick_xml::escape::escape;

    #[test]
    fn characters_that_xml_forbids_become_references() {
        let odd = Bytes::from("<K>a\u{1}\r\n\t\u{fffe}\u{ffff}é</K>");
        assert_eq!(well_formed(odd), "<K>a&#x1;&#xd;\n\t&#xfffe;&#xffff;é</K>");
    }

    proptest! {
        #[test]
        fn any_key_reads_back_from_the_document(key in "\\PC*|[\\x00-\\x7f]{0,20}|.*") {
            let document = format!("<K>{}</K>", escape(key.as_str()));
            let written = well_formed(Bytes::from(document));
            let text = std::str::from_utf8(&written).unwrap();
            prop_assert!(text.chars().all(|c| c >= ' ' || c == '\n' || c == '\t'));
            let inner = text.strip_prefix("<K>").and_then(|rest| rest.strip_suffix("</K>")).unwrap();
            let read = quick_xml::escape::unescape(inner);
            // A reader that takes every reference gets the key back; NUL has no reference at all.
            if !key.contains('\0') {
                prop_assert_eq!(read.unwrap().into_owned(), key);
            }
        }
    }
}
