//! Random zones, intents and ownership: properties of every plan.

#![allow(missing_docs)]

use std::collections::BTreeSet;

use cloudron_dns::memory::MemoryProvider;
use cloudron_dns::{
    Adopt, DnsProvider, Intent, Name, Observed, Ownership, PlanOptions, RecordData, RecordKey, RecordSet,
    RecordType, Scope, Snapshot, Ttl, Zone, apply, plan,
};
use proptest::prelude::*;

const NAMES: [&str; 5] =
    ["example.com", "my.example.com", "*.example.com", "sub.example.com", "a.sub.example.com"];

fn zone() -> Zone {
    Zone::new("z", Name::parse("example.com").unwrap())
}

fn value(rtype: RecordType, n: u8) -> RecordData {
    let text = match rtype {
        RecordType::A => format!("192.0.2.{n}"),
        RecordType::MX => format!("{n} mx.example.net"),
        RecordType::TXT if n == 0 => "v=spf1 mx -all".into(),
        RecordType::TXT => format!("text {n}"),
        _ => format!("n{n}.example.net"),
    };
    RecordData::parse(rtype, &text).unwrap()
}

prop_compose! {
    fn record_set()(
        name in prop::sample::select(NAMES.to_vec()),
        rtype in prop::sample::select(vec![
            RecordType::A, RecordType::MX, RecordType::TXT, RecordType::CNAME, RecordType::NS,
        ]),
        ttl in prop::sample::select(vec![60, 300]),
        values in prop::collection::btree_set(0..4u8, 1..4),
    ) -> RecordSet {
        let values: Vec<_> = values.into_iter().map(|n| value(rtype, n)).collect();
        let most = if rtype == RecordType::CNAME { 1 } else { values.len() };
        let ttl = Ttl::new(ttl).unwrap();
        RecordSet::new(Name::parse(name).unwrap(), ttl, values.into_iter().take(most)).unwrap()
    }
}

fn intent() -> impl Strategy<Value = Intent> {
    prop_oneof![
        4 => record_set().prop_map(Intent::Exactly),
        1 => record_set().prop_map(Intent::Default),
        1 => record_set().prop_map(|s| Intent::Absent(s.key().clone())),
        2 => record_set().prop_map(Intent::Include),
        1 => record_set().prop_map(Intent::Exclude),
        1 => Just(Intent::Spf {
            name: Name::parse("example.com").unwrap(),
            ttl: Ttl::DEFAULT,
            mechanisms: vec!["a:my.example.com".into()],
        }),
    ]
}

/// Returns a zone that a provider could have: no CNAME with other sets, none at the apex.
fn sensible(sets: Vec<RecordSet>) -> Vec<RecordSet> {
    let mut kept: Vec<RecordSet> = Vec::new();
    for set in sets {
        let cname = set.rtype() == RecordType::CNAME;
        let clashes = kept.iter().any(|k| {
            let either = cname || k.rtype() == RecordType::CNAME;
            k.key() == set.key() || (k.name() == set.name() && either)
        });
        let at_top = cname && *set.name() == zone().apex;
        if !clashes && !at_top {
            kept.push(set);
        }
    }
    kept
}

prop_compose! {
    fn situation()(
        sets in prop::collection::vec(record_set(), 0..8).prop_map(sensible),
        desired in prop::collection::vec(intent(), 0..6),
        owned in prop::collection::vec(any::<bool>(), 32),
        adopt in any::<bool>(),
        prune in any::<bool>(),
    ) -> (Vec<RecordSet>, Vec<Intent>, Ownership, PlanOptions) {
        let mut ownership = Ownership::none();
        let values = sets.iter().flat_map(|s| s.values().iter().map(move |v| (s.key(), v)));
        for ((key, value), _) in values.zip(owned).filter(|(_, owned)| *owned) {
            ownership.add(key, [value]);
        }
        let adopt = if adopt { Adopt::All } else { Adopt::Nothing };
        (sets, desired, ownership, PlanOptions::default().adopt(adopt).prune(prune))
    }
}

fn snapshot(provider: &MemoryProvider) -> Snapshot {
    block_on(provider.read(&zone(), Scope::Zone)).unwrap()
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
}

fn values(snapshot: &Snapshot) -> BTreeSet<(RecordKey, RecordData)> {
    let sets = snapshot.sets.values().filter_map(Observed::plain);
    sets.flat_map(|s| s.values().iter().map(|v| (s.key().clone(), v.clone()))).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn applied_and_planned_again_nothing_is_left((sets, desired, ownership, options) in situation()) {
        let provider = MemoryProvider::new().with_zone(zone(), sets.into_iter().map(Observed::Plain));
        let before = snapshot(&provider);
        let first = plan(&desired, &before, &ownership, &options);
        if first.check().is_ok() {
            block_on(apply(&provider, &first, Some(&before), &Default::default())).unwrap();
            let after = snapshot(&provider);
            let again = plan(&desired, &after, &first.ownership, &options);
            prop_assert!(again.is_empty(), "first:\n{first}\nagain:\n{again}");
            prop_assert_eq!(again.ownership, first.ownership);
        }
    }

    #[test]
    fn nothing_of_somebody_else_is_lost_unless_adopted((sets, desired, ownership, options) in situation()) {
        let options = options.adopt(Adopt::Nothing);
        let provider = MemoryProvider::new().with_zone(zone(), sets.into_iter().map(Observed::Plain));
        let before = snapshot(&provider);
        let mut plan = plan(&desired, &before, &ownership, &options);
        plan.conflicts.clear();
        block_on(apply(&provider, &plan, Some(&before), &Default::default())).unwrap();
        let after = values(&snapshot(&provider));
        for (key, value) in values(&before) {
            let spf = value == RecordData::txt("v=spf1 mx -all");
            let merged = RecordData::txt("v=spf1 mx a:my.example.com -all");
            let kept = after.contains(&(key.clone(), value.clone()));
            let kept = kept || (spf && after.contains(&(key.clone(), merged)));
            prop_assert!(kept || ownership.owns(&key, &value), "{key} {value} is gone:\n{plan}");
        }
    }

    #[test]
    fn what_nobody_wished_anything_of_is_untouched((sets, desired, ownership, options) in situation()) {
        let current = Snapshot::new(zone(), sets.into_iter().map(Observed::Plain), true);
        let plan = plan(&desired, &current, &ownership, &options.prune(false));
        let names: BTreeSet<Name> = desired.iter().map(|i| i.key().name).collect();
        for change in &plan.changes {
            // A CNAME that is in the way has the name of a wish, if not its type.
            prop_assert!(names.contains(&change.key().name), "{plan}");
        }
    }

    #[test]
    fn a_plan_does_not_depend_on_the_order_of_wishes_about_different_sets(
        (sets, desired, ownership, options) in situation(),
    ) {
        let mut seen = BTreeSet::new();
        let desired: Vec<Intent> = desired.into_iter().filter(|i| seen.insert(i.key())).collect();
        let reversed: Vec<Intent> = desired.iter().rev().cloned().collect();
        let current = Snapshot::new(zone(), sets.into_iter().map(Observed::Plain), true);
        let plan_of = |desired: &[Intent]| plan(desired, &current, &ownership, &options);
        prop_assert_eq!(plan_of(&desired), plan_of(&reversed));
    }
}
