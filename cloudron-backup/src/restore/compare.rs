//! Compares files on disk with a backup, to check a restore.

use std::os::fd::AsFd;
use std::path::Path;

use cloudron_core::{BackupId, Result, Unit};
use rustix::fs::{FileType, Gid};

use super::conflicts::{Substitutes, asked, link_target};
use super::file::{digest, file_type};
use super::target::Places;
use super::tree::{Spot, Tree};
use crate::files::meta::Meta;
use crate::files::owners::{Owners, Rights};
use crate::files::xattrs::{self, Found};
use crate::format::manifest::{Entry, Kind, allowed_mode};
use crate::restore::{CompareReport, Difference, RestoreRequest};
use crate::snapshot::{Reading, Session};

/// The maximum number of differences kept.
const KEPT: usize = 100;

/// Compares a backup with its restored files.
pub(crate) fn run(reading: &Reading<'_>, id: &BackupId, request: &RestoreRequest) -> Result<CompareReport> {
    let Session { progress, stop, .. } = **reading;
    let backup = reading.backup(id)?;
    let places = Places::new(request, &backup.entries()?.header().sources)?;
    let substitutes = asked(&backup, &places, stop)?.substitutes;
    let owners = match request.numeric_owner {
        true => Owners::default(),
        false => Owners::of_this_machine(),
    };
    let is_root = rustix::process::geteuid().is_root();
    let rights = Rights::of_this_process();
    let task = progress.task("Comparing", Unit::Bytes, Some(backup.summary.bytes));
    let mut compared = Compared { report: CompareReport::default(), owners, is_root, rights };
    let (mut tree, mut targets) = (Tree::new(&places), Tree::new(&places));
    let mut entries = backup.entries()?;
    while let Some(entry) = entries.next()? {
        stop.check()?;
        let path = entry.path();
        let is_parent = entry.kind == Kind::Dir && request.parents.contains(&path);
        let path = if is_parent { Some(path) } else { wanted(&entry, &places, &substitutes) };
        let Some(path) = path else { continue };
        compared.report.entries += 1;
        let place = places.of(&path)?;
        let spot = tree.spot(&place)?;
        let meta = spot.as_ref().map(Spot::meta).transpose()?.flatten();
        let (Some(spot), Some(meta)) = (spot, meta) else {
            compared.add(&places.show(&place), "missing", entry.kind.name(), "nothing");
            continue;
        };
        if entry.kind == Kind::Hardlink {
            let target = entry.target_path();
            let target = substitutes.get(&target).unwrap_or(&target);
            if *target != path {
                let first = targets.spot(&places.of(target)?)?.map(|s| s.meta()).transpose()?.flatten();
                compared.link(&spot, &meta, first.as_ref(), target);
            }
        } else {
            compared.entry(&spot, &meta, &entry);
            task.advance(entry.size);
        }
    }
    task.finish();
    Ok(compared.report)
}

/// Returns the path under which an entry was restored, if it was requested.
fn wanted(entry: &Entry, places: &Places, substitutes: &Substitutes) -> Option<std::path::PathBuf> {
    let path = entry.path();
    if places.wants(&path) { Some(path) } else { substitutes.get(&path).cloned() }
}

struct Compared {
    report: CompareReport,
    owners: Owners,
    is_root: bool,
    rights: Rights,
}

impl Compared {
    fn add(&mut self, path: &Path, what: &str, expected: impl ToString, found: impl ToString) {
        self.report.difference_count += 1;
        if self.report.differences.len() < KEPT {
            let (expected, found) = (expected.to_string(), found.to_string());
            let difference = Difference { path: path.to_owned(), what: what.to_owned(), expected, found };
            self.report.differences.push(difference);
        }
    }

    fn check<T: PartialEq + std::fmt::Debug>(&mut self, path: &Path, what: &str, expected: &T, found: &T) {
        if expected != found {
            self.add(path, what, format!("{expected:?}"), format!("{found:?}"));
        }
    }

    fn link(&mut self, spot: &Spot<'_>, meta: &Meta, first: Option<&Meta>, target: &Path) {
        if first.is_none_or(|f| (f.dev, f.ino) != (meta.dev, meta.ino)) {
            let expected = format!("the same file as {}", target.display());
            self.add(&spot.path, "hardlink", expected, "another file");
        }
    }

    fn entry(&mut self, spot: &Spot<'_>, meta: &Meta, entry: &Entry) {
        let kind = match entry.kind {
            Kind::File => FileType::RegularFile,
            Kind::Dir => FileType::Directory,
            Kind::Symlink => FileType::Symlink,
            other => file_type(other).unwrap_or(FileType::Unknown),
        };
        if meta.kind != kind {
            return self.add(&spot.path, "type", entry.kind.name(), format!("{:?}", meta.kind));
        }
        let uid = self.owners.uid(entry.user.as_deref(), entry.uid);
        let gid = self.owners.gid(entry.group.as_deref(), entry.gid);
        if entry.kind != Kind::Symlink {
            let octal = |mode: u32| format!("{mode:o}");
            let mode = allowed_mode(entry, uid == meta.uid, gid == meta.gid);
            self.check(&spot.path, "mode", &octal(mode), &octal(meta.mode));
        }
        // Metadata that only root can set is not compared for other users.
        if self.is_root {
            self.check(&spot.path, "owner", &(uid, gid), &(meta.uid, meta.gid));
        } else if self.rights.has(Gid::from_raw(gid)) {
            self.check(&spot.path, "group", &gid, &meta.gid);
        }
        self.check(&spot.path, "mtime", &entry.mtime, &meta.mtime);
        match entry.kind {
            Kind::File => self.file(spot, meta, entry),
            Kind::Dir => {
                let found = spot.open().and_then(|f| xattrs::of_file(&f).map_err(|e| spot.error(e)));
                self.xattrs(spot, entry, found);
            }
            Kind::Symlink => {
                match link_target(spot) {
                    Ok(target) => self.check(&spot.path, "target", &entry.target(), &target),
                    Err(e) => self.add(&spot.path, "unreadable", "a link", e),
                }
                self.xattrs_by_name(spot, entry);
            }
            Kind::Block | Kind::Char => {
                self.check(&spot.path, "device", &entry.rdev, &meta.rdev);
                self.xattrs_by_name(spot, entry);
            }
            Kind::Fifo => self.xattrs_by_name(spot, entry),
            Kind::Hardlink | Kind::End => {}
        }
    }

    fn file(&mut self, spot: &Spot<'_>, meta: &Meta, entry: &Entry) {
        if meta.size != entry.size {
            return self.add(&spot.path, "size", entry.size, meta.size);
        }
        let file = match spot.open() {
            Ok(file) => file,
            Err(e) => return self.add(&spot.path, "unreadable", "a file", e),
        };
        match digest(&file) {
            Ok(found) => {
                self.report.bytes += meta.size;
                self.check(&spot.path, "content", &entry.sha256, &Some(found));
            }
            Err(e) => self.add(&spot.path, "unreadable", "a file", e),
        }
        self.xattrs(spot, entry, xattrs::of_file(&file).map_err(|e| spot.error(e)));
    }

    fn xattrs_by_name(&mut self, spot: &Spot<'_>, entry: &Entry) {
        let found = xattrs::of_name(spot.folder.as_fd(), &spot.name);
        self.xattrs(spot, entry, found.map_err(|e| spot.error(e)));
    }

    fn xattrs(&mut self, spot: &Spot<'_>, entry: &Entry, found: Result<Found>) {
        match found {
            Ok(found) => self.check(&spot.path, "xattrs", &entry.xattrs(), &found.kept),
            Err(e) => self.add(&spot.path, "unreadable", "extended attributes", e),
        }
    }
}
