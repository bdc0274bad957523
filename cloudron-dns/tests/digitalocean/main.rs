//! The provider `digitalocean` against a strict model of DigitalOcean's interface.

#![allow(missing_docs, unreachable_pub)]

#[path = "../support/clock.rs"]
mod clock;
mod double;
mod faults;
mod kit;
mod model;
#[path = "../support/task.rs"]
mod task;
mod wire;
mod writers;

use std::sync::Arc;

use cloudron_core::{Progress, Secret};
use cloudron_dns::digitalocean::DigitalOcean;
use cloudron_dns::{
    Intent, Ownership, PlanOptions, RecordType, Scope, Ttl, Zone, apply, codes, find_zone, plan_for,
};
use model::{Model, TOKEN};
pub use task::{machine, name, set};

pub fn zone() -> Zone {
    Zone::new("example.com", name("example.com"))
}

pub fn provider(model: &Arc<Model>) -> DigitalOcean {
    DigitalOcean::with_transport(Secret::new(TOKEN), model.clone()).with_clock(model.clock.clone())
}

/// Creates a model with the zone example.com.
pub fn model() -> Arc<Model> {
    let model = Model::new();
    model.zone("example.com");
    model
}

/// Finds the zone, plans and applies, as one run of a program does, and returns the number of requests.
async fn run_once(model: &Arc<Model>, desired: &[Intent], ours: &mut Ownership, prune: bool) -> usize {
    let provider = provider(model);
    let zone = find_zone(&provider, &name("example.com")).await.unwrap();
    let options = PlanOptions::default().prune(prune).allow_mass_deletion(true);
    let (plan, basis) = plan_for(&provider, &zone, desired, ours, &options).await.unwrap();
    apply(&provider, &plan, Some(&basis), &Progress::none()).await.unwrap();
    *ours = plan.ownership;
    model.requests().len()
}

fn none_wrong(model: &Model) {
    assert_eq!(model.lock().violations, Vec::<String>::new());
}

#[tokio::test]
async fn a_machines_records_take_9_requests_then_1_then_3_then_9_with_the_search_for_the_zone() {
    let model = model();
    let mut ours = Ownership::none();
    assert_eq!(run_once(&model, &machine("example.com", "192.0.2.1"), &mut ours, false).await, 9);
    assert_eq!(run_once(&model, &machine("example.com", "192.0.2.1"), &mut ours, false).await, 1);
    model.lock().watched = Some(("my".into(), "A".into()));
    assert_eq!(run_once(&model, &machine("example.com", "192.0.2.2"), &mut ours, false).await, 3);
    assert_eq!(model.records("example.com").len(), 4 + 8);
    model.lock().watched = None;
    assert_eq!(run_once(&model, &[], &mut ours, true).await, 9);
    assert_eq!(model.records("example.com").len(), 4);
    none_wrong(&model);
}

#[tokio::test]
async fn the_zone_with_the_longest_name_is_found_over_all_pages() {
    let model = model();
    for n in 0..450 {
        model.zone(&format!("a{n}.example.net"));
    }
    model.zone("sub.example.com");
    model.zone("ample.com");
    let provider = provider(&model);
    assert_eq!(find_zone(&provider, &name("x.sub.example.com")).await.unwrap().id, "sub.example.com");
    assert_eq!(model.requests().len(), 3);
    assert_eq!(find_zone(&provider, &name("my.example.com")).await.unwrap().id, "example.com");
    let error = find_zone(&provider, &name("example.org")).await.unwrap_err();
    assert!(error.is(&codes::ZONE_NOT_FOUND), "{error:?}");
    none_wrong(&model);
}

#[tokio::test]
async fn a_zone_of_10000_records_is_read_in_50_requests() {
    use cloudron_dns::DnsProvider;
    let model = model();
    for n in 0..9_996 {
        let record =
            serde_json::json!({"type": "A", "name": format!("n{n}"), "data": "192.0.2.1", "ttl": 60});
        model.lock().put("example.com", record);
    }
    let snapshot = provider(&model).read(&zone(), Scope::Zone).await.unwrap();
    assert_eq!(snapshot.sets.len(), 9_996 + 2);
    assert_eq!(model.requests().len(), 50);
    none_wrong(&model);
}

#[tokio::test]
async fn a_zone_that_shrinks_while_its_pages_are_read_is_read_again() {
    use cloudron_dns::DnsProvider;
    let model = model();
    for n in 0..300 {
        let record =
            serde_json::json!({"type": "A", "name": format!("n{n}"), "data": "192.0.2.1", "ttl": 60});
        model.lock().put("example.com", record);
    }
    model.lock().shifts = 1;
    let snapshot = provider(&model).read(&zone(), Scope::Zone).await.unwrap();
    assert_eq!(snapshot.sets.len(), 299 + 2);
    let there = |n: usize| snapshot.at(&name(&format!("n{n}.example.com"))).count();
    assert!(there(0) == 0 && (1..300).all(|n| there(n) == 1));
    assert_eq!(model.requests().len(), 4);
}

#[tokio::test]
async fn equal_records_of_a_set_all_go() {
    let model = model();
    for _ in 0..3 {
        let record = serde_json::json!({"type": "A", "name": "my", "data": "192.0.2.1", "ttl": 300});
        model.lock().put("example.com", record);
    }
    let mut ours = Ownership::from(vec![set("my.example.com", RecordType::A, &["192.0.2.1"])]);
    run_once(&model, &[], &mut ours, true).await;
    assert_eq!(model.records("example.com").len(), 4);
    none_wrong(&model);
}

#[tokio::test]
async fn a_short_time_to_live_becomes_30_seconds_and_stays() {
    let model = model();
    let wish = [Intent::Exactly(set("my.example.com", RecordType::A, &["192.0.2.1"]).with_ttl(Ttl::MIN))];
    let mut ours = Ownership::none();
    run_once(&model, &wish, &mut ours, false).await;
    assert_eq!(run_once(&model, &wish, &mut ours, false).await, 1);
    assert_eq!(model.records("example.com")[4].fields["ttl"], 30);
    none_wrong(&model);
}

#[tokio::test]
async fn neither_the_provider_nor_its_errors_show_the_token() {
    let model = model();
    model.fail([model::Fault::Unauthorized]);
    let provider = provider(&model);
    let error = find_zone(&provider, &name("example.com")).await.unwrap_err();
    assert!(error.is(&codes::CREDENTIALS), "{error:?}");
    assert_eq!(error.request_id(), Some("req-401"));
    let shown = format!("{error} {error:?} {provider:?}");
    assert!(!shown.contains(TOKEN) && shown.contains("Unable to authenticate"), "{shown}");
    let odd = DigitalOcean::with_transport(Secret::new("a\nb"), model);
    let error = find_zone(&odd, &name("example.com")).await.unwrap_err();
    assert!(error.is(&codes::CREDENTIALS) && !format!("{error:?}").contains("a\nb"), "{error:?}");
}
