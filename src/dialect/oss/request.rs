//! One request, verified and read as far as it must be before the gateway is called.

use std::sync::{Mutex, PoisonError};

use bytes::Bytes;
use http::HeaderMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;

use crate::gateway::{DeclaredDigests, PlainBody};
use crate::identity::OssResource;
use crate::identity::Requester;
use crate::types::{BucketName, ObjectAt, ObjectKey, PartNumber, UploadId, VersionId};

use super::error::{bad_key, bad_name};
use super::face::Face;
use super::query::Query;
use super::sse::{SseHeaders, SseInput};

/// The longest name of a new object (OSS: 1,023 bytes; S3 one more, which can be read here).
const KEY_MAXIMUM: usize = 1023;

/// A request on its way to the gateway.
pub(super) struct Call {
    /// Who calls, with which words.
    pub(super) requester: Requester,
    /// The headers as they came, without those of encryption.
    pub(super) headers: HeaderMap,
    /// The parameters.
    pub(super) query: Query,
    /// What the client calls us.
    pub(super) host: String,
    /// Whether keys may travel on this connection.
    pub(super) secure: bool,
    /// What the encryption headers ask for.
    pub(super) sse: SseInput,
    /// The encryption headers themselves: a read may have to look twice, and a customer key is used up.
    pub(super) sse_headers: SseHeaders,
    /// What the address names.
    pub(super) resource: OssResource,
    /// Whether it asks for headers alone.
    pub(super) head: bool,
    /// The body of a write, until it is taken.
    pub(super) body: Mutex<Option<PlainBody>>,
    /// The document of a request that carries one.
    pub(super) document: Bytes,
}

impl Call {
    /// The bucket that the address names.
    pub(super) fn bucket(&self) -> Result<BucketName, Face> {
        bucket(self.resource.bucket.as_deref().unwrap_or_default())
    }

    /// The object that the address names, which is there already or is looked for.
    pub(super) fn object(&self) -> Result<ObjectAt, Face> {
        let text = self.resource.key.as_deref().unwrap_or_default();
        Ok(ObjectAt { bucket: self.bucket()?, key: key(text)? })
    }

    /// The object that the address names, to be written: by OSS's rules for names.
    pub(super) fn new_object(&self) -> Result<ObjectAt, Face> {
        let text = self.resource.key.as_deref().unwrap_or_default();
        check_new_key(text)?;
        self.object()
    }

    /// The version that the request names.
    pub(super) fn version(&self) -> Result<Option<VersionId>, Face> {
        version(self.query.get("versionId"))
    }

    /// The upload that the request names; one that we never made is of no upload.
    pub(super) fn upload(&self) -> Result<UploadId, Face> {
        let text = self.query.get("uploadId").unwrap_or_default();
        text.parse().map_err(|error| bad_name(&error, text))
    }

    /// The part that the request names.
    pub(super) fn part_number(&self) -> Result<PartNumber, Face> {
        part_number(self.query.get("partNumber").unwrap_or_default())
    }

    /// A header's text.
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// Whether an `x-oss-…` switch is on.
    pub(super) fn switch(&self, name: &str) -> bool {
        self.header(name).is_some_and(|text| text.trim().eq_ignore_ascii_case("true"))
    }

    /// Takes the body, which has a length or ends in chunks.
    pub(super) fn take_body(&mut self) -> Result<PlainBody, Face> {
        self.body.get_mut().unwrap_or_else(PoisonError::into_inner).take().ok_or_else(|| {
            Face::new(
                http::StatusCode::LENGTH_REQUIRED,
                "MissingContentLength",
                "You must provide the Content-Length HTTP header.",
            )
        })
    }

    /// What is declared of the body: its MD5.
    pub(super) fn digests(&self) -> Result<DeclaredDigests, Face> {
        Ok(DeclaredDigests { md5: content_md5(&self.headers)?, ..DeclaredDigests::default() })
    }
}

/// `Content-MD5`, decoded.
pub(super) fn content_md5(headers: &HeaderMap) -> Result<Option<[u8; 16]>, Face> {
    // Some clients send the header without a value where there is nothing to digest.
    let Some(value) = headers.get("content-md5").filter(|value| !value.is_empty()) else { return Ok(None) };
    let decoded = BASE64.decode(value.as_bytes()).ok().and_then(|bytes| <[u8; 16]>::try_from(bytes).ok());
    decoded.map(Some).ok_or_else(|| {
        Face::bad("InvalidDigest", "The Content-MD5 you specified was invalid.")
            .with("Content-MD5", String::from_utf8_lossy(value.as_bytes()))
    })
}

/// A bucket's name.
pub(super) fn bucket(text: &str) -> Result<BucketName, Face> {
    text.parse().map_err(|error| bad_name(&error, text))
}

/// An object's name.
pub(super) fn key(text: &str) -> Result<ObjectKey, Face> {
    text.parse().map_err(|error| bad_name(&error, text))
}

/// A version, when one is named.
pub(super) fn version(text: Option<&str>) -> Result<Option<VersionId>, Face> {
    text.map(|text| text.parse().map_err(|error| bad_name(&error, text))).transpose()
}

/// A part's number: digits and nothing else.
pub(super) fn part_number(text: &str) -> Result<PartNumber, Face> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let number = text.parse::<u32>().ok().filter(|_| digits).unwrap_or(0);
    PartNumber::try_from(number).map_err(|error| bad_name(&error, text))
}

/// Refuses a name that OSS gives no object.
pub(super) fn check_new_key(text: &str) -> Result<(), Face> {
    if text.len() > KEY_MAXIMUM || text.starts_with(['/', '\\']) { Err(bad_key(text)) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::{HeaderName, HeaderValue};

    #[test]
    fn names_that_are_none_have_their_codes() {
        assert_eq!(bucket("A_b").unwrap_err().code, "InvalidBucketName");
        assert_eq!(key("").unwrap_err().code, "InvalidObjectName");
        for bad in ["/k", "\\k", &"k".repeat(1024)] {
            assert_eq!(check_new_key(bad).unwrap_err().code, "InvalidObjectName", "{bad:.5}");
        }
        assert!(check_new_key(&"k".repeat(1023)).is_ok() && check_new_key("a//../b/").is_ok());
        assert_eq!(version(Some("1")).unwrap_err().code, "NoSuchVersion");
    }

    #[test]
    fn part_numbers_are_digits_from_1_to_10000() {
        assert_eq!(part_number("10000").unwrap().get(), 10_000);
        for bad in ["", "0", "10001", "+1", "1x", "99999999999"] {
            assert_eq!(part_number(bad).unwrap_err().code, "InvalidArgument", "{bad}");
        }
    }

    #[test]
    fn a_malformed_content_md5_is_an_invalid_digest() {
        let ask = |text| {
            let name = HeaderName::from_static("content-md5");
            content_md5(&HeaderMap::from_iter([(name, HeaderValue::from_static(text))]))
        };
        assert!(ask("1B2M2Y8AsgTpgAmY7PhCfg==").unwrap().is_some());
        assert!(ask("").unwrap().is_none());
        assert_eq!(ask("AAAA").unwrap_err().code, "InvalidDigest");
    }
}
