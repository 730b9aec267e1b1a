//! Conditional headers, ranges and HTTP dates, read from the raw headers by RFC 9110.

use http::{HeaderMap, header};
use time::format_description::BorrowedFormatItem;
use time::macros::format_description;
use time::{OffsetDateTime, PrimitiveDateTime};

use crate::gateway::{Conditions, EtagMatch, RangeSpec};
use crate::types::Timestamp;

const IMF_FIXDATE: &[BorrowedFormatItem<'_>] =
    format_description!("[weekday repr:short], [day] [month repr:short] [year] [hour]:[minute]:[second] GMT");
const ASCTIME: &[BorrowedFormatItem<'_>] =
    format_description!("[weekday repr:short] [month repr:short] [day padding:space] [hour]:[minute]:[second] [year]");

/// A moment as HTTP writes it (RFC 9110 §5.6.7), whole seconds.
pub(super) fn http_date(at: Timestamp) -> String {
    let seconds = i64::try_from(at.0 / 1000).unwrap_or(i64::MAX);
    OffsetDateTime::from_unix_timestamp(seconds)
        .unwrap_or(OffsetDateTime::UNIX_EPOCH)
        .format(IMF_FIXDATE)
        .unwrap_or_default()
}

/// Reads a moment; two of the three forms of RFC 9110 §5.6.7.
pub(super) fn parse_http_date(text: &str) -> Option<Timestamp> {
    let text = text.trim();
    let parsed =
        PrimitiveDateTime::parse(text, IMF_FIXDATE).or_else(|_| PrimitiveDateTime::parse(text, ASCTIME)).ok()?;
    let seconds = u64::try_from(parsed.assume_utc().unix_timestamp()).ok()?;
    seconds.checked_mul(1000).map(Timestamp)
}

/// `If-Match`, `If-None-Match`, `If-Modified-Since` and `If-Unmodified-Since`. A date that is none is ignored, as
/// RFC 9110 §13.1.3 asks.
pub(super) fn conditions(headers: &HeaderMap) -> Conditions {
    read(headers, ["if-match", "if-none-match", "if-modified-since", "if-unmodified-since"])
}

/// Conditions under these names, in the order of [`Conditions`]'s fields.
pub(super) fn read(headers: &HeaderMap, [is, is_none, since, until]: [&str; 4]) -> Conditions {
    let date = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).and_then(parse_http_date);
    Conditions {
        if_match: etags(headers, is, Comparison::Strong),
        if_none_match: etags(headers, is_none, Comparison::Weak),
        if_modified_since: date(since),
        if_unmodified_since: date(until),
    }
}

/// RFC 9110 §8.8.3.2: weak tags never match strongly.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Comparison {
    Strong,
    Weak,
}

fn etags(headers: &HeaderMap, name: &str, comparison: Comparison) -> Option<EtagMatch> {
    let mut tags = None::<Vec<String>>;
    for value in headers.get_all(name) {
        let text = String::from_utf8_lossy(value.as_bytes());
        if text.trim() == "*" {
            return Some(EtagMatch::Any);
        }
        let tags = tags.get_or_insert_default();
        let mut rest = text.trim();
        while !rest.is_empty() {
            let (tag, weak, after) = next_etag(rest);
            if !tag.is_empty() && (comparison == Comparison::Weak || !weak) {
                tags.push(tag.to_owned());
            }
            rest = after.trim_start_matches([' ', '\t', ',']);
        }
    }
    tags.map(EtagMatch::OneOf)
}

/// The first entity tag of a list: its opaque text, whether it is weak, and what follows. A tag without quotes ends at
/// the next comma: many S3 clients send them so.
fn next_etag(text: &str) -> (&str, bool, &str) {
    let (text, weak) = text.strip_prefix("W/").map_or((text, false), |rest| (rest, true));
    if let Some((tag, after)) = text.strip_prefix('"').and_then(|rest| rest.split_once('"')) {
        return (tag, weak, after);
    }
    let (tag, after) = text.split_once(',').unwrap_or((text, ""));
    (tag.trim().trim_matches('"'), weak, after)
}

/// The range that a GET or HEAD asks for. S3 ignores what is not one well-formed range; so it does a `Range` that is
/// guarded by `If-Range`, for which answering with the whole object is always right (RFC 9110 §13.1.5).
pub(super) fn range(headers: &HeaderMap) -> Option<RangeSpec> {
    if headers.contains_key(header::IF_RANGE) || headers.get_all(header::RANGE).iter().count() > 1 {
        return None;
    }
    parse_range(headers.get(header::RANGE)?.to_str().ok()?)
}

/// The text of a `Range`; `None`: not one well-formed range.
pub(super) fn parse_range(text: &str) -> Option<RangeSpec> {
    let (unit, spec) = text.split_once('=')?;
    if !unit.trim().eq_ignore_ascii_case("bytes") {
        return None;
    }
    let (first, last) = spec.trim().split_once('-')?;
    match (first.trim(), last.trim()) {
        ("", suffix) => position(suffix).map(RangeSpec::Suffix),
        (first, "") => position(first).map(RangeSpec::From),
        (first, last) => {
            let (first, last) = (position(first)?, position(last)?);
            (first <= last).then_some(RangeSpec::Bounded(first, last))
        }
    }
}

/// A decimal number; one beyond 2^64 is as far beyond any object as the largest that fits.
fn position(digits: &str) -> Option<u64> {
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    Some(digits.parse().unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::{HeaderName, HeaderValue};
    use proptest::prelude::*;

    fn headers(pairs: &[(&str, &str)]) -> HeaderMap {
        pairs
            .iter()
            .map(|(name, value)| (HeaderName::try_from(*name).unwrap(), HeaderValue::try_from(*value).unwrap()))
            .collect()
    }

    #[test]
    fn one_well_formed_range_counts_and_everything_else_is_ignored() {
        let table = [
            ("bytes=0-0", Some(RangeSpec::Bounded(0, 0))),
            ("bytes=5-", Some(RangeSpec::From(5))),
            ("Bytes = 1-2", Some(RangeSpec::Bounded(1, 2))),
            ("bytes=-3", Some(RangeSpec::Suffix(3))),
            ("bytes=-0", Some(RangeSpec::Suffix(0))),
            ("bytes=18446744073709551615-", Some(RangeSpec::From(u64::MAX))),
            ("bytes=0-99999999999999999999", Some(RangeSpec::Bounded(0, u64::MAX))),
            ("bytes=2-1", None),
            ("bytes=0-1,3-4", None),
            ("bytes=-", None),
            ("bytes=+1-2", None),
            ("bytes=a-b", None),
            ("items=0-1", None),
            ("bytes", None),
        ];
        for (text, expected) in table {
            assert_eq!(range(&headers(&[("range", text)])), expected, "{text}");
        }
        assert_eq!(range(&headers(&[("range", "bytes=0-1"), ("if-range", "\"e\"")])), None);
    }

    #[test]
    fn entity_tags_are_read_quoted_weak_bare_and_in_lists() {
        let some = |tags: &[&str]| Some(EtagMatch::OneOf(tags.iter().map(|&tag| tag.to_owned()).collect()));
        let read = conditions(&headers(&[("if-match", "\"a\", \"b,c\" , W/\"d\",e"), ("if-none-match", "W/\"d\", f")]));
        assert_eq!(read.if_match, some(&["a", "b,c", "e"]));
        assert_eq!(read.if_none_match, some(&["d", "f"]));
        assert_eq!(conditions(&headers(&[("if-match", " * ")])).if_match, Some(EtagMatch::Any));
        // A condition that no tag can meet must not become no condition.
        assert_eq!(conditions(&headers(&[("if-match", "W/\"d\"")])).if_match, some(&[]));
        assert_eq!(conditions(&headers(&[("if-match", "")])).if_match, some(&[]));
    }

    #[test]
    fn dates_are_read_in_two_forms_and_junk_is_ignored() {
        let at = Some(Timestamp(784_111_777_000));
        for text in ["Sun, 06 Nov 1994 08:49:37 GMT", "Sun Nov  6 08:49:37 1994"] {
            assert_eq!(conditions(&headers(&[("if-modified-since", text)])).if_modified_since, at, "{text}");
        }
        assert_eq!(conditions(&headers(&[("if-modified-since", "yesterday")])).if_modified_since, None);
        assert_eq!(http_date(Timestamp(784_111_777_999)), "Sun, 06 Nov 1994 08:49:37 GMT");
    }

    proptest! {
        #[test]
        fn no_header_text_panics(text in "[ -~]{0,40}") {
            let map = headers(&[("range", text.as_str()), ("if-match", text.as_str()), ("if-modified-since", text.as_str())]);
            let _ = (range(&map), conditions(&map));
        }

        #[test]
        fn dates_survive_a_round_trip(seconds in 0u64..4_000_000_000) {
            prop_assert_eq!(parse_http_date(&http_date(Timestamp(seconds * 1000))), Some(Timestamp(seconds * 1000)));
        }
    }
}
