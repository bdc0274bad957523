//! The DNS records of a machine: written, looked at, and removed with it.

mod check;
mod removal;
mod steps;

pub use check::{Records, both_families, lookup, zone_of};
pub(crate) use removal::keys;
pub use removal::{Outcome, Removal};
pub(crate) use steps::{CheckRecords, PROPAGATION, WriteRecords};

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use cloudron_core::{Domain, Result};
use cloudron_dns::managed::{ManagedZone, OwnershipFile};
use cloudron_dns::{DnsProvider, Name, ZoneChoice};

/// A DNS host, and which zone there a machine's records go into.
#[derive(Clone)]
pub struct DnsHost {
    /// Its short name, which names the folder of what is ours there.
    pub id: String,
    /// How it is spoken to.
    pub provider: Arc<dyn DnsProvider>,
    /// Which zone. Without a choice, the closest that encloses the domain.
    pub zone: ZoneChoice,
}

impl fmt::Debug for DnsHost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DnsHost").field("id", &self.id).field("zone", &self.zone).finish_non_exhaustive()
    }
}

impl DnsHost {
    /// The host of that short name, with the closest zone that encloses the domain.
    pub fn new(id: impl Into<String>, provider: Arc<dyn DnsProvider>) -> Self {
        Self { id: id.into(), provider, zone: ZoneChoice::default() }
    }

    /// The zone of a domain, with what is ours of it in that folder.
    pub(crate) async fn managed(&self, domain: &Domain, folder: &Path) -> Result<ManagedZone> {
        let zone = self.zone.find(&*self.provider, &Name::from(domain)).await?;
        let owned = OwnershipFile::at(folder, &self.id, &zone);
        Ok(ManagedZone::new(self.provider.clone(), zone, owned))
    }
}
