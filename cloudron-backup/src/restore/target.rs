//! Determines the target of an entry of a backup.

use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};

use cloudron_core::{Error, Result};

use crate::codes;
use crate::format::manifest::{HeaderSource, Kind};
use crate::restore::{RestoreRequest, RestoreTo};

/// A place on disk: a path below a folder given by the user. Nothing is written outside of that folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Place {
    /// The index in [`Places::anchors`].
    pub(crate) anchor: usize,
    /// The path below it: names only. Empty for the folder itself.
    pub(crate) below: PathBuf,
}

/// The rule for everything below one path of the backup.
#[derive(Debug)]
struct Rule {
    from: PathBuf,
    anchor: usize,
    prefix: PathBuf,
}

/// The targets of all entries.
#[derive(Debug)]
pub(crate) struct Places {
    /// The folders outside of which nothing is written. They themselves may be symbolic links.
    pub(crate) anchors: Vec<PathBuf>,
    rules: Vec<Rule>,
    only: Vec<PathBuf>,
}

impl Places {
    pub(crate) fn new(request: &RestoreRequest, sources: &[HeaderSource]) -> Result<Self> {
        let mut places = Self { anchors: Vec::new(), rules: Vec::new(), only: request.only.clone() };
        let under = match &request.to {
            RestoreTo::Original => None,
            RestoreTo::Under(dir) => Some(std::path::absolute(dir).map_err(|e| Error::io(dir, e))?),
        };
        let mut relocate = Vec::new();
        for (from, to) in &request.relocate {
            let to = std::path::absolute(to).map_err(|e| Error::io(to, e))?;
            relocate.push((from.components().collect::<PathBuf>(), to));
        }
        for source in sources {
            let inside =
                relocate.iter().filter(|(from, _)| from.starts_with(&source.path) && *from != source.path);
            for (from, to) in inside {
                places.add_rule(from, to.clone(), false, under.as_deref())?;
            }
            let over = relocate.iter().find(|(from, _)| source.path.starts_with(from));
            let to = match over {
                Some((from, to)) => join(to, source.path.strip_prefix(from).unwrap_or(Path::new(""))),
                None => source.path.clone(),
            };
            places.add_rule(&source.path, to, source.kind == Kind::Dir, under.as_deref())?;
        }
        // The longest matching path wins.
        places.rules.sort_by_key(|r| std::cmp::Reverse(r.from.components().count()));
        Ok(places)
    }

    fn add_rule(&mut self, from: &Path, to: PathBuf, is_folder: bool, under: Option<&Path>) -> Result<()> {
        let below_root = names_only(to.strip_prefix("/").unwrap_or(&to), &to)?;
        let (anchor, prefix) = match (under, is_folder, to.parent(), to.file_name()) {
            (Some(under), ..) => (under.to_owned(), below_root),
            (None, false, Some(parent), Some(name)) => (parent.to_owned(), PathBuf::from(name)),
            _ => (to, PathBuf::new()),
        };
        let anchor = self.anchor(anchor);
        self.rules.push(Rule { from: from.to_owned(), anchor, prefix });
        Ok(())
    }

    fn anchor(&mut self, path: PathBuf) -> usize {
        self.anchors.iter().position(|a| *a == path).unwrap_or_else(|| {
            self.anchors.push(path);
            self.anchors.len() - 1
        })
    }

    /// Checks whether an entry was requested.
    pub(crate) fn wants(&self, path: &Path) -> bool {
        self.only.is_empty() || self.only.iter().any(|only| path.starts_with(only))
    }

    /// Returns the requested paths.
    pub(crate) fn only(&self) -> &[PathBuf] {
        &self.only
    }

    /// Returns the requested paths of the backup, or all of its sources.
    pub(crate) fn asked_for(&self) -> impl Iterator<Item = &Path> {
        let all = self.rules.iter().map(|rule| rule.from.as_path()).filter(|_| self.only.is_empty());
        self.only.iter().map(PathBuf::as_path).chain(all)
    }

    /// Checks whether a folder of the backup is above a requested path.
    pub(crate) fn is_above(&self, path: &Path) -> bool {
        self.only.iter().any(|only| only.starts_with(path) && only != path)
    }

    /// Returns the place of an entry.
    ///
    /// # Errors
    /// `restore-escape` for a path that is not below a source, or not made of plain names.
    pub(crate) fn of(&self, path: &Path) -> Result<Place> {
        let rule = self.rules.iter().find(|r| path.starts_with(&r.from));
        let rule = rule.ok_or_else(|| escape(path))?;
        let rest = path.strip_prefix(&rule.from).unwrap_or(path);
        // Paths are compared by their names, which skips components such as `.`; no valid entry has those.
        let odd = |name: &[u8]| name.is_empty() || name == b"." || name == b"..";
        let bytes = path.as_os_str().as_bytes();
        if bytes != b"/" && bytes.split(|b| *b == b'/').skip(1).any(odd) {
            return Err(escape(path));
        }
        Ok(Place { anchor: rule.anchor, below: join(&rule.prefix, &names_only(rest, path)?) })
    }

    /// Returns the full path of a place, for messages.
    pub(crate) fn show(&self, place: &Place) -> PathBuf {
        join(&self.anchors[place.anchor], &place.below)
    }
}

/// Joins without the trailing slash that an empty path would add.
fn join(a: &Path, b: &Path) -> PathBuf {
    if b.as_os_str().is_empty() { a.to_owned() } else { a.join(b) }
}

fn names_only(below: &Path, whole: &Path) -> Result<PathBuf> {
    let plain = below.components().all(|c| matches!(c, Component::Normal(_)));
    if plain { Ok(below.to_owned()) } else { Err(escape(whole)) }
}

pub(crate) fn escape(path: &Path) -> Error {
    Error::new(&codes::RESTORE_ESCAPE, format!("{} leads out of the target", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn places(request: &RestoreRequest) -> Places {
        let source = |path: &str, kind| HeaderSource { name: "x".into(), path: path.into(), kind };
        Places::new(request, &[source("/srv/data", Kind::Dir), source("/etc/one", Kind::File)]).unwrap()
    }

    fn shown(places: &Places, path: &str) -> String {
        places.show(&places.of(Path::new(path)).unwrap()).display().to_string()
    }

    #[test]
    fn every_path_goes_where_it_was_or_below_the_target() {
        let original = places(&RestoreRequest::original());
        assert_eq!(shown(&original, "/srv/data/a/b"), "/srv/data/a/b");
        assert_eq!(shown(&original, "/srv/data"), "/srv/data");
        assert_eq!(shown(&original, "/etc/one"), "/etc/one");
        let under = places(&RestoreRequest::under("/mnt"));
        assert_eq!(shown(&under, "/srv/data/a/b"), "/mnt/srv/data/a/b");
        assert_eq!(under.anchors, [PathBuf::from("/mnt")]);
    }

    #[test]
    fn relocated_folders_go_elsewhere() {
        let mut request = RestoreRequest::original();
        request.relocate = vec![("/srv".into(), "/new".into()), ("/srv/data/in".into(), "/inner".into())];
        assert_eq!(shown(&places(&request), "/srv/data/a"), "/new/data/a");
        assert_eq!(shown(&places(&request), "/srv/data/in/x"), "/inner/x");
        request.to = RestoreTo::Under("/mnt".into());
        assert_eq!(shown(&places(&request), "/srv/data/in/x"), "/mnt/inner/x");
    }

    #[test]
    fn a_path_that_leaves_the_sources_is_refused() {
        let places = places(&RestoreRequest::under("/mnt"));
        for path in
            ["/etc/passwd", "/srv/data/../../etc/passwd", "/srv/data2", "relative", "/", "/srv/data/./x"]
        {
            let error = places.of(Path::new(path));
            assert!(error.is_err_and(|e| e.is(&codes::RESTORE_ESCAPE)), "{path}");
        }
    }
}
