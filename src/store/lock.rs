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

    /// Whether it forbids at least what another would.
    #[must_use]
    pub fn covers(&self, other: &Self) -> bool {
        let strict = |retention: Retention| retention.mode == RetentionMode::Compliance;
        let retained = other.retention.is_none_or(|asked| {
            self.retention.is_some_and(|there| there.until >= asked.until && (strict(there) || !strict(asked)))
        });
        retained && (other.legal_hold != Some(true) || self.legal_hold == Some(true))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lock_covers_what_is_no_stricter() {
        let retained = |mode, until| Some(Retention { mode, until: Timestamp(until) });
        let lock = |retention, legal_hold| ObjectLock { retention, legal_hold };
        let (governed, strict) =
            (|until| retained(RetentionMode::Governance, until), |until| retained(RetentionMode::Compliance, until));
        for (there, asked, covers) in [
            (lock(None, None), lock(None, Some(false)), true),
            (lock(None, None), lock(None, Some(true)), false),
            (lock(None, Some(true)), lock(governed(5), Some(true)), false),
            (lock(governed(5), None), lock(governed(5), None), true),
            (lock(governed(4), None), lock(governed(5), None), false),
            (lock(strict(6), None), lock(governed(5), None), true),
            (lock(governed(6), None), lock(strict(5), None), false),
        ] {
            assert_eq!(there.covers(&asked), covers, "{there:?} {asked:?}");
        }
        assert!(lock(governed(5), None).holds(Timestamp(4)) && !lock(governed(5), None).holds(Timestamp(5)));
        assert!(lock(None, Some(true)).holds(Timestamp(u64::MAX)) && !lock(None, Some(false)).holds(Timestamp(0)));
    }
}
