//! The keystore in memory: opened CMKs and aliases, with an index by owner, so that neither a use nor a page of a
//! listing costs more with every key that someone else has.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::ops::Bound;
use std::sync::Arc;

use zeroize::Zeroizing;

use crate::types::{Timestamp, UserId};

use super::key_policy::KeyPolicy;
use super::names::{AliasName, KeyId};
use super::record::{AliasRecord, CmkRecord, KeyState};

/// 32 bytes of a CMK. Wiped when the last user lets go.
pub(super) struct Material(pub(super) Zeroizing<[u8; 32]>);

impl fmt::Debug for Material {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Material(…)")
    }
}

/// A CMK ready for use. Never changed: a change replaces it, so whoever holds one sees one state of it.
#[derive(Debug)]
pub(super) struct Cmk {
    pub(super) record: CmkRecord,
    pub(super) material: BTreeMap<u32, Arc<Material>>,
    /// Read from the record.
    pub(super) policy: KeyPolicy,
}

impl Cmk {
    /// The version that wraps.
    pub(super) fn current(&self) -> Option<(u32, &Material)> {
        self.material.last_key_value().map(|(number, material)| (*number, material.as_ref()))
    }

    /// What it is at this time, whether or not what is due was written down already; `None`: it is deleted.
    pub(super) fn state_at(&self, now: Timestamp) -> Option<KeyState> {
        match self.record.state {
            KeyState::PendingDeletion => {
                self.record.deletion.is_none_or(|at| now < at).then_some(KeyState::PendingDeletion)
            }
            KeyState::Enabled | KeyState::Disabled if self.record.expires().is_some_and(|at| at <= now) => {
                Some(KeyState::PendingImport)
            }
            state => Some(state),
        }
    }
}

#[derive(Debug, Default)]
pub(super) struct State {
    keys: BTreeMap<KeyId, Arc<Cmk>>,
    aliases: BTreeMap<AliasName, Arc<AliasRecord>>,
    keys_of: BTreeMap<UserId, BTreeSet<KeyId>>,
    aliases_of: BTreeMap<UserId, BTreeSet<AliasName>>,
    aliases_to: BTreeMap<KeyId, BTreeSet<AliasName>>,
    /// What will happen by itself, by time.
    due: BTreeSet<(Timestamp, KeyId)>,
}

impl State {
    pub(super) fn key(&self, id: KeyId) -> Option<&Arc<Cmk>> {
        self.keys.get(&id)
    }

    pub(super) fn alias(&self, name: &AliasName) -> Option<&Arc<AliasRecord>> {
        self.aliases.get(name)
    }

    pub(super) fn keys_owned(&self, owner: &UserId) -> usize {
        self.keys_of.get(owner).map_or(0, BTreeSet::len)
    }

    pub(super) fn aliases_to(&self, target: KeyId) -> usize {
        self.aliases_to.get(&target).map_or(0, BTreeSet::len)
    }

    /// Adds a CMK or replaces it. Its owner never changes.
    pub(super) fn put_key(&mut self, cmk: Arc<Cmk>) {
        if let Some(owner) = &cmk.record.owner {
            self.keys_of.entry(owner.clone()).or_default().insert(cmk.record.id);
        }
        self.due.extend(cmk.record.due().map(|at| (at, cmk.record.id)));
        let old = self.keys.insert(cmk.record.id, Arc::clone(&cmk));
        if let Some(at) = old.and_then(|old| old.record.due()).filter(|at| cmk.record.due() != Some(*at)) {
            self.due.remove(&(at, cmk.record.id));
        }
    }

    /// Takes a CMK away, and the aliases that stand for it.
    pub(super) fn remove_key(&mut self, id: KeyId) {
        for alias in self.names_of(id) {
            self.remove_alias(&alias);
        }
        let Some(cmk) = self.keys.remove(&id) else { return };
        if let Some(at) = cmk.record.due() {
            self.due.remove(&(at, id));
        }
        if let Some(owner) = &cmk.record.owner
            && let Some(ids) = self.keys_of.get_mut(owner)
        {
            ids.remove(&id);
            if ids.is_empty() {
                self.keys_of.remove(owner);
            }
        }
    }

    /// Takes an alias away.
    pub(super) fn remove_alias(&mut self, name: &AliasName) {
        let Some(alias) = self.aliases.remove(name) else { return };
        let owner = self.keys.get(&alias.target).and_then(|cmk| cmk.record.owner.as_ref());
        if let Some(names) = owner.and_then(|owner| self.aliases_of.get_mut(owner)) {
            names.remove(name);
        }
        if let Some(names) = self.aliases_to.get_mut(&alias.target) {
            names.remove(name);
            if names.is_empty() {
                self.aliases_to.remove(&alias.target);
            }
        }
    }

    /// The aliases that stand for a CMK.
    pub(super) fn names_of(&self, id: KeyId) -> Vec<AliasName> {
        self.aliases_to.get(&id).into_iter().flatten().cloned().collect()
    }

    /// The CMKs to which something is due at this time, the longest overdue first.
    pub(super) fn due(&self, now: Timestamp) -> Vec<KeyId> {
        self.due.iter().take_while(|(at, _)| *at <= now).map(|(_, id)| *id).collect()
    }

    /// Adds an alias or gives it another target, which is there already.
    pub(super) fn put_alias(&mut self, alias: AliasRecord) {
        self.remove_alias(&alias.name);
        let owner = self.keys.get(&alias.target).and_then(|cmk| cmk.record.owner.clone());
        if let Some(owner) = owner {
            self.aliases_of.entry(owner).or_default().insert(alias.name.clone());
        }
        self.aliases_to.entry(alias.target).or_default().insert(alias.name.clone());
        self.aliases.insert(alias.name.clone(), Arc::new(alias));
    }

    /// At most `limit` CMKs after `after` in the order of their ids: of one owner, or all.
    pub(super) fn page_of_keys(&self, owner: Option<&UserId>, after: Option<KeyId>, limit: usize) -> Vec<Arc<Cmk>> {
        let range = (after.map_or(Bound::Unbounded, Bound::Excluded), Bound::Unbounded);
        match owner {
            None => self.keys.range(range).map(|(_, cmk)| Arc::clone(cmk)).take(limit).collect(),
            Some(owner) => {
                let ids = self.keys_of.get(owner).into_iter().flat_map(|ids| ids.range(range));
                ids.filter_map(|id| self.keys.get(id).cloned()).take(limit).collect()
            }
        }
    }

    /// How many CMKs one owner has, or all have.
    pub(super) fn count_of_keys(&self, owner: Option<&UserId>) -> usize {
        owner.map_or(self.keys.len(), |owner| self.keys_owned(owner))
    }

    /// How many aliases there are.
    pub(super) fn count_of_aliases(&self, of: AliasesOf<'_>) -> usize {
        match of {
            AliasesOf::Everyone => self.aliases.len(),
            AliasesOf::Key(target) => self.aliases_to(target),
            AliasesOf::Owner(owner) => self.aliases_of.get(owner).map_or(0, BTreeSet::len),
        }
    }

    /// At most `limit` aliases after `after` in the order of their names.
    pub(super) fn page_of_aliases(
        &self,
        of: AliasesOf<'_>,
        after: Option<&AliasName>,
        limit: usize,
    ) -> Vec<Arc<AliasRecord>> {
        let range = (after.map_or(Bound::Unbounded, Bound::Excluded), Bound::Unbounded);
        let some = match of {
            AliasesOf::Everyone => {
                return self.aliases.range::<AliasName, _>(range).map(|(_, a)| Arc::clone(a)).take(limit).collect();
            }
            AliasesOf::Key(target) => self.aliases_to.get(&target),
            AliasesOf::Owner(owner) => self.aliases_of.get(owner),
        };
        let names = some.into_iter().flat_map(|names| names.range::<AliasName, _>(range));
        names.filter_map(|name| self.aliases.get(name).cloned()).take(limit).collect()
    }
}

/// Which aliases a page shows.
#[derive(Debug, Clone, Copy)]
pub(super) enum AliasesOf<'a> {
    Everyone,
    Key(KeyId),
    Owner(&'a UserId),
}
