//! Buckets: a record of each in the reserved place, so that all gateways agree, and the upstream's own bucket for what is
//! in it. A record is read at most a second old; whoever changes it knows the change at once.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures::{StreamExt as _, TryStreamExt as _, stream};
use http::Method;

use super::amend::{AMENDED, prefix_of};
use super::client::{Again, Call};
use super::listing::{Ask, KeptPage};
use super::lock::{is_lockable, of_new_bucket};
use super::reserved::{AT_ONCE, Reserved};
use super::settings::Mapped;
use super::target::Target;
use super::versions::versioning_of;
use crate::flight::Flight;
use crate::store::{BUCKET_LOCK, Bucket, Error, Versioning};
use crate::types::{BucketName, Timestamp, UserId, random};

/// How old a record may be when it is used.
const FRESH: Duration = Duration::from_secs(1);
/// How many names are remembered, whether there is such a bucket or not.
const REMEMBERED: usize = 10_000;
/// How long a change is tried while others change the same record.
const PATIENCE: Duration = Duration::from_secs(30);
/// The longest wait after a change that came too late; doubled for each further one, up to 128 times.
const FIRST_WAIT: Duration = Duration::from_millis(10);
/// Who owns what nobody made through sealgate.
const NOBODY: &str = "root";

/// What is known of a name.
#[derive(Debug, Clone)]
struct Seen {
    at: Instant,
    number: Option<u64>,
    bucket: Option<Arc<Bucket>>,
}

/// One name: what is known of it, and the look that is under way.
#[derive(Debug, Default)]
struct Slot {
    seen: Mutex<Option<Seen>>,
    look: Flight<Result<Seen, Arc<Error>>>,
}

impl Slot {
    fn fresh(&self) -> Option<Seen> {
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.clone().filter(|seen| seen.at.elapsed() < FRESH)
    }

    /// The highest number that was ever seen here: a store that shows a lower one has gone back in time.
    fn known_number(&self) -> Option<u64> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).as_ref().and_then(|seen| seen.number)
    }

    /// Keeps what was seen, unless something newer is known already. Gives what is known then.
    fn keep(&self, seen: Seen) -> Seen {
        let mut known = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        match known.as_ref().filter(|known| (known.number, known.at) > (seen.number, seen.at)) {
            Some(newer) => newer.clone(),
            None => known.insert(seen).clone(),
        }
    }
}

/// All names with a record, deleted ones among them.
#[derive(Debug, Clone)]
struct Names {
    at: Instant,
    took: Duration,
    all: Arc<HashSet<BucketName>>,
}

/// How many times as long as it took to list the names they are used at least: so listing them, which anybody can bring
/// about by asking for what is not there, is never more than a small part of what the upstream does.
const WORTH: u32 = 20;

/// The records of buckets.
#[derive(Debug)]
pub(super) struct Buckets {
    looker: Looker,
    names: Arc<Mutex<Option<Names>>>,
    listing: Flight<Result<Names, Arc<Error>>>,
    slots: Mutex<HashMap<BucketName, Arc<Slot>>>,
}

/// Reads records, on whosever behalf.
#[derive(Debug, Clone)]
struct Looker {
    reserved: Reserved,
    region: Arc<str>,
}

/// An error that several are told.
fn told(error: &Error) -> Error {
    match error {
        Error::Corrupt(what) => Error::Corrupt(what.clone()),
        Error::Unavailable(why) => Error::Unavailable(why.clone()),
        other => Error::Unavailable(other.to_string()),
    }
}

/// Waits a little after a change that came too late, each time for longer.
async fn pause(lost: u32) {
    let longest = FIRST_WAIT.saturating_mul(1 << lost.min(7));
    let share = random::<2>().map_or(0, u16::from_be_bytes);
    tokio::time::sleep(longest.mul_f64(f64::from(share) / f64::from(u16::MAX))).await;
}

fn line(name: &BucketName) -> String {
    format!("buckets/{name}")
}

impl Buckets {
    pub(super) fn new(reserved: Reserved, region: String) -> Self {
        Self {
            looker: Looker { reserved, region: region.into() },
            names: Arc::default(),
            listing: Flight::default(),
            slots: Mutex::default(),
        }
    }

    fn slot(&self, name: &BucketName) -> Arc<Slot> {
        let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        if slots.len() >= REMEMBERED && !slots.contains_key(name) {
            slots.retain(|_, slot| slot.fresh().is_some_and(|seen| seen.bucket.is_some()));
        }
        Arc::clone(slots.entry(name.clone()).or_default())
    }

    fn fresh_names(&self) -> Option<Names> {
        let names = self.names.lock().unwrap_or_else(PoisonError::into_inner);
        names.clone().filter(|names| names.at.elapsed() < FRESH.max(names.took * WORTH))
    }
}

impl Looker {
    /// Reads the record as it is now.
    async fn refresh(&self, target: &Target, name: &BucketName, slot: &Slot) -> Result<Seen, Error> {
        let (at, known) = (Instant::now(), slot.known_number());
        let newest = self.reserved.newest(&line(name)).await?;
        let number = newest.as_ref().map(|version| version.number);
        if number < known {
            return Err(Error::Corrupt(format!("the record of bucket {name} was put back to an older one")));
        }
        let bucket = match newest {
            Some(version) => decode(name, &version.value)?,
            None => self.unrecorded(target, name).await?,
        };
        Ok(slot.keep(Seen { at, number, bucket: bucket.map(Arc::new) }))
    }

    /// A bucket without a record: only where the operator says that it may hold foreign objects, and it is there.
    async fn unrecorded(&self, target: &Target, name: &BucketName) -> Result<Option<Bucket>, Error> {
        if !target.settings.foreign.contains(name) {
            return Ok(None);
        }
        let Mapped { bucket, prefix } = target.settings.place(name);
        match target.client.page(&bucket, &Ask { prefix: &prefix, limit: 1, ..Ask::default() }).await {
            Ok(_) => Ok(Some(Bucket {
                name: name.clone(),
                owner: UserId::new(NOBODY),
                created: Timestamp(0),
                region: self.region.to_string(),
                versioning: versioning_of(target, name).await?,
                configs: std::collections::BTreeMap::new(),
            })),
            Err(failure) if failure.is_absence() => Ok(None),
            Err(failure) => Err(failure.into()),
        }
    }

    /// The names that have a record.
    async fn recorded(&self) -> Result<Vec<BucketName>, Error> {
        let rows = self.reserved.all_names("buckets/").await?;
        let mut names: Vec<BucketName> = Vec::new();
        for row in &rows {
            let name = row.key.split('/').nth(1).and_then(|name| name.parse().ok());
            if let Some(name) = name.filter(|name| names.last() != Some(name)) {
                names.push(name);
            }
        }
        Ok(names)
    }
}

impl Buckets {
    /// Whether there may be a record of this name. Of names that nobody made, which anybody can ask for and make up
    /// without end, no request is made for each, and nothing is remembered.
    async fn may_exist(&self, target: &Arc<Target>, name: &BucketName) -> Result<bool, Error> {
        let known = {
            let slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
            slots.get(name).is_some_and(|slot| slot.known_number().is_some())
        };
        if known || target.settings.foreign.contains(name) {
            return Ok(true);
        }
        if let Some(names) = self.fresh_names() {
            return Ok(names.all.contains(name));
        }
        let asked = Instant::now();
        loop {
            let (looker, kept) = (self.looker.clone(), Arc::clone(&self.names));
            let listing = async move {
                let at = Instant::now();
                let all = Arc::new(looker.recorded().await.map_err(Arc::new)?.into_iter().collect());
                let names = Names { at, took: at.elapsed(), all };
                *kept.lock().unwrap_or_else(PoisonError::into_inner) = Some(names.clone());
                Ok(names)
            };
            // One listing for all who wait for it.
            let names = self.listing.join(listing).await.map_err(|error| told(&error))?;
            if asked.saturating_duration_since(names.at) < FRESH.max(names.took * WORTH) {
                return Ok(names.all.contains(name));
            }
        }
    }

    async fn seen(&self, target: &Arc<Target>, name: &BucketName) -> Result<Seen, Error> {
        if !self.may_exist(target, name).await? {
            return Ok(Seen { at: Instant::now(), number: None, bucket: None });
        }
        let slot = self.slot(name);
        if let Some(seen) = slot.fresh() {
            return Ok(seen);
        }
        let asked = Instant::now();
        loop {
            let (looker, target, name, place) =
                (self.looker.clone(), Arc::clone(target), name.clone(), Arc::clone(&slot));
            let look = async move { looker.refresh(&target, &name, &place).await.map_err(Arc::new) };
            // One look for all who wait for it, unless it has been under way for long already.
            let seen = slot.look.join(look).await.map_err(|error| told(&error))?;
            if asked.saturating_duration_since(seen.at) < FRESH {
                return Ok(seen);
            }
        }
    }

    /// The bucket, at most a second old.
    pub(super) async fn get(&self, target: &Arc<Target>, name: &BucketName) -> Result<Arc<Bucket>, Error> {
        if target.is_reserved(name) {
            return Err(Error::NoSuchBucket);
        }
        self.seen(target, name).await?.bucket.ok_or(Error::NoSuchBucket)
    }

    /// Whether there is a record of a bucket.
    pub(super) async fn is_recorded(&self, name: &BucketName) -> Result<bool, Error> {
        Ok(self.looker.reserved.newest_number(&line(name)).await?.is_some())
    }

    /// All buckets with a record, by name. Those that only the configuration names are not among them.
    pub(super) async fn all(&self) -> Result<Vec<Bucket>, Error> {
        let names = self.looker.recorded().await?;
        let found = names.into_iter().map(|name| async move {
            match self.looker.reserved.newest(&line(&name)).await? {
                Some(version) => decode(&name, &version.value),
                None => Ok(None),
            }
        });
        let found: Vec<Option<Bucket>> = stream::iter(found).buffered(AT_ONCE).try_collect().await?;
        let mut buckets: Vec<Bucket> = found.into_iter().flatten().collect();
        buckets.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(buckets)
    }

    pub(super) async fn create(&self, target: &Target, bucket: Bucket) -> Result<(), Error> {
        let name = bucket.name.clone();
        if target.is_reserved(&name) {
            return Err(Error::BucketExists { owner: UserId::new("") });
        }
        let slot = self.slot(&name);
        let there = self.looker.refresh(target, &name, &slot).await?;
        if let Some(there) = there.bucket {
            return Err(Error::BucketExists { owner: there.owner.clone() });
        }
        let bucket = Bucket { versioning: self.make_upstream(target, &bucket).await?, ..bucket };
        let number = there.number.map_or(0, |number| number.saturating_add(1));
        if self.looker.reserved.append(&line(&name), number, &encode(Some(&bucket))?).await? {
            self.kept(&slot, number, Some(bucket));
            return Ok(());
        }
        match self.looker.refresh(target, &name, &slot).await?.bucket {
            Some(there) => Err(Error::BucketExists { owner: there.owner.clone() }),
            None => Err(Error::Unavailable("others make and delete the same bucket".to_owned())),
        }
    }

    /// Makes the upstream's bucket, and gives what it keeps of what is replaced: one that was there may keep versions already.
    /// One that holds something already is not ours to take: what is in it would be
    /// neither readable nor safe from us.
    async fn make_upstream(&self, target: &Target, made: &Bucket) -> Result<Versioning, Error> {
        let (name, locked) = (&made.name, made.configs.contains_key(BUCKET_LOCK));
        let Mapped { bucket, prefix } = target.settings.place(name);
        let taken = || Error::BucketExists { owner: UserId::new("") };
        let call = Call::bucket(Method::PUT, &bucket);
        let call = if locked { of_new_bucket(call) } else { call };
        match target.client.ask(&call, Bytes::new(), Again::Always).await {
            Ok(_) => {}
            Err(failure) if failure.code() == "BucketAlreadyOwnedByYou" => {}
            Err(failure) if failure.code() == "BucketAlreadyExists" => return Err(taken()),
            Err(failure) => return Err(failure.into()),
        }
        let page = target.client.page(&bucket, &Ask { prefix: &prefix, limit: 1, ..Ask::default() }).await?;
        let versioning = versioning_of(target, name).await?;
        // One that was there already, or a store that has no locks.
        if locked && !is_lockable(target, name).await? {
            return Err(Error::Unsupported("object lock in a bucket that the upstream has without it"));
        }
        let kept = match versioning {
            Versioning::Never => KeptPage::default(),
            _ => target.client.page_of_versions(&bucket, &prefix, None, 1).await?,
        };
        if page.rows.is_empty() && kept.rows.is_empty() { Ok(versioning) } else { Err(taken()) }
    }

    fn kept(&self, slot: &Slot, number: u64, bucket: Option<Bucket>) {
        drop(slot.keep(Seen { at: Instant::now(), number: Some(number), bucket: bucket.map(Arc::new) }));
    }

    /// Removes an empty bucket: the upstream's own first, since only it can say that it is empty.
    pub(super) async fn delete(&self, target: &Target, name: &BucketName) -> Result<(), Error> {
        if target.is_reserved(name) {
            return Err(Error::NoSuchBucket);
        }
        let slot = self.slot(name);
        let there = self.looker.refresh(target, name, &slot).await?;
        if there.bucket.is_none() {
            return Err(Error::NoSuchBucket);
        }
        if !target.reserved.names(&format!("uploads/{name}/"), None, 1).await?.0.is_empty() {
            return Err(Error::BucketNotEmpty);
        }
        let Mapped { bucket, prefix } = target.settings.place(name);
        if prefix.is_empty() {
            let call = Call::bucket(Method::DELETE, &bucket);
            match target.client.ask(&call, Bytes::new(), Again::Always).await {
                Err(failure) if !failure.is_absence() => return Err(failure.into()),
                _ => {}
            }
        } else {
            let page = target.client.page(&bucket, &Ask { prefix: &prefix, limit: 1, ..Ask::default() }).await?;
            if !page.rows.is_empty() {
                return Err(Error::BucketNotEmpty);
            }
        }
        let number = there.number.map_or(0, |number| number.saturating_add(1));
        // The record says that there is none from here on, under a number that no other change can have.
        if !self.looker.reserved.append(&line(name), number, &encode(None)?).await? {
            return Err(match self.looker.refresh(target, name, &slot).await?.bucket {
                Some(_) => Error::Unavailable("others change the same bucket".to_owned()),
                None => Error::NoSuchBucket,
            });
        }
        self.kept(&slot, number, None);
        self.pruned(name, number).await;
        if there.bucket.is_some_and(|bucket| bucket.configs.contains_key(AMENDED))
            && let Err(error) = target.reserved.remove_all(&prefix_of(name)).await
        {
            tracing::warn!(%error, "records of a deleted bucket's objects stay");
        }
        Ok(())
    }

    /// Changes a bucket's record.
    pub(super) async fn change(
        &self,
        target: &Target,
        name: &BucketName,
        change: impl Fn(&mut Bucket) + Send,
    ) -> Result<(), Error> {
        if target.is_reserved(name) {
            return Err(Error::NoSuchBucket);
        }
        let slot = self.slot(name);
        let (until, mut lost) = (Instant::now() + PATIENCE, 0);
        loop {
            let there = self.looker.refresh(target, name, &slot).await?;
            let mut bucket = there.bucket.as_deref().cloned().ok_or(Error::NoSuchBucket)?;
            change(&mut bucket);
            let number = there.number.map_or(0, |number| number.saturating_add(1));
            if self.looker.reserved.append(&line(name), number, &encode(Some(&bucket))?).await? {
                self.kept(&slot, number, Some(bucket));
                self.pruned(name, number).await;
                return Ok(());
            }
            if Instant::now() >= until {
                return Err(Error::Unavailable("others change the same bucket without end".to_owned()));
            }
            pause(lost).await;
            lost += 1;
        }
    }

    async fn pruned(&self, name: &BucketName, number: u64) {
        if let Err(error) = self.looker.reserved.prune(&line(name), number).await {
            tracing::debug!(%error, "older records of a bucket stay until its next change");
        }
    }
}

fn encode(bucket: Option<&Bucket>) -> Result<Vec<u8>, Error> {
    postcard::to_allocvec(&bucket).map_err(|_| Error::Corrupt("a bucket's record cannot be written".to_owned()))
}

fn decode(name: &BucketName, value: &[u8]) -> Result<Option<Bucket>, Error> {
    let bucket: Option<Bucket> = postcard::from_bytes(value)
        .map_err(|_| Error::Corrupt(format!("the record of bucket {name} cannot be read")))?;
    match bucket {
        Some(bucket) if bucket.name != *name => {
            Err(Error::Corrupt(format!("the record of bucket {name} is another's")))
        }
        other => Ok(other),
    }
}
