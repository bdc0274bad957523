//! The target on disk, accessed by open folders and never through a symbolic link in it.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};

use cloudron_core::{Error, Result};
use rustix::fs::{AtFlags, CWD, Mode, OFlags, openat, statat};
use rustix::io::Errno;

use super::file::in_the_way;
use super::folded::is_of_another_name;
use super::target::{Place, Places, escape};
use super::ways::Ways;
use crate::files::meta::Meta;

/// The reason of a conflict with an existing name that this file system treats as equal.
pub(super) const ANOTHER_NAME: &str = "is, for this file system, the same name as another one that is there";

const FOLDER: OFlags = OFlags::DIRECTORY.union(OFlags::RDONLY).union(OFlags::CLOEXEC);

/// The folder of an entry, and the name in it.
pub(super) struct Spot<'t> {
    pub(super) folder: &'t File,
    /// `.` for the folder itself.
    pub(super) name: OsString,
    /// The full path, for messages.
    pub(super) path: PathBuf,
}

impl Spot<'_> {
    /// Returns the metadata of the existing entry, if any. A link is not followed.
    pub(super) fn meta(&self) -> Result<Option<Meta>> {
        match statat(self.folder, &self.name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => Ok(Some(stat.into())),
            Err(Errno::NOENT) => Ok(None),
            Err(e) => Err(self.error(e)),
        }
    }

    /// Opens the existing file for reading.
    pub(super) fn open(&self) -> Result<File> {
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let opened = openat(self.folder, &self.name, flags, Mode::empty());
        opened.map(File::from).map_err(|e| self.error(e))
    }

    /// Returns a path through the open folder, which stays valid if the original path changes.
    pub(super) fn by_folder(&self) -> PathBuf {
        Path::new("/proc/self/fd").join(self.folder.as_raw_fd().to_string()).join(&self.name)
    }

    pub(super) fn error(&self, error: impl Into<std::io::Error>) -> Error {
        Error::io(&self.path, error.into())
    }
}

/// The maximum number of folders kept open.
const OPEN: usize = 64;

/// Opens folders of the target. Keeps the path to the last one open, because entries come folder by folder.
pub(super) struct Tree<'a> {
    places: &'a Places,
    /// Creates missing parent folders.
    ways: Option<&'a Ways>,
    anchors: Vec<Option<File>>,
    /// The anchor that `open` is below.
    at: usize,
    open: Vec<(OsString, File)>,
    /// The last folder, if it is deeper than the limit.
    deep: Option<File>,
}

impl<'a> Tree<'a> {
    /// Creates a view that only reads.
    pub(super) fn new(places: &'a Places) -> Self {
        Self {
            places,
            ways: None,
            anchors: places.anchors.iter().map(|_| None).collect(),
            at: 0,
            open: Vec::new(),
            deep: None,
        }
    }

    /// Creates a view that creates missing parent folders.
    pub(super) fn making(places: &'a Places, ways: &'a Ways) -> Self {
        Self { ways: Some(ways), ..Self::new(places) }
    }

    /// Creates and opens all folders given by the user, so that errors are found first.
    pub(super) fn open_anchors(&mut self) -> Result<()> {
        (0..self.anchors.len()).try_for_each(|anchor| self.anchor(anchor).map(drop))
    }

    /// Returns the spot of a place, or `None` if a parent folder is missing.
    ///
    /// # Errors
    /// `restore-escape` when a symbolic link is on the way.
    pub(super) fn spot(&mut self, place: &Place) -> Result<Option<Spot<'_>>> {
        let path = self.places.show(place);
        let (parent, name) = match (place.below.parent(), place.below.file_name()) {
            (Some(parent), Some(name)) => (parent, name.to_owned()),
            _ => (Path::new(""), OsStr::new(".").to_owned()),
        };
        let Some(folder) = self.folder(place.anchor, parent)? else { return Ok(None) };
        Ok(Some(Spot { folder, name, path }))
    }

    fn folder(&mut self, anchor: usize, below: &Path) -> Result<Option<&File>> {
        if !self.anchor(anchor)? {
            return Ok(None);
        }
        if self.at != anchor {
            (self.at, self.open) = (anchor, Vec::new());
        }
        let same = self.open.iter().zip(below).take_while(|((open, _), name)| open == name).count();
        self.open.truncate(same);
        self.deep = None;
        for (depth, name) in below.iter().enumerate().skip(same) {
            let Some(parent) = self.last(anchor) else { return Ok(None) };
            let Some(folder) = self.enter(parent, name, anchor, below, depth)? else { return Ok(None) };
            match self.open.len() < OPEN {
                true => self.open.push((name.to_owned(), folder)),
                false => self.deep = Some(folder),
            }
        }
        Ok(self.last(anchor))
    }

    fn last(&self, anchor: usize) -> Option<&File> {
        let kept = self.open.last().map(|(_, folder)| folder);
        self.deep.as_ref().or(kept).or(self.anchors[anchor].as_ref())
    }

    /// Opens a folder given by the user. Returns false if it does not exist.
    fn anchor(&mut self, anchor: usize) -> Result<bool> {
        let path = &self.places.anchors[anchor];
        let slot = &mut self.anchors[anchor];
        if slot.is_some() {
            return Ok(true);
        }
        if let Some(ways) = self.ways {
            ways.make_all(path)?;
        }
        match openat(CWD, path, FOLDER, Mode::empty()) {
            Ok(folder) => *slot = Some(folder.into()),
            Err(Errno::NOENT) => return Ok(false),
            Err(e) => return Err(Error::io(path, e.into())),
        }
        Ok(true)
    }

    /// Opens one parent folder, the `depth`th of `below`.
    fn enter(
        &self,
        parent: &File,
        name: &OsStr,
        anchor: usize,
        below: &Path,
        depth: usize,
    ) -> Result<Option<File>> {
        let path = || self.places.anchors[anchor].join(below.iter().take(depth + 1).collect::<PathBuf>());
        let flags = FOLDER | OFlags::NOFOLLOW;
        let mut opened = openat(parent, name, flags, Mode::empty());
        if let (Some(ways), Err(Errno::NOENT)) = (self.ways, &opened) {
            ways.make(parent, name, &path())?;
            opened = openat(parent, name, flags, Mode::empty());
        }
        match opened {
            Ok(_) if self.ways.is_some() && is_of_another_name(parent, name) => {
                Err(in_the_way(&path(), ANOTHER_NAME))
            }
            Ok(folder) => Ok(Some(folder.into())),
            Err(Errno::NOENT) => Ok(None),
            // A component of the path is a link, or is no folder.
            Err(Errno::LOOP | Errno::NOTDIR) => Err(escape(&path())),
            Err(e) => Err(Error::io(path(), e.into())),
        }
    }
}
