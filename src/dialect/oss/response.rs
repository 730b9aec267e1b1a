//! The wire form of an answer: ids and times on every one, documents, errors, HEAD without a body.

use std::time::Instant;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Response, StatusCode, header};
use http_body_util::{BodyExt as _, Full};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;

use crate::dialect::out::sized;
use crate::gateway::PlainOut;
use crate::listener::ResponseBody;

use super::face::Face;

const REQUEST_ID: HeaderName = HeaderName::from_static("x-oss-request-id");
const SERVER_TIME: HeaderName = HeaderName::from_static("x-oss-server-time");
/// The error document of a HEAD, in base64: without it a 404 has no name.
const ERROR: HeaderName = HeaderName::from_static("x-oss-err");

/// What an operation answers.
pub(super) struct Reply {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    content: Content,
}

enum Content {
    Empty,
    Document(&'static str, Bytes),
    Object(PlainOut, u64),
}

impl Reply {
    /// 200 without a body.
    pub(super) fn empty() -> Self {
        Self { status: StatusCode::OK, headers: HeaderMap::new(), content: Content::Empty }
    }

    /// 204, which every DELETE answers.
    pub(super) fn no_content() -> Self {
        Self { status: StatusCode::NO_CONTENT, ..Self::empty() }
    }

    /// 200 with an XML document.
    pub(super) fn xml(document: Bytes) -> Self {
        Self { content: Content::Document("application/xml", document), ..Self::empty() }
    }

    /// 200 with a JSON document.
    pub(super) fn json(document: Vec<u8>) -> Self {
        Self { content: Content::Document("application/json", document.into()), ..Self::empty() }
    }

    /// An object's plaintext, `len` bytes of it.
    pub(super) fn object(status: StatusCode, headers: HeaderMap, body: PlainOut, len: u64) -> Self {
        Self { status, headers, content: Content::Object(body, len) }
    }

    /// The same with these headers too.
    pub(super) fn with(mut self, headers: HeaderMap) -> Self {
        self.headers.extend(headers);
        self
    }

    /// The same with another status.
    pub(super) fn status(self, status: StatusCode) -> Self {
        Self { status, ..self }
    }
}

/// What of the request an answer depends on.
pub(super) struct About {
    head: bool,
    request_id: String,
    host: String,
    began: Instant,
    /// Whether the request's body was not read to its end, so that the connection cannot be used again.
    pub(super) unread: bool,
}

impl About {
    /// About a request that came just now. `id` is the listener's; OSS's have 24 digits.
    pub(super) fn new(method: &Method, id: &str, host: String, unread: bool) -> Self {
        Self { head: method == Method::HEAD, request_id: format!("{id:0>24}"), host, began: Instant::now(), unread }
    }
}

/// Writes an answer.
pub(super) fn finish(outcome: Result<Reply, Face>, about: &About) -> Response<ResponseBody> {
    let reply = match outcome {
        Ok(reply) => reply,
        Err(face) => refusal(face, about),
    };
    let Reply { status, mut headers, content } = reply;
    let body = match content {
        Content::Object(..) | Content::Document(..) if about.head => empty(),
        Content::Empty => empty(),
        Content::Document(kind, document) => {
            headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
            whole(document)
        }
        Content::Object(body, len) => sized(body, len).map_err(Into::into).boxed_unsync(),
    };
    let mut response = Response::new(body);
    *response.status_mut() = status;
    headers.insert(header::SERVER, HeaderValue::from_static("AliyunOSS"));
    if let Ok(id) = HeaderValue::try_from(about.request_id.as_str()) {
        headers.insert(REQUEST_ID, id);
    }
    let took = u64::try_from(about.began.elapsed().as_millis()).unwrap_or(u64::MAX);
    headers.insert(SERVER_TIME, HeaderValue::from(took));
    if about.unread {
        headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    *response.headers_mut() = headers;
    response
}

fn refusal(face: Face, about: &About) -> Reply {
    let mut headers = HeaderMap::new();
    if face.status != StatusCode::NOT_MODIFIED {
        let document = face.to_xml(&about.request_id, &about.host);
        if about.head {
            headers.extend(HeaderValue::try_from(BASE64.encode(&document)).ok().map(|value| (ERROR, value)));
        } else {
            headers.extend(face.headers);
            return Reply::xml(document).status(face.status).with(headers);
        }
    }
    headers.extend(face.headers);
    Reply::empty().status(face.status).with(headers)
}

fn whole(bytes: Bytes) -> ResponseBody {
    Full::new(bytes).map_err(|never| match never {}).boxed_unsync()
}

/// A body of text.
pub(super) fn text(text: String) -> ResponseBody {
    whole(text.into())
}

fn empty() -> ResponseBody {
    whole(Bytes::new())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dialect::oss::xml;

    fn about(method: Method) -> About {
        About::new(&method, "0123456789ABCDEF", "b.oss.test".into(), false)
    }

    async fn body(response: Response<ResponseBody>) -> Bytes {
        response.into_body().collect().await.unwrap().to_bytes()
    }

    #[tokio::test]
    async fn every_answer_has_an_id_of_24_digits_and_a_server_time() {
        let response = finish(Ok(Reply::no_content()), &about(Method::DELETE));
        assert_eq!(response.status(), 204);
        assert_eq!(response.headers()[REQUEST_ID], "000000000123456789ABCDEF");
        assert!(response.headers()[SERVER_TIME].to_str().unwrap().parse::<u64>().is_ok());
        assert_eq!(response.headers()[header::SERVER], "AliyunOSS");
        assert!(!response.headers().contains_key(header::CONNECTION));
        assert!(body(response).await.is_empty());
    }

    #[tokio::test]
    async fn the_error_of_a_head_is_in_a_header() {
        let face = || Face::missing("NoSuchKey", "The specified key does not exist.");
        let response = finish(Err(face()), &about(Method::HEAD));
        let document = BASE64.decode(response.headers()[ERROR].as_bytes()).unwrap();
        let root = xml::parse(&document, "Error").unwrap();
        assert_eq!(
            (root.value("Code"), root.value("HostId"), root.value("RequestId")),
            (Some("NoSuchKey"), Some("b.oss.test"), Some("000000000123456789ABCDEF"))
        );
        assert!(body(response).await.is_empty());

        let response = finish(Err(face()), &about(Method::GET));
        assert_eq!(
            (response.status().as_u16(), response.headers()[header::CONTENT_TYPE].as_bytes()),
            (404, &b"application/xml"[..])
        );
        assert!(!response.headers().contains_key(ERROR));
        assert_eq!(body(response).await, document);
    }

    #[tokio::test]
    async fn a_304_has_its_validators_and_no_body() {
        let face = Face::new(StatusCode::NOT_MODIFIED, "NotModified", "x").header(header::ETAG, "\"E\"");
        let response = finish(Err(face), &about(Method::GET));
        assert_eq!(
            (response.status().as_u16(), &response.headers()[header::ETAG]),
            (304, &HeaderValue::from_static("\"E\""))
        );
        assert!(!response.headers().contains_key(header::CONTENT_TYPE));
        assert!(body(response).await.is_empty());
    }

    #[test]
    fn an_unread_body_closes_the_connection() {
        let response = finish(Ok(Reply::empty()), &About { unread: true, ..about(Method::PUT) });
        assert_eq!(response.headers()[header::CONNECTION], "close");
    }
}
