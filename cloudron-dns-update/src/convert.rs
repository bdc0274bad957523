//! Converts between record data and the records of `dns-update`.

use std::collections::BTreeSet;

use cloudron_dns::{Change, Error, Name, RecordData, RecordKey, RecordType, Result, codes};
use dns_update::{CAARecord, DnsRecord, DnsRecordType, MXRecord, SRVRecord};

use crate::Step;

/// Types that can be written.
pub(crate) const TYPES: [RecordType; 8] = [
    RecordType::A,
    RecordType::AAAA,
    RecordType::CNAME,
    RecordType::MX,
    RecordType::TXT,
    RecordType::SRV,
    RecordType::CAA,
    RecordType::NS,
];

/// Converts a change to the form of `dns-update`.
///
/// # Errors
/// `dns-unsupported`.
pub(crate) fn step<'a>(apex: &Name, change: &'a Change) -> Result<Step<'a>> {
    let key = change.key();
    let refuse = |why: &str| Err(Error::new(&codes::UNSUPPORTED, format!("{key}: {why}")));
    if key.name == *apex && matches!(key.rtype, RecordType::NS | RecordType::CNAME) {
        return refuse("the name servers of the zone and a CNAME at its top cannot be written");
    }
    if !key.name.is_in(apex) || key.name.without_dot().contains('\\') || key.variant.is_some() {
        return refuse("the name is not in the zone, or has characters that hosts do not take");
    }
    let rtype = match key.rtype {
        RecordType::A => DnsRecordType::A,
        RecordType::AAAA => DnsRecordType::AAAA,
        RecordType::CNAME => DnsRecordType::CNAME,
        RecordType::MX => DnsRecordType::MX,
        RecordType::TXT => DnsRecordType::TXT,
        RecordType::SRV => DnsRecordType::SRV,
        RecordType::CAA => DnsRecordType::CAA,
        RecordType::NS => DnsRecordType::NS,
        _ => return refuse("records of this type cannot be written"),
    };
    let Some(new) = change.after() else {
        return Ok(Step { change, rtype, ttl: 0, records: Vec::new() });
    };
    let records = new.values().iter().map(|value| record(key, value)).collect::<Result<_>>()?;
    Ok(Step { change, rtype, ttl: new.ttl().seconds(), records })
}

fn record(key: &RecordKey, value: &RecordData) -> Result<DnsRecord> {
    let refuse = |why: &str| Err(Error::new(&codes::UNSUPPORTED, format!("{key}: {why}")));
    let target = |name: &Name| {
        if name.is_root() || name.without_dot().contains('\\') {
            return refuse("hosts do not take such a target").map(|_: DnsRecord| String::new());
        }
        Ok(name.to_string())
    };
    Ok(match value {
        RecordData::A(address) => DnsRecord::A(*address),
        RecordData::Aaaa(address) => DnsRecord::AAAA(*address),
        RecordData::Cname(name) => DnsRecord::CNAME(target(name)?),
        RecordData::Ns(name) => DnsRecord::NS(target(name)?),
        RecordData::Mx { preference, exchange } => {
            DnsRecord::MX(MXRecord { exchange: target(exchange)?, priority: *preference })
        }
        RecordData::Txt(text) => match String::from_utf8(text.joined()) {
            Ok(text) if !text.is_empty() => DnsRecord::TXT(text),
            _ => return refuse("a text is not empty and is UTF-8"),
        },
        RecordData::Srv { priority, weight, port, target: name } => DnsRecord::SRV(SRVRecord {
            target: target(name)?,
            priority: *priority,
            weight: *weight,
            port: *port,
        }),
        RecordData::Caa { flags, tag, value } => match caa(*flags, tag, value) {
            Some(caa) => DnsRecord::CAA(caa),
            None => {
                return refuse(
                    "a CAA record has the flags 0 or 128, no parameters, and issue, issuewild or iodef",
                );
            }
        },
        _ => return refuse("records of this type cannot be written"),
    })
}

fn caa(flags: u8, tag: &str, value: &[u8]) -> Option<CAARecord> {
    let issuer_critical = match flags {
        0 => false,
        128 => true,
        _ => return None,
    };
    let text = std::str::from_utf8(value).ok()?;
    // The form of the parameters in responses differs from host to host.
    let name = || (!text.contains([';', ' ']) && !text.is_empty()).then(|| Some(text.to_owned()));
    let options = Vec::new();
    Some(match tag {
        "issue" => CAARecord::Issue { issuer_critical, name: name()?, options },
        "issuewild" => CAARecord::IssueWild { issuer_critical, name: name()?, options },
        "iodef" => CAARecord::Iodef { issuer_critical, url: text.to_owned() },
        _ => return None,
    })
}

/// Converts the records of a response.
///
/// # Errors
/// `dns-record` and `dns-name` for invalid ones.
pub(crate) fn values(apex: &Name, records: &[DnsRecord]) -> Result<BTreeSet<RecordData>> {
    records.iter().map(|record| value(apex, record)).collect()
}

fn value(apex: &Name, record: &DnsRecord) -> Result<RecordData> {
    let target = |text: &str| if text == "@" { Ok(apex.clone()) } else { Name::parse(text) };
    Ok(match record {
        DnsRecord::A(address) => RecordData::A(*address),
        DnsRecord::AAAA(address) => RecordData::Aaaa(*address),
        DnsRecord::CNAME(name) => RecordData::Cname(target(name)?),
        DnsRecord::NS(name) => RecordData::Ns(target(name)?),
        DnsRecord::MX(mx) => RecordData::Mx { preference: mx.priority, exchange: target(&mx.exchange)? },
        DnsRecord::TXT(text) => RecordData::txt(text.as_str()),
        DnsRecord::SRV(srv) => RecordData::Srv {
            priority: srv.priority,
            weight: srv.weight,
            port: srv.port,
            target: target(&srv.target)?,
        },
        DnsRecord::CAA(caa) => {
            let (flags, tag, value) = caa.clone().decompose();
            // Some hosts write it as an absolute name.
            let value = if tag == "iodef" { value.as_str() } else { value.trim_end_matches('.') };
            RecordData::Caa { flags, tag: tag.clone(), value: value.into() }
        }
        DnsRecord::TLSA(_) => {
            return Err(Error::new(&codes::UNSUPPORTED, "TLSA records cannot be read"));
        }
    })
}
