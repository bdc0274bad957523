//! Properties of files that a backup does not keep: reported once for each kind, with the first file that has it.

use std::collections::BTreeMap;

use cloudron_core::Progress;
use rustix::fs::{IFlags, ioctl_getflags};

use super::entries::show;

/// File flags, as set by `chattr`, with its letters.
const FLAGS: [(IFlags, char); 8] = [
    (IFlags::IMMUTABLE, 'i'),
    (IFlags::APPEND, 'a'),
    (IFlags::NODUMP, 'd'),
    (IFlags::NOATIME, 'A'),
    (IFlags::NOCOW, 'C'),
    (IFlags::COMPRESSED, 'c'),
    (IFlags::SYNC, 'S'),
    (IFlags::DIRSYNC, 'D'),
];

/// The properties found, by name: the number of files with it, and the first of them.
#[derive(Debug, Default)]
pub(super) struct Unkept(BTreeMap<String, (u64, Vec<u8>)>);

impl Unkept {
    fn add(&mut self, what: String, path: &[u8]) {
        self.0.entry(what).or_insert_with(|| (0, path.to_vec())).0 += 1;
    }

    /// Adds extended attributes of a kind that is not kept.
    pub(super) fn attributes(&mut self, names: &[String], path: &[u8]) {
        for name in names {
            self.add(format!("the attribute {name:?}"), path);
        }
    }

    /// Adds the flags of an open file or folder.
    pub(super) fn flags(&mut self, file: &std::fs::File, path: &[u8]) {
        // Most file systems have none, and return an error.
        let Ok(flags) = ioctl_getflags(file) else { return };
        for (flag, letter) in FLAGS {
            if flags.contains(flag) {
                self.add(format!("the flag {letter} (chattr)"), path);
            }
        }
    }

    /// Reports what is not kept.
    pub(super) fn report(&self, progress: &Progress) {
        for (what, (count, first)) in &self.0 {
            let more = if *count > 1 { format!(" and {} more", count - 1) } else { String::new() };
            progress.note(format!("{what} is not kept in a backup: {}{more}", show(first)));
        }
    }
}
