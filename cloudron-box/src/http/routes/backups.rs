//! Backups: list, creation, progress and download.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use cloudron_core::{BackupId, Secret};
use http::StatusCode;
use serde_json::json;

use crate::api::{BackupPage, DownloadUrl, Job};
use crate::http::App;
use crate::http::auth::Caller;
use crate::http::download_grants::LIFE;
use crate::http::query::{Paging, ValidPath, ValidQuery};
use crate::http::response::ApiResult;
use crate::jobs::Backup;
use crate::time::{later, timestamp};
use crate::{Error, Result, codes};

pub(crate) async fn list(
    _: Caller,
    State(app): State<Arc<App>>,
    ValidQuery(paging): ValidQuery<Paging>,
) -> ApiResult<Json<BackupPage>> {
    let (page, per_page) = paging.checked()?;
    Ok(Json(app.worker.list(page, per_page).await?))
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
    let id = app.worker.find(id.as_deref().unwrap_or("latest")).await?;
    let token = app.downloads.allow(caller.session, app.tuning.clock.monotonic());
    app.event("backup.download", caller.source, json!({"id": id})).await?;
    let url = Secret::new(format!("/api/v1/download/{}/", token.expose()));
    Ok(Json(DownloadUrl { id, url, expires_at: timestamp(later(app.now(), LIFE)) }))
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
