//! Making, showing, listing, naming and switching CMKs. A change is checked, written, synced and put into memory on one
//! blocking thread, one change at a time.

use std::sync::{Arc, PoisonError};

use crate::kms::{Error, KeyArn, KeyRef, Principal};
use crate::types::{Timestamp, UserId, random};

use super::audit;
use super::disk::Name;
use super::keystore::{EmbeddedKms, Inner, open_material};
use super::names::{AliasName, Asked, KeyId};
use super::record::{AliasRecord, CmkRecord, KeyOrigin, KeyState, KeyUsage, MaterialVersion, Tag, encode};
use super::seal::{Slot, no_random};
use super::state::{AliasesOf, Cmk};

use zeroize::Zeroizing;

/// CMKs that one owner may have: what a tenant can make of our memory is bounded.
const MAX_KEYS_PER_OWNER: usize = 10_000;
/// Aliases that one CMK may have, AWS KMS's quota.
const MAX_ALIASES_PER_KEY: usize = 50;

/// How often a change is made again because another gateway was faster.
const OVERTAKEN: usize = 32;

/// Why an administrative call was refused.
#[derive(Debug, thiserror::Error)]
pub enum AdminError {
    /// The ciphertext was made under another CMK than the one that the caller expects.
    #[error("the ciphertext belongs to another key")]
    IncorrectKey,
    /// As for every use of a CMK.
    #[error(transparent)]
    Kms(#[from] Error),
    /// A quota is used up (said in the text).
    #[error("{0}")]
    LimitExceeded(String),
    /// Another gateway changed the keystore first. Never seen outside: the change is tried again on what is there then.
    #[error("the keystore was changed by another gateway")]
    Overtaken,
    /// The alias is one that only the service makes (`alias/aws/…`).
    #[error("{0} is reserved for the service")]
    ReservedAlias(AliasName),
}

/// What a new CMK is made with; the caller has checked lengths.
#[derive(Debug, Clone, Default)]
pub struct NewKey {
    /// Shown in descriptions.
    pub description: String,
    /// Kept with the CMK.
    pub tags: Vec<Tag>,
}

/// A CMK as its administrator sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyDescription {
    /// Its id.
    pub id: KeyId,
    /// Its ARN.
    pub arn: KeyArn,
    /// As given when it was made.
    pub description: String,
    /// Whether it can be used.
    pub state: KeyState,
    /// Where its material comes from.
    pub origin: KeyOrigin,
    /// When it was made.
    pub created: Timestamp,
    /// When it will be deleted, if it is pending deletion.
    pub deletion: Option<Timestamp>,
    /// Whether the service manages it (nobody owns it).
    pub service_managed: bool,
}

impl KeyDescription {
    fn of(cmk: &Cmk) -> Self {
        let record = &cmk.record;
        Self {
            id: record.id,
            arn: record.arn.clone(),
            description: record.description.clone(),
            state: record.state,
            origin: record.origin,
            created: record.created,
            deletion: record.deletion,
            service_managed: record.owner.is_none(),
        }
    }
}

/// An alias as its administrator sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AliasDescription {
    /// Its name.
    pub name: AliasName,
    /// Its ARN.
    pub arn: String,
    /// The CMK it stands for.
    pub target: KeyId,
    /// When it was made.
    pub created: Timestamp,
    /// When its target last changed.
    pub updated: Timestamp,
}

/// A page of a listing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page<T> {
    /// The rows.
    pub items: Vec<T>,
    /// More follow.
    pub truncated: bool,
}

impl<T> Page<T> {
    /// Of up to `limit + 1` rows; the one too many only says that there are more.
    fn cut(mut items: Vec<T>, limit: usize) -> Self {
        let truncated = items.len() > limit;
        items.truncate(limit);
        Self { items, truncated }
    }
}

impl EmbeddedKms {
    /// Makes a CMK that belongs to the caller. Durable when it returns.
    ///
    /// # Errors
    /// [`AdminError::LimitExceeded`]; [`Error::Unavailable`] when the disk or the random generator fails.
    pub async fn create_key(&self, principal: &Principal, new: NewKey) -> Result<KeyDescription, AdminError> {
        let owner = principal.user.clone();
        let made = self.change(move |inner| inner.create_key(Some(owner.clone()), new.clone())).await;
        let arn = made.as_ref().map_or("", |cmk| cmk.record.arn.0.as_str());
        audit::administered("CreateKey", principal, arn, made.as_ref().map(|_| ()));
        made.map(|cmk| KeyDescription::of(&cmk))
    }

    /// Describes a CMK to its owner, the root user, or (the service-managed default) anyone.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Denied`].
    pub async fn describe_key(&self, principal: &Principal, key: &KeyRef) -> Result<KeyDescription, AdminError> {
        let cmk = self.resolve(Some(key)).await?;
        if cmk.record.owner.is_some() {
            may_administer(principal, &cmk)?;
        }
        Ok(KeyDescription::of(&cmk))
    }

    /// A page of the caller's CMKs (root: of all) after `after`, by id.
    #[must_use]
    pub fn list_keys(&self, principal: &Principal, after: Option<KeyId>, limit: usize) -> Page<KeyDescription> {
        let owner = (!principal.root).then_some(&principal.user);
        let rows = self.inner.state().page_of_keys(owner, after, limit.saturating_add(1));
        Page::cut(rows.iter().map(|cmk| KeyDescription::of(cmk)).collect(), limit)
    }

    /// Gives a CMK of the caller's a name. Names are one space for all users. Durable when it returns.
    ///
    /// # Errors
    /// [`AdminError::ReservedAlias`]; [`Error::AlreadyExists`], [`Error::NotFound`], [`Error::Denied`],
    /// [`Error::PendingDeletion`]; [`AdminError::LimitExceeded`].
    pub async fn create_alias(
        &self,
        principal: &Principal,
        name: AliasName,
        target: &KeyRef,
    ) -> Result<(), AdminError> {
        let (by, to) = (principal.clone(), target.0.clone());
        let done = self.change(move |inner| inner.create_alias(&by, name.clone(), &to)).await;
        audit::administered("CreateAlias", principal, &target.0, done.as_ref().copied());
        done
    }

    /// A page of aliases after `after`, by name: those of one CMK, else those of all the caller's CMKs (root: all).
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Denied`].
    pub fn list_aliases(
        &self,
        principal: &Principal,
        key: Option<&KeyRef>,
        after: Option<&AliasName>,
        limit: usize,
    ) -> Result<Page<AliasDescription>, AdminError> {
        let target = match key {
            None => None,
            Some(key) => {
                let cmk = self.inner.find(&key.0)?;
                if cmk.record.owner.is_some() {
                    may_administer(principal, &cmk)?;
                }
                Some(cmk.record.id)
            }
        };
        let of = match target {
            Some(target) => AliasesOf::Key(target),
            None if principal.root => AliasesOf::Everyone,
            None => AliasesOf::Owner(&principal.user),
        };
        let rows = self.inner.state().page_of_aliases(of, after, limit.saturating_add(1));
        let shown = |alias: &Arc<AliasRecord>| AliasDescription {
            name: alias.name.clone(),
            arn: self.inner.place.alias_arn(&alias.name),
            target: alias.target,
            created: alias.created,
            updated: alias.updated,
        };
        Ok(Page::cut(rows.iter().map(shown).collect(), limit))
    }

    /// Lets a CMK be used again. Durable when it returns, and in force for every call after.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Denied`], [`Error::PendingDeletion`], [`Error::PendingImport`].
    pub async fn enable_key(&self, principal: &Principal, key: &KeyRef) -> Result<(), AdminError> {
        self.switch("EnableKey", principal, key, KeyState::Enabled).await
    }

    /// Keeps a CMK from being used. Durable when it returns, and in force for every call after.
    ///
    /// # Errors
    /// As [`EmbeddedKms::enable_key`].
    pub async fn disable_key(&self, principal: &Principal, key: &KeyRef) -> Result<(), AdminError> {
        self.switch("DisableKey", principal, key, KeyState::Disabled).await
    }

    async fn switch(
        &self,
        operation: &'static str,
        principal: &Principal,
        key: &KeyRef,
        to: KeyState,
    ) -> Result<(), AdminError> {
        let (by, named) = (principal.clone(), key.0.clone());
        let done = self.change(move |inner| inner.switch(&by, &named, to)).await;
        audit::administered(operation, principal, &key.0, done.as_ref().copied());
        done
    }

    /// The service-managed default CMK; made now unless another call was faster.
    pub(super) async fn make_service_default(&self) -> Result<Arc<Cmk>, Error> {
        let made = self.change(|inner| {
            let alias = AliasName::service_default();
            if let Ok(cmk) = inner.look_up(&Asked::Alias(alias.clone())) {
                return Ok(cmk);
            }
            let description = "Default key that protects objects when no other key is defined".to_owned();
            let cmk = inner.new_cmk(None, NewKey { description, tags: Vec::new() })?;
            inner.keep(Some(Arc::clone(&cmk)), Some(inner.new_alias(alias, cmk.record.id)))?;
            Ok(cmk)
        });
        made.await.map_err(|error| match error {
            AdminError::Kms(error) => error,
            other => Error::Unavailable(other.to_string()),
        })
    }

    #[cfg(test)]
    pub(super) async fn force_state(&self, key: &KeyRef, to: KeyState) {
        let named = key.0.clone();
        let changed = self.change(move |inner| {
            let cmk = inner.find(&named)?;
            inner.keep(Some(inner.with_state(&cmk, to)), None)
        });
        changed.await.unwrap();
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

    /// Runs one change on a blocking thread, after those that were asked for before it. It runs to its end even when
    /// the caller goes away, and again on what is there then when another gateway was faster.
    async fn change<T: Send + 'static>(
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
}

impl Inner {
    fn create_key(&self, owner: Option<UserId>, new: NewKey) -> Result<Arc<Cmk>, AdminError> {
        let owned = owner.as_ref().map_or(0, |owner| self.state().keys_owned(owner));
        if owned >= MAX_KEYS_PER_OWNER {
            return Err(AdminError::LimitExceeded(format!("a user may have {MAX_KEYS_PER_OWNER} keys")));
        }
        let cmk = self.new_cmk(owner, new)?;
        self.keep(Some(Arc::clone(&cmk)), None)?;
        Ok(cmk)
    }

    fn create_alias(&self, principal: &Principal, name: AliasName, target: &str) -> Result<(), AdminError> {
        if name.is_reserved() {
            return Err(AdminError::ReservedAlias(name));
        }
        let cmk = self.find(target)?;
        may_administer(principal, &cmk)?;
        if cmk.record.state == KeyState::PendingDeletion {
            return Err(Error::PendingDeletion(cmk.record.arn.0.clone()).into());
        }
        if self.state().alias(&name).is_some() {
            return Err(Error::AlreadyExists(self.place.alias_arn(&name)).into());
        }
        if self.state().aliases_to(cmk.record.id) >= MAX_ALIASES_PER_KEY {
            return Err(AdminError::LimitExceeded(format!("a key may have {MAX_ALIASES_PER_KEY} aliases")));
        }
        self.keep(None, Some(self.new_alias(name, cmk.record.id)))
    }

    fn switch(&self, principal: &Principal, key: &str, to: KeyState) -> Result<(), AdminError> {
        let cmk = self.find(key)?;
        may_administer(principal, &cmk)?;
        let arn = || cmk.record.arn.0.clone();
        match cmk.record.state {
            KeyState::PendingDeletion => return Err(Error::PendingDeletion(arn()).into()),
            KeyState::PendingImport => return Err(Error::PendingImport(arn()).into()),
            KeyState::Enabled | KeyState::Disabled if cmk.record.state == to => return Ok(()),
            KeyState::Enabled | KeyState::Disabled => {}
        }
        self.keep(Some(self.with_state(&cmk, to)), None)
    }

    fn with_state(&self, cmk: &Cmk, state: KeyState) -> Arc<Cmk> {
        let record = CmkRecord { state, ..cmk.record.clone() };
        Arc::new(Cmk { record, material: cmk.material.clone() })
    }

    fn new_cmk(&self, owner: Option<UserId>, new: NewKey) -> Result<Arc<Cmk>, AdminError> {
        let id = KeyId::random().map_err(no_random)?;
        let created = self.clock.now();
        let plain = Zeroizing::new(random::<32>().map_err(no_random)?);
        let sealed = self.root.seal(Slot::Material(id.as_bytes(), 1), plain.as_slice())?;
        let record = CmkRecord {
            id,
            arn: self.place.key_arn(id),
            description: new.description,
            owner,
            state: KeyState::Enabled,
            usage: KeyUsage::EncryptDecrypt,
            origin: KeyOrigin::Service,
            created,
            deletion: None,
            tags: new.tags,
            versions: vec![MaterialVersion { number: 1, created, sealed }],
        };
        // Opened from what will be written, so that a key never works today that would not open after a restart.
        Ok(Arc::new(open_material(&self.root, record)?))
    }

    fn new_alias(&self, name: AliasName, target: KeyId) -> AliasRecord {
        let now = self.clock.now();
        AliasRecord { name, target, created: now, updated: now }
    }

    /// Writes what is new, all of it or nothing, then puts it into memory.
    fn keep(&self, cmk: Option<Arc<Cmk>>, alias: Option<AliasRecord>) -> Result<(), AdminError> {
        let mut records = Vec::with_capacity(2);
        if let Some(cmk) = &cmk {
            let id = cmk.record.id;
            records.push((Name::Cmk(id), self.root.seal(Slot::Cmk(id.as_bytes()), &encode(&cmk.record)?)?));
        }
        if let Some(alias) = &alias {
            let index = self.root.alias_index(alias.name.as_str())?;
            records.push((Name::Alias(index), self.root.seal(Slot::Alias(&index), &encode(alias)?)?));
        }
        let records = records.into_iter().map(|(name, value)| (name.bytes(), value)).collect();
        if !self.disk.write(records)? {
            return Err(AdminError::Overtaken);
        }
        let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(cmk) = cmk {
            state.put_key(cmk);
        }
        if let Some(alias) = alias {
            state.put_alias(alias);
        }
        Ok(())
    }
}

/// The owner and the root user administer a CMK; a service-managed one, the root user only.
fn may_administer(principal: &Principal, cmk: &Cmk) -> Result<(), Error> {
    let owner = cmk.record.owner.as_ref() == Some(&principal.user);
    if owner || principal.root { Ok(()) } else { Err(Error::Denied(cmk.record.arn.0.clone())) }
}
