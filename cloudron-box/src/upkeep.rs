//! Checks each minute, by the wall clock, because clocks are set and machines sleep.

use std::sync::Arc;
use std::time::Duration;

use serde_json::json;

use crate::Result;
use crate::db::{blocking, events, settings, settled, tokens};
use crate::state::State;
use crate::tls::{self, Certificate};

/// Interval for repeating the message about a failed renewal.
const SAID_AGAIN: Duration = Duration::from_secs(3600);

/// Maximum delay of the recorded time, in milliseconds.
const BEHIND: i64 = 10 * 60 * 1000;

/// Maximum delay of the recorded time while the clock is behind an earlier reading, in milliseconds: tokens
/// made by the command line are judged by the recorded time.
const BEHIND_WHEN_BACK: i64 = 10 * 1000;

/// Runs the checks each minute while the server runs.
pub(crate) async fn run(state: Arc<State>, certificate: Arc<Certificate>) {
    let mut said = None;
    loop {
        tokio::time::sleep(state.tuning.tick).await;
        if let Err(error) = tidy(&state).await {
            tracing::warn!(%error, "What is known of tokens and database could not be written down");
        }
        renew(&state, &certificate, &mut said).await;
    }
}

/// Removes expired tokens, and stores what is needed after a restart: the time used to judge tokens, and the
/// position of the event log.
pub(crate) async fn tidy(state: &Arc<State>) -> Result<()> {
    let now = state.token_time();
    if state.db.read_async(move |c| tokens::any_expired(c, now)).await? {
        state.db.write_async(move |c| tokens::remove_expired(c, now)).await?;
    }
    note_time(state).await?;
    let (db, layout) = (state.db.clone(), state.layout.clone());
    blocking(move || settled::note(&layout, &db)).await
}

/// Stores the time used to judge tokens, if the recorded one is too far behind.
pub(crate) async fn note_time(state: &State) -> Result<()> {
    let now = state.token_time();
    let allowed = if tokens::lead(now, state.now()) > 0 { BEHIND_WHEN_BACK } else { BEHIND };
    let noted = state.db.read_async(|c| settings::get(c, settings::HIGHEST_TIME)).await?;
    if noted.and_then(|t| t.parse().ok()).is_some_and(|noted: i64| now - noted < allowed) {
        return Ok(());
    }
    state.db.write_async(move |c| settings::set(c, settings::HIGHEST_TIME, &now.to_string())).await
}

/// Renews the certificate before it expires, or if the clock was set.
async fn renew(state: &Arc<State>, certificate: &Arc<Certificate>, said: &mut Option<Duration>) {
    let (task, certificate) = (state.clone(), certificate.clone());
    let renewed = blocking(move || {
        let now = task.tuning.clock.now();
        if tls::leaf_is_current(&task.layout, now) {
            return Ok(false);
        }
        tls::renew_leaf(&task.layout, task.settings.fqdn.as_str(), now)?;
        certificate.reload(&task.layout)?;
        tls::leave_for_front(&task.layout)?;
        Ok(true)
    });
    let monotonic = state.tuning.clock.monotonic();
    let domain = state.settings.fqdn.admin_fqdn();
    let data = match renewed.await {
        Ok(false) => return,
        Ok(true) => json!({"domain": domain}),
        Err(_) if said.is_some_and(|said| monotonic.saturating_sub(said) < SAID_AGAIN) => return,
        Err(error) => {
            *said = Some(monotonic);
            json!({"domain": domain, "errorMessage": error.to_string()})
        }
    };
    state.try_event("certificate.renew", events::system("cron"), data).await;
}
