//! How the machine fares.

use std::sync::Arc;
use std::time::Duration;

use super::{App, store_check};
use crate::api::{Health, HealthCheck};
use crate::db::{Sql, blocking};
use crate::time::timestamp;
use crate::{Error, Result, codes, jobs};

/// How long each check may take.
const LIMIT: Duration = Duration::from_secs(5);

/// What is too little space on the disk of the state, in bytes.
const LITTLE_SPACE: u64 = 512 * 1024 * 1024;

/// All checks.
pub(crate) async fn check(app: &Arc<App>) -> Health {
    let (database, disk, store, backup) = tokio::join!(
        one("database", database(app)),
        one("disk", disk(app)),
        one("store", store_check::check(app)),
        one("backup", backup(app)),
    );
    let checks = vec![database, disk, store, backup];
    Health { ok: checks.iter().all(|c| c.ok), checks }
}

/// The address of the store, without user and password.
pub(crate) fn store_name(app: &App) -> String {
    match app.settings.store.split_once("://") {
        Some((scheme, rest)) => {
            let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
            let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
            let path = path.split(['?', '#']).next().unwrap_or_default();
            format!("{scheme}://{host}/{path}")
        }
        None => app.settings.store.clone(),
    }
}

async fn one(name: &str, check: impl Future<Output = Result<String>>) -> HealthCheck {
    let result = tokio::time::timeout(LIMIT, check).await;
    let (ok, message) = match result {
        Ok(Ok(message)) => (true, message),
        Ok(Err(error)) => (false, error.to_string()),
        Err(_) => (false, format!("it did not answer within {} s", LIMIT.as_secs())),
    };
    HealthCheck { name: name.to_owned(), ok, message }
}

async fn database(app: &App) -> Result<String> {
    let events: i64 =
        app.db.read_async(|c| c.query_row("SELECT count(*) FROM events", [], |row| row.get(0)).sql()).await?;
    Ok(format!("{events} events"))
}

async fn disk(app: &App) -> Result<String> {
    let folder = app.layout.state().to_owned();
    let (free, total) = blocking(move || space(&folder)).await?;
    let text = format!("{} MiB of {} MiB are free", free >> 20, total >> 20);
    if free < LITTLE_SPACE.min(total / 20) {
        return Err(Error::new(&cloudron_core::codes::NO_SPACE, format!("only {text}")));
    }
    Ok(text)
}

/// The free and the whole space of the disk that a folder is on, in bytes.
pub(crate) fn space(folder: &std::path::Path) -> Result<(u64, u64)> {
    let found = rustix::fs::statvfs(folder).map_err(|e| Error::io(folder, e.into()))?;
    Ok((found.f_bavail.saturating_mul(found.f_frsize), found.f_blocks.saturating_mul(found.f_frsize)))
}

async fn backup(app: &App) -> Result<String> {
    let read =
        app.db.read_async(|c| Ok((jobs::last_backup(c)?, jobs::first_start(c)?, jobs::last_failed(c)?)));
    let (last, since, failed) = read.await?;
    let now = timestamp(app.now()).as_second();
    // Two days and an hour: one missed backup is caught up the day after.
    let late = |time: jiff::Timestamp| now - time.as_second() > 49 * 3600;
    let (text, bad) = match last {
        Some(last) => (format!("the newest backup is of {last}"), late(last)),
        None => ("there was no backup yet".to_owned(), since.is_some_and(late)),
    };
    // One that was cut off by a restart is repeated within the hour.
    let interrupted = |code: &str| {
        [&codes::JOB_INTERRUPTED, &cloudron_core::codes::INTERRUPTED].iter().any(|c| c.name == code)
    };
    let text = match failed {
        Some(failed) if !interrupted(&failed.code) => {
            let text = format!("{text}, and the last try failed at {}: {}", failed.time, failed.message);
            return Err(Error::new(&codes::BACKUP_LATE, text));
        }
        Some(failed) => format!("{text}; the one of {} was interrupted and is repeated", failed.time),
        None => text,
    };
    if bad { Err(Error::new(&codes::BACKUP_LATE, text)) } else { Ok(text) }
}
