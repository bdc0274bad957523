//! Removing a machine, with its record and without.

use cloudron_core::{Cancel, Progress};
use cloudron_machine::clouds::Recorded;
use cloudron_machine::codes;
use cloudron_machine::destroy::DestroyOptions;
use cloudron_provision::cloud::codes as cloud;

use crate::bench::{Bench, Home, domain};

fn deleting() -> DestroyOptions {
    DestroyOptions { delete_backups: true, ..DestroyOptions::default() }
}

/// Makes a backup on the machine, as its server does.
fn back_up(bench: &Bench, home: &Home) {
    let manager = bench.stranger(home);
    let made = bench.stop.process((0, false), async move {
        let client = manager.client(&manager.machines().get(&domain())?).await?;
        let job = client.begin_backup().await?;
        let limit = std::time::Duration::from_secs(60);
        client.wait_for(job, limit, &Progress::none(), &Cancel::new()).await
    });
    assert!(made.unwrap().unwrap().backup_id.is_some());
}

#[test]
fn a_machine_is_removed_with_its_records_and_again_says_what_was_looked_for() {
    let Some(bench) = Bench::new() else { return };
    let home = bench.home("laptop");
    bench.create(&home).unwrap();
    let _ = bench.cloud.take_calls();
    let done = bench.destroy(&home).unwrap();
    let calls = bench.cloud.take_calls();
    eprintln!("destroy: {} calls and polls: {calls:?}", calls.len());
    assert!(calls.len() <= 9, "{calls:?}");
    let kinds: Vec<&str> = done.removed.iter().map(|removal| removal.kind).collect();
    assert_eq!(kinds, ["server", "firewall", "ssh-key"]);
    assert!(done.kept.is_none(), "the disk is gone");
    assert_eq!(done.dns.unwrap().removed.len(), 4);
    bench.assert_nothing("destroyed");
    assert!(bench.list(&home).is_empty());
    assert!(bench.destroy(&home).unwrap_err().is(&codes::MACHINE_UNKNOWN));
    let error = bench.destroy_remains(&home).unwrap_err();
    assert!(error.is(&codes::MACHINE_UNKNOWN), "{error:?}");
    assert!(
        error.message().contains("Hetzner Cloud") && error.message().contains("shop.example.com"),
        "{error}"
    );
    assert_eq!(error.detail("provider"), Some("hetzner"));
}

#[test]
fn a_machine_is_removed_on_a_computer_that_never_saw_it() {
    let Some(bench) = Bench::new() else { return };
    let (laptop, other) = (bench.home("laptop"), bench.home("other"));
    bench.create(&laptop).unwrap();
    let list = bench.list(&other);
    assert_eq!((list.len(), list[0].recorded), (1, Recorded::No));
    // Somebody set one of the names to another address, and uses the machine's for a name of theirs.
    bench.set_record("my.shop.example.com", "A", "192.0.2.77");
    bench.set_record("blog.example.com", "A", "127.0.0.1");
    let done = bench.destroy_remains(&other).unwrap();
    let dns = done.dns.unwrap();
    let left: Vec<String> = dns.left.iter().map(ToString::to_string).collect();
    assert_eq!((dns.removed.len(), left), (3, vec!["my.shop.example.com. A".to_owned()]));
    assert_eq!(bench.cloud.resources(), [""; 0]);
    assert_eq!(bench.records(), ["blog.example.com. A 127.0.0.1", "my.shop.example.com. A 192.0.2.77"]);
    // The first computer sees that it is gone, and does not conclude it without being told.
    assert_eq!(bench.list(&laptop)[0].recorded, Recorded::Gone);
    let error = bench.destroy(&laptop).unwrap_err();
    assert!(error.is(&codes::NOT_IN_ACCOUNT), "{error:?}");
    let forget = DestroyOptions { forget: true, ..DestroyOptions::default() };
    let _ = bench.cloud.take_calls();
    bench.destroy_until(&laptop, (0, false), forget).unwrap().unwrap();
    assert_eq!(bench.cloud.take_calls(), [], "forgetting sends nothing to the cloud");
    assert!(bench.list(&laptop).is_empty());
}

#[test]
fn a_removal_that_was_killed_at_any_call_is_finished_by_the_next() {
    let Some(bench) = Bench::new() else { return };
    let home = bench.home("laptop");
    for recorded in [true, false] {
        let mut n = 1;
        loop {
            bench.create(&home).unwrap();
            let who = if recorded { home.clone() } else { bench.home("other") };
            let kill = (n, n % 2 == 0);
            let remove = |kill| match recorded {
                true => bench.destroy_until(&who, kill, DestroyOptions::default()),
                false => bench.destroy_remains_until(&who, kill, DestroyOptions::default()),
            };
            let first = remove(kill);
            if first.is_none() {
                let second = remove((0, false)).unwrap();
                if let Err(error) = &second {
                    panic!("recorded {recorded}, {kill:?}: {error:?}");
                }
            }
            bench.assert_nothing(&format!("recorded {recorded}, {kill:?}"));
            if !recorded {
                let forget = DestroyOptions { forget: true, ..DestroyOptions::default() };
                bench.destroy_until(&home, (0, false), forget).unwrap().unwrap();
                bench.stranger(&home).kept().remove(&domain()).unwrap();
            }
            if first.is_some() {
                break;
            }
            n += 1;
        }
        eprintln!("recorded {recorded}: {} kills", n - 1);
        assert!(n > 7);
    }
}

#[test]
fn an_unfinished_run_is_removed_here_and_elsewhere() {
    for elsewhere in [false, true] {
        for n in [3, 5, 6, 8, 9, 11] {
            let Some(bench) = Bench::new() else { return };
            let home = bench.home("laptop");
            assert!(bench.create_until(&home, (n, true), bench.request()).is_none());
            match elsewhere {
                false => drop(bench.destroy(&home).unwrap()),
                true => drop(bench.destroy_remains(&bench.home("other")).unwrap()),
            }
            bench.assert_nothing(&format!("elsewhere {elsewhere}, {n}"));
            if !elsewhere {
                assert!(bench.stranger(&home).unfinished().unwrap().is_empty());
            }
        }
    }
}

#[test]
fn what_is_removed_without_credentials_or_with_wrong_ones_stays() {
    let Some(bench) = Bench::new() else { return };
    let home = bench.home("laptop");
    let machine = bench.create(&home).unwrap().machine;
    let before = (bench.cloud.resources(), bench.records());
    let (manager, ours) = (bench.stranger(&home), machine.clone());
    let options = DestroyOptions::default();
    let work = async move { manager.destroy(&ours, &[], None, &options).await };
    let error = bench.stop.process((0, false), work).unwrap().unwrap_err();
    assert!(error.is(&cloud::CREDENTIALS) && error.kind().exit_code() == 4, "{error:?}");
    assert_eq!(
        (error.detail("provider"), error.detail("domain")),
        (Some("hetzner"), Some("shop.example.com"))
    );
    let manager = bench.stranger(&home).with_account(bench.account_with("wrong"));
    let work = async move { manager.destroy(&machine, &[], None, &options).await };
    let error = bench.stop.process((0, false), work).unwrap().unwrap_err();
    assert!(error.is(&cloud::CREDENTIALS), "{error:?}");
    assert_eq!((bench.cloud.resources(), bench.records()), before);
    assert!(!bench.stranger(&home).machines().get(&domain()).unwrap().destroying);
    bench.destroy(&home).unwrap();
    bench.assert_nothing("destroyed");
}

#[test]
fn the_only_backups_are_not_removed_unless_asked_for() {
    for recorded in [true, false] {
        let Some(bench) = Bench::new() else { return };
        let home = bench.home("laptop");
        bench.create(&home).unwrap();
        back_up(&bench, &home);
        let before = (bench.cloud.resources(), bench.records());
        let other = bench.home("other");
        let remove = |options| match recorded {
            true => bench.destroy_until(&home, (0, false), options).unwrap(),
            false => bench.destroy_remains_until(&other, (0, false), options).unwrap(),
        };
        let error = remove(DestroyOptions::default()).unwrap_err();
        assert!(error.is(&codes::BACKUPS_ON_MACHINE) && error.kind().exit_code() == 5, "{error:?}");
        assert_eq!(error.detail("domain"), Some("shop.example.com"));
        // A machine that cannot be asked may have some.
        let key = bench.machine.path("ssh/ssh_host_ed25519_key");
        let kept = std::fs::read(&key).unwrap();
        std::fs::copy(bench.machine.sshd().key_path(), &key).unwrap();
        let error = remove(DestroyOptions::default()).unwrap_err();
        assert!(error.is(&codes::BACKUPS_ON_MACHINE), "{error:?}");
        assert_eq!((bench.cloud.resources(), bench.records()), before);
        std::fs::write(&key, kept).unwrap();
        remove(deleting()).unwrap();
        bench.assert_nothing("with its backups");
    }
}

#[test]
fn a_machine_that_the_cloud_removes_already_is_not_looked_at() {
    for recorded in [true, false] {
        let Some(bench) = Bench::new() else { return };
        let (home, other) = (bench.home("laptop"), bench.home("other"));
        bench.create(&home).unwrap();
        back_up(&bench, &home);
        bench.cloud.set(|settings| settings.polls = 3);
        let id = bench.cloud.objects("servers")[0]["id"].clone();
        let _ = bench.cloud.put("DELETE", &format!("/servers/{id}"), &serde_json::Value::Null);
        bench.machine.off();
        match recorded {
            true => bench.destroy(&home).unwrap(),
            false => bench.destroy_remains(&other).unwrap(),
        };
        bench.assert_nothing("finished");
    }
}
