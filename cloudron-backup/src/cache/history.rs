//! A local record of the backups seen, which detects that a store shows an older list than before.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use cloudron_core::{Error, Result, atomic};
use serde::{Deserialize, Serialize};

use crate::codes;
use crate::files::private_folder;
use crate::format::forgotten::Forgotten;
use crate::format::summary::Summary;
use crate::keys::WriterId;
use crate::layout::{self, summary_name};
use crate::store::blocking::Blocking;

const NAME: &str = "seen.json";

/// The record of a backup: its number, the hash of its manifest, and its writer.
type Known = (u64, String, Option<WriterId>);

#[derive(Debug, Default, Serialize, Deserialize)]
struct Content {
    repository: String,
    backups: BTreeMap<String, Known>,
}

/// The backups seen.
#[derive(Debug, Default)]
pub(crate) struct SnapshotHistory {
    file: Option<PathBuf>,
    content: Content,
}

impl SnapshotHistory {
    /// Loads the record of a repository at one store. It is empty without a folder.
    pub(crate) fn load(dir: Option<&Path>, repository: &str, url: &str) -> Self {
        let file = dir.map(|dir| of_store(dir, url).join(NAME));
        let read = file.as_ref().and_then(|f| std::fs::read(f).ok());
        let content = read.and_then(|text| serde_json::from_slice::<Content>(&text).ok());
        let content = content
            .filter(|c| c.repository == repository)
            .unwrap_or_else(|| Content { repository: repository.to_owned(), backups: BTreeMap::new() });
        Self { file, content }
    }

    pub(crate) fn sequence(&self, name: &str) -> Option<u64> {
        self.content.backups.get(name).map(|known| known.0)
    }

    /// Returns the numbers of a writer's backups.
    pub(crate) fn numbers(&self, writer: WriterId) -> impl Iterator<Item = u64> {
        self.content.backups.values().filter(move |known| known.2 == Some(writer)).map(|known| known.0)
    }

    /// Checks whether a backup differs from the one seen under its name.
    pub(crate) fn differs(&self, summary: &Summary) -> bool {
        let known = self.content.backups.get(summary.id.as_str());
        known.is_some_and(|known| *known != of(summary))
    }

    pub(crate) fn add(&mut self, summary: &Summary) {
        self.content.backups.entry(summary.id.to_string()).or_insert_with(|| of(summary));
    }

    /// Returns the backups seen that are not in the list of keys and were not removed by the owner. Those
    /// that were are dropped from the record.
    pub(crate) fn missing<'k>(
        &mut self,
        store: &Blocking,
        listed: impl Iterator<Item = &'k str>,
        forgotten: &Forgotten,
    ) -> Result<Vec<String>> {
        let listed: std::collections::BTreeSet<&str> = listed.filter_map(summary_name).collect();
        let mut missing = Vec::new();
        for name in self.gone(|name| listed.contains(name), forgotten) {
            // The listing may be outdated.
            if store.head(&format!("{}{name}.json", layout::SNAPSHOTS))?.is_none() {
                missing.push(name);
            }
        }
        Ok(missing)
    }

    /// Returns the backups seen that no longer exist and were not removed by the owner. Those that were are
    /// dropped from the record.
    pub(crate) fn gone(&mut self, is_there: impl Fn(&str) -> bool, forgotten: &Forgotten) -> Vec<String> {
        self.content.backups.retain(|_, known| !forgotten.of(known.2).contains(known.0));
        self.content.backups.keys().filter(|name| !is_there(name)).cloned().collect()
    }

    /// Saves the record durably. A failure costs only the record.
    pub(crate) fn save(&self) {
        if let Some(file) = &self.file
            && let Err(e) = self.write(file)
        {
            tracing::debug!("{} is not written: {e}", file.display());
        }
    }

    fn write(&self, file: &Path) -> Result<()> {
        let text = serde_json::to_vec(&self.content).map_err(|e| Error::io(file, e.into()))?;
        private_folder(file.parent().unwrap_or(Path::new("/")))?;
        atomic::write(file, 0o600, &text)
    }
}

fn of(summary: &Summary) -> Known {
    (summary.sequence, summary.manifest.sha256.clone(), summary.writer)
}

/// Returns the folder for the record of one store, below that of the repository: a copy elsewhere may rightly
/// be older.
pub(crate) fn of_store(dir: &Path, url: &str) -> PathBuf {
    dir.join(&layout::object_id(url.as_bytes())[..16])
}

/// Returns the message about missing backups.
pub(crate) fn rolled_back(missing: &[String]) -> String {
    format!(
        "{}: {} backups that were in the repository are gone, and its owner did not remove them: {}",
        codes::REPOSITORY_ROLLED_BACK.name,
        missing.len(),
        missing.join(", ")
    )
}
