//! Whether the backup store holds what the server's keys and the index say.
//!
//! The comparison lists all packs and reads new index objects, so it may take longer than somebody waits. Then it
//! goes on in the background, and what was found before is said until it is done.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use cloudron_backup::{Repository, WriterKeys};
use tokio::sync::watch;

use super::App;
use super::health::store_name;
use crate::db::blocking;
use crate::{Error, Result, codes, files, jobs};

/// How long a comparison is waited for.
const PATIENCE: Duration = Duration::from_secs(4);

/// How old a result may be that is said while a new comparison takes its time.
const STALE: Duration = Duration::from_secs(24 * 3600);

/// How many problems are named.
const NAMED: usize = 3;

/// What was found: a sentence, and whether all is well.
#[derive(Debug, Clone)]
struct Found {
    at: Duration,
    result: std::result::Result<String, String>,
}

#[derive(Debug, Default)]
struct State {
    last: Option<Found>,
    /// Changes when the comparison that runs is done.
    running: Option<watch::Receiver<()>>,
}

/// The comparison that runs, and what the last one found.
#[derive(Debug, Default)]
pub(crate) struct StoreCheck(Mutex<State>);

impl StoreCheck {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Compares, unless that is being done, and gives what was found.
///
/// # Errors
/// What is wrong.
pub(crate) async fn check(app: &Arc<App>) -> Result<String> {
    let mut done = begin(app);
    let waited = tokio::time::timeout(PATIENCE, done.changed()).await;
    let Some(found) = app.store_check.state().last.clone() else {
        return Err(failed(format!(
            "{} was not compared with the index yet: it takes its time",
            store_name(app)
        )));
    };
    let age = app.tuning.clock.monotonic().saturating_sub(found.at);
    match (waited.is_ok(), found.result) {
        (true, result) => result.map_err(failed),
        (false, result) if age < STALE => {
            let when = |text: String| format!("{text} (as of {} min ago)", age.as_secs() / 60);
            result.map(when).map_err(|text| failed(when(text)))
        }
        _ => Err(failed(format!("{} was not compared with the index for a day", store_name(app)))),
    }
}

fn failed(text: String) -> Error {
    Error::new(&codes::STORE_DIFFERS, text)
}

/// Begins a comparison, unless one runs. The receiver changes when it is done.
pub(crate) fn begin(app: &Arc<App>) -> watch::Receiver<()> {
    let mut state = app.store_check.state();
    if let Some(running) = &state.running {
        return running.clone();
    }
    let (done, running) = watch::channel(());
    state.running = Some(running.clone());
    let app = app.clone();
    tokio::spawn(async move {
        let result = compare(&app).await.map_err(|error| error.to_string());
        let at = app.tuning.clock.monotonic();
        {
            let mut state = app.store_check.state();
            (state.last, state.running) = (Some(Found { at, result }), None);
        }
        done.send_replace(());
    });
    running
}

async fn compare(app: &App) -> Result<String> {
    let path = app.layout.writer_keys();
    let keys = blocking(move || {
        files::read_json::<WriterKeys>(&path)?
            .ok_or_else(|| Error::new(&codes::CONFIG_CORRUPT, format!("{} is missing", path.display())))
    });
    let (keys, newest) = (keys.await?, app.db.read_async(jobs::last_backup_id).await?);
    let repository = Repository::open(crate::store::open(&app.layout, &app.settings)?).await?;
    let repository = repository.with_cache_dir(app.layout.cache().join("backup"));
    let found = repository.inspect(&keys, newest.as_ref(), &app.stopping).await?;
    if found.problems.is_empty() {
        return Ok(format!("{} holds the repository and its {} packs", store_name(app), found.packs));
    }
    let more = match found.problems.len().saturating_sub(NAMED) {
        0 => String::new(),
        more => format!("; and {more} more"),
    };
    let named: Vec<&str> = found.problems.iter().take(NAMED).map(String::as_str).collect();
    Err(failed(format!("{}: {}{more}", store_name(app), named.join("; "))))
}
