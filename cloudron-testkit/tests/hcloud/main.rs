//! Hetzner's own client, `hcloud` of PyPI, against the double: otherwise the double and the client of this project could
//! share one misreading of the documentation.

use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::process::Command;
use std::sync::{Arc, Mutex};

use cloudron_testkit::clouds::Boot;
use cloudron_testkit::clouds::hetzner::Hetzner;
use cloudron_testkit::require;

/// Finds a Python that has the client.
fn python() -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let candidates =
        std::env::split_paths(&path).map(|folder| folder.join("python3")).filter(|p| p.is_file());
    let has_client = |python: &PathBuf| {
        Command::new(python).args(["-c", "import hcloud"]).output().is_ok_and(|o| o.status.success())
    };
    candidates.into_iter().find(has_client)
}

#[test]
fn the_official_client_lives_a_machines_life_against_the_double() {
    let python = python();
    if !require::that(python.is_some(), "no `python3` in the PATH has the package `hcloud`") {
        return;
    }
    let booted = Arc::new(Mutex::new(Vec::new()));
    let theirs = booted.clone();
    let double = Hetzner::start("token", move |boot: &Boot| {
        theirs.lock().unwrap().push(boot.clone());
        Ipv4Addr::LOCALHOST
    });
    double.set(|settings| settings.polls = 3);
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/hcloud/life.py");
    let mut command = Command::new(python.unwrap());
    let output = command.args([script, double.endpoint(), "token"]).output().unwrap();
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success() && out.trim() == "done", "{out}{err}");
    assert_eq!(double.resources(), [""; 0]);
    let booted = booted.lock().unwrap();
    assert_eq!(booted.len(), 1, "refused requests boot nothing");
    assert!(
        booted[0].user_data.starts_with("#cloud-config") && booted[0].ssh_keys[0].starts_with("ssh-ed25519")
    );
}

/// Hetzner's command line, which takes the address from the environment.
const COMMANDS: [&str; 16] = [
    "location list",
    "server-type list",
    "ssh-key create --name work --public-key-from-file KEY",
    "firewall create --name fw --rules-file RULES",
    "network create --name net --ip-range 10.0.0.0/16",
    "server create --name my.example.com --type cx23 --image debian-12 --location fsn1 --ssh-key work --firewall fw \
     --network net --label a=b --user-data-from-file DATA",
    "server describe my.example.com",
    "server add-label my.example.com c=d",
    "server list -l a=b,c",
    "server poweroff my.example.com",
    "server delete my.example.com",
    "server list",
    "server list",
    "firewall delete fw",
    "network delete net",
    "ssh-key delete work",
];

#[test]
fn the_official_command_line_lives_a_machines_life_against_the_double() {
    let Some(hcloud) = require::tool("hcloud") else { return };
    let double = Hetzner::start("token", |_: &Boot| Ipv4Addr::LOCALHOST);
    let folder = tempfile::tempdir().unwrap();
    let files = [
        ("KEY", "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl me"),
        ("RULES", r#"[{"direction":"in","protocol":"tcp","port":"22","source_ips":["0.0.0.0/0"]}]"#),
        ("DATA", "#cloud-config\n"),
    ];
    for (name, content) in files {
        std::fs::write(folder.path().join(name), content).unwrap();
    }
    for line in COMMANDS {
        let mut command = Command::new(&hcloud);
        command.env("HCLOUD_ENDPOINT", double.endpoint()).env("HCLOUD_TOKEN", "token");
        let command = command.env("HOME", folder.path()).current_dir(&folder).args(line.split_whitespace());
        let output = command.output().unwrap();
        let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(output.status.success(), "hcloud {line}: {out}{err}");
    }
    assert_eq!(double.resources(), [""; 0]);
}
