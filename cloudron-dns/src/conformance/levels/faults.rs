//! Checks with faults: the zone is as reported, nothing of others is lost, nothing exists twice, and the next run
//! finishes what is missing.

use cloudron_core::Progress;

use crate::conformance::{Done, Fault, Injection, Outcome, Trial, cases, ensure};
use crate::{Applied, Intent, Observed, Ownership, Plan, PlanOptions, RecordType, Scope, Snapshot, apply};

/// Permanent, for the duration of a check.
const LASTING: usize = 1000;

macro_rules! matrix {
    ($($case:ident: $verb:ident, $fault:ident, $times:expr;)*) => {
        cases![
            $($case,)*
            a_reading_that_fails_is_an_error_and_no_empty_zone,
            a_reading_that_is_cut_off_is_an_error_and_no_empty_zone,
            a_reading_that_fails_at_a_later_page_is_an_error,
            a_list_of_zones_that_fails_is_an_error,
            a_run_that_fails_midway_is_finished_by_the_next_one,
            a_run_whose_answer_is_lost_midway_is_finished_by_the_next_one,
        ];
        $(async fn $case(t: &Trial<'_>) -> Done {
            one_change(t, Verb::$verb, Fault::$fault, $times).await
        })*
    };
}

matrix! {
    a_creation_that_is_refused_changes_nothing: Create, Refused, LASTING;
    a_replacement_that_is_refused_changes_nothing: Replace, Refused, LASTING;
    a_deletion_that_is_refused_changes_nothing: Delete, Refused, LASTING;
    a_creation_at_a_busy_moment_is_made_or_told: Create, Busy, 1;
    a_replacement_at_a_busy_moment_is_made_or_told: Replace, Busy, 1;
    a_deletion_at_a_busy_moment_is_made_or_told: Delete, Busy, 1;
    a_creation_at_a_provider_that_stays_busy_changes_nothing: Create, Busy, LASTING;
    a_creation_that_never_arrives_is_made_by_the_next_run: Create, CutBefore, 1;
    a_replacement_that_never_arrives_is_made_by_the_next_run: Replace, CutBefore, 1;
    a_deletion_that_never_arrives_is_made_by_the_next_run: Delete, CutBefore, 1;
    a_creation_whose_answer_is_lost_is_not_made_twice: Create, CutAfter, 1;
    a_replacement_whose_answer_is_lost_is_not_made_twice: Replace, CutAfter, 1;
    a_deletion_whose_answer_is_lost_is_not_made_twice: Delete, CutAfter, 1;
    a_creation_at_a_server_that_is_away_is_made_by_the_next_run: Create, CutBefore, LASTING;
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Verb {
    Create,
    Replace,
    Delete,
}

/// Prepares a zone with sets of others, one set of ours if the verb needs one, and the intent.
async fn arranged(t: &Trial<'_>, verb: Verb, ours: &mut Ownership) -> Result<Vec<Intent>, Outcome> {
    t.others(&[t.a("theirs", "192.0.2.1")?, t.txt("@", &["theirs"])?]).await?;
    let old = t.set("my", RecordType::A, &["192.0.2.1", "192.0.2.2"])?;
    if verb != Verb::Create {
        t.bring(&[Intent::Exactly(old.clone())], ours).await?;
    }
    Ok(vec![match verb {
        Verb::Delete => Intent::Absent(old.key().clone()),
        _ => Intent::Exactly(t.set("my", RecordType::A, &["192.0.2.3", "192.0.2.4"])?),
    }])
}

async fn one_change(t: &Trial<'_>, verb: Verb, fault: Fault, times: usize) -> Done {
    t.wire()?;
    let mut ours = Ownership::none();
    let wishes = arranged(t, verb, &mut ours).await?;
    let injection = Injection { writes: true, after: 0, times, fault };
    survives(t, &wishes, ours, injection).await
}

/// Plans, makes requests fail, applies, and compares the report with the zone; then runs again.
async fn survives(t: &Trial<'_>, wishes: &[Intent], ours: Ownership, injection: Injection) -> Done {
    let before = t.everything().await?;
    let (plan, basis) = t.plan(wishes, &ours, &PlanOptions::default()).await?;
    t.inject(injection)?;
    let done = apply(t.provider(), &plan, Some(&basis), &Progress::none()).await;
    t.wire()?.clear();
    let after = t.everything().await?;
    let (fault, lasting) = (injection.fault, injection.times == LASTING);
    match done {
        Ok(receipt) => {
            let all = receipt.applied.len() == plan.changes.len() && holds(&plan, &after, |_| true);
            ensure(all, || "it says that all was written, and it was not".into())?;
            let possible = !lasting || fault == Fault::CutAfter;
            ensure(possible, || "it says that all was written, though no request succeeded".into())?;
        }
        Err(failure) => match failure.applied {
            Applied::Nothing => {
                ensure(before == after, || "it says that nothing was written, and it was".into())?
            }
            Applied::Some(keys) => {
                let true_to_it = holds(&plan, &after, |key| keys.contains(key));
                ensure(true_to_it, || format!("it says that {keys:?} was written, and that is not so"))?;
            }
            Applied::Unknown => {
                let known = fault == Fault::Refused && injection.after == 0;
                ensure(!known, || "it does not know whether a refused request was carried out".into())?;
            }
        },
    }
    // Records of others exist in any case.
    let ours_now = |set: &Observed| plan.changes.iter().any(|c| c.key() == set.key());
    let theirs = |sets: &[Observed]| sets.iter().filter(|s| !ours_now(s)).cloned().collect::<Vec<_>>();
    ensure(theirs(&before) == theirs(&after), || "something else changed".into())?;
    let mut kept = ours.union(&plan.ownership);
    t.bring(wishes, &mut kept).await?;
    let finished = t.everything().await?;
    ensure(holds(&plan, &finished, |_| true), || "the next run did not finish it".into())?;
    ensure(theirs(&before) == theirs(&finished), || "the next run changed something else".into())?;
    let left = t.bring(wishes, &mut kept).await?;
    ensure(left == 0, || format!("the run after that had {left} changes"))
}

/// Returns whether exactly the chosen changes of a plan were made: each set is as after its change, or as before it.
fn holds(plan: &Plan, sets: &[Observed], chosen: impl Fn(&crate::RecordKey) -> bool) -> bool {
    let there = Snapshot::new(plan.zone.clone(), sets.iter().cloned(), false);
    plan.changes.iter().all(|change| {
        let wanted = if chosen(change.key()) { change.after() } else { change.before() };
        there.get(change.key()) == wanted
    })
}

async fn failing_read(t: &Trial<'_>, fault: Fault, after: usize) -> Done {
    t.inject(Injection { writes: false, after, times: LASTING, fault })?;
    let names = [t.name("my")?];
    let mut answers = vec![t.read(&names).await];
    if t.can().listing {
        answers.push(t.provider().read(t.zone, Scope::Zone).await);
    }
    t.wire()?.clear();
    match answers.into_iter().find_map(Result::ok) {
        Some(read) => Err(Outcome::Failed(format!("it read {} sets", read.sets.len()))),
        None => t.read(&names).await.map(|_| ()).map_err(Outcome::from),
    }
}

async fn a_reading_that_fails_is_an_error_and_no_empty_zone(t: &Trial<'_>) -> Done {
    failing_read(t, Fault::Refused, 0).await
}

async fn a_reading_that_is_cut_off_is_an_error_and_no_empty_zone(t: &Trial<'_>) -> Done {
    failing_read(t, Fault::CutAfter, 0).await
}

async fn a_reading_that_fails_at_a_later_page_is_an_error(t: &Trial<'_>) -> Done {
    t.needs_listing()?;
    t.wire()?;
    let wishes: Vec<Intent> = (0..301)
        .map(|n| Ok(Intent::Exactly(t.a(&format!("n{n}"), "192.0.2.1")?)))
        .collect::<crate::Result<_>>()?;
    t.bring(&wishes, &mut Ownership::none()).await?;
    let before = t.calls();
    let whole = t.provider().read(t.zone, Scope::Zone).await?.sets.len();
    let requests = t.calls().since(before).reads;
    if requests < 2 {
        return crate::conformance::skipped("it reads a zone in one request");
    }
    let last = Injection { writes: false, after: requests - 1, times: LASTING, fault: Fault::Refused };
    t.inject(last)?;
    let read = t.provider().read(t.zone, Scope::Zone).await;
    t.wire()?.clear();
    match read {
        Ok(read) => Err(Outcome::Failed(format!("it read {} of {whole} sets", read.sets.len()))),
        Err(_) => Ok(()),
    }
}

async fn a_list_of_zones_that_fails_is_an_error(t: &Trial<'_>) -> Done {
    let before = t.calls();
    t.provider().list_zones(None).await?;
    if t.wire().is_ok() && t.calls().since(before).reads == 0 {
        return crate::conformance::skipped("it lists its zones without a request");
    }
    t.inject(Injection { writes: false, after: 0, times: LASTING, fault: Fault::Refused })?;
    let listed = t.provider().list_zones(None).await;
    t.wire()?.clear();
    ensure(listed.is_err(), || "it listed zones".into())
}

async fn midway(t: &Trial<'_>, fault: Fault) -> Done {
    t.wire()?;
    for after in [1, 2] {
        let mut ours = Ownership::none();
        let name = |n: usize| format!("m{after}{n}");
        let old = t.a(&name(1), "192.0.2.1")?;
        let gone = t.a(&name(2), "192.0.2.1")?;
        let there = [Intent::Exactly(old), Intent::Exactly(gone.clone())];
        t.bring(&there, &mut ours).await?;
        let wishes = [
            Intent::Exactly(t.a(&name(1), "192.0.2.2")?),
            Intent::Absent(gone.key().clone()),
            Intent::Exactly(t.txt(&name(3), &["a", "b", "c"])?),
        ];
        let injection = Injection { writes: true, after, times: 1, fault };
        survives(t, &wishes, ours, injection).await?;
    }
    Ok(())
}

async fn a_run_that_fails_midway_is_finished_by_the_next_one(t: &Trial<'_>) -> Done {
    midway(t, Fault::Refused).await
}

async fn a_run_whose_answer_is_lost_midway_is_finished_by_the_next_one(t: &Trial<'_>) -> Done {
    midway(t, Fault::CutAfter).await
}
