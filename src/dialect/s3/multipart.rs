//! Multipart uploads: create, upload part, upload part copy, complete, abort, list parts.

use std::sync::Arc;

use http::{HeaderMap, HeaderValue};
use s3s::dto::{self, ETag};
use s3s::{S3Response, S3Result};

use crate::gateway::{
    Checksum, ChecksumKind, CompleteRequest, CompletedParts, Conditions, CreateUploadRequest, ListPartsRequest,
    MIN_PART, NamedPart, PartCopyRequest, PartInfo, PartRequest,
};
use crate::sse::SseStatus;
use crate::types::PartNumber;

use super::adapter::{
    Adapter, EXPECTED_OWNER, EXPECTED_SOURCE_OWNER, Serve, answer, bad_name, object, size, timestamp, upload,
};
use super::conditions::{copy_source_range, write_conditions};
use super::context::Call;
use super::error::{Face, failed};
use super::listing::page_length;
use super::objects::{copy_source, object_headers, quoted, versioned};
use super::owner::{initiator, owner};
use super::{digests, sse_request};

pub(super) fn part_number(number: i32) -> Result<PartNumber, Face> {
    let number = u32::try_from(number).map_err(|_| crate::types::ParseError::PartNumber);
    number.and_then(PartNumber::try_from).map_err(|error| bad_name(&error))
}

pub(super) fn wire_number(number: PartNumber) -> i32 {
    i32::try_from(number.get()).unwrap_or(i32::MAX)
}

/// What an answer about a part says of its encryption: never the context.
fn part_headers(sse: &SseStatus) -> HeaderMap {
    let mut out = HeaderMap::new();
    sse_request::describe(&sse.clone().without_context(), &mut out);
    out
}

impl Serve<dto::CreateMultipartUploadInput> for Adapter {
    type Output = dto::CreateMultipartUploadOutput;

    async fn on(&self, call: Arc<Call>, input: dto::CreateMultipartUploadInput) -> S3Result<S3Response<Self::Output>> {
        let at = object(&input.bucket, &input.key)?;
        let headers = object_headers(&call.headers, input.metadata)?;
        let checksum = digests::upload_checksum(&call.headers)?;
        self.check_owner(&call, &at.bucket, EXPECTED_OWNER).await?;
        self.check_default(&call, &at.bucket).await?;
        let conditions = Conditions::default();
        let request = CreateUploadRequest { at, headers, sse: call.take_write(), checksum, conditions };
        let created = self.gateway.create_upload(call.caller(), request).await.map_err(failed)?;
        let mut headers = HeaderMap::new();
        sse_request::describe(&created.sse, &mut headers);
        let output = dto::CreateMultipartUploadOutput {
            bucket: Some(input.bucket),
            checksum_algorithm: created
                .checksum
                .map(|(algorithm, _)| dto::ChecksumAlgorithm::from_static(digests::name_of(algorithm))),
            checksum_type: created.checksum.map(|(_, kind)| dto::ChecksumType::from_static(digests::kind_name(kind))),
            key: Some(input.key),
            upload_id: Some(created.id.as_str().to_owned()),
            ..Default::default()
        };
        Ok(answer(output, headers))
    }
}

impl Serve<dto::UploadPartInput> for Adapter {
    type Output = dto::UploadPartOutput;

    async fn on(&self, call: Arc<Call>, input: dto::UploadPartInput) -> S3Result<S3Response<Self::Output>> {
        let request = PartRequest {
            at: object(&input.bucket, &input.key)?,
            upload: upload(&input.upload_id)?,
            number: part_number(input.part_number)?,
            customer_key: call.take_customer_key(),
            digests: call.digests()?,
            body: call.take_body()?,
        };
        self.check_owner(&call, &request.at.bucket, EXPECTED_OWNER).await?;
        let written = self.gateway.put_part(call.caller(), request).await.map_err(failed)?;
        let mut headers = part_headers(&written.sse);
        quoted(&written.etag, &mut headers);
        digests::describe(written.checksum.as_slice(), None, &mut headers);
        Ok(answer(dto::UploadPartOutput::default(), headers))
    }
}

impl Serve<dto::UploadPartCopyInput> for Adapter {
    type Output = dto::UploadPartCopyOutput;

    async fn on(&self, call: Arc<Call>, input: dto::UploadPartCopyInput) -> S3Result<S3Response<Self::Output>> {
        let request = PartCopyRequest {
            source: copy_source(&call, &input.copy_source)?,
            range: copy_source_range(&call.headers)?,
            at: object(&input.bucket, &input.key)?,
            upload: upload(&input.upload_id)?,
            number: part_number(input.part_number)?,
            customer_key: call.take_customer_key(),
        };
        self.check_owner(&call, &request.at.bucket, EXPECTED_OWNER).await?;
        self.check_owner(&call, &request.source.at.bucket, EXPECTED_SOURCE_OWNER).await?;
        let written = self.gateway.copy_part(call.caller(), request).await.map_err(failed)?;
        let sums = digests::Fields::of(written.checksum.as_ref(), None);
        let output = dto::UploadPartCopyOutput {
            copy_part_result: Some(dto::CopyPartResult {
                checksum_crc32: sums.crc32,
                checksum_crc32c: sums.crc32c,
                checksum_crc64nvme: sums.crc64nvme,
                checksum_sha1: sums.sha1,
                checksum_sha256: sums.sha256,
                e_tag: Some(ETag::Strong(written.etag.clone())),
                last_modified: Some(timestamp(written.modified)),
            }),
            copy_source_version_id: written.source_version.as_ref().map(|version| version.as_str().to_owned()),
            ..Default::default()
        };
        Ok(answer(output, part_headers(&written.sse)))
    }
}

/// The parts that a completion names, in the client's order.
fn named_parts(document: Option<dto::CompletedMultipartUpload>) -> Result<Vec<NamedPart>, Face> {
    let parts = document.and_then(|document| document.parts).unwrap_or_default();
    if parts.is_empty() || u32::try_from(parts.len()).map_or(true, |count| count > PartNumber::MAX) {
        return Err(Face::malformed_xml());
    }
    parts.into_iter().map(named_part).collect()
}

fn named_part(part: dto::CompletedPart) -> Result<NamedPart, Face> {
    let number = part_number(part.part_number.ok_or_else(Face::malformed_xml)?)?;
    let etag = part.e_tag.ok_or_else(Face::malformed_xml)?.into_value();
    let sums = digests::Fields {
        crc32: part.checksum_crc32,
        crc32c: part.checksum_crc32c,
        crc64nvme: part.checksum_crc64nvme,
        sha1: part.checksum_sha1,
        sha256: part.checksum_sha256,
    };
    Ok(NamedPart { number, etag: etag.trim_matches('"').to_owned(), checksum: sums.parse()? })
}

/// `x-amz-mp-object-size`.
fn object_size(call: &Call) -> Result<Option<u64>, Face> {
    let Some(text) = call.header("x-amz-mp-object-size") else { return Ok(None) };
    let size = text.parse().map_err(|_| Face::invalid_request("The x-amz-mp-object-size header is not a size."))?;
    Ok(Some(size))
}

/// The object's checksum that a completion declares; a composite one is written `…-N`, N the number of parts. Whether it is
/// of the kind that the upload was created with is for the gateway to say.
fn whole_checksum(headers: &HeaderMap) -> Result<Option<(Checksum, Option<u32>)>, Face> {
    let mut plain = HeaderMap::new();
    let mut count = None;
    for (name, value) in headers.iter().filter(|(name, _)| name.as_str().starts_with("x-amz-checksum-")) {
        let composite = value.to_str().ok().and_then(|text| text.rsplit_once('-'));
        match composite.and_then(|(value, parts)| Some((value, parts.parse::<u32>().ok()?))) {
            Some((bare, parts)) => {
                count = Some(parts);
                let bare =
                    HeaderValue::from_str(bare).map_err(|_| Face::invalid_request("Value for checksum is invalid."))?;
                plain.append(name.clone(), bare);
            }
            None => drop(plain.append(name.clone(), value.clone())),
        }
    }
    let named = headers.get("x-amz-checksum-type").is_some_and(|kind| kind.as_bytes() == b"COMPOSITE");
    let kind = if named || count.is_some() { ChecksumKind::Composite } else { ChecksumKind::FullObject };
    let found = digests::checksum_header(&plain)?;
    Ok(found.map(|(algorithm, value)| (Checksum { algorithm, kind, value }, count)))
}

impl Serve<dto::CompleteMultipartUploadInput> for Adapter {
    type Output = dto::CompleteMultipartUploadOutput;

    async fn on(
        &self,
        call: Arc<Call>,
        input: dto::CompleteMultipartUploadInput,
    ) -> S3Result<S3Response<Self::Output>> {
        let parts = named_parts(input.multipart_upload)?;
        let count = u32::try_from(parts.len()).ok();
        let request = CompleteRequest {
            at: object(&input.bucket, &input.key)?,
            upload: upload(&input.upload_id)?,
            parts: CompletedParts::Named(parts),
            min_part: MIN_PART,
            customer_key: call.take_customer_key(),
            conditions: write_conditions(&call.headers)?,
            checksum: whole_checksum(&call.headers)?,
            size: object_size(&call)?,
        };
        self.check_owner(&call, &request.at.bucket, EXPECTED_OWNER).await?;
        let written = self.gateway.complete_upload(call.caller(), request).await.map_err(failed)?;
        let mut headers = part_headers(&written.sse);
        versioned(written.version.as_ref(), &mut headers);
        let sums = digests::Fields::of(written.checksum.as_ref(), count);
        let output = dto::CompleteMultipartUploadOutput {
            location: Some(format!("/{}/{}", input.bucket, input.key)),
            bucket: Some(input.bucket),
            key: Some(input.key),
            checksum_crc32: sums.crc32,
            checksum_crc32c: sums.crc32c,
            checksum_crc64nvme: sums.crc64nvme,
            checksum_sha1: sums.sha1,
            checksum_sha256: sums.sha256,
            checksum_type: written
                .checksum
                .as_ref()
                .map(|checksum| dto::ChecksumType::from_static(digests::kind_name(checksum.kind))),
            e_tag: Some(ETag::Strong(written.etag)),
            ..Default::default()
        };
        Ok(answer(output, headers))
    }
}

impl Serve<dto::AbortMultipartUploadInput> for Adapter {
    type Output = dto::AbortMultipartUploadOutput;

    async fn on(&self, call: Arc<Call>, input: dto::AbortMultipartUploadInput) -> S3Result<S3Response<Self::Output>> {
        let at = object(&input.bucket, &input.key)?;
        let upload = upload(&input.upload_id)?;
        self.check_owner(&call, &at.bucket, EXPECTED_OWNER).await?;
        self.gateway.abort_upload(call.caller(), &at, &upload).await.map_err(failed)?;
        Ok(S3Response::new(dto::AbortMultipartUploadOutput::default()))
    }
}

/// Above which part a listing of parts goes on; 0 and none are the beginning.
fn parts_after(marker: Option<i32>) -> Result<Option<PartNumber>, Face> {
    match marker {
        None | Some(0) => Ok(None),
        Some(marker) if marker < 0 => {
            Err(Face::invalid_argument("Argument part-number-marker must be an integer between 0 and 2147483647"))
        }
        // No part is above the highest number there is.
        Some(marker) => part_number(marker.min(wire_maximum())).map(Some),
    }
}

fn wire_maximum() -> i32 {
    i32::try_from(PartNumber::MAX).unwrap_or(i32::MAX)
}

fn part_row(part: PartInfo) -> dto::Part {
    let sums = digests::Fields::of(part.checksum.as_ref(), None);
    dto::Part {
        checksum_crc32: sums.crc32,
        checksum_crc32c: sums.crc32c,
        checksum_crc64nvme: sums.crc64nvme,
        checksum_sha1: sums.sha1,
        checksum_sha256: sums.sha256,
        e_tag: Some(ETag::Strong(part.etag)),
        last_modified: Some(timestamp(part.modified)),
        part_number: Some(wire_number(part.number)),
        size: Some(size(part.size)),
    }
}

impl Serve<dto::ListPartsInput> for Adapter {
    type Output = dto::ListPartsOutput;

    async fn on(&self, call: Arc<Call>, input: dto::ListPartsInput) -> S3Result<S3Response<Self::Output>> {
        let limit = page_length(input.max_parts, "max-parts")?;
        let request = ListPartsRequest {
            at: object(&input.bucket, &input.key)?,
            upload: upload(&input.upload_id)?,
            after: parts_after(input.part_number_marker)?,
            limit: usize::from(limit.max(1)),
        };
        self.check_owner(&call, &request.at.bucket, EXPECTED_OWNER).await?;
        let mut list = self.gateway.list_parts(call.caller(), request).await.map_err(failed)?;
        if limit == 0 {
            list.parts.clear();
            list.truncated = false;
        }
        let next = list.parts.last().filter(|_| list.truncated).map(|part| wire_number(part.number));
        Ok(S3Response::new(dto::ListPartsOutput {
            bucket: Some(input.bucket),
            checksum_algorithm: list
                .checksum
                .map(|(algorithm, _)| dto::ChecksumAlgorithm::from_static(digests::name_of(algorithm))),
            checksum_type: list.checksum.map(|(_, kind)| dto::ChecksumType::from_static(digests::kind_name(kind))),
            initiator: Some(initiator(&list.owner)),
            is_truncated: Some(list.truncated),
            key: Some(input.key),
            max_parts: Some(i32::from(limit)),
            next_part_number_marker: next,
            owner: Some(owner(&list.owner)),
            part_number_marker: Some(input.part_number_marker.unwrap_or(0)),
            parts: Some(list.parts.into_iter().map(part_row).collect()),
            storage_class: Some(dto::StorageClass::from_static("STANDARD")),
            upload_id: Some(input.upload_id),
            ..Default::default()
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gateway::ChecksumAlgorithm;
    use http::{HeaderName, HeaderValue};

    fn part(number: Option<i32>, etag: Option<&str>) -> dto::CompletedPart {
        dto::CompletedPart {
            part_number: number,
            e_tag: etag.map(|etag| ETag::Strong(etag.to_owned())),
            ..Default::default()
        }
    }

    fn named(parts: Vec<dto::CompletedPart>) -> Result<Vec<NamedPart>, &'static str> {
        named_parts(Some(dto::CompletedMultipartUpload { parts: Some(parts) })).map_err(|face| face.code)
    }

    #[test]
    fn completions_name_parts_with_number_and_etag() {
        let parts = named(vec![part(Some(2), Some("b")), part(Some(1), Some("a"))]).unwrap();
        // The order is the client's: the gateway judges it.
        assert_eq!(parts.iter().map(|part| part.number.get()).collect::<Vec<_>>(), [2, 1]);
        assert_eq!(parts[0].etag, "b");
        assert_eq!(named(vec![]).unwrap_err(), "MalformedXML");
        assert_eq!(named(vec![part(None, Some("a"))]).unwrap_err(), "MalformedXML");
        assert_eq!(named(vec![part(Some(1), None)]).unwrap_err(), "MalformedXML");
        assert_eq!(named(vec![part(Some(10_001), Some("a"))]).unwrap_err(), "InvalidArgument");
        assert_eq!(named(vec![part(Some(-1), Some("a"))]).unwrap_err(), "InvalidArgument");
        assert_eq!(named(vec![part(Some(1), Some("a")); 10_001]).unwrap_err(), "MalformedXML");
        let mut bad = part(Some(1), Some("a"));
        bad.checksum_crc32 = Some("!".into());
        assert_eq!(named(vec![bad]).unwrap_err(), "InvalidRequest");
    }

    #[test]
    fn a_part_marker_beyond_the_last_is_the_last() {
        assert_eq!(parts_after(None).unwrap(), None);
        assert_eq!(parts_after(Some(0)).unwrap(), None);
        assert_eq!(parts_after(Some(5)).unwrap().unwrap().get(), 5);
        assert_eq!(parts_after(Some(i32::MAX)).unwrap().unwrap().get(), 10_000);
        assert_eq!(parts_after(Some(-1)).unwrap_err().code, "InvalidArgument");
    }

    #[test]
    fn a_completions_checksum_is_read_with_its_kind_and_number_of_parts() {
        let ask = |value: &'static str| {
            let name = HeaderName::from_static("x-amz-checksum-crc32");
            whole_checksum(&HeaderMap::from_iter([(name, HeaderValue::from_static(value))])).map_err(|face| face.code)
        };
        let value = vec![0xcb, 0xf4, 0x39, 0x26];
        let crc = |kind| Checksum { algorithm: ChecksumAlgorithm::Crc32, kind, value: value.clone() };
        assert_eq!(ask("y/Q5Jg=="), Ok(Some((crc(ChecksumKind::FullObject), None))));
        assert_eq!(ask("y/Q5Jg==-3"), Ok(Some((crc(ChecksumKind::Composite), Some(3)))));
        for bad in ["junk", "junk-3", "y/Q5Jg==-x", "-3"] {
            assert_eq!(ask(bad), Err("InvalidRequest"), "{bad}");
        }
    }
}
