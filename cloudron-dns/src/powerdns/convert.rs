//! Converts between PowerDNS's sets and ours. Names and targets end in a dot on both sides; PowerDNS quotes texts.

use std::collections::BTreeMap;

use super::types::{Change, Listed, Record};
use crate::{Name, Observed, RecordData, RecordKey, RecordSet, RecordType, Result, Ttl};

/// Returns whether PowerDNS manages sets of a type itself: the zone's own, and those that it generates for signing; and
/// types that are only valid in queries (RFC 6895, section 3.1).
pub(super) fn kept_by_server(rtype: RecordType) -> bool {
    matches!(rtype.0, 0 | 6 | 24 | 30 | 41 | 46..=48 | 50 | 51 | 59 | 60 | 128..=255)
}

/// The listed type of a set whose type has no number.
const NAMELESS: RecordType = RecordType(65_535);

/// Returns whether the interface accepts a name: letters, digits and `_/.-`, and a wildcard as the first label.
pub(super) fn takes_name(name: &Name) -> bool {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"_/.-".contains(&b);
    let text = name.without_dot();
    text.strip_prefix("*.").unwrap_or(text).bytes().all(plain)
}

/// Returns the sets of a zone. A set that cannot be represented is opaque: disabled records, which a change would
/// enable or lose, ALIAS and LUA records, which stand for addresses, and data in a form that only PowerDNS has.
pub(super) fn sets(listed: &[Listed]) -> Result<BTreeMap<RecordKey, Observed>> {
    let mut sets = BTreeMap::new();
    for set in listed {
        let name = Name::parse(&set.name)?;
        for observed in observe(&name, set) {
            sets.insert(observed.key().clone(), observed);
        }
    }
    Ok(sets)
}

fn observe(name: &Name, set: &Listed) -> Vec<Observed> {
    let shown = || {
        let contents: Vec<&str> = set.records.iter().map(|record| record.content.as_str()).collect();
        format!("{} {}", set.rtype, contents.join(", "))
    };
    let opaque = |rtype: RecordType, variant: Option<&str>| {
        let key = RecordKey { variant: variant.map(str::to_owned), ..RecordKey::new(name.clone(), rtype) };
        Observed::Opaque { key, what: shown() }
    };
    match set.rtype.as_str() {
        "ALIAS" => return [RecordType::A, RecordType::AAAA].map(|t| opaque(t, Some("ALIAS"))).to_vec(),
        "LUA" => {
            let made = set
                .records
                .iter()
                .filter_map(|record| record.content.split_whitespace().next()?.parse().ok());
            let made: Vec<Observed> = made.map(|rtype| opaque(rtype, Some("LUA"))).collect();
            return if made.is_empty() { vec![opaque(NAMELESS, Some("LUA"))] } else { made };
        }
        _ => {}
    }
    let Ok(rtype) = set.rtype.parse::<RecordType>() else { return vec![opaque(NAMELESS, Some(&set.rtype))] };
    if let Some(disabled) = set.records.iter().find(|record| record.disabled) {
        let what = format!("{} (with a disabled record: {})", shown(), disabled.content);
        return vec![Observed::Opaque { key: RecordKey::new(name.clone(), rtype), what }];
    }
    let values = set.records.iter().map(|record| RecordData::parse(rtype, &record.content));
    let plain = values
        .collect::<Result<Vec<_>>>()
        .and_then(|values| RecordSet::new(name.clone(), Ttl::new(set.ttl).unwrap_or(Ttl::MIN), values));
    vec![plain.map_or_else(|_| opaque(rtype, None), Observed::Plain)]
}

/// Returns the request for changes, with deletions first, since a CNAME must be alone at any time.
pub(super) fn changes(changes: &[crate::Change]) -> Vec<Change> {
    let deletions = changes.iter().filter(|change| change.after().is_none()).map(|change| Change {
        name: change.key().name.to_string(),
        rtype: change.key().rtype.to_string(),
        changetype: "DELETE",
        ttl: None,
        records: None,
    });
    let replacements = changes.iter().filter_map(crate::Change::after).map(|set| Change {
        name: set.name().to_string(),
        rtype: set.rtype().to_string(),
        changetype: "REPLACE",
        ttl: Some(set.ttl().seconds()),
        records: Some(set.values().iter().map(record).collect()),
    });
    deletions.chain(replacements).collect()
}

fn record(value: &RecordData) -> Record {
    let content = match value {
        // PowerDNS does not accept an IPv6 address with an embedded IPv4 address.
        RecordData::Aaaa(address) if address.to_string().contains('.') => {
            address.segments().map(|segment| format!("{segment:x}")).join(":")
        }
        value => value.to_string(),
    };
    Record { content, disabled: false }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listed(rtype: &str, contents: &[(&str, bool)]) -> Listed {
        let records = contents
            .iter()
            .map(|(content, disabled)| Record { content: (*content).into(), disabled: *disabled });
        Listed { name: "my.example.com.".into(), rtype: rtype.into(), ttl: 60, records: records.collect() }
    }

    fn keys(set: Listed) -> Vec<String> {
        let sets = sets(&[set]).unwrap();
        sets.values()
            .map(|s| format!("{} {}", s.key(), if s.plain().is_some() { "plain" } else { "opaque" }))
            .collect()
    }

    #[test]
    fn what_stands_for_addresses_keeps_addresses_away() {
        assert_eq!(
            keys(listed("ALIAS", &[("x.example.net.", false)])),
            ["my.example.com. A [ALIAS] opaque", "my.example.com. AAAA [ALIAS] opaque"]
        );
        assert_eq!(
            keys(listed("LUA", &[("A \"ifportup(443, {})\"", false)])),
            ["my.example.com. A [LUA] opaque"]
        );
    }

    #[test]
    fn disabled_records_and_unknown_types_are_opaque() {
        assert_eq!(
            keys(listed("A", &[("192.0.2.1", false), ("192.0.2.2", true)])),
            ["my.example.com. A opaque"]
        );
        assert_eq!(keys(listed("NEWTYPE", &[("x", false)])), ["my.example.com. TYPE65535 [NEWTYPE] opaque"]);
        assert_eq!(keys(listed("A", &[("192.0.2.1", false)])), ["my.example.com. A plain"]);
    }

    #[test]
    fn what_goes_is_sent_first_and_comments_are_not_mentioned() {
        let set = |rtype, value| {
            RecordSet::parse(Name::parse("my.example.com").unwrap(), Ttl::DEFAULT, rtype, [value]).unwrap()
        };
        let cname = set(RecordType::CNAME, "x.example.net");
        let a = set(RecordType::A, "192.0.2.1");
        let sent = changes(&[crate::Change::Create(cname), crate::Change::Delete(a)]);
        let json = serde_json::to_string(&sent).unwrap();
        assert_eq!(
            json,
            r#"[{"name":"my.example.com.","type":"A","changetype":"DELETE"},{"name":"my.example.com.","type":"CNAME","changetype":"REPLACE","ttl":300,"records":[{"content":"x.example.net.","disabled":false}]}]"#
        );
    }
}
