//! Records of the backups of destroyed machines on this computer.

use std::path::PathBuf;
use std::time::SystemTime;

use cloudron_core::{Domain, Error, Result};
use serde::{Deserialize, Serialize};

use crate::backups::place;
use crate::clouds::Provider;
use crate::registry::{Machine, Reach};
use crate::{codes, record};

/// The backups of a destroyed machine.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Kept {
    /// The version of the record: 1.
    pub schema: u32,
    /// The machine's domain.
    pub fqdn: Domain,
    /// How to reach the computer with the backups.
    pub reach: Reach,
    /// The store's address as seen from the machine.
    pub store: String,
    /// Time when the machine was destroyed or forgotten.
    pub since: SystemTime,
    /// True if the machine was forgotten without being reached. Its server may still run.
    #[serde(default)]
    pub forgotten: bool,
}

impl Kept {
    /// Returns the cloud that had the machine.
    pub fn cloud(&self) -> Option<Provider> {
        self.reach.cloud().and_then(|place| Provider::find(&place.provider).ok())
    }

    /// Returns the location of the backups, for display.
    pub fn place(&self) -> String {
        place(&self.reach, &self.store)
    }
}

/// All records of kept backups, one file of mode 0600 each.
#[derive(Debug, Clone)]
pub struct KeptBackups(PathBuf);

impl KeptBackups {
    /// Returns the records in this folder.
    pub fn at(folder: PathBuf) -> Self {
        Self(folder)
    }

    fn path(&self, domain: &Domain) -> PathBuf {
        self.0.join(format!("{domain}.json"))
    }

    /// Returns the backups of a destroyed machine with this name.
    pub fn find(&self, domain: &Domain) -> Result<Option<Kept>> {
        let path = self.path(domain);
        record::load(&path, |why| {
            Error::new(&codes::MACHINE_RECORD, format!("{} cannot be read: {why}", path.display()))
        })
    }

    /// Writes the record of kept backups.
    pub fn put(&self, kept: &Kept) -> Result<()> {
        record::store(&self.path(&kept.fqdn), kept)
    }

    /// Removes the record of a name if its backups now belong to this machine.
    pub fn forget(&self, machine: &Machine) -> Result<()> {
        match self.find(&machine.fqdn)? {
            Some(kept) if kept.place() == machine.backups() => self.remove(&machine.fqdn),
            _ => Ok(()),
        }
    }

    /// Removes the record of kept backups.
    pub fn remove(&self, domain: &Domain) -> Result<()> {
        record::remove(&self.path(domain))
    }
}
