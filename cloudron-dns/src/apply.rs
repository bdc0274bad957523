//! Finding the zone, planning and writing through any provider.

use std::collections::BTreeSet;

use cloudron_core::progress::Unit;
use cloudron_core::{Error, Progress, Result, ResultExt};

use crate::{
    Applied, ApplyFailure, Atomicity, Batch, Change, DnsProvider, Intent, Name, OwnerName, Ownership, Plan,
    PlanOptions, Receipt, RecordKey, Scope, Snapshot, Zone, codes, enclosing_zone, plan,
};

/// The provider's zone that a name's records go into: the closest that encloses it.
///
/// # Errors
/// As [`ZoneChoice::find`].
pub async fn find_zone(provider: &dyn DnsProvider, name: &Name) -> Result<Zone> {
    ZoneChoice::default().find(provider, name).await
}

/// Which zone of a host, when it is not the closest that encloses the name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ZoneChoice {
    /// The zone's name.
    pub name: Option<Name>,
    /// The host's id of it, where several have the same name.
    pub id: Option<String>,
}

impl ZoneChoice {
    /// The zone that was chosen, or the closest that encloses the name.
    ///
    /// # Errors
    /// As [`DnsProvider::list_zones`] and [`enclosing_zone`]; `dns-zone-not-found` when the host has no such zone.
    pub async fn find(&self, provider: &dyn DnsProvider, name: &Name) -> Result<Zone> {
        let near = self.name.as_ref().unwrap_or(name);
        let doing = || format!("looking for the zone of {near} at {}", provider.id());
        let mut zones = provider.list_zones(Some(near)).await.doing(doing)?;
        let known = zones.len();
        zones.retain(|zone| {
            self.name.as_ref().is_none_or(|name| zone.apex == *name)
                && self.id.as_ref().is_none_or(|id| zone.id == *id)
        });
        if zones.is_empty() && known > 0 {
            let id = self.id.as_ref().map(|id| format!(" with the id {id}")).unwrap_or_default();
            let message = format!("there is no zone {near}{id}");
            return Err(Error::new(&codes::ZONE_NOT_FOUND, message).while_doing(doing()));
        }
        enclosing_zone(&zones, near).cloned().doing(doing)
    }
}

/// The names that must be read to plan these wishes: their own, those above that could be delegated away, and with
/// `prune` those that something of ours is at.
pub fn names_to_read(
    zone: &Zone,
    desired: &[Intent],
    ownership: &Ownership,
    options: &PlanOptions,
) -> Vec<OwnerName> {
    let wished = desired.iter().map(|intent| intent.key().name);
    let ours = ownership.keys().filter(|_| options.prune).map(|key| key.name.clone());
    let mut names = BTreeSet::new();
    for name in wished.chain(ours) {
        let mut next = Some(name);
        while let Some(name) = next.filter(|n| n.is_in(&zone.apex)) {
            next = name.parent();
            names.insert(name);
        }
    }
    names.into_iter().collect()
}

/// Reads what a plan needs and makes it. The snapshot that it is based on is for [`apply`].
///
/// A plan that would delete several sets is made from the whole zone where that can be read, so that the brake on
/// [mass deletion](PlanOptions::allow_mass_deletion) knows how large the zone is.
///
/// # Errors
/// As [`DnsProvider::read`].
pub async fn plan_for(
    provider: &dyn DnsProvider,
    zone: &Zone,
    desired: &[Intent],
    ownership: &Ownership,
    options: &PlanOptions,
) -> Result<(Plan, Snapshot)> {
    let current = read_for(provider, zone, desired, ownership, options).await?;
    let plan = plan_at(provider, desired, &current, ownership, options);
    let braked = !options.allow_mass_deletion && plan.losses() >= UNBRAKED;
    if current.complete || !braked || !provider.capabilities().listing {
        return Ok((plan, current));
    }
    let doing = || format!("reading the whole zone {} at {}", zone.apex, provider.id());
    match provider.read(zone, Scope::Zone).await {
        Ok(whole) => Ok((plan_at(provider, desired, &whole, ownership, options), whole)),
        // The share of what was read decides then.
        Err(e) if e.is(&codes::TRANSFER_REFUSED) || e.is(&codes::UNSUPPORTED) => Ok((plan, current)),
        Err(e) => Err(e.while_doing(doing())),
    }
}

/// Fewer deletions than these are never more than 30 % of a zone of 10 sets.
const UNBRAKED: usize = 4;

/// The plan for a snapshot that was read before. What the provider cannot hold is a
/// [conflict](crate::Reason::Unsupported).
pub fn plan_at(
    provider: &dyn DnsProvider,
    desired: &[Intent],
    current: &Snapshot,
    ownership: &Ownership,
    options: &PlanOptions,
) -> Plan {
    let options = PlanOptions { capabilities: Some(provider.capabilities()), ..options.clone() };
    let mut plan = plan(desired, current, ownership, &options);
    plan.refuse(|change| provider.refusal(&current.zone, change));
    plan
}

/// Reads what a plan needs, without making it: [`names_to_read`] of the zone.
///
/// # Errors
/// As [`DnsProvider::read`].
pub async fn read_for(
    provider: &dyn DnsProvider,
    zone: &Zone,
    desired: &[Intent],
    ownership: &Ownership,
    options: &PlanOptions,
) -> Result<Snapshot> {
    let names = names_to_read(zone, desired, ownership, options);
    let doing = || format!("reading the zone {} at {}", zone.apex, provider.id());
    provider.read(zone, Scope::Names(&names)).await.doing(doing)
}

/// Writes a plan. Nothing is written when it has conflicts, or when the zone changed since: `basis` is the snapshot
/// that the plan was made from just now; without it the zone is read again first, unless the provider checks
/// preconditions itself.
///
/// At a provider that cannot write, the receipt says what a person has to do. One that may
/// [drop](crate::Capabilities::may_drop) a change without a word is read again afterwards.
///
/// # Errors
/// `dns-conflict`, `dns-spf`, `dns-stale`, `dns-unsupported`, `dns-dropped`, and what the provider says, with what was
/// applied nonetheless.
pub async fn apply(
    provider: &dyn DnsProvider,
    plan: &Plan,
    basis: Option<&Snapshot>,
    progress: &Progress,
) -> Result<Receipt, ApplyFailure> {
    plan.check()?;
    let mut receipt = Receipt::default();
    if plan.changes.is_empty() {
        return Ok(receipt);
    }
    for change in &plan.changes {
        if let Some(why) = provider.refusal(&plan.zone, change) {
            return Err(unsupported(provider.id(), change.key(), &why).into());
        }
    }
    let capabilities = provider.capabilities();
    let fresh;
    let basis = match basis {
        Some(basis) => Some(basis),
        None if capabilities.preconditions || capabilities.atomicity == Atomicity::Manual => None,
        None => {
            fresh = read_again(provider, plan).await?;
            Some(&fresh)
        }
    };
    if let Some(basis) = basis {
        changed_since(&plan.changes, basis)?;
    }
    let handle = basis.and_then(|b| b.handle.as_ref());
    let task = progress.task(
        format!("Writing {} record sets at {}", plan.changes.len(), provider.id()),
        Unit::Items,
        Some(plan.changes.len() as u64),
    );
    for changes in batches(&plan.changes, capabilities.max_batch) {
        let batch = Batch::new(&plan.zone, changes).with_handle(handle);
        match provider.apply(batch).await {
            Ok(done) => receipt.extend(done),
            Err(failure) => return Err(with_earlier(failure, receipt.applied, provider, plan)),
        }
        task.advance(changes.len() as u64);
    }
    task.finish();
    if capabilities.may_drop {
        confirm(provider, plan).await?;
    }
    Ok(receipt)
}

/// That a provider cannot hold a change, as [`DnsProvider::refusal`] says.
pub(crate) fn unsupported(provider: &str, key: &RecordKey, why: &str) -> Error {
    Error::new(&codes::UNSUPPORTED, format!("{key} at {provider}: {why}"))
}

/// That every change of a plan is in the zone.
async fn confirm(provider: &dyn DnsProvider, plan: &Plan) -> Result<(), ApplyFailure> {
    let there = read_again(provider, plan).await.map_err(|error| {
        let hint = "everything was sent; run the command again, it reads the zone first";
        ApplyFailure { error: error.with_hint(hint), applied: Applied::Unknown }
    })?;
    let (taken, dropped): (Vec<&Change>, Vec<&Change>) =
        plan.changes.iter().partition(|change| change.is_in(&there));
    if dropped.is_empty() {
        return Ok(());
    }
    let shown = |change: &&Change| {
        let now = there.sets.get(change.key()).map(|set| set.to_string().replace('\n', " and "));
        match (change.after(), now) {
            (Some(_), None) => format!("{} is not there", change.key()),
            (_, now) => format!("{}: there is {}", change.key(), now.unwrap_or_default()),
        }
    };
    let message = format!(
        "{} took the changes of the zone {} and did not make all of them: {}",
        provider.id(),
        plan.zone.apex,
        listed(dropped.iter().map(shown))
    );
    let hint = "run the command again; what is dropped again has no place in that zone, see the server's log";
    let error = Error::new(&codes::DROPPED, message).with_hint(hint);
    let taken: Vec<RecordKey> = taken.into_iter().map(|change| change.key().clone()).collect();
    Err(ApplyFailure { error, applied: Applied::Some(taken) })
}

/// The first ten, and how many more there are.
fn listed(items: impl ExactSizeIterator<Item = String>) -> String {
    let more = items.len().saturating_sub(10);
    let first: Vec<String> = items.take(10).collect();
    match more {
        0 => first.join(", "),
        more => format!("{}, and {more} more", first.join(", ")),
    }
}

/// What [`ensure`] did.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Ensured {
    /// The plan that was applied in the end.
    pub plan: Plan,
    /// What was written, by all tries.
    pub receipt: Receipt,
    /// How often the zone was read and planned; more than once when somebody else wrote to it meanwhile.
    pub tries: usize,
}

/// The most tries of [`ensure`].
const TRIES: usize = 32;

/// Reads, plans and applies, and does so again when somebody else changed the zone meanwhile, at most 32 times. With
/// wishes about single values ([`Intent::Include`], [`Intent::Exclude`], [`Intent::Spf`]) several writers of one set
/// lose nothing of each other's, where the provider checks [preconditions](crate::Capabilities::preconditions).
///
/// Afterwards `ownership` says what is ours. On failure it has, besides what was ours, what may have been written:
/// keep it, so that the next run can finish or take back.
///
/// # Errors
/// As [`plan_for`] and [`apply`]; `dns-stale` after the last try.
pub async fn ensure(
    provider: &dyn DnsProvider,
    zone: &Zone,
    desired: &[Intent],
    ownership: &mut Ownership,
    options: &PlanOptions,
    progress: &Progress,
) -> Result<Ensured, ApplyFailure> {
    let mut earlier = Receipt::default();
    let mut tries = 0;
    loop {
        tries += 1;
        let read = plan_for(provider, zone, desired, ownership, options).await;
        let (plan, basis) = read.map_err(|error| ApplyFailure::from(error).after(earlier.applied.clone()))?;
        match apply(provider, &plan, Some(&basis), progress).await {
            Ok(done) => {
                earlier.extend(done);
                ownership.clone_from(&plan.ownership);
                return Ok(Ensured { plan, receipt: earlier, tries });
            }
            Err(failure) => {
                if failure.applied != Applied::Nothing {
                    *ownership = ownership.union(&plan.ownership);
                }
                if !failure.error.is(&codes::STALE) || tries == TRIES || !plan.conflicts.is_empty() {
                    return Err(failure.after(earlier.applied));
                }
                if let Applied::Some(keys) = failure.applied {
                    earlier.applied.extend(keys);
                }
            }
        }
    }
}

async fn read_again(provider: &dyn DnsProvider, plan: &Plan) -> Result<Snapshot> {
    let names: BTreeSet<OwnerName> = plan.changes.iter().map(|c| c.key().name.clone()).collect();
    let names: Vec<_> = names.into_iter().collect();
    let doing = || format!("reading the zone {} again at {}", plan.zone.apex, provider.id());
    provider.read(&plan.zone, Scope::Names(&names)).await.doing(doing)
}

/// `dns-stale` unless the old state of every change is what a snapshot has.
pub(crate) fn changed_since(changes: &[Change], current: &Snapshot) -> Result<()> {
    changes.iter().try_for_each(|change| change.fits(current.sets.get(change.key())))
}

/// Runs of at most `most` changes, in order. Changes of one name that follow each other stay together where that
/// fits.
fn batches(changes: &[Change], most: usize) -> impl Iterator<Item = &[Change]> {
    let mut rest = changes;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let mut end = rest.len().min(most.max(1));
        if let Some(next) = rest.get(end) {
            let together = rest[..end].iter().rposition(|c| c.key().name != next.key().name);
            end = together.map_or(end, |at| at + 1);
        }
        let (batch, others) = rest.split_at(end);
        rest = others;
        Some(batch)
    })
}

fn with_earlier(
    failure: ApplyFailure,
    earlier: Vec<RecordKey>,
    provider: &dyn DnsProvider,
    plan: &Plan,
) -> ApplyFailure {
    let ApplyFailure { error, applied } = failure;
    let error = error.while_doing(format!("writing the zone {} at {}", plan.zone.apex, provider.id()));
    ApplyFailure { error, applied }.after(earlier)
}

/// The error alone; where part of the batch was applied nonetheless, it says so.
impl From<ApplyFailure> for Error {
    fn from(failure: ApplyFailure) -> Self {
        let ApplyFailure { error, applied } = failure;
        match applied {
            Applied::Nothing => error,
            // It names itself what is missing.
            Applied::Some(_) if error.is(&codes::DROPPED) => error,
            Applied::Some(keys) => {
                let keys = listed(keys.iter().map(ToString::to_string));
                let message = format!("{error} (written before that: {keys})");
                Error::new(&codes::PARTIAL, message)
                    .with_hint("run the command again: what is right already is left alone")
                    .with_source(error)
            }
            Applied::Unknown => {
                let hint =
                    "it is not known whether anything was written; run the command again, it reads first";
                if error.hint().is_some() { error } else { error.with_hint(hint) }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{RecordSet, RecordType, Ttl};

    fn change(name: &str) -> Change {
        let name = Name::parse(name).unwrap();
        Change::Create(RecordSet::parse(name, Ttl::DEFAULT, RecordType::TXT, ["x"]).unwrap())
    }

    #[test]
    fn batches_keep_the_changes_of_a_name_together() {
        let changes = ["a.x", "b.x", "b.x", "b.x", "c.x"].map(change);
        let sizes = |most| batches(&changes, most).map(<[_]>::len).collect::<Vec<_>>();
        assert_eq!(sizes(usize::MAX), [5]);
        assert_eq!(sizes(3), [1, 3, 1]);
        assert_eq!(sizes(2), [1, 2, 2]);
        assert_eq!(sizes(0), [1, 1, 1, 1, 1]);
    }
}
