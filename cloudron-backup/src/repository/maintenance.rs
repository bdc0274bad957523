//! What the owner of a repository does with it now and then.

use std::path::{Path, PathBuf};

use cloudron_core::{Cancel, Error, Progress, Result, ResultExt};

use super::Repository;
use crate::codes;
use crate::keys::Identity;
use crate::prune::{PruneReport, PruneRequest, RepairReport, RepairRequest};
use crate::upgrade::UpgradeReport;

impl Repository {
    /// The same repository, remembering in a folder of the caller's which backups it has seen. A check then
    /// notices when the store shows an older list than before, and a list of backups reads new summaries only.
    /// Losing the folder loses that only.
    pub fn with_cache_dir(self, dir: impl Into<PathBuf>) -> Self {
        Self { cache_dir: Some(dir.into()), ..self }
    }

    /// The folder that [`with_cache_dir`](Self::with_cache_dir) named.
    pub fn cache_dir(&self) -> Option<&Path> {
        self.cache_dir.as_deref()
    }

    /// Removes the backups that the policy does not keep, and what only they needed, in two phases: what
    /// nothing needs any more is condemned, and a prune after the grace deletes it.
    ///
    /// # Errors
    /// `prune-busy` while another prune or a repair runs; `prune-removals` when the policy removes more than half of a
    /// group and that was not asked for; `backup-unknown` for one to be removed that does not exist;
    /// `repository-old`; what the store reports; `interrupted`. When content is missing, nothing is deleted and the
    /// report says so: see [`PruneReport::is_whole`].
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

    /// Makes a repository of format 1 one of this format: reads every pack once, and lists in the owner's name what is in
    /// them. Doing it again finishes one that was cut off. Writers need new keys afterwards.
    ///
    /// # Errors
    /// `prune-busy` while a prune or a repair runs; what the store reports; `interrupted`.
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

    /// Makes the index anew from the packs, each of which is read, and says which backups lack something.
    /// Deletes nothing but index objects that the new ones replace.
    ///
    /// # Errors
    /// `prune-busy` while a prune or another repair runs; what the store reports; `interrupted`.
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
