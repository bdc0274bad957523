//! The text of the table, for every policy.

use std::io::Write;
use std::process::{Command, Stdio};

use cloudron_testkit::require;
use proptest::prelude::*;

use crate::firewall::{From, Network, Policy, Ports, Protocol, Service, render};

fn ports(text: &str) -> Ports {
    text.parse().unwrap()
}

/// A server at home with much on it.
fn home() -> Policy {
    let network = |text: &str| text.parse::<Network>().unwrap();
    let mut policy = Policy::new([22, 202])
        .with_service(Service::Turn)
        .with_service(Service::Imap)
        .with_home(network("192.168.178.0/24"))
        .with_home(network("192.168.0.0/16"))
        .with_home(network("fd00::/8"))
        .with_opening(Protocol::Tcp, ports("8000-8010"), From::Home)
        .with_opening(Protocol::Tcp, ports("79"), From::Anywhere)
        .with_opening(Protocol::Udp, ports("53"), From::Home);
    policy.ssh_from = From::Home;
    policy.inside.insert("wg0".parse().unwrap());
    policy
}

#[test]
fn the_table_of_a_new_server_is_readable() {
    insta::assert_snapshot!(render(&Policy::new([202])).unwrap());
}

#[test]
fn the_table_of_a_server_at_home_keeps_what_is_for_home_at_home() {
    insta::assert_snapshot!(render(&home()).unwrap());
}

fn arbitrary_ports() -> impl Strategy<Value = Ports> {
    (1..=u16::MAX, prop_oneof![Just(0_u16), 0..500_u16])
        .prop_map(|(first, more)| Ports::range(first, first.saturating_add(more)).unwrap())
}

fn arbitrary_network() -> impl Strategy<Value = Network> {
    let v4 = (1..=32_u8, 1..=223_u8, any::<[u8; 3]>())
        .prop_map(|(n, a, [b, c, d])| format!("{a}.{b}.{c}.{d}/{n}"));
    let v6 = (4..=128_u8, any::<u128>()).prop_map(|(n, a)| {
        let address = std::net::Ipv6Addr::from(a >> 4 | 0x2 << 124);
        format!("{address}/{n}")
    });
    prop_oneof![v4, v6].prop_filter_map("an address that nobody has", |text| text.parse().ok())
}

fn policies() -> impl Strategy<Value = Policy> {
    let services =
        [Service::Web, Service::Smtp, Service::Submission, Service::Imap, Service::Sieve, Service::Turn];
    let opening = (any::<bool>(), arbitrary_ports(), any::<bool>());
    (
        prop::collection::btree_set(1..=u16::MAX, 1..4),
        any::<bool>(),
        prop::sample::subsequence(services.to_vec(), 0..=6),
        prop::collection::vec(opening, 0..20),
        prop::collection::btree_set(arbitrary_network(), 1..8),
    )
        .prop_map(|(ssh, ssh_home, services, open, home)| {
            let from = |home| if home { From::Home } else { From::Anywhere };
            let mut policy = Policy::new(ssh);
            policy.ssh_from = from(ssh_home);
            policy.services = services.into_iter().collect();
            policy.home = home;
            for (is_tcp, ports, home) in open {
                let protocol = if is_tcp { Protocol::Tcp } else { Protocol::Udp };
                policy = policy.with_opening(protocol, ports, from(home));
            }
            policy
        })
}

/// The ranges of `{ … }` in the rules of the chain `input` that begin so and end so.
fn ranges(text: &str, begin: &str, end: &str) -> Vec<Ports> {
    let rules = text.lines().filter_map(|line| line.trim().strip_prefix(begin));
    let sets = rules.filter(|rest| rest.contains(end)).filter_map(|rest| rest.split_once(" }"));
    sets.flat_map(|(set, _)| set.split(", ").map(|t| ports(t.trim())).collect::<Vec<_>>()).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn a_port_is_open_to_everybody_exactly_if_the_policy_says_so(policy in policies(), port in 1..=u16::MAX) {
        let text = render(&policy).unwrap();
        for (protocol, name) in [(Protocol::Tcp, "tcp"), (Protocol::Udp, "udp")] {
            let open = ranges(&text, &format!("{name} dport {{ "), "} accept");
            let said = policy.ports(protocol, From::Anywhere);
            prop_assert_eq!(&open, &said);
            // Ascending and apart, as sets of nftables must be.
            prop_assert!(open.windows(2).all(|w| w[0].last() < w[1].first()));
            // What is published by a container obeys the same list.
            let published = text.lines().filter_map(|line| {
                line.trim().strip_prefix(&format!("meta l4proto {name} ct original proto-dst "))
            });
            let published: Vec<Ports> = published.map(|rest| ports(rest.split_once(' ').unwrap().0)).collect();
            prop_assert_eq!(published, said.clone());
            let named = policy.open.iter().any(|o| o.protocol == protocol && o.from == From::Anywhere && o.ports.contains(port));
            prop_assert!(!named || said.iter().any(|p| p.contains(port)));
        }
    }

    #[test]
    fn ssh_is_reachable_from_where_the_policy_says_and_everything_else_is_dropped(policy in policies()) {
        let text = render(&policy).unwrap();
        let rules: Vec<&str> = text.lines().filter(|line| line.contains("jump ssh")).collect();
        let from_home = |rule: &&str| rule.contains(" saddr ");
        prop_assert!(!rules.is_empty());
        prop_assert_eq!(rules.iter().all(from_home), policy.ssh_from == From::Home);
        prop_assert_eq!(rules.iter().any(from_home), policy.ssh_from == From::Home);
        for port in &policy.ssh {
            let names_it = |rule: &&str| {
                let (_, set) = rule.split_once("dport { ").unwrap();
                let set = set.split_once(" }").unwrap().0;
                set.split(", ").any(|range| ports(range).contains(*port))
            };
            prop_assert!(rules.iter().all(names_it));
        }
        prop_assert_eq!(text.matches("policy drop;").count(), 2);
        prop_assert_eq!(text.matches('{').count(), text.matches('}').count());
    }

    #[test]
    fn the_file_tells_its_policy_and_every_change_of_it(policy in policies(), at in any::<prop::sample::Index>()) {
        let text = render(&policy).unwrap();
        prop_assert_eq!(crate::firewall::render::policy_of(&text).unwrap(), policy);
        let begin = text.find("# policy").unwrap();
        let mut bytes = text.into_bytes();
        let n = begin + at.index(bytes.len() - begin);
        bytes[n] = if bytes[n] == b'7' { b'8' } else { b'7' };
        prop_assert!(crate::firewall::render::policy_of(&String::from_utf8(bytes).unwrap()).is_err());
    }
}

/// Has the real nft check a file in a network of its own. Returns what it says.
fn checked(text: &str) -> Result<(), String> {
    let mut command = Command::new("unshare");
    command.args(["--map-root-user", "--net", "sh", "-c", "PATH=$PATH:/usr/sbin exec nft -c -f -"]);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    if output.status.success() { Ok(()) } else { Err(String::from_utf8_lossy(&output.stderr).into_owned()) }
}

#[test]
fn nft_accepts_the_table_of_every_policy() {
    let may_unshare = || Command::new("unshare").args(["--map-root-user", "--net", "true"]).status();
    if require::tools(["nft", "unshare"]).is_none()
        || !require::that(may_unshare().is_ok_and(|s| s.success()), "no network namespaces")
    {
        return;
    }
    checked(&render(&home()).unwrap()).unwrap();
    let mut runner = proptest::test_runner::TestRunner::new(ProptestConfig::with_cases(60));
    runner
        .run(&policies(), |policy| {
            let text = render(&policy).unwrap();
            checked(&text).map_err(|said| TestCaseError::fail(format!("{said}\n{text}")))
        })
        .unwrap();
}
