//! Faults during requests: nothing is written twice, and nothing of others is lost.

use std::collections::BTreeSet;
use std::sync::Arc;

use cloudron_core::Progress;
use cloudron_dns::{
    Applied, Error, Intent, Ownership, PlanOptions, RecordSet, RecordType, Result, Ttl, apply, codes,
    plan_for,
};
use proptest::prelude::*;
use serde_json::json;

use crate::model::{Fault, Model};
use crate::{model, name, none_wrong, provider, set, zone};

/// Executes one run; the ownership is stored before and after it, as callers do.
async fn bring(model: &Arc<Model>, desired: &[Intent], ours: &mut Ownership) -> Result<usize> {
    let provider = provider(model);
    let options = PlanOptions::default().prune(true).allow_mass_deletion(true);
    let (plan, basis) = plan_for(&provider, &zone(), desired, ours, &options).await?;
    *ours = ours.union(&plan.ownership);
    apply(&provider, &plan, Some(&basis), &Progress::none()).await.map_err(Error::from)?;
    *ours = plan.ownership;
    Ok(plan.changes.len())
}

fn wish() -> Vec<Intent> {
    vec![Intent::Exactly(set("my.example.com", RecordType::A, &["192.0.2.1"]))]
}

#[tokio::test]
async fn a_record_whose_answer_was_lost_is_not_made_twice() {
    for fault in [Fault::CutAfter, Fault::BrokenAfter, Fault::Garbled] {
        let model = model();
        model.fail([Fault::None, fault]);
        bring(&model, &wish(), &mut Ownership::none()).await.unwrap();
        let methods: Vec<String> =
            model.requests().iter().map(|line| line.split(' ').next().unwrap().to_owned()).collect();
        assert_eq!(methods, ["GET", "POST", "GET"], "{fault:?}");
        assert_eq!(model.records("example.com").len(), 5);
        none_wrong(&model);
    }
}

#[tokio::test]
async fn a_record_that_was_not_made_is_made_after_looking() {
    for fault in [Fault::CutBefore, Fault::Broken] {
        let model = model();
        model.fail([Fault::None, fault]);
        bring(&model, &wish(), &mut Ownership::none()).await.unwrap();
        assert_eq!(model.requests().len(), 4, "{fault:?}");
        assert_eq!(model.records("example.com").len(), 5);
        none_wrong(&model);
    }
}

#[tokio::test]
async fn a_limit_of_rate_is_waited_for_as_long_as_it_says() {
    for fault in [Fault::RetryAfter(40), Fault::Reset(40)] {
        use cloudron_core::Clock;
        let model = model();
        model.fail([Fault::None, fault]);
        bring(&model, &wish(), &mut Ownership::none()).await.unwrap();
        assert_eq!(model.requests().len(), 3, "a request that was not carried out needs no look");
        assert!((40..60).contains(&model.clock.monotonic().as_secs()));
        model.fail([Fault::RetryAfter(3000)]);
        let error = bring(&model, &wish(), &mut Ownership::none()).await.unwrap_err();
        assert!(error.is(&codes::RATE_LIMITED) && error.hint().unwrap().contains("3000"), "{error:?}");
    }
}

#[tokio::test]
async fn many_writes_keep_to_the_limit_of_the_account() {
    let model = model();
    model.lock().limit = Some(20);
    let desired: Vec<Intent> = (0..100)
        .map(|n| Intent::Exactly(set(&format!("n{n}.example.com"), RecordType::A, &["192.0.2.1"])))
        .collect();
    assert_eq!(bring(&model, &desired, &mut Ownership::none()).await.unwrap(), 100);
    assert_eq!(model.records("example.com").len(), 104);
    none_wrong(&model);
}

#[tokio::test]
async fn a_refusal_says_why_and_what_was_written_before_it() {
    let model = model();
    let mut desired = wish();
    desired.push(Intent::Exactly(set("z.example.com", RecordType::A, &["192.0.2.1"])));
    let provider = provider(&model);
    let none = Ownership::none();
    let (plan, basis) = plan_for(&provider, &zone(), &desired, &none, &PlanOptions::default()).await.unwrap();
    model.fail([Fault::None, Fault::Refused]);
    let failure = apply(&provider, &plan, Some(&basis), &Progress::none()).await.unwrap_err();
    assert!(failure.error.is(&codes::REFUSED), "{:?}", failure.error);
    assert_eq!(failure.error.request_id(), Some("req-422"));
    assert!(failure.error.to_string().contains("Something is wrong"), "{}", failure.error);
    assert_eq!(failure.applied, Applied::Some(vec![plan.changes[0].key().clone()]));
    model.fail([Fault::Forbidden]);
    let error = bring(&model, &desired, &mut Ownership::none()).await.unwrap_err();
    assert!(error.is(&codes::CREDENTIALS) && error.request_id() == Some("req-header"), "{error:?}");
}

fn fault() -> impl Strategy<Value = Fault> {
    prop_oneof![
        6 => Just(Fault::None),
        1 => Just(Fault::RetryAfter(7)),
        1 => Just(Fault::RetryAfter(1000)),
        1 => Just(Fault::Broken),
        2 => Just(Fault::BrokenAfter),
        1 => Just(Fault::CutBefore),
        2 => Just(Fault::CutAfter),
        1 => Just(Fault::Garbled),
        1 => Just(Fault::Refused),
    ]
}

prop_compose! {
    fn wished()(
        owner in prop::sample::select(vec!["example.com", "my.example.com", "*.example.com", "a.b.example.com"]),
        text in any::<bool>(),
        ttl in prop::sample::select(vec![30, 300]),
        numbers in prop::collection::btree_set(1..5u8, 1..4),
    ) -> RecordSet {
        let rtype = if text { RecordType::TXT } else { RecordType::A };
        let value = |n| if text { format!("text {n}") } else { format!("192.0.2.{n}") };
        let values: Vec<String> = numbers.into_iter().map(value).collect();
        let values = values.iter().map(String::as_str);
        RecordSet::parse(name(owner), Ttl::new(ttl).unwrap(), rtype, values).unwrap()
    }
}

fn cases() -> u32 {
    std::env::var("CLOUDRON_DNS_FAULT_CASES").ok().and_then(|n| n.parse().ok()).unwrap_or(300)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: cases(), failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whatever_fails_nothing_is_doubled_and_nothing_of_others_is_lost(
        foreign in prop::collection::btree_set((0..4usize, any::<bool>(), 5..8u8), 0..6),
        wishes in prop::collection::vec(prop::collection::vec(wished(), 0..5), 1..4),
        faults in prop::collection::vec(fault(), 0..40),
    ) {
        let model = model();
        for (owner, text, n) in foreign {
            let owner = ["@", "my", "*", "a.b"][owner];
            let data = if text { format!("text {n}") } else { format!("192.0.2.{n}") };
            let rtype = if text { "TXT" } else { "A" };
            model.lock().put("example.com", json!({"type": rtype, "name": owner, "data": data, "ttl": 300}));
        }
        let before = model.records("example.com");
        model.fail(faults);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        runtime.block_on(async {
            let mut ours = Ownership::none();
            for sets in wishes {
                let mut seen = BTreeSet::new();
                let unique: Vec<RecordSet> =
                    sets.into_iter().filter(|s| seen.insert(s.key().clone())).collect();
                let desired: Vec<Intent> = unique.into_iter().map(Intent::Include).collect();
                let mut tries = 0;
                while let Err(error) = bring(&model, &desired, &mut ours).await {
                    tries += 1;
                    assert!(tries < 60, "{error:?}");
                }
                assert_eq!(bring(&model, &desired, &mut ours).await.unwrap_or(0), 0);
            }
        });
        let after = model.records("example.com");
        for record in &before {
            let kept = after.iter().find(|r| r.id == record.id);
            prop_assert!(kept.is_some_and(|r| r.meaning() == record.meaning()), "{record:?} is lost");
        }
        let meanings: BTreeSet<String> = after.iter().map(|r| r.meaning()).collect();
        prop_assert_eq!(meanings.len(), after.len());
        let violations = model.lock().violations.clone();
        prop_assert_eq!(violations, Vec::<String>::new());
    }
}
