//! How files of backups are shown.

use cloudron_backup::{FileEntry, FileKind};

use crate::output::bytes;

/// A line for a file, much as `ls -l` has it.
pub(super) fn line(entry: &FileEntry) -> String {
    let owner = entry.user.clone().unwrap_or_else(|| entry.uid.to_string());
    let group = entry.group.clone().unwrap_or_else(|| entry.gid.to_string());
    let size = if entry.kind == FileKind::File { bytes(entry.size) } else { String::new() };
    let target = match (&entry.target, entry.kind) {
        (Some(target), FileKind::Symlink) => format!(" -> {}", target.display()),
        (Some(target), _) => format!(" = {}", target.display()),
        (None, _) => String::new(),
    };
    let time = entry.mtime.strftime("%Y-%m-%d %H:%M");
    format!("{} {owner:8} {group:8} {size:>10} {time} {}{target}", entry.mode_letters(), entry.path.display())
}
