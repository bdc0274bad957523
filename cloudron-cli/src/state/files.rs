//! Files that only this user may read.

use std::fs::File;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use cloudron_core::{Error, Result};

use crate::codes;

/// Writes a file of mode 0600 through a temporary one, so that a reader sees the old or the new content.
pub(super) fn replace(path: &Path, content: &[u8]) -> std::io::Result<()> {
    let temporary = path.with_extension(format!("tmp{}", std::process::id()));
    let mut file = File::options().write(true).create(true).truncate(true).mode(0o600).open(&temporary)?;
    let written = file.write_all(content).and_then(|()| file.sync_all());
    let moved = written.and_then(|()| std::fs::rename(&temporary, path));
    if moved.is_err() {
        // The temporary file is of no use to anybody; the first error is what matters.
        let _ = std::fs::remove_file(&temporary);
    }
    moved?;
    path.parent().map_or(Ok(()), |folder| File::open(folder)?.sync_all())
}

/// Writes a new file of mode 0600.
///
/// # Errors
/// `output-exists` when there is one.
pub(crate) fn private_file(path: &Path, content: &[u8]) -> Result<()> {
    let mut file =
        File::options().write(true).create_new(true).mode(0o600).open(path).map_err(|e| match e.kind() {
            std::io::ErrorKind::AlreadyExists => {
                Error::new(&codes::OUTPUT_EXISTS, format!("{} exists already", path.display()))
            }
            _ => Error::io(path, e),
        })?;
    file.write_all(content).and_then(|()| file.sync_all()).map_err(|e| Error::io(path, e))
}
