//! A client that signs by the documentation's rules, without the code under test.

use std::fmt::Write as _;

use aws_lc_rs::{digest, hmac};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_encode};

pub(super) const KEY: &str = "oss-test-ak-0001";
pub(super) const SECRET: &str = "oss-test-sk-0001-not-a-real-secret";
/// 2026-01-02T03:04:05Z.
pub(super) const SECONDS: i64 = 1_767_323_045;
pub(super) const STAMP: &str = "20260102T030405Z";
pub(super) const DATE: &str = "Fri, 02 Jan 2026 03:04:05 GMT";
pub(super) const SCOPE: &str = "20260102/cn-hangzhou/oss/aliyun_v4_request";

const OUTSIDE: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
const OUTSIDE_PATH: &AsciiSet = &OUTSIDE.remove(b'/');

pub(super) fn v1(secret: &str, text: &[u8]) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, secret.as_bytes());
    STANDARD.encode(hmac::sign(&key, text))
}

pub(super) fn v4(secret: &str, scope: &str, text: &[u8]) -> String {
    let step = |key: &[u8], data: &[u8]| hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), data).as_ref().to_vec();
    let first = format!("aliyun_v4{secret}").into_bytes();
    let key = scope.split('/').fold(first, |key, part| step(&key, part.as_bytes()));
    hex::encode(step(&key, text))
}

pub(super) fn encode(text: &str, path: bool) -> String {
    percent_encode(text.as_bytes(), if path { OUTSIDE_PATH } else { OUTSIDE }).to_string()
}

/// V4's signature of a request; `resource` is `/bucket/key`, `query` decoded, and `headers` what is signed, in order.
pub(super) fn v4_request(
    method: &str,
    resource: &str,
    query: &[(&str, &str)],
    headers: &[(&str, &str)],
    additional: &str,
) -> String {
    let mut pairs: Vec<(String, String)> =
        query.iter().map(|(name, value)| (encode(name, false), encode(value, false))).collect();
    pairs.sort();
    let pair =
        |(name, value): &(String, String)| if value.is_empty() { name.clone() } else { format!("{name}={value}") };
    let query: Vec<String> = pairs.iter().map(pair).collect();
    let mut canonical = format!("{method}\n{}\n{}\n", encode(resource, true), query.join("&"));
    for (name, value) in headers {
        writeln!(canonical, "{name}:{value}").unwrap();
    }
    write!(canonical, "\n{additional}\nUNSIGNED-PAYLOAD").unwrap();
    let hash = hex::encode(digest::digest(&digest::SHA256, canonical.as_bytes()));
    v4(SECRET, SCOPE, format!("OSS4-HMAC-SHA256\n{STAMP}\n{SCOPE}\n{hash}").as_bytes())
}
