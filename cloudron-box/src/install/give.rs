//! Giving what root has made to the server's user, although that user may change it at the same time.
//!
//! Everything is opened first, without following links, and given by its descriptor: what was looked at is what is
//! given.

use std::ffi::CStr;
use std::fs;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use rustix::fs::{AtFlags, CWD, Dir, FileType, Gid, Mode, OFlags, Stat, Uid};

use crate::system::owner::Owner;
use crate::{Error, Layout, Result};

/// Deeper than any tree that we make: a repository has three levels, a log or cache fewer.
const DEEPEST: u32 = 32;

/// Gives the state to the server's user. What the data folder holds keeps its owners.
pub(super) fn state(layout: &Layout, owner: Owner) -> Result<()> {
    let failed = |e: rustix::io::Errno| Error::io(layout.state(), e.into());
    let folder = open(CWD, layout.state()).map_err(failed)?;
    give(&folder, owner).map_err(failed)?;
    for entry in fs::read_dir(layout.state()).map_err(|e| Error::io(layout.state(), e))? {
        let path = entry.map_err(|e| Error::io(layout.state(), e))?.path();
        if path == layout.data() { one(&path, owner)? } else { tree(&path, owner)? }
    }
    Ok(())
}

/// Gives a file or folder.
fn one(path: &Path, owner: Owner) -> Result<()> {
    open(CWD, path).and_then(|fd| give(&fd, owner).map(drop)).map_err(|e| Error::io(path, e.into()))
}

/// Gives a file or folder with all it holds. Links are given themselves and not followed.
pub(super) fn tree(path: &Path, owner: Owner) -> Result<()> {
    open(CWD, path).and_then(|fd| below(fd, owner, 0)).map_err(|e| Error::io(path, e.into()))
}

fn below(fd: OwnedFd, owner: Owner, depth: u32) -> rustix::io::Result<()> {
    let found = give(&fd, owner)?;
    if FileType::from_raw_mode(found.st_mode) != FileType::Directory {
        return Ok(());
    }
    if depth > DEEPEST {
        return Err(rustix::io::Errno::NAMETOOLONG);
    }
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    for entry in Dir::new(rustix::fs::openat(&fd, c".", flags, Mode::empty())?)? {
        let entry = entry?;
        let name: &CStr = entry.file_name();
        if name != c"." && name != c".." {
            match open(&fd, name) {
                // It is gone, or never was: its user is at work.
                Err(rustix::io::Errno::NOENT) => {}
                opened => below(opened?, owner, depth + 1)?,
            }
        }
    }
    Ok(())
}

/// Opens whatever there is, without following a link and without any effect on it (open(2), `O_PATH`).
fn open<P: rustix::path::Arg>(folder: impl AsFd, path: P) -> rustix::io::Result<OwnedFd> {
    rustix::fs::openat(folder, path, OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC, Mode::empty())
}

/// Gives what was opened, and says what it is. A file of somebody else that has a second name may be any file of
/// the system, so it is refused.
fn give(fd: &OwnedFd, owner: Owner) -> rustix::io::Result<Stat> {
    let found = rustix::fs::fstat(fd)?;
    if (found.st_uid, found.st_gid) == (owner.uid, owner.gid) {
        return Ok(found);
    }
    if found.st_nlink > 1 && FileType::from_raw_mode(found.st_mode) != FileType::Directory {
        return Err(rustix::io::Errno::PERM);
    }
    let (uid, gid) = (Uid::from_raw(owner.uid), Gid::from_raw(owner.gid));
    rustix::fs::chownat(fd, c"", Some(uid), Some(gid), AtFlags::EMPTY_PATH)?;
    Ok(found)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{MetadataExt, symlink};

    use super::*;

    /// Whom things are given to: somebody else as root, else only oneself.
    fn receiver() -> Owner {
        let (uid, gid) = (rustix::process::geteuid(), rustix::process::getegid());
        match uid.is_root() {
            true => Owner { uid: 65534, gid: 65534 },
            false => Owner { uid: uid.as_raw(), gid: gid.as_raw() },
        }
    }

    #[test]
    fn a_tree_is_given_and_what_its_links_lead_to_is_not() {
        let home = tempfile::tempdir().unwrap();
        let (tree_, outside) = (home.path().join("tree"), home.path().join("outside"));
        fs::create_dir_all(tree_.join("a/b")).unwrap();
        fs::create_dir(&outside).unwrap();
        fs::write(tree_.join("a/b/file"), "x").unwrap();
        fs::write(outside.join("victim"), "x").unwrap();
        symlink(&outside, tree_.join("a/link")).unwrap();
        symlink(outside.join("victim"), tree_.join("a/b/link")).unwrap();
        let before = fs::metadata(&outside).unwrap().uid();
        tree(&tree_, receiver()).unwrap();
        for given in ["", "a", "a/b", "a/b/file", "a/link", "a/b/link"] {
            assert_eq!(fs::symlink_metadata(tree_.join(given)).unwrap().uid(), receiver().uid, "{given}");
        }
        for kept in [outside.clone(), outside.join("victim")] {
            assert_eq!(fs::metadata(&kept).unwrap().uid(), before, "{}", kept.display());
        }
    }

    #[test]
    fn a_file_with_a_second_name_is_not_given() {
        if !rustix::process::geteuid().is_root() {
            // To oneself everything is given already.
            return;
        }
        let home = tempfile::tempdir().unwrap();
        fs::write(home.path().join("victim"), "x").unwrap();
        fs::create_dir(home.path().join("tree")).unwrap();
        fs::hard_link(home.path().join("victim"), home.path().join("tree/x")).unwrap();
        assert!(tree(&home.path().join("tree"), receiver()).is_err());
        assert_eq!(fs::metadata(home.path().join("victim")).unwrap().uid(), 0);
    }
}
