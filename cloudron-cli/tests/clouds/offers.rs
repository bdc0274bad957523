//! Regions, sizes, costs and policies.

use cloudron_testkit::clouds::Boot;
use cloudron_testkit::clouds::hetzner::Hetzner;
use serde_json::Value;

use crate::bench::{TOKEN, private};
use crate::common::{Home, Run};

fn cloud() -> (Home, Hetzner) {
    let home = Home::new();
    private(&home, "token", TOKEN);
    (home, Hetzner::start(TOKEN, |_: &Boot| std::net::Ipv4Addr::LOCALHOST))
}

fn run(home: &Home, cloud: &Hetzner, words: &str) -> Run {
    let account = ["--token", "file:token", "--endpoint", cloud.endpoint()];
    home.run(&words.split(' ').chain(account).collect::<Vec<_>>())
}

fn json(home: &Home, cloud: &Hetzner, words: &str) -> Value {
    serde_json::from_str(&run(home, cloud, &format!("{words} --output json")).ok()).unwrap()
}

#[test]
fn the_regions_and_the_sizes_of_a_cloud_are_listed_with_prices() {
    let (home, cloud) = cloud();
    let regions = run(&home, &cloud, "machine regions hetzner").ok();
    assert!(regions.contains("fsn1") && regions.contains("Falkenstein"), "{regions}");
    let sizes = run(&home, &cloud, "machine sizes hetzner --location fsn1").ok();
    assert!(sizes.starts_with("Size ") && sizes.contains("cx23") && sizes.contains(" EUR"), "{sizes}");
    let list = json(&home, &cloud, "machine sizes hetzner --region fsn1");
    let cheapest = &list["sizes"][0];
    assert!(cheapest["cost"]["micros"].is_u64() && cheapest["memory"].is_u64(), "{cheapest}");
    assert!(json(&home, &cloud, "machine regions hetzner")["regions"].as_array().unwrap().len() > 1);
    run(&home, &cloud, "machine sizes hetzner --region nowhere").failed(3, "cloud-not-found", "nowhere");
}

#[test]
fn the_cost_of_a_machine_needs_no_key_and_changes_nothing() {
    let (home, cloud) = cloud();
    let cost = run(&home, &cloud, "cost hetzner --type cx23 --network").ok();
    for part in ["server ", "ipv4-address", "network", "Total a month, without tax: ", " EUR"] {
        assert!(cost.contains(part), "no {part} in {cost}");
    }
    let cost = json(&home, &cloud, "cost hetzner --type cx23");
    assert!(cost["cost"]["total"]["micros"].as_u64().unwrap() > 1_000_000, "{cost}");
    assert!(cloud.take_calls().iter().all(|(method, _)| method == "GET"));
    assert!(cloud.resources().is_empty());
}

#[test]
fn a_policy_is_printed_without_asking_anybody() {
    let home = Home::new();
    assert!(home.ok(&["policy", "hetzner"]).contains("Read & Write"));
    let policy = home.json(&["policy", "hetzner", "--network"]);
    assert!(policy["policy"]["permissions"][0].as_str().unwrap().contains("token"));
}

#[test]
fn a_dry_run_says_what_is_made_what_it_costs_and_what_is_needed_and_makes_nothing() {
    let (home, cloud) = cloud();
    let key = home.path("k");
    let made = std::process::Command::new("ssh-keygen")
        .args(["-q", "-t", "ed25519", "-N", "", "-f"])
        .arg(&key)
        .status();
    assert!(made.unwrap().success());
    let create = "machine create hetzner --fqdn example.com --ssh-key ./k --dns none --network --dry-run";
    let plan = run(&home, &cloud, create).ok();
    for part in [
        "my.example.com",
        "cloudron-example.com",
        "POST /servers",
        "Total a month",
        "Read & Write",
        "No DNS records are written",
        "10.0.0.0/16",
    ] {
        assert!(plan.contains(part), "no {part} in {plan}");
    }
    let plan = json(&home, &cloud, create);
    assert!(plan["steps"].as_array().unwrap().len() > 5, "{plan}");
    assert!(plan["plan"]["calls"].as_array().unwrap().len() >= 11 && plan["records"].is_null(), "{plan}");
    assert!(cloud.take_calls().iter().all(|(method, _)| method == "GET"));
    assert!(cloud.resources().is_empty() && !home.path(".local/state/cloudron/runs").exists());
}
