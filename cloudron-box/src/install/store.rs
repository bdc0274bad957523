//! The backup store, if it is a folder of this machine.

use std::fs;
use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use cloudron_backup::is_of_repository;
use cloudron_backup::store::check_key;
use serde::Deserialize;

use super::{InstallRequest, RepositoryObject, give};
use crate::settings::Settings;
use crate::system::files;
use crate::system::owner::{Owner, as_user};
use crate::{Error, Layout, Result, codes};

/// The object that every repository has.
const DESCRIPTION: &str = "cloudron-backup.json";

/// Creates the folder, writes a new repository if it is empty, and transfers it to the server's user.
pub(super) fn prepare(
    layout: &Layout,
    settings: &Settings,
    request: &InstallRequest,
    owner: Option<Owner>,
) -> Result<()> {
    let Some(folder) = settings.store_folder() else { return Ok(()) };
    let is_new = !folder.exists();
    if is_new && (owner.is_none() || !folder.starts_with(layout.state())) {
        files::private_folder(&folder)?;
        put(&folder, &request.repository)?;
    }
    let Some(owner) = owner else { return fill(&folder, request) };
    // Root neither writes into an existing folder, which its user may have changed, nor creates one in the
    // state folder.
    if folder.exists() {
        only_a_store(&folder)?;
        give::tree(&folder, owner)?;
    }
    as_user(owner, || fill(&folder, request))
}

/// Writes a new repository into a folder without one. Refuses a different repository.
fn fill(folder: &Path, request: &InstallRequest) -> Result<()> {
    if !folder.exists() {
        files::private_folder(folder)?;
    }
    if !folder.join(DESCRIPTION).exists() {
        put(folder, &request.repository)?;
    }
    is_the_one(folder, request)
}

/// Refuses a repository that the keys do not belong to, since every backup would fail.
fn is_the_one(folder: &Path, request: &InstallRequest) -> Result<()> {
    #[derive(Deserialize)]
    struct Description {
        id: String,
    }
    let Some(wanted) = &request.repository_id else { return Ok(()) };
    let there: Option<Description> = files::read_json(&folder.join(DESCRIPTION))?;
    let holds = match there {
        Some(there) if there.id == *wanted => return Ok(()),
        Some(there) => format!("holds the repository {}", there.id),
        None => "holds no repository".to_owned(),
    };
    let text = format!("the folder {} of the backup store {holds}, not {wanted}", folder.display());
    Err(Error::new(&codes::STORE_OTHER, text))
}

/// Writes the objects, with the description last: a folder with a description is a repository.
fn put(folder: &Path, objects: &[RepositoryObject]) -> Result<()> {
    let (description, others): (Vec<_>, Vec<_>) = objects.iter().partition(|o| o.key == DESCRIPTION);
    for object in others.into_iter().chain(description) {
        check_key(&object.key)?;
        let content = STANDARD.decode(&object.base64).map_err(|_| {
            Error::new(&codes::INSTALL_REQUEST, format!("the object {} is not in base 64", object.key))
        })?;
        let path = folder.join(&object.key);
        if let Some(parent) = path.parent() {
            files::private_folder(parent)?;
        }
        files::write_private(&path, &content)?;
    }
    Ok(())
}

/// Returns true if a file or folder with this name can be part of a repository.
fn is_part(name: &str) -> bool {
    is_of_repository(name) || is_of_repository(&format!("{name}/"))
}

/// Removes the repository in a folder, and the folder if it is then empty. The description is removed last,
/// so that an interrupted removal can be repeated.
pub(super) fn remove(folder: &Path) -> Result<()> {
    let entries = match fs::read_dir(folder) {
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        entries => entries.map_err(|e| Error::io(folder, e))?,
    };
    for entry in entries {
        let entry = entry.map_err(|e| Error::io(folder, e))?;
        let name = entry.file_name();
        if name == DESCRIPTION || !is_part(&name.to_string_lossy()) {
            continue;
        }
        let is_folder = entry.file_type().map_err(|e| Error::io(entry.path(), e))?.is_dir();
        if is_folder { files::remove_folder(&entry.path())? } else { files::remove_file(&entry.path())? }
    }
    files::remove_file(&folder.join(DESCRIPTION))?;
    // Other files are kept, and so is then the folder.
    let _ = fs::remove_dir(folder);
    Ok(())
}

/// Checks that the folder contains nothing but a repository, since everything in it changes its owner.
fn only_a_store(folder: &Path) -> Result<()> {
    for entry in fs::read_dir(folder).map_err(|e| Error::io(folder, e))? {
        let name = entry.map_err(|e| Error::io(folder, e))?.file_name();
        let name = name.to_string_lossy();
        if !is_part(&name) && !name.starts_with('.') {
            let text =
                format!("the folder {} of the backup store holds something else: {name}", folder.display());
            return Err(
                Error::new(&codes::INSTALL_REQUEST, text).with_hint("give the store a folder of its own")
            );
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_that_holds_something_else_is_not_taken_over() {
        let home = tempfile::tempdir().unwrap();
        let object = |key: &str| RepositoryObject { key: key.into(), base64: STANDARD.encode("x") };
        put(home.path(), &[object(DESCRIPTION), object("keys/backup.age")]).unwrap();
        only_a_store(home.path()).unwrap();
        assert_eq!(fs::read(home.path().join("keys/backup.age")).unwrap(), b"x");
        fs::write(home.path().join("photo.jpg"), "").unwrap();
        assert!(only_a_store(home.path()).unwrap_err().is(&codes::INSTALL_REQUEST));
    }

    #[tokio::test]
    async fn a_repository_is_nothing_else() {
        let home = tempfile::tempdir().unwrap();
        let store = cloudron_backup::open_store(home.path().to_str().unwrap()).unwrap();
        let options = cloudron_backup::InitOptions { work_factor: Some(2) };
        let key = cloudron_core::Secret::new("a key for a test");
        let (repository, identity) = cloudron_backup::Repository::init(store, &key, options).await.unwrap();
        only_a_store(home.path()).unwrap();
        let folder = home.path().join("keys");
        let id =
            cloudron_core::BackupId::new(std::time::SystemTime::now(), &cloudron_core::Version::current());
        let request =
            cloudron_backup::BackupRequest::new(id, vec![cloudron_backup::Source::new("x", folder)]);
        let (progress, cancel) = (cloudron_core::Progress::none(), cloudron_core::Cancel::new());
        repository.backup(&identity.writer_keys(), request, &progress, &cancel).await.unwrap();
        only_a_store(home.path()).unwrap();
    }

    #[test]
    fn a_removal_leaves_what_is_not_of_the_repository() {
        let home = tempfile::tempdir().unwrap();
        let store = home.path().join("store");
        let object = |key: &str| RepositoryObject { key: key.into(), base64: STANDARD.encode("x") };
        let objects = ["keys/backup.age", "packs/aa/1.age", "snapshots/b.json", "RECOVER.md", DESCRIPTION];
        put(&store, &objects.map(object)).unwrap();
        fs::write(store.join("photo.jpg"), "mine").unwrap();
        remove(&store).unwrap();
        assert_eq!(fs::read_dir(&store).unwrap().count(), 1);
        fs::remove_file(store.join("photo.jpg")).unwrap();
        remove(&store).unwrap();
        assert!(!store.exists());
        remove(&store).unwrap();
    }

    #[test]
    fn an_object_cannot_leave_the_store() {
        let home = tempfile::tempdir().unwrap();
        let object = RepositoryObject { key: "../x".into(), base64: STANDARD.encode("x") };
        assert!(put(&home.path().join("s"), &[object]).is_err());
        assert!(!home.path().join("x").exists());
    }
}
