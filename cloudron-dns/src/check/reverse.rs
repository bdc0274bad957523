//! Checks the name of each address, and that the name resolves to that address (RFC 8601, section 2.7.3, "iprev").

use std::net::IpAddr;

use super::Expected;
use super::addresses::addresses;
use super::finding::{Finding, Findings};
use crate::resolve::{Resolve, reverse_name};
use crate::{Name, RecordData, RecordType};

pub(super) async fn check(resolver: &dyn Resolve, expected: &Expected, address: IpAddr) -> Findings {
    vec![check_one(resolver, &expected.my, address).await]
}

async fn check_one(resolver: &dyn Resolve, my: &Name, address: IpAddr) -> Finding {
    let reverse = reverse_name(address);
    let fix = format!("have the host of the server set {reverse} PTR {my}");
    let answer = resolver.resolve(&reverse, RecordType::PTR).await;
    let values = match answer.values() {
        Ok(values) => values,
        Err(why) => return Finding::not_known("ptr", address, &why),
    };
    let names = values.iter().filter_map(|value| match value {
        RecordData::Ptr(name) => Some(name),
        _ => None,
    });
    let names: Vec<&Name> = names.collect();
    let shown = names.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    if names.is_empty() {
        return Finding::fail("ptr", address, "it has no name, so that many receivers refuse its mail", fix);
    }
    // Receivers accept any of the names; more than ten are not evaluated.
    let name = names.iter().find(|name| **name == my).or(names.first()).copied().unwrap_or(my);
    match addresses(resolver, name).await {
        Err(why) => Finding::not_known("ptr", address, &why),
        Ok(found) if !found.contains(&address) => {
            let evidence = format!("its name is {shown}, and {name} does not have that address");
            Finding::fail("ptr", address, evidence, fix)
        }
        Ok(_) if name != my => {
            let evidence = format!("its name is {shown}, and the server greets as {my}");
            Finding::warn("ptr", address, evidence, fix)
        }
        Ok(_) if names.len() > 1 => {
            let evidence = format!("it has several names: {shown}");
            Finding::warn("ptr", address, evidence, format!("keep {my} alone"))
        }
        Ok(_) => Finding::pass("ptr", address, format!("its name is {my}, which has that address")),
    }
}
