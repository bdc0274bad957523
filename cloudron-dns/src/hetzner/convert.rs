//! Converts between Hetzner's sets and record sets. Relative names and values in zone file form occur only in this
//! module.

use std::collections::BTreeMap;

use super::types::{Listed, Value};
use crate::{Change, Name, Observed, RecordData, RecordKey, RecordSet, RecordType, Result, Ttl};

/// Types that can be written.
pub(super) const TYPES: [RecordType; 9] = RecordType::TYPED;

/// Maximum length of a text, in bytes. Hetzner does not document it; longer ones are rare and are refused here.
pub(super) const LONGEST_TEXT: usize = 4000;

/// The properties of a set that are not in its record set.
#[derive(Debug, Clone, Default)]
pub(super) struct Known {
    /// The comments of its values.
    pub(super) comments: BTreeMap<RecordData, String>,
    /// True if Hetzner refuses every change of it.
    pub(super) protected: bool,
}

/// The additional properties of the sets of a zone.
pub(super) type Extras = BTreeMap<RecordKey, Known>;

/// Returns the sets of a zone whose default TTL is `ttl`. A set that cannot be represented is opaque.
pub(super) fn sets(apex: &Name, ttl: u32, listed: &[Listed]) -> Result<(Vec<Observed>, Extras)> {
    let (mut observed, mut extras) = (Vec::new(), Extras::new());
    for set in listed {
        let key = key(apex, set)?;
        match plain(apex, ttl, &key, set) {
            Some((plain, known)) => {
                observed.push(Observed::Plain(plain));
                extras.insert(key, known);
            }
            None => {
                let values: Vec<&str> = set.records.iter().map(|r| r.value.as_str()).collect();
                let what = format!("{} {}", set.rtype, values.join(" and "));
                observed.push(Observed::Opaque { key, what });
            }
        }
    }
    Ok((observed, extras))
}

/// Returns whether a set has no TTL and could be represented.
pub(super) fn needs_zone_ttl(listed: &[Listed]) -> bool {
    listed.iter().any(|set| set.ttl.is_none() && set.rtype.parse::<RecordType>().is_ok())
}

fn key(apex: &Name, set: &Listed) -> Result<RecordKey> {
    let name =
        relative(apex, &set.name).map_err(|e| e.while_doing(format!("reading the set {}", set.name)))?;
    Ok(match set.rtype.parse() {
        Ok(rtype) => RecordKey::new(name, rtype),
        // A type without a number is distinguished from others by its name.
        Err(_) => RecordKey::new(name, RecordType(0)).with_variant(set.rtype.clone()),
    })
}

fn relative(apex: &Name, text: &str) -> Result<Name> {
    match text {
        "@" => Ok(apex.clone()),
        absolute if absolute.ends_with('.') => Name::parse(absolute),
        relative => apex.below(relative),
    }
}

fn plain(apex: &Name, ttl: u32, key: &RecordKey, set: &Listed) -> Option<(RecordSet, Known)> {
    let mut known = Known { protected: set.protection.change, ..Known::default() };
    let mut values = Vec::new();
    for record in &set.records {
        let value = value(apex, key.rtype, &record.value)?;
        known.comments.insert(value.clone(), record.comment.clone());
        values.push(value);
    }
    let ttl = Ttl::new(set.ttl.unwrap_or(ttl)).ok()?;
    Some((RecordSet::new(key.name.clone(), ttl, values).ok()?, known))
}

/// Parses a value in zone file form, in which a name without a final dot is relative to the zone.
fn value(apex: &Name, rtype: RecordType, text: &str) -> Option<RecordData> {
    RecordData::parse_below(apex, rtype, text).ok()
}

/// Converts a set of a response, with the given TTL if it has none.
pub(super) fn one(apex: &Name, ttl: u32, listed: &Listed) -> Result<Observed> {
    let (mut sets, _) = sets(apex, ttl, std::slice::from_ref(listed))?;
    Ok(sets.remove(0))
}

/// Returns the values to send for a set; existing ones keep their comments.
pub(super) fn records(set: &RecordSet, known: &Known) -> Vec<Value> {
    let comment = |value| known.comments.get(value).cloned().unwrap_or_default();
    set.values().iter().map(|v| Value { value: v.to_string(), comment: comment(v) }).collect()
}

/// Returns why a change cannot be made at Hetzner.
pub(super) fn refusal(apex: &Name, change: &Change) -> Option<String> {
    let long = |value: &RecordData| match value {
        RecordData::Txt(text) => !(1..=LONGEST_TEXT).contains(&text.joined().len()),
        _ => false,
    };
    let text = || {
        let long = change.after().is_some_and(|set| set.values().iter().any(long));
        long.then(|| "a text has 1 to 4000 bytes".to_owned())
    };
    writable(apex, change.key()).err().or_else(text)
}

/// Checks that sets of this key can be written.
fn writable(apex: &Name, key: &RecordKey) -> Result<(), String> {
    let refuse = |why: &str| Err(why.to_owned());
    let top = key.name == *apex;
    if top && matches!(key.rtype, RecordType::NS | RecordType::CNAME) {
        return refuse("the name servers of the zone and a CNAME at its top cannot be written");
    }
    if !TYPES.contains(&key.rtype) || key.variant.is_some() {
        return refuse("it has no records of this type, or they cannot be written");
    }
    if !key.name.is_in(apex) {
        return refuse("the name is not in the zone");
    }
    // As documented; whether only whole labels count is not documented.
    if !top && key.name.relative_to(apex).ends_with(apex.without_dot()) {
        return refuse("a name within the zone must not end with the zone's own");
    }
    if key.name.without_dot().contains('\\') {
        return refuse("the name has characters that it does not take");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn apex() -> Name {
        Name::parse("example.com").unwrap()
    }

    fn read(json: &str) -> Observed {
        one(&apex(), 3600, &serde_json::from_str(json).unwrap()).unwrap()
    }

    #[test]
    fn names_and_targets_are_relative_or_absolute_and_a_missing_time_to_live_is_the_zones() {
        for (json, line) in [
            (
                r#"{"name":"www","type":"CNAME","ttl":60,"records":[{"value":"my"}]}"#,
                "www.example.com. 60 IN CNAME my.example.com.",
            ),
            (
                r#"{"name":"@","type":"MX","ttl":null,"records":[{"value":"10 mail.example.net.","comment":"x"}]}"#,
                "example.com. 3600 IN MX 10 mail.example.net.",
            ),
            (
                r#"{"name":"@","type":"MX","records":[{"value":"5 @"}]}"#,
                "example.com. 3600 IN MX 5 example.com.",
            ),
            (
                r#"{"name":"*","type":"TXT","ttl":60,"records":[{"value":"\"a\" \"b \\\"c\\\"\""}]}"#,
                r#"*.example.com. 60 IN TXT "a" "b \"c\"""#,
            ),
            (
                r#"{"name":"a","type":"RP","ttl":60,"records":[{"value":"admin text.example.net."}]}"#,
                "a.example.com. 60 IN RP admin.example.com. text.example.net.",
            ),
        ] {
            assert_eq!(read(json).to_string(), line);
        }
    }

    #[test]
    fn what_cannot_be_expressed_is_opaque() {
        for json in [
            r#"{"name":"a","type":"APL","records":[{"value":"1:192.0.2.0/24"}]}"#,
            r#"{"name":"a","type":"A","records":[{"value":"x"}]}"#,
            r#"{"name":"a","type":"A","records":[]}"#,
        ] {
            assert!(read(json).plain().is_none(), "{json}");
        }
    }

    #[test]
    fn a_value_that_stays_keeps_its_comment() {
        let listed = r#"{"name":"a","type":"A","records":[{"value":"192.0.2.1","comment":"office"}]}"#;
        let (_, extras) = sets(&apex(), 60, &[serde_json::from_str(listed).unwrap()]).unwrap();
        let name = Name::parse("a.example.com").unwrap();
        let set = RecordSet::parse(name, Ttl::DEFAULT, RecordType::A, ["192.0.2.1", "192.0.2.2"]).unwrap();
        let sent = records(&set, &extras[set.key()]);
        let shown: Vec<_> = sent.iter().map(|v| format!("{} {}", v.value, v.comment)).collect();
        assert_eq!(shown, ["192.0.2.1 office", "192.0.2.2 "]);
    }
}
