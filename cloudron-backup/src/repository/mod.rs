//! The repository: its layout and operations.

mod browse;
mod candidates;
mod copy;
mod create;
mod inspect;
mod keys;
mod list;
mod maintenance;
mod plan;
mod session;
mod streams;
pub mod whole;
mod writers;

use std::sync::Arc;

use cloudron_core::{BackupId, Cancel, Error, Progress, Result, ResultExt, Secret};

pub use copy::CopyTarget;
pub use create::InitOptions;
pub use inspect::Inspection;
pub use keys::{KeyInfo, KeyKind, PaperKey};
pub use writers::{KeepOfRevoked, RevokeReport, WriterInfo};

pub use crate::backup::plan::{BackupPlan, PlannedFile};
pub use crate::backup::{BackupRequest, Source};
pub use crate::browse::{Change, ChangeKind, DiffReport, DiffRequest, FindReport, Found, ListReport};
pub use crate::copy::{CopyReport, TransferReport};
pub use crate::format::summary::{ManifestRef, Origin, SourceRef, Summary};
pub use crate::restore::{
    CompareReport, Difference, Failure, Relocation, RestoreReport, RestoreRequest, RestoreTo,
};
pub use crate::snapshot::{FileEntry, FileKind, Skipped, SnapshotFilter, SnapshotList, UnreadableSummary};
pub use crate::verify::{Problem, VerifyDepth, VerifyReport};

use crate::backup::BackupRun;
use crate::encrypt::EncryptionLayer;
use crate::format::config::{self, Config};
use crate::format::traces;
use crate::keys::{Identity, WriterKeys};
use crate::store::requirements::check_rules;
use crate::store::{BackupStore, get_at_most};
use crate::{codes, layout};

/// A repository of backups in a store.
#[derive(Debug, Clone)]
pub struct Repository {
    store: Arc<dyn BackupStore>,
    config: Arc<Config>,
    /// The folder that records the backups seen, and caches their summaries.
    cache_dir: Option<std::path::PathBuf>,
    /// The reason why the description was read from its second copy.
    problem: Option<String>,
}

/// Returns the second copy of the description, if it is sound.
async fn second_description(store: &Arc<dyn BackupStore>) -> Result<Option<Config>> {
    match get_at_most(&**store, &crate::layout::copy_of(layout::CONFIG), layout::MOST_JSON).await {
        Ok(content) if Config::check_signature(&content, None).is_ok() => Ok(Config::parse(&content).ok()),
        Ok(_) => Ok(None),
        Err(e) if e.is(&codes::OBJECT_CORRUPT) => Ok(None),
        Err(e) if e.is(&codes::OBJECT_MISSING) => Ok(None),
        Err(e) => Err(e),
    }
}

impl Repository {
    /// Creates a repository in a store and wraps its identity with the backup key. No existing key or backup
    /// is deleted or overwritten. A second call with the same backup key completes an interrupted one.
    ///
    /// `repository-exists`; `repository-lost` when there are objects of a repository whose description is
    /// missing; `backup-key-weak`; errors of the store.
    pub async fn init(
        store: Arc<dyn BackupStore>,
        backup_key: &Secret,
        options: InitOptions,
    ) -> Result<(Self, Identity)> {
        Self::create(store, backup_key, options, None).await
    }

    /// Creates a repository with another encryption than plain age: see [`EncryptionLayer`].
    ///
    /// # Errors
    /// As [`init`](Self::init).
    pub async fn init_with_layer(
        store: Arc<dyn BackupStore>,
        backup_key: &Secret,
        options: InitOptions,
        layer: Arc<dyn EncryptionLayer>,
    ) -> Result<(Self, Identity)> {
        Self::create(store, backup_key, options, Some(layer)).await
    }

    async fn create(
        store: Arc<dyn BackupStore>,
        backup_key: &Secret,
        options: InitOptions,
        layer: Option<Arc<dyn EncryptionLayer>>,
    ) -> Result<(Self, Identity)> {
        let (config, identity) = create::init(&store, backup_key, &options, layer)
            .await
            .doing(|| format!("making a backup repository in {}", store.url()))?;
        Ok((Self { store, config: Arc::new(config), cache_dir: None, problem: None }, identity))
    }

    /// Opens a repository without any key, which is enough to list, to make backups and to check objects.
    ///
    /// # Errors
    /// `repository-missing`, `repository-lost`, `repository-corrupt`, `repository-newer`; `repository-layer`
    /// when it is not plain age; errors of the store.
    pub async fn open(store: Arc<dyn BackupStore>) -> Result<Self> {
        Self::load(store, None).await
    }

    /// Opens a repository whose objects are encrypted in another way: see [`EncryptionLayer`].
    ///
    /// # Errors
    /// As [`open`](Self::open); `repository-layer` when it was created with another layer.
    pub async fn open_with_layer(
        store: Arc<dyn BackupStore>,
        layer: Arc<dyn EncryptionLayer>,
    ) -> Result<Self> {
        Self::load(store, Some(layer)).await
    }

    async fn load(store: Arc<dyn BackupStore>, layer: Option<Arc<dyn EncryptionLayer>>) -> Result<Self> {
        let content = match store.get_range(layout::CONFIG, 0..layout::MOST_JSON + 1).await {
            Ok(content) if content.len() as u64 > layout::MOST_JSON => {
                let text = format!("{} is larger than any description", layout::CONFIG);
                Err(Error::new(&codes::REPOSITORY_CORRUPT, text))
            }
            Ok(content) => Ok(content),
            Err(e) if e.is(&codes::OBJECT_MISSING) => Err(Self::missing(&*store).await?),
            Err(e) => return Err(e),
        };
        let parsed = content.and_then(|content| {
            let config = Config::parse(&content)?;
            Config::check_signature(&content, None).map(|()| config)
        });
        let (config, problem) = match parsed {
            // The description from before the upgrade may have been put back.
            Ok(config) if config.version == config::FIRST => match second_description(&store).await? {
                Some(later) if later.version != config::FIRST && later.id == config.id => {
                    (later, Some("it is of an earlier format than the repository".to_owned()))
                }
                _ => (config, None),
            },
            Ok(config) => (config, None),
            // A newer program uses this repository.
            Err(e) if e.is(&codes::REPOSITORY_NEWER) => {
                return Err(e).doing(|| format!("opening {}", store.url()));
            }
            Err(e) => match second_description(&store).await? {
                Some(config) => (config, Some(e.to_string())),
                None => return Err(e).doing(|| format!("opening {}", store.url())),
            },
        };
        let config = config.with_layer(layer).doing(|| format!("opening {}", store.url()))?;
        Ok(Self { store, config: Arc::new(config), cache_dir: None, problem })
    }

    /// Returns why the description was read from its second copy, or `None` if it was not.
    /// [`repair`](Self::repair) restores it.
    pub fn description_problem(&self) -> Option<&str> {
        self.problem.as_deref()
    }

    /// Checks whether a call of [`init`](Self::init) was interrupted: there is a key object, and none of the
    /// objects of a complete repository. Only the backup key of that call can complete it.
    ///
    /// # Errors
    /// Errors of the store.
    pub async fn is_begun(store: &dyn BackupStore) -> Result<bool> {
        let described = store.head(layout::CONFIG).await?.is_some();
        Ok(!described && matches!(traces::look(store).await?, traces::Traces::Keys(_)))
    }

    /// Refuses a store in which [`init`](Self::init) would not make a repository: one that has one, and unless `resuming`
    /// also one in which making it was cut off. So this is known before a backup key is made.
    ///
    /// # Errors
    /// `repository-exists`; `repository-lost` when only the backup key of the call that was cut off can finish it; what the
    /// store reports.
    pub async fn check_absent(store: &Arc<dyn BackupStore>, resuming: bool) -> Result<()> {
        match Self::open(store.clone()).await {
            Ok(_) => Err(create::exists(store)),
            Err(e) if !e.is(&codes::REPOSITORY_MISSING) => Err(e),
            Err(_) if resuming || !Self::is_begun(&**store).await? => Ok(()),
            Err(_) => {
                let text = format!("making a repository in {} was begun, and was cut off", store.url());
                Err(Error::new(&codes::REPOSITORY_LOST, text))
            }
        }
    }

    /// Returns the error for a store without a description: empty, or with a repository that lost it.
    async fn missing(store: &dyn BackupStore) -> Result<Error> {
        if let traces::Traces::Repository(object) = traces::look(store).await? {
            return Ok(traces::lost_description(store, &object));
        }
        let text = format!("there is no backup repository in {}", store.url());
        Ok(Error::new(&codes::REPOSITORY_MISSING, text))
    }

    /// Returns the store.
    pub fn store(&self) -> &Arc<dyn BackupStore> {
        &self.store
    }

    /// Returns the repository's id: 32 hex digits.
    pub fn id(&self) -> &str {
        &self.config.id
    }

    /// Makes a backup. It is listed only after everything it needs is stored.
    ///
    /// Files that cannot be read, or that change while they are read, cause warnings and are counted in
    /// [`Summary::errors`] and [`Summary::warnings`]; the backup continues.
    ///
    /// # Errors
    /// `source-missing` when no source exists, `source-invalid`, `backup-exists`, `repository-other`, errors
    /// of the store, `interrupted`.
    pub async fn backup(
        &self,
        keys: &WriterKeys,
        request: BackupRequest,
        progress: &Progress,
        cancel: &Cancel,
    ) -> Result<Summary> {
        let doing = format!("making the backup {}", request.id);
        check_rules(&*self.store, progress).await.doing(|| doing.clone())?;
        self.writing(keys, progress, cancel, move |writing| BackupRun::new(writing, &request).make(None))
            .await
            .doing(|| doing)
    }

    /// Restores a backup and checks every hash. Failures of single files are in the report, which the caller
    /// must check.
    ///
    /// # Errors
    /// `backup-unknown`, `snapshot-forged`, `snapshot-corrupt`; `restore-conflict` before anything is written;
    /// `no-space`; `interrupted`.
    pub async fn restore(
        &self,
        identity: &Identity,
        id: &BackupId,
        request: &RestoreRequest,
        progress: &Progress,
        cancel: &Cancel,
    ) -> Result<RestoreReport> {
        let (backup, request) = (id.clone(), request.clone());
        self.reading(identity, progress, cancel, move |reading| {
            crate::restore::run(reading, &backup, &request)
        })
        .await
        .doing(|| format!("restoring the backup {id}"))
    }

    /// Restores a backup, and when all of it was restored reads it back and compares it with the backup.
    ///
    /// # Errors
    /// As [`restore`](Self::restore); `restore-differs` for a difference.
    pub async fn restore_and_compare(
        &self,
        identity: &Identity,
        id: &BackupId,
        request: &RestoreRequest,
        progress: &Progress,
        cancel: &Cancel,
    ) -> Result<RestoreReport> {
        let report = self.restore(identity, id, request, progress, cancel).await?;
        if report.is_complete() {
            let mut written = request.clone();
            written.parents.clone_from(&report.parents);
            self.compare(identity, id, &written, progress, cancel).await?.identical().map(drop)?;
        }
        Ok(report)
    }

    /// Reads back the files restored with this request, and compares them with the backup.
    ///
    /// # Errors
    /// As [`restore`](Self::restore); differences are in the report.
    pub async fn compare(
        &self,
        identity: &Identity,
        id: &BackupId,
        request: &RestoreRequest,
        progress: &Progress,
        cancel: &Cancel,
    ) -> Result<CompareReport> {
        let (backup, request) = (id.clone(), request.clone());
        self.reading(identity, progress, cancel, move |reading| {
            crate::restore::compare::run(reading, &backup, &request)
        })
        .await
        .doing(|| format!("comparing with the backup {id}"))
    }

    /// Checks the repository. Without the identity, checks that every object exists and is unchanged; with
    /// it, also that every file of every backup can be restored.
    ///
    /// # Errors
    /// Errors of the store; problems found are in the report.
    pub async fn verify(
        &self,
        depth: VerifyDepth,
        identity: Option<&Identity>,
        progress: &Progress,
        cancel: &Cancel,
    ) -> Result<VerifyReport> {
        let identity = identity.cloned();
        self.session(progress, cancel, move |session| crate::verify::run(session, identity.as_ref(), depth))
            .await
            .doing(|| format!("verifying {}", self.store.url()))
    }

    /// Copies the objects that another store lacks, without any key, in an order that leaves a valid
    /// repository after an interruption.
    ///
    /// # Errors
    /// `usage` when the other store is this one; `repository-exists` when it holds another repository;
    /// `object-corrupt` for a damaged object; errors of the stores.
    pub async fn copy_to(
        &self,
        target: Arc<dyn BackupStore>,
        progress: &Progress,
        cancel: &Cancel,
    ) -> Result<CopyReport> {
        crate::copy::repository::run(&self.store, &target, &self.config, progress, cancel)
            .await
            .doing(|| format!("copying {} to {}", self.store.url(), target.url()))
    }
}
