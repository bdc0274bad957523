//! What may reach a machine.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::network::{Interface, Network, Ports};
use crate::{Error, Result, codes};

/// Maximum number of SSH ports, openings and networks: every rule is looked at for every new connection.
const MOST: (usize, usize, usize) = (8, 200, 64);

/// Interfaces on which a machine's own containers and virtual machines are: Docker, Podman, CNI, libvirt, LXD, Incus.
const INSIDE: [&str; 8] =
    ["docker0", "br-*", "podman*", "cni-podman*", "virbr*", "lxdbr*", "lxcbr*", "incusbr*"];

/// What may reach a machine from outside. Everything else is dropped; what the machine itself begins is not restricted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Policy {
    /// The ports of SSH. At least one.
    pub ssh: BTreeSet<u16>,
    /// From where SSH may be reached.
    #[serde(default)]
    pub ssh_from: From,
    /// The enabled services, whose ports anybody may reach.
    #[serde(default)]
    pub services: BTreeSet<Service>,
    /// More ports.
    #[serde(default)]
    pub open: BTreeSet<Opening>,
    /// The networks at home.
    #[serde(default)]
    pub home: BTreeSet<Network>,
    /// Interfaces of the machine's own containers, virtual machines and VPNs: what comes from there is passed on, not
    /// what comes from elsewhere.
    #[serde(default = "inside")]
    pub inside: BTreeSet<Interface>,
}

/// Who may reach a port.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum From {
    /// Everybody.
    #[default]
    Anywhere,
    /// The networks at home.
    Home,
}

/// The protocol of a port.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Protocol {
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
}

impl Protocol {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Tcp => "tcp",
            Self::Udp => "udp",
        }
    }
}

/// Ports that may be reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Opening {
    /// Their protocol.
    pub protocol: Protocol,
    /// The ports.
    pub ports: Ports,
    /// Who may reach them.
    #[serde(default)]
    pub from: From,
}

/// A service with ports of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Service {
    /// Web pages: TCP 80 and 443.
    Web,
    /// Mail from other servers: TCP 25.
    Smtp,
    /// Mail that users send: TCP 465 and 587.
    Submission,
    /// Mailboxes: TCP 993.
    Imap,
    /// Filters of mailboxes: TCP 4190.
    Sieve,
    /// Relay for calls: TCP and UDP 3478 and 5349, UDP 50000 to 51000.
    Turn,
}

impl Service {
    /// Returns its ports: protocol, first, last.
    fn ports(self) -> &'static [(Protocol, u16, u16)] {
        use Protocol::{Tcp, Udp};
        match self {
            Self::Web => &[(Tcp, 80, 80), (Tcp, 443, 443)],
            Self::Smtp => &[(Tcp, 25, 25)],
            Self::Submission => &[(Tcp, 465, 465), (Tcp, 587, 587)],
            Self::Imap => &[(Tcp, 993, 993)],
            Self::Sieve => &[(Tcp, 4190, 4190)],
            Self::Turn => &[
                (Tcp, 3478, 3478),
                (Udp, 3478, 3478),
                (Tcp, 5349, 5349),
                (Udp, 5349, 5349),
                (Udp, 50000, 51000),
            ],
        }
    }
}

fn inside() -> BTreeSet<Interface> {
    INSIDE.iter().filter_map(|name| name.parse().ok()).collect()
}

impl Policy {
    /// Returns the policy of a new server: SSH and web pages.
    pub fn new(ssh: impl IntoIterator<Item = u16>) -> Self {
        Self {
            ssh: ssh.into_iter().collect(),
            ssh_from: From::Anywhere,
            services: [Service::Web].into(),
            open: BTreeSet::new(),
            home: BTreeSet::new(),
            inside: inside(),
        }
    }

    /// Adds a service.
    pub fn with_service(mut self, service: Service) -> Self {
        self.services.insert(service);
        self
    }

    /// Adds ports.
    pub fn with_opening(mut self, protocol: Protocol, ports: Ports, from: From) -> Self {
        self.open.insert(Opening { protocol, ports, from });
        self
    }

    /// Adds a network at home.
    pub fn with_home(mut self, network: Network) -> Self {
        self.home.insert(network);
        self
    }

    /// Checks that the policy leaves a way in and is of bounded size.
    ///
    /// # Errors
    /// `firewall-policy`.
    pub fn check(&self) -> Result<()> {
        let wrong = |text: String| Err(Error::new(&codes::FIREWALL_POLICY, text));
        let (ssh, open, networks) = MOST;
        if self.ssh.is_empty() || self.ssh.contains(&0) {
            return wrong("a firewall without a port for SSH would lock everybody out".into());
        }
        if self.ssh.len() > ssh {
            return wrong(format!("there are more than {ssh} ports for SSH"));
        }
        if self.open.len() > open || self.inside.len() > networks || self.home.len() > networks {
            return wrong(format!("there are more than {open} openings, or more than {networks} networks"));
        }
        let home = self.ssh_from == From::Home || self.open.iter().any(|o| o.from == From::Home);
        if home && self.home.is_empty() {
            return wrong("something is open to the networks at home, and there are none".into());
        }
        Ok(())
    }

    /// Returns the ports of a protocol that somebody may reach, in order, without those of SSH.
    pub fn ports(&self, protocol: Protocol, from: From) -> Vec<Ports> {
        let services = self.services.iter().filter(|_| from == From::Anywhere).flat_map(|s| s.ports());
        let services = services
            .filter(|(p, ..)| *p == protocol)
            .filter_map(|(_, first, last)| Ports::range(*first, *last).ok());
        let open = self.open.iter().filter(|o| o.protocol == protocol && o.from == from).map(|o| o.ports);
        Ports::merged(services.chain(open))
    }

    /// Returns the networks at home, without those that lie in another.
    pub(super) fn networks(&self) -> Vec<Network> {
        let is_outermost =
            |network: &&Network| !self.home.iter().any(|other| other != *network && other.contains(network));
        self.home.iter().filter(is_outermost).copied().collect()
    }

    /// Returns whether everything that `before` lets in still gets in, so that nobody can be cut off.
    pub fn keeps(&self, before: &Self) -> bool {
        let covers = |wide: Vec<Ports>, narrow: Vec<Ports>| {
            narrow.iter().all(|n| wide.iter().any(|w| w.first() <= n.first() && n.last() <= w.last()))
        };
        let ports = [Protocol::Tcp, Protocol::Udp].into_iter().all(|protocol| {
            let anywhere = self.ports(protocol, From::Anywhere);
            let both = Ports::merged(anywhere.iter().copied().chain(self.ports(protocol, From::Home)));
            covers(anywhere, before.ports(protocol, From::Anywhere))
                && covers(both, before.ports(protocol, From::Home))
        });
        ports
            && self.ssh.is_superset(&before.ssh)
            && (self.ssh_from == From::Anywhere || before.ssh_from == From::Home)
            && before.home.iter().all(|n| self.home.iter().any(|wide| wide.contains(n)))
            && self.inside.is_superset(&before.inside)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ports(text: &str) -> Ports {
        text.parse().unwrap()
    }

    #[test]
    fn a_policy_that_locks_everybody_out_is_refused() {
        assert!(Policy::new([202]).check().is_ok());
        assert!(Policy::new([]).check().is_err());
        let mut home = Policy::new([22]);
        home.ssh_from = From::Home;
        assert!(home.check().is_err());
        assert!(home.with_home("10.0.0.0/8".parse().unwrap()).check().is_ok());
    }

    #[test]
    fn a_policy_is_what_its_json_says_and_unknown_words_are_refused() {
        let policy = Policy::new([22, 202])
            .with_service(Service::Turn)
            .with_home("fd00::/8".parse().unwrap())
            .with_opening(Protocol::Udp, ports("51820"), From::Home);
        let text = serde_json::to_string(&policy).unwrap();
        assert_eq!(serde_json::from_str::<Policy>(&text).unwrap(), policy);
        assert_eq!(serde_json::from_str::<Policy>(r#"{"ssh":[22]}"#).unwrap().inside, policy.inside);
        assert!(serde_json::from_str::<Policy>(r#"{"ssh":[22],"shh":[1]}"#).is_err());
        assert!(serde_json::from_str::<Policy>(r#"{"ssh":[22],"services":["telnet"]}"#).is_err());
    }

    #[test]
    fn only_what_takes_something_away_can_cut_somebody_off() {
        let before = Policy::new([22]).with_opening(Protocol::Tcp, ports("8000-8010"), From::Home);
        let before = before.with_home("10.1.0.0/16".parse().unwrap());
        assert!(before.keeps(&before));
        assert!(before.clone().with_service(Service::Imap).keeps(&before));
        assert!(!before.keeps(&before.clone().with_service(Service::Imap)));
        let mut wider = before.clone().with_opening(Protocol::Tcp, ports("8000-9000"), From::Anywhere);
        wider.open.remove(before.open.first().unwrap());
        assert!(wider.keeps(&before) && !before.keeps(&wider));
        let mut moved = before.clone();
        moved.ssh = [202].into();
        assert!(!moved.keeps(&before));
        let mut home = before.clone();
        home.ssh_from = From::Home;
        assert!(!home.keeps(&before) && before.keeps(&home));
        let mut lost = before.clone();
        lost.home = ["10.1.2.0/24".parse().unwrap()].into();
        assert!(!lost.keeps(&before));
    }
}
