//! What this computer remembers of a machine that was destroyed and whose backups stay: where they are.

use std::path::PathBuf;
use std::time::SystemTime;

use cloudron_core::{Domain, Error, Result};
use serde::{Deserialize, Serialize};

use crate::backups::place;
use crate::registry::{Machine, Reach};
use crate::{codes, record};

/// The backups of a machine that is no more.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Kept {
    /// The version of the record: 1.
    pub schema: u32,
    /// The machine's domain.
    pub fqdn: Domain,
    /// How the computer with the backups is reached.
    pub reach: Reach,
    /// Where the machine kept its backups, as the machine saw it.
    pub store: String,
    /// When the machine was destroyed or forgotten.
    pub since: SystemTime,
    /// Whether the machine was forgotten without being reached: its server may still run.
    #[serde(default)]
    pub forgotten: bool,
}

impl Kept {
    /// Where the backups are, for people.
    pub fn place(&self) -> String {
        place(&self.reach, &self.store)
    }
}

/// All of them, one file of mode 0600 each.
#[derive(Debug, Clone)]
pub struct KeptBackups(PathBuf);

impl KeptBackups {
    /// Those in that folder.
    pub fn at(folder: PathBuf) -> Self {
        Self(folder)
    }

    fn path(&self, domain: &Domain) -> PathBuf {
        self.0.join(format!("{domain}.json"))
    }

    /// The backups that a machine of that name left.
    pub fn find(&self, domain: &Domain) -> Result<Option<Kept>> {
        let path = self.path(domain);
        record::load(&path, |why| {
            Error::new(&codes::MACHINE_RECORD, format!("{} cannot be read: {why}", path.display()))
        })
    }

    /// Remembers backups.
    pub fn put(&self, kept: &Kept) -> Result<()> {
        record::store(&self.path(&kept.fqdn), kept)
    }

    /// Forgets the backups of a name once they are those of this machine.
    pub fn forget(&self, machine: &Machine) -> Result<()> {
        match self.find(&machine.fqdn)? {
            Some(kept) if kept.place() == machine.backups() => self.remove(&machine.fqdn),
            _ => Ok(()),
        }
    }

    /// Forgets backups.
    pub fn remove(&self, domain: &Domain) -> Result<()> {
        record::remove(&self.path(domain))
    }
}
