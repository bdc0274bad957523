//! The provider `cloudflare` against a strict model of Cloudflare's interface.

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

use cloudron_core::{ErrorKind, Progress, Secret};
use cloudron_dns::cloudflare::Cloudflare;
use cloudron_dns::{
    Applied, DnsProvider, Intent, Ownership, PlanOptions, RecordType, Scope, Ttl, Zone, apply, codes,
    find_zone, plan_for,
};
use model::{TOKEN, ZONE};
use proptest::prelude::*;
use rest::{Fault, bring, cases, fault, name, run_once, set, survives, unique, wish, wished};
use serde_json::json;
use task::machine;

type Model = rest::Model<model::Cloudflare>;

fn zone() -> Zone {
    Zone::new(ZONE, name("example.com"))
}

fn provider(model: &Arc<Model>) -> Cloudflare {
    Cloudflare::with_transport(Secret::new(TOKEN), model.clone()).with_clock(model.clock.clone())
}

fn model() -> Arc<Model> {
    Model::new(model::Cloudflare::default().with_zone(ZONE, "example.com"))
}

fn put(model: &Model, record: serde_json::Value) {
    model.lock().service.put(ZONE, record);
}

#[tokio::test]
async fn a_machines_records_take_3_requests_then_2_then_3_then_3_with_the_search_for_the_zone() {
    let model = model();
    let mut ours = Ownership::none();
    let mut counts = Vec::new();
    for (wishes, prune) in [
        (machine("example.com", "192.0.2.1"), false),
        (machine("example.com", "192.0.2.1"), false),
        (machine("example.com", "192.0.2.2"), false),
        (vec![], true),
    ] {
        run_once(&provider(&model), &wishes, &mut ours, prune).await;
        counts.push(model.requests().len());
    }
    assert_eq!(counts, [3, 2, 3, 3]);
    assert_eq!(model.records(), Vec::<String>::new());
    model.none_wrong();
}

#[tokio::test]
async fn a_change_of_address_keeps_the_record_with_its_id_and_comment() {
    let model = model();
    put(
        &model,
        json!({"type": "A", "name": "my.example.com", "content": "192.0.2.1", "ttl": 300, "comment": "x"}),
    );
    let ids = model.lock().service.ids();
    let mut ours = Ownership::from(vec![set("my.example.com", RecordType::A, &["192.0.2.1"])]);
    let moved = [Intent::Exactly(set("my.example.com", RecordType::A, &["192.0.2.2"]))];
    bring(&provider(&model), &zone(), &moved, &mut ours).await.unwrap();
    assert_eq!(model.records(), ["my.example.com A 192.0.2.2 x"]);
    assert_eq!(model.lock().service.ids(), ids);
    model.none_wrong();
}

#[tokio::test]
async fn what_is_proxied_kept_by_cloudflare_or_flattened_is_listed_and_never_overwritten() {
    let model = model();
    put(
        &model,
        json!({"type": "A", "name": "my.example.com", "content": "192.0.2.9", "ttl": 1, "proxied": true}),
    );
    let meta = json!({"read_only": true, "email_routing": true});
    put(
        &model,
        json!({"type": "MX", "name": "example.com", "content": "route1.mx.cloudflare.net",
                       "priority": 1, "ttl": 1, "meta": meta}),
    );
    put(&model, json!({"type": "CNAME", "name": "example.com", "content": "pages.example.net", "ttl": 1}));
    put(&model, json!({"type": "LOC", "name": "example.com", "content": "x", "data": {"size": 1}, "ttl": 1}));
    let provider = provider(&model);
    let read = provider.read(&zone(), Scope::Zone).await.unwrap();
    assert!(read.sets.len() == 4 && read.sets.values().all(|set| set.plain().is_none()), "{read:?}");
    let before = model.records();
    let mx = Intent::Exactly(set("example.com", RecordType::MX, &["10 my.example.com"]));
    for wish in [wish(), vec![mx]] {
        let error = bring(&provider, &zone(), &wish, &mut Ownership::none()).await.unwrap_err();
        assert!(error.is(&codes::CONFLICT), "{error:?}");
    }
    assert_eq!(model.records(), before);
    model.none_wrong();
}

#[tokio::test]
async fn types_that_are_not_written_are_read() {
    let model = model();
    let known = [
        ("LOC", "52 22 23.000 N 4 53 32.000 E -2.00m 1.00m 10000.00m 10.00m"),
        ("HTTPS", "1 . alpn=\"h2,h3\" port=8443"),
        ("NAPTR", r#"10 10 "u" "E2U+sip" "!^(.*)$!sip:\\1@x!" ."#),
        ("SSHFP", "4 2 00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"),
    ];
    for (rtype, content) in known {
        put(&model, json!({"type": rtype, "name": "a.example.com", "content": content, "ttl": 300}));
    }
    let read = provider(&model).read(&zone(), Scope::Zone).await.unwrap();
    for (rtype, content) in known {
        let wanted = set("a.example.com", rtype.parse().unwrap(), &[content]);
        assert_eq!(read.get(wanted.key()), Some(&wanted), "{rtype}");
    }
    model.none_wrong();
}

#[tokio::test]
async fn an_automatic_time_to_live_is_300_seconds_and_stays_automatic() {
    let model = model();
    put(&model, json!({"type": "A", "name": "my.example.com", "content": "192.0.2.1", "ttl": 1}));
    let mut ours = Ownership::from(wish_sets());
    assert_eq!(bring(&provider(&model), &zone(), &wish(), &mut ours).await.unwrap(), 0);
    let moved = [Intent::Exactly(set("my.example.com", RecordType::A, &["192.0.2.2"]))];
    bring(&provider(&model), &zone(), &moved, &mut ours).await.unwrap();
    assert_eq!(model.lock().service.zones[0].2[0]["ttl"], 1);
    let slow = [Intent::Exactly(
        set("my.example.com", RecordType::A, &["192.0.2.2"]).with_ttl(Ttl::new(3600).unwrap()),
    )];
    bring(&provider(&model), &zone(), &slow, &mut ours).await.unwrap();
    assert_eq!(model.lock().service.zones[0].2[0]["ttl"], 3600);
    model.none_wrong();
}

fn wish_sets() -> Vec<cloudron_dns::RecordSet> {
    vec![set("my.example.com", RecordType::A, &["192.0.2.1"])]
}

#[tokio::test]
async fn the_zone_with_the_longest_name_is_found_over_all_pages_and_private_ones_do_not_count() {
    let mut service = model::Cloudflare::default();
    for n in 0..120 {
        service = service.with_zone(&format!("{n}"), &format!("a{n}.example.net"));
    }
    let model = Model::new(service.with_zone(ZONE, "example.com").with_zone("sub", "sub.example.com"));
    let provider = provider(&model);
    assert_eq!(find_zone(&provider, &name("x.sub.example.com")).await.unwrap().id, "sub");
    assert_eq!(model.requests().len(), 3);
    assert_eq!(find_zone(&provider, &name("example.com")).await.unwrap().id, ZONE);
    assert_eq!(model.requests().len(), 1);
    let error = find_zone(&provider, &name("example.org")).await.unwrap_err();
    assert!(error.is(&codes::ZONE_NOT_FOUND), "{error:?}");
    let gone = provider.read(&Zone::new("gone", name("example.com")), Scope::Zone).await.unwrap_err();
    assert!(gone.is(&codes::ZONE_NOT_FOUND), "{gone:?}");
    model.none_wrong();
}

#[tokio::test]
async fn a_zone_of_10000_records_is_read_in_2_requests_and_again_when_it_shrinks_meanwhile() {
    let model = model();
    for n in 0..10_000 {
        put(
            &model,
            json!({"type": "A", "name": format!("n{n}.example.com"), "content": "192.0.2.1", "ttl": 60}),
        );
    }
    assert_eq!(provider(&model).read(&zone(), Scope::Zone).await.unwrap().sets.len(), 10_000);
    assert_eq!(model.requests().len(), 2);
    model.lock().service.shifts = 1;
    assert_eq!(provider(&model).read(&zone(), Scope::Zone).await.unwrap().sets.len(), 9_999);
    assert_eq!(model.requests().len(), 4);
    model.none_wrong();
}

#[tokio::test]
async fn a_plan_of_many_records_is_several_batches_of_at_most_200() {
    let model = model();
    let many =
        |n| Intent::Exactly(set(&format!("n{n}.example.com"), RecordType::A, &["192.0.2.1", "192.0.2.2"]));
    let desired: Vec<Intent> = (0..250).map(many).collect();
    assert_eq!(bring(&provider(&model), &zone(), &desired, &mut Ownership::none()).await.unwrap(), 250);
    let batches = model.lock().service.batches.clone();
    assert_eq!((batches.iter().sum::<usize>(), batches.iter().max()), (500, Some(&200)));
    let values: Vec<String> = (0..201).map(|n| format!("text {n}")).collect();
    let values: Vec<&str> = values.iter().map(String::as_str).collect();
    let huge = [Intent::Exactly(set("huge.example.com", RecordType::TXT, &values))];
    let error = bring(&provider(&model), &zone(), &huge, &mut Ownership::none()).await.unwrap_err();
    assert!(error.is(&codes::CONFLICT) && error.message().contains("more than 200 records"), "{error:?}");
    model.none_wrong();
}

#[tokio::test]
async fn a_batch_of_a_longer_plan_that_fails_leaves_the_earlier_ones_and_says_so() {
    let model = model();
    let many = |n| Intent::Exactly(set(&format!("n{n:03}.example.com"), RecordType::A, &["192.0.2.1"]));
    let desired: Vec<Intent> = (0..250).map(many).collect();
    let provider = provider(&model);
    let none = Ownership::none();
    let (plan, basis) = plan_for(&provider, &zone(), &desired, &none, &PlanOptions::default()).await.unwrap();
    model.fail([Fault::None, Fault::Status(422)]);
    let failure = apply(&provider, &plan, Some(&basis), &Progress::none()).await.unwrap_err();
    let Applied::Some(keys) = failure.applied else { panic!("{:?}", failure.applied) };
    assert_eq!((keys.len(), model.records().len()), (200, 200));
}

#[tokio::test]
async fn a_batch_whose_answer_was_lost_is_not_sent_twice_and_one_that_was_not_done_is() {
    for (fault, requests) in [
        (Fault::CutAfter, 3),
        (Fault::BrokenAfter, 3),
        (Fault::Garbled, 3),
        (Fault::CutBefore, 4),
        (Fault::Broken, 4),
        (Fault::RetryAfter(40), 3),
    ] {
        let model = model();
        model.fail([Fault::None, fault]);
        bring(&provider(&model), &zone(), &wish(), &mut Ownership::none()).await.unwrap();
        assert_eq!(model.requests().len(), requests, "{fault:?}");
        assert_eq!(model.records(), ["my.example.com A 192.0.2.1 "]);
        model.none_wrong();
    }
}

#[tokio::test]
async fn a_record_that_is_gone_meanwhile_fails_the_whole_batch_as_stale() {
    let model = model();
    put(&model, json!({"type": "A", "name": "my.example.com", "content": "192.0.2.1", "ttl": 300}));
    let provider = provider(&model);
    let ours = Ownership::from(wish_sets());
    let text = Intent::Exactly(set("a.example.com", RecordType::TXT, &["x"]));
    let moved = [text, Intent::Exactly(set("my.example.com", RecordType::A, &["192.0.2.2"]))];
    let (plan, basis) = plan_for(&provider, &zone(), &moved, &ours, &PlanOptions::default()).await.unwrap();
    model.lock().service.zones[0].2.clear();
    let failure = apply(&provider, &plan, Some(&basis), &Progress::none()).await.unwrap_err();
    assert!(failure.error.is(&codes::STALE), "{:?}", failure.error);
    assert_eq!(failure.applied, Applied::Nothing);
    assert_eq!(model.records(), Vec::<String>::new());
}

#[tokio::test]
async fn neither_the_provider_nor_its_errors_show_the_token_and_the_hint_names_the_permissions() {
    for status in [400, 401, 403] {
        let model = model();
        model.fail([Fault::Status(status)]);
        let provider = provider(&model);
        let error = find_zone(&provider, &name("example.com")).await.unwrap_err();
        assert!(error.is(&codes::CREDENTIALS) && error.kind() == ErrorKind::Denied, "{error:?}");
        assert!(error.hint().unwrap().contains("DNS: Edit"), "{error:?}");
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
    ) {
        let model = model();
        for set in unique(foreign) {
            for value in set.values() {
                put(&model, json!({"type": set.rtype().to_string(), "name": set.name().without_dot(),
                                   "content": value.to_string(), "ttl": set.ttl().seconds(), "comment": "theirs"}));
            }
        }
        survives(&model, &provider(&model), &zone(), wishes, faults);
    }
}
