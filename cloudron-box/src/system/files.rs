//! Files that only their owner may read.

use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::io::Read;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;

use rustix::fs::OFlags;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::{Error, Result, codes};

/// Maximum size of a JSON file, in bytes, far more than any that is written.
const LARGEST: u64 = 1024 * 1024;

/// Opens a file without following a link, and without blocking on other file types.
///
/// # Errors
/// `io` if it is not a regular file.
pub(crate) fn open_own(path: &Path, options: &mut OpenOptions) -> Result<File> {
    let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK;
    let file = options.mode(0o600).custom_flags(i32::try_from(flags.bits()).unwrap_or_default()).open(path);
    let file = file.map_err(|e| Error::io(path, e))?;
    if file.metadata().map_err(|e| Error::io(path, e))?.is_file() {
        return Ok(file);
    }
    Err(Error::new(&cloudron_core::codes::IO, format!("{} is not a file", path.display())))
}

/// Creates a folder and its parents; the folder itself gets mode 0700. Refuses a link to a folder.
pub(crate) fn private_folder(path: &Path) -> Result<()> {
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent).map_err(|e| Error::io(parent, e))?;
    }
    match DirBuilder::new().mode(0o700).create(path) {
        Err(e) if e.kind() != std::io::ErrorKind::AlreadyExists => return Err(Error::io(path, e)),
        _ => {}
    }
    let flags = i32::try_from((OFlags::DIRECTORY | OFlags::NOFOLLOW).bits()).unwrap_or_default();
    let folder = OpenOptions::new().read(true).custom_flags(flags).open(path);
    folder.and_then(|f| f.set_permissions(Permissions::from_mode(0o700))).map_err(|e| Error::io(path, e))
}

/// Writes a file of mode 0600 atomically.
pub(crate) fn write_private(path: &Path, content: &[u8]) -> Result<()> {
    cloudron_core::atomic::write(path, 0o600, content)
}

/// Writes a value as JSON, mode 0600.
pub(crate) fn write_json(path: &Path, value: &impl Serialize) -> Result<()> {
    let mut text = serde_json::to_vec_pretty(value).expect("our types serialize to JSON");
    text.push(b'\n');
    write_private(path, &text)
}

/// Reads a JSON file. Returns `None` if it does not exist.
pub(crate) fn read_json<T: DeserializeOwned>(path: &Path) -> Result<Option<T>> {
    match fs::symlink_metadata(path) {
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        _ => {}
    }
    let file = open_own(path, OpenOptions::new().read(true))?;
    let mut text = Vec::new();
    file.take(LARGEST).read_to_end(&mut text).map_err(|e| Error::io(path, e))?;
    // Only line and column of the error are shown: the file may contain a secret.
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

/// Removes a file if it exists.
pub(crate) fn remove_file(path: &Path) -> Result<()> {
    match fs::remove_file(path) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => Err(Error::io(path, e)),
        _ => Ok(()),
    }
}

/// Removes a folder with its content, if it exists.
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

    #[test]
    fn links_and_what_is_no_file_are_not_followed_or_waited_for() {
        let home = tempfile::tempdir().unwrap();
        let (victim, link) = (home.path().join("victim"), home.path().join("link"));
        fs::create_dir(&victim).unwrap();
        fs::set_permissions(&victim, Permissions::from_mode(0o755)).unwrap();
        std::os::unix::fs::symlink(&victim, &link).unwrap();
        assert!(private_folder(&link).is_err());
        assert_eq!(fs::metadata(&victim).unwrap().permissions().mode() & 0o777, 0o755);
        let (file, link) = (victim.join("file"), victim.join("link"));
        fs::write(&file, "[1]").unwrap();
        std::os::unix::fs::symlink(&file, &link).unwrap();
        assert!(read_json::<Vec<u8>>(&link).is_err());
        let fifo = home.path().join("fifo");
        rustix::fs::mknodat(rustix::fs::CWD, &fifo, rustix::fs::FileType::Fifo, 0o600.into(), 0).unwrap();
        assert!(read_json::<Vec<u8>>(&fifo).is_err());
    }
}
