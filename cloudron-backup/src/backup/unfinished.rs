//! Local notes of manifests whose summary may not be stored, so that the next run removes the manifest of a
//! run that died.

use std::path::{Path, PathBuf};

use cloudron_core::{BackupId, Result};
use rustix::fs::{CWD, RenameFlags, renameat_with};

use crate::files::temporary;
use crate::format::trust::Trust;
use crate::keys::Signer;
use crate::layout;
use crate::snapshot::slot;
use crate::store::blocking::Blocking;

const PREFIX: &str = "pending-";

/// A note that a manifest is being stored. Its run is alive as long as the note's file is open.
pub(super) struct Pending {
    note: PathBuf,
    _open: std::fs::File,
}

impl Pending {
    /// Writes a note. Without one, an orphaned manifest stays until a prune.
    pub(super) fn note(dir: &Path, id: &BackupId, manifest: &str) -> Option<Self> {
        // Renamed after it is locked: under its name it is always locked while its run lives.
        let (temporary, file) = temporary::create(dir).ok()?;
        let note = dir.join(format!("{PREFIX}{}-{manifest}-{id}", temporary::mark()));
        match renameat_with(CWD, &temporary, CWD, &note, RenameFlags::NOREPLACE) {
            Ok(()) => Some(Self { note, _open: file }),
            Err(_) => {
                let _ = std::fs::remove_file(&temporary);
                None
            }
        }
    }

    /// Removes the note: the summary is stored, or the manifest belongs to another backup.
    pub(super) fn take_back(self) {
        let _ = std::fs::remove_file(&self.note);
    }
}

/// Removes the manifests of runs that died before their summary was stored. A tombstone takes the summary's place
/// first, because the last request of such a run may still be in progress. If the store refuses, the manifest
/// stays until a prune.
pub(super) fn settle(store: &Blocking, dir: &Path, trust: &Trust, signer: &Signer) -> Result<()> {
    let own = format!("{PREFIX}{}-", temporary::mark());
    for entry in std::fs::read_dir(dir).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let named = name.to_str().and_then(|n| n.strip_prefix(&own)).and_then(|n| n.split_once('-'));
        let named = named.and_then(|(hash, id)| Some((hash, id.parse::<BackupId>().ok()?)));
        let Some((hash, id)) = named.filter(|_| temporary::is_abandoned(&entry.path())) else { continue };
        let manifest = layout::manifest(hash);
        if let (Ok(Some(_)), Some(writer)) = (store.head(&manifest), signer.writer())
            && slot::fence(store, trust, &id, writer, signer)? == slot::Fate::Dead
        {
            let _ = store.delete(&manifest);
        }
        let _ = std::fs::remove_file(entry.path());
    }
    Ok(())
}
