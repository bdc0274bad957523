//! A run that was killed is finished on another computer, which has no journal of it.

use cloudron_machine::clouds::Recorded;
use cloudron_machine::codes;
use cloudron_provision::codes as provision;
use serde_json::json;

use crate::bench::{Bench, FQDN, RECORDS};

/// Asserts that the machine is finished, once, and known to that computer.
fn finished(bench: &Bench, home: &crate::bench::Home, what: &str) {
    let list = bench.list(home);
    assert_eq!((list.len(), list[0].recorded), (1, Recorded::Yes), "{what}: {list:?}");
    assert_eq!(bench.cloud.resources().len(), 3, "{what}: {:?}", bench.cloud.resources());
    assert_eq!(bench.records(), RECORDS, "{what}");
    let (manager, domain) = (bench.stranger(home), crate::bench::domain());
    let machine = manager.machines().get(&domain).unwrap();
    let asked =
        bench.stop.process((0, false), async move { manager.ask_all(&[machine]).await }).unwrap().unwrap();
    assert_eq!(asked[0].as_ref().unwrap().fqdn, FQDN, "{what}");
}

#[test]
fn a_run_that_was_killed_at_any_call_is_finished_on_another_computer() {
    let Some(bench) = Bench::new() else { return };
    bench.create(&bench.home("first")).unwrap();
    let calls = bench.cloud.take_calls().len();
    bench.machine.off();
    let mut resumed = 0;
    for n in 1..=calls {
        let bench = Bench::new().unwrap();
        let (first, second) = (bench.home("first"), bench.home("second"));
        // Before the effect and after it in turn, which keeps the test short. The clouds' own tests do both.
        let kill = (n, n % 2 == 0);
        assert!(bench.create_until(&first, kill, bench.request()).is_none(), "{kill:?}: it was not killed");
        let run = bench.stranger(&first).unfinished().unwrap().first().map(|u| u.run.run.clone());
        let made = !bench.cloud.resources().is_empty();
        match bench.resume(&second) {
            Ok(created) => {
                assert_eq!(Some(&created.machine.run), run.as_ref(), "{kill:?}");
                finished(&bench, &second, &format!("{kill:?}"));
                resumed += 1;
            }
            Err(error) => {
                assert!(!made && error.code().name == "file-missing", "{kill:?}: {error:?}");
            }
        }
    }
    eprintln!("{resumed} of {calls} runs had made something, and were finished elsewhere");
    assert!(resumed >= 5);
}

#[test]
fn a_run_that_was_killed_at_a_command_on_the_machine_is_finished_here_and_elsewhere() {
    for (command, after) in [
        ("ssh-keygen", true),
        ("ln -sfn", true),
        ("box install", false),
        ("box install", true),
        ("box start", true),
        ("box record", false),
    ] {
        for elsewhere in [false, true] {
            let Some(bench) = Bench::new() else { return };
            let (first, second) = (bench.home("first"), bench.home("second"));
            bench.create_until_command(&first, command, after);
            let home = if elsewhere { &second } else { &first };
            let what = format!("{command}, after {after}, elsewhere {elsewhere}");
            if let Err(error) = bench.resume(home) {
                panic!("{what}: {error:?}");
            }
            finished(&bench, home, &what);
        }
    }
}

#[test]
fn a_machine_that_is_finished_is_not_resumed_but_adopted() {
    let Some(bench) = Bench::new() else { return };
    let (first, second) = (bench.home("first"), bench.home("second"));
    // Its record was written on the machine, and not on the computer.
    bench.create_until_command(&first, "box record", true);
    let error = bench.resume(&second).unwrap_err();
    assert!(error.is(&provision::MACHINE_CARRIES_SERVER), "{error:?}");
    assert_eq!(error.detail("address"), Some("127.0.0.1"));
    let created = bench.resume(&first).unwrap();
    assert!(created.backup_key.is_none());
    finished(&bench, &first, "by the first");
}

#[test]
fn a_run_that_was_taken_over_and_killed_again_is_finished_by_anybody() {
    let Some(bench) = Bench::new() else { return };
    let homes = ["first", "second", "third"].map(|name| bench.home(name));
    // After the server was made, and after the first look of the second computer.
    let create = |home: &crate::bench::Home, resume: bool, kill| {
        let mut request = bench.request();
        request.resume = resume;
        bench.create_until(home, kill, request).is_none()
    };
    assert!(create(&homes[0], false, (6, true)), "killed when the server was made");
    assert!(create(&homes[1], true, (9, false)), "killed while it was taken over");
    assert_eq!(bench.stranger(&homes[1]).unfinished().unwrap().len(), 1);
    let created = bench.resume(&homes[1]).unwrap();
    finished(&bench, &homes[1], "by the second");
    let error = bench.resume(&homes[2]).unwrap_err();
    assert!(error.is(&provision::MACHINE_CARRIES_SERVER), "{error:?}");
    assert_eq!(bench.cloud.objects("servers").len(), 1);
    assert_eq!(created.machine.reach.cloud().unwrap().run, created.machine.run);
}

#[test]
fn marks_of_several_runs_are_named_and_nothing_is_chosen() {
    let Some(bench) = Bench::new() else { return };
    assert!(bench.create_until(&bench.home("first"), (6, true), bench.request()).is_none());
    let mut firewall = bench.cloud.objects("firewalls")[0].clone();
    let run = firewall["labels"]["cloudron-run"].as_str().unwrap().to_owned();
    firewall["labels"]["cloudron-run"] = json!("01arz3ndektsv4rrffq69g5fav");
    let path = format!("/firewalls/{}", firewall["id"]);
    assert_eq!(bench.cloud.put("PUT", &path, &json!({ "labels": firewall["labels"] })).status, 200);
    let before = bench.cloud.resources();
    let error = bench.resume(&bench.home("second")).unwrap_err();
    assert!(error.is(&codes::SEVERAL_RUNS), "{error:?}");
    assert!(
        error.message().contains("01arz3ndektsv4rrffq69g5fav") && error.message().contains(&run),
        "{error}"
    );
    assert_eq!(bench.cloud.resources(), before);
    // Removing the machine removes what both made.
    bench.destroy_remains(&bench.home("second")).unwrap();
    bench.assert_nothing("several runs");
}

#[test]
fn another_host_key_than_the_marks_name_is_refused() {
    let Some(bench) = Bench::new() else { return };
    assert!(bench.create_until(&bench.home("first"), (8, true), bench.request()).is_none());
    let key = bench.machine.path("ssh/ssh_host_ed25519_key");
    std::fs::copy(bench.machine.sshd().key_path(), &key).unwrap();
    let before = bench.machine.commands();
    let error = bench.resume(&bench.home("second")).unwrap_err();
    assert!(error.is(&provision::HOST_KEY_MISMATCH), "{error:?}");
    assert_eq!(bench.machine.commands(), before, "nothing is sent");
}
