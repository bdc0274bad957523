//! Determines the latest backup.

use std::collections::BTreeMap;

use jiff::Timestamp;

use crate::format::summary::Summary;
use crate::keys::WriterId;

/// The counter of a backup's number: a writer in a repository.
type Counter<'s> = (&'s str, Option<WriterId>);

/// Returns the latest of these backups.
///
/// Names contain the time of the machines' clocks, which may be wrong or forged. So among the backups of one
/// writer, the one with the highest number is the latest. Numbers of different writers, and of different
/// repositories from which backups were copied or imported, cannot be compared: among the latest of each, the
/// time decides. A time in the future is replaced by the writer's latest time that is not in the future.
pub(crate) fn latest<'s>(
    summaries: impl IntoIterator<Item = &'s Summary>,
    now: Timestamp,
) -> Option<&'s Summary> {
    let mut of_counter: BTreeMap<Counter<'s>, (&Summary, Option<Timestamp>)> = BTreeMap::new();
    for summary in summaries {
        let (counter, number) = counted(summary);
        let time = Some(summary.time).filter(|time| *time <= now);
        let (known, latest) = of_counter.entry(counter).or_insert((summary, time));
        *latest = (*latest).max(time);
        if (number, &summary.id) > (counted(known).1, &known.id) {
            *known = summary;
        }
    }
    let latest = of_counter.into_values().max_by_key(|(summary, time)| (*time, &summary.id));
    latest.map(|(summary, _)| summary)
}

/// Returns the counter of a backup's number, and the number.
fn counted(summary: &Summary) -> (Counter<'_>, u64) {
    match &summary.origin {
        Some(origin) => ((&origin.repository, origin.writer), origin.sequence),
        None => ((&summary.repository, summary.writer), summary.sequence),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::summary::{Origin, example};

    fn made_in(year: u16, sequence: u64) -> Summary {
        let id = format!("backup_{year}-01-02T03-04-05Z_v1.0.0").parse().unwrap();
        let time = format!("{year}-01-02T03:04:05Z").parse().unwrap();
        Summary { id, sequence, time, ..example() }
    }

    fn by(writer: u8, summary: Summary) -> Summary {
        Summary { writer: Some(format!("{writer:016x}").parse().unwrap()), ..summary }
    }

    fn from(repository: &str, number: u64, summary: Summary) -> Summary {
        let origin = Origin { repository: repository.into(), sequence: number, writer: None };
        Summary { origin: Some(origin), ..summary }
    }

    fn year(summaries: &[Summary]) -> String {
        let now = "2030-01-01T00:00:00Z".parse().unwrap();
        latest(summaries, now).unwrap().id.as_str()[7..11].to_owned()
    }

    #[test]
    fn a_clock_that_was_ahead_once_hides_no_later_backup() {
        assert_eq!(latest(&[], Timestamp::UNIX_EPOCH), None);
        assert_eq!(year(&[made_in(2026, 1), made_in(2099, 2), made_in(2027, 3)]), "2027");
        assert_eq!(year(&[made_in(2026, 1), made_in(2027, 2), made_in(1970, 3)]), "1970");
        // Two backups made at the same time.
        assert_eq!(year(&[made_in(2027, 2), made_in(2026, 2)]), "2027");
    }

    #[test]
    fn a_writer_cannot_get_in_front_of_another_by_a_date_in_the_future_or_by_numbers() {
        let honest = [by(1, made_in(2026, 1)), by(1, made_in(2028, 2))];
        let with = |more: &[Summary]| year(&[&honest[..], more].concat());
        assert_eq!(with(&[by(2, made_in(2027, u64::MAX))]), "2028");
        assert_eq!(with(&[by(2, made_in(2099, u64::MAX))]), "2028");
        assert_eq!(with(&[by(2, made_in(2027, 1)), by(2, made_in(2099, 2))]), "2028");
        assert_eq!(with(&[by(2, made_in(2029, 1))]), "2029");
    }

    #[test]
    fn a_backup_brought_here_later_is_not_newer_for_that() {
        let imported = from("", 0, made_in(2016, 9));
        assert_eq!(year(&[made_in(2026, 8), imported.clone()]), "2026");
        assert_eq!(year(&[from("", 0, made_in(2017, 8)), imported.clone()]), "2017");
        let copies = [from("cd", 5, made_in(2029, 1)), from("cd", 6, made_in(2027, 2))];
        assert_eq!(year(&copies), "2027");
        assert_eq!(year(&[&copies[..], &[made_in(2026, 3), imported.clone()]].concat()), "2027");
        // A backup that was copied away and back has its own number again.
        assert_eq!(year(&[made_in(2026, 4), from("ab", 3, made_in(2027, 5))]), "2026");
    }
}
