//! Dry runs: a complete backup to a store and a cache that discard the result.

mod dry_run_store;
mod overlay_cache;
mod report;

use std::sync::{Arc, Mutex, PoisonError};

use cloudron_core::Result;

use super::request::ReadHook;
use super::{BackupRequest, BackupRun};
use crate::snapshot::Writing;
pub(crate) use dry_run_store::DryRunStore;
pub use report::{BackupPlan, PlannedFile};

/// Runs a backup against a discarding store, and returns the totals.
pub(crate) fn run(
    writing: &Writing<'_>,
    request: &BackupRequest,
    each: impl FnMut(PlannedFile) + Send + 'static,
) -> Result<BackupPlan> {
    let overlay = overlay_cache::OverlayCache::of(request.cache_dir.as_deref(), &writing.config.id)?;
    let read = Arc::new(Mutex::new((0, 0)));
    let (counted, each) = (read.clone(), Mutex::new(each));
    let hook = move |path: &std::path::Path, size: u64| {
        let mut counted = counted.lock().unwrap_or_else(PoisonError::into_inner);
        counted.0 += 1;
        counted.1 += size;
        let mut each = each.lock().unwrap_or_else(PoisonError::into_inner);
        each(PlannedFile { path: path.to_owned(), size });
    };
    let also_skip = request.cache_dir.iter().cloned().chain([overlay.path().to_owned()]).collect();
    let request = request.clone().with_cache_dir(overlay.path());
    let run = BackupRun { writing, request: &request, also_skip, on_read: Some(ReadHook::new(hook)) };
    let summary = run.make(None)?;
    let (read_files, read_bytes) = *read.lock().unwrap_or_else(PoisonError::into_inner);
    Ok(BackupPlan {
        sources: summary.sources,
        entries: summary.entries,
        files: summary.files,
        bytes: summary.bytes,
        read_files,
        read_bytes,
        added_bytes: summary.added_bytes,
        errors: summary.errors,
        warnings: summary.warnings,
        duration_ms: summary.duration_ms,
    })
}
