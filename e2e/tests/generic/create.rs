//! Making a machine: what is there afterwards, and what is refused before anything is touched.

use std::fs;

use cloudron_e2e::{Server, available};
use cloudron_testkit::named::Named;

use super::scene::{DOMAIN, Scene};

#[test]
fn afterwards_ssh_answers_on_202_only_and_the_service_runs() {
    if !available() {
        return;
    }
    let scene = Scene::bare("ports");
    scene.create(&[]);
    assert!(scene.server.greets(202), "SSH greets on port 202");
    assert!(!scene.server.listens(22), "port 22 is closed");
    assert_eq!(scene.server.exec_ok("systemctl is-active cloudron-box"), "active\n");
    let status = scene.laptop.ok(&["machine", "ssh", DOMAIN, "--", "systemctl", "status", "cloudron-box"]);
    assert!(status.stdout.contains("Active: active (running)"), "{status}");
    scene.laptop.ok(&["machine", "status", DOMAIN]);
}

#[test]
fn its_records_are_written_where_the_domain_is_kept() {
    if !available() {
        return;
    }
    let key = "key laptop { algorithm hmac-sha256; secret \"Y2FuYXJ5LXNlY3JldC1vZi10aGUta2V5\"; };\n";
    let clauses = "type primary; allow-update { key laptop; }; allow-transfer { key laptop; };";
    let Some(bind) = Named::start(key, &[(DOMAIN.into(), clauses.into())]) else { return };
    let scene = Scene::bare("records");
    let file = scene.laptop.secret("tsig-key", key);
    let file = file.strip_prefix("file:").unwrap_or(&file);
    let server = bind.address().to_string();
    let run = scene.create(&[
        "--dns",
        "rfc2136",
        "--server",
        &server,
        "--tsig-key-file",
        file,
        "--name-server",
        &server,
    ]);
    assert!(!run.stderr.contains("not on every name server"), "{run}");
    let at_bind = ["--provider", "rfc2136", "--server", &server, "--tsig-key-file", file];
    let zone = scene.laptop.ok(&[&["dns", "export", DOMAIN][..], &at_bind].concat()).stdout;
    for name in ["my", "*"] {
        assert!(zone.contains(&format!("{name}\t300\tIN\tA\t{}\n", scene.server.ip())), "{zone}");
    }
}

#[test]
fn a_server_without_ipv6_carries_a_machine_as_well() {
    if !available() {
        return;
    }
    let mut scene = Scene::bare("ipv4");
    scene.server = Server::boot_without_ipv6("ipv4-only");
    scene.create(&[]);
    scene.back_up();
}

#[test]
fn the_exit_code_of_a_command_over_ssh_is_passed_on() {
    if !available() {
        return;
    }
    let scene = Scene::bare("exit-code");
    scene.create(&[]);
    scene.laptop.fails(42, &["machine", "ssh", DOMAIN, "--", "exit", "42"]);
}

#[test]
fn the_machine_is_back_after_a_reboot() {
    if !available() {
        return;
    }
    let scene = Scene::bare("reboot");
    scene.create(&[]);
    let backup = scene.back_up();
    scene.server.reboot();
    assert!(scene.server.greets(202) && !scene.server.listens(22));
    scene.laptop.ok(&["machine", "status", DOMAIN]);
    assert_eq!(scene.laptop.backups(DOMAIN), [backup]);
}

#[test]
fn the_server_runs_as_its_own_user_and_its_secrets_are_its_own() {
    if !available() {
        return;
    }
    let scene = Scene::bare("privileges");
    scene.create(&[]);
    let user = scene.server.exec_ok(
        "ps -o user= -p $(systemctl show -P MainPID cloudron-box) 2>/dev/null || \
        stat -c %U /proc/$(systemctl show -P MainPID cloudron-box)",
    );
    assert_eq!(user.trim(), "cloudron");
    let open = scene.server.exec_ok("find /var/lib/cloudron /var/backups/cloudron -perm /077 ! -type l");
    let outside: Vec<&str> =
        open.lines().filter(|path| !path.starts_with("/var/lib/cloudron/data/")).collect();
    assert!(outside.is_empty(), "others may read: {outside:#?}");
}

#[test]
fn destroying_it_leaves_the_server_as_it_was_but_for_the_backups() {
    if !available() {
        return;
    }
    let scene = Scene::bare("destroy");
    scene.create(&[]);
    scene.back_up();
    scene.laptop.ok(&["machine", "destroy", DOMAIN, "--yes"]);
    assert_eq!(scene.traces(), "/var/backups/cloudron\n");
    assert!(scene.server.greets(22) && !scene.server.listens(202));
    scene.laptop.fails(3, &["machine", "status", DOMAIN]);
}

#[test]
fn a_wrong_host_key_is_refused_before_anything_is_sent() {
    if !available() {
        return;
    }
    let scene = Scene::bare("host-key");
    let wrong = format!("SHA256:{}", "A".repeat(43));
    let run = scene.try_create(&["--host-key", &wrong]);
    assert_eq!(run.code, 4, "{run}");
    assert!(run.stderr.contains("host-key-mismatch"), "{run}");
    assert!(!scene.somebody_logged_in(), "nothing but the key exchange happened");
    assert_eq!(scene.traces(), "");
}

#[test]
fn a_host_key_that_changed_since_is_refused() {
    if !available() {
        return;
    }
    let scene = Scene::bare("changed-key");
    scene.create(&[]);
    scene.server.exec_ok("rm /etc/ssh/ssh_host_*; ssh-keygen -A; systemctl restart ssh");
    let run = scene.laptop.fails(4, &["machine", "status", DOMAIN]);
    assert!(run.stderr.contains("host-key-changed"), "{run}");
    assert_eq!(scene.laptop.run(&["machine", "ssh", DOMAIN, "--", "true"]).code, 255);
}

#[test]
fn a_wrong_backup_key_fails_before_anything_is_created() {
    if !available() {
        return;
    }
    let scene = Scene::bare("backup-key");
    let right = scene.backup_key.as_str();
    let store = scene.laptop.place("store").display().to_string();
    scene.laptop.ok(&[
        "machine",
        "create",
        "local",
        "--fqdn",
        "demo.localhost",
        "--backup-key",
        right,
        "--store",
        &store,
    ]);
    scene.laptop.ok(&["machine", "backup", "create", "demo.localhost"]);
    scene.laptop.ok(&["machine", "destroy", "demo.localhost", "--yes"]);
    let wrong = scene.laptop.secret("wrong-key", "kanari-another-key-0000");
    let run = scene.try_create(&["--backup", "latest", "--store", &store, "--backup-key", &wrong]);
    assert_eq!(run.code, 4, "{run}");
    assert!(run.stderr.contains("backup-key-wrong"), "{run}");
    assert_eq!(scene.traces(), "");
}

#[test]
fn a_key_that_the_server_does_not_know_is_said_to_be_that() {
    if !available() {
        return;
    }
    let scene = Scene::bare("stranger");
    fs::write(scene.server.path("/root/.ssh/authorized_keys"), "").unwrap();
    let run = scene.try_create(&[]);
    assert_eq!(run.code, 4, "{run}");
    assert!(run.stderr.contains("ssh-auth"), "{run}");
}
