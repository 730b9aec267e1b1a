//! Object lock, which the upstream keeps: of buckets that are made with it, of versions that are written under it. A version
//! is locked by a request of its own as soon as it is there: upstreams want a checksum of a body that comes with a lock, and
//! of one that streams nobody has it beforehand.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderMap, HeaderName};
use http::{HeaderValue, Method};
use md5::Digest as _;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::client::{Again, Call};
use super::listing::iso_date;
use super::pass::is_of;
use super::settings::Wire;
use super::target::{Spot, Target};
use crate::store::{Crossing, Error, Governance, ObjectLock, Passage, Retention, RetentionMode, Verb};
use crate::types::BucketName;

const RETENTION: &str = "retention";
const LEGAL_HOLD: &str = "legal-hold";

/// Asks for a bucket with object lock.
pub(super) fn of_new_bucket(call: Call) -> Call {
    call.header(HeaderName::from_static("x-amz-bucket-object-lock-enabled"), "true")
}

/// A request that passes what a retention period in governance mode would forbid.
pub(super) fn past(call: Call, governance: Governance) -> Call {
    match governance {
        Governance::Heeded => call,
        Governance::Bypassed => call.header(HeaderName::from_static("x-amz-bypass-governance-retention"), "true"),
    }
}

/// A request with a small document, and the checksum that S3 wants of it.
pub(super) fn with_document(call: Call, document: &[u8]) -> Call {
    let digest = STANDARD.encode(md5::Md5::digest(document));
    call.header(HeaderName::from_static("content-md5"), &digest).header(CONTENT_TYPE, "application/xml")
}

/// Whether locks of objects pass, so that what a version's lock is must be asked each time.
pub(super) fn shows_locks(target: &Target) -> bool {
    target.settings.pass_through.iter().any(|passage| passage.sub().is_of_objects() && passage.verb() == Verb::Get)
}

/// What of a lock has to pass for it to be set.
pub(super) fn needs(lock: &ObjectLock) -> impl Iterator<Item = Option<Passage>> {
    let retention = lock.retention.is_some().then(|| Passage::named(Wire::S3, "PUT", RETENTION));
    let hold = lock.legal_hold.is_some().then(|| Passage::named(Wire::S3, "PUT", LEGAL_HOLD));
    retention.into_iter().chain(hold)
}

/// The lock that an answer about a version shows.
pub(super) fn lock_in(headers: &HeaderMap) -> ObjectLock {
    let text = |name| headers.get(name).and_then(|value: &HeaderValue| value.to_str().ok());
    let mode = text("x-amz-object-lock-mode").and_then(RetentionMode::named);
    let until = text("x-amz-object-lock-retain-until-date").and_then(iso_date);
    ObjectLock {
        retention: mode.zip(until).map(|(mode, until)| Retention { mode, until }),
        legal_hold: text("x-amz-object-lock-legal-hold").map(|status| status == "ON"),
    }
}

/// Whether the upstream's bucket was made with object lock.
///
/// # Errors
/// [`Error::Unavailable`].
pub(super) async fn is_lockable(target: &Target, name: &BucketName) -> Result<bool, Error> {
    let Some(asked) = Passage::named(Wire::S3, "GET", "object-lock") else { return Ok(false) };
    let call = Call::bucket(Method::GET, &target.settings.place(name).bucket).query(asked.name(), "");
    match target.client.ask(&call, Bytes::new(), Again::Always).await {
        Ok((_, document)) => Ok(is_of(asked, &document)),
        // Without one, or without knowing of any.
        Err(failure) if failure.status().is_some_and(|status| matches!(status.as_u16(), 400 | 404 | 405 | 501)) => {
            Ok(false)
        }
        Err(failure) => Err(failure.into()),
    }
}

/// Whether the upstream takes such locks in a bucket.
///
/// # Errors
/// [`Error::Unsupported`]; [`Error::Unavailable`].
pub(super) async fn can_lock(target: &Target, name: &BucketName, lock: &ObjectLock) -> Result<bool, Error> {
    let passes = |passage| super::pass::passes(&target.settings, name, passage) == Crossing::Passes;
    if !needs(lock).all(|passage| passage.is_some_and(passes)) {
        return Err(Error::Unsupported("object lock"));
    }
    is_lockable(target, name).await
}

fn retention_document(retention: Retention) -> Option<String> {
    let seconds = i64::try_from(retention.until.0 / 1000).ok()?;
    let until = OffsetDateTime::from_unix_timestamp(seconds).ok()?.format(&Rfc3339).ok()?;
    let mode = retention.mode.name();
    Some(format!("<Retention><Mode>{mode}</Mode><RetainUntilDate>{until}</RetainUntilDate></Retention>"))
}

impl Spot {
    /// Locks the version that is meant, which was written a moment ago. A period that has ended meanwhile needs no lock, and
    /// where the bucket's own rule has locked the version more strictly, that stands.
    ///
    /// # Errors
    /// [`Error::Held`] where the upstream refuses; [`Error::Unavailable`].
    pub(super) async fn lock(&self, lock: &ObjectLock) -> Result<(), Error> {
        if lock.is_empty() {
            return Ok(());
        }
        if !self.is_for_good() {
            return Err(Error::Unavailable("the version was gone before it was locked".to_owned()));
        }
        if let Some(held) = lock.legal_hold {
            let status = if held { "ON" } else { "OFF" };
            let document = format!("<LegalHold><Status>{status}</Status></LegalHold>");
            self.lock_by(LEGAL_HOLD, document, lock).await?;
        }
        let now = self.target.client.clock.now();
        if let Some(retention) = lock.retention.filter(|retention| retention.until > now) {
            let document = retention_document(retention).ok_or(Error::Unsupported("so late a date"))?;
            self.lock_by(RETENTION, document, lock).await?;
        }
        Ok(())
    }

    async fn lock_by(&self, what: &'static str, document: String, lock: &ObjectLock) -> Result<(), Error> {
        let call = with_document(self.call(Method::PUT).query(what, ""), document.as_bytes());
        match self.target.client.ask(&call, document.into(), Again::Always).await {
            Ok(_) => Ok(()),
            Err(failure) if failure.is_denial() => {
                if lock_in(&self.headers().await?).covers(lock) {
                    Ok(())
                } else {
                    Err(Error::Held)
                }
            }
            Err(failure) => Err(failure.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::Timestamp;

    #[test]
    fn a_lock_is_written_and_read_as_s3_does() {
        let until = Timestamp(1_893_456_000_000);
        let retention = Retention { mode: RetentionMode::Compliance, until };
        assert_eq!(
            retention_document(retention).unwrap(),
            "<Retention><Mode>COMPLIANCE</Mode><RetainUntilDate>2030-01-01T00:00:00Z</RetainUntilDate></Retention>"
        );
        let mut headers = HeaderMap::new();
        assert!(lock_in(&headers).is_empty());
        headers.insert("x-amz-object-lock-mode", HeaderValue::from_static("COMPLIANCE"));
        assert!(lock_in(&headers).is_empty(), "a mode without an end is none");
        headers.insert("x-amz-object-lock-retain-until-date", HeaderValue::from_static("2030-01-01T00:00:00.5Z"));
        headers.insert("x-amz-object-lock-legal-hold", HeaderValue::from_static("OFF"));
        assert_eq!(lock_in(&headers), ObjectLock { retention: Some(retention), legal_hold: Some(false) });
        assert_eq!(needs(&lock_in(&headers)).filter(Option::is_some).count(), 2);
        assert_eq!(needs(&ObjectLock::default()).count(), 0);
    }
}
