//! Reads zones and record sets, from all pages.

use std::collections::{BTreeMap, BTreeSet};

use aws_sdk_route53::types::{HostedZone, ResourceRecordSet, RrType};
use cloudron_core::{Error, Result};

use super::client::Repeat;
use super::failure::Failure;
use super::{Raw, RawSets, Route53Provider, wire};
use crate::{Name, Observed, RecordKey, RecordSet, RecordType, Ttl, Visibility, Zone, codes};

/// Maximum number of zones in a page (ListHostedZones, `maxitems`).
const ZONES: i32 = 100;
/// Maximum number of record sets in a page (ListResourceRecordSets, `maxitems`).
const SETS: i32 = 300;
/// Number of names above which the whole zone is read instead of each name.
const NAMES: usize = 30;

/// The sets that were read, and their values in the service's form, which a deletion must repeat.
#[derive(Default)]
pub(super) struct Found {
    pub(super) sets: Vec<Observed>,
    pub(super) raw: RawSets,
}

/// The start of a page of record sets.
#[derive(Clone, Default)]
struct Start {
    name: Option<String>,
    rtype: Option<RrType>,
    identifier: Option<String>,
}

impl Route53Provider {
    /// Returns the zone given in the options.
    pub(super) async fn configured_zone(&self, id: &str) -> Result<Zone> {
        if let Some(apex) = &self.options.zone_name {
            return Ok(Zone::new(id, apex.clone()));
        }
        let request = || self.client.get_hosted_zone().id(id).send();
        let answer = self.ask(request).await.map_err(|f| f.error("GetHostedZone"))?;
        zone(answer.hosted_zone().ok_or_else(|| unreadable("a zone without a name"))?)
    }

    /// Returns all zones of the account.
    pub(super) async fn all_zones(&self) -> Result<Vec<Zone>> {
        let mut zones = Vec::new();
        let mut marker: Option<String> = None;
        loop {
            let request =
                || self.client.list_hosted_zones().set_marker(marker.clone()).max_items(ZONES).send();
            let answer = self.ask(request).await.map_err(|f| f.error("ListHostedZones"))?;
            for found in answer.hosted_zones() {
                zones.push(zone(found)?);
            }
            match answer.next_marker() {
                Some(next) if answer.is_truncated() && marker.as_deref() != Some(next) => {
                    marker = Some(next.to_owned());
                }
                _ => return Ok(zones),
            }
        }
    }

    /// Returns the zones from the last two labels of a name on, until they sort after that name: every zone that
    /// encloses it and has at least two labels is among them.
    pub(super) async fn zones_near(&self, near: &Name) -> Result<Vec<Zone>, Failure> {
        let labels: Vec<&str> = near.labels().collect();
        let mut start = Some(format!("{}.", labels[labels.len().saturating_sub(2)..].join(".")));
        let mut id: Option<String> = None;
        let mut zones = Vec::new();
        loop {
            let request = || {
                let list = self.client.list_hosted_zones_by_name().max_items(ZONES);
                list.set_dns_name(start.clone()).set_hosted_zone_id(id.clone()).send()
            };
            let answer = self.ask(request).await?;
            for found in answer.hosted_zones() {
                zones.extend(zone(found).ok());
            }
            let beyond = zones.last().is_some_and(|z| z.apex > *near);
            match answer.next_dns_name() {
                Some(next) if answer.is_truncated() && !beyond => {
                    start = Some(next.to_owned());
                    id = answer.next_hosted_zone_id().map(|id| plain_id(id).to_owned());
                }
                _ => return Ok(zones),
            }
        }
    }

    /// Returns all record sets of a zone.
    pub(super) async fn whole_zone(&self, zone: &Zone) -> Result<Found> {
        let mut found = Found::default();
        let mut start = Some(Start::default());
        while let Some(from) = start {
            let (page, next) = self.page(zone, from).await?;
            page.into_iter().for_each(|set| found.add(set));
            start = next;
        }
        Ok(found)
    }

    /// Returns the record sets of some names, with as few pages as possible: a zone of one page is read completely; of
    /// a larger one, each name is requested, since the sets of a name are consecutive. Also returns whether that is the
    /// whole zone.
    pub(super) async fn names(&self, zone: &Zone, names: &[Name]) -> Result<(Found, bool)> {
        let (page, next) = self.page(zone, Start::default()).await?;
        let mut found = Found::default();
        let Some(next) = next else {
            page.into_iter().for_each(|set| found.add(set));
            return Ok((found, true));
        };
        if names.len() > NAMES {
            page.into_iter().for_each(|set| found.add(set));
            let mut start = Some(next);
            while let Some(from) = start {
                let (page, more) = self.page(zone, from).await?;
                page.into_iter().for_each(|set| found.add(set));
                start = more;
            }
            return Ok((found, true));
        }
        let mut done = found.add_whole_names(page, None);
        for name in names {
            let mut start =
                (!done.contains(name)).then(|| Start { name: Some(wire::name(name)), ..Start::default() });
            while let Some(from) = start.take() {
                let (page, next) = self.page(zone, from).await?;
                let goes_on = page.last().is_some_and(|(key, ..)| key.name == *name);
                if let Some(next) = next.filter(|_| goes_on) {
                    page.into_iter().for_each(|set| found.add(set));
                    start = Some(next);
                } else {
                    done.extend(found.add_whole_names(page, Some(name)));
                }
            }
        }
        Ok((found, false))
    }

    async fn page(&self, zone: &Zone, from: Start) -> Result<(Vec<Read>, Option<Start>)> {
        let request = || {
            let list = self.client.list_resource_record_sets().hosted_zone_id(&zone.id).max_items(SETS);
            let list = list.set_start_record_name(from.name.clone());
            let list = list.set_start_record_type(from.rtype.clone());
            list.set_start_record_identifier(from.identifier.clone()).send()
        };
        let answer = self.ask(request).await.map_err(|f| f.error("ListResourceRecordSets"))?;
        let sets = answer.resource_record_sets().iter().map(observe).collect::<Result<_>>()?;
        let next = answer.is_truncated().then(|| Start {
            name: answer.next_record_name().map(str::to_owned),
            rtype: answer.next_record_type().cloned(),
            identifier: answer.next_record_identifier().map(str::to_owned),
        });
        if next.as_ref().is_some_and(|next| next.name.is_none()) {
            return Err(unreadable("a page that says neither that it is the last nor what follows"));
        }
        Ok((sets, next))
    }

    async fn ask<T, E, F>(&self, request: impl FnMut() -> F) -> Result<T, Failure>
    where
        E: aws_sdk_route53::error::ProvideErrorMetadata,
        F: Future<
            Output = Result<
                T,
                aws_sdk_route53::error::SdkError<E, aws_sdk_route53::config::http::HttpResponse>,
            >,
        >,
    {
        self.send(Repeat::Always, request).await
    }
}

impl Found {
    fn add(&mut self, (key, set, raw): Read) {
        if let Some(raw) = raw {
            self.raw.insert(key, raw);
        }
        self.sets.push(set);
    }

    /// Adds a page, and returns the names that are complete. The last name may continue in the next page, so it is
    /// omitted unless it is `asked`.
    fn add_whole_names(&mut self, page: Vec<Read>, asked: Option<&Name>) -> BTreeSet<Name> {
        let last = page.last().map(|(key, ..)| key.name.clone()).filter(|last| Some(last) != asked);
        let whole: Vec<Read> =
            page.into_iter().filter(|(key, ..)| Some(&key.name) != last.as_ref()).collect();
        let names = whole.iter().map(|(key, ..)| key.name.clone()).collect();
        whole.into_iter().for_each(|set| self.add(set));
        names
    }
}

type Read = (RecordKey, Observed, Option<Raw>);

fn unreadable(what: &str) -> Error {
    Error::new(&codes::PROVIDER_DOWN, format!("Route 53 answered with {what}"))
}

/// Returns an ID without the path that the service puts before it.
pub(super) fn plain_id(id: &str) -> &str {
    id.rsplit('/').next().unwrap_or(id)
}

fn zone(found: &HostedZone) -> Result<Zone> {
    let apex = wire::parse_name(found.name()).ok_or_else(|| unreadable("a zone without a usable name"))?;
    let private = found.config().is_some_and(|c| c.private_zone());
    let visibility = if private { Visibility::Private } else { Visibility::Public };
    Ok(Zone::new(plain_id(found.id()), apex).with_visibility(visibility))
}

/// Converts a record set: plain, or opaque if the model cannot represent it.
fn observe(set: &ResourceRecordSet) -> Result<Read> {
    let name = wire::parse_name(set.name())
        .ok_or_else(|| unreadable(&format!("a record set of the name {:?}", set.name())))?;
    let text = set.r#type().as_str();
    let rtype: RecordType =
        text.parse().map_err(|_| unreadable(&format!("a record set of the type {text:?}")))?;
    let mut key = RecordKey::new(name.clone(), rtype);
    if let Some(variant) = set.set_identifier() {
        key = key.with_variant(variant);
    }
    let raw: Vec<String> = set.resource_records().iter().map(|r| r.value().to_owned()).collect();
    if let Some(by) = routing(set) {
        let ttl = set.ttl().map(|ttl| format!(" (TTL {ttl})")).unwrap_or_default();
        let what = if raw.is_empty() { by } else { format!("{by}: {text} {}{ttl}", raw.join(" and ")) };
        return Ok((key.clone(), Observed::Opaque { key, what }, None));
    }
    let values: Option<Vec<_>> = raw.iter().map(|v| wire::parse_value(rtype, v)).collect();
    let seconds = set.ttl().and_then(|ttl| u32::try_from(ttl).ok());
    let plain = values
        .zip(seconds)
        .and_then(|(values, seconds)| RecordSet::new(name, Ttl::new(seconds).ok()?, values).ok());
    Ok(match plain {
        Some(plain) => (key, Observed::Plain(plain), Some(Raw { values: raw })),
        None => {
            let what = format!("{text} {}", raw.join(" and "));
            (key.clone(), Observed::Opaque { key, what }, None)
        }
    })
}

/// Describes what makes a set answer with something other than its values.
fn routing(set: &ResourceRecordSet) -> Option<String> {
    let by = if let Some(weight) = set.weight() {
        format!("weighted {weight}")
    } else if let Some(region) = set.region() {
        format!("latency from {}", region.as_str())
    } else if let Some(failover) = set.failover() {
        format!("failover {}", failover.as_str())
    } else if set.geo_location().is_some() || set.geo_proximity_location().is_some() {
        "by place".to_owned()
    } else if set.cidr_routing_config().is_some() {
        "by network".to_owned()
    } else if set.multi_value_answer() == Some(true) {
        "one of several answers".to_owned()
    } else if set.traffic_policy_instance_id().is_some() {
        "made by a traffic policy".to_owned()
    } else if set.set_identifier().is_some() {
        "routed".to_owned()
    } else if set.health_check_id().is_some() {
        "with a health check".to_owned()
    } else {
        String::new()
    };
    let alias = set.alias_target().map(|target| format!("alias to {}", target.dns_name()));
    match (alias, by.is_empty()) {
        (Some(alias), true) => Some(alias),
        (Some(alias), false) => Some(format!("{alias}, {by}")),
        (None, true) => None,
        (None, false) => Some(by),
    }
}

/// Returns the sets of a snapshot in the service's form.
pub(super) fn raw_of(handle: Option<&crate::zone::Handle>) -> Option<&BTreeMap<RecordKey, Raw>> {
    handle.and_then(|handle| handle.downcast_ref::<RawSets>())
}
