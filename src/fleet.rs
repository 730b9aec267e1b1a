//! What makes many gateways one: the keystore in the upstream's reserved place, which each of them follows, and the seal
//! that all of them have from the root key that they were given.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use tokio::runtime::Handle;
use zeroize::Zeroizing;

use crate::flight::Flight;
use crate::kms::embedded::{EmbeddedKms, RecordSeal, Shelf, ShelfRecord};
use crate::kms::{DataKey, EncryptionContext, Error, GeneratedKey, KeyArn, KeyRef, KeyService, Principal, WrappedKey};
use crate::store::upstream::{Reserved, Seal};

/// The keystore's line in the reserved place.
const LINE: &str = "keystore";
/// How often a gateway looks whether another has changed the keystore.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// How old what it knows may be when a key is used. Older, it looks first.
const FRESH: Duration = Duration::from_millis(1500);
/// How old it may be when it knows no such key: another gateway may have made it just now.
const NEWS: Duration = Duration::from_millis(50);
/// How many older keystores stay, for who is reading one just now.
const KEPT: u64 = 4;

/// The records of the keystore, by their names.
type Records = BTreeMap<Vec<u8>, Vec<u8>>;

/// Seals what the store keeps in the reserved place.
#[derive(Debug)]
pub struct PlaceSeal(RecordSeal);

impl PlaceSeal {
    /// A seal of this key.
    #[must_use]
    pub fn new(seal: RecordSeal) -> Self {
        Self(seal)
    }
}

impl Seal for PlaceSeal {
    fn seal(&self, name: &str, plain: &[u8]) -> Result<Vec<u8>, String> {
        self.0.seal(name, plain).map_err(|error| error.to_string())
    }

    fn open(&self, name: &str, sealed: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
        self.0.open(name, sealed)
    }
}

/// What was read last, and when.
#[derive(Default)]
struct Read {
    number: Option<u64>,
    records: Records,
}

/// The keystore as one record of many versions, all of it in each. A change costs a write of the whole, some hundred bytes
/// for each key; in return every version is a keystore, and two records of one change are never seen apart.
pub struct UpstreamShelf {
    reserved: Reserved,
    runtime: Handle,
    read: Mutex<Read>,
}

impl fmt::Debug for UpstreamShelf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UpstreamShelf").finish_non_exhaustive()
    }
}

fn failed(error: crate::store::Error) -> Error {
    match error {
        crate::store::Error::Corrupt(what) => Error::Corrupt(what),
        other => Error::Unavailable(other.to_string()),
    }
}

impl UpstreamShelf {
    /// A shelf in this place. `runtime` does the waiting.
    #[must_use]
    pub fn new(reserved: Reserved, runtime: Handle) -> Self {
        Self { reserved, runtime, read: Mutex::default() }
    }

    /// Whether there is another keystore now than was read last.
    async fn has_changed(&self) -> Result<bool, Error> {
        let newest = self.reserved.newest_number(LINE).await.map_err(failed)?;
        Ok(newest != self.read.lock().unwrap_or_else(PoisonError::into_inner).number)
    }
}

impl Shelf for UpstreamShelf {
    fn read_all(&self) -> Result<Vec<ShelfRecord>, Error> {
        let newest = self.runtime.block_on(self.reserved.newest(LINE)).map_err(failed)?;
        let number = newest.as_ref().map(|version| version.number);
        let records: Records = match newest {
            None => Records::new(),
            Some(version) => postcard::from_bytes(&version.value)
                .map_err(|_| Error::Corrupt("the keystore's record cannot be read".to_owned()))?,
        };
        let mut read = self.read.lock().unwrap_or_else(PoisonError::into_inner);
        if number < read.number {
            return Err(Error::Corrupt("the keystore was put back to an older one".to_owned()));
        }
        *read = Read { number, records: records.clone() };
        Ok(records.into_iter().collect())
    }

    fn write(&self, records: Vec<ShelfRecord>) -> Result<bool, Error> {
        let (number, mut all) = {
            let read = self.read.lock().unwrap_or_else(PoisonError::into_inner);
            (read.number.map_or(0, |number| number.saturating_add(1)), read.records.clone())
        };
        for (name, value) in records {
            // An empty value takes a record away.
            if value.is_empty() {
                all.remove(&name);
            } else {
                all.insert(name, value);
            }
        }
        let value = postcard::to_allocvec(&all)
            .map_err(|_| Error::Unavailable("the keystore's record cannot be written".to_owned()))?;
        if !self.runtime.block_on(self.reserved.append(LINE, number, &value)).map_err(failed)? {
            return Ok(false);
        }
        *self.read.lock().unwrap_or_else(PoisonError::into_inner) = Read { number: Some(number), records: all };
        if let Err(error) = self.runtime.block_on(self.reserved.prune(LINE, number.saturating_sub(KEPT))) {
            tracing::debug!(%error, "older keystores stay until the next change");
        }
        Ok(true)
    }

    fn is_read_only(&self) -> bool {
        false
    }

    /// Older keystores have what a change took away.
    fn scrub(&self) -> Result<(), Error> {
        let newest = self.read.lock().unwrap_or_else(PoisonError::into_inner).number;
        newest.map_or(Ok(()), |newest| self.runtime.block_on(self.reserved.prune(LINE, newest)).map_err(failed))
    }
}

/// Lets a keystore share a shelf that is watched beside it.
struct Shared(Arc<UpstreamShelf>);

impl Shelf for Shared {
    fn read_all(&self) -> Result<Vec<ShelfRecord>, Error> {
        self.0.read_all()
    }

    fn write(&self, records: Vec<ShelfRecord>) -> Result<bool, Error> {
        self.0.write(records)
    }

    fn is_read_only(&self) -> bool {
        self.0.is_read_only()
    }

    fn scrub(&self) -> Result<(), Error> {
        self.0.scrub()
    }
}

/// A shelf for a keystore, of which the caller keeps a hold.
#[must_use]
pub fn shared(shelf: &Arc<UpstreamShelf>) -> Box<dyn Shelf> {
    Box::new(Shared(Arc::clone(shelf)))
}

/// A keystore that follows what other gateways make of it: no key is used by what was known longer than two seconds ago.
#[derive(Debug)]
pub struct Following {
    keystore: Arc<EmbeddedKms>,
    shelf: Arc<UpstreamShelf>,
    /// When the upstream last said that what is known is the newest.
    known: Arc<Mutex<Instant>>,
    looking: Flight<Result<(), Arc<Error>>>,
}

/// An error that several are told.
fn told(error: &Error) -> Error {
    match error {
        Error::Corrupt(what) => Error::Corrupt(what.clone()),
        Error::Unavailable(why) => Error::Unavailable(why.clone()),
        other => Error::Unavailable(other.to_string()),
    }
}

impl Following {
    /// Follows from now on: a keystore that was opened just now.
    #[must_use]
    pub fn new(keystore: Arc<EmbeddedKms>, shelf: Arc<UpstreamShelf>) -> Arc<Self> {
        let known = Arc::new(Mutex::new(Instant::now()));
        let following = Arc::new(Self { keystore, shelf, known, looking: Flight::default() });
        let watched = Arc::downgrade(&following);
        tokio::spawn(async move {
            loop {
                tokio::time::sleep(LOOK_EVERY).await;
                let Some(following) = watched.upgrade() else { break };
                if let Err(error) = following.look(LOOK_EVERY).await {
                    tracing::warn!(%error, "the keystore upstream cannot be followed");
                }
            }
        });
        following
    }

    /// Looks for changes unless somebody did within `within`; all who wait for it share a look.
    async fn look(&self, within: Duration) -> Result<(), Error> {
        let now = Instant::now();
        let since = now.checked_sub(within).unwrap_or(now);
        // A look that had begun before may tell of a time before that.
        while *self.known.lock().unwrap_or_else(PoisonError::into_inner) < since {
            let (keystore, shelf, known) =
                (Arc::clone(&self.keystore), Arc::clone(&self.shelf), Arc::clone(&self.known));
            let look = async move {
                let asked = Instant::now();
                if shelf.has_changed().await.map_err(Arc::new)? {
                    keystore.reload().await.map_err(Arc::new)?;
                }
                let mut known = known.lock().unwrap_or_else(PoisonError::into_inner);
                *known = asked.max(*known);
                Ok(())
            };
            self.looking.join(look).await.map_err(|error| told(&error))?;
        }
        Ok(())
    }

    /// Makes sure that what is known is fresh, and gives its number.
    async fn fresh(&self) -> Result<u64, Error> {
        self.look(FRESH).await?;
        Ok(self.keystore.generation())
    }

    /// Whether it is worth asking again: there was no such key by what was known, and more is known now.
    async fn is_news<T>(&self, asked: &Result<T, Error>, known: u64) -> Result<bool, Error> {
        if !matches!(asked, Err(Error::NotFound(_))) {
            return Ok(false);
        }
        self.look(NEWS).await?;
        Ok(self.keystore.generation() != known)
    }
}

#[async_trait]
impl KeyService for Following {
    async fn generate_data_key(
        &self,
        principal: &Principal,
        key: Option<&KeyRef>,
        context: &EncryptionContext,
    ) -> Result<GeneratedKey, Error> {
        let known = self.fresh().await?;
        let asked = self.keystore.generate_data_key(principal, key, context).await;
        if !self.is_news(&asked, known).await? {
            return asked;
        }
        self.keystore.generate_data_key(principal, key, context).await
    }

    async fn wrap(
        &self,
        principal: &Principal,
        key: Option<&KeyRef>,
        data_key: &DataKey,
        context: &EncryptionContext,
    ) -> Result<(KeyArn, WrappedKey), Error> {
        let known = self.fresh().await?;
        let asked = self.keystore.wrap(principal, key, data_key, context).await;
        if !self.is_news(&asked, known).await? {
            return asked;
        }
        self.keystore.wrap(principal, key, data_key, context).await
    }

    async fn unwrap_key(
        &self,
        principal: &Principal,
        key: &KeyArn,
        wrapped: &WrappedKey,
        context: &EncryptionContext,
    ) -> Result<DataKey, Error> {
        let known = self.fresh().await?;
        let asked = self.keystore.unwrap_key(principal, key, wrapped, context).await;
        if !self.is_news(&asked, known).await? {
            return asked;
        }
        self.keystore.unwrap_key(principal, key, wrapped, context).await
    }

    fn generation(&self) -> u64 {
        self.keystore.generation()
    }
}
