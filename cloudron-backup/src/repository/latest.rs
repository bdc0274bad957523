//! Which backup is the latest one.

use std::collections::BTreeMap;

use super::Summary;

/// The latest of these backups.
///
/// The names tell the time of the clocks of the machines, and one of them may have been ahead. So, of the backups
/// that were made in the same repository, the one with the highest number is the latest. The numbers of
/// different repositories cannot be compared: of what was made in several and copied or imported here, the time in
/// the name decides among the latest of each.
pub(crate) fn latest<'s>(summaries: impl IntoIterator<Item = &'s Summary>) -> Option<&'s Summary> {
    let mut of_origin: BTreeMap<&str, &Summary> = BTreeMap::new();
    for summary in summaries {
        let (origin, number) = made(summary);
        let known = of_origin.entry(origin).or_insert(summary);
        if (number, &summary.id) > (made(known).1, &known.id) {
            *known = summary;
        }
    }
    of_origin.into_values().max_by_key(|summary| &summary.id)
}

/// In which repository a backup was made, and which number it has there.
fn made(summary: &Summary) -> (&str, u64) {
    match &summary.origin {
        Some(origin) => (&origin.repository, origin.sequence),
        None => (&summary.repository, summary.sequence),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::repository::Origin;
    use crate::repository::summary::example;

    fn made_in(year: u16, sequence: u64) -> Summary {
        let id = format!("backup_{year}-01-02T03-04-05Z_v1.0.0").parse().unwrap();
        Summary { id, sequence, ..example() }
    }

    fn from(repository: &str, number: u64, summary: Summary) -> Summary {
        Summary { origin: Some(Origin { repository: repository.into(), sequence: number }), ..summary }
    }

    fn year(summaries: &[Summary]) -> String {
        latest(summaries).unwrap().id.as_str()[7..11].to_owned()
    }

    #[test]
    fn a_clock_that_was_ahead_once_hides_no_later_backup() {
        assert_eq!(latest(&[]), None);
        assert_eq!(year(&[made_in(2026, 1), made_in(2099, 2), made_in(2027, 3)]), "2027");
        assert_eq!(year(&[made_in(2026, 1), made_in(2027, 2), made_in(1970, 3)]), "1970");
        // Two that were made at the same time.
        assert_eq!(year(&[made_in(2027, 2), made_in(2026, 2)]), "2027");
    }

    #[test]
    fn what_was_brought_here_later_is_not_newer_for_that() {
        let imported = from("", 0, made_in(2016, 9));
        assert_eq!(year(&[made_in(2026, 8), imported.clone()]), "2026");
        assert_eq!(year(&[from("", 0, made_in(2017, 8)), imported.clone()]), "2017");
        let copies = [from("cd", 5, made_in(2099, 1)), from("cd", 6, made_in(2027, 2))];
        assert_eq!(year(&copies), "2027");
        assert_eq!(year(&[&copies[..], &[made_in(2026, 3), imported.clone()]].concat()), "2027");
        assert_eq!(year(&[&copies[..], &[made_in(2028, 3), imported]].concat()), "2028");
        // One that went away and came back has its own number again.
        assert_eq!(year(&[made_in(2026, 4), from("ab", 3, made_in(2027, 5))]), "2026");
    }
}
