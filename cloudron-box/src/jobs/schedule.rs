//! The schedule of the daily backup. It depends on time alone, not on the first-time setup or on logins.
//!
//! A machine installed during its slot waits for the next one: a backup of the empty machine would only delay
//! the first useful one by a day.

use std::time::Duration;

use jiff::Timestamp;
use jiff::tz::Offset;

const HOUR: i64 = 3600;

/// Minimum age of the latest backup for the daily slot to make the next one, in seconds.
const SLOT_AGE: i64 = 23 * HOUR;

/// Age of the latest backup at which the next one is made at once, because the slot was missed, in seconds.
const CATCH_UP_AGE: i64 = 25 * HOUR;

/// Time from a failure to the next try, in seconds.
const RETRY: i64 = HOUR;

/// Interval for checking whether a backup is due.
pub(super) const TICK: Duration = Duration::from_secs(60);

/// Inputs of the decision. Times are by the clock of their moment, so after the clock was set back any may be
/// in the future; such a time counts as unknown.
#[derive(Debug, Clone, Copy)]
pub(super) struct Facts {
    /// Time of the latest backup.
    pub(super) last: Option<Timestamp>,
    /// Time of the installation.
    pub(super) installed: Timestamp,
    /// Time of the last failed try after the latest backup.
    pub(super) failed: Option<Timestamp>,
    /// Hour of the slot, UTC.
    pub(super) hour: u8,
    /// Minute of the slot.
    pub(super) minute: u8,
    /// True if another machine has taken over.
    pub(super) retired: bool,
}

/// Returns true if a backup is due now.
pub(super) fn is_due(now: Timestamp, facts: &Facts) -> bool {
    let age = |time: Timestamp| Some(now.as_second() - time.as_second()).filter(|age| *age >= -60);
    if facts.retired || facts.failed.and_then(age).is_some_and(|age| age < RETRY) {
        return false;
    }
    let clock = Offset::UTC.to_datetime(now);
    let in_slot = clock.hour() as u8 == facts.hour && clock.minute() as u8 >= facts.minute;
    let (last, installed) = (facts.last.and_then(age), age(facts.installed));
    let due_in_slot = last.map_or(installed.is_none_or(|age| age >= HOUR), |age| age >= SLOT_AGE);
    let missed = last.or(installed).is_some_and(|age| age >= CATCH_UP_AGE);
    (in_slot && due_in_slot) || missed
}

/// Returns the minute of the hour for a machine: constant, and spread over the machines.
pub(super) fn minute_for(run: &str) -> u8 {
    use sha2::{Digest, Sha256};
    Sha256::digest(run.as_bytes())[0] % 50
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn facts() -> Facts {
        Facts {
            last: Some(at("2026-03-01T03:20:00Z")),
            installed: at("2026-01-01T12:00:00Z"),
            failed: None,
            hour: 3,
            minute: 10,
            retired: false,
        }
    }

    #[test]
    fn one_backup_a_day_is_made_in_its_slot() {
        let mut now = at("2026-03-01T03:21:00Z");
        let mut facts = facts();
        let mut made = Vec::new();
        while now < at("2026-03-11T00:00:00Z") {
            if is_due(now, &facts) {
                facts.last = Some(now);
                made.push(now);
            }
            now += jiff::SignedDuration::from_secs(60);
        }
        assert_eq!(made.len(), 9);
        assert!(made.iter().all(|t| Offset::UTC.to_datetime(*t).hour() == 3));
    }

    #[test]
    fn a_missed_slot_is_caught_up_once() {
        let mut facts = facts();
        let now = at("2026-03-05T17:00:00Z");
        assert!(is_due(now, &facts));
        facts.last = Some(now);
        assert!(!is_due(at("2026-03-05T17:01:00Z"), &facts));
        assert!(!is_due(at("2026-03-06T03:30:00Z"), &facts), "the slot is only 10 hours later");
        assert!(is_due(at("2026-03-06T18:00:00Z"), &facts));
    }

    #[test]
    fn a_failure_is_repeated_an_hour_later() {
        let facts = Facts { failed: Some(at("2026-03-02T03:10:00Z")), ..facts() };
        assert!(!is_due(at("2026-03-02T03:40:00Z"), &facts));
        assert!(!is_due(at("2026-03-02T04:09:00Z"), &facts));
        assert!(is_due(at("2026-03-02T04:21:00Z"), &facts));
    }

    #[test]
    fn a_clock_that_jumped_neither_stops_backups_nor_repeats_them() {
        // A year ahead and back again: times in the future are ignored.
        let ahead = Facts { last: Some(at("2027-03-01T03:20:00Z")), ..facts() };
        assert!(is_due(at("2026-03-02T03:20:00Z"), &ahead));
        let failed = Facts { failed: Some(at("2027-01-01T00:00:00Z")), ..facts() };
        assert!(is_due(at("2026-03-02T03:20:00Z"), &failed));
        // A few seconds back, as time synchronisation does.
        assert!(!is_due(at("2026-03-01T03:19:30Z"), &facts()));
    }

    #[test]
    fn a_new_machine_backs_up_in_its_first_slot_and_not_before() {
        let new = Facts { last: None, installed: at("2026-03-01T12:00:00Z"), ..facts() };
        assert!(!is_due(at("2026-03-01T12:01:00Z"), &new));
        assert!(is_due(at("2026-03-02T03:11:00Z"), &new));
        let in_its_slot = Facts { installed: at("2026-03-01T03:20:00Z"), ..new };
        assert!(!is_due(at("2026-03-01T03:20:00Z"), &in_its_slot));
        assert!(!is_due(at("2026-03-01T03:59:00Z"), &in_its_slot));
        assert!(is_due(at("2026-03-02T03:11:00Z"), &in_its_slot));
        let unknown = Facts { installed: at("2027-01-01T12:00:00Z"), ..new };
        assert!(
            !is_due(at("2026-03-01T12:01:00Z"), &unknown) && is_due(at("2026-03-02T03:11:00Z"), &unknown)
        );
    }
}
