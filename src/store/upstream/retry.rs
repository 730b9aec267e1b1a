//! How often, and after how long, a request is tried again: with jitter, so that gateways do not come back all at once,
//! and out of a budget, so that an upstream in trouble is not asked more than usual.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use super::failure::Failure;
use crate::types::random;

/// The most tries of one request, the first included.
const TRIES: u32 = 5;
/// The longest wait before the second try; doubled for each further one.
const FIRST_WAIT: Duration = Duration::from_millis(100);
/// What the budget can hold, in hundredths of a try.
const FULL: u32 = 5_000;
/// What a success puts back: ten of them buy a try.
const EARNED: u32 = 10;

/// What all requests of a client may spend on further tries.
pub(super) struct Budget(AtomicU32);

impl Default for Budget {
    fn default() -> Self {
        Self(AtomicU32::new(FULL))
    }
}

impl Budget {
    /// Puts back what a success earns.
    pub(super) fn succeeded(&self) {
        let _ = self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| {
            (left < FULL).then(|| left.saturating_add(EARNED).min(FULL))
        });
    }

    /// The tries of one request.
    pub(super) fn tries(&self) -> Tries<'_> {
        Tries { budget: self, made: 1 }
    }

    fn spend(&self) -> bool {
        self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(100)).is_ok()
    }
}

/// How far one request is.
pub(super) struct Tries<'a> {
    budget: &'a Budget,
    made: u32,
}

impl Tries<'_> {
    /// Waits before the next try; false when there is none.
    pub(super) async fn wait(&mut self, failure: &Failure) -> bool {
        if self.made >= TRIES || !self.budget.spend() {
            return false;
        }
        let longest = FIRST_WAIT.saturating_mul(1 << (self.made - 1));
        self.made += 1;
        let share = random::<2>().map_or(0, u16::from_be_bytes);
        let jittered = longest.mul_f64(f64::from(share) / f64::from(u16::MAX));
        tokio::time::sleep(jittered.max(failure.wait().unwrap_or_default())).await;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn tries_end_and_so_does_the_budget() {
        let budget = Budget::default();
        let failure = Failure::Broken(String::new());
        let mut tries = budget.tries();
        for _ in 1..TRIES {
            assert!(tries.wait(&failure).await);
        }
        assert!(!tries.wait(&failure).await);
        let mut spent = TRIES - 1;
        while budget.tries().wait(&failure).await {
            spent += 1;
        }
        assert_eq!(spent, FULL / 100);
        for _ in 0..10 {
            budget.succeeded();
        }
        assert!(budget.tries().wait(&failure).await);
        assert!(!budget.tries().wait(&failure).await);
    }
}
