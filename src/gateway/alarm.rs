//! Who is told when stored data does not verify: an operator must act, so it is more than one client's error.

use std::fmt;
use std::sync::Arc;

use futures::StreamExt as _;

use crate::kms;
use crate::sse;

use super::{Error, PlainOut};

/// Called once for each answer that stored data spoiled by not verifying. Cheap: it runs on the request's way.
#[derive(Clone)]
pub(super) struct Alarm(Arc<dyn Fn() + Send + Sync>);

impl Alarm {
    /// Tells `listener`.
    pub(super) fn new(listener: impl Fn() + Send + Sync + 'static) -> Self {
        Self(Arc::new(listener))
    }

    /// Passes an operation's result on and tells of a failed verification.
    pub(super) fn heed<T>(&self, result: Result<T, Error>) -> Result<T, Error> {
        if result.as_ref().is_err_and(is_tampering) {
            (self.0)();
        }
        result
    }

    /// Passes a body on and tells when it breaks off because a segment or the manifest does not verify.
    pub(super) fn heed_body(&self, body: PlainOut) -> PlainOut {
        let alarm = self.clone();
        Box::pin(body.map(move |chunk| alarm.heed(chunk)))
    }
}

impl Default for Alarm {
    fn default() -> Self {
        Self::new(|| ())
    }
}

impl fmt::Debug for Alarm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Alarm")
    }
}

/// Whether what is stored is to blame, and not the request, its keys or the key service.
fn is_tampering(error: &Error) -> bool {
    let Error::Integrity(cause) = error else { return false };
    match cause {
        sse::Error::Kms(error) => matches!(error, kms::Error::InvalidCiphertext),
        sse::Error::CustomerKeyRequired
        | sse::Error::CustomerKeyNotApplicable
        | sse::Error::CustomerKeyWrong
        | sse::Error::ContextReserved(_)
        | sse::Error::TooLarge
        | sse::Error::Random(_) => false,
        _ => true,
    }
}
