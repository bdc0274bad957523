//! Puts one entry in its place.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};
use std::os::fd::AsFd;
use std::path::Path;

use cloudron_core::{Error, Result};
use rustix::fs::{
    AtFlags, FileType, Gid, Mode, OFlags, RenameFlags, Stat, Timespec, Timestamps, UTIME_OMIT, Uid, chmodat,
    chownat, fchmod, fchown, fstat, futimens, linkat, makedev, mkdirat, mknodat, openat, renameat,
    renameat_with, statat, symlinkat, unlinkat, utimensat,
};
use rustix::io::Errno;
use sha2::{Digest, Sha256};

use super::conflicts::{is_same_file, link_target};
use super::folded::is_of_another_name;
use super::prefetch::Feed;
use super::target::escape;
use super::tree::{ANOTHER_NAME, Spot};
use crate::chunk::{ChunkId, hash_zeros, slice};
use crate::codes;
use crate::files::meta::Meta;
use crate::files::owners::{Owners, Rights};
use crate::files::{PIECE, temporary, xattrs};
use crate::format::manifest::{Entry, Extent, Kind, allowed_mode};
use crate::runtime::Stop;

/// The settings for putting entries in their places.
pub(super) struct Placing {
    pub(super) owners: Owners,
    pub(super) numeric_owner: bool,
    pub(super) is_root: bool,
    pub(super) rights: Rights,
    pub(super) overwrite: bool,
    pub(super) stop: Stop,
}

/// The result for one entry.
#[derive(Debug, Default)]
pub(super) struct Placed {
    /// True if it already existed with the right content.
    pub(super) unchanged: bool,
    /// Metadata that could not be set.
    pub(super) warnings: Vec<String>,
    /// Remarks that are no warnings.
    pub(super) notes: Vec<String>,
    /// True if the owner or the group differs and this user cannot change it.
    pub(super) owner_lost: bool,
}

/// Returns the SHA-256 of the rest of a file.
pub(super) fn digest(file: &File) -> std::io::Result<ChunkId> {
    let (mut file, mut hash, mut buffer) = (file, Sha256::new(), vec![0; 256 << 10]);
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(ChunkId(hash.finalize().into())),
            n => hash.update(&buffer[..n]),
        }
    }
}

/// Returns the system's type for an entry that is neither file nor folder nor link.
pub(super) fn file_type(kind: Kind) -> Option<FileType> {
    match kind {
        Kind::Fifo => Some(FileType::Fifo),
        Kind::Block => Some(FileType::BlockDevice),
        Kind::Char => Some(FileType::CharacterDevice),
        _ => None,
    }
}

/// A temporary name beside the target, removed unless it is renamed.
struct Temporary<'s> {
    spot: &'s Spot<'s>,
    name: String,
    done: bool,
}

impl<'s> Temporary<'s> {
    fn beside(spot: &'s Spot<'s>) -> Self {
        Self { spot, name: temporary::name(), done: false }
    }

    /// Renames it to its final name.
    fn publish(mut self, overwrite: bool) -> Result<()> {
        let (folder, name) = (self.spot.folder, &self.spot.name);
        let renamed = if overwrite {
            renameat(folder, &self.name, folder, name)
        } else {
            match renameat_with(folder, &self.name, folder, name, RenameFlags::NOREPLACE) {
                // The file system does not support it; the existing entry was checked just before.
                Err(Errno::INVAL | Errno::NOSYS | Errno::NOTSUP) => {
                    renameat(folder, &self.name, folder, name)
                }
                other => other,
            }
        };
        match renamed {
            Ok(()) => {
                self.done = true;
                Ok(())
            }
            Err(Errno::EXIST) => Err(in_the_way(&self.spot.path, DIFFERS)),
            Err(e) => Err(self.spot.error(e)),
        }
    }
}

impl Drop for Temporary<'_> {
    fn drop(&mut self) {
        if !self.done {
            // It may not exist yet; errors are ignored.
            let _ = unlinkat(self.spot.folder, &self.name, AtFlags::empty());
        }
    }
}

/// The reason of a conflict with different content.
const DIFFERS: &str = "exists and differs";

pub(super) fn in_the_way(path: &Path, why: &str) -> Error {
    Error::new(&codes::RESTORE_CONFLICT, format!("{} {why}", path.display()))
}

/// The existing entry in the place of an entry.
#[derive(PartialEq)]
enum There {
    Nothing,
    Same,
    /// Something else that may be replaced.
    Other,
}

/// Records failures to set metadata.
struct Tried<'a, 's> {
    spot: &'a Spot<'s>,
    placed: &'a mut Placed,
}

impl Tried<'_, '_> {
    fn note(&mut self, what: &str, result: std::io::Result<()>) {
        if let Err(e) = result {
            self.placed.warnings.push(format!("{}: {what}: {e}", self.spot.path.display()));
        }
    }
}

impl Placing {
    /// Creates a folder. Its metadata is set after everything in it is restored.
    pub(super) fn folder(&self, spot: &Spot<'_>) -> Result<()> {
        match spot.meta()? {
            Some(_) if is_of_another_name(spot.folder, &spot.name) => {
                return Err(in_the_way(&spot.path, ANOTHER_NAME));
            }
            Some(meta) if meta.kind == FileType::Directory => {
                self.open_up(spot, &meta)?;
                // A killed restore may have left temporary files here.
                temporary::sweep(&spot.by_folder());
                return Ok(());
            }
            Some(_) if self.overwrite => {
                unlinkat(spot.folder, &spot.name, AtFlags::empty()).map_err(|e| spot.error(e))?;
            }
            Some(_) => return Err(in_the_way(&spot.path, DIFFERS)),
            None => {}
        }
        match mkdirat(spot.folder, &spot.name, Mode::RWXU) {
            // Another thread created it, on its way to a file below.
            Err(Errno::EXIST) if spot.meta()?.is_some_and(|m| m.kind == FileType::Directory) => Ok(()),
            made => made.map_err(|e| spot.error(e)),
        }
    }

    /// Makes a folder of this user writable until its final mode is set.
    fn open_up(&self, spot: &Spot<'_>, meta: &Meta) -> Result<()> {
        let own = Mode::RWXU.bits();
        if self.is_root || meta.mode & own == own || meta.uid != rustix::process::geteuid().as_raw() {
            return Ok(());
        }
        let mode = Mode::from_raw_mode(meta.mode | own);
        chmodat(spot.folder, &spot.name, mode, AtFlags::empty()).map_err(|e| spot.error(e))
    }

    /// Sets the metadata of a folder.
    pub(super) fn folder_metadata(&self, spot: &Spot<'_>, entry: &Entry) -> Result<Placed> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let folder = match openat(spot.folder, &spot.name, flags, Mode::empty()) {
            Ok(folder) => File::from(folder),
            Err(Errno::LOOP | Errno::NOTDIR) => return Err(escape(&spot.path)),
            Err(e) => return Err(spot.error(e)),
        };
        let mut placed = Placed::default();
        self.metadata(&folder, entry, spot, &mut placed);
        Ok(placed)
    }

    /// Determines what exists in the place of an entry: the same content, nothing, or something that may be replaced.
    fn look(
        &self,
        spot: &Spot<'_>,
        is_same: impl FnOnce(&Meta) -> Result<bool>,
        placed: &mut Placed,
    ) -> Result<There> {
        let Some(meta) = spot.meta()? else { return Ok(There::Nothing) };
        if is_of_another_name(spot.folder, &spot.name) {
            return Err(in_the_way(&spot.path, ANOTHER_NAME));
        }
        let may_be_replaced = self.overwrite && meta.kind != FileType::Directory;
        match is_same(&meta) {
            Ok(true) => return Ok(There::Same),
            // It may not be readable, so its content is unknown.
            Err(e) if !may_be_replaced || !e.is(&cloudron_core::codes::PERMISSION) => return Err(e),
            Ok(false) if !may_be_replaced => return Err(in_the_way(&spot.path, DIFFERS)),
            _ => {}
        }
        if meta.kind == FileType::Symlink {
            let to = link_target(spot)?;
            let to = String::from_utf8_lossy(&to);
            placed
                .notes
                .push(format!("{} was a symbolic link to {to}, and is replaced", spot.path.display()));
        }
        Ok(There::Other)
    }

    /// Restores a regular file: writes the content under a temporary name, checks it, sets the metadata and
    /// renames it.
    pub(super) fn file(&self, spot: &Spot<'_>, entry: &Entry, feed: &mut Feed<'_>) -> Result<Placed> {
        let mut placed = Placed::default();
        if self.look(spot, |meta| is_same_file(entry, spot, meta), &mut placed)? == There::Same {
            self.metadata(&spot.open()?, entry, spot, &mut placed);
            placed.unchanged = true;
            return Ok(placed);
        }
        let temporary = Temporary::beside(spot);
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let opened = openat(spot.folder, &temporary.name, flags, Mode::RUSR | Mode::WUSR);
        let mut file = File::from(opened.map_err(|e| spot.error(e))?);
        if !temporary::hold(&file) {
            return Err(spot.error(Errno::BUSY));
        }
        content(&mut file, entry, spot, feed, &self.stop)?;
        self.metadata(&file, entry, spot, &mut placed);
        temporary.publish(self.overwrite)?;
        Ok(placed)
    }

    /// Sets owner, then attributes (which a change of owner may clear), then mode, then times.
    fn metadata(&self, file: &File, entry: &Entry, spot: &Spot<'_>, placed: &mut Placed) {
        let mode = self.own(
            entry,
            || fstat(file),
            |(uid, gid)| fchown(file, uid, gid),
            &mut Tried { spot, placed: &mut *placed },
        );
        let mut tried = Tried { spot, placed };
        tried.note("extended attributes", xattrs::set_on_file(file, &entry.xattrs()));
        tried.note("mode", fchmod(file, mode).map_err(Into::into));
        tried.note("time", futimens(file, &times(entry)).map_err(Into::into));
    }

    /// Sets the owner and group as far as this user may. Returns the mode to set: the set-user-id and
    /// set-group-id bits are only kept if the owner or group is the right one.
    fn own(
        &self,
        entry: &Entry,
        stat: impl Fn() -> rustix::io::Result<Stat>,
        change: impl FnOnce((Option<Uid>, Option<Gid>)) -> rustix::io::Result<()>,
        tried: &mut Tried<'_, '_>,
    ) -> Mode {
        let wanted = self.owner(entry);
        let is = |s: Stat| (s.st_uid == wanted.0.as_raw(), s.st_gid == wanted.1.as_raw());
        let (mut has_user, mut has_group) = stat().map_or((false, false), is);
        // New files usually have the right owner already, and checking is cheaper than setting.
        let uid = Some(wanted.0).filter(|_| !has_user && self.is_root);
        let gid = Some(wanted.1).filter(|gid| !has_group && (self.is_root || self.rights.has(*gid)));
        if uid.is_some() || gid.is_some() {
            tried.note("owner", change((uid, gid)).map_err(Into::into));
            (has_user, has_group) = stat().map_or((false, false), is);
        }
        tried.placed.owner_lost |= !has_user || !has_group;
        let allowed = allowed_mode(entry, has_user, has_group);
        if allowed != entry.mode {
            let text = format!(
                "{}: set-user-id or set-group-id is left off, for it has another owner",
                tried.spot.path.display()
            );
            tried.placed.warnings.push(text);
        }
        Mode::from_raw_mode(allowed)
    }

    pub(super) fn owner(&self, entry: &Entry) -> (Uid, Gid) {
        let (mut uid, mut gid) = (entry.uid, entry.gid);
        if !self.numeric_owner {
            uid = self.owners.uid(entry.user.as_deref(), uid);
            gid = self.owners.gid(entry.group.as_deref(), gid);
        }
        (Uid::from_raw(uid), Gid::from_raw(gid))
    }

    /// Restores a symbolic link, a fifo or a device.
    pub(super) fn special(&self, spot: &Spot<'_>, entry: &Entry) -> Result<Placed> {
        let mut placed = Placed::default();
        let is_link = entry.kind == Kind::Symlink;
        let is_same = |meta: &Meta| match file_type(entry.kind) {
            None => Ok(meta.kind == FileType::Symlink && link_target(spot)? == entry.target()),
            Some(kind) => Ok(meta.kind == kind && (kind == FileType::Fifo || meta.rdev == entry.rdev)),
        };
        if self.look(spot, is_same, &mut placed)? == There::Same {
            self.metadata_by_name(spot, spot.name.as_ref(), entry, &mut placed);
            placed.unchanged = true;
            return Ok(placed);
        }
        let temporary = Temporary::beside(spot);
        let made = if is_link {
            symlinkat(entry.target().as_slice(), spot.folder, &temporary.name)
        } else {
            let kind = file_type(entry.kind).unwrap_or(FileType::Fifo);
            let device = makedev(entry.rdev.0, entry.rdev.1);
            mknodat(spot.folder, &temporary.name, kind, Mode::RUSR | Mode::WUSR, device)
        };
        made.map_err(|e| spot.error(e))?;
        self.metadata_by_name(spot, temporary.name.as_ref(), entry, &mut placed);
        temporary.publish(self.overwrite)?;
        Ok(placed)
    }

    fn metadata_by_name(&self, spot: &Spot<'_>, name: &std::ffi::OsStr, entry: &Entry, placed: &mut Placed) {
        let nofollow = AtFlags::SYMLINK_NOFOLLOW;
        let mode = self.own(
            entry,
            || statat(spot.folder, name, nofollow),
            |(uid, gid)| chownat(spot.folder, name, uid, gid, nofollow),
            &mut Tried { spot, placed: &mut *placed },
        );
        let mut tried = Tried { spot, placed };
        tried.note("extended attributes", xattrs::set_on_name(spot.folder.as_fd(), name, &entry.xattrs()));
        if entry.kind != Kind::Symlink {
            tried.note("mode", chmodat(spot.folder, name, mode, AtFlags::empty()).map_err(Into::into));
        }
        tried.note("time", utimensat(spot.folder, name, &times(entry), nofollow).map_err(Into::into));
    }

    /// Restores a further name of a file that is already in its place.
    pub(super) fn hardlink(&self, spot: &Spot<'_>, target: &Spot<'_>) -> Result<Placed> {
        let of = target.meta()?.ok_or_else(|| target.error(Errno::NOENT))?;
        let mut placed = Placed::default();
        let here = spot.meta()?;
        if here.is_some_and(|m| (m.dev, m.ino) == (of.dev, of.ino)) {
            placed.unchanged = true;
            return Ok(placed);
        }
        // The existing file was found to have the same content before anything was written, or may be replaced.
        let temporary = Temporary::beside(spot);
        linkat(target.folder, &target.name, spot.folder, &temporary.name, AtFlags::empty())
            .map_err(|e| spot.error(e))?;
        temporary.publish(self.overwrite || here.is_some())?;
        Ok(placed)
    }
}

/// Writes the content of a file, and checks it.
fn content(file: &mut File, entry: &Entry, spot: &Spot<'_>, feed: &mut Feed<'_>, stop: &Stop) -> Result<()> {
    let mut hash = Sha256::new();
    if entry.extents.iter().any(|e| matches!(e, Extent::Hole(_))) {
        // First, so that a size that the file system does not support fails before hours of hashing zeros.
        file.set_len(entry.size).map_err(|e| spot.error(e))?;
    }
    for extent in &entry.extents {
        match extent {
            Extent::Hole(length) => {
                hash_zeros(&mut hash, *length, stop)?;
                let skip = i64::try_from(*length).map_err(|_| spot.error(Errno::FBIG))?;
                file.seek(SeekFrom::Current(skip)).map_err(|e| spot.error(e))?;
            }
            Extent::Data { chunk, length, offset } => {
                let part = slice(feed.chunk(chunk)?, *offset, *length)?;
                for piece in part.chunks(PIECE) {
                    hash.update(piece);
                    file.write_all(piece).map_err(|e| spot.error(e))?;
                }
            }
        }
    }
    if Some(ChunkId(hash.finalize().into())) == entry.sha256 {
        return Ok(());
    }
    let text =
        format!("the content of {} does not have the hash that the backup says", entry.path().display());
    Err(Error::new(&codes::OBJECT_CORRUPT, text))
}

fn times(entry: &Entry) -> Timestamps {
    Timestamps {
        last_access: Timespec { tv_sec: 0, tv_nsec: UTIME_OMIT },
        last_modification: Timespec { tv_sec: entry.mtime.0, tv_nsec: entry.mtime.1.into() },
    }
}
