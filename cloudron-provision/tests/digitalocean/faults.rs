//! Each call fails in each way. A run ends with one machine or with nothing, and says which.

use cloudron_provision::codes;
use cloudron_testkit::clouds::Fault;

use crate::bench::{Bench, TOKEN};

/// Faults that pass.
const PASSING: [Fault; 6] = [
    Fault::Refused(429, "too_many_requests"),
    Fault::Refused(500, "server_error"),
    Fault::Refused(503, "service_unavailable"),
    Fault::Misreported(502, "bad_gateway"),
    Fault::Lost,
    Fault::Unanswered,
];

#[test]
fn a_fault_that_passes_at_any_call_changes_nothing() {
    let mut bench = Bench::new();
    bench.settings.reserved_ip = true;
    bench.create(bench.home().path()).unwrap();
    let creating = bench.cloud.take_calls().len();
    bench.destroy().unwrap();
    let destroying = bench.cloud.take_calls().len();
    let (mut tried, whole) = (0, std::env::var_os("CLOUDRON_TEST_ROUNDS").is_some());
    for (nth, fault) in PASSING.iter().enumerate() {
        // Otherwise every other call, so that two faults together hit them all.
        for number in (1..=creating).filter(|number| whole || (number + nth) % 2 == 0) {
            let what = format!("{fault:?} at call {number} of creating");
            bench.cloud.fault(number, fault.clone());
            if let Err(error) = bench.create(bench.home().path()) {
                panic!("{what}: {error:?}");
            }
            bench.assert_finished(&what);
            let _ = bench.cloud.take_calls();
            bench.cloud.fault(1 + number % destroying, fault.clone());
            bench.destroy().unwrap_or_else(|e| panic!("{what}, then destroying: {e:?}"));
            assert_eq!(bench.cloud.resources(), [""; 0], "{what}");
            let _ = bench.cloud.take_calls();
            tried += 2;
        }
    }
    println!("{tried} faults at {creating} calls of creating and {destroying} of destroying");
}

#[test]
fn what_is_listed_late_is_not_made_twice() {
    for late in [1, 2, 4] {
        for fault in [Fault::Unanswered, Fault::Misreported(500, "server_error")] {
            for number in 3..=12 {
                let bench = Bench::new();
                bench
                    .cloud
                    .set(|settings| (settings.hidden, settings.late, settings.untagged) = (late, late, late));
                bench.cloud.fault(number, fault.clone());
                let what = format!("late {late}, {fault:?} at {number}");
                bench.create(bench.home().path()).unwrap_or_else(|e| panic!("{what}: {e:?}"));
                bench.assert_finished(&what);
            }
        }
    }
}

#[test]
fn what_does_not_pass_ends_the_run_with_nothing_left() {
    let refused = |change: &dyn Fn(&mut Bench)| {
        let mut bench = Bench::new();
        change(&mut bench);
        let error = bench.create(bench.home().path()).unwrap_err();
        assert_eq!(bench.cloud.resources(), [""; 0], "{error:?}");
        assert!(error.hint().is_none_or(|hint| !hint.contains("--")), "{error:?}");
        (error.code().name, error.kind().exit_code(), error.hint().unwrap_or_default().to_owned())
    };
    let none = String::new();
    assert_eq!(refused(&|b| b.cloud.set(|s| s.quota = 0)), ("cloud-quota", 4, none.clone()));
    assert_eq!(refused(&|b| b.cloud.set(|s| s.no_place = true)), ("cloud-capacity", 7, none.clone()));
    assert_eq!(refused(&|b| b.settings.image = "debian-1-x64".into()), ("cloud-not-found", 3, none));
    let scope = "give the token the scope ssh_key:create".to_owned();
    assert_eq!(refused(&|b| b.cloud.set(|s| s.read_only = true)), ("cloud-permission", 4, scope));
}

#[test]
fn a_token_that_is_revoked_midway_leaves_what_destroying_finds() {
    let bench = Bench::new();
    for number in 1..=13 {
        // Killed, so that the token can be revoked at this very call.
        let home = bench.home();
        assert!(bench.create_until(home.path(), (number, true)).is_none());
        bench.cloud.replace_token("revoked");
        if let Err(error) = bench.resume_if_begun(home.path()) {
            let known = [&codes::UNDO_FAILED, &cloudron_provision::cloud::codes::CREDENTIALS];
            assert!(known.iter().any(|code| error.is(code)), "{number}: {error:?}");
        }
        assert_eq!(bench.destroy().unwrap_err().kind().exit_code(), 4);
        bench.cloud.replace_token(TOKEN);
        bench.destroy().unwrap();
        assert_eq!(bench.cloud.resources(), [""; 0], "{number}");
    }
}

impl Bench {
    fn resume_if_begun(&self, home: &std::path::Path) -> cloudron_core::Result<()> {
        let begun = cloudron_provision::Runner::new(home).unfinished(None)?;
        if begun.is_empty() { Ok(()) } else { self.resume(home).map(drop) }
    }
}

#[test]
fn a_machine_that_never_answers_is_removed_again() {
    let mut bench = Bench::new();
    bench.port = Some(cloudron_provision::local::free_port(None).unwrap());
    let error = bench.create(bench.home().path()).unwrap_err();
    assert!(error.is(&codes::SSH_REFUSED) && error.kind().exit_code() == 7, "{error:?}");
    assert_eq!(bench.cloud.resources(), [""; 0]);
}

#[test]
fn a_list_without_an_end_removes_nothing_and_is_not_read_for_ever() {
    let bench = Bench::new();
    bench.create(bench.home().path()).unwrap();
    let _ = bench.cloud.take_calls();
    bench.cloud.set(|settings| settings.endless = true);
    let error = bench.destroy().unwrap_err();
    assert_eq!((error.code().name, error.kind().exit_code()), ("cloud-unavailable", 7));
    assert!(bench.cloud.take_calls().len() < 40);
    bench.assert_finished("after a removal that failed");
    bench.cloud.set(|settings| settings.endless = false);
    bench.destroy().unwrap();
    assert_eq!(bench.cloud.resources(), [""; 0]);
}

#[test]
fn a_droplet_that_cannot_be_removed_keeps_its_firewall_and_its_marks() {
    let bench = Bench::new();
    bench.create(bench.home().path()).unwrap();
    let _ = bench.cloud.take_calls();
    // Three lists, and the droplet.
    bench.cloud.fault(4, Fault::Refused(403, "Forbidden"));
    let error = bench.destroy().unwrap_err();
    assert!(error.is(&codes::UNDO_FAILED) && error.message().contains("still needs it"), "{error:?}");
    let left: Vec<String> =
        bench.cloud.resources().iter().map(|r| r.split(' ').next().unwrap().into()).collect();
    assert_eq!(left, ["droplets", "firewalls", "tags", "tags"]);
    bench.destroy().unwrap();
    assert_eq!(bench.cloud.resources(), [""; 0]);
}

#[test]
fn a_tag_that_is_not_known_yet_is_put_on_the_droplet_later() {
    let bench = Bench::new();
    bench.create(bench.home().path()).unwrap();
    let calls = bench.cloud.take_calls();
    let number = 1 + calls.iter().position(|(_, path)| path.ends_with("/resources")).unwrap();
    bench.destroy().unwrap();
    let _ = bench.cloud.take_calls();
    bench.cloud.fault(number, Fault::Refused(404, "not_found"));
    bench.create(bench.home().path()).unwrap();
    bench.assert_finished("a tag was unknown");
}

#[test]
fn an_event_that_is_pending_is_waited_for() {
    let bench = Bench::new();
    bench.create(bench.home().path()).unwrap();
    bench.cloud.set(|settings| settings.polls = 6);
    let id = bench.cloud.objects("droplets")[0]["id"].clone();
    let reboot = serde_json::json!({ "type": "reboot" });
    assert_eq!(bench.cloud.put("POST", &format!("/droplets/{id}/actions"), &reboot).status, 201);
    bench.destroy().unwrap();
    assert_eq!(bench.cloud.resources(), [""; 0]);
}
