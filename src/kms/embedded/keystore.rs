//! Opening the keystore, and wrapping data keys for the gateway.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock, PoisonError, RwLock, RwLockReadGuard};

use async_trait::async_trait;
use tokio::sync::Semaphore;
use zeroize::Zeroizing;

use crate::kms::{
    AuditTrail, DataKey, EncryptionContext, Error, GeneratedKey, KeyArn, KeyRef, KeyService, Principal, WrappedKey,
};
use crate::types::{Clock, random};

use super::call::Call;
use super::disk::{self, Disk, Name, Shelf, ShelfRecord};
use super::key_policy::KeyPolicy;
use super::names::{AliasName, Asked, KeyId, Place};
use super::record::{AliasRecord, CmkRecord, decode};
use super::rights::{Right, Via};
use super::root_key::RootKey;
use super::seal::{Slot, no_random};
use super::state::{Cmk, Material, State};
use super::wrap::Blob;

/// What the check record says once opened.
const CHECK: &[u8] = b"sealgate keystore 1";

/// Where the keystore says it is: its keys' ARNs are made of it.
#[derive(Debug, Clone)]
pub struct KeystoreOptions {
    /// The region.
    pub region: String,
    /// The account: 12 digits.
    pub account: String,
}

impl Default for KeystoreOptions {
    fn default() -> Self {
        Self { region: "us-east-1".to_owned(), account: "000000000000".to_owned() }
    }
}

/// The embedded key service. Using a CMK reads no disk; a change of one is on the disk before it is answered or used.
pub struct EmbeddedKms {
    pub(super) inner: Arc<Inner>,
    /// Lets one change through at a time. The permit travels into the blocking thread that writes, so a caller that goes
    /// away neither stops a change half-way nor lets the next one start before it.
    pub(super) turn: Arc<Semaphore>,
    /// Lets one wrapping key be made at a time.
    pub(super) making: Arc<Semaphore>,
}

pub(super) struct Inner {
    pub(super) root: RootKey,
    pub(super) place: Place,
    pub(super) disk: Box<dyn Shelf>,
    /// Held for look-ups and for putting finished changes in, never across I/O or `.await`.
    pub(super) state: RwLock<State>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) trail: OnceLock<Arc<dyn AuditTrail>>,
    /// How often anything in `state` was changed.
    pub(super) generation: AtomicU64,
    service_key: Zeroizing<[u8; 32]>,
}

impl fmt::Debug for EmbeddedKms {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EmbeddedKms").field("place", &self.inner.place).finish_non_exhaustive()
    }
}

impl EmbeddedKms {
    /// Opens the keystore in `data_dir/keystore`, or begins it when there is none and no data either (`data_exists`
    /// says whether there are objects already). Every record is opened and verified. Blocking: call it at start.
    ///
    /// # Errors
    /// [`Error::Corrupt`] when the root key is another, a record was altered, or the keystore is missing or empty beside
    /// existing data; [`Error::Unavailable`] when it cannot be read or another process has it.
    pub fn open(
        data_dir: &Path,
        root: RootKey,
        options: KeystoreOptions,
        clock: Arc<dyn Clock>,
        data_exists: bool,
    ) -> Result<Self, Error> {
        if data_exists && !disk::exists(data_dir) {
            return Err(lost("missing"));
        }
        let disk = Disk::open(data_dir, !data_exists)?;
        Self::open_on(Box::new(disk), root, options, clock, data_exists)
    }

    /// As [`EmbeddedKms::open`], on a shelf of the caller's, which other gateways may share. Blocking.
    ///
    /// # Errors
    /// As [`EmbeddedKms::open`].
    pub fn open_on(
        disk: Box<dyn Shelf>,
        root: RootKey,
        options: KeystoreOptions,
        clock: Arc<dyn Clock>,
        data_exists: bool,
    ) -> Result<Self, Error> {
        let (service_key, records) = loop {
            let records = disk.read_all()?;
            if let Some(check) = record(&records, Name::Check) {
                break (open_service_key(&root, &records, check)?, records);
            }
            // Another gateway may begin at the same moment: then there is something to read.
            begin(&root, disk.as_ref(), &records, data_exists)?;
        };
        let state = load(&root, &records)?;
        let place = Place { region: options.region, account: options.account };
        let inner = Inner {
            root,
            place,
            disk,
            state: RwLock::new(state),
            clock,
            trail: OnceLock::new(),
            generation: AtomicU64::new(0),
            service_key,
        };
        let one = || Arc::new(Semaphore::new(1));
        Ok(Self { inner: Arc::new(inner), turn: one(), making: one() })
    }

    /// A copy of the service's own key (SSE-S3, and what the attribute key is derived from). It is not a CMK: it has no
    /// state, and its use is no audit event.
    #[must_use]
    pub fn service_key(&self) -> Zeroizing<[u8; 32]> {
        self.inner.service_key.clone()
    }

    /// Whether a write failed: keys are served on, but nothing is changed before the next start.
    #[must_use]
    pub fn is_read_only(&self) -> bool {
        self.inner.disk.is_read_only()
    }

    /// The CMK that a reference names now; the service-managed default is made when it is asked for the first time.
    pub(super) async fn resolve(&self, key: Option<&KeyRef>) -> Result<Arc<Cmk>, Error> {
        let asked = match key {
            None => Asked::Alias(AliasName::service_default()),
            Some(key) => Asked::parse(&key.0, &self.inner.place)?,
        };
        match self.inner.look_up(&asked) {
            Err(Error::NotFound(_)) if asked == Asked::Alias(AliasName::service_default()) => {
                self.make_service_default().await
            }
            found => found,
        }
    }
}

#[async_trait]
impl KeyService for EmbeddedKms {
    async fn generate_data_key(
        &self,
        principal: &Principal,
        key: Option<&KeyRef>,
        context: &EncryptionContext,
    ) -> Result<GeneratedKey, Error> {
        let plaintext = DataKey::new(random().map_err(no_random)?);
        let call = Call { right: Right::GenerateDataKey, via: Via::Gateway, principal, context };
        let (key, blob) = self.seal(&call, key, plaintext.expose()).await?;
        Ok(GeneratedKey { key, plaintext, wrapped: WrappedKey(blob) })
    }

    async fn wrap(
        &self,
        principal: &Principal,
        key: Option<&KeyRef>,
        data_key: &DataKey,
        context: &EncryptionContext,
    ) -> Result<(KeyArn, WrappedKey), Error> {
        // Whoever may have new data keys may have one wrapped anew: S3's own copies ask for no other right.
        let call = Call { right: Right::GenerateDataKey, via: Via::Gateway, principal, context };
        let (key, blob) = self.seal(&call, key, data_key.expose()).await?;
        Ok((key, WrappedKey(blob)))
    }

    async fn unwrap_key(
        &self,
        principal: &Principal,
        key: &KeyArn,
        wrapped: &WrappedKey,
        context: &EncryptionContext,
    ) -> Result<DataKey, Error> {
        let call = Call { right: Right::Decrypt, via: Via::Gateway, principal, context };
        let blob = Blob::parse(&wrapped.0);
        let version = blob.as_ref().ok().map(|blob| blob.version);
        let opened = self.inner.find(&key.0).and_then(|cmk| call.open(&self.inner, &cmk, &blob?));
        // A blob of another length is one of the API's, not a data key.
        let data_key = opened.and_then(|plain| {
            let bytes = <&[u8; 32]>::try_from(plain.as_slice()).map_err(|_| Error::InvalidCiphertext)?;
            Ok(DataKey::new(*bytes))
        });
        call.leave(&self.inner, &key.0, version, data_key.as_ref().map(|_| ()));
        data_key
    }

    fn generation(&self) -> u64 {
        self.inner.generation.load(Ordering::Acquire)
    }
}

impl Inner {
    /// Reads everything again: for a shelf that others change, too. Blocking.
    pub(super) fn reload(&self) -> Result<(), Error> {
        let state = load(&self.root, &self.disk.read_all()?)?;
        *self.state.write().unwrap_or_else(PoisonError::into_inner) = state;
        self.changed();
        Ok(())
    }

    /// Has everybody forget what was unwrapped before. After the change is in `state`: whoever sees the new generation
    /// sees the change.
    pub(super) fn changed(&self) {
        self.generation.fetch_add(1, Ordering::AcqRel);
    }

    pub(super) fn state(&self) -> RwLockReadGuard<'_, State> {
        // Nothing panics half-way through a change of the maps; a poisoned lock still holds whole values.
        self.state.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// The CMK that a reference names now.
    pub(super) fn find(&self, key: &str) -> Result<Arc<Cmk>, Error> {
        self.look_up(&Asked::parse(key, &self.place)?)
    }

    pub(super) fn look_up(&self, asked: &Asked) -> Result<Arc<Cmk>, Error> {
        let found = match asked {
            Asked::Alias(name) => {
                let target = self.state().alias(name).map(|alias| alias.target);
                target.and_then(|id| self.key(id))
            }
            Asked::Key(id) => self.key(*id),
            Asked::KeyArn(id, arn) => self.key(*id).filter(|cmk| cmk.record.arn == *arn),
        };
        found.ok_or_else(|| asked.not_found(&self.place))
    }

    /// The CMK of this id, unless the time of its deletion has come.
    pub(super) fn key(&self, id: KeyId) -> Option<Arc<Cmk>> {
        let found = self.state().key(id).cloned();
        found.filter(|cmk| cmk.state_at(self.clock.now()).is_some())
    }
}

fn lost(how: &str) -> Error {
    Error::Corrupt(format!("the keystore is {how} beside existing data; restore it, the data cannot be read without"))
}

fn altered(what: impl fmt::Display) -> Error {
    Error::Corrupt(format!("{what} does not verify: it was altered, or comes from another keystore"))
}

/// Records by their names.
type Records = [ShelfRecord];

fn record(records: &Records, name: Name) -> Option<&[u8]> {
    let name = name.bytes();
    records.iter().find(|(there, value)| *there == name && !value.is_empty()).map(|(_, value)| value.as_slice())
}

/// Begins a keystore: the check record and the service key, both or neither. The caller reads what came of it.
fn begin(root: &RootKey, disk: &dyn Shelf, records: &Records, data_exists: bool) -> Result<(), Error> {
    if data_exists {
        return Err(lost("empty"));
    }
    if !records.is_empty() {
        return Err(Error::Corrupt("records without the check record".to_owned()));
    }
    let key: Zeroizing<[u8; 32]> = Zeroizing::new(random().map_err(no_random)?);
    let check = root.seal(Slot::Check, CHECK)?;
    let sealed = root.seal(Slot::ServiceKey, key.as_slice())?;
    disk.write(vec![(Name::Check.bytes(), check), (Name::ServiceKey.bytes(), sealed)]).map(drop)
}

fn open_service_key(root: &RootKey, records: &Records, check: &[u8]) -> Result<Zeroizing<[u8; 32]>, Error> {
    let opened = root.open(Slot::Check, check)?;
    if opened.is_none_or(|text| text.as_slice() != CHECK) {
        return Err(Error::Corrupt("the root key does not open the keystore".to_owned()));
    }
    let sealed = record(records, Name::ServiceKey);
    let sealed = sealed.ok_or_else(|| Error::Corrupt("the service key's record is missing".to_owned()))?;
    let plain = root.open(Slot::ServiceKey, sealed)?;
    plain.as_deref().and_then(|plain| key_of(plain)).ok_or_else(|| altered("the service key's record"))
}

fn key_of(plain: &[u8]) -> Option<Zeroizing<[u8; 32]>> {
    <&[u8; 32]>::try_from(plain).ok().map(|bytes| Zeroizing::new(*bytes))
}

/// Opens every record. One that does not verify stops the start: which key it was, and what else was touched, is for a
/// person to find out.
fn load(root: &RootKey, records: &Records) -> Result<State, Error> {
    let mut state = State::default();
    let mut aliases = Vec::new();
    for (name, sealed) in records.iter().filter(|(_, sealed)| !sealed.is_empty()) {
        let name = Name::parse(name).ok_or_else(|| Error::Corrupt("a record of an unknown kind".to_owned()))?;
        match name {
            Name::Check | Name::ServiceKey => {}
            Name::Cmk(id) => {
                let plain = root.open(Slot::Cmk(id.as_bytes()), sealed)?;
                let record = plain.and_then(|plain| decode::<CmkRecord>(&plain)).filter(|record| record.id == id);
                let record = record.ok_or_else(|| altered(format_args!("the record of key {id}")))?;
                state.put_key(Arc::new(open_material(root, record)?));
            }
            Name::Alias(index) => {
                let plain = root.open(Slot::Alias(&index), sealed)?;
                let record = plain.and_then(|plain| decode::<AliasRecord>(&plain));
                aliases.push(record.ok_or_else(|| altered("the record of an alias"))?);
            }
        }
    }
    for alias in aliases {
        if state.key(alias.target).is_none() {
            return Err(Error::Corrupt(format!("the record of key {} is missing", alias.target)));
        }
        state.put_alias(alias);
    }
    Ok(state)
}

pub(super) fn open_material(root: &RootKey, record: CmkRecord) -> Result<Cmk, Error> {
    let mut material = BTreeMap::new();
    for version in &record.versions {
        let plain = root.open(Slot::Material(record.id.as_bytes(), version.number), &version.sealed)?;
        let key = plain.as_deref().and_then(|plain| key_of(plain));
        let key = key.ok_or_else(|| altered(format_args!("the material of key {}", record.id)))?;
        material.insert(version.number, Arc::new(Material(key)));
    }
    let policy = KeyPolicy::of(record.policy.as_deref());
    Ok(Cmk { record, material, policy })
}
