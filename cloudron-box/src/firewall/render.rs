//! The text of the table.

use std::fmt::Write;

use sha2::{Digest, Sha256};

use super::network::{Network, Ports};
use super::policy::{From, Policy, Protocol};
use crate::{Error, Result, codes};

/// The name of the table.
pub(super) const TABLE: &str = "inet cloudron";

/// The beginning of every file: the table is replaced in the transaction that makes it, whether it exists or not.
pub(super) const REPLACE: &str = "table inet cloudron {\n}\ndelete table inet cloudron\n";

/// The line of a file that holds its policy.
const POLICY: &str = "# policy: ";

/// The line of a file that holds the SHA-256 of everything after it.
const SUM: &str = "# sha256: ";

/// Returns the file of a policy, for `nft -f`: loading it replaces the table as a whole or changes nothing.
///
/// # Errors
/// `firewall-policy`, as [`Policy::check`].
pub fn render(policy: &Policy) -> Result<String> {
    policy.check()?;
    let json = serde_json::to_string(policy)
        .map_err(|e| Error::new(&codes::FIREWALL_POLICY, format!("the policy cannot be written: {e}")))?;
    let chains = [sets(), input(policy), ssh(policy), forward(policy), refused()].concat();
    let rest = format!("{POLICY}{json}\n\n{REPLACE}\ntable {TABLE} {{\n{chains}}}\n");
    Ok(format!(
        "#!/usr/sbin/nft -f\n\
         # The firewall of this machine. It is written by cloudron from the policy below; changes by hand are reported\n\
         # and lost at the next change of the policy.\n\
         {SUM}{}\n{rest}",
        hex::encode(Sha256::digest(rest.as_bytes()))
    ))
}

/// Returns the policy that a file was made from, by this version of the program or another.
///
/// # Errors
/// `firewall-changed` if somebody else changed the file.
pub(super) fn policy_of(text: &str) -> Result<Policy> {
    let changed =
        || Error::new(&codes::FIREWALL_CHANGED, "the file of the firewall is not what the program wrote");
    let (_, summed) = text.split_once(SUM).ok_or_else(changed)?;
    let (sum, rest) = summed.split_once('\n').ok_or_else(changed)?;
    if sum != hex::encode(Sha256::digest(rest.as_bytes())) {
        return Err(changed());
    }
    let json = rest.lines().find_map(|line| line.strip_prefix(POLICY)).unwrap_or_default();
    serde_json::from_str(json).map_err(|_| changed())
}

/// Who began SSH connections lately. IPv6 is counted by /64, because that is what one customer has. When a set is full,
/// newcomers are not limited.
fn sets() -> String {
    let set = |name: &str, kind: &str| {
        format!(
            "\tset {name} {{\n\t\ttype {kind}\n\t\tsize 65535\n\t\tflags dynamic,timeout\n\t\ttimeout 2m\n\t}}\n\n"
        )
    };
    set("ssh_callers4", "ipv4_addr") + &set("ssh_callers6", "ipv6_addr")
}

/// What is for the machine itself. The hook comes before those of Docker and iptables.
fn input(policy: &Policy) -> String {
    let ssh: Vec<Ports> = policy.ssh.iter().filter_map(|port| Ports::one(*port).ok()).collect();
    let ssh = list(&Ports::merged(ssh));
    let mut rules = Rules::default();
    rules.add("iif \"lo\" accept", "the machine itself");
    rules.add("ct state vmap { established : accept, related : accept, invalid : drop }", "");
    rules.add(
        "ip protocol icmp icmp type { destination-unreachable, echo-request, time-exceeded, parameter-problem } accept",
        "",
    );
    rules.add(
        "icmpv6 type { destination-unreachable, packet-too-big, time-exceeded, parameter-problem, echo-request, \
         mld-listener-query, mld-listener-report, mld-listener-done, nd-router-advert, nd-neighbor-solicit, \
         nd-neighbor-advert, ind-neighbor-solicit, ind-neighbor-advert, mld2-listener-report } accept",
        "",
    );
    rules.add("udp sport 67 udp dport 68 accept", "DHCP");
    rules.add("ip6 saddr fe80::/10 udp sport 547 udp dport 546 accept", "DHCPv6");
    if let Some(inside) = inside(policy) {
        rules.add(
            &format!("{inside} meta l4proto {{ tcp, udp }} th dport {{ 53, 67, 547 }} accept"),
            "DNS and DHCP for inside",
        );
    }
    match policy.ssh_from {
        From::Anywhere => rules.add(&format!("tcp dport {ssh} ct state new jump ssh"), "SSH"),
        From::Home => {
            for source in sources(policy) {
                rules.add(&format!("{source} tcp dport {ssh} ct state new jump ssh"), "SSH from home");
            }
        }
    }
    for protocol in [Protocol::Tcp, Protocol::Udp] {
        let name = protocol.name();
        let anywhere = policy.ports(protocol, From::Anywhere);
        if !anywhere.is_empty() {
            rules.add(&format!("{name} dport {} accept", list(&anywhere)), "open");
        }
        let home = policy.ports(protocol, From::Home);
        for source in sources(policy).iter().filter(|_| !home.is_empty()) {
            rules.add(&format!("{source} {name} dport {} accept", list(&home)), "open to home");
        }
    }
    rules.add("jump refused", "");
    rules.chain("input", "type filter hook input priority filter - 10; policy drop;")
}

/// How often one address may begin an SSH connection. A network at home is not limited.
fn ssh(policy: &Policy) -> String {
    let mut rules = Rules::default();
    for source in sources(policy) {
        rules.add(&format!("{source} accept"), "home");
    }
    let limit = "limit rate over 20/minute burst 30 packets";
    rules.add(&format!("update @ssh_callers4 {{ ip saddr {limit} }} drop"), "");
    rules.add(&format!("update @ssh_callers6 {{ ip6 saddr & ffff:ffff:ffff:ffff:: {limit} }} drop"), "");
    rules.add("accept", "");
    rules.chain("ssh", "")
}

/// What is passed on: everything that the inside sends, and from outside what goes to published ports of the policy. A
/// packet is judged by the port that its sender chose: Docker has put that of the container in its place already.
/// Docker's own rules see what is accepted here, and may drop it.
fn forward(policy: &Policy) -> String {
    let mut rules = Rules::default();
    rules.add("ct state vmap { established : accept, related : accept, invalid : drop }", "");
    if let Some(inside) = inside(policy) {
        rules.add(&format!("{inside} accept"), "containers and what else is inside");
    }
    rules.add("ct status dnat jump published", "");
    rules.add("jump refused", "");
    let forward = rules.chain("forward", "type filter hook forward priority filter - 10; policy drop;");
    let mut rules = Rules::default();
    for protocol in [Protocol::Tcp, Protocol::Udp] {
        let name = protocol.name();
        let port = |ports: &Ports| format!("meta l4proto {name} ct original proto-dst {ports} accept");
        for ports in policy.ports(protocol, From::Anywhere) {
            rules.add(&port(&ports), "open");
        }
        for ports in policy.ports(protocol, From::Home) {
            for source in sources(policy) {
                rules.add(&format!("{source} {}", port(&ports)), "open to home");
            }
        }
    }
    forward + &rules.chain("published", "")
}

/// What is dropped, some of which is logged. What is meant for everybody on a network is not worth a line.
fn refused() -> String {
    let mut rules = Rules::default();
    rules.add("meta pkttype { broadcast, multicast } drop", "");
    rules.add("limit rate 6/minute burst 12 packets log prefix \"cloudron-firewall: \" level info", "");
    rules.add("drop", "");
    rules.chain("refused", "").trim_end().to_owned() + "\n"
}

/// The match for the interfaces of containers and what else is inside.
fn inside(policy: &Policy) -> Option<String> {
    let names: Vec<String> = policy.inside.iter().map(|name| format!("\"{name}\"")).collect();
    (!names.is_empty()).then(|| format!("iifname {{ {} }}", names.join(", ")))
}

/// The matches for the networks at home, one a protocol.
fn sources(policy: &Policy) -> Vec<String> {
    let (v4, v6): (Vec<Network>, Vec<Network>) = policy.networks().into_iter().partition(Network::is_ipv4);
    let of = |name: &str, networks: &[Network]| {
        (!networks.is_empty()).then(|| format!("{name} saddr {}", list(networks)))
    };
    [of("ip", &v4), of("ip6", &v6)].into_iter().flatten().collect()
}

fn list(values: &[impl ToString]) -> String {
    let values: Vec<String> = values.iter().map(ToString::to_string).collect();
    format!("{{ {} }}", values.join(", "))
}

/// The rules of a chain.
#[derive(Default)]
struct Rules(String);

impl Rules {
    fn add(&mut self, rule: &str, comment: &str) {
        let _ = match comment {
            "" => writeln!(self.0, "\t\t{rule}"),
            comment => writeln!(self.0, "\t\t{rule} comment \"{comment}\""),
        };
    }

    fn chain(self, name: &str, hook: &str) -> String {
        let hook = if hook.is_empty() { String::new() } else { format!("\t\t{hook}\n\n") };
        format!("\tchain {name} {{\n{hook}{}\t}}\n\n", self.0)
    }
}
