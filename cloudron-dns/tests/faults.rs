//! Random zones, intents and faults, at providers that write a batch, a set or a record at a time.
//!
//! `CLOUDRON_TEST_ROUNDS` sets the number of cases.

#![allow(missing_docs)]

#[path = "support/faulty.rs"]
mod faulty;

use std::collections::BTreeSet;

use cloudron_core::Progress;
use cloudron_dns::conformance::Fault;
use cloudron_dns::{
    Applied, Atomicity, Change, Error, Intent, Name, Observed, Ownership, Plan, PlanOptions, RecordData,
    RecordKey, RecordSet, RecordType, Snapshot, Ttl, Zone, apply, plan_for,
};
use faulty::{Faulty, Server};
use proptest::prelude::*;

fn zone() -> Zone {
    Zone::new("z", Name::parse("example.com").unwrap())
}

/// Generates a set: ours has numbers below 5, one of others has numbers from 5.
fn record_set(numbers: std::ops::Range<u8>) -> impl Strategy<Value = RecordSet> {
    let names = ["example.com", "my.example.com", "*.example.com", "a.b.example.com"];
    let parts = (
        prop::sample::select(names.to_vec()),
        prop::sample::select(vec![RecordType::A, RecordType::MX, RecordType::TXT, RecordType::CAA]),
        prop::sample::select(vec![60, 300]),
        prop::collection::btree_set(numbers, 1..4),
    );
    parts.prop_map(|(name, rtype, ttl, numbers)| {
        let value = |n| match rtype {
            RecordType::A => format!("192.0.2.{n}"),
            RecordType::MX => format!("{n} mx.example.net"),
            RecordType::CAA => format!("0 issue \"ca{n}.example.net\""),
            _ => format!("text {n}"),
        };
        let values = numbers.into_iter().map(|n| RecordData::parse(rtype, &value(n)).unwrap());
        RecordSet::new(Name::parse(name).unwrap(), Ttl::new(ttl).unwrap(), values).unwrap()
    })
}

fn intent() -> impl Strategy<Value = Intent> {
    let mechanisms = prop::collection::btree_set(0..3u8, 1..3);
    let mechanisms = mechanisms.prop_map(|all| all.into_iter().map(|n| format!("ip4:192.0.2.{n}")).collect());
    prop_oneof![
        6 => record_set(0..5).prop_map(Intent::Include),
        3 => record_set(0..5).prop_map(Intent::Exactly),
        1 => record_set(0..5).prop_map(|s| Intent::Absent(s.key().clone())),
        1 => mechanisms.prop_map(|mechanisms| Intent::Spf { name: zone().apex, ttl: Ttl::DEFAULT, mechanisms }),
    ]
}

fn fault() -> impl Strategy<Value = Option<Fault>> {
    prop_oneof![
        4 => Just(None),
        1 => Just(Some(Fault::Refused)),
        1 => Just(Some(Fault::Busy)),
        1 => Just(Some(Fault::CutBefore)),
        2 => Just(Some(Fault::CutAfter)),
    ]
}

fn values(sets: &Snapshot) -> BTreeSet<(RecordKey, RecordData)> {
    let plain = sets.sets.values().filter_map(Observed::plain);
    plain.flat_map(|s| s.values().iter().map(|v| (s.key().clone(), v.clone()))).collect()
}

/// Returns one intent for each set, without those that contradict the zone.
fn possible(wishes: Vec<Intent>, theirs: &[RecordSet]) -> Vec<Intent> {
    let mut seen = BTreeSet::new();
    let taken = |key: &RecordKey| theirs.iter().any(|set| set.key() == key);
    wishes
        .into_iter()
        .filter(|wish| {
            let whole = !matches!(wish, Intent::Include(_) | Intent::Spf { .. });
            seen.insert(wish.key()) && !(whole && taken(&wish.key()))
        })
        .collect()
}

/// Checks that a failure reports what was applied.
fn check_truth(plan: &Plan, before: &Snapshot, after: &Snapshot, applied: &Applied) -> Result<(), String> {
    let is = |change: &Change, wanted: Option<&RecordSet>| after.get(change.key()) == wanted;
    let as_said = |change: &&Change| match applied {
        Applied::Nothing => is(change, change.before()),
        Applied::Some(keys) if keys.contains(change.key()) => is(change, change.after()),
        Applied::Some(_) => is(change, change.before()),
        _ => true,
    };
    let lied = plan.changes.iter().find(|change| !as_said(change));
    let changed = plan.changes.iter().map(Change::key).collect::<BTreeSet<_>>();
    let others = |sets: &Snapshot| {
        sets.sets.iter().filter(|(key, _)| !changed.contains(key)).map(|(_, s)| s.clone()).collect::<Vec<_>>()
    };
    match lied {
        Some(change) => Err(format!("{applied:?}, and {} is {:?}", change.key(), after.get(change.key()))),
        None if others(before) != others(after) => Err("a set that was not to change did".into()),
        None => Ok(()),
    }
}

/// Executes one run, with `ours` stored before and after it, as callers do, and returns the number of changes.
async fn run(
    server: &Server,
    provider: &Faulty,
    wishes: &[Intent],
    ours: &mut Ownership,
) -> Result<usize, Error> {
    let options = PlanOptions::default().prune(true).allow_mass_deletion(true);
    let (plan, basis) = plan_for(provider, &zone(), wishes, ours, &options).await?;
    plan.check()?;
    *ours = ours.union(&plan.ownership);
    let before = server.all(&zone()).await;
    let done = apply(provider, &plan, Some(&basis), &Progress::none()).await;
    let after = server.all(&zone()).await;
    match done {
        Ok(receipt) => {
            let all = Applied::Some(receipt.applied);
            check_truth(&plan, &before, &after, &all).unwrap();
            assert!(plan.changes.iter().all(|c| after.get(c.key()) == c.after()));
            *ours = plan.ownership;
            Ok(plan.changes.len())
        }
        Err(failure) => {
            check_truth(&plan, &before, &after, &failure.applied).unwrap();
            Err(failure.into())
        }
    }
}

fn cases() -> u32 {
    std::env::var("CLOUDRON_TEST_ROUNDS").ok().and_then(|n| n.parse().ok()).unwrap_or(2000)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: cases(), failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whatever_fails_the_error_is_true_the_next_runs_converge_and_nothing_of_others_is_lost(
        atomicity in prop::sample::select(vec![Atomicity::Batch, Atomicity::Set, Atomicity::Record]),
        most in prop::sample::select(vec![1, 2, 1000]),
        theirs in prop::collection::vec(record_set(5..9), 0..6),
        spf in any::<bool>(),
        runs in prop::collection::vec(prop::collection::vec(intent(), 0..6), 1..4),
        faults in prop::collection::vec(fault(), 0..30),
    ) {
        let mut seen = BTreeSet::new();
        let mut theirs: Vec<RecordSet> = theirs.into_iter().filter(|s| seen.insert(s.key().clone())).collect();
        if spf && !theirs.iter().any(|s| s.rtype() == RecordType::TXT && *s.name() == zone().apex) {
            let value = RecordData::txt("v=spf1 include:_spf.example.net -all");
            theirs.push(RecordSet::new(zone().apex, Ttl::DEFAULT, [value]).unwrap());
        }
        let server = Server::with_zone(zone(), theirs.iter().cloned().map(Observed::Plain));
        let mut provider = Faulty::new(&server, atomicity);
        provider.capabilities.max_batch = most;
        server.script(faults);
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let before = values(&server.all(&zone()).await);
            let mut ours = Ownership::none();
            for wishes in runs {
                let wishes = possible(wishes, &theirs);
                let mut tries = 0;
                while let Err(error) = run(&server, &provider, &wishes, &mut ours).await {
                    tries += 1;
                    assert!(tries < 40, "{error:?} for {wishes:?}");
                }
                let left = run(&server, &provider, &wishes, &mut ours).await.unwrap_or(0);
                assert_eq!(left, 0, "a run that succeeded left something to do");
            }
            let after = values(&server.all(&zone()).await);
            for (key, value) in before {
                let merged = value.to_string().contains("include:_spf.example.net")
                    && after.iter().any(|(k, v)| *k == key && v.to_string().contains("include:_spf.example.net"));
                assert!(merged || after.contains(&(key.clone(), value.clone())), "{key} {value} is lost");
            }
            let spf = after.iter().filter(|(_, v)| v.to_string().contains("v=spf1")).count();
            assert!(spf <= 1, "{spf} SPF records");
        });
    }
}
