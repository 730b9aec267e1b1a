//! Which bodies are being read. A reader pins a body and *then* looks whether its record is still there; the collector
//! looks at the pins *after* the record is gone. So one of the two always sees the other, without a lock over both.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use super::record::Id;

/// The pins by body.
#[derive(Debug, Default)]
pub(crate) struct Pins {
    counts: Mutex<HashMap<Id, usize>>,
}

impl Pins {
    /// Keeps a body's files until the pin is dropped.
    pub(crate) fn pin(self: &Arc<Self>, body: Id) -> Pin {
        *self.counts.lock().unwrap_or_else(PoisonError::into_inner).entry(body).or_default() += 1;
        Pin { pins: Arc::clone(self), body }
    }

    /// Whether anyone reads the body.
    pub(crate) fn is_pinned(&self, body: &Id) -> bool {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner).contains_key(body)
    }
}

/// One reader's hold on a body.
#[derive(Debug)]
pub(crate) struct Pin {
    pins: Arc<Pins>,
    body: Id,
}

impl Drop for Pin {
    fn drop(&mut self) {
        let mut counts = self.pins.counts.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = counts.get_mut(&self.body) {
            *count -= 1;
            if *count == 0 {
                counts.remove(&self.body);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_stays_pinned_until_its_last_reader_is_gone() {
        let pins = Arc::new(Pins::default());
        let (a, b) = (pins.pin([1; 16]), pins.pin([1; 16]));
        drop(a);
        assert!(pins.is_pinned(&[1; 16]) && !pins.is_pinned(&[2; 16]));
        drop(b);
        assert!(!pins.is_pinned(&[1; 16]));
    }
}
