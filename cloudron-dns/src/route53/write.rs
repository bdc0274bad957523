//! Writes record sets.
//!
//! A change is written so that the service itself checks its old state. A creation is CREATE, which fails if the set
//! exists. A replacement is DELETE of the old values and CREATE of the new ones in one atomic batch; DELETE fails
//! unless values and TTL match the set. UPSERT would check nothing, and counts the same for limits.

use aws_sdk_route53::types::{
    Change as Item, ChangeAction, ChangeBatch, ResourceRecord, ResourceRecordSet, RrType,
};
use cloudron_core::{Error, Result};

use super::client::Repeat;
use super::read::{plain_id, raw_of};
use super::{RawSets, Route53Provider, TYPES, wire};
use crate::apply::unsupported;
use crate::{ApplyFailure, Batch, Change, Receipt, RecordKey, RecordSet, RecordType, Zone, codes};

/// Maximum number of ResourceRecord elements in a request ("Quotas", ChangeResourceRecordSets).
const RECORDS: usize = 1000;
/// Maximum number of characters in all Value elements of a request.
const CHARACTERS: usize = 32_000;
/// Maximum number of characters in one Value element ("ResourceRecord").
const VALUE: usize = 4000;

/// One change in request form, and its sizes for the limits.
struct Written {
    key: RecordKey,
    items: Vec<Item>,
    records: usize,
    characters: usize,
}

impl Route53Provider {
    pub(super) async fn write(&self, batch: Batch<'_>) -> Result<Receipt, ApplyFailure> {
        let raw = raw_of(batch.handle);
        let written: Vec<Written> =
            batch.changes.iter().map(|change| written(batch.zone, change, raw)).collect::<Result<_>>()?;
        let mut receipt = Receipt::default();
        for part in parts(written) {
            match self.send_part(&batch.zone.id, &part).await {
                Ok(id) => {
                    receipt.applied.extend(part.into_iter().map(|w| w.key));
                    receipt.ids.push(id);
                }
                Err(failure) => return Err(failure.after(receipt.applied)),
            }
        }
        Ok(receipt)
    }

    async fn send_part(&self, zone: &str, part: &[Written]) -> Result<String, ApplyFailure> {
        let items = part.iter().flat_map(|w| w.items.iter().cloned()).collect();
        let batch = ChangeBatch::builder().set_changes(Some(items)).build().map_err(unsendable)?;
        let request = || {
            let request = self.client.change_resource_record_sets().hosted_zone_id(zone);
            request.change_batch(batch.clone()).send()
        };
        let answer = self
            .send(Repeat::Refused, request)
            .await
            .map_err(|failure| failure.of_batch("ChangeResourceRecordSets"))?;
        Ok(answer.change_info().map(|info| plain_id(info.id()).to_owned()).unwrap_or_default())
    }
}

/// Splits changes into parts within the limits of one request, in order. All changes of one name stay together if they
/// fit, so that no client sees half of them.
fn parts(written: Vec<Written>) -> Vec<Vec<Written>> {
    let mut parts: Vec<Vec<Written>> = Vec::new();
    let (mut records, mut characters) = (0, 0);
    for change in written {
        let fits = records + change.records <= RECORDS && characters + change.characters <= CHARACTERS;
        if let (true, Some(part)) = (fits, parts.last_mut()) {
            records += change.records;
            characters += change.characters;
            part.push(change);
            continue;
        }
        let mut moved = Vec::new();
        if let Some(full) = parts.last_mut() {
            let same = |w: &Written| w.key.name == change.key.name;
            let from = full.iter().rposition(|w| !same(w)).map_or(full.len(), |at| at + 1);
            moved = full.split_off(from);
        }
        moved.push(change);
        records = moved.iter().map(|w| w.records).sum();
        characters = moved.iter().map(|w| w.characters).sum();
        if records > RECORDS || characters > CHARACTERS {
            // They do not fit into one request: only the last one begins the new request.
            let last = moved.pop();
            if let Some(full) = parts.last_mut() {
                full.append(&mut moved);
            }
            moved.extend(last);
            records = moved.iter().map(|w| w.records).sum();
            characters = moved.iter().map(|w| w.characters).sum();
        }
        parts.push(moved);
    }
    parts
}

/// Returns why the service does not support a change, or why the change would break the zone: its own name servers can
/// be replaced there.
pub(super) fn refusal(zone: &Zone, change: &Change) -> Option<String> {
    let key = change.key();
    let top = key.name == zone.apex && matches!(key.rtype, RecordType::NS | RecordType::CNAME);
    if top || !TYPES.contains(&key.rtype) || key.variant.is_some() {
        return Some("such a record set is not written".into());
    }
    let values = |set: Option<&RecordSet>| -> Vec<String> {
        set.map(|set| set.values().iter().map(wire::value).collect()).unwrap_or_default()
    };
    let (old, new) = (values(change.before()), values(change.after()));
    if new.iter().any(|value| value.chars().count() > VALUE) {
        return Some("a value has more than 4000 characters with its quotes".into());
    }
    let characters: usize = old.iter().chain(&new).map(String::len).sum();
    let large = old.len() + new.len() > RECORDS || characters > CHARACTERS;
    large.then(|| "it is too large for one request to Route 53".into())
}

fn written(zone: &Zone, change: &Change, raw: Option<&RawSets>) -> Result<Written> {
    let key = change.key().clone();
    if let Some(why) = refusal(zone, change) {
        return Err(unsupported("route53", &key, &why));
    }
    let mut out = Written { key, items: Vec::new(), records: 0, characters: 0 };
    if let Some(old) = change.before() {
        // In the original form, since the same meaning can be written in several ways.
        let known = raw.and_then(|raw| raw.get(old.key())).map(|raw| raw.values.clone());
        let known = known.filter(|values| same_meaning(old, values));
        let values = known.unwrap_or_else(|| old.values().iter().map(wire::value).collect());
        out.add(ChangeAction::Delete, old, values)?;
    }
    if let Some(new) = change.after() {
        out.add(ChangeAction::Create, new, new.values().iter().map(wire::value).collect())?;
    }
    if out.records > RECORDS || out.characters > CHARACTERS {
        let message = format!("{}: it is too large for one request to Route 53", out.key);
        return Err(Error::new(&codes::UNSUPPORTED, message));
    }
    Ok(out)
}

fn same_meaning(set: &RecordSet, values: &[String]) -> bool {
    let read: Option<Vec<_>> = values.iter().map(|v| wire::parse_value(set.rtype(), v)).collect();
    read.and_then(|values| set.with_values(values).ok().flatten()).is_some_and(|read| read == *set)
}

impl Written {
    fn add(&mut self, action: ChangeAction, set: &RecordSet, values: Vec<String>) -> Result<()> {
        self.records += values.len();
        self.characters += values.iter().map(String::len).sum::<usize>();
        let records = values
            .into_iter()
            .map(|value| ResourceRecord::builder().value(value).build())
            .collect::<Result<Vec<_>, _>>()
            .map_err(unsendable)?;
        let set = ResourceRecordSet::builder()
            .name(wire::name(set.name()))
            .r#type(RrType::from(set.rtype().to_string().as_str()))
            .ttl(i64::from(set.ttl().seconds()))
            .set_resource_records(Some(records))
            .build()
            .map_err(unsendable)?;
        let item = Item::builder().action(action).resource_record_set(set).build().map_err(unsendable)?;
        self.items.push(item);
        Ok(())
    }
}

fn unsendable(error: impl std::error::Error + Send + Sync + 'static) -> Error {
    Error::new(&codes::UNSUPPORTED, "the change cannot be written as a request").with_source(error)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Name, RecordType, Ttl};

    fn change(name: &str, values: usize) -> Written {
        let values: Vec<String> = (0..values).map(|n| format!("10.0.{}.{}", n / 250, n % 250)).collect();
        let set = RecordSet::parse(
            Name::parse(name).unwrap(),
            Ttl::DEFAULT,
            RecordType::A,
            values.iter().map(String::as_str),
        );
        let zone = Zone::new("Z1", Name::parse("example.com").unwrap());
        written(&zone, &Change::Create(set.unwrap()), None).unwrap()
    }

    #[test]
    fn requests_are_split_only_where_the_limits_demand_it() {
        let sizes = |changes: Vec<Written>| parts(changes).iter().map(Vec::len).collect::<Vec<_>>();
        assert_eq!(sizes(vec![change("a.x", 500), change("b.x", 500)]), [2]);
        assert_eq!(sizes(vec![change("a.x", 500), change("b.x", 500), change("c.x", 1)]), [2, 1]);
        assert_eq!(sizes(vec![change("a.x", 500), change("b.x", 400), change("b.x", 200)]), [1, 2]);
        assert_eq!(sizes(vec![change("b.x", 600), change("b.x", 600)]), [1, 1]);
        assert_eq!(sizes(Vec::new()), [0; 0]);
    }
}
