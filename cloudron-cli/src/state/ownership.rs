//! Which values of a zone this computer wrote: one file of mode 0600 for each provider and zone.

use std::fs::{File, TryLockError};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use cloudron_core::{Error, Result, atomic};
use cloudron_dns::{Ownership, Zone};
use serde::{Deserialize, Serialize};

use super::dirs::private_dir;
use crate::codes;

/// The file of one zone at one provider.
#[derive(Debug)]
pub(crate) struct Owned {
    path: PathBuf,
    provider: String,
    zone: String,
}

/// The right to write a zone, until it is dropped or the process ends.
#[derive(Debug)]
pub(crate) struct ZoneLock {
    _file: File,
}

#[derive(Serialize, Deserialize)]
struct Form {
    schema: u32,
    provider: String,
    zone: String,
    records: Ownership,
}

impl Owned {
    /// The file for a zone in a folder. Zones of one name and several ids are told apart.
    pub(crate) fn at(folder: &Path, provider: &str, zone: &Zone) -> Self {
        let apex = zone.apex.to_string();
        let mut name = file_name(zone.apex.without_dot());
        if zone.id != zone.apex.without_dot() && zone.id != apex {
            name += &format!("+{}", file_name(&zone.id));
        }
        Self { path: folder.join(provider).join(name + ".json"), provider: provider.to_owned(), zone: apex }
    }

    /// Keeps others from writing the zone from here.
    ///
    /// # Errors
    /// `dns-busy` when another run has the right now.
    pub(crate) fn lock(&self) -> Result<ZoneLock> {
        private_dir(self.path.parent().unwrap_or(Path::new("."))).map_err(unkept)?;
        let path = self.path.with_extension("lock");
        let file = File::options().write(true).create(true).truncate(false).mode(0o600).open(&path);
        let file = file.map_err(|e| unkept(Error::io(&path, e)))?;
        match file.try_lock() {
            Ok(()) => Ok(ZoneLock { _file: file }),
            Err(TryLockError::WouldBlock) => {
                let message =
                    format!("another run is writing the zone {} at {} now", self.zone, self.provider);
                Err(Error::new(&codes::DNS_BUSY, message)
                    .with_hint("wait until it is done, and run this again"))
            }
            Err(TryLockError::Error(e)) => Err(Error::io(&path, e)),
        }
    }

    /// What is ours; nothing when there is no file.
    pub(crate) fn read(&self) -> Result<Ownership> {
        let broken = |why: String| {
            Error::new(&codes::DNS_STATE, format!("{} cannot be read: {why}", self.path.display()))
                .with_hint("restore it from a copy, or remove it: changes then need --adopt once")
        };
        let bytes = match std::fs::read(&self.path) {
            Ok(bytes) => bytes,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(Ownership::none()),
            Err(e) => return Err(Error::io(&self.path, e)),
        };
        let form: Form = serde_json::from_slice(&bytes).map_err(|e| broken(e.to_string()))?;
        match form.schema {
            1 => Ok(form.records),
            other => Err(broken(format!("it has schema {other}, this program knows 1"))),
        }
    }

    /// Keeps what is ours.
    pub(crate) fn write(&self, ownership: &Ownership) -> Result<()> {
        private_dir(self.path.parent().unwrap_or(Path::new(".")))?;
        let form = Form {
            schema: 1,
            provider: self.provider.clone(),
            zone: self.zone.clone(),
            records: ownership.clone(),
        };
        let text = serde_json::to_vec_pretty(&form)
            .map_err(|e| Error::new(&cloudron_core::codes::FAILED, format!("ownership is not JSON: {e}")))?;
        atomic::write(&self.path, 0o600, &text)
    }
}

/// What is said when the folder cannot be written; nothing was sent to the DNS host yet.
fn unkept(error: Error) -> Error {
    error
        .while_doing("noting which records this computer writes")
        .with_hint("make that folder writable, or name another one in XDG_STATE_HOME; no record was changed")
}

/// A text as part of a file name: what is neither letter, digit, hyphen, underscore nor dot is written as `%XX`.
fn file_name(text: &str) -> String {
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.');
    let name = text.bytes().map(|b| if plain(b) { char::from(b).to_string() } else { format!("%{b:02X}") });
    let name: String = name.collect();
    if name.trim_start_matches('.').is_empty() { "%root".into() } else { name }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use cloudron_dns::{RecordSet, RecordType, Ttl};

    use super::*;

    fn zone(id: &str) -> Zone {
        Zone::new(id, "0/25.2.0.192.in-addr.arpa".parse().unwrap())
    }

    #[test]
    fn what_is_ours_is_private_and_reads_back() {
        let dir = tempfile::tempdir().unwrap();
        let owned = Owned::at(dir.path(), "route53", &zone("/hostedzone/Z1"));
        assert_eq!(owned.read().unwrap(), Ownership::none());
        let name = "1.0/25.2.0.192.in-addr.arpa".parse().unwrap();
        let set = RecordSet::parse(name, Ttl::DEFAULT, RecordType::PTR, ["my.example.com"]).unwrap();
        let ours = Ownership::from(vec![set]);
        owned.write(&ours).unwrap();
        assert_eq!(owned.read().unwrap(), ours);
        assert_eq!(std::fs::metadata(&owned.path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(owned.path.parent().unwrap(), dir.path().join("route53"));
        assert_eq!(Owned::at(dir.path(), "route53", &zone("Z2")).read().unwrap(), Ownership::none());
        std::fs::write(&owned.path, "{").unwrap();
        assert!(owned.read().unwrap_err().is(&codes::DNS_STATE));
    }

    #[test]
    fn one_run_at_a_time_writes_a_zone() {
        let dir = tempfile::tempdir().unwrap();
        let owned = Owned::at(dir.path(), "route53", &zone("Z1"));
        let lock = owned.lock().unwrap();
        assert!(owned.lock().unwrap_err().is(&codes::DNS_BUSY));
        drop(lock);
        owned.lock().unwrap();
    }
}
