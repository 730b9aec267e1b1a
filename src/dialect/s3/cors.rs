//! CORS: the configuration, and S3's face of what [`crate::dialect::cors`] decides.

use std::sync::Arc;

use http::request::Parts;
use http::{Response, StatusCode, header};
use s3s::dto;
use s3s::{S3Response, S3Result};

pub(super) use crate::dialect::cors::Page;
use crate::dialect::cors::{self, Refusal};
use crate::gateway::{CorsRule, Gateway};

use super::adapter::{Adapter, EXPECTED_OWNER, Serve, bucket};
use super::context::Call;
use super::error::{Face, failed};
use crate::dialect::host::BaseDomains;

/// The page that a request comes from; `None` when the request names no bucket.
pub(super) fn page_of(parts: &Parts, domains: &BaseDomains) -> Option<Page> {
    let host = parts.headers.get(header::HOST).and_then(|value| value.to_str().ok());
    let host = host.or_else(|| parts.uri.authority().map(http::uri::Authority::as_str));
    let name = match host.and_then(|host| domains.bucket(host)) {
        Some(name) => name,
        None => {
            let path = percent_encoding::percent_decode_str(parts.uri.path().trim_start_matches('/'));
            path.decode_utf8().ok()?.split('/').next()?.to_owned()
        }
    };
    Some(Page::new(parts, name.parse().ok()?))
}

/// Answers a preflight: OPTIONS, which browsers send without a signature. It reads nothing but the bucket's rules.
pub(super) async fn preflight(gateway: &Gateway, parts: &Parts, domains: &BaseDomains) -> Result<Response<()>, Face> {
    let refused = |why: &'static str| Face::new(StatusCode::FORBIDDEN, "AccessForbidden", why);
    let allowed = cors::preflight(gateway, &parts.headers, page_of(parts, domains).as_ref()).await;
    let headers = allowed.map_err(|refusal| match refusal {
        Refusal::OriginMissing => Face::bad("BadRequest", "Insufficient information. Origin request header needed."),
        Refusal::MethodMissing => Face::bad("BadRequest", "Invalid Access-Control-Request-Method: null"),
        Refusal::NotEnabled => refused("CORSResponse: CORS is not enabled for this bucket."),
        Refusal::NotAllowed => refused(
            "CORSResponse: This CORS request is not allowed. This is usually because the evalution of Origin, request \
             method / Access-Control-Request-Method or Access-Control-Request-Headers are not whitelisted by the \
             resource's CORS spec.",
        ),
    })?;
    let mut response = Response::new(());
    *response.headers_mut() = headers;
    Ok(response)
}

fn parse(rule: dto::CORSRule) -> CorsRule {
    CorsRule {
        id: rule.id,
        origins: rule.allowed_origins,
        methods: rule.allowed_methods,
        headers: rule.allowed_headers.unwrap_or_default(),
        expose: rule.expose_headers.unwrap_or_default(),
        max_age: rule.max_age_seconds,
    }
}

fn write(rule: CorsRule) -> dto::CORSRule {
    let some = |list: Vec<String>| (!list.is_empty()).then_some(list);
    dto::CORSRule {
        allowed_headers: some(rule.headers),
        allowed_methods: rule.methods,
        allowed_origins: rule.origins,
        expose_headers: some(rule.expose),
        id: rule.id,
        max_age_seconds: rule.max_age,
    }
}

impl Serve<dto::GetBucketCorsInput> for Adapter {
    type Output = dto::GetBucketCorsOutput;

    async fn on(&self, call: Arc<Call>, input: dto::GetBucketCorsInput) -> S3Result<S3Response<Self::Output>> {
        let name = bucket(&input.bucket)?;
        self.check_owner(&call, &name, EXPECTED_OWNER).await?;
        let rules = self.gateway.bucket_cors(call.caller(), &name).await.map_err(failed)?;
        let cors_rules = Some(rules.into_iter().map(write).collect());
        Ok(S3Response::new(dto::GetBucketCorsOutput { cors_rules }))
    }
}

impl Serve<dto::PutBucketCorsInput> for Adapter {
    type Output = dto::PutBucketCorsOutput;

    async fn on(&self, call: Arc<Call>, input: dto::PutBucketCorsInput) -> S3Result<S3Response<Self::Output>> {
        let name = bucket(&input.bucket)?;
        let rules = input.cors_configuration.cors_rules.into_iter().map(parse).collect();
        self.check_owner(&call, &name, EXPECTED_OWNER).await?;
        self.gateway.put_bucket_cors(call.caller(), &name, Some(rules)).await.map_err(failed)?;
        Ok(S3Response::new(dto::PutBucketCorsOutput {}))
    }
}

impl Serve<dto::DeleteBucketCorsInput> for Adapter {
    type Output = dto::DeleteBucketCorsOutput;

    async fn on(&self, call: Arc<Call>, input: dto::DeleteBucketCorsInput) -> S3Result<S3Response<Self::Output>> {
        let name = bucket(&input.bucket)?;
        self.check_owner(&call, &name, EXPECTED_OWNER).await?;
        self.gateway.put_bucket_cors(call.caller(), &name, None).await.map_err(failed)?;
        Ok(S3Response::new(dto::DeleteBucketCorsOutput {}))
    }
}
