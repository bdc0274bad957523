//! What cannot be made is refused before anything is made, with all findings at once.

use cloudron_provision::ec2::*;

use super::bench::Bench;

/// Returns the code, the exit code and the message of a run that must not begin.
fn refusal(bench: &Bench) -> (&'static str, u8, String) {
    let _ = bench.gate.take_calls();
    let error = bench.create(bench.home().path()).unwrap_err();
    let calls = bench.gate.take_calls();
    let reads = |call: &String| call.starts_with("Describe") || call == "RunInstances";
    assert!(calls.iter().all(reads), "{calls:?}");
    assert_eq!(bench.resources(), [""; 0]);
    (error.code().name, error.kind().exit_code(), error.message().to_owned())
}

#[test]
fn each_finding_has_its_code() {
    let Some(mut bench) = Bench::new() else { return };
    let good = bench.settings.clone();
    let vary = |bench: &mut Bench, change: &dyn Fn(&mut Settings)| {
        bench.settings = good.clone();
        change(&mut bench.settings);
        let (code, exit, _) = refusal(bench);
        (code, exit)
    };
    assert_eq!(vary(&mut bench, &|s| s.instance_type = "t9.small".into()), ("cloud-not-found", 3));
    assert_eq!(vary(&mut bench, &|s| s.instance_type = "t4g.small".into()), ("cloud-settings", 2));
    assert_eq!(vary(&mut bench, &|s| s.image = Some("ami-00000000".into())), ("cloud-not-found", 3));
    // An image of Amazon Linux, of which nobody said who logs in.
    assert_eq!(vary(&mut bench, &|s| s.image = Some("ami-760aaa0f".into())), ("cloud-settings", 2));
    let named = |s: &mut Settings| (s.public_key, s.key_name) = (String::new(), Some("none".into()));
    assert_eq!(vary(&mut bench, &named), ("cloud-not-found", 3));
    bench.settings = good.clone();
    bench.gate.block_public_access("block-ingress");
    assert_eq!(refusal(&bench).0, "cloud-account");
    bench.gate.block_public_access("off");
    bench.gate.refuse_trials("PendingVerification");
    assert_eq!((refusal(&bench).0, refusal(&bench).1), ("cloud-account", 4));
    bench.gate.refuse_trials("UnauthorizedOperation");
    assert_eq!(refusal(&bench).0, "cloud-permission");
}

#[test]
fn all_findings_are_told_at_once() {
    let Some(mut bench) = Bench::new() else { return };
    bench.settings.instance_type = "t4g.small".into();
    (bench.settings.public_key, bench.settings.key_name) = (String::new(), Some("none".into()));
    bench.gate.block_public_access("block-bidirectional");
    let (code, exit, message) = refusal(&bench);
    assert_eq!((code, exit), ("cloud-settings", 2));
    for part in ["3 things", "for x86_64, and t4g.small is arm64", "KeyPair", "block-bidirectional"] {
        assert!(message.contains(part), "{part}: {message}");
    }
}

#[test]
fn a_subnet_and_a_group_that_do_not_belong_together_are_told() {
    let Some(mut bench) = Bench::new() else { return };
    let (subnet, group, vpc) = bench.ask(|client| async move {
        let subnet = client.all(&DescribeSubnets::default()).await.unwrap().remove(0);
        let create = CreateVpc { cidr_block: "10.9.0.0/16".into(), ..CreateVpc::default() };
        let vpc = client.call(&create).await.unwrap().vpc.vpc_id;
        let create = CreateSecurityGroup {
            group_name: "elsewhere".into(),
            group_description: "elsewhere".into(),
            vpc_id: vpc.clone(),
            tags: Vec::new(),
        };
        (subnet.subnet_id, client.call(&create).await.unwrap().group_id, vpc)
    });
    (bench.settings.subnet, bench.settings.security_group) = (Some(subnet), Some(group));
    let error = bench.create(bench.home().path()).unwrap_err();
    assert!(error.code().name == "cloud-settings" && error.message().contains(&vpc), "{error:?}");
    (bench.settings.subnet, bench.settings.security_group) = (Some("subnet-0".into()), Some("sg-0".into()));
    let error = bench.create(bench.home().path()).unwrap_err();
    assert!(error.code().name == "cloud-not-found" && error.message().contains("2 things"), "{error:?}");
}
