//! PostObject: an HTML form becomes the PutObject that it means.
//! <https://www.alibabacloud.com/help/en/oss/developer-reference/postobject>
//!
//! The credentials stand in the form's fields, so only the fields count: of the POST's own head nothing is the object's.

use std::sync::Mutex;

use http::header::{self, HeaderName, HeaderValue};
use http::request::Parts;
use http::{HeaderMap, Method, Response, StatusCode};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use bytes::Bytes;
use http_body::Body;

use crate::dialect::body::{BodyFailure, BoxError, Decoding, EdgeBody};
use crate::dialect::form::{self, FormFile, FormReply, MAX_FIELDS, Posted, ReadError};
use crate::dialect::incoming::Incoming;
use crate::gateway::{BodyError, MAX_SINGLE_UPLOAD, PutRequest};
use crate::identity::{FormFields, OssResource, Requester};
use crate::listener::ResponseBody;

use super::error::body_face;
use super::face::Face;
use super::headers::META;
use super::objects::{write_conditions, write_face};
use super::query::Query;
use super::request::Call;
use super::response::{About, Reply, finish};
use super::route::Operation;
use super::service::{Connection, OssDialect, host_of};
use super::sse::{self, Accepts, SseHeaders};
use super::{auth, describe, headers, refuse, words};

/// Everything but RFC 3986's unreserved characters and the slash.
const IN_PATH: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~').remove(b'/');

/// Fields that become the header of their name.
const AS_HEADERS: [&str; 12] = [
    "cache-control",
    "content-disposition",
    "content-encoding",
    "content-language",
    "content-md5",
    "content-type",
    "expires",
    "x-oss-forbid-overwrite",
    "x-oss-object-acl",
    "x-oss-server-side-data-encryption",
    "x-oss-storage-class",
    "x-oss-tagging",
];
/// Prefixes of such fields.
const PREFIXES: [&str; 2] = [META, "x-oss-server-side-encryption"];
/// `x-oss-…` fields that are not the object's: the signature, and how to answer.
const OTHERS: [&str; 7] = [
    "x-oss-additional-headers",
    "x-oss-content-type",
    "x-oss-credential",
    "x-oss-date",
    "x-oss-security-token",
    "x-oss-signature",
    "x-oss-signature-version",
];

/// Whether a form is of OSS: it is signed so, or sets what only OSS has.
pub(in crate::dialect) fn is_ours(fields: &FormFields) -> bool {
    fields.iter().any(|(name, _)| name == "ossaccesskeyid" || name.starts_with("x-oss-"))
}

/// The headers that a form's fields stand for.
fn headers_of(fields: &FormFields) -> Result<HeaderMap, Face> {
    let mut out = HeaderMap::new();
    for (name, value) in fields.iter() {
        let kept = AS_HEADERS.contains(&name) || PREFIXES.iter().any(|prefix| name.starts_with(prefix));
        if !kept {
            if name == "callback" || (name.starts_with("x-oss-") && !OTHERS.contains(&name)) {
                return Err(Face::not_implemented(format_args!("The form field {name}")));
            }
            continue;
        }
        let not_text = || Face::argument("field", name, "A form field has characters that it cannot have.");
        // Line breaks and control characters have no place in a header.
        let mut value = HeaderValue::from_bytes(value.as_bytes()).map_err(|_| not_text())?;
        value.set_sensitive(name.contains("customer-key"));
        out.insert(HeaderName::try_from(name).map_err(|_| not_text())?, value);
    }
    Ok(out)
}

fn read_face(error: &ReadError) -> Face {
    match error {
        ReadError::Body(error) => body_face(error),
        ReadError::Field(error) => auth::field_face(error),
        ReadError::FileMissing => {
            Face::bad("IncorrectNumberOfFilesInPOSTRequest", "POST requires exactly one file upload per request.")
        }
    }
}

impl OssDialect {
    /// Whether a request is a form, posted to a bucket.
    #[must_use]
    pub fn is_posted(&self, parts: &Parts) -> bool {
        let kind = parts.headers.get(header::CONTENT_TYPE).map(HeaderValue::as_bytes).unwrap_or_default();
        parts.method == Method::POST
            && form::is_form(kind)
            && parts.uri.query().is_none_or(str::is_empty)
            && self.posted_to(parts).is_some()
    }

    /// The bucket that a form is posted to.
    fn posted_to(&self, parts: &Parts) -> Option<String> {
        let readings = self.config.hosts.readings(host_of(parts), parts.uri.path()).ok()?;
        readings.into_iter().find(|reading| reading.key.is_none())?.bucket
    }

    /// Answers a form that nobody has read yet.
    pub(super) async fn post_unread<B>(&self, parts: Parts, body: B, connection: Connection) -> Response<ResponseBody>
    where
        B: Body<Data = Bytes> + Unpin + Send + 'static,
        B::Error: Into<BoxError>,
    {
        let kind = parts.headers.get(header::CONTENT_TYPE).map(HeaderValue::as_bytes).unwrap_or_default();
        let refused = |face: Face| {
            let about = About::new(&parts.method, &connection.request_id, host_of(&parts).to_owned(), true);
            finish(Err(face), &about)
        };
        if let Err(error) = self.verifier.check_form_head(&parts) {
            return refused(auth::face(&error));
        }
        match form::read(kind, body).await {
            Ok(posted) => self.post(parts, posted, connection).await,
            Err(error) => refused(read_face(&error)),
        }
    }

    /// Answers a form whose fields have been read.
    pub(in crate::dialect) async fn post<B>(
        &self,
        parts: Parts,
        posted: Posted<B>,
        connection: Connection,
    ) -> Response<ResponseBody>
    where
        B: Body<Data = Bytes> + Unpin + Send + 'static,
        B::Error: Into<BoxError>,
    {
        let mut about = About::new(&parts.method, &connection.request_id, host_of(&parts).to_owned(), true);
        let page = self.page(&parts);
        let outcome = self.posted(parts, posted, &connection, &mut about).await;
        let mut response = match outcome {
            Ok((reply, form)) => {
                let response = finish(Ok(reply), &about);
                form.answer(response, super::response::text)
            }
            Err(face) => finish(Err(face), &about),
        };
        if let Some(page) = page {
            page.describe(&self.gateway, response.headers_mut()).await;
        }
        response
    }

    async fn posted<B>(
        &self,
        mut parts: Parts,
        posted: Posted<B>,
        connection: &Connection,
        about: &mut About,
    ) -> Result<(Reply, FormReply), Face>
    where
        B: Body<Data = Bytes> + Unpin + Send + 'static,
        B::Error: Into<BoxError>,
    {
        self.verifier.check_form_head(&parts).map_err(|error| auth::face(&error))?;
        let len = form_length(&parts.headers)?;
        let bucket = self.posted_to(&parts).ok_or_else(Face::malformed_xml)?;
        let Posted { fields, parser, body } = posted;
        let identified = self.verifier.identify_form(&fields, &bucket).map_err(|error| auth::form_face(&error))?;
        let key = fields.get("key").filter(|key| !key.is_empty()).ok_or_else(|| auth::missing_field("key"))?;
        let host = host_of(&parts).to_owned();
        let scheme = if connection.tls { "https" } else { "http" };
        let location = format!("{scheme}://{host}{}{}", slashed(parts.uri.path()), utf8_percent_encode(key, IN_PATH));
        let reply = FormReply::new(&fields, &bucket, key, location);

        parts.headers = headers_of(&fields)?;
        let sse_headers = SseHeaders::take(&mut parts.headers);
        refuse::headers(Operation::PutObject, &parts.headers)?;
        let mut input = sse::parse(&sse_headers, Accepts::Write, connection.secure)?;
        let (low, high) = identified.length.map_or((0, u64::MAX), std::ops::RangeInclusive::into_inner);
        let high = high.min(MAX_SINGLE_UPLOAD);
        // What surrounds the file is bounded, so a file that must be too long is refused before it comes.
        let proposed = len.saturating_sub(2 * MAX_FIELDS as u64);
        if proposed > high {
            return Err(body_face(&BodyError::FileTooLarge { proposed, maximum: high }));
        }
        let decoding = Decoding::Form(Box::new(FormFile::new(parser, low..=high)));
        let idle = self.config.idle_timeout;
        let body = EdgeBody::new(body, decoding, len, idle, BodyFailure::default(), None);
        let (incoming, end) = Incoming::new(body);
        let words = words::of(&parts, &sse_headers, connection);
        let sse = input.write.take();
        let call = Call {
            requester: Requester::new(identified.caller, words),
            query: Query::default(),
            host,
            headers: parts.headers,
            secure: connection.secure,
            sse: input,
            sse_headers,
            resource: OssResource { bucket: Some(bucket), key: Some(key.to_owned()) },
            head: false,
            body: Mutex::new(Some(incoming.plain(len, None))),
            document: Bytes::new(),
        };
        let outcome = self.put_posted(call, sse).await;
        about.unread = !end.reached();
        Ok((outcome?, reply))
    }

    async fn put_posted(&self, mut call: Call, sse: Option<crate::sse::SseRequest>) -> Result<Reply, Face> {
        let at = call.new_object()?;
        let forbidden = self.forbids_overwrite(&call, &at.bucket).await?;
        self.check_default(&call, &at.bucket, sse.as_ref()).await?;
        let request = PutRequest {
            at,
            headers: headers::of(&call.headers)?,
            sse,
            digests: call.digests()?,
            conditions: write_conditions(forbidden),
            body: call.take_body()?,
        };
        let written = self.gateway.put_object(&call.requester, request).await;
        let written = written.map_err(|error| write_face(&error, forbidden))?;
        Ok(Reply::empty().with(describe::written(&written)))
    }
}

/// The length of a form, which says how long its file can be at most.
fn form_length(headers: &HeaderMap) -> Result<u64, Face> {
    let text = headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok());
    let len = text.filter(|text| text.bytes().all(|byte| byte.is_ascii_digit())).and_then(|text| text.parse().ok());
    let len: u64 = len.ok_or_else(|| {
        Face::new(
            StatusCode::LENGTH_REQUIRED,
            "MissingContentLength",
            "You must provide the Content-Length HTTP header.",
        )
    })?;
    if len > MAX_SINGLE_UPLOAD.saturating_add(2 * MAX_FIELDS as u64) {
        return Err(body_face(&BodyError::FileTooLarge { proposed: len, maximum: MAX_SINGLE_UPLOAD }));
    }
    Ok(len)
}

/// The path of a bucket, with the slash that a key follows.
fn slashed(path: &str) -> String {
    format!("{}/", path.trim_end_matches('/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(pairs: &[(&str, &str)]) -> FormFields {
        let mut fields = FormFields::default();
        pairs.iter().for_each(|(name, value)| fields.add(name, (*value).to_owned()).unwrap());
        fields
    }

    #[test]
    fn a_form_is_known_by_its_fields() {
        assert!(is_ours(&fields(&[("key", "k"), ("OSSAccessKeyId", "x")])));
        assert!(is_ours(&fields(&[("x-oss-signature-version", "x")])));
        assert!(!is_ours(&fields(&[("key", "k"), ("AWSAccessKeyId", "x"), ("x-amz-date", "x")])));
    }

    #[test]
    fn fields_become_headers_by_an_allow_list() {
        let form = fields(&[
            ("key", "k"),
            ("policy", "p"),
            ("x-oss-credential", "c"),
            ("x-oss-meta-a", "b"),
            ("x-oss-server-side-encryption", "KMS"),
            ("Content-Type", "text/plain"),
            ("success_action_status", "201"),
            ("x-custom", "y"),
        ]);
        let out = headers_of(&form).unwrap();
        let mut names: Vec<&str> = out.keys().map(HeaderName::as_str).collect();
        names.sort_unstable();
        assert_eq!(names, ["content-type", "x-oss-meta-a", "x-oss-server-side-encryption"]);
        for bad in [("x-oss-copy-source", "/b/k"), ("callback", "x"), ("x-oss-callback", "x")] {
            assert_eq!(headers_of(&fields(&[bad])).unwrap_err().code, "NotImplemented", "{bad:?}");
        }
        let split = fields(&[("x-oss-meta-a", "b\r\nSet-Cookie: c")]);
        assert_eq!(headers_of(&split).unwrap_err().code, "InvalidArgument");
    }
}
