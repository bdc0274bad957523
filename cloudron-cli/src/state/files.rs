//! Files that only this user may read.

use std::fs::File;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use cloudron_core::{Error, Result};

use crate::codes;

/// Writes a new file of mode 0600.
///
/// # Errors
/// `output-exists` when there is one.
pub(crate) fn private_file(path: &Path, content: &[u8]) -> Result<()> {
    let mut file =
        File::options().write(true).create_new(true).mode(0o600).open(path).map_err(|e| match e.kind() {
            std::io::ErrorKind::AlreadyExists => {
                Error::new(&codes::OUTPUT_EXISTS, format!("{} exists already", path.display()))
                    .with_hint("choose another name, or move the file away")
            }
            _ => Error::io(path, e),
        })?;
    file.write_all(content).and_then(|()| file.sync_all()).map_err(|e| {
        // A part of it would stand in the way of the next try.
        let _ = std::fs::remove_file(path);
        Error::io(path, e)
    })
}
