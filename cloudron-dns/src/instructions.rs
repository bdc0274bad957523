//! What a person has to set at a DNS host that has no interface.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{Change, Name, RecordData, RecordSet};

/// What a person has to set and to remove in the panel of a DNS host.
///
/// It displays as one table of type, name and value for the panel; [`zone_file`](Self::zone_file) is the same for
/// hosts that import one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Instructions {
    /// The zone in whose panel this is done.
    pub zone: Name,
    /// The record sets that must be there, with exactly these values.
    pub set: Vec<RecordSet>,
    /// The record sets that must go.
    pub remove: Vec<RecordSet>,
}

impl Instructions {
    /// What a person must do so that these changes are made.
    pub fn for_changes(zone: &Name, changes: &[Change]) -> Self {
        let mut out = Self { zone: zone.clone(), set: Vec::new(), remove: Vec::new() };
        for change in changes {
            if let Some(new) = change.after() {
                out.set.push(new.clone());
            }
            let gone = change.before().and_then(|old| {
                let kept = change.after().map_or(&[][..], RecordSet::values);
                let gone = old.values().iter().filter(|v| !kept.contains(v)).cloned();
                old.with_values(gone).expect("values of the set itself")
            });
            out.remove.extend(gone);
        }
        out
    }

    /// Whether there is nothing to do.
    pub fn is_empty(&self) -> bool {
        self.set.is_empty() && self.remove.is_empty()
    }

    /// Adds what other instructions say.
    pub fn extend(&mut self, other: Self) {
        self.set.extend(other.set);
        self.remove.extend(other.remove);
    }

    /// The sets that must be there as zone file text (RFC 1035, section 5): complete with `$ORIGIN`, and what must
    /// go as comments.
    pub fn zone_file(&self) -> String {
        let mut out = format!("$ORIGIN {}\n", self.zone);
        for set in &self.set {
            out += &format!("{set}\n");
        }
        for set in &self.remove {
            out += &format!("; remove: {}\n", set.to_string().replace('\n', "\n; remove: "));
        }
        out
    }

    /// The rows of the table: what to do, type, name relative to the zone, time to live, value.
    pub fn rows(&self) -> Vec<[String; 5]> {
        let of = |action: &'static str, sets: &[RecordSet]| -> Vec<[String; 5]> {
            let rows = sets.iter().flat_map(|set| {
                set.values().iter().map(move |value| {
                    let name = set.name().relative_to(&self.zone);
                    [action.into(), set.rtype().to_string(), name, set.ttl().to_string(), for_panel(value)]
                })
            });
            rows.collect()
        };
        [of("set", &self.set), of("remove", &self.remove)].concat()
    }
}

/// A value as panels ask for it: text without quotes, everything else in presentation form.
fn for_panel(value: &RecordData) -> String {
    match value {
        RecordData::Txt(text) => match String::from_utf8(text.joined()) {
            Ok(plain) if !plain.contains(char::is_control) => plain,
            _ => text.to_string(),
        },
        other => other.to_string(),
    }
}

impl fmt::Display for Instructions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_empty() {
            return writeln!(f, "Nothing has to be set in the zone {}", self.zone);
        }
        writeln!(f, "In the zone {} at your DNS host:", self.zone)?;
        let heading = ["", "TYPE", "NAME", "TTL", "VALUE"].map(String::from);
        let rows: Vec<_> = std::iter::once(heading).chain(self.rows()).collect();
        let width = |column: usize| rows.iter().map(|r| r[column].chars().count()).max().unwrap_or(0);
        let widths = [width(0), width(1), width(2), width(3)];
        for [action, rtype, name, ttl, value] in &rows {
            let [a, t, n, l] = widths;
            writeln!(f, "  {action:a$}  {rtype:t$}  {name:n$}  {ttl:l$}  {value}")?;
        }
        Ok(())
    }
}
