//! DNS records of a machine: written, checked, and removed with it.

mod check;
mod exact;
mod removal;
mod steps;

pub use check::{Records, both_families, lookup, zone_of};
pub(crate) use removal::keys;
pub use removal::{Outcome, Removal};
pub(crate) use steps::{AwaitRecords, CheckRecords, PROPAGATION, PutRecords, Target, WriteRecords};

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use cloudron_core::{Domain, Result};
use cloudron_dns::managed::{ManagedZone, OwnershipFile};
use cloudron_dns::{DnsProvider, Name, ZoneChoice, codes};

/// A DNS host, and the choice of the zone for a machine's records.
#[derive(Clone)]
pub struct DnsHost {
    /// Its short name, also the name of the folder with its ownership files.
    pub id: String,
    /// The client for the host's API.
    pub provider: Arc<dyn DnsProvider>,
    /// The zone. By default, the closest zone that contains the domain.
    pub zone: ZoneChoice,
}

impl fmt::Debug for DnsHost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DnsHost").field("id", &self.id).field("zone", &self.zone).finish_non_exhaustive()
    }
}

impl DnsHost {
    /// Returns the host with this short name, using the closest zone that contains the domain.
    pub fn new(id: impl Into<String>, provider: Arc<dyn DnsProvider>) -> Self {
        Self { id: id.into(), provider, zone: ZoneChoice::default() }
    }

    /// Returns whether the account at the host has a zone for the domain.
    ///
    /// # Errors
    /// Errors of the host.
    pub async fn has_zone(&self, domain: &Domain) -> Result<bool> {
        match self.zone.find(&*self.provider, &Name::from(domain)).await {
            Ok(_) => Ok(true),
            Err(e) if e.is(&codes::ZONE_NOT_FOUND) => Ok(false),
            Err(e) => Err(e),
        }
    }

    /// Returns the zone of a domain, with its ownership file in `folder`.
    pub(crate) async fn managed(&self, domain: &Domain, folder: &Path) -> Result<ManagedZone> {
        let zone = self.zone.find(&*self.provider, &Name::from(domain)).await?;
        let owned = OwnershipFile::at(folder, &self.id, &zone);
        Ok(ManagedZone::new(self.provider.clone(), zone, owned))
    }
}
