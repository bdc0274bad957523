//! The provider against the double that the clouds' tests share: the DNS and the machines of one account.

use std::net::Ipv4Addr;

use cloudron_core::{Progress, Secret};
use cloudron_dns::digitalocean::DigitalOcean;
use cloudron_dns::{Ownership, PlanOptions, apply, find_zone, plan_for};
use cloudron_testkit::clouds::Boot;
use cloudron_testkit::clouds::digitalocean::DigitalOcean as Double;
use serde_json::json;

use crate::{machine, name};

#[tokio::test]
async fn the_records_of_a_machine_are_made_changed_and_removed_in_the_account_of_its_cloud() {
    let double = Double::start("token", |_: &Boot| Ipv4Addr::LOCALHOST);
    assert_eq!(double.put("POST", "/domains", &json!({ "name": "example.com" })).status, 201);
    let provider = DigitalOcean::new(Secret::new("token")).unwrap().at(double.endpoint()).unwrap();
    let zone = find_zone(&provider, &name("example.com")).await.unwrap();
    let options = PlanOptions::default().prune(true).allow_mass_deletion(true);
    let mut ours = Ownership::none();
    let mut addresses = Vec::new();
    for wanted in [machine("example.com", "192.0.2.1"), machine("example.com", "192.0.2.2"), Vec::new()] {
        let (plan, basis) = plan_for(&provider, &zone, &wanted, &ours, &options).await.unwrap();
        apply(&provider, &plan, Some(&basis), &Progress::none()).await.unwrap();
        ours = plan.ownership;
        let records = double.objects("domain_records");
        let my = records.iter().find(|r| r["type"] == "A" && r["name"] == "my").map(|r| r["data"].clone());
        addresses.push((records.len(), my));
    }
    // The zone's own records are an SOA and three NS.
    let expected = [(12, Some(json!("192.0.2.1"))), (12, Some(json!("192.0.2.2"))), (4, None)];
    assert_eq!(addresses, expected);
}
