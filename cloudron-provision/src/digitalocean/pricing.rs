//! The plan with its cost, by DigitalOcean's own prices.

use cloudron_core::{Error, Result};

use super::messages;
use super::names;
use super::provider::Shared;
use crate::cloud::names::{machine, shown};
use crate::cloud::{Amount, Cost, Plan, Planned, PlannedCall, Size, codes};

/// The scopes of the token, for making and removing a machine.
const SCOPES: [&str; 17] = [
    "actions:read",
    "droplet:create",
    "droplet:delete",
    "droplet:read",
    "droplet:update",
    "firewall:create",
    "firewall:delete",
    "firewall:read",
    "image:read",
    "regions:read",
    "sizes:read",
    "ssh_key:create",
    "ssh_key:delete",
    "ssh_key:read",
    "tag:create",
    "tag:delete",
    "tag:read",
];

/// Returns the scopes that a token needs to make and remove machines, with a reserved address or without.
pub fn scopes(reserved_ip: bool) -> Vec<&'static str> {
    let mut scopes = SCOPES.to_vec();
    if reserved_ip {
        scopes.extend(["reserved_ip:create", "reserved_ip:delete", "reserved_ip:read"]);
        scopes.sort_unstable();
    }
    scopes
}

impl Shared {
    /// Returns the size, if a droplet of it can be made in the region now.
    pub(super) async fn check_offer(&self) -> Result<messages::Size> {
        let (name, region) = (&self.settings.size, &self.settings.region);
        let sizes = self.client.sizes().await?;
        if !sizes.iter().any(|size| size.regions.contains(region)) {
            return Err(Error::new(
                &codes::NOT_FOUND,
                format!("DigitalOcean offers nothing in a region {region}"),
            ));
        }
        let Some(size) = sizes.into_iter().find(|size| size.slug == *name) else {
            return Err(Error::new(&codes::NOT_FOUND, format!("DigitalOcean has no size {name}")));
        };
        if size.available && size.regions.contains(region) {
            return Ok(size);
        }
        // The list does not tell a size that a region never has from one that it does not have now.
        let offered: &[String] = if size.available { &size.regions } else { &[] };
        let names: Vec<&str> = offered.iter().map(String::as_str).take(20).collect();
        let names = if names.is_empty() { "none" } else { &*names.join(", ") };
        let message = format!("no {name} can be made in {region} now; available in: {}", shown(names));
        Err(Error::new(&codes::CAPACITY, message).retryable(false))
    }

    /// Returns the sizes that are offered in a region.
    pub(super) async fn sizes(&self, region: &str) -> Result<Vec<Size>> {
        let sizes = self.client.sizes().await?.into_iter();
        let mut sizes: Vec<Size> = sizes
            .filter(|size| size.regions.iter().any(|name| name == region))
            .map(|size| Size {
                name: shown(&size.slug),
                architecture: "x86_64".into(),
                processors: size.vcpus,
                memory: size.memory,
                disk: Some(size.disk),
                cost: monthly(&size),
                available: size.available,
            })
            .collect();
        if sizes.is_empty() {
            let message = format!("DigitalOcean offers nothing in a region {region:?}");
            return Err(Error::new(&codes::NOT_FOUND, message));
        }
        Size::sort(&mut sizes);
        Ok(sizes)
    }

    /// Returns what a run would make.
    pub(super) async fn plan(&self, fqdn: &str) -> Result<Plan> {
        let size = self.check_offer().await?;
        let settings = &self.settings;
        let what = format!("{} in {}, {}", shown(&size.slug), settings.region, settings.image);
        let firewall = "ports 22, 80, 202, 443 and ICMP";
        let mut resources = vec![
            planned("droplet", machine(fqdn), what, monthly(&size)),
            planned("firewall", names::firewall(fqdn), firewall.into(), Cost::Free),
            planned("ssh-key", "cloudron-…".into(), "if the account does not have it".into(), Cost::Free),
        ];
        if settings.reserved_ip {
            let what = "free while it is assigned to the droplet".to_string();
            resources.push(planned("reserved-ip", machine(fqdn), what, Cost::Free));
        }
        Ok(Plan::new(resources, calls(settings.reserved_ip), scopes(settings.reserved_ip)))
    }
}

fn planned(kind: &'static str, name: String, what: String, cost: Cost) -> Planned {
    Planned { kind, name, what, cost }
}

fn monthly(size: &messages::Size) -> Cost {
    let price = size.price_monthly.as_ref().map(ToString::to_string);
    price.and_then(|price| Amount::parse(&price, "USD")).map_or(Cost::Unknown, Cost::Monthly)
}

/// The calls of a run without failures.
fn calls(reserved: bool) -> Vec<PlannedCall> {
    let call = |call, what, polled| PlannedCall { call, what, polled };
    let mut calls = vec![
        call("GET /v2/sizes", "a droplet of the size can be made in the region", false),
        call("GET /v2/account/keys/FINGERPRINT", "whether the account has the key", false),
        call("POST /v2/account/keys", "only if it does not", false),
        call("GET /v2/firewalls", "whether another run works on this machine", false),
        call("POST /v2/tags", "the tag of the machine and the run", false),
        call("POST /v2/firewalls", "the firewall, bound to the tag", false),
        call("GET /v2/droplets", "whether there is a droplet of the name", false),
        call("POST /v2/droplets", "the droplet, with key, marks and user-data", false),
        call("GET /v2/actions/ID", "until the droplet is made", true),
        call("GET /v2/droplets/ID", "its addresses", false),
    ];
    if reserved {
        calls.push(call("POST /v2/reserved_ips", "the reserved address, for the droplet", false));
        calls.push(call("GET /v2/actions/ID", "until it is assigned", true));
        calls.push(call("POST /v2/tags", "the mark of the address", false));
        calls.push(call("POST /v2/tags/TAG/resources", "puts it on the droplet", false));
    }
    calls.extend([
        call("POST /v2/tags", "the mark of the new host key, before it is used", false),
        call("POST /v2/tags/TAG/resources", "puts it on the droplet", false),
        call("DELETE /v2/tags/TAG", "removes the mark of the one-time host key", false),
    ]);
    calls
}
