//! Checks whether blocklists contain an address (RFC 5782).

use std::net::{IpAddr, Ipv4Addr};

use super::finding::{Finding, Findings};
use crate::resolve::{Answer, NotKnown, Resolve, reversed_labels};
use crate::{Name, RecordData, RecordType};

/// An address that every list contains, and one that no list contains (RFC 5782, section 5).
const ALWAYS: [&str; 2] = ["127.0.0.2", "::ffff:7f00:2"];
const NEVER: [&str; 2] = ["127.0.0.1", "::ffff:7f00:1"];

/// A list's answer about an address.
enum Said {
    Clean,
    Listed(Vec<Ipv4Addr>),
    /// It answers, but gives no information.
    Refused(String),
    Silent(NotKnown),
}

pub(super) async fn check(resolver: &dyn Resolve, list: &Name, addresses: &[IpAddr]) -> Findings {
    let mut findings = Vec::new();
    for address in addresses {
        let subject = format!("{address} at {list}");
        findings.push(match works(resolver, list, address.is_ipv6()).await {
            Err(why) => Finding::unknown("blocklist", subject, why),
            Ok(()) => judged(resolver, list, *address, subject).await,
        });
    }
    findings
}

/// Checks whether the list works for a family, by its test entries. A list that contains all addresses, as some
/// abandoned ones do, or none, gives no information.
async fn works(resolver: &dyn Resolve, list: &Name, v6: bool) -> Result<(), String> {
    let test = |addresses: [&str; 2]| addresses[usize::from(v6)].parse::<IpAddr>().map_err(|e| e.to_string());
    match ask(resolver, list, test(ALWAYS)?).await {
        Said::Listed(_) => {}
        Said::Clean => {
            return Err("the list does not have its own test entry: it says nothing of such addresses".into());
        }
        Said::Refused(why) => return Err(why),
        Said::Silent(why) => return Err(format!("nobody answers: {why}")),
    }
    match ask(resolver, list, test(NEVER)?).await {
        Said::Clean => Ok(()),
        Said::Listed(_) => Err("the list has every address: it is not in operation".into()),
        Said::Refused(why) => Err(why),
        Said::Silent(why) => Err(format!("nobody answers: {why}")),
    }
}

async fn judged(resolver: &dyn Resolve, list: &Name, address: IpAddr, subject: String) -> Finding {
    match ask(resolver, list, address).await {
        Said::Clean => Finding::pass("blocklist", subject, "it is not listed"),
        Said::Refused(why) => Finding::unknown("blocklist", subject, why),
        Said::Silent(why) => Finding::not_known("blocklist", subject, &why),
        Said::Listed(codes) => {
            let codes = codes.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
            let reason = reason(resolver, list, address).await;
            let evidence = format!("it is listed ({codes}){reason}");
            let fix = "read the list's reason, remove the cause, then ask the list to remove the address";
            Finding::fail("blocklist", subject, evidence, fix)
        }
    }
}

fn entry(list: &Name, address: IpAddr) -> Option<Name> {
    list.below(&reversed_labels(address).0).ok()
}

async fn ask(resolver: &dyn Resolve, list: &Name, address: IpAddr) -> Said {
    let Some(name) = entry(list, address) else { return Said::Refused("the list's name is too long".into()) };
    match resolver.resolve(&name, RecordType::A).await {
        Answer::NoSuchName | Answer::NoSuchSet => Said::Clean,
        Answer::Unknown(why) => Said::Silent(NotKnown(why)),
        Answer::Found { values, .. } => meaning(&values),
    }
}

/// Interprets return codes. 127.255.255.x means that the query was not accepted: 252 a typing error, 254 a public
/// resolver, 255 too many queries (Spamhaus's return codes, which others follow). An address outside 127.0.0.0/8 is not
/// an answer of a list.
fn meaning(values: &[RecordData]) -> Said {
    let codes: Vec<Ipv4Addr> = values
        .iter()
        .filter_map(|value| match value {
            RecordData::A(v4) => Some(*v4),
            _ => None,
        })
        .collect();
    if let Some(code) = codes.iter().find(|code| code.octets()[..3] == [127, 255, 255]) {
        let why = match code.octets()[3] {
            252 => "the list's name is misspelt",
            254 => "the list refuses those who ask through a public resolver",
            255 => "the list was asked too often",
            _ => "the list refuses to answer",
        };
        return Said::Refused(format!("{why} ({code})"));
    }
    match codes.iter().find(|code| code.octets()[0] != 127) {
        Some(other) => Said::Refused(format!("the answer {other} is none of a blocklist")),
        None => Said::Listed(codes),
    }
}

/// Returns the list's own reason, if it gives one.
async fn reason(resolver: &dyn Resolve, list: &Name, address: IpAddr) -> String {
    let Some(name) = entry(list, address) else { return String::new() };
    let answer = resolver.resolve(&name, RecordType::TXT).await;
    let text = answer.texts().ok().and_then(|texts| texts.into_iter().next());
    text.map(|text| format!(": {}", String::from_utf8_lossy(&text))).unwrap_or_default()
}
