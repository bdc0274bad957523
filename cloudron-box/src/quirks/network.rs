//! Peculiarities of the network.

use std::path::Path;

use super::Questions;
use crate::finding::Finding;
use crate::host::{Host, Output, is_active, try_run};
use crate::{Result, firewall};

/// Port 25 of other mail servers, which many clouds block.
pub(super) fn mail_port(host: &dyn Host, questions: &Questions) -> Vec<Finding> {
    let servers = &questions.mail_servers;
    if servers.is_empty() || servers.iter().any(|server| host.accepts(*server, questions.limit)) {
        return Vec::new();
    }
    vec![Finding::new(
        "mail-port-blocked",
        format!("None of {} mail servers was reached on its port 25", servers.len()),
        "Most clouds block outgoing mail of new customers. Mail that this machine sends by itself does not arrive.",
        "Ask the cloud to open port 25 for this machine, or send mail through a relay on port 587.",
    )]
}

/// Other firewalls. Each drops what it does not know, whatever our table accepts.
pub(super) fn firewalls(host: &dyn Host) -> Result<Vec<Finding>> {
    let mut found = Vec::new();
    let mut add = |code, name: &str, remedy: &str| {
        found.push(Finding::new(
            code,
            format!("{name} filters packets on this machine"),
            "Two firewalls are one more than anybody understands: a port is open only if both let it through.",
            remedy,
        ));
    };
    let ufw = host.read(Path::new("/etc/ufw/ufw.conf"))?.unwrap_or_default();
    if ufw.lines().any(|line| line.trim().eq_ignore_ascii_case("enabled=yes")) {
        add("ufw-active", "ufw", "`ufw disable` once the firewall of this machine is in force.");
    }
    if is_active(host, "firewalld.service")? {
        add(
            "firewalld-active",
            "firewalld",
            "`systemctl disable --now firewalld` once the firewall of this machine is in force.",
        );
    }
    let rules = |text: Option<String>| {
        text.unwrap_or_default().lines().any(|l| l.starts_with("-A ") || l.contains(" DROP ["))
    };
    let v4 = rules(host.read(Path::new("/etc/iptables/rules.v4"))?);
    let v6 = rules(host.read(Path::new("/etc/iptables/rules.v6"))?);
    if (v4 || v6) && is_active(host, "netfilter-persistent.service")? {
        add(
            "iptables-persistent",
            "iptables-persistent",
            "`systemctl disable --now netfilter-persistent`, and restart the machine. Images of some clouds, such as \
             Oracle's, come with it.",
        );
    }
    if is_active(host, "nftables.service")? {
        let file = host.read(Path::new("/etc/nftables.conf"))?.unwrap_or_default();
        if file.lines().any(|line| line.contains("drop;") || line.trim_end().ends_with(" drop")) {
            add("nftables-conf", "nftables.service", "Remove what drops packets from `/etc/nftables.conf`.");
        }
    }
    Ok(found)
}

/// nftables, and what Docker has put there.
pub(super) fn tables(host: &dyn Host) -> Result<Vec<Finding>> {
    let missing = || {
        vec![Finding::new(
            "nftables-missing",
            "nftables is not installed, or the kernel does not have it",
            "The machine has no firewall of its own without it.",
            "`apt-get install nftables`",
        )]
    };
    let listed = match try_run(host, "nft", &["list", "chains"]) {
        Err(error) if error.is(&cloudron_core::codes::FILE_MISSING) => return Ok(missing()),
        listed => listed?,
    };
    if !listed.is_success() {
        return Ok(missing());
    }
    let docker = |Output { stdout, .. }: &Output| {
        stdout.lines().any(|line| {
            line.trim_start().starts_with("chain DOCKER") || line.contains("table ip docker-bridges")
        })
    };
    let ours = try_run(host, "systemctl", &["is-enabled", "--quiet", firewall::UNIT])?.is_success();
    if !docker(&listed) || ours {
        return Ok(Vec::new());
    }
    Ok(vec![Finding::new(
        "docker-chains",
        "Docker has rules of its own",
        "Ports that a container publishes are reachable from outside, whatever rules for input say.",
        "The firewall of this machine judges them before Docker does: put it in force, and open the ports that should be.",
    )])
}

/// IPv6 that is switched off.
pub(super) fn ipv6(host: &dyn Host) -> Result<Vec<Finding>> {
    let off = host.read(Path::new("/proc/sys/net/ipv6/conf/all/disable_ipv6"))?;
    if off.as_deref().map(str::trim) == Some("0") {
        return Ok(Vec::new());
    }
    Ok(vec![Finding::new(
        "ipv6-off",
        "IPv6 is switched off on this machine",
        "Who has IPv6 only does not reach it, and an AAAA record would lead nowhere.",
        "Remove `disable_ipv6` from `/etc/sysctl.conf` and `/etc/sysctl.d`, or `ipv6.disable=1` from the kernel's command \
         line; or have no AAAA record.",
    )])
}
