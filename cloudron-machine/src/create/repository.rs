//! The backup repository of a new machine: a new one or an existing one. A wrong key fails here, before
//! anything is created, and so does the repository of an earlier server unless the options say what to do
//! with it.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use cloudron_api::Layout;
use cloudron_api::install::RepositoryObject;
use cloudron_backup::{
    BackupStore, Identity, InitOptions, Repository, SnapshotFilter, Summary, WriterLimits,
    generate_backup_key, is_of_backups, open_store,
};
use cloudron_core::{Domain, Error, Result, Secret, codes as core_codes, random};
use serde::{Deserialize, Serialize};

use super::{Begun, CreateRequest, Creation};
use crate::ask::Question;
use crate::backups::{self, Earlier, Folder, folder_of};
use crate::codes;
use crate::manager::Manager;
use crate::state_dir::private_dir;

/// A repository opened with its key.
pub(super) struct Prepared {
    pub identity: Identity,
    pub repository: Repository,
    /// The backup to restore, if requested.
    pub restore: Option<Summary>,
    pub origin: Origin,
    /// The backup key, if it was generated here.
    pub generated: Option<Secret>,
}

/// Origin of a machine's repository.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Origin {
    /// Made by this command.
    New,
    /// Existed in the machine's backup folder.
    There,
    /// Copied to the machine.
    Copy,
}

/// The repository as recorded in a run's journal.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Remembered {
    pub id: String,
    pub origin: Origin,
    /// The store as seen from the machine.
    pub store: String,
    /// The options that choose the repository, so that they need not be repeated with `--resume`.
    #[serde(default)]
    pub options: Chosen,
}

/// The options that choose a repository and a backup in it.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct Chosen {
    pub backup: Option<String>,
    pub store: Option<String>,
}

/// The present or future location of a machine's repository, as seen from this computer.
#[derive(Clone)]
pub(super) struct Place {
    /// The machine's backup folder or bucket.
    pub folder: Folder,
    /// The location for display: the computer and the folder, or the bucket.
    pub shown: String,
    /// True if this program chose the folder for this machine. A repository in it without any backup is then
    /// a leftover from an interrupted run or from a machine without backups.
    pub own: bool,
    /// True if the machine is not made yet, so that its folder is empty.
    pub fresh: bool,
    /// The folder in which a new repository is made first, if the machine's folder cannot be reached.
    pub seed: Option<PathBuf>,
    /// With `--backup`, the repository to restore from and to copy to the machine.
    pub copy: Option<String>,
}

/// The given key, and the copy opened with it.
pub(super) struct Opening {
    given: Option<Secret>,
    copy: Option<Prepared>,
}

impl Prepared {
    /// Adds the server of a domain as a writer of the repository. Returns the writer's keys as JSON text.
    pub(super) async fn writer_keys(&self, domain: &Domain) -> Result<Secret> {
        let name = format!("{domain}-{}", random::token(8));
        let limits = WriterLimits::of_domain(domain.as_str());
        let keys = self.repository.add_writer(&self.identity, &name, &limits).await?;
        serde_json::to_string(&keys)
            .map(Secret::new)
            .map_err(|e| Error::new(&core_codes::FAILED, format!("the writer keys are not JSON: {e}")))
    }

    /// Returns the objects that create the repository on the machine, if it was made on this computer.
    pub(super) async fn objects(&self, place: &Place) -> Result<Vec<RepositoryObject>> {
        let mut objects = Vec::new();
        if place.seed.is_none() || self.origin == Origin::There {
            return Ok(objects);
        }
        let store = self.repository.store();
        for object in store.list("").await? {
            if !is_of_backups(&object.key) {
                let content = store.get(&object.key).await?;
                objects.push(RepositoryObject { key: object.key, base64: BASE64.encode(&content) });
            }
        }
        Ok(objects)
    }
}

/// Returns the address with a relative path made absolute, since the machine stores it.
pub(super) fn absolute(url: &str) -> Result<String> {
    if url.is_empty() { Ok(String::new()) } else { cloudron_backup::store::absolute_url(url) }
}

/// Returns the store of a machine that is reached over SSH, and the repository that is copied to it.
///
/// # Errors
/// `usage` for a folder of this computer that nothing is restored from.
pub(super) fn of_machine(request: &CreateRequest) -> Result<(String, Option<String>)> {
    let on_machine = format!("file://{}", Layout::system().default_store().display());
    match &request.store {
        Some(url) if folder_of(url).is_none() => Ok((url.clone(), None)),
        Some(url) if request.backup.is_some() => Ok((on_machine, Some(absolute(url)?))),
        Some(url) => {
            let text =
                format!("{url} is a folder of this computer, which the server cannot use for its backups");
            Err(Error::new(&core_codes::USAGE, text))
        }
        None => Ok((on_machine, None)),
    }
}

impl Creation {
    /// Opens the copy to restore from with the given key. Does not touch the machine.
    pub(super) async fn open_copy(&self) -> Result<Opening> {
        let given = self.request.backup_key.clone();
        if let Some(key) = &given {
            cloudron_backup::keys::check_backup_key(key)?;
        }
        let (Some(url), true) = (&self.repository.copy, self.request.backup.is_some()) else {
            return Ok(Opening { given, copy: None });
        };
        let Some(found) = backups::look(&self.manager.open_store(url)?).await? else {
            return Err(no_backups(&format!("in {url}")));
        };
        let (identity, restore) = self.unlock(&found.repository, given.as_ref()).await?;
        let (repository, origin) = (found.repository, Origin::Copy);
        let copy = Prepared { identity, repository, restore, origin, generated: None };
        Ok(Opening { given, copy: Some(copy) })
    }

    /// Finds the machine's repository, or makes it.
    pub(super) async fn prepare(&self, opening: Opening) -> Result<Prepared> {
        let place = &self.repository;
        if let Some(remembered) = self.begun.as_ref().and_then(|begun: &Begun| begun.repository.as_ref()) {
            return self.again(remembered, opening).await;
        }
        let store = place.folder.store()?;
        let mut there = if place.fresh { None } else { backups::look(&store).await? };
        if let (true, Some(found)) = (self.request.discard_backups, &there) {
            self.discard(found).await?;
            there = None;
        }
        match (opening.copy, there) {
            (Some(copy), there) => beside(place, copy, there).await,
            (None, None) if self.request.backup.is_some() => Err(no_backups(&place.shown)),
            (None, None) => new(place, opening.given, &self.manager).await,
            (None, Some(found)) => self.existing(found, opening.given).await,
        }
    }

    /// Returns the repository of a run that is resumed.
    async fn again(&self, remembered: &Remembered, opening: Opening) -> Result<Prepared> {
        let place = &self.repository;
        if let (Origin::Copy, Some(copy)) = (remembered.origin, opening.copy) {
            return Ok(copy);
        }
        // Once the server is installed, the repository is on the machine and the one made here may have been
        // removed.
        let seed = place.seed.as_ref().filter(|seed| remembered.origin == Origin::New && seed.is_dir());
        let store = seed.map_or_else(|| place.folder.store(), |seed| open_store(&seed.to_string_lossy()))?;
        let found = backups::look(&store).await?.filter(|found| found.repository.id() == remembered.id);
        let Some(found) = found else {
            let text = format!("the repository of the run that was cut off is not {} any more", place.shown);
            return Err(Error::new(&cloudron_backup::codes::REPOSITORY_MISSING, text));
        };
        let (identity, restore) = self.unlock(&found.repository, opening.given.as_ref()).await?;
        let (repository, origin) = (found.repository, remembered.origin);
        Ok(Prepared { identity, repository, restore, origin, generated: None })
    }

    /// Opens the repository of an earlier server, to restore from it or to continue it. Refuses to continue it
    /// without its key. Replaces an unused one that was made for this machine, unless the given key opens it.
    async fn existing(&self, found: Earlier, given: Option<Secret>) -> Result<Prepared> {
        let (place, origin) = (&self.repository, Origin::There);
        let is_new = self.request.backup.is_none();
        if is_new && found.unused && place.own {
            if let Some(key) = &given
                && let Ok(identity) = found.repository.unlock(key).await
            {
                let repository = found.repository;
                return Ok(Prepared { identity, repository, restore: None, origin, generated: None });
            }
            backups::remove(&place.folder).await?;
            return new(place, given, &self.manager).await;
        }
        if is_new && given.is_none() {
            return Err(occupied(place, &found));
        }
        let opened = self.unlock(&found.repository, given.as_ref()).await;
        let (identity, restore) =
            opened.map_err(|e| match e.is(&cloudron_backup::codes::BACKUP_KEY_WRONG) {
                true => Error::new(
                    e.code(),
                    format!("{}; the backup key does not open it", earlier(place, &found)),
                ),
                false => e,
            })?;
        if restore.is_none() && found.backups > 0 {
            let text = format!("Continuing in the repository {} ({}).", place.shown, found.holds());
            self.manager.progress().note(text);
        }
        Ok(Prepared { identity, repository: found.repository, restore, origin, generated: None })
    }

    /// Opens a repository with the given key, or asks for the key, and finds the backup to restore.
    async fn unlock(
        &self,
        repository: &Repository,
        given: Option<&Secret>,
    ) -> Result<(Identity, Option<Summary>)> {
        let identity = match given {
            Some(key) => repository.unlock(key).await?,
            None => repository.unlock(&self.manager.ask().backup_key()?).await?,
        };
        let Some(id) = &self.request.backup else { return Ok((identity, None)) };
        let progress = self.manager.progress();
        let summary =
            backups::find(repository, id, &SnapshotFilter::all(), |text| progress.warn(text)).await?;
        self.confirm_beyond(&summary)?;
        Ok((identity, Some(summary)))
    }

    /// Asks the user to confirm the folders that a backup restores outside the server's own.
    fn confirm_beyond(&self, summary: &Summary) -> Result<()> {
        let included = self.request.includes.iter().map(|include| &include.path);
        let named: Vec<PathBuf> = self
            .request
            .restore_paths
            .iter()
            .chain(included)
            .map(|path| path.components().collect())
            .collect();
        let open: Vec<PathBuf> = beyond(summary).into_iter().filter(|path| !named.contains(path)).collect();
        if open.is_empty() {
            return Ok(());
        }
        if let Ok(true) = self.manager.ask().confirm(&Question::RestoreFolders(&open)) {
            return Ok(());
        }
        let shown: Vec<String> = open.iter().map(|path| path.display().to_string()).collect();
        let text = format!("the backup also restores {}, which was not confirmed", shown.join(", "));
        Err(Error::new(&cloudron_api::codes::RESTORE_UNCONFIRMED, text).with_source(Unconfirmed(open)))
    }

    /// Removes an earlier repository, as requested.
    async fn discard(&self, found: &Earlier) -> Result<()> {
        let (place, holds) = (&self.repository, found.holds());
        let question = Question::RemoveRepository { place: &place.shown, holds: &holds };
        if !self.manager.ask().confirm(&question)? {
            return Err(Error::new(&core_codes::INTERRUPTED, "nothing was removed"));
        }
        backups::remove(&place.folder).await
    }
}

/// Folders of a backup that were not confirmed, as the source of an error.
#[derive(Debug)]
pub struct Unconfirmed(
    /// The folders.
    pub Vec<PathBuf>,
);

impl std::fmt::Display for Unconfirmed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("which was not confirmed")
    }
}

impl std::error::Error for Unconfirmed {}

/// Returns the folders that a backup restores outside the server's own.
pub(super) fn beyond(summary: &Summary) -> Vec<PathBuf> {
    cloudron_api::restore::beyond(summary.sources.iter().map(|source| (&*source.name, &*source.path)))
}

impl Chosen {
    /// Returns the choices of a request.
    pub(super) fn of(request: &CreateRequest) -> Result<Self> {
        let store = request.store.as_deref().map(absolute).transpose()?;
        Ok(Self { backup: request.backup.clone(), store })
    }
}

/// Checks that the target of a copy is empty or an older state of the same repository.
async fn beside(place: &Place, copy: Prepared, there: Option<Earlier>) -> Result<Prepared> {
    match there {
        Some(found) if found.repository.id() != copy.repository.id() => {
            if !(found.unused && place.own) {
                return Err(occupied(place, &found));
            }
            backups::remove(&place.folder).await?;
        }
        _ => {}
    }
    Ok(copy)
}

async fn new(place: &Place, given: Option<Secret>, manager: &Manager) -> Result<Prepared> {
    let (key, generated) = match given {
        Some(key) => (key, None),
        None => {
            let key = generate_backup_key();
            (key.clone(), Some(key))
        }
    };
    if let Some(seed) = &place.seed {
        // Left over from a run that died before it was recorded.
        remove(seed)?;
        private_dir(seed)?;
    }
    let store: Arc<dyn BackupStore> = match &place.seed {
        Some(seed) => open_store(&seed.to_string_lossy())?,
        None => place.folder.store()?,
    };
    if place.own && place.seed.is_none() {
        // Objects without a description are left over from a run that died while making a repository.
        let keys = store.list("").await?;
        if !keys.iter().any(|o| is_of_backups(&o.key)) {
            backups::remove(&place.folder).await?;
        }
        if let Folder::Near(folder) = &place.folder {
            private_dir(folder)?;
        }
    }
    let (repository, identity) = Repository::init(store, &key, InitOptions::default()).await?;
    if let Some(key) = &generated {
        manager.ask().backup_key_generated(key);
    }
    Ok(Prepared { identity, repository, restore: None, origin: Origin::New, generated })
}

fn earlier(place: &Place, found: &Earlier) -> String {
    format!("there is a repository of an earlier server {}: {}", place.shown, found.holds())
}

fn occupied(place: &Place, found: &Earlier) -> Error {
    Error::new(&codes::STORE_IN_USE, earlier(place, found))
}

fn no_backups(place: &str) -> Error {
    Error::new(&cloudron_backup::codes::REPOSITORY_MISSING, format!("there are no backups {place}"))
}

/// Removes the repository that a failed run made, unless something is stored in it.
pub(super) async fn remove_made(place: &Place, id: &str) -> Result<()> {
    match &place.seed {
        Some(seed) => remove(seed),
        None => backups::remove_unused(&place.folder, id).await.map(drop),
    }
}

/// Removes a folder that this program made for a repository.
pub(super) fn remove(folder: &Path) -> Result<()> {
    match std::fs::remove_dir_all(folder) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => Err(Error::io(folder, e)),
        _ => Ok(()),
    }
}
