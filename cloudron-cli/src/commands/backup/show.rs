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
    format!("{} {owner:8} {group:8} {size:>10} {time} {}{target}", mode(entry), entry.path.display())
}

/// The type and the mode as letters.
fn mode(entry: &FileEntry) -> String {
    let kind = match entry.kind {
        FileKind::Dir => 'd',
        FileKind::Symlink => 'l',
        FileKind::Hardlink => 'h',
        FileKind::Fifo => 'p',
        FileKind::Block => 'b',
        FileKind::Char => 'c',
        _ => '-',
    };
    let bit = |shift: u32, letter: char| if entry.mode >> shift & 1 == 1 { letter } else { '-' };
    // What runs with the rights of its owner or group, and folders where only owners delete.
    let special = |execute: u32, special: u32, letter: char| match (bit(execute, 'x'), bit(special, letter)) {
        (x, '-') => x,
        ('-', s) => s.to_ascii_uppercase(),
        (_, s) => s,
    };
    let letters = [
        kind,
        bit(8, 'r'),
        bit(7, 'w'),
        special(6, 11, 's'),
        bit(5, 'r'),
        bit(4, 'w'),
        special(3, 10, 's'),
        bit(2, 'r'),
        bit(1, 'w'),
        special(0, 9, 't'),
    ];
    letters.iter().collect()
}
