//! Traces on stderr with `-v` or the environment variable `DEBUG`.
//!
//! The libraries trace and print nothing; here is who listens. Only what this project traces is shown: requests are
//! traced without their queries, headers and bodies, commands without their input, and secrets are a type that
//! redacts itself. Crates of others give no such promise.

use tracing::level_filters::LevelFilter;
use tracing::{Level, Metadata};
use tracing_subscriber::Layer;
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::fmt::time::uptime;
use tracing_subscriber::layer::SubscriberExt;

use crate::output::Output;

/// Starts tracing when it is asked for: `-v` for steps, logins and retries, `-vv` also for requests, commands and
/// store operations, `-vvv` or `DEBUG=*` for everything. `DEBUG=ssh,dns` shows everything of these topics.
pub(crate) fn start(verbose: u8, out: &Output) {
    let wanted = Wanted::of(verbose, &std::env::var("DEBUG").unwrap_or_default());
    if wanted.is_nothing() {
        return;
    }
    let (traces, most) = (out.traces(), wanted.most());
    let lines = tracing_subscriber::fmt::layer()
        .with_writer(move || traces.clone())
        .with_timer(uptime())
        .with_ansi(false)
        .with_filter(filter_fn(move |metadata| wanted.shows(metadata)).with_max_level_hint(most));
    // It is set only once.
    let _ = tracing::subscriber::set_global_default(tracing_subscriber::registry().with(lines));
}

/// What is to be shown.
struct Wanted {
    /// The level of `-v`.
    level: LevelFilter,
    /// The topics of `DEBUG`, each whether it is shown or, with a `-` before it, not.
    topics: Vec<(String, bool)>,
}

impl Wanted {
    fn of(verbose: u8, debug: &str) -> Self {
        let level = match verbose {
            0 => LevelFilter::OFF,
            1 => LevelFilter::INFO,
            2 => LevelFilter::DEBUG,
            _ => LevelFilter::TRACE,
        };
        let words = debug.split([',', ' ']).filter(|w| !w.is_empty());
        let topics = words.map(|word| match word.strip_prefix('-') {
            Some(topic) => (topic.to_owned(), false),
            None => (word.to_owned(), true),
        });
        Self { level, topics: topics.collect() }
    }

    fn is_nothing(&self) -> bool {
        self.most() == LevelFilter::OFF
    }

    fn most(&self) -> LevelFilter {
        if self.topics.iter().any(|(_, shown)| *shown) { LevelFilter::TRACE } else { self.level }
    }

    fn shows(&self, metadata: &Metadata<'_>) -> bool {
        self.shows_at(metadata.target(), metadata.level())
    }

    fn shows_at(&self, target: &str, level: &Level) -> bool {
        if !(target == "cloudron" || target.starts_with("cloudron_") || target.starts_with("cloudron::")) {
            return false;
        }
        // The last topic that fits decides, as in Node's `debug`.
        let fitting = self.topics.iter().rev().find(|(topic, _)| fits(topic, target));
        fitting.map_or(level <= &self.level, |(_, shown)| *shown)
    }
}

/// Whether a topic is a part of the target `cloudron_provision::ssh::remote`: a crate with or without `cloudron`
/// before it, or a module. `*` stands for any text at the end.
fn fits(topic: &str, target: &str) -> bool {
    let topic = topic.replace(['-', ':', '/'], "_").replace("__", "_");
    let fits = |part: &str| match topic.strip_suffix('*') {
        Some(start) => part.starts_with(start),
        None => part == topic,
    };
    let parts = target.split("::");
    fits(&target.replace("::", "_")) || parts.flat_map(|p| [p, p.trim_start_matches("cloudron_")]).any(fits)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SSH: &str = "cloudron_provision::ssh::remote";

    #[test]
    fn more_v_show_more() {
        let shown = |verbose| {
            [Level::INFO, Level::DEBUG, Level::TRACE]
                .iter()
                .filter(|level| Wanted::of(verbose, "").shows_at(SSH, level))
                .count()
        };
        assert_eq!([0, 1, 2, 3, 4].map(shown), [0, 1, 2, 3, 3]);
        assert!(Wanted::of(0, "").is_nothing() && Wanted::of(0, "-ssh").is_nothing());
    }

    #[test]
    fn topics_are_crates_and_modules() {
        for topic in
            ["*", "ssh", "provision", "cloudron_provision", "cloudron:*", "cloudron*", "dns,ssh", "prov*"]
        {
            assert!(Wanted::of(0, topic).shows_at(SSH, &Level::TRACE), "{topic}");
        }
        for topic in ["dns", "*,-ssh", "s", "cloudron_dns"] {
            assert!(!Wanted::of(0, topic).shows_at(SSH, &Level::ERROR), "{topic}");
        }
    }

    #[test]
    fn crates_of_others_are_never_shown() {
        for target in ["hyper::client", "aws_smithy_runtime", "rustls::conn"] {
            assert!(!Wanted::of(9, "*").shows_at(target, &Level::ERROR), "{target}");
        }
    }
}
