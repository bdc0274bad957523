//! What a provider tells without making anything: plan, policy, regions and sizes.

use std::collections::BTreeSet;

use cloudron_provision::CloudProvider;
use cloudron_provision::cloud::{Cloud, Cost};
use cloudron_provision::ec2::Service;
use cloudron_provision::ec2::permissions;

use super::bench::{Bench, FQDN};
use super::life::split;

#[test]
fn the_plan_names_the_cost_and_the_calls_and_changes_nothing() {
    for own in [false, true] {
        let Some(mut bench) = Bench::new() else { return };
        (bench.settings.own_vpc, bench.settings.elastic_ip) = (own, own);
        let provider = bench.provider();
        let plan = bench.process((0, false), async move { provider.plan(FQDN).await }).unwrap().unwrap();
        let Cost::Monthly(amount) = plan.cost() else { panic!("{plan:?}") };
        // The instance, 30 GiB, and the address.
        assert_eq!(amount.to_string(), "21.24 USD");
        assert_eq!(bench.resources(), [""; 0]);
        let planned: Vec<&str> = plan.calls.iter().filter(|c| !c.polled).map(|c| c.call).collect();
        let _ = bench.gate.take_calls();
        bench.create(bench.home().path()).unwrap();
        let (mut calls, _) = split(&bench.gate.take_calls());
        // The parameter is asked of another service, and the route of IPv6 is the same call again.
        let planned: Vec<&str> = planned.into_iter().filter(|call| *call != "GetParameter").collect();
        calls.dedup_by(|a, b| a == b && a == "CreateRoute");
        assert_eq!(calls, planned);
    }
}

#[test]
fn the_policy_allows_every_call_of_a_life_and_deletes_only_what_is_marked() {
    let Some(mut bench) = Bench::new() else { return };
    (bench.settings.own_vpc, bench.settings.elastic_ip) = (true, true);
    let policy = bench.provider().policy(FQDN);
    bench.create(bench.home().path()).unwrap();
    bench.adopt = true;
    bench.take_over().unwrap();
    bench.destroy().unwrap();
    let called: BTreeSet<String> = bench.gate.take_calls().into_iter().collect();
    let mut allowed = BTreeSet::new();
    for statement in policy["Statement"].as_array().unwrap() {
        let actions = statement["Action"].as_array().unwrap().iter().map(|a| a.as_str().unwrap().to_owned());
        let tagged = statement["Condition"]["StringEquals"]["aws:ResourceTag/cloudron:fqdn"] == FQDN;
        for action in actions {
            let destructive = ["Delete", "Terminate", "Release", "Detach", "Modify"];
            let destroys = destructive.iter().any(|word| action.contains(word));
            assert!(tagged || !destroys, "{action} is not limited");
            allowed.insert(action);
        }
    }
    for call in called {
        for needed in permissions::of(Service::Ec2, &call) {
            assert!(allowed.contains(&needed), "{needed} is missing");
        }
    }
    assert!(!allowed.iter().any(|action| action.contains('*')));
    println!("{} permissions: {allowed:?}", allowed.len());
    // Less is asked for where less is made.
    (bench.settings.own_vpc, bench.settings.elastic_ip) = (false, false);
    let less = bench.provider().policy(FQDN).to_string();
    let names: BTreeSet<&str> = less.split('"').filter(|word| word.contains(':')).collect();
    let names = names.into_iter().filter(|word| *word != "ec2:CreateAction" && !word.contains('/'));
    let names: Vec<&str> =
        names.filter(|word| word.starts_with("ec2:") || word.starts_with("ssm:")).collect();
    println!("{} permissions where less is made", names.len());
    assert!(names.len() <= 26, "{names:?}");
    assert!(!less.contains("Address\"") && !less.contains("PassRole"), "{less}");
    bench.settings.instance_profile = Some("backups".into());
    assert!(bench.provider().policy(FQDN).to_string().contains("iam:PassRole"));
}

#[test]
fn regions_and_sizes_are_listed_with_what_is_known_of_their_cost() {
    let Some(bench) = Bench::new() else { return };
    let provider = bench.provider();
    let (regions, sizes, none) = bench
        .process((0, false), async move {
            (
                provider.regions().await,
                provider.sizes("us-east-1").await,
                provider.sizes("xx-nowhere-1").await,
            )
        })
        .unwrap();
    let regions = regions.unwrap();
    assert!(regions.iter().any(|region| region.name == "eu-central-1" && region.available));
    let sizes = sizes.unwrap();
    let small = sizes.iter().find(|size| size.name == "t3.small").unwrap();
    assert_eq!((small.processors, small.memory, &*small.architecture), (2, 2048, "x86_64"));
    assert!(matches!(&small.cost, Cost::Monthly(amount) if amount.to_string() == "15.19 USD"));
    assert!(sizes.iter().any(|size| size.architecture == "aarch64"));
    assert!(matches!(sizes.last().unwrap().cost, Cost::Unknown), "what is not in the table comes last");
    assert_eq!(none.unwrap_err().code().name, "cloud-not-found");
    assert_eq!(bench.provider().name(), "ec2");
}
