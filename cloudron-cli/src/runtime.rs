//! The async runtime, started only by commands that need it, and signal handling.

use std::sync::OnceLock;

use cloudron_core::{Cancel, Error, Result, codes};

/// Set by the first Ctrl-C, SIGTERM or SIGHUP.
static STOP: OnceLock<Cancel> = OnceLock::new();

/// Runs a command's work. The first Ctrl-C (or SIGTERM, SIGHUP) asks it to stop at its next safe point; the
/// second exits immediately. The journal is sufficient to resume.
pub(crate) fn block_on<T, F: Future<Output = Result<T>>>(work: impl FnOnce(Cancel) -> F) -> Result<T> {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().map_err(|e| {
            Error::new(&codes::FAILED, format!("no asynchronous runtime can be started: {e}"))
        })?;
    let result = runtime.block_on(async {
        tokio::spawn(watch_signals(stop()));
        work(stop()).await
    });
    runtime.shutdown_background();
    result
}

/// Runs work that may be dropped at any point: Ctrl-C ends it immediately.
///
/// # Errors
/// `interrupted`.
pub(crate) fn interruptible<T>(work: impl Future<Output = Result<T>>) -> Result<T> {
    unless_stopped("interrupted", work)
}

/// Runs work as [`interruptible`] does. The error has this message.
pub(crate) fn unless_stopped<T>(said: &str, work: impl Future<Output = Result<T>>) -> Result<T> {
    block_on(|cancel| async move {
        tokio::select! {
            done = work => done,
            () = cancel.cancelled() => Err(Error::new(&codes::INTERRUPTED, said)),
        }
    })
}

/// Returns the cancellation flag set by Ctrl-C, for code that does not receive it as a parameter.
pub(crate) fn stop() -> Cancel {
    STOP.get_or_init(Cancel::new).clone()
}

async fn watch_signals(cancel: Cancel) {
    use tokio::signal::unix::{SignalKind, signal};
    let kinds = (SignalKind::interrupt(), SignalKind::terminate(), SignalKind::hangup());
    let signals = (signal(kinds.0), signal(kinds.1), signal(kinds.2));
    let (Ok(mut interrupt), Ok(mut terminate), Ok(mut hangup)) = signals else { return };
    for count in 0.. {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
            _ = hangup.recv() => {}
        }
        if count > 0 {
            std::process::exit(130);
        }
        cancel.cancel();
    }
}
