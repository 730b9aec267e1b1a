//! The encryption headers of a request, taken out before anything logs or parses the rest.

use std::fmt;

use http::{HeaderMap, HeaderName, HeaderValue};

use crate::dialect::customer_key::CustomerHeaders;

const TARGET: &str = "x-amz-server-side-encryption";
const SOURCE: &str = "x-amz-copy-source-server-side-encryption";

/// A request's encryption headers, unparsed. They are kept apart from the other headers because `s3s` logs whole
/// requests at debug level. Never printed.
#[derive(Default)]
pub struct SseHeaders {
    /// `x-amz-server-side-encryption`.
    pub(super) method: Option<String>,
    /// `…-aws-kms-key-id`.
    pub(super) kms_key_id: Option<String>,
    /// `…-context`.
    pub(super) context: Option<String>,
    /// `…-bucket-key-enabled`.
    pub(super) bucket_key: Option<String>,
    /// The trio for the object that is read or written.
    pub(super) customer: CustomerHeaders,
    /// The trio for the source of a copy.
    pub(super) source: CustomerHeaders,
    /// The first header that was sent twice, is not text, or has an unknown name under the two prefixes.
    pub(super) malformed: Option<String>,
}

impl SseHeaders {
    /// Takes every header under the two encryption prefixes out of `headers`. What cannot be read is remembered, so
    /// that the request is refused rather than served with an ignored encryption header.
    #[must_use]
    pub fn take(headers: &mut HeaderMap) -> Self {
        let names: Vec<HeaderName> = headers
            .keys()
            .filter(|name| name.as_str().starts_with(TARGET) || name.as_str().starts_with(SOURCE))
            .cloned()
            .collect();
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
        let Some(rest) = name.strip_prefix(TARGET) else { return false };
        let slot = match rest {
            "" => &mut self.method,
            "-aws-kms-key-id" => &mut self.kms_key_id,
            "-context" => &mut self.context,
            "-bucket-key-enabled" => &mut self.bucket_key,
            _ => return self.customer.accept(rest, text),
        };
        *slot = Some(text.to_owned());
        true
    }
}

impl fmt::Debug for SseHeaders {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SseHeaders")
            .field("method", &self.method)
            .field("customer", &self.customer.any())
            .field("source", &self.source.any())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_encryption_header_leaves_the_map_and_no_other() {
        let mut headers = HeaderMap::new();
        for name in [
            "x-amz-server-side-encryption",
            "x-amz-server-side-encryption-customer-key",
            "x-amz-copy-source-server-side-encryption-customer-key",
            "x-amz-server-side-encryption-context",
        ] {
            headers.insert(name, HeaderValue::from_static("v"));
        }
        headers.insert("x-amz-copy-source", HeaderValue::from_static("b/k"));
        let taken = SseHeaders::take(&mut headers);
        assert_eq!(headers.keys().map(HeaderName::as_str).collect::<Vec<_>>(), ["x-amz-copy-source"]);
        assert_eq!(taken.method.as_deref(), Some("v"));
        assert!(taken.customer.any() && taken.source.any() && taken.malformed.is_none());
        assert!(!format!("{taken:?}").contains("key"), "the key must not be printed");
    }

    #[test]
    fn repeated_and_unknown_encryption_headers_are_remembered() {
        let mut headers = HeaderMap::new();
        headers.append("x-amz-server-side-encryption", HeaderValue::from_static("AES256"));
        headers.append("x-amz-server-side-encryption", HeaderValue::from_static("aws:kms"));
        assert_eq!(SseHeaders::take(&mut headers).malformed.as_deref(), Some("x-amz-server-side-encryption"));
        assert!(headers.is_empty());
        headers.append("x-amz-server-side-encryption-new", HeaderValue::from_static("1"));
        assert!(SseHeaders::take(&mut headers).malformed.is_some());
    }
}
