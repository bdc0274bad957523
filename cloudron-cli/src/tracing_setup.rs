//! Traces on stderr with `-v` or the environment variable `DEBUG`.
//!
//! The libraries trace and print nothing; here is who listens.

use cloudron_core::traces::Filter;
use tracing_subscriber::Layer;
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::fmt::time::uptime;
use tracing_subscriber::layer::SubscriberExt;

use crate::output::Output;

/// Starts tracing if requested: `-v` for steps, logins and retries, `-vv` also for requests, commands and
/// store operations, `-vvv` or `DEBUG=*` for everything. `DEBUG=ssh,dns` shows everything on these topics.
pub(crate) fn start(verbose: u8, out: &Output) {
    let wanted = Filter::new(verbose, &std::env::var("DEBUG").unwrap_or_default());
    if wanted.is_nothing() {
        return;
    }
    let (traces, most) = (out.traces(), wanted.most());
    let lines = tracing_subscriber::fmt::layer()
        .with_writer(move || traces.clone())
        .with_timer(uptime())
        .with_ansi(false)
        .with_filter(
            filter_fn(move |trace| wanted.shows(trace.target(), trace.level())).with_max_level_hint(most),
        );
    // Fails only if a subscriber is already set.
    let _ = tracing::subscriber::set_global_default(tracing_subscriber::registry().with(lines));
}
