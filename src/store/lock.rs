//! S3's object lock: what keeps a version of an object from being deleted or replaced. Stores that keep it, keep it
//! themselves; the gateway hands it on and shows it.
//! See <https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-lock.html>.

use serde::{Deserialize, Serialize};

use crate::types::Timestamp;

/// The kind under which it is kept of a bucket that it was made with object lock.
pub const BUCKET_LOCK: &str = "object-lock";

/// The lock on a version.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ObjectLock {
    /// Until when.
    pub retention: Option<Retention>,
    /// Whether it is held without an end. `None`: nothing was said of it.
    pub legal_hold: Option<bool>,
}

/// A retention period.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Retention {
    /// How strictly.
    pub mode: RetentionMode,
    /// The moment from which on the version may be deleted.
    pub until: Timestamp,
}

/// How strictly a retention period is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum RetentionMode {
    /// Those who have the right to may shorten it or delete the version all the same.
    Governance,
    /// Nobody may.
    Compliance,
}

impl RetentionMode {
    /// Both.
    const ALL: [Self; 2] = [Self::Governance, Self::Compliance];

    /// As S3 writes it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Governance => "GOVERNANCE",
            Self::Compliance => "COMPLIANCE",
        }
    }

    /// The mode of this name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|mode| mode.name() == name)
    }
}

impl ObjectLock {
    /// Whether it says nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Whether it forbids to delete the version at this moment.
    #[must_use]
    pub fn holds(&self, now: Timestamp) -> bool {
        self.legal_hold == Some(true) || self.retention.is_some_and(|retention| retention.until > now)
    }
}

/// Whether a deletion stops at a retention period in governance mode.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Governance {
    /// It does.
    #[default]
    Heeded,
    /// It does not: the caller has the right to bypass it, and asked to.
    Bypassed,
}
