//! Creating a machine: the result, and requests that are refused before anything is changed.

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
fn its_records_are_written_where_the_domain_is_kept_and_go_with_it() {
    if !available() {
        return;
    }
    let scene = Scene::bare("records");
    let Some(host) = DnsHost::start(&scene) else { return };
    let run = scene.create(&host.creating(&host.server));
    assert!(!run.stderr.contains("not on every name server"), "{run}");
    let there = host.zone(&scene);
    assert!(host.records(&scene).iter().all(|line| there.contains(line)), "{there}");
    let records = scene.laptop.place("more.zone").display().to_string();
    fs::write(&records, "www 300 A 192.0.2.80\n").unwrap();
    let apply = ["dns", "apply", DOMAIN, "--records", &records, "--yes"];
    scene.laptop.ok(&[&apply[..], &host.options("--provider")].concat());
    // The machine's record contains the DNS server and the key file.
    let run = scene.laptop.ok(&["machine", "destroy", DOMAIN, "--yes"]);
    let left = host.zone(&scene);
    assert!(!host.records(&scene).iter().any(|line| left.contains(line)), "{run}\n{left}");
    assert!(left.contains("www\t300\tIN\tA\t192.0.2.80\n"), "{left}");
}

#[test]
fn a_run_that_dies_while_it_waits_for_name_servers_is_destroyed_with_its_records() {
    if !available() {
        return;
    }
    let scene = Scene::bare("records-died");
    let Some(host) = DnsHost::start(&scene) else { return };
    // No name server listens there.
    let arguments = scene.create_arguments(&host.creating("127.0.0.1:9"));
    let mut running = scene.laptop.spawn(&arguments.iter().map(String::as_str).collect::<Vec<_>>());
    while !host.zone(&scene).contains(&host.records(&scene)[0]) {
        assert!(running.runs(), "it ended before it wrote the records");
        std::thread::sleep(std::time::Duration::from_millis(200));
    }
    running.kill();
    let run = scene.laptop.ok(&["machine", "destroy", DOMAIN, "--yes"]);
    let left = host.zone(&scene);
    assert!(!host.records(&scene).iter().any(|line| left.contains(line)), "{run}\n{left}");
    assert_eq!(scene.traces(), "");
}

/// BIND, which hosts the machine's domain.
struct DnsHost {
    _bind: Named,
    server: String,
    key_file: String,
}

impl DnsHost {
    fn start(scene: &Scene) -> Option<Self> {
        let key = "key laptop { algorithm hmac-sha256; secret \"Y2FuYXJ5LXNlY3JldC1vZi10aGUta2V5\"; };\n";
        let clauses = "type primary; allow-update { key laptop; }; allow-transfer { key laptop; };";
        let bind = Named::start(key, &[(DOMAIN.into(), clauses.into())])?;
        let file = scene.laptop.secret("tsig-key", key);
        let key_file = file.strip_prefix("file:").unwrap_or(&file).to_owned();
        Some(Self { server: bind.address().to_string(), _bind: bind, key_file })
    }

    fn options<'a>(&'a self, host: &'a str) -> [&'a str; 6] {
        [host, "rfc2136", "--server", &self.server, "--tsig-key-file", &self.key_file]
    }

    fn creating<'a>(&'a self, name_server: &'a str) -> Vec<&'a str> {
        [&self.options("--dns")[..], &["--name-server", name_server]].concat()
    }

    fn zone(&self, scene: &Scene) -> String {
        scene.laptop.ok(&[&["dns", "export", DOMAIN][..], &self.options("--provider")].concat()).stdout
    }

    /// Returns the machine's lines of the zone.
    fn records(&self, scene: &Scene) -> [String; 2] {
        ["my", "*"].map(|name| format!("{name}\t300\tIN\tA\t{}\n", scene.server.ip()))
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
