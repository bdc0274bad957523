//! Sets of numbers as ranges: a claim of ten million numbers takes no more memory than a claim of one.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::RangeInclusive;

/// The minimum gap behind which a number was not reached by counting.
const LEAP: u64 = 1_000_000;

/// A set of numbers.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Ranges(BTreeMap<u64, u64>);

impl Ranges {
    /// Adds the numbers from `first` to `last`.
    pub(crate) fn insert(&mut self, first: u64, last: u64) {
        if first > last {
            return;
        }
        let (mut first, mut last) = (first, last);
        // Overlapping and adjacent ranges are merged.
        let touching: Vec<(u64, u64)> = self
            .0
            .range(..=last.saturating_add(1))
            .rev()
            .take_while(|(_, end)| end.saturating_add(1) >= first)
            .map(|(a, b)| (*a, *b))
            .collect();
        for (a, b) in touching {
            self.0.remove(&a);
            (first, last) = (first.min(a), last.max(b));
        }
        self.0.insert(first, last);
    }

    pub(crate) fn contains(&self, number: u64) -> bool {
        self.0.range(..=number).next_back().is_some_and(|(_, last)| *last >= number)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns the ranges.
    pub(crate) fn iter(&self) -> impl Iterator<Item = RangeInclusive<u64>> {
        self.0.iter().map(|(first, last)| *first..=*last)
    }

    pub(crate) fn extend(&mut self, other: &Self) {
        other.0.iter().for_each(|(first, last)| self.insert(*first, *last));
    }

    /// Checks that every number of the other set is in this one.
    pub(crate) fn covers(&self, other: &Self) -> bool {
        let covers = |first, last| self.0.range(..=first).next_back().is_some_and(|(_, end)| *end >= last);
        other.0.iter().all(|(first, last)| covers(*first, *last))
    }
}

impl FromIterator<u64> for Ranges {
    fn from_iter<I: IntoIterator<Item = u64>>(numbers: I) -> Self {
        let mut ranges = Self::default();
        numbers.into_iter().for_each(|n| ranges.insert(n, n));
        ranges
    }
}

/// Returns the highest number that was reached by counting.
pub(crate) fn highest(present: &BTreeSet<u64>, forgotten: &Ranges) -> u64 {
    let mut all = forgotten.clone();
    present.iter().for_each(|n| all.insert(*n, *n));
    let mut highest = 0;
    for range in all.iter() {
        if *range.start() > highest + LEAP {
            break;
        }
        highest = *range.end();
    }
    highest
}

/// Returns the numbers below the highest of `present` that are in neither set, as ranges. Numbers behind a
/// large gap are ignored.
pub(crate) fn gaps(present: &BTreeSet<u64>, forgotten: &Ranges) -> Vec<RangeInclusive<u64>> {
    let limit = highest(present, forgotten);
    let top = present.iter().copied().filter(|n| *n <= limit).max().unwrap_or(0);
    let mut all = forgotten.clone();
    present.iter().for_each(|n| all.insert(*n, *n));
    let (mut gaps, mut next) = (Vec::new(), 1);
    for range in all.iter().take_while(|range| *range.start() <= top) {
        if *range.start() > next {
            gaps.push(next..=range.start() - 1);
        }
        next = range.end().saturating_add(1).max(next);
    }
    gaps
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(numbers: &[u64]) -> BTreeSet<u64> {
        numbers.iter().copied().collect()
    }

    #[test]
    fn numbers_are_missing_that_are_neither_there_nor_forgotten() {
        let ranges = |numbers: &[u64]| numbers.iter().copied().collect::<Ranges>();
        assert_eq!(gaps(&set(&[]), &ranges(&[3])), []);
        assert_eq!(gaps(&set(&[1, 2, 3]), &ranges(&[])), []);
        assert_eq!(gaps(&set(&[2, 7]), &ranges(&[4, 5, 9])), [1..=1, 3..=3, 6..=6]);
    }

    #[test]
    fn a_number_that_nobody_counted_to_is_no_gap_and_not_the_highest() {
        let none = Ranges::default();
        assert_eq!(gaps(&set(&[1, u64::MAX]), &none), []);
        assert_eq!(highest(&set(&[1, 2, u64::MAX, 1 << 40]), &none), 2);
        assert_eq!(highest(&set(&[1, 900_000]), &none), 900_000);
    }

    #[test]
    fn ranges_are_put_together_and_huge_ones_cost_nothing() {
        let mut ranges = Ranges::default();
        ranges.insert(5, 5);
        ranges.insert(1, 3);
        ranges.insert(4, 4);
        assert_eq!(ranges.iter().collect::<Vec<_>>(), [1..=5]);
        ranges.insert(10, u64::MAX);
        ranges.insert(7, 8);
        assert_eq!(ranges.iter().collect::<Vec<_>>(), [1..=5, 7..=8, 10..=u64::MAX]);
        assert!(ranges.contains(8) && !ranges.contains(9) && ranges.contains(u64::MAX));
        ranges.insert(2, 20);
        assert_eq!(ranges.iter().collect::<Vec<_>>(), [1..=u64::MAX]);
        let part: Ranges = [3, 9].into_iter().collect();
        assert!(ranges.covers(&part) && !part.covers(&ranges));
    }
}
