//! The plan with its cost, by Hetzner's own prices.

use cloudron_core::{Error, Result};

use super::access;
use super::messages::{Price, Pricing, ServerType};
use super::provider::Shared;
use crate::cloud::names::shown;
use crate::cloud::{Amount, Cost, Plan, Planned, PlannedCall, Size, codes, names};

/// The permissions of the token: Hetzner has no finer ones.
pub const PERMISSIONS: [&str; 1] = ["an API token of the project with Read & Write"];

impl Shared {
    /// Returns the type of server, if one can be made at the location now.
    pub(super) async fn check_offer(&self) -> Result<ServerType> {
        let (name, location) = (&self.settings.server_type, &self.settings.location);
        let Some(kind) = self.client.server_type(name).await? else {
            return Err(Error::new(&codes::NOT_FOUND, format!("Hetzner has no type of server {name}")));
        };
        let names = |only_available: bool| {
            let offers = kind.locations.iter().filter(|o| !only_available || o.available != Some(false));
            let names: Vec<&str> = offers.map(|o| o.name.as_str()).take(20).collect();
            cloudron_core::escape::line(&names.join(", ")).chars().take(300).collect::<String>()
        };
        match kind.locations.iter().find(|offer| offer.name == *location) {
            None => {
                let message = format!("{name} is not offered at {location}, but at: {}", names(false));
                Err(Error::new(&codes::SETTINGS, message))
            }
            Some(offer) if offer.available == Some(false) => {
                let message =
                    format!("no {name} can be made at {location} now; available at: {}", names(true));
                Err(Error::new(&codes::CAPACITY, message).retryable(false))
            }
            Some(_) => Ok(kind),
        }
    }

    /// Returns the types that are offered at a location.
    pub(super) async fn sizes(&self, location: &str) -> Result<Vec<Size>> {
        let types = self.client.server_types().await?;
        let prices = self.client.pricing().await?;
        let mut sizes: Vec<Size> = types
            .iter()
            .filter_map(|kind| {
                let offer = kind.locations.iter().find(|offer| offer.name == location)?;
                Some(Size {
                    name: shown(&kind.name),
                    architecture: architecture(&kind.architecture).into(),
                    processors: kind.cores,
                    memory: (kind.memory * 1024.0) as u64,
                    disk: Some(kind.disk),
                    cost: monthly(&kind.prices, location, &prices),
                    available: offer.available != Some(false),
                })
            })
            .collect();
        if sizes.is_empty() {
            let message = format!("Hetzner offers nothing at a location {location:?}");
            return Err(Error::new(&codes::NOT_FOUND, message));
        }
        Size::sort(&mut sizes);
        Ok(sizes)
    }

    /// Returns what a run would make.
    pub(super) async fn plan(&self, fqdn: &str) -> Result<Plan> {
        let kind = self.check_offer().await?;
        let prices = self.client.pricing().await?;
        let (settings, location) = (&self.settings, &self.settings.location);
        let what = format!("{} ({}) in {location}, {}", kind.name, kind.architecture, settings.image);
        let mut resources = vec![
            planned("server", names::machine(fqdn), what, monthly(&kind.prices, location, &prices)),
            planned(
                "ipv4-address",
                names::machine(fqdn),
                "with the server".into(),
                address(&prices, location),
            ),
            planned("firewall", access::name_of(fqdn), "ports 22, 80, 202, 443 and ICMP".into(), Cost::Free),
            planned("ssh-key", "cloudron-…".into(), "if the project does not have it".into(), Cost::Free),
        ];
        if settings.network {
            resources.push(planned("network", access::name_of(fqdn), "10.0.0.0/16".into(), Cost::Free));
        }
        Ok(Plan::new(resources, calls(settings.network), PERMISSIONS.into()))
    }
}

/// Returns an architecture by the name that programs have for it.
fn architecture(name: &str) -> &'static str {
    match name {
        "arm" => "aarch64",
        "x86" => "x86_64",
        _ => "",
    }
}

fn planned(kind: &'static str, name: String, what: String, cost: Cost) -> Planned {
    Planned { kind, name, what, cost }
}

fn monthly(prices: &[Price], location: &str, pricing: &Pricing) -> Cost {
    let price = prices.iter().find(|price| price.location == location);
    let amount = price.and_then(|price| Amount::parse(&price.price_monthly.net, &pricing.currency));
    amount.map_or(Cost::Unknown, Cost::Monthly)
}

fn address(pricing: &Pricing, location: &str) -> Cost {
    let prices = pricing.primary_ips.iter().find(|prices| prices.kind == "ipv4");
    prices.map_or(Cost::Unknown, |prices| monthly(&prices.prices, location, pricing))
}

/// The calls of a run without failures.
fn calls(network: bool) -> Vec<PlannedCall> {
    let call = |call, what, polled| PlannedCall { call, what, polled };
    let mut calls = vec![
        call("GET /server_types", "the type is offered and available at the location", false),
        call("GET /ssh_keys", "whether the project has the key", false),
        call("POST /ssh_keys", "only if it does not", false),
        call("GET /firewalls", "whether another run works on this machine", false),
        call("POST /firewalls", "the firewall", false),
    ];
    if network {
        calls.extend([
            call("GET /networks", "whether another run made the network", false),
            call("GET /locations", "the network zone of the location", false),
            call("POST /networks", "the network", false),
        ]);
    }
    calls.extend([
        call("POST /servers", "the server, with key, firewall, network, marks and user-data", false),
        call("GET /actions/ID", "until the server is started", true),
        call("PUT /servers/ID", "the mark of the new host key, before it is used", false),
        call("PUT /servers/ID", "removes the mark of the one-time host key", false),
    ]);
    calls
}
