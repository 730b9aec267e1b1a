//! `BlockedEncryptionTypes`: the part of a bucket's encryption that `s3s` does not know. It refuses the element on
//! the way in and cannot write it on the way out, so both are done here, on the document itself.
//! <https://docs.aws.amazon.com/AmazonS3/latest/API/API_BlockedEncryptionTypes.html>

use bytes::Bytes;
use quick_xml::Reader;
use quick_xml::events::Event;

use super::error::Face;

/// Marks an answer to GetBucketEncryption of a bucket that takes no SSE-C, until the document is written.
#[derive(Debug, Clone, Copy)]
pub(super) struct CustomerBlocked;

const ELEMENT: &[u8] = b"BlockedEncryptionTypes";
const TYPE: &[u8] = b"EncryptionType";
const WRITTEN: &str = "<BlockedEncryptionTypes><EncryptionType>SSE-C</EncryptionType></BlockedEncryptionTypes></Rule>";

/// The document without the element, and whether it blocks SSE-C; `None` when it says nothing of it.
///
/// # Errors
/// `MalformedXML` for anything but one `NONE` or one `SSE-C`.
pub(super) fn take(document: &Bytes) -> Result<(Bytes, Option<bool>), Face> {
    let mut reader = Reader::from_reader(document.as_ref());
    let (mut inside, mut seen) = (false, None);
    let (mut rest, mut from) = (Vec::with_capacity(document.len()), 0);
    let mut text: Option<Vec<u8>> = None;
    loop {
        let before = position(&reader);
        match reader.read_event().map_err(|_| Face::malformed_xml())? {
            Event::Eof => break,
            Event::Empty(empty) if empty.local_name().as_ref() == ELEMENT => return Err(Face::malformed_xml()),
            Event::Start(start) if !inside && start.local_name().as_ref() == ELEMENT => {
                rest.extend_from_slice(document.get(from..before).unwrap_or_default());
                inside = true;
            }
            Event::Start(start) if inside => {
                if start.local_name().as_ref() != TYPE {
                    return Err(Face::malformed_xml());
                }
                text = Some(Vec::new());
            }
            Event::Text(more) => {
                if let Some(text) = &mut text {
                    text.extend_from_slice(&more);
                }
            }
            Event::End(end) if inside && end.local_name().as_ref() == TYPE => {
                let blocks = match text.take().unwrap_or_default().trim_ascii() {
                    b"SSE-C" => true,
                    b"NONE" => false,
                    _ => return Err(Face::malformed_xml()),
                };
                if seen.replace(blocks).is_some() {
                    return Err(Face::malformed_xml());
                }
            }
            Event::End(end) if end.local_name().as_ref() == ELEMENT => {
                if seen.is_none() {
                    return Err(Face::malformed_xml());
                }
                inside = false;
                from = position(&reader);
            }
            _ => {}
        }
    }
    if inside {
        return Err(Face::malformed_xml());
    }
    rest.extend_from_slice(document.get(from..).unwrap_or_default());
    Ok((rest.into(), seen))
}

fn position(reader: &Reader<&[u8]>) -> usize {
    usize::try_from(reader.buffer_position()).unwrap_or(usize::MAX)
}

/// Writes into an answer's document that SSE-C is blocked.
pub(super) fn describe(document: &Bytes) -> Bytes {
    match std::str::from_utf8(document) {
        Ok(text) => text.replacen("</Rule>", WRITTEN, 1).into(),
        Err(_) => document.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn document(types: &str) -> String {
        format!(
            "<ServerSideEncryptionConfiguration><Rule><BucketKeyEnabled>true</BucketKeyEnabled>{types}</Rule>\
             </ServerSideEncryptionConfiguration>"
        )
    }

    fn parse(document: &str) -> Result<Option<bool>, Face> {
        take(&Bytes::from(document.to_owned())).map(|(_, blocked)| blocked)
    }

    #[test]
    fn one_type_is_blocked_or_none() {
        let types = |inner: &str| document(&format!("<BlockedEncryptionTypes>{inner}</BlockedEncryptionTypes>"));
        let one = |name: &str| format!("<EncryptionType>{name}</EncryptionType>");
        assert_eq!(parse(&document("")), Ok(None));
        assert_eq!(parse(&types(&one("SSE-C"))), Ok(Some(true)));
        assert_eq!(parse(&types(&one(" NONE\n"))), Ok(Some(false)));
        for bad in ["", "SSE-C", "<EncryptionType/>", "<Other>SSE-C</Other>", &one("SSE-KMS"), &one("sse-c"), &one("")]
        {
            assert!(parse(&types(bad)).is_err(), "{bad:?}");
        }
        assert!(parse(&types(&(one("NONE") + &one("SSE-C")))).is_err());
        assert!(parse("<Rule><BlockedEncryptionTypes><EncryptionType>NONE</EncryptionType>").is_err());
        assert!(parse(&document("<BlockedEncryptionTypes/>")).is_err());
    }

    #[test]
    fn what_is_written_reads_back_and_leaves_nothing_behind() {
        let bare = Bytes::from(document(""));
        assert_eq!(take(&describe(&bare)), Ok((bare, Some(true))));
    }
}
