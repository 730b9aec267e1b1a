//! Requests to one upstream: addressed, signed, sent over pooled connections, tried again where that is safe, and
//! answered in terms of the store.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::header::{CONTENT_LENGTH, HOST, HeaderMap, HeaderName, HeaderValue};
use http::{Method, Request, Response, StatusCode};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use hyper_util::client::legacy;
use hyper_util::rt::{TokioExecutor, TokioTimer};

use super::connect::Connector;
use super::credentials::Credentials;
use super::failure::Failure;
use super::outgoing::Outgoing;
use super::retry::Budget;
use super::settings::{Addressing, Endpoint, Settings, Wire};
use super::sign::{Signer, Unsigned, encode_path, encode_query};
use crate::store::Error;
use crate::types::Clock;

/// Connections without a request that are kept for the next.
const IDLE_CONNECTIONS: usize = 256;
/// For how long; below what servers usually keep theirs.
const IDLE_FOR: Duration = Duration::from_secs(20);
/// The largest body of an answer that is not an object: a page of a listing with long keys is some megabytes.
const MAX_ANSWER: usize = 32 << 20;
/// The largest body of an error that is read.
const MAX_ERROR: usize = 64 << 10;

/// A request, before it is addressed and signed.
#[derive(Debug, Clone)]
pub(super) struct Call {
    pub(super) method: Method,
    pub(super) bucket: String,
    pub(super) key: String,
    /// Names and values, not encoded.
    pub(super) query: Vec<(&'static str, String)>,
    pub(super) headers: HeaderMap,
}

impl Call {
    /// A request about a bucket.
    pub(super) fn bucket(method: Method, bucket: &str) -> Self {
        Self::object(method, bucket, "")
    }

    /// A request about an object.
    pub(super) fn object(method: Method, bucket: &str, key: &str) -> Self {
        let (bucket, key) = (bucket.to_owned(), key.to_owned());
        Self { method, bucket, key, query: Vec::new(), headers: HeaderMap::new() }
    }

    /// With a query parameter.
    pub(super) fn query(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.query.push((name, value.into()));
        self
    }

    /// With a header. What no header can carry is left out by none of our callers: they check or encode.
    pub(super) fn header(mut self, name: HeaderName, value: &str) -> Self {
        if let Ok(value) = HeaderValue::from_str(value) {
            self.headers.insert(name, value);
        }
        self
    }

    /// With many headers.
    pub(super) fn headers(mut self, headers: HeaderMap) -> Self {
        self.headers.extend(headers);
        self
    }
}

/// How often a request may be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Again {
    /// Whatever went wrong: the request does the same however often it is made.
    Always,
    /// Only when the upstream said that it did nothing, or was never reached.
    IfRefused,
}

/// A client of one upstream.
pub(super) struct Client {
    http: legacy::Client<Connector, Outgoing>,
    endpoint: Endpoint,
    addressing: Addressing,
    pub(super) wire: Wire,
    signer: Signer,
    credentials: Credentials,
    pub(super) clock: Arc<dyn Clock>,
    budget: Budget,
    pub(super) answer_timeout: Duration,
    pub(super) idle_timeout: Duration,
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("endpoint", &self.endpoint).finish_non_exhaustive()
    }
}

impl Client {
    /// A client by these settings. Reads files.
    pub(super) fn new(settings: &Settings, clock: Arc<dyn Clock>) -> Result<Self, Error> {
        let connector = Connector::new(settings.endpoint.tls, settings.ca_file.as_deref(), settings.connect_timeout)?;
        let http = legacy::Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .timer(TokioTimer::new())
            .pool_idle_timeout(IDLE_FOR)
            .pool_max_idle_per_host(IDLE_CONNECTIONS)
            .http1_max_buf_size(512 << 10)
            .build(connector);
        Ok(Self {
            http,
            endpoint: settings.endpoint.clone(),
            addressing: settings.addressing,
            wire: settings.wire,
            signer: Signer::new(settings.wire, settings.region.clone()),
            credentials: Credentials::open(settings.key.clone())?,
            clock,
            budget: Budget::default(),
            answer_timeout: settings.answer_timeout,
            idle_timeout: settings.idle_timeout,
        })
    }

    /// Sends a request whose body is here, again where that is safe, and gives the answer if it is a success.
    ///
    /// # Errors
    /// [`Failure`].
    pub(super) async fn send(&self, call: &Call, body: Bytes, again: Again) -> Result<Response<Incoming>, Failure> {
        let mut tries = self.budget.tries();
        loop {
            let sent = self.once(call, Outgoing::Whole(body.clone()));
            let failure = match tokio::time::timeout(self.answer_timeout, sent).await {
                Ok(Ok(answer)) => {
                    self.budget.succeeded();
                    return Ok(answer);
                }
                Ok(Err(failure)) => failure,
                Err(_) => Failure::Broken("no answer in time".to_owned()),
            };
            let safe = match again {
                Again::Always => failure.may_pass(),
                Again::IfRefused => failure.did_nothing(),
            };
            if !safe || !tries.wait(&failure).await {
                return Err(failure);
            }
            tracing::debug!(%failure, method = %call.method, "asking the upstream again");
        }
    }

    /// As [`Client::send`], with the answer's body read whole: for answers that are not objects.
    pub(super) async fn ask(&self, call: &Call, body: Bytes, again: Again) -> Result<(HeaderMap, Bytes), Failure> {
        let mut tries = self.budget.tries();
        loop {
            let (head, body) = self.send(call, body.clone(), again).await?.into_parts();
            match self.collect(body, MAX_ANSWER).await {
                Ok(bytes) => return Ok((head.headers, bytes)),
                Err(failure) if again == Again::Always && tries.wait(&failure).await => {}
                Err(failure) => return Err(failure),
            }
        }
    }

    /// Sends a request once. An answer that is no success is a failure.
    pub(super) async fn once(&self, call: &Call, body: Outgoing) -> Result<Response<Incoming>, Failure> {
        let request = self.request(call, body)?;
        let answer = self.http.request(request).await.map_err(|error| Failure::of(&error))?;
        if answer.status().is_success() {
            return Ok(answer);
        }
        let (head, body) = answer.into_parts();
        let body = self.collect(body, MAX_ERROR).await.unwrap_or_default();
        Err(Failure::answer(head.status, &head.headers, &body))
    }

    fn request(&self, call: &Call, body: Outgoing) -> Result<Request<Outgoing>, Failure> {
        let key = encode_path(&call.key);
        let resource = match (call.bucket.as_str(), key.as_str()) {
            ("", _) => "/".to_owned(),
            (bucket, key) => format!("/{bucket}/{key}"),
        };
        let (host, path) = match self.addressing {
            Addressing::Virtual if !call.bucket.is_empty() => {
                (format!("{}.{}", call.bucket, self.endpoint.authority), format!("/{key}"))
            }
            // A bucket's own address has no slash at its end: some servers take what follows it for a key.
            Addressing::Path if call.key.is_empty() && !call.bucket.is_empty() => {
                (self.endpoint.authority.clone(), format!("/{}", call.bucket))
            }
            Addressing::Virtual | Addressing::Path => (self.endpoint.authority.clone(), resource.clone()),
        };
        let mut headers = call.headers.clone();
        if call.method == Method::PUT || call.method == Method::POST {
            // hyper says nothing of an empty body, and servers want to know.
            headers.insert(CONTENT_LENGTH, HeaderValue::from(body.remaining()));
        }
        headers.insert(HOST, HeaderValue::from_str(&host).map_err(|_| Failure::unfit("host"))?);
        let unsigned =
            Unsigned { method: &call.method, path: &path, resource: &resource, query: &call.query, headers: &headers };
        let key = self.credentials.current();
        let signed = self.signer.sign(&unsigned, &key, self.clock.now()).ok_or_else(|| Failure::unfit("header"))?;
        headers.extend(signed);
        let scheme = if self.endpoint.tls { "https" } else { "http" };
        let mut uri = format!("{scheme}://{host}{path}");
        for (nth, (name, value)) in call.query.iter().enumerate() {
            uri.push(if nth == 0 { '?' } else { '&' });
            uri.push_str(name);
            if !value.is_empty() {
                uri.push('=');
                uri.push_str(&encode_query(value));
            }
        }
        let mut request = Request::new(body);
        *request.method_mut() = call.method.clone();
        *request.uri_mut() = uri.parse().map_err(|_| Failure::unfit("address"))?;
        *request.headers_mut() = headers;
        Ok(request)
    }

    /// Reads a body that must not be longer than `most`.
    pub(super) async fn collect(&self, mut body: Incoming, most: usize) -> Result<Bytes, Failure> {
        let mut all = BytesMut::new();
        while let Some(chunk) = self.next_chunk(&mut body).await? {
            if all.len().saturating_add(chunk.len()) > most {
                return Err(Failure::Broken("the answer is too long".to_owned()));
            }
            all.extend_from_slice(&chunk);
        }
        Ok(all.freeze())
    }

    /// The next bytes of a body; `None` at its clean end, which hyper gives only where the declared length has come.
    pub(super) async fn next_chunk(&self, body: &mut Incoming) -> Result<Option<Bytes>, Failure> {
        loop {
            let frame = tokio::time::timeout(self.idle_timeout, body.frame()).await;
            let frame = frame.map_err(|_| Failure::Broken("the answer stands still".to_owned()))?;
            match frame {
                None => return Ok(None),
                Some(Err(error)) => return Err(Failure::Broken(error.to_string())),
                Some(Ok(frame)) => {
                    if let Ok(data) = frame.into_data()
                        && !data.is_empty()
                    {
                        return Ok(Some(data));
                    }
                }
            }
        }
    }
}

/// A status that says that there is no body to read.
pub(super) fn is_empty_range(failure: &Failure) -> bool {
    failure.status() == Some(StatusCode::RANGE_NOT_SATISFIABLE)
}

#[cfg(test)]
mod tests {
    use super::super::settings::{KeySource, UpstreamKey};
    use super::*;
    use crate::types::SystemClock;

    fn addressed(endpoint: &str, addressing: Addressing, call: &Call) -> (String, String) {
        let key = UpstreamKey { id: "AKID".into(), secret: zeroize::Zeroizing::new("secret".to_owned()), token: None };
        let settings = Settings::new(endpoint.parse().unwrap(), KeySource::Fixed(key));
        let client = Client::new(&Settings { addressing, ..settings }, Arc::new(SystemClock)).unwrap();
        let request = client.request(call, Outgoing::Whole(Bytes::new())).unwrap();
        assert!(request.headers().contains_key("authorization"));
        (request.uri().to_string(), request.headers()[HOST].to_str().unwrap().to_owned())
    }

    #[test]
    fn a_bucket_is_in_the_path_or_in_the_host() {
        let object = Call::object(Method::GET, "photos", "a b/ü").query("versionId", "v+1");
        let (bucket, all) = (Call::bucket(Method::PUT, "photos"), Call::bucket(Method::GET, ""));
        let (plain, other) = ("http://s3.example.com", "http://127.0.0.1:7480");
        for (endpoint, addressing, call, uri, host) in [
            (other, Addressing::Path, &object, "/photos/a%20b/%C3%BC?versionId=v%2B1", "127.0.0.1:7480"),
            (other, Addressing::Path, &bucket, "/photos", "127.0.0.1:7480"),
            (other, Addressing::Path, &all, "/", "127.0.0.1:7480"),
            (plain, Addressing::Virtual, &object, "/a%20b/%C3%BC?versionId=v%2B1", "photos.s3.example.com"),
            (plain, Addressing::Virtual, &bucket, "/", "photos.s3.example.com"),
            (plain, Addressing::Virtual, &all, "/", "s3.example.com"),
        ] {
            let found = addressed(endpoint, addressing, call);
            assert_eq!(found, (format!("http://{host}{uri}"), host.to_owned()));
        }
    }
}
