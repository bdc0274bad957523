//! DigitalOcean's own client, `pydo` of PyPI, against the double: otherwise the double and the client of this project
//! could share one misreading of the documentation.

use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::process::Command;
use std::sync::{Arc, Mutex};

use cloudron_testkit::clouds::Boot;
use cloudron_testkit::clouds::digitalocean::DigitalOcean;
use cloudron_testkit::require;

/// Finds a Python that has the client.
fn python() -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let candidates =
        std::env::split_paths(&path).map(|folder| folder.join("python3")).filter(|p| p.is_file());
    let has_client = |python: &PathBuf| {
        Command::new(python).args(["-c", "import pydo"]).output().is_ok_and(|o| o.status.success())
    };
    candidates.into_iter().find(has_client)
}

#[test]
fn the_official_client_lives_a_machines_life_against_the_double() {
    let python = python();
    if !require::that(python.is_some(), "no `python3` in the PATH has the package `pydo`") {
        return;
    }
    let booted = Arc::new(Mutex::new(Vec::new()));
    let theirs = booted.clone();
    let double = DigitalOcean::start("token", move |boot: &Boot| {
        theirs.lock().unwrap().push(boot.clone());
        Ipv4Addr::LOCALHOST
    });
    double.set(|settings| settings.polls = 3);
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/pydo/life.py");
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
