//! Creating a machine, and what is sent, kept and shown.

use cloudron_backup::StoreOptions;
use cloudron_core::Secret;
use cloudron_machine::clouds::Recorded;
use cloudron_machine::create::Dns;
use cloudron_machine::{CloudSettings, Reach};
use cloudron_provision::cloud::{Cost, codes as cloud};
use cloudron_provision::codes;

use crate::bench::{Bench, KEY, RECORDS, TOKEN, domain};

#[test]
fn a_machine_is_made_known_and_listed() {
    let Some(bench) = Bench::new() else { return };
    let home = bench.home("laptop");
    let created = bench.create(&home).unwrap();
    let calls = bench.cloud.take_calls();
    eprintln!("create: {} calls and polls: {calls:?}", calls.len());
    let Reach::Generic(ssh) = &created.machine.reach else { panic!("{:?}", created.machine.reach) };
    assert_eq!((&*ssh.host, &ssh.host_keys), ("127.0.0.1", &vec![bench.machine.host_key()]));
    let server = &bench.cloud.objects("servers")[0];
    let place = ssh.cloud.clone().unwrap();
    assert_eq!((&*place.provider, &*place.id), ("hetzner", &*server["id"].to_string()));
    assert_eq!(place.region.as_deref(), Some("fsn1"));
    assert_eq!(place.run, created.machine.run);
    assert_eq!(bench.records(), RECORDS);
    assert_eq!(created.machine.dns.as_ref().unwrap().addresses.len(), 2);
    let net = &server["public_net"];
    assert_eq!(net["ipv4"]["dns_ptr"], "my.shop.example.com");
    assert_eq!(net["ipv6"]["dns_ptr"][0]["dns_ptr"], "my.shop.example.com");
    let setup = created.setup.expect("nobody has set it up");
    let list = bench.list(&home);
    assert_eq!((list.len(), list[0].recorded, &*list[0].id), (1, Recorded::Yes, &*place.id));
    // Status works as for any machine that is reached by SSH.
    let (manager, machine) = (bench.stranger(&home), created.machine);
    let asked =
        bench.stop.process((0, false), async move { manager.ask_all(&[machine]).await }).unwrap().unwrap();
    assert!(!asked[0].as_ref().unwrap().activated);

    // Neither the token nor the backup key is kept, on either computer.
    let mut seen = format!("{:?} {}", bench.account(), bench.machine.commands());
    read_all(home.path(), &mut seen);
    for kind in ["servers", "firewalls", "ssh_keys", "actions"] {
        seen += &format!("{:?}", bench.cloud.objects(kind));
    }
    assert!(seen.contains("host-key") && seen.contains("box install"));
    for secret in [TOKEN, KEY, setup.token.expose()] {
        assert!(!seen.contains(secret), "a secret is kept: {secret}");
    }
    assert!(bench.create(&home).unwrap_err().is(&cloudron_machine::codes::MACHINE_KNOWN));
}

fn read_all(folder: &std::path::Path, into: &mut String) {
    for entry in std::fs::read_dir(folder).unwrap().flatten() {
        match entry.file_type().unwrap().is_dir() {
            true => read_all(&entry.path(), into),
            false => *into += &String::from_utf8_lossy(&std::fs::read(entry.path()).unwrap()),
        }
    }
}

#[test]
fn a_dry_run_says_what_would_be_made_and_makes_nothing() {
    let Some(bench) = Bench::new() else { return };
    let (manager, request) = (bench.manager(&bench.home("laptop")), bench.request());
    let run = bench.stop.process((0, false), async move { manager.creation(request)?.dry_run().await });
    let run = run.unwrap().unwrap();
    let plan = run.cloud.unwrap();
    assert!(matches!(plan.cost(), Cost::Monthly(_)), "{plan:?}");
    assert_eq!(plan.resources[0].kind, "server");
    let (host, records) = run.records.unwrap();
    assert_eq!((&*host, records.len()), ("memory", 4));
    let at = |text: &str| {
        run.steps
            .iter()
            .position(|step| step.contains(text))
            .unwrap_or_else(|| panic!("{text}: {:?}", run.steps))
    };
    // The records are written while the machine boots.
    assert!(at("Make a server") < at("Point my.") && at("Point my.") < at("Connect to"));
    assert!(
        at("Name the machine's addresses") < at("Connect to")
            && at("Save the machine record") > at("Wait for the name servers")
    );
    bench.assert_nothing("dry run");
    assert!(bench.cloud.take_calls().iter().all(|(method, _)| method == "GET"));
}

#[test]
fn a_failed_run_is_undone_at_the_cloud_and_in_the_zone() {
    let Some(bench) = Bench::new() else { return };
    let home = bench.home("laptop");
    let mut request = bench.request();
    let mut machine = bench.machine_wanted();
    // It runs, and is no server.
    machine.program = Some("/bin/true".into());
    request.on = cloudron_machine::create::On::Cloud(Box::new(machine));
    let error = bench.create_until(&home, (0, false), request).unwrap().unwrap_err();
    assert!(error.is(&codes::NOT_A_PROGRAM), "{error:?}");
    bench.assert_nothing("failed");
    let error = bench.destroy(&home).unwrap_err();
    assert!(error.is(&cloudron_machine::codes::MACHINE_UNKNOWN), "{error:?}");
}

#[test]
fn settings_that_cannot_be_are_refused_before_any_call() {
    let Some(bench) = Bench::new() else { return };
    let home = bench.home("laptop");
    let with = |settings: CloudSettings| {
        let mut machine = bench.machine_wanted();
        machine.settings = settings;
        let request = cloudron_machine::CreateRequest::cloud(domain(), machine);
        bench.manager(&home).creation(request).err().expect("it is refused")
    };
    let default = CloudSettings::default;
    let some = || Some("x".to_owned());
    for (settings, code) in [
        (CloudSettings { subnet: some(), ..default() }, "usage"),
        (CloudSettings { security_group: some(), ..default() }, "usage"),
        (CloudSettings { subnet: some(), security_group: some(), ..default() }, "cloud-settings"),
        (CloudSettings { disk_size: Some(30), ..default() }, "cloud-settings"),
        (CloudSettings { reserved_ip: true, ..default() }, "cloud-settings"),
        (CloudSettings { instance_profile: some(), ..default() }, "cloud-settings"),
        (CloudSettings { size: Some("CX 23".into()), ..default() }, "cloud-settings"),
        (CloudSettings { public_key: "nonsense".into(), ..default() }, "cloud-settings"),
    ] {
        assert_eq!(with(settings.clone()).code().name, code, "{settings:?}");
    }
    let mut request = bench.request();
    request.store = Some("s3://bucket/shop".into());
    let owner = StoreOptions::default().with_credentials("OWNER", Secret::new("owner"));
    let owner = owner.at(Some("eu-central-1".into()), Some("http://127.0.0.1:9".into()));
    let error = bench.manager(&home).opening_buckets(owner).creation(request).err().unwrap();
    assert_eq!((error.code().name, error.detail("store")), ("usage", Some("s3://bucket/shop")));
    let error = bench.stranger(&home).creation(bench.request()).err().unwrap();
    assert!(error.is(&cloud::CREDENTIALS));
    assert_eq!(bench.cloud.take_calls(), []);
}

#[test]
fn what_another_made_is_not_touched() {
    let Some(bench) = Bench::new() else { return };
    bench.create(&bench.home("laptop")).unwrap();
    let before = (bench.cloud.resources(), bench.records());
    let error = bench.create(&bench.home("another")).unwrap_err();
    // The first thing in the way is the zone, whose records this computer did not write.
    assert!(error.is(&cloudron_dns::codes::CONFLICT), "{error:?}");
    let mut request = bench.request();
    let mut machine = bench.machine_wanted();
    machine.dns = Dns::None;
    request.on = cloudron_machine::create::On::Cloud(Box::new(machine));
    let error = bench.create_until(&bench.home("third"), (0, false), request).unwrap().unwrap_err();
    assert!(error.is(&codes::STEP_FOREIGN), "{error:?}");
    assert_eq!((bench.cloud.resources(), bench.records()), before);
}
