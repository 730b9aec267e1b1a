//! CORS: the configuration, the answer to a browser's preflight, and the headers of answers to pages.

use std::sync::Arc;

use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode, header};
use s3s::dto;
use s3s::{S3Response, S3Result};

use crate::gateway::{CorsRule, Gateway};
use crate::types::BucketName;

use super::adapter::{Adapter, EXPECTED_OWNER, Serve, bucket};
use super::context::Call;
use super::error::{Face, failed};
use super::host::BaseDomains;

const VARY: &str = "Origin, Access-Control-Request-Headers, Access-Control-Request-Method";

/// Where a browser's request goes, and from which page.
#[derive(Debug)]
pub(super) struct Page {
    bucket: BucketName,
    origin: Option<String>,
    method: String,
}

impl Page {
    /// Reads it from a request; `None` when the request names no bucket.
    pub(super) fn of(parts: &Parts, domains: &BaseDomains) -> Option<Self> {
        let host = parts.headers.get(header::HOST).and_then(|value| value.to_str().ok());
        let host = host.or_else(|| parts.uri.authority().map(http::uri::Authority::as_str));
        let name = match host.and_then(|host| domains.bucket(host)) {
            Some(name) => name,
            None => {
                let path = percent_encoding::percent_decode_str(parts.uri.path().trim_start_matches('/'));
                path.decode_utf8().ok()?.split('/').next()?.to_owned()
            }
        };
        let text = |name: HeaderName| Some(parts.headers.get(name)?.to_str().ok()?.to_owned());
        let method = parts.method.as_str().to_owned();
        Some(Self { bucket: name.parse().ok()?, origin: text(header::ORIGIN), method })
    }

    /// Adds what a browser must see before it shows the answer to the page.
    pub(super) async fn describe(&self, gateway: &Gateway, out: &mut HeaderMap) {
        let Some(origin) = &self.origin else { return };
        let rules = gateway.cors_rules(&self.bucket).await;
        if rules.is_empty() {
            return;
        }
        out.append(header::VARY, HeaderValue::from_static(VARY));
        if let Some(rule) = rules.iter().find(|rule| rule.allows(origin, &self.method)) {
            allow(rule, origin, out);
        }
    }
}

fn set(name: HeaderName, value: &str, out: &mut HeaderMap) {
    if let Ok(value) = HeaderValue::try_from(value) {
        out.insert(name, value);
    }
}

fn allow(rule: &CorsRule, origin: &str, out: &mut HeaderMap) {
    if rule.is_for_all() {
        set(header::ACCESS_CONTROL_ALLOW_ORIGIN, "*", out);
    } else {
        set(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin, out);
        set(header::ACCESS_CONTROL_ALLOW_CREDENTIALS, "true", out);
    }
    set(header::ACCESS_CONTROL_ALLOW_METHODS, &rule.methods.join(", "), out);
    if !rule.expose.is_empty() {
        set(header::ACCESS_CONTROL_EXPOSE_HEADERS, &rule.expose.join(", "), out);
    }
    if let Some(age) = rule.max_age {
        set(header::ACCESS_CONTROL_MAX_AGE, &age.to_string(), out);
    }
}

/// Answers a preflight: OPTIONS, which browsers send without a signature. It reads nothing but the bucket's rules.
pub(super) async fn preflight(gateway: &Gateway, parts: &Parts, domains: &BaseDomains) -> Result<Response<()>, Face> {
    let refused = |why: &'static str| Face::new(StatusCode::FORBIDDEN, "AccessForbidden", why);
    let text = |name: HeaderName| parts.headers.get(name).and_then(|value| value.to_str().ok());
    let origin = text(header::ORIGIN)
        .ok_or_else(|| Face::bad("BadRequest", "Insufficient information. Origin request header needed."))?;
    let method = text(header::ACCESS_CONTROL_REQUEST_METHOD)
        .ok_or_else(|| Face::bad("BadRequest", "Invalid Access-Control-Request-Method: null"))?;
    let page = Page::of(parts, domains).ok_or_else(|| refused("CORSResponse: CORS is not enabled for this bucket."))?;
    let rules = gateway.cors_rules(&page.bucket).await;
    if rules.is_empty() {
        return Err(refused("CORSResponse: CORS is not enabled for this bucket."));
    }
    let asked = text(header::ACCESS_CONTROL_REQUEST_HEADERS).unwrap_or_default();
    let names = || asked.split(',').map(str::trim).filter(|name| !name.is_empty());
    let rule = rules.iter().find(|rule| rule.allows(origin, method) && rule.allows_headers(names()));
    let rule = rule.ok_or_else(|| {
        refused(
            "CORSResponse: This CORS request is not allowed. This is usually because the evalution of Origin, request \
             method / Access-Control-Request-Method or Access-Control-Request-Headers are not whitelisted by the \
             resource's CORS spec.",
        )
    })?;
    let mut response = Response::new(());
    let out = response.headers_mut();
    allow(rule, origin, out);
    if names().next().is_some() {
        set(header::ACCESS_CONTROL_ALLOW_HEADERS, &names().collect::<Vec<_>>().join(", ").to_ascii_lowercase(), out);
    }
    out.insert(header::VARY, HeaderValue::from_static(VARY));
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
