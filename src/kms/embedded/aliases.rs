//! Aliases: names for CMKs, one space for all users.

use std::sync::Arc;

use crate::kms::{Error, KeyRef, Principal};
use crate::types::Timestamp;

use super::admin::{AdminError, Page};
use super::change::Change;
use super::keystore::{EmbeddedKms, Inner};
use super::names::{AliasName, KeyId};
use super::record::AliasRecord;
use super::rights::{Asker, Right};
use super::state::{AliasesOf, Cmk};

/// Aliases that one CMK may have, AWS KMS's quota.
const MAX_ALIASES_PER_KEY: usize = 50;

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

impl EmbeddedKms {
    /// Gives a CMK a name. Durable when it returns.
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
        let made = self.administer(Right::CreateAlias, principal, target, move |inner, cmk| {
            not_reserved(&name)?;
            inner.not_pending_deletion(cmk)?;
            if inner.state().alias(&name).is_some() {
                return Err(Error::AlreadyExists(inner.place.alias_arn(&name)).into());
            }
            inner.room_for_an_alias(cmk)?;
            inner.keep(Change { alias: Some(inner.new_alias(name.clone(), cmk.record.id)), ..Change::default() })
        });
        made.await
    }

    /// Lets a name stand for another CMK, by a caller who has a right to both. Durable when it returns.
    ///
    /// # Errors
    /// As [`EmbeddedKms::create_alias`]; [`Error::NotFound`] for a name that nobody gave.
    pub async fn update_alias(
        &self,
        principal: &Principal,
        name: AliasName,
        target: &KeyRef,
    ) -> Result<(), AdminError> {
        let by = principal.clone();
        let done = self.administer(Right::UpdateAlias, principal, target, move |inner, cmk| {
            not_reserved(&name)?;
            let (alias, old) = inner.named(&name)?;
            inner.authorize(&Asker::administrator(&by), Right::UpdateAlias, &old)?;
            inner.not_pending_deletion(cmk)?;
            if old.record.id != cmk.record.id {
                inner.room_for_an_alias(cmk)?;
            }
            let moved = AliasRecord { target: cmk.record.id, updated: inner.clock.now(), ..(*alias).clone() };
            inner.keep(Change { alias: Some(moved), ..Change::default() })
        });
        done.await
    }

    /// Takes a name away. Its CMK stays as it is. Durable when it returns.
    ///
    /// # Errors
    /// [`AdminError::ReservedAlias`]; [`Error::NotFound`], [`Error::Denied`].
    pub async fn delete_alias(&self, principal: &Principal, name: AliasName) -> Result<(), AdminError> {
        let (by, shown) = (principal.clone(), name.to_string());
        let done = self.change(move |inner| {
            not_reserved(&name)?;
            let (_, cmk) = inner.named(&name)?;
            inner.authorize(&Asker::administrator(&by), Right::DeleteAlias, &cmk)?;
            inner.keep(Change { unnamed: Some(name.clone()), ..Change::default() })
        });
        let done = done.await;
        self.inner.administered(Right::DeleteAlias.name(), principal, &shown, done).await
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
        let of = self.aliases_of(principal, key)?;
        let rows = self.inner.state().page_of_aliases(of, after, limit.saturating_add(1));
        Ok(Page::cut(rows.iter().map(|alias| self.describe_alias(alias)).collect(), limit))
    }

    /// At most `limit` of the same aliases behind the first `skip`, and how many there are. For a dialect that numbers its
    /// pages: what it costs grows with `skip`.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Denied`].
    pub fn window_of_aliases(
        &self,
        principal: &Principal,
        key: Option<&KeyRef>,
        skip: usize,
        limit: usize,
    ) -> Result<(Vec<AliasDescription>, usize), AdminError> {
        let of = self.aliases_of(principal, key)?;
        let state = self.inner.state();
        let rows = state.page_of_aliases(of, None, skip.saturating_add(limit));
        let rows = rows.iter().skip(skip).map(|alias| self.describe_alias(alias)).collect();
        Ok((rows, state.count_of_aliases(of)))
    }

    fn aliases_of<'a>(&self, principal: &'a Principal, key: Option<&KeyRef>) -> Result<AliasesOf<'a>, AdminError> {
        Ok(match key {
            Some(key) => AliasesOf::Key(self.inspect(Right::ListAliases, principal, key)?.record.id),
            None if principal.root => AliasesOf::Everyone,
            None => AliasesOf::Owner(&principal.user),
        })
    }

    fn describe_alias(&self, alias: &AliasRecord) -> AliasDescription {
        AliasDescription {
            name: alias.name.clone(),
            arn: self.inner.place.alias_arn(&alias.name),
            target: alias.target,
            created: alias.created,
            updated: alias.updated,
        }
    }
}

impl Inner {
    pub(super) fn new_alias(&self, name: AliasName, target: KeyId) -> AliasRecord {
        let now = self.clock.now();
        AliasRecord { name, target, created: now, updated: now }
    }

    /// An alias and the CMK that it stands for.
    fn named(&self, name: &AliasName) -> Result<(Arc<AliasRecord>, Arc<Cmk>), Error> {
        let state = self.state();
        let found = state.alias(name).and_then(|alias| Some((Arc::clone(alias), Arc::clone(state.key(alias.target)?))));
        found.ok_or_else(|| Error::NotFound(self.place.alias_arn(name)))
    }

    fn room_for_an_alias(&self, cmk: &Cmk) -> Result<(), AdminError> {
        if self.state().aliases_to(cmk.record.id) < MAX_ALIASES_PER_KEY {
            return Ok(());
        }
        Err(AdminError::LimitExceeded(format!("a key may have {MAX_ALIASES_PER_KEY} aliases")))
    }
}

fn not_reserved(name: &AliasName) -> Result<(), AdminError> {
    if name.is_reserved() { Err(AdminError::ReservedAlias(name.clone())) } else { Ok(()) }
}
