//! A body of unknown length on its way upstream (the file of an HTML form): gathered into parts of eight mebibytes, which
//! make an upload of the upstream's. A shorter body goes in one piece.

use bytes::{Bytes, BytesMut};
use http::header::HeaderMap;
use http::{Method, StatusCode};

use super::client::{Again, Call};
use super::failure::Failure;
use super::headers::{etag_of, unquoted};
use super::multipart::LEAST_PART;
use super::target::Spot;
use super::xml;
use crate::store::Error;

/// The length of a part.
const PART: usize = 8 << 20;
/// The most that is copied as one part (S3: 5 GiB).
const COPIED: u64 = 4 << 30;

/// An upload of the upstream's. Given up when it is dropped unfinished.
pub(super) struct Raw {
    spot: Spot,
    id: Option<String>,
}

impl Raw {
    /// Starts an upload of an object with these headers.
    pub(super) async fn start(spot: Spot, headers: HeaderMap) -> Result<Self, Error> {
        let call = Call::object(Method::POST, &spot.bucket, &spot.key).query("uploads", "").headers(headers);
        let (_, body) = spot.target.client.ask(&call, Bytes::new(), Again::Always).await?;
        let root = xml::parse(&body).ok();
        let id = root.map(|root| root.text("UploadId").to_owned()).filter(|id| !id.is_empty());
        let id = id.ok_or_else(|| Error::Unavailable("the upstream names no upload".to_owned()))?;
        Ok(Self { spot, id: Some(id) })
    }

    /// An upload that was started before. It is nobody's to give up by accident.
    pub(super) fn resume(spot: Spot, id: String) -> Kept {
        Kept { spot, id }
    }

    pub(super) fn kept(mut self) -> Kept {
        Kept { spot: self.spot.clone(), id: self.id.take().unwrap_or_default() }
    }

    pub(super) fn as_kept(&self) -> Kept {
        Kept { spot: self.spot.clone(), id: self.id.clone().unwrap_or_default() }
    }
}

impl Drop for Raw {
    fn drop(&mut self) {
        let Some(id) = self.id.take() else { return };
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            let kept = Kept { spot: self.spot.clone(), id };
            runtime.spawn(async move {
                if let Err(error) = kept.abort().await {
                    tracing::warn!(%error, "an upload upstream cannot be given up");
                }
            });
        }
    }
}

/// An upload of the upstream's that lives until somebody ends it.
#[derive(Debug, Clone)]
pub(super) struct Kept {
    pub(super) spot: Spot,
    pub(super) id: String,
}

impl Kept {
    /// The request that sends a part.
    pub(super) fn part_call(&self, number: u32) -> Call {
        Call::object(Method::PUT, &self.spot.bucket, &self.spot.key)
            .query("partNumber", number.to_string())
            .query("uploadId", self.id.clone())
    }

    /// Sends a part that is all here. Gives its ETag.
    pub(super) async fn send(&self, number: u32, body: Bytes) -> Result<String, Error> {
        let (headers, _) = self.spot.target.client.ask(&self.part_call(number), body, Again::Always).await?;
        Ok(etag_of(&headers))
    }

    /// Makes the object. Gives the headers of the answer and the object's ETag, which may be empty (Ceph).
    pub(super) async fn complete(&self, parts: &[(u32, String)]) -> Result<(HeaderMap, String), Failure> {
        let call = Call::object(Method::POST, &self.spot.bucket, &self.spot.key).query("uploadId", self.id.clone());
        let document = xml::complete(parts.iter().map(|(number, etag)| (*number, etag.as_str())));
        let (headers, body) = self.spot.target.client.ask(&call, document.into(), Again::Always).await?;
        // The status goes out before the work is done: a failure can stand in the body of a 200.
        let root = xml::parse(&body).map_err(|_| Failure::Broken("its answer cannot be read".to_owned()))?;
        if root.name == "Error" {
            return Err(Failure::answer(StatusCode::INTERNAL_SERVER_ERROR, &headers, &body));
        }
        Ok((headers, unquoted(root.text("ETag"))))
    }

    /// Gives the upload up.
    pub(super) async fn abort(&self) -> Result<(), Error> {
        let call = Call::object(Method::DELETE, &self.spot.bucket, &self.spot.key).query("uploadId", self.id.clone());
        match self.spot.target.client.ask(&call, Bytes::new(), Again::Always).await {
            Err(failure) if !failure.is_absence() => Err(failure.into()),
            _ => Ok(()),
        }
    }
}

/// A body of unknown length.
pub(super) struct Gathered {
    spot: Spot,
    headers: HeaderMap,
    filling: BytesMut,
    upload: Option<Raw>,
    parts: Vec<(u32, String)>,
}

impl Gathered {
    pub(super) fn new(spot: Spot, headers: HeaderMap) -> Self {
        Self { spot, headers, filling: BytesMut::new(), upload: None, parts: Vec::new() }
    }

    /// Begins with what is at the beginning of an object, copied inside the upstream; false, and nothing done, where that
    /// would be too short for a part.
    pub(super) async fn copy(&mut self, source: &Spot, len: u64) -> Result<bool, Error> {
        if len < LEAST_PART {
            return Ok(false);
        }
        let upload = self.upload().await?;
        let mut start = 0;
        while start < len {
            let left = len - start;
            // No rest that could not stand alone.
            let taken = if left > COPIED { left.min(COPIED) } else { left };
            let taken = if left - taken > 0 && left - taken < LEAST_PART { left - LEAST_PART } else { taken };
            let number = self.next_number();
            let etag = upload.copy_part(number, source, start, start.saturating_add(taken)).await?;
            self.parts.push((number, etag));
            start = start.saturating_add(taken);
        }
        Ok(true)
    }

    fn next_number(&self) -> u32 {
        u32::try_from(self.parts.len()).unwrap_or(u32::MAX).saturating_add(1)
    }

    /// The upload, which is started when there is something for it.
    async fn upload(&mut self) -> Result<Kept, Error> {
        if let Some(upload) = &self.upload {
            return Ok(upload.as_kept());
        }
        let started = Raw::start(self.spot.clone(), self.headers.clone()).await?;
        let kept = started.as_kept();
        self.upload = Some(started);
        Ok(kept)
    }

    /// Takes the next bytes.
    pub(super) async fn write(&mut self, mut chunk: Bytes) -> Result<(), Error> {
        while !chunk.is_empty() {
            if self.filling.len() == PART {
                self.flush().await?;
            }
            let taken = chunk.split_to(chunk.len().min(PART - self.filling.len()));
            self.filling.extend_from_slice(&taken);
        }
        Ok(())
    }

    async fn flush(&mut self) -> Result<(), Error> {
        let upload = self.upload().await?;
        let number = self.next_number();
        let etag = upload.send(number, self.filling.split().freeze()).await?;
        self.parts.push((number, etag));
        Ok(())
    }

    /// Ends the body, and makes it the object.
    pub(super) async fn complete(&mut self) -> Result<HeaderMap, Error> {
        if self.upload.is_none() {
            let call = Call::object(Method::PUT, &self.spot.bucket, &self.spot.key).headers(self.headers.clone());
            let body = self.filling.split().freeze();
            let (headers, _) = self.spot.target.client.ask(&call, body, Again::IfRefused).await?;
            return Ok(headers);
        }
        if !self.filling.is_empty() {
            self.flush().await?;
        }
        let Some(upload) = self.upload.take() else { return Err(Error::NoSuchUpload) };
        upload.as_kept().complete(&self.parts).await?;
        drop(upload.kept());
        // Ceph's answer has no ETag the first time.
        self.spot.headers().await
    }
}
