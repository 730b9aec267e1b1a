//! CopyObject, and what else begins with a source.
//! <https://www.alibabacloud.com/help/en/oss/developer-reference/copyobject>

use http::{HeaderMap, HeaderName};
use percent_encoding::percent_decode;

use crate::dialect::conditions;
use crate::gateway::{Conditions, CopyRequest, CopySource, MetadataDirective, ObjectLock, Written};
use crate::types::{ObjectAt, VersionId};

use super::error::{bad_key, face, quoted};
use super::face::Face;
use super::objects::{write_conditions, write_face};
use super::request::{Call, bucket, key, version};
use super::response::Reply;
use super::service::OssDialect;
use super::xml::{Writer, time};
use super::{acl, describe, headers, tagging};

const SOURCE: &str = "x-oss-copy-source";
const SOURCE_VERSION: HeaderName = HeaderName::from_static("x-oss-copy-source-version-id");

/// The object that a source names: `/bucket/key[?versionId=…]`, encoded as a path or as a form. Clients disagree on which,
/// and both write a real plus as `%2B`: a bare one is a space.
pub(super) fn read(text: &str) -> Result<(ObjectAt, Option<VersionId>), Face> {
    let invalid = || Face::argument(SOURCE, text, "Copy source must be of the form /bucket/key.");
    let (path, query) = text.split_once('?').map_or((text, None), |(path, query)| (path, Some(query)));
    let path = path.strip_prefix('/').or(path.strip_prefix("%2F")).unwrap_or(path);
    let decoded = |text: &str| {
        let spaced: Vec<u8> = text.bytes().map(|byte| if byte == b'+' { b' ' } else { byte }).collect();
        String::from_utf8(percent_decode(&spaced).collect()).map_err(|_| bad_key(text))
    };
    // The slash between bucket and key may come encoded, too.
    let (name, rest) = match (path.split_once('/'), path.split_once("%2F").or(path.split_once("%2f"))) {
        (Some((plain, rest)), Some((encoded, again))) => {
            if encoded.len() < plain.len() {
                (encoded, again)
            } else {
                (plain, rest)
            }
        }
        (Some(parts), None) | (None, Some(parts)) => parts,
        (None, None) => return Err(invalid()),
    };
    let named = match query {
        None => None,
        Some(query) => Some(decoded(query.strip_prefix("versionId=").ok_or_else(invalid)?)?),
    };
    let at = ObjectAt { bucket: bucket(&decoded(name)?)?, key: key(&decoded(rest)?)? };
    Ok((at, version(named.as_deref())?))
}

/// The conditions on a source. Some samples write ISO 8601 times here; what is no time is no condition.
fn source_conditions(headers: &HeaderMap) -> Conditions {
    conditions::read(
        headers,
        [
            "x-oss-copy-source-if-match",
            "x-oss-copy-source-if-none-match",
            "x-oss-copy-source-if-modified-since",
            "x-oss-copy-source-if-unmodified-since",
        ],
    )
}

/// Takes the source of a copy out of a call.
pub(super) fn source(call: &mut Call) -> Result<CopySource, Face> {
    let text = call.headers.get(SOURCE).map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned());
    let (at, version) = read(&text.unwrap_or_default())?;
    let conditions = source_conditions(&call.headers);
    Ok(CopySource { at, version, conditions, customer_key: call.sse.source.take() })
}

/// The document of a finished copy.
pub(super) fn document(root: &'static str, etag: &str, modified: crate::types::Timestamp) -> Reply {
    let mut out = Writer::new(root);
    out.text("LastModified", &time(modified));
    out.text("ETag", &quoted(etag));
    Reply::xml(out.finish())
}

/// Names the version that was copied, where the source's bucket has versions.
pub(super) fn source_version(version: Option<&VersionId>, out: &mut HeaderMap) {
    if let Some(version) = version {
        describe::set(SOURCE_VERSION, version.as_str(), out);
    }
}

impl OssDialect {
    pub(super) async fn copy_object(&self, mut call: Call) -> Result<Reply, Face> {
        let at = call.new_object()?;
        let source = source(&mut call)?;
        let forbidden = self.forbids_overwrite(&call, &at.bucket).await?;
        let own = headers::of(&call.headers)?;
        let onto_itself = source.at == at && source.version.is_none();
        let replaces = onto_itself && !self.gateway.keeps_versions(&at.bucket).await.map_err(|error| face(&error))?;
        let directive = call.header("x-oss-metadata-directive").map(str::to_ascii_uppercase);
        let metadata = match directive.as_deref() {
            // Where no versions are kept, a copy onto itself replaces, whatever the directive says.
            None | Some("COPY") if replaces => MetadataDirective::Replace(own),
            None | Some("COPY") => MetadataDirective::Copy,
            Some("REPLACE") => MetadataDirective::Replace(own),
            Some(other) => {
                return Err(Face::argument("x-oss-metadata-directive", other, "Unknown metadata directive."));
            }
        };
        let tags = match call.header("x-oss-tagging-directive").map(str::to_ascii_lowercase).as_deref() {
            None | Some("copy") => None,
            Some("replace") => Some(tagging::header(&call.headers)?),
            Some(other) => {
                return Err(Face::argument("x-oss-tagging-directive", other, "Unknown tagging directive."));
            }
        };
        let sse = call.sse.write.take();
        self.check_default(&call, &at.bucket, sse.as_ref()).await?;
        let request = CopyRequest {
            source,
            at,
            metadata,
            lock: ObjectLock::default(),
            sse,
            conditions: write_conditions(forbidden),
            acl: acl::of_object(&call.headers)?,
            tags,
            checksum: None,
        };
        let written = self.gateway.copy_object(&call.requester, request).await;
        let written: Written = written.map_err(|error| write_face(&error, forbidden))?;
        let mut out = describe::written(&written);
        source_version(written.source_version.as_ref(), &mut out);
        Ok(document("CopyObjectResult", &written.etag, written.modified).with(out))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_is_decoded_as_every_client_encodes_it() {
        let table = [
            ("/bkt/key", "key"),
            ("bkt/key", "key"),
            ("/bkt/b+c", "b c"),
            ("/bkt/b%20c", "b c"),
            ("/bkt/b%2Bc", "b+c"),
            ("/bkt/dir%2Fa%2525", "dir/a%25"),
            ("/bkt/dir/%E4%B8%AD", "dir/中"),
            ("%2Fbkt%2Fdir%2Fk", "dir/k"),
            ("/bkt/a%3FversionId=x", "a?versionId=x"),
            ("/bkt//k", "/k"),
        ];
        for (text, key) in table {
            let (at, version) = read(text).unwrap();
            assert_eq!((at.bucket.as_str(), at.key.as_str(), version), ("bkt", key, None), "{text}");
        }
        let (at, version) = read("/bkt/k?versionId=null").unwrap();
        assert_eq!((at.key.as_str(), version), ("k", Some(VersionId::null())));
    }

    #[test]
    fn what_names_no_object_is_refused() {
        let table = [
            ("", "InvalidArgument"),
            ("/bkt", "InvalidArgument"),
            ("/bkt/", "InvalidObjectName"),
            ("//k", "InvalidBucketName"),
            ("/b_t/k", "InvalidBucketName"),
            ("/bkt/%ff", "InvalidObjectName"),
            ("/bkt/k?versionId=1", "NoSuchVersion"),
            ("/bkt/k?other=1", "InvalidArgument"),
        ];
        for (text, code) in table {
            assert_eq!(read(text).unwrap_err().code, code, "{text}");
        }
    }
}
