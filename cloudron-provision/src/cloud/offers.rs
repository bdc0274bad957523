//! The regions and sizes that a cloud offers.

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
