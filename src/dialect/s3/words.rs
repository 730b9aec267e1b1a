//! What a request says, as bucket policies see it: condition keys from the headers and parameters as they were sent. A
//! header that was not sent is absent, whatever a default would fill in.
//! See <https://docs.aws.amazon.com/AmazonS3/latest/userguide/amazon-s3-policy-keys.html>.

use http::request::Parts;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::identity::Context;

use super::context::RequestContext;
use super::route::query_pairs;
use super::sse_headers::SseHeaders;

/// Headers that are condition keys under `s3:`.
const HEADERS: [&str; 3] = ["x-amz-acl", "x-amz-copy-source", "x-amz-metadata-directive"];
/// Parameters, and the condition keys that they are.
const PARAMETERS: [(&str, &str); 4] = [
    ("prefix", "s3:prefix"),
    ("delimiter", "s3:delimiter"),
    ("max-keys", "s3:max-keys"),
    ("versionId", "s3:VersionId"),
];

/// The condition keys of a request, save those of its caller.
pub(super) fn conditions_of(parts: &Parts, sse: &SseHeaders, context: &RequestContext) -> Context {
    let mut words = Context::default();
    words.set("aws:SecureTransport", context.tls.to_string());
    words.set("aws:SourceIp", context.peer.to_string());
    if let Ok(now) = OffsetDateTime::now_utc().format(&Rfc3339) {
        words.set("aws:CurrentTime", now);
    }
    for name in HEADERS {
        if let Some(value) = parts.headers.get(name) {
            words.set(&format!("s3:{name}"), String::from_utf8_lossy(value.as_bytes()));
        }
    }
    for (name, value) in query_pairs(parts.uri.query().unwrap_or_default()) {
        if let Some((_, key)) = PARAMETERS.iter().find(|(parameter, _)| *parameter == name) {
            words.set(key, value);
        }
    }
    let of_encryption = [
        ("s3:x-amz-server-side-encryption", &sse.method),
        ("s3:x-amz-server-side-encryption-aws-kms-key-id", &sse.kms_key_id),
        ("s3:x-amz-server-side-encryption-customer-algorithm", &sse.customer.algorithm),
    ];
    for (key, value) in of_encryption {
        if let Some(value) = value {
            words.set(key, value.clone());
        }
    }
    words
}
