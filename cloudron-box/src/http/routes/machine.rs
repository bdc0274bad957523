//! The machine itself: status, settings, progress, update, retirement.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use cloudron_core::Version;
use http::StatusCode;
use serde_json::{Value, json};

use crate::api::{BackupSettings, Config, ProgressReport, Status};
use crate::db::backups;
use crate::http::App;
use crate::http::auth::Caller;
use crate::http::response::ApiResult;
use crate::{Error, admin, codes};

pub(crate) async fn status(State(app): State<Arc<App>>) -> Json<Status> {
    Json(Status {
        version: Version::current(),
        activated: app.is_activated(),
        provider: app.settings.provider.clone(),
        fqdn: app.settings.fqdn.to_string(),
        admin_fqdn: app.settings.fqdn.admin_fqdn(),
    })
}

pub(crate) async fn config(_: Caller, State(app): State<Arc<App>>) -> ApiResult<Json<Config>> {
    let read = app.db.read_async(|c| Ok((backups::last_backup(c)?, backups::last_failed(c)?)));
    let (last, last_failed) = read.await?;
    Ok(Json(Config {
        version: Version::current(),
        fqdn: app.settings.fqdn.to_string(),
        admin_fqdn: app.settings.fqdn.admin_fqdn(),
        provider: app.settings.provider.clone(),
        update: None,
        health: app.health.make().await,
        retired: app.is_retired().await?,
        backup: BackupSettings {
            store: app.settings.store_name(),
            hour: app.settings.backup_hour,
            last,
            last_failed,
        },
    }))
}

pub(crate) async fn progress(_: Caller, State(app): State<Arc<App>>) -> Json<ProgressReport> {
    Json(app.jobs.report())
}

pub(crate) async fn update(_: Caller, State(app): State<Arc<App>>) -> ApiResult<StatusCode> {
    if app.is_retired().await? {
        return Err(Error::new(&codes::MACHINE_RETIRED, "this server was retired").into());
    }
    let text = format!("version {} is the newest that this server knows of", Version::current());
    Err(Error::new(&codes::NO_UPDATE, text).into())
}

pub(crate) async fn retire(
    caller: Caller,
    State(app): State<Arc<App>>,
) -> ApiResult<(StatusCode, Json<Value>)> {
    caller.only_on_the_machine()?;
    let now = app.now();
    let first = app.db.write_async(move |c| admin::set_retired(c, now, &caller.source)).await?;
    if first {
        tracing::warn!("This server was retired");
    }
    // The response does not wait for a job to end; the caller sees its end in the progress report.
    let stopping = app.clone();
    tokio::spawn(async move { stopping.jobs.stop().await });
    Ok((StatusCode::ACCEPTED, Json(json!({}))))
}

/// Restarts the machine, if it is one of its own.
pub(crate) async fn reboot(
    caller: Caller,
    State(app): State<Arc<App>>,
) -> ApiResult<(StatusCode, Json<Value>)> {
    if !app.layout.is_system() {
        // The helper's own error, before an event says otherwise.
        app.helper.restart(None).await?;
    }
    app.event("helper.reboot", caller.source, json!({})).await?;
    app.helper.restart(None).await?;
    Ok((StatusCode::ACCEPTED, Json(json!({}))))
}
