//! A ledger of the keys that have sealed something. Every key here is derived with a fresh salt and seals one message, or the
//! segments of one part under a counter: so no pair of key and nonce repeats as long as no key is begun twice, and that is what
//! a test can see here. It sees what its own thread seals.

use std::cell::RefCell;
use std::collections::{BTreeMap, HashSet};

#[derive(Default)]
struct Spent {
    keys: HashSet<[u8; 32]>,
    kinds: BTreeMap<&'static str, usize>,
}

thread_local! {
    static SPENT: RefCell<Option<Spent>> = const { RefCell::new(None) };
}

/// Writes down that a key begins to seal. Panics where a ledger is kept and the key is in it.
pub(crate) fn spend(kind: &'static str, key: &[u8; 32]) {
    SPENT.with_borrow_mut(|spent| {
        if let Some(spent) = spent {
            assert!(spent.keys.insert(*key), "a {kind} key seals a second time");
            *spent.kinds.entry(kind).or_default() += 1;
        }
    });
}

/// Begins a ledger for this thread.
pub(crate) fn keep() {
    SPENT.set(Some(Spent::default()));
}

/// Ends it: how many keys of each kind there were.
pub(crate) fn close() -> BTreeMap<&'static str, usize> {
    SPENT.take().map(|spent| spent.kinds).unwrap_or_default()
}

#[test]
#[should_panic(expected = "seals a second time")]
fn a_key_that_seals_twice_is_found() {
    keep();
    for _ in 0..2 {
        super::once::seal_once(&[7; 32], b"", &mut b"text".to_vec(), 0);
    }
}
