//! The sizes, and the plan with its cost, by a dated table of prices.

use cloudron_core::{Error, Result};
use serde_json::{Value, json};

use super::offer::architecture;
use super::shared::{Shared, group_name, machine_name, shown};
use super::{DescribeInstanceTypes, DescribeRegions, Filter, Region, Service, planned, policy};
use crate::cloud::{Amount, Cost, Plan, Planned, Size, codes};

/// The prices, with their source and date.
const PRICES: &str = include_str!("prices.txt");
/// The hours of a month, as Amazon counts them.
const HOURS: u64 = 730;
/// The families that are of use for a small server.
const FAMILIES: [&str; 10] =
    ["t3.*", "t3a.*", "t4g.*", "m7i-flex.*", "c7i-flex.*", "m7i.*", "m7g.*", "m7a.*", "c7g.*", "r7g.*"];

/// Returns the price of a unit, in millionths of a dollar; none if it is not known.
fn price(region: &str, what: &str) -> Option<u64> {
    let lines = PRICES.lines().filter(|line| !line.starts_with('#'));
    let mut fields = lines.map(|line| line.split(' ').collect::<Vec<_>>());
    let found = fields
        .find(|fields| matches!(fields[..], [at, name, _] if (at == region || at == "*") && name == what))?;
    Amount::parse(found[2], "USD").map(|amount| amount.micros)
}

/// Returns the cost per month of a number of units.
fn monthly(region: &str, what: &str, units: u64) -> Cost {
    // China and the clouds for governments have prices of their own.
    let known = !region.starts_with("cn-") && !region.starts_with("us-gov-");
    let price = price(region, what).filter(|_| known);
    price.map_or(Cost::Unknown, |price| {
        Cost::Monthly(Amount { micros: price * units, currency: "USD".into() })
    })
}

impl Shared {
    /// Returns the sizes of a region.
    pub(super) async fn sizes(&self, region: &str) -> Result<Vec<Size>> {
        let unknown = || Error::new(&codes::NOT_FOUND, format!("EC2 has no region {}", shown(region)));
        let parsed = Region::parse(region).map_err(|_| unknown())?;
        let known = self.client.call(&DescribeRegions { all_regions: Some(true) }).await?;
        if !known.regions.iter().any(|known| known.region_name == region) {
            return Err(unknown());
        }
        let request = DescribeInstanceTypes {
            filters: vec![Filter::any("instance-type", FAMILIES)],
            ..DescribeInstanceTypes::default()
        };
        let types = self.client.in_region(parsed).all(&request).await?;
        let mut sizes: Vec<Size> = types
            .iter()
            .filter(|kind| kind.memory_info.mib >= 1024 && kind.v_cpu_info.count <= 16)
            .map(|kind| Size {
                name: shown(&kind.instance_type),
                architecture: named(&architecture(kind)).into(),
                processors: kind.v_cpu_info.count,
                memory: kind.memory_info.mib,
                disk: None,
                cost: monthly(region, &kind.instance_type, HOURS),
                available: true,
            })
            .filter(|size| !size.architecture.is_empty())
            .collect();
        Size::sort(&mut sizes);
        Ok(sizes)
    }

    /// Returns what a run would make.
    pub(super) async fn plan(&self, fqdn: &str) -> Result<Plan> {
        let (kind, image) = (self.kind().await?, self.image().await?);
        let own = self.settings.own_vpc || self.places().await?.is_empty();
        let (settings, region) = (&self.settings, &*self.settings.region);
        let what = format!("{} ({}) in {region}, {}", settings.instance_type, image.architecture, image.name);
        let part = |kind, name: String, what: &str, cost| Planned { kind, name, what: what.into(), cost };
        let (machine, name) = (machine_name(fqdn), group_name(fqdn));
        let disk = monthly(region, "gp3", settings.disk_size.into());
        let mut resources = vec![
            part("instance", machine.clone(), &what, monthly(region, &kind.instance_type, HOURS)),
            part("volume", machine.clone(), &format!("{} GiB, gp3, encrypted", settings.disk_size), disk),
        ];
        let address = monthly(region, "ipv4", HOURS);
        resources.push(match settings.elastic_ip {
            true => part("elastic-ip", name.clone(), "it stays when the instance is stopped", address),
            false => part("ipv4-address", machine, "with the instance", address),
        });
        if settings.security_group.is_none() {
            let open = "ports 22, 80, 202, 443 and ICMP";
            resources.push(part("security-group", name.clone(), open, Cost::Free));
        }
        if own {
            for kind in ["vpc", "subnet", "internet-gateway"] {
                resources.push(part(kind, name.clone(), "of the machine's own", Cost::Free));
            }
        }
        if settings.server_role.is_some() {
            for (kind, what) in
                [("role", "for the server's bucket"), ("instance-profile", "gives the role to the instance")]
            {
                resources.push(part(kind, self.role_name(fqdn), what, Cost::Free));
            }
        }
        if settings.key_name.is_none() {
            let what = "if the region does not have the key";
            resources.push(part("key-pair", "cloudron-…".into(), what, Cost::Free));
        }
        let calls = planned::calls(settings, own);
        Ok(Plan::new(resources, calls, planned::permissions(settings, own)))
    }

    /// Returns the policy for creating, finding and removing the machine of a domain.
    pub(super) fn policy(&self, fqdn: &str) -> Value {
        policy_for(&self.settings, Some(fqdn))
    }
}

/// Returns the policy for creating, finding and removing machines with these settings: that of a domain, or any.
pub fn policy_for(settings: &super::Settings, fqdn: Option<&str>) -> Value {
    let actions = planned::permissions(settings, settings.own_vpc);
    let actions = actions.iter().filter_map(|name| match name.split_once(':')? {
        ("ec2", action) => Some((Service::Ec2, action)),
        ("ssm", action) => Some((Service::Ssm, action)),
        _ => None,
    });
    let tag = policy::TagLimit { key: "cloudron:fqdn", value: fqdn };
    let mut document = policy::document(actions, tag);
    let Some(statements) = document["Statement"].as_array_mut() else { return document };
    // Of all parts of AWS: the policy may be for a region of any.
    let ours = |kind: &str| format!("arn:*:iam::*:{kind}/cloudron-*");
    if settings.server_role.is_some() {
        let all = planned::OF_ROLES;
        let (profiles, roles): (Vec<&str>, Vec<&str>) =
            all.iter().partition(|name| name.contains("InstanceProfile"));
        statements.push(json!({ "Effect": "Allow", "Action": roles, "Resource": ours("role") }));
        statements
            .push(json!({ "Effect": "Allow", "Action": profiles, "Resource": ours("instance-profile") }));
    }
    if settings.instance_profile.is_some() || settings.server_role.is_some() {
        let given = settings.instance_profile.as_ref();
        if let Some(name) = given {
            let profile = format!("arn:*:iam::*:instance-profile/{name}");
            let action = ["iam:GetInstanceProfile"];
            statements.push(json!({ "Effect": "Allow", "Action": action, "Resource": profile }));
        }
        // The role of a given profile may have any name.
        let resource = if given.is_some() { "*".to_owned() } else { ours("role") };
        let condition = json!({ "StringEquals": { "iam:PassedToService": "ec2.amazonaws.com" } });
        let action = ["iam:PassRole"];
        statements.push(
            json!({ "Effect": "Allow", "Action": action, "Resource": resource, "Condition": condition }),
        );
    }
    document
}

/// Returns an architecture by the name that programs have for it.
fn named(architecture: &str) -> &str {
    if architecture == "arm64" { "aarch64" } else { architecture }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown_cost(cost: &Cost) -> String {
        match cost {
            Cost::Monthly(amount) => amount.to_string(),
            other => format!("{other:?}"),
        }
    }

    #[test]
    fn every_line_of_the_table_is_a_price_and_is_there_once() {
        let mut seen = std::collections::BTreeSet::new();
        for line in PRICES.lines().filter(|line| !line.starts_with('#')) {
            let fields: Vec<&str> = line.split(' ').collect();
            let [region, what, amount] = fields[..] else { panic!("{line}") };
            assert!(region == "*" || Region::parse(region).is_ok(), "{line}");
            assert!(Amount::parse(amount, "USD").is_some_and(|amount| amount.micros > 0), "{line}");
            assert!(seen.insert((region, what)), "{line} is there twice");
        }
        assert!(PRICES.contains("\n# As of: 20") && PRICES.contains("# Source: https://aws.amazon.com/"));
    }

    #[test]
    fn a_month_has_730_hours_and_what_is_not_in_the_table_is_unknown() {
        assert_eq!(shown_cost(&monthly("us-east-1", "t3.small", HOURS)), "15.19 USD");
        assert_eq!(shown_cost(&monthly("us-east-1", "gp3", 30)), "2.40 USD");
        assert_eq!(shown_cost(&monthly("eu-central-1", "ipv4", HOURS)), "3.65 USD");
        assert_eq!(monthly("us-east-1", "t3.enormous", HOURS), Cost::Unknown);
        assert_eq!(monthly("ap-east-1", "t3.small", HOURS), Cost::Unknown);
        assert_eq!(monthly("cn-north-1", "ipv4", HOURS), Cost::Unknown);
    }
}
