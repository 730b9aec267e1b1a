//! The encryption headers of a request, taken out before anything logs or parses the rest.

use std::fmt;

use http::{HeaderMap, HeaderName, HeaderValue};

use crate::dialect::customer_key::CustomerHeaders;

const TARGET: &str = "x-oss-server-side-encryption";
const DATA: &str = "x-oss-server-side-data-encryption";
const SOURCE: &str = "x-oss-copy-source-server-side-encryption";

/// A request's encryption headers, unparsed. Never printed.
#[derive(Default)]
pub(crate) struct SseHeaders {
    /// `x-oss-server-side-encryption`.
    pub(crate) method: Option<String>,
    /// `…-key-id`.
    pub(crate) key_id: Option<String>,
    /// `x-oss-server-side-data-encryption`.
    pub(crate) data: Option<String>,
    /// `…-context`.
    pub(crate) context: Option<String>,
    /// The customer key for the object that is read or written.
    pub(crate) customer: CustomerHeaders,
    /// The customer key for the source of a copy.
    pub(crate) source: CustomerHeaders,
    /// The first header that was sent twice, is not text, or has an unknown name under the prefixes.
    pub(crate) malformed: Option<String>,
}

impl SseHeaders {
    /// Takes every header under the encryption prefixes out of `headers`. What cannot be read is remembered, so that the
    /// request is refused rather than served with an ignored encryption header.
    pub(crate) fn take(headers: &mut HeaderMap) -> Self {
        let is_ours =
            |name: &&HeaderName| [TARGET, DATA, SOURCE].iter().any(|prefix| name.as_str().starts_with(prefix));
        let names: Vec<HeaderName> = headers.keys().filter(is_ours).cloned().collect();
        let mut taken = Self::default();
        for name in names {
            let repeated = headers.get_all(&name).iter().count() > 1;
            let Some(value) = headers.remove(&name) else { continue };
            if repeated || !taken.accept(name.as_str(), &value) {
                taken.malformed.get_or_insert_with(|| name.as_str().to_owned());
            }
        }
        taken
    }

    fn accept(&mut self, name: &str, value: &HeaderValue) -> bool {
        let Ok(text) = std::str::from_utf8(value.as_bytes()) else { return false };
        if let Some(rest) = name.strip_prefix(SOURCE) {
            return self.source.accept(rest, text);
        }
        let slot = match name.strip_prefix(TARGET) {
            None if name == DATA => &mut self.data,
            None => return false,
            Some("") => &mut self.method,
            Some("-key-id") => &mut self.key_id,
            Some("-context") => &mut self.context,
            Some(rest) => return self.customer.accept(rest, text),
        };
        *slot = Some(text.to_owned());
        true
    }
}

impl fmt::Debug for SseHeaders {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SseHeaders").field("method", &self.method).finish_non_exhaustive()
    }
}
