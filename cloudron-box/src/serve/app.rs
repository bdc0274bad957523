//! What the parts of a running server share.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use cloudron_core::{Cancel, Clock, SystemClock};
use serde_json::Value;
use tokio::sync::Semaphore;

use super::downloads::Downloads;
use super::throttle::Throttle;
use crate::api::EventSource;
use crate::db::{Db, events, settings, users};
use crate::jobs::Jobs;
use crate::log::Sink;
use crate::machine::Settings;
use crate::time::millis;
use crate::{Layout, Result};

/// What a test sets to other values than a real server has.
#[derive(Clone)]
pub(crate) struct Tuning {
    pub(crate) clock: Arc<dyn Clock>,
    /// How long a hook command may take.
    pub(crate) hook_limit: Duration,
    /// How long a request may take.
    pub(crate) request_limit: Duration,
}

impl Default for Tuning {
    fn default() -> Self {
        Self {
            clock: Arc::new(SystemClock),
            hook_limit: Duration::from_secs(3600),
            request_limit: Duration::from_secs(30),
        }
    }
}

/// A running server.
pub(crate) struct App {
    pub(crate) layout: Layout,
    pub(crate) settings: Settings,
    pub(crate) db: Db,
    pub(crate) log: Sink,
    pub(crate) tuning: Tuning,
    pub(crate) jobs: Jobs,
    pub(crate) downloads: Downloads,
    /// Failed logins, by account.
    pub(crate) accounts: Throttle,
    /// Failed logins, by address.
    pub(crate) addresses: Throttle,
    /// Tries of the setup token.
    pub(crate) setups: Throttle,
    /// Hashing a password takes much memory on purpose; only so many at a time.
    pub(crate) hashing: Semaphore,
    /// Raised when the server stops.
    pub(crate) stopping: Cancel,
    activated: AtomicBool,
    retired: AtomicBool,
}

impl App {
    pub(crate) fn new(layout: Layout, settings: Settings, db: Db, log: Sink, tuning: Tuning) -> Result<Self> {
        let activated = db.read(users::any)?;
        let retired = db.read(|c| settings::get(c, settings::RETIRED))?.is_some();
        Ok(Self {
            layout,
            settings,
            db,
            log,
            tuning,
            jobs: Jobs::default(),
            downloads: Downloads::default(),
            accounts: Throttle::for_account(),
            addresses: Throttle::for_address(),
            setups: Throttle::for_setup(),
            hashing: Semaphore::new(2),
            stopping: Cancel::new(),
            activated: AtomicBool::new(activated),
            retired: AtomicBool::new(retired),
        })
    }

    /// The time, in milliseconds since 1970.
    pub(crate) fn now(&self) -> i64 {
        millis(self.tuning.clock.now())
    }

    pub(crate) fn is_activated(&self) -> bool {
        self.activated.load(Ordering::SeqCst)
    }

    pub(crate) fn set_activated(&self) {
        self.activated.store(true, Ordering::SeqCst);
    }

    pub(crate) fn is_retired(&self) -> bool {
        self.retired.load(Ordering::SeqCst)
    }

    pub(crate) fn set_retired(&self) {
        self.retired.store(true, Ordering::SeqCst);
    }

    /// Adds to the event log. Where the event belongs to a change in the database, it is written with the
    /// change instead.
    ///
    /// # Errors
    /// Those of the database.
    pub(crate) async fn event(&self, action: &'static str, source: EventSource, data: Value) -> Result<()> {
        let now = self.now();
        tracing::info!(action, user = source.username.as_deref(), "Event");
        self.db.write_async(move |c| events::add(c, now, action, &source, &data)).await
    }

    /// The same where the work goes on without the event, such as on a full disk.
    pub(crate) async fn try_event(&self, action: &'static str, source: EventSource, data: Value) {
        if let Err(error) = self.event(action, source, data).await {
            tracing::warn!(action, %error, "The event could not be written");
        }
    }
}
