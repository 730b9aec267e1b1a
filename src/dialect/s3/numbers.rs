//! Numbers in XML documents. `s3s` reads the digits that a text begins with and forgets the rest: a part `1.5` or `1x`
//! would be part 1.

use quick_xml::Reader;
use quick_xml::events::Event;

use super::error::Face;

/// Elements whose text is a number, in the documents that requests carry.
const NUMBERS: [&[u8]; 2] = [b"PartNumber", b"Size"];

/// Refuses a document with a number that is none. What is wrong with its form is for whoever reads it to say.
pub(super) fn check(document: &[u8]) -> Result<(), Face> {
    let mut reader = Reader::from_reader(document);
    let mut number: Option<Vec<u8>> = None;
    while let Ok(event) = reader.read_event() {
        match event {
            Event::Eof => break,
            Event::Start(start) => {
                number = NUMBERS.contains(&start.local_name().as_ref()).then(Vec::new);
            }
            Event::End(_) if number.take().is_some_and(|text| !is_number(&text)) => return Err(Face::malformed_xml()),
            Event::Text(text) => {
                if let Some(number) = &mut number {
                    number.extend_from_slice(&text);
                }
            }
            // No number needs them.
            Event::CData(_) | Event::GeneralRef(_) if number.is_some() => return Err(Face::malformed_xml()),
            _ => {}
        }
    }
    Ok(())
}

fn is_number(text: &[u8]) -> bool {
    let text = text.trim_ascii();
    !text.is_empty() && text.iter().all(u8::is_ascii_digit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_digits_and_nothing_else() {
        let part = |number: &str| format!("<C><Part><PartNumber>{number}</PartNumber><ETag>1x</ETag></Part></C>");
        for good in ["1", " 10000\n", "99999999999"] {
            assert!(check(part(good).as_bytes()).is_ok(), "{good:?}");
        }
        for bad in ["", "1.5", "1x", "-1", "+1", "1e3", "0x1", "&#49;", "<![CDATA[1]]>", "1 2"] {
            assert_eq!(check(part(bad).as_bytes()).unwrap_err().code, "MalformedXML", "{bad:?}");
        }
        assert!(check(b"<a:Part xmlns:a='x'><a:PartNumber>1x</a:PartNumber></a:Part>").is_err());
        assert!(check(b"<Delete><Object><Key>1x</Key></Object>").is_ok());
    }
}
