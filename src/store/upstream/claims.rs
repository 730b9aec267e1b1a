//! Turns at an object, where an upstream cannot judge a condition by itself. Whoever holds the claim of a name is the
//! only one among those who ask for it; writers without a condition do not ask. A holder that died is followed after a
//! while, and a holder that only stood still for so long finds out by its own clocks before it writes: what is done under a
//! claim is done within the time that the claim has been proven for, or not at all.
//!
//! What remains: a request that left in time and is held up on its way, for longer than the claim had left, can arrive when
//! another holds it. The upstream has nothing to tell the two by.

use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::Poll;
use std::time::Duration;

use aws_lc_rs::digest;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::reserved::{Reserved, version_name};
use crate::store::Error;
use crate::types::{Clock, ObjectAt, Timestamp};

/// How often a holder shows that it lives.
const BEAT: Duration = Duration::from_secs(5);
/// After how long without such a sign a claim can be taken over, by the upstream's clock, in milliseconds.
const DEAD_AFTER: u64 = 20_000;
/// How long a sign lets its holder write. Less than the above: the upstream tells times in whole seconds, and clocks run
/// differently.
const PROVEN_FOR: Duration = Duration::from_secs(18);
/// How often one who waits looks again.
const LOOK: Duration = Duration::from_millis(50);
/// How long one waits at most.
const PATIENCE: Duration = Duration::from_secs(60);

/// Since when a claim is held for sure, by two clocks: one of them stands while the machine sleeps, the other can be set.
#[derive(Debug)]
struct Proof {
    since: Mutex<(Instant, Timestamp)>,
    clock: Arc<dyn Clock>,
}

impl Proof {
    /// A moment, to be given to [`Proof::renew`] once what was asked then has shown that the claim is held.
    fn moment(clock: &dyn Clock) -> (Instant, Timestamp) {
        (Instant::now(), clock.now())
    }

    fn renew(&self, moment: (Instant, Timestamp)) {
        *self.since.lock().unwrap_or_else(PoisonError::into_inner) = moment;
    }

    fn until(&self) -> Instant {
        self.since.lock().unwrap_or_else(PoisonError::into_inner).0 + PROVEN_FOR
    }

    fn is_over(&self) -> bool {
        let (since, told) = *self.since.lock().unwrap_or_else(PoisonError::into_inner);
        let told = self.clock.now().0.saturating_sub(told.0);
        since.elapsed() >= PROVEN_FOR || u128::from(told) >= PROVEN_FOR.as_millis()
    }

    /// Does `work` as long as the claim is proven: the work gets no turn after that.
    async fn within<T>(&self, work: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
        let mut work = pin!(work);
        loop {
            let next = std::future::poll_fn(|context| {
                if self.is_over() {
                    let why = "the gateway was held up for too long to write safely".to_owned();
                    return Poll::Ready(Err(Error::Unavailable(why)));
                }
                work.as_mut().poll(context)
            });
            tokio::select! {
                biased;
                done = next => return done,
                // It may have been proven anew meanwhile.
                () = tokio::time::sleep_until(self.until()) => {}
            }
        }
    }
}

/// A claim that is held. Given back when it is dropped, but best by [`Claim::hold`].
pub(super) struct Claim {
    reserved: Reserved,
    line: String,
    number: u64,
    proof: Arc<Proof>,
    beat: JoinHandle<()>,
    released: bool,
}

/// The name of an object's claim. Of fixed length: keys are as long as an upstream allows.
pub(super) fn claim_of(at: &ObjectAt) -> String {
    let text = format!("{} {}", at.bucket, at.key);
    hex::encode(digest::digest(&digest::SHA256, text.as_bytes()))
}

/// Does `work` under a claim where there is one, and gives it back.
pub(super) async fn under<T>(claim: Option<Claim>, work: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
    match claim {
        Some(claim) => claim.hold(work).await,
        None => work.await,
    }
}

impl Claim {
    /// Waits for the claim of this name.
    ///
    /// # Errors
    /// [`Error::Unavailable`] when others hold it for too long.
    pub(super) async fn wait(reserved: &Reserved, name: &str) -> Result<Self, Error> {
        let until = Instant::now() + PATIENCE;
        loop {
            if let Some(claim) = Self::take(reserved, name).await? {
                return Ok(claim);
            }
            if Instant::now() >= until {
                return Err(Error::Unavailable("others change the same object without end".to_owned()));
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    /// Takes the claim if nobody holds it.
    pub(super) async fn take(reserved: &Reserved, name: &str) -> Result<Option<Self>, Error> {
        let line = format!("claims/{name}");
        let newest = reserved.newest_number(&line).await?;
        if let Some(number) = newest
            && let Some((_, age)) = reserved.read_with_age(&version_name(&line, number)).await?
            && age < DEAD_AFTER
        {
            return Ok(None);
        }
        let number = newest.map_or(0, |number| number.saturating_add(1));
        let clock = reserved.clock();
        let asked = Proof::moment(clock.as_ref());
        if !reserved.append(&line, number, b"held").await? {
            return Ok(None);
        }
        let proof = Arc::new(Proof { since: Mutex::new(asked), clock });
        let beat = tokio::spawn(beat(reserved.clone(), line.clone(), number, Arc::clone(&proof)));
        Ok(Some(Self { reserved: reserved.clone(), line, number, proof, beat, released: false }))
    }

    /// Does `work` while the claim is held, and gives the claim back.
    ///
    /// # Errors
    /// The work's; [`Error::Unavailable`] when the claim's time is over before it is done. It may have been done then.
    pub(super) async fn hold<T>(self, work: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
        let done = self.proof.within(work).await;
        self.release().await;
        done
    }

    /// Gives the claim back.
    pub(super) async fn release(mut self) {
        self.released = true;
        self.beat.abort();
        give_back(&self.reserved, &self.line, self.number).await;
    }
}

/// Shows again and again that the holder lives. One that was too late to show it does so no more: another may have taken
/// the claim over.
async fn beat(reserved: Reserved, line: String, number: u64, proof: Arc<Proof>) {
    let mine = version_name(&line, number);
    loop {
        tokio::time::sleep(BEAT).await;
        if proof.is_over() {
            return;
        }
        let asked = Proof::moment(proof.clock.as_ref());
        let shown = async {
            reserved.write(&mine, b"held").await?;
            // From here on nobody takes it over. Somebody may have before, if the sign was long on its way.
            reserved.newest_number(&line).await
        };
        match shown.await {
            Ok(newest) if newest == Some(number) => proof.renew(asked),
            Ok(_) => return,
            Err(error) => tracing::warn!(%error, "a claim cannot be kept alive"),
        }
    }
}

async fn give_back(reserved: &Reserved, line: &str, number: u64) {
    // What is left of dead holders first, so that the number in force goes last.
    let pruned = reserved.prune(line, number).await;
    if let Err(error) = pruned.and(reserved.remove(&version_name(line, number)).await) {
        tracing::warn!(%error, "a claim cannot be given back; others wait until it is taken for dead");
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        self.beat.abort();
        if !self.released
            && let Ok(runtime) = tokio::runtime::Handle::try_current()
        {
            let (reserved, line, number) = (self.reserved.clone(), self.line.clone(), self.number);
            runtime.spawn(async move { give_back(&reserved, &line, number).await });
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

    use super::*;

    /// A clock that is set by hand.
    #[derive(Debug, Default)]
    struct Hand(AtomicU64);

    impl Clock for Hand {
        fn now(&self) -> Timestamp {
            Timestamp(self.0.load(Ordering::SeqCst))
        }
    }

    fn proof(clock: &Arc<Hand>) -> Proof {
        let clock: Arc<dyn Clock> = clock.clone();
        Proof { since: Mutex::new(Proof::moment(clock.as_ref())), clock }
    }

    async fn written(proof: &Proof, written: &AtomicBool) -> Result<(), Error> {
        let work = async {
            written.store(true, Ordering::SeqCst);
            Ok(())
        };
        proof.within(work).await
    }

    #[tokio::test]
    async fn nothing_is_written_once_either_clock_says_that_it_is_too_late() {
        let (clock, done) = (Arc::new(Hand::default()), AtomicBool::new(false));
        let slept = proof(&clock);
        clock.0.store(18_000, Ordering::SeqCst);
        assert!(matches!(written(&slept, &done).await, Err(Error::Unavailable(_))));
        let stopped = proof(&clock);
        let long_ago = Instant::now().checked_sub(PROVEN_FOR).unwrap();
        stopped.renew((long_ago, clock.now()));
        assert!(matches!(written(&stopped, &done).await, Err(Error::Unavailable(_))));
        assert!(!done.load(Ordering::SeqCst));
        stopped.renew(Proof::moment(clock.as_ref()));
        written(&stopped, &done).await.unwrap();
        assert!(done.load(Ordering::SeqCst));
    }

    #[tokio::test]
    async fn work_goes_on_as_long_as_the_claim_is_shown_to_be_held() {
        let clock = Arc::new(Hand::default());
        let proof = proof(&clock);
        let soon = Instant::now().checked_sub(PROVEN_FOR - Duration::from_millis(50)).unwrap();
        proof.renew((soon, clock.now()));
        let never = proof.within(std::future::pending::<Result<(), Error>>());
        assert!(matches!(never.await, Err(Error::Unavailable(_))), "it is not waited for longer");
        proof.renew((soon + Duration::from_millis(100), clock.now()));
        let (tell, told) = tokio::sync::oneshot::channel();
        let later = async {
            proof.renew(Proof::moment(clock.as_ref()));
            tokio::time::sleep_until(soon + PROVEN_FOR + Duration::from_millis(200)).await;
            tell.send(()).unwrap();
        };
        let work = proof.within(async { told.await.map_err(|_| Error::NoSuchObject) });
        assert!(tokio::join!(work, later).0.is_ok());
    }
}
