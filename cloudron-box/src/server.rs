//! The running server.

use std::sync::Arc;

use cloudron_core::{Cancel, Version};
use serde_json::json;
use tokio::task::JoinSet;

use crate::db::{blocking, events, interrupted, settled, spare_space};
use crate::http::listen::{self, Listeners};
use crate::http::{self, App, accept};
use crate::log::{self, Log};
use crate::service::{Listening, RunFiles, RunLock};
use crate::settings::Settings;
use crate::state::{State, Tuning};
use crate::system::{files, owner};
use crate::tls::{self, Certificate};
use crate::{Layout, Result, codes, front, helper, jobs, upkeep, worker};

/// Runs the server until `shutdown` is ready, then stops it gracefully: open requests finish, a running job
/// is stopped and marked as failed. Needs a tokio runtime with timers and I/O. Makes the process log with
/// [`log::init`]; a program with a subscriber of its own uses [`serve_with_log`].
///
/// # Errors
/// `machine-missing`, `already-running`, `port-in-use`, `database-corrupt`, `database-newer`, `certificate`.
pub async fn serve(layout: &Layout, shutdown: impl Future<Output = ()> + Send + 'static) -> Result<()> {
    let log = Log::new();
    log::init(&log, None);
    serve_with_log(layout, &log, shutdown).await
}

/// Does the same for a program with a subscriber of its own, whose events go to the log file by the
/// [layer](Log::layer) of `log`. Each server needs a log of its own.
///
/// # Errors
/// As [`serve`].
pub async fn serve_with_log(
    layout: &Layout,
    log: &Log,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> Result<()> {
    owner::become_owner(layout)?;
    let server = match Server::start(layout, log, Tuning::default()).await {
        Ok(server) => server,
        Err(error) => {
            tracing::error!(code = error.code().name, %error, "The server cannot start");
            // An error must not be recorded for the server that is already running.
            if !error.is(&codes::ALREADY_RUNNING) {
                RunFiles::of(layout).record_failure(&error);
            }
            return Err(error);
        }
    };
    shutdown.await;
    server.stop().await;
    Ok(())
}

/// Runs the front of a machine of its own until `stop`. systemd passes it its ports. Makes the process log with
/// [`log::init`], which goes to the journal.
///
/// # Errors
/// `usage` without a socket, `machine-missing`, `config-corrupt`.
pub async fn serve_front(layout: &Layout, stop: &Cancel) -> Result<()> {
    log::init(&Log::new(), None);
    told(front::run(layout, stop).await)
}

/// Runs the backup worker of a machine of its own until `stop`, or until nobody asks it any more. systemd starts it by
/// its socket. Makes the process log with [`log::init`], which goes to the journal.
///
/// # Errors
/// `usage` without a socket, `machine-missing`, `config-corrupt`.
pub async fn serve_worker(layout: &Layout, stop: &Cancel) -> Result<()> {
    log::init(&Log::new(), None);
    told(worker::run(layout, stop).await)
}

/// Runs the helper of root of a machine of its own likewise.
///
/// # Errors
/// `usage` without a socket, and file errors.
pub async fn serve_helper(layout: &Layout, stop: &Cancel) -> Result<()> {
    log::init(&Log::new(), None);
    told(helper::run(layout, stop).await)
}

fn told(ended: Result<()>) -> Result<()> {
    ended.inspect_err(|error| tracing::error!(code = error.code().name, %error, "A part of the server ended"))
}

/// A running server.
pub(crate) struct Server {
    pub(crate) app: Arc<App>,
    listening: JoinSet<()>,
    background: JoinSet<()>,
    run: RunFiles,
    _lock: RunLock,
}

impl Server {
    /// Starts a server and returns when it answers.
    pub(crate) async fn start(layout: &Layout, log: &Log, tuning: Tuning) -> Result<Self> {
        let (run, layout, log) = (RunFiles::of(layout), layout.clone(), log.clone());
        let (state, lock, certificate) = blocking(move || prepare(layout, &log, tuning)).await?;
        let state = Arc::new(state);
        let app = Arc::new(App::new(state.clone())?);
        let listeners = listen::of(&app.layout, &app.settings.listen)?;
        let data = json!({"version": Version::current()});
        app.try_event("cloudron.start", events::system("boot"), data).await;
        let mut listening = JoinSet::new();
        let config = certificate.server_config()?;
        let connections = accept::Connections::new(http::router(app.clone()), config, app.stopping.clone());
        let port = listeners.port().unwrap_or(app.settings.port());
        match listeners {
            Listeners::Addresses(all) => all.into_iter().for_each(|listener| {
                listening.spawn(connections.clone().accept(listener));
            }),
            Listeners::Front(listener, front) => {
                listening.spawn(connections.accept_front(listener, front));
            }
        }
        let mut background = JoinSet::new();
        background.spawn(jobs::back_up_daily(state.clone(), app.jobs.clone()));
        background.spawn(upkeep::run(state, certificate));
        background.spawn(http::failures::keep(app.clone()));
        // So that the result is available for the first request.
        app.health.begin_store_check();
        tracing::info!(version = %Version::current(), port, fqdn = %app.settings.fqdn, "The server answers");
        if let Err(error) = run.remember(Listening { port }) {
            tracing::warn!(%error, "Where the server listens could not be written down");
        }
        Ok(Self { app, listening, background, run, _lock: lock })
    }

    /// Stops the server: new connections are refused, open requests finish within some seconds, a running job
    /// is stopped and marked as failed.
    pub(crate) async fn stop(mut self) {
        tracing::info!("The server stops");
        self.app.stopping.cancel();
        self.background.shutdown().await;
        self.app.jobs.stop().await;
        let rest = async { while self.listening.join_next().await.is_some() {} };
        let _ = tokio::time::timeout(accept::GRACE, rest).await;
        http::failures::store(&self.app).await;
        if let Err(error) = upkeep::tidy(&self.app.state).await {
            tracing::warn!(%error, "How far the database is could not be written down");
        }
        let db = self.app.db.clone();
        if let Err(error) = blocking(move || db.checkpoint()).await {
            tracing::warn!(%error, "The database could not be tidied up");
        }
        self.run.forget();
    }
}

/// Everything that blocks and comes before the first connection.
fn prepare(layout: Layout, log: &Log, tuning: Tuning) -> Result<(State, RunLock, Arc<Certificate>)> {
    let settings = Settings::require(&layout)?;
    let lock = RunFiles::of(&layout).lock()?;
    for folder in [layout.logs(), layout.cache(), layout.data()] {
        if !folder.exists() {
            files::private_folder(&folder)?;
        }
    }
    let log = log.open(&layout.log())?;
    let db = spare_space::open_database(&layout, &settings)?;
    if let Err(error) = settled::note(&layout, &db) {
        tracing::warn!(%error, "How far the database is could not be written down");
    }
    let now = tuning.clock.now();
    let millis = crate::time::millis(now);
    match db.transaction(|c| interrupted::close(c, millis)) {
        Ok(0) => {}
        Ok(count) => tracing::warn!(count, "A job was interrupted when the server last stopped"),
        // On a full disk the server still starts: the next job closes them.
        Err(error) => tracing::error!(%error, "Interrupted jobs could not be marked"),
    }
    tls::ensure(&layout, settings.fqdn.as_str(), now)?;
    let certificate = Certificate::load(&layout)?;
    tls::leave_for_front(&layout)?;
    Ok((State::new(layout, settings, db, log, tuning)?, lock, certificate))
}
