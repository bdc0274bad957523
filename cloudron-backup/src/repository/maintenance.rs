//! Maintenance by the owner of a repository.

use std::path::{Path, PathBuf};

use cloudron_core::{Cancel, Error, Progress, Result, ResultExt};

use super::Repository;
use crate::codes;
use crate::keys::Identity;
use crate::prune::{PruneReport, PruneRequest, RepairReport, RepairRequest};
use crate::upgrade::UpgradeReport;

impl Repository {
    /// Returns the repository with a cache folder that records which backups were seen. A check then detects
    /// a store that shows an older list than before, and listing backups reads only new summaries. If the
    /// folder is lost, nothing else is.
    pub fn with_cache_dir(self, dir: impl Into<PathBuf>) -> Self {
        Self { cache_dir: Some(dir.into()), ..self }
    }

    /// Returns the folder set by [`with_cache_dir`](Self::with_cache_dir).
    pub fn cache_dir(&self) -> Option<&Path> {
        self.cache_dir.as_deref()
    }

    /// Removes the backups that the policy does not keep, and the content that only they need, in two phases:
    /// unneeded packs are condemned first, and deleted by a prune after the grace period.
    ///
    /// # Errors
    /// `prune-busy` while another prune or a repair runs; `prune-removals` when the policy removes more than
    /// half of a group and the request does not allow it; `backup-unknown` for a backup to be removed that
    /// does not exist; `repository-old`; errors of the store; `interrupted`. If content is missing, nothing
    /// is deleted and the report says so: see [`PruneReport::is_whole`].
    pub async fn prune(
        &self,
        identity: &Identity,
        request: &PruneRequest,
        progress: &Progress,
        cancel: &Cancel,
    ) -> Result<PruneReport> {
        let (identity, request) = (identity.clone(), request.clone());
        self.session(progress, cancel, move |session| crate::prune::run(session, &identity, &request))
            .await
            .doing(|| format!("pruning {}", self.store.url()))
    }

    /// Finds out what a prune would do, whatever the request says of that, and why it would be refused. Changes nothing.
    ///
    /// # Errors
    /// As [`prune`](Self::prune), but for `prune-removals`, which is part of the answer.
    pub async fn plan_prune(
        &self,
        identity: &Identity,
        request: &PruneRequest,
        progress: &Progress,
        cancel: &Cancel,
    ) -> Result<(PruneReport, Option<Error>)> {
        let mut request = PruneRequest { dry_run: true, ..request.clone() };
        match self.prune(identity, &request, progress, cancel).await {
            Err(refused) if refused.is(&codes::PRUNE_REMOVALS) => {
                request.allow_removals = true;
                Ok((self.prune(identity, &request, progress, cancel).await?, Some(refused)))
            }
            report => Ok((report?, None)),
        }
    }

    /// Upgrades a repository of format 1 to the current format: reads every pack once and writes an index
    /// signed by the owner. A second call completes an interrupted upgrade. Writers need new keys afterwards.
    ///
    /// # Errors
    /// `prune-busy` while a prune or a repair runs; errors of the store; `interrupted`.
    pub async fn upgrade(
        &self,
        identity: &Identity,
        progress: &Progress,
        cancel: &Cancel,
    ) -> Result<(Self, UpgradeReport)> {
        let identity = identity.clone();
        let upgraded = self.session(progress, cancel, move |session| crate::upgrade::run(session, &identity));
        let (config, report) = upgraded.await.doing(|| format!("upgrading {}", self.store.url()))?;
        Ok((Self { config: std::sync::Arc::new(config), problem: None, ..self.clone() }, report))
    }

    /// Rebuilds the index from the packs, each of which is read, and reports which backups lack content.
    /// Deletes nothing but index objects that the new ones replace.
    ///
    /// # Errors
    /// `prune-busy` while a prune or another repair runs; errors of the store; `interrupted`.
    pub async fn repair(
        &self,
        identity: &Identity,
        request: &RepairRequest,
        progress: &Progress,
        cancel: &Cancel,
    ) -> Result<RepairReport> {
        let (identity, request) = (identity.clone(), request.clone());
        self.session(progress, cancel, move |session| crate::prune::repair(session, &identity, &request))
            .await
            .doing(|| format!("repairing {}", self.store.url()))
    }
}
