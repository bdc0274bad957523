//! The life of a machine, and what it costs in calls.

use std::sync::atomic::Ordering;

use cloudron_provision::cloud::Cloud;
use cloudron_provision::codes;
use cloudron_provision::ec2::*;
use serde_json::json;

use super::bench::{Bench, FQDN, SECRET, SESSION};

/// Returns the calls without polls, and the polls: looks at an instance that starts or ends, or at a network.
pub(crate) fn split(calls: &[String]) -> (Vec<String>, usize) {
    let (mut kept, mut polls): (Vec<String>, usize) = (Vec::new(), 0);
    for call in calls {
        // The first `RunInstances` is a trial.
        let begun = kept.iter().filter(|call| *call == "RunInstances").count() == 2
            || kept.iter().any(|call| call == "TerminateInstances");
        let network = call == "DescribeVpcs" && kept.iter().any(|call| call == "CreateVpc");
        match call == "DescribeInstances" && begun || network {
            true => polls += 1,
            false => kept.push(call.clone()),
        }
    }
    (kept, polls)
}

fn tell(what: &str, calls: &[String], most: usize) {
    let (calls, polls) = split(calls);
    println!("{what}: {} calls and {polls} polls: {calls:?}", calls.len());
    assert!(calls.len() <= most && polls <= 5, "{what}: {calls:?}, {polls} polls");
}

#[test]
fn a_machine_is_made_and_removed_and_nothing_is_left() {
    for (own_vpc, elastic_ip, creating, destroying) in
        [(false, false, 13, 7), (true, false, 21, 12), (false, true, 15, 8)]
    {
        let Some(mut bench) = Bench::new() else { return };
        (bench.settings.own_vpc, bench.settings.elastic_ip) = (own_vpc, elastic_ip);
        bench.gate.end_slowly(2);
        let what = format!("own network {own_vpc}, Elastic IP {elastic_ip}");
        let outputs = bench.create(bench.home().path()).unwrap();
        tell(&format!("create, {what}"), &bench.gate.take_calls(), creating);
        bench.assert_finished(&what);
        let key = outputs["host-key"]["host_key"].as_str().unwrap();
        assert_eq!(key, bench.machine.ssh().host_public_key());
        assert_ne!(outputs["first-contact"]["host_key"], outputs["host-key"]["host_key"]);
        let (machine, contact) = (&outputs["machine"], &outputs["first-contact"]);
        assert_eq!((&machine["user"], &contact["user"]), (&json!("ubuntu"), &json!("ubuntu")));
        assert!(
            bench.machine.commands.lock().unwrap().iter().all(|command| command.starts_with("sudo -n -- "))
        );
        check_instance(&bench);
        let provider = bench.provider();
        let machines = bench.process((0, false), async move { provider.machines().await }).unwrap().unwrap();
        assert_eq!((machines.len(), &*machines[0].marks.fqdn), (1, FQDN));
        assert_eq!(machines[0].outputs()["machine"]["user"], "ubuntu");
        assert_eq!(machines[0].region.as_deref(), Some("us-east-1"));
        tell("list", &bench.gate.take_calls(), 1);
        let removed = bench.destroy().unwrap();
        tell(&format!("destroy, {what}"), &bench.gate.take_calls(), destroying);
        assert_eq!(removed.len(), 3 + if own_vpc { 3 } else { 0 } + usize::from(elastic_ip));
        assert_eq!(bench.resources(), [""; 0]);
        assert_eq!(bench.destroy().unwrap(), []);
        tell("destroy, nothing there", &bench.gate.take_calls(), 2);
    }
}

#[test]
fn an_account_without_a_default_network_gets_one_for_the_machine() {
    let Some(bench) = Bench::new() else { return };
    bench.ask(|client| async move {
        for subnet in client.all(&DescribeSubnets::default()).await.unwrap() {
            client.call(&DeleteSubnet { subnet_id: subnet.subnet_id }).await.unwrap();
        }
    });
    bench.create(bench.home().path()).unwrap();
    // Where there is no subnet, there is no trial.
    let calls = bench.gate.take_calls();
    println!("{calls:?}");
    assert!(calls.len() <= 22, "{calls:?}");
    assert_eq!(bench.resources().len(), 6);
    bench.destroy().unwrap();
    assert_eq!(bench.resources(), [""; 0]);
}

#[test]
fn a_run_with_other_settings_makes_no_second_machine() {
    let Some(mut bench) = Bench::new() else { return };
    bench.settings.own_vpc = true;
    bench.create(bench.home().path()).unwrap();
    let before = (bench.resources(), bench.instances());
    // The group of the default network is free, and only the instances tell.
    bench.settings.own_vpc = false;
    let error = bench.create(bench.home().path()).unwrap_err();
    assert!(error.is(&codes::STEP_FOREIGN), "{error:?}");
    assert_eq!((bench.resources(), bench.instances()), before);
    bench.destroy().unwrap();
    assert_eq!(bench.resources(), [""; 0]);
}

#[test]
fn the_instance_is_asked_for_as_it_should_be_and_every_request_is_one_that_amazon_describes() {
    let Some(mut bench) = Bench::new() else { return };
    (bench.settings.own_vpc, bench.settings.elastic_ip) = (true, true);
    bench.settings.instance_profile = Some("backups".into());
    let form = ["Content-Type: application/x-www-form-urlencoded"];
    let profile = "Action=CreateInstanceProfile&InstanceProfileName=backups&Version=2010-05-08";
    let role = "Action=CreateRole&RoleName=writer&AssumeRolePolicyDocument=%7B%7D&Version=2010-05-08";
    let add =
        "Action=AddRoleToInstanceProfile&InstanceProfileName=backups&RoleName=writer&Version=2010-05-08";
    for body in [profile, role, add] {
        bench.moto.request("iam", "POST", "/", &form, body);
    }
    bench.gate.end_slowly(1);
    bench.create(bench.home().path()).unwrap();
    bench.adopt = true;
    bench.take_over().unwrap();
    bench.destroy().unwrap();
    let requests = bench.gate.requests();
    let one = |request: &&Vec<(String, String)>| request.contains(&("Action".into(), "RunInstances".into()));
    // The first one is a trial.
    let launch = requests.iter().filter(one).nth(1).unwrap();
    let value = |name: &str| launch.iter().find(|(known, _)| known == name).map(|(_, value)| &**value);
    for (name, expected) in [
        ("InstanceType", Some("t3.small")),
        ("BlockDeviceMapping.1.Ebs.VolumeType", Some("gp3")),
        ("BlockDeviceMapping.1.Ebs.VolumeSize", Some("30")),
        ("BlockDeviceMapping.1.Ebs.Encrypted", Some("true")),
        ("MetadataOptions.HttpTokens", Some("required")),
        ("MetadataOptions.HttpPutResponseHopLimit", Some("1")),
        ("DisableApiTermination", Some("true")),
        ("InstanceInitiatedShutdownBehavior", Some("stop")),
        ("CreditSpecification.CpuCredits", Some("standard")),
        ("IamInstanceProfile.Name", Some("backups")),
        // The subnet of its own has IPv6; the public IPv4 is the Elastic one.
        ("NetworkInterface.1.Ipv6AddressCount", Some("1")),
        ("NetworkInterface.1.AssociatePublicIpAddress", Some("false")),
        ("DryRun", Some("false")),
    ] {
        assert_eq!(value(name), expected, "{name}");
    }
    assert_eq!(value("ClientToken").unwrap().len(), 52);
    let described = requests.into_iter().map(|request| {
        let parameters: serde_json::Map<String, serde_json::Value> =
            request.into_iter().map(|(name, value)| (name, value.into())).collect();
        json!({ "service": "ec2", "action": parameters["Action"], "parameters": parameters })
    });
    let described: Vec<serde_json::Value> = described.collect();
    assert!(described.len() > 40);
    let Some((good, printed)) = crate::model::botocore("requests", &described) else { return };
    assert!(good && printed.is_empty(), "{printed}");
}

/// The instance is protected, encrypted and marked as it should be.
fn check_instance(bench: &Bench) {
    let instance = bench.instances().remove(0);
    assert_eq!(instance.metadata_options.http_tokens, "required");
    assert_eq!(instance.metadata_options.http_put_response_hop_limit, Some(1));
    assert_eq!(instance.tags.value("Name"), Some(&*format!("my.{FQDN}")));
    let id = instance.instance_id.clone();
    let attribute = bench.ask(|client| async move {
        let attribute = "disableApiTermination".into();
        client.call(&DescribeInstanceAttribute { instance_id: id, attribute }).await.unwrap()
    });
    assert!(attribute.disable_api_termination.unwrap().value);
    let tagged = bench.ask(|client| async move {
        let filters = vec![Filter::new("key", "cloudron:fqdn"), Filter::new("value", FQDN)];
        client.all(&DescribeTags { filters, ..DescribeTags::default() }).await.unwrap()
    });
    let volume = &instance.devices[0].ebs.volume_id;
    assert!(tagged.iter().any(|tag| tag.resource_id == *volume), "{tagged:?}");
    let name = format!("cloudron-{FQDN}");
    let group = bench.ask(|client| async move {
        let filters = vec![Filter::new("group-name", name)];
        let request = DescribeSecurityGroups { filters, ..DescribeSecurityGroups::default() };
        client.all(&request).await.unwrap().remove(0)
    });
    assert_eq!(group.rules.len(), 6, "{:?}", group.rules);
    let open = |rule: &KnownRule| !rule.ranges.is_empty() || !rule.ranges6.is_empty();
    assert!(group.rules.iter().all(open));
}

#[test]
fn a_finished_run_is_seen_with_one_call_where_its_journal_is() {
    let Some(bench) = Bench::new() else { return };
    bench.create(bench.home().path()).unwrap();
    // Each request, the one for the parameter, and each command.
    let whole = bench.gate.take_calls().len() + 1 + bench.machine.commands.lock().unwrap().len();
    bench.destroy().unwrap();
    let home = bench.home();
    assert!(bench.create_until(home.path(), (whole, true)).is_none(), "killed after the last call");
    let _ = bench.gate.take_calls();
    bench.resume(home.path()).unwrap();
    let calls = bench.gate.take_calls();
    println!("rerun: {calls:?}");
    assert!(calls.len() <= 2, "{calls:?}");
    bench.assert_finished("rerun");
}

#[test]
fn a_key_that_the_region_has_is_used_and_left() {
    let Some(mut bench) = Bench::new() else { return };
    let key = bench.settings.public_key.clone();
    bench.ask(|client| async move {
        let import = ImportKeyPair { key_name: "work".into(), public_key_material: key, tags: Vec::new() };
        client.call(&import).await.unwrap();
    });
    // As it is read from a file.
    bench.settings.public_key.push('\n');
    bench.create(bench.home().path()).unwrap();
    tell("create with a known key", &bench.gate.take_calls(), 12);
    bench.destroy().unwrap();
    assert_eq!(bench.resources(), ["key-pair work"]);
    let _ = bench.gate.take_calls();
    (bench.settings.public_key, bench.settings.key_name) = (String::new(), Some("work".into()));
    bench.create(bench.home().path()).unwrap();
    tell("create with the name of a key", &bench.gate.take_calls(), 13);
    bench.destroy().unwrap();
    assert_eq!(bench.resources(), ["key-pair work"]);
}

#[test]
fn a_subnet_and_a_group_that_are_given_are_used_and_left() {
    let Some(mut bench) = Bench::new() else { return };
    let (subnet, group) = bench.ask(|client| async move {
        let subnet = client.all(&DescribeSubnets::default()).await.unwrap().remove(0);
        let create = CreateSecurityGroup {
            group_name: "mine".into(),
            group_description: "mine".into(),
            vpc_id: subnet.vpc_id.clone(),
            tags: Vec::new(),
        };
        (subnet.subnet_id, client.call(&create).await.unwrap().group_id)
    });
    (bench.settings.subnet, bench.settings.security_group) = (Some(subnet.clone()), Some(group.clone()));
    bench.create(bench.home().path()).unwrap();
    tell("create with a subnet and a group", &bench.gate.take_calls(), 13);
    let instance = bench.instances().remove(0);
    assert_eq!(instance.subnet_id, Some(subnet));
    assert_eq!(instance.network_interfaces[0].groups[0].group_id, group);
    // Another run sees the instance.
    let error = bench.create(bench.home().path()).unwrap_err();
    assert!(error.is(&codes::STEP_FOREIGN), "{error:?}");
    bench.destroy().unwrap();
    assert_eq!(bench.resources(), ["security-group mine"]);
}

#[test]
fn another_host_key_at_the_first_contact_is_refused_and_nothing_is_sent_or_left() {
    let Some(bench) = Bench::new() else { return };
    bench.machine.impostor.store(true, Ordering::SeqCst);
    let error = bench.create(bench.home().path()).unwrap_err();
    assert!(error.is(&codes::HOST_KEY_MISMATCH), "{error:?}");
    assert_eq!(*bench.machine.commands.lock().unwrap(), [""; 0]);
    assert_eq!(bench.resources(), [""; 0]);
}

#[test]
fn the_credentials_are_nowhere_but_in_the_signature() {
    let Some(bench) = Bench::new() else { return };
    let home = bench.home();
    bench.create(home.path()).unwrap();
    let instance = bench.instances().remove(0);
    let id = instance.instance_id.clone();
    let user_data = bench.ask(|client| async move {
        let attribute = "userData".into();
        client.call(&DescribeInstanceAttribute { instance_id: id, attribute }).await.unwrap().user_data
    });
    let user_data = user_data.unwrap().value.unwrap();
    use base64::Engine as _;
    let user_data = base64::engine::general_purpose::STANDARD.decode(user_data.expose()).unwrap();
    let user_data = String::from_utf8(user_data).unwrap();
    let mut seen = format!("{:?} {instance:?} {:?}", bench.provider(), bench.gate.take_calls());
    for entry in std::fs::read_dir(home.path()).unwrap() {
        seen += &String::from_utf8_lossy(&std::fs::read(entry.unwrap().path()).unwrap());
    }
    let config: serde_json::Value = serde_json::from_str(user_data.split_once('\n').unwrap().1).unwrap();
    let private = config["ssh_keys"]["ed25519_private"].as_str().unwrap();
    assert!(private.contains("PRIVATE KEY") && seen.contains("host-key"));
    seen += &bench.machine.commands.lock().unwrap().join("\n");
    assert!(!seen.contains(private.lines().nth(3).unwrap()), "the one-time key is only in user-data");
    bench.gate.revoke(true);
    let error = bench.create(bench.home().path()).unwrap_err();
    assert_eq!((error.code().name, error.kind().exit_code()), ("cloud-credentials", 4));
    seen += &format!("{error} {error:?} {user_data}");
    assert!(!seen.contains(SECRET) && !seen.contains(SESSION), "a secret is in what is kept or shown");
}

#[test]
fn two_who_create_the_same_machine_get_one() {
    for own in [false, true] {
        let Some(mut bench) = Bench::new() else { return };
        bench.settings.own_vpc = own;
        bench.create(bench.home().path()).unwrap();
        let before = (bench.resources(), bench.instances());
        let error = bench.create(bench.home().path()).unwrap_err();
        assert!(error.is(&codes::STEP_FOREIGN) && error.kind().exit_code() == 5, "{error:?}");
        assert_eq!((bench.resources(), bench.instances()), before);
        bench.destroy().unwrap();
        assert_eq!(bench.resources(), [""; 0]);
    }
}

#[test]
fn of_two_who_begin_at_the_same_moment_at_most_one_gets_a_machine() {
    for own in [false, true] {
        let Some(mut bench) = Bench::new() else { return };
        bench.settings.own_vpc = own;
        let (homes, bench) = ([bench.home(), bench.home()], &bench);
        let outcomes = std::thread::scope(|scope| {
            let runs = homes.each_ref().map(|home| scope.spawn(move || bench.create(home.path())));
            runs.map(|run| run.join().unwrap())
        });
        let made = outcomes.iter().filter(|outcome| outcome.is_ok()).count();
        println!("own network {own}: {made} of two got a machine");
        for error in outcomes.iter().filter_map(|outcome| outcome.as_ref().err()) {
            assert!(error.is(&codes::STEP_FOREIGN), "{error:?}");
        }
        // Of two networks none has precedence, so that both runs may give up.
        assert!(made == 1 || own && made == 0, "{outcomes:?}");
        assert_eq!(bench.instances().len(), made);
        bench.destroy().unwrap();
        assert_eq!(bench.resources(), [""; 0]);
    }
}

#[test]
fn what_is_not_ours_is_left_whatever_its_name() {
    let Some(bench) = Bench::new() else { return };
    let alike = bench.ask(|client| async move {
        let subnet = client.all(&DescribeSubnets::default()).await.unwrap().remove(0);
        let name = Tag::new("Name", format!("my.{FQDN}"));
        // An instance of that name, another machine's, and one with a part of our marks.
        let marks = [
            vec![name.clone()],
            vec![name.clone(), Tag::new("cloudron:fqdn", format!("x.{FQDN}")), Tag::new("cloudron:run", "x")],
            vec![name, Tag::new("cloudron:fqdn", FQDN)],
        ];
        for (n, tags) in marks.into_iter().enumerate() {
            let request = RunInstances {
                image_id: super::bench::IMAGE.into(),
                instance_type: "t3.small".into(),
                client_token: n.to_string(),
                tags: TagSpecification::of(&["instance"], &tags),
                ..RunInstances::default()
            };
            client.call(&request).await.unwrap();
        }
        CreateSecurityGroup {
            group_name: format!("cloudron-{FQDN}"),
            group_description: "theirs".into(),
            vpc_id: subnet.vpc_id,
            tags: TagSpecification::of(&["security-group"], &[Tag::new("cloudron:fqdn", FQDN)]),
        }
    });
    bench.create(bench.home().path()).unwrap();
    assert_eq!(bench.destroy().unwrap().len(), 3);
    assert_eq!(bench.resources().len(), 3);
    bench.ask(|client| async move { _ = client.call(&alike).await.unwrap() });
    assert_eq!(bench.destroy().unwrap(), []);
    let error = bench.create(bench.home().path()).unwrap_err();
    assert!(error.is(&codes::STEP_FOREIGN), "{error:?}");
    assert_eq!(bench.resources().len(), 4);
}
