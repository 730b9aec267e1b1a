//! How the keystore changes: a change is checked, written, synced and put into memory on one blocking thread, one change at
//! a time.

use std::sync::{Arc, PoisonError};

use crate::kms::{Error, KeyRef, Principal};

use super::admin::AdminError;
use super::disk::Name;
use super::keystore::{EmbeddedKms, Inner};
use super::names::{AliasName, KeyId};
use super::record::{AliasRecord, CmkRecord, KeyState, encode};
use super::rights::{Asker, Right};
use super::seal::Slot;
use super::state::Cmk;

/// How often a change is made again because another gateway was faster.
const OVERTAKEN: usize = 32;

/// What one change writes, all of it or nothing.
#[derive(Debug, Default)]
pub(super) struct Change {
    /// A CMK, new or instead of what it was.
    pub(super) cmk: Option<Arc<Cmk>>,
    /// An alias, new or with another target.
    pub(super) alias: Option<AliasRecord>,
    /// A CMK to take away, with its aliases.
    pub(super) deleted: Option<KeyId>,
    /// An alias to take away.
    pub(super) unnamed: Option<AliasName>,
}

impl From<Arc<Cmk>> for Change {
    fn from(cmk: Arc<Cmk>) -> Self {
        Self { cmk: Some(cmk), ..Self::default() }
    }
}

impl EmbeddedKms {
    /// Runs one change on a blocking thread, after those that were asked for before it. It runs to its end even when
    /// the caller goes away, and again on what is there then when another gateway was faster.
    pub(super) async fn change<T: Send + 'static>(
        &self,
        change: impl Fn(&Inner) -> Result<T, AdminError> + Send + 'static,
    ) -> Result<T, AdminError> {
        let stopped = |_| Error::Unavailable("the keystore is shutting down".to_owned());
        let turn = Arc::clone(&self.turn).acquire_owned().await.map_err(|_| stopped(()))?;
        let inner = Arc::clone(&self.inner);
        let done = tokio::task::spawn_blocking(move || {
            let mut done = change(&inner);
            for _ in 0..OVERTAKEN {
                if !matches!(done, Err(AdminError::Overtaken)) {
                    break;
                }
                done = inner.reload().map_err(AdminError::from).and_then(|()| change(&inner));
            }
            // Before the turn passes on, so that a closed keystore is closed when the last answer is out.
            drop(inner);
            drop(turn);
            done
        });
        done.await.map_err(|_| stopped(()))?
    }

    /// Changes a CMK on behalf of a principal that must have the right to, and leaves the event of it.
    pub(super) async fn administer<T: Send + 'static>(
        &self,
        right: Right,
        principal: &Principal,
        key: &KeyRef,
        change: impl Fn(&Inner, &Cmk) -> Result<T, AdminError> + Send + 'static,
    ) -> Result<T, AdminError> {
        let (by, named) = (principal.clone(), key.0.clone());
        let done = self.change(move |inner| {
            let cmk = inner.find(&named)?;
            inner.authorize(&Asker::administrator(&by), right, &cmk)?;
            change(inner, &cmk)
        });
        let done = done.await;
        self.inner.administered(right.name(), principal, &key.0, done).await
    }

    /// Looks at a CMK on behalf of a principal that must have the right to.
    pub(super) fn inspect(&self, right: Right, principal: &Principal, key: &KeyRef) -> Result<Arc<Cmk>, AdminError> {
        let cmk = self.inner.find(&key.0)?;
        self.inner.authorize(&Asker::administrator(principal), right, &cmk)?;
        Ok(cmk)
    }

    /// Reads again what others may have changed, on a blocking thread, in its turn among the changes.
    ///
    /// # Errors
    /// As [`EmbeddedKms::open`]; what is in memory stays as it was then.
    pub async fn reload(&self) -> Result<(), Error> {
        self.change(|inner| Ok(inner.reload()?)).await.map_err(|error| match error {
            AdminError::Kms(error) => error,
            other => Error::Unavailable(other.to_string()),
        })
    }
}

impl Inner {
    /// Writes what is new, all of it or nothing, then puts it into memory.
    pub(super) fn keep(&self, change: Change) -> Result<(), AdminError> {
        let mut records = Vec::with_capacity(2);
        if let Some(cmk) = &change.cmk {
            let id = cmk.record.id;
            records.push((Name::Cmk(id), self.root.seal(Slot::Cmk(id.as_bytes()), &encode(&cmk.record)?)?));
        }
        if let Some(alias) = &change.alias {
            let index = self.root.alias_index(alias.name.as_str())?;
            records.push((Name::Alias(index), self.root.seal(Slot::Alias(&index), &encode(alias)?)?));
        }
        let mut unnamed: Vec<AliasName> = change.unnamed.into_iter().collect();
        if let Some(id) = change.deleted {
            records.push((Name::Cmk(id), Vec::new()));
            unnamed.extend(self.state().names_of(id));
        }
        for alias in &unnamed {
            records.push((Name::Alias(self.root.alias_index(alias.as_str())?), Vec::new()));
        }
        let records = records.into_iter().map(|(name, value)| (name.bytes(), value)).collect();
        if !self.disk.write(records)? {
            return Err(AdminError::Overtaken);
        }
        let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(cmk) = change.cmk {
            state.put_key(cmk);
        }
        if let Some(alias) = change.alias {
            state.put_alias(alias);
        }
        for alias in &unnamed {
            state.remove_alias(alias);
        }
        if let Some(id) = change.deleted {
            state.remove_key(id);
        }
        drop(state);
        self.changed();
        Ok(())
    }

    /// After a change that took material away. The change stands whether or not this succeeds.
    pub(super) fn scrub(&self) {
        if let Err(error) = self.disk.scrub() {
            tracing::warn!(%error, "what a deleted key's record was may still lie in a file of the keystore");
        }
    }

    /// The same CMK with another record; its material and its policy stay.
    pub(super) fn with(cmk: &Cmk, change: impl FnOnce(&mut CmkRecord)) -> Arc<Cmk> {
        let mut record = cmk.record.clone();
        change(&mut record);
        Arc::new(Cmk { record, material: cmk.material.clone(), policy: cmk.policy.clone() })
    }

    /// The state of a CMK that was found just now.
    pub(super) fn state_of(&self, cmk: &Cmk) -> Result<KeyState, Error> {
        cmk.state_at(self.clock.now()).ok_or_else(|| Error::NotFound(cmk.record.arn.0.clone()))
    }

    /// # Errors
    /// [`Error::PendingDeletion`]: nothing of such a CMK is changed but that.
    pub(super) fn not_pending_deletion(&self, cmk: &Cmk) -> Result<(), Error> {
        match self.state_of(cmk)? {
            KeyState::PendingDeletion => Err(Error::PendingDeletion(cmk.record.arn.0.clone())),
            KeyState::Enabled | KeyState::Disabled | KeyState::PendingImport => Ok(()),
        }
    }
}
