//! PutObject, GetObject, HeadObject, GetObjectMeta, DeleteObject.

use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};

use crate::dialect::conditions::{conditions, http_date, parse_range};
use crate::gateway::{Conditions, Error, EtagMatch, GetRequest, Got, Governance, PutRequest, RangeSpec};
use crate::sse::{SseRequest, SseStatus};
use crate::store::Deleted;
use crate::types::{BucketName, VersionId};

use super::error::{DELETE_MARKER, already_exists, face};
use super::face::Face;
use super::request::Call;
use super::response::Reply;
use super::service::OssDialect;
use super::{describe, headers, sse};

/// Where a symbolic link leads, or is to lead; the key is URL-encoded.
pub(super) const SYMLINK_TARGET: HeaderName = HeaderName::from_static("x-oss-symlink-target");

/// The conditions of a write: it may have to find nothing (`x-oss-forbid-overwrite`).
pub(super) fn write_conditions(forbidden: bool) -> Conditions {
    Conditions { if_none_match: forbidden.then_some(EtagMatch::Any), ..Conditions::default() }
}

/// A write's error: what was there and must not be overwritten is a file that exists.
pub(super) fn write_face(error: &Error, forbidden: bool) -> Face {
    match error {
        Error::PreconditionFailed(_) if forbidden => already_exists(),
        other => face(other),
    }
}

impl OssDialect {
    /// Whether a write must not overwrite: the header says so, and means nothing where versions are kept.
    pub(super) async fn forbids_overwrite(&self, call: &Call, bucket: &BucketName) -> Result<bool, Face> {
        if !call.switch("x-oss-forbid-overwrite") {
            return Ok(false);
        }
        self.gateway.keeps_versions(bucket).await.map(|keeps| !keeps).map_err(|error| face(&error))
    }

    /// Refuses a write that a bucket's default would encrypt under a CMK and that came in the clear. What the request's
    /// own headers ask for has been judged already.
    pub(super) async fn check_default(
        &self,
        call: &Call,
        bucket: &BucketName,
        asked: Option<&SseRequest>,
    ) -> Result<(), Face> {
        let Err(refusal) = sse::check_transport(call.secure) else { return Ok(()) };
        if asked.is_some() {
            return Ok(());
        }
        match self.gateway.defaults_to_cmk(bucket).await {
            Ok(true) => Err(refusal),
            // A bucket that is not there is refused by the operation itself.
            Ok(false) | Err(_) => Ok(()),
        }
    }

    pub(super) async fn put_object(&self, mut call: Call) -> Result<Reply, Face> {
        let at = call.new_object()?;
        let digests = call.digests()?;
        let md5 = digests.md5;
        let forbidden = self.forbids_overwrite(&call, &at.bucket).await?;
        let sse = call.sse.write.take();
        self.check_default(&call, &at.bucket, sse.as_ref()).await?;
        let request = PutRequest {
            at,
            headers: headers::of(&call.headers)?,
            sse,
            digests,
            conditions: write_conditions(forbidden),
            body: call.take_body()?,
        };
        let written = self.gateway.put_object(&call.requester, request).await;
        let written = written.map_err(|error| write_face(&error, forbidden))?;
        let mut out = describe::written(&written);
        // The body's own MD5: as it was declared, or as the ETag has it.
        describe::content_md5(md5.or_else(|| md5_of(&written.etag, &written.sse)), &mut out);
        Ok(Reply::empty().with(out))
    }

    pub(super) async fn get_object(&self, call: Call) -> Result<Reply, Face> {
        let asked = Asked::of(&call.headers);
        let first = self.gateway.get_object(&call.requester, read(&call, asked.range)?).await;
        let got = match first {
            Err(Error::InvalidRange { len }) if !asked.standard || len == 0 => None,
            Ok(got) if !asked.standard && asked.overreaches(got.info.size) => None,
            other => Some(other.map_err(|error| face(&error))?),
        };
        // OSS answers a range that is not inside the object with the whole of it. Of an empty object every range is the
        // whole (RFC 9110 §14.2 lets a server ignore ranges): a CDN that fetches slices could not serve it else.
        let got = match got {
            Some(got) => got,
            None => {
                let again = self.gateway.get_object(&call.requester, read(&call, None)?).await;
                again.map_err(|error| face(&error))?
            }
        };
        if matches!(got.info.sse, SseStatus::Kms { .. }) {
            sse::check_transport(call.secure)?;
        }
        let Got { info, body } = got;
        let mut out = describe::object(&info);
        describe::overrides(&call.query, &mut out)?;
        let (status, len) = match info.range {
            Some((_, len)) => (StatusCode::PARTIAL_CONTENT, len),
            None => (StatusCode::OK, info.size),
        };
        Ok(Reply::object(status, out, body, len))
    }

    pub(super) async fn head_object(&self, call: Call) -> Result<Reply, Face> {
        let request = read(&call, None)?;
        let info = self.gateway.head_object(&call.requester, request).await.map_err(|error| face(&error))?;
        let mut out = describe::object(&info);
        describe::overrides(&call.query, &mut out)?;
        Ok(Reply::empty().with(out))
    }

    /// Little enough to be asked often: no type, no encryption, no headers of the client's; of a link, the link itself.
    pub(super) async fn object_meta(&self, call: Call) -> Result<Reply, Face> {
        let request = GetRequest { follow_symlink: false, ..read(&call, None)? };
        let info = self.gateway.head_object(&call.requester, request).await.map_err(|error| face(&error))?;
        let mut out = HeaderMap::new();
        describe::etag(&info.etag, &mut out);
        describe::version(info.version.as_ref(), &mut out);
        describe::crc64(info.crc64, &mut out);
        describe::set(header::LAST_MODIFIED, &http_date(info.modified), &mut out);
        if call.head {
            out.insert(header::CONTENT_LENGTH, HeaderValue::from(info.size));
        }
        Ok(Reply::empty().with(out))
    }

    pub(super) async fn delete_object(&self, call: Call) -> Result<Reply, Face> {
        let (at, version) = (call.object()?, call.version()?);
        let none = Conditions::default();
        let deleted =
            self.gateway.delete_object(&call.requester, &at, version.clone(), &none, Governance::Heeded).await;
        let (version, marker) = outcome_of(deleted.map_err(|error| face(&error))?, version);
        let mut out = HeaderMap::new();
        describe::version(version.as_ref(), &mut out);
        if marker {
            out.insert(DELETE_MARKER, HeaderValue::from_static("true"));
        }
        Ok(Reply::no_content().with(out))
    }
}

/// What a delete says of versions: an id, and whether a delete marker was made or removed.
pub(super) fn outcome_of(deleted: Deleted, named: Option<VersionId>) -> (Option<VersionId>, bool) {
    match deleted {
        Deleted::Marked(version) => (Some(version), true),
        Deleted::Gone { marker } => (named, marker),
        Deleted::Absent => (named, false),
    }
}

/// The MD5 that an ETag is, where the mode makes it one.
pub(super) fn md5_of(etag: &str, sse: &SseStatus) -> Option<[u8; 16]> {
    if !matches!(sse, SseStatus::S3 { .. } | SseStatus::None) {
        return None;
    }
    let mut md5 = [0; 16];
    hex::decode_to_slice(etag, &mut md5).ok().map(|()| md5)
}

/// The range of a GET, and whether it is to be taken as HTTP has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Asked {
    range: Option<RangeSpec>,
    standard: bool,
}

impl Asked {
    /// Of several ranges only the first counts, and what is none asks for the whole.
    fn of(headers: &HeaderMap) -> Self {
        let standard = headers.get("x-oss-range-behavior").is_some_and(|value| value.as_bytes() == b"standard");
        let text = headers.get(header::RANGE).filter(|_| !headers.contains_key(header::IF_RANGE));
        let text = text.and_then(|value| value.to_str().ok());
        let first = text.map(|text| text.split_once(',').map_or(text, |(first, _)| first));
        Self { range: first.and_then(parse_range), standard }
    }

    /// Whether the range names bytes that an object of this length does not have.
    fn overreaches(&self, size: u64) -> bool {
        match self.range {
            None => false,
            Some(RangeSpec::Bounded(_, last)) => last >= size,
            Some(RangeSpec::From(first)) => first >= size,
            Some(RangeSpec::Suffix(count)) => count > size,
        }
    }
}

/// What is read. The customer key goes with each look: a second one needs it again.
fn read(call: &Call, range: Option<RangeSpec>) -> Result<GetRequest, Face> {
    Ok(GetRequest {
        at: call.object()?,
        version: call.version()?,
        range,
        part: None,
        conditions: conditions(&call.headers),
        customer_key: sse::parse(&call.sse_headers, sse::Accepts::Read, call.secure)?.customer,
        checksum_mode: false,
        follow_symlink: true,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(range: &'static str, standard: bool) -> Asked {
        let mut headers = HeaderMap::from_iter([(header::RANGE, HeaderValue::from_static(range))]);
        if standard {
            headers.insert("x-oss-range-behavior", HeaderValue::from_static("standard"));
        }
        Asked::of(&headers)
    }

    #[test]
    fn ranges_follow_osss_own_rules() {
        let table = [
            ("bytes=0-499", Some(RangeSpec::Bounded(0, 499)), false),
            ("bytes=500-", Some(RangeSpec::From(500)), false),
            ("bytes=-500", Some(RangeSpec::Suffix(500)), false),
            ("bytes=500-2000", Some(RangeSpec::Bounded(500, 2000)), true),
            ("bytes=0-1000", Some(RangeSpec::Bounded(0, 1000)), true),
            ("bytes=1000-", Some(RangeSpec::From(1000)), true),
            ("bytes=-2000", Some(RangeSpec::Suffix(2000)), true),
            ("bytes=0-4,10-14", Some(RangeSpec::Bounded(0, 4)), false),
            ("byte=0-9", None, false),
            ("bytes=9-0", None, false),
        ];
        for (text, range, beyond) in table {
            let asked = asked(text, false);
            assert_eq!((asked.range, asked.overreaches(1000), asked.standard), (range, beyond, false), "{text}");
        }
        assert!(asked("bytes=0-1", true).standard);
    }

    #[test]
    fn a_forbidden_overwrite_is_a_file_that_exists() {
        assert_eq!(write_face(&Error::PreconditionFailed("If-None-Match"), true).code, "FileAlreadyExists");
        assert_eq!(write_face(&Error::PreconditionFailed("If-None-Match"), false).code, "PreconditionFailed");
        assert_eq!(write_conditions(true).if_none_match, Some(EtagMatch::Any));
        assert_eq!(write_conditions(false), Conditions::default());
    }
}
