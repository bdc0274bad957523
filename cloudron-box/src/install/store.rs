//! The backup store, when it is a folder of this machine.

use std::fs;
use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use cloudron_backup::store::check_key;

use super::{InstallRequest, RepositoryObject, give};
use crate::identity::{Owner, as_user};
use crate::machine::Settings;
use crate::{Error, Layout, Result, codes, files};

/// The object that every repository has.
const DESCRIPTION: &str = "cloudron-backup.json";

/// Makes the folder, puts a new repository into an empty one, and gives it to the server's user.
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
    // Root writes nothing into a folder that its user may have had before, and makes none in the state.
    if folder.exists() {
        only_a_store(&folder)?;
        give::tree(&folder, owner)?;
    }
    if folder.join(DESCRIPTION).exists() { Ok(()) } else { as_user(owner, || fill(&folder, request)) }
}

/// Puts a new repository into a folder that holds none.
fn fill(folder: &Path, request: &InstallRequest) -> Result<()> {
    if !folder.exists() {
        files::private_folder(folder)?;
    }
    if folder.join(DESCRIPTION).exists() { Ok(()) } else { put(folder, &request.repository) }
}

/// Writes the objects, the description last: a folder that has it is a repository.
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

/// Everything in the folder changes its owner, so it must hold nothing but a repository.
fn only_a_store(folder: &Path) -> Result<()> {
    let files = [DESCRIPTION, "RECOVER.md", "recover.py", "recover.sh"];
    let folders = [
        "keys",
        "packs",
        "index",
        "snapshots",
        "locks",
        "condemned",
        "forgotten",
        "writers",
        "revoked",
        "copies",
    ];
    let known = [&files[..], &folders].concat();
    for entry in fs::read_dir(folder).map_err(|e| Error::io(folder, e))? {
        let name = entry.map_err(|e| Error::io(folder, e))?.file_name();
        let name = name.to_string_lossy();
        if !known.contains(&name.as_ref()) && !name.starts_with('.') {
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
    fn an_object_cannot_leave_the_store() {
        let home = tempfile::tempdir().unwrap();
        let object = RepositoryObject { key: "../x".into(), base64: STANDARD.encode("x") };
        assert!(put(&home.path().join("s"), &[object]).is_err());
        assert!(!home.path().join("x").exists());
    }
}
