//! Object lock in headers: what a write asks for, and what is shown of an object.
//! See <https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-lock-managing.html>.

use http::{HeaderMap, HeaderName, HeaderValue};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::gateway::{Governance, ObjectLock, Retention, RetentionMode};
use crate::types::Timestamp;

use super::error::Face;

const MODE: HeaderName = HeaderName::from_static("x-amz-object-lock-mode");
const UNTIL: HeaderName = HeaderName::from_static("x-amz-object-lock-retain-until-date");
const LEGAL_HOLD: HeaderName = HeaderName::from_static("x-amz-object-lock-legal-hold");
const BYPASS: HeaderName = HeaderName::from_static("x-amz-bypass-governance-retention");
const NEW_BUCKET: HeaderName = HeaderName::from_static("x-amz-bucket-object-lock-enabled");

/// The headers by which a write asks for a lock.
pub(super) const OF_WRITES: [HeaderName; 3] = [MODE, UNTIL, LEGAL_HOLD];

fn text<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    headers.get(name).map(|value| value.to_str().unwrap_or("?")).filter(|text| !text.is_empty())
}

fn date(text: &str) -> Option<Timestamp> {
    let at = OffsetDateTime::parse(text, &Rfc3339).ok()?;
    u64::try_from(at.unix_timestamp()).ok()?.checked_mul(1000).map(Timestamp)
}

/// The lock that a write asks for.
pub(super) fn asked(headers: &HeaderMap) -> Result<ObjectLock, Face> {
    let retention = match (text(headers, &MODE), text(headers, &UNTIL)) {
        (None, None) => None,
        (Some(mode), Some(until)) => {
            let mode =
                RetentionMode::named(mode).ok_or_else(|| Face::invalid_argument("Unknown wormMode directive."))?;
            let until = date(until)
                .ok_or_else(|| Face::invalid_argument("The retain until date must be provided in ISO 8601 format"))?;
            Some(Retention { mode, until })
        }
        _ => {
            return Err(Face::invalid_argument(
                "x-amz-object-lock-retain-until-date and x-amz-object-lock-mode must both be supplied",
            ));
        }
    };
    let legal_hold = match text(headers, &LEGAL_HOLD) {
        None => None,
        Some("ON") => Some(true),
        Some("OFF") => Some(false),
        Some(_) => return Err(Face::invalid_argument("Legal Hold must be either of 'ON' or 'OFF'")),
    };
    Ok(ObjectLock { retention, legal_hold })
}

/// Shows a lock.
pub(super) fn describe(lock: &ObjectLock, out: &mut HeaderMap) {
    if let Some(Retention { mode, until }) = lock.retention
        && let Ok(seconds) = i64::try_from(until.0 / 1000)
        && let Some(until) = OffsetDateTime::from_unix_timestamp(seconds).ok().and_then(|at| at.format(&Rfc3339).ok())
        && let Ok(until) = HeaderValue::try_from(until)
    {
        out.insert(MODE, HeaderValue::from_static(mode.name()));
        out.insert(UNTIL, until);
    }
    if let Some(held) = lock.legal_hold {
        out.insert(LEGAL_HOLD, HeaderValue::from_static(if held { "ON" } else { "OFF" }));
    }
}

/// Whether a request is to pass a retention period in governance mode.
pub(super) fn governance(headers: &HeaderMap) -> Governance {
    match text(headers, &BYPASS).is_some_and(|text| text.eq_ignore_ascii_case("true")) {
        true => Governance::Bypassed,
        false => Governance::Heeded,
    }
}

/// Whether a new bucket is to have object lock.
pub(super) fn of_new_bucket(headers: &HeaderMap) -> Result<bool, Face> {
    match text(headers, &NEW_BUCKET) {
        None => Ok(false),
        Some(text) if text.eq_ignore_ascii_case("true") => Ok(true),
        Some(text) if text.eq_ignore_ascii_case("false") => Ok(false),
        Some(_) => Err(Face::invalid_argument("x-amz-bucket-object-lock-enabled is neither true nor false.")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        pairs.iter().map(|&(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value))).collect()
    }

    #[test]
    fn a_lock_is_whole_or_refused() {
        let (mode, until) = ("x-amz-object-lock-mode", "x-amz-object-lock-retain-until-date");
        let hold = "x-amz-object-lock-legal-hold";
        let new_year = Some(1_893_456_000_000);
        for (given, expected, held) in [
            (&[][..], None, None),
            (&[(mode, "")], None, None),
            (&[(mode, "GOVERNANCE"), (until, "2030-01-01T00:00:00Z")], new_year, None),
            (&[(mode, "COMPLIANCE"), (until, "2030-01-01T02:00:00.9+02:00")], new_year, None),
            (&[(hold, "ON")], None, Some(true)),
            (&[(hold, "OFF")], None, Some(false)),
        ] {
            let lock = asked(&headers(given)).unwrap();
            let found = lock.retention.map(|retention| retention.until.0);
            assert_eq!((found, lock.legal_hold), (expected, held), "{given:?}");
        }
        for given in [
            &[(mode, "GOVERNANCE")][..],
            &[(until, "2030-01-01T00:00:00Z")],
            &[(mode, "governance"), (until, "2030-01-01T00:00:00Z")],
            &[(mode, "GOVERNANCE"), (until, "tomorrow")],
            &[(mode, "GOVERNANCE"), (until, "1969-01-01T00:00:00Z")],
            &[(hold, "on")],
        ] {
            assert_eq!(asked(&headers(given)).unwrap_err().code, "InvalidArgument", "{given:?}");
        }
    }

    #[test]
    fn what_is_shown_is_what_was_asked_for() {
        let given = headers(&[
            ("x-amz-object-lock-mode", "COMPLIANCE"),
            ("x-amz-object-lock-retain-until-date", "2030-01-01T00:00:00Z"),
            ("x-amz-object-lock-legal-hold", "OFF"),
        ]);
        let mut out = HeaderMap::new();
        describe(&asked(&given).unwrap(), &mut out);
        assert_eq!(out, given);
    }

    #[test]
    fn flags_are_true_or_not() {
        assert_eq!(governance(&headers(&[("x-amz-bypass-governance-retention", "True")])), Governance::Bypassed);
        assert_eq!(governance(&headers(&[("x-amz-bypass-governance-retention", "1")])), Governance::Heeded);
        let flag = |value| of_new_bucket(&headers(&[("x-amz-bucket-object-lock-enabled", value)]));
        assert!(flag("TRUE").unwrap() && !flag("false").unwrap() && flag("yes").is_err());
    }
}
