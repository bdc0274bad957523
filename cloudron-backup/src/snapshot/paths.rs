//! The paths of a backup that are asked for.

use std::path::{Path, PathBuf};

use cloudron_core::{Error, Result};

use crate::codes;

/// What to do when nothing is at a path.
pub(crate) const PATH_HINT: &str = "`backup ls` shows the paths in a backup";

/// The paths that were asked for, and which of them were met.
pub(crate) struct Wanted<'a> {
    paths: &'a [PathBuf],
    met: Vec<bool>,
}

impl<'a> Wanted<'a> {
    pub(crate) fn new(paths: &'a [PathBuf]) -> Self {
        Self { paths, met: vec![false; paths.len()] }
    }

    /// Whether a path is one of them or below one. With none, everything is wanted.
    pub(crate) fn has(&mut self, path: &Path) -> bool {
        let mut wanted = self.paths.is_empty();
        for (only, met) in self.paths.iter().zip(&mut self.met) {
            let fits = path.starts_with(only);
            *met |= fits;
            wanted |= fits;
        }
        wanted
    }

    /// Refuses a path that nothing was found at.
    pub(crate) fn check_all_met(&self, place: impl std::fmt::Display) -> Result<()> {
        match self.paths.iter().zip(&self.met).find(|(_, met)| !**met) {
            None => Ok(()),
            Some((path, _)) => {
                let text = format!("{} is not in {place}", path.display());
                Err(Error::new(&codes::PATH_UNKNOWN, text).with_hint(PATH_HINT))
            }
        }
    }
}
