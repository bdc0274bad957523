//! Our own account of what the authority allows, so that its limits are not reached.

use serde::{Deserialize, Serialize};

use crate::schedule::{DAY, HOUR, MINUTE, Seconds, TOLERANCE};

/// A limit: so many at once, and one more after each of these times.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limit {
    /// How many at once.
    pub most: usize,
    /// After how long one comes back.
    pub one_back: Seconds,
}

/// The limits of an authority.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// Certificates for exactly these names.
    pub same_names: Limit,
    /// Certificates below one registered domain.
    pub registered: Limit,
    /// Orders of one account.
    pub orders: Limit,
}

impl Default for Limits {
    /// Those of Let's Encrypt in 2026.
    fn default() -> Self {
        Self {
            same_names: Limit { most: 5, one_back: 34 * HOUR },
            registered: Limit { most: 50, one_back: 202 * MINUTE },
            orders: Limit { most: 300, one_back: 36 },
        }
    }
}

/// When something was used, oldest first.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Uses(Vec<Seconds>);

impl Uses {
    /// Notes a use now. What is too old to count is forgotten.
    pub fn note(&mut self, now: Seconds) {
        self.0.retain(|at| counts(*at, now));
        self.0.push(now);
    }

    /// Returns until when the limit is reached, if it is.
    pub fn until(&self, now: Seconds, limit: Limit) -> Option<Seconds> {
        // A bucket that one use empties a little and time fills again.
        let mut free_at = i64::MIN;
        for at in self.0.iter().copied().filter(|at| counts(*at, now)) {
            free_at = free_at.max(at) + limit.one_back;
        }
        let room = limit.one_back.saturating_mul(i64::try_from(limit.most).unwrap_or(i64::MAX) - 1);
        Some(free_at.saturating_sub(room)).filter(|until| *until > now)
    }
}

/// Returns whether a use is of the last week. One that lies in the future was noted by a wrong clock.
fn counts(at: Seconds, now: Seconds) -> bool {
    at <= now.saturating_add(TOLERANCE) && now.saturating_sub(at) < 7 * DAY
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: Limit = Limit { most: 5, one_back: 34 * HOUR };

    #[test]
    fn the_sixth_certificate_for_the_same_names_waits_until_one_comes_back() {
        let (mut uses, now) = (Uses::default(), 1_000_000_000);
        for n in 0..5 {
            assert_eq!(uses.until(now + n, LIMIT), None);
            uses.note(now + n);
        }
        let until = uses.until(now + 5, LIMIT).unwrap();
        assert_eq!(until, now + 34 * HOUR);
        assert_eq!(uses.until(until, LIMIT), None);
        uses.note(until);
        assert_eq!(uses.until(until + 1, LIMIT), Some(now + 2 * 34 * HOUR));
    }

    #[test]
    fn uses_that_a_wrong_clock_noted_do_not_count() {
        let (mut uses, now) = (Uses::default(), 1_000_000_000);
        (0..9).for_each(|_| uses.note(now + 366 * DAY));
        assert_eq!(uses.until(now, LIMIT), None);
        uses.note(now);
        assert_eq!(uses, Uses(vec![now]));
    }
}
