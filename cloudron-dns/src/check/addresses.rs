//! Checks of the addresses of the server's names and of its mail servers.

use std::net::IpAddr;

use super::Expected;
use super::finding::{Finding, Findings};
use crate::resolve::{Answer, NotKnown, Resolve};
use crate::{Name, RecordData, RecordType};

/// Returns the addresses of a name, of both families.
pub(super) async fn addresses(resolver: &dyn Resolve, name: &Name) -> Result<Vec<IpAddr>, NotKnown> {
    let mut found = Vec::new();
    for rtype in [RecordType::A, RecordType::AAAA] {
        let answer = resolver.resolve(name, rtype).await;
        found.extend(answer.values()?.iter().filter_map(|value| match value {
            RecordData::A(v4) => Some(IpAddr::from(*v4)),
            RecordData::Aaaa(v6) => Some(IpAddr::from(*v6)),
            _ => None,
        }));
    }
    Ok(found)
}

pub(super) async fn my(resolver: &dyn Resolve, expected: &Expected) -> Findings {
    vec![leads_here(resolver, expected, "address", &expected.my, &expected.my).await]
}

/// Checks the wildcard, with a name that is unlikely to exist.
pub(super) async fn wildcard(resolver: &dyn Resolve, expected: &Expected) -> Findings {
    let wildcard = expected.domain.below("*").unwrap_or_else(|_| expected.domain.clone());
    let Ok(probe) = expected.domain.below("cloudron-wildcard-probe") else {
        return vec![Finding::unknown("wildcard", &wildcard, "the domain is too long")];
    };
    vec![leads_here(resolver, expected, "wildcard", &probe, &wildcard).await]
}

async fn leads_here(
    resolver: &dyn Resolve,
    expected: &Expected,
    id: &str,
    asked: &Name,
    shown: &Name,
) -> Finding {
    let found = match addresses(resolver, asked).await {
        Ok(found) => found,
        Err(why) => return Finding::not_known(id, shown, &why),
    };
    let missing: Vec<_> = expected.addresses.iter().filter(|a| !found.contains(a)).collect();
    let others: Vec<_> = found.iter().filter(|a| !expected.addresses.contains(a)).collect();
    let evidence = match found.is_empty() {
        true => "it has no address".to_owned(),
        false => format!("it has {}", listed(&found)),
    };
    if !missing.is_empty() {
        let fix = missing.iter().map(|address| format!("{shown} {} {address}", family(address)));
        return Finding::fail(id, shown, evidence, format!("set {}", fix.collect::<Vec<_>>().join(", ")));
    }
    if !others.is_empty() {
        let fix = format!("remove {}, which this server does not have", listed(&others));
        return Finding::warn(id, shown, evidence, fix);
    }
    Finding::pass(id, shown, evidence)
}

fn family(address: &IpAddr) -> &'static str {
    if address.is_ipv4() { "A" } else { "AAAA" }
}

fn listed(values: &[impl ToString]) -> String {
    values.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

/// Checks that mail servers are names with addresses, not aliases (RFC 5321, section 5.1; RFC 2181, section 10.3).
pub(super) async fn mx(resolver: &dyn Resolve, expected: &Expected) -> Findings {
    let (domain, my) = (&expected.domain, &expected.my);
    let set_ours = format!("set {domain} MX 10 {my}");
    let answer = resolver.resolve(domain, RecordType::MX).await;
    let values = match answer.values() {
        Ok(values) => values,
        Err(why) => return vec![Finding::not_known("mx", domain, &why)],
    };
    let mut servers: Vec<&Name> = values
        .iter()
        .filter_map(|value| match value {
            RecordData::Mx { exchange, .. } => Some(exchange),
            _ => None,
        })
        .collect();
    servers.sort();
    servers.dedup();
    let shown = listed(&servers);
    if servers.is_empty() {
        return vec![Finding::fail("mx", domain, "it has no mail server", set_ours)];
    }
    if servers.iter().any(|server| server.is_root()) {
        let evidence = "it says that it takes no mail (RFC 7505)";
        return vec![Finding::fail("mx", domain, evidence, format!("remove the MX of `.` and {set_ours}"))];
    }
    let mut findings = vec![if servers.contains(&my) {
        Finding::pass("mx", domain, format!("its mail servers are {shown}"))
    } else {
        let evidence = format!("its mail goes to {shown}, not to this server");
        Finding::warn("mx", domain, evidence, format!("if that is not meant, {set_ours}"))
    }];
    for server in servers {
        findings.extend(mail_server(resolver, server).await);
    }
    findings
}

async fn mail_server(resolver: &dyn Resolve, server: &Name) -> Option<Finding> {
    for rtype in [RecordType::A, RecordType::AAAA] {
        match resolver.resolve(server, rtype).await {
            Answer::Found { alias_of: Some(target), .. } => {
                let evidence = format!("it is an alias of {target}, which a mail server must not be");
                return Some(Finding::fail(
                    "mx",
                    server,
                    evidence,
                    "name the target in the MX record instead",
                ));
            }
            Answer::Found { .. } => return None,
            Answer::Unknown(why) => return Some(Finding::not_known("mx", server, &NotKnown(why))),
            Answer::NoSuchSet | Answer::NoSuchName => {}
        }
    }
    let fix = format!("set an A or AAAA record at {server}");
    Some(Finding::fail("mx", server, "the mail server has no address", fix))
}
