//! Backups: list, creation, progress and download.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use cloudron_backup::{BackupStore, Repository, Summary, UnreadableSummary};
use cloudron_core::{BackupId, Secret};
use http::StatusCode;
use serde_json::json;

use crate::api::{BackupEntry, BackupPage, DownloadUrl, Job};
use crate::http::App;
use crate::http::auth::Caller;
use crate::http::download_grants::LIFE;
use crate::http::query::{Paging, ValidPath, ValidQuery};
use crate::http::response::ApiResult;
use crate::jobs::{self, Backup};
use crate::time::{later, timestamp};
use crate::{Error, Result, codes};

pub(crate) async fn list(
    _: Caller,
    State(app): State<Arc<App>>,
    ValidQuery(paging): ValidQuery<Paging>,
) -> ApiResult<Json<BackupPage>> {
    let (page, per_page) = paging.checked()?;
    let repository = open(&app, crate::store::open(&app.layout, &app.settings)?).await?;
    let snapshots = repository.snapshots().await?;
    for UnreadableSummary { object, error } in &snapshots.unreadable {
        tracing::warn!(key = object, %error, "The summary of a backup cannot be read");
    }
    let total = snapshots.summaries.len() as u64;
    let before = (page as usize - 1).saturating_mul(per_page as usize);
    let newest = snapshots.summaries.into_iter().rev().skip(before).take(per_page as usize);
    Ok(Json(BackupPage { backups: newest.map(entry).collect(), page, per_page, total }))
}

/// Opens the repository with a cache of the summaries read before.
async fn open(app: &App, store: Arc<dyn BackupStore>) -> Result<Repository> {
    Ok(Repository::open(store).await?.with_cache_dir(app.layout.cache().join("backup")))
}

fn entry(summary: Summary) -> BackupEntry {
    BackupEntry {
        creation_time: summary.time,
        version: summary.version.parse().unwrap_or_else(|_| summary.id.version().clone()),
        files: summary.files,
        bytes: summary.bytes,
        added: summary.added_bytes,
        incomplete: jobs::is_incomplete(&summary),
        sources: summary.sources.into_iter().map(|s| s.name).collect::<Vec<String>>(),
        id: summary.id,
    }
}

pub(crate) async fn create(
    caller: Caller,
    State(app): State<Arc<App>>,
) -> ApiResult<(StatusCode, Json<Job>)> {
    let job = app.jobs.start(Backup { source: caller.source }).await?;
    Ok((StatusCode::ACCEPTED, Json(job)))
}

pub(crate) async fn job(
    _: Caller,
    State(app): State<Arc<App>>,
    ValidPath(id): ValidPath<String>,
) -> ApiResult<Json<Job>> {
    let job = app.jobs.get(id).await?;
    Ok(Json(job.ok_or_else(|| Error::new(&codes::NO_SUCH_OBJECT, "there is no such job"))?))
}

pub(crate) async fn download_url(
    caller: Caller,
    State(app): State<Arc<App>>,
    ValidPath(id): ValidPath<String>,
) -> ApiResult<Json<DownloadUrl>> {
    let id = wanted(&id)?;
    let store = crate::store::open(&app.layout, &app.settings)?;
    let repository = open(&app, store.clone()).await?;
    let summary = repository.find(id.as_deref().unwrap_or("latest")).await?;
    let token = app.downloads.allow(store, caller.session, app.tuning.clock.monotonic());
    app.event("backup.download", caller.source, json!({"id": summary.id})).await?;
    let url = Secret::new(format!("/api/v1/download/{}/", token.expose()));
    Ok(Json(DownloadUrl { id: summary.id, url, expires_at: timestamp(later(app.now(), LIFE)) }))
}

/// Parses the requested ID; `None` for `latest`. Any other text is refused before it reaches the store.
fn wanted(id: &str) -> Result<Option<String>> {
    match id {
        "latest" => Ok(None),
        id => Ok(Some(id.parse::<BackupId>()?.to_string())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_id_gets_near_the_store() {
        assert!(wanted("../../etc/passwd").unwrap_err().is(&cloudron_core::codes::BACKUP_ID_INVALID));
        assert_eq!(wanted("latest").unwrap(), None);
        let id = BackupId::new(std::time::SystemTime::now(), &cloudron_core::Version::current()).to_string();
        assert_eq!(wanted(&id).unwrap(), Some(id));
    }
}
