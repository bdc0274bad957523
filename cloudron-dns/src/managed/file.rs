//! The ownership of a zone's records, in a file of mode 0600: one for each provider and zone.

use std::fs::{File, TryLockError};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use cloudron_core::{Error, Result, atomic};
use serde::{Deserialize, Serialize};

use super::{OwnershipLock, OwnershipStore};
use crate::{Name, Ownership, Zone, codes};

/// How long the lock of a zone is tried.
const PATIENCE: Duration = Duration::from_secs(1);

/// The file of one zone at one provider.
#[derive(Debug)]
pub struct OwnershipFile {
    path: PathBuf,
    provider: String,
    zone: String,
}

#[derive(Serialize, Deserialize)]
struct Form {
    schema: u32,
    provider: String,
    zone: String,
    records: Ownership,
}

impl OwnershipFile {
    /// The file for a zone in a folder. Zones of one name and several ids are told apart.
    pub fn at(folder: &Path, provider: &str, zone: &Zone) -> Self {
        let apex = zone.apex.to_string();
        let mut name = file_name(zone.apex.without_dot());
        if zone.id != zone.apex.without_dot() && zone.id != apex {
            name += &format!("+{}", file_name(&zone.id));
        }
        Self { path: folder.join(provider).join(name + ".json"), provider: provider.to_owned(), zone: apex }
    }
}

impl OwnershipStore for OwnershipFile {
    /// A process that is just being started by another one may hold the
    /// lock for a moment, so it is tried for a little while.
    fn lock(&self) -> Result<OwnershipLock> {
        private_dir(self.path.parent().unwrap_or(Path::new("."))).map_err(unkept)?;
        let path = self.path.with_extension("lock");
        let file = File::options().write(true).create(true).truncate(false).mode(0o600).open(&path);
        let file = file.map_err(|e| unkept(Error::io(&path, e)))?;
        let begun = Instant::now();
        loop {
            match file.try_lock() {
                Ok(()) => return Ok(OwnershipLock::held_by(file)),
                Err(TryLockError::WouldBlock) if begun.elapsed() < PATIENCE => {
                    std::thread::sleep(PATIENCE / 20);
                }
                Err(TryLockError::WouldBlock) => {
                    let message =
                        format!("another run is writing the zone {} at {} now", self.zone, self.provider);
                    return Err(Error::new(&codes::DNS_BUSY, message)
                        .with_hint("wait until it is done, and run this again"));
                }
                Err(TryLockError::Error(e)) => return Err(Error::io(&path, e)),
            }
        }
    }

    fn read(&self) -> Result<Ownership> {
        Ok(load(&self.path)?.map_or_else(Ownership::none, |form| form.records))
    }

    fn write(&self, ownership: &Ownership) -> Result<()> {
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

/// The ownership of one zone's records, as it is copied to a machine and back.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ZoneOwnership {
    /// The name of the DNS host.
    pub provider: String,
    /// The zone.
    pub zone: Name,
    /// The name of the zone's file.
    file: String,
    /// The records that are ours.
    pub records: Ownership,
}

impl OwnershipFile {
    /// Reads the ownership of every zone that encloses a name, at any provider.
    ///
    /// # Errors
    /// `dns-state`, and those of reading files.
    pub fn enclosing(folder: &Path, name: &Name) -> Result<Vec<ZoneOwnership>> {
        let mut found = Vec::new();
        for path in
            entries(folder)?.iter().map(|provider| entries(provider)).collect::<Result<Vec<_>>>()?.concat()
        {
            let file = path.file_name().and_then(|name| name.to_str()).unwrap_or_default().to_owned();
            if !file.ends_with(".json") {
                continue;
            }
            let Some(form) = load(&path)? else { continue };
            if let Ok(zone) = Name::parse(&form.zone)
                && name.is_in(&zone)
            {
                found.push(ZoneOwnership { provider: form.provider, zone, file, records: form.records });
            }
        }
        Ok(found)
    }
}

impl ZoneOwnership {
    /// Adds this to what is ours.
    ///
    /// # Errors
    /// `dns-state` when provider and file are not named as this program names them; as [`OwnershipStore::lock`].
    pub fn add(&self, folder: &Path, records: &Ownership) -> Result<()> {
        let plain = |text: &str, more: &str| {
            !text.is_empty()
                && !text.starts_with('.')
                && text.chars().all(|c| c.is_ascii_alphanumeric() || more.contains(c))
        };
        let mine = file_name(self.zone.without_dot());
        let of_zone = self.file.strip_suffix(".json").and_then(|name| name.strip_prefix(&*mine));
        let named = of_zone.is_some_and(|id| id.is_empty() || id.starts_with('+'));
        if !named || !plain(&self.file, "-_.%+") || !plain(&self.provider, "-") {
            let text = format!("{:?} at {:?} is not the name of a zone's file", self.file, self.provider);
            return Err(Error::new(&codes::DNS_STATE, text));
        }
        let path = folder.join(&self.provider).join(&self.file);
        let owned = OwnershipFile { path, provider: self.provider.clone(), zone: self.zone.to_string() };
        let _lock = owned.lock()?;
        owned.write(&owned.read()?.union(records))
    }
}

/// Makes a folder and those above it that only this user may enter.
fn private_dir(path: &Path) -> Result<()> {
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(|e| Error::io(path, e))
}

/// Returns the paths in a folder, sorted by name; nothing if there is no such folder.
fn entries(folder: &Path) -> Result<Vec<PathBuf>> {
    let entries = match std::fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(e) if matches!(e.kind(), std::io::ErrorKind::NotFound | std::io::ErrorKind::NotADirectory) => {
            return Ok(Vec::new());
        }
        Err(e) => return Err(Error::io(folder, e)),
    };
    let mut paths: Vec<PathBuf> = entries.filter_map(|e| Some(e.ok()?.path())).collect();
    paths.sort();
    Ok(paths)
}

/// Reads a zone's file, if there is one.
fn load(path: &Path) -> Result<Option<Form>> {
    let bytes = match std::fs::read(path) {
        Ok(bytes) => bytes,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(Error::io(path, e)),
    };
    let broken =
        |why: String| Error::new(&codes::DNS_STATE, format!("{} cannot be read: {why}", path.display()));
    let form: Form = serde_json::from_slice(&bytes).map_err(|e| broken(e.to_string()))?;
    match form.schema {
        1 => Ok(Some(form)),
        other => Err(broken(format!("it has schema {other}, this program knows 1"))),
    }
}

/// The operation of an error that kept the file from being written: nothing was sent to the DNS host yet.
pub const KEEPING_OWNERSHIP: &str = "noting which records this computer writes";

fn unkept(error: Error) -> Error {
    error.while_doing(KEEPING_OWNERSHIP)
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

    use crate::{RecordSet, RecordType, Ttl};

    use super::*;

    fn zone(id: &str) -> Zone {
        Zone::new(id, "0/25.2.0.192.in-addr.arpa".parse().unwrap())
    }

    #[test]
    fn what_is_ours_is_private_and_reads_back() {
        let dir = tempfile::tempdir().unwrap();
        let owned = OwnershipFile::at(dir.path(), "route53", &zone("/hostedzone/Z1"));
        assert_eq!(owned.read().unwrap(), Ownership::none());
        let name = "1.0/25.2.0.192.in-addr.arpa".parse().unwrap();
        let set = RecordSet::parse(name, Ttl::DEFAULT, RecordType::PTR, ["my.example.com"]).unwrap();
        let ours = Ownership::from(vec![set]);
        owned.write(&ours).unwrap();
        assert_eq!(owned.read().unwrap(), ours);
        assert_eq!(std::fs::metadata(&owned.path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(owned.path.parent().unwrap(), dir.path().join("route53"));
        assert_eq!(OwnershipFile::at(dir.path(), "route53", &zone("Z2")).read().unwrap(), Ownership::none());
        std::fs::write(&owned.path, "{").unwrap();
        assert!(owned.read().unwrap_err().is(&codes::DNS_STATE));
    }

    #[test]
    fn one_run_at_a_time_writes_a_zone() {
        let dir = tempfile::tempdir().unwrap();
        let owned = OwnershipFile::at(dir.path(), "route53", &zone("Z1"));
        let lock = owned.lock().unwrap();
        assert!(owned.lock().unwrap_err().is(&codes::DNS_BUSY));
        drop(lock);
        owned.lock().unwrap();
    }
}
