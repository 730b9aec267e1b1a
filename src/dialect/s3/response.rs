//! What `s3s` leaves to be done on an answer: ids, error documents, HEAD and 304 without body, characters that XML
//! does not allow in plain.

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Response, StatusCode, header};
use quick_xml::escape::escape;

use crate::dialect::xml::well_formed;

use super::blocked::{self, CustomerBlocked};

const REQUEST_ID: HeaderName = HeaderName::from_static("x-amz-request-id");
const HOST_ID: HeaderName = HeaderName::from_static("x-amz-id-2");

/// What of the request an answer depends on.
#[derive(Debug)]
pub(super) struct About {
    pub(super) method: Method,
    /// The raw path, as error documents show it.
    pub(super) path: String,
    pub(super) request_id: String,
    /// Whether the request's body was not read to its end, so that the connection cannot be used again.
    pub(super) unread: bool,
}

/// Finishes an answer.
pub(super) fn finish(mut response: Response<s3s::Body>, about: &About) -> Response<s3s::Body> {
    let bodiless = about.method == Method::HEAD || response.status() == StatusCode::NOT_MODIFIED;
    if bodiless {
        *response.body_mut() = s3s::Body::empty();
        if response.status() != StatusCode::OK {
            response.headers_mut().remove(header::CONTENT_LENGTH);
            response.headers_mut().remove(header::CONTENT_TYPE);
        } else if response.headers().contains_key(header::CONTENT_RANGE) {
            // s3s answers 200 to a HEAD with a range.
            *response.status_mut() = StatusCode::PARTIAL_CONTENT;
        }
    } else if is_xml(response.headers())
        && let Some(document) = response.body().bytes()
    {
        let failed = !response.status().is_success();
        let document = match response.extensions().get::<CustomerBlocked>() {
            _ if failed => with_ids(&document, about),
            Some(CustomerBlocked) => blocked::describe(&document),
            None => bare_etag(document),
        };
        *response.body_mut() = s3s::Body::from(well_formed(document));
    }
    let headers = response.headers_mut();
    headers.insert(header::SERVER, HeaderValue::from_static("sealgate"));
    if let Ok(id) = HeaderValue::try_from(about.request_id.as_str()) {
        headers.insert(HOST_ID, id.clone());
        headers.insert(REQUEST_ID, id);
    }
    if about.unread {
        headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    response
}

fn is_xml(headers: &HeaderMap) -> bool {
    // Only documents that s3s wrote, not objects that are XML: those carry an ETag.
    headers.get(header::CONTENT_TYPE).is_some_and(|value| value == "application/xml")
        && !headers.contains_key(header::ETAG)
}

/// Adds what `s3s` leaves out of an error document: the resource and the ids.
fn with_ids(document: &Bytes, about: &About) -> Bytes {
    const END: &[u8] = b"</Error>";
    let Some(head) = document.strip_suffix(END) else { return document.clone() };
    let tail = format!(
        "<Resource>{}</Resource><RequestId>{id}</RequestId><HostId>{id}</HostId></Error>",
        escape(about.path.as_str()),
        id = escape(about.request_id.as_str()),
    );
    [head, tail.as_bytes()].concat().into()
}

/// GetObjectAttributes shows the ETag without quotes, unlike everything else; `s3s` writes all of them alike.
fn bare_etag(document: Bytes) -> Bytes {
    const ROOT: &[u8] = b"<GetObjectAttributesResponse";
    let start = document.get(..200.min(document.len())).unwrap_or_default();
    if !start.windows(ROOT.len()).any(|window| window == ROOT) {
        return document;
    }
    match std::str::from_utf8(&document) {
        Ok(text) => text.replacen("<ETag>\"", "<ETag>", 1).replacen("\"</ETag>", "</ETag>", 1).into(),
        Err(_) => document,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dialect::s3::error::Face;
    use http_body_util::BodyExt as _;
    use s3s::S3Error;

    fn about(method: Method) -> About {
        About { method, path: "/b/<k>".into(), request_id: "R1".into(), unread: false }
    }

    fn refusal(face: Face) -> Response<s3s::Body> {
        S3Error::from(face).to_http_response().unwrap()
    }

    #[tokio::test]
    async fn an_error_document_names_the_request_and_the_resource() {
        let response = finish(refusal(Face::invalid_argument("a < b")), &about(Method::GET));
        assert_eq!(response.headers()[REQUEST_ID], "R1");
        assert_eq!(response.headers()[header::SERVER], "sealgate");
        let body = response.into_body().collect().await.unwrap().to_bytes();
        assert_eq!(
            body,
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?><Error><Code>InvalidArgument</Code><Message>a &lt; b</Message>\
             <Resource>/b/&lt;k&gt;</Resource><RequestId>R1</RequestId><HostId>R1</HostId></Error>"
        );
    }

    #[tokio::test]
    async fn errors_of_head_have_no_body_and_304_keeps_its_validators() {
        let response = finish(refusal(Face::malformed_xml()), &about(Method::HEAD));
        assert_eq!(response.status(), 400);
        assert!(response.into_body().collect().await.unwrap().to_bytes().is_empty());

        let error = crate::gateway::Error::NotModified { etag: "e".into(), modified: crate::types::Timestamp(0) };
        let response = finish(refusal(super::super::error::face(&error)), &about(Method::GET));
        assert_eq!(
            (response.status().as_u16(), &response.headers()[header::ETAG]),
            (304, &HeaderValue::from_static("\"e\""))
        );
        assert_eq!(response.headers()[header::LAST_MODIFIED], "Thu, 01 Jan 1970 00:00:00 GMT");
        assert!(!response.headers().contains_key(header::CONTENT_TYPE));
        assert!(response.into_body().collect().await.unwrap().to_bytes().is_empty());
    }

    #[test]
    fn a_head_with_a_range_is_partial_and_an_unread_body_closes() {
        let mut response = Response::new(s3s::Body::empty());
        response.headers_mut().insert(header::CONTENT_RANGE, HeaderValue::from_static("bytes 0-0/5"));
        response.headers_mut().insert(header::CONTENT_LENGTH, HeaderValue::from_static("1"));
        let response = finish(response, &About { unread: true, ..about(Method::HEAD) });
        assert_eq!(response.status(), 206);
        assert_eq!(response.headers()[header::CONTENT_LENGTH], "1");
        assert_eq!(response.headers()[header::CONNECTION], "close");
    }
}
