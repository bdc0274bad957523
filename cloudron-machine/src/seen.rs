//! The last answer of each machine, shown when the machine does not answer any more.

use cloudron_core::{Domain, Result, atomic};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::registry::Machines;
use crate::state_dir::private_dir;

/// A machine's last answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Seen {
    /// Time of the answer.
    pub time: Timestamp,
    /// Version of its server.
    pub version: String,
    /// True if all its checks passed.
    pub healthy: bool,
    /// Time of its latest backup.
    pub last_backup: Option<Timestamp>,
}

impl Machines {
    /// Stores a machine's answer. It is used for display only.
    pub fn put_seen(&self, domain: &Domain, seen: &Seen) -> Result<()> {
        let text = serde_json::to_vec(seen).unwrap_or_default();
        private_dir(self.folder())?;
        atomic::write(&self.seen_file(domain), 0o600, &text)
    }

    /// Returns a machine's last answer, or `None` if there is none or the file cannot be read.
    pub fn seen(&self, domain: &Domain) -> Option<Seen> {
        serde_json::from_slice(&std::fs::read(self.seen_file(domain)).ok()?).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_machine_said_is_remembered_until_it_is_forgotten() {
        let dir = tempfile::tempdir().unwrap();
        let (machines, domain) = (Machines::at(dir.path().join("m")), Domain::parse("example.com").unwrap());
        assert_eq!(machines.seen(&domain), None);
        let seen =
            Seen { time: Timestamp::UNIX_EPOCH, version: "1".into(), healthy: true, last_backup: None };
        machines.put_seen(&domain, &seen).unwrap();
        assert_eq!(machines.seen(&domain), Some(seen));
        assert_eq!(machines.all().unwrap().0.len(), 0, "it is no record of a machine");
        machines.remove(&domain).unwrap();
        assert_eq!(machines.seen(&domain), None);
    }
}
