//! The dates of signed requests, in whole seconds.

use time::format_description::well_known::Rfc2822;
use time::{Date, Month, OffsetDateTime, PrimitiveDateTime, Time};

use crate::types::Timestamp;

/// How far a request's date may be from ours, in seconds, both ways.
/// <https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-authenticating-requests.html>
const MAX_SKEW: i64 = 15 * 60;

/// A moment in seconds since 1970-01-01T00:00:00Z, with the form that SigV4 signs: `yyyymmddThhmmssZ`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct SignedDate {
    seconds: i64,
    stamp: String,
}

impl SignedDate {
    /// Reads ISO 8601's basic form, `20130524T000000Z`.
    pub(super) fn from_iso(text: &str) -> Option<Self> {
        let shape = text.len() == 16 && text.is_ascii() && text.as_bytes()[8] == b'T' && text.ends_with('Z');
        if !shape {
            return None;
        }
        let number = |from: usize, to: usize| {
            let digits = &text[from..to];
            digits.bytes().all(|b| b.is_ascii_digit()).then(|| digits.parse::<u16>().ok()).flatten()
        };
        let small = |from: usize, to: usize| number(from, to).and_then(|n| u8::try_from(n).ok());
        let month = Month::try_from(small(4, 6)?).ok()?;
        let date = Date::from_calendar_date(i32::from(number(0, 4)?), month, small(6, 8)?).ok()?;
        let time = Time::from_hms(small(9, 11)?, small(11, 13)?, small(13, 15)?).ok()?;
        let seconds = PrimitiveDateTime::new(date, time).assume_utc().unix_timestamp();
        Some(Self { seconds, stamp: text.to_owned() })
    }

    /// Reads an HTTP `Date`, RFC 2822 with `GMT` or a numeric zone, as the S3 documentation's examples have both.
    pub(super) fn from_http(text: &str) -> Option<Self> {
        OffsetDateTime::parse(text, &Rfc2822).ok().and_then(|at| Self::from_seconds(at.unix_timestamp()))
    }

    /// The moment `seconds` after 1970-01-01T00:00:00Z.
    pub(super) fn from_seconds(seconds: i64) -> Option<Self> {
        let at = OffsetDateTime::from_unix_timestamp(seconds).ok()?;
        let (date, time) = (at.date(), at.time());
        let stamp = format!(
            "{:04}{:02}{:02}T{:02}{:02}{:02}Z",
            date.year(),
            u8::from(date.month()),
            date.day(),
            time.hour(),
            time.minute(),
            time.second()
        );
        Some(Self { seconds, stamp })
    }

    pub(super) fn seconds(&self) -> i64 {
        self.seconds
    }

    /// `yyyymmddThhmmssZ`.
    pub(super) fn stamp(&self) -> &str {
        &self.stamp
    }

    /// `yyyymmdd`, the day that a credential scope names.
    pub(super) fn day(&self) -> &str {
        self.stamp.split('T').next().unwrap_or_default()
    }
}

/// Whether a date is more than [`MAX_SKEW`] from the clock's, either way. It may be 15 minutes off, and no millisecond
/// more.
pub(super) fn is_skewed(date: &SignedDate, now: Timestamp) -> bool {
    millis(now).abs_diff(date.seconds().saturating_mul(1000)) > MAX_SKEW.unsigned_abs() * 1000
}

/// Whether a clock is more than [`MAX_SKEW`] before a date.
pub(super) fn is_early(date: &SignedDate, now: Timestamp) -> bool {
    millis(now) < date.seconds().saturating_sub(MAX_SKEW).saturating_mul(1000)
}

/// A clock's time in milliseconds; far more than any date that [`SignedDate`] can hold stays the largest number.
pub(super) fn millis(now: Timestamp) -> i64 {
    i64::try_from(now.0).unwrap_or(i64::MAX)
}

/// A moment in seconds since 1970 as error bodies show it, `2013-05-24T00:00:00Z`.
#[must_use]
pub fn shown_time(seconds: i64) -> String {
    let at = OffsetDateTime::from_unix_timestamp(seconds).ok();
    at.and_then(|at| at.format(&time::format_description::well_known::Rfc3339).ok()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms_name_the_same_moment() {
        let iso = SignedDate::from_iso("20130524T000000Z").unwrap();
        assert_eq!(iso.seconds(), 1_369_353_600);
        assert_eq!(iso.day(), "20130524");
        for http in
            ["Fri, 24 May 2013 00:00:00 GMT", "Fri, 24 May 2013 00:00:00 +0000", "Fri, 24 May 2013 02:00:00 +0200"]
        {
            assert_eq!(SignedDate::from_http(http).as_ref(), Some(&iso), "{http}");
        }
        assert_eq!(shown_time(1_369_353_600), "2013-05-24T00:00:00Z");
    }

    #[test]
    fn what_is_not_a_date_is_refused() {
        for bad in [
            "",
            "20130524",
            "20130524T000000",
            "20130524T000000z",
            "20131324T000000Z",
            "20130230T000000Z",
            "20130524T240000Z",
            "2013-5-24T00000Z",
            "+0130524T000000Z",
            "20130524 000000Z",
            "２0130524T0000Z",
        ] {
            assert_eq!(SignedDate::from_iso(bad), None, "{bad}");
        }
        assert_eq!(SignedDate::from_http("yesterday"), None);
    }
}
