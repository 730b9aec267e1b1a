//! A CMK's states: enabled, disabled, waiting to be deleted, deleted. What is due by time is in force at that time, and
//! written down soon after by [`EmbeddedKms::tend`].

use crate::kms::{Error, KeyArn, KeyRef, Principal};
use crate::types::{Timestamp, UserId};

use super::admin::AdminError;
use super::change::Change;
use super::keystore::{EmbeddedKms, Inner};
use super::names::KeyId;
use super::record::{KeyState, VersionCause};
use super::rights::Right;
use super::state::Cmk;

/// A day in milliseconds.
pub(super) const DAY: u64 = 24 * 60 * 60 * 1000;

/// What was scheduled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scheduled {
    /// The CMK.
    pub key: KeyArn,
    /// When it will be deleted.
    pub deletion: Timestamp,
}

impl EmbeddedKms {
    /// Lets a CMK be used again. Durable when it returns, and in force for every call after.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Denied`], [`Error::PendingDeletion`], [`Error::PendingImport`].
    pub async fn enable_key(&self, principal: &Principal, key: &KeyRef) -> Result<(), AdminError> {
        self.switch(Right::EnableKey, principal, key, KeyState::Enabled).await
    }

    /// Keeps a CMK from being used. Durable when it returns, and in force for every call after.
    ///
    /// # Errors
    /// As [`EmbeddedKms::enable_key`].
    pub async fn disable_key(&self, principal: &Principal, key: &KeyRef) -> Result<(), AdminError> {
        self.switch(Right::DisableKey, principal, key, KeyState::Disabled).await
    }

    async fn switch(&self, right: Right, principal: &Principal, key: &KeyRef, to: KeyState) -> Result<(), AdminError> {
        let done = self.administer(right, principal, key, move |inner, cmk| {
            let arn = || cmk.record.arn.0.clone();
            match inner.state_of(cmk)? {
                KeyState::PendingDeletion => Err(Error::PendingDeletion(arn()).into()),
                KeyState::PendingImport => Err(Error::PendingImport(arn()).into()),
                state if state == to => Ok(()),
                KeyState::Enabled | KeyState::Disabled => {
                    inner.keep(Inner::with(cmk, |record| record.state = to).into())
                }
            }
        });
        done.await
    }

    /// Makes a CMK unusable at once, and has it deleted after `days` days: its material is gone then, and with it whatever
    /// only the CMK can open. The caller has checked the number of days. Durable when it returns.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Denied`], [`Error::PendingDeletion`]; [`AdminError::ServiceManaged`].
    pub async fn schedule_deletion(
        &self,
        principal: &Principal,
        key: &KeyRef,
        days: u32,
    ) -> Result<Scheduled, AdminError> {
        let done = self.administer(Right::ScheduleKeyDeletion, principal, key, move |inner, cmk| {
            inner.not_pending_deletion(cmk)?;
            if cmk.record.owner.is_none() {
                return Err(AdminError::ServiceManaged(cmk.record.arn.0.clone()));
            }
            let deletion = Timestamp(inner.clock.now().0.saturating_add(u64::from(days).saturating_mul(DAY)));
            let pending = Inner::with(cmk, |record| {
                record.state = KeyState::PendingDeletion;
                record.deletion = Some(deletion);
            });
            inner.keep(pending.into())?;
            Ok(Scheduled { key: cmk.record.arn.clone(), deletion })
        });
        done.await
    }

    /// Keeps a CMK that waits for its deletion. It is in the state `to` then (enabled or disabled, as the dialect has it), or
    /// waits for its import.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Denied`]; [`AdminError::NotPendingDeletion`].
    pub async fn cancel_deletion(
        &self,
        principal: &Principal,
        key: &KeyRef,
        to: KeyState,
    ) -> Result<KeyArn, AdminError> {
        let done = self.administer(Right::CancelKeyDeletion, principal, key, move |inner, cmk| {
            if inner.state_of(cmk)? != KeyState::PendingDeletion {
                return Err(AdminError::NotPendingDeletion(cmk.record.arn.0.clone()));
            }
            let kept = Inner::with(cmk, |record| {
                record.state = if record.versions.is_empty() { KeyState::PendingImport } else { to };
                record.deletion = None;
            });
            inner.keep(kept.into())?;
            Ok(cmk.record.arn.clone())
        });
        done.await
    }

    /// Writes down what became due: deletes CMKs and imported material whose time has come, rotates. Gives how many CMKs it changed. To be called now and
    /// then; what it deletes is out of use at its time already.
    ///
    /// # Errors
    /// [`Error::Unavailable`], [`Error::Corrupt`]; what is still due is done at the next call.
    pub async fn tend(&self) -> Result<usize, AdminError> {
        let mut changed = 0;
        let due = self.inner.state().due(self.inner.clock.now());
        for id in due {
            let done = self.change(move |inner| inner.tend(id)).await?;
            if let Some((operation, arn)) = done {
                let service = Principal { user: UserId::new("sealgate"), root: true };
                self.inner.administered(operation, &service, &arn.0, Ok(())).await?;
                changed += 1;
            }
        }
        Ok(changed)
    }
}

impl Inner {
    /// Does what is due to one CMK.
    fn tend(&self, id: KeyId) -> Result<Option<(&'static str, KeyArn)>, AdminError> {
        let now = self.clock.now();
        let Some(cmk) = self.state().key(id).cloned() else { return Ok(None) };
        if cmk.record.due().is_none_or(|at| at > now) {
            return Ok(None);
        }
        let arn = cmk.record.arn.clone();
        if cmk.state_at(now).is_none() {
            self.delete(&cmk)?;
            return Ok(Some(("DeleteKey", arn)));
        }
        if cmk.record.expires().is_some_and(|at| at <= now) {
            self.forget_material(&cmk)?;
            return Ok(Some(("DeleteExpiredKeyMaterial", arn)));
        }
        self.rotate(&cmk, VersionCause::Automatic)?;
        Ok(Some(("RotateKey", arn)))
    }

    /// Deletes a CMK, its material and its aliases.
    fn delete(&self, cmk: &Cmk) -> Result<(), AdminError> {
        self.keep(Change { deleted: Some(cmk.record.id), ..Change::default() })?;
        self.scrub();
        Ok(())
    }
}
