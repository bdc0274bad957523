//! Checks of batches, preconditions, concurrent writers, and receipts.

use cloudron_core::Progress;
use futures_util::future::join_all;

use crate::conformance::{Done, Outcome, Trial, cases, ensure};
use crate::{
    Applied, Change, Intent, Ownership, Plan, PlanOptions, RecordKey, RecordType, Snapshot, SyncStatus,
    apply, codes,
};

cases![
    a_creation_over_an_existing_set_is_refused,
    a_creation_over_the_same_set_is_refused,
    a_replacement_of_something_else_is_refused,
    a_replacement_of_nothing_is_refused,
    a_deletion_of_something_else_is_refused,
    a_deletion_of_nothing_is_refused,
    a_batch_is_applied_whole_or_not_at_all,
    a_batch_that_fails_at_its_last_change_writes_nothing,
    a_batch_that_fails_says_what_was_applied,
    the_second_of_two_writers_hears_that_it_is_late,
    a_plan_is_refused_once_the_zone_changed,
    the_same_plan_cannot_be_applied_twice,
    writers_of_one_set_at_the_same_time_lose_nothing,
    more_changes_than_a_batch_takes_are_all_written,
    an_address_is_replaced_in_one_change,
    a_receipt_names_every_set_once,
    a_receipt_of_nothing_names_nothing,
    a_written_change_is_reported_in_sync_in_the_end,
];

async fn a_creation_over_an_existing_set_is_refused(t: &Trial<'_>) -> Done {
    t.needs_preconditions()?;
    let there = t.a("my", "192.0.2.1")?;
    t.others(std::slice::from_ref(&there)).await?;
    t.late(&[Change::Create(t.a("my", "192.0.2.2")?)], &[&there]).await
}

async fn a_creation_over_the_same_set_is_refused(t: &Trial<'_>) -> Done {
    t.needs_preconditions()?;
    let there = t.a("my", "192.0.2.1")?;
    t.others(std::slice::from_ref(&there)).await?;
    t.late(&[Change::Create(there.clone())], &[&there]).await
}

async fn a_replacement_of_something_else_is_refused(t: &Trial<'_>) -> Done {
    t.needs_preconditions()?;
    let there = t.a("my", "192.0.2.1")?;
    t.others(std::slice::from_ref(&there)).await?;
    let (old, new) = (t.a("my", "192.0.2.2")?, t.a("my", "192.0.2.3")?);
    t.late(&[Change::Replace { old, new: new.clone() }], &[&there]).await?;
    // A set with one additional value is a different set.
    let old = t.set("my", RecordType::A, &["192.0.2.1", "192.0.2.2"])?;
    t.late(&[Change::Replace { old, new }], &[&there]).await
}

async fn a_replacement_of_nothing_is_refused(t: &Trial<'_>) -> Done {
    t.needs_preconditions()?;
    let (old, new) = (t.a("my", "192.0.2.1")?, t.a("my", "192.0.2.2")?);
    t.late(&[Change::Replace { old, new }], &[]).await
}

async fn a_deletion_of_something_else_is_refused(t: &Trial<'_>) -> Done {
    t.needs_preconditions()?;
    let there = t.set("my", RecordType::A, &["192.0.2.1", "192.0.2.2"])?;
    t.others(std::slice::from_ref(&there)).await?;
    t.late(&[Change::Delete(t.a("my", "192.0.2.1")?)], &[&there]).await
}

async fn a_deletion_of_nothing_is_refused(t: &Trial<'_>) -> Done {
    t.needs_preconditions()?;
    t.late(&[Change::Delete(t.a("my", "192.0.2.1")?)], &[]).await
}

async fn a_batch_is_applied_whole_or_not_at_all(t: &Trial<'_>) -> Done {
    t.needs_preconditions()?;
    t.needs_batches()?;
    let there = t.a("z", "192.0.2.1")?;
    t.others(std::slice::from_ref(&there)).await?;
    let fine = Change::Create(t.a("a", "192.0.2.1")?);
    let late = Change::Create(t.a("z", "192.0.2.2")?);
    for (changes, held) in [([fine.clone(), late.clone()], vec![]), ([late, fine], vec![&there])] {
        t.late(&changes, &held).await?;
        t.holds(&t.name("a")?, &[]).await?;
        t.holds(there.name(), &[&there]).await?;
    }
    Ok(())
}

async fn a_batch_that_fails_at_its_last_change_writes_nothing(t: &Trial<'_>) -> Done {
    t.needs_preconditions()?;
    t.needs_batches()?;
    let there = [t.a("a", "192.0.2.1")?, t.a("b", "192.0.2.1")?, t.a("z", "192.0.2.1")?];
    t.others(&there).await?;
    let before = t.everything().await?;
    let changes = [
        Change::Replace { old: there[0].clone(), new: t.a("a", "192.0.2.2")? },
        Change::Delete(there[1].clone()),
        Change::Create(t.txt("new", &["x"])?),
        Change::Delete(t.a("z", "192.0.2.9")?),
    ];
    match t.try_write(&changes).await {
        Ok(_) => return Err(Outcome::Failed("it was written".into())),
        Err(failure) => {
            ensure(failure.applied == Applied::Nothing, || format!("{:?} was applied", failure.applied))?
        }
    }
    ensure(t.everything().await? == before, || "the zone changed".into())
}

/// If the last change of a batch is stale, the error must report exactly the changes that are in the zone.
async fn a_batch_that_fails_says_what_was_applied(t: &Trial<'_>) -> Done {
    t.needs_preconditions()?;
    let there = t.a("z", "192.0.2.1")?;
    t.others(std::slice::from_ref(&there)).await?;
    let changes = [
        Change::Create(t.a("a", "192.0.2.1")?),
        Change::Create(t.a("b", "192.0.2.1")?),
        Change::Create(t.a("z", "192.0.2.2")?),
    ];
    let Err(failure) = t.try_write(&changes).await else {
        return Err(Outcome::Failed("it was written".into()));
    };
    let names: Vec<_> = changes.iter().map(|c| c.key().name.clone()).collect();
    let read = t.read(&names).await?;
    let written: Vec<RecordKey> = changes[..2].iter().map(|c| c.key().clone()).collect();
    let written: Vec<RecordKey> = written.into_iter().filter(|key| read.get(key).is_some()).collect();
    let said = match failure.applied {
        Applied::Nothing => Vec::new(),
        Applied::Some(keys) => keys,
        Applied::Unknown => return Ok(()),
    };
    ensure(said == written, || format!("it says that {said:?} was applied, and {written:?} was"))
}

async fn the_second_of_two_writers_hears_that_it_is_late(t: &Trial<'_>) -> Done {
    t.needs_preconditions()?;
    let include = |value: &str| Ok::<_, Outcome>([Intent::Include(t.txt("@", &[value])?)]);
    let (none, options) = (Ownership::none(), PlanOptions::default());
    let (first, _) = t.plan(&include("first")?, &none, &options).await?;
    let (second, basis) = t.plan(&include("second")?, &none, &options).await?;
    apply(t.provider(), &first, None, &Progress::none()).await?;
    stale(t, &second, Some(&basis)).await?;
    t.bring(&include("second")?, &mut Ownership::none()).await?;
    t.holds(&t.zone.apex, &[&t.txt("@", &["first", "second"])?]).await
}

async fn stale(t: &Trial<'_>, plan: &Plan, basis: Option<&Snapshot>) -> Done {
    match apply(t.provider(), plan, basis, &Progress::none()).await {
        Ok(_) => Err(Outcome::Failed("it was written".into())),
        Err(failure) => {
            ensure(failure.error.is(&codes::STALE), || format!("the error is {:?}", failure.error))?;
            ensure(failure.applied == Applied::Nothing, || format!("{:?} was applied", failure.applied))
        }
    }
}

async fn a_plan_is_refused_once_the_zone_changed(t: &Trial<'_>) -> Done {
    let there = t.a("my", "192.0.2.1")?;
    let mut ours = Ownership::none();
    t.bring(&[Intent::Exactly(there.clone())], &mut ours).await?;
    let wish = [Intent::Exactly(t.a("my", "192.0.2.2")?)];
    let (plan, _) = t.plan(&wish, &ours, &PlanOptions::default()).await?;
    let other = t.a("my", "192.0.2.3")?;
    t.write(Change::Replace { old: there, new: other.clone() }).await?;
    stale(t, &plan, None).await?;
    t.holds(other.name(), &[&other]).await
}

async fn the_same_plan_cannot_be_applied_twice(t: &Trial<'_>) -> Done {
    let set = t.txt("my", &["one", "two"])?;
    let wish = [Intent::Exactly(set.clone())];
    let (plan, basis) = t.plan(&wish, &Ownership::none(), &PlanOptions::default()).await?;
    apply(t.provider(), &plan, Some(&basis), &Progress::none()).await?;
    stale(t, &plan, None).await?;
    t.holds(set.name(), &[&set]).await
}

async fn writers_of_one_set_at_the_same_time_lose_nothing(t: &Trial<'_>) -> Done {
    t.needs_preconditions()?;
    let texts = ["w1", "w2", "w3", "w4", "w5", "w6", "w7", "w8"];
    join_all(texts.map(|text| include(t, text))).await.into_iter().collect::<Done>()?;
    t.holds(&t.zone.apex, &[&t.txt("@", &texts)?]).await
}

async fn include(t: &Trial<'_>, text: &str) -> Done {
    let wish = [Intent::Include(t.txt("@", &[text])?)];
    let (mut ours, options) = (Ownership::none(), PlanOptions::default());
    let done = apply::ensure(t.provider(), t.zone, &wish, &mut ours, &options, &Progress::none()).await;
    done.map(|_| ()).map_err(Outcome::from)
}

async fn more_changes_than_a_batch_takes_are_all_written(t: &Trial<'_>) -> Done {
    // At most this many, since not every provider splits by number.
    let count = t.can().max_batch.saturating_add(1).min(120);
    let wishes: Vec<Intent> = (0..count)
        .map(|n| Ok(Intent::Exactly(t.a(&format!("n{n}"), "192.0.2.1")?)))
        .collect::<crate::Result<_>>()?;
    let mut ours = Ownership::none();
    t.bring(&wishes, &mut ours).await?;
    let (plan, _) = t.plan(&wishes, &ours, &PlanOptions::default()).await?;
    ensure(plan.is_empty(), || format!("{} of {count} are missing", plan.changes.len()))
}

async fn an_address_is_replaced_in_one_change(t: &Trial<'_>) -> Done {
    let mut ours = Ownership::none();
    t.bring(&[Intent::Exactly(t.a("my", "192.0.2.1")?)], &mut ours).await?;
    let wish = [Intent::Exactly(t.a("my", "192.0.2.2")?)];
    let (plan, _) = t.plan(&wish, &ours, &PlanOptions::default()).await?;
    let one = plan.gaps.is_empty() && matches!(&plan.changes[..], [Change::Replace { .. }]);
    ensure(one, || format!("the address is gone for a moment:\n{plan}"))
}

async fn a_receipt_names_every_set_once(t: &Trial<'_>) -> Done {
    let sets = [t.a("b", "192.0.2.1")?, t.txt("b", &["1", "2", "3"])?, t.a("a", "192.0.2.1")?];
    let changes = sets.map(Change::Create);
    let mut said = t.try_write(&changes).await?.applied;
    let mut wanted: Vec<RecordKey> = changes.iter().map(|c| c.key().clone()).collect();
    said.sort();
    wanted.sort();
    ensure(said == wanted, || format!("it names {said:?} instead of {wanted:?}"))
}

async fn a_receipt_of_nothing_names_nothing(t: &Trial<'_>) -> Done {
    let (plan, basis) = t.plan(&[], &Ownership::none(), &PlanOptions::default()).await?;
    let receipt = apply(t.provider(), &plan, Some(&basis), &Progress::none()).await?;
    ensure(receipt.applied.is_empty() && receipt.ids.is_empty(), || format!("it says {receipt:?}"))
}

async fn a_written_change_is_reported_in_sync_in_the_end(t: &Trial<'_>) -> Done {
    let desired = [Intent::Exactly(t.a("my", "192.0.2.1")?)];
    let (plan, basis) = t.plan(&desired, &Ownership::none(), &PlanOptions::default()).await?;
    let receipt = apply(t.provider(), &plan, Some(&basis), &Progress::none()).await?;
    ensure(receipt.applied.len() == 1, || format!("the receipt has {} sets", receipt.applied.len()))?;
    let reports = t.can().sync_status;
    for _ in 0..1000 {
        match t.provider().sync_status(&receipt).await? {
            SyncStatus::InSync if reports => return Ok(()),
            SyncStatus::NotReported if !reports => return Ok(()),
            SyncStatus::Pending if reports => {}
            other => return Err(Outcome::Failed(format!("{other:?} does not fit its capabilities"))),
        }
    }
    Err(Outcome::Failed("it stays pending".into()))
}
