//! Reading what a repository holds without restoring it.

pub(crate) mod diff;
pub(crate) mod entries;
pub(crate) mod find;

use std::path::{Path, PathBuf};

use cloudron_core::{BackupId, Error, Progress, Result};

use crate::bridge::{Blocking, Stop};
use crate::codes;
use crate::keys::Identity;
use crate::repository::config::Config;
use crate::restore::Backup;
use crate::trust::Trust;

/// What to do when nothing is at a path.
pub(crate) const PATH_HINT: &str = "`backup ls` shows the paths in a backup";

/// What the owner of a repository reads it with.
pub(crate) struct Reading<'a> {
    pub(crate) store: &'a Blocking,
    pub(crate) config: &'a Config,
    pub(crate) identity: &'a Identity,
    pub(crate) trust: &'a Trust,
    pub(crate) progress: &'a Progress,
    pub(crate) stop: &'a Stop,
}

impl Reading<'_> {
    /// A backup, with its signature and the hash of its manifest checked.
    pub(crate) fn backup(&self, id: &BackupId) -> Result<Backup> {
        Backup::open_by(self.store, self.config, self.identity, self.trust, id, self.stop)
    }
}

/// The paths that were asked for, and which of them were met.
struct Wanted<'a> {
    paths: &'a [PathBuf],
    met: Vec<bool>,
}

impl<'a> Wanted<'a> {
    fn new(paths: &'a [PathBuf]) -> Self {
        Self { paths, met: vec![false; paths.len()] }
    }

    /// Whether a path is one of them or below one. With none, everything is wanted.
    fn has(&mut self, path: &Path) -> bool {
        let mut wanted = self.paths.is_empty();
        for (only, met) in self.paths.iter().zip(&mut self.met) {
            let fits = path.starts_with(only);
            *met |= fits;
            wanted |= fits;
        }
        wanted
    }

    /// Refuses a path that nothing was found at.
    fn check_all_met(&self, place: impl std::fmt::Display) -> Result<()> {
        match self.paths.iter().zip(&self.met).find(|(_, met)| !**met) {
            None => Ok(()),
            Some((path, _)) => {
                let text = format!("{} is not in {place}", path.display());
                Err(Error::new(&codes::PATH_UNKNOWN, text).with_hint(PATH_HINT))
            }
        }
    }
}
