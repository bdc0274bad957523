//! Instructions for DNS hosts without an API.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{Change, Name, RecordData, RecordSet};

/// The records to set and to remove in the control panel of a DNS host.
///
/// It displays as a table of type, name and value for the panel; [`zone_file`](Self::zone_file) has the same for hosts
/// that can import one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Instructions {
    /// The zone.
    pub zone: Name,
    /// The record sets that must exist, with exactly these values.
    pub set: Vec<RecordSet>,
    /// The record sets that must be removed.
    pub remove: Vec<RecordSet>,
}

impl Instructions {
    /// Returns the instructions for these changes.
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

    /// Returns whether there is nothing to do.
    pub fn is_empty(&self) -> bool {
        self.set.is_empty() && self.remove.is_empty()
    }

    /// Adds other instructions.
    pub fn extend(&mut self, other: Self) {
        self.set.extend(other.set);
        self.remove.extend(other.remove);
    }

    /// Formats the sets that must exist as zone file text (RFC 1035, section 5): complete with `$ORIGIN`, with removed
    /// sets as comments.
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

    /// Returns the rows of the table: action, type, name relative to the zone, TTL, value.
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

/// Formats a value for panels: text without quotes, everything else in presentation form.
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
