//! Uploads that were looked at a moment ago. Whoever writes a part has asked for its upload just before: the record is not
//! read a second time for it.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::multipart::UploadRecord;
use crate::store::UploadAt;

/// How long a look is good for. A record never changes, so that it can only be gone; and whether it is, is asked again once
/// the part is written.
const FRESH: Duration = Duration::from_secs(1);
/// How many are kept.
const MOST: usize = 1024;

/// The uploads.
#[derive(Debug, Default)]
pub(super) struct Seen(Mutex<HashMap<UploadAt, (Instant, UploadRecord)>>);

impl Seen {
    /// Keeps what was just read.
    pub(super) fn keep(&self, at: &UploadAt, record: &UploadRecord) {
        let mut seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if seen.len() >= MOST {
            seen.retain(|_, (when, _)| when.elapsed() < FRESH);
        }
        if seen.len() < MOST || seen.contains_key(at) {
            seen.insert(at.clone(), (Instant::now(), record.clone()));
        }
    }

    /// What was read a moment ago.
    pub(super) fn get(&self, at: &UploadAt) -> Option<UploadRecord> {
        let seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        seen.get(at).filter(|(when, _)| when.elapsed() < FRESH).map(|(_, record)| record.clone())
    }

    /// Forgets an upload that ends.
    pub(super) fn forget(&self, at: &UploadAt) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(at);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Metadata;
    use crate::types::{ObjectAt, Timestamp, UploadId};

    #[test]
    fn few_are_kept_and_none_that_ended() {
        let at = |number: usize| UploadAt {
            object: ObjectAt { bucket: "bucket".parse().unwrap(), key: "key".parse().unwrap() },
            id: UploadId::from_bits(u128::try_from(number).unwrap().to_be_bytes()),
        };
        let record = UploadRecord {
            key: "key".parse().unwrap(),
            metadata: Metadata::default(),
            state: Vec::new(),
            initiated: Timestamp(1),
            upload: "theirs".into(),
            write: "w".into(),
        };
        let seen = Seen::default();
        for number in 0..2 * MOST {
            seen.keep(&at(number), &record);
        }
        assert!(seen.0.lock().unwrap().len() <= MOST);
        assert_eq!(seen.get(&at(0)).unwrap().upload, "theirs");
        seen.forget(&at(0));
        assert!(seen.get(&at(0)).is_none());
    }
}
