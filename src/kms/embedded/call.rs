//! One use of a CMK: the caller's right, the CMK's state, the wrap itself, and the event that it leaves.

use zeroize::Zeroizing;

use crate::kms::{EncryptionContext, Error, KeyArn, KeyEvent, KeyRef, Principal};

use super::audit;
use super::keystore::{EmbeddedKms, Inner};
use super::record::KeyState;
use super::rights::{Asker, Right, Via};
use super::state::Cmk;
use super::wrap::{self, Blob};

/// One use of a CMK.
pub(super) struct Call<'a> {
    pub(super) right: Right,
    pub(super) via: Via,
    pub(super) principal: &'a Principal,
    pub(super) context: &'a EncryptionContext,
}

impl Call<'_> {
    /// Whether the principal may use the CMK, and then whether the CMK can be used: a stranger does not learn its state.
    /// Nothing is used that the trail could not tell of.
    pub(super) fn admit(&self, inner: &Inner, cmk: &Cmk) -> Result<(), Error> {
        inner.trail().admits()?;
        let asker = Asker { principal: self.principal, via: self.via, context: Some(self.context) };
        inner.authorize(&asker, self.right, cmk)?;
        let arn = || cmk.record.arn.0.clone();
        match inner.state_of(cmk)? {
            KeyState::Disabled => Err(Error::Disabled(arn())),
            KeyState::Enabled => Ok(()),
            KeyState::PendingDeletion => Err(Error::PendingDeletion(arn())),
            KeyState::PendingImport => Err(Error::PendingImport(arn())),
        }
    }

    pub(super) fn open(&self, inner: &Inner, cmk: &Cmk, blob: &Blob<'_>) -> Result<Zeroizing<Vec<u8>>, Error> {
        self.admit(inner, cmk)?;
        wrap::unwrap(cmk, blob, self.context)
    }

    /// Leaves the event of it.
    pub(super) fn leave(&self, inner: &Inner, key: &str, version: Option<u32>, outcome: Result<(), &Error>) {
        inner.used(&KeyEvent {
            operation: self.right.name(),
            principal: self.principal,
            key,
            version,
            context: Some(self.context),
            outcome: outcome.map_err(Error::aws_name),
        });
    }
}

impl EmbeddedKms {
    /// Wraps under a CMK and leaves the audit event.
    pub(super) async fn seal(
        &self,
        call: &Call<'_>,
        key: Option<&KeyRef>,
        plain: &[u8],
    ) -> Result<(KeyArn, Vec<u8>), Error> {
        let found = self.resolve(key).await;
        let sealed = match &found {
            Err(_) => None,
            Ok(cmk) => Some(call.admit(&self.inner, cmk).and_then(|()| wrap::wrap(cmk, plain, call.context))),
        };
        let name = found.as_ref().map_or(audit::asked(key), |cmk| cmk.record.arn.0.as_str());
        let outcome = match (&found, &sealed) {
            (Err(error), _) | (_, Some(Err(error))) => Err(error),
            _ => Ok(()),
        };
        let version = found.as_ref().ok().and_then(|cmk| cmk.current()).map(|(number, _)| number);
        call.leave(&self.inner, name, version, outcome);
        let cmk = found?;
        let blob = sealed.unwrap_or(Err(Error::InvalidCiphertext))?;
        Ok((cmk.record.arn.clone(), blob))
    }
}
