//! Lists of zones, record sets and changes, in pages.

use std::collections::BTreeMap;

use super::http::error;
use super::xml::{NS, escape};
use super::{HostedZone, Key, Set, State, turned};

pub(super) fn list_zones(state: &State, action: &str, query: &BTreeMap<String, String>) -> (u16, String) {
    let mut zones: Vec<&HostedZone> = state.zones.iter().collect();
    let by_name = action == "ListHostedZonesByName";
    let mut from = 0;
    if by_name {
        zones.sort_by_key(|z| (turned(&z.name), z.id.clone()));
        let start = (
            query.get("dnsname").map(|n| turned(n)).unwrap_or_default(),
            query.get("hostedzoneid").cloned().unwrap_or_default(),
        );
        from = zones.partition_point(|z| (turned(&z.name), z.id.clone()) < start);
    } else if let Some(marker) = query.get("marker") {
        from = zones.iter().position(|z| z.id == *marker).unwrap_or(0);
    }
    let most = query.get("maxitems").map_or(100, |m| m.parse().unwrap()).min(state.page);
    let end = zones.len().min(from + most);
    let items: String = zones[from..end].iter().map(|z| zone_xml(z)).collect();
    let next = match zones.get(end) {
        Some(z) if by_name => format!(
            "<IsTruncated>true</IsTruncated><NextDNSName>{}</NextDNSName><NextHostedZoneId>{}</NextHostedZoneId>",
            z.name, z.id
        ),
        Some(z) => format!("<IsTruncated>true</IsTruncated><NextMarker>{}</NextMarker>", z.id),
        None => "<IsTruncated>false</IsTruncated>".into(),
    };
    let text = format!(
        "<{action}Response {NS}><HostedZones>{items}</HostedZones><Marker></Marker>{next}\
         <MaxItems>{most}</MaxItems></{action}Response>"
    );
    (200, text)
}

pub(super) fn zone_xml(zone: &HostedZone) -> String {
    format!(
        "<HostedZone><Id>/hostedzone/{}</Id><Name>{}</Name><CallerReference>x</CallerReference><Config>\
         <PrivateZone>{}</PrivateZone></Config><ResourceRecordSetCount>{}</ResourceRecordSetCount></HostedZone>",
        zone.id,
        zone.name,
        zone.private,
        zone.sets.len()
    )
}

pub(super) fn list_sets(state: &State, at: usize, query: &BTreeMap<String, String>) -> (u16, String) {
    let get = |name: &str| query.get(name).cloned().unwrap_or_default();
    if query.contains_key("type") && !query.contains_key("name") {
        return error(400, "InvalidInput", "a type without a name");
    }
    let name = query.get("name").map(|n| turned(n)).unwrap_or_default();
    let start = (name, get("type"), get("identifier"));
    let sets: Vec<(&Key, &Set)> = state.zones[at].sets.range(start..).collect();
    let most = query.get("maxitems").map_or(300, |m| m.parse().unwrap());
    assert!(most <= 300, "maxitems is {most}");
    let end = sets.len().min(state.page.min(most));
    let items: String = sets[..end].iter().map(|(key, set)| set_xml(key, set)).collect();
    let next = match sets.get(end) {
        Some(((name, rtype, identifier), _)) => {
            let identifier = match identifier.as_str() {
                "" => String::new(),
                id => format!("<NextRecordIdentifier>{id}</NextRecordIdentifier>"),
            };
            format!(
                "<IsTruncated>true</IsTruncated><NextRecordName>{}</NextRecordName>\
                 <NextRecordType>{rtype}</NextRecordType>{identifier}",
                turned(name)
            )
        }
        None => "<IsTruncated>false</IsTruncated>".into(),
    };
    let text = format!(
        "<ListResourceRecordSetsResponse {NS}><ResourceRecordSets>{items}</ResourceRecordSets>{next}\
         <MaxItems>{most}</MaxItems></ListResourceRecordSetsResponse>"
    );
    (200, text)
}

fn set_xml((name, rtype, _): &Key, set: &Set) -> String {
    let values: String = set
        .values
        .iter()
        .map(|v| format!("<ResourceRecord><Value>{}</Value></ResourceRecord>", escape(v)))
        .collect();
    let records = match set.values.is_empty() {
        true => String::new(),
        false => format!("<TTL>{}</TTL><ResourceRecords>{values}</ResourceRecords>", set.ttl),
    };
    let more = &set.more;
    format!(
        "<ResourceRecordSet><Name>{}</Name><Type>{rtype}</Type>{more}{records}</ResourceRecordSet>",
        turned(name)
    )
}

pub(super) fn get_change(state: &mut State, id: &str) -> (u16, String) {
    let status = if state.pending > 0 { "PENDING" } else { "INSYNC" };
    state.pending = state.pending.saturating_sub(1);
    (200, format!("<GetChangeResponse {NS}>{}</GetChangeResponse>", change_info(id, status)))
}

pub(super) fn change_info(id: &str, status: &str) -> String {
    format!(
        "<ChangeInfo><Id>/change/{id}</Id><Status>{status}</Status>\
         <SubmittedAt>2026-01-01T00:00:00.000Z</SubmittedAt></ChangeInfo>"
    )
}
