//! The key service's share of the clients' port: reads the small body, establishes the caller, calls the API. There are two
//! APIs over one keystore, AWS's and Alibaba Cloud's; a request says by its target, or by its action, which of them it means.

use bytes::Bytes;
use http::request::Parts;
use http::{HeaderValue, Response, StatusCode, header};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Incoming;

use super::kms::aliyun::{self, AliyunApi, Answered};
use super::kms::{KmsApi, KmsReply, MAX_BODY, is_target};
use crate::identity::{Caller, ParameterError, Parameters, Verifier, sha256};
use crate::listener::{RequestId, ResponseBody};

/// The key service behind its signature check.
#[derive(Debug)]
pub struct KmsFront {
    verifier: Verifier,
    api: KmsApi,
    aliyun: AliyunApi,
}

impl KmsFront {
    /// A front over a verifier and the APIs.
    #[must_use]
    pub fn new(verifier: Verifier, api: KmsApi, aliyun: AliyunApi) -> Self {
        Self { verifier, api, aliyun }
    }

    /// Whether a request is for the key service: a POST to `/` with AWS's target, or a call of Alibaba Cloud's style.
    #[must_use]
    pub fn is_addressed(parts: &Parts) -> bool {
        let aws = parts.method == http::Method::POST && parts.uri.path() == "/" && target(parts).is_some_and(is_target);
        aws || aliyun::is_addressed(parts)
    }

    /// Answers a request. Key material is not answered over plain HTTP to other machines, whatever the signature.
    pub async fn answer(&self, parts: &Parts, body: Incoming, secure: bool) -> Response<ResponseBody> {
        let id = parts.extensions.get::<RequestId>().map(RequestId::to_string).unwrap_or_default();
        if target(parts).is_none_or(|target| !is_target(target)) {
            let answered = match self.admit_aliyun(parts, body, secure, &id).await {
                Ok(call) => self.aliyun.call(&call.by, &call.action, &call.version, &call.parameters, &id).await,
                Err(refusal) => refusal,
            };
            return respond(answered.status, &answered.json, "application/json", ("x-acs-request-id", &id));
        }
        let reply = match self.admit(parts, body, secure).await {
            Ok((principal, body)) => self.api.call(&principal, target(parts).unwrap_or_default(), &body).await,
            Err(refusal) => refusal,
        };
        respond(reply.status, &reply.json, "application/x-amz-json-1.1", ("x-amzn-requestid", &id))
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
        let body = read(body).await.ok_or_else(|| refuse("SerializationException", "the body is cut, or too long"))?;
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

    async fn admit_aliyun(
        &self,
        parts: &Parts,
        body: Incoming,
        secure: bool,
        id: &str,
    ) -> Result<AliyunCall, Answered> {
        let refuse = |status, code, message: &str| AliyunApi::refused(status, code, message, id);
        if !secure {
            return Err(refuse(403, "Forbidden.NoPermission", "the key service answers over TLS only"));
        }
        let body = read(body).await;
        let body = body.ok_or_else(|| refuse(400, "InvalidParameter", "the body is cut, or too long"))?;
        let malformed = |error: ParameterError| refuse(400, "ParseRequestParameterException", &error.to_string());
        let parameters =
            Parameters::read(parts.uri.query().unwrap_or_default(), form(parts, &body)).map_err(malformed)?;
        let caller = self.verifier.identify_aliyun(parts, &parameters, &body).map_err(|error| {
            tracing::debug!(%error, "refused by the key service");
            AliyunApi::unverified(&error, id)
        })?;
        let Caller::User(user) = caller else {
            return Err(refuse(400, "MissingParameter", "The parameter \"AccessKeyId\" is needed but not provided."));
        };
        // Each scheme covers one of the places where the action can stand, and that one counts.
        let in_header = user.scheme() == crate::identity::Scheme::AliyunAcs3;
        let said = |name: &str, header: &str| {
            let value = if in_header {
                parts.headers.get(header).and_then(|value| value.to_str().ok())
            } else {
                parameters.get(name)
            };
            value.unwrap_or_default().to_owned()
        };
        let (action, version) = (said("Action", "x-acs-action"), said("Version", "x-acs-version"));
        Ok(AliyunCall { by: user.principal(), action, version, parameters })
    }
}

/// A call of Alibaba Cloud's style whose caller is established.
struct AliyunCall {
    by: crate::kms::Principal,
    action: String,
    version: String,
    parameters: Parameters,
}

fn target(parts: &Parts) -> Option<&str> {
    parts.headers.get("x-amz-target").and_then(|target| target.to_str().ok())
}

/// The body, unless it is cut or too long.
async fn read(body: Incoming) -> Option<Bytes> {
    Limited::new(body, MAX_BODY).collect().await.ok().map(http_body_util::Collected::to_bytes)
}

/// The body's text where it is a form, which is of parameters as the query is.
fn form<'a>(parts: &Parts, body: &'a Bytes) -> &'a str {
    let kind = parts.headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default().trim();
    let text = if kind.eq_ignore_ascii_case("application/x-www-form-urlencoded") { body.as_ref() } else { &[] };
    std::str::from_utf8(text).unwrap_or_default()
}

fn respond(status: u16, json: &[u8], kind: &'static str, (name, id): (&'static str, &str)) -> Response<ResponseBody> {
    let body = Full::from(Bytes::copy_from_slice(json));
    let mut response = Response::new(body.map_err(|never| match never {}).boxed_unsync());
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    if let Ok(id) = HeaderValue::from_str(id) {
        headers.insert(name, id);
    }
    response
}
