//! Reverse DNS names of addresses (PTR). They are set at the host of the server, not in the zone.

use std::fmt;
use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::Name;
use crate::resolve::reverse_name;

/// The host of the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Cloud {
    /// Amazon EC2.
    Ec2,
    /// DigitalOcean.
    DigitalOcean,
    /// Hetzner Cloud.
    Hetzner,
    /// Scaleway.
    Scaleway,
    /// Another host.
    Generic,
}

/// Instructions to set the reverse DNS name of a server's address.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct PtrAdvice {
    /// The address.
    pub address: IpAddr,
    /// The resulting line of a zone file.
    pub record: String,
    /// A precondition.
    pub before: Option<String>,
    /// Steps in the web interface.
    pub steps: Vec<String>,
    /// The equivalent API call.
    pub call: Option<String>,
    /// The host's rule for outgoing mail (port 25), as text.
    pub port_25: String,
    /// The host's documentation.
    pub page: Option<String>,
}

/// Returns the instructions of a host for giving `address` the name `name`. The name must resolve to the address first,
/// at every host.
///
/// Sources: Amazon EC2 API (ModifyAddressAttribute), DigitalOcean "How to Manage PTR records", Hetzner Cloud API
/// (change_dns_ptr), Scaleway Instances API (update IP).
///
/// ```
/// use cloudron_dns::machine::{Cloud, ptr_advice};
/// let my = cloudron_dns::Name::parse("my.example.com")?;
/// let advice = ptr_advice(Cloud::Hetzner, "192.0.2.1".parse().unwrap(), &my);
/// assert!(advice.to_string().starts_with("1.2.0.192.in-addr.arpa. PTR my.example.com.\n"));
/// # Ok::<(), cloudron_dns::Error>(())
/// ```
pub fn ptr_advice(cloud: Cloud, address: IpAddr, name: &Name) -> PtrAdvice {
    let host = name.without_dot();
    let words = words(cloud, address, host);
    PtrAdvice {
        address,
        record: format!("{} PTR {name}", reverse_name(address)),
        before: words.before.map(|before| before.replace("{name}", host)),
        steps: words.steps.into_iter().map(|step| step.replace("{name}", host)).collect(),
        call: words.call,
        port_25: words.port_25.to_owned(),
        page: words.page.map(str::to_owned),
    }
}

struct Words {
    before: Option<&'static str>,
    steps: Vec<&'static str>,
    call: Option<String>,
    port_25: &'static str,
    page: Option<&'static str>,
}

fn words(cloud: Cloud, address: IpAddr, host: &str) -> Words {
    match cloud {
        Cloud::Ec2 => Words {
            before: Some("The address is an Elastic IP, and {name} has its A record already."),
            steps: vec![
                "In the EC2 console, open Elastic IPs and select the address.",
                "Choose Actions, then Update reverse DNS, and enter {name}.",
            ],
            call: Some(format!(
                "aws ec2 modify-address-attribute --allocation-id ALLOCATION --domain-name {host}"
            )),
            port_25: "closed for new accounts: ask for it with the form \"Request to remove email sending limitations\"",
            page: Some(
                "https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/Using_Elastic_Addressing_Reverse_DNS.html",
            ),
        },
        Cloud::DigitalOcean => Words {
            before: None,
            steps: vec!["Name the Droplet {name}: its addresses take over the name when it is a full one."],
            call: Some(format!("doctl compute droplet-action rename DROPLET --droplet-name {host}")),
            port_25: "closed: DigitalOcean lets no mail out by SMTP; send through a relay",
            page: Some("https://docs.digitalocean.com/support/how-do-i-set-up-reverse-dns-for-my-droplets/"),
        },
        Cloud::Hetzner => Words {
            before: None,
            steps: vec![
                "In the Hetzner console, open the server and its tab Networking.",
                "At the address, choose Edit Reverse DNS and enter {name}.",
            ],
            call: Some(format!(
                "POST /v1/servers/SERVER/actions/change_dns_ptr {{\"ip\": \"{address}\", \"dns_ptr\": \"{host}\"}}"
            )),
            port_25: "closed for new accounts, with 465: ask for it by a ticket after the first month",
            page: Some("https://docs.hetzner.com/cloud/servers/cloud-server-rdns/"),
        },
        Cloud::Scaleway => Words {
            before: Some("{name} has its A or AAAA record already, and everybody sees it."),
            steps: vec![
                "In the Scaleway console, open Instances, then Flexible IPs, and select the address.",
                "Choose Edit reverse DNS and enter {name}.",
                "In the instance's security group, enable SMTP.",
            ],
            call: Some(format!("scw instance ip update {address} reverse={host}")),
            port_25: "closed, with 465 and 587, until SMTP is enabled in the security group of a verified account",
            page: Some("https://www.scaleway.com/en/docs/instances/how-to/configure-reverse-dns/"),
        },
        Cloud::Generic => Words {
            before: None,
            steps: vec![
                "Ask whoever gave you the address for the reverse DNS name {name}: often a field of their panel, \
                 else a ticket.",
            ],
            call: None,
            port_25: "unknown: try a connection to port 25 of another mail server",
            page: None,
        },
    }
}

impl fmt::Display for PtrAdvice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.record)?;
        if let Some(before) = &self.before {
            writeln!(f, "  first: {before}")?;
        }
        for step in &self.steps {
            writeln!(f, "  - {step}")?;
        }
        if let Some(call) = &self.call {
            writeln!(f, "  or: {call}")?;
        }
        writeln!(f, "  outgoing mail (port 25): {}", self.port_25)?;
        if let Some(page) = &self.page {
            writeln!(f, "  see {page}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_host_names_the_address_and_its_server() {
        let my = Name::parse("my.example.com").unwrap();
        for cloud in [Cloud::Ec2, Cloud::DigitalOcean, Cloud::Hetzner, Cloud::Scaleway, Cloud::Generic] {
            let advice = ptr_advice(cloud, "192.0.2.1".parse().unwrap(), &my);
            let text = advice.to_string();
            assert!(advice.steps.iter().any(|s| s.contains("my.example.com")), "{text}");
            assert!(text.contains("1.2.0.192.in-addr.arpa.") && !text.contains("{name}"), "{text}");
        }
    }
}
