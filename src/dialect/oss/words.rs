//! What an OSS request says, as bucket policies see it: they are written in S3's words, so OSS's are turned into those.

use http::request::Parts;

use crate::dialect::words;
use crate::identity::Context;

use super::service::Connection;
use super::sse::{KMS, SseHeaders};

/// Headers, and the condition keys that they are.
const HEADERS: [(&str, &str); 4] = [
    ("x-oss-acl", "s3:x-amz-acl"),
    ("x-oss-object-acl", "s3:x-amz-acl"),
    ("x-oss-copy-source", "s3:x-amz-copy-source"),
    ("x-oss-metadata-directive", "s3:x-amz-metadata-directive"),
];

/// The condition keys of a request, save those of its caller.
pub(super) fn of(parts: &Parts, sse: &SseHeaders, connection: &Connection) -> Context {
    let mut words = words::common(parts, connection.tls, connection.peer);
    for (name, key) in HEADERS {
        if let Some(value) = parts.headers.get(name) {
            words.set(key, String::from_utf8_lossy(value.as_bytes()));
        }
    }
    let method = sse.method.as_deref().map(|method| if method == KMS { "aws:kms" } else { method });
    let of_encryption = [
        ("s3:x-amz-server-side-encryption", method),
        ("s3:x-amz-server-side-encryption-aws-kms-key-id", sse.key_id.as_deref()),
        ("s3:x-amz-server-side-encryption-customer-algorithm", sse.customer.algorithm.as_deref()),
    ];
    for (key, value) in of_encryption {
        if let Some(value) = value {
            words.set(key, value.to_owned());
        }
    }
    words
}
