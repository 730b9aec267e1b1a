//! One S3 request from the edge's admission to its answer: what `s3s` must not see is taken out, what is not
//! implemented is refused, and what `s3s` gets wrong is put right.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use http::request::Parts;
use http::{HeaderMap, HeaderName, Response, header};
use http_body::Body;
use s3s::S3Error;
use s3s::service::{S3Service, S3ServiceBuilder};

use crate::dialect::incoming::{Incoming, NotWhole};
use crate::gateway::{BodyError, Gateway, PlainBody};
use crate::identity::{Caller, Requester};

use super::adapter::Adapter;
use super::blocked;
use super::context::{Call, RequestContext, Taken};
use super::cors;
use super::digests;
use super::direct::Direct;
use super::error::{Face, body_face, face};
use super::numbers;
use super::pass;
use super::refuse;
use super::rekey;
use super::response::{About, finish};
use super::route::{BodyKind, Operation, Target, target};
use super::sse_headers::SseHeaders;
use super::sse_request;
use super::words::conditions_of;
use crate::dialect::host::BaseDomains;

/// The largest XML document taken: 10,000 parts with checksums fit.
const XML_MAXIMUM: usize = 4 << 20;

/// The body of an answer. An error in it must cut the connection, which hyper does.
pub type ResponseBody = s3s::Body;

/// The S3 dialect over one gateway. Cheap to clone.
#[derive(Clone)]
pub struct S3Dialect {
    service: S3Service,
    /// The same that the service calls, for requests that go the short way.
    adapter: Adapter,
    gateway: Arc<Gateway>,
    domains: BaseDomains,
}

impl fmt::Debug for S3Dialect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("S3Dialect").field("domains", &self.domains).finish_non_exhaustive()
    }
}

impl S3Dialect {
    /// A dialect that calls `gateway`; `domains` are those under which a host name carries a bucket's.
    #[must_use]
    pub fn new(gateway: Arc<Gateway>, domains: BaseDomains) -> Self {
        let adapter = Adapter::new(Arc::clone(&gateway));
        let mut builder = S3ServiceBuilder::new(adapter.clone());
        builder.set_host(domains.clone());
        Self { service: builder.build(), adapter, gateway, domains }
    }

    /// Answers a request that the edge has admitted. `parts` carry no credentials any more, and `Content-Length` is the
    /// plaintext's; `body` is the decoded body, whose end is good only if everything signed or declared of it held.
    ///
    /// Always answers; dropping the future abandons the operation, which then has changed nothing or everything.
    pub async fn handle<B>(&self, mut parts: Parts, body: B, context: RequestContext) -> Response<ResponseBody>
    where
        B: Body<Data = Bytes, Error = BodyError> + Send + 'static,
    {
        // Before anything that could log or fail: no key stays among the headers.
        let sse = SseHeaders::take(&mut parts.headers);
        let (body, ended) = Incoming::new(body);
        let mut about = About {
            method: parts.method.clone(),
            path: parts.uri.path().to_owned(),
            request_id: context.request_id.clone(),
            unread: false,
        };
        let page = cors::page_of(&parts, &self.domains);
        let addressed = addressed(&parts, &self.domains);
        let bucket = page.as_ref().map(|page| page.bucket().clone());
        let response = match pass::wanted(&self.gateway, &parts, &addressed, bucket, &context.caller) {
            Some(wanted) => pass::answer(&self.gateway, parts, body, &sse, &context, wanted).await,
            None => self.served(parts, body, &sse, context, addressed).await,
        };
        about.unread = !ended.reached();
        let mut response = finish(response, &about);
        if let Some(page) = page {
            page.describe(&self.gateway, response.headers_mut()).await;
        }
        response
    }

    /// Answers a request of the gateway's own: the short way, or by `s3s`.
    async fn served(
        &self,
        parts: Parts,
        body: Incoming,
        sse: &SseHeaders,
        context: RequestContext,
        addressed: Addressed,
    ) -> Response<ResponseBody> {
        match prepare(parts, body, sse, context, addressed).await {
            Ok(Prepared::Short(direct, call)) => direct.answer(&self.adapter, &call).await.unwrap_or_else(refusal),
            Ok(Prepared::Long(request)) => self.service.call(request).await.unwrap_or_else(|error| {
                let error: s3s::StdError = error.into();
                tracing::error!(error, "s3s gave no answer");
                refusal(S3Error::new(s3s::S3ErrorCode::InternalError))
            }),
            Err(face) => refusal(face.into()),
        }
    }

    /// Answers a browser's preflight, which comes without a signature and with no body that counts.
    pub async fn preflight(&self, parts: &Parts, request_id: String) -> Response<ResponseBody> {
        let about = About {
            method: parts.method.clone(),
            path: parts.uri.path().to_owned(),
            request_id,
            // Whatever body came with it has not been read.
            unread: true,
        };
        let response = match cors::preflight(&self.gateway, parts, &self.domains).await {
            Ok(response) => response.map(|()| s3s::Body::empty()),
            Err(face) => refusal(face.into()),
        };
        finish(response, &about)
    }
}

/// What a request is about.
pub(super) struct Addressed {
    pub(super) target: Target,
    /// The bucket, where the host names it.
    pub(super) in_host: Option<String>,
}

fn addressed(parts: &Parts, domains: &BaseDomains) -> Addressed {
    let host = parts.headers.get(header::HOST).and_then(|value| value.to_str().ok());
    let host = host.or_else(|| parts.uri.authority().map(http::uri::Authority::as_str));
    let in_host = host.and_then(|host| domains.bucket(host));
    Addressed { target: target(parts.uri.path(), in_host.is_some()), in_host }
}

pub(super) fn refusal(error: S3Error) -> Response<ResponseBody> {
    let status = error.status_code().unwrap_or(http::StatusCode::INTERNAL_SERVER_ERROR);
    error.to_http_response().unwrap_or_else(|_| {
        let mut response = Response::new(s3s::Body::empty());
        *response.status_mut() = status;
        response
    })
}

/// A request that may be served.
enum Prepared {
    /// Without `s3s`.
    Short(Direct, Arc<Call>),
    /// By `s3s`, which finds the call among its extensions.
    Long(http::Request<s3s::Body>),
}

/// Everything that happens before an operation: routing by the allow-list, refusals, encryption headers, small bodies.
async fn prepare(
    parts: Parts,
    body: Incoming,
    sse: &SseHeaders,
    context: RequestContext,
    Addressed { target, in_host }: Addressed,
) -> Result<Prepared, Face> {
    let query = parts.uri.query();
    let operation = match (Operation::resolve(&parts.method, target, query, &parts.headers), &context.caller) {
        (Ok(operation), Caller::Anonymous) if !operation.needs_a_user() => operation,
        // Nobody learns what there is to ask for; and nothing of the body is read.
        (_, Caller::Anonymous) => return Err(Face::denied("Access Denied")),
        (resolved, Caller::User(_)) => resolved?,
    };
    refuse::headers(operation, &parts.headers)?;
    refuse::query(query.unwrap_or_default(), matches!(context.caller, Caller::Anonymous))?;
    let input = sse_request::parse(sse, operation.accepts(), context.transport())?;
    let direct = Direct::of(operation, &parts, in_host.as_deref());
    let kept = if direct.is_some() { HeaderMap::new() } else { for_s3s(&parts.headers) };
    let (plain, document) = match operation.body() {
        BodyKind::None => (None, Bytes::new()),
        BodyKind::Stream => (content_length(&parts.headers)?.map(|len| plain(body, len, &context)), Bytes::new()),
        BodyKind::Xml | BodyKind::Json => (None, document(operation, body, &parts.headers, &context).await?),
    };
    let (document, customer_blocked) = match operation {
        Operation::PutBucketEncryption => blocked::take(&document)?,
        _ => (document, None),
    };
    let words = conditions_of(&parts, sse, &context);
    let (mut parts, mut document, mut new_key) = (parts, document, None);
    if operation == Operation::UpdateObjectEncryption {
        sse_request::kms_transport(context.transport())?;
        new_key = Some(rekey::parse(&document)?);
        (parts.uri, document) = rekey::shown(&parts.uri)?;
    }
    let requester = Requester::new(context.caller.clone(), words);
    let call =
        Arc::new(Call::new(context, requester, parts.headers, Taken { customer_blocked, new_key }, input, plain));
    if let Some(direct) = direct {
        return Ok(Prepared::Short(direct, call));
    }
    let mut request = http::Request::new(s3s::Body::from(document));
    *request.method_mut() = parts.method;
    *request.uri_mut() = parts.uri;
    *request.version_mut() = parts.version;
    *request.headers_mut() = kept;
    request.extensions_mut().insert(call);
    Ok(Prepared::Long(request))
}

/// The few headers that `s3s` is to interpret. Conditions, ranges, digests, system headers and the rest are read from
/// the raw ones by this room: `s3s` refuses what S3 ignores, and ignores what S3 refuses.
fn for_s3s(headers: &HeaderMap) -> HeaderMap {
    const KEPT: [&str; 5] =
        ["host", "x-amz-copy-source", "x-amz-max-parts", "x-amz-object-attributes", "x-amz-part-number-marker"];
    let keep = |name: &HeaderName| KEPT.contains(&name.as_str()) || name.as_str().starts_with("x-amz-meta-");
    headers.iter().filter(|(name, _)| keep(name)).map(|(name, value)| (name.clone(), value.clone())).collect()
}

fn content_length(headers: &HeaderMap) -> Result<Option<u64>, Face> {
    let Some(value) = headers.get(header::CONTENT_LENGTH) else { return Ok(None) };
    let digits = value.to_str().ok().filter(|text| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()));
    let length = digits.and_then(|text| text.parse().ok());
    length.map(Some).ok_or_else(|| Face::invalid_argument("The Content-Length header is not a length."))
}

fn plain(body: Incoming, len: u64, context: &RequestContext) -> PlainBody {
    body.plain(len, context.trailers.clone())
}

/// Reads a small XML document whole and checks what was declared of it.
async fn document(
    operation: Operation,
    body: Incoming,
    headers: &HeaderMap,
    context: &RequestContext,
) -> Result<Bytes, Face> {
    // On CompleteMultipartUpload the checksum headers speak of the object, not of the document.
    let whole = if operation == Operation::CompleteMultipartUpload {
        checked_document(body, headers, &headers_without_checksums(headers), context).await?
    } else {
        checked_document(body, headers, headers, context).await?
    };
    if operation.body() == BodyKind::Xml {
        numbers::check(&whole)?;
    }
    Ok(whole)
}

/// Reads a small document whole and checks what `described` says of it.
pub(super) async fn checked_document(
    body: Incoming,
    headers: &HeaderMap,
    described: &HeaderMap,
    context: &RequestContext,
) -> Result<Bytes, Face> {
    let too_large =
        || Face::bad("MaxMessageLengthExceeded", format!("Your request was too big: at most {XML_MAXIMUM} bytes."));
    if content_length(headers)?.is_some_and(|len| usize::try_from(len).map_or(true, |len| len > XML_MAXIMUM)) {
        return Err(too_large());
    }
    let trailing = context.trailing_checksum.as_deref();
    let mut declared = digests::declared(described, trailing)?;
    declared.compute = None;
    let whole = body.whole(XML_MAXIMUM).await.map_err(|error| match error {
        NotWhole::Failed(error) => body_face(&error),
        NotWhole::TooLarge => too_large(),
    })?;
    let trailer = context
        .trailing_checksum
        .as_deref()
        .and_then(|name| context.trailers.as_ref().and_then(|slot| slot.header(name)));
    digests::verify_whole(&whole, &declared, trailer.as_deref()).map_err(|error| face(&error))?;
    Ok(whole)
}

fn headers_without_checksums(headers: &HeaderMap) -> HeaderMap {
    headers
        .iter()
        .filter(|(name, _)| !name.as_str().starts_with("x-amz-checksum-"))
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use base64::Engine as _;
    use futures::StreamExt as _;
    use http::Request;
    use http_body_util::{BodyExt as _, Full, StreamBody};
    use md5::Digest as _;

    fn context() -> RequestContext {
        RequestContext {
            caller: Caller::User(crate::identity::Authenticated::for_test("ann", false)),
            peer: std::net::IpAddr::from([127, 0, 0, 1]),
            tls: false,
            secure: true,
            sigv4: true,
            request_id: "R1".into(),
            trailers: None,
            trailing_checksum: None,
        }
    }

    async fn ask(request: Request<&'static str>) -> Result<http::Request<s3s::Body>, Face> {
        let (mut parts, body) = request.into_parts();
        let sse = SseHeaders::take(&mut parts.headers);
        let body = Full::new(Bytes::from_static(body.as_bytes())).map_err(|never| match never {});
        let (body, _) = Incoming::new(body);
        let domains = BaseDomains::new(["s3.test".to_owned()]);
        let addressed = addressed(&parts, &domains);
        match prepare(parts, body, &sse, context(), addressed).await? {
            Prepared::Long(request) => Ok(request),
            Prepared::Short(_, call) => {
                let mut request = http::Request::new(s3s::Body::empty());
                request.extensions_mut().insert(call);
                Ok(request)
            }
        }
    }

    fn request(method: &str, uri: &str, headers: &[(&str, &str)], body: &'static str) -> Request<&'static str> {
        let request = Request::builder().method(method).uri(uri).header("host", "localhost");
        let mut request = request.body(body).unwrap();
        for (name, value) in headers {
            request.headers_mut().insert(HeaderName::try_from(*name).unwrap(), value.parse().unwrap());
        }
        request
    }

    #[tokio::test]
    async fn s3s_sees_neither_keys_nor_bodies_nor_headers_it_reads_wrongly() {
        let key = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
        let engine = base64::engine::general_purpose::STANDARD;
        let md5 = engine.encode(md5::Md5::digest(engine.decode(key).unwrap()));
        let headers = [
            ("x-amz-server-side-encryption-customer-algorithm", "AES256"),
            ("x-amz-server-side-encryption-customer-key", key),
            ("x-amz-server-side-encryption-customer-key-md5", md5.as_str()),
            ("content-length", "4"),
            ("expires", "soon"),
            ("range", "lines=1"),
            ("x-amz-meta-a", "b"),
        ];
        let seen = ask(request("PUT", "/bucket/key", &headers, "data")).await.unwrap();
        assert!(!format!("{seen:?}").contains(key));
        let mut names: Vec<&str> = seen.headers().keys().map(HeaderName::as_str).collect();
        names.sort_unstable();
        assert_eq!(names, ["host", "x-amz-meta-a"]);
        let call = seen.extensions().get::<Arc<Call>>().unwrap();
        assert!(matches!(call.take_write(), Some(crate::sse::SseRequest::Customer(_))));
        let body = call.take_body().unwrap();
        assert_eq!(body.len, 4);
        let chunks: Vec<_> = body.stream.collect().await;
        assert_eq!(chunks, [Ok(Bytes::from_static(b"data"))]);
        assert!(call.take_body().is_err(), "a body is taken once");
    }

    #[tokio::test]
    async fn a_put_without_length_has_no_body_to_take() {
        let seen = ask(request("PUT", "/bucket/key", &[], "")).await.unwrap();
        let face = seen.extensions().get::<Arc<Call>>().unwrap().take_body().unwrap_err();
        assert_eq!((face.status.as_u16(), face.code), (411, "MissingContentLength"));
    }

    #[tokio::test]
    async fn the_plainest_requests_pass_s3s_by() {
        let way = async |method: &str, uri: &str, headers: &[(&str, &str)]| {
            let (mut parts, _) = request(method, uri, headers, "").into_parts();
            let sse = SseHeaders::take(&mut parts.headers);
            let (body, _) = Incoming::new(http_body_util::Empty::new().map_err(|never| match never {}));
            let domains = BaseDomains::new(["s3.test".to_owned()]);
            let addressed = addressed(&parts, &domains);
            match prepare(parts, body, &sse, context(), addressed).await.unwrap() {
                Prepared::Short(direct, _) => Some((direct.at.bucket.to_string(), direct.at.key.to_string())),
                Prepared::Long(_) => None,
            }
        };
        let named = |bucket: &str, key: &str| Some((bucket.to_owned(), key.to_owned()));
        for method in ["GET", "HEAD", "PUT"] {
            assert_eq!(way(method, "/bucket/a%20b%2Fc?x-id=1", &[]).await, named("bucket", "a b/c"), "{method}");
            assert_eq!(way(method, "/bucket//a", &[]).await, named("bucket", "/a"), "{method}");
            assert_eq!(way(method, "/a/b", &[("host", "bucket.s3.test")]).await, named("bucket", "a/b"), "{method}");
        }
        for (method, uri, headers) in [
            ("GET", "/bucket/k?versionId=null", [("a", "b")]),
            ("HEAD", "/bucket/k?partNumber=1", [("a", "b")]),
            ("GET", "/bucket/k?response-expires=x", [("a", "b")]),
            ("PUT", "/bucket/k", [("x-amz-meta-a", "b")]),
            ("PUT", "/bucket/k", [("x-amz-copy-source", "/a/b")]),
            ("GET", "/bucket/%ff", [("a", "b")]),
            ("GET", "/B_/k", [("a", "b")]),
            ("DELETE", "/bucket/k", [("a", "b")]),
            ("GET", "/bucket", [("a", "b")]),
        ] {
            assert_eq!(way(method, uri, &headers).await, None, "{method} {uri} {headers:?}");
        }
    }

    #[tokio::test]
    async fn refusals_come_before_anything_is_read() {
        for (method, uri, code) in [
            ("GET", "/b/k?torrent", "NotImplemented"),
            ("PUT", "/b/k?retention", "NotImplemented"),
            ("POST", "/b/k?restore", "NotImplemented"),
            ("GET", "/b?replication", "NotImplemented"),
            ("GET", "/b/k?encryption", "NotImplemented"),
            ("PUT", "/b/k?encryption", "MalformedXML"),
            ("PUT", "/b/k?attributes", "NotImplemented"),
            ("GET", "/b?encoding-type=x", "InvalidArgument"),
        ] {
            assert_eq!(ask(request(method, uri, &[], "")).await.unwrap_err().code, code, "{method} {uri}");
        }
        let sse = [("x-amz-server-side-encryption", "AES256")];
        assert_eq!(ask(request("GET", "/b/k", &sse, "")).await.unwrap_err().code, "InvalidRequest");
        assert_eq!(ask(request("DELETE", "/b/k", &sse, "")).await.unwrap_err().code, "InvalidArgument");
        assert_eq!(ask(request("PUT", "/b", &sse, "")).await.unwrap_err().code, "InvalidArgument");
    }

    #[tokio::test]
    async fn small_documents_are_checked_against_what_was_declared() {
        let good = [("content-md5", "JfnnlDI7RTiF9RgfG2JNCw==")];
        assert!(ask(request("POST", "/b?delete", &good, "123456789")).await.is_ok());
        assert_eq!(ask(request("POST", "/b?delete", &good, "12345678")).await.unwrap_err().code, "BadDigest");
        let crc = [("x-amz-checksum-crc32", "y/Q5Jg==")];
        assert!(ask(request("POST", "/b?delete", &crc, "123456789")).await.is_ok());
        assert_eq!(ask(request("POST", "/b?delete", &crc, "x")).await.unwrap_err().code, "BadDigest");
        // On a completion the checksum is the object's.
        assert!(ask(request("POST", "/b/k?uploadId=1", &crc, "x")).await.is_ok());
        let long = [("content-length", "4194305")];
        assert_eq!(ask(request("POST", "/b?delete", &long, "x")).await.unwrap_err().code, "MaxMessageLengthExceeded");
    }

    #[tokio::test]
    async fn a_failing_small_body_keeps_its_own_code() {
        let failing = futures::stream::iter([Err::<http_body::Frame<Bytes>, _>(BodyError::HashMismatch)]);
        let (body, _) = Incoming::new(StreamBody::new(failing));
        let (parts, _) = request("POST", "/b?delete", &[], "").into_parts();
        let addressed = addressed(&parts, &BaseDomains::default());
        let refused = prepare(parts, body, &SseHeaders::default(), context(), addressed).await;
        assert_eq!(refused.err().unwrap().code, "XAmzContentSHA256Mismatch");
    }
}
