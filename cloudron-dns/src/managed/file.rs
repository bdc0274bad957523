//! Which values of a zone this computer wrote: one file of mode 0600 for each provider and zone.

use std::fs::{File, TryLockError};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use cloudron_core::{Error, Result, atomic};
use cloudron_dns::{Name, Ownership, Zone};
use serde::{Deserialize, Serialize};

use super::dirs::private_dir;
use super::record;
use crate::codes;

/// How long the lock of a zone is tried.
const PATIENCE: Duration = Duration::from_secs(1);

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

    /// Keeps others from writing the zone from here. A process that is just being started by another one may hold the
    /// lock for a moment, so it is tried for a little while.
    ///
    /// # Errors
    /// `dns-busy` when another run has the right now.
    pub(crate) fn lock(&self) -> Result<ZoneLock> {
        private_dir(self.path.parent().unwrap_or(Path::new("."))).map_err(unkept)?;
        let path = self.path.with_extension("lock");
        let file = File::options().write(true).create(true).truncate(false).mode(0o600).open(&path);
        let file = file.map_err(|e| unkept(Error::io(&path, e)))?;
        let begun = Instant::now();
        loop {
            match file.try_lock() {
                Ok(()) => return Ok(ZoneLock { _file: file }),
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

    /// What is ours; nothing when there is no file.
    pub(crate) fn read(&self) -> Result<Ownership> {
        Ok(load(&self.path)?.map_or_else(Ownership::none, |form| form.records))
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

/// What is ours of one zone, as it is copied to a machine and back.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ZoneCopy {
    pub provider: String,
    pub zone: Name,
    /// The name of the zone's file.
    file: String,
    pub records: Ownership,
}

impl Owned {
    /// What is ours of every zone that encloses a name, at any provider.
    pub(crate) fn enclosing(folder: &Path, name: &Name) -> Result<Vec<ZoneCopy>> {
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
                found.push(ZoneCopy { provider: form.provider, zone, file, records: form.records });
            }
        }
        Ok(found)
    }
}

impl ZoneCopy {
    /// Adds this to what is ours.
    ///
    /// # Errors
    /// `dns-state` when provider and file are not named as this program names them; as [`Owned::lock`].
    pub(crate) fn add(&self, folder: &Path, records: &Ownership) -> Result<()> {
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
        let owned = Owned { path, provider: self.provider.clone(), zone: self.zone.to_string() };
        let _lock = owned.lock()?;
        owned.write(&owned.read()?.union(records))
    }
}

/// What is in a folder, by name; nothing when there is none.
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
    record::load(path, |why| {
        Error::new(&codes::DNS_STATE, format!("{} cannot be read: {why}", path.display()))
            .with_hint("restore it from a copy, or remove it: changes then need --adopt once")
    })
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
