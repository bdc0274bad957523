//! The hardened SSH server, and updates by themselves.

use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use cloudron_box::codes;
use cloudron_box::hardening::{sshd, upgrades};
use cloudron_e2e::{Server, available, until};
use cloudron_provision::CloudProvider;
use cloudron_provision::generic::Generic;
use cloudron_provision::ssh::{Auth, HostKeyPolicy, SshTarget};
use cloudron_testkit::require;

use crate::host::Inside;
use crate::reach::login;

/// Returns what ssh-audit calls a failure of the server.
fn audit(program: &std::path::Path, server: &Server) -> Vec<String> {
    let output = Command::new(program).args(["-jj", "-p", "22", &server.ip()]).output().unwrap();
    let report: serde_json::Value = serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|e| panic!("{e}: {}", String::from_utf8_lossy(&output.stdout)));
    let mut failures = Vec::new();
    for kind in ["kex", "key", "enc", "mac"] {
        let list = report[kind].as_array().unwrap();
        assert!(!list.is_empty());
        for entry in list {
            if let Some(fail) = entry["notes"]["fail"].as_array() {
                failures.push(format!("{}: {fail:?}", entry["algorithm"]));
            }
        }
    }
    failures.extend(report["cves"].as_array().into_iter().flatten().map(ToString::to_string));
    failures
}

#[tokio::test(flavor = "multi_thread")]
async fn ssh_takes_keys_only_and_an_audit_finds_nothing_and_nobody_is_locked_out() {
    let Some(program) = require::tool("ssh-audit").filter(|_| available()) else { return };
    let version = Command::new(&program).arg("--help").output().unwrap();
    let version = String::from_utf8_lossy(&version.stdout).into_owned();
    assert!(
        version.contains("v3.3"),
        "verdicts differ by version: {}",
        version.lines().next().unwrap_or_default()
    );
    let server = Server::boot("hardened");
    let host = Inside::of(&server);
    assert!(!audit(&program, &server).is_empty(), "Debian's own settings");
    // As cloud-init writes it on images with a password.
    server.exec_ok(
        "echo 'PasswordAuthentication yes' >/etc/ssh/sshd_config.d/50-cloud-init.conf; systemctl reload ssh",
    );

    // Without a key nothing is changed.
    let keys = "/root/.ssh/authorized_keys";
    for spoil in ["mv $K $K.away", "chmod 666 $K", "sed -i 's/^/command=\"true\" /' $K"] {
        server.exec_ok(&format!("K={keys}; cp -p $K /root/kept; {spoil}"));
        let error = sshd::harden(&host, "root").unwrap_err();
        assert!(error.is(&codes::SSH_LOCKOUT), "{spoil}: {error}");
        server.exec_ok(&format!("mv -f /root/kept {keys}; rm -f {keys}.away"));
    }
    assert!(sshd::harden(&host, "nobody").unwrap_err().is(&codes::SSH_LOCKOUT));
    assert_eq!(server.exec("ls /etc/ssh/sshd_config.d").stdout, "50-cloud-init.conf\n");

    // Settings that the server refuses, whoever wrote them, change nothing.
    server.exec_ok("cp /etc/ssh/sshd_config /root/kept; echo 'Bogus yes' >>/etc/ssh/sshd_config");
    let error = sshd::harden(&host, "root").unwrap_err();
    assert!(error.is(&codes::SSH_SETTINGS) && error.to_string().contains("Bogus"), "{error}");
    assert_eq!(server.exec("ls -A /etc/ssh/sshd_config.d /etc/ssh | grep cloudron").stdout, "");
    server.exec_ok("cp /root/kept /etc/ssh/sshd_config");

    assert_eq!(sshd::harden(&host, "root").unwrap(), []);
    assert_eq!(sshd::harden(&host, "root").unwrap(), [], "again");
    let clean = || Some(()).filter(|()| audit(&program, &server).is_empty());
    until("the server has read its settings", Duration::from_secs(5), clean);
    assert!(login(&server, 22).is_some());
    let methods = Command::new("ssh")
        .args([
            "-F",
            "none",
            "-o",
            "BatchMode=yes",
            "-o",
            "StrictHostKeyChecking=no",
            "-o",
            "UserKnownHostsFile=/dev/null",
        ])
        .args(["-o", "PubkeyAuthentication=no", &format!("root@{}", server.ip()), "true"])
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&methods.stderr).into_owned();
    assert!(said.contains("Permission denied (publickey)."), "{said}");

    // Our own client knows the algorithms.
    let mut target = SshTarget::new(server.ip());
    target.known_hosts.clear();
    let policy = HostKeyPolicy::fingerprint(&server.host_key_fingerprint()).unwrap();
    let auth = Auth::key(server.key_path().display().to_string()).without_agent();
    let provider = Arc::new(Generic::new(target, auth, policy));
    provider.preflight("example.com").await.unwrap();

    // After a boot it is the same, and it can be undone.
    server.reboot();
    assert_eq!(audit(&program, &server), [""; 0]);
    sshd::relax(&host).unwrap();
    until("the server has read its settings", Duration::from_secs(5), || {
        (!audit(&program, &server).is_empty()).then_some(())
    });
}

#[test]
fn security_updates_are_installed_by_themselves_and_what_cannot_be_done_is_said() {
    if !available() {
        return;
    }
    let server = Server::boot("updates");
    let host = Inside::of(&server);
    // An archive that does not answer.
    server.exec_ok("cp /etc/apt/sources.list /root/kept; echo 'deb http://127.0.0.1:9/debian bookworm main' >/etc/apt/sources.list");
    let found = upgrades::enable(&host, upgrades::Updates::default()).unwrap();
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].code, "package-missing", "{found:?}");
    server.exec_ok("cp /root/kept /etc/apt/sources.list");
    if !require::that(server.exec("timeout 60 apt-get -q update").code == 0, "apt reaches no archive") {
        return;
    }
    let found = upgrades::enable(&host, upgrades::Updates::default()).unwrap();
    // The image has masked the timers.
    let codes: Vec<&str> = found.iter().map(|finding| &*finding.code).collect();
    assert_eq!(codes, ["updates-timer", "updates-timer"], "{found:?}");
    server.exec_ok("systemctl unmask -q apt-daily.timer apt-daily-upgrade.timer && systemctl enable -q apt-daily.timer apt-daily-upgrade.timer");
    assert_eq!(upgrades::enable(&host, upgrades::Updates::default()).unwrap(), []);
    let settings = server.exec_ok("apt-config dump");
    let origins: Vec<&str> =
        settings.lines().filter(|l| l.starts_with("Unattended-Upgrade::Origins-Pattern::")).collect();
    assert_eq!(origins.len(), 1, "{origins:?}");
    assert!(origins[0].contains("label=Debian-Security"), "{origins:?}");
    let dry = server.exec("unattended-upgrade --dry-run --debug");
    assert_eq!(dry.code, 0, "{dry:?}");
    assert!(format!("{}{}", dry.stdout, dry.stderr).contains("Debian-Security"), "{dry:?}");
    server.exec_ok("echo 'APT::Periodic::Unattended-Upgrade \"0\";' >/etc/apt/apt.conf.d/99local");
    let found = upgrades::findings(&host).unwrap();
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].code, "updates-off");
}
