//! Batches of changes, executed completely or refused.

use std::collections::BTreeMap;

use super::lists::change_info;
use super::xml::{NS, all_between, between, escape, unescape};
use super::{HostedZone, Key, Set, State, turned};

pub(super) fn change(state: &mut State, at: usize, body: &str) -> (u16, String) {
    match changed(&state.zones[at], body) {
        Ok(sets) => {
            state.zones[at].sets = sets;
            state.changes += 1;
            let info = change_info(&format!("C{}", state.changes), "PENDING");
            (200, format!("<ChangeResourceRecordSetsResponse {NS}>{info}</ChangeResourceRecordSetsResponse>"))
        }
        Err(why) => {
            let why = escape(&format!("[{why}]"));
            let text = format!(
                "<InvalidChangeBatch {NS}><Messages><Message>{why}</Message></Messages>\
                 <RequestId>request-2</RequestId></InvalidChangeBatch>"
            );
            (400, text)
        }
    }
}

fn changed(zone: &HostedZone, body: &str) -> Result<BTreeMap<Key, Set>, String> {
    let changes = all_between(body, "Change");
    let weight = |c: &String| if between(c, "Action").as_deref() == Some("UPSERT") { 2 } else { 1 };
    let values =
        |c: &String| -> Vec<String> { all_between(c, "Value").iter().map(|v| unescape(v)).collect() };
    let records: usize = changes.iter().map(|c| weight(c) * values(c).len()).sum();
    if records > 1000 {
        return Err(format!("Number of records limit of 1000 exceeded: {records}"));
    }
    let characters: usize = changes.iter().map(|c| weight(c) * values(c).concat().len()).sum();
    if characters > 32_000 {
        return Err(format!("Value length limit of 32000 exceeded: {characters}"));
    }
    let mut sets = zone.sets.clone();
    let mut seen = Vec::new();
    for change in &changes {
        let field = |name: &str| between(change, name).unwrap_or_default();
        let (action, name, rtype) = (field("Action"), unescape(&field("Name")), field("Type"));
        let key = (turned(&name), rtype.clone(), field("SetIdentifier"));
        let set = Set { ttl: field("TTL"), values: values(change), more: String::new() };
        if !turned(&name).starts_with(&turned(&zone.name)) {
            return Err(format!("RRSet with DNS name {name} is not permitted in zone {}", zone.name));
        }
        if seen.contains(&(action.clone(), key.clone())) {
            return Err(format!("The request contains an invalid set of changes for '{name}' {rtype}"));
        }
        seen.push((action.clone(), key.clone()));
        let what = format!("resource record set [name='{name}', type='{rtype}']");
        match (action.as_str(), sets.get(&key)) {
            ("CREATE", Some(_)) => return Err(format!("Tried to create {what} but it already exists")),
            ("CREATE" | "UPSERT", _) => {
                check_values(&rtype, &set)?;
                sets.insert(key, set);
            }
            ("DELETE", None) => return Err(format!("Tried to delete {what} but it was not found")),
            ("DELETE", Some(there)) => {
                let mut pairs = [there.values.clone(), set.values.clone()];
                pairs.iter_mut().for_each(|p| p.sort());
                if pairs[0] != pairs[1] || there.ttl != set.ttl {
                    return Err(format!(
                        "Tried to delete {what} but the values provided do not match the current values"
                    ));
                }
                sets.remove(&key);
            }
            _ => return Err(format!("no action {action}")),
        }
    }
    for (name, rtype, id) in sets.keys() {
        let beside = sets.keys().filter(|k| k.0 == *name);
        let clash = |k: &&Key| {
            (rtype == "CNAME" && k.1 != "CNAME") || (k.1 == *rtype && k.2.is_empty() != id.is_empty())
        };
        if beside.filter(clash).count() > 0 {
            return Err(format!(
                "RRSet of type {rtype} with DNS name {} is not permitted because a conflicting RRSet of the same \
                 DNS name already exists in zone {}",
                turned(name),
                zone.name
            ));
        }
    }
    Ok(sets)
}

fn check_values(rtype: &str, set: &Set) -> Result<(), String> {
    if set.ttl.parse::<i32>().is_err() || set.values.is_empty() {
        return Err("A set needs a TTL and a value".into());
    }
    let mut unique = set.values.clone();
    unique.sort();
    unique.dedup();
    if unique.len() < set.values.len() || (rtype == "CNAME" && unique.len() > 1) {
        return Err("Duplicate Resource Record, or several of a CNAME".into());
    }
    for value in &set.values {
        if value.len() > 4000 {
            return Err("CharacterStringTooLong".into());
        }
        let fine = match rtype {
            "A" => value.parse::<std::net::Ipv4Addr>().is_ok(),
            "AAAA" => value.parse::<std::net::Ipv6Addr>().is_ok(),
            "TXT" => value.starts_with('"') && value.ends_with('"') && value.is_ascii(),
            "MX" => value.split(' ').count() == 2,
            "SRV" => value.split(' ').count() == 4,
            _ => true,
        };
        if !fine {
            return Err(format!("Invalid Resource Record: '{value}'"));
        }
    }
    Ok(())
}
