//! Checks that no more requests are made than needed.

use crate::conformance::{Calls, Done, Outcome, Trial, cases, ensure};
use crate::{Atomicity, Intent, Ownership, PlanOptions, RecordSet, RecordType, Scope, find_zone};

cases![
    planning_takes_three_requests_at_most,
    a_rerun_makes_no_request_that_writes,
    eight_sets_are_created_in_the_fewest_requests,
    a_change_of_address_takes_one_request_for_each_set,
    eight_sets_are_deleted_in_the_fewest_requests,
    a_zone_of_301_sets_is_read_in_eight_requests_at_most,
    finding_the_zone_again_takes_two_requests_at_most,
];

/// Returns the sets of a server, without types that a provider does not support.
fn machine(t: &Trial<'_>, address: &str) -> Result<Vec<RecordSet>, Outcome> {
    let all = [
        t.a("my", address)?,
        t.set("my", RecordType::AAAA, &["2001:db8::1"])?,
        t.a("*", address)?,
        t.set("@", RecordType::MX, &["10 my.example.net"])?,
        t.txt("@", &["v=spf1 a:my.example.net ~all"])?,
        t.txt("c1._domainkey", &["v=DKIM1; p=abc"])?,
        t.txt("_dmarc", &["v=DMARC1; p=none"])?,
        t.set("@", RecordType::CAA, &["0 issue \"ca.example.net\""])?,
    ];
    Ok(all.into_iter().filter(|set| t.needs(set.rtype()).is_ok()).collect())
}

fn wishes(sets: Vec<RecordSet>) -> Vec<Intent> {
    sets.into_iter().map(Intent::Exactly).collect()
}

/// Returns the number of requests to bring a zone to the desired state.
async fn cost(t: &Trial<'_>, desired: &[Intent], ours: &mut Ownership) -> Result<Calls, Outcome> {
    t.wire()?;
    let before = t.calls();
    t.bring_with(desired, ours, &PlanOptions::default().prune(true).allow_mass_deletion(true)).await?;
    Ok(t.calls().since(before))
}

/// Checks that this number of changes, with one value each, took no more write requests than the provider's atomicity
/// requires.
fn writes(t: &Trial<'_>, calls: Calls, changes: usize) -> Done {
    let can = t.can();
    let most = match can.atomicity {
        Atomicity::Batch => changes.div_ceil(can.max_batch.max(1)),
        _ => changes,
    };
    ensure(calls.writes <= most, || format!("{} requests that write, where {most} do", calls.writes))
}

async fn planning_takes_three_requests_at_most(t: &Trial<'_>) -> Done {
    t.wire()?;
    let desired = wishes(machine(t, "192.0.2.1")?);
    let before = t.calls();
    t.plan(&desired, &Ownership::none(), &PlanOptions::default()).await?;
    let calls = t.calls().since(before);
    ensure(calls.reads <= 3 && calls.writes == 0, || format!("{calls:?}"))
}

async fn a_rerun_makes_no_request_that_writes(t: &Trial<'_>) -> Done {
    let desired = wishes(machine(t, "192.0.2.1")?);
    let mut ours = Ownership::none();
    cost(t, &desired, &mut ours).await?;
    let calls = cost(t, &desired, &mut ours).await?;
    ensure(calls.writes == 0 && calls.reads <= 3, || format!("{calls:?}"))
}

async fn eight_sets_are_created_in_the_fewest_requests(t: &Trial<'_>) -> Done {
    let desired = wishes(machine(t, "192.0.2.1")?);
    let calls = cost(t, &desired, &mut Ownership::none()).await?;
    writes(t, calls, desired.len())
}

async fn a_change_of_address_takes_one_request_for_each_set(t: &Trial<'_>) -> Done {
    let mut ours = Ownership::none();
    cost(t, &wishes(machine(t, "192.0.2.1")?), &mut ours).await?;
    let calls = cost(t, &wishes(machine(t, "192.0.2.2")?), &mut ours).await?;
    writes(t, calls, 2)
}

async fn eight_sets_are_deleted_in_the_fewest_requests(t: &Trial<'_>) -> Done {
    let desired = wishes(machine(t, "192.0.2.1")?);
    let mut ours = Ownership::none();
    cost(t, &desired, &mut ours).await?;
    let calls = cost(t, &[], &mut ours).await?;
    writes(t, calls, desired.len())
}

async fn a_zone_of_301_sets_is_read_in_eight_requests_at_most(t: &Trial<'_>) -> Done {
    t.needs_listing()?;
    t.wire()?;
    let sets: Vec<RecordSet> =
        (0..301).map(|n| t.a(&format!("n{n}"), "192.0.2.1")).collect::<crate::Result<_>>()?;
    t.others(&sets).await?;
    let before = t.calls();
    t.provider().read(t.zone, Scope::Zone).await?;
    let reads = t.calls().since(before).reads;
    ensure(reads <= 8, || format!("it took {reads} requests"))
}

async fn finding_the_zone_again_takes_two_requests_at_most(t: &Trial<'_>) -> Done {
    t.wire()?;
    find_zone(t.provider(), &t.name("my")?).await?;
    let before = t.calls();
    find_zone(t.provider(), &t.name("my")?).await?;
    let reads = t.calls().since(before).reads;
    ensure(reads <= 2, || format!("it took {reads} requests"))
}
