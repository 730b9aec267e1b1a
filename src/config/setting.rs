//! The types of single settings: each reads one text, and says what would be right when it cannot.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::sse::DefaultEncryption;
use crate::types::{BucketName, Timestamp};

/// A value that one text holds.
pub(super) trait Setting: Sized {
    /// Reads it. The error completes the sentence "`field` (from …): …".
    fn parse(text: &str) -> Result<Self, String>;
}

impl Setting for SocketAddr {
    fn parse(text: &str) -> Result<Self, String> {
        text.parse().map_err(|_| format!("{text:?} is not an address and port such as 127.0.0.1:9000 or [::]:9000"))
    }
}

impl Setting for PathBuf {
    fn parse(text: &str) -> Result<Self, String> {
        if text.is_empty() { Err("is empty".to_owned()) } else { Ok(Self::from(text)) }
    }
}

impl Setting for bool {
    fn parse(text: &str) -> Result<Self, String> {
        match text {
            "true" => Ok(true),
            "false" => Ok(false),
            _ => Err(format!("{text:?} is neither true nor false")),
        }
    }
}

impl Setting for DefaultEncryption {
    fn parse(text: &str) -> Result<Self, String> {
        match text {
            "AES256" => Ok(Self::S3),
            "none" => Ok(Self::None),
            _ => Err(format!("{text:?} is neither AES256 nor none")),
        }
    }
}

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// One JSON object a line.
    Json,
    /// Text for people.
    Text,
}

impl Setting for LogFormat {
    fn parse(text: &str) -> Result<Self, String> {
        match text {
            "json" => Ok(Self::Json),
            "text" => Ok(Self::Text),
            _ => Err(format!("{text:?} is neither text nor json")),
        }
    }
}

/// How much sealgate says of itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum LogLevel {
    /// Someone must act.
    Error,
    /// Something is odd.
    Warn,
    /// One line per request.
    Info,
    /// Steps within a request.
    Debug,
    /// Everything.
    Trace,
}

impl Setting for LogLevel {
    fn parse(text: &str) -> Result<Self, String> {
        match text {
            "error" => Ok(Self::Error),
            "warn" => Ok(Self::Warn),
            "info" => Ok(Self::Info),
            "debug" => Ok(Self::Debug),
            "trace" => Ok(Self::Trace),
            _ => Err(format!("{text:?} is none of error, warn, info, debug, trace")),
        }
    }
}

/// A duration as people write it: a whole number and `ms`, `s`, `m` or `h`. Positive, and at most a day.
pub(super) struct DurationText(pub(super) Duration);

impl Setting for DurationText {
    fn parse(text: &str) -> Result<Self, String> {
        let wrong = || format!("{text:?} is not a duration between 1ms and 24h, such as 500ms, 30s, 5m");
        let digits = text.bytes().take_while(u8::is_ascii_digit).count();
        let (number, unit) = text.split_at(digits);
        let number: u64 = number.parse().map_err(|_| wrong())?;
        let millis = match unit {
            "ms" => Some(number),
            "s" => number.checked_mul(1_000),
            "m" => number.checked_mul(60_000),
            "h" => number.checked_mul(3_600_000),
            _ => None,
        };
        match millis {
            Some(millis @ 1..=86_400_000) => Ok(Self(Duration::from_millis(millis))),
            _ => Err(wrong()),
        }
    }
}

/// A [`DurationText`], or `0`.
pub(super) struct DurationOrNone(pub(super) Duration);

impl Setting for DurationOrNone {
    fn parse(text: &str) -> Result<Self, String> {
        if matches!(text, "0" | "0s") {
            return Ok(Self(Duration::ZERO));
        }
        DurationText::parse(text).map(|text| Self(text.0)).map_err(|why| format!("{why}, nor 0"))
    }
}

/// A number of connections: 1 up to what a semaphore can hold, and more than any machine can.
pub(super) struct Connections(pub(super) usize);

impl Setting for Connections {
    fn parse(text: &str) -> Result<Self, String> {
        match text.parse() {
            Ok(number @ 1..=1_000_000) => Ok(Self(number)),
            _ => Err(format!("{text:?} is not a number between 1 and 1000000")),
        }
    }
}

/// Bytes a second; 0 is none.
pub(super) struct Rate(pub(super) u64);

impl Setting for Rate {
    fn parse(text: &str) -> Result<Self, String> {
        match text.parse() {
            Ok(rate @ 0..=1_000_000_000) => Ok(Self(rate)),
            _ => Err(format!("{text:?} is not a number of bytes a second between 0 and 1000000000")),
        }
    }
}

/// A region's name, as a credential scope can carry it.
pub(super) struct Region(pub(super) String);

impl Setting for Region {
    fn parse(text: &str) -> Result<Self, String> {
        let fits = (1..=64).contains(&text.len())
            && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
        if fits { Ok(Self(text.to_owned())) } else { Err(format!("{text:?} is not a region name such as us-east-1")) }
    }
}

/// A host name without port, in lower case.
pub(super) struct Domain(pub(super) String);

/// What object keys begin with.
pub(super) struct Prefix(pub(super) String);

impl Setting for Prefix {
    fn parse(text: &str) -> Result<Self, String> {
        // A date and a file's name follow; keys are not longer than 1024 bytes.
        if text.len() > 800 || text.starts_with('/') || text.chars().any(char::is_control) {
            return Err(format!(
                "{text:?} is nothing that a key should begin with: at most 800 bytes, no slash in front"
            ));
        }
        Ok(Self(text.to_owned()))
    }
}

impl Setting for Domain {
    fn parse(text: &str) -> Result<Self, String> {
        let label = |part: &str| {
            (1..=63).contains(&part.len())
                && part.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
                && !part.starts_with('-')
                && !part.ends_with('-')
        };
        if text.len() > 253 || !text.split('.').all(label) || text.parse::<IpAddr>().is_ok() {
            return Err(format!("{text:?} is not a domain name such as s3.example.com"));
        }
        Ok(Self(text.to_ascii_lowercase()))
    }
}

/// A domain that is bound to a bucket: `domain=bucket`.
pub(super) struct Bound(pub(super) (String, BucketName));

impl Setting for Bound {
    fn parse(text: &str) -> Result<Self, String> {
        let wrong = || format!("{text:?} is not a domain and its bucket such as img.example.com=pictures");
        let (domain, bucket) = text.split_once('=').ok_or_else(wrong)?;
        let domain = Domain::parse(domain.trim()).map_err(|_| wrong())?.0;
        Ok(Self((domain, bucket.trim().parse().map_err(|_| wrong())?)))
    }
}

/// An access key id: 3–128 characters that need no escape in a credential scope, a query or a log line.
pub(super) struct AccessKeyText(pub(super) String);

impl Setting for AccessKeyText {
    fn parse(text: &str) -> Result<Self, String> {
        let fits = (3..=128).contains(&text.len())
            && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.'));
        // The text is not repeated: people paste the secret into the wrong field.
        if fits {
            Ok(Self(text.to_owned()))
        } else {
            Err("must have 3 to 128 characters of A-Z a-z 0-9 _ - .".to_owned())
        }
    }
}

/// A user's name: 1–64 characters of `[A-Za-z0-9._@-]`.
pub(super) struct UserName(pub(super) String);

impl Setting for UserName {
    fn parse(text: &str) -> Result<Self, String> {
        let fits = (1..=64).contains(&text.len())
            && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.' | b'@'));
        if fits {
            Ok(Self(text.to_owned()))
        } else {
            Err(format!("{text:?} is not 1 to 64 characters of A-Z a-z 0-9 . _ @ -"))
        }
    }
}

/// A moment as RFC 3339 writes it, with its zone: `2026-12-31T23:59:59Z`. Not before 1970.
pub(super) struct Moment(pub(super) Timestamp);

impl Setting for Moment {
    fn parse(text: &str) -> Result<Self, String> {
        let at = OffsetDateTime::parse(text, &Rfc3339).ok().map(|at| at.unix_timestamp_nanos() / 1_000_000);
        let millis = at.and_then(|millis| u64::try_from(millis).ok());
        let millis = millis.ok_or_else(|| format!("{text:?} is not a moment such as 2026-12-31T23:59:59Z"))?;
        Ok(Self(Timestamp(millis)))
    }
}

/// A block of addresses in CIDR notation, or a single address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IpBlock {
    network: IpAddr,
    prefix: u32,
}

impl IpBlock {
    /// Whether `address` is in the block. An IPv4 address that came through an IPv6 socket counts as IPv4.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        masked(address.to_canonical(), self.prefix) == Some(self.network)
    }
}

/// The first `prefix` bits of `address`; `None` if it has not so many.
fn masked(address: IpAddr, prefix: u32) -> Option<IpAddr> {
    match address {
        IpAddr::V4(v4) => {
            let low = 32u32.checked_sub(prefix)?;
            let mask = u32::MAX.checked_shl(low).unwrap_or(0);
            Some(IpAddr::from((u32::from(v4) & mask).to_be_bytes()))
        }
        IpAddr::V6(v6) => {
            let low = 128u32.checked_sub(prefix)?;
            let mask = u128::MAX.checked_shl(low).unwrap_or(0);
            Some(IpAddr::from((u128::from(v6) & mask).to_be_bytes()))
        }
    }
}

impl Setting for IpBlock {
    fn parse(text: &str) -> Result<Self, String> {
        let wrong = || format!("{text:?} is not an IP address or a block such as 10.0.0.0/8");
        let (address, prefix) = match text.split_once('/') {
            Some((address, prefix)) => (address, Some(prefix.parse().map_err(|_| wrong())?)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().map_err(|_| wrong())?;
        let prefix = prefix.unwrap_or(if address.is_ipv4() { 32 } else { 128 });
        match masked(address, prefix) {
            Some(network) if network == address => Ok(Self { network, prefix }),
            Some(network) => Err(format!("{text:?} has bits set beyond its prefix; the block is {network}/{prefix}")),
            None => Err(wrong()),
        }
    }
}

impl fmt::Display for IpBlock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.network, self.prefix)
    }
}
