//! Common steps of these tests.

use std::sync::Arc;
use std::time::Duration;

use cloudron_backup::{
    BackupStore, MemoryStore, PrunePolicy, PruneReport, PruneRequest, RepairReport, RepairRequest, Summary,
    VerifyDepth, VerifyReport,
};
use cloudron_core::{Cancel, Progress, Result};

use crate::common::{Fixture, noise};

pub const DAY: Duration = Duration::from_secs(86400);

/// Makes three backups: one file stays, one changes each time.
pub async fn three(f: &Fixture) -> Vec<Summary> {
    let mut made = Vec::new();
    for i in 0..3 {
        f.write("stays", noise(200_000, 200));
        f.write("changes", noise(300_000, i));
        made.push(f.backup().await);
    }
    made
}

/// Returns a copy of a store in memory.
pub async fn copy_of(store: &Arc<dyn BackupStore>) -> Arc<dyn BackupStore> {
    let copy = MemoryStore::new();
    for object in store.list("").await.unwrap() {
        copy.put(&object.key, &store.get(&object.key).await.unwrap()).await.unwrap();
    }
    Arc::new(copy)
}

pub fn keep_last(n: u32, grace: Duration) -> PruneRequest {
    let mut request = PruneRequest::new(PrunePolicy { last: Some(n), ..PrunePolicy::default() });
    request.grace = grace;
    request.allow_removals = true;
    request
}

pub async fn try_prune(f: &Fixture, request: &PruneRequest) -> Result<PruneReport> {
    f.repo.prune(&f.identity, request, &Progress::none(), &Cancel::new()).await
}

pub async fn prune(f: &Fixture, request: &PruneRequest) -> PruneReport {
    try_prune(f, request).await.unwrap()
}

pub async fn verify(f: &Fixture) -> VerifyReport {
    f.repo.verify(VerifyDepth::Full, Some(&f.identity), &Progress::none(), &Cancel::new()).await.unwrap()
}

pub async fn repair(f: &Fixture) -> RepairReport {
    let request = RepairRequest::default();
    f.repo.repair(&f.identity, &request, &Progress::none(), &Cancel::new()).await.unwrap()
}
