//! Retention policies: chooses the backups to keep from a policy and the list.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::time::Duration;

use cloudron_core::BackupId;
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};

use crate::format::summary::Summary;
use crate::snapshot::latest::latest;

/// The number of backups of each kind to keep. Periods follow the calendar in UTC; weeks begin on Monday.
///
/// A backup is kept if any rule keeps it. Without any rule, all are kept. Backups are judged in groups with
/// the same writer, machine (host and domain) and set of source paths, so that a machine with many backups
/// does not displace those of another; the newest of each group is always kept.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PrunePolicy {
    /// The number of newest backups.
    pub last: Option<u32>,
    /// The number of most recent hours with a backup; the newest of each is kept.
    pub hourly: Option<u32>,
    /// The number of most recent days with a backup; the newest of each is kept.
    pub daily: Option<u32>,
    /// The number of most recent weeks with a backup; the newest of each is kept.
    pub weekly: Option<u32>,
    /// The number of most recent months with a backup; the newest of each is kept.
    pub monthly: Option<u32>,
    /// The number of most recent years with a backup; the newest of each is kept.
    pub yearly: Option<u32>,
    /// The maximum age relative to the newest of the group. It is not relative to the present, so that
    /// backups are not removed because no new ones are made.
    pub within: Option<Duration>,
}

impl PrunePolicy {
    /// Returns true if there is no rule, which keeps everything.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// The reason why a backup is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum KeepReason {
    /// The policy has no rule.
    NoPolicy,
    /// The backup is the newest of its group.
    Newest,
    /// [`PrunePolicy::last`].
    Last,
    /// [`PrunePolicy::within`].
    Within,
    /// [`PrunePolicy::hourly`].
    Hourly,
    /// [`PrunePolicy::daily`].
    Daily,
    /// [`PrunePolicy::weekly`].
    Weekly,
    /// [`PrunePolicy::monthly`].
    Monthly,
    /// [`PrunePolicy::yearly`].
    Yearly,
}

impl fmt::Display for KeepReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.serialize(f)
    }
}

/// The policy's decision on a backup.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Decision {
    /// The backup.
    pub id: BackupId,
    /// The reasons why it is kept. Empty if it is not.
    pub reasons: Vec<KeepReason>,
}

impl Decision {
    /// Returns true if it is kept.
    pub fn is_kept(&self) -> bool {
        !self.reasons.is_empty()
    }
}

/// Returns the policy's decision on each backup, in the order of their ids.
pub fn keep(policy: &PrunePolicy, summaries: &[Summary]) -> Vec<Decision> {
    let mut decisions: Vec<Decision> = keep_in_groups(policy, summaries).into_iter().flatten().collect();
    decisions.sort_by(|a, b| a.id.cmp(&b.id));
    decisions
}

/// Returns the decisions for each group.
pub(super) fn keep_in_groups(policy: &PrunePolicy, summaries: &[Summary]) -> Vec<Vec<Decision>> {
    let mut groups: BTreeMap<_, Vec<&Summary>> = BTreeMap::new();
    for summary in summaries {
        let sources: BTreeSet<&str> = summary.sources.iter().map(|s| s.path.as_str()).collect();
        let group = (summary.writer, &summary.host, &summary.fqdn, sources);
        groups.entry(group).or_default().push(summary);
    }
    groups.into_values().map(|group| judge_group(policy, group)).collect()
}

/// Judges a group. A backup with errors does not displace a complete one: the rules are applied to all
/// backups and to the complete ones only, and both results are kept.
fn judge_group(policy: &PrunePolicy, group: Vec<&Summary>) -> Vec<Decision> {
    let whole: Vec<&Summary> = group.iter().copied().filter(|s| s.errors == 0).collect();
    let also = if whole.len() < group.len() { judge(policy, whole) } else { Vec::new() };
    let mut decisions = judge(policy, group);
    for decision in &mut decisions {
        if let Some(also) = also.iter().find(|also| also.id == decision.id) {
            decision.reasons.extend(&also.reasons);
            decision.reasons.sort_unstable();
            decision.reasons.dedup();
        }
    }
    decisions
}

fn judge(policy: &PrunePolicy, mut group: Vec<&Summary>) -> Vec<Decision> {
    let Some(newest) = latest(group.iter().copied(), jiff::Timestamp::MAX) else { return Vec::new() };
    // Backups dated in the future displace no others.
    group.sort_by_key(|s| (s.time > newest.time, Reverse((s.time, &s.id))));
    let mut periods = periods(policy);
    let judged = group.iter().enumerate().map(|(n, summary)| {
        let mut reasons = Vec::new();
        if policy.is_empty() {
            reasons.push(KeepReason::NoPolicy);
        } else if summary.id == newest.id {
            reasons.push(KeepReason::Newest);
        }
        if policy.last.is_some_and(|last| n < last as usize) {
            reasons.push(KeepReason::Last);
        }
        let age = newest.time.duration_since(summary.time).unsigned_abs();
        if policy.within.is_some_and(|within| age <= within) {
            reasons.push(KeepReason::Within);
        }
        reasons.extend(periods.iter_mut().filter_map(|period| period.takes(summary.time)));
        Decision { id: summary.id.clone(), reasons }
    });
    judged.collect()
}

/// A rule that keeps one backup of each period.
struct Period {
    reason: KeepReason,
    left: u32,
    last: Option<(i16, i32)>,
}

fn periods(policy: &PrunePolicy) -> [Period; 5] {
    let rule = |reason, left: Option<u32>| Period { reason, left: left.unwrap_or(0), last: None };
    [
        rule(KeepReason::Hourly, policy.hourly),
        rule(KeepReason::Daily, policy.daily),
        rule(KeepReason::Weekly, policy.weekly),
        rule(KeepReason::Monthly, policy.monthly),
        rule(KeepReason::Yearly, policy.yearly),
    ]
}

impl Period {
    /// Checks whether the rule keeps a backup of that time. Must be called for the newest backup first.
    fn takes(&mut self, time: jiff::Timestamp) -> Option<KeepReason> {
        let period = Some(self.period(time));
        if self.left == 0 || self.last == period {
            return None;
        }
        self.last = period;
        self.left -= 1;
        Some(self.reason)
    }

    /// Returns the period of a time: a year, and a number in it.
    fn period(&self, time: jiff::Timestamp) -> (i16, i32) {
        let time = TimeZone::UTC.to_datetime(time);
        let day = i32::from(time.day_of_year());
        match self.reason {
            KeepReason::Hourly => (time.year(), day * 24 + i32::from(time.hour())),
            KeepReason::Daily => (time.year(), day),
            KeepReason::Weekly => {
                let week = time.date().iso_week_date();
                (week.year(), i32::from(week.week()))
            }
            KeepReason::Monthly => (time.year(), i32::from(time.month())),
            _ => (time.year(), 0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::summary::example;

    /// Returns backups of one machine at these times.
    fn at(host: &str, times: &[&str]) -> Vec<Summary> {
        let one = |time: &&str| {
            let time: jiff::Timestamp = time.parse().unwrap();
            let mut summary = example();
            summary.id = BackupId::new(time.try_into().unwrap(), &"1.0.0".parse().unwrap());
            (summary.time, summary.host) = (time, host.to_owned());
            summary
        };
        times.iter().map(one).collect()
    }

    fn kept(policy: &PrunePolicy, summaries: &[Summary]) -> Vec<String> {
        let kept = keep(policy, summaries).into_iter().filter(Decision::is_kept);
        kept.map(|d| d.id.as_str()[7..20].to_owned()).collect()
    }

    const DAYS: [&str; 7] = [
        "2025-12-28T03:00:00Z", // a Sunday
        "2025-12-29T03:00:00Z", // the Monday of the first ISO week of 2026
        "2025-12-31T03:00:00Z",
        "2026-01-01T03:00:00Z",
        "2026-01-04T03:00:00Z", // the Sunday of that week
        "2026-01-05T03:00:00Z",
        "2026-01-05T23:00:00Z",
    ];

    #[test]
    fn a_period_keeps_its_newest_backup_and_counts_only_where_there_is_one() {
        let all = at("", &DAYS);
        let policy = |f: fn(&mut PrunePolicy)| {
            let mut policy = PrunePolicy::default();
            f(&mut policy);
            policy
        };
        let daily = kept(&policy(|p| p.daily = Some(3)), &all);
        assert_eq!(daily, ["2026-01-01T03", "2026-01-04T03", "2026-01-05T23"]);
        let weekly = kept(&policy(|p| p.weekly = Some(3)), &all);
        assert_eq!(weekly, ["2025-12-28T03", "2026-01-04T03", "2026-01-05T23"]);
        assert_eq!(kept(&policy(|p| p.monthly = Some(9)), &all), ["2025-12-31T03", "2026-01-05T23"]);
        assert_eq!(kept(&policy(|p| p.yearly = Some(9)), &all), ["2025-12-31T03", "2026-01-05T23"]);
        assert_eq!(kept(&policy(|p| p.hourly = Some(2)), &all), ["2026-01-05T03", "2026-01-05T23"]);
        assert_eq!(kept(&policy(|p| p.last = Some(2)), &all), ["2026-01-05T03", "2026-01-05T23"]);
        let within = policy(|p| p.within = Some(Duration::from_secs(44 * 3600)));
        assert_eq!(kept(&within, &all), ["2026-01-04T03", "2026-01-05T03", "2026-01-05T23"]);
    }

    #[test]
    fn a_backup_of_a_clock_that_was_ahead_takes_the_place_of_no_other() {
        let mut all = at("", &[&DAYS[..], &["2027-01-01T00:00:00Z"]].concat());
        for (sequence, summary) in [1, 2, 4, 5, 6, 7, 8, 3].into_iter().zip(&mut all) {
            summary.sequence = sequence;
        }
        let policy = |last, daily, within| PrunePolicy { last, daily, within, ..PrunePolicy::default() };
        let two = ["2026-01-05T03", "2026-01-05T23"];
        assert_eq!(kept(&policy(Some(2), None, None), &all), two);
        assert_eq!(kept(&policy(None, None, Some(Duration::from_secs(24 * 3600))), &all), two);
        assert_eq!(kept(&policy(None, Some(1), None), &all), two[1..]);
    }

    #[test]
    fn a_backup_with_errors_takes_the_place_of_no_complete_one() {
        let mut all = at("", &DAYS[3..]);
        all[3].errors = 1;
        let policy = |last, daily, within| PrunePolicy { last, daily, within, ..PrunePolicy::default() };
        let (newest, whole) = ("2026-01-05T23", "2026-01-05T03");
        assert_eq!(kept(&policy(Some(1), None, None), &all), [whole, newest]);
        assert_eq!(kept(&policy(None, Some(1), None), &all), [whole, newest]);
        assert_eq!(kept(&policy(None, None, Some(Duration::ZERO)), &all), [whole, newest]);
        // The newest stays, as without errors, and no complete one is kept twice.
        all[2].errors = 1;
        assert_eq!(kept(&policy(Some(1), None, None), &all), ["2026-01-04T03", newest]);
        all.iter_mut().for_each(|summary| summary.errors = 1);
        assert_eq!(kept(&policy(Some(1), None, None), &all), [newest]);
    }

    #[test]
    fn without_a_rule_everything_is_kept() {
        let all = at("", &DAYS);
        assert!(keep(&PrunePolicy::default(), &all).iter().all(|d| d.reasons == [KeepReason::NoPolicy]));
    }

    #[test]
    fn each_machine_keeps_its_own_newest_backup() {
        let mut all = at("a", &DAYS[3..]);
        all.extend(at("b", &DAYS[..2]));
        let nothing = PrunePolicy { last: Some(0), ..PrunePolicy::default() };
        assert_eq!(kept(&nothing, &all), ["2025-12-29T03", "2026-01-05T23"]);
        let mut other = at("a", &DAYS[2..3]);
        other[0].sources[0].path = "/other".into();
        all.extend(other);
        assert_eq!(kept(&nothing, &all), ["2025-12-29T03", "2025-12-31T03", "2026-01-05T23"]);
    }

    #[test]
    fn every_reason_is_named() {
        let all = at("", &DAYS);
        let policy = PrunePolicy { last: Some(1), daily: Some(1), yearly: Some(1), ..Default::default() };
        let newest = keep(&policy, &all).pop().unwrap();
        use KeepReason::{Daily, Last, Newest, Yearly};
        assert_eq!(newest.reasons, [Newest, Last, Daily, Yearly]);
    }
}
