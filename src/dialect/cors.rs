//! CORS as both dialects answer it: a browser's preflight, and the headers of answers to pages.
//! <https://docs.aws.amazon.com/AmazonS3/latest/userguide/cors.html>

use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, header};

use crate::gateway::{CorsRule, Gateway};
use crate::types::BucketName;

const VARY: &str = "Origin, Access-Control-Request-Headers, Access-Control-Request-Method";

/// Where a browser's request goes, and from which page.
#[derive(Debug)]
pub(super) struct Page {
    bucket: BucketName,
    origin: Option<String>,
    method: String,
}

impl Page {
    /// The page that a request to this bucket comes from.
    pub(super) fn new(parts: &Parts, bucket: BucketName) -> Self {
        let origin = parts.headers.get(header::ORIGIN).and_then(|value| value.to_str().ok());
        Self { bucket, origin: origin.map(str::to_owned), method: parts.method.as_str().to_owned() }
    }

    /// The bucket.
    pub(super) fn bucket(&self) -> &BucketName {
        &self.bucket
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

/// Why a preflight is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refusal {
    /// There is no `Origin`.
    OriginMissing,
    /// There is no `Access-Control-Request-Method`.
    MethodMissing,
    /// The bucket has no rules, or is not there.
    NotEnabled,
    /// No rule allows it.
    NotAllowed,
}

/// What a preflight is answered with. It reads nothing but the bucket's rules.
pub(super) async fn preflight(gateway: &Gateway, asked: &HeaderMap, page: Option<&Page>) -> Result<HeaderMap, Refusal> {
    let text = |name: HeaderName| asked.get(name).and_then(|value| value.to_str().ok());
    let origin = text(header::ORIGIN).ok_or(Refusal::OriginMissing)?;
    let method = text(header::ACCESS_CONTROL_REQUEST_METHOD).ok_or(Refusal::MethodMissing)?;
    let page = page.ok_or(Refusal::NotEnabled)?;
    let rules = gateway.cors_rules(&page.bucket).await;
    if rules.is_empty() {
        return Err(Refusal::NotEnabled);
    }
    let headers = text(header::ACCESS_CONTROL_REQUEST_HEADERS).unwrap_or_default();
    let names = || headers.split(',').map(str::trim).filter(|name| !name.is_empty());
    let rule = rules.iter().find(|rule| rule.allows(origin, method) && rule.allows_headers(names()));
    let rule = rule.ok_or(Refusal::NotAllowed)?;
    let mut out = HeaderMap::new();
    allow(rule, origin, &mut out);
    if names().next().is_some() {
        let names = names().collect::<Vec<_>>().join(", ").to_ascii_lowercase();
        set(header::ACCESS_CONTROL_ALLOW_HEADERS, &names, &mut out);
    }
    out.insert(header::VARY, HeaderValue::from_static(VARY));
    Ok(out)
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
