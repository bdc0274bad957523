//! What this computer remembers of a machine that was destroyed and whose backups stay: where they are.

use std::path::PathBuf;
use std::time::SystemTime;

use cloudron_core::{Domain, Error, Result, atomic};
use serde::{Deserialize, Serialize};

use super::dirs::private_dir;
use super::{Machine, Reach};
use crate::backups::place;
use crate::codes;

/// The backups of a machine that is no more.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Kept {
    pub schema: u32,
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
    pub(crate) fn place(&self) -> String {
        place(&self.reach, &self.store)
    }
}

/// All of them, one file of mode 0600 each.
#[derive(Debug, Clone)]
pub(crate) struct KeptBackups(PathBuf);

impl KeptBackups {
    pub(crate) fn at(folder: PathBuf) -> Self {
        Self(folder)
    }

    fn path(&self, domain: &Domain) -> PathBuf {
        self.0.join(format!("{domain}.json"))
    }

    /// The backups that a machine of that name left.
    pub(crate) fn find(&self, domain: &Domain) -> Result<Option<Kept>> {
        let path = self.path(domain);
        let broken = |why: String| {
            Error::new(&codes::MACHINE_RECORD, format!("{} cannot be read: {why}", path.display()))
        };
        let bytes = match std::fs::read(&path) {
            Ok(bytes) => bytes,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(e) => return Err(Error::io(&path, e)),
        };
        let kept: Kept = serde_json::from_slice(&bytes).map_err(|e| broken(e.to_string()))?;
        match kept.schema {
            1 => Ok(Some(kept)),
            other => Err(broken(format!("it has schema {other}, this program knows 1"))),
        }
    }

    /// Remembers backups.
    pub(crate) fn put(&self, kept: &Kept) -> Result<()> {
        private_dir(&self.0)?;
        let path = self.path(&kept.fqdn);
        let text = serde_json::to_vec_pretty(kept)
            .map_err(|e| Error::new(&codes::MACHINE_RECORD, format!("{}: {e}", path.display())))?;
        atomic::write(&path, 0o600, &text)
    }

    /// Forgets the backups of a name once they are those of this machine.
    pub(crate) fn forget(&self, machine: &Machine) -> Result<()> {
        match self.find(&machine.fqdn)? {
            Some(kept) if kept.place() == machine.backups() => self.remove(&machine.fqdn),
            _ => Ok(()),
        }
    }

    /// Forgets backups.
    pub(crate) fn remove(&self, domain: &Domain) -> Result<()> {
        let path = self.path(domain);
        match std::fs::remove_file(&path) {
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => Err(Error::io(&path, e)),
            _ => Ok(()),
        }
    }
}
