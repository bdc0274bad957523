//! File systems that do not tell all names apart: `A` and `a`, or two ways to write `é`.

use std::ffi::OsStr;
use std::fs::File;
use std::os::unix::ffi::OsStrExt;

use rustix::fs::{AtFlags, Dir, statat};

/// Whether what is found in a folder under this name has another name there.
pub(super) fn is_of_another_name(folder: &File, name: &OsStr) -> bool {
    let bytes = name.as_bytes();
    if bytes == b"." {
        return false;
    }
    // Nearly always the other case tells, which costs less than to read the folder.
    let swapped: Vec<u8> = bytes
        .iter()
        .map(|b| if b.is_ascii_uppercase() { b.to_ascii_lowercase() } else { b.to_ascii_uppercase() })
        .collect();
    if bytes.is_ascii() && (swapped == bytes || !is_same(folder, bytes, &swapped)) {
        return false;
    }
    let Ok(entries) = Dir::read_from(folder) else { return false };
    !entries.flatten().any(|entry| entry.file_name().to_bytes() == bytes)
}

fn is_same(folder: &File, a: &[u8], b: &[u8]) -> bool {
    let stat = |name: &[u8]| statat(folder, name, AtFlags::SYMLINK_NOFOLLOW).map(|s| (s.st_dev, s.st_ino));
    matches!((stat(a), stat(b)), (Ok(a), Ok(b)) if a == b)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_a_file_system_tells_apart_are_their_own() {
        let dir = tempfile::tempdir().unwrap();
        for name in ["A", "B", "1", "é", "E\u{301}"] {
            std::fs::write(dir.path().join(name), name).unwrap();
        }
        std::fs::hard_link(dir.path().join("A"), dir.path().join("a")).unwrap();
        let folder = File::open(dir.path()).unwrap();
        for name in ["A", "a", "B", "1", "é", "E\u{301}", "."] {
            assert!(!is_of_another_name(&folder, OsStr::new(name)), "{name}");
        }
    }
}
