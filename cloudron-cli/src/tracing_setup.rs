//! Tracing to stderr with `-v` or the environment variable `DEBUG`.

use tracing_subscriber::EnvFilter;

use crate::output::Output;

/// Starts tracing when it is asked for. The libraries trace no secrets: theirs is a type that redacts.
pub(crate) fn start(verbose: u8, out: &Output) {
    let traces = out.traces();
    let filter = match (verbose, std::env::var("DEBUG").ok().as_deref()) {
        (0, None | Some("")) => return,
        (0, Some("*")) | (2.., _) => "debug,rustls=info,hyper=info,hickory_proto=info".to_owned(),
        (0, Some(filter)) => filter.to_owned(),
        (1, _) => "warn,cloudron=info,cloudron_provision=info,cloudron_backup=info,cloudron_dns=info,cloudron_box=info"
            .to_owned(),
    };
    let filter = EnvFilter::builder().parse_lossy(filter);
    let started = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(move || traces.clone())
        .with_ansi(false)
        .without_time()
        .try_init();
    // It is already set only when a test runs two commands in one process; then that one stays.
    drop(started);
}
