//! Multipart uploads.
//! <https://www.alibabacloud.com/help/en/oss/developer-reference/initiatemultipartupload>

use http::HeaderMap;

use crate::dialect::conditions::parse_range;
use crate::gateway::{
    CompleteRequest, CompletedParts, CreateUploadRequest, ListPartsRequest, ListedUploadEntry, NamedPart, OSS_MIN_PART,
    PartCopyRequest, PartRequest, PartWritten, RangeSpec, UploadListing,
};
use crate::store::UploadQuery;
use crate::types::{PartNumber, UploadId};

use super::error::{bad_name, face, quoted};
use super::face::Face;
use super::listing::Rows;
use super::objects::{md5_of, write_conditions, write_face};
use super::request::{Call, part_number};
use super::response::Reply;
use super::service::OssDialect;
use super::xml::{Element, Encoding, Writer, parse, time};
use super::{copy, describe, headers, sse};

/// The most rows on a page of uploads or parts, which is what there are when nothing is said.
const PAGE: u16 = 1000;

fn echo_encoding(out: &mut Writer, encoding: Encoding) {
    if encoding == Encoding::Url {
        out.text("EncodingType", "url");
    }
}

/// The headers of an answer that tells of a part.
fn part_headers(written: &PartWritten) -> HeaderMap {
    let mut out = HeaderMap::new();
    describe::etag(&written.etag, &mut out);
    describe::crc64(written.crc64, &mut out);
    sse::describe(&written.sse, &mut out);
    out
}

/// `x-oss-copy-source-range`: `bytes=first-last`, both given.
fn copy_range(call: &Call) -> Result<Option<(u64, u64)>, Face> {
    const NAME: &str = "x-oss-copy-source-range";
    let Some(text) = call.header(NAME) else { return Ok(None) };
    match parse_range(text) {
        Some(RangeSpec::Bounded(first, last)) => Ok(Some((first, last))),
        Some(RangeSpec::From(_) | RangeSpec::Suffix(_)) | None => {
            Err(Face::argument(NAME, text, "The range must be of the form bytes=first-last."))
        }
    }
}

/// The parts that a document names, in the client's order.
pub(super) fn named_parts(document: &[u8]) -> Result<Vec<NamedPart>, Face> {
    let root = parse(document, "CompleteMultipartUpload")?;
    let part = |part: &Element| {
        let number = part.value("PartNumber").ok_or_else(Face::malformed_xml)?;
        let etag = part.value("ETag").ok_or_else(Face::malformed_xml)?;
        let etag = etag.trim_matches('"').to_ascii_lowercase();
        Ok(NamedPart { number: part_number(number)?, etag, checksum: None })
    };
    let parts: Vec<NamedPart> = root.children("Part").map(part).collect::<Result<_, Face>>()?;
    if parts.is_empty() || u32::try_from(parts.len()).map_or(true, |count| count > PartNumber::MAX) {
        return Err(Face::malformed_xml());
    }
    Ok(parts)
}

/// The parts that an upload is completed with. With `x-oss-complete-all` there is no document.
fn completed_parts(call: &Call) -> Result<CompletedParts, Face> {
    match call.header("x-oss-complete-all").map(str::to_ascii_lowercase).as_deref() {
        None => named_parts(&call.document).map(CompletedParts::Named),
        Some("yes") if call.document.trim_ascii().is_empty() => Ok(CompletedParts::All),
        Some("yes") => {
            Err(Face::argument("x-oss-complete-all", "yes", "The body must be empty beside x-oss-complete-all."))
        }
        Some(other) => Err(Face::argument("x-oss-complete-all", other, "The value must be yes.")),
    }
}

/// Above which part a listing of parts goes on; 0 and none are the beginning.
fn parts_after(text: Option<&str>) -> Result<Option<PartNumber>, Face> {
    let Some(text) = text else { return Ok(None) };
    let number = text.parse::<u32>().ok().filter(|_| text.bytes().all(|byte| byte.is_ascii_digit()));
    let invalid = || Face::argument("part-number-marker", text, "The marker must be a number.");
    match number.ok_or_else(invalid)? {
        0 => Ok(None),
        // No part is above the highest number there is.
        number => PartNumber::try_from(number.min(PartNumber::MAX)).map(Some).map_err(|error| bad_name(&error, text)),
    }
}

/// Where a listing of uploads continues. Without a key marker, an upload marker means nothing.
fn uploads_after(key: Option<&str>, upload: Option<&str>) -> Result<Option<(String, Option<UploadId>)>, Face> {
    let Some(key) = key else { return Ok(None) };
    let upload = match upload {
        None => None,
        Some(text) => Some(text.parse().map_err(|_| Face::argument("upload-id-marker", text, "Invalid upload id."))?),
    };
    Ok(Some((key.to_owned(), upload)))
}

/// Where the page after this one starts.
fn next_upload(listing: &UploadListing) -> (&str, &str) {
    match listing.entries.last().filter(|_| listing.truncated) {
        None => ("", ""),
        Some(ListedUploadEntry::Upload(last)) => (last.key.as_str(), last.id.as_str()),
        Some(ListedUploadEntry::Prefix(last)) => (last, ""),
    }
}

impl OssDialect {
    pub(super) async fn initiate_upload(&self, mut call: Call) -> Result<Reply, Face> {
        let at = call.new_object()?;
        let encoding = call.query.encoding()?;
        let forbidden = self.forbids_overwrite(&call, &at.bucket).await?;
        let sse = call.sse.write.take();
        self.check_default(&call, &at.bucket, sse.as_ref()).await?;
        let request = CreateUploadRequest {
            at: at.clone(),
            headers: headers::of(&call.headers)?,
            sse,
            checksum: None,
            conditions: write_conditions(forbidden),
        };
        let created = self.gateway.create_upload(&call.requester, request).await;
        let created = created.map_err(|error| write_face(&error, forbidden))?;
        let mut out = HeaderMap::new();
        sse::describe(&created.sse, &mut out);
        let mut document = Writer::new("InitiateMultipartUploadResult");
        echo_encoding(&mut document, encoding);
        document.text("Bucket", at.bucket.as_str());
        document.text("Key", &encoding.write(at.key.as_str()));
        document.text("UploadId", created.id.as_str());
        Ok(Reply::xml(document.finish()).with(out))
    }

    pub(super) async fn upload_part(&self, mut call: Call) -> Result<Reply, Face> {
        let digests = call.digests()?;
        let md5 = digests.md5;
        let request = PartRequest {
            at: call.object()?,
            upload: call.upload()?,
            number: call.part_number()?,
            customer_key: call.sse.customer.take(),
            digests,
            body: call.take_body()?,
        };
        let written = self.gateway.put_part(&call.requester, request).await.map_err(|error| face(&error))?;
        let mut out = part_headers(&written);
        describe::content_md5(md5.or_else(|| md5_of(&written.etag, &written.sse)), &mut out);
        Ok(Reply::empty().with(out))
    }

    pub(super) async fn upload_part_copy(&self, mut call: Call) -> Result<Reply, Face> {
        let request = PartCopyRequest {
            source: copy::source(&mut call)?,
            range: copy_range(&call)?,
            at: call.object()?,
            upload: call.upload()?,
            number: call.part_number()?,
            customer_key: call.sse.customer.take(),
        };
        let written = self.gateway.copy_part(&call.requester, request).await.map_err(|error| face(&error))?;
        let mut out = part_headers(&written);
        copy::source_version(written.source_version.as_ref(), &mut out);
        Ok(copy::document("CopyPartResult", &written.etag, written.modified).with(out))
    }

    pub(super) async fn complete_upload(&self, mut call: Call) -> Result<Reply, Face> {
        let at = call.object()?;
        let encoding = call.query.encoding()?;
        let forbidden = self.forbids_overwrite(&call, &at.bucket).await?;
        let request = CompleteRequest {
            at: at.clone(),
            upload: call.upload()?,
            parts: completed_parts(&call)?,
            min_part: OSS_MIN_PART,
            customer_key: call.sse.customer.take(),
            conditions: write_conditions(forbidden),
            checksum: None,
            size: None,
        };
        let written = self.gateway.complete_upload(&call.requester, request).await;
        let written = written.map_err(|error| write_face(&error, forbidden))?;
        let mut out = Writer::new("CompleteMultipartUploadResult");
        echo_encoding(&mut out, encoding);
        out.text(
            "Location",
            &format!(
                "http://{}.{}/{}",
                at.bucket,
                self.config.hosts.endpoint(&call.host),
                encoding.write(at.key.as_str())
            ),
        );
        out.text("Bucket", at.bucket.as_str());
        out.text("Key", &encoding.write(at.key.as_str()));
        out.text("ETag", &quoted(&written.etag));
        Ok(Reply::xml(out.finish()).with(describe::written(&written)))
    }

    pub(super) async fn abort_upload(&self, call: Call) -> Result<Reply, Face> {
        let (at, upload) = (call.object()?, call.upload()?);
        self.gateway.abort_upload(&call.requester, &at, &upload).await.map_err(|error| face(&error))?;
        Ok(Reply::no_content())
    }

    pub(super) async fn list_parts(&self, call: Call) -> Result<Reply, Face> {
        let at = call.object()?;
        let encoding = call.query.encoding()?;
        let limit = call.query.page("max-parts", PAGE)?;
        let marker = call.query.get("part-number-marker");
        let request = ListPartsRequest {
            at: at.clone(),
            upload: call.upload()?,
            after: parts_after(marker)?,
            limit: usize::from(limit),
        };
        let list = self.gateway.list_parts(&call.requester, request).await.map_err(|error| face(&error))?;
        let mut out = Writer::new("ListPartsResult");
        echo_encoding(&mut out, encoding);
        out.text("Bucket", at.bucket.as_str());
        out.text("Key", &encoding.write(at.key.as_str()));
        out.text("UploadId", call.query.get("uploadId").unwrap_or_default());
        out.text("StorageClass", "Standard");
        out.text("PartNumberMarker", marker.unwrap_or("0"));
        // oss2 wants a number here, truncated or not.
        out.show("NextPartNumberMarker", list.parts.last().map_or(0, |last| last.number.get()));
        out.show("MaxParts", limit);
        out.show("IsTruncated", list.truncated);
        for part in &list.parts {
            out.within("Part", |out| {
                out.show("PartNumber", part.number);
                out.text("LastModified", &time(part.modified));
                out.text("ETag", &quoted(&part.etag));
                out.some("HashCrc64ecma", part.crc64.map(|crc64| crc64.to_string()).as_deref());
                out.show("Size", part.size);
            });
        }
        Ok(Reply::xml(out.finish()))
    }

    pub(super) async fn list_uploads(&self, call: Call) -> Result<Reply, Face> {
        let name = call.bucket()?;
        let asked = Rows::of(&call.query, "max-uploads", PAGE)?;
        let (key, upload) = (call.query.get("key-marker"), call.query.get("upload-id-marker"));
        let query = UploadQuery {
            prefix: asked.prefix.to_owned(),
            delimiter: asked.delimiter.map(str::to_owned),
            after: uploads_after(key, upload)?,
            limit: usize::from(asked.limit),
        };
        let listing = self.gateway.list_uploads(&call.requester, &name, query).await.map_err(|error| face(&error))?;
        let (next_key, next_id) = next_upload(&listing);
        let mut out = Writer::new("ListMultipartUploadsResult");
        out.text("Bucket", name.as_str());
        out.text("KeyMarker", &asked.encoding.write(key.unwrap_or_default()));
        out.text("UploadIdMarker", upload.unwrap_or_default());
        // oss2 wants both, truncated or not.
        out.text("NextKeyMarker", &asked.encoding.write(next_key));
        out.text("NextUploadIdMarker", next_id);
        asked.echo(&mut out, "MaxUploads", listing.truncated);
        for entry in &listing.entries {
            match entry {
                ListedUploadEntry::Upload(upload) => out.within("Upload", |out| {
                    out.text("Key", &asked.encoding.write(upload.key.as_str()));
                    out.text("UploadId", upload.id.as_str());
                    out.text("StorageClass", "Standard");
                    out.text("Initiated", &time(upload.initiated));
                }),
                ListedUploadEntry::Prefix(prefix) => asked.common_prefix(&mut out, prefix),
            }
        }
        Ok(Reply::xml(out.finish()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(inner: &str) -> Result<Vec<(u32, String)>, &'static str> {
        let document = format!("<CompleteMultipartUpload>{inner}</CompleteMultipartUpload>");
        let parts = named_parts(document.as_bytes()).map_err(|face| face.code)?;
        Ok(parts.into_iter().map(|part| (part.number.get(), part.etag)).collect())
    }

    #[test]
    fn parts_come_with_quoted_escaped_or_bare_etags_in_any_case() {
        let part =
            |number: &str, etag: &str| format!("<Part><ETag>{etag}</ETag><PartNumber>{number}</PartNumber></Part>");
        let all = part("2", "\"AB\"") + &part("1", "&#34;cd&#34;") + &part("3", "Ef");
        // The order is the client's: the gateway judges it.
        assert_eq!(named(&all).unwrap(), [(2, "ab".into()), (1, "cd".into()), (3, "ef".into())]);
        assert_eq!(named(""), Err("MalformedXML"));
        assert_eq!(named("<Part><ETag>a</ETag></Part>"), Err("MalformedXML"));
        assert_eq!(named("<Part><PartNumber>1</PartNumber></Part>"), Err("MalformedXML"));
        for bad in ["0", "10001", "1.5", "-1", "x"] {
            assert_eq!(named(&part(bad, "a")), Err("InvalidArgument"), "{bad}");
        }
    }

    #[test]
    fn a_part_marker_beyond_the_last_is_the_last() {
        assert_eq!(parts_after(None).unwrap(), None);
        assert_eq!(parts_after(Some("0")).unwrap(), None);
        assert_eq!(parts_after(Some("5")).unwrap().unwrap().get(), 5);
        assert_eq!(parts_after(Some("99999")).unwrap().unwrap().get(), 10_000);
        assert_eq!(parts_after(Some("-1")).unwrap_err().code, "InvalidArgument");
    }

    #[test]
    fn an_upload_marker_counts_only_beside_a_key_marker() {
        let id = "0123456789abcdef0123456789abcdef";
        assert_eq!(uploads_after(None, Some(id)).unwrap(), None);
        assert_eq!(uploads_after(Some("k"), Some(id)).unwrap(), Some(("k".into(), Some(id.parse().unwrap()))));
        assert_eq!(uploads_after(Some("k"), Some("junk")).unwrap_err().code, "InvalidArgument");
    }
}
