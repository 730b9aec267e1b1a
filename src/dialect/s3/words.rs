//! What a request says, as bucket policies see it: condition keys from the headers and parameters as they were sent. A
//! header that was not sent is absent, whatever a default would fill in.
//! See <https://docs.aws.amazon.com/AmazonS3/latest/userguide/amazon-s3-policy-keys.html>.

use http::request::Parts;

use crate::dialect::words;
use crate::identity::Context;

use super::context::RequestContext;
use super::sse_headers::SseHeaders;

/// Headers that are condition keys under `s3:`.
const HEADERS: [&str; 3] = ["x-amz-acl", "x-amz-copy-source", "x-amz-metadata-directive"];

/// The condition keys of a request, save those of its caller.
pub(super) fn conditions_of(parts: &Parts, sse: &SseHeaders, context: &RequestContext) -> Context {
    let mut words = words::common(parts, context.tls, context.peer);
    for name in HEADERS {
        if let Some(value) = parts.headers.get(name) {
            words.set(&format!("s3:{name}"), String::from_utf8_lossy(value.as_bytes()));
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
