//! Copies that stay inside the upstream. What is copied must be what was looked at: the copy has a data key wrapped for
//! that body, and over another body it would open nothing. Where the upstream can make a copy depend on the source's
//! ETag, it is one request. Where it cannot (Ceph 16 ignores the condition), the source is first copied to a place that
//! nobody else writes to, compared there, and copied on from there.
//!
//! Between two upstreams the ciphertext streams through the gateway, as it is.

use std::sync::Arc;

use bytes::Bytes;
use futures::{StreamExt as _, TryStreamExt as _, stream};
use http::Method;
use http::header::{HeaderMap, HeaderName, HeaderValue};

use super::claims::under;
use super::client::{Again, Call};
use super::gathered::Raw;
use super::headers::{encode, unquoted, write_of};
use super::objects::{Opened, split_tag, tag_of};
use super::put::{PutWriter, Shop, fresh_write, reserved_spot, turn, written_at};
use super::settings::Wire;
use super::sign::{encode_path, encode_query};
use super::target::Spot;
use super::versions::VERSION;
use super::xml;
use crate::store::{Ahead, CipherOffset, CopyPlan, Error, ObjectWriter as _, OpenObject as _, StoredObject};

/// The most that one CopyObject may copy (S3: 5 GiB).
const MAX_COPY: u64 = 5 << 30;
/// How much is copied at once of what is longer.
const COPY_PART: u64 = 1 << 30;
/// How much of a body is in the gateway at once on its way from one upstream to another.
const STREAMED: usize = 256 << 10;
/// How many such parts are copied at a time.
const COPIES_AT_ONCE: usize = 4;

/// The name of a copy's header in the upstream's dialect.
fn copy_header(wire: Wire, what: &str) -> Result<HeaderName, Error> {
    let prefix = match wire {
        Wire::S3 => "x-amz-",
        Wire::Oss => "x-oss-",
    };
    HeaderName::from_bytes(format!("{prefix}{what}").as_bytes()).map_err(|_| Error::Unsupported("a header's name"))
}

/// What of the metadata a copy has.
pub(super) enum Told {
    /// The source's.
    Kept,
    /// These headers.
    Anew(HeaderMap),
}

impl Spot {
    /// The value of the header that names this object as the source of a copy.
    fn as_source(&self) -> Result<HeaderValue, Error> {
        let mut text = format!("/{}/{}", self.bucket, encode_path(&self.key));
        if let Some(version) = &self.version {
            text.push_str(&format!("?{VERSION}={}", encode_query(version)));
        }
        HeaderValue::from_str(&text).map_err(|_| Error::Unsupported("the upstream cannot be told this name"))
    }

    /// Copies another object here. With `etag`, only if the source still has it: for upstreams that can. Gives the copy's
    /// ETag.
    pub(super) async fn copy_from(&self, source: &Spot, told: Told, etag: Option<&str>) -> Result<String, Error> {
        let wire = self.target.client.wire;
        let mut call = Call::object(Method::PUT, &self.bucket, &self.key);
        call.headers.insert(copy_header(wire, "copy-source")?, source.as_source()?);
        let directive = match told {
            Told::Kept => "COPY",
            Told::Anew(headers) => {
                call.headers.extend(headers);
                "REPLACE"
            }
        };
        call.headers.insert(copy_header(wire, "metadata-directive")?, HeaderValue::from_static(directive));
        if let Some(etag) = etag {
            call = call.header(copy_header(wire, "copy-source-if-match")?, &format!("\"{etag}\""));
        }
        let (_, body) = match self.target.client.ask(&call, Bytes::new(), Again::Always).await {
            Ok(answer) => answer,
            Err(failure) if failure.is_refusal() => return Err(Error::Changed),
            Err(failure) => return Err(failure.into()),
        };
        copied_etag(&body)
    }

    /// Copies an object of any length here.
    pub(super) async fn copy_all_from(&self, source: &Spot, len: u64, headers: HeaderMap) -> Result<(), Error> {
        if len <= MAX_COPY {
            return self.copy_from(source, Told::Anew(headers), None).await.map(drop);
        }
        let raw = Raw::start(self.clone(), headers).await?;
        let upload = raw.as_kept();
        let starts = (0..).zip((0..len).step_by(usize::try_from(COPY_PART).unwrap_or(usize::MAX)));
        let copies = starts.map(|(nth, start): (u32, u64)| {
            let upload = upload.clone();
            async move {
                let number = nth.saturating_add(1);
                let end = start.saturating_add(COPY_PART).min(len);
                Ok::<_, Error>((number, upload.copy_part(number, source, start, end).await?))
            }
        });
        let parts: Vec<_> = stream::iter(copies).buffered(COPIES_AT_ONCE).try_collect().await?;
        upload.complete(&parts).await?;
        drop(raw.kept());
        Ok(())
    }
}

impl super::gathered::Kept {
    /// Makes a part of bytes that are in an object already, `end` exclusive. Gives the part's ETag.
    pub(super) async fn copy_part(&self, number: u32, source: &Spot, start: u64, end: u64) -> Result<String, Error> {
        let wire = self.spot.target.client.wire;
        let mut call = self.part_call(number);
        call.headers.insert(copy_header(wire, "copy-source")?, source.as_source()?);
        let range = format!("bytes={start}-{}", end.saturating_sub(1));
        call = call.header(copy_header(wire, "copy-source-range")?, &range);
        let (_, body) = self.spot.target.client.ask(&call, Bytes::new(), Again::Always).await?;
        copied_etag(&body)
    }
}

/// The ETag of a copy. A failure can stand in the body of a 200.
fn copied_etag(body: &[u8]) -> Result<String, Error> {
    let root = xml::parse(body).map_err(|_| Error::Unavailable("the upstream's answer cannot be read".to_owned()))?;
    let etag = unquoted(root.text("ETag"));
    if root.name == "Error" || etag.is_empty() {
        return Err(Error::Unavailable(format!("the upstream did not copy: {}", root.text("Code"))));
    }
    Ok(etag)
}

/// Copies an object as a plan says.
pub(super) async fn copy(source: Spot, spot: Spot, plan: CopyPlan, shop: &Shop) -> Result<StoredObject, Error> {
    let to = Arc::clone(&spot.target);
    let (_, _, tag) = &plan.source;
    if !Arc::ptr_eq(&source.target, &to) {
        return across(source, spot, plan, shop).await;
    }
    let write = fresh_write()?;
    let headers = encode(&plan.metadata, &write, to.client.wire, to.abilities.metadata)?;
    let there = source.look_without_body().await?;
    if there.tag != *tag {
        return Err(Error::Changed);
    }
    let source = source.at_version(&there.version);
    let claim = turn(&spot, &plan.target, &plan.commit.precondition).await?;
    under(claim, guarded(&source, &spot, split_tag(tag), there.len.0, headers)).await?;
    let headers = match spot.headers().await {
        // Deleted since: it was made all the same.
        Err(Error::NoSuchObject) => HeaderMap::new(),
        headers => headers?,
    };
    let here = write_of(&headers, to.client.wire) == write;
    // Overwritten since: it was made all the same.
    let etag = if here { super::headers::etag_of(&headers) } else { String::new() };
    let version = if here {
        spot.made(&headers, &write, &plan.metadata).await
    } else {
        spot.made(&HeaderMap::new(), &write, &plan.metadata).await
    };
    spot.at_version(&version).lock(&plan.commit.lock).await?;
    let object = StoredObject {
        version,
        metadata: plan.metadata,
        summary: plan.commit.summary,
        tail: Bytes::new(),
        len: there.len,
        tag: tag_of(&etag, &write),
        modified: written_at(&headers, shop.clock.as_ref()),
        lock: plan.commit.lock,
    };
    if here {
        shop.memory.keep(&plan.target, &object);
    }
    Ok(object)
}

/// Copies from another upstream. Of the source's body what was looked at is read, or nothing.
async fn across(source: Spot, spot: Spot, plan: CopyPlan, shop: &Shop) -> Result<StoredObject, Error> {
    let object = source.look_without_body().await?;
    if object.tag != plan.source.2 {
        return Err(Error::Changed);
    }
    let len = object.len;
    // What is longer than one PUT may be goes as an upload.
    let declared = (len.0 <= MAX_COPY).then_some(len);
    let ahead = Ahead { len: declared, precondition: plan.commit.precondition.clone() };
    let mut writer = PutWriter::begin(spot, &plan.target, plan.metadata, &ahead, shop)?;
    let source = Opened { spot: source, object };
    let mut body = source.read(CipherOffset(0)..len, STREAMED).await?;
    while let Some(chunk) = body.try_next().await? {
        writer.write(chunk.freeze()).await?;
    }
    Box::new(writer).commit(plan.commit).await
}

/// Copies the write of this ETag and name, and no other.
async fn guarded(
    source: &Spot,
    spot: &Spot,
    (etag, write): (&str, &str),
    len: u64,
    headers: HeaderMap,
) -> Result<(), Error> {
    let target = &spot.target;
    if source.is_for_good() && len <= MAX_COPY {
        return spot.copy_from(source, Told::Anew(headers), None).await.map(drop);
    }
    if target.abilities.conditional_copy && len <= MAX_COPY {
        return spot.copy_from(source, Told::Anew(headers), Some(etag)).await.map(drop);
    }
    let private = reserved_spot(target, &format!("private/{}", fresh_write()?));
    let copied = async {
        if len <= MAX_COPY {
            private.copy_from(source, Told::Kept, None).await?;
            let there = private.headers().await?;
            if super::headers::etag_of(&there) != etag || write_of(&there, target.client.wire) != write {
                return Err(Error::Changed);
            }
            spot.copy_from(&private, Told::Anew(headers), None).await.map(drop)
        } else {
            Err(Error::Changed)
        }
    };
    let copied = copied.await;
    if let Err(error) = private.remove().await {
        tracing::warn!(%error, "a private copy stays in the reserved place");
    }
    copied
}
