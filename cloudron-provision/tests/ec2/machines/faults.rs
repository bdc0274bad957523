//! Each call fails in each way. A run ends with one machine or with nothing, and says which.

use cloudron_provision::cloud::codes as cloud;
use cloudron_provision::codes;
use cloudron_testkit::ec2_gate::Fault;

use super::bench::Bench;

/// Faults that pass.
const PASSING: [Fault; 6] = [
    Fault::Refused(503, "RequestLimitExceeded"),
    Fault::Refused(500, "InternalError"),
    Fault::Refused(503, "Unavailable"),
    Fault::Misreported(500, "InternalError"),
    Fault::Lost,
    Fault::Unanswered,
];

#[test]
fn a_fault_that_passes_at_any_call_changes_nothing() {
    let Some(mut bench) = Bench::new() else { return };
    (bench.settings.own_vpc, bench.settings.elastic_ip) = (true, true);
    bench.gate.end_slowly(1);
    bench.create(bench.home().path()).unwrap();
    let creating = bench.gate.take_calls().len();
    bench.destroy().unwrap();
    let destroying = bench.gate.take_calls().len();
    let (mut tried, whole) = (0, std::env::var_os("CLOUDRON_TEST_ROUNDS").is_some());
    for (nth, fault) in PASSING.iter().enumerate() {
        // Otherwise every sixth call, so that the faults together hit them all.
        for number in (0..creating).filter(|number| whole || (number + nth) % PASSING.len() == 0) {
            let what = format!("{fault:?} at call {number} of creating");
            bench.gate.fault(number, fault.clone());
            if let Err(error) = bench.create(bench.home().path()) {
                panic!("{what}: {error:?}");
            }
            bench.assert_finished(&what);
            let _ = bench.gate.take_calls();
            bench.gate.fault(number % destroying, fault.clone());
            bench.destroy().unwrap_or_else(|e| panic!("{what}, then destroying: {e:?}"));
            assert_eq!(bench.resources(), [""; 0], "{what}");
            let _ = bench.gate.take_calls();
            tried += 2;
        }
    }
    println!("{tried} faults at {creating} calls of creating and {destroying} of destroying");
}

#[test]
fn what_is_visible_late_is_not_made_twice() {
    let Some(mut bench) = Bench::new() else { return };
    let whole = std::env::var_os("CLOUDRON_TEST_ROUNDS").is_some();
    let mut tried = 0;
    for hidden in [1, 2, 3] {
        for own in [false, true] {
            (bench.settings.own_vpc, bench.settings.elastic_ip) = (own, own);
            let calls = if own { 24 } else { 15 };
            for number in (6..calls).filter(|n| whole || n % 3 == hidden as usize % 3) {
                let fault = if number % 2 == 0 {
                    Fault::Unanswered
                } else {
                    Fault::Misreported(500, "InternalError")
                };
                let what = format!("hidden {hidden}, own {own}, {fault:?} at {number}");
                bench.gate.hide_new(hidden);
                bench.gate.fault(number, fault);
                bench.create(bench.home().path()).unwrap_or_else(|e| panic!("{what}: {e:?}"));
                bench.assert_finished(&what);
                let _ = bench.gate.take_calls();
                // Later, everything is listed.
                bench.gate.hide_new(0);
                bench.destroy().unwrap_or_else(|e| panic!("{what}: {e:?}"));
                assert_eq!(bench.resources(), [""; 0], "{what}");
                let _ = bench.gate.take_calls();
                tried += 1;
            }
        }
    }
    println!("{tried} lost answers with late lists");
}

#[test]
fn what_does_not_pass_ends_the_run_with_nothing_left() {
    let Some(mut bench) = Bench::new() else { return };
    let mut refused = |action: &str, status, code, own| {
        (bench.settings.own_vpc, bench.settings.elastic_ip) = (own, own);
        bench.gate.refuse(action, Some((status, code)));
        let error = bench.create(bench.home().path()).unwrap_err();
        bench.gate.refuse(action, None);
        assert_eq!(bench.resources(), [""; 0], "{error:?}");
        assert!(error.hint().is_none_or(|hint| !hint.contains("--")), "{error:?}");
        (error.code().name, error.kind().exit_code())
    };
    assert_eq!(refused("RunInstances", 400, "VcpuLimitExceeded", false), ("cloud-quota", 4));
    assert_eq!(refused("RunInstances", 500, "InsufficientInstanceCapacity", true), ("cloud-capacity", 7));
    assert_eq!(refused("RunInstances", 403, "UnauthorizedOperation", true), ("cloud-permission", 4));
    assert_eq!(refused("CreateVpc", 400, "VpcLimitExceeded", true), ("cloud-quota", 4));
    assert_eq!(refused("AllocateAddress", 400, "AddressLimitExceeded", true), ("cloud-quota", 4));
    assert_eq!(
        refused("AuthorizeSecurityGroupIngress", 403, "UnauthorizedOperation", false),
        ("cloud-permission", 4)
    );
    assert_eq!(refused("CreateTags", 403, "UnauthorizedOperation", false), ("cloud-permission", 4));
}

#[test]
fn credentials_that_are_revoked_midway_leave_what_destroying_finds() {
    let Some(bench) = Bench::new() else { return };
    for number in [9, 10, 11, 13, 17] {
        // Killed, so that the credentials can be revoked at this very call.
        let home = bench.home();
        assert!(bench.create_until(home.path(), (number, true)).is_none());
        bench.gate.revoke(true);
        let error = bench.resume(home.path()).unwrap_err();
        let known = [&codes::UNDO_FAILED, &cloud::CREDENTIALS];
        assert!(known.iter().any(|code| error.is(code)), "{number}: {error:?}");
        assert_eq!(bench.destroy().unwrap_err().kind().exit_code(), 4);
        bench.gate.revoke(false);
        bench.destroy().unwrap();
        assert_eq!(bench.resources(), [""; 0], "{number}");
    }
}

#[test]
fn a_machine_that_never_answers_is_removed_again() {
    let Some(mut bench) = Bench::new() else { return };
    bench.port = Some(cloudron_provision::local::free_port(None).unwrap());
    let error = bench.create(bench.home().path()).unwrap_err();
    assert!(error.is(&codes::SSH_REFUSED) && error.kind().exit_code() == 7, "{error:?}");
    assert_eq!(bench.resources(), [""; 0]);
}

#[test]
fn a_list_without_an_end_removes_nothing_and_is_not_read_for_ever() {
    let Some(bench) = Bench::new() else { return };
    bench.create(bench.home().path()).unwrap();
    let _ = bench.gate.take_calls();
    bench.gate.endless(true);
    let error = bench.destroy().unwrap_err();
    assert_eq!((error.code().name, error.kind().exit_code()), ("cloud-unavailable", 7));
    assert!(bench.gate.take_calls().len() < 210);
    bench.assert_finished("after a removal that failed");
    bench.gate.endless(false);
    bench.destroy().unwrap();
    assert_eq!(bench.resources(), [""; 0]);
}

#[test]
fn an_instance_is_started_in_the_next_zone_with_another_token() {
    let Some(bench) = Bench::new() else { return };
    bench.gate.without_capacity("us-east-1a", "InsufficientInstanceCapacity");
    bench.gate.without_capacity("us-east-1b", "Unsupported");
    bench.create(bench.home().path()).unwrap();
    bench.assert_finished("in the third zone");
    assert_eq!(bench.instances()[0].placement.availability_zone, "us-east-1c");
    bench.destroy().unwrap();
    for zone in ["c", "d", "e", "f"] {
        bench.gate.without_capacity(&format!("us-east-1{zone}"), "InsufficientInstanceCapacity");
    }
    let error = bench.create(bench.home().path()).unwrap_err();
    assert_eq!((error.code().name, error.kind().exit_code()), ("cloud-capacity", 7));
    assert!(error.message().contains("us-east-1a (InsufficientInstanceCapacity)"), "{error}");
    assert_eq!(bench.resources(), [""; 0]);
}
