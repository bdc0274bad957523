//! Rate limits for guesses of passwords and tokens.
//!
//! A refused attempt is not counted, so waiting for the stated time is sufficient.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use sha2::{Digest, Sha256};

use super::network::Network;
use crate::{Error, codes};

/// Maximum number of keys. If there are more, those without a pending wait are removed, then the one whose
/// wait ends first.
const REMEMBERED: usize = 10_000;

/// Time without a failure after which a key is removed.
const MEMORY: Duration = Duration::from_secs(3600);

/// Growth of the wait with the number of failures.
#[derive(Debug)]
struct Policy {
    /// The number of failures without a wait.
    free: u32,
    /// The first wait. It doubles with each further failure.
    base: Duration,
    /// Maximum wait.
    cap: Duration,
}

/// At most 30 seconds, because an attacker can cause it for an owner who logs in from a new address.
static ACCOUNT: Policy = Policy { free: 3, base: Duration::from_secs(1), cap: Duration::from_secs(30) };
static ADDRESS: Policy = Policy { free: 5, base: Duration::from_secs(2), cap: Duration::from_secs(900) };
/// The owner may share the address with an attacker.
static KNOWN: Policy = Policy { free: 5, base: Duration::from_secs(1), cap: Duration::from_secs(5) };
/// Five attempts, then one per minute.
static SETUP: Policy = Policy { free: 4, base: Duration::from_secs(60), cap: Duration::from_secs(60) };

/// Key by which failures are counted. Names are stored as hashes, so that long ones take no more memory.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Key {
    policy: &'static Policy,
    id: [u8; 16],
}

impl Key {
    fn new(policy: &'static Policy, kind: &str, name: &str) -> Self {
        let hash = Sha256::digest(format!("{kind}\0{name}").as_bytes());
        let mut id = [0; 16];
        id.copy_from_slice(&hash[..16]);
        Self { policy, id }
    }

    /// Failed logins to an account from networks that have never logged in to it.
    pub(crate) fn account(name: &str) -> Self {
        Self::new(&ACCOUNT, "account", name)
    }

    /// Failed logins from a network to accounts that it has never logged in to.
    pub(crate) fn address(network: Network) -> Self {
        Self::new(&ADDRESS, "address", &network.to_string())
    }

    /// Failed logins to an account from a network that has logged in to it.
    pub(crate) fn known(account: &str, network: Network) -> Self {
        Self::new(&KNOWN, "known", &format!("{account}\0{network}"))
    }

    /// Wrong setup tokens from a network.
    pub(crate) fn setup(network: Network) -> Self {
        Self::new(&SETUP, "setup", &network.to_string())
    }
}

#[derive(Debug, Clone, Copy)]
struct Tries {
    failures: u32,
    last: Duration,
    until: Duration,
}

/// Counts failures, and increases the wait with each one.
#[derive(Debug, Default)]
pub(crate) struct Throttle(Mutex<HashMap<[u8; 16], Tries>>);

impl Throttle {
    fn tries(&self) -> MutexGuard<'_, HashMap<[u8; 16], Tries>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts an attempt as a failure for each key before it is made, so that concurrent attempts are counted
    /// too. [`success`](Self::success) and [`undo`](Self::undo) revert this. `now` never decreases.
    ///
    /// # Errors
    /// The time to wait, in whole seconds. The attempt is then not counted.
    pub(crate) fn attempt(&self, keys: &[Key], now: Duration) -> Result<(), Duration> {
        let mut tries = self.tries();
        let wait = keys.iter().filter_map(|k| tries.get(&k.id)).map(|t| t.until.saturating_sub(now)).max();
        if let Some(wait) = wait.filter(|w| !w.is_zero()) {
            let seconds = wait.as_millis().div_ceil(1000);
            return Err(Duration::from_secs(u64::try_from(seconds).unwrap_or(u64::MAX)));
        }
        for key in keys {
            if !tries.contains_key(&key.id) {
                make_room(&mut tries, now);
            }
            let known = tries.get(&key.id).copied().filter(|t| t.last + MEMORY > now);
            let failures = known.map_or(0, |t| t.failures).saturating_add(1);
            let mut until = Duration::ZERO;
            if failures > key.policy.free {
                let doublings = (failures - key.policy.free - 1).min(20);
                until = now + key.policy.base.saturating_mul(1 << doublings).min(key.policy.cap);
            }
            tries.insert(key.id, Tries { failures, last: now, until });
        }
        Ok(())
    }

    /// Resets the failures of the keys.
    pub(crate) fn success(&self, keys: &[Key]) {
        let mut tries = self.tries();
        for key in keys {
            tries.remove(&key.id);
        }
    }

    /// Reverts the count of an attempt that could not be made.
    pub(crate) fn undo(&self, keys: &[Key]) {
        let mut tries = self.tries();
        for key in keys {
            if let Some(entry) = tries.get_mut(&key.id) {
                (entry.failures, entry.until) = (entry.failures.saturating_sub(1), Duration::ZERO);
            }
        }
    }
}

fn make_room(tries: &mut HashMap<[u8; 16], Tries>, now: Duration) {
    if tries.len() < REMEMBERED {
        return;
    }
    tries.retain(|_, t| t.until > now);
    if tries.len() >= REMEMBERED
        && let Some(first) = tries.iter().min_by_key(|(_, t)| t.until).map(|(id, _)| *id)
    {
        tries.remove(&first);
    }
}

/// Returns the error for a client that must wait. The wait is also sent as `Retry-After`.
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

    fn network(n: u8) -> Network {
        Network::of([192, 0, 2, n].into())
    }

    #[test]
    fn waits_begin_after_some_failures_and_double_up_to_the_cap() {
        let (throttle, key) = (Throttle::default(), [Key::account("a")]);
        let (mut now, mut waits) = (s(100), Vec::new());
        for _ in 0..4 {
            throttle.attempt(&key, now).unwrap();
        }
        for _ in 0..7 {
            let wait = throttle.attempt(&key, now).unwrap_err();
            waits.push(wait.as_secs());
            now += wait;
            throttle.attempt(&key, now).unwrap();
        }
        assert_eq!(waits, [1, 2, 4, 8, 16, 30, 30]);
        throttle.attempt(&[Key::account("b")], now).unwrap();
    }

    #[test]
    fn a_refused_try_counts_nowhere() {
        let throttle = Throttle::default();
        for n in 0..4 {
            throttle.attempt(&[Key::account("a"), Key::address(network(n))], s(1)).unwrap();
        }
        let own = Key::address(network(200));
        for _ in 0..100 {
            throttle.attempt(&[Key::account("a"), own], s(1)).unwrap_err();
        }
        assert_eq!(throttle.attempt(&[Key::account("a")], s(1)).unwrap_err(), s(1), "the wait did not grow");
        throttle.attempt(&[own], s(1)).unwrap();
    }

    #[test]
    fn a_success_an_hour_or_a_try_that_was_not_made_is_no_failure() {
        let (throttle, key) = (Throttle::default(), [Key::setup(network(1))]);
        for _ in 0..5 {
            throttle.attempt(&key, s(1)).unwrap();
        }
        assert_eq!(throttle.attempt(&key, s(2)).unwrap_err(), s(59));
        throttle.attempt(&key, s(3700)).unwrap();
        for _ in 0..3 {
            throttle.attempt(&key, s(3700)).unwrap();
        }
        throttle.success(&key);
        for _ in 0..100 {
            throttle.attempt(&key, s(3701)).unwrap();
            throttle.undo(&key);
        }
    }

    #[test]
    fn the_memory_for_names_is_bounded_also_when_all_have_to_wait() {
        let throttle = Throttle::default();
        for n in 0..(REMEMBERED + 500) {
            let key = [Key::account(&n.to_string())];
            for _ in 0..4 {
                throttle.attempt(&key, s(1)).unwrap();
            }
        }
        assert!(throttle.tries().len() <= REMEMBERED);
    }
}
