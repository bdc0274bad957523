//! Selected paths of a backup.

use std::path::{Path, PathBuf};

use cloudron_core::{Error, Result};

use crate::codes;

/// The requested paths, and which of them were found.
pub(crate) struct Wanted<'a> {
    paths: &'a [PathBuf],
    met: Vec<bool>,
}

impl<'a> Wanted<'a> {
    pub(crate) fn new(paths: &'a [PathBuf]) -> Self {
        Self { paths, met: vec![false; paths.len()] }
    }

    /// Checks whether a path is one of them or below one. Without any, every path matches.
    pub(crate) fn has(&mut self, path: &Path) -> bool {
        let mut wanted = self.paths.is_empty();
        for (only, met) in self.paths.iter().zip(&mut self.met) {
            let fits = path.starts_with(only);
            *met |= fits;
            wanted |= fits;
        }
        wanted
    }

    /// Refuses paths that were not found.
    pub(crate) fn check_all_met(&self, place: impl std::fmt::Display) -> Result<()> {
        match self.paths.iter().zip(&self.met).find(|(_, met)| !**met) {
            None => Ok(()),
            Some((path, _)) => {
                let text = format!("{} is not in {place}", path.display());
                Err(Error::new(&codes::PATH_UNKNOWN, text).with_detail("path", path.display().to_string()))
            }
        }
    }
}
