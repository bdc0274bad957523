//! Extended attributes, including access control lists.

use std::ffi::OsStr;
use std::fs::File;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::path::PathBuf;

use xattr::FileExt;

/// Names and values.
pub(crate) type Xattrs = Vec<(String, Vec<u8>)>;

/// The attributes of a file.
#[derive(Debug, Default)]
pub(crate) struct Found {
    /// The attributes that a backup keeps, sorted.
    pub(crate) kept: Xattrs,
    /// The names of the others, as text.
    pub(crate) others: Vec<String>,
}

/// Checks whether a backup keeps an attribute. Labels of security modules are set by each machine itself.
pub(crate) fn is_kept(name: &str) -> bool {
    name.starts_with("user.")
        || name.starts_with("trusted.")
        || name == "security.capability"
        || name == "system.posix_acl_access"
        || name == "system.posix_acl_default"
}

fn collect(
    names: std::io::Result<xattr::XAttrs>,
    get: impl Fn(&OsStr) -> std::io::Result<Option<Vec<u8>>>,
) -> std::io::Result<Found> {
    let names = match names {
        Ok(names) => names,
        // The file system has none.
        Err(e) if e.kind() == std::io::ErrorKind::Unsupported => return Ok(Found::default()),
        Err(e) => return Err(e),
    };
    let mut found = Found::default();
    for name in names {
        match name.to_str() {
            Some(text) if is_kept(text) => {
                if let Some(value) = get(&name)? {
                    found.kept.push((text.to_owned(), value));
                }
            }
            _ => found.others.push(name.to_string_lossy().into_owned()),
        }
    }
    found.kept.sort();
    Ok(found)
}

/// Returns the attributes of an open file or folder.
pub(crate) fn of_file(file: &File) -> std::io::Result<Found> {
    collect(file.list_xattr(), |name| file.get_xattr(name))
}

/// Returns the attributes of an entry that is not opened, such as a symbolic link, in an open folder.
pub(crate) fn of_name(folder: BorrowedFd<'_>, name: &OsStr) -> std::io::Result<Found> {
    let path = by_folder(folder, name);
    collect(xattr::list(&path), |attribute| xattr::get(&path, attribute))
}

/// Sets the attributes of an open file or folder, and removes others.
pub(crate) fn set_on_file(file: &File, wanted: &[(String, Vec<u8>)]) -> std::io::Result<()> {
    let present = of_file(file)?.kept;
    for name in surplus(&present, wanted) {
        file.remove_xattr(name)?;
    }
    each(wanted.iter().filter(|w| !present.contains(w)), |name, value| file.set_xattr(name, value))
}

/// Sets the attributes of an entry that is not opened. A new one may have inherited some.
pub(crate) fn set_on_name(
    folder: BorrowedFd<'_>,
    name: &OsStr,
    wanted: &[(String, Vec<u8>)],
) -> std::io::Result<()> {
    let path = by_folder(folder, name);
    let present = of_name(folder, name)?.kept;
    for name in surplus(&present, wanted) {
        xattr::remove(&path, name)?;
    }
    each(wanted.iter().filter(|w| !present.contains(w)), |attribute, value| {
        xattr::set(&path, attribute, value)
    })
}

/// Returns the names of existing attributes that are not wanted.
fn surplus<'p>(present: &'p Xattrs, wanted: &[(String, Vec<u8>)]) -> impl Iterator<Item = &'p str> {
    present.iter().map(|(name, _)| name.as_str()).filter(|name| !wanted.iter().any(|(w, _)| w == name))
}

/// Tries to set all of them, and returns the first error.
fn each<'a>(
    wanted: impl Iterator<Item = &'a (String, Vec<u8>)>,
    set: impl Fn(&str, &[u8]) -> std::io::Result<()>,
) -> std::io::Result<()> {
    let mut result = Ok(());
    for (name, value) in wanted {
        if let Err(e) = set(name, value) {
            let named = std::io::Error::new(e.kind(), format!("{name}: {e}"));
            result = result.and(Err(named));
        }
    }
    result
}

/// Returns a path through the open folder, which stays valid if the original path changes.
fn by_folder(folder: BorrowedFd<'_>, name: &OsStr) -> PathBuf {
    let mut path = PathBuf::from(format!("/proc/self/fd/{}", folder.as_raw_fd()));
    path.push(name);
    path
}
