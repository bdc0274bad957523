//! Servers behind a firewall that allows only some ports, and servers whose host key changed.

use std::time::Duration;

use cloudron_e2e::{available, until};
use cloudron_testkit::proxy::Proxy;

use super::scene::{DOMAIN, Scene};

/// Makes one port of the server reachable at an address of this computer.
fn open(scene: &Scene, address: &str, port: u16) -> Proxy {
    Proxy::start_at(format!("{address}:{port}").parse().unwrap(), scene.server.address(port)).unwrap()
}

#[test]
fn behind_a_firewall_ssh_stays_where_it_is_as_the_error_advises() {
    if !available() {
        return;
    }
    let scene = Scene::bare("firewall");
    let address = "127.77.0.6";
    let _ssh = open(&scene, address, 22);
    let before =
        scene.server.exec_ok("cat /etc/ssh/sshd_config /etc/ssh/sshd_config.d/* 2>/dev/null | sha256sum");

    let run = scene.try_create(&["--ip", address]);
    assert_eq!(run.code, 1, "{run}");
    assert!(run.stderr.contains("code: ssh-port") && run.stderr.contains("security group"), "{run}");
    assert!(run.stderr.contains("`--keep-ssh-port`"), "{run}");
    assert!(scene.server.greets(22) && !scene.server.listens(202));

    assert_eq!(scene.traces(), "", "{run}");
    let run = scene.create(&["--ip", address, "--keep-ssh-port"]);
    assert!(run.stderr.contains("port 443 does not answer this computer"), "{run}");
    assert!(!scene.server.listens(202));
    scene.back_up();
    assert_eq!(scene.laptop.ok(&["machine", "ssh", DOMAIN, "--", "echo hello"]).stdout, "hello\n");
    scene.server.reboot();
    until("the server is back", Duration::from_secs(60), || {
        (scene.laptop.run(&["machine", "status", DOMAIN]).code == 0).then_some(())
    });
    scene.laptop.ok(&["machine", "destroy", DOMAIN, "--yes", "--delete-backups"]);
    let after =
        scene.server.exec_ok("cat /etc/ssh/sshd_config /etc/ssh/sshd_config.d/* 2>/dev/null | sha256sum");
    assert_eq!((scene.traces().as_str(), after), ("", before));
    assert!(scene.server.greets(22));
}

#[test]
fn a_run_that_keeps_the_port_is_resumed_with_the_same_options() {
    if !available() {
        return;
    }
    let scene = Scene::bare("keep-resume");
    let arguments = scene.create_arguments(&["--keep-ssh-port"]);
    let running = scene.laptop.spawn(&arguments.iter().map(String::as_str).collect::<Vec<_>>());
    until("the program is on its way", Duration::from_secs(60), || {
        (scene.server.exec("ls /usr/local/lib/cloudron").code == 0).then_some(())
    });
    running.kill();
    let other = scene.try_create(&["--resume"]);
    assert_eq!(other.code, 2, "{other}");
    assert!(other.stderr.contains("run-plan-changed"), "{other}");
    scene.create(&["--keep-ssh-port", "--resume"]);
    assert!(scene.server.greets(22) && !scene.server.listens(202));
    scene.back_up();
}

#[test]
fn a_host_key_that_changed_since_is_refused_until_it_is_trusted() {
    if !available() {
        return;
    }
    let scene = Scene::bare("changed-key");
    scene.create(&[]);
    scene.server.exec_ok("rm /etc/ssh/ssh_host_*; ssh-keygen -A; systemctl restart ssh");
    for command in [&["machine", "status", DOMAIN][..], &["machine", "ssh", DOMAIN, "--", "true"]] {
        let run = scene.laptop.fails(4, command);
        assert!(run.stderr.contains("host-key-changed"), "{run}");
        assert!(run.stderr.contains(&format!("`cloudron machine trust {DOMAIN}`")), "{run}");
    }
    let refused = scene.laptop.fails(2, &["machine", "trust", DOMAIN, "--yes"]);
    assert!(refused.stderr.contains(&scene.server.host_key_fingerprint()), "{refused}");
    let question = "Trust the new host key?";
    scene.laptop.run_on_terminal(question, "no", &["machine", "trust", DOMAIN]);
    scene.laptop.fails(4, &["machine", "status", DOMAIN]);
    let run = scene.laptop.run_on_terminal(question, "y", &["machine", "trust", DOMAIN]);
    assert_eq!(run.code, 0, "{run}");
    scene.laptop.ok(&["machine", "status", DOMAIN]);
    scene.laptop.ok(&["machine", "ssh", DOMAIN, "--", "true"]);
    scene.back_up();

    // In the other direction, and for an interrupted run.
    scene.server.exec_ok("rm /etc/ssh/ssh_host_*; ssh-keygen -A; systemctl restart ssh");
    let fingerprint = scene.server.host_key_fingerprint();
    let trusted = scene.laptop.json(&["machine", "trust", DOMAIN, "--host-key", &fingerprint]);
    assert_eq!(trusted["machines"][0]["serverAnswers"], true);
    scene.laptop.ok(&["machine", "destroy", DOMAIN, "--yes", "--delete-backups"]);
}

#[test]
fn an_interrupted_run_trusts_a_changed_host_key_too() {
    if !available() {
        return;
    }
    let scene = Scene::bare("changed-run");
    let arguments = scene.create_arguments(&[]);
    let running = scene.laptop.spawn(&arguments.iter().map(String::as_str).collect::<Vec<_>>());
    until("the program is on its way", Duration::from_secs(60), || {
        (scene.server.exec("ls /usr/local/lib/cloudron").code == 0).then_some(())
    });
    running.kill();
    scene.server.exec_ok("rm /etc/ssh/ssh_host_*; ssh-keygen -A; systemctl restart ssh");
    let resumed = scene.try_create(&["--resume"]);
    assert_eq!(resumed.code, 4, "{resumed}");
    assert!(resumed.stderr.contains(&format!("`cloudron machine trust {DOMAIN}`")), "{resumed}");
    let fingerprint = scene.server.host_key_fingerprint();
    scene.laptop.ok(&["machine", "trust", DOMAIN, "--host-key", &fingerprint]);
    scene.create(&["--resume"]);
    scene.back_up();
}

#[test]
fn a_passphrase_is_asked_for_once_a_run() {
    if !available() {
        return;
    }
    let scene = Scene::bare("passphrase-once");
    let key = scene.server.add_key("locked", "kanari-passphrase-11");
    let arguments = scene.create_arguments(&["--ssh-key", &key.display().to_string()]);
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let question = "The passphrase of ";
    let run = scene.laptop.run_on_terminal(question, "kanari-passphrase-11", &arguments);
    assert_eq!(run.code, 0, "{run}");
    assert_eq!(run.stdout.matches(question).count(), 1, "{run}");
}
