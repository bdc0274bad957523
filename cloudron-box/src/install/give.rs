//! Transferring the ownership of files created by root to the server's user, who may change them at the same
//! time.
//!
//! Every file is first opened without following links, and changed by its descriptor, so that the checked
//! file is the one that is changed.

use std::ffi::CStr;
use std::fs;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use rustix::fs::{AtFlags, CWD, Dir, FileType, Gid, Mode, OFlags, Stat, Uid};

use crate::system::owner::Owner;
use crate::{Error, Layout, Result};

/// Maximum depth of a tree: a repository has three levels, a log or cache fewer.
const DEEPEST: u32 = 32;

/// Transfers the state folder to the server's user. The content of the data folder keeps its owners.
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

/// Transfers a file or folder.
fn one(path: &Path, owner: Owner) -> Result<()> {
    open(CWD, path).and_then(|fd| give(&fd, owner).map(drop)).map_err(|e| Error::io(path, e.into()))
}

/// Transfers a file or folder with its content. Links are transferred themselves and not followed.
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
                // It does not exist any more: the user is working in the folder.
                Err(rustix::io::Errno::NOENT) => {}
                opened => below(opened?, owner, depth + 1)?,
            }
        }
    }
    Ok(())
}

/// Opens any kind of file without following a link and without side effects (open(2), `O_PATH`).
fn open<P: rustix::path::Arg>(folder: impl AsFd, path: P) -> rustix::io::Result<OwnedFd> {
    rustix::fs::openat(folder, path, OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC, Mode::empty())
}

/// Transfers an opened file and returns its status. A file of another owner with a second link may be any
/// file of the system, so it is refused.
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

    /// Returns the new owner: another user if run as root, otherwise the same user.
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
            // The files already belong to this user.
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
