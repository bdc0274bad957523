//! The machines of an account, and which of them this computer knows.

use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;

use cloudron_core::Result;
use cloudron_core::table::Table;
use cloudron_provision::cloud::Item;
use serde::Serialize;

use crate::manager::Manager;
use crate::registry::Machine;

/// A machine of an account.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct InCloud {
    /// The domain.
    pub fqdn: String,
    /// The cloud.
    pub provider: String,
    /// The region or location, if it is known.
    pub region: Option<String>,
    /// The ID at the cloud.
    pub id: String,
    /// The run that made it.
    pub run: String,
    /// The addresses, IPv4 first.
    pub addresses: Vec<IpAddr>,
    /// The state that the cloud reports. Empty for a machine that it does not have.
    pub state: String,
    /// Whether this computer knows it.
    pub recorded: Recorded,
}

/// Whether a machine is in the cloud, and in the records of this computer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Recorded {
    /// In both.
    Yes,
    /// In the cloud, and this computer has an unfinished run of it.
    Unfinished,
    /// Only in the cloud.
    No,
    /// Only in the records: the account does not have it.
    Gone,
}

impl fmt::Display for Recorded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Yes => "yes",
            Self::Unfinished => "unfinished",
            Self::No => "no",
            Self::Gone => "yes, and not in the account",
        })
    }
}

impl InCloud {
    /// Returns a table of machines.
    pub fn table(machines: &[Self]) -> Table {
        let mut table = Table::new(["Domain", "Region", "Address", "State", "ID", "Known here"]);
        let or_none = |text: String| if text.is_empty() { "-".into() } else { text };
        for machine in machines {
            let addresses: Vec<String> = machine.addresses.iter().map(ToString::to_string).collect();
            table.row([
                machine.fqdn.clone(),
                or_none(machine.region.clone().unwrap_or_default()),
                or_none(addresses.join(" ")),
                or_none(machine.state.clone()),
                machine.id.clone(),
                machine.recorded.to_string(),
            ]);
        }
        table
    }
}

impl Manager {
    /// Returns all machines of the account, also those that this computer does not know, and those that it knows and the
    /// account does not have. Sorted by domain.
    ///
    /// # Errors
    /// `cloud-credentials`; any error of the cloud; errors of reading records.
    pub async fn cloud_machines(&self) -> Result<Vec<InCloud>> {
        let account = self.any_account()?;
        let items = self.existing(account)?.machines().await?;
        let provider = account.provider();
        // A record that cannot be read is reported by the list of this computer's machines.
        let (machines, _) = self.machines().all()?;
        let mut here: BTreeMap<(String, String), Machine> = BTreeMap::new();
        for machine in machines {
            let Some(place) = machine.reach.cloud().filter(|place| place.provider == provider.id()) else {
                continue;
            };
            let elsewhere = provider.is_regional() && place.region.as_deref() != account.region();
            if !elsewhere {
                here.insert((machine.fqdn.to_string(), place.id.clone()), machine);
            }
        }
        let runs = self.runner().unfinished(None)?;
        let mut list = Vec::new();
        for item in items {
            let recorded = match here.remove(&(item.marks.fqdn.clone(), item.id.clone())) {
                Some(_) => Recorded::Yes,
                None if runs.iter().any(|run| run.run.eq_ignore_ascii_case(&item.marks.run)) => {
                    Recorded::Unfinished
                }
                None => Recorded::No,
            };
            list.push(there(provider.id(), item, recorded));
        }
        list.extend(here.into_values().filter_map(gone));
        list.sort_by(|a, b| (&a.fqdn, &a.id).cmp(&(&b.fqdn, &b.id)));
        Ok(list)
    }
}

fn there(provider: &str, item: Item, recorded: Recorded) -> InCloud {
    InCloud {
        fqdn: item.marks.fqdn,
        provider: provider.into(),
        region: item.region,
        id: item.id,
        run: item.marks.run,
        addresses: item.addresses,
        state: item.state,
        recorded,
    }
}

fn gone(machine: Machine) -> Option<InCloud> {
    let place = machine.reach.cloud()?.clone();
    Some(InCloud {
        fqdn: machine.fqdn.to_string(),
        provider: place.provider,
        region: place.region,
        id: place.id,
        run: place.run,
        addresses: machine.reach.place().parse().ok().into_iter().collect(),
        state: String::new(),
        recorded: Recorded::Gone,
    })
}
