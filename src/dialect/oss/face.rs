//! A refusal on the wire: status, code, message, and what goes with them.
//! <https://www.alibabacloud.com/help/en/oss/developer-reference/error-responses>

use std::borrow::Cow;

use bytes::Bytes;
use http::{HeaderName, HeaderValue, StatusCode};

use super::xml::Writer;

/// The most characters of a request's own text that an error repeats.
const ECHOED: usize = 256;

/// How a refusal looks on the wire.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Face {
    /// The HTTP status.
    pub(super) status: StatusCode,
    /// OSS's error code.
    pub(super) code: &'static str,
    /// The code of the store behind us, in place of ours: what passes to it is refused in its words.
    pub(super) theirs: Option<String>,
    /// The message; never carries a secret.
    pub(super) message: Cow<'static, str>,
    /// Further elements in order: name and text.
    pub(super) extra: Vec<(&'static str, String)>,
    /// Headers that go with it (`Retry-After`, a 304's `ETag`, a 416's `Content-Range`).
    pub(super) headers: Vec<(HeaderName, HeaderValue)>,
}

impl Face {
    /// A refusal.
    pub(super) fn new(status: StatusCode, code: &'static str, message: impl Into<Cow<'static, str>>) -> Self {
        Self { status, code, theirs: None, message: message.into(), extra: Vec::new(), headers: Vec::new() }
    }

    /// 400.
    pub(super) fn bad(code: &'static str, message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, code, message)
    }

    /// 404.
    pub(super) fn missing(code: &'static str, message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::NOT_FOUND, code, message)
    }

    /// 409.
    pub(super) fn conflict(code: &'static str, message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::CONFLICT, code, message)
    }

    /// 403 AccessDenied.
    pub(super) fn denied(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::FORBIDDEN, "AccessDenied", message)
    }

    /// 400 InvalidArgument.
    pub(super) fn invalid_argument(message: impl Into<Cow<'static, str>>) -> Self {
        Self::bad("InvalidArgument", message)
    }

    /// 400 InvalidArgument that names the header or parameter and repeats its value.
    pub(super) fn argument(name: &str, value: &str, message: impl Into<Cow<'static, str>>) -> Self {
        Self::invalid_argument(message).with("ArgumentName", name).with("ArgumentValue", value)
    }

    /// 400 MalformedXML.
    pub(super) fn malformed_xml() -> Self {
        Self::bad(
            "MalformedXML",
            "The XML you provided was not well-formed or did not validate against our published schema.",
        )
    }

    /// 400 NotImplemented: OSS has no 501.
    pub(super) fn not_implemented(what: impl std::fmt::Display) -> Self {
        Self::bad("NotImplemented", format!("{what} is not implemented."))
    }

    /// 503: clients retry it.
    pub(super) fn unavailable(message: &'static str) -> Self {
        let face = Self::new(StatusCode::SERVICE_UNAVAILABLE, "ServiceUnavailable", message);
        face.header(http::header::RETRY_AFTER, "2")
    }

    /// 500, which says nothing of what went wrong: that is for the log.
    pub(super) fn internal() -> Self {
        Self::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "InternalError",
            "We encountered an internal error. Please try again.",
        )
    }

    /// Adds an element.
    pub(super) fn with(mut self, name: &'static str, text: impl ToString) -> Self {
        self.extra.push((name, text.to_string().chars().take(ECHOED).collect()));
        self
    }

    /// Adds an element whose text is shown whole: what we signed.
    pub(super) fn with_whole(mut self, name: &'static str, text: String) -> Self {
        self.extra.push((name, text));
        self
    }

    /// Adds a header; one that cannot be a header is left out.
    pub(super) fn header(mut self, name: HeaderName, value: &str) -> Self {
        self.headers.extend(HeaderValue::try_from(value).ok().map(|value| (name, value)));
        self
    }

    /// The error's document.
    pub(super) fn to_xml(&self, request_id: &str, host: &str) -> Bytes {
        let mut out = Writer::new("Error");
        out.text("Code", self.theirs.as_deref().unwrap_or(self.code));
        out.text("Message", &self.message);
        out.text("RequestId", request_id);
        out.text("HostId", host);
        for (name, text) in &self.extra {
            out.text(name, text);
        }
        out.finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_document_has_the_elements_that_clients_read_and_no_namespace() {
        let face = Face::missing("NoSuchKey", "gone").with("Key", "a<b>");
        assert_eq!(
            face.to_xml("R1", "b.oss"),
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>NoSuchKey</Code><Message>gone</Message>\
             <RequestId>R1</RequestId><HostId>b.oss</HostId><Key>a&lt;b&gt;</Key></Error>"
        );
    }

    #[test]
    fn a_header_is_never_split() {
        assert!(Face::internal().header(http::header::ALLOW, "a\r\nb: c").headers.is_empty());
        assert_eq!(Face::unavailable("x").headers.len(), 1);
    }
}
