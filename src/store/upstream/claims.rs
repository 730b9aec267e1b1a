//! Turns at an object, where an upstream cannot judge a condition by itself. Whoever holds the claim of a name is the
//! only one among those who ask for it; writers without a condition do not ask. A holder that died is followed after a
//! while.

use std::time::Duration;

use aws_lc_rs::digest;
use tokio::task::JoinHandle;

use super::reserved::{Reserved, version_name};
use crate::store::Error;
use crate::types::ObjectAt;

/// How often a holder shows that it lives.
const BEAT: Duration = Duration::from_secs(5);
/// After how long without such a sign a claim can be taken over, by the upstream's clock.
const DEAD_AFTER: u64 = 20_000;
/// How often one who waits looks again.
const LOOK: Duration = Duration::from_millis(50);
/// How long one waits at most.
const PATIENCE: Duration = Duration::from_secs(60);

/// A claim that is held. Given back when it is dropped, but best by [`Claim::release`].
pub(super) struct Claim {
    reserved: Reserved,
    line: String,
    number: u64,
    beat: JoinHandle<()>,
    released: bool,
}

/// The name of an object's claim. Of fixed length: keys are as long as an upstream allows.
pub(super) fn claim_of(at: &ObjectAt) -> String {
    let text = format!("{} {}", at.bucket, at.key);
    hex::encode(digest::digest(&digest::SHA256, text.as_bytes()))
}

impl Claim {
    /// Waits for the claim of this name.
    ///
    /// # Errors
    /// [`Error::Unavailable`] when others hold it for too long.
    pub(super) async fn wait(reserved: &Reserved, name: &str) -> Result<Self, Error> {
        let until = tokio::time::Instant::now() + PATIENCE;
        loop {
            if let Some(claim) = Self::take(reserved, name).await? {
                return Ok(claim);
            }
            if tokio::time::Instant::now() >= until {
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
        if !reserved.append(&line, number, b"held").await? {
            return Ok(None);
        }
        let (place, mine) = (reserved.clone(), version_name(&line, number));
        let beat = tokio::spawn(async move {
            loop {
                tokio::time::sleep(BEAT).await;
                if let Err(error) = place.write(&mine, b"held").await {
                    tracing::warn!(%error, "a claim cannot be kept alive");
                }
            }
        });
        Ok(Some(Self { reserved: reserved.clone(), line, number, beat, released: false }))
    }

    /// Gives the claim back.
    pub(super) async fn release(mut self) {
        self.released = true;
        self.beat.abort();
        give_back(&self.reserved, &self.line, self.number).await;
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
