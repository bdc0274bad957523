//! A canonical zone file.

use std::fmt::Write;

use crate::{Name, Observed, RecordSet, RecordType};

/// Formats a zone file with these record sets: the SOA record first, then the zone's name servers, then the rest in the
/// canonical order of names (RFC 4034, section 6.1), one line per record with its TTL. The same sets give the same
/// bytes, in any input order.
///
/// Sets that cannot be represented, such as an alias or one of several weighted sets, are written as comments.
pub fn write<'a>(zone: &Name, sets: impl IntoIterator<Item = &'a Observed>) -> String {
    let mut sets: Vec<&Observed> = sets.into_iter().collect();
    sets.sort_by_key(|set| {
        let at_top = set.key().name == *zone;
        let first = match set.key().rtype {
            RecordType::SOA if at_top => 0,
            RecordType::NS if at_top => 1,
            _ => 2,
        };
        (first, set.key())
    });
    let mut out = format!("$ORIGIN {zone}\n");
    for set in sets {
        match set {
            Observed::Plain(set) if set.key().variant.is_none() => write_set(&mut out, zone, set),
            Observed::Plain(set) => {
                let values: Vec<String> = set.values().iter().map(ToString::to_string).collect();
                comment(&mut out, &format!("{}: {} (TTL {})", set.key(), values.join(", "), set.ttl()));
            }
            Observed::Opaque { key, what } => comment(&mut out, &format!("{key}: {what}")),
        }
    }
    out
}

fn write_set(out: &mut String, zone: &Name, set: &RecordSet) {
    for value in set.values() {
        let name = set.name().relative_to(zone);
        // Writing to a text cannot fail.
        let _ = writeln!(out, "{name}\t{}\tIN\t{}\t{}", set.ttl(), set.rtype(), value);
    }
}

/// Writes a comment on one line, for any text.
fn comment(out: &mut String, text: &str) {
    let line: String = text
        .chars()
        .map(|c| if c.is_control() { c.escape_default().to_string() } else { c.into() })
        .collect();
    let _ = writeln!(out, "; {line}");
}
