//! HTML forms as both dialects take them: `multipart/form-data`, fields first, the file last. A form is read up to its
//! file; the file then streams. <https://docs.aws.amazon.com/AmazonS3/latest/API/RESTObjectPOST.html>

mod file;
mod multipart;
mod reply;

use std::time::Duration;

use bytes::Bytes;
use http_body::Body;
use http_body_util::BodyExt as _;

use crate::gateway::BodyError;
use crate::identity::{FormError, FormFields};

use super::body::{BoxError, connection_error};

pub(crate) use file::FormFile;
pub use reply::FormReply;

pub(crate) use multipart::{Event, FormFlaw, FormParser, MAX_FIELDS};

/// How long the fields before the file may take in all: they are read before anyone is known to have sent them.
const FIELDS_TIMEOUT: Duration = Duration::from_secs(30);

/// Whether a content type is that of a form.
pub(super) fn is_form(content_type: &[u8]) -> bool {
    let form = b"multipart/form-data";
    content_type.trim_ascii_start().get(..form.len()).is_some_and(|start| start.eq_ignore_ascii_case(form))
}

/// Why a form is not one, as far as its file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum ReadError {
    /// The body is cut, late or malformed.
    #[error(transparent)]
    Body(#[from] BodyError),
    /// A field is there twice.
    #[error(transparent)]
    Field(#[from] FormError),
    /// There is no file.
    #[error("the form has no file")]
    FileMissing,
}

impl From<FormFlaw> for BodyError {
    fn from(flaw: FormFlaw) -> Self {
        match flaw {
            FormFlaw::Malformed(why) => Self::MalformedForm(why),
            FormFlaw::TooLong => Self::FormTooLong,
        }
    }
}

/// A form whose fields have been read, some kilobytes at most. Of its file nothing has been asked for yet.
#[derive(Debug)]
pub(super) struct Posted<B> {
    /// The fields before the file, `${filename}` replaced.
    pub(super) fields: FormFields,
    /// Stands at the file's first byte.
    pub(super) parser: FormParser,
    /// The rest.
    pub(super) body: B,
}

/// Reads a form up to its file.
pub(super) async fn read<B>(content_type: &[u8], mut body: B) -> Result<Posted<B>, ReadError>
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: Into<BoxError>,
{
    let mut parser = FormParser::new(content_type).map_err(BodyError::from)?;
    let reading = read_fields(&mut parser, &mut body);
    let (mut fields, file_name) =
        tokio::time::timeout(FIELDS_TIMEOUT, reading).await.map_err(|_| BodyError::Timeout)??;
    fields.replace_file_name(base_name(file_name.as_deref().unwrap_or_default()));
    Ok(Posted { fields, parser, body })
}

/// Reads the fields, and the file's name.
async fn read_fields<B>(parser: &mut FormParser, body: &mut B) -> Result<(FormFields, Option<String>), ReadError>
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: Into<BoxError>,
{
    let mut fields = FormFields::default();
    loop {
        match parser.next().map_err(BodyError::from)? {
            Some(Event::Field { name, value }) => fields.add(&name, value)?,
            Some(Event::File { name }) => return Ok((fields, name)),
            Some(Event::Data(_) | Event::FileEnd) => return Err(ReadError::FileMissing),
            None => match body.frame().await {
                Some(Ok(frame)) => parser.push(&frame.into_data().unwrap_or_default()),
                Some(Err(error)) => return Err(connection_error(error.into().as_ref()).into()),
                None => {
                    parser.finish().map_err(BodyError::from)?;
                    return Err(ReadError::FileMissing);
                }
            },
        }
    }
}

/// What follows the last slash or backslash: some browsers send the whole path.
pub(super) fn base_name(path: &str) -> &str {
    path.rsplit(['/', '\\']).next().unwrap_or_default()
}
