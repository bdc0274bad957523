//! Converts between Cloudflare's records and record sets. A TTL of 1 and targets without a final dot occur only in this
//! module.

use std::collections::BTreeMap;

use super::types::{Data, Fields, Listed};
use crate::rest::grouped;
use crate::{Name, Observed, RecordData, RecordKey, RecordSet, RecordType, Result, Ttl};

/// Types that can be written.
pub(super) const TYPES: [RecordType; 9] = RecordType::TYPED;

/// The TTL value with which Cloudflare chooses the TTL.
const AUTOMATIC: u32 = 1;
/// The TTL that it chooses for a record that is not proxied:
/// <https://developers.cloudflare.com/dns/manage-dns-records/reference/ttl/>.
const CHOSEN: u32 = 300;
const LONGEST_TTL: u32 = 86_400;
/// Maximum length of a text in zone file form, in bytes.
const LONGEST_TEXT: usize = 2048;

/// One record of a set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Known {
    pub(super) id: String,
    pub(super) value: RecordData,
    pub(super) ttl: u32,
    /// True if Cloudflare chooses the TTL.
    pub(super) automatic: bool,
}

/// The records of a zone by their set.
pub(super) type Records = BTreeMap<RecordKey, Vec<Known>>;

/// Groups records into sets, and returns the records of each. A set that cannot be represented is opaque.
pub(super) fn sets(apex: &Name, listed: &[Listed]) -> Result<(Vec<Observed>, Records)> {
    grouped(listed, |record| key(apex, record), plain, shown)
}

fn shown(record: &Listed) -> String {
    let content = record.content.as_deref().unwrap_or_default();
    match (record.proxied, &record.meta) {
        (Some(true), _) => format!("{} proxied to {content}", record.rtype),
        (_, Some(meta)) if meta.read_only => format!("{} {content}, kept by Cloudflare itself", record.rtype),
        _ => format!("{} {content}", record.rtype),
    }
}

fn key(apex: &Name, record: &Listed) -> Result<RecordKey> {
    let name =
        Name::parse(&record.name).map_err(|e| e.while_doing(format!("reading record {}", record.id)))?;
    Ok(match record.rtype.parse() {
        // Flattened: it is answered as addresses, and coexists with other records.
        Ok(RecordType::CNAME) if name == *apex => {
            RecordKey::new(name, RecordType::CNAME).with_variant("flattened")
        }
        Ok(rtype) => RecordKey::new(name, rtype),
        // A type without a number is distinguished from others by its name.
        Err(_) => RecordKey::new(name, RecordType(0)).with_variant(record.rtype.clone()),
    })
}

fn plain(key: &RecordKey, group: &[&Listed]) -> Option<(RecordSet, Vec<Known>)> {
    if key.variant.is_some() {
        return None;
    }
    let mut known = Vec::new();
    for record in group {
        let kept = record.meta.as_ref().is_some_and(|meta| meta.read_only);
        if record.proxied == Some(true) || kept {
            return None;
        }
        let automatic = record.ttl == AUTOMATIC;
        let ttl = if automatic { CHOSEN } else { record.ttl };
        known.push(Known { id: record.id.clone(), value: value(key.rtype, record)?, ttl, automatic });
    }
    // Resolvers use the lowest of several TTLs (RFC 2181, section 5.2).
    let ttl = Ttl::new(known.iter().map(|k| k.ttl).min()?).ok()?;
    let set = RecordSet::new(key.name.clone(), ttl, known.iter().map(|k| k.value.clone())).ok()?;
    Some((set, known))
}

/// Returns the value of a record; `None` if it cannot be parsed.
fn value(rtype: RecordType, record: &Listed) -> Option<RecordData> {
    let content = record.content.as_deref().unwrap_or_default();
    let data = || serde_json::from_value::<Data>(record.data.clone()).ok();
    let target = |text: &str| match text.trim_end_matches('.') {
        "" => Some(Name::root()),
        absolute => Name::parse(absolute).ok(),
    };
    Some(match rtype {
        RecordType::MX => RecordData::Mx { preference: record.priority?, exchange: target(content)? },
        RecordType::SRV => {
            let data = data()?;
            RecordData::Srv {
                priority: data.priority?,
                weight: data.weight?,
                port: data.port?,
                target: target(&data.target?)?,
            }
        }
        RecordType::CAA => {
            let data = data()?;
            let value = data.value?.into_bytes();
            RecordData::Caa { flags: data.flags?, tag: data.tag?.to_ascii_lowercase(), value }
        }
        RecordType::CNAME => RecordData::Cname(target(content)?),
        RecordType::NS => RecordData::Ns(target(content)?),
        RecordType::PTR => RecordData::Ptr(target(content)?),
        // Quoted as in a zone file. Records from before that change are not.
        _ => RecordData::parse(rtype, content).ok()?,
    })
}

/// Returns the request fields for one value of a set.
///
/// # Errors
/// The reason why Cloudflare does not support it.
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
    if ttl.seconds() > LONGEST_TTL {
        return refuse("a time to live is at most 86400 seconds");
    }
    let mut fields = Fields {
        id: None,
        rtype: key.rtype.to_string(),
        name: key.name.without_dot().to_owned(),
        ttl: ttl.seconds(),
        content: None,
        priority: None,
        data: None,
    };
    let target = |name: &Name| match name.without_dot() {
        text if text.contains('\\') => refuse("it takes no such target").map(|_| String::new()),
        _ if name.is_root() => Ok(".".into()),
        text => Ok(text.to_owned()),
    };
    match value {
        RecordData::A(address) => fields.content = Some(address.to_string()),
        RecordData::Aaaa(address) => fields.content = Some(address.to_string()),
        RecordData::Cname(name) | RecordData::Ns(name) | RecordData::Ptr(name) => {
            fields.content = Some(target(name)?);
        }
        RecordData::Mx { preference, exchange } => {
            fields.priority = Some(*preference);
            fields.content = Some(target(exchange)?);
        }
        RecordData::Txt(text) => {
            let written = text.to_string();
            if text.joined().is_empty() || written.len() > LONGEST_TEXT {
                return refuse(&format!(
                    "a text has 1 to {LONGEST_TEXT} characters with its quotes; this one has {}",
                    written.len()
                ));
            }
            fields.content = Some(written);
        }
        RecordData::Srv { priority, weight, port, target: name } => {
            fields.data = Some(Data {
                priority: Some(*priority),
                weight: Some(*weight),
                port: Some(*port),
                target: Some(target(name)?),
                ..Data::default()
            });
        }
        RecordData::Caa { flags, tag, value } => {
            let Ok(text) = String::from_utf8(value.clone()) else { return refuse("the value is not text") };
            let (tag, value) = (Some(tag.clone()), Some(text));
            fields.data = Some(Data { flags: Some(*flags), tag, value, ..Data::default() });
        }
        _ => return refuse("it has no records of this type"),
    }
    Ok(fields)
}

/// Returns the TTL to send for an existing record: an automatic TTL stays automatic as long as its value is right.
pub(super) fn kept_ttl(known: &Known, wanted: u32) -> u32 {
    if known.automatic && wanted == CHOSEN { AUTOMATIC } else { wanted }
}
