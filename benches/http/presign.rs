//! Presigned URLs by `aws-sigv4`: one signature serves every repetition of a request.

use std::time::{Duration, SystemTime};

use aws_sigv4::sign::v4::{calculate_signature, generate_signing_key};

pub(crate) const ACCESS_KEY: &str = "AKBENCH";
pub(crate) const SECRET_KEY: &str = "bench-secret-of-one-run-only";
const REGION: &str = "us-east-1";

/// Who signs.
#[derive(Clone, Copy)]
pub(crate) struct Signer<'a> {
    pub(crate) access_key: &'a str,
    pub(crate) secret_key: &'a str,
}

/// The user of the gateways.
pub(crate) const BENCH: Signer<'static> = Signer { access_key: ACCESS_KEY, secret_key: SECRET_KEY };

/// The path and query of a URL that may be used for an hour. `headers` are signed too (lower-case, sorted by name). `more`
/// of the query is in canonical form, its names in lower case.
pub(crate) fn presign(
    by: Signer<'_>,
    method: &str,
    host: &str,
    path: &str,
    more: &str,
    headers: &[(&str, &str)],
) -> String {
    #[allow(clippy::disallowed_methods, reason = "a client's clock")]
    let now = SystemTime::now();
    let date = timestamp(now);
    let day = &date[..8];
    let mut all = vec![("host", host)];
    all.extend_from_slice(headers);
    let names: Vec<&str> = all.iter().map(|(name, _)| *name).collect();
    let query = format!(
        "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential={}%2F{day}%2F{REGION}%2Fs3%2Faws4_request\
         &X-Amz-Date={date}&X-Amz-Expires=3600&X-Amz-SignedHeaders={}",
        by.access_key,
        names.join("%3B")
    );
    let lines: String = all.iter().map(|(name, value)| format!("{name}:{value}\n")).collect();
    // The signature stands among the others on its way and nowhere when it is made.
    let signed = if more.is_empty() { query.clone() } else { format!("{query}&{more}") };
    let canonical = format!("{method}\n{path}\n{signed}\n{lines}\n{}\nUNSIGNED-PAYLOAD", names.join(";"));
    let hash = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, canonical.as_bytes());
    let text = format!("AWS4-HMAC-SHA256\n{date}\n{day}/{REGION}/s3/aws4_request\n{}", hex::encode(hash));
    let key = generate_signing_key(by.secret_key, now, REGION, "s3");
    format!("{path}?{signed}&X-Amz-Signature={}", calculate_signature(key, text.as_bytes()))
}

/// The same for the OSS dialect: its signature version 4 in the URL, which covers every `x-oss-*` header by itself. The
/// path is `/bucket/key` with nothing in it to escape.
pub(crate) fn presign_oss(method: &str, path: &str, headers: &[(&str, &str)]) -> String {
    #[allow(clippy::disallowed_methods, reason = "a client's clock")]
    let date = timestamp(SystemTime::now());
    let scope = format!("{}/{REGION}/oss/aliyun_v4_request", &date[..8]);
    let query = format!(
        "x-oss-credential={ACCESS_KEY}%2F{}&x-oss-date={date}&x-oss-expires=3600\
         &x-oss-signature-version=OSS4-HMAC-SHA256",
        scope.replace('/', "%2F")
    );
    let lines: String = headers.iter().map(|(name, value)| format!("{name}:{value}\n")).collect();
    let canonical = format!("{method}\n{path}\n{query}\n{lines}\n\nUNSIGNED-PAYLOAD");
    let hash = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, canonical.as_bytes());
    let text = format!("OSS4-HMAC-SHA256\n{date}\n{scope}\n{}", hex::encode(hash));
    let secret = format!("aliyun_v4{SECRET_KEY}");
    let key = scope.split('/').fold(secret.into_bytes(), |key, part| hmac(&key, part.as_bytes()));
    format!("{path}?{query}&x-oss-signature={}", hex::encode(hmac(&key, text.as_bytes())))
}

fn hmac(key: &[u8], message: &[u8]) -> Vec<u8> {
    let key = aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA256, key);
    aws_lc_rs::hmac::sign(&key, message).as_ref().to_vec()
}

fn timestamp(at: SystemTime) -> String {
    let format = time::macros::format_description!("[year][month][day]T[hour][minute][second]Z");
    let since = at.duration_since(SystemTime::UNIX_EPOCH).unwrap_or(Duration::ZERO);
    let seconds = i64::try_from(since.as_secs()).unwrap();
    time::OffsetDateTime::from_unix_timestamp(seconds).unwrap().format(&format).unwrap()
}
