//! Converts between DigitalOcean's records and record sets. Relative names and targets with a final dot occur only in
//! this module.

use std::collections::BTreeMap;

use super::types::{Fields, Listed};
use crate::rest::grouped;
use crate::{Name, Observed, RecordData, RecordKey, RecordSet, RecordType, Result, Ttl};

/// Types that can be written.
pub(super) const TYPES: &[RecordType] = RecordType::TYPED.split_at(8).0;

/// Maximum length of a text in zone file form, including quotes, in bytes: the limit of 512 applies to that form.
const LONGEST_TEXT: usize = 509;

/// One record of a set: its ID, its value and its TTL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Known {
    pub(super) id: u64,
    pub(super) value: RecordData,
    pub(super) ttl: u32,
}

/// The records of a zone by their set.
pub(super) type Records = BTreeMap<RecordKey, Vec<Known>>;

/// Groups records into sets, and returns the records of each. A set that cannot be represented is opaque.
pub(super) fn sets(apex: &Name, listed: &[Listed]) -> Result<(Vec<Observed>, Records)> {
    let shown = |r: &Listed| format!("{} {}", r.rtype, r.data.as_deref().unwrap_or_default());
    grouped(listed, |record| key(apex, record), |key, group| plain(apex, key, group), shown)
}

fn key(apex: &Name, record: &Listed) -> Result<RecordKey> {
    let text = record.name.trim_end_matches('.');
    let name = match text {
        "" | "@" => Ok(apex.clone()),
        relative => apex.below(relative),
    };
    let name = name.map_err(|e| e.while_doing(format!("reading record {}", record.id)))?;
    // A type without a number is distinguished from others by its name.
    Ok(match record.rtype.parse() {
        Ok(rtype) => RecordKey::new(name, rtype),
        Err(_) => RecordKey::new(name, RecordType(0)).with_variant(record.rtype.clone()),
    })
}

fn plain(apex: &Name, key: &RecordKey, group: &[&Listed]) -> Option<(RecordSet, Vec<Known>)> {
    let mut known = Vec::new();
    for record in group {
        let value = value(apex, key.rtype, record)?;
        known.push(Known { id: record.id, value, ttl: record.ttl.unwrap_or(1800) });
    }
    // Resolvers use the lowest of several TTLs (RFC 2181, section 5.2).
    let ttl = Ttl::new(known.iter().map(|k| k.ttl).min()?).ok()?;
    let set = RecordSet::new(key.name.clone(), ttl, known.iter().map(|k| k.value.clone())).ok()?;
    Some((set, known))
}

/// Returns the value of a record; `None` for records that this provider does not write either, such as the SOA.
fn value(apex: &Name, rtype: RecordType, record: &Listed) -> Option<RecordData> {
    let data = record.data.as_deref()?;
    let target = || match data.trim_end_matches('.') {
        "@" => Some(apex.clone()),
        "" => Some(Name::root()),
        absolute => Name::parse(absolute).ok(),
    };
    Some(match rtype {
        RecordType::A => RecordData::A(data.parse().ok()?),
        RecordType::AAAA => RecordData::Aaaa(data.parse().ok()?),
        RecordType::CNAME => RecordData::Cname(target()?),
        RecordType::NS => RecordData::Ns(target()?),
        RecordType::MX => RecordData::Mx { preference: record.priority?, exchange: target()? },
        // Never quoted: a quote is part of the text.
        RecordType::TXT => RecordData::txt(data),
        RecordType::SRV => RecordData::Srv {
            priority: record.priority?,
            weight: record.weight?,
            port: record.port?,
            target: target()?,
        },
        RecordType::CAA => {
            let tag = record.tag.as_deref()?.to_ascii_lowercase();
            let value = if is_name(&tag) { data.strip_suffix('.').unwrap_or(data) } else { data };
            RecordData::Caa { flags: record.flags?, tag, value: value.as_bytes().to_vec() }
        }
        _ => return None,
    })
}

/// Returns whether a CAA property is sent with a final dot.
fn is_name(tag: &str) -> bool {
    matches!(tag, "issue" | "issuewild")
}

/// Returns the request fields for one value of a set.
///
/// # Errors
/// The reason why DigitalOcean does not support it.
pub(super) fn fields(apex: &Name, key: &RecordKey, value: &RecordData, ttl: Ttl) -> Result<Fields, String> {
    let refuse = |why: &str| Err(why.to_owned());
    let top = key.name == *apex;
    if key.rtype == RecordType::SOA || (top && matches!(key.rtype, RecordType::NS | RecordType::CNAME)) {
        return refuse("SOA, the name servers of the zone and a CNAME at its top cannot be written");
    }
    if !key.name.is_in(apex) {
        return refuse("the name is not in the zone");
    }
    if key.name.without_dot().contains('\\') || key.variant.is_some() {
        return refuse("the name has characters that it does not take");
    }
    let mut fields = Fields {
        rtype: key.rtype.to_string(),
        name: key.name.relative_to(apex),
        data: String::new(),
        ttl: ttl.seconds(),
        priority: None,
        port: None,
        weight: None,
        flags: None,
        tag: None,
    };
    let target = |name: &Name| {
        if name.is_root() || name.without_dot().contains('\\') {
            return refuse("it takes no such target").map(|_| String::new());
        }
        Ok(name.to_string())
    };
    match value {
        RecordData::A(address) => fields.data = address.to_string(),
        RecordData::Aaaa(address) => fields.data = address.to_string(),
        RecordData::Cname(name) | RecordData::Ns(name) => fields.data = target(name)?,
        RecordData::Mx { preference, exchange } => {
            fields.priority = Some(*preference);
            fields.data = target(exchange)?;
        }
        RecordData::Txt(text) => {
            let Ok(joined) = String::from_utf8(text.joined()) else { return refuse("the text is not UTF-8") };
            if joined.is_empty() || joined.contains('\\') {
                return refuse("a text may not be empty and has no backslash");
            }
            let strings = joined.len().div_ceil(255);
            let written = joined.len() + joined.matches('"').count() + 3 * strings - 1;
            if written > LONGEST_TEXT {
                return refuse(&format!("the text has {written} bytes with its quotes; 509 are allowed"));
            }
            fields.data = joined;
        }
        RecordData::Srv { priority, weight, port, target: name } => {
            (fields.priority, fields.weight, fields.port) = (Some(*priority), Some(*weight), Some(*port));
            fields.data = target(name)?;
        }
        RecordData::Caa { flags, tag, value } => {
            let Ok(text) = String::from_utf8(value.clone()) else { return refuse("the value is not text") };
            if !is_name(tag) && tag != "iodef" {
                return refuse("a CAA record has the tag issue, issuewild or iodef");
            }
            if text.is_empty() || text.contains(char::is_whitespace) || (is_name(tag) && text.ends_with('.'))
            {
                return refuse("a CAA value is not empty, has no space and no dot at its end");
            }
            let dot = if is_name(tag) { "." } else { "" };
            fields.data = format!("{text}{dot}");
            (fields.flags, fields.tag) = (Some(*flags), Some(tag.clone()));
        }
        _ => return refuse("it has no records of this type"),
    }
    Ok(fields)
}

/// Returns whether a record is the one that was to be created.
pub(super) fn same(apex: &Name, listed: &Listed, sent: &Fields) -> bool {
    let as_listed = Listed {
        id: listed.id,
        rtype: sent.rtype.clone(),
        name: sent.name.clone(),
        data: Some(sent.data.clone()),
        ttl: Some(sent.ttl),
        priority: sent.priority,
        port: sent.port,
        weight: sent.weight,
        flags: sent.flags,
        tag: sent.tag.clone(),
    };
    let meaning = |record: &Listed| {
        let key = key(apex, record).ok()?;
        Some((value(apex, key.rtype, record)?, key))
    };
    meaning(listed).is_some_and(|there| meaning(&as_listed) == Some(there))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn apex() -> Name {
        Name::parse("example.com").unwrap()
    }

    fn listed(json: &str) -> Listed {
        serde_json::from_str(json).unwrap()
    }

    fn sent(name: &str, rtype: RecordType, text: &str) -> Result<Fields, String> {
        let value = RecordData::parse(rtype, text).unwrap();
        fields(&apex(), &RecordKey::new(Name::parse(name).unwrap(), rtype), &value, Ttl::DEFAULT)
    }

    #[test]
    fn targets_are_read_with_and_without_dot_and_as_the_top() {
        for data in ["mail.example.net", "mail.example.net."] {
            let json = format!(r#"{{"id":1,"type":"CNAME","name":"www","data":"{data}","ttl":60}}"#);
            let (sets, _) = sets(&apex(), &[listed(&json)]).unwrap();
            assert_eq!(sets[0].to_string(), "www.example.com. 60 IN CNAME mail.example.net.");
        }
        let top = listed(r#"{"id":1,"type":"MX","name":"@","data":"@","priority":5,"ttl":60}"#);
        let (sets, _) = sets(&apex(), &[top]).unwrap();
        assert_eq!(sets[0].to_string(), "example.com. 60 IN MX 5 example.com.");
    }

    #[test]
    fn what_cannot_be_expressed_is_opaque() {
        let records = [
            listed(r#"{"id":1,"type":"SOA","name":"@","data":"1800","ttl":1800}"#),
            listed(r#"{"id":2,"type":"ALIAS","name":"@","data":"x.example.net","ttl":60}"#),
            listed(r#"{"id":3,"type":"A","name":"odd","data":"not an address","ttl":60}"#),
            listed(r#"{"id":4,"type":"CNAME","name":"two","data":"a.example.net","ttl":60}"#),
            listed(r#"{"id":5,"type":"CNAME","name":"two","data":"b.example.net","ttl":60}"#),
        ];
        let (sets, known) = sets(&apex(), &records).unwrap();
        assert!(sets.len() == 4 && sets.iter().all(|s| s.plain().is_none()), "{sets:?}");
        assert!(known.is_empty());
    }

    #[test]
    fn every_record_of_a_set_keeps_its_id_equal_ones_too() {
        let json = |id| format!(r#"{{"id":{id},"type":"A","name":"my","data":"192.0.2.1","ttl":60}}"#);
        let (sets, known) = sets(&apex(), &[listed(&json(1)), listed(&json(2))]).unwrap();
        assert_eq!(sets[0].to_string(), "my.example.com. 60 IN A 192.0.2.1");
        let ids: Vec<u64> = known.values().flatten().map(|k| k.id).collect();
        assert_eq!(ids, [1, 2]);
    }

    #[test]
    fn targets_and_authorities_are_sent_with_a_dot_and_texts_as_they_are() {
        let data = |name, rtype, text| sent(name, rtype, text).unwrap().data;
        assert_eq!(data("www.example.com", RecordType::CNAME, "my.example.com"), "my.example.com.");
        assert_eq!(data("example.com", RecordType::CAA, r#"0 issue "ca.example.net""#), "ca.example.net.");
        assert_eq!(data("example.com", RecordType::CAA, r#"0 iodef "mailto:a@b.c""#), "mailto:a@b.c");
        assert_eq!(data("example.com", RecordType::TXT, "v=spf1 \"a\" -all"), "v=spf1 \"a\" -all");
        let srv = sent("_x._tcp.example.com", RecordType::SRV, "0 0 993 my.example.com").unwrap();
        assert_eq!((srv.priority, srv.weight, srv.port), (Some(0), Some(0), Some(993)));
        assert_eq!(sent("*.example.com", RecordType::A, "192.0.2.1").unwrap().name, "*");
        assert_eq!(sent("example.com", RecordType::A, "192.0.2.1").unwrap().name, "@");
    }

    #[test]
    fn what_it_cannot_hold_is_refused_before_anything_is_sent() {
        let long = "x".repeat(505);
        for (name, rtype, text) in [
            ("a.example.com", RecordType::TXT, r"back\slash"),
            ("a.example.com", RecordType::TXT, r#""""#),
            ("a.example.com", RecordType::TXT, &long),
            ("a.example.com", RecordType::MX, "0 ."),
            ("a.example.com", RecordType::CAA, r#"0 contactemail "a@b.c""#),
            ("a.example.com", RecordType::CAA, r#"0 issue "ca.example; a=b""#),
            ("a.example.com", RecordType::PTR, "b.example.com"),
            ("example.com", RecordType::NS, "ns1.example.net"),
            ("example.com", RecordType::CNAME, "b.example.net"),
            ("example.org", RecordType::A, "192.0.2.1"),
        ] {
            assert!(sent(name, rtype, text).is_err(), "{rtype} {text}");
        }
        assert!(sent("a.example.com", RecordType::TXT, &"x".repeat(504)).is_ok());
    }
}
