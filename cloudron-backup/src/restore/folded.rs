//! Detects file systems that ignore the case of names: `A` and `a` are the same there.

use std::ffi::OsStr;
use std::fs::File;
use std::os::unix::ffi::OsStrExt;

use rustix::fs::{AtFlags, Dir, statat};

/// Checks whether the entry found under this name has another name in the folder.
pub(super) fn is_of_another_name(folder: &File, name: &OsStr) -> bool {
    let bytes = name.as_bytes();
    if bytes == b"." {
        return false;
    }
    // Usually there is no entry of the other case, which is cheaper to check than reading the folder. Inodes
    // are no criterion: some file systems use a different one for each spelling of a name.
    let other = other_case(bytes);
    if other == bytes || !is_there(folder, &other) {
        return false;
    }
    let Ok(entries) = Dir::read_from(folder) else { return false };
    !entries.flatten().any(|entry| entry.file_name().to_bytes() == bytes)
}

/// Returns the name with the case of its letters swapped. A name without letters does not change.
fn other_case(name: &[u8]) -> Vec<u8> {
    let swap = |c: char| -> String {
        if c.is_uppercase() { c.to_lowercase().collect() } else { c.to_uppercase().collect() }
    };
    let text = name.utf8_chunks().flat_map(|chunk| {
        let valid = chunk.valid().chars().map(swap).collect::<String>().into_bytes();
        valid.into_iter().chain(chunk.invalid().iter().copied()).collect::<Vec<u8>>()
    });
    text.collect()
}

fn is_there(folder: &File, name: &[u8]) -> bool {
    statat(folder, name, AtFlags::SYMLINK_NOFOLLOW).is_ok()
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
