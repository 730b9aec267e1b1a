//! Conditions and ranges under S3's own header names. The common ones are read by [`crate::dialect::conditions`].

use http::HeaderMap;

pub(super) use crate::dialect::conditions::{conditions, http_date, range};
use crate::dialect::conditions::{parse_range, read};
use crate::gateway::{Conditions, EtagMatch, RangeSpec};

use super::error::Face;

/// The conditions on the source of a copy.
pub(super) fn source_conditions(headers: &HeaderMap) -> Conditions {
    read(
        headers,
        [
            "x-amz-copy-source-if-match",
            "x-amz-copy-source-if-none-match",
            "x-amz-copy-source-if-modified-since",
            "x-amz-copy-source-if-unmodified-since",
        ],
    )
}

/// The conditions on what a write replaces. S3 knows `If-Match` and, of `If-None-Match`, only `*`.
pub(super) fn write_conditions(headers: &HeaderMap) -> Result<Conditions, Face> {
    let conditions = Conditions { if_modified_since: None, if_unmodified_since: None, ..conditions(headers) };
    match conditions.if_none_match {
        None | Some(EtagMatch::Any) => Ok(conditions),
        Some(EtagMatch::OneOf(_)) => Err(Face::not_implemented("If-None-Match with an entity tag on a write")),
    }
}

/// `x-amz-copy-source-range`: `bytes=first-last`, both given.
pub(super) fn copy_source_range(headers: &HeaderMap) -> Result<Option<(u64, u64)>, Face> {
    let Some(value) = headers.get("x-amz-copy-source-range") else { return Ok(None) };
    match value.to_str().ok().and_then(parse_range) {
        Some(RangeSpec::Bounded(first, last)) => Ok(Some((first, last))),
        Some(RangeSpec::From(_) | RangeSpec::Suffix(_)) | None => Err(Face::invalid_argument(
            "The x-amz-copy-source-range value must be of the form bytes=first-last where first and last are the \
             zero-based offsets of the first and last bytes to copy",
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::{HeaderName, HeaderValue};

    fn headers(pairs: &[(&str, &str)]) -> HeaderMap {
        pairs
            .iter()
            .map(|(name, value)| (HeaderName::try_from(*name).unwrap(), HeaderValue::try_from(*value).unwrap()))
            .collect()
    }

    #[test]
    fn a_copy_range_needs_both_ends() {
        let ask = |text| copy_source_range(&headers(&[("x-amz-copy-source-range", text)]));
        assert_eq!(ask("bytes=1-9").unwrap(), Some((1, 9)));
        for bad in ["bytes=1-", "bytes=-1", "1-9", "bytes=9-1"] {
            assert_eq!(ask(bad).unwrap_err().code, "InvalidArgument", "{bad}");
        }
    }

    #[test]
    fn a_write_takes_if_none_match_only_with_a_star() {
        assert!(write_conditions(&headers(&[("if-none-match", "*")])).unwrap().if_none_match.is_some());
        assert_eq!(write_conditions(&headers(&[("if-none-match", "\"e\"")])).unwrap_err().code, "NotImplemented");
    }
}
