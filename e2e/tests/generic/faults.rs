//! Faults that leave everything that existed before unchanged.

use std::fs;
use std::time::Duration;

use cloudron_e2e::{available, until};
use cloudron_testkit::proxy::{Faults, Proxy};

use super::scene::{DOMAIN, FILES, Scene};

/// Location of the machine's backups.
const STORE: &str = "/var/backups/cloudron";

const PATIENCE: Duration = Duration::from_secs(60);

#[test]
fn a_full_disk_fails_the_backup_and_spoils_nothing() {
    if !available() {
        return;
    }
    let scene = Scene::bare("full-disk");
    scene.server.limit("/var/backups", 60);
    scene.fill(1_000_000);
    scene.create(&["--include", FILES]);
    let good = scene.back_up();
    scene.server.exec_ok(&format!("head -c 100000000 /dev/urandom >{FILES}/big"));

    let run = scene.laptop.run(&["machine", "backup", "create", DOMAIN]);
    assert_eq!(run.code, 1, "{run}");
    assert!(run.stderr.contains("no-space") || run.stderr.to_lowercase().contains("no space"), "{run}");
    assert_eq!(scene.laptop.backups(DOMAIN), [good.as_str()]);
    verify(&scene);

    scene.server.limit("/var/backups", 400);
    let next = scene.back_up();
    assert_ne!(next, good);
    verify(&scene);
}

#[test]
fn a_server_killed_during_a_backup_never_lists_it_and_backs_up_again() {
    if !available() {
        return;
    }
    let scene = Scene::with_files("killed", 1_000_000);
    let good = scene.back_up();
    scene.server.exec_ok(&format!("head -c 300000000 /dev/urandom >{FILES}/big"));

    let mut running = scene.laptop.spawn(&["machine", "backup", "create", DOMAIN]);
    let packs = || {
        scene.server.exec_ok(&format!("find {STORE}/packs -type f | wc -l")).trim().parse::<u64>().unwrap()
    };
    let before = packs();
    until("the backup writes packs", PATIENCE, || (packs() > before + 1).then_some(()));
    assert!(running.runs(), "the backup was over before it could be killed: give it more to do");
    scene.server.exec_ok("systemctl kill --signal=KILL cloudron-box");
    let run = running.wait();
    assert_ne!(run.code, 0, "{run}");

    until("the server is back", PATIENCE, || {
        (scene.laptop.run(&["machine", "status", DOMAIN]).code == 0).then_some(())
    });
    assert_eq!(scene.laptop.backups(DOMAIN), [good.as_str()]);
    let next = scene.back_up();
    let mut all = scene.laptop.backups(DOMAIN);
    all.sort();
    assert_eq!(all, [good, next]);
    verify(&scene);
}

#[test]
fn a_connection_cut_during_the_upload_is_resumed() {
    if !available() {
        return;
    }
    let scene = Scene::bare("cut");
    // One address with both SSH ports, like the server itself.
    let address = "127.77.0.1";
    let proxy = |port| {
        Proxy::start_at(format!("{address}:{port}").parse().unwrap(), scene.server.address(port)).unwrap()
    };
    let (first, _second) = (proxy(22), proxy(202));
    first.set(Faults { cut_up_after: Some(2_000_000), refuse_after_cut: true, ..Faults::default() });

    let run = scene.try_create(&["--ip", address]);
    assert!([7, 9].contains(&run.code), "{run}");
    assert!(run.stderr.contains("--resume"), "{run}");
    assert_eq!(first.cuts(), 1, "{run}");

    first.set(Faults::default());
    scene.create(&["--ip", address, "--resume"]);
    assert_eq!(scene.server.exec_ok("systemctl is-active cloudron-box"), "active\n");
    scene.back_up();
}

#[test]
fn a_laptop_that_crashes_during_the_upload_goes_on_with_resume() {
    if !available() {
        return;
    }
    let scene = Scene::bare("crash");
    let address = "127.77.0.2";
    let proxy = |port| {
        Proxy::start_at(format!("{address}:{port}").parse().unwrap(), scene.server.address(port)).unwrap()
    };
    let (first, _second) = (proxy(22), proxy(202));
    first.set(Faults { delay: Duration::from_millis(5), ..Faults::default() });
    let arguments = scene.create_arguments(&["--ip", address]);
    let running = scene.laptop.spawn(&arguments.iter().map(String::as_str).collect::<Vec<_>>());
    until("the upload is under way", PATIENCE, || (first.bytes_up() > 10_000_000).then_some(()));
    running.kill();
    first.set(Faults::default());
    let uploaded = first.bytes_up();

    scene.create(&["--ip", address, "--resume"]);
    let program = fs::metadata(scene.laptop.program()).unwrap().len();
    let again = first.bytes_up() - uploaded;
    assert!(again < program - 5_000_000, "what had arrived is not sent again: {again} of {program} bytes");
    scene.back_up();
}

#[track_caller]
fn verify(scene: &Scene) {
    scene.laptop.ok(&["machine", "backup", "verify", DOMAIN, "--full", "--backup-key", &scene.backup_key]);
}
