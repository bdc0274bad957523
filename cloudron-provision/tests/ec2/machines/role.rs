//! A role that is made for the server's bucket, and a profile that is given.

use cloudron_provision::cloud::{Cloud as _, codes};

use super::bench::{Bench, FQDN};
use super::kill::{Then, points, sweep_with};

const NAME: &str = "cloudron-shop.example.com.us-east-1";
const MADE: [&str; 5] =
    ["GetRole", "CreateRole", "PutRolePolicy", "CreateInstanceProfile", "AddRoleToInstanceProfile"];
const REMOVED: [&str; 6] = [
    "GetInstanceProfile",
    "GetRole",
    "RemoveRoleFromInstanceProfile",
    "DeleteInstanceProfile",
    "DeleteRolePolicy",
    "DeleteRole",
];

fn with_role() -> Option<Bench> {
    let mut bench = Bench::new()?;
    bench.with_role();
    Some(bench)
}

fn iam(bench: &Bench, body: &str) -> String {
    let form = ["Content-Type: application/x-www-form-urlencoded"];
    bench.moto.request("iam", "POST", "/", &form, &format!("{body}&Version=2010-05-08"))
}

#[test]
fn a_role_is_made_for_the_bucket_given_to_the_instance_and_removed_with_it() {
    let Some(bench) = with_role() else { return };
    bench.gate.spread_slowly(3);
    bench.create(bench.home().path()).unwrap();
    assert_eq!(bench.gate.take_role_calls(), MADE);
    bench.assert_finished("created");
    let profile = bench.instances()[0].iam_instance_profile.clone().unwrap();
    assert!(profile.arn.ends_with(&format!("/{NAME}")), "{}", profile.arn);
    let policy = iam(&bench, &format!("Action=GetRolePolicy&RoleName={NAME}&PolicyName=bucket"));
    let policy = policy.replace("%3A", ":").replace("%2F", "/").replace("%2A", "*");
    assert!(policy.contains("arn:aws:s3:::backups/shop.example.com/*"), "{policy}");
    assert!(!policy.contains("Delete") && !policy.contains("s3:*"), "{policy}");
    let tags = iam(&bench, &format!("Action=ListRoleTags&RoleName={NAME}"));
    assert!(tags.contains("cloudron:fqdn") && tags.contains("cloudron:run"), "{tags}");
    // On another computer, by credentials of the account alone.
    bench.destroy().unwrap();
    assert_eq!(bench.gate.take_role_calls(), REMOVED);
    assert_eq!(bench.resources(), [""; 0]);
}

#[test]
fn without_a_role_two_calls_tell_that_there_is_none_and_who_may_not_ask_has_made_none() {
    let Some(bench) = Bench::new() else { return };
    bench.create(bench.home().path()).unwrap();
    assert_eq!(bench.gate.take_role_calls(), [""; 0]);
    bench.gate.refuse("GetInstanceProfile", Some((403, "AccessDenied")));
    bench.destroy().unwrap();
    assert_eq!(bench.gate.take_role_calls(), ["GetInstanceProfile"]);
    assert_eq!(bench.resources(), [""; 0]);
    bench.gate.refuse("GetInstanceProfile", None);
    bench.create(bench.home().path()).unwrap();
    bench.destroy().unwrap();
    assert_eq!(bench.gate.take_role_calls(), ["GetInstanceProfile", "GetRole"]);
}

#[test]
fn a_role_in_use_is_not_left_by_credentials_that_may_not_see_it() {
    let Some(bench) = with_role() else { return };
    bench.create(bench.home().path()).unwrap();
    let before = bench.resources();
    bench.gate.refuse("GetInstanceProfile", Some((403, "AccessDenied")));
    let error = bench.destroy().unwrap_err();
    assert!(error.is(&codes::PERMISSION), "{error:?}");
    assert_eq!(bench.resources(), before, "nothing is removed but all");
    bench.gate.refuse("GetInstanceProfile", None);
    bench.destroy().unwrap();
    assert_eq!(bench.resources(), [""; 0]);
}

#[test]
fn a_role_or_profile_of_somebody_else_with_the_name_is_used_by_nobody_and_left() {
    let trust = "AssumeRolePolicyDocument=%7B%7D";
    for (body, removal, refusal) in [
        (
            format!("Action=CreateRole&RoleName={NAME}&{trust}"),
            format!("Action=DeleteRole&RoleName={NAME}"),
            "role",
        ),
        (
            format!("Action=CreateInstanceProfile&InstanceProfileName={NAME}"),
            format!("Action=DeleteInstanceProfile&InstanceProfileName={NAME}"),
            "instance-profile",
        ),
    ] {
        let Some(bench) = with_role() else { return };
        iam(&bench, &body);
        let before = bench.resources();
        let error = bench.create(bench.home().path()).unwrap_err();
        assert!(error.is(&cloudron_provision::codes::STEP_FOREIGN), "{error:?}");
        assert!(error.message().contains(refusal), "{error}");
        assert_eq!(bench.resources(), before, "the run is undone, and theirs is left");
        bench.destroy().unwrap();
        assert_eq!(bench.resources(), before);
        iam(&bench, &removal);
    }
}

#[test]
fn an_instance_that_cannot_be_started_leaves_no_role() {
    let Some(bench) = with_role() else { return };
    bench.gate.refuse("RunInstances", Some((400, "VcpuLimitExceeded")));
    assert!(bench.create(bench.home().path()).unwrap_err().is(&codes::QUOTA));
    bench.gate.refuse("RunInstances", None);
    bench.gate.spread_slowly(10_000);
    let error = bench.create(bench.home().path()).unwrap_err();
    assert!(error.message().contains("nstance"), "the wait has a bound: {error}");
    assert_eq!(bench.resources(), [""; 0]);
}

#[test]
fn a_profile_that_is_given_is_checked_before_anything_is_made() {
    let Some(mut bench) = Bench::new() else { return };
    bench.settings.instance_profile = Some("backups".into());
    let create = |bench: &Bench| bench.create(bench.home().path());
    let error = create(&bench).unwrap_err();
    assert!(error.is(&codes::NOT_FOUND) && error.message().contains("backups"), "{error:?}");
    iam(&bench, "Action=CreateInstanceProfile&InstanceProfileName=backups");
    let error = create(&bench).unwrap_err();
    assert!(error.is(&codes::SETTINGS) && error.message().contains("has no role"), "{error:?}");
    iam(&bench, "Action=CreateRole&RoleName=writer&AssumeRolePolicyDocument=%7B%7D");
    iam(&bench, "Action=AddRoleToInstanceProfile&InstanceProfileName=backups&RoleName=writer");
    let before = bench.of_iam("ListRoles", "RoleName");
    let _ = bench.gate.take_role_calls();
    create(&bench).unwrap();
    assert_eq!(bench.gate.take_role_calls(), ["GetInstanceProfile"]);
    let profile = bench.instances()[0].iam_instance_profile.clone().unwrap();
    assert!(profile.arn.ends_with("/backups"));
    bench.destroy().unwrap();
    assert_eq!(bench.of_iam("ListRoles", "RoleName"), before, "what was given is left");
    bench.with_role();
    assert!(bench.try_provider().unwrap_err().is(&codes::SETTINGS), "a profile, or a role made for it");
}

#[test]
fn the_policy_names_roles_only_if_one_is_made_and_only_ours() {
    let Some(mut bench) = Bench::new() else { return };
    assert!(!bench.provider().policy(FQDN).to_string().contains("iam:"));
    bench.with_role();
    let policy = bench.provider().policy(FQDN);
    let mut allowed = Vec::new();
    for statement in policy["Statement"].as_array().unwrap() {
        for action in statement["Action"].as_array().unwrap() {
            let action = action.as_str().unwrap();
            if let Some(name) = action.strip_prefix("iam:") {
                let resource = statement["Resource"].as_str().unwrap();
                assert!(resource.ends_with("/cloudron-*"), "{action}: {resource}");
                allowed.push(name.to_owned());
            }
        }
    }
    for needed in MADE.iter().chain(&REMOVED).chain(&["PassRole", "TagRole", "TagInstanceProfile"]) {
        assert!(allowed.iter().any(|name| name == needed), "{needed}: {allowed:?}");
    }
    let provider = bench.provider();
    let plan = bench.process((0, false), async move { provider.plan(FQDN).await }).unwrap().unwrap();
    let planned: Vec<&str> =
        plan.calls.iter().map(|call| call.call).filter(|call| MADE.contains(call)).collect();
    assert_eq!(planned, MADE);
    assert!(plan.permissions.contains(&"iam:DeleteRole"));
}

#[test]
fn a_run_with_a_role_that_is_killed_is_finished_or_removed_elsewhere() {
    for (then, offset) in [(Then::Resumed, 0), (Then::TakenOver, 4), (Then::Destroyed, 6)] {
        let Some(bench) = with_role() else { return };
        bench.gate.spread_slowly(2);
        println!("with a role, killed and {then:?} at {} points", sweep_with(bench, false, then, offset));
    }
}

#[test]
fn a_removal_with_a_role_that_is_killed_is_finished_by_another() {
    let Some(bench) = with_role() else { return };
    for (count, kill) in points(7).enumerate() {
        bench.create(bench.home().path()).unwrap();
        let ended = bench.destroy_until(kill);
        bench.destroy().unwrap_or_else(|e| panic!("killed at {kill:?}: {e:?}"));
        assert_eq!(bench.resources(), [""; 0], "killed at {kill:?}");
        if ended.is_some() {
            println!("a removal with a role was killed at {count} points");
            return;
        }
    }
}
