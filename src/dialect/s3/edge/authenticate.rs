//! What becomes of the head once its signature is verified: everything of the signature and the framing goes, and
//! what a presigned URL carries in its query for want of headers becomes headers.

use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http::request::Parts;
use http::uri::PathAndQuery;

use crate::dialect::s3::BaseDomains;
use crate::identity::{AuthError, Caller, Pair, Scheme, is_auth_parameter, pairs};

use super::EdgeError;
use super::framing::Plan;

/// The bucket that the host names, as every room behind the edge will read it.
pub(super) fn bucket_in_host(parts: &Parts, domains: &BaseDomains) -> Option<String> {
    let named = parts.headers.get(header::HOST).and_then(|value| value.to_str().ok());
    domains.bucket(named.or(parts.uri.authority().map(http::uri::Authority::as_str))?.trim())
}

/// Takes everything out of the head that the edge has dealt with.
pub(super) fn strip(mut parts: Parts, caller: &Caller, plan: &Plan) -> Result<Parts, EdgeError> {
    if let Some(scheme) = caller.user().map(crate::identity::Authenticated::scheme) {
        match scheme {
            Scheme::SigV2Form | Scheme::SigV2Header | Scheme::SigV4Form | Scheme::SigV4Header => {}
            // None of these is verified at this edge.
            Scheme::AliyunAcs3
            | Scheme::AliyunRpc
            | Scheme::OssV1Form
            | Scheme::OssV1Header
            | Scheme::OssV1Url
            | Scheme::OssV2Header
            | Scheme::OssV4Form
            | Scheme::OssV4Header
            | Scheme::OssV4Url => {}
            Scheme::SigV2Url => strip_query(&mut parts, |pair| !is_auth_parameter(&pair.name))?,
            Scheme::SigV4Url => {
                lower_parameters(&mut parts)?;
                strip_query(&mut parts, |pair| !is_auth_parameter(&pair.name) && header_name(pair).is_none())?;
            }
        }
    }
    let headers = &mut parts.headers;
    for name in [
        "authorization",
        "x-amz-content-sha256",
        "x-amz-decoded-content-length",
        "x-amz-security-token",
        "x-amz-trailer",
    ] {
        headers.remove(name);
    }
    headers.remove(header::TRANSFER_ENCODING);
    headers.remove(header::TRAILER);
    headers.remove(header::CONTENT_LENGTH);
    if plan.has_body {
        headers.insert(header::CONTENT_LENGTH, HeaderValue::from(plan.len));
    }
    strip_aws_chunked(headers);
    join_user_metadata(headers);
    Ok(parts)
}

/// The header that a parameter of a presigned URL stands for. SDKs put `x-amz-*` headers into the query when they sign
/// a URL; S3 reads them there, and to ignore, say, an SSE header would store an object otherwise than was asked.
fn header_name(pair: &Pair<'_>) -> Option<HeaderName> {
    let lower = pair.name.to_ascii_lowercase();
    let is_auth = lower == b"x-amz-security-token"
        || [&b"x-amz-algorithm"[..], b"x-amz-content-sha256", b"x-amz-credential", b"x-amz-date", b"x-amz-expires"]
            .contains(&lower.as_slice())
        || [&b"x-amz-signature"[..], b"x-amz-signedheaders"].contains(&lower.as_slice());
    if is_auth || !lower.starts_with(b"x-amz-") { None } else { HeaderName::from_bytes(&lower).ok() }
}

fn lower_parameters(parts: &mut Parts) -> Result<(), AuthError> {
    let query = parts.uri.query().unwrap_or_default();
    for pair in pairs(query) {
        let Some(name) = header_name(&pair) else { continue };
        let contradicts = || AuthError::ParameterContradictsHeader(name.as_str().to_owned());
        let value = HeaderValue::from_bytes(&pair.value).map_err(|_| contradicts())?;
        match parts.headers.get(&name) {
            None => drop(parts.headers.insert(name, value)),
            Some(there) if *there == value => {}
            Some(_) => return Err(contradicts()),
        }
    }
    Ok(())
}

fn strip_query(parts: &mut Parts, keep: impl Fn(&Pair<'_>) -> bool) -> Result<(), EdgeError> {
    let kept: Vec<&str> = pairs(parts.uri.query().unwrap_or_default()).filter(|p| keep(p)).map(|p| p.raw).collect();
    let target = match kept.as_slice() {
        [] => parts.uri.path().to_owned(),
        kept => format!("{}?{}", parts.uri.path(), kept.join("&")),
    };
    let mut uri = std::mem::take(&mut parts.uri).into_parts();
    // A part of what was a valid target a moment ago is one; were it not, there would be no host to speak of.
    uri.path_and_query = Some(PathAndQuery::try_from(target).map_err(|_| AuthError::HostInvalid)?);
    parts.uri = http::Uri::from_parts(uri).map_err(|_| AuthError::HostInvalid)?;
    Ok(())
}

/// `aws-chunked` is the framing that the edge undoes; what else `Content-Encoding` names is the object's.
fn strip_aws_chunked(headers: &mut HeaderMap) {
    let lines: Vec<HeaderValue> = headers.get_all(header::CONTENT_ENCODING).iter().cloned().collect();
    let is_framing = |coding: &&str| coding.trim().eq_ignore_ascii_case("aws-chunked");
    if !lines.iter().any(|line| line.to_str().is_ok_and(|text| text.split(',').any(|c| is_framing(&c)))) {
        return;
    }
    headers.remove(header::CONTENT_ENCODING);
    let texts = lines.iter().filter_map(|line| line.to_str().ok());
    let kept: Vec<&str> = texts
        .flat_map(|text| text.split(','))
        .filter(|c| !is_framing(c))
        .map(str::trim)
        .filter(|c| !c.is_empty())
        .collect();
    if let Ok(value) = HeaderValue::from_str(&kept.join(","))
        && !kept.is_empty()
    {
        headers.insert(header::CONTENT_ENCODING, value);
    }
}

/// Several lines of one user metadata header are one value, as they were signed.
fn join_user_metadata(headers: &mut HeaderMap) {
    let split = |name: &&HeaderName| headers.get_all(*name).iter().nth(1).is_some();
    let names: Vec<HeaderName> =
        headers.keys().filter(|name| name.as_str().starts_with("x-amz-meta-")).filter(split).cloned().collect();
    for name in names {
        let lines: Vec<&[u8]> = headers.get_all(&name).iter().map(HeaderValue::as_bytes).collect();
        // Commas between valid values make a valid value.
        if let Ok(joined) = HeaderValue::from_bytes(&lines.join(&b","[..])) {
            headers.insert(name, joined);
        }
    }
}
