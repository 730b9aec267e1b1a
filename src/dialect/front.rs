//! The clients' port: admits a request at the edge and hands it to its dialect.

use http::{HeaderValue, Request, Response, header};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;

use crate::audit::{self, Origin};
use crate::config::IpBlock;
use crate::dialect::kms_front::KmsFront;
use crate::dialect::oss::{Connection, OssDialect, is_posted_form};
use crate::dialect::query::query_pairs;
use crate::dialect::s3::edge::Edge;
use crate::dialect::s3::{RequestContext, S3Dialect};
use crate::identity::Transport;
use crate::listener::{ConnInfo, Handler, RequestId, ResponseBody};

/// Whom a request that claims to have come over TLS is believed, and whether plain HTTP may carry keys at all.
#[derive(Debug, Clone, Default)]
pub struct Trust {
    /// Proxies whose `X-Forwarded-Proto` is believed.
    pub proxies: Vec<IpBlock>,
    /// Serve SSE-KMS and SSE-C over plain HTTP to anyone.
    pub insecure_sse: bool,
}

/// Answers clients.
pub struct Front {
    edge: Edge,
    s3: S3Dialect,
    oss: OssDialect,
    kms: KmsFront,
    trust: Trust,
}

impl Front {
    /// A front over an edge and the dialects behind it.
    #[must_use]
    pub fn new(edge: Edge, s3: S3Dialect, oss: OssDialect, kms: KmsFront, trust: Trust) -> Self {
        Self { edge, s3, oss, kms, trust }
    }

    /// Whether the client speaks TLS, to us or to a proxy that is believed.
    fn tls(&self, connection: ConnInfo, request: &http::request::Parts) -> bool {
        let ip = connection.peer.ip().to_canonical();
        let forwarded = request.headers.get("x-forwarded-proto").is_some_and(|proto| proto.as_bytes() == b"https");
        connection.tls || (forwarded && self.trust.proxies.iter().any(|block| block.contains(ip)))
    }

    /// Whether a request is of OSS. A signature of S3's makes it S3's, whatever else is in it.
    fn is_oss(&self, request: &http::request::Parts) -> bool {
        !is_s3_signed(request) && self.oss.is_addressed(request)
    }

    /// Whether what the request carries could be read on its way: keys and plaintext under a CMK may not.
    fn secure(&self, connection: ConnInfo, tls: bool) -> bool {
        tls || connection.peer.ip().to_canonical().is_loopback() || self.trust.insecure_sse
    }
}

impl Handler for Front {
    async fn handle(&self, request: Request<Incoming>) -> Response<ResponseBody> {
        let (parts, body) = request.into_parts();
        let request_id = parts.extensions.get::<RequestId>().map(RequestId::to_string).unwrap_or_default();
        let Some(connection) = parts.extensions.get::<ConnInfo>().copied() else {
            return refusal(&parts.method, http::StatusCode::INTERNAL_SERVER_ERROR, String::new(), &request_id);
        };
        let origin = Origin { request_id: request_id.clone(), peer: connection.peer.ip().to_canonical() };
        // On the heap: hyper keeps room for this future in every connection, also in one that is idle.
        audit::during(origin, Box::pin(self.answer(parts, body, connection, request_id))).await
    }
}

impl Front {
    async fn answer(
        &self,
        parts: http::request::Parts,
        body: Incoming,
        connection: ConnInfo,
        request_id: String,
    ) -> Response<ResponseBody> {
        let tls = self.tls(connection, &parts);
        let secure = self.secure(connection, tls);
        if KmsFront::is_addressed(&parts) {
            return self.kms.answer(&parts, body, secure).await;
        }
        let came =
            Connection { peer: connection.peer.ip().to_canonical(), tls, secure, request_id: request_id.clone() };
        if self.is_oss(&parts) {
            return match parts.method {
                http::Method::OPTIONS => self.oss.preflight(&parts, &came).await,
                _ => self.oss.handle(parts, body, came).await,
            };
        }
        if parts.method == http::Method::OPTIONS {
            return self.s3.preflight(&parts, request_id).await.map(|body| body.boxed_unsync());
        }
        let (method, path) = (parts.method.clone(), parts.uri.path().to_owned());
        let transport = Transport { peer: connection.peer, tls: connection.tls };
        // Only the fields of a form say of which dialect it is: they are read first.
        let admitted = if self.edge.is_posted(&parts) {
            match self.edge.read_form(&parts, body).await {
                Ok(posted) if is_posted_form(&posted.fields) => return self.oss.post(parts, posted, came).await,
                Ok(posted) => self.edge.admit_posted(parts, posted, transport),
                Err(error) => Err(error),
            }
        } else {
            self.edge.admit(parts, body, transport).await
        };
        let admitted = match admitted {
            Ok(admitted) => admitted,
            Err(error) => {
                tracing::debug!(request_id, %error, "refused at the edge");
                let face = error.face();
                return refusal(&method, face.status, face.to_xml(&path, &request_id), &request_id);
            }
        };
        let sigv4 = admitted.caller.is_sigv4();
        let context = RequestContext {
            caller: admitted.caller,
            peer: connection.peer.ip().to_canonical(),
            tls,
            secure,
            sigv4,
            request_id,
            trailers: admitted.trailers,
            trailing_checksum: admitted.trailing_checksum,
        };
        let response = self.s3.handle(admitted.parts, admitted.body, context).await;
        match admitted.form {
            Some(form) => form.answer(response, s3s::Body::from).map(|body| body.boxed_unsync()),
            None => response.map(|body| body.boxed_unsync()),
        }
    }
}

/// Whether a request carries a signature of S3's, or claims to.
fn is_s3_signed(request: &http::request::Parts) -> bool {
    let scheme = request.headers.get(header::AUTHORIZATION).map(HeaderValue::as_bytes).unwrap_or_default();
    let in_url =
        |name: &str| matches!(name, "AWSAccessKeyId" | "X-Amz-Algorithm" | "X-Amz-Credential" | "X-Amz-Signature");
    scheme.trim_ascii_start().starts_with(b"AWS")
        || query_pairs(request.uri.query().unwrap_or_default()).any(|(name, _)| in_url(&name))
}

/// An error answer of the edge. The connection closes with it: the request's body was not read.
fn refusal(method: &http::Method, status: http::StatusCode, xml: String, request_id: &str) -> Response<ResponseBody> {
    let body = if method == http::Method::HEAD { String::new() } else { xml };
    let mut response = Response::new(Full::from(body).map_err(|never| match never {}).boxed_unsync());
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/xml"));
    headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
    if let Ok(id) = HeaderValue::from_str(request_id) {
        headers.insert("x-amz-request-id", id);
    }
    response
}

impl std::fmt::Debug for Front {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Front").field("edge", &self.edge).field("trust", &self.trust).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn signed(uri: &str, authorization: Option<&str>) -> bool {
        let mut request = Request::builder().uri(uri);
        if let Some(text) = authorization {
            request = request.header(header::AUTHORIZATION, text);
        }
        is_s3_signed(&request.body(()).unwrap().into_parts().0)
    }

    #[test]
    fn a_signature_of_s3s_is_known_by_its_scheme_or_parameters() {
        for scheme in ["AWS4-HMAC-SHA256 Credential=x", "AWS AK:x"] {
            assert!(signed("/b/k?x-oss-process=x", Some(scheme)), "{scheme}");
        }
        for uri in ["/b/k?X-Amz-Signature=x", "/b/k?Expires=1&AWSAccessKeyId=x", "/b/k?%58-Amz-Credential=x"] {
            assert!(signed(uri, None), "{uri}");
        }
        for scheme in [None, Some("OSS AK:x"), Some("OSS4-HMAC-SHA256 Credential=x"), Some("Bearer AWS")] {
            assert!(!signed("/b/k?OSSAccessKeyId=x&Expires=1&Signature=y", scheme), "{scheme:?}");
        }
    }
}
