//! Making, showing and listing CMKs.

use std::sync::Arc;

use crate::kms::{Error, KeyArn, KeyRef, Principal};
use crate::types::{Timestamp, UserId, random};

use super::change::Change;
use super::import::Expiry;
use super::keystore::{EmbeddedKms, Inner, open_material};
use super::names::{AliasName, Asked, KeyId};
use super::record::{CmkRecord, KeyOrigin, KeyState, KeyUsage, MaterialVersion, Tag, VersionCause};
use super::rights::{Asker, Right};
use super::seal::{Slot, no_random};
use super::state::Cmk;
use super::tags::{check_description, check_tags};

use zeroize::Zeroizing;

/// CMKs that one owner may have: what a tenant can make of our memory is bounded.
const MAX_KEYS_PER_OWNER: usize = 10_000;

/// Why an administrative call was refused.
#[derive(Debug, thiserror::Error)]
pub enum AdminError {
    /// The import token's time is over.
    #[error("the import token has expired")]
    ExpiredImportToken,
    /// The ciphertext was made under another CMK than the one that the caller expects.
    #[error("the ciphertext belongs to another key")]
    IncorrectKey,
    /// The material is not 256 bits, or not what was imported before.
    #[error("the key material is not a 256-bit key, or not the one that was imported before")]
    IncorrectMaterial,
    /// The import token is none of this CMK.
    #[error("the import token was not made for this key, or was altered")]
    InvalidImportToken,
    /// A tag that is none (said in the text).
    #[error("{0}")]
    InvalidTag(String),
    /// As for every use of a CMK.
    #[error(transparent)]
    Kms(#[from] Error),
    /// A quota is used up (said in the text).
    #[error("{0}")]
    LimitExceeded(String),
    /// The key policy is none, or would lock its author out (said in the text).
    #[error("{0}")]
    MalformedPolicy(String),
    /// The CMK does not wait for its deletion.
    #[error("{0} is not pending deletion.")]
    NotPendingDeletion(String),
    /// Another gateway changed the keystore first. Never seen outside: the change is tried again on what is there then.
    #[error("the keystore was changed by another gateway")]
    Overtaken,
    /// The alias is one that only the service makes (`alias/aws/…`).
    #[error("{0} is reserved for the service")]
    ReservedAlias(AliasName),
    /// The CMK is the service's own: what others keep under it is not to be taken from them.
    #[error("{0} is managed by the service")]
    ServiceManaged(String),
    /// The CMK is not of a kind that can do this (said in the text).
    #[error("{0}")]
    Unsupported(String),
}

/// What a new CMK is made with.
#[derive(Debug, Clone)]
pub struct NewKey {
    /// Where its material comes from: made now, or imported later.
    pub origin: KeyOrigin,
    /// Shown in descriptions.
    pub description: String,
    /// Kept with the CMK.
    pub tags: Vec<Tag>,
    /// Its policy, and whether its author may be locked out by it; without one, the default.
    pub policy: Option<(String, bool)>,
}

impl Default for NewKey {
    fn default() -> Self {
        Self { origin: KeyOrigin::Service, description: String::new(), tags: Vec::new(), policy: None }
    }
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
    /// When it will be deleted, if it waits for that.
    pub deletion: Option<Timestamp>,
    /// When its imported material ends, if it has any.
    pub expiry: Option<Expiry>,
    /// How many days a version wraps and when the next one is made, where rotation is on.
    pub rotation: Option<(u16, Timestamp)>,
    /// The version that wraps, and when it was made; none while the material is still to be imported.
    pub current: Option<(u32, Timestamp)>,
    /// Whether the service manages it (nobody owns it).
    pub service_managed: bool,
}

impl KeyDescription {
    /// `None` for a CMK that is deleted by now.
    fn of(cmk: &Cmk, now: Timestamp) -> Option<Self> {
        let record = &cmk.record;
        let state = cmk.state_at(now)?;
        let imported = record.import.as_ref().filter(|_| !record.versions.is_empty());
        let expiry = imported.map(|import| import.expires.map_or(Expiry::Never, Expiry::At));
        Some(Self {
            id: record.id,
            arn: record.arn.clone(),
            description: record.description.clone(),
            state,
            origin: record.origin,
            created: record.created,
            deletion: record.deletion,
            expiry: expiry.filter(|_| state != KeyState::PendingImport),
            rotation: record.rotation.map(|rotation| (rotation.period_days, rotation.next)),
            current: record.versions.last().map(|version| (version.number, version.created)),
            service_managed: record.owner.is_none(),
        })
    }
}

/// A CMK in a listing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyRow {
    /// Its id.
    pub id: KeyId,
    /// Its ARN.
    pub arn: KeyArn,
}

impl KeyRow {
    fn of(cmk: &Cmk) -> Self {
        Self { id: cmk.record.id, arn: cmk.record.arn.clone() }
    }
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
    pub(super) fn cut(mut items: Vec<T>, limit: usize) -> Self {
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
        let by = principal.clone();
        let made = self.change(move |inner| inner.create_key(&by, new.clone())).await;
        let arn = made.as_ref().map_or_else(|_| String::new(), |cmk| cmk.record.arn.0.clone());
        let made = self.inner.administered("CreateKey", principal, &arn, made).await;
        self.describe(&*made?)
    }

    /// Describes a CMK to its owner, the root user, or (the service-managed default) anyone.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Denied`].
    pub async fn describe_key(&self, principal: &Principal, key: &KeyRef) -> Result<KeyDescription, AdminError> {
        let cmk = self.resolve(Some(key)).await?;
        self.inner.authorize(&Asker::administrator(principal), Right::DescribeKey, &cmk)?;
        self.describe(&cmk)
    }

    fn describe(&self, cmk: &Cmk) -> Result<KeyDescription, AdminError> {
        let described = KeyDescription::of(cmk, self.inner.clock.now());
        described.ok_or_else(|| Error::NotFound(cmk.record.arn.0.clone()).into())
    }

    /// A page of the caller's CMKs (root: of all) after `after`, by id.
    #[must_use]
    pub fn list_keys(&self, principal: &Principal, after: Option<KeyId>, limit: usize) -> Page<KeyRow> {
        let owner = (!principal.root).then_some(&principal.user);
        let rows = self.inner.state().page_of_keys(owner, after, limit.saturating_add(1));
        Page::cut(rows.iter().map(|cmk| KeyRow::of(cmk)).collect(), limit)
    }

    /// At most `limit` of the caller's CMKs (root: of all) behind the first `skip`, by id, and how many there are. For a
    /// dialect that numbers its pages: what it costs grows with `skip`.
    #[must_use]
    pub fn window_of_keys(&self, principal: &Principal, skip: usize, limit: usize) -> (Vec<KeyRow>, usize) {
        let owner = (!principal.root).then_some(&principal.user);
        let state = self.inner.state();
        let rows = state.page_of_keys(owner, None, skip.saturating_add(limit));
        (rows.iter().skip(skip).map(|cmk| KeyRow::of(cmk)).collect(), state.count_of_keys(owner))
    }

    /// The service-managed default CMK; made now unless another call was faster.
    pub(super) async fn make_service_default(&self) -> Result<Arc<Cmk>, Error> {
        let made = self.change(|inner| {
            let alias = AliasName::service_default();
            if let Ok(cmk) = inner.look_up(&Asked::Alias(alias.clone())) {
                return Ok(cmk);
            }
            let description = "Default key that protects objects when no other key is defined".to_owned();
            let cmk = inner.new_cmk(None, NewKey { description, ..NewKey::default() })?;
            let alias = Some(inner.new_alias(alias, cmk.record.id));
            inner.keep(Change { cmk: Some(Arc::clone(&cmk)), alias, ..Change::default() })?;
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
            inner.keep(Inner::with(&cmk, |record| record.state = to).into())
        });
        changed.await.unwrap();
    }
}

impl Inner {
    fn create_key(&self, by: &Principal, new: NewKey) -> Result<Arc<Cmk>, AdminError> {
        check_description(&new.description)?;
        check_tags(&new.tags)?;
        if self.state().keys_owned(&by.user) >= MAX_KEYS_PER_OWNER {
            return Err(AdminError::LimitExceeded(format!("a user may have {MAX_KEYS_PER_OWNER} keys")));
        }
        let policy = new.policy.clone();
        let cmk = self.new_cmk(Some(by.user.clone()), new)?;
        if let Some((document, lockout)) = policy {
            self.check_policy(by, &cmk, &document, lockout)?;
        }
        self.keep(Arc::clone(&cmk).into())?;
        Ok(cmk)
    }

    fn new_cmk(&self, owner: Option<UserId>, new: NewKey) -> Result<Arc<Cmk>, AdminError> {
        let id = KeyId::random().map_err(no_random)?;
        let created = self.clock.now();
        let versions = match new.origin {
            KeyOrigin::External => Vec::new(),
            KeyOrigin::Service => vec![self.new_version(id, 1, VersionCause::First)?],
        };
        let record = CmkRecord {
            id,
            arn: self.place.key_arn(id),
            description: new.description,
            owner,
            state: if versions.is_empty() { KeyState::PendingImport } else { KeyState::Enabled },
            usage: KeyUsage::EncryptDecrypt,
            origin: new.origin,
            created,
            deletion: None,
            tags: new.tags,
            versions,
            rotation: None,
            import: None,
            policy: new.policy.map(|(document, _)| document),
        };
        // Opened from what will be written, so that a key never works today that would not open after a restart.
        Ok(Arc::new(open_material(&self.root, record)?))
    }

    /// Fresh material for a CMK.
    pub(super) fn new_version(&self, id: KeyId, number: u32, cause: VersionCause) -> Result<MaterialVersion, Error> {
        let plain = Zeroizing::new(random::<32>().map_err(no_random)?);
        let sealed = self.root.seal(Slot::Material(id.as_bytes(), number), plain.as_slice())?;
        Ok(MaterialVersion { number, created: self.clock.now(), cause, sealed })
    }
}
