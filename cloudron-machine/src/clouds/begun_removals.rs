//! Removals without a machine record that were begun: what only the machine knew, and is needed when it does not exist any
//! more. Its addresses find its DNS records, and its bucket has its backups.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::path::PathBuf;

use cloudron_core::{Domain, Error, Result};
use serde::{Deserialize, Serialize};

use crate::kept::Kept;
use crate::manager::Manager;
use crate::{codes, record};

/// A removal that was begun.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct BegunRemoval {
    schema: u32,
    /// The addresses of the machine.
    pub(crate) addresses: BTreeSet<IpAddr>,
    /// Its backups, if they are in a bucket.
    #[serde(default)]
    pub(crate) kept: Option<Kept>,
}

/// All of them, one file each.
pub(crate) struct BegunRemovals(PathBuf);

impl Manager {
    pub(crate) fn begun_removals(&self) -> BegunRemovals {
        BegunRemovals(self.state().removals())
    }
}

impl BegunRemovals {
    fn path(&self, domain: &Domain) -> PathBuf {
        self.0.join(format!("{domain}.json"))
    }

    pub(crate) fn find(&self, domain: &Domain) -> Result<Option<BegunRemoval>> {
        let path = self.path(domain);
        record::load(&path, |why| {
            Error::new(&codes::MACHINE_RECORD, format!("{} cannot be read: {why}", path.display()))
        })
    }

    pub(crate) fn put(
        &self,
        domain: &Domain,
        addresses: &BTreeSet<IpAddr>,
        kept: Option<&Kept>,
    ) -> Result<()> {
        let begun = BegunRemoval { schema: 1, addresses: addresses.clone(), kept: kept.cloned() };
        record::store(&self.path(domain), &begun)
    }

    pub(crate) fn remove(&self, domain: &Domain) -> Result<()> {
        record::remove(&self.path(domain))
    }
}
