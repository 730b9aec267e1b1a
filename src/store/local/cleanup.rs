//! What waits to be unlinked, so that an operator (and a test) can see when nothing does.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

/// The counts. Nothing depends on them but what is shown, save [`Cleanup::take_garbage`], which wakes the collector.
#[derive(Debug)]
pub(crate) struct Cleanup {
    /// There may be garbage records.
    garbage: AtomicBool,
    /// Passes under way: the sweep at start, and a collection.
    running: AtomicUsize,
    /// Given-up writes whose files still stand.
    abandoned: AtomicUsize,
}

impl Default for Cleanup {
    /// A store as it starts: the sweep is still to come, and there may be garbage from before.
    fn default() -> Self {
        Self { garbage: AtomicBool::new(true), running: AtomicUsize::new(0), abandoned: AtomicUsize::new(0) }
    }
}

impl Cleanup {
    /// Whether nothing waits to be unlinked but what is being read or is not given up yet.
    pub(crate) fn is_idle(&self) -> bool {
        // In the order in which work moves on: a pass is counted before it takes the flag.
        !self.garbage.load(Ordering::Acquire)
            && self.running.load(Ordering::Acquire) == 0
            && self.abandoned.load(Ordering::Acquire) == 0
    }

    /// There is garbage.
    pub(crate) fn add_garbage(&self) {
        self.garbage.store(true, Ordering::Release);
    }

    /// Whether there may be garbage; it is the caller's from now on.
    pub(crate) fn take_garbage(&self) -> bool {
        self.garbage.swap(false, Ordering::AcqRel)
    }

    /// A pass begins; it lasts as long as the guard.
    pub(crate) fn begin(&self) -> Running<'_> {
        self.running.fetch_add(1, Ordering::AcqRel);
        Running(self)
    }

    /// A write was given up.
    pub(crate) fn abandon(&self) {
        self.abandoned.fetch_add(1, Ordering::AcqRel);
    }

    /// Its file is unlinked.
    pub(crate) fn forget(&self) {
        self.abandoned.fetch_sub(1, Ordering::AcqRel);
    }
}

/// A pass under way.
#[derive(Debug)]
pub(crate) struct Running<'a>(&'a Cleanup);

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.0.running.fetch_sub(1, Ordering::AcqRel);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_idle_only_when_nothing_is_left() {
        let cleanup = Cleanup::default();
        assert!(!cleanup.is_idle(), "the first collection is still to come");
        let running = cleanup.begin();
        assert!(cleanup.take_garbage() && !cleanup.take_garbage());
        assert!(!cleanup.is_idle());
        drop(running);
        assert!(cleanup.is_idle());
        cleanup.abandon();
        assert!(!cleanup.is_idle());
        cleanup.forget();
        assert!(cleanup.is_idle());
        cleanup.add_garbage();
        assert!(!cleanup.is_idle());
    }
}
