//! Checks of the servers themselves, which the other tests rely on.

use std::path::Path;
use std::process::Command;
use std::thread;
use std::time::Duration;

use cloudron_e2e::{Server, available, until};
use cloudron_testkit::tree;

/// Runs the system's ssh, which must find exactly the announced host key.
fn ssh(server: &Server, key: &Path, command: &str) -> std::process::Output {
    let folder = tempfile::tempdir().unwrap();
    let hosts = folder.path().join("known_hosts");
    let line = server.exec_ok("cut -d' ' -f1,2 /etc/ssh/ssh_host_ed25519_key.pub");
    std::fs::write(&hosts, format!("{} {line}", server.ip())).unwrap();
    let mut ssh = Command::new("ssh");
    ssh.args(["-F", "none", "-o", "BatchMode=yes", "-o", "IdentitiesOnly=yes", "-o", "IdentityAgent=none"]);
    ssh.args(["-o", "StrictHostKeyChecking=yes", "-o"])
        .arg(format!("UserKnownHostsFile={}", hosts.display()));
    ssh.arg("-i").arg(key).arg(format!("root@{}", server.ip())).arg(command).output().unwrap()
}

#[test]
fn a_server_boots_systemd_and_lets_the_key_in_over_ssh() {
    if !available() {
        return;
    }
    let server = Server::boot("ssh");
    let output = ssh(&server, &server.key_path(), "cat /proc/1/comm; id -un; systemctl is-system-running");
    assert_eq!(String::from_utf8_lossy(&output.stdout), "systemd\nroot\nrunning\n", "{output:?}");
    assert!(server.listens(22) && !server.listens(202));
}

#[test]
fn every_server_has_its_own_host_key_machine_id_and_address() {
    if !available() {
        return;
    }
    let (one, two) = (Server::boot("one"), Server::boot("two"));
    assert_ne!(one.host_key_fingerprint(), two.host_key_fingerprint());
    assert_ne!(one.exec_ok("cat /etc/machine-id"), two.exec_ok("cat /etc/machine-id"));
    assert_ne!(one.ip(), two.ip());
    assert!(!ssh(&one, &two.key_path(), "true").status.success(), "the other server's key must not fit");
}

#[test]
fn a_hardened_unit_runs_as_its_user_with_just_its_capabilities() {
    if !available() {
        return;
    }
    let server = Server::boot("unit");
    server.exec_ok("useradd --system probe && mkdir -p /srv && echo x >/srv/secret && chmod 600 /srv/secret");
    let properties = [
        "User=probe",
        "AmbientCapabilities=CAP_DAC_READ_SEARCH CAP_NET_BIND_SERVICE",
        "CapabilityBoundingSet=CAP_DAC_READ_SEARCH CAP_NET_BIND_SERVICE",
        "ProtectSystem=full",
        "ProtectHome=read-only",
        "PrivateTmp=yes",
        "PrivateDevices=yes",
        "NoNewPrivileges=yes",
        "ProtectKernelTunables=yes",
        "ProtectControlGroups=yes",
        "ProtectProc=invisible",
        "RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX",
        "SystemCallFilter=@system-service",
        "StateDirectory=probe",
    ];
    let properties: String = properties.iter().map(|property| format!("-p '{property}' ")).collect();
    let probe = "id -un; cat /srv/secret; grep CapEff /proc/self/status; ls /tmp | wc -l; \
                 touch /usr/no 2>/dev/null || echo read-only; touch /var/lib/probe/yes && echo writable";
    let output = server.exec_ok(&format!(
        "touch /tmp/others; systemd-run --quiet --wait --pipe {properties} sh -c '{probe}'"
    ));
    assert_eq!(output, "probe\nx\nCapEff:\t0000000000000404\n0\nread-only\nwritable\n");
}

#[test]
fn ipv6_is_there_unless_it_is_switched_off() {
    if !available() {
        return;
    }
    let loopback = "ip -6 -brief address show dev lo";
    assert!(Server::boot("ipv6").exec_ok(loopback).contains("::1/128"));
    assert_eq!(Server::boot_without_ipv6("ipv4").exec_ok(loopback), "");
}

#[test]
fn a_transient_timer_fires() {
    if !available() {
        return;
    }
    let server = Server::boot("timer");
    server.exec_ok("systemd-run --on-active=1 --timer-property=AccuracySec=100ms touch /root/fired");
    until("the timer has fired", Duration::from_secs(10), || {
        server.path("/root/fired").exists().then_some(())
    });
}

#[test]
fn a_tree_copied_in_and_out_keeps_everything() {
    if !available() {
        return;
    }
    let server = Server::boot("copy");
    let folder = tempfile::tempdir().unwrap();
    let (before, after) = (folder.path().join("before"), folder.path().join("after"));
    tree::generate(&before, 1, 2_000_000).unwrap();
    server.copy_in(&before, "/srv/files");
    tree::assert_same(&before, &server.path("/srv/files"));
    server.copy_out("/srv/files", &after);
    tree::assert_same(&before, &after);
    assert_eq!(server.exec_ok("cat /srv/files/odd/links/hard-1 | wc -c"), "5000\n");
}

#[test]
fn a_limited_file_system_becomes_full_and_can_be_enlarged() {
    if !available() {
        return;
    }
    let server = Server::boot("full");
    server.limit("/srv/small", 5);
    let fill = "dd if=/dev/zero of=/srv/small/file bs=1M count=8";
    assert!(server.exec(fill).stderr.contains("No space left on device"));
    server.limit("/srv/small", 10);
    server.exec_ok(fill);
}

#[test]
fn a_reboot_keeps_the_disk_and_the_host_key() {
    if !available() {
        return;
    }
    let server = Server::boot("reboot");
    let key = server.host_key_fingerprint();
    server.exec_ok("echo kept >/root/kept; echo lost >/run/lost");
    server.reboot();
    assert_eq!(server.host_key_fingerprint(), key);
    assert_eq!(server.exec_ok("cat /root/kept; ls /run/lost 2>/dev/null || echo gone"), "kept\ngone\n");
    assert!(ssh(&server, &server.key_path(), "true").status.success());
}

#[test]
fn a_dropped_server_is_gone() {
    if !available() {
        return;
    }
    let server = Server::boot("gone");
    let address = server.address(22);
    server.destroy();
    thread::sleep(Duration::from_millis(200));
    assert!(std::net::TcpStream::connect_timeout(&address, Duration::from_secs(2)).is_err());
}
