//! Check that the backup store's content matches the server's keys and the index.
//!
//! The comparison lists all packs and reads new index objects, so it may exceed the time limit of a check. It
//! then continues in the background, and the previous result is reported until it is done.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::watch;

use crate::db::backups;
use crate::state::State;
use crate::{Error, Result, codes};

/// Time limit for waiting for a comparison.
const PATIENCE: Duration = Duration::from_secs(4);

/// Maximum age of a result that is reported while a new comparison runs.
const STALE: Duration = Duration::from_secs(24 * 3600);

/// The result of a comparison: a sentence, and whether all is well.
#[derive(Debug, Clone)]
struct Found {
    at: Duration,
    result: std::result::Result<String, String>,
}

#[derive(Debug, Default)]
struct Comparisons {
    last: Option<Found>,
    /// Changes when the running comparison is done.
    running: Option<watch::Receiver<()>>,
}

/// The running comparison, and the result of the last one.
pub(super) struct StoreCheck {
    state: Arc<State>,
    comparisons: Mutex<Comparisons>,
}

impl StoreCheck {
    pub(super) fn new(state: Arc<State>) -> Self {
        Self { state, comparisons: Mutex::default() }
    }

    fn comparisons(&self) -> MutexGuard<'_, Comparisons> {
        self.comparisons.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Starts a comparison unless one is running. Returns its result, or the previous one.
    ///
    /// # Errors
    /// The problem found.
    pub(super) async fn check(self: &Arc<Self>) -> Result<String> {
        let mut done = self.begin();
        let waited = tokio::time::timeout(PATIENCE, done.changed()).await;
        let store = self.state.settings.store_name();
        let Some(found) = self.comparisons().last.clone() else {
            return Err(failed(format!("{store} was not compared with the index yet: it takes its time")));
        };
        let age = self.state.tuning.clock.monotonic().saturating_sub(found.at);
        match (waited.is_ok(), found.result) {
            (true, result) => result.map_err(failed),
            (false, result) if age < STALE => {
                let when = |text: String| format!("{text} (as of {} min ago)", age.as_secs() / 60);
                result.map(when).map_err(|text| failed(when(text)))
            }
            _ => Err(failed(format!("{store} was not compared with the index for a day"))),
        }
    }

    /// Starts a comparison unless one is running. The receiver changes when it is done.
    pub(super) fn begin(self: &Arc<Self>) -> watch::Receiver<()> {
        let mut comparisons = self.comparisons();
        if let Some(running) = &comparisons.running {
            return running.clone();
        }
        let (done, running) = watch::channel(());
        comparisons.running = Some(running.clone());
        let check = self.clone();
        tokio::spawn(async move {
            let result = compare(&check.state).await.map_err(|error| error.to_string());
            let at = check.state.tuning.clock.monotonic();
            {
                let mut comparisons = check.comparisons();
                (comparisons.last, comparisons.running) = (Some(Found { at, result }), None);
            }
            done.send_replace(());
        });
        running
    }
}

fn failed(text: String) -> Error {
    Error::new(&codes::STORE_DIFFERS, text)
}

async fn compare(state: &State) -> Result<String> {
    let newest = state.db.read_async(backups::last_backup_id).await?;
    tokio::select! {
        found = state.worker.check(newest) => found,
        () = state.stopping.cancelled() => Err(failed("the server stops".to_owned())),
    }
}
