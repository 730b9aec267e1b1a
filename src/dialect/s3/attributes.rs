//! GetObjectAttributes: of an object exactly what is asked for.
//! See <https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetObjectAttributes.html>.

use std::sync::Arc;

use http::{HeaderMap, HeaderValue, header};
use s3s::dto;
use s3s::{S3Response, S3Result};

use crate::gateway::{Checksum, ObjectPart};

use super::adapter::{Adapter, EXPECTED_OWNER, Serve, answer, object};
use super::conditions::http_date;
use super::context::Call;
use super::digests;
use super::error::{Face, failed};
use super::listing::page_length;
use super::multipart::wire_number;
use super::objects::{read_request, versioned};

/// What a request may ask for.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
struct Asked {
    etag: bool,
    checksum: bool,
    parts: bool,
    class: bool,
    size: bool,
}

impl Asked {
    /// Reads `x-amz-object-attributes`, a list in one or several headers.
    fn of(headers: &HeaderMap) -> Result<Self, Face> {
        let mut asked = Self::default();
        for value in headers.get_all("x-amz-object-attributes") {
            for name in value.to_str().unwrap_or("?").split(',') {
                match name.trim() {
                    "ETag" => asked.etag = true,
                    "Checksum" => asked.checksum = true,
                    "ObjectParts" => asked.parts = true,
                    "StorageClass" => asked.class = true,
                    "ObjectSize" => asked.size = true,
                    _ => return Err(Face::invalid_argument("Invalid attribute name specified.")),
                }
            }
        }
        if asked == Self::default() {
            return Err(Face::invalid_request("The x-amz-object-attributes header must name an attribute."));
        }
        Ok(asked)
    }
}

fn checksum(checksums: &[Checksum], parts: Option<u32>) -> Option<dto::Checksum> {
    let one = checksums.first()?;
    let sums = digests::Fields::of(Some(one), parts);
    Some(dto::Checksum {
        checksum_crc32: sums.crc32,
        checksum_crc32c: sums.crc32c,
        checksum_crc64nvme: sums.crc64nvme,
        checksum_sha1: sums.sha1,
        checksum_sha256: sums.sha256,
        checksum_type: Some(dto::ChecksumType::from_static(digests::kind_name(one.kind))),
    })
}

fn part(part: &ObjectPart) -> dto::ObjectPart {
    let sums = digests::Fields::of(part.checksum.as_ref(), None);
    dto::ObjectPart {
        checksum_crc32: sums.crc32,
        checksum_crc32c: sums.crc32c,
        checksum_crc64nvme: sums.crc64nvme,
        checksum_sha1: sums.sha1,
        checksum_sha256: sums.sha256,
        part_number: Some(wire_number(part.number)),
        size: i64::try_from(part.size).ok(),
    }
}

/// A page of parts. Without checksums S3 gives their number only.
fn parts(all: &[ObjectPart], after: i32, limit: u16) -> dto::GetObjectAttributesParts {
    let listed = all.iter().any(|part| part.checksum.is_some());
    let rest: Vec<&ObjectPart> = all.iter().filter(|part| listed && wire_number(part.number) > after).collect();
    let page = rest.get(..usize::from(limit).min(rest.len())).unwrap_or_default();
    let truncated = page.len() < rest.len();
    dto::GetObjectAttributesParts {
        is_truncated: Some(truncated),
        max_parts: Some(i32::from(limit)),
        next_part_number_marker: page.last().map(|part| wire_number(part.number)),
        part_number_marker: Some(after),
        parts: listed.then(|| page.iter().map(|one| part(one)).collect()),
        total_parts_count: i32::try_from(all.len()).ok(),
    }
}

impl Serve<dto::GetObjectAttributesInput> for Adapter {
    type Output = dto::GetObjectAttributesOutput;

    async fn on(&self, call: Arc<Call>, input: dto::GetObjectAttributesInput) -> S3Result<S3Response<Self::Output>> {
        let asked = Asked::of(&call.headers)?;
        let limit = page_length(input.max_parts, "x-amz-max-parts")?;
        let after = input.part_number_marker.unwrap_or(0);
        let mut request = read_request(&call, object(&input.bucket, &input.key)?, input.version_id.as_deref(), None)?;
        // Checksums are under the data key, so that asking for them takes the right to the CMK.
        request.checksum_mode = asked.checksum || asked.parts;
        self.check_owner(&call, &request.at.bucket, EXPECTED_OWNER).await?;
        let found = self.gateway.object_attributes(call.caller(), request).await.map_err(failed)?;
        let info = &found.info;
        let mut headers = HeaderMap::new();
        versioned(info.version.as_ref(), &mut headers);
        if let Ok(value) = HeaderValue::try_from(http_date(info.modified)) {
            headers.insert(header::LAST_MODIFIED, value);
        }
        let output = dto::GetObjectAttributesOutput {
            checksum: checksum(&info.checksums, info.parts).filter(|_| asked.checksum),
            e_tag: asked.etag.then(|| dto::ETag::Strong(info.etag.clone())),
            object_parts: found.parts.as_deref().filter(|_| asked.parts).map(|all| parts(all, after, limit)),
            object_size: asked.size.then(|| i64::try_from(info.size).unwrap_or(i64::MAX)),
            storage_class: asked.class.then(|| dto::StorageClass::from_static(dto::StorageClass::STANDARD)),
            ..Default::default()
        };
        Ok(answer(output, headers))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gateway::{ChecksumAlgorithm, ChecksumKind};
    use crate::types::PartNumber;

    #[test]
    fn attributes_are_named_exactly() {
        let of = |text: &'static str| {
            let headers =
                HeaderMap::from_iter([("x-amz-object-attributes".parse().unwrap(), HeaderValue::from_static(text))]);
            Asked::of(&headers).map_err(|face| face.code)
        };
        assert_eq!(of("ETag, ObjectSize"), Ok(Asked { etag: true, size: true, ..Asked::default() }));
        assert_eq!(of("etag"), Err("InvalidArgument"));
        assert_eq!(of(""), Err("InvalidArgument"));
        assert_eq!(Asked::of(&HeaderMap::new()).map_err(|face| face.code), Err("InvalidRequest"));
    }

    #[test]
    fn parts_come_in_pages_and_only_with_checksums() {
        let sum = Checksum { algorithm: ChecksumAlgorithm::Crc32, kind: ChecksumKind::FullObject, value: vec![0; 4] };
        let mut all: Vec<ObjectPart> = [2, 3, 7]
            .map(|number| ObjectPart {
                number: PartNumber::try_from(number).unwrap(),
                size: 5,
                checksum: Some(sum.clone()),
            })
            .to_vec();
        let numbers = |page: &dto::GetObjectAttributesParts| {
            page.parts.as_ref().map(|parts| parts.iter().filter_map(|part| part.part_number).collect::<Vec<_>>())
        };
        let first = parts(&all, 0, 2);
        assert_eq!(numbers(&first), Some(vec![2, 3]));
        assert_eq!((first.is_truncated, first.next_part_number_marker), (Some(true), Some(3)));
        let second = parts(&all, 3, 2);
        assert_eq!((numbers(&second), second.is_truncated), (Some(vec![7]), Some(false)));
        all.iter_mut().for_each(|part| part.checksum = None);
        let bare = parts(&all, 0, 2);
        assert_eq!((numbers(&bare), bare.total_parts_count), (None, Some(3)));
    }
}
