//! The life of a machine, and what it costs in calls.

use std::sync::atomic::Ordering;

use cloudron_provision::cloud::{Cloud, Cost, Marks};
use cloudron_provision::steps::Outputs;
use cloudron_provision::{CloudProvider, codes};
use serde_json::json;

use crate::bench::{Bench, FQDN, TOKEN};

/// Returns the calls without polls, and the polls.
fn split(calls: &[(String, String)]) -> (Vec<String>, usize) {
    let poll = |path: &str| {
        path.starts_with("/v1/actions/") || path.trim_start_matches("/v1/servers/").parse::<u64>().is_ok()
    };
    let named = |(method, path): &(String, String)| format!("{method} {}", path.split('?').next().unwrap());
    let calls_only: Vec<String> = calls.iter().filter(|(m, p)| m != "GET" || !poll(p)).map(named).collect();
    let polls = calls.len() - calls_only.len();
    (calls_only, polls)
}

fn tell(what: &str, calls: &[(String, String)], most: usize) {
    let (calls, polls) = split(calls);
    println!("{what}: {} calls and {polls} polls: {calls:?}", calls.len());
    assert!(calls.len() <= most && polls <= 8, "{what}: {calls:?}, {polls} polls");
}

#[test]
fn a_machine_is_made_and_removed_and_nothing_is_left() {
    for network in [false, true] {
        let mut bench = Bench::new();
        bench.settings.network = network;
        bench.cloud.set(|settings| settings.polls = 3);
        let home = bench.home();
        let outputs = bench.create(home.path()).unwrap();
        tell(&format!("create, network {network}"), &bench.cloud.take_calls(), if network { 11 } else { 8 });
        bench.assert_finished("created");
        let key = outputs["host-key"]["host_key"].as_str().unwrap();
        assert_eq!(key, bench.machine.ssh().host_public_key());
        assert_ne!(outputs["first-contact"]["host_key"], outputs["host-key"]["host_key"]);
        assert_eq!(outputs["machine"]["ipv6"], json!("2001:db8::1"));
        let rules = bench.cloud.objects("firewalls")[0]["rules"].as_array().unwrap().len();
        assert_eq!((rules, bench.cloud.objects("networks").len()), (5, usize::from(network)));
        let provider = bench.provider();
        let machines = bench.process((0, false), async move { provider.machines().await }).unwrap().unwrap();
        assert_eq!((machines.len(), &*machines[0].marks.fqdn), (1, FQDN));
        tell("list", &bench.cloud.take_calls(), 1);
        let removed = bench.destroy().unwrap();
        tell("destroy", &bench.cloud.take_calls(), 8);
        assert_eq!(removed.len(), if network { 4 } else { 3 });
        assert_eq!(bench.cloud.resources(), [""; 0]);
        assert_eq!(bench.destroy().unwrap(), []);
    }
}

#[test]
fn the_addresses_are_named_and_unnamed() {
    let bench = Bench::new();
    let outputs = bench.create(bench.home().path()).unwrap();
    let _ = bench.cloud.take_calls();
    let name = |outputs: Outputs, name: Option<&'static str>| {
        let provider = bench.provider();
        assert!(provider.sets_reverse_names());
        bench
            .process((0, false), async move { provider.set_reverse_names(&outputs, name).await })
            .unwrap()
            .unwrap();
        bench.cloud.objects("servers")[0]["public_net"].clone()
    };
    for _ in 0..2 {
        let net = name(outputs.clone(), Some("my.shop.example.com"));
        assert_eq!(net["ipv4"]["dns_ptr"], "my.shop.example.com");
        assert_eq!(
            net["ipv6"]["dns_ptr"],
            json!([{ "ip": "2001:db8::1", "dns_ptr": "my.shop.example.com" }])
        );
    }
    tell("two names, twice", &bench.cloud.take_calls(), 4);
    // As another computer reads it from the marks.
    let provider = bench.provider();
    let items = bench.process((0, false), async move { provider.machines().await }).unwrap().unwrap();
    let net = name(items[0].outputs(), None);
    assert_eq!(
        (&net["ipv4"]["dns_ptr"], &net["ipv6"]["dns_ptr"]),
        (&json!("static.example.com"), &json!([]))
    );
}

#[test]
fn a_key_that_the_project_has_is_used_and_left() {
    let mut bench = Bench::new();
    let theirs = json!({ "name": "work", "public_key": bench.settings.public_key });
    // As it is read from a file.
    bench.settings.public_key.push('\n');
    assert_eq!(bench.cloud.put("POST", "/ssh_keys", &theirs).status, 201);
    bench.create(bench.home().path()).unwrap();
    tell("create with a known key", &bench.cloud.take_calls(), 7);
    bench.destroy().unwrap();
    assert_eq!(bench.cloud.resources(), ["ssh_keys work"]);
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
    for kind in ["servers", "firewalls", "ssh_keys", "actions"] {
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
fn two_who_create_the_same_machine_get_one() {
    let bench = Bench::new();
    bench.create(bench.home().path()).unwrap();
    let before = (bench.cloud.resources(), bench.cloud.objects("servers"));
    let error = bench.create(bench.home().path()).unwrap_err();
    assert!(error.is(&codes::STEP_FOREIGN) && error.kind().exit_code() == 5, "{error:?}");
    assert_eq!((bench.cloud.resources(), bench.cloud.objects("servers")), before);
}

#[test]
fn what_is_not_ours_is_left_whatever_its_name() {
    let bench = Bench::new();
    let server = json!({ "name": format!("my.{FQDN}"), "server_type": "cx23", "image": "debian-12",
        "user_data": bench_user_data() });
    assert_eq!(bench.cloud.put("POST", "/servers", &server).status, 201);
    let error = bench.create(bench.home().path()).unwrap_err();
    assert!(error.is(&codes::STEP_FOREIGN), "{error:?}");
    assert_eq!(bench.cloud.resources(), [format!("servers my.{FQDN}")]);
    assert_eq!(bench.destroy().unwrap(), []);
    // Neither are names that look like ours.
    let other = json!({ "name": format!("cloudron-{FQDN}"), "labels": { "cloudron-fqdn": FQDN } });
    assert_eq!(bench.cloud.put("POST", "/firewalls", &other).status, 201);
    assert_eq!(bench.destroy().unwrap(), []);
    let error = bench.create(bench.home().path()).unwrap_err();
    assert!(error.is(&codes::STEP_FOREIGN), "{error:?}");
    assert_eq!(bench.cloud.resources().len(), 2);
}

#[test]
fn another_machine_in_the_project_is_left_even_if_its_labels_begin_alike() {
    let bench = Bench::new();
    let run = ulid::Ulid::generate().to_string();
    // The first label of the second one is the whole of the first.
    for (name, fqdn) in
        [("one", "other.example.com".to_string()), ("two", format!("{FQDN}.{}", "x".repeat(63)))]
    {
        let labels = Marks::new(fqdn, &run).unwrap().to_labels();
        let firewall = json!({ "name": name, "labels": labels });
        assert_eq!(bench.cloud.put("POST", "/firewalls", &firewall).status, 201);
    }
    bench.create(bench.home().path()).unwrap();
    assert_eq!(bench.destroy().unwrap().len(), 3);
    assert_eq!(bench.cloud.resources(), ["firewalls one", "firewalls two"]);
}

/// User-data with which the machine can boot.
fn bench_user_data() -> String {
    let key = cloudron_provision::cloud::OneTimeKey::generate();
    cloudron_provision::cloud::cloud_config(&key, &[], 32 << 10).unwrap().expose().to_owned()
}

#[test]
fn labels_of_others_on_the_server_are_kept() {
    let bench = Bench::new();
    let home = bench.home();
    // Killed before the first change of labels; somebody adds one meanwhile.
    assert!(bench.create_until(home.path(), (10, false)).is_none());
    let server = bench.cloud.objects("servers").remove(0);
    let mut labels = server["labels"].clone();
    labels["env"] = json!("prod");
    assert_eq!(
        bench.cloud.put("PUT", &format!("/servers/{}", server["id"]), &json!({ "labels": labels })).status,
        200
    );
    bench.resume(home.path()).unwrap();
    bench.assert_finished("resumed");
    assert_eq!(bench.cloud.objects("servers")[0]["labels"]["env"], "prod");
}

#[test]
fn the_plan_names_the_cost_and_changes_nothing() {
    let bench = Bench::new();
    let provider = bench.provider();
    let plan = bench.process((0, false), async move { provider.plan(FQDN).await }).unwrap().unwrap();
    let Cost::Monthly(amount) = plan.cost() else { panic!("{plan:?}") };
    assert_eq!(amount.to_string(), "3.99 EUR");
    assert_eq!(bench.cloud.resources(), [""; 0]);
    let mut made: Vec<String> =
        plan.calls.iter().filter(|c| !c.polled).map(|c| c.call.replace("/ID", "")).collect();
    let _ = bench.cloud.take_calls();
    bench.create(bench.home().path()).unwrap();
    let (calls, _) = split(&bench.cloud.take_calls());
    let id = |call: &String| {
        call.replace("/v1", "").trim_end_matches(|c: char| c.is_ascii_digit() || c == '/').to_owned()
    };
    made.retain(|call| !call.is_empty());
    assert_eq!(calls.iter().map(id).collect::<Vec<_>>(), made);
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
    assert_eq!(try_with(&|b| b.settings.server_type = "cx99".into()), ("cloud-not-found", 3));
    assert_eq!(try_with(&|b| b.settings.location = "nbg1".into()), ("cloud-settings", 2));
    let full = |b: &mut Bench| b.cloud.set(|s| s.full = vec![("cx23".into(), "fsn1".into())]);
    assert_eq!(try_with(&full), ("cloud-capacity", 7));
    assert_eq!(try_with(&|b| b.cloud.set(|s| s.endless = true)), ("cloud-unavailable", 7));
    let two = format!("{0}\n{0}\n", Bench::new().settings.public_key);
    for bad in ["", "work", "ssh-ed25519 x", &two] {
        let mut bench = Bench::new();
        bench.settings.public_key = bad.into();
        assert_eq!(bench.try_provider().unwrap_err().code().name, "cloud-settings", "{bad}");
    }
    assert_eq!(Bench::new().provider().name(), "hetzner");
}
