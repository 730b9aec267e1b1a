//! One OSS request from its head to its answer: who calls, what is meant, then one call of the gateway.

use std::fmt;
use std::net::IpAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use http::request::Parts;
use http::{HeaderMap, Response, header};
use http_body::Body;
use md5::{Digest as _, Md5};
use subtle::ConstantTimeEq as _;

use crate::dialect::body::{BodyFailure, BoxError, Decoding, EdgeBody};
use crate::dialect::cors::{self, Page};
use crate::dialect::incoming::{End, Incoming, NotWhole};
use crate::gateway::{Error, Gateway, MAX_SINGLE_UPLOAD};
use crate::identity::{Caller, Requester};
use crate::identity::{OssResource, OssVerifier};
use crate::listener::ResponseBody;

use super::error::{body_face, face};
use super::face::Face;
use super::host::Hosts;
use super::query::Query;
use super::request::{Call, content_md5};
use super::response::{About, Reply, finish};
use super::route::{BodyKind, Operation, Target};
use super::sse::{self, Accepts, SseHeaders};
use super::{auth, pass, refuse, words};

/// The largest document taken: 10,000 parts fit.
const DOCUMENT_MAXIMUM: usize = 4 << 20;
/// The largest list of keys to delete (OSS: 2 MB).
const DELETE_MAXIMUM: usize = 2 << 20;
/// What is read of a body where there should be none, to find the end of one that comes in chunks.
const NOTHING_MAXIMUM: usize = 8 << 10;

/// What the dialect is configured with.
#[derive(Debug, Clone)]
pub struct OssConfig {
    /// The names under which the gateway is reached.
    pub hosts: Hosts,
    /// The region, a bare id (`cn-hangzhou`).
    pub region: String,
    /// How long a client may send nothing of a body that it announced.
    pub idle_timeout: Duration,
}

/// How a request came.
#[derive(Debug, Clone)]
pub struct Connection {
    /// The other end of the connection.
    pub peer: IpAddr,
    /// Whether the client's connection is TLS, here or at a trusted proxy.
    pub tls: bool,
    /// Whether keys may travel: TLS, a loopback peer, a trusted proxy's word, or the operator's permission.
    pub secure: bool,
    /// The listener's id of the request.
    pub request_id: String,
}

/// The OSS dialect over one gateway.
pub struct OssDialect {
    pub(super) gateway: Arc<Gateway>,
    pub(super) verifier: OssVerifier,
    pub(super) config: OssConfig,
}

impl fmt::Debug for OssDialect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OssDialect").field("config", &self.config).finish_non_exhaustive()
    }
}

/// The host that a request names, as it wrote it.
pub(super) fn host_of(parts: &Parts) -> &str {
    let named = parts.headers.get(header::HOST).and_then(|value| value.to_str().ok());
    named.or_else(|| parts.uri.authority().map(http::uri::Authority::as_str)).unwrap_or_default().trim()
}

impl OssDialect {
    /// A dialect that calls `gateway` for callers that `verifier` establishes.
    #[must_use]
    pub fn new(gateway: Arc<Gateway>, verifier: OssVerifier, config: OssConfig) -> Self {
        Self { gateway, verifier, config }
    }

    /// Whether a request is of OSS: by its own words, or by the host that it names.
    #[must_use]
    pub fn is_addressed(&self, parts: &Parts) -> bool {
        crate::identity::is_oss(parts) || self.config.hosts.is_oss(host_of(parts))
    }

    /// Answers a request. The body is not touched before the head has passed every check.
    ///
    /// Always answers; dropping the future abandons the operation, which then has changed nothing or everything.
    pub async fn handle<B>(&self, parts: Parts, body: B, connection: Connection) -> Response<ResponseBody>
    where
        B: Body<Data = Bytes> + Unpin + Send + 'static,
        B::Error: Into<BoxError>,
    {
        if self.is_posted(&parts) {
            return self.post_unread(parts, body, connection).await;
        }
        let host = host_of(&parts).to_owned();
        let announced = length(&parts.headers) != Ok(Length::Known(0)) && length(&parts.headers) != Ok(Length::Missing);
        let mut about = About::new(&parts.method, &connection.request_id, host, announced);
        let page = self.page(&parts);
        let outcome = self.answer(parts, body, &connection, &mut about).await;
        if let Err(refusal) = &outcome {
            tracing::debug!(request_id = connection.request_id, code = refusal.code, "refused");
        }
        let mut response = finish(outcome, &about);
        if let Some(page) = page {
            page.describe(&self.gateway, response.headers_mut()).await;
        }
        response
    }

    /// Answers a browser's preflight, which comes without a signature and with no body that counts.
    pub async fn preflight(&self, parts: &Parts, connection: &Connection) -> Response<ResponseBody> {
        let about = About::new(&parts.method, &connection.request_id, host_of(parts).to_owned(), true);
        let refused = |why: &'static str| Face::new(http::StatusCode::FORBIDDEN, "AccessForbidden", why);
        let allowed = cors::preflight(&self.gateway, &parts.headers, self.page(parts).as_ref()).await;
        let outcome = allowed.map(|headers| Reply::empty().with(headers)).map_err(|refusal| match refusal {
            cors::Refusal::OriginMissing => {
                Face::bad("InvalidArgument", "The Origin header is missing.").with("ArgumentName", "Origin")
            }
            cors::Refusal::MethodMissing => {
                Face::bad("InvalidArgument", "The Access-Control-Request-Method header is missing.")
                    .with("ArgumentName", "Access-Control-Request-Method")
            }
            cors::Refusal::NotEnabled => refused("CORSResponse: CORS is not enabled for this bucket."),
            cors::Refusal::NotAllowed => refused("CORSResponse: This CORS request is not allowed."),
        });
        finish(outcome, &about)
    }

    /// The page that a request comes from, if it names a bucket.
    pub(super) fn page(&self, parts: &Parts) -> Option<Page> {
        let readings = self.config.hosts.readings(host_of(parts), parts.uri.path()).ok()?;
        Some(Page::new(parts, readings.first()?.bucket.as_deref()?.parse().ok()?))
    }

    async fn answer<B>(
        &self,
        mut parts: Parts,
        body: B,
        connection: &Connection,
        about: &mut About,
    ) -> Result<Reply, Face>
    where
        B: Body<Data = Bytes> + Unpin + Send + 'static,
        B::Error: Into<BoxError>,
    {
        let mut readings = self.config.hosts.readings(host_of(&parts), parts.uri.path())?;
        let identified = self.verifier.identify(&parts, &readings).map_err(|error| auth::face(&error))?;
        if identified.reading >= readings.len() {
            return Err(Face::internal());
        }
        let resource = readings.swap_remove(identified.reading);
        // From here on no key stays among the headers.
        let headers = SseHeaders::take(&mut parts.headers);
        let query = Query::of(&parts.uri);
        if let Some((bucket, passing)) = pass::wanted(&self.gateway, &parts, &resource, &query, &identified.caller)? {
            pass::headers(&parts.headers)?;
            sse::parse(&headers, Accepts::Nothing, connection.secure)?;
            let length = length(&parts.headers)?;
            let (incoming, end) = self.incoming(body, length);
            let read = match passing.passage.sends() {
                true => document(&parts.headers, incoming, length, DOCUMENT_MAXIMUM).await,
                false => nothing(incoming, length).await.map(|()| Bytes::new()),
            };
            about.unread = !end.reached();
            let caller = Requester::new(identified.caller, words::of(&parts, &headers, connection));
            return pass::answer(&self.gateway, &caller, &bucket, &passing, read?).await;
        }
        let operation = admitted(&parts, &resource, &query, &identified.caller)?;
        refuse::headers(operation, &parts.headers)?;
        refuse::query(&query, identified.caller.user().is_none())?;
        let input = sse::parse(&headers, operation.accepts(), connection.secure)?;

        let length = length(&parts.headers)?;
        let (incoming, end) = self.incoming(body, length);
        let read = take_body(operation, &parts.headers, incoming, length).await;
        about.unread = !end.reached();
        let (body, document) = read?;
        let words = words::of(&parts, &headers, connection);
        let call = Call {
            requester: Requester::new(identified.caller, words),
            query,
            host: host_of(&parts).to_owned(),
            headers: parts.headers,
            secure: connection.secure,
            sse: input,
            sse_headers: headers,
            resource,
            head: parts.method == http::Method::HEAD,
            body: Mutex::new(body),
            document,
        };
        let outcome = self.dispatch(operation, call).await;
        about.unread = !end.reached();
        outcome
    }

    /// A body on its way in: bounded, timed, and held to its length.
    fn incoming<B>(&self, body: B, length: Length) -> (Incoming, End)
    where
        B: Body<Data = Bytes> + Unpin + Send + 'static,
        B::Error: Into<BoxError>,
    {
        let (decoding, len) = match length {
            Length::Known(len) => (Decoding::Plain, len),
            Length::Missing => (Decoding::Plain, 0),
            Length::Unknown => (Decoding::Unmeasured, MAX_SINGLE_UPLOAD),
        };
        let idle = self.config.idle_timeout;
        Incoming::new(EdgeBody::new(body, decoding, len, idle, BodyFailure::default(), None))
    }

    async fn dispatch(&self, operation: Operation, call: Call) -> Result<Reply, Face> {
        match operation {
            Operation::AbortMultipartUpload => self.abort_upload(call).await,
            Operation::AppendObject => self.append_object(call).await,
            Operation::CompleteMultipartUpload => self.complete_upload(call).await,
            Operation::CopyObject => self.copy_object(call).await,
            Operation::DeleteBucket => self.delete_bucket(call).await,
            Operation::DeleteBucketCors => self.delete_cors(call).await,
            Operation::DeleteBucketEncryption => self.delete_encryption(call).await,
            Operation::DeleteBucketPolicy => self.delete_policy(call).await,
            Operation::DeleteBucketTagging => self.delete_bucket_tags(call).await,
            Operation::DeleteMultipleObjects => self.delete_multiple(call).await,
            Operation::DeleteObject => self.delete_object(call).await,
            Operation::DeleteObjectTagging => self.delete_object_tags(call).await,
            Operation::GetBucketAcl => self.get_bucket_acl(call).await,
            Operation::GetBucketCors => self.get_cors(call).await,
            Operation::GetBucketEncryption => self.get_encryption(call).await,
            Operation::GetBucketInfo => self.bucket_info(call).await,
            Operation::GetBucketLocation => self.bucket_location(call).await,
            Operation::GetBucketPolicy => self.get_policy(call).await,
            Operation::GetBucketPolicyStatus => self.get_policy_status(call).await,
            Operation::GetBucketStat => self.bucket_stat(call).await,
            Operation::GetBucketTagging => self.get_bucket_tags(call).await,
            Operation::GetBucketVersioning => self.get_versioning(call).await,
            Operation::GetObject => self.get_object(call).await,
            Operation::GetObjectAcl => self.get_object_acl(call).await,
            Operation::GetObjectMeta => self.object_meta(call).await,
            Operation::GetObjectTagging => self.get_object_tags(call).await,
            Operation::GetSymlink => self.get_symlink(call).await,
            Operation::HeadObject => self.head_object(call).await,
            Operation::InitiateMultipartUpload => self.initiate_upload(call).await,
            Operation::ListBuckets => self.list_buckets(call).await,
            Operation::ListMultipartUploads => self.list_uploads(call).await,
            Operation::ListObjects => self.list_objects(call).await,
            Operation::ListObjectVersions => self.list_versions(call).await,
            Operation::ListParts => self.list_parts(call).await,
            Operation::PutBucket => self.put_bucket(call).await,
            Operation::PutBucketAcl => self.put_bucket_acl(call).await,
            Operation::PutBucketCors => self.put_cors(call).await,
            Operation::PutBucketEncryption => self.put_encryption(call).await,
            Operation::PutBucketPolicy => self.put_policy(call).await,
            Operation::PutBucketTagging => self.put_bucket_tags(call).await,
            Operation::PutBucketVersioning => self.put_versioning(call).await,
            Operation::PutObject => self.put_object(call).await,
            Operation::PutObjectAcl => self.put_object_acl(call).await,
            Operation::PutObjectTagging => self.put_object_tags(call).await,
            Operation::PutSymlink => self.put_symlink(call).await,
            Operation::UploadPart => self.upload_part(call).await,
            Operation::UploadPartCopy => self.upload_part_copy(call).await,
        }
    }
}

/// The operation that a request is, for a caller who may ask for it at all.
fn admitted(parts: &Parts, resource: &OssResource, query: &Query, caller: &Caller) -> Result<Operation, Face> {
    let target = match (&resource.bucket, &resource.key) {
        (None, _) => Target::Service,
        (Some(_), None) => Target::Bucket,
        (Some(_), Some(_)) => Target::Object,
    };
    match (Operation::resolve(&parts.method, target, query, &parts.headers), caller) {
        (Ok(operation), Caller::Anonymous) if !operation.needs_a_user() => Ok(operation),
        // Nobody learns what there is to ask for; and nothing of the body is read.
        (_, Caller::Anonymous) => {
            Err(Face::denied("You have no right to access this object: anonymous requests are not allowed."))
        }
        (resolved, Caller::User(_)) => resolved,
    }
}

/// How long a request says that its body is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Length {
    /// So many bytes.
    Known(u64),
    /// It says nothing, so there is none.
    Missing,
    /// Its own chunks tell.
    Unknown,
}

fn length(headers: &HeaderMap) -> Result<Length, Face> {
    if headers.contains_key(header::TRANSFER_ENCODING) {
        return Ok(Length::Unknown);
    }
    let Some(value) = headers.get(header::CONTENT_LENGTH) else { return Ok(Length::Missing) };
    let digits = value.to_str().ok().filter(|text| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()));
    let length = digits.and_then(|text| text.parse().ok());
    length.map(Length::Known).ok_or_else(|| Face::invalid_argument("The Content-Length header is not a length."))
}

/// Gives the body its place: a stream for the gateway, or a small document that is read here.
async fn take_body(
    operation: Operation,
    headers: &HeaderMap,
    incoming: Incoming,
    length: Length,
) -> Result<(Option<crate::gateway::PlainBody>, Bytes), Face> {
    match (operation.body(), length) {
        (BodyKind::Stream, Length::Missing) => Ok((None, Bytes::new())),
        (BodyKind::Stream, Length::Known(len)) => Ok((Some(incoming.plain(len, None)), Bytes::new())),
        (BodyKind::Stream, Length::Unknown) => Ok((Some(incoming.plain(MAX_SINGLE_UPLOAD, None)), Bytes::new())),
        (BodyKind::None, length) => nothing(incoming, length).await.map(|()| (None, Bytes::new())),
        (BodyKind::Document, length) => {
            let deletes = operation == Operation::DeleteMultipleObjects;
            let maximum = if deletes { DELETE_MAXIMUM } else { DOCUMENT_MAXIMUM };
            Ok((None, document(headers, incoming, length, maximum).await?))
        }
    }
}

/// Finds the end of a body where there should be none.
async fn nothing(incoming: Incoming, length: Length) -> Result<(), Face> {
    match length {
        // Go's clients announce chunks and send none: their end is on the wire.
        Length::Unknown => {
            let read = incoming.whole(NOTHING_MAXIMUM).await;
            read.map(drop).map_err(|error| not_whole(error, Face::malformed_xml))
        }
        Length::Known(_) | Length::Missing => Ok(()),
    }
}

/// Reads a document, and holds it to the digest that it came with.
async fn document(headers: &HeaderMap, incoming: Incoming, length: Length, maximum: usize) -> Result<Bytes, Face> {
    let declared = match length {
        Length::Known(len) => usize::try_from(len).unwrap_or(usize::MAX),
        Length::Missing | Length::Unknown => 0,
    };
    if declared > maximum {
        return Err(Face::malformed_xml());
    }
    let md5 = content_md5(headers)?;
    let document = incoming.whole(maximum).await.map_err(|error| not_whole(error, Face::malformed_xml))?;
    let differs = |md5: [u8; 16]| !bool::from(md5.as_slice().ct_eq(Md5::digest(&document).as_slice()));
    if md5.is_some_and(differs) {
        return Err(face(&Error::BadDigest("Content-MD5")));
    }
    Ok(document)
}

fn not_whole(error: NotWhole, too_large: impl FnOnce() -> Face) -> Face {
    match error {
        NotWhole::Failed(error) => body_face(&error),
        NotWhole::TooLarge => too_large(),
    }
}
