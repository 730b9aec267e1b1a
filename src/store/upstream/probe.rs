//! Finding out at start whether an upstream can be used, and what it can do: by trying, since servers say yes to what
//! they then ignore.

use std::sync::Arc;

use bytes::Bytes;
use http::header::{IF_MATCH, RANGE};
use http::{HeaderName, HeaderValue, Method, StatusCode};

use super::client::{Again, Call, Client};
use super::failure::Failure;
use super::headers::{etag_of, meta_prefix};
use super::listing::Ask;
use super::pass;
use super::put::fresh_write;
use super::reserved::create_only;
use super::settings::{Settings, Wire};
use super::sign::encode_path;
use super::target::Abilities;
use super::xml;
use crate::store::Error;

/// What is tried of metadata, most first: names and values together.
const METADATA: [usize; 3] = [8 << 10, 4 << 10, 2 << 10];

/// Tries things out under a name of its own in the reserved bucket.
pub(super) struct Probe<'a> {
    client: &'a Arc<Client>,
    settings: &'a Settings,
    name: String,
}

impl<'a> Probe<'a> {
    pub(super) fn new(client: &'a Arc<Client>, settings: &'a Settings) -> Result<Self, Error> {
        Ok(Self { client, settings, name: format!("probe/{}", fresh_write()?) })
    }

    /// Tries what is needed, and then what would be good to have.
    ///
    /// # Errors
    /// [`Error::Unavailable`] says exactly what is wrong.
    pub(super) async fn run(&self) -> Result<Abilities, Error> {
        self.place().await?;
        let etag = self.needs().await?;
        let abilities = Abilities {
            conditional_copy: self.copies_conditionally().await?,
            conditional_put: self.puts_conditionally(&etag).await?,
            partial_completion: self.completes_partially().await?,
            metadata: self.metadata().await?,
        };
        let passages = self.passages().await;
        for suffix in ["", "-copy", "-parts", "-meta"] {
            self.remove(&format!("{}{suffix}", self.name)).await?;
        }
        passages?;
        self.tell(abilities);
        Ok(abilities)
    }

    fn tell(&self, abilities: Abilities) {
        let endpoint = self.settings.label();
        if !abilities.conditional_copy {
            tracing::info!(
                %endpoint,
                "the upstream ignores conditions on a copy's source: copies go through the reserved place"
            );
        }
        if !abilities.conditional_put {
            tracing::info!(
                %endpoint,
                "the upstream cannot replace an object by condition: If-Match on a write is judged by the gateways in turn"
            );
        }
        if !abilities.partial_completion {
            tracing::info!(
                %endpoint,
                "the upstream completes uploads with all their parts only: those with parts left out are put together anew"
            );
        }
        if abilities.metadata < METADATA[0] {
            tracing::info!(%endpoint, bytes = abilities.metadata, "the upstream keeps this much metadata of an object");
        }
    }

    fn object(&self, method: Method, suffix: &str) -> Call {
        Call::object(method, &self.settings.reserved, &format!("{}{suffix}", self.name))
    }

    async fn ask(&self, call: Call, body: &'static [u8]) -> Result<(http::HeaderMap, Bytes), Failure> {
        self.client.ask(&call, Bytes::from_static(body), Again::Always).await
    }

    async fn remove(&self, name: &str) -> Result<(), Error> {
        let call = Call::object(Method::DELETE, &self.settings.reserved, name);
        self.ask(call, b"").await.map(drop).or_else(|failure| self.wrong("cannot delete", failure))
    }

    fn wrong<T>(&self, what: &str, failure: impl std::fmt::Display) -> Result<T, Error> {
        Err(Error::Unavailable(format!("upstream {}: {what}: {failure}", self.settings.label())))
    }

    /// Reaches the upstream, and makes the reserved bucket if it is not there.
    async fn place(&self) -> Result<(), Error> {
        let bucket = &self.settings.reserved;
        let listed = self.client.page(bucket, &Ask { limit: 1, ..Ask::default() }).await;
        match listed {
            Ok(_) => Ok(()),
            Err(failure) if failure.is_absence() => match self.ask(Call::bucket(Method::PUT, bucket), b"").await {
                Err(failure) if failure.code() != "BucketAlreadyOwnedByYou" => {
                    self.wrong(&format!("cannot make the reserved bucket {bucket}"), failure)
                }
                _ => Ok(()),
            },
            Err(failure) => self.wrong(&format!("cannot list the reserved bucket {bucket}"), failure),
        }
    }

    /// Whether it knows what is to pass to it, and does nothing else instead.
    async fn passages(&self) -> Result<(), Error> {
        match pass::unknown(self.client, self.settings, &self.name).await {
            Ok(None) => Ok(()),
            Ok(Some(passage)) => self.wrong(
                &format!("pass_through names {passage:?}", passage = passage.to_string()),
                format!("it does not know {}, and does the plain operation instead", passage.name()),
            ),
            Err(failure) => self.wrong("cannot ask what it knows of buckets and objects", failure),
        }
    }

    /// What nothing works without: create-only writes, and ranges of their exact length. Gives the ETag of what it wrote.
    async fn needs(&self) -> Result<String, Error> {
        let create = || {
            let (name, value) = create_only(self.client.wire);
            let mut call = self.object(Method::PUT, "");
            call.headers.insert(name, value);
            call
        };
        let made = self.ask(create(), b"0123456789").await;
        let made = made.or_else(|failure| self.wrong("cannot write", failure))?;
        match self.ask(create(), b"9876543210").await {
            Err(failure) if failure.is_refusal() => {}
            Err(failure) => {
                return self.wrong("a create-only write of what is there is not refused as it should", failure);
            }
            Ok(_) => {
                return self.wrong(
                    "create-only writes do not work",
                    "it overwrote an object in spite of the condition; gateways cannot agree on anything there",
                );
            }
        }
        for (range, expected) in [("bytes=2-4", &b"234"[..]), ("bytes=-3", b"789"), ("bytes=-100", b"0123456789")] {
            let call = self.object(Method::GET, "").header(RANGE, range);
            let answer = self.client.send(&call, Bytes::new(), Again::Always).await;
            let answer = answer.or_else(|failure| self.wrong("cannot read a range", failure))?;
            let partial = answer.status() == StatusCode::PARTIAL_CONTENT;
            let body = self.client.collect(answer.into_body(), 1 << 10).await;
            let body = body.or_else(|failure| self.wrong("cannot read a range", failure))?;
            if body != expected || (!partial && expected.len() < 10) {
                return self.wrong("ranges do not work", format!("{range} of ten bytes gave {} bytes", body.len()));
            }
        }
        Ok(etag_of(&made.0))
    }

    /// Whether a copy whose source has another ETag is refused, and one whose source has this ETag is made.
    async fn copies_conditionally(&self) -> Result<bool, Error> {
        let prefix = match self.client.wire {
            Wire::S3 => "x-amz-",
            Wire::Oss => "x-oss-",
        };
        let source = format!("/{}/{}", self.settings.reserved, encode_path(&self.name));
        let named = |name: &str| HeaderName::from_bytes(format!("{prefix}{name}").as_bytes());
        let (Ok(from), Ok(condition)) = (named("copy-source"), named("copy-source-if-match")) else { return Ok(false) };
        let call = self
            .object(Method::PUT, "-copy")
            .header(from, &source)
            .header(condition, "\"00000000000000000000000000000000\"");
        match self.ask(call, b"").await {
            Err(failure) if failure.is_refusal() => Ok(true),
            Ok(_) => Ok(false),
            Err(failure) => self.wrong("cannot copy", failure),
        }
    }

    /// Whether a write over another ETag is refused, and one over this ETag is made.
    async fn puts_conditionally(&self, etag: &str) -> Result<bool, Error> {
        let put = |etag: &str| self.object(Method::PUT, "").header(IF_MATCH, &format!("\"{etag}\""));
        let refused = self.ask(put("00000000000000000000000000000000"), b"other").await;
        if !refused.is_err_and(|failure| failure.is_refusal()) {
            return Ok(false);
        }
        Ok(self.ask(put(etag), b"new").await.is_ok())
    }

    /// Whether an upload can be completed with a part of what was sent.
    async fn completes_partially(&self) -> Result<bool, Error> {
        let (_, body) = match self.ask(self.object(Method::POST, "-parts").query("uploads", ""), b"").await {
            Ok(answer) => answer,
            Err(failure) => return self.wrong("cannot start a multipart upload", failure),
        };
        let id = xml::parse(&body).map(|root| root.text("UploadId").to_owned()).unwrap_or_default();
        let mut etags = Vec::new();
        for number in [1, 2] {
            let call =
                self.object(Method::PUT, "-parts").query("partNumber", number.to_string()).query("uploadId", &*id);
            let sent = self.ask(call, b"part").await.or_else(|failure| self.wrong("cannot send a part", failure))?;
            etags.push(etag_of(&sent.0));
        }
        let call = self.object(Method::POST, "-parts").query("uploadId", &*id);
        let document = xml::complete([(1, etags.first().map_or("", String::as_str))].into_iter());
        match self.client.ask(&call, document.into(), Again::Always).await {
            Ok((_, body)) if xml::parse(&body).is_ok_and(|root| root.name != "Error") => Ok(true),
            _ => {
                let call = self.object(Method::DELETE, "-parts").query("uploadId", &*id);
                let gone = self.ask(call, b"").await;
                gone.map(|_| false).or_else(|failure| self.wrong("cannot abort a multipart upload", failure))
            }
        }
    }

    /// How much metadata comes back as it went.
    async fn metadata(&self) -> Result<usize, Error> {
        let name = HeaderName::from_bytes(format!("{}sealgate-x", meta_prefix(self.client.wire)).as_bytes());
        let Ok(name) = name else { return Ok(0) };
        for size in METADATA {
            let value = "x".repeat(size - "sealgate-x".len());
            let mut call = self.object(Method::PUT, "-meta");
            call.headers.insert(name.clone(), HeaderValue::from_str(&value).unwrap_or(HeaderValue::from_static("")));
            if self.ask(call, b"").await.is_err() {
                continue;
            }
            let seen = self.client.send(&self.object(Method::HEAD, "-meta"), Bytes::new(), Again::Always).await;
            let same = seen.is_ok_and(|seen| seen.headers().get(&name).is_some_and(|there| there == value.as_str()));
            if same {
                return Ok(size);
            }
        }
        self.wrong("cannot keep metadata", "2 KiB did not come back as they went")
    }
}
