//! Hardening on a machine in memory: what is refused, put back and said.

use std::path::Path;

use super::{packages, sshd, upgrades};
use crate::codes;
use crate::host::double::Double;

const KEY: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f me\n";
const GOOD: &str = "passwordauthentication no\nkbdinteractiveauthentication no\npermitrootlogin without-password\n\
                    pubkeyauthentication yes\nauthorizedkeysfile .ssh/authorized_keys %h/more/%u\n";

fn server() -> Double {
    Double::default()
        .says("getent passwd me", "me:x:1000:1000::/home/me:/bin/sh\n")
        .says("stat", "1000 700\n")
        .says("ssh -Q kex", "curve25519-sha256\n")
        .says("/usr/sbin/sshd -T", GOOD)
        .says("systemctl is-active --quiet ssh.service", "")
        .with_file("/home/me/more/me", KEY)
}

fn has_settings(host: &Double) -> bool {
    host.inside().files.keys().any(|path| path.starts_with("/etc/ssh"))
}

#[test]
fn who_has_a_key_is_hardened_and_the_server_reads_it() {
    let host = server();
    assert_eq!(sshd::harden(&host, "me").unwrap(), []);
    assert!(host.inside().files[Path::new(sshd::FILE)].contains("PasswordAuthentication no"));
    assert!(host.inside().log.contains(&"systemctl reload ssh.service".into()));
    sshd::relax(&host).unwrap();
    assert!(!has_settings(&host));
}

#[test]
fn nobody_without_a_trusted_key_is_locked_out() {
    for host in [
        server().with_file("/home/me/more/me", ""),
        server().with_file("/home/me/more/me", &format!("command=\"true\" {KEY}")),
        server().says("stat", "1000 777\n"),
        server().says("stat", "33 700\n"),
        server().ends("getent passwd me", 2, ""),
        server().says("/usr/sbin/sshd -T -C", "authorizedkeysfile none\n"),
    ] {
        assert!(sshd::harden(&host, "me").unwrap_err().is(&codes::SSH_LOCKOUT));
        assert!(!has_settings(&host));
    }
    for bad in ["", "-l", "a b", "a,addr=1.2.3.4", "../x"] {
        assert!(sshd::harden(&server(), bad).unwrap_err().is(&cloudron_core::codes::USAGE), "{bad}");
    }
}

#[test]
fn settings_that_the_server_refuses_or_does_not_follow_are_not_put_in_place() {
    let refused = server().ends("/usr/sbin/sshd -T -f", 255, "Bad configuration option");
    let error = sshd::harden(&refused, "me").unwrap_err();
    assert!(error.is(&codes::SSH_SETTINGS) && error.to_string().contains("Bad configuration"), "{error}");
    let overruled = server().says(
        "/usr/sbin/sshd -T -f",
        &GOOD.replace("passwordauthentication no", "passwordauthentication yes"),
    );
    assert!(sshd::harden(&overruled, "me").unwrap_err().is(&codes::SSH_SETTINGS));
    // Refused only in place, or not loaded: what was there before comes back.
    for end in ["/usr/sbin/sshd -t", "systemctl reload ssh"] {
        let host = server().with_file(sshd::FILE, "# before\n").ends(end, 1, "no");
        sshd::harden(&host, "me").unwrap_err();
        assert_eq!(host.inside().files[Path::new(sshd::FILE)], "# before\n", "{end}");
    }
    for host in [refused, overruled] {
        assert!(!has_settings(&host));
    }
}

#[test]
fn what_overrules_the_settings_is_said() {
    let host = server()
        .says("/usr/sbin/sshd -T", &GOOD.replace("permitrootlogin without-password", "permitrootlogin yes"))
        .with_file("/etc/ssh/sshd_config", "Include x\n  Match User git\n    PasswordAuthentication yes\n");
    assert_eq!(Double::codes(&sshd::findings(&host).unwrap()), ["ssh-not-hardened", "ssh-match"]);
}

fn debian() -> Double {
    let on = "APT::Periodic::Update-Package-Lists \"1\";\nAPT::Periodic::Unattended-Upgrade \"1\";\n";
    Double::default()
        .with_file("/var/lib/dpkg/status", "")
        .with_file("/etc/os-release", "ID=debian\n")
        .says("dpkg-query", "installed")
        .says("apt-config dump", on)
        .says("systemctl is-enabled", "enabled\n")
}

#[test]
fn updates_are_set_and_what_keeps_them_off_is_said() {
    let host = debian();
    assert_eq!(upgrades::enable(&host, upgrades::Updates::default()).unwrap(), []);
    assert!(host.inside().files[Path::new(upgrades::FILE)].contains("Automatic-Reboot \"false\""));
    let off = debian()
        .says(
            "apt-config dump",
            "APT::Periodic::Unattended-Upgrade \"0\";\nAPT::Periodic::Update-Package-Lists \"1\";\n",
        )
        .ends("systemctl is-enabled apt-daily.timer", 1, "masked\n")
        .with_file("/var/run/reboot-required", "");
    let found = upgrades::enable(&off, upgrades::Updates::default()).unwrap();
    assert_eq!(Double::codes(&found), ["updates-off", "updates-timer", "restart-needed"]);
}

#[test]
fn a_package_that_cannot_be_installed_is_said_and_another_installation_is_waited_for() {
    let found = packages::install(&Double::default(), "x").unwrap().unwrap();
    assert_eq!(found.code, "package-manager");
    let host = debian().ends("dpkg-query", 1, "").ends("systemd-run", 100, "E: Unable to locate package x");
    let found = packages::install(&host, "x").unwrap().unwrap();
    assert!(found.code == "package-missing" && found.what.contains("Unable to locate"), "{found}");
    let inside = host.inside();
    let apt: Vec<&String> = inside.log.iter().filter(|line| line.contains("apt-get")).collect();
    assert_eq!(apt.len(), 2);
    for line in apt {
        assert!(
            line.contains("DEBIAN_FRONTEND=noninteractive") && line.contains("DPkg::Lock::Timeout=300"),
            "{line}"
        );
    }
}
