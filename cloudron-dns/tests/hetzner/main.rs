//! The provider `hetzner` against a strict model of the interface of Hetzner's cloud.

#![allow(missing_docs, unreachable_pub)]

#[path = "../support/clock.rs"]
mod clock;
mod kit;
mod model;
#[path = "../support/rest.rs"]
mod rest;
#[path = "../support/rest_kit.rs"]
mod rest_kit;
#[path = "../support/task.rs"]
mod task;

use std::sync::Arc;
use std::time::Duration;

use cloudron_core::{ErrorKind, Progress, Secret};
use cloudron_dns::hetzner::Hetzner;
use cloudron_dns::{
    Applied, DnsProvider, Intent, Ownership, PlanOptions, RecordSet, RecordType, Scope, Ttl, Zone, apply,
    codes, find_zone, plan_for,
};
use model::{TOKEN, ZONE};
use proptest::prelude::*;
use rest::{Fault, bring, cases, fault, name, run_once, set, survives, unique, wish, wished};
use task::machine;

type Model = rest::Model<model::Hetzner>;

fn zone() -> Zone {
    Zone::new(ZONE.to_string(), name("example.com"))
}

fn provider(model: &Arc<Model>) -> Hetzner {
    Hetzner::with_transport(Secret::new(TOKEN), model.clone()).with_clock(model.clock.clone())
}

fn model() -> Arc<Model> {
    Model::new(model::Hetzner::default().with_zone(ZONE, "example.com"))
}

/// Creates a model with delayed changes.
fn slow() -> Arc<Model> {
    let model = model();
    model.lock().service.delay = Duration::from_secs(3);
    model
}

fn ours(sets: &[RecordSet]) -> Ownership {
    Ownership::from(sets.to_vec())
}

#[tokio::test]
async fn a_machines_records_take_11_requests_then_2_then_5_then_11_with_the_search_and_one_look_at_the_end() {
    let model = model();
    let mut ours = Ownership::none();
    let mut counts = Vec::new();
    for (wishes, prune) in [
        (machine("example.com", "192.0.2.1"), false),
        (machine("example.com", "192.0.2.1"), false),
        (machine("example.com", "192.0.2.2"), false),
        (vec![], true),
    ] {
        // The two sets of a change of address are never without a value.
        let moving = wishes == machine("example.com", "192.0.2.2");
        model.lock().watched = moving.then(|| "my A".into());
        run_once(&provider(&model), &wishes, &mut ours, prune).await;
        model.lock().watched = None;
        counts.push(model.requests().len());
    }
    assert_eq!(counts, [11, 2, 5, 11]);
    assert_eq!(model.records(), Vec::<String>::new());
    model.none_wrong();
}

#[tokio::test]
async fn comments_and_labels_stay_and_a_time_to_live_is_changed_after_the_values() {
    let model = slow();
    model.lock().service.put("my", "A", None, &[("192.0.2.1", "office")]);
    let there = set("my.example.com", RecordType::A, &["192.0.2.1"]).with_ttl(Ttl::new(3600).unwrap());
    let more = set("my.example.com", RecordType::A, &["192.0.2.1", "192.0.2.2"]);
    bring(&provider(&model), &zone(), &[Intent::Exactly(more)], &mut ours(&[there])).await.unwrap();
    assert_eq!(model.records(), ["my A 192.0.2.1 office", "my A 192.0.2.2 "]);
    let kept = model.lock().service.sets(ZONE)[&("my".into(), "A".into())].clone();
    assert_eq!((kept.ttl, kept.labels), (Some(300), serde_json::json!({"team": "web"})));
    let writes: Vec<String> = model.requests().into_iter().filter(|line| line.starts_with("POST")).collect();
    assert!(writes.len() == 2 && writes[0].ends_with("set_records") && writes[1].ends_with("change_ttl"));
    model.none_wrong();
}

#[tokio::test]
async fn a_set_without_a_time_to_live_of_its_own_has_the_zones() {
    let model = model();
    model.lock().service.put("my", "A", None, &[("192.0.2.1", "")]);
    let read = provider(&model).read(&zone(), Scope::Zone).await.unwrap();
    let line = "my.example.com. 3600 IN A 192.0.2.1";
    assert_eq!(read.at(&name("my.example.com")).next().unwrap().to_string(), line);
}

#[tokio::test]
async fn a_protected_set_fails_the_plan_before_anything_is_sent() {
    let model = model();
    model.lock().service.put("my", "A", Some(300), &[("192.0.2.1", "")]);
    model.lock().service.sets(ZONE).get_mut(&("my".into(), "A".into())).unwrap().protected = true;
    let there = set("my.example.com", RecordType::A, &["192.0.2.1"]);
    let provider = provider(&model);
    assert_eq!(bring(&provider, &zone(), &wish(), &mut ours(std::slice::from_ref(&there))).await.unwrap(), 0);
    let moved = [
        Intent::Exactly(set("a.example.com", RecordType::A, &["192.0.2.2"])),
        Intent::Exactly(set("my.example.com", RecordType::A, &["192.0.2.2"])),
    ];
    let error = bring(&provider, &zone(), &moved, &mut ours(&[there])).await.unwrap_err();
    assert!(error.is(&codes::REFUSED) && error.hint().unwrap().contains("console"), "{error:?}");
    assert_eq!(model.records(), ["my A 192.0.2.1 "]);
    model.none_wrong();
}

#[tokio::test]
async fn the_zone_with_the_longest_name_is_found_over_all_pages() {
    let mut service = model::Hetzner::default();
    for n in 0..120 {
        service = service.with_zone(1000 + n, &format!("a{n}.example.net"));
    }
    let model = Model::new(service.with_zone(ZONE, "example.com").with_zone(43, "sub.example.com"));
    let provider = provider(&model);
    assert_eq!(find_zone(&provider, &name("x.sub.example.com")).await.unwrap().id, "43");
    assert_eq!(model.requests().len(), 3);
    assert_eq!(find_zone(&provider, &name("example.com")).await.unwrap().id, ZONE.to_string());
    assert_eq!(model.requests().len(), 1);
    let error = find_zone(&provider, &name("example.org")).await.unwrap_err();
    assert!(error.is(&codes::ZONE_NOT_FOUND), "{error:?}");
    let gone = provider.read(&Zone::new("7", name("example.com")), Scope::Zone).await.unwrap_err();
    assert!(gone.is(&codes::ZONE_NOT_FOUND), "{gone:?}");
    model.none_wrong();
}

#[tokio::test]
async fn a_zone_of_1000_sets_is_read_over_all_pages_also_where_they_are_shorter_than_asked_for() {
    for (clamp, requests) in [(None, 11), (Some(50), 21)] {
        let model = model();
        model.lock().service.clamp = clamp;
        for n in 0..998 {
            model.lock().service.put(&format!("n{n}"), "A", Some(60), &[("192.0.2.1", "")]);
        }
        assert_eq!(provider(&model).read(&zone(), Scope::Zone).await.unwrap().sets.len(), 1000);
        // One of them for the time to live of the zone.
        assert_eq!(model.requests().len(), requests);
        model.none_wrong();
    }
}

#[tokio::test]
async fn a_cname_takes_the_place_of_addresses_after_they_are_gone() {
    let model = slow();
    let mut ours = Ownership::none();
    bring(&provider(&model), &zone(), &wish(), &mut ours).await.unwrap();
    let cname = [Intent::Exactly(set("my.example.com", RecordType::CNAME, &["x.example.net"]))];
    bring(&provider(&model), &zone(), &cname, &mut ours).await.unwrap();
    assert_eq!(model.records(), ["my CNAME x.example.net. "]);
    model.none_wrong();
}

#[tokio::test]
async fn an_action_that_fails_fails_the_plan_and_the_next_run_finishes_it() {
    let model = slow();
    model.lock().service.failing = 1;
    let provider = provider(&model);
    let none = Ownership::none();
    let (plan, basis) = plan_for(&provider, &zone(), &wish(), &none, &PlanOptions::default()).await.unwrap();
    let failure = apply(&provider, &plan, Some(&basis), &Progress::none()).await.unwrap_err();
    assert!(failure.error.to_string().contains("it went wrong"), "{}", failure.error);
    assert_eq!(failure.applied, Applied::Unknown);
    bring(&provider, &zone(), &wish(), &mut Ownership::none()).await.unwrap();
    assert_eq!(model.records(), ["my A 192.0.2.1 "]);
    model.none_wrong();
}

#[tokio::test]
async fn an_action_that_never_ends_is_given_up() {
    let model = model();
    model.lock().service.delay = Duration::from_secs(100_000);
    let error = bring(&provider(&model), &zone(), &wish(), &mut Ownership::none()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TimedOut);
    assert!(model.requests().len() < 50);
}

#[tokio::test]
async fn a_set_whose_answer_was_lost_is_not_made_twice() {
    for model in [model(), slow()] {
        for fault in [
            Fault::CutAfter,
            Fault::BrokenAfter,
            Fault::Garbled,
            Fault::CutBefore,
            Fault::Broken,
            Fault::RetryAfter(40),
        ] {
            model.fail([Fault::None, Fault::None, fault]);
            let wishes = wish();
            let mut none = Ownership::none();
            bring(&provider(&model), &zone(), &wishes, &mut none).await.unwrap();
            assert_eq!(model.records(), ["my A 192.0.2.1 "], "{fault:?}");
            model.none_wrong();
            bring(&provider(&model), &zone(), &[], &mut none).await.unwrap();
            assert_eq!(model.records(), Vec::<String>::new());
        }
    }
}

#[tokio::test]
async fn a_refusal_says_why_and_what_was_written_before_it() {
    let model = slow();
    let mut desired = wish();
    desired.push(Intent::Exactly(set("z.example.com", RecordType::A, &["192.0.2.1"])));
    let provider = provider(&model);
    let none = Ownership::none();
    let (plan, basis) = plan_for(&provider, &zone(), &desired, &none, &PlanOptions::default()).await.unwrap();
    model.fail([Fault::None, Fault::Status(422)]);
    let failure = apply(&provider, &plan, Some(&basis), &Progress::none()).await.unwrap_err();
    assert!(
        failure.error.is(&codes::REFUSED) && failure.error.to_string().contains("records"),
        "{failure:?}"
    );
    assert_eq!(failure.applied, Applied::Some(vec![plan.changes[0].key().clone()]));
}

#[tokio::test]
async fn neither_the_provider_nor_its_errors_show_the_token_and_the_hint_names_the_permission() {
    for status in [401, 403] {
        let model = model();
        model.fail([Fault::Status(status)]);
        let provider = provider(&model);
        let error = find_zone(&provider, &name("example.com")).await.unwrap_err();
        assert!(error.is(&codes::CREDENTIALS) && error.hint().unwrap().contains("Read & Write"), "{error:?}");
        assert_eq!(error.request_id(), Some("ray-1"));
        let shown = format!("{error} {error:?} {provider:?}");
        assert!(!shown.contains(TOKEN) && shown.contains("no good"), "{shown}");
    }
}

proptest! {
    #![proptest_config(cases())]

    #[test]
    fn whatever_fails_nothing_is_doubled_and_nothing_of_others_is_lost(
        foreign in prop::collection::vec(wished(5..8), 0..6),
        wishes in prop::collection::vec(prop::collection::vec(wished(1..5), 0..5), 1..4),
        faults in prop::collection::vec(fault(), 0..40),
        delay in 0..4u64,
    ) {
        let model = model();
        for set in unique(foreign) {
            let values: Vec<String> = set.values().iter().map(ToString::to_string).collect();
            let records: Vec<(&str, &str)> = values.iter().map(|value| (value.as_str(), "theirs")).collect();
            let (name, rtype) = (set.name().relative_to(&name("example.com")), set.rtype().to_string());
            let ttl = Some(u64::from(set.ttl().seconds()));
            model.lock().service.put(&name, &rtype, ttl, &records);
        }
        model.lock().service.delay = Duration::from_secs(delay);
        survives(&model, &provider(&model), &zone(), wishes, faults);
    }
}
