//! A time of day that never decreases.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// Follows the clock forwards. While the clock is behind what it once said, time passes as the monotonic clock
/// counts, so that a token neither lives again nor lives for ever.
#[derive(Debug)]
pub(crate) struct SteadyClock(Mutex<Led>);

/// The last moment at which the clock was ahead.
#[derive(Debug, Clone, Copy)]
struct Led {
    /// The clock's time, in milliseconds since 1970.
    clock: i64,
    monotonic: Duration,
}

/// One part in this many of the monotonic time is left out while the clock is behind, so that a clock slowed
/// down by a time server, by up to 0.05 %, catches up.
const HELD_BACK: u128 = 1000;

impl SteadyClock {
    /// Starts with a recorded time, or with the clock's.
    pub(crate) fn new(clock: i64, monotonic: Duration) -> Self {
        Self(Mutex::new(Led { clock, monotonic }))
    }

    /// Returns the time, in milliseconds since 1970, for the clock's time `clock`.
    pub(crate) fn now(&self, clock: i64, monotonic: Duration) -> i64 {
        let mut led = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let passed = monotonic.saturating_sub(led.monotonic).as_millis();
        let passed = i64::try_from(passed - passed / HELD_BACK).unwrap_or(0);
        let time = led.clock.saturating_add(passed);
        if clock < time {
            return time;
        }
        *led = Led { clock, monotonic };
        clock
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_passes_whatever_the_clock_does_and_never_goes_back() {
        let at = Duration::from_millis;
        let steady = SteadyClock::new(1000, at(5));
        assert_eq!(steady.now(1010, at(15)), 1010);
        assert_eq!(steady.now(90_000, at(20)), 90_000, "the clock is set forward");
        assert_eq!(steady.now(1030, at(30)), 90_010, "and back");
        assert_eq!(steady.now(2020, at(1020)), 90_999);
        assert_eq!(steady.now(91_010, at(1030)), 91_010);
        // A slightly slowed-down clock catches up.
        let slow: Vec<bool> = (1..20)
            .map(|n| steady.now(91_010 + n * 9996, at(1030 + 10_000 * n as u64)) == 91_010 + n * 9996)
            .collect();
        assert!(slow.iter().all(|led| *led), "{slow:?}");
    }
}
