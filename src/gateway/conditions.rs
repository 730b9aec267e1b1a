//! Conditional requests, judged on the plaintext's ETag and the object's date (RFC 9110 §13).

use crate::store::{Precondition, StoredObject};
use crate::types::Timestamp;

use super::{Conditions, Error, EtagMatch};

impl EtagMatch {
    fn matches(&self, etag: &str) -> bool {
        match self {
            Self::Any => true,
            Self::OneOf(etags) => etags.iter().any(|one| one.eq_ignore_ascii_case(etag)),
        }
    }
}

impl Conditions {
    /// Judges a read. A stale `If-None-Match` or `If-Modified-Since` is [`Error::NotModified`] (304), a failed
    /// `If-Match` or `If-Unmodified-Since` is 412; ETag conditions win over dates (RFC 9110 §13.2.2).
    pub(super) fn judge_read(&self, etag: &str, modified: Timestamp) -> Result<(), Error> {
        self.judge_match(etag, modified)?;
        let unchanged = match (&self.if_none_match, self.if_modified_since) {
            (Some(etags), _) => etags.matches(etag),
            (None, Some(since)) => whole_seconds(modified) <= whole_seconds(since),
            (None, None) => false,
        };
        if unchanged { Err(Error::NotModified { etag: etag.to_owned(), modified }) } else { Ok(()) }
    }

    /// Judges the source of a copy, where every failure is 412.
    pub(super) fn judge_copy_source(&self, etag: &str, modified: Timestamp) -> Result<(), Error> {
        match self.judge_read(etag, modified) {
            Err(Error::NotModified { .. }) if self.if_none_match.is_some() => {
                Err(Error::PreconditionFailed("x-amz-copy-source-If-None-Match"))
            }
            Err(Error::NotModified { .. }) => Err(Error::PreconditionFailed("x-amz-copy-source-If-Modified-Since")),
            judged => judged,
        }
    }

    fn judge_match(&self, etag: &str, modified: Timestamp) -> Result<(), Error> {
        match (&self.if_match, self.if_unmodified_since) {
            (Some(etags), _) if !etags.matches(etag) => Err(Error::PreconditionFailed("If-Match")),
            (None, Some(since)) if whole_seconds(modified) > whole_seconds(since) => {
                Err(Error::PreconditionFailed("If-Unmodified-Since"))
            }
            _ => Ok(()),
        }
    }

    /// Whether a write has to know what is there now.
    pub(super) fn concern_writes(&self) -> bool {
        self.if_match.is_some() || self.if_none_match.is_some()
    }

    /// Judges a write against what is there now (its ETag), and gives the precondition that keeps it so until the commit.
    pub(super) fn judge_write(&self, current: Option<(&StoredObject, &str)>) -> Result<Precondition, Error> {
        if let Some(wanted) = &self.if_match {
            let Some((object, etag)) = current else { return Err(Error::NoSuchKey) };
            if !wanted.matches(etag) {
                return Err(Error::PreconditionFailed("If-Match"));
            }
            return Ok(Precondition::Is(object.tag.clone()));
        }
        match (&self.if_none_match, current) {
            (None, _) => Ok(Precondition::None),
            (Some(_), None) => Ok(Precondition::Absent),
            (Some(unwanted), Some((_, etag))) if unwanted.matches(etag) => {
                Err(Error::PreconditionFailed("If-None-Match"))
            }
            (Some(_), Some((object, _))) => Ok(Precondition::Is(object.tag.clone())),
        }
    }
}

/// HTTP dates have whole seconds; ours are finer.
fn whole_seconds(at: Timestamp) -> u64 {
    at.0 / 1000
}

#[cfg(test)]
mod tests {
    use super::*;

    fn etags(list: &[&str]) -> Option<EtagMatch> {
        Some(EtagMatch::OneOf(list.iter().map(|&etag| etag.to_owned()).collect()))
    }

    #[test]
    fn etag_conditions_win_over_dates() {
        let fresh = Conditions {
            if_none_match: etags(&["other"]),
            if_modified_since: Some(Timestamp(9_000_000)),
            ..Conditions::default()
        };
        assert!(fresh.judge_read("mine", Timestamp(1_000)).is_ok());
        let matching =
            Conditions { if_match: etags(&["MINE"]), if_unmodified_since: Some(Timestamp(0)), ..Conditions::default() };
        assert!(matching.judge_read("mine", Timestamp(5_000)).is_ok());
    }

    #[test]
    fn reads_are_304_or_412() {
        let none_match = Conditions { if_none_match: Some(EtagMatch::Any), ..Conditions::default() };
        assert!(matches!(none_match.judge_read("e", Timestamp(0)), Err(Error::NotModified { .. })));
        let since = Conditions { if_modified_since: Some(Timestamp(5_000)), ..Conditions::default() };
        assert!(matches!(since.judge_read("e", Timestamp(5_999)), Err(Error::NotModified { .. })));
        assert!(since.judge_read("e", Timestamp(6_000)).is_ok());
        let unmodified = Conditions { if_unmodified_since: Some(Timestamp(5_000)), ..Conditions::default() };
        assert!(unmodified.judge_read("e", Timestamp(5_999)).is_ok());
        assert!(matches!(unmodified.judge_read("e", Timestamp(6_000)), Err(Error::PreconditionFailed(_))));
        assert!(matches!(none_match.judge_copy_source("e", Timestamp(0)), Err(Error::PreconditionFailed(_))));
    }

    #[test]
    fn a_create_only_write_asks_the_store_to_keep_it_absent() {
        let create_only = Conditions { if_none_match: Some(EtagMatch::Any), ..Conditions::default() };
        assert_eq!(create_only.judge_write(None).unwrap(), Precondition::Absent);
        let replace = Conditions { if_match: etags(&["e"]), ..Conditions::default() };
        assert!(matches!(replace.judge_write(None), Err(Error::NoSuchKey)));
    }
}
