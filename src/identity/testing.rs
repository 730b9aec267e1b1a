//! A client for tests: signs requests and bodies by the documentation's rules, without the code under test. Targets
//! must be in canonical form already and their queries sorted; the HMACs are the SDK's.

use std::fmt::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, UNIX_EPOCH};

use aws_sigv4::sign::v4::{calculate_signature, generate_signing_key};
use http::Request;
use http::request::Parts;

use super::{Credential, Credentials, Secret, sha256};
use crate::types::{AccessKeyId, Clock, Timestamp, UserId};

/// The key of the documentation's examples.
pub(crate) const ACCESS_KEY: &str = "AKIAIOSFODNN7EXAMPLE";
pub(crate) const SECRET: &str = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY";
/// 2013-05-24T00:00:00Z, when they were signed.
pub(crate) const SECONDS: u64 = 1_369_353_600;
pub(crate) const STAMP: &str = "20130524T000000Z";
pub(crate) const EMPTY: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

/// A clock that stands still.
#[derive(Debug)]
pub(crate) struct StoppedClock(AtomicU64);

impl StoppedClock {
    pub(crate) fn at_millis(millis: u64) -> Arc<Self> {
        Arc::new(Self(AtomicU64::new(millis)))
    }

    pub(crate) fn at(seconds: u64) -> Arc<Self> {
        Self::at_millis(seconds * 1000)
    }
}

impl Clock for StoppedClock {
    fn now(&self) -> Timestamp {
        Timestamp(self.0.load(Ordering::Relaxed))
    }
}

pub(crate) fn credentials() -> Arc<Credentials> {
    let example = Credential::of_user(UserId::new("ann"), Secret::new(SECRET.to_owned()));
    Arc::new(Credentials::new([(AccessKeyId::new(ACCESS_KEY), example)]).unwrap())
}

/// The same key as a temporary one, with this token and until this moment in seconds.
pub(crate) fn temporary(token: Option<&str>, end: Option<u64>) -> Arc<Credentials> {
    let example = Credential::of_user(UserId::new("ann"), Secret::new(SECRET.to_owned()));
    let token = token.map(|token| Secret::new(token.to_owned()));
    let example = token.into_iter().fold(example, Credential::with_token);
    let example = end.map(|seconds| Timestamp(seconds * 1000)).into_iter().fold(example, Credential::expiring);
    Arc::new(Credentials::new([(AccessKeyId::new(ACCESS_KEY), example)]).unwrap())
}

/// A request's head.
pub(crate) fn head(method: &str, target: &str, headers: &[(&str, &str)]) -> Parts {
    let mut request = Request::builder().method(method).uri(target);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.body(()).unwrap().into_parts().0
}

/// A signing client.
#[derive(Debug, Clone)]
pub(crate) struct Signer {
    pub(crate) access_key: String,
    pub(crate) secret: String,
    pub(crate) stamp: String,
    /// The scope without the access key.
    pub(crate) scope: String,
    /// The session token that goes into a URL's query.
    pub(crate) token: Option<String>,
}

impl Default for Signer {
    fn default() -> Self {
        Self {
            access_key: ACCESS_KEY.to_owned(),
            secret: SECRET.to_owned(),
            stamp: STAMP.to_owned(),
            scope: "20130524/us-east-1/s3/aws4_request".to_owned(),
            token: None,
        }
    }
}

impl Signer {
    fn sign(&self, text: &str) -> String {
        let mut scope = self.scope.split('/');
        let (day, region, service) = (scope.next().unwrap(), scope.next().unwrap(), scope.next().unwrap());
        let date = time::Date::parse(day, time::macros::format_description!("[year][month][day]")).unwrap();
        let seconds = u64::try_from(date.midnight().assume_utc().unix_timestamp()).unwrap();
        let key = generate_signing_key(&self.secret, UNIX_EPOCH + Duration::from_secs(seconds), region, service);
        calculate_signature(key, text.as_bytes())
    }

    fn request_signature(&self, method: &str, target: &str, headers: &[(&str, &str)], payload: &str) -> String {
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let mut headers: Vec<_> = headers.to_vec();
        headers.sort_unstable();
        let names: Vec<_> = headers.iter().map(|(name, _)| *name).collect();
        let mut canonical = format!("{method}\n{path}\n{query}\n");
        for (name, value) in &headers {
            writeln!(canonical, "{name}:{value}").unwrap();
        }
        write!(canonical, "\n{}\n{payload}", names.join(";")).unwrap();
        let hash = hex::encode(sha256(canonical.as_bytes()));
        self.sign(&format!("AWS4-HMAC-SHA256\n{}\n{}\n{hash}", self.stamp, self.scope))
    }

    /// Signs with the `Authorization` header: these headers, host, date and `payload`.
    pub(crate) fn header(&self, method: &str, target: &str, extra: &[(&str, &str)], payload: &str) -> Parts {
        let mut headers = vec![("host", "s3.test"), ("x-amz-content-sha256", payload), ("x-amz-date", &self.stamp)];
        headers.extend_from_slice(extra);
        headers.sort_unstable();
        let signature = self.request_signature(method, target, &headers, payload);
        let names: Vec<_> = headers.iter().map(|(name, _)| *name).collect();
        let authorization = format!(
            "AWS4-HMAC-SHA256 Credential={}/{}, SignedHeaders={}, Signature={signature}",
            self.access_key,
            self.scope,
            names.join(";")
        );
        headers.push(("authorization", &authorization));
        head(method, target, &headers)
    }

    /// Signs a URL; `query` is further parameters that sort before `X-Amz-`, or none.
    pub(crate) fn url(&self, method: &str, path: &str, query: &str, extra: &[(&str, &str)], expires: &str) -> Parts {
        let mut headers = vec![("host", "s3.test")];
        headers.extend_from_slice(extra);
        headers.sort_unstable();
        let names: Vec<_> = headers.iter().map(|(name, _)| *name).collect();
        let credential = format!("{}/{}", self.access_key, self.scope).replace('/', "%2F");
        let separator = if query.is_empty() { "" } else { "&" };
        let target = format!(
            "{path}?{query}{separator}X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential={credential}&X-Amz-Date={}\
             &X-Amz-Expires={expires}{}&X-Amz-SignedHeaders={}",
            self.stamp,
            self.token.as_ref().map(|token| format!("&X-Amz-Security-Token={token}")).unwrap_or_default(),
            names.join("%3B")
        );
        let payload =
            extra.iter().find(|(name, _)| *name == "x-amz-content-sha256").map_or("UNSIGNED-PAYLOAD", |p| p.1);
        let signature = self.request_signature(method, &target, &headers, payload);
        head(method, &format!("{target}&X-Amz-Signature={signature}"), &headers)
    }

    /// A body in signed chunks, after a request with the signature `seed`; with a trailer when `trailer` is one.
    pub(crate) fn chunks(&self, seed: &str, chunks: &[&[u8]], trailer: Option<(&str, &str)>) -> Vec<u8> {
        let mut body = Vec::new();
        let mut previous = seed.to_owned();
        for chunk in chunks.iter().copied().chain([&b""[..]]) {
            let hash = hex::encode(sha256(chunk));
            let text = format!("AWS4-HMAC-SHA256-PAYLOAD\n{}\n{}\n{previous}\n{EMPTY}\n{hash}", self.stamp, self.scope);
            previous = self.sign(&text);
            body.extend_from_slice(format!("{:x};chunk-signature={previous}\r\n", chunk.len()).as_bytes());
            body.extend_from_slice(chunk);
            if !chunk.is_empty() || trailer.is_none() {
                body.extend_from_slice(b"\r\n");
            }
        }
        if let Some((name, value)) = trailer {
            let hash = hex::encode(sha256(format!("{name}:{value}\n").as_bytes()));
            let text = format!("AWS4-HMAC-SHA256-TRAILER\n{}\n{}\n{previous}\n{hash}", self.stamp, self.scope);
            let signature = self.sign(&text);
            let lines = format!("{name}:{value}\r\nx-amz-trailer-signature:{signature}\r\n\r\n");
            body.extend_from_slice(lines.as_bytes());
        }
        body
    }
}

/// The signature that a request carries in its header.
pub(crate) fn signature_of(parts: &Parts) -> String {
    let text = parts.headers.get("authorization").unwrap().to_str().unwrap();
    text.rsplit_once("Signature=").unwrap().1.to_owned()
}

/// A body in unsigned chunks with an unsigned trailer.
pub(crate) fn unsigned_chunks(chunks: &[&[u8]], trailer: (&str, &str)) -> Vec<u8> {
    let mut body = Vec::new();
    for chunk in chunks {
        body.extend_from_slice(format!("{:x}\r\n", chunk.len()).as_bytes());
        body.extend_from_slice(chunk);
        body.extend_from_slice(b"\r\n");
    }
    body.extend_from_slice(format!("0\r\n{}:{}\r\n\r\n", trailer.0, trailer.1).as_bytes());
    body
}
