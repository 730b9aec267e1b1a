//! HTML forms (S3's POST Object): a form is read up to its file, verified, and becomes the PutObject that it means.
//! <https://docs.aws.amazon.com/AmazonS3/latest/API/RESTObjectPOST.html>
//!
//! Only `POST` on a bucket, without a query, with `multipart/form-data`, is a form. Every other POST, whatever its
//! content type, takes the same way through the signature as all requests do.

mod fields;
mod multipart;
mod reply;
#[cfg(test)]
mod tests;

use std::ops::RangeInclusive;
use std::time::Duration;

use bytes::Bytes;
use http::request::Parts;
use http::{Method, header};
use http_body::Body;
use http_body_util::BodyExt as _;

use crate::dialect::s3::route::{Target, target};
use crate::gateway::BodyError;
use crate::identity::{FormFields, Transport, percent_decode};

use super::body::{Decoding, connection_error};
use super::framing::{MAX_OBJECT, content_length, is_form};
use super::{Admitted, BodyFailure, BoxError, Edge, EdgeBody, EdgeError};
pub(crate) use multipart::{Event, FormFlaw, FormParser, MAX_FIELDS};
pub use reply::FormReply;

/// How long the fields before the file may take in all: they are read before anyone is known to have sent them.
const FIELDS_TIMEOUT: Duration = Duration::from_secs(30);

/// Whether a request is a form; `virtual_host`: the bucket is in the host.
pub(super) fn is_posted(parts: &Parts, virtual_host: bool) -> bool {
    parts.method == Method::POST
        && is_form(&parts.headers)
        && parts.uri.query().is_none_or(str::is_empty)
        && target(parts.uri.path(), virtual_host) == Target::Bucket
}

impl From<FormFlaw> for BodyError {
    fn from(flaw: FormFlaw) -> Self {
        match flaw {
            FormFlaw::Malformed(why) => Self::MalformedForm(why),
            FormFlaw::TooLong => Self::FormTooLong,
        }
    }
}

impl Edge {
    /// Verifies a form. Its fields are read here, some kilobytes at most; of the file nothing is asked for yet.
    pub(super) async fn admit_form<B>(
        &self,
        parts: Parts,
        mut body: B,
        transport: Transport,
        bucket_in_host: Option<String>,
    ) -> Result<Admitted<B>, EdgeError>
    where
        B: Body<Data = Bytes> + Unpin,
        B::Error: Into<BoxError>,
    {
        self.verifier.check_form_head(&parts)?;
        let len = content_length(&parts.headers)?.ok_or(EdgeError::LengthMissing)?;
        let maximum = MAX_OBJECT.saturating_add(2 * MAX_FIELDS as u64);
        if len > maximum {
            return Err(EdgeError::TooLarge { proposed: len, maximum: MAX_OBJECT });
        }
        let content_type = parts.headers.get(header::CONTENT_TYPE).map(header::HeaderValue::as_bytes);
        let mut parser = FormParser::new(content_type.unwrap_or_default()).map_err(BodyError::from)?;
        let reading = read_fields(&mut parser, &mut body);
        let (mut fields, file_name) =
            tokio::time::timeout(FIELDS_TIMEOUT, reading).await.map_err(|_| BodyError::Timeout)??;
        fields.replace_file_name(base_name(file_name.as_deref().unwrap_or_default()));

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
        let file = FormFile { parser, len: 0, allowed: low..=high, ended: false };
        let failure = BodyFailure::default();
        let decoding = Decoding::Form(Box::new(file));
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

/// Reads a form up to its file: the fields, and the file's name.
async fn read_fields<B>(parser: &mut FormParser, body: &mut B) -> Result<(FormFields, Option<String>), EdgeError>
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: Into<BoxError>,
{
    let mut fields = FormFields::default();
    loop {
        match parser.next().map_err(BodyError::from)? {
            Some(Event::Field { name, value }) => fields.add(&name, value)?,
            Some(Event::File { name }) => return Ok((fields, name)),
            Some(Event::Data(_) | Event::FileEnd) => return Err(EdgeError::FormFileMissing),
            None => match body.frame().await {
                Some(Ok(frame)) => parser.push(&frame.into_data().unwrap_or_default()),
                Some(Err(error)) => return Err(connection_error(error.into().as_ref()).into()),
                None => {
                    parser.finish().map_err(BodyError::from)?;
                    return Err(EdgeError::FormFileMissing);
                }
            },
        }
    }
}

/// What follows the last slash or backslash: some browsers send the whole path.
fn base_name(path: &str) -> &str {
    path.rsplit(['/', '\\']).next().unwrap_or_default()
}

/// The file of a form while it streams.
#[derive(Debug)]
pub(super) struct FormFile {
    parser: FormParser,
    len: u64,
    allowed: RangeInclusive<u64>,
    ended: bool,
}

impl FormFile {
    /// The next bytes of the file; `pending` is taken.
    pub(super) fn decode(&mut self, pending: &mut Bytes) -> Result<Option<Bytes>, BodyError> {
        if !pending.is_empty() {
            self.parser.push(pending);
            pending.clear();
        }
        loop {
            match self.parser.next()? {
                Some(Event::Data(data)) => {
                    self.len = self.len.saturating_add(data.len() as u64);
                    if self.len > *self.allowed.end() {
                        return Err(BodyError::FileTooLarge { proposed: self.len, maximum: *self.allowed.end() });
                    }
                    return Ok(Some(data));
                }
                Some(Event::FileEnd) => self.ended = true,
                Some(Event::Field { .. } | Event::File { .. }) => {}
                None => return Ok(None),
            }
        }
    }

    /// The wire has ended: is the file whole, and as long as it must be?
    pub(super) fn finish(&mut self) -> Result<(), BodyError> {
        self.parser.finish()?;
        if !self.ended {
            return Err(BodyError::Incomplete);
        }
        if self.len < *self.allowed.start() {
            return Err(BodyError::FileTooSmall { proposed: self.len, minimum: *self.allowed.start() });
        }
        Ok(())
    }
}
