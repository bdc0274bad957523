//! Installing over a server whose parts were one unit, as versions before this one installed it.

use std::time::Duration;

use cloudron_e2e::{Cloudron, Server, available, until};
use rusqlite::Connection;

use super::scene::{DOMAIN, FILES, Scene};

/// The unit of those versions.
const UNIT: &str = "[Unit]
Description=Cloudron server
Wants=network-online.target
After=network-online.target

[Service]
ExecStart=/usr/local/bin/cloudron box serve
User=cloudron
Group=cloudron
UMask=0077
Restart=always
RestartSec=3
AmbientCapabilities=CAP_DAC_READ_SEARCH CAP_NET_BIND_SERVICE
CapabilityBoundingSet=CAP_DAC_READ_SEARCH CAP_NET_BIND_SERVICE
NoNewPrivileges=yes
ProtectSystem=full
ReadWritePaths=/var/lib/cloudron -/var/backups/cloudron

[Install]
WantedBy=multi-user.target
";

/// Puts everything where the versions before had it: one user, keys with the interface, folders in the database.
fn make_older(server: &Server) {
    server.exec_ok(
        "systemctl disable -q --now cloudron-box cloudron-front.socket cloudron-front cloudron-backup.socket cloudron-backup; \
         rm -f /etc/systemd/system/cloudron-*; \
         cp -a /etc/cloudron/includes.json /root/includes.json && rm -r /etc/cloudron && \
         cp -a /var/lib/cloudron-backup/secrets/. /var/lib/cloudron/secrets && \
         cp -a /var/lib/cloudron-backup/cache/backup /var/lib/cloudron/cache/backup && \
         rm -r /var/lib/cloudron-backup /var/lib/cloudron-front && chown -R cloudron:cloudron /var/lib/cloudron /var/backups/cloudron && \
         userdel cloudron-backup && userdel cloudron-front",
    );
    let folders: serde_json::Value =
        serde_json::from_slice(&std::fs::read(server.path("/root/includes.json")).unwrap()).unwrap();
    std::fs::remove_file(server.path("/root/includes.json")).unwrap();
    // SQLite does not open a file by its path within another root.
    let (inside, outside) = (server.path("/var/lib/cloudron/cloudron.db"), tempfile::tempdir().unwrap());
    let copy = outside.path().join("cloudron.db");
    std::fs::copy(&inside, &copy).unwrap();
    let database = Connection::open(&copy).unwrap();
    for folder in folders.as_array().unwrap() {
        let text = |name: &str| folder[name].as_str();
        let values = (text("path"), text("before"), text("after"));
        database.execute("INSERT INTO includes VALUES (?1, ?2, ?3)", values).unwrap();
    }
    database.close().unwrap();
    std::fs::copy(&copy, &inside).unwrap();
    server.exec_ok("chown -R cloudron:cloudron /var/lib/cloudron");
    server.exec_with("cat >/etc/systemd/system/cloudron-box.service", UNIT.as_bytes());
    server.exec_ok("systemctl daemon-reload; systemctl enable -q cloudron-box");
}

#[test]
fn an_older_installation_keeps_everything_and_gets_the_new_units() {
    if !available() {
        return;
    }
    let mut scene = Scene::bare("older");
    scene.fill(300_000);
    // The program of an older version does it for real.
    let older = std::env::var_os("CLOUDRON_OLDER_BIN");
    if let Some(program) = &older {
        let laptop = Cloudron::with_program(program.into());
        let backup_key = laptop.secret("backup-key", super::scene::BACKUP_KEY);
        scene = Scene { laptop, backup_key, ..scene };
    }
    scene.create(&["--include", FILES]);
    scene.laptop.ok(&["machine", "include", "add", DOMAIN, FILES, "--before", "true"]);
    let before = scene.back_up();
    let authority = scene.server.exec_ok("cat /var/lib/cloudron/secrets/ca.pem");
    if older.is_some() {
        scene.server.copy_in(Cloudron::new().program(), "/root/newer");
    } else {
        make_older(&scene.server);
        scene.server.exec_ok("cp /usr/local/bin/cloudron /root/newer");
    }
    // Twice, as somebody does who is not sure.
    for _ in 0..2 {
        scene.server.exec_ok("/root/newer box reinstall >/dev/null");
    }
    scene.server.exec_ok("rm /root/newer; cloudron box start >/dev/null");
    for (unit, user) in [("cloudron-box", "cloudron"), ("cloudron-backup.socket", "")] {
        let active = scene.server.exec_ok(&format!("systemctl is-active {unit}"));
        assert_eq!(active, "active\n", "{unit}");
        let found = scene.server.exec_ok(&format!("systemctl show -P User {unit}"));
        assert_eq!(found.trim(), user, "{unit}");
    }
    assert_eq!(scene.server.exec_ok("cat /var/lib/cloudron/secrets/ca.pem"), authority);
    assert_eq!(scene.laptop.backups(DOMAIN), [before.as_str()]);
    let folders = scene.laptop.ok(&["machine", "include", "list", DOMAIN]);
    assert!(folders.stdout.contains(FILES), "{folders}");
    let left = scene.server.exec_ok("ls /var/lib/cloudron/secrets /var/lib/cloudron/cache");
    assert!(!left.contains("writer-keys") && !left.contains("backup"), "{left}");
    let owners =
        scene.server.exec_ok("stat -c %U /var/lib/cloudron /var/lib/cloudron-backup /var/backups/cloudron");
    assert_eq!(owners, "cloudron\ncloudron-backup\ncloudron-backup\n");
    scene.back_up();
    scene.server.reboot();
    scene.back_up();
    scene.laptop.ok(&["machine", "status", DOMAIN]);
    scene.laptop.ok(&["machine", "destroy", DOMAIN, "--delete-backups", "--yes"]);
    assert_eq!(scene.traces(), "");
}

#[test]
fn a_reinstallation_that_is_killed_leaves_a_server_that_answers_and_is_finished_by_the_same_command() {
    if !available() {
        return;
    }
    let scene = Scene::bare("older-killed");
    scene.fill(300_000);
    scene.create(&["--include", FILES]);
    scene.back_up();
    scene.server.exec_ok("cp /usr/local/bin/cloudron /root/newer");
    let mut cut = 0;
    for millis in [20, 60, 120, 200, 300, 450] {
        make_older(&scene.server);
        scene.server.exec_ok("systemctl start cloudron-box");
        let limit = format!("timeout --signal=KILL 0.{millis:03} /root/newer box reinstall >/dev/null 2>&1");
        cut += u32::from(scene.server.exec(&limit).code != 0);
        // As after a restart of the machine: with the old units or with the new ones.
        scene.server.exec_ok("systemctl daemon-reload; systemctl start cloudron-box");
        let answers = || scene.server.exec("/root/newer box status").stdout.contains("\"activated\"");
        until(&format!("it answers after {millis} ms"), Duration::from_secs(20), || answers().then_some(()));
        scene.server.exec_ok("/root/newer box reinstall >/dev/null && /root/newer box start >/dev/null");
        scene.back_up();
    }
    assert!(cut >= 3, "only {cut} of them were killed");
    let folders = scene.laptop.ok(&["machine", "include", "list", DOMAIN]);
    assert!(folders.stdout.contains(FILES), "{folders}");
}
