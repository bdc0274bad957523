//! The regions and sizes that a cloud offers.

use cloudron_core::table::Table;
use serde::Serialize;

use super::Cost;

/// A region or location.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Region {
    /// Its name in settings: `fsn1`, `eu-central-1`.
    pub name: String,
    /// Where it is, in the words of the cloud; empty if it does not say.
    pub place: String,
    /// True if machines can be made there now, as far as the cloud says.
    pub available: bool,
}

impl Region {
    /// Returns a table of regions.
    pub fn table(regions: &[Self]) -> Table {
        let mut table = Table::new(["Region", "Place", "Available"]);
        for Self { name, place, available } in regions {
            table.row([name.clone(), place.clone(), yes(*available)]);
        }
        table
    }
}

/// A size of machines.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Size {
    /// Its name in settings: `cx23`, `t3.small`, `s-1vcpu-2gb`.
    pub name: String,
    /// The architecture: `x86_64`, `aarch64`.
    pub architecture: String,
    /// The number of virtual processors.
    pub processors: u32,
    /// The memory in MiB.
    pub memory: u64,
    /// The disk that comes with it, in GB (10^9 bytes); none if it is chosen apart.
    pub disk: Option<u64>,
    /// The cost per month.
    pub cost: Cost,
    /// True if one can be made now, as far as the cloud says.
    pub available: bool,
}

impl Size {
    /// Returns a table of sizes, with the cost of each per month.
    pub fn table(sizes: &[Self]) -> Table {
        let head = ["Size", "Architecture", "Processors", "Memory", "Disk", "Cost a month", "Available"];
        let mut table = Table::new(head);
        for Self { name, architecture, processors, memory, disk, cost, available } in sizes {
            table.row([
                name.clone(),
                architecture.clone(),
                processors.to_string(),
                format!("{:.1} GiB", *memory as f64 / 1024.0),
                disk.map_or_else(|| "as chosen".into(), |disk| format!("{disk} GB")),
                cost.to_string(),
                yes(*available),
            ]);
        }
        table
    }

    /// Sorts sizes by cost; those of unknown cost come last.
    pub fn sort(sizes: &mut [Self]) {
        sizes.sort_by_cached_key(|size| {
            let cost = match &size.cost {
                Cost::Free => 0,
                Cost::Monthly(amount) => amount.micros,
                Cost::Unknown => u64::MAX,
            };
            (cost, size.name.clone())
        });
    }
}

fn yes(is_so: bool) -> String {
    if is_so { "yes" } else { "no" }.into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cloud::Amount;

    #[test]
    fn a_size_is_shown_with_its_price_or_that_there_is_none() {
        let size = |name: &str, disk, cost| Size {
            name: name.into(),
            architecture: "x86_64".into(),
            processors: 2,
            memory: 4096,
            disk,
            cost,
            available: disk.is_some(),
        };
        let cheap = size("cx23", Some(40), Cost::Monthly(Amount::parse("3.49", "EUR").unwrap()));
        assert_eq!(
            Size::table(&[cheap, size("t3.small", None, Cost::Unknown)]).render(),
            "Size      Architecture  Processors  Memory   Disk       Cost a month  Available\n\
             cx23      x86_64        2           4.0 GiB  40 GB      3.49 EUR      yes\n\
             t3.small  x86_64        2           4.0 GiB  as chosen  unknown       no\n"
        );
        let region = Region { name: "fsn1".into(), place: "Falkenstein, DE".into(), available: true };
        let shown = Region::table(&[region]).render();
        assert_eq!(shown, "Region  Place            Available\nfsn1    Falkenstein, DE  yes\n");
    }
}
