//! Names and numbers that more than one room speaks of. Each exists only by parsing, at the edge, once.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Why a name or number is not one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ParseError {
    /// Not 3–63 characters of `[a-z0-9.-]`, or otherwise outside S3's bucket naming rules.
    #[error("not a valid bucket name")]
    BucketName,
    /// The object key is empty.
    #[error("the object key is empty")]
    KeyEmpty,
    /// The object key is longer than 1,024 bytes of UTF-8.
    #[error("the object key is longer than 1024 bytes")]
    KeyTooLong,
    /// The part number is outside 1–10,000.
    #[error("the part number is not between 1 and 10000")]
    PartNumber,
    /// Not an upload id that this gateway could have made.
    #[error("not an upload id")]
    UploadId,
    /// Not a version id that this gateway could have made.
    #[error("not a version id")]
    VersionId,
}

/// The account that every user, key and bucket here belongs to, where an ARN has a place for one.
pub const ACCOUNT: &str = "000000000000";

macro_rules! text_type {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(String);

        impl $name {
            /// The text itself.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Debug::fmt(&self.0, f)
            }
        }
    };
}

text_type! {
    /// A bucket's name: 3–63 characters of `[a-z0-9.-]`, by S3's general-purpose bucket naming rules.
    BucketName
}

text_type! {
    /// An object key: 1–1,024 bytes of UTF-8, taken raw. Never normalised, never a file path.
    ObjectKey
}

text_type! {
    /// A multipart upload: 32 lower-case hex digits (128 random bits).
    UploadId
}

text_type! {
    /// A version of an object: `null`, or 32 lower-case hex digits, the id that its write was made with. Where the store is
    /// somebody else's, a dot and that store's own id follow; before the dot can stand `marker` and `foreign`, too, for
    /// what no write of ours made.
    VersionId
}

text_type! {
    /// A user of the gateway: the name in its configuration, owner of buckets and keys.
    UserId
}

text_type! {
    /// The public half of a credential.
    AccessKeyId
}

impl FromStr for BucketName {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        let bytes = text.as_bytes();
        let edge = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
        let fits = (3..=63).contains(&bytes.len())
            && bytes.iter().all(|&b| edge(b) || b == b'-' || b == b'.')
            && bytes.first().is_some_and(|&b| edge(b))
            && bytes.last().is_some_and(|&b| edge(b))
            && !text.contains("..")
            && text.parse::<std::net::Ipv4Addr>().is_err();
        if fits { Ok(Self(text.to_owned())) } else { Err(ParseError::BucketName) }
    }
}

impl FromStr for ObjectKey {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        match text.len() {
            0 => Err(ParseError::KeyEmpty),
            1..=1024 => Ok(Self(text.to_owned())),
            _ => Err(ParseError::KeyTooLong),
        }
    }
}

fn is_hex_id(text: &str) -> bool {
    text.len() == 32 && text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
}

impl UploadId {
    /// An upload id of these random bits.
    #[must_use]
    pub fn from_bits(bits: [u8; 16]) -> Self {
        Self(hex::encode(bits))
    }
}

impl FromStr for UploadId {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        if is_hex_id(text) { Ok(Self(text.to_owned())) } else { Err(ParseError::UploadId) }
    }
}

impl VersionId {
    /// The version of an object in a bucket that was never versioned.
    #[must_use]
    pub fn null() -> Self {
        Self(Self::NULL.to_owned())
    }

    /// A version id of these bits.
    #[must_use]
    pub fn from_bits(bits: [u8; 16]) -> Self {
        Self(hex::encode(bits))
    }

    /// The version that another store keeps as `own`: of the write that was made with an id, or of none of ours.
    ///
    /// # Errors
    /// [`ParseError::VersionId`] for what is no version id.
    pub fn kept(write: Option<&str>, own: &str) -> Result<Self, ParseError> {
        if own == Self::NULL { Ok(Self::null()) } else { format!("{}.{own}", write.unwrap_or(Self::FOREIGN)).parse() }
    }

    /// The delete marker that another store keeps as `own`.
    ///
    /// # Errors
    /// [`ParseError::VersionId`] for what is no version id.
    pub fn marker(own: &str) -> Result<Self, ParseError> {
        if own == Self::NULL { Ok(Self::null()) } else { format!("{}.{own}", Self::MARKER).parse() }
    }

    /// Whether this is the `null` version.
    #[must_use]
    pub fn is_null(&self) -> bool {
        self.0 == Self::NULL
    }

    /// Whether this can be a delete marker's only. That of another store's `null` version is not told by its id.
    #[must_use]
    pub fn is_marker(&self) -> bool {
        self.write() == Self::MARKER
    }

    /// The id that the write was made with: all of it, or what stands before the dot.
    #[must_use]
    pub fn write(&self) -> &str {
        self.0.split_once('.').map_or(&self.0, |(write, _)| write)
    }

    /// What another store calls this version; `None` for an id that came from no other store.
    #[must_use]
    pub fn own(&self) -> Option<&str> {
        if self.is_null() { Some(&self.0) } else { self.0.split_once('.').map(|(_, own)| own) }
    }

    const NULL: &str = "null";
    const MARKER: &str = "marker";
    const FOREIGN: &str = "foreign";
    /// The longest id of another store, in bytes. S3 allows 1,024 for all of an id.
    const MAX_OWN: usize = 512;
}

impl FromStr for VersionId {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        let fits = match text.split_once('.') {
            None => text == Self::NULL || is_hex_id(text),
            Some((write, own)) => {
                (is_hex_id(write) || write == Self::MARKER || write == Self::FOREIGN)
                    && (1..=Self::MAX_OWN).contains(&own.len())
                    && own.bytes().all(|b| b.is_ascii_graphic())
            }
        };
        if fits { Ok(Self(text.to_owned())) } else { Err(ParseError::VersionId) }
    }
}

impl UserId {
    /// A user by name; the configuration has checked it.
    #[must_use]
    pub fn new(name: impl Into<String>) -> Self {
        Self(name.into())
    }
}

impl AccessKeyId {
    /// An access key id as a request or the configuration wrote it.
    #[must_use]
    pub fn new(id: impl Into<String>) -> Self {
        Self(id.into())
    }
}

/// A part of a multipart upload: 1–10,000. An object written in one PUT is part 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PartNumber(u32);

impl PartNumber {
    /// The first part, and the only one of an object written in one PUT.
    pub const FIRST: Self = Self(1);
    /// The highest part number that S3 and OSS allow.
    pub const MAX: u32 = 10_000;

    /// The number, 1–10,000.
    #[must_use]
    pub fn get(self) -> u32 {
        self.0
    }
}

impl TryFrom<u32> for PartNumber {
    type Error = ParseError;

    fn try_from(number: u32) -> Result<Self, ParseError> {
        if (1..=Self::MAX).contains(&number) { Ok(Self(number)) } else { Err(ParseError::PartNumber) }
    }
}

impl fmt::Display for PartNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A moment in milliseconds since 1970-01-01T00:00:00Z, the precision that S3's listings show.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Timestamp(pub u64);

/// Tells the time. A seam, so that tests can move it.
pub trait Clock: Send + Sync + fmt::Debug {
    /// Now.
    fn now(&self) -> Timestamp;
}

/// The machine's clock.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        #[allow(clippy::disallowed_methods, reason = "the one place where the machine's clock is read")]
        let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        Timestamp(since.map_or(0, |d| u64::try_from(d.as_millis()).unwrap_or(u64::MAX)))
    }
}

/// Fills an array with random bytes from the system's generator.
///
/// # Errors
/// Only when the system's generator fails; nothing that needs randomness may go on then.
pub fn random<const N: usize>() -> Result<[u8; N], RandomError> {
    let mut bytes = [0; N];
    aws_lc_rs::rand::fill(&mut bytes).map_err(|_| RandomError)?;
    Ok(bytes)
}

/// The system's random generator failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the system's random generator failed")]
pub struct RandomError;

/// What is addressed: an object in a bucket.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ObjectAt {
    /// The bucket.
    pub bucket: BucketName,
    /// The object key.
    pub key: ObjectKey,
}

impl ObjectAt {
    /// The object's ARN, as AWS writes it into the encryption context: `arn:aws:s3:::bucket/key`.
    #[must_use]
    pub fn arn(&self) -> String {
        format!("arn:aws:s3:::{}/{}", self.bucket, self.key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bucket_names_follow_s3s_rules() {
        for good in ["abc", "a.b-c", "0ab", "a".repeat(63).as_str()] {
            assert!(good.parse::<BucketName>().is_ok(), "{good}");
        }
        for bad in ["", "ab", "Abc", "a_b", "-ab", "ab-", "a..b", "192.168.0.1", "a/b", "é12", &"a".repeat(64)] {
            assert_eq!(bad.parse::<BucketName>(), Err(ParseError::BucketName), "{bad}");
        }
    }

    #[test]
    fn object_keys_are_counted_in_bytes() {
        assert_eq!("".parse::<ObjectKey>(), Err(ParseError::KeyEmpty));
        assert!("é".repeat(512).parse::<ObjectKey>().is_ok());
        assert_eq!(format!("{}a", "é".repeat(512)).parse::<ObjectKey>(), Err(ParseError::KeyTooLong));
    }

    #[test]
    fn ids_that_we_never_made_are_refused() {
        assert!("null".parse::<VersionId>().is_ok());
        assert!("../../../../etc/passwd0000000000".parse::<UploadId>().is_err());
        assert!(PartNumber::try_from(0).is_err() && PartNumber::try_from(10_001).is_err());
    }
}
