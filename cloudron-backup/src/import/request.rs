//! Import requests.

use std::path::{Path, PathBuf};

use cloudron_core::{BackupId, Secret};

use super::OldBackup;

/// The folder of imported trees, with one folder each.
const FOLDER: &str = "/imported";

/// The options of an import.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct ImportRequest {
    /// The name of the old backup, in messages and as the name of the source.
    pub name: String,
    /// The name in the repository, which must be new there.
    pub id: BackupId,
    /// The backup key of the server that made it. `None` if it is not encrypted. Old servers without a key
    /// encrypted with the empty one, which is tried as well.
    pub key: Option<Secret>,
    /// The path of its tree in the repository: absolute, by default `/imported/<name>`.
    pub target: PathBuf,
    /// The content of the file `<name>.json` beside the backup of an app. It becomes `<target>.json`.
    pub config: Option<Vec<u8>>,
    /// The machine's name, in clear text in the list. May be empty.
    pub host: String,
    /// The domain that the machine served, in clear text in the list. May be empty.
    pub fqdn: String,
    /// As in [`BackupRequest`](crate::BackupRequest).
    pub cache_dir: Option<PathBuf>,
}

impl ImportRequest {
    /// Creates an import with the name derived from the old one.
    pub fn new(old: &OldBackup) -> Self {
        Self::named(&old.name, old.id.clone())
    }

    /// Creates an import of a file whose name does not contain its time and version. The name is that of the
    /// file, without folders.
    pub fn named(name: &str, id: BackupId) -> Self {
        // Replaces characters that a path cannot contain, or that have another meaning in one.
        let plain: String = name.chars().map(|c| if c == '/' || c.is_control() { '_' } else { c }).collect();
        let plain = if matches!(plain.as_str(), "" | "." | "..") { "backup".to_owned() } else { plain };
        Self {
            target: Path::new(FOLDER).join(&plain),
            name: plain,
            id,
            key: None,
            config: None,
            host: String::new(),
            fqdn: String::new(),
            cache_dir: None,
        }
    }

    /// Sets the key of the old backup.
    pub fn with_key(self, key: Secret) -> Self {
        Self { key: Some(key), ..self }
    }
}
