//! How a form wants to be answered: a status, a document, or another page.

use http::{HeaderMap, HeaderValue, Response, StatusCode, Uri, header};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use quick_xml::escape::escape;

use crate::identity::FormFields;

/// The answer that a form asks for when its file is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FormReply {
    pub(in crate::dialect) bucket: String,
    key: String,
    location: String,
    outcome: Outcome,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Outcome {
    Redirect(String),
    Status(StatusCode),
}

impl Outcome {
    /// S3 redirects when the form has a URL to redirect to, and takes any status that is not one of three as 204.
    fn of(fields: &FormFields) -> Self {
        let target = fields.get("success_action_redirect").or(fields.get("redirect"));
        let url = target.filter(|text| {
            let absolute = |uri: &Uri| matches!(uri.scheme_str(), Some("http" | "https")) && uri.host().is_some();
            text.parse::<Uri>().is_ok_and(|uri| absolute(&uri)) && !text.contains('#')
        });
        match (url, fields.get("success_action_status")) {
            (Some(url), _) => Self::Redirect(url.to_owned()),
            (None, Some("200")) => Self::Status(StatusCode::OK),
            (None, Some("201")) => Self::Status(StatusCode::CREATED),
            (None, _) => Self::Status(StatusCode::NO_CONTENT),
        }
    }
}

impl FormReply {
    /// The answer that these fields ask for; `location` is the object's URL.
    pub(crate) fn new(fields: &FormFields, bucket: &str, key: &str, location: String) -> Self {
        Self { bucket: bucket.to_owned(), key: key.to_owned(), location, outcome: Outcome::of(fields) }
    }

    /// Turns a PutObject's answer into the form's. What failed is answered as it is.
    #[must_use]
    pub fn answer<T>(self, mut response: Response<T>, body: impl FnOnce(String) -> T) -> Response<T> {
        if !response.status().is_success() {
            return response;
        }
        let etag = response.headers().get(header::ETAG).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let etag = etag.to_owned();
        let mut document = String::new();
        let status = match &self.outcome {
            Outcome::Redirect(_) => StatusCode::SEE_OTHER,
            Outcome::Status(status) => *status,
        };
        if status == StatusCode::CREATED {
            document = self.document(&etag);
        }
        let headers = response.headers_mut();
        headers.remove(header::CONTENT_TYPE);
        headers.remove(header::CONTENT_LENGTH);
        if status == StatusCode::CREATED {
            headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/xml"));
        }
        self.locate(&etag, headers);
        *response.status_mut() = status;
        *response.body_mut() = body(document);
        response
    }

    fn locate(&self, etag: &str, headers: &mut HeaderMap) {
        let encoded = |text: &str| utf8_percent_encode(text, NON_ALPHANUMERIC).to_string();
        let location = match &self.outcome {
            Outcome::Status(_) => self.location.clone(),
            Outcome::Redirect(url) => {
                let separator = if url.contains('?') { '&' } else { '?' };
                format!(
                    "{url}{separator}bucket={}&key={}&etag={}",
                    encoded(&self.bucket),
                    encoded(&self.key),
                    encoded(etag)
                )
            }
        };
        // A URL was parsed as one, and a path is encoded: neither has a line break.
        if let Ok(value) = HeaderValue::try_from(location) {
            headers.insert(header::LOCATION, value);
        }
    }

    fn document(&self, etag: &str) -> String {
        format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<PostResponse><Location>{}</Location><Bucket>{}</Bucket>\
             <Key>{}</Key><ETag>{}</ETag></PostResponse>",
            escape(self.location.as_str()),
            escape(self.bucket.as_str()),
            escape(self.key.as_str()),
            escape(etag)
        )
    }
}
