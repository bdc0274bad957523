//! What each part of a server may do, as measured, and as tried from within.

use cloudron_e2e::available;

use super::scene::{DOMAIN, FILES, Scene};

/// The most that `systemd-analyze security` may find of each unit, in tenths: what is measured with systemd 252, rounded
/// up.
const LIMITS: [(&str, u32); 4] = [
    ("cloudron-front.service", 14),
    ("cloudron-box.service", 14),
    ("cloudron-backup.service", 10),
    ("cloudron-helper.service", 10),
];

#[test]
#[expect(clippy::print_stdout, reason = "the numbers that were measured are for the documentation")]
fn each_unit_is_exposed_no_more_than_its_limit() {
    if !available() {
        return;
    }
    let scene = Scene::bare("exposure");
    scene.create(&[]);
    for (unit, limit) in LIMITS {
        let path = format!("/etc/systemd/system/{unit}");
        let analyze =
            format!("systemd-analyze security --no-pager --offline=true --threshold={limit} {path}");
        let said = scene.server.exec(&analyze);
        let overall = said.stdout.lines().find(|line| line.contains("exposure level")).unwrap_or_default();
        println!("{unit}: {overall}");
        assert_eq!(said.code, 0, "{unit} is above {limit}: {}", said.stdout);
    }
}

#[test]
#[expect(clippy::print_stdout, reason = "the numbers that were measured are for the documentation")]
fn the_interface_reads_neither_keys_nor_files_and_the_worker_reads_all_and_writes_its_own() {
    if !available() {
        return;
    }
    let scene = Scene::bare("rights");
    scene.server.exec_ok(&format!("mkdir -p {FILES} && echo mine >{FILES}/roots && chmod 600 {FILES}/roots"));
    scene.create(&["--include", FILES]);
    scene.back_up();
    let property = |unit: &str, name: &str| {
        scene.server.exec_ok(&format!("systemctl show --property={name} --value {unit}")).trim().to_owned()
    };
    // The worker has answered a moment ago, and goes on running for a minute.
    let users = ["cloudron-front", "cloudron-box", "cloudron-backup"].map(|unit| {
        let pid = property(unit, "MainPID");
        scene.server.exec_ok(&format!("stat -c %U /proc/{pid}")).trim().to_owned()
    });
    assert_eq!(users, ["cloudron-front", "cloudron", "cloudron-backup"]);
    // `CAP_DAC_READ_SEARCH` is 2.
    let capabilities = ["cloudron-front", "cloudron-box", "cloudron-backup"].map(|unit| {
        let pid = property(unit, "MainPID");
        let line = scene.server.exec_ok(&format!("grep CapEff /proc/{pid}/status"));
        u64::from_str_radix(line.split_whitespace().last().unwrap(), 16).unwrap()
    });
    assert_eq!(capabilities, [0, 0, 1 << 2]);
    for unit in ["cloudron-front", "cloudron-box", "cloudron-backup"] {
        let pid = property(unit, "MainPID");
        let pss = scene.server.exec_ok(&format!("grep ^Pss: /proc/{pid}/smaps_rollup"));
        println!("{unit}: {}", pss.trim());
    }
    // As the interface's user, nothing of the worker's can be read, and its list of commands not be changed.
    let closed = [
        "cat /var/lib/cloudron-backup/secrets/writer-keys.json",
        "cat /var/lib/cloudron-backup/worker.json",
        "ls /var/backups/cloudron",
        "cat /etc/cloudron/includes.json",
        "touch /etc/cloudron/includes.json",
        "touch /etc/cloudron/proxy.json",
    ];
    for line in closed {
        let said =
            scene.server.exec(&format!("setpriv --reuid cloudron --regid cloudron --clear-groups -- {line}"));
        assert_ne!(said.code, 0, "{line}: {said:?}");
    }
    // The front reads nothing of the others but the certificate that was left for it, which nobody else reads.
    let as_front = "setpriv --reuid cloudron-front --regid cloudron-front --clear-groups --";
    scene.server.exec_ok(&format!("{as_front} cat /var/lib/cloudron-front/own/server.pem >/dev/null"));
    let closed =
        ["ls /var/lib/cloudron", "ls /var/lib/cloudron-backup", "touch /var/lib/cloudron-front/own/x"];
    for line in closed {
        assert_ne!(scene.server.exec(&format!("{as_front} {line}")).code, 0, "{line}");
    }
    let as_worker = "setpriv --reuid cloudron-backup --regid cloudron-backup --clear-groups --";
    assert_ne!(scene.server.exec(&format!("{as_worker} ls /var/lib/cloudron-front/own")).code, 0);
    assert_eq!(scene.server.exec("grep -r secret /var/lib/cloudron/secrets").stdout, "");
    // Nobody else than the interface asks the worker.
    let socket = scene.server.exec_ok("stat -c '%U %a' /run/cloudron-backup.sock");
    assert_eq!(socket, "cloudron 600\n");
    // It ends when it is stopped with the server, and comes again by itself.
    scene.laptop.ok(&["machine", "ssh", DOMAIN, "--", "systemctl", "restart", "cloudron-box"]);
    scene.server.exec_ok("systemctl kill --signal=KILL cloudron-backup; true");
    scene.back_up();
}

#[test]
fn a_worker_that_is_killed_during_a_backup_fails_the_job_and_the_next_one_is_made() {
    if !available() {
        return;
    }
    let scene = Scene::with_files("killed-worker", 300_000);
    let wait = "touch /tmp/begun; sleep 60";
    scene.laptop.ok(&["machine", "include", "add", DOMAIN, FILES, "--before", wait]);
    let running = scene.laptop.spawn(&["machine", "backup", "create", DOMAIN]);
    cloudron_e2e::until("the hook runs", std::time::Duration::from_secs(30), || {
        (scene.server.exec("grep -qx sleep /proc/[0-9]*/comm").code == 0).then_some(())
    });
    scene.server.exec_ok("systemctl kill --signal=KILL cloudron-backup");
    let run = running.wait();
    assert_ne!(run.code, 0, "{run}");
    assert!(run.stderr.contains("part-unavailable"), "{run}");
    scene.laptop.ok(&["machine", "include", "add", DOMAIN, FILES]);
    scene.back_up();
}
