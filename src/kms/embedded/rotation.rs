//! Rotation: a CMK gets a new version of its material, which wraps from then on. Every older version still unwraps, since
//! the wrapped blob names the version that made it (see `wrap`).

use std::sync::Arc;

use crate::kms::{Error, KeyArn, KeyRef, Principal};
use crate::types::Timestamp;

use super::admin::{AdminError, Page};
use super::keystore::{EmbeddedKms, Inner, open_material};
use super::lifecycle::DAY;
use super::names::KeyId;
use super::record::{CmkRecord, KeyOrigin, KeyState, Rotation, VersionCause};
use super::rights::Right;
use super::state::Cmk;

/// How often a CMK may be rotated on demand, AWS KMS's quota.
const MAX_ON_DEMAND: usize = 25;

/// Automatic rotation of a CMK.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RotationStatus {
    /// The CMK.
    pub key: KeyArn,
    /// How many days a version wraps and when the next one is made, where rotation is on.
    pub automatic: Option<(u16, Timestamp)>,
}

/// A version of a CMK's material.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VersionRow {
    /// 1 for the first one.
    pub number: u32,
    /// When it was made.
    pub created: Timestamp,
    /// Why.
    pub cause: VersionCause,
}

impl EmbeddedKms {
    /// Has a CMK rotated every `days` days, counted from now. The caller has checked the number of days. Durable when it
    /// returns.
    ///
    /// # Errors
    /// [`AdminError::Unsupported`] for imported material; [`Error::NotFound`], [`Error::Denied`], [`Error::Disabled`],
    /// [`Error::PendingDeletion`].
    pub async fn enable_rotation(&self, principal: &Principal, key: &KeyRef, days: u16) -> Result<(), AdminError> {
        let done = self.administer(Right::EnableKeyRotation, principal, key, move |inner, cmk| {
            inner.can_rotate(cmk)?;
            let next = inner.after_days(days);
            inner.keep(Inner::with(cmk, |record| record.rotation = Some(Rotation { period_days: days, next })).into())
        });
        done.await
    }

    /// Ends automatic rotation. What was rotated stays so. Durable when it returns.
    ///
    /// # Errors
    /// As [`EmbeddedKms::enable_rotation`].
    pub async fn disable_rotation(&self, principal: &Principal, key: &KeyRef) -> Result<(), AdminError> {
        let done = self.administer(Right::DisableKeyRotation, principal, key, |inner, cmk| {
            inner.can_rotate(cmk)?;
            inner.keep(Inner::with(cmk, |record| record.rotation = None).into())
        });
        done.await
    }

    /// Whether a CMK is rotated by itself. One that waits for its deletion is not.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Denied`].
    pub fn rotation_status(&self, principal: &Principal, key: &KeyRef) -> Result<RotationStatus, AdminError> {
        let cmk = self.inspect(Right::GetKeyRotationStatus, principal, key)?;
        let rests = self.inner.state_of(&cmk)? == KeyState::PendingDeletion;
        let automatic = cmk.record.rotation.filter(|_| !rests).map(|rotation| (rotation.period_days, rotation.next));
        Ok(RotationStatus { key: cmk.record.arn.clone(), automatic })
    }

    /// Gives a CMK a new version now; automatic rotation goes on as it would have. Gives its ARN and the version's
    /// number. Durable when it returns, and in force for every call after.
    ///
    /// # Errors
    /// As [`EmbeddedKms::enable_rotation`]; [`AdminError::LimitExceeded`] after 25 times.
    pub async fn rotate_on_demand(&self, principal: &Principal, key: &KeyRef) -> Result<(KeyArn, u32), AdminError> {
        let done = self.administer(Right::RotateKeyOnDemand, principal, key, |inner, cmk| {
            inner.can_rotate(cmk)?;
            let asked = cmk.record.versions.iter().filter(|version| version.cause == VersionCause::OnDemand).count();
            if asked >= MAX_ON_DEMAND {
                let text = format!("a key may be rotated on demand {MAX_ON_DEMAND} times");
                return Err(AdminError::LimitExceeded(text));
            }
            let number = inner.rotate(cmk, VersionCause::OnDemand)?;
            Ok((cmk.record.arn.clone(), number))
        });
        done.await
    }

    /// A CMK's id and a page of its versions after number `after`; the first one is a version like any.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Denied`].
    pub fn list_versions(
        &self,
        principal: &Principal,
        key: &KeyRef,
        after: u32,
        limit: usize,
    ) -> Result<(KeyId, Page<VersionRow>), AdminError> {
        let cmk = self.inspect(Right::ListKeyRotations, principal, key)?;
        let later = cmk.record.versions.iter().filter(|version| version.number > after);
        let row = |version: &super::record::MaterialVersion| VersionRow {
            number: version.number,
            created: version.created,
            cause: version.cause,
        };
        let rows = later.take(limit.saturating_add(1)).map(row).collect();
        Ok((cmk.record.id, Page::cut(rows, limit)))
    }
}

impl Inner {
    fn can_rotate(&self, cmk: &Cmk) -> Result<(), AdminError> {
        let arn = || cmk.record.arn.0.clone();
        if cmk.record.origin != KeyOrigin::Service {
            return Err(AdminError::Unsupported(format!("{} has imported material, which is not rotated", arn())));
        }
        match self.state_of(cmk)? {
            KeyState::Enabled => Ok(()),
            KeyState::Disabled => Err(Error::Disabled(arn()).into()),
            KeyState::PendingDeletion => Err(Error::PendingDeletion(arn()).into()),
            KeyState::PendingImport => Err(Error::PendingImport(arn()).into()),
        }
    }

    /// Adds a version, and moves the next automatic one if it was this.
    pub(super) fn rotate(&self, cmk: &Cmk, cause: VersionCause) -> Result<u32, AdminError> {
        let last = cmk.record.versions.last().map_or(0, |version| version.number);
        let number = last.checked_add(1).ok_or_else(|| AdminError::LimitExceeded("no more versions".to_owned()))?;
        let mut record: CmkRecord = cmk.record.clone();
        record.versions.push(self.new_version(record.id, number, cause)?);
        if let (VersionCause::Automatic, Some(rotation)) = (cause, &mut record.rotation) {
            rotation.next = self.after_days(rotation.period_days);
        }
        // Opened from what will be written, so that nothing is wrapped under what would not open after a restart.
        self.keep(Arc::new(open_material(&self.root, record)?).into())?;
        Ok(number)
    }

    fn after_days(&self, days: u16) -> Timestamp {
        Timestamp(self.clock.now().0.saturating_add(u64::from(days).saturating_mul(DAY)))
    }
}
