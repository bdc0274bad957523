//! Health checks of the server and of what it depends on.

mod store;

use std::sync::Arc;
use std::time::Duration;

use crate::api::{Health, HealthCheck};
use crate::db::{Sql, backups, blocking};
use crate::state::State;
use crate::system::disk::{Space, space};
use crate::time::timestamp;
use crate::{Error, Result, codes};
use store::StoreCheck;

/// Time limit per check.
const LIMIT: Duration = Duration::from_secs(5);

/// Free space on the disk of the state that is too little, in bytes.
const LITTLE_SPACE: u64 = 512 * 1024 * 1024;

/// The checks of a running server.
#[derive(Clone)]
pub(crate) struct Checks {
    state: Arc<State>,
    store: Arc<StoreCheck>,
}

impl Checks {
    /// Returns the checks, none of which has run.
    pub(crate) fn new(state: Arc<State>) -> Self {
        Self { store: Arc::new(StoreCheck::new(state.clone())), state }
    }

    /// Runs all checks.
    pub(crate) async fn make(&self) -> Health {
        let (database, disk, store, backup) = tokio::join!(
            one("database", database(&self.state)),
            one("disk", disk(&self.state)),
            one("store", self.store.check()),
            one("backup", backup(&self.state)),
        );
        let mut checks = vec![database, disk, store, backup];
        if self.state.layout.is_system() {
            checks.push(one("system", system(&self.state)).await);
        }
        Health { ok: checks.iter().all(|c| c.ok), checks }
    }

    /// Starts comparing the store with the index, so that the result is available when requested.
    pub(crate) fn begin_store_check(&self) {
        drop(self.store.begin());
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

async fn database(state: &State) -> Result<String> {
    let events: i64 = state
        .db
        .read_async(|c| c.query_row("SELECT count(*) FROM events", [], |row| row.get(0)).sql())
        .await?;
    Ok(format!("{events} events"))
}

async fn disk(state: &State) -> Result<String> {
    let folder = state.layout.state().to_owned();
    let Space { free, total } = blocking(move || space(&folder)).await?;
    let text = format!("{} MiB of {} MiB are free", free >> 20, total >> 20);
    if free < LITTLE_SPACE.min(total / 20) {
        return Err(Error::new(&cloudron_core::codes::NO_SPACE, format!("only {text}")));
    }
    Ok(text)
}

/// The machine itself, as the helper of root sees it.
async fn system(state: &State) -> Result<String> {
    let facts = state.helper.facts().await?.unwrap_or_default();
    if !facts.failed.is_empty() {
        let text = format!("these parts of the server failed: {}", facts.failed.join(", "));
        return Err(Error::new(&codes::PART_UNAVAILABLE, text));
    }
    let reboot = if facts.reboot_needed { "; updates wait for it to be restarted" } else { "" };
    Ok(format!("{}, up for {} hours{reboot}", facts.system, facts.up / 3600))
}

async fn backup(state: &State) -> Result<String> {
    let read = state
        .db
        .read_async(|c| Ok((backups::last_backup(c)?, backups::first_start(c)?, backups::last_failed(c)?)));
    let (last, since, failed) = read.await?;
    let now = timestamp(state.now()).as_second();
    // Two days and an hour: a missed backup is made up for the day after.
    let late = |time: jiff::Timestamp| now - time.as_second() > 49 * 3600;
    let (text, bad) = match last {
        Some(last) => (format!("the newest backup is of {last}"), late(last)),
        None => ("there was no backup yet".to_owned(), since.is_some_and(late)),
    };
    // A backup interrupted by a restart is repeated within the hour.
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
