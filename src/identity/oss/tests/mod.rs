//! Vectors that the service's own SDKs signed, every change of one byte in them, and every refusal.

mod cases;
mod changes;
mod forms;
mod refusals;
mod signer;
mod times;
mod tokens;
mod vectors;

use std::sync::Arc;

use http::request::Parts;
use serde::Deserialize;

use super::*;
use crate::identity::testing::{StoppedClock, head};
use crate::identity::{Secret, percent_decode};
use crate::types::UserId;

#[derive(Deserialize)]
struct Fixture {
    vectors: Vec<Vector>,
    negative: Vec<Negative>,
}

/// A request that an SDK signed.
#[derive(Deserialize, Clone)]
struct Vector {
    id: String,
    scheme: String,
    clock: Moment,
    access_key_id: String,
    access_key_secret: String,
    security_token: Option<String>,
    request: Option<Sent>,
    form: Option<std::collections::BTreeMap<String, String>>,
    expect: Expected,
}

#[derive(Deserialize, Clone)]
struct Moment {
    epoch: Option<u64>,
}

#[derive(Deserialize, Clone)]
struct Sent {
    method: String,
    bucket: String,
    key: String,
    headers: std::collections::BTreeMap<String, String>,
    path_style_target: String,
    virtual_host_target: Option<String>,
}

#[derive(Deserialize, Clone)]
struct Expected {
    string_to_sign: String,
    canonical_request: Option<String>,
    signature: String,
    authorization: Option<String>,
    form_field: Option<String>,
    region: Option<String>,
}

/// A vector with one thing changed, and what the service answers.
#[derive(Deserialize)]
struct Negative {
    id: String,
    base: String,
    change: serde_json::Map<String, serde_json::Value>,
    expect: Answer,
}

#[derive(Deserialize)]
struct Answer {
    status: u16,
    code: String,
}

fn fixture() -> Fixture {
    serde_json::from_str(include_str!("../../../../fixtures/identity/oss-signatures.json")).unwrap()
}

/// A request in one style of addressing, to be changed at will.
#[derive(Clone)]
struct Case {
    id: String,
    scheme: String,
    method: String,
    target: String,
    /// The bucket, where the host names it.
    bucket_in_host: Option<String>,
    headers: Vec<(String, String)>,
    secret: String,
    access_key: String,
    token: Option<String>,
    region: String,
    now: i64,
}

impl Vector {
    fn now(&self) -> i64 {
        let date = || {
            let headers = &self.request.as_ref().unwrap().headers;
            let text = headers.get("x-oss-date").or(headers.get("date")).unwrap();
            let rfc2822 = &time::format_description::well_known::Rfc2822;
            let iso = time::macros::format_description!("[year][month][day]T[hour][minute][second]Z");
            let http = time::OffsetDateTime::parse(text, rfc2822).map(time::OffsetDateTime::unix_timestamp);
            http.unwrap_or_else(|_| time::PrimitiveDateTime::parse(text, iso).unwrap().assume_utc().unix_timestamp())
        };
        self.clock.epoch.map_or_else(date, |epoch| i64::try_from(epoch).unwrap())
    }

    /// The request in each style that the vector gives.
    fn cases(&self) -> Vec<Case> {
        let Some(sent) = &self.request else { return Vec::new() };
        let mut headers: Vec<(String, String)> = sent.headers.clone().into_iter().collect();
        if let Some(text) = &self.expect.authorization {
            headers.push(("authorization".to_owned(), text.clone()));
        }
        if !sent.headers.contains_key("host") {
            headers.push(("host".to_owned(), "oss.test".to_owned()));
        }
        let case = |target: &String, bucket_in_host| Case {
            id: self.id.clone(),
            scheme: self.scheme.clone(),
            method: sent.method.clone(),
            target: target.clone(),
            bucket_in_host,
            headers: headers.clone(),
            secret: self.access_key_secret.clone(),
            access_key: self.access_key_id.clone(),
            token: self.security_token.clone(),
            region: self.expect.region.clone().unwrap_or("cn-hangzhou".to_owned()),
            now: self.now(),
        };
        let path_style = case(&sent.path_style_target, None);
        let virtual_host = sent.virtual_host_target.as_ref().map(|target| case(target, Some(sent.bucket.clone())));
        std::iter::once(path_style).chain(virtual_host).collect()
    }
}

impl Case {
    fn credentials(&self) -> Arc<Credentials> {
        let secret = |text: &str| Secret::new(text.to_owned());
        let credential = Credential::of_user(UserId::new("ann"), secret(&self.secret));
        let credential = match &self.token {
            Some(token) => credential.with_token(secret(token)),
            None => credential,
        };
        Arc::new(Credentials::new([(AccessKeyId::new(&*self.access_key), credential)]).unwrap())
    }

    /// The head, unless it is none that a server could receive.
    fn parts(&self) -> Option<Parts> {
        let mut request = http::Request::builder().method(self.method.as_str()).uri(self.target.as_str());
        for (name, value) in &self.headers {
            request = request.header(name, value);
        }
        request.body(()).ok().map(|request| request.into_parts().0)
    }

    /// What the address means; `None`: nothing, it is not UTF-8.
    fn resource(&self, parts: &Parts) -> Option<OssResource> {
        let path = percent_decode(parts.uri.path().strip_prefix('/')?.as_bytes()).into_owned();
        let path = String::from_utf8(path).ok()?;
        let some = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty());
        Some(match &self.bucket_in_host {
            Some(bucket) => OssResource { bucket: Some(bucket.clone()), key: some(&path) },
            None => {
                let (bucket, key) = path.split_once('/').unwrap_or((&path, ""));
                OssResource { bucket: some(bucket), key: some(key) }
            }
        })
    }

    fn verify(&self) -> Result<OssIdentified, OssAuthError> {
        let Some(parts) = self.parts() else { return Err(OssAuthError::HostInvalid) };
        let Some(resource) = self.resource(&parts) else { return Err(OssAuthError::HostInvalid) };
        let clock = StoppedClock::at(u64::try_from(self.now).unwrap());
        OssVerifier::new(self.credentials(), clock, self.region.clone()).identify(&parts, &[resource])
    }

    fn header(&mut self, name: &str) -> Option<&mut String> {
        self.headers.iter_mut().find(|(there, _)| there == name).map(|(_, value)| value)
    }

    fn set(&mut self, name: &str, value: &str) {
        self.headers.retain(|(there, _)| there != name);
        self.headers.push((name.to_owned(), value.to_owned()));
    }
}

fn scheme_of(name: &str) -> Scheme {
    match name {
        "v1-header" => Scheme::OssV1Header,
        "v1-url" => Scheme::OssV1Url,
        "v2-header" => Scheme::OssV2Header,
        "v4-header" => Scheme::OssV4Header,
        "v4-url" => Scheme::OssV4Url,
        other => panic!("{other}"),
    }
}
