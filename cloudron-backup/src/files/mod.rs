//! Local files and folders: metadata, and reading them safely against manipulation.

pub(crate) mod exclude;
pub(crate) mod meta;
pub(crate) mod owners;
pub(crate) mod sparse;
pub(crate) mod temporary;
pub(crate) mod xattrs;

use std::fs::DirBuilder;
use std::io::Write;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Component, Path, PathBuf};

use cloudron_core::{Error, Result};

/// The number of bytes written per call. For several megabytes at once, some versions of Linux allocate large
/// blocks of memory, which costs several times as much as the copying.
pub(crate) const PIECE: usize = 128 << 10;

/// Creates a folder of mode 0700, and its parents.
pub(crate) fn private_folder(folder: &Path) -> Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(|e| Error::io(folder, e))
}

/// Writes a file of mode 0600 through a temporary file, and creates its folder. Nothing is synced: this is
/// for caches, which may be lost.
pub(crate) fn private_write(file: &Path, content: &[u8]) -> Result<()> {
    let folder = file.parent().unwrap_or(Path::new("/"));
    private_folder(folder)?;
    let (temporary, mut out) = temporary::create(folder).map_err(|e| Error::io(folder, e))?;
    let written = out.write_all(content).and_then(|()| std::fs::rename(&temporary, file));
    written.map_err(|e| {
        let _ = std::fs::remove_file(&temporary);
        Error::io(file, e)
    })
}

/// Makes a path of this computer absolute and free of `..`. Its last name stays as it is, also when it is that of a link.
///
/// # Errors
/// Those of looking where `..` leads, and of finding the current folder.
pub fn absolute_path(path: &Path) -> Result<PathBuf> {
    let absolute = std::path::absolute(path).map_err(|e| Error::io(path, e))?;
    if !absolute.components().any(|part| part == Component::ParentDir) {
        return Ok(absolute);
    }
    // Where `..` leads, only the disk knows: what is before it may be a link.
    let (folder, name) = match (absolute.parent(), absolute.file_name()) {
        (Some(parent), Some(name)) => (parent, Some(name)),
        _ => (absolute.as_path(), None),
    };
    let folder = std::fs::canonicalize(folder).map_err(|e| Error::io(path, e))?;
    Ok(name.map_or_else(|| folder.clone(), |name| folder.join(name)))
}

/// Returns the bytes of a path.
pub(crate) fn path_bytes(path: &Path) -> &[u8] {
    std::os::unix::ffi::OsStrExt::as_bytes(path.as_os_str())
}
