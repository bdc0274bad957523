//! The backup repository of a new machine: made, or the one that is restored from. A wrong key fails here,
//! before anything is created.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use cloudron_backup::{BackupStore, Identity, InitOptions, Repository, Summary, open_store};
use cloudron_box::install::RepositoryObject;
use cloudron_core::{Error, Result, Secret};

use super::common::Common;
use super::key;
use crate::codes;
use crate::output::Output;
use crate::secrets;

/// The repository, opened with its key.
pub(super) struct Prepared {
    pub identity: Identity,
    pub repository: Repository,
    /// The backup to put back, if one was asked for.
    pub restore: Option<Summary>,
    /// Whether this command made it.
    pub new: bool,
}

/// Where the repository is, and whose it is.
pub(super) struct Place {
    /// The store's address.
    pub url: String,
    /// Whether it is a folder that this program chose for this machine: an empty repository there is left over
    /// from a run that died, and nobody's.
    pub own: Option<PathBuf>,
}

/// The same address, with a relative path made absolute: the machine remembers it.
pub(super) fn absolute(url: &str) -> Result<String> {
    if url.is_empty() { Ok(String::new()) } else { cloudron_backup::store::absolute_url(url) }
}

/// Opens the repository, or makes it.
pub(super) async fn prepare(place: &Place, common: &Common, out: &Output) -> Result<Prepared> {
    let given = secrets::given_backup_key(common.backup_key.as_deref(), out)?;
    if let Some(key) = &given {
        cloudron_backup::keys::check_backup_key(key)?;
    }
    let store = open_store(&place.url)?;
    let found = match Repository::open(store.clone()).await {
        Err(e) if e.is(&cloudron_backup::codes::REPOSITORY_MISSING) => None,
        other => Some(other?),
    };
    match found {
        Some(repository) => existing(repository, given, place, common, out).await,
        None if common.backup.is_some() => Err(Error::new(
            &cloudron_backup::codes::REPOSITORY_MISSING,
            format!("there are no backups in {}", place.url),
        )
        .with_hint("say where they are with --store")),
        None => new(store, place, given, out).await,
    }
}

async fn existing(
    repository: Repository,
    given: Option<Secret>,
    place: &Place,
    common: &Common,
    out: &Output,
) -> Result<Prepared> {
    let list = repository.snapshots().await?;
    let empty = list.summaries.is_empty() && list.unreadable.is_empty();
    if given.is_none() && common.backup.is_none() && !common.resume {
        if let (true, Some(folder)) = (empty, &place.own) {
            remove(folder)?;
            return new(open_store(&place.url)?, place, None, out).await;
        }
        return Err(Error::new(&codes::STORE_IN_USE, format!("{} holds {} backups already", place.url, list.summaries.len()))
            .with_hint("add --backup latest to restore, or --backup-key to go on with that repository, or --store for another place"));
    }
    let key = match given {
        Some(key) => key,
        None => out.ask_secret("The backup key", "--backup-key")?,
    };
    let identity = repository.unlock(&key).await?;
    let restore = match &common.backup {
        Some(id) => Some(repository.find(id).await?),
        None => None,
    };
    Ok(Prepared { identity, repository, restore, new: false })
}

async fn new(
    store: Arc<dyn BackupStore>,
    place: &Place,
    given: Option<Secret>,
    out: &Output,
) -> Result<Prepared> {
    let key = given.unwrap_or_else(|| key::generate(out));
    if let Some(folder) = &place.own {
        if Repository::is_begun(&*store).await? {
            // Of a run that died before it had made a repository: this folder is the program's own.
            remove(&folder.join("keys"))?;
        }
        crate::state::private_dir(folder)?;
    }
    let (repository, identity) = Repository::init(store, &key, InitOptions::default()).await?;
    Ok(Prepared { identity, repository, restore: None, new: true })
}

/// The objects that make an empty repository, for the installer on the machine.
pub(super) async fn objects(repository: &Repository) -> Result<Vec<RepositoryObject>> {
    let store = repository.store();
    let mut objects = Vec::new();
    for object in store.list("").await? {
        let of_backups = ["packs/", "index/", "snapshots/"].iter().any(|p| object.key.starts_with(p));
        if !of_backups {
            let content = store.get(&object.key).await?;
            objects.push(RepositoryObject { key: object.key, base64: BASE64.encode(&content) });
        }
    }
    Ok(objects)
}

/// Removes the repository that a failed run made, unless there is a backup in it by now.
pub(super) async fn discard(place: &Place) -> Result<()> {
    let Some(folder) = &place.own else { return Ok(()) };
    let list = Repository::open(open_store(&place.url)?).await?.snapshots().await?;
    if list.summaries.is_empty() && list.unreadable.is_empty() { remove(folder) } else { Ok(()) }
}

/// Removes a folder that this program made for a repository.
pub(super) fn remove(folder: &Path) -> Result<()> {
    match std::fs::remove_dir_all(folder) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => Err(Error::io(folder, e)),
        _ => Ok(()),
    }
}
