//! One run of a piece of work for all who want its outcome meanwhile. No lock is held while it runs, and nobody leads: each
//! who waits drives it, so that whoever goes away leaves the others nothing to wait for.

use std::fmt;
use std::sync::{Mutex, PoisonError};

use futures::FutureExt as _;
use futures::future::{BoxFuture, Shared, WeakShared};

type Run<T> = Shared<BoxFuture<'static, T>>;

/// Work of which one run at a time is enough.
pub(crate) struct Flight<T: Clone> {
    running: Mutex<Option<WeakShared<BoxFuture<'static, T>>>>,
}

impl<T: Clone> Default for Flight<T> {
    fn default() -> Self {
        Self { running: Mutex::new(None) }
    }
}

impl<T: Clone> fmt::Debug for Flight<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Flight").finish_non_exhaustive()
    }
}

impl<T: Clone + Send + Sync + 'static> Flight<T> {
    /// The outcome of the run that is under way, or else of `work`. The run may have begun before the call: whoever wants
    /// something newer looks at when it did, and joins again. Dropped by all who wait, the run is dropped too.
    pub(crate) async fn join(&self, work: impl Future<Output = T> + Send + 'static) -> T {
        let run = self.run(work);
        run.await
    }

    fn run(&self, work: impl Future<Output = T> + Send + 'static) -> Run<T> {
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        let under_way = running.as_ref().and_then(WeakShared::upgrade).filter(|run| run.peek().is_none());
        under_way.unwrap_or_else(|| {
            let run = work.boxed().shared();
            *running = run.downgrade();
            run
        })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU32, Ordering};

    use tokio::sync::Notify;

    use super::*;

    /// Work that counts its runs, and ends when it is told to.
    fn work(runs: &Arc<AtomicU32>, end: &Arc<Notify>) -> impl Future<Output = u32> + Send + 'static {
        let (runs, end) = (Arc::clone(runs), Arc::clone(end));
        async move {
            let nth = runs.fetch_add(1, Ordering::SeqCst);
            end.notified().await;
            nth
        }
    }

    #[tokio::test]
    async fn all_who_wait_share_a_run_and_the_next_is_another() {
        let (flight, runs, end) = (Flight::default(), Arc::default(), Arc::new(Notify::new()));
        let told = async {
            tokio::task::yield_now().await;
            end.notify_one();
        };
        let joined = futures::future::join_all((0..5).map(|_| flight.join(work(&runs, &end))));
        assert_eq!(futures::join!(joined, told).0, [0; 5]);
        end.notify_one();
        assert_eq!(flight.join(work(&runs, &end)).await, 1);
    }

    #[tokio::test]
    async fn who_goes_away_does_not_keep_the_others() {
        let (flight, runs, end) = (Arc::new(Flight::default()), Arc::default(), Arc::new(Notify::new()));
        let mut first = Box::pin(flight.join(work(&runs, &end)));
        let mut second = Box::pin(flight.join(work(&runs, &end)));
        // The first one begins the run, and has been its driver so far.
        assert!(first.as_mut().now_or_never().is_none());
        assert!(second.as_mut().now_or_never().is_none());
        drop(first);
        end.notify_one();
        assert_eq!(second.await, 0);
        // A run that nobody waits for any more is gone.
        let mut alone = Box::pin(flight.join(work(&runs, &end)));
        assert!(alone.as_mut().now_or_never().is_none());
        drop(alone);
        end.notify_one();
        assert_eq!(flight.join(work(&runs, &end)).await, 2);
    }
}
