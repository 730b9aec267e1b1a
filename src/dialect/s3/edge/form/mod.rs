//! HTML forms (S3's POST Object): a form is read up to its file, verified, and becomes the PutObject that it means.
//! <https://docs.aws.amazon.com/AmazonS3/latest/API/RESTObjectPOST.html>
//!
//! Only `POST` on a bucket, without a query, with `multipart/form-data`, is a form. Every other POST, whatever its
//! content type, takes the same way through the signature as all requests do.

mod fields;
#[cfg(test)]
mod tests;

use std::ops::RangeInclusive;

use bytes::Bytes;
use http::request::Parts;
use http::{Method, header};
use http_body::Body;

use crate::dialect::form::{self, FormFile, MAX_FIELDS, Posted};
#[cfg(test)]
use crate::dialect::form::{Event, FormFlaw, FormParser};
use crate::dialect::s3::route::{Target, target};
use crate::gateway::BodyError;
use crate::identity::{Transport, percent_decode};

use super::framing::{MAX_OBJECT, content_length};
use super::{Admitted, BodyFailure, BoxError, Decoding, Edge, EdgeBody, EdgeError, authenticate};
pub use crate::dialect::form::FormReply;

/// Whether a request is a form; `virtual_host`: the bucket is in the host.
pub(super) fn is_posted(parts: &Parts, virtual_host: bool) -> bool {
    let content_type = parts.headers.get(header::CONTENT_TYPE).map(header::HeaderValue::as_bytes).unwrap_or_default();
    parts.method == Method::POST
        && form::is_form(content_type)
        && parts.uri.query().is_none_or(str::is_empty)
        && target(parts.uri.path(), virtual_host) == Target::Bucket
}

impl From<form::ReadError> for EdgeError {
    fn from(error: form::ReadError) -> Self {
        match error {
            form::ReadError::Body(error) => Self::Body(error),
            form::ReadError::Field(error) => Self::Form(error),
            form::ReadError::FileMissing => Self::FormFileMissing,
        }
    }
}

impl Edge {
    /// Verifies a form. Its fields are read here, some kilobytes at most; of the file nothing is asked for yet.
    pub(super) async fn admit_form<B>(
        &self,
        parts: Parts,
        body: B,
        transport: Transport,
    ) -> Result<Admitted<B>, EdgeError>
    where
        B: Body<Data = Bytes> + Unpin,
        B::Error: Into<BoxError>,
    {
        let posted = self.read_form(&parts, body).await?;
        self.admit_posted(parts, posted, transport)
    }

    /// Whether a request is a form, posted to a bucket.
    pub(in crate::dialect) fn is_posted(&self, parts: &Parts) -> bool {
        is_posted(parts, authenticate::bucket_in_host(parts, &self.base_domains).is_some())
    }

    /// Reads a form up to its file.
    ///
    /// # Errors
    /// As [`Edge::admit`].
    pub(in crate::dialect) async fn read_form<B>(&self, parts: &Parts, body: B) -> Result<Posted<B>, EdgeError>
    where
        B: Body<Data = Bytes> + Unpin,
        B::Error: Into<BoxError>,
    {
        let content_type = parts.headers.get(header::CONTENT_TYPE).map(header::HeaderValue::as_bytes);
        self.check_form(parts)?;
        Ok(form::read(content_type.unwrap_or_default(), body).await?)
    }

    /// Checks the head of a form, before anything of it is read: its length.
    fn check_form(&self, parts: &Parts) -> Result<u64, EdgeError> {
        self.verifier.check_form_head(parts)?;
        let len = content_length(&parts.headers)?.ok_or(EdgeError::LengthMissing)?;
        let maximum = MAX_OBJECT.saturating_add(2 * MAX_FIELDS as u64);
        if len > maximum {
            return Err(EdgeError::TooLarge { proposed: len, maximum: MAX_OBJECT });
        }
        Ok(len)
    }

    /// Verifies a form whose fields have been read.
    ///
    /// # Errors
    /// As [`Edge::admit`].
    pub(in crate::dialect) fn admit_posted<B>(
        &self,
        parts: Parts,
        posted: Posted<B>,
        transport: Transport,
    ) -> Result<Admitted<B>, EdgeError>
    where
        B: Body<Data = Bytes> + Unpin,
        B::Error: Into<BoxError>,
    {
        let len = self.check_form(&parts)?;
        let Posted { fields, parser, body } = posted;
        let bucket_in_host = authenticate::bucket_in_host(&parts, &self.base_domains);
        let bucket = match &bucket_in_host {
            Some(bucket) => bucket.clone(),
            None => bucket_of(parts.uri.path())?,
        };
        let identified = self.verifier.identify_form(&fields, &bucket)?;
        let (parts, form) = fields::into_put(parts, &fields, &bucket, bucket_in_host.is_some(), len, transport)?;
        let (low, high) = identified.length.map_or((0, u64::MAX), RangeInclusive::into_inner);
        let high = high.min(MAX_OBJECT);
        // What surrounds the file is bounded, so a file that must be too long is refused before it comes.
        let proposed = len.saturating_sub(2 * MAX_FIELDS as u64);
        if proposed > high {
            return Err(BodyError::FileTooLarge { proposed, maximum: high }.into());
        }
        let failure = BodyFailure::default();
        let decoding = Decoding::Form(Box::new(FormFile::new(parser, low..=high)));
        let body = EdgeBody::new(body, decoding, len, self.idle_timeout, failure.clone(), None);
        Ok(Admitted {
            parts,
            body,
            caller: identified.caller,
            transport,
            trailing_checksum: None,
            trailers: None,
            failure,
            form: Some(form),
        })
    }
}

fn bucket_of(path: &str) -> Result<String, EdgeError> {
    let name = percent_decode(path.trim_matches('/').as_bytes()).into_owned();
    let flaw = BodyError::MalformedForm("the bucket's name is not text");
    Ok(String::from_utf8(name).map_err(|_| flaw)?.trim_end_matches('/').to_owned())
}
