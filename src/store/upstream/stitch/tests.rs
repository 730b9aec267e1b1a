//! Of what parts are made, and how much is under way for them.

use std::cell::{Cell, RefCell};

use proptest::prelude::*;
use tokio::sync::oneshot;

use super::*;

/// A piece of an object that has this number.
fn piece(spot: u32, start: u64, len: u64) -> Piece<u32> {
    Piece::There { spot, start, len }
}

/// A piece's object and its stretch in it.
fn place(piece: &Piece<u32>) -> (u32, u64, u64) {
    match piece {
        Piece::There { spot, start, len } => (*spot, *start, *len),
        Piece::Here(bytes) => (0, 0, bytes.len() as u64),
    }
}

/// Pieces with neighbours of one object put together again.
fn whole<'a>(pieces: impl IntoIterator<Item = &'a Piece<u32>>) -> Vec<(u32, u64, u64)> {
    let mut all: Vec<(u32, u64, u64)> = Vec::new();
    for (spot, start, len) in pieces.into_iter().map(place).filter(|(.., len)| *len > 0) {
        match all.last_mut() {
            Some((last, begin, before)) if *last == spot && *begin + *before == start => *before += len,
            _ => all.push((spot, start, len)),
        }
    }
    all
}

fn any_len() -> impl Strategy<Value = u64> {
    let edge = LEAST_PART - 1..=LEAST_PART + 1;
    prop_oneof![Just(0), 1..1000u64, 100_000..LEAST_PART, edge, LEAST_PART..4 * LEAST_PART, MAX_PART - 1..3 * MAX_PART]
}

proptest! {
    #[test]
    fn parts_are_the_pieces_in_their_order_and_long_enough(lens in proptest::collection::vec(any_len(), 0..40)) {
        let pieces: Vec<_> = (1..).zip(lens).map(|(spot, len)| piece(spot, 7, len)).collect();
        let parts = plan(pieces.clone());
        prop_assert_eq!(whole(parts.iter().flatten()), whole(&pieces));
        for (nth, part) in parts.iter().enumerate() {
            let len: u64 = part.iter().map(Piece::len).sum();
            prop_assert!(len >= LEAST_PART || nth + 1 == parts.len());
            prop_assert!(len <= MAX_PART);
            // What is not one piece, which can be copied, is read: little enough to hold it.
            prop_assert!(part.len() == 1 && len >= LEAST_PART || len < 2 * LEAST_PART);
        }
        prop_assert!(!parts.is_empty());
    }

    #[test]
    fn stretches_are_the_piece_and_short(start in 0..1000u64, len in 0..4 * STRETCH) {
        let stretches: Vec<_> = piece(1, start, len).stretches().collect();
        prop_assert_eq!(whole(&stretches), whole(&[piece(1, start, len)]));
        prop_assert!(stretches.iter().all(|stretch| (1..=STRETCH).contains(&stretch.len())));
    }
}

/// Work that ends when it is told to, and not before.
#[derive(Default)]
struct Waiting {
    under_way: RefCell<Vec<oneshot::Sender<()>>>,
    begun: Cell<usize>,
}

impl Waiting {
    async fn work(&self) {
        let (end, ended) = oneshot::channel();
        self.under_way.borrow_mut().push(end);
        self.begun.set(self.begun.get() + 1);
        ended.await.unwrap();
    }

    /// Ends the work of `all`, the last begun first, as soon as as much of it as may be is under way. Sees that it is never more.
    async fn drive(&self, all: usize, most: usize) {
        let mut ended = 0;
        while ended < all {
            // What there is to begin begins within these turns: nothing else runs here.
            for _ in 0..8 {
                tokio::task::yield_now().await;
            }
            let now = self.under_way.borrow().len();
            assert_eq!(now, most.min(all - ended));
            assert_eq!(self.begun.get(), ended + now);
            for end in self.under_way.borrow_mut().drain(..).rev() {
                end.send(()).unwrap();
                ended += 1;
            }
        }
    }
}

#[tokio::test]
async fn so_many_stretches_are_read_at_once_and_joined_in_their_order() {
    let waiting = Waiting::default();
    // 30 pieces, each of two stretches.
    let pieces: Vec<_> = (1..=30).map(|spot| piece(spot, 0, STRETCH + 100)).collect();
    let mark = |(spot, start, _): (u32, u64, u64)| u64::from(spot) << 32 | start;
    let expected: Vec<u8> =
        pieces.iter().cloned().flat_map(Piece::stretches).flat_map(|one| mark(place(&one)).to_be_bytes()).collect();
    let read = |stretch: Piece<u32>| {
        let mark = mark(place(&stretch));
        let waiting = &waiting;
        async move {
            waiting.work().await;
            Ok(Bytes::copy_from_slice(&mark.to_be_bytes()))
        }
    };
    let (joined, ()) = tokio::join!(join(pieces, read), waiting.drive(60, READS));
    assert_eq!(joined.unwrap(), expected);
}

#[tokio::test]
async fn so_many_parts_are_made_at_once_and_named_in_their_order() {
    let waiting = Waiting::default();
    let make = |number: u32, part: u64| {
        let waiting = &waiting;
        async move {
            waiting.work().await;
            assert_eq!(u64::from(number), part + 1);
            Ok(part)
        }
    };
    let (made, ()) = tokio::join!(make_all((0..7).collect(), make), waiting.drive(7, PARTS));
    assert_eq!(made.unwrap(), (1..8).zip(0..7).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_read_that_fails_ends_the_others() {
    let begun = Cell::new(0);
    let read = |stretch: Piece<u32>| {
        begun.set(begun.get() + 1);
        async move {
            if place(&stretch).0 == 2 {
                return Err(Error::NoSuchObject);
            }
            Ok(Bytes::new())
        }
    };
    let pieces = (1..=100).map(|spot| piece(spot, 0, 10)).collect();
    assert!(matches!(join(pieces, read).await, Err(Error::NoSuchObject)));
    assert!(begun.get() <= 2 * READS, "{}", begun.get());
}
