//! From the range that was asked for to the bytes that are meant (RFC 9110 §14.1.2).

use super::{Error, RangeSpec};

impl RangeSpec {
    /// First byte and length, within an object of `len` bytes; never empty.
    ///
    /// # Errors
    /// [`Error::InvalidRange`] when no byte of the object is in the range.
    pub fn resolve(self, len: u64) -> Result<(u64, u64), Error> {
        let (first, end) = match self {
            Self::Bounded(first, last) if first <= last => (first, last.saturating_add(1).min(len)),
            Self::Bounded(..) => return Err(Error::InvalidRange { len }),
            Self::From(first) => (first, len),
            Self::Suffix(count) => (len.saturating_sub(count), len),
        };
        if first < end { Ok((first, end - first)) } else { Err(Error::InvalidRange { len }) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_clipped_to_the_object() {
        assert_eq!(RangeSpec::Bounded(0, 499).resolve(1000).unwrap(), (0, 500));
        assert_eq!(RangeSpec::Bounded(500, 2000).resolve(1000).unwrap(), (500, 500));
        assert_eq!(RangeSpec::Bounded(0, u64::MAX).resolve(10).unwrap(), (0, 10));
        assert_eq!(RangeSpec::From(999).resolve(1000).unwrap(), (999, 1));
        assert_eq!(RangeSpec::Suffix(2000).resolve(1000).unwrap(), (0, 1000));
        assert_eq!(RangeSpec::Suffix(1).resolve(1000).unwrap(), (999, 1));
    }

    #[test]
    fn a_range_without_a_byte_is_refused() {
        let outside = [
            (RangeSpec::From(1000), 1000),
            (RangeSpec::Suffix(0), 1000),
            (RangeSpec::Bounded(5, 4), 1000),
            (RangeSpec::From(u64::MAX), 1000),
            (RangeSpec::From(0), 0),
            (RangeSpec::Suffix(5), 0),
        ];
        for (range, len) in outside {
            assert!(matches!(range.resolve(len), Err(Error::InvalidRange { .. })), "{range:?} of {len}");
        }
    }
}
