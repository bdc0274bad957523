//! Failed logins in the event log: the first ones of each hour get an entry, the others are only counted.
//! Entries are never removed, so an attacker must not be able to fill the disk with them.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// The number of failures per hour that get an entry.
const EACH: u64 = 100;

const HOUR: Duration = Duration::from_secs(3600);

/// The failures of the current hour.
#[derive(Debug, Default)]
pub(crate) struct Failures(Mutex<Option<Hour>>);

#[derive(Debug, Clone, Copy)]
struct Hour {
    begun: Duration,
    count: u64,
}

/// The log entries to write for a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Entries {
    /// True if the failure gets its own entry.
    pub(crate) own: bool,
    /// The number of failures of the hour before without an entry.
    pub(crate) left_out: u64,
}

impl Failures {
    /// Counts a failure.
    pub(crate) fn count(&self, now: Duration) -> Entries {
        let mut hour = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let current = hour.filter(|h| now.saturating_sub(h.begun) < HOUR);
        let before = if current.is_none() { *hour } else { None };
        let current = current.unwrap_or(Hour { begun: now, count: 0 });
        *hour = Some(Hour { count: current.count + 1, ..current });
        let left_out = before.map_or(0, |h| h.count.saturating_sub(EACH));
        Entries { own: current.count < EACH, left_out }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_hour_of_guesses_is_a_bounded_number_of_entries_and_a_count() {
        let (failures, now) = (Failures::default(), Duration::from_secs(77));
        let own = (0..5000).filter(|_| failures.count(now).own).count();
        assert_eq!(own as u64, EACH);
        let next = failures.count(now + HOUR);
        assert_eq!(next, Entries { own: true, left_out: 5000 - EACH });
        assert_eq!(failures.count(now + HOUR).left_out, 0);
    }
}
