//! Detects file systems that ignore the case of names: `A` and `a` are the same there.

use std::ffi::OsStr;
use std::fs::File;
use std::os::unix::ffi::OsStrExt;

use rustix::fs::{AtFlags, Dir, statat};

/// Checks whether the entry found under this name has another name in the folder.
pub(super) fn is_of_another_name(folder: &File, name: &OsStr) -> bool {
    let list = || {
        let entries = Dir::read_from(folder).ok()?;
        Some(entries.flatten().map(|entry| entry.file_name().to_bytes().to_vec()).collect())
    };
    is_folded(name.as_bytes(), |name| is_there(folder, name), list)
}

/// Checks whether a folder that finds an entry under this name lists it under another one.
fn is_folded(
    name: &[u8],
    is_there: impl Fn(&[u8]) -> bool,
    list: impl FnOnce() -> Option<Vec<Vec<u8>>>,
) -> bool {
    if name == b"." {
        return false;
    }
    // Usually there is no entry of the other case, which is cheaper to check than reading the folder. Inodes
    // are no criterion: some file systems use a different one for each spelling of a name.
    let other = other_case(name);
    other != name && is_there(&other) && list().is_some_and(|names| names.iter().all(|n| n != name))
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

    /// A folder that ignores case, as those of exFAT.
    #[test]
    fn a_name_that_a_file_system_takes_for_another_one_is_not_its_own() {
        let lower = |name: &[u8]| String::from_utf8_lossy(name).to_lowercase();
        let names = ["A", "b", "\u{c9}t\u{e9}"].map(|name| name.as_bytes().to_vec());
        let is_there = |name: &[u8]| names.iter().any(|n| lower(n) == lower(name));
        let folded = |name: &str| is_folded(name.as_bytes(), is_there, || Some(names.to_vec()));
        for other in ["a", "B", "\u{e9}T\u{c9}", "\u{c9}T\u{c9}"] {
            assert!(folded(other), "{other}");
        }
        for own in ["A", "b", "\u{c9}t\u{e9}", "c", ".", "1"] {
            assert!(!folded(own), "{own}");
        }
        assert!(!is_folded(b"a", is_there, || None), "a folder that cannot be listed says nothing");
    }

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
