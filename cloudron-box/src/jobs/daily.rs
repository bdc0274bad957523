//! The daily backup.

use std::sync::Arc;

use super::{Backup, Queue, schedule};
use crate::Result;
use crate::api::{JobKind, JobState};
use crate::db::{backups, events, jobs, settings};
use crate::state::State;
use crate::time::timestamp;

/// Makes daily backups while the server runs.
pub(crate) async fn run(state: Arc<State>, queue: Arc<Queue>) {
    let minute = schedule::minute_for(&state.settings.run);
    loop {
        match facts(&state, minute).await {
            Ok(facts) if schedule::is_due(timestamp(state.now()), &facts) => {
                let backup = Backup { source: events::system("cron") };
                if let Err(error) = queue.start(backup).await {
                    tracing::warn!(%error, "The daily backup could not be started");
                }
            }
            Ok(_) => {}
            Err(error) => tracing::warn!(%error, "It is not known whether a backup is due"),
        }
        tokio::time::sleep(schedule::TICK).await;
    }
}

async fn facts(state: &State, minute: u8) -> Result<schedule::Facts> {
    let (hour, now) = (state.settings.backup_hour, state.now());
    state
        .db
        .write_async(move |c| {
            let installed = match backups::first_start(c)? {
                Some(time) => time,
                None => {
                    settings::set(c, backups::FIRST_START, &now.to_string())?;
                    timestamp(now)
                }
            };
            let failed = jobs::last_over(c, JobKind::Backup)?.filter(|j| j.state == JobState::Failed);
            let failed = failed.map(|j| j.created_at);
            let retired = settings::get(c, settings::RETIRED)?.is_some();
            Ok(schedule::Facts { last: backups::last_backup(c)?, installed, failed, hour, minute, retired })
        })
        .await
}
