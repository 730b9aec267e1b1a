//! A bounded memory of keys that a key service gave out, for a time that the operator sets. Who asks is part of what is
//! asked for, so nobody gets by memory what the service would refuse him.

use std::collections::HashMap;
use std::fmt;
use std::hash::Hash;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

/// How long unwrapped bucket keys are remembered unless the operator says otherwise.
pub const DEFAULT_CACHE_TTL: Duration = Duration::from_secs(300);

/// How many answers are remembered at once. One more, and the one that would end first goes.
const MOST: usize = 4096;

type Landed<V, E> = Option<Result<Arc<V>, E>>;

/// Remembers what was fetched. Equal requests that come while one is under way wait for its answer and make none of
/// their own. Nothing waits for a lock: whoever waits does so for an answer.
pub struct KeyCache<K, V, E> {
    ttl: Duration,
    slots: Arc<Mutex<HashMap<K, Slot<V, E>>>>,
}

enum Slot<V, E> {
    Held { value: Arc<V>, generation: u64, until: Instant },
    Flying { flight: watch::Receiver<Landed<V, E>>, generation: u64 },
}

/// Whose turn it is.
enum Turn<K: Eq + Hash, V, E> {
    /// It is known.
    Held(Arc<V>),
    /// Somebody is fetching it, since the service's keys were of this generation.
    Waiting(watch::Receiver<Landed<V, E>>, u64),
    /// It is to be fetched.
    Fetching(Flight<K, V, E>),
}

/// The fetching of one answer. Dropped without an answer, it lets the next who waits try.
struct Flight<K: Eq + Hash, V, E> {
    slots: Arc<Mutex<HashMap<K, Slot<V, E>>>>,
    key: Option<K>,
    landed: watch::Sender<Landed<V, E>>,
    generation: u64,
    until: Option<Instant>,
}

impl<K: Eq + Hash + Clone, V, E: Clone> KeyCache<K, V, E> {
    /// A memory that is empty. With a `ttl` of zero it stays so, and only joins equal requests.
    #[must_use]
    pub fn new(ttl: Duration) -> Self {
        Self { ttl, slots: Arc::default() }
    }

    /// What is remembered for `key`, or what `fetch` gives. What was fetched before the service's keys came to the
    /// `generation` that they are of now counts for nothing ([`super::KeyService::generation`]).
    ///
    /// # Errors
    /// What `fetch` gave, to all who waited for it. An error is not remembered.
    pub async fn get(
        &self,
        key: &K,
        generation: impl Fn() -> u64,
        fetch: impl Future<Output = Result<V, E>>,
    ) -> Result<Arc<V>, E> {
        loop {
            match self.turn(key, generation()) {
                Turn::Held(value) => return Ok(value),
                Turn::Waiting(mut flight, began) => {
                    let landed = flight.wait_for(Option::is_some).await.ok().and_then(|landed| landed.clone());
                    // None: whoever fetched it went away. Or the keys were changed meanwhile. Again, in either case.
                    if let Some(landed) = landed
                        && began == generation()
                    {
                        return landed;
                    }
                }
                Turn::Fetching(flight) => {
                    let fetched = fetch.await.map(Arc::new);
                    flight.land(fetched.clone());
                    return fetched;
                }
            }
        }
    }

    /// Forgets what is remembered for `key` if it is this.
    pub fn forget(&self, key: &K, value: &Arc<V>) {
        let mut slots = locked(&self.slots);
        if let Some(Slot::Held { value: held, .. }) = slots.get(key)
            && Arc::ptr_eq(held, value)
        {
            slots.remove(key);
        }
    }

    /// Wipes what is past its time. What is past it is not given out, whether or not this is called.
    pub fn sweep(&self) {
        let now = Instant::now();
        locked(&self.slots).retain(|_, slot| slot.is_good(now));
    }

    fn turn(&self, key: &K, generation: u64) -> Turn<K, V, E> {
        let now = Instant::now();
        let mut slots = locked(&self.slots);
        match slots.get(key) {
            Some(Slot::Held { value, generation: of, until }) if *of == generation && now < *until => {
                return Turn::Held(Arc::clone(value));
            }
            // Whoever fetches it has given up, if nobody can land any more.
            Some(Slot::Flying { flight, generation: of }) if *of == generation && flight.has_changed().is_ok() => {
                return Turn::Waiting(flight.clone(), *of);
            }
            _ => {}
        }
        if slots.len() >= MOST {
            make_room(&mut slots, now);
        }
        let (landed, flight) = watch::channel(None);
        slots.insert(key.clone(), Slot::Flying { flight, generation });
        let until = (!self.ttl.is_zero()).then(|| now + self.ttl);
        Turn::Fetching(Flight { slots: Arc::clone(&self.slots), key: Some(key.clone()), landed, generation, until })
    }
}

impl<V, E> Slot<V, E> {
    fn is_good(&self, now: Instant) -> bool {
        match self {
            Self::Held { until, .. } => now < *until,
            Self::Flying { flight, .. } => flight.has_changed().is_ok(),
        }
    }
}

fn make_room<K: Eq + Hash + Clone, V, E>(slots: &mut HashMap<K, Slot<V, E>>, now: Instant) {
    slots.retain(|_, slot| slot.is_good(now));
    let held = slots.iter().filter_map(|(key, slot)| match slot {
        Slot::Held { until, .. } => Some((until, key)),
        Slot::Flying { .. } => None,
    });
    if slots.len() >= MOST
        && let Some(first) = held.min_by_key(|(until, _)| **until).map(|(_, key)| key.clone())
    {
        slots.remove(&first);
    }
}

impl<K: Eq + Hash, V, E> Flight<K, V, E> {
    /// Tells all who wait, and remembers what is to be remembered.
    fn land(mut self, fetched: Result<Arc<V>, E>) {
        if let (Ok(value), Some(until)) = (&fetched, self.until)
            && let Some(key) = self.key.take()
        {
            let mut slots = locked(&self.slots);
            if self.is_own(slots.get(&key)) {
                slots.insert(key, Slot::Held { value: Arc::clone(value), generation: self.generation, until });
            }
        }
        self.landed.send_replace(Some(fetched));
    }

    /// Whether a slot is this flight's and not a later one's.
    fn is_own(&self, slot: Option<&Slot<V, E>>) -> bool {
        matches!(slot, Some(Slot::Flying { flight, .. }) if flight.same_channel(&self.landed.subscribe()))
    }
}

impl<K: Eq + Hash, V, E> Drop for Flight<K, V, E> {
    fn drop(&mut self) {
        let Some(key) = self.key.take() else { return };
        let mut slots = locked(&self.slots);
        if self.is_own(slots.get(&key)) {
            slots.remove(&key);
        }
    }
}

/// Nothing panics half-way through a change of the map.
fn locked<T>(slots: &Mutex<T>) -> MutexGuard<'_, T> {
    slots.lock().unwrap_or_else(PoisonError::into_inner)
}

impl<K, V, E> fmt::Debug for KeyCache<K, V, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyCache").field("ttl", &self.ttl).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::*;

    type Cache = KeyCache<&'static str, u64, &'static str>;

    async fn numbered(count: &AtomicU64) -> Result<u64, &'static str> {
        tokio::task::yield_now().await;
        Ok(count.fetch_add(1, Ordering::Relaxed))
    }

    #[tokio::test]
    async fn what_is_known_is_fetched_once_for_each_who_asks_and_generation() {
        let (cache, count) = (Cache::new(DEFAULT_CACHE_TTL), AtomicU64::new(0));
        for _ in 0..3 {
            assert_eq!(*cache.get(&"alice", || 1, numbered(&count)).await.unwrap(), 0);
        }
        assert_eq!(*cache.get(&"bob", || 1, numbered(&count)).await.unwrap(), 1);
        assert_eq!(*cache.get(&"alice", || 2, numbered(&count)).await.unwrap(), 2, "the keys were changed");
        let held = cache.get(&"alice", || 2, numbered(&count)).await.unwrap();
        cache.forget(&"alice", &held);
        assert_eq!(*cache.get(&"alice", || 2, numbered(&count)).await.unwrap(), 3);
        cache.forget(&"alice", &held);
        assert_eq!(*cache.get(&"alice", || 2, numbered(&count)).await.unwrap(), 3, "another than was to be forgotten");
    }

    #[tokio::test]
    async fn equal_requests_share_one_fetch_even_where_nothing_is_remembered() {
        for ttl in [DEFAULT_CACHE_TTL, Duration::ZERO] {
            let (cache, count) = (Cache::new(ttl), AtomicU64::new(0));
            let all = (0..100).map(|_| cache.get(&"alice", || 1, numbered(&count)));
            let got = futures::future::join_all(all).await;
            assert!(got.iter().all(|got| **got.as_ref().unwrap() == 0), "{got:?}");
            let next = *cache.get(&"alice", || 1, numbered(&count)).await.unwrap();
            assert_eq!(next, u64::from(ttl.is_zero()));
            assert_eq!(locked(&cache.slots).len(), usize::from(!ttl.is_zero()));
        }
    }

    #[tokio::test]
    async fn who_waits_takes_over_from_who_went_away_and_hears_of_an_error_once() {
        let (cache, count) = (Arc::new(Cache::new(DEFAULT_CACHE_TTL)), AtomicU64::new(0));
        let mut gone = Box::pin(cache.get(&"alice", || 1, std::future::pending()));
        assert!(futures::poll!(&mut gone).is_pending());
        let mut next = Box::pin(cache.get(&"alice", || 1, numbered(&count)));
        assert!(futures::poll!(&mut next).is_pending());
        drop(gone);
        assert_eq!(*next.await.unwrap(), 0);
        assert_eq!(cache.get(&"bob", || 1, async { Err("no") }).await, Err("no"));
        assert_eq!(*cache.get(&"bob", || 1, numbered(&count)).await.unwrap(), 1, "errors are not remembered");
    }

    #[tokio::test]
    async fn an_answer_from_before_a_change_is_not_for_who_came_after_it() {
        let (cache, count) = (Cache::new(DEFAULT_CACHE_TTL), AtomicU64::new(0));
        let generation = AtomicU64::new(1);
        let now = || generation.load(Ordering::Relaxed);
        let (open, opened) = tokio::sync::oneshot::channel::<()>();
        let slow = cache.get(&"alice", now, async {
            let _ = opened.await;
            Ok(100)
        });
        let mut slow = Box::pin(slow);
        assert!(futures::poll!(&mut slow).is_pending());
        let mut waiting = Box::pin(cache.get(&"alice", now, numbered(&count)));
        assert!(futures::poll!(&mut waiting).is_pending());
        generation.store(2, Ordering::Relaxed);
        open.send(()).unwrap();
        assert_eq!(*slow.await.unwrap(), 100, "it was asked before the change");
        assert_eq!(*waiting.await.unwrap(), 0);
        assert_eq!(*cache.get(&"alice", now, numbered(&count)).await.unwrap(), 0);
    }

    #[tokio::test]
    async fn what_is_past_its_time_is_fetched_again_and_swept() {
        let (cache, count) = (Cache::new(Duration::from_millis(1)), AtomicU64::new(0));
        cache.get(&"alice", || 1, numbered(&count)).await.unwrap();
        tokio::time::sleep(Duration::from_millis(2)).await;
        assert_eq!(*cache.get(&"alice", || 1, numbered(&count)).await.unwrap(), 1);
        tokio::time::sleep(Duration::from_millis(2)).await;
        cache.sweep();
        assert!(locked(&cache.slots).is_empty());
    }

    #[tokio::test]
    async fn it_does_not_grow_without_end() {
        let cache = KeyCache::<usize, usize, ()>::new(DEFAULT_CACHE_TTL);
        for n in 0..MOST + 100 {
            cache.get(&n, || 1, async move { Ok(n) }).await.unwrap();
        }
        assert_eq!(locked(&cache.slots).len(), MOST);
        assert_eq!(*cache.get(&(MOST + 99), || 1, async { Err(()) }).await.unwrap(), MOST + 99);
        assert!(cache.get(&0, || 1, async { Err(()) }).await.is_err(), "the oldest went");
    }
}
