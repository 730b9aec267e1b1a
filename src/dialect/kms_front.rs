//! The key service's share of the clients' port: reads the small body, establishes the caller, calls the API.

use bytes::Bytes;
use http::request::Parts;
use http::{HeaderValue, Response, StatusCode, header};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Incoming;

use super::kms::{KmsApi, KmsReply, MAX_BODY, is_target};
use crate::identity::{Caller, Verifier, sha256};
use crate::listener::{RequestId, ResponseBody};

/// The key service behind its signature check.
#[derive(Debug)]
pub struct KmsFront {
    verifier: Verifier,
    api: KmsApi,
}

impl KmsFront {
    /// A front over a verifier and the API.
    #[must_use]
    pub fn new(verifier: Verifier, api: KmsApi) -> Self {
        Self { verifier, api }
    }

    /// Whether a request is for the key service: a POST to `/` with its target.
    #[must_use]
    pub fn is_addressed(parts: &Parts) -> bool {
        let target = parts.headers.get("x-amz-target").and_then(|target| target.to_str().ok());
        parts.method == http::Method::POST && parts.uri.path() == "/" && target.is_some_and(is_target)
    }

    /// Answers a request. Key material is not answered over plain HTTP to other machines, whatever the signature.
    pub async fn answer(&self, parts: &Parts, body: Incoming, secure: bool) -> Response<ResponseBody> {
        let reply = match self.admit(parts, body, secure).await {
            Ok((principal, body)) => {
                let target = parts.headers.get("x-amz-target").and_then(|target| target.to_str().ok());
                self.api.call(&principal, target.unwrap_or_default(), &body).await
            }
            Err(refusal) => refusal,
        };
        respond(reply, parts)
    }

    async fn admit(
        &self,
        parts: &Parts,
        body: Incoming,
        secure: bool,
    ) -> Result<(crate::kms::Principal, Bytes), KmsReply> {
        let refuse = KmsApi::unauthenticated;
        if !secure {
            return Err(refuse("AccessDeniedException", "the key service answers over TLS only"));
        }
        let body = Limited::new(body, MAX_BODY).collect().await;
        let body = body.map_err(|_| refuse("SerializationException", "the body is cut, or too long"))?.to_bytes();
        let caller = self.verifier.identify_kms(parts, &sha256(&body)).map_err(|error| {
            tracing::debug!(%error, "refused by the key service");
            KmsApi::unverified(&error)
        })?;
        match caller {
            Caller::User(user) => Ok((user.principal(), body)),
            Caller::Anonymous => {
                Err(refuse("MissingAuthenticationTokenException", "The request is missing an authentication token."))
            }
        }
    }
}

fn respond(reply: KmsReply, parts: &Parts) -> Response<ResponseBody> {
    let body = Full::from(Bytes::copy_from_slice(&reply.json));
    let mut response = Response::new(body.map_err(|never| match never {}).boxed_unsync());
    *response.status_mut() = StatusCode::from_u16(reply.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/x-amz-json-1.1"));
    let id = parts.extensions.get::<RequestId>().and_then(|id| HeaderValue::from_str(id.as_str()).ok());
    if let Some(id) = id {
        headers.insert("x-amzn-requestid", id);
    }
    response
}
