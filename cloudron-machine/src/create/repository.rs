//! The backup repository of a new machine: made, or one that is there already. A wrong key fails here, before anything
//! is created, and so does a repository of an earlier server unless the options say what becomes of it.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use cloudron_api::install::RepositoryObject;
use cloudron_backup::{
    BackupStore, Identity, InitOptions, Repository, SnapshotFilter, Summary, WriterLimits,
    generate_backup_key, is_of_backups, open_store,
};
use cloudron_core::{Domain, Error, Result, Secret, codes as core_codes, random};
use serde::{Deserialize, Serialize};

use super::{Begun, CreateRequest, Creation};
use crate::ask::Question;
use crate::backups::{self, Earlier, Folder};
use crate::codes;
use crate::manager::Manager;
use crate::state_dir::private_dir;

/// The repository, opened with its key.
pub(super) struct Prepared {
    pub identity: Identity,
    pub repository: Repository,
    /// The backup to restore, if one was asked for.
    pub restore: Option<Summary>,
    pub origin: Origin,
    /// The backup key, when it was generated here.
    pub generated: Option<Secret>,
}

/// Where the repository of a machine comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Origin {
    /// This command made it.
    New,
    /// It was where the machine has its backups.
    There,
    /// It is copied to the machine.
    Copy,
}

/// What a run's journal remembers of the repository.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Remembered {
    pub id: String,
    pub origin: Origin,
    /// The store as the machine sees it.
    pub store: String,
    /// The options that say which repository it is, so that `--resume` needs not repeat them.
    #[serde(default)]
    pub options: Chosen,
}

/// The options that choose a repository and a backup of it.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct Chosen {
    pub backup: Option<String>,
    pub store: Option<String>,
}

/// Where the repository of a machine is or will be, as this computer sees it.
#[derive(Clone)]
pub(super) struct Place {
    /// Where the machine has its backups.
    pub folder: Folder,
    /// The same for people: the computer and the folder, or the bucket.
    pub shown: String,
    /// Whether this program chose it for this machine. A repository there in which nothing was ever stored is left over
    /// from a run that died or from a machine without backups.
    pub own: bool,
    /// Where a new repository is made first, when the machine's folder is out of reach.
    pub seed: Option<PathBuf>,
    /// With `--backup`, the repository that is restored from and copied to the machine.
    pub copy: Option<String>,
}

/// The key that was given, and the copy that it opened.
pub(super) struct Opening {
    given: Option<Secret>,
    copy: Option<Prepared>,
}

impl Prepared {
    /// Makes the server of a domain a writer of the repository, and gives what it needs for that, as text.
    pub(super) async fn writer_keys(&self, domain: &Domain) -> Result<Secret> {
        let name = format!("{domain}-{}", random::token(8));
        let limits = WriterLimits::of_domain(domain.as_str());
        let keys = self.repository.add_writer(&self.identity, &name, &limits).await?;
        serde_json::to_string(&keys)
            .map(Secret::new)
            .map_err(|e| Error::new(&core_codes::FAILED, format!("the writer keys are not JSON: {e}")))
    }

    /// The objects that make the repository on the machine, when it was made here.
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

/// The same address, with a relative path made absolute: the machine remembers it.
pub(super) fn absolute(url: &str) -> Result<String> {
    if url.is_empty() { Ok(String::new()) } else { cloudron_backup::store::absolute_url(url) }
}

impl Creation {
    /// Opens the copy to restore from with the key that was given. The machine is not touched.
    pub(super) async fn open_copy(&self) -> Result<Opening> {
        let given = self.request.backup_key.clone();
        if let Some(key) = &given {
            cloudron_backup::keys::check_backup_key(key)?;
        }
        let (Some(url), true) = (&self.repository.copy, self.request.backup.is_some()) else {
            return Ok(Opening { given, copy: None });
        };
        let Some(found) = backups::look(&open_store(url)?).await? else {
            return Err(no_backups(&format!("in {url}")));
        };
        let (identity, restore) = self.unlock(&found.repository, given.as_ref()).await?;
        let (repository, origin) = (found.repository, Origin::Copy);
        let copy = Prepared { identity, repository, restore, origin, generated: None };
        Ok(Opening { given, copy: Some(copy) })
    }

    /// Finds the repository of the machine, or makes it.
    pub(super) async fn prepare(&self, opening: Opening) -> Result<Prepared> {
        let place = &self.repository;
        if let Some(remembered) = self.begun.as_ref().and_then(|begun: &Begun| begun.repository.as_ref()) {
            return self.again(remembered, opening).await;
        }
        let store = place.folder.store()?;
        let mut there = backups::look(&store).await?;
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

    /// The repository of a run that is gone on with.
    async fn again(&self, remembered: &Remembered, opening: Opening) -> Result<Prepared> {
        let place = &self.repository;
        if let (Origin::Copy, Some(copy)) = (remembered.origin, opening.copy) {
            return Ok(copy);
        }
        // The machine has it once the server is installed, and then the one made here may be gone.
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

    /// A repository of an earlier server is restored from, or continued with its key. Otherwise nothing is done.
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

    /// Opens a repository with the key that was given, or asked for, and finds the backup to restore.
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

    /// Has the owner confirm the folders that a backup puts back beyond the server's own.
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

    /// Removes an earlier repository, as was asked for.
    async fn discard(&self, found: &Earlier) -> Result<()> {
        let (place, holds) = (&self.repository, found.holds());
        let question = Question::RemoveRepository { place: &place.shown, holds: &holds };
        if !self.manager.ask().confirm(&question)? {
            return Err(Error::new(&core_codes::INTERRUPTED, "nothing was removed"));
        }
        backups::remove(&place.folder).await
    }
}

/// The folders of a backup that nobody confirmed: the cause of a refusal.
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

/// The folders that a backup puts back beyond the server's own.
pub(super) fn beyond(summary: &Summary) -> Vec<PathBuf> {
    cloudron_api::restore::beyond(summary.sources.iter().map(|source| (&*source.name, &*source.path)))
}

impl Chosen {
    /// What a request chooses.
    pub(super) fn of(request: &CreateRequest) -> Result<Self> {
        let store = request.store.as_deref().map(absolute).transpose()?;
        Ok(Self { backup: request.backup.clone(), store })
    }
}

/// A copy goes to where nothing is, or to an older state of the same repository.
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
        // What is left of a run that died before it was recorded.
        remove(seed)?;
        private_dir(seed)?;
    }
    let store: Arc<dyn BackupStore> = match &place.seed {
        Some(seed) => open_store(&seed.to_string_lossy())?,
        None => place.folder.store()?,
    };
    if place.own && place.seed.is_none() {
        // Objects without a description are left of a run that died while it made a repository.
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

/// Removes the repository that a failed run made, unless something is stored in it by now.
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
