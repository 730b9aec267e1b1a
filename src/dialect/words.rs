//! What any request says, as bucket policies see it: how it came, when, and which rows it asks for.
//! See <https://docs.aws.amazon.com/AmazonS3/latest/userguide/amazon-s3-policy-keys.html>.

use std::net::IpAddr;

use http::request::Parts;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::identity::Context;

use super::query::query_pairs;

/// Parameters, and the condition keys that they are.
const PARAMETERS: [(&str, &str); 4] = [
    ("prefix", "s3:prefix"),
    ("delimiter", "s3:delimiter"),
    ("max-keys", "s3:max-keys"),
    ("versionId", "s3:VersionId"),
];

/// The condition keys that do not depend on the dialect.
pub(super) fn common(parts: &Parts, tls: bool, peer: IpAddr) -> Context {
    let mut words = Context::default();
    words.set("aws:SecureTransport", tls.to_string());
    words.set("aws:SourceIp", peer.to_string());
    if let Ok(now) = OffsetDateTime::now_utc().format(&Rfc3339) {
        words.set("aws:CurrentTime", now);
    }
    for (name, value) in query_pairs(parts.uri.query().unwrap_or_default()) {
        if let Some((_, key)) = PARAMETERS.iter().find(|(parameter, _)| *parameter == name) {
            words.set(key, value.into_owned());
        }
    }
    words
}
