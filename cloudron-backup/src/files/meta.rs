//! File metadata.

use rustix::fs::{FileType, Stat};

/// The metadata of a file that shows changes, or that a backup keeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Meta {
    pub(crate) kind: FileType,
    /// Permissions with set-user-id, set-group-id and sticky: the low twelve bits.
    pub(crate) mode: u32,
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    pub(crate) size: u64,
    /// Seconds and nanoseconds.
    pub(crate) mtime: (i64, u32),
    pub(crate) ctime: (i64, u32),
    pub(crate) ino: u64,
    pub(crate) dev: u64,
    pub(crate) nlink: u64,
    /// Major and minor.
    pub(crate) rdev: (u32, u32),
    /// True if it has fewer blocks than its size needs.
    pub(crate) sparse: bool,
}

impl Meta {
    /// Checks that a file is unchanged: no write or change of metadata happened.
    pub(crate) fn same_content(&self, other: &Self) -> bool {
        (self.kind, self.size, self.mtime, self.ctime, self.ino)
            == (other.kind, other.size, other.mtime, other.ctime, other.ino)
    }
}

#[allow(clippy::unnecessary_cast, reason = "the fields' types differ between platforms")]
impl From<Stat> for Meta {
    fn from(s: Stat) -> Self {
        let size = u64::try_from(s.st_size).unwrap_or(0);
        Self {
            kind: FileType::from_raw_mode(s.st_mode),
            mode: (s.st_mode & 0o7777) as u32,
            uid: s.st_uid,
            gid: s.st_gid,
            size,
            mtime: (s.st_mtime as i64, s.st_mtime_nsec as u32),
            ctime: (s.st_ctime as i64, s.st_ctime_nsec as u32),
            ino: s.st_ino as u64,
            dev: s.st_dev as u64,
            nlink: s.st_nlink as u64,
            rdev: (rustix::fs::major(s.st_rdev), rustix::fs::minor(s.st_rdev)),
            sparse: (s.st_blocks as u64).saturating_mul(512) < size,
        }
    }
}
