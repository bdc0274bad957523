//! The life of a machine, and what it costs in calls.

use std::sync::atomic::Ordering;

use cloudron_provision::cloud::{Cloud, Cost};
use cloudron_provision::{CloudProvider, codes};
use serde_json::json;

use crate::bench::{Bench, FQDN, TOKEN, marks};

/// Returns the calls without polls, and the polls: look-ups of actions, and of droplets after they were deleted.
fn split(calls: &[(String, String)]) -> (Vec<String>, usize) {
    let (mut named, mut polls, mut deleted) = (Vec::new(), 0, false);
    for (method, path) in calls {
        let path = path.split('?').next().unwrap();
        let droplet = path.starts_with("/v2/droplets/");
        deleted |= method == "DELETE" && droplet;
        if method == "GET" && (path.starts_with("/v2/actions/") || (droplet && deleted)) {
            polls += 1;
        } else {
            named.push(format!("{method} {path}"));
        }
    }
    (named, polls)
}

fn tell(what: &str, calls: &[(String, String)], most: usize) {
    let (calls, polls) = split(calls);
    println!("{what}: {} calls and {polls} polls: {calls:?}", calls.len());
    assert!(calls.len() <= most && polls <= 8, "{what}: {calls:?}, {polls} polls");
}

#[test]
fn a_machine_is_made_and_removed_and_nothing_is_left() {
    for reserved in [false, true] {
        let mut bench = Bench::new();
        bench.settings.reserved_ip = reserved;
        bench.cloud.set(|settings| settings.polls = 3);
        let home = bench.home();
        let outputs = bench.create(home.path()).unwrap();
        tell(
            &format!("create, reserved {reserved}"),
            &bench.cloud.take_calls(),
            if reserved { 15 } else { 12 },
        );
        bench.assert_finished("created");
        let key = outputs["host-key"]["host_key"].as_str().unwrap();
        assert_eq!(key, bench.machine.ssh().host_public_key());
        assert_ne!(outputs["first-contact"]["host_key"], outputs["host-key"]["host_key"]);
        assert_eq!(outputs["machine"]["ipv4"], json!("127.0.0.1"));
        assert_eq!(outputs["machine"]["ipv6"], json!("2001:db8::d0"));
        let firewall = bench.cloud.objects("firewalls").remove(0);
        let count = |rules: &str| firewall[rules].as_array().unwrap().len();
        assert_eq!((count("inbound_rules"), count("outbound_rules")), (5, 3));
        let provider = bench.provider();
        let machines = bench.process((0, false), async move { provider.machines().await }).unwrap().unwrap();
        let shown = (&*machines[0].marks.fqdn, &*machines[0].state, machines[0].region.as_deref());
        assert_eq!((machines.len(), shown), (1, (FQDN, "active", Some("fra1"))));
        tell("list", &bench.cloud.take_calls(), 1);
        let removed = bench.destroy().unwrap();
        tell(
            &format!("destroy, reserved {reserved}"),
            &bench.cloud.take_calls(),
            if reserved { 12 } else { 8 },
        );
        let kinds: Vec<&str> = removed.iter().map(|removal| removal.kind).collect();
        assert_eq!(kinds, ["droplet", "ssh-key", "firewall", "tag"]);
        assert_eq!(bench.cloud.resources(), [""; 0]);
        assert_eq!(bench.destroy().unwrap(), []);
    }
}

#[test]
fn a_finished_run_that_is_resumed_changes_nothing() {
    let mut bench = Bench::new();
    bench.create(bench.home().path()).unwrap();
    let before = (bench.cloud.resources(), bench.cloud.objects("droplets"));
    let _ = bench.cloud.take_calls();
    bench.take_over().unwrap();
    assert!(bench.cloud.take_calls().iter().all(|(method, _)| method == "GET"));
    assert_eq!((bench.cloud.resources(), bench.cloud.objects("droplets")), before);
}

#[test]
fn a_key_that_the_account_has_is_used_and_left() {
    let mut bench = Bench::new();
    let theirs = json!({ "name": "work", "public_key": bench.settings.public_key });
    // As it is read from a file.
    bench.settings.public_key.push('\n');
    assert_eq!(bench.cloud.put("POST", "/account/keys", &theirs).status, 201);
    bench.create(bench.home().path()).unwrap();
    tell("create with a known key", &bench.cloud.take_calls(), 11);
    bench.destroy().unwrap();
    assert_eq!(bench.cloud.resources(), ["keys work"]);
}

#[test]
fn another_host_key_at_the_first_contact_is_refused_and_nothing_is_sent_or_left() {
    let bench = Bench::new();
    bench.machine.impostor.store(true, Ordering::SeqCst);
    let error = bench.create(bench.home().path()).unwrap_err();
    assert!(error.is(&codes::HOST_KEY_MISMATCH), "{error:?}");
    assert_eq!(*bench.machine.commands.lock().unwrap(), [""; 0]);
    assert_eq!(bench.cloud.resources(), [""; 0]);
}

#[test]
fn the_token_is_nowhere_but_in_its_header() {
    let bench = Bench::new();
    let home = bench.home();
    bench.create(home.path()).unwrap();
    let mut seen = format!("{:?} {:?}", bench.provider(), bench.cloud.take_calls());
    for kind in ["droplets", "firewalls", "keys", "tags", "actions"] {
        seen += &format!("{:?}", bench.cloud.objects(kind));
    }
    for entry in std::fs::read_dir(home.path()).unwrap() {
        seen += &String::from_utf8_lossy(&std::fs::read(entry.unwrap().path()).unwrap());
    }
    let one_time: Vec<String> = bench.cloud.user_data();
    assert!(one_time[0].contains("PRIVATE KEY") && seen.contains("host-key"));
    let private = serde_json::from_str::<serde_json::Value>(one_time[0].split_once('\n').unwrap().1).unwrap();
    let private = private["ssh_keys"]["ed25519_private"].as_str().unwrap().lines().nth(3).unwrap().to_owned();
    seen += &bench.machine.commands.lock().unwrap().join("\n");
    assert!(!seen.contains(&private), "the one-time key is only in user-data");
    bench.cloud.replace_token("another");
    let error = bench.create(bench.home().path()).unwrap_err();
    assert_eq!((error.code().name, error.kind().exit_code()), ("cloud-credentials", 4));
    seen += &format!("{error} {error:?} {}", one_time[0]);
    assert!(!seen.contains(TOKEN), "the token is in what is kept or shown");
}

#[test]
fn the_plan_names_the_cost_and_changes_nothing() {
    for reserved in [false, true] {
        let mut bench = Bench::new();
        bench.settings.reserved_ip = reserved;
        let provider = bench.provider();
        let plan = bench.process((0, false), async move { provider.plan(FQDN).await }).unwrap().unwrap();
        let Cost::Monthly(amount) = plan.cost() else { panic!("{plan:?}") };
        assert_eq!(amount.to_string(), "12.00 USD");
        assert_eq!(plan.permissions.contains(&"reserved_ip:create"), reserved);
        assert_eq!(bench.cloud.resources(), [""; 0]);
        let _ = bench.cloud.take_calls();
        bench.create(bench.home().path()).unwrap();
        let (calls, polls) = split(&bench.cloud.take_calls());
        let planned: Vec<&str> = plan.calls.iter().filter(|c| !c.polled).map(|c| c.call).collect();
        assert_eq!(calls.len(), planned.len(), "{calls:?}");
        for (call, planned) in calls.iter().zip(planned) {
            let (call, planned): (Vec<&str>, Vec<&str>) =
                (call.split('/').collect(), planned.split('/').collect());
            // What differs is in capital letters.
            let same = |(c, p): (&&str, &&str)| c == p || p.bytes().all(|b| b.is_ascii_uppercase());
            assert!(
                call.len() == planned.len() && call.iter().zip(&planned).all(same),
                "{call:?}, {planned:?}"
            );
        }
        assert!(polls >= 1);
    }
}

#[test]
fn regions_and_sizes_are_what_the_cloud_offers() {
    let bench = Bench::new();
    let provider = bench.provider();
    let offers = async move {
        let regions = provider.regions().await?;
        let (sizes, none) = (provider.sizes("sgp1").await?, provider.sizes("nbg1").await);
        Ok::<_, cloudron_core::Error>((regions, sizes, none.unwrap_err()))
    };
    let (regions, sizes, none) = bench.process((0, false), offers).unwrap().unwrap();
    assert_eq!((regions.len(), &*regions[0].place), (3, "Frankfurt 1"));
    let names: Vec<&str> = sizes.iter().map(|size| &*size.name).collect();
    assert_eq!(names, ["s-1vcpu-2gb", "s-2vcpu-4gb"]);
    assert_eq!(none.code().name, "cloud-not-found");
}

#[test]
fn what_cannot_be_made_is_refused_before_anything_is_made() {
    let try_with = |change: &dyn Fn(&mut Bench)| {
        let mut bench = Bench::new();
        change(&mut bench);
        let error = bench.create(bench.home().path()).unwrap_err();
        assert!(bench.cloud.take_calls().iter().all(|(method, _)| method == "GET"), "{error}");
        (error.code().name, error.kind().exit_code())
    };
    assert_eq!(try_with(&|b| b.settings.size = "s-99".into()), ("cloud-not-found", 3));
    assert_eq!(try_with(&|b| b.settings.region = "nbg1".into()), ("cloud-not-found", 3));
    let full = |b: &mut Bench| b.cloud.set(|s| s.full = vec![("s-1vcpu-2gb".into(), "fra1".into())]);
    assert_eq!(try_with(&full), ("cloud-capacity", 7));
    assert_eq!(try_with(&|b| b.cloud.set(|s| s.endless = true)), ("cloud-unavailable", 7));
    let two = format!("{0}\n{0}\n", Bench::new().settings.public_key);
    for bad in ["", "work", "ssh-ed25519 x", &two] {
        let mut bench = Bench::new();
        bench.settings.public_key = bad.into();
        assert_eq!(bench.try_provider().unwrap_err().code().name, "cloud-settings", "{bad}");
    }
    assert_eq!(Bench::new().provider().name(), "digitalocean");
}

#[test]
fn tags_of_others_on_the_droplet_are_kept() {
    let bench = Bench::new();
    let home = bench.home();
    // Killed before the first change of tags; somebody adds one meanwhile.
    let killed = (1..).find(|number| {
        let reached = bench.create_until(home.path(), (*number, true)).is_none();
        assert!(reached, "there is no such call");
        let made = bench.cloud.objects("droplets").first().is_some_and(|d| d["status"] == "active");
        if !made {
            bench.destroy().unwrap();
            std::fs::remove_dir_all(home.path()).unwrap();
        }
        made
    });
    assert!(killed.is_some());
    let droplet = bench.cloud.objects("droplets").remove(0);
    assert_eq!(bench.cloud.put("POST", "/tags", &json!({ "name": "env:prod" })).status, 201);
    let resources =
        json!({ "resources": [{ "resource_id": droplet["id"].to_string(), "resource_type": "droplet" }] });
    assert_eq!(bench.cloud.put("POST", "/tags/env:prod/resources", &resources).status, 204);
    bench.resume(home.path()).unwrap();
    let droplet = bench.cloud.objects("droplets").remove(0);
    assert!(droplet["tags"].as_array().unwrap().contains(&json!("env:prod")));
    assert!(marks(&droplet).keys.lasting.is_some());
    bench.destroy().unwrap();
    assert_eq!(bench.cloud.resources(), ["tags env:prod"]);
}
