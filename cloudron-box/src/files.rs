//! Files that only their owner may read.

use std::fs::{self, DirBuilder, Permissions};
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::Path;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::{Error, Result, codes};

/// Makes a folder and those above it; the folder itself gets mode 0700.
pub(crate) fn private_folder(path: &Path) -> Result<()> {
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent).map_err(|e| Error::io(parent, e))?;
    }
    match DirBuilder::new().mode(0o700).create(path) {
        Err(e) if e.kind() != std::io::ErrorKind::AlreadyExists => return Err(Error::io(path, e)),
        _ => {}
    }
    fs::set_permissions(path, Permissions::from_mode(0o700)).map_err(|e| Error::io(path, e))
}

/// Writes a file of mode 0600 in one step.
pub(crate) fn write_private(path: &Path, content: &[u8]) -> Result<()> {
    cloudron_core::atomic::write(path, 0o600, content)
}

/// Writes a value as JSON, mode 0600.
pub(crate) fn write_json(path: &Path, value: &impl Serialize) -> Result<()> {
    let mut text = serde_json::to_vec_pretty(value).expect("our types serialize to JSON");
    text.push(b'\n');
    write_private(path, &text)
}

/// Reads a JSON file that may be missing.
pub(crate) fn read_json<T: DeserializeOwned>(path: &Path) -> Result<Option<T>> {
    let text = match fs::read(path) {
        Ok(text) => text,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(Error::io(path, e)),
    };
    // The reason is not quoted beyond line and column: the file may hold something secret.
    serde_json::from_slice(&text).map(Some).map_err(|e| {
        Error::new(
            &codes::CONFIG_CORRUPT,
            format!(
                "{} is not what the program wrote (line {}, column {})",
                path.display(),
                e.line(),
                e.column()
            ),
        )
    })
}

/// Removes a file that may be missing.
pub(crate) fn remove_file(path: &Path) -> Result<()> {
    match fs::remove_file(path) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => Err(Error::io(path, e)),
        _ => Ok(()),
    }
}

/// Removes a folder with all it holds, which may be missing.
pub(crate) fn remove_folder(path: &Path) -> Result<()> {
    match fs::remove_dir_all(path) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => Err(Error::io(path, e)),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_readable_by_its_owner_only_and_leaves_nothing_beside() {
        let home = tempfile::tempdir().unwrap();
        let folder = home.path().join("a");
        private_folder(&folder).unwrap();
        let file = folder.join("x.json");
        write_json(&file, &[1, 2]).unwrap();
        write_json(&file, &[3]).unwrap();
        assert_eq!(read_json::<Vec<u8>>(&file).unwrap(), Some(vec![3]));
        assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::metadata(&folder).unwrap().permissions().mode() & 0o777, 0o700);
        assert_eq!(fs::read_dir(&folder).unwrap().count(), 1);
    }

    #[test]
    fn a_damaged_file_is_named_and_not_quoted() {
        let home = tempfile::tempdir().unwrap();
        let file = home.path().join("x.json");
        fs::write(&file, "{\"canary").unwrap();
        let error = read_json::<Vec<u8>>(&file).unwrap_err();
        assert!(error.is(&codes::CONFIG_CORRUPT) && !error.to_string().contains("canary"), "{error}");
    }
}
