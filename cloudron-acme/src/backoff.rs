//! How long nothing is tried after failures.

use serde::{Deserialize, Serialize};

use crate::schedule::{DAY, HOUR, MINUTE, Seconds, TOLERANCE};

/// The longest time that an authority can make us wait.
const MOST_ASKED: Seconds = 7 * DAY;

/// Waits after failures that a name is to blame for: Let's Encrypt allows five in an hour, and pauses names that go on.
const NAME: [Seconds; 4] = [MINUTE, 10 * MINUTE, 100 * MINUTE, DAY];
/// Waits after failures of the network and of the authority.
const PASSING: [Seconds; 6] = [MINUTE, 2 * MINUTE, 5 * MINUTE, 15 * MINUTE, 30 * MINUTE, HOUR];

/// Whose failure it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Blame {
    /// A name's: its control could not be verified, or it was refused.
    Name,
    /// Nobody's here: the network, or the authority.
    Passing,
}

/// Failures in a row.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Failures {
    /// How many.
    pub count: u32,
    /// When the last one was.
    pub at: Seconds,
    /// How long nothing is tried after it.
    pub wait: Seconds,
}

impl Failures {
    /// Returns the failures with one more. `asked` is how long the authority said to wait, `random` from 0 to 1 spreads
    /// those who fail together.
    pub fn more(
        before: Option<&Self>,
        now: Seconds,
        blame: Blame,
        asked: Option<Seconds>,
        random: f64,
    ) -> Self {
        let count = before.map_or(0, |failures| failures.count);
        let waits: &[Seconds] = if blame == Blame::Name { &NAME } else { &PASSING };
        let wait = waits[(count as usize).min(waits.len() - 1)];
        let wait = wait + (wait as f64 / 10.0 * random.clamp(0.0, 1.0)) as Seconds;
        let asked = asked.unwrap_or(0).clamp(0, MOST_ASKED);
        Self { count: count.saturating_add(1), at: now, wait: wait.max(asked) }
    }

    /// Returns until when nothing is tried. A failure in the future was noted by a wrong clock, and blocks nothing; nor
    /// does any wait last longer than a week.
    pub fn until(&self, now: Seconds) -> Option<Seconds> {
        let until = self.at.saturating_add(self.wait.clamp(0, MOST_ASKED + HOUR));
        (self.at <= now.saturating_add(TOLERANCE) && until > now).then_some(until)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn failing(times: u32, blame: Blame) -> Vec<Seconds> {
        let (mut before, mut waits) = (None, Vec::new());
        for _ in 0..times {
            let next = Failures::more(before.as_ref(), 1000, blame, None, 0.0);
            waits.push(next.wait);
            before = Some(next);
        }
        waits
    }

    #[test]
    fn a_name_that_fails_is_tried_after_a_minute_ten_and_a_hundred_and_then_daily() {
        assert_eq!(failing(6, Blame::Name), [60, 600, 6000, DAY, DAY, DAY]);
        assert_eq!(failing(8, Blame::Passing).last(), Some(&HOUR));
    }

    #[test]
    fn five_failures_of_a_name_never_fall_into_one_hour() {
        let waits = failing(4, Blame::Name);
        assert!(waits.iter().sum::<Seconds>() > HOUR);
    }

    #[test]
    fn what_the_authority_asks_for_is_waited_for_but_not_longer_than_a_week() {
        let asked = |seconds| Failures::more(None, 0, Blame::Passing, Some(seconds), 0.0).wait;
        assert_eq!((asked(5), asked(7200), asked(i64::MAX), asked(-9)), (60, 7200, MOST_ASKED, 60));
    }

    proptest! {
        #[test]
        fn no_clock_makes_a_failure_block_for_more_than_a_week(
            at in any::<i64>(), wait in any::<i64>(), now in -1_000_000_000_000i64..1_000_000_000_000,
        ) {
            if let Some(until) = (Failures { count: 1, at, wait }).until(now) {
                prop_assert!(until > now && until - now <= MOST_ASKED + HOUR + TOLERANCE);
            }
        }
    }
}
