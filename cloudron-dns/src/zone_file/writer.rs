//! A canonical zone file.

use std::fmt::Write;

use crate::{Error, Name, Observed, RecordKey, RecordSet, RecordType, Result, codes};

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

/// Checks that a file of these sets makes the same zone again: that none of them becomes a comment. The SOA record, and
/// what the name server keeps for signing, are the host's own.
///
/// # Errors
/// `dns-export` with the sets that have no form in a zone file.
pub fn check_complete<'a>(sets: impl IntoIterator<Item = &'a Observed>) -> Result<()> {
    let is_comment = |set: &Observed| {
        let key = set.key();
        let of_host = key.rtype == RecordType::SOA || key.rtype.is_signing();
        (set.plain().is_none() || key.variant.is_some()) && !of_host
    };
    let unsaid: Vec<&RecordKey> = sets.into_iter().filter(|set| is_comment(set)).map(Observed::key).collect();
    let (number, first) = (unsaid.len(), unsaid.iter().take(10).map(ToString::to_string));
    let has = match number {
        0 => return Ok(()),
        1 => "record set has",
        _ => "record sets have",
    };
    let more = if number > 10 { format!(", and {} more", number - 10) } else { String::new() };
    let first = first.collect::<Vec<_>>().join(", ");
    let message = format!("{number} {has} no form in a zone file: {first}{more}");
    Err(Error::new(&codes::ZONE_FILE_PARTIAL, message))
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
