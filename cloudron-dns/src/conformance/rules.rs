//! Checks of what a provider promises beyond keeping records.

use cloudron_core::Progress;

use super::{Done, Outcome, Place, cases, ensure};
use crate::{
    Applied, Atomicity, Batch, Change, Intent, Ownership, PlanOptions, RecordType, Scope, SyncStatus, Zone,
    apply, codes, find_zone, plan_for,
};

cases![
    the_zone_is_listed_and_found_for_a_name_below_it,
    an_unknown_zone_is_an_error_and_not_empty,
    a_whole_zone_is_read_complete,
    a_plan_applied_twice_writes_once,
    a_replacement_leaves_nothing_of_the_old_values,
    a_set_grows_and_shrinks,
    a_time_to_live_changes_alone,
    many_sets_are_written_and_read,
    a_creation_over_an_existing_set_is_refused,
    a_replacement_of_something_else_is_refused,
    a_deletion_of_something_else_is_refused,
    a_batch_is_applied_whole_or_not_at_all,
    the_second_of_two_writers_hears_that_it_is_late,
    a_cname_beside_an_address_is_refused,
    a_written_change_is_reported_in_sync_in_the_end,
];

fn options() -> PlanOptions {
    PlanOptions::default()
}

/// Brings the zone to what is desired; how many sets that changed.
async fn bring(place: &Place, desired: &[Intent], ours: &mut Ownership) -> Result<usize, Outcome> {
    let (plan, basis) = plan_for(&*place.provider, &place.zone, desired, ours, &options()).await?;
    apply(&*place.provider, &plan, Some(&basis), &Progress::none()).await?;
    *ours = plan.ownership;
    Ok(plan.changes.len())
}

fn preconditions(place: &Place) -> Done {
    let checks = place.provider.capabilities().preconditions;
    if checks { Ok(()) } else { Err(Outcome::Skipped("it does not check preconditions".into())) }
}

/// That a change is refused as late, and the zone holds what it held.
async fn refused(place: &Place, changes: &[Change], held: &[&crate::RecordSet]) -> Done {
    match place.provider.apply(Batch::new(&place.zone, changes)).await {
        Ok(_) => return Err(Outcome::Failed("it was written".into())),
        Err(failure) => {
            ensure(failure.error.is(&codes::STALE), || format!("the error is {:?}", failure.error))?;
            ensure(failure.applied == Applied::Nothing, || format!("{:?} was applied", failure.applied))?;
        }
    }
    place.holds(&changes[0].key().name, held).await
}

async fn the_zone_is_listed_and_found_for_a_name_below_it(place: &Place) -> Done {
    let all = place.provider.list_zones(None).await?;
    if place.provider.capabilities().listing {
        ensure(all.iter().any(|z| z.apex == place.zone.apex), || format!("{all:?} lacks it"))?;
    }
    let found = find_zone(&*place.provider, &place.name("a.b.c")?).await?;
    ensure(found.id == place.zone.id, || format!("found {found:?} instead"))
}

async fn an_unknown_zone_is_an_error_and_not_empty(place: &Place) -> Done {
    let unknown = Zone::new("no-such-zone", place.zone.apex.below("no-such-zone")?);
    match place.provider.read(&unknown, Scope::Names(std::slice::from_ref(&unknown.apex))).await {
        Ok(_) => Err(Outcome::Failed("it was read".into())),
        Err(error) => ensure(error.is(&codes::ZONE_NOT_FOUND), || format!("the error is {error:?}")),
    }
}

async fn a_whole_zone_is_read_complete(place: &Place) -> Done {
    if !place.provider.capabilities().listing {
        return Err(Outcome::Skipped("it does not list zones".into()));
    }
    let set = place.set("a.b", RecordType::TXT, &["x"])?;
    bring(place, &[Intent::Exactly(set.clone())], &mut Ownership::none()).await?;
    let all = place.provider.read(&place.zone, Scope::Zone).await?;
    ensure(all.complete, || "the snapshot says that it is not complete".into())?;
    ensure(all.get(set.key()) == Some(&set), || format!("{} is not in it", set.key()))
}

async fn a_plan_applied_twice_writes_once(place: &Place) -> Done {
    let desired = [
        Intent::Exactly(place.set("my", RecordType::A, &["192.0.2.1", "192.0.2.2"])?),
        Intent::Exactly(place.set("*", RecordType::A, &["192.0.2.1"])?),
        Intent::Exactly(place.set("@", RecordType::MX, &["10 my.example.net"])?),
        Intent::Exactly(place.set("@", RecordType::TXT, &["v=spf1 -all", "other; text"])?),
    ];
    let mut ours = Ownership::none();
    let first = bring(place, &desired, &mut ours).await?;
    ensure(first == 4, || format!("the first plan had {first} changes instead of 4"))?;
    let second = bring(place, &desired, &mut ours).await?;
    ensure(second == 0, || format!("the second plan had {second} changes"))
}

async fn a_replacement_leaves_nothing_of_the_old_values(place: &Place) -> Done {
    let old = place.set("my", RecordType::A, &["192.0.2.1"])?;
    let new = place.set("my", RecordType::A, &["192.0.2.2"])?;
    let mut ours = Ownership::none();
    bring(place, &[Intent::Exactly(old)], &mut ours).await?;
    bring(place, &[Intent::Exactly(new.clone())], &mut ours).await?;
    place.holds(new.name(), &[&new]).await
}

async fn a_set_grows_and_shrinks(place: &Place) -> Done {
    let (one, two) = (place.set("@", RecordType::TXT, &["a"])?, place.set("@", RecordType::TXT, &["b"])?);
    let both = place.set("@", RecordType::TXT, &["a", "b"])?;
    let mut ours = Ownership::none();
    bring(place, &[Intent::Include(one.clone())], &mut ours).await?;
    bring(place, &[Intent::Include(two.clone())], &mut ours).await?;
    place.holds(one.name(), &[&both]).await?;
    bring(place, &[Intent::Exclude(one)], &mut ours).await?;
    place.holds(two.name(), &[&two]).await
}

async fn a_time_to_live_changes_alone(place: &Place) -> Done {
    let slow = place.set("my", RecordType::A, &["192.0.2.1", "192.0.2.2"])?;
    let fast = slow.clone().with_ttl(1800.try_into()?);
    let mut ours = Ownership::none();
    bring(place, &[Intent::Exactly(slow)], &mut ours).await?;
    let changes = bring(place, &[Intent::Exactly(fast.clone())], &mut ours).await?;
    ensure(changes == 1, || format!("{changes} changes instead of 1"))?;
    place.holds(fast.name(), &[&fast]).await
}

async fn many_sets_are_written_and_read(place: &Place) -> Done {
    let sets: Vec<_> = (0..250)
        .map(|n| place.set(&format!("n{n}"), RecordType::A, &["192.0.2.1"]))
        .collect::<crate::Result<_>>()?;
    let desired: Vec<_> = sets.iter().cloned().map(Intent::Exactly).collect();
    bring(place, &desired, &mut Ownership::none()).await?;
    let names: Vec<_> = sets.iter().map(|s| s.name().clone()).collect();
    let read = place.read(&names).await?;
    let missing: Vec<_> = sets.iter().filter(|s| read.get(s.key()) != Some(s)).collect();
    ensure(missing.is_empty(), || format!("{} of 250 sets are missing", missing.len()))
}

async fn a_creation_over_an_existing_set_is_refused(place: &Place) -> Done {
    preconditions(place)?;
    let there = place.set("my", RecordType::A, &["192.0.2.1"])?;
    bring(place, &[Intent::Exactly(there.clone())], &mut Ownership::none()).await?;
    let late = Change::Create(place.set("my", RecordType::A, &["192.0.2.2"])?);
    refused(place, &[late], &[&there]).await
}

async fn a_replacement_of_something_else_is_refused(place: &Place) -> Done {
    preconditions(place)?;
    let there = place.set("my", RecordType::A, &["192.0.2.1"])?;
    let new = place.set("my", RecordType::A, &["192.0.2.3"])?;
    let gone = Change::Replace { old: there.clone(), new: new.clone() };
    refused(place, &[gone], &[]).await?;
    bring(place, &[Intent::Exactly(there.clone())], &mut Ownership::none()).await?;
    let old = place.set("my", RecordType::A, &["192.0.2.2"])?;
    refused(place, &[Change::Replace { old, new }], &[&there]).await
}

async fn a_deletion_of_something_else_is_refused(place: &Place) -> Done {
    preconditions(place)?;
    let there = place.set("my", RecordType::A, &["192.0.2.1", "192.0.2.2"])?;
    bring(place, &[Intent::Exactly(there.clone())], &mut Ownership::none()).await?;
    refused(place, &[Change::Delete(place.set("my", RecordType::A, &["192.0.2.1"])?)], &[&there]).await
}

async fn a_batch_is_applied_whole_or_not_at_all(place: &Place) -> Done {
    preconditions(place)?;
    if place.provider.capabilities().atomicity != Atomicity::Batch {
        return Err(Outcome::Skipped("its batches are not atomic".into()));
    }
    let there = place.set("z", RecordType::A, &["192.0.2.1"])?;
    bring(place, &[Intent::Exactly(there.clone())], &mut Ownership::none()).await?;
    let fine = Change::Create(place.set("a", RecordType::A, &["192.0.2.1"])?);
    let late = Change::Create(place.set("z", RecordType::A, &["192.0.2.2"])?);
    refused(place, &[fine, late], &[]).await?;
    place.holds(there.name(), &[&there]).await
}

async fn the_second_of_two_writers_hears_that_it_is_late(place: &Place) -> Done {
    preconditions(place)?;
    let include =
        |value: &str| Ok::<_, Outcome>([Intent::Include(place.set("@", RecordType::TXT, &[value])?)]);
    let none = Ownership::none();
    let (first, _) = plan_for(&*place.provider, &place.zone, &include("first")?, &none, &options()).await?;
    let (second, basis) =
        plan_for(&*place.provider, &place.zone, &include("second")?, &none, &options()).await?;
    apply(&*place.provider, &first, None, &Progress::none()).await?;
    match apply(&*place.provider, &second, Some(&basis), &Progress::none()).await {
        Ok(_) => return Err(Outcome::Failed("it was written over the first".into())),
        Err(failure) => {
            ensure(failure.error.is(&codes::STALE), || format!("the error is {:?}", failure.error))?
        }
    }
    bring(place, &include("second")?, &mut Ownership::none()).await?;
    place.holds(&place.zone.apex, &[&place.set("@", RecordType::TXT, &["first", "second"])?]).await
}

async fn a_cname_beside_an_address_is_refused(place: &Place) -> Done {
    let there = place.set("my", RecordType::A, &["192.0.2.1"])?;
    bring(place, &[Intent::Exactly(there.clone())], &mut Ownership::none()).await?;
    let changes = [Change::Create(place.set("my", RecordType::CNAME, &["x.example.net"])?)];
    let written = place.provider.apply(Batch::new(&place.zone, &changes)).await.is_ok();
    ensure(!written, || "it was written".into())?;
    place.holds(there.name(), &[&there]).await
}

async fn a_written_change_is_reported_in_sync_in_the_end(place: &Place) -> Done {
    let desired = [Intent::Exactly(place.set("my", RecordType::A, &["192.0.2.1"])?)];
    let (plan, basis) =
        plan_for(&*place.provider, &place.zone, &desired, &Ownership::none(), &options()).await?;
    let receipt = apply(&*place.provider, &plan, Some(&basis), &Progress::none()).await?;
    ensure(receipt.applied.len() == 1, || format!("the receipt has {} sets", receipt.applied.len()))?;
    let reports = place.provider.capabilities().sync_status;
    for _ in 0..1000 {
        match place.provider.sync_status(&receipt).await? {
            SyncStatus::InSync if reports => return Ok(()),
            SyncStatus::NotReported if !reports => return Ok(()),
            SyncStatus::Pending if reports => {}
            other => return Err(Outcome::Failed(format!("{other:?} does not fit its capabilities"))),
        }
    }
    Err(Outcome::Failed("it stays pending".into()))
}
