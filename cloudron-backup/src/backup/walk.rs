//! Walks through folders by open file descriptors, never by path, so that nobody can redirect the walk.

use std::ffi::{CStr, CString};
use std::fs::File;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::PathBuf;

use cloudron_core::Result;
use rustix::fs::{AtFlags, CWD, Dir, FileType, Mode, OFlags, fstat, openat, statat};
use rustix::io::Errno;

use super::entries::Writer;
use crate::files::exclude::Patterns;
use crate::files::meta::Meta;
use crate::files::path_bytes;
use crate::format::manifest::{HeaderSource, Kind};

/// Passes all entries of the sources to the writer.
pub(super) fn walk(
    sources: &[HeaderSource],
    excludes: &Patterns,
    ours: &[PathBuf],
    writer: &mut Writer<'_>,
) -> Result<()> {
    writer.counts.excluded = excludes.texts().map(|_| 0).collect();
    let stat = |p: &PathBuf| rustix::fs::stat(p).ok().map(Meta::from).map(|m| (m.dev, m.ino));
    let mut walker = Walker { excludes, ours: ours.iter().filter_map(stat).collect(), writer };
    let mut outer: Option<&HeaderSource> = None;
    for source in sources {
        if outer.is_some_and(|o| source.path.starts_with(&o.path)) {
            continue;
        }
        outer = Some(source);
        walker.source(source)?;
    }
    Ok(())
}

struct Walker<'a, 'w> {
    excludes: &'a Patterns,
    /// Device and inode of skipped folders.
    ours: Vec<(u64, u64)>,
    writer: &'a mut Writer<'w>,
}

const FOLDER: OFlags = OFlags::DIRECTORY.union(OFlags::RDONLY).union(OFlags::CLOEXEC);

impl Walker<'_, '_> {
    /// Walks a source, which may itself be a symbolic link: its path was given by the user.
    fn source(&mut self, source: &HeaderSource) -> Result<()> {
        let mut path = path_bytes(&source.path).to_vec();
        if source.kind == Kind::Dir {
            return match openat(CWD, &source.path, FOLDER, Mode::empty()) {
                Ok(folder) => self.tree(folder, &mut path),
                Err(e) => self.writer.unreadable(&path, e.into()),
            };
        }
        // A link to a file is followed, unless it is stored as a link.
        let real = match source.kind {
            Kind::File => source.path.canonicalize(),
            _ => Ok(source.path.clone()),
        };
        let opened = real.and_then(|real| {
            let folder = openat(CWD, real.parent().unwrap_or(&real), FOLDER, Mode::empty())?;
            let name = CString::new(path_bytes(real.file_name().unwrap_or_default().as_ref()))?;
            let meta = Meta::from(statat(&folder, &name, AtFlags::SYMLINK_NOFOLLOW)?);
            Ok((folder, name, meta))
        });
        match opened {
            Ok((folder, name, meta)) if meta.kind == FileType::RegularFile => {
                self.writer.file(&path, folder.as_fd(), &name, meta)
            }
            Ok((.., meta)) if meta.kind == FileType::Directory => {
                self.writer.unreadable(&path, std::io::Error::other("it became a folder"))
            }
            Ok((folder, name, meta)) => self.writer.special(&path, folder.as_fd(), &name, &meta),
            Err(e) => self.writer.unreadable(&path, e),
        }
    }

    /// Walks a folder and everything below it. Uses a loop: a tree may be deeper than the stack.
    fn tree(&mut self, root: OwnedFd, path: &mut Vec<u8>) -> Result<()> {
        let mut levels: Vec<Level> = self.enter(root, path, None)?.into_iter().collect();
        while let Some(level) = levels.last_mut() {
            let next = level.folder.as_ref().and_then(|folder| Some((folder, level.names.next()?)));
            let Some((folder, name)) = next else {
                self.leave(&mut levels, path)?;
                continue;
            };
            self.writer.stop.check()?;
            path.truncate(level.length);
            if path.last() != Some(&b'/') {
                path.push(b'/');
            }
            path.extend_from_slice(name.to_bytes());
            if let Some(pattern) = self.excludes.find(path) {
                self.writer.counts.excluded[pattern] += 1;
                continue;
            }
            let parent = level.dev;
            if let Some(child) = self.child(folder.as_fd(), &name, path, parent)?
                && let Some(child) = self.enter(child, path, Some(parent))?
            {
                levels.push(child);
                if let Some(far) = levels.len().checked_sub(OPEN + 1) {
                    levels[far].folder = None;
                }
            }
        }
        Ok(())
    }

    /// Enters a folder. Returns `None` if its content is excluded or cannot be read.
    fn enter(&mut self, folder: OwnedFd, path: &[u8], parent: Option<u64>) -> Result<Option<Level>> {
        let meta = match fstat(&folder) {
            Ok(stat) => Meta::from(stat),
            Err(e) => return self.writer.unreadable(path, e.into()).map(|()| None),
        };
        if self.ours.contains(&(meta.dev, meta.ino)) {
            return Ok(None);
        }
        let folder = File::from(folder);
        self.writer.folder(path, &folder, &meta)?;
        if parent.is_some_and(|dev| dev != meta.dev) && is_made_up(&folder) {
            return Ok(None);
        }
        match names(folder.as_fd()) {
            Ok(names) => {
                let (folder, names) = (Some(folder), names.into_iter());
                Ok(Some(Level { folder, dev: meta.dev, ino: meta.ino, names, length: path.len() }))
            }
            Err(e) => self.writer.unreadable(path, e.into()).map(|()| None),
        }
    }

    /// Returns to the parent folder, and opens it again if it was closed.
    fn leave(&mut self, levels: &mut Vec<Level>, path: &mut Vec<u8>) -> Result<()> {
        let (Some(child), Some(parent)) = (levels.pop(), levels.last_mut()) else { return Ok(()) };
        path.truncate(parent.length);
        if parent.folder.is_some() {
            return Ok(());
        }
        let opened = child.folder.ok_or(Errno::NOTDIR).and_then(|folder| {
            let above = openat(folder, c"..", FOLDER, Mode::empty())?;
            let meta = Meta::from(fstat(&above)?);
            if (meta.dev, meta.ino) == (parent.dev, parent.ino) { Ok(above) } else { Err(Errno::STALE) }
        });
        match opened {
            Ok(folder) => parent.folder = Some(folder.into()),
            // It was moved. The rest of it, and of the folders above it, cannot be found again.
            Err(e) => self.writer.unreadable(path, e.into())?,
        }
        Ok(())
    }

    /// Handles an entry in a folder of the device `parent`. Returns a folder opened.
    fn child(
        &mut self,
        folder: BorrowedFd<'_>,
        name: &CStr,
        path: &[u8],
        parent: u64,
    ) -> Result<Option<OwnedFd>> {
        let meta = match statat(folder, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => Meta::from(stat),
            Err(e) => return self.writer.unreadable(path, e.into()).map(|()| None),
        };
        match meta.kind {
            FileType::Directory => match openat(folder, name, FOLDER | OFlags::NOFOLLOW, Mode::empty()) {
                Ok(child) => return Ok(Some(child)),
                Err(e) => self.writer.unreadable(path, e.into()),
            },
            // Mounted on a file, as the namespaces of a container are.
            FileType::RegularFile if meta.dev != parent && is_made_up_file(folder, name) => Ok(()),
            FileType::RegularFile => self.writer.file(path, folder, name, meta),
            _ => self.writer.special(path, folder, name, &meta),
        }
        .map(|()| None)
    }
}

/// The maximum number of open folders; those further up are opened again on the way back.
const OPEN: usize = 64;

/// A folder that the walk is in.
struct Level {
    folder: Option<File>,
    dev: u64,
    ino: u64,
    /// The remaining names in it.
    names: std::vec::IntoIter<CString>,
    /// The length of its own part of the path.
    length: usize,
}

/// Returns the names in a folder, sorted.
fn names(folder: BorrowedFd<'_>) -> Result<Vec<CString>, Errno> {
    let mut names = Vec::new();
    for entry in Dir::read_from(folder)? {
        let entry = entry?;
        let name = entry.file_name();
        if name != c"." && name != c".." {
            names.push(name.to_owned());
        }
    }
    names.sort_unstable();
    Ok(names)
}

fn is_made_up_file(folder: BorrowedFd<'_>, name: &CStr) -> bool {
    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    openat(folder, name, flags, Mode::empty()).is_ok_and(|file| is_made_up(&File::from(file)))
}

/// Checks whether a mounted file system is virtual, with content generated by the kernel.
fn is_made_up(mounted: &File) -> bool {
    const MADE_UP: [u64; 19] = [
        0x9fa0,      // proc
        0x6265_6572, // sysfs
        0x1cd1,      // devpts
        0x0027_e0eb, // cgroup
        0x6367_7270, // cgroup2
        0x6462_6720, // debugfs
        0x7472_6163, // tracefs
        0x7363_6673, // securityfs
        0x6165_676c, // pstore
        0xcafe_4a11, // bpf
        0x1980_0202, // mqueue
        0x9584_58f6, // hugetlbfs
        0x6265_6570, // configfs
        0xde5e_81e4, // efivarfs
        0x0187,      // autofs
        0x4249_4e4d, // binfmt_misc
        0x6573_5543, // fusectl
        0xf97c_ff8c, // selinuxfs
        0x6e73_6673, // nsfs
    ];
    #[allow(clippy::unnecessary_cast, reason = "the field's type differs between platforms")]
    rustix::fs::fstatfs(mounted).is_ok_and(|s| MADE_UP.contains(&(s.f_type as u64 & 0xffff_ffff)))
}
