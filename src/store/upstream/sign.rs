//! Signing what goes upstream: SigV4 (its arithmetic is the AWS SDK's, `aws-sigv4`) and OSS V4. Bodies go unsigned with
//! a declared length: what they hold is sealed and authenticated end to end, and a signed body would have to be hashed,
//! or kept, before the first byte leaves.
//!
//! <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html>,
//! <https://www.alibabacloud.com/help/en/oss/developer-reference/recommend-to-use-signature-version-4>

use std::fmt::Write as _;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, UNIX_EPOCH};

use aws_lc_rs::{digest, hmac};
use aws_sigv4::sign::v4::generate_signing_key;
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use time::OffsetDateTime;
use zeroize::Zeroizing;

use super::settings::{UpstreamKey, Wire};
use crate::types::Timestamp;

/// What is left as it is in a query (RFC 3986, unreserved).
const QUERY: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
/// The same in a path, where slashes stay too.
const PATH: &AsciiSet = &QUERY.remove(b'/');

/// A key as it stands in a path.
pub(super) fn encode_path(text: &str) -> String {
    utf8_percent_encode(text, PATH).to_string()
}

/// A name or value as it stands in a query.
pub(super) fn encode_query(text: &str) -> String {
    utf8_percent_encode(text, QUERY).to_string()
}

/// A request as far as its signature is concerned.
pub(super) struct Unsigned<'a> {
    pub(super) method: &'a Method,
    /// The path on the wire, encoded.
    pub(super) path: &'a str,
    /// The resource `/bucket/key`, encoded: OSS signs it whatever the address is.
    pub(super) resource: &'a str,
    /// Names and values, not encoded.
    pub(super) query: &'a [(&'static str, String)],
    pub(super) headers: &'a HeaderMap,
}

/// A signing key and what it is for.
struct Derived {
    day: String,
    /// The secret that it was made of: a new one may come under the old id.
    secret: Zeroizing<String>,
    key: Arc<hmac::Key>,
}

/// Signs for one region.
pub(super) struct Signer {
    wire: Wire,
    region: String,
    /// Deriving a key is four HMACs; it stays the same for a day.
    derived: Mutex<Option<Derived>>,
}

impl Signer {
    pub(super) fn new(wire: Wire, region: String) -> Self {
        Self { wire, region, derived: Mutex::new(None) }
    }

    /// The headers that make a request a signed one, to be added to those it has. `host` is among those it has.
    pub(super) fn sign(&self, request: &Unsigned<'_>, key: &UpstreamKey, now: Timestamp) -> Option<HeaderMap> {
        let at = OffsetDateTime::from_unix_timestamp(i64::try_from(now.0 / 1000).ok()?).ok()?;
        let day = format!("{:04}{:02}{:02}", at.year(), u8::from(at.month()), at.day());
        let stamp = format!("{day}T{:02}{:02}{:02}Z", at.hour(), at.minute(), at.second());
        let mut added = HeaderMap::new();
        let names = match self.wire {
            Wire::S3 => ["x-amz-date", "x-amz-content-sha256", "x-amz-security-token"],
            Wire::Oss => ["x-oss-date", "x-oss-content-sha256", "x-oss-security-token"],
        };
        added.insert(HeaderName::from_static(names[0]), HeaderValue::from_str(&stamp).ok()?);
        added.insert(HeaderName::from_static(names[1]), HeaderValue::from_static(UNSIGNED));
        if let Some(token) = &key.token {
            let mut value = HeaderValue::from_str(token).ok()?;
            value.set_sensitive(true);
            added.insert(HeaderName::from_static(names[2]), value);
        }
        let (service, end, algorithm) = match self.wire {
            Wire::S3 => ("s3", "aws4_request", "AWS4-HMAC-SHA256"),
            Wire::Oss => ("oss", "aliyun_v4_request", "OSS4-HMAC-SHA256"),
        };
        let scope = format!("{day}/{}/{service}/{end}", self.region);
        let (canonical, signed) = self.canonical(request, &added)?;
        let hash = hex::encode(digest::digest(&digest::SHA256, canonical.as_bytes()));
        let text = format!("{algorithm}\n{stamp}\n{scope}\n{hash}");
        let signature = hex::encode(hmac::sign(&self.key(key, &day, now), text.as_bytes()));
        let authorization = match self.wire {
            Wire::S3 => {
                format!("{algorithm} Credential={}/{scope},SignedHeaders={signed},Signature={signature}", key.id)
            }
            Wire::Oss => format!("{algorithm} Credential={}/{scope},Signature={signature}", key.id),
        };
        let mut value = HeaderValue::from_str(&authorization).ok()?;
        value.set_sensitive(true);
        added.insert(http::header::AUTHORIZATION, value);
        Some(added)
    }

    /// The canonical request, and the names of the headers in it.
    fn canonical(&self, request: &Unsigned<'_>, added: &HeaderMap) -> Option<(String, String)> {
        let mut headers: Vec<(&str, &str)> = Vec::new();
        for (name, value) in request.headers.iter().chain(added) {
            let name = name.as_str();
            let counts = match self.wire {
                // What proxies may change or add on the way is left out.
                Wire::S3 => name.starts_with("x-amz-") || matches!(name, "host" | "content-type" | "content-md5"),
                Wire::Oss => name.starts_with("x-oss-") || matches!(name, "content-type" | "content-md5"),
            };
            if counts {
                headers.push((name, value.to_str().ok()?.trim()));
            }
        }
        headers.sort_unstable();
        let mut query: Vec<(String, String)> =
            request.query.iter().map(|(name, value)| (encode_query(name), encode_query(value))).collect();
        query.sort_unstable();
        let pair = |(name, value): &(String, String)| match self.wire {
            Wire::Oss if value.is_empty() => name.clone(),
            Wire::S3 | Wire::Oss => format!("{name}={value}"),
        };
        let query = query.iter().map(pair).collect::<Vec<_>>().join("&");
        let names = headers.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(";");
        let path = match self.wire {
            Wire::S3 => request.path,
            Wire::Oss => request.resource,
        };
        let mut text = format!("{}\n{path}\n{query}\n", request.method);
        for (name, value) in &headers {
            writeln!(text, "{name}:{value}").ok()?;
        }
        text.push('\n');
        if self.wire == Wire::S3 {
            text.push_str(&names);
        }
        text.push('\n');
        text.push_str(UNSIGNED);
        Some((text, names))
    }

    fn key(&self, key: &UpstreamKey, day: &str, now: Timestamp) -> Arc<hmac::Key> {
        let mut kept = self.derived.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(derived) = kept.as_ref().filter(|kept| kept.day == day && kept.secret == key.secret) {
            return Arc::clone(&derived.key);
        }
        let fresh = Arc::new(match self.wire {
            Wire::S3 => {
                let at = UNIX_EPOCH + Duration::from_millis(now.0);
                hmac::Key::new(hmac::HMAC_SHA256, generate_signing_key(&key.secret, at, &self.region, "s3").as_ref())
            }
            Wire::Oss => oss_key(&key.secret, day, &self.region),
        });
        *kept = Some(Derived { day: day.to_owned(), secret: key.secret.clone(), key: Arc::clone(&fresh) });
        fresh
    }
}

const UNSIGNED: &str = "UNSIGNED-PAYLOAD";

fn oss_key(secret: &str, day: &str, region: &str) -> hmac::Key {
    let start = Zeroizing::new(format!("aliyun_v4{secret}"));
    let mut key = hmac::Key::new(hmac::HMAC_SHA256, start.as_bytes());
    for part in [day, region, "oss", "aliyun_v4_request"] {
        key = hmac::Key::new(hmac::HMAC_SHA256, hmac::sign(&key, part.as_bytes()).as_ref());
    }
    key
}

#[cfg(test)]
mod tests;
