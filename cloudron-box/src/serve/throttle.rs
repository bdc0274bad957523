//! Slowing down guesses.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crate::{Error, codes};

/// How many names are remembered. When there are more, those without a pending wait are forgotten.
const REMEMBERED: usize = 10_000;

/// Counts failures by name, and makes the next try wait longer with each one.
#[derive(Debug)]
pub(crate) struct Throttle {
    /// So many failures cost nothing.
    free: u32,
    /// The wait after the first one that does; it doubles with each.
    base: Duration,
    /// The longest wait.
    cap: Duration,
    /// After so long without a failure, all is forgotten.
    memory: Duration,
    tries: Mutex<HashMap<String, Tries>>,
}

#[derive(Debug, Clone, Copy)]
struct Tries {
    failures: u32,
    last: Duration,
    until: Duration,
}

impl Throttle {
    fn new(free: u32, base: Duration, cap: Duration) -> Self {
        Self { free, base, cap, memory: Duration::from_secs(3600), tries: Mutex::default() }
    }

    /// By account: half a minute at most, because anybody can cause it to an owner who wants to log in.
    pub(crate) fn for_account() -> Self {
        Self::new(3, Duration::from_secs(1), Duration::from_secs(30))
    }

    /// By address: up to a quarter of an hour.
    pub(crate) fn for_address() -> Self {
        Self::new(5, Duration::from_secs(2), Duration::from_secs(900))
    }

    /// The setup token: five tries, then one a minute.
    pub(crate) fn for_setup() -> Self {
        Self::new(4, Duration::from_secs(60), Duration::from_secs(60))
    }

    /// Takes a try into account as a failure before it is made, so that many at the same time count, too.
    /// [`success`](Self::success) takes it back. `now` only ever goes forward.
    ///
    /// # Errors
    /// `too-many-tries`, with how long to wait, in whole seconds.
    pub(crate) fn attempt(&self, name: &str, now: Duration) -> std::result::Result<(), Duration> {
        let mut tries = self.tries.lock().unwrap_or_else(PoisonError::into_inner);
        if tries.len() >= REMEMBERED {
            tries.retain(|_, t| t.until > now);
        }
        let known = tries.get(name).copied().filter(|t| t.last + self.memory > now);
        let mut entry = known.unwrap_or(Tries { failures: 0, last: now, until: Duration::ZERO });
        if entry.until > now {
            let wait = (entry.until - now).as_millis().div_ceil(1000);
            return Err(Duration::from_secs(u64::try_from(wait).unwrap_or(u64::MAX)));
        }
        entry.failures = entry.failures.saturating_add(1);
        entry.last = now;
        if entry.failures > self.free {
            let doublings = (entry.failures - self.free - 1).min(20);
            entry.until = now + self.base.saturating_mul(1 << doublings).min(self.cap);
        }
        tries.insert(name.to_owned(), entry);
        Ok(())
    }

    /// Forgets the failures of that name.
    pub(crate) fn success(&self, name: &str) {
        self.tries.lock().unwrap_or_else(PoisonError::into_inner).remove(name);
    }
}

/// The error for one who must wait. The wait is also sent as `Retry-After`.
pub(crate) fn must_wait(wait: Duration) -> Error {
    let text = format!("too many failed tries; try again in {} s", wait.as_secs());
    Error::new(&codes::TOO_MANY_TRIES, text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn s(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn waits_begin_after_some_failures_and_double_up_to_the_cap() {
        let throttle = Throttle::for_account();
        let (mut now, mut waits) = (s(100), Vec::new());
        for _ in 0..4 {
            throttle.attempt("a", now).unwrap();
        }
        for _ in 0..7 {
            let wait = throttle.attempt("a", now).unwrap_err();
            waits.push(wait.as_secs());
            now += wait;
            throttle.attempt("a", now).unwrap();
        }
        assert_eq!(waits, [1, 2, 4, 8, 16, 30, 30]);
        throttle.attempt("b", now).unwrap();
    }

    #[test]
    fn a_success_or_an_hour_forgets() {
        let throttle = Throttle::for_setup();
        for _ in 0..5 {
            throttle.attempt("", s(1)).unwrap();
        }
        assert_eq!(throttle.attempt("", s(2)).unwrap_err(), s(59));
        throttle.attempt("", s(3700)).unwrap();
        for _ in 0..3 {
            throttle.attempt("", s(3700)).unwrap();
        }
        throttle.success("");
        for _ in 0..5 {
            throttle.attempt("", s(3701)).unwrap();
        }
    }

    #[test]
    fn the_memory_for_names_is_bounded() {
        let throttle = Throttle::for_account();
        for n in 0..(3 * REMEMBERED) {
            throttle.attempt(&n.to_string(), s(1)).unwrap();
        }
        assert!(throttle.tries.lock().unwrap().len() <= REMEMBERED);
    }
}
