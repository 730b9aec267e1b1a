//! UpdateObjectEncryption, which `s3s` does not know. Its document is read here; `s3s` then sees a request of the same shape
//! that it knows, which reads bucket, object and version out of host, path and query.
//! <https://docs.aws.amazon.com/AmazonS3/latest/API/API_UpdateObjectEncryption.html>

use bytes::Bytes;
use http::Uri;
use quick_xml::Reader;
use quick_xml::events::Event;

use crate::dialect::query::query_pairs;
use crate::gateway::NewKey;
use crate::kms::KeyRef;
use crate::kms::embedded::is_arn_of_kms;

use super::error::Face;

/// What `s3s` is shown instead of the document.
pub(super) const SHOWN: &[u8] = b"<Tagging><TagSet/></Tagging>";

/// Reads the document.
///
/// # Errors
/// `MalformedXML`; `InvalidRequest` for another encryption than SSE-KMS, and for a key that is not named by its ARN.
pub(super) fn parse(document: &[u8]) -> Result<NewKey, Face> {
    let mut reader = Reader::from_reader(document);
    let mut path: Vec<Vec<u8>> = Vec::new();
    let (mut key, mut flag, mut other, mut kms) = (None::<String>, None::<String>, false, false);
    loop {
        match reader.read_event().map_err(|_| Face::malformed_xml())? {
            Event::Start(start) => {
                path.push(start.local_name().as_ref().to_vec());
                kms |= is(&path, &["ObjectEncryption", "SSE-KMS"]);
                other |= is(&path, &["ObjectEncryption", "SSE-S3"]);
                if path.len() > 3 {
                    return Err(Face::malformed_xml());
                }
            }
            Event::Empty(empty) => {
                path.push(empty.local_name().as_ref().to_vec());
                other |= is(&path, &["ObjectEncryption", "SSE-S3"]);
                path.pop();
            }
            Event::End(_) => _ = path.pop(),
            Event::Text(text) => {
                let text = std::str::from_utf8(&text).map_err(|_| Face::malformed_xml())?.trim();
                let field = match () {
                    () if is(&path, &["ObjectEncryption", "SSE-KMS", "KMSKeyArn"]) => &mut key,
                    () if is(&path, &["ObjectEncryption", "SSE-KMS", "BucketKeyEnabled"]) => &mut flag,
                    () if text.is_empty() => continue,
                    () => return Err(Face::malformed_xml()),
                };
                field.get_or_insert_default().push_str(text);
            }
            Event::Eof => break,
            Event::Decl(_) | Event::Comment(_) => {}
            // An ARN has no character that would need another form.
            Event::CData(_) | Event::GeneralRef(_) | Event::DocType(_) | Event::PI(_) => {
                return Err(Face::malformed_xml());
            }
        }
    }
    if other {
        return Err(Face::invalid_request("An object cannot be moved to SSE-S3; name SSE-KMS and a key."));
    }
    let key = key.filter(|_| kms && path.is_empty()).ok_or_else(Face::malformed_xml)?;
    let bucket_key = match flag.as_deref() {
        None | Some("false") => false,
        Some("true") => true,
        Some(_) => return Err(Face::malformed_xml()),
    };
    if !is_arn_of_kms(&key) || !key.contains(":key/") {
        return Err(Face::invalid_request("KMSKeyArn must be the full ARN of a KMS key, and not of an alias."));
    }
    Ok(NewKey { key: KeyRef(key), bucket_key })
}

fn is(path: &[Vec<u8>], names: &[&str]) -> bool {
    path.iter().map(Vec::as_slice).eq(names.iter().map(|name| name.as_bytes()))
}

/// The same request as one that `s3s` knows.
///
/// # Errors
/// `InvalidRequest` when the address cannot be written so.
pub(super) fn shown(uri: &Uri) -> Result<(Uri, Bytes), Face> {
    let version = query_pairs(uri.query().unwrap_or_default()).find(|(name, _)| name == "versionId");
    let query = match version {
        Some((_, version)) => {
            let version = percent_encoding::utf8_percent_encode(&version, percent_encoding::NON_ALPHANUMERIC);
            format!("{}?tagging&versionId={version}", uri.path())
        }
        None => format!("{}?tagging", uri.path()),
    };
    let mut parts = uri.clone().into_parts();
    let bad = || Face::invalid_request("The address of the request cannot be read.");
    parts.path_and_query = Some(query.parse().map_err(|_| bad())?);
    Ok((Uri::from_parts(parts).map_err(|_| bad())?, Bytes::from_static(SHOWN)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ARN: &str = "arn:aws:kms:us-east-1:000000000000:key/0f1e2d3c-4b5a-6978-8796-a5b4c3d2e1f0";

    fn code(document: &str) -> &'static str {
        parse(document.as_bytes()).unwrap_err().code
    }

    #[test]
    fn the_document_names_a_key_by_its_arn_and_perhaps_the_flag() {
        let document = |inner: &str| format!("<ObjectEncryption><SSE-KMS>{inner}</SSE-KMS></ObjectEncryption>");
        let key = format!("<KMSKeyArn> {ARN}\n</KMSKeyArn>");
        for (flag, expected) in [
            ("", false),
            ("<BucketKeyEnabled>false</BucketKeyEnabled>", false),
            ("<BucketKeyEnabled>true</BucketKeyEnabled>", true),
        ] {
            let parsed = parse(document(&format!("{key}{flag}")).as_bytes()).unwrap();
            assert_eq!(parsed, NewKey { key: KeyRef(ARN.to_owned()), bucket_key: expected });
        }
        assert_eq!(code(&document("<KMSKeyArn>alias/a</KMSKeyArn>")), "InvalidRequest");
        assert_eq!(code("<ObjectEncryption><SSE-S3/></ObjectEncryption>"), "InvalidRequest");
        for bad in [
            "",
            "x",
            "<a/>",
            "<ObjectEncryption/>",
            "<ObjectEncryption><SSE-KMS>",
            &document(""),
            &document("x"),
            &document(&format!("{key}<BucketKeyEnabled>2</BucketKeyEnabled>")),
            &document("<KMSKeyArn><a>x</a></KMSKeyArn>"),
            "<!DOCTYPE a [<!ENTITY b \"c\">]><ObjectEncryption/>",
        ] {
            assert_eq!(code(bad), "MalformedXML", "{bad}");
        }
    }

    #[test]
    fn the_shown_address_has_the_same_path_and_version() {
        let shown = |uri: &str| shown(&uri.parse().unwrap()).unwrap().0.to_string();
        assert_eq!(shown("/b/a%20k?encryption"), "/b/a%20k?tagging");
        assert_eq!(shown("http://h/b/k?versionId=ab&encryption="), "http://h/b/k?tagging&versionId=ab");
        assert_eq!(shown("/b/k?encryption&versionId=%26acl"), "/b/k?tagging&versionId=%26acl");
    }
}
