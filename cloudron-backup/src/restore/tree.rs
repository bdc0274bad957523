//! The target on disk, entered by open folders and never through a symbolic link in it.

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

/// What is there has a name that this file system takes for the same.
pub(super) const ANOTHER_NAME: &str = "is, for this file system, the same name as another one that is there";

const FOLDER: OFlags = OFlags::DIRECTORY.union(OFlags::RDONLY).union(OFlags::CLOEXEC);

/// The folder that something is or goes in, and its name there.
pub(super) struct Spot<'t> {
    pub(super) folder: &'t File,
    /// `.` for the folder itself.
    pub(super) name: OsString,
    /// The full path, for messages.
    pub(super) path: PathBuf,
}

impl Spot<'_> {
    /// What is there, if anything. A link is not followed.
    pub(super) fn meta(&self) -> Result<Option<Meta>> {
        match statat(self.folder, &self.name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => Ok(Some(stat.into())),
            Err(Errno::NOENT) => Ok(None),
            Err(e) => Err(self.error(e)),
        }
    }

    /// Opens what is there for reading.
    pub(super) fn open(&self) -> Result<File> {
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let opened = openat(self.folder, &self.name, flags, Mode::empty());
        opened.map(File::from).map_err(|e| self.error(e))
    }

    /// A path to it through the open folder, whatever its own path leads to by now.
    pub(super) fn by_folder(&self) -> PathBuf {
        Path::new("/proc/self/fd").join(self.folder.as_raw_fd().to_string()).join(&self.name)
    }

    pub(super) fn error(&self, error: impl Into<std::io::Error>) -> Error {
        Error::io(&self.path, error.into())
    }
}

/// So many folders are kept open on the way to the last one, at most.
const OPEN: usize = 64;

/// Opens folders of the target. Remembers those on the way to the last one: entries come folder by folder.
pub(super) struct Tree<'a> {
    places: &'a Places,
    /// Makes folders that are missing on the way.
    ways: Option<&'a Ways>,
    anchors: Vec<Option<File>>,
    /// The anchor that `open` is below.
    at: usize,
    open: Vec<(OsString, File)>,
    /// The last one, when it is deeper than what is kept open.
    deep: Option<File>,
}

impl<'a> Tree<'a> {
    /// For looking at what is there.
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

    /// The same, making folders that are missing on the way.
    pub(super) fn making(places: &'a Places, ways: &'a Ways) -> Self {
        Self { ways: Some(ways), ..Self::new(places) }
    }

    /// Makes and opens all folders that the user named, so that one that cannot be is found out first.
    pub(super) fn open_anchors(&mut self) -> Result<()> {
        (0..self.anchors.len()).try_for_each(|anchor| self.anchor(anchor).map(drop))
    }

    /// The spot of a place. Nothing when a folder on the way is missing.
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

    /// Opens a folder that the user named. False when it does not exist.
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

    /// Opens one folder on the way, the `depth`th of `below`.
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
            // A link, or something that is no folder, is on the way.
            Err(Errno::LOOP | Errno::NOTDIR) => Err(escape(&path())),
            Err(e) => Err(Error::io(path(), e.into())),
        }
    }
}
