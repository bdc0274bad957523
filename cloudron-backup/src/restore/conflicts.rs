//! Finds what a restore would overwrite, before anything is written.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use cloudron_core::{Error, Result, Unit};
use rustix::fs::FileType;

use super::Restore;
use super::file::{digest, file_type};
use super::target::Places;
use super::tree::{Spot, Tree};
use crate::codes;
use crate::files::meta::Meta;
use crate::format::manifest::{Entry, Kind};
use crate::runtime::Stop;
use crate::snapshot::{Backup, Session};

/// The maximum number of conflicts named.
const NAMED: usize = 5;

/// Targets for the content of files that are not requested themselves, while another name of them is: from
/// the file's path to that name.
pub(super) type Substitutes = HashMap<PathBuf, PathBuf>;

/// Facts about the requested part of a backup.
#[derive(Debug, Default)]
pub(super) struct Asked {
    pub(super) substitutes: Substitutes,
    /// The folders above it.
    pub(super) parents: Vec<Entry>,
}

/// Finds the substitutes and the parent folders, and checks that every requested path exists in the backup.
pub(super) fn asked(backup: &Backup, places: &Places, stop: &Stop) -> Result<Asked> {
    let mut found = Asked::default();
    if places.only().is_empty() {
        return Ok(found);
    }
    let mut met = vec![false; places.only().len()];
    let mut entries = backup.entries()?;
    while let Some(entry) = entries.next()? {
        stop.check()?;
        let path = entry.path();
        for (only, met) in places.only().iter().zip(&mut met) {
            *met |= path.starts_with(only);
        }
        let target = || entry.target_path();
        if entry.kind == Kind::Hardlink && places.wants(&path) && !places.wants(&target()) {
            found.substitutes.entry(target()).or_insert(path);
        } else if entry.kind == Kind::Dir && places.is_above(&path) {
            found.parents.push(entry);
        }
    }
    match places.only().iter().zip(met).find(|(_, met)| !met) {
        None => Ok(found),
        Some((path, _)) => {
            let text = format!("{} is not in the backup {}", path.display(), backup.summary.id);
            Err(Error::new(&codes::PATH_UNKNOWN, text).with_detail("path", path.display().to_string()))
        }
    }
}

/// The expected work of a restore.
#[derive(Debug, Default)]
pub(super) struct Ahead {
    /// The total size of the requested files, in bytes.
    pub(super) bytes: u64,
    /// True if any of them exists already, in any state.
    pub(super) files_there: bool,
}

/// Checks that no existing file that differs would be replaced without permission.
pub(super) fn check(restore: &Restore<'_>) -> Result<Ahead> {
    let Restore { session: Session { progress, stop, .. }, request, backup, places } = *restore;
    let mut ahead = Ahead::default();
    let task =
        progress.task("Looking at what is there", Unit::Items, Some(backup.summary.entries.values().sum()));
    let (mut tree, mut targets) = (Tree::new(places), Tree::new(places));
    let (mut named, mut count) = (Vec::new(), 0u64);
    let mut entries = backup.entries()?;
    while let Some(entry) = entries.next()? {
        stop.check()?;
        task.advance(1);
        let path = entry.path();
        // A path that leads out of the target, or through a link, is refused when it is written.
        let Some(place) = Some(&path).filter(|p| places.wants(p)).and_then(|p| places.of(p).ok()) else {
            continue;
        };
        ahead.bytes += entry.size;
        let Ok(Some(spot)) = tree.spot(&place) else { continue };
        let (there, overwrite) = (spot.meta(), request.overwrite);
        let why = there.and_then(|meta| match meta {
            None => Ok(None),
            Some(meta) => {
                ahead.files_there |= entry.kind == Kind::File;
                conflict(&entry, &spot, &meta, overwrite, places, &mut targets)
            }
        });
        // Unreadable files are reported when they are restored, and the others are restored.
        let why = match why {
            Err(e) if e.is(&cloudron_core::codes::PERMISSION) => None,
            looked => looked?,
        };
        if let Some(why) = why {
            count += 1;
            if named.len() < NAMED {
                named.push(format!("{} ({why})", spot.path.display()));
            }
        }
    }
    task.finish();
    if count == 0 {
        return Ok(ahead);
    }
    let more =
        if count > NAMED as u64 { format!(" and {} more", count - NAMED as u64) } else { String::new() };
    let text = format!("existing files differ from the backup: {}{more}", named.join(", "));
    let error = Error::new(&codes::RESTORE_CONFLICT, text);
    Err(match request.overwrite {
        true => error.with_hint("restore to another folder, or move these files away"),
        false => error.with_detail("kept", count.to_string()),
    })
}

/// Returns why an entry cannot replace what exists in its place, or `None` if it can.
fn conflict(
    entry: &Entry,
    spot: &Spot<'_>,
    meta: &Meta,
    overwrite: bool,
    places: &Places,
    targets: &mut Tree<'_>,
) -> Result<Option<&'static str>> {
    let is_folder = meta.kind == FileType::Directory;
    if is_folder != (entry.kind == Kind::Dir) {
        // A whole folder is never removed for a file.
        return Ok((is_folder || !overwrite).then_some(if is_folder { "a folder" } else { "not a folder" }));
    }
    if is_folder || overwrite {
        return Ok(None);
    }
    let same = match entry.kind {
        Kind::File => is_same_file(entry, spot, meta)?,
        Kind::Symlink => meta.kind == FileType::Symlink && link_target(spot)? == entry.target(),
        Kind::Hardlink => is_same_as_target(&entry.target_path(), spot, meta, places, targets)?,
        Kind::Fifo => meta.kind == FileType::Fifo,
        Kind::Block | Kind::Char => Some(meta.kind) == file_type(entry.kind) && meta.rdev == entry.rdev,
        Kind::Dir | Kind::End => true,
    };
    Ok((!same).then_some("differs"))
}

/// Checks whether a file has the content of its entry.
pub(super) fn is_same_file(entry: &Entry, spot: &Spot<'_>, meta: &Meta) -> Result<bool> {
    if meta.kind != FileType::RegularFile || meta.size != entry.size {
        return Ok(false);
    }
    Ok(Some(digest(&spot.open()?).map_err(|e| spot.error(e))?) == entry.sha256)
}

pub(super) fn link_target(spot: &Spot<'_>) -> Result<Vec<u8>> {
    let target = rustix::fs::readlinkat(spot.folder, &spot.name, Vec::new()).map_err(|e| spot.error(e))?;
    Ok(target.into_bytes())
}

/// Checks whether another name has the content of the first one, which is checked itself.
fn is_same_as_target(
    target: &Path,
    spot: &Spot<'_>,
    meta: &Meta,
    places: &Places,
    targets: &mut Tree<'_>,
) -> Result<bool> {
    let Ok(place) = places.of(target) else { return Ok(false) };
    let Ok(Some(other)) = targets.spot(&place) else { return Ok(false) };
    let Some(first) = other.meta()? else { return Ok(false) };
    if (first.dev, first.ino) == (meta.dev, meta.ino) {
        return Ok(true);
    }
    if (first.kind, first.size) != (meta.kind, meta.size) || meta.kind != FileType::RegularFile {
        return Ok(false);
    }
    let hash = |spot: &Spot<'_>| digest(&spot.open()?).map_err(|e| spot.error(e));
    Ok(hash(spot)? == hash(&other)?)
}
