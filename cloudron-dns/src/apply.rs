//! Finds the zone, plans and writes through any provider.

use std::collections::BTreeSet;

use cloudron_core::progress::Unit;
use cloudron_core::{Error, Progress, Result, ResultExt};

use crate::{
    Applied, ApplyFailure, Atomicity, Batch, Change, DnsProvider, Intent, Name, OwnerName, Ownership, Plan,
    PlanOptions, Receipt, RecordKey, Scope, Snapshot, Zone, codes, enclosing_zone, plan,
};

/// Returns the provider's zone that contains a name's records: the closest that encloses it.
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

/// Returns the names that must be read to plan these intents: their own names, names above that may be delegated, and
/// with `prune` the names with values that are ours.
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

/// Reads what a plan needs and makes the plan. The returned snapshot is the basis for [`apply`].
///
/// A plan that would delete several sets is made from the whole zone if it can be read, so that the limit on [mass
/// deletion](PlanOptions::allow_mass_deletion) knows the size of the zone.
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
        // Then the share of the sets that were read decides.
        Err(e) if e.is(&codes::TRANSFER_REFUSED) || e.is(&codes::UNSUPPORTED) => Ok((plan, current)),
        Err(e) => Err(e.while_doing(doing())),
    }
}

/// Number of deletions below which a zone of at least 10 sets never loses more than 30 %.
const UNBRAKED: usize = 4;

/// Makes the plan for an existing snapshot. Changes that the provider does not support are
/// [conflicts](crate::Reason::Unsupported).
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

/// Writes a plan. Nothing is written if the plan has conflicts, or if the zone changed since it was read. `basis` is
/// the snapshot that the plan was just made from; without it, the zone is read again first, unless the provider checks
/// preconditions itself.
///
/// For a provider that cannot write, the receipt contains instructions for a person. A provider that may silently
/// [drop](crate::Capabilities::may_drop) a change is read again afterwards.
///
/// # Errors
/// `dns-conflict`, `dns-spf`, `dns-stale`, `dns-unsupported`, `dns-dropped`, and errors of the provider, with the
/// changes that were applied nevertheless.
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

/// Returns the error for a change that a provider does not support, as reported by [`DnsProvider::refusal`].
pub(crate) fn unsupported(provider: &str, key: &RecordKey, why: &str) -> Error {
    Error::new(&codes::UNSUPPORTED, format!("{key} at {provider}: {why}"))
}

/// Checks that every change of a plan is in the zone.
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

/// Lists the first ten items and the number of further ones.
fn listed(items: impl ExactSizeIterator<Item = String>) -> String {
    let more = items.len().saturating_sub(10);
    let first: Vec<String> = items.take(10).collect();
    match more {
        0 => first.join(", "),
        more => format!("{}, and {more} more", first.join(", ")),
    }
}

/// The result of [`ensure`].
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Ensured {
    /// The plan that was applied last.
    pub plan: Plan,
    /// The changes written by all attempts.
    pub receipt: Receipt,
    /// Number of attempts. It is more than one if the zone was changed by another writer meanwhile.
    pub tries: usize,
}

/// Maximum number of attempts of [`ensure`].
const TRIES: usize = 32;

/// Reads, plans and applies, and repeats this if another writer changed the zone meanwhile, at most 32 times. With
/// intents for single values ([`Intent::Include`], [`Intent::Exclude`], [`Intent::Spf`]), several writers of one set do
/// not lose each other's values, if the provider checks [preconditions](crate::Capabilities::preconditions).
///
/// Afterwards `ownership` contains the values that are ours. On failure it contains these and the values that may have
/// been written: store it, so that the next run can finish or remove them.
///
/// # Errors
/// As [`plan_for`] and [`apply`]; `dns-stale` after the last attempt.
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

/// Returns `dns-stale` unless the old state of every change matches the snapshot.
pub(crate) fn changed_since(changes: &[Change], current: &Snapshot) -> Result<()> {
    changes.iter().try_for_each(|change| change.fits(current.sets.get(change.key())))
}

/// Splits changes into batches of at most `most`, in order. Consecutive changes of one name stay together if they fit.
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

/// Keeps only the error. If part of the batch was applied nevertheless, the error says so.
impl From<ApplyFailure> for Error {
    fn from(failure: ApplyFailure) -> Self {
        let ApplyFailure { error, applied } = failure;
        match applied {
            Applied::Nothing => error,
            // The error itself names what is missing.
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
