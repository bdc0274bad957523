//! What is looked at each minute, by the wall clock, because clocks are set and machines sleep.

use std::sync::Arc;
use std::time::Duration;

use serde_json::json;

use super::App;
use crate::Result;
use crate::db::{blocking, events, settings, settled, tokens};
use crate::tls::{self, Certificate};

/// How long after a failed renewal it is said again that it failed.
const SAID_AGAIN: Duration = Duration::from_secs(3600);

/// How far the noted time may be behind, in milliseconds.
const BEHIND: i64 = 10 * 60 * 1000;

/// The same while the clock is behind what it once said: a token that the command line makes is judged by what
/// was noted.
const BEHIND_WHEN_BACK: i64 = 10 * 1000;

/// Looks each minute, for as long as the server runs.
pub(super) async fn run(app: Arc<App>, certificate: Arc<Certificate>) {
    let mut said = None;
    loop {
        tokio::time::sleep(app.tuning.tick).await;
        if let Err(error) = tidy(&app).await {
            tracing::warn!(%error, "What is known of tokens and database could not be written down");
        }
        renew(&app, &certificate, &mut said).await;
    }
}

/// Removes tokens that have expired, and writes down what must be known after a restart: the time by which tokens
/// are judged, and how far the event log is.
pub(super) async fn tidy(app: &Arc<App>) -> Result<()> {
    let now = app.token_time();
    if app.db.read_async(move |c| tokens::any_expired(c, now)).await? {
        app.db.write_async(move |c| tokens::remove_expired(c, now)).await?;
    }
    note_time(app).await?;
    let (db, layout) = (app.db.clone(), app.layout.clone());
    blocking(move || settled::note(&layout, &db)).await
}

/// Writes down the time by which tokens are judged, when what was noted is too far behind.
pub(super) async fn note_time(app: &App) -> Result<()> {
    let now = app.token_time();
    let allowed = if tokens::lead(now, app.now()) > 0 { BEHIND_WHEN_BACK } else { BEHIND };
    let noted = app.db.read_async(|c| settings::get(c, settings::HIGHEST_TIME)).await?;
    if noted.and_then(|t| t.parse().ok()).is_some_and(|noted: i64| now - noted < allowed) {
        return Ok(());
    }
    app.db.write_async(move |c| settings::set(c, settings::HIGHEST_TIME, &now.to_string())).await
}

/// Renews the certificate before it ends, or when the clock was set.
async fn renew(app: &Arc<App>, certificate: &Arc<Certificate>, said: &mut Option<Duration>) {
    let (task, certificate) = (app.clone(), certificate.clone());
    let renewed = blocking(move || {
        let now = task.tuning.clock.now();
        if tls::leaf_is_current(&task.layout, now) {
            return Ok(false);
        }
        tls::renew_leaf(&task.layout, task.settings.fqdn.as_str(), now)?;
        certificate.reload(&task.layout)?;
        Ok(true)
    });
    let monotonic = app.tuning.clock.monotonic();
    let domain = app.settings.fqdn.admin_fqdn();
    let data = match renewed.await {
        Ok(false) => return,
        Ok(true) => json!({"domain": domain}),
        Err(_) if said.is_some_and(|said| monotonic.saturating_sub(said) < SAID_AGAIN) => return,
        Err(error) => {
            *said = Some(monotonic);
            json!({"domain": domain, "errorMessage": error.to_string()})
        }
    };
    app.try_event("certificate.renew", events::system("cron"), data).await;
}
