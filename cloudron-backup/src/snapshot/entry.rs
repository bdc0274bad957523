//! A file of a backup in a listing.

use std::fmt;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use cloudron_core::human;
use serde::{Serialize, Serializer};

use crate::format::manifest::{Entry, Kind};

/// The kind of an entry of a backup.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum FileKind {
    /// A regular file.
    File,
    /// A folder.
    Dir,
    /// A symbolic link.
    Symlink,
    /// A further name of a file that is in the backup under another name.
    Hardlink,
    /// A named pipe.
    Fifo,
    /// A block device.
    Block,
    /// A character device.
    Char,
}

/// A file, folder or other entry of a backup.
///
/// In JSON a path that is not UTF-8 appears twice: readable in `path`, exact and in base64 in `path64`. The
/// same applies to `target`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct FileEntry {
    /// The kind.
    pub kind: FileKind,
    /// The absolute path.
    #[serde(serialize_with = "readable")]
    pub path: PathBuf,
    /// The path in base64, if it is not UTF-8.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path64: Option<String>,
    /// The low twelve bits of the mode.
    pub mode: u32,
    /// The numeric id of the owner.
    pub uid: u32,
    /// The numeric id of the group.
    pub gid: u32,
    /// The name of the owner, if the machine knew it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// The name of the group, if the machine knew it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// Time of the last modification, or the nearest one that can be represented.
    pub mtime: jiff::Timestamp,
    /// The size of a regular file in bytes, else 0.
    pub size: u64,
    /// The target of a symbolic link, or the first name of a hard link.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "readable_option")]
    pub target: Option<PathBuf>,
    /// The target in base64, if it is not UTF-8.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target64: Option<String>,
    /// The SHA-256 of the content of a regular file, in hex.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sha256: Option<String>,
}

/// Writes a line much as `ls -l` does.
impl fmt::Display for FileEntry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let owner = self.user.clone().unwrap_or_else(|| self.uid.to_string());
        let group = self.group.clone().unwrap_or_else(|| self.gid.to_string());
        let size = if self.kind == FileKind::File { human::bytes(self.size) } else { String::new() };
        let target = match (&self.target, self.kind) {
            (Some(target), FileKind::Symlink) => format!(" -> {}", target.display()),
            (Some(target), _) => format!(" = {}", target.display()),
            (None, _) => String::new(),
        };
        let time = self.mtime.strftime("%Y-%m-%d %H:%M");
        write!(
            f,
            "{} {owner:8} {group:8} {size:>10} {time} {}{target}",
            self.mode_letters(),
            self.path.display()
        )
    }
}

impl FileEntry {
    /// Returns the type and the mode as letters, as `ls -l` does: `-rw-r-----`.
    #[must_use]
    pub fn mode_letters(&self) -> String {
        let kind = match self.kind {
            FileKind::Dir => 'd',
            FileKind::Symlink => 'l',
            FileKind::Hardlink => 'h',
            FileKind::Fifo => 'p',
            FileKind::Block => 'b',
            FileKind::Char => 'c',
            FileKind::File => '-',
        };
        let bit = |shift: u32, letter: char| if self.mode >> shift & 1 == 1 { letter } else { '-' };
        // What runs with the rights of its owner or group, and folders where only owners delete.
        let special =
            |execute: u32, special: u32, letter: char| match (bit(execute, 'x'), bit(special, letter)) {
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
}

fn readable<S: Serializer>(path: &Path, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&path.to_string_lossy())
}

fn readable_option<S: Serializer>(path: &Option<PathBuf>, serializer: S) -> Result<S::Ok, S::Error> {
    path.as_ref().map(|p| p.to_string_lossy()).serialize(serializer)
}

fn exact(path: &Path) -> Option<String> {
    path.to_str().is_none().then(|| BASE64.encode(path.as_os_str().as_bytes()))
}

impl From<&Entry> for FileEntry {
    fn from(entry: &Entry) -> Self {
        let path = entry.path();
        let target = matches!(entry.kind, Kind::Symlink | Kind::Hardlink).then(|| entry.target_path());
        Self {
            kind: entry.kind.into(),
            path64: exact(&path),
            path,
            mode: entry.mode,
            uid: entry.uid,
            gid: entry.gid,
            user: entry.user.clone(),
            group: entry.group.clone(),
            mtime: timestamp(entry.mtime),
            size: entry.size,
            target64: target.as_deref().and_then(exact),
            target,
            sha256: entry.sha256.map(|hash| hex::encode(hash.0)),
        }
    }
}

impl From<Kind> for FileKind {
    fn from(kind: Kind) -> Self {
        match kind {
            // The last line is no entry, and the reader does not return it.
            Kind::File | Kind::End => Self::File,
            Kind::Dir => Self::Dir,
            Kind::Symlink => Self::Symlink,
            Kind::Hardlink => Self::Hardlink,
            Kind::Fifo => Self::Fifo,
            Kind::Block => Self::Block,
            Kind::Char => Self::Char,
        }
    }
}

/// Converts seconds, which may be negative, and additional nanoseconds.
fn timestamp((seconds, nanos): (i64, u32)) -> jiff::Timestamp {
    let nearest = if seconds < 0 { jiff::Timestamp::MIN } else { jiff::Timestamp::MAX };
    let whole = jiff::Timestamp::from_second(seconds);
    whole.and_then(|t| t.checked_add(jiff::SignedDuration::from_nanos(i64::from(nanos)))).unwrap_or(nearest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_of_any_age_can_be_shown() {
        assert_eq!(timestamp((0, 5)).to_string(), "1970-01-01T00:00:00.000000005Z");
        assert_eq!(timestamp((-1, 500_000_000)).to_string(), "1969-12-31T23:59:59.5Z");
        assert_eq!(timestamp((i64::MAX, 0)), jiff::Timestamp::MAX);
        assert_eq!(timestamp((i64::MIN, 0)), jiff::Timestamp::MIN);
    }

    #[test]
    fn a_name_of_any_bytes_becomes_json() {
        let mut entry = Entry::new(Kind::Symlink, b"/a/\xff");
        entry.set_target(b"\xfe");
        let json = serde_json::to_value(FileEntry::from(&entry)).unwrap();
        assert_eq!(json["path"], "/a/\u{fffd}");
        assert_eq!(json["path64"], "L2Ev/w==");
        assert_eq!(json["target64"], "/g==");
        let plain = serde_json::to_value(FileEntry::from(&Entry::new(Kind::File, b"/a"))).unwrap();
        assert_eq!((plain.get("path64"), plain.get("target"), &plain["kind"]), (None, None, &"file".into()));
    }
}
