//! Each peculiarity on a machine in memory that has it.

use std::time::Duration;

use super::{Questions, look};
use crate::host::double::Double;

/// A machine without a peculiarity.
fn plain() -> Double {
    Double::default()
        .ends("systemctl is-active", 3, "")
        .ends("systemctl is-enabled", 1, "")
        .says("timedatectl", "yes\n")
        .with_file("/proc/sys/net/ipv6/conf/all/disable_ipv6", "0\n")
        .with_file("/proc/meminfo", "MemTotal:        4030000 kB\nSwapTotal:       0 kB\n")
}

fn found(host: &Double) -> Vec<String> {
    let found = look(host, &Questions::default()).unwrap();
    Double::codes(&found).into_iter().map(str::to_owned).collect()
}

#[test]
fn a_machine_without_peculiarities_has_no_findings() {
    assert_eq!(found(&plain()), [""; 0]);
}

#[test]
fn each_peculiarity_is_found_by_itself() {
    let active = |unit: &str| format!("systemctl is-active --quiet {unit}");
    let cases: [(&str, Double); 12] = [
        ("ufw-active", plain().with_file("/etc/ufw/ufw.conf", "LOGLEVEL=low\nENABLED=yes\n")),
        ("firewalld-active", plain().says(&active("firewalld.service"), "")),
        (
            "iptables-persistent",
            plain()
                .says(&active("netfilter-persistent.service"), "")
                .with_file("/etc/iptables/rules.v4", "*filter\n-A INPUT -j REJECT\n"),
        ),
        (
            "nftables-conf",
            plain().says(&active("nftables.service"), "").with_file(
                "/etc/nftables.conf",
                "chain input { type filter hook input priority 0; policy drop; }\n",
            ),
        ),
        ("docker-chains", plain().says("nft list chains", "table ip nat {\n\tchain DOCKER {\n\t}\n}\n")),
        ("nftables-missing", plain().ends("nft list chains", 127, "")),
        ("nftables-missing", plain().ends("nft list chains", 1, "Error: Could not process rule")),
        ("ipv6-off", plain().with_file("/proc/sys/net/ipv6/conf/all/disable_ipv6", "1\n")),
        ("ssh-socket", plain().says(&active("ssh.socket"), "")),
        ("clock", plain().says("timedatectl", "no\n")),
        ("memory-small", plain().with_file("/proc/meminfo", "MemTotal: 400000 kB\nSwapTotal: 900000 kB\n")),
        ("swap-missing", plain().with_file("/proc/meminfo", "MemTotal: 900000 kB\nSwapTotal: 0 kB\n")),
    ];
    for (code, host) in cases {
        assert_eq!(found(&host), [code]);
    }
}

#[test]
fn what_is_there_without_getting_in_the_way_is_no_finding() {
    let quiet = plain()
        .with_file("/etc/ufw/ufw.conf", "ENABLED=no\n")
        .says("systemctl is-active --quiet nftables.service", "")
        .with_file("/etc/nftables.conf", "flush ruleset\n")
        .ends("timedatectl", 127, "")
        .says("nft list chains", "table ip nat {\n\tchain DOCKER {\n")
        .says("systemctl is-enabled --quiet cloudron-firewall.service", "");
    assert_eq!(found(&quiet), [""; 0]);
}

#[test]
fn mail_is_blocked_only_if_no_server_answers() {
    let servers = ["192.0.2.1:25".parse().unwrap(), "192.0.2.2:25".parse().unwrap()];
    let ask = Questions::default().mail_servers(servers).limit(Duration::from_secs(1));
    let host = plain();
    assert_eq!(Double::codes(&look(&host, &ask).unwrap()), ["mail-port-blocked"]);
    host.inside().open.push(servers[1]);
    assert!(look(&host, &ask).unwrap().is_empty());
}
