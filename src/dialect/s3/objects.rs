//! PutObject, GetObject, HeadObject, DeleteObject, DeleteObjects, CopyObject.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures::{StreamExt as _, stream};
use http::{HeaderMap, HeaderName, HeaderValue, header};
use s3s::dto::{self, ETag, StreamingBlob};
use s3s::{S3Response, S3Result};

use crate::dialect::out::sized;
use crate::gateway::{
    Conditions, CopyRequest, CopySource, EtagMatch, GetRequest, MetadataDirective, ObjectHeaders, ObjectInfo,
    PutRequest, Written,
};
use crate::sse::SseStatus;
use crate::store::Deleted;
use crate::types::{BucketName, ObjectAt, VersionId};

use super::adapter::{
    Adapter, EXPECTED_OWNER, EXPECTED_SOURCE_OWNER, Serve, answer, bucket, object, timestamp, version,
};
use super::conditions::{conditions, http_date, range, source_conditions, write_conditions};
use super::context::Call;
use super::encoded::encoded;
use super::error::{Face, face, failed};
use super::multipart::part_number;
use super::{acl, digests, lock, sse_request, tagging};

const TAGGING_COUNT: HeaderName = HeaderName::from_static("x-amz-tagging-count");
const PARTS_COUNT: HeaderName = HeaderName::from_static("x-amz-mp-parts-count");
const VERSION_ID: HeaderName = HeaderName::from_static("x-amz-version-id");
/// How many objects of one DeleteObjects are deleted at a time: enough to share a sync, few enough to be fair.
const DELETES_AT_ONCE: usize = 16;
/// The most keys that one DeleteObjects may name.
const DELETES_MAXIMUM: usize = 1000;

/// The headers that an object keeps, besides its user metadata.
const SYSTEM: [HeaderName; 6] = [
    header::CONTENT_TYPE,
    header::CACHE_CONTROL,
    header::CONTENT_ENCODING,
    header::CONTENT_DISPOSITION,
    header::CONTENT_LANGUAGE,
    header::EXPIRES,
];

/// The headers that a client gives an object. S3's default type is `binary/octet-stream`.
pub(super) fn object_headers(headers: &HeaderMap, user: Option<dto::Metadata>) -> Result<ObjectHeaders, Face> {
    let mut system = BTreeMap::new();
    for name in SYSTEM {
        let mut values = Vec::new();
        for value in headers.get_all(&name) {
            let text = std::str::from_utf8(value.as_bytes())
                .map_err(|_| Face::invalid_argument(format!("The header {name} is not UTF-8 text.")))?;
            values.push(text);
        }
        let joined = values.join(", ");
        if !joined.is_empty() {
            system.insert(name.as_str().to_owned(), joined);
        }
    }
    system.entry(header::CONTENT_TYPE.as_str().to_owned()).or_insert_with(|| "binary/octet-stream".to_owned());
    let user = user.unwrap_or_default().into_iter().collect();
    Ok(ObjectHeaders {
        system,
        user,
        tags: tagging::header(headers)?,
        acl: acl::header(headers)?,
        lock: lock::asked(headers)?,
    })
}

/// An ETag as headers write it.
pub(super) fn quoted(etag: &str, out: &mut HeaderMap) {
    if let Ok(value) = HeaderValue::try_from(format!("\"{etag}\"")) {
        out.insert(header::ETAG, value);
    }
}

/// Names the version written or read; an object in a bucket that never had versions has none to show.
pub(super) fn versioned(version: Option<&VersionId>, out: &mut HeaderMap) {
    if let Some(version) = version
        && let Ok(value) = HeaderValue::try_from(version.as_str())
    {
        out.insert(VERSION_ID, value);
    }
}

/// The headers that describe an object, or the range of it that was asked for.
fn describe(info: &ObjectInfo) -> HeaderMap {
    let part = info.range;
    let mut out = HeaderMap::new();
    for (name, text) in &info.headers.system {
        if let (Ok(name), Ok(value)) = (HeaderName::try_from(name.as_str()), HeaderValue::from_bytes(text.as_bytes())) {
            out.insert(name, value);
        }
    }
    for (name, text) in &info.headers.user {
        let name = HeaderName::try_from(format!("x-amz-meta-{name}"));
        if let (Ok(name), Ok(value)) = (name, HeaderValue::try_from(encoded(text).as_ref())) {
            out.insert(name, value);
        }
    }
    quoted(&info.etag, &mut out);
    versioned(info.version.as_ref(), &mut out);
    out.insert(header::ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    if let Ok(value) = HeaderValue::try_from(http_date(info.modified)) {
        out.insert(header::LAST_MODIFIED, value);
    }
    let len = part.map_or(info.size, |(_, len)| len);
    out.insert(header::CONTENT_LENGTH, HeaderValue::from(len));
    if let Some(value) = content_range(info, part).and_then(|text| HeaderValue::try_from(text).ok()) {
        out.insert(header::CONTENT_RANGE, value);
    }
    sse_request::describe(&info.sse.clone().without_context(), &mut out);
    lock::describe(&info.headers.lock, &mut out);
    // A part of an object does not have the whole's checksum; clients would compare them.
    if let tags @ 1.. = info.headers.tags.len() {
        out.insert(TAGGING_COUNT, HeaderValue::from(tags));
    }
    if part.is_none() {
        digests::describe(&info.checksums, info.parts, &mut out);
    }
    out
}

fn content_range(info: &ObjectInfo, part: Option<(u64, u64)>) -> Option<String> {
    let (first, len) = part.filter(|&(_, len)| len > 0)?;
    let last = first.checked_add(len)?.checked_sub(1)?;
    Some(format!("bytes {first}-{last}/{}", info.size))
}

/// The `response-*` parameters of a GET or HEAD.
struct Overrides {
    texts: [(HeaderName, Option<String>); 5],
    expires: Option<dto::Timestamp>,
}

impl Overrides {
    /// Puts them in the place of the object's own. A value that no header can hold, as one with a line break, is refused.
    fn apply(self, out: &mut HeaderMap) -> Result<(), Face> {
        for (name, text) in self.texts {
            let Some(text) = text else { continue };
            let value = HeaderValue::try_from(text.as_str())
                .map_err(|_| Face::invalid_argument(format!("The value of response-{name} is not valid.")))?;
            out.insert(name, value);
        }
        if let Some(expires) = self.expires {
            let mut text = Vec::new();
            if expires.format(dto::TimestampFormat::HttpDate, &mut text).is_ok()
                && let Ok(value) = HeaderValue::from_bytes(&text)
            {
                out.insert(header::EXPIRES, value);
            }
        }
        Ok(())
    }
}

macro_rules! overrides {
    ($input:expr) => {
        Overrides {
            texts: [
                (header::CONTENT_TYPE, $input.response_content_type.take()),
                (header::CONTENT_LANGUAGE, $input.response_content_language.take()),
                (header::CACHE_CONTROL, $input.response_cache_control.take()),
                (header::CONTENT_DISPOSITION, $input.response_content_disposition.take()),
                (header::CONTENT_ENCODING, $input.response_content_encoding.take()),
            ],
            expires: $input.response_expires.take(),
        }
    };
}

/// How many parts a multipart object has, for who asked for one of them.
fn count_parts(info: &ObjectInfo, asked: Option<i32>, out: &mut HeaderMap) {
    if let (Some(_), Some(parts)) = (asked, info.parts) {
        out.insert(PARTS_COUNT, HeaderValue::from(parts));
    }
}

/// The headers of an answer to a write.
fn written_headers(written: &Written) -> HeaderMap {
    let mut out = HeaderMap::new();
    sse_request::describe(&written.sse, &mut out);
    versioned(written.version.as_ref(), &mut out);
    out
}

pub(super) fn read_request(
    call: &Call,
    at: ObjectAt,
    version_id: Option<&str>,
    part: Option<i32>,
) -> Result<GetRequest, Face> {
    if part.is_some() && call.headers.contains_key(header::RANGE) {
        return Err(Face::invalid_request("Cannot specify both Range header and partNumber query parameter"));
    }
    let checksum_mode = call.header("x-amz-checksum-mode").is_some_and(|mode| mode.eq_ignore_ascii_case("enabled"));
    Ok(GetRequest {
        at,
        version: version(version_id)?,
        range: range(&call.headers),
        part: part.map(part_number).transpose()?,
        conditions: conditions(&call.headers),
        customer_key: call.take_customer_key(),
        checksum_mode,
        follow_symlink: true,
    })
}

/// The source of a copy: the object, its conditions, its key.
pub(super) fn copy_source(call: &Call, source: &dto::CopySource) -> Result<CopySource, Face> {
    match source {
        dto::CopySource::Bucket { bucket, key, version_id } => Ok(CopySource {
            at: object(bucket, key)?,
            version: version(version_id.as_deref())?,
            conditions: source_conditions(&call.headers),
            customer_key: call.take_source_key(),
        }),
        dto::CopySource::AccessPoint { .. } | dto::CopySource::Outpost { .. } => {
            Err(Face::not_implemented("Copying from an access point"))
        }
    }
}

/// An object that is read: the answer's headers, its `Content-Range` if it is a part, and its plaintext.
pub(super) struct Got {
    pub(super) headers: HeaderMap,
    pub(super) content_range: Option<String>,
    pub(super) body: s3s::Body,
}

impl Adapter {
    /// Writes an object; the headers of the answer.
    pub(super) async fn put(&self, call: &Call, at: ObjectAt, metadata: Option<dto::Metadata>) -> S3Result<HeaderMap> {
        let request = PutRequest {
            at,
            headers: object_headers(&call.headers, metadata)?,
            digests: call.digests()?,
            conditions: write_conditions(&call.headers)?,
            body: call.take_body()?,
            sse: None,
        };
        self.check_owner(call, &request.at.bucket, EXPECTED_OWNER).await?;
        self.check_default(call, &request.at.bucket).await?;
        let request = PutRequest { sse: call.take_write(), ..request };
        let written = self.gateway.put_object(call.caller(), request).await.map_err(failed)?;
        let mut headers = written_headers(&written);
        quoted(&written.etag, &mut headers);
        digests::describe(written.checksum.as_slice(), None, &mut headers);
        Ok(headers)
    }

    /// Reads an object. `part`: the part that was asked for.
    pub(super) async fn get(&self, call: &Call, request: GetRequest, part: Option<i32>) -> S3Result<Got> {
        self.check_owner(call, &request.at.bucket, EXPECTED_OWNER).await?;
        let got = self.gateway.get_object(call.caller(), request).await.map_err(failed)?;
        if matches!(got.info.sse, SseStatus::Kms { .. }) {
            sse_request::kms_transport(call.context.transport())?;
        }
        let mut headers = describe(&got.info);
        count_parts(&got.info, part, &mut headers);
        let body = sized(got.body, got.info.range.map_or(got.info.size, |(_, len)| len));
        Ok(Got {
            headers,
            content_range: content_range(&got.info, got.info.range),
            body: s3s::Body::http_body_unsync(body),
        })
    }

    /// Describes an object. `part`: the part that was asked for.
    pub(super) async fn head(&self, call: &Call, request: GetRequest, part: Option<i32>) -> S3Result<HeaderMap> {
        self.check_owner(call, &request.at.bucket, EXPECTED_OWNER).await?;
        let info = self.gateway.head_object(call.caller(), request).await.map_err(failed)?;
        let mut headers = describe(&info);
        count_parts(&info, part, &mut headers);
        Ok(headers)
    }
}

impl Serve<dto::PutObjectInput> for Adapter {
    type Output = dto::PutObjectOutput;

    async fn on(&self, call: Arc<Call>, input: dto::PutObjectInput) -> S3Result<S3Response<Self::Output>> {
        let at = object(&input.bucket, &input.key)?;
        Ok(answer(dto::PutObjectOutput::default(), self.put(&call, at, input.metadata).await?))
    }
}

impl Serve<dto::GetObjectInput> for Adapter {
    type Output = dto::GetObjectOutput;

    async fn on(&self, call: Arc<Call>, mut input: dto::GetObjectInput) -> S3Result<S3Response<Self::Output>> {
        let at = object(&input.bucket, &input.key)?;
        let request = read_request(&call, at, input.version_id.as_deref(), input.part_number)?;
        let mut got = self.get(&call, request, input.part_number).await?;
        overrides!(input).apply(&mut got.headers)?;
        let output = dto::GetObjectOutput {
            // Tells s3s to answer 206; the header itself is ours.
            content_range: got.content_range,
            body: Some(StreamingBlob::new(got.body)),
            ..Default::default()
        };
        Ok(answer(output, got.headers))
    }
}

impl Serve<dto::HeadObjectInput> for Adapter {
    type Output = dto::HeadObjectOutput;

    async fn on(&self, call: Arc<Call>, mut input: dto::HeadObjectInput) -> S3Result<S3Response<Self::Output>> {
        let at = object(&input.bucket, &input.key)?;
        let request = read_request(&call, at, input.version_id.as_deref(), input.part_number)?;
        let mut headers = self.head(&call, request, input.part_number).await?;
        overrides!(input).apply(&mut headers)?;
        Ok(answer(dto::HeadObjectOutput::default(), headers))
    }
}

impl Serve<dto::DeleteObjectInput> for Adapter {
    type Output = dto::DeleteObjectOutput;

    async fn on(&self, call: Arc<Call>, input: dto::DeleteObjectInput) -> S3Result<S3Response<Self::Output>> {
        let at = object(&input.bucket, &input.key)?;
        let version = version(input.version_id.as_deref())?;
        self.check_owner(&call, &at.bucket, EXPECTED_OWNER).await?;
        let conditions = Conditions { if_none_match: None, ..conditions(&call.headers) };
        let governance = lock::governance(&call.headers);
        let deleted = self.gateway.delete_object(call.caller(), &at, version, &conditions, governance).await;
        let deleted = deleted.map_err(failed)?;
        let (version_id, marker) = outcome_of(deleted, input.version_id);
        Ok(S3Response::new(dto::DeleteObjectOutput { delete_marker: marker, version_id, ..Default::default() }))
    }
}

/// What a delete says of versions: an id, and whether a delete marker was made or removed.
fn outcome_of(deleted: Deleted, named: Option<String>) -> (Option<String>, Option<bool>) {
    match deleted {
        Deleted::Marked(version) => (Some(version.as_str().to_owned()), Some(true)),
        Deleted::Gone { marker } => (named, marker.then_some(true)),
        Deleted::Absent => (named, None),
    }
}

impl Serve<dto::DeleteObjectsInput> for Adapter {
    type Output = dto::DeleteObjectsOutput;

    async fn on(&self, call: Arc<Call>, input: dto::DeleteObjectsInput) -> S3Result<S3Response<Self::Output>> {
        let bucket = bucket(&input.bucket)?;
        let named = input.delete.objects;
        if named.is_empty() || named.len() > DELETES_MAXIMUM {
            return Err(Face::malformed_xml().into());
        }
        self.check_owner(&call, &bucket, EXPECTED_OWNER).await?;
        let mut done = stream::iter(named.into_iter().map(|named| self.delete_named(&call, &bucket, named)))
            .buffered(DELETES_AT_ONCE);
        let (mut deleted, mut errors) = (Vec::new(), Vec::new());
        while let Some(outcome) = done.next().await {
            match outcome {
                Ok(object) => deleted.push(object),
                // What is wrong with the bucket is wrong with the request, not with each key.
                Err((_, face)) if face.code == "NoSuchBucket" => return Err(face.into()),
                Err((named, face)) => errors.push(dto::Error {
                    code: Some(face.code.to_owned()),
                    key: Some(named.key),
                    message: Some(face.message.into_owned()),
                    version_id: named.version_id,
                }),
            }
        }
        let quiet = input.delete.quiet.unwrap_or(false);
        Ok(S3Response::new(dto::DeleteObjectsOutput {
            deleted: (!quiet && !deleted.is_empty()).then_some(deleted),
            errors: (!errors.is_empty()).then_some(errors),
            request_charged: None,
        }))
    }
}

impl Adapter {
    /// Deletes one object of a DeleteObjects.
    async fn delete_named(
        &self,
        call: &Call,
        bucket: &BucketName,
        named: dto::ObjectIdentifier,
    ) -> Result<dto::DeletedObject, (dto::ObjectIdentifier, Face)> {
        let outcome = async {
            if named.last_modified_time.is_some() || named.size.is_some() {
                return Err(Face::not_implemented("A condition on a delete other than an entity tag"));
            }
            let if_match = named.e_tag.as_ref().map(|etag| match etag.value() {
                "*" => EtagMatch::Any,
                etag => EtagMatch::OneOf(vec![etag.trim_matches('"').to_owned()]),
            });
            let conditions = Conditions { if_match, ..Conditions::default() };
            let at = object(bucket.as_str(), &named.key)?;
            let version = version(named.version_id.as_deref().filter(|text| !text.is_empty()))?;
            let governance = lock::governance(&call.headers);
            let deleted = self.gateway.delete_object(call.caller(), &at, version, &conditions, governance).await;
            deleted.map_err(|error| face(&error))
        }
        .await;
        match outcome {
            Ok(deleted) => {
                let (id, marker) = outcome_of(deleted, named.version_id.clone());
                // Here the marker has a field of its own, beside the version that the request named.
                Ok(dto::DeletedObject {
                    key: Some(named.key),
                    version_id: named.version_id,
                    delete_marker: marker,
                    delete_marker_version_id: id.filter(|_| marker.is_some()),
                })
            }
            Err(face) => Err((named, face)),
        }
    }
}

impl Serve<dto::CopyObjectInput> for Adapter {
    type Output = dto::CopyObjectOutput;

    async fn on(&self, call: Arc<Call>, input: dto::CopyObjectInput) -> S3Result<S3Response<Self::Output>> {
        let metadata = match call.header("x-amz-metadata-directive") {
            None | Some("COPY") => MetadataDirective::Copy,
            Some("REPLACE") => MetadataDirective::Replace(object_headers(&call.headers, input.metadata)?),
            Some(_) => return Err(Face::invalid_argument("Unknown metadata directive.").into()),
        };
        let request = CopyRequest {
            source: copy_source(&call, &input.copy_source)?,
            at: object(&input.bucket, &input.key)?,
            metadata,
            acl: acl::header(&call.headers)?,
            tags: match call.header("x-amz-tagging-directive") {
                Some("REPLACE") => Some(tagging::header(&call.headers)?),
                // Without REPLACE the header says nothing, as on S3.
                _ => None,
            },
            lock: lock::asked(&call.headers)?,
            sse: None,
            conditions: write_conditions(&call.headers)?,
            checksum: digests::algorithm_header(&call.headers, "x-amz-checksum-algorithm")?,
        };
        self.check_owner(&call, &request.at.bucket, EXPECTED_OWNER).await?;
        self.check_owner(&call, &request.source.at.bucket, EXPECTED_SOURCE_OWNER).await?;
        self.check_default(&call, &request.at.bucket).await?;
        let request = CopyRequest { sse: call.take_write(), ..request };
        let written = self.gateway.copy_object(call.caller(), request).await.map_err(failed)?;
        let sums = digests::Fields::of(written.checksum.as_ref(), None);
        let output = dto::CopyObjectOutput {
            copy_object_result: Some(dto::CopyObjectResult {
                checksum_crc32: sums.crc32,
                checksum_crc32c: sums.crc32c,
                checksum_crc64nvme: sums.crc64nvme,
                checksum_sha1: sums.sha1,
                checksum_sha256: sums.sha256,
                checksum_type: written
                    .checksum
                    .as_ref()
                    .map(|checksum| dto::ChecksumType::from_static(digests::kind_name(checksum.kind))),
                e_tag: Some(ETag::Strong(written.etag.clone())),
                last_modified: Some(timestamp(written.modified)),
            }),
            copy_source_version_id: written.source_version.as_ref().map(|version| version.as_str().to_owned()),
            ..Default::default()
        };
        Ok(answer(output, written_headers(&written)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gateway::{Checksum, ChecksumAlgorithm, ChecksumKind, Tags};
    use crate::kms::{EncryptionContext, KeyArn};
    use crate::sse::{DataCipher, ObjectKind};
    use crate::types::Timestamp;

    fn info() -> ObjectInfo {
        ObjectInfo {
            etag: "e1".into(),
            version: None,
            modified: Timestamp(784_111_777_123),
            size: 10,
            headers: ObjectHeaders {
                system: BTreeMap::from([("content-type".into(), "text/plain".into())]),
                user: BTreeMap::from([("a".into(), "b".into())]),
                tags: Tags::default(),
                acl: None,
                lock: crate::gateway::ObjectLock::default(),
            },
            sse: SseStatus::Kms {
                key: KeyArn("arn:k".into()),
                context: Some(EncryptionContext::default()),
                bucket_key: false,
                cipher: DataCipher::Aes256,
            },
            checksums: vec![Checksum {
                algorithm: ChecksumAlgorithm::Crc32,
                kind: ChecksumKind::Composite,
                value: vec![0; 4],
            }],
            md5: None,
            crc64: None,
            kind: ObjectKind::Multipart,
            symlink: None,
            parts: Some(3),
            range: None,
        }
    }

    #[test]
    fn a_whole_object_is_described_with_its_checksums_and_never_its_context() {
        let out = describe(&info());
        let text = |name: &str| out.get(name).map(|value| value.to_str().unwrap().to_owned());
        assert_eq!(text("etag").as_deref(), Some("\"e1\""));
        assert_eq!(text("content-length").as_deref(), Some("10"));
        assert_eq!(text("content-type").as_deref(), Some("text/plain"));
        assert_eq!(text("last-modified").as_deref(), Some("Sun, 06 Nov 1994 08:49:37 GMT"));
        assert_eq!(text("x-amz-checksum-crc32").as_deref(), Some("AAAAAA==-3"));
        assert_eq!(text("x-amz-checksum-type").as_deref(), Some("COMPOSITE"));
        assert_eq!(text("x-amz-server-side-encryption-aws-kms-key-id").as_deref(), Some("arn:k"));
        for absent in ["x-amz-server-side-encryption-context", "content-range", "x-amz-version-id"] {
            assert_eq!(text(absent), None, "{absent}");
        }
    }

    #[test]
    fn a_part_has_its_own_length_and_no_checksum() {
        let out = describe(&ObjectInfo { range: Some((2, 3)), ..info() });
        assert_eq!(out[header::CONTENT_RANGE], "bytes 2-4/10");
        assert_eq!(out[header::CONTENT_LENGTH], "3");
        assert!(!out.contains_key("x-amz-checksum-crc32"));
    }

    #[test]
    fn system_headers_are_kept_and_the_type_has_a_default() {
        let mut headers = HeaderMap::new();
        headers.insert(header::EXPIRES, HeaderValue::from_static("soon"));
        headers.append(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        headers.append(header::CONTENT_ENCODING, HeaderValue::from_static("br"));
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static(""));
        let kept = object_headers(&headers, None).unwrap().system;
        let pairs: Vec<_> = kept.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        assert_eq!(
            pairs,
            [("content-encoding", "gzip, br"), ("content-type", "binary/octet-stream"), ("expires", "soon")]
        );
    }

    #[test]
    fn overrides_replace_and_line_breaks_are_refused() {
        let with = |text: &str| Overrides {
            texts: [
                (header::CONTENT_TYPE, Some(text.to_owned())),
                (header::CONTENT_LANGUAGE, None),
                (header::CACHE_CONTROL, None),
                (header::CONTENT_DISPOSITION, None),
                (header::CONTENT_ENCODING, None),
            ],
            expires: Some(timestamp(Timestamp(0))),
        };
        let mut out = describe(&info());
        with("text/html").apply(&mut out).unwrap();
        assert_eq!(out[header::CONTENT_TYPE], "text/html");
        assert_eq!(out[header::EXPIRES], "Thu, 01 Jan 1970 00:00:00 GMT");
        assert_eq!(with("a\r\nSet-Cookie: b").apply(&mut out).unwrap_err().code, "InvalidArgument");
    }
}
