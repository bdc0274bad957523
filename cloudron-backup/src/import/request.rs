//! How an old backup is imported.

use std::path::{Path, PathBuf};

use cloudron_core::{BackupId, Secret};

use super::OldBackup;

/// Where imported trees go, one folder each.
const FOLDER: &str = "/imported";

/// How an old backup is imported.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct ImportRequest {
    /// What the old backup is called, in messages and as the name of the source.
    pub name: String,
    /// Its name in the repository, which must be new there.
    pub id: BackupId,
    /// The backup key of the server that made it. None when it is not encrypted. Old servers without a key
    /// encrypted with the empty one, which is tried as well.
    pub key: Option<Secret>,
    /// The path that its tree has in the repository: absolute, by default `/imported/<name>`.
    pub target: PathBuf,
    /// The content of the file `<name>.json` that lies beside the backup of an app. It becomes
    /// `<target>.json`.
    pub config: Option<Vec<u8>>,
    /// The machine's name, in clear in the list. Empty to leave it out.
    pub host: String,
    /// The domain that the machine served, in clear in the list. Empty to leave it out.
    pub fqdn: String,
    /// As in [`BackupRequest`](crate::BackupRequest).
    pub cache_dir: Option<PathBuf>,
}

impl ImportRequest {
    /// An import under the name that follows from the old one.
    pub fn new(old: &OldBackup) -> Self {
        Self::named(&old.name, old.id.clone())
    }

    /// An import of a file whose name does not tell its time and version. The name is that of the file, without
    /// folders.
    pub fn named(name: &str, id: BackupId) -> Self {
        // What a path cannot hold, or would be read in another way.
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

    /// The same, with the key of the old backup.
    pub fn with_key(self, key: Secret) -> Self {
        Self { key: Some(key), ..self }
    }
}
