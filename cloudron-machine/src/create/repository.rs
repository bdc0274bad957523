//! The backup repository of a new machine: made, or one that is there already. A wrong key fails here, before anything
//! is created, and so does a repository of an earlier server unless the options say what becomes of it.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use cloudron_backup::{
    BackupStore, Identity, InitOptions, Repository, SnapshotFilter, Summary, WriterLimits,
    generate_backup_key, is_of_backups, open_store,
};
use cloudron_box::install::RepositoryObject;
use cloudron_core::{Domain, Error, Result, Secret, codes as core_codes, random};
use serde::{Deserialize, Serialize};

use super::common::Common;
use super::key;
use super::run::Begun;
use crate::backups::{self, Earlier, Folder};
use crate::codes;
use crate::commands::backup::find;
use crate::output::Output;
use crate::secrets;

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

/// Reads the key that was given, and opens the copy to restore from with it. The machine is not touched.
pub(super) async fn open_copy(place: &Place, common: &Common, out: &Output) -> Result<Opening> {
    let given = secrets::given_backup_key(common.backup_key.as_deref(), out)?;
    if let Some(key) = &given {
        cloudron_backup::keys::check_backup_key(key)?;
    }
    let (Some(url), true) = (&place.copy, common.backup.is_some()) else {
        return Ok(Opening { given, copy: None });
    };
    let Some(found) = backups::look(&open_store(url)?).await? else {
        return Err(no_backups(&format!("in {url}")));
    };
    let (identity, restore) = unlock(&found.repository, given.as_ref(), common, out).await?;
    let copy =
        Prepared { identity, repository: found.repository, restore, origin: Origin::Copy, generated: None };
    Ok(Opening { given, copy: Some(copy) })
}

/// Finds the repository of the machine, or makes it.
pub(super) async fn prepare(
    place: &Place,
    common: &Common,
    begun: Option<&Begun>,
    opening: Opening,
    out: &Output,
) -> Result<Prepared> {
    if let Some(remembered) = begun.and_then(|begun| begun.repository.as_ref()) {
        return again(place, common, remembered, opening, out).await;
    }
    let store = place.folder.store()?;
    let mut there = backups::look(&store).await?;
    if let (true, Some(found)) = (common.discard_backups, &there) {
        discard(place, found, out).await?;
        there = None;
    }
    match (opening.copy, there) {
        (Some(copy), there) => beside(place, copy, there).await,
        (None, None) if common.backup.is_some() => Err(no_backups(&place.shown)),
        (None, None) => new(place, opening.given, out).await,
        (None, Some(found)) => existing(place, common, found, opening.given, out).await,
    }
}

/// The repository of a run that is resumed.
async fn again(
    place: &Place,
    common: &Common,
    remembered: &Remembered,
    opening: Opening,
    out: &Output,
) -> Result<Prepared> {
    if let (Origin::Copy, Some(copy)) = (remembered.origin, opening.copy) {
        return Ok(copy);
    }
    // The machine has it once the server is installed, and then the one made here may be gone.
    let seed = place.seed.as_ref().filter(|seed| remembered.origin == Origin::New && seed.is_dir());
    let store = seed.map_or_else(|| place.folder.store(), |seed| open_store(&seed.to_string_lossy()))?;
    let found = backups::look(&store).await?.filter(|found| found.repository.id() == remembered.id);
    let Some(found) = found else {
        let text = format!("the repository of the run that was cut off is not {} any more", place.shown);
        return Err(Error::new(&cloudron_backup::codes::REPOSITORY_MISSING, text).with_hint(format!(
            "`cloudron machine destroy {}` removes what the run made",
            common.domain()?
        )));
    };
    let (identity, restore) = unlock(&found.repository, opening.given.as_ref(), common, out).await?;
    Ok(Prepared {
        identity,
        repository: found.repository,
        restore,
        origin: remembered.origin,
        generated: None,
    })
}

/// A copy goes to where nothing is, or to an older state of the same repository.
async fn beside(place: &Place, copy: Prepared, there: Option<Earlier>) -> Result<Prepared> {
    match there {
        Some(found) if found.repository.id() != copy.repository.id() => {
            if !(found.unused && place.own) {
                return Err(occupied(place, &found).with_hint(
                    "add `--discard-backups` to remove it with all its backups, or use another machine",
                ));
            }
            backups::remove(&place.folder).await?;
        }
        _ => {}
    }
    Ok(copy)
}

/// A repository of an earlier server is restored from, or continued with its key. Otherwise nothing is done.
async fn existing(
    place: &Place,
    common: &Common,
    found: Earlier,
    given: Option<Secret>,
    out: &Output,
) -> Result<Prepared> {
    if common.backup.is_none() && found.unused && place.own {
        if let Some(key) = &given
            && let Ok(identity) = found.repository.unlock(key).await
        {
            return Ok(Prepared {
                identity,
                repository: found.repository,
                restore: None,
                origin: Origin::There,
                generated: None,
            });
        }
        backups::remove(&place.folder).await?;
        return new(place, given, out).await;
    }
    if common.backup.is_none() && given.is_none() {
        return Err(occupied(place, &found).with_hint(
            "add `--backup latest` to restore that server, or `--backup-key SECRET` with its key to continue in the same \
             repository, or `--discard-backups` to remove it with all its backups",
        ));
    }
    let opened = unlock(&found.repository, given.as_ref(), common, out).await;
    let (identity, restore) = opened.map_err(|e| match e.is(&cloudron_backup::codes::BACKUP_KEY_WRONG) {
        true => Error::new(e.code(), format!("{}; the backup key does not open it", earlier(place, &found)))
            .with_hint("give the key of that repository, or add `--discard-backups` to remove it with all its backups"),
        false => e,
    })?;
    if restore.is_none() && found.backups > 0 {
        out.say(&format!("Continuing in the repository {} ({}).", place.shown, found.holds()));
    }
    Ok(Prepared { identity, repository: found.repository, restore, origin: Origin::There, generated: None })
}

/// Opens a repository with the key that was given, or asked for, and finds the backup to restore.
async fn unlock(
    repository: &Repository,
    given: Option<&Secret>,
    common: &Common,
    out: &Output,
) -> Result<(Identity, Option<Summary>)> {
    let identity = match given {
        Some(key) => repository.unlock(key).await?,
        None => repository.unlock(&out.ask_secret("The backup key", "--backup-key")?).await?,
    };
    let restore = match &common.backup {
        Some(id) => {
            let summary = find(repository, id, &SnapshotFilter::all(), out).await?;
            common.confirm_beyond(&summary, out)?;
            Some(summary)
        }
        None => None,
    };
    Ok((identity, restore))
}

async fn new(place: &Place, given: Option<Secret>, out: &Output) -> Result<Prepared> {
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
        crate::state::private_dir(seed)?;
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
            crate::state::private_dir(folder)?;
        }
    }
    let (repository, identity) = Repository::init(store, &key, InitOptions::default()).await?;
    if let Some(key) = &generated {
        key::show(key, out);
    }
    Ok(Prepared { identity, repository, restore: None, origin: Origin::New, generated })
}

/// Removes an earlier repository, as was asked for.
async fn discard(place: &Place, found: &Earlier, out: &Output) -> Result<()> {
    let question = format!("Remove the repository {} with ALL ITS BACKUPS ({})?", place.shown, found.holds());
    if !out.confirm(&question)? {
        return Err(Error::new(&core_codes::INTERRUPTED, "nothing was removed"));
    }
    backups::remove(&place.folder).await
}

fn earlier(place: &Place, found: &Earlier) -> String {
    format!("there is a repository of an earlier server {}: {}", place.shown, found.holds())
}

fn occupied(place: &Place, found: &Earlier) -> Error {
    Error::new(&codes::STORE_IN_USE, earlier(place, found))
}

fn no_backups(place: &str) -> Error {
    Error::new(&cloudron_backup::codes::REPOSITORY_MISSING, format!("there are no backups {place}"))
        .with_hint(
            "name the repository to restore from with --store, or leave `--backup` out to make a new server",
        )
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
