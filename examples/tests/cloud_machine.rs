//! The program makes a machine at a double of Hetzner Cloud, reaches it and leaves nothing.

#![allow(missing_docs)]

#[path = "../../cloudron-provision/tests/common/cloud/mod.rs"]
mod common;

use std::net::Ipv4Addr;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use cloudron_provision::cloud::OneTimeKey;
use cloudron_testkit::clouds::Boot;
use cloudron_testkit::clouds::hetzner::Hetzner as Double;
use common::machine::Machine;

const TOKEN: &str = "canary-5d2c81-hetzner-token";

#[test]
fn a_machine_is_made_reached_and_removed() {
    let machine = Machine::start(Default::default());
    let theirs = machine.clone();
    let cloud = Double::start(TOKEN, move |boot: &Boot| {
        theirs.boot(boot);
        Ipv4Addr::LOCALHOST
    });
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let key = OneTimeKey::generate();
    std::fs::write(path("key"), key.private().expose()).unwrap();
    std::fs::set_permissions(path("key"), std::fs::Permissions::from_mode(0o600)).unwrap();
    std::fs::write(path("key.pub"), format!("{} me@work", key.public())).unwrap();
    std::fs::write(path("token"), TOKEN).unwrap();

    let mut program = Command::new(env!("CARGO_BIN_EXE_cloud_machine"));
    program.args(["runs", "key.pub", "key", "token"].map(path));
    program.arg(cloud.endpoint()).arg(machine.ssh().port().to_string());
    let output = program.output().unwrap();
    let (printed, errors) =
        (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{printed}{errors}");
    for line in [
        "made \"my.example.com\"",
        "it says hello",
        "removed the server my.example.com",
        "0 machines are left",
    ] {
        assert!(printed.contains(line), "no {line} in {printed}");
    }
    assert_eq!(cloud.resources(), [""; 0]);
    assert!(!format!("{printed}{errors}").contains(TOKEN));
}
