//! Which traces of these crates are shown to somebody who looks for a fault.
//!
//! The crates trace with the crate `tracing` and install no subscriber. Requests are traced without their queries, headers
//! and bodies, commands without their input, and secrets are a type that redacts itself. Crates of others give no such
//! promise: a subscriber shows what [`Filter`] lets through.

use tracing::Level;
use tracing::level_filters::LevelFilter;

/// Which traces of these crates are shown: by their level, or because their topic is named.
#[derive(Debug, Clone)]
pub struct Filter {
    /// The level that is shown of everything.
    level: LevelFilter,
    /// The topics, each with whether it is shown or, with a `-` before it, not.
    topics: Vec<(String, bool)>,
}

impl Filter {
    /// Shows steps, logins and retries with a `verbose` of 1, also requests, commands and store operations with 2, everything
    /// with 3 or more; and everything of the topics in `debug`, such as `ssh,dns` or `*,-http`.
    pub fn new(verbose: u8, debug: &str) -> Self {
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

    /// Returns whether no trace is shown.
    pub fn is_nothing(&self) -> bool {
        self.most() == LevelFilter::OFF
    }

    /// Returns the level of the most detailed traces that are shown.
    pub fn most(&self) -> LevelFilter {
        if self.topics.iter().any(|(_, shown)| *shown) { LevelFilter::TRACE } else { self.level }
    }

    /// Returns whether a trace of that target and level is shown. Those of crates of others never are.
    pub fn shows(&self, target: &str, level: &Level) -> bool {
        if !(target == "cloudron" || target.starts_with("cloudron_") || target.starts_with("cloudron::")) {
            return false;
        }
        // The last matching topic decides, as in Node's `debug`.
        let fitting = self.topics.iter().rev().find(|(topic, _)| fits(topic, target));
        fitting.map_or(level <= &self.level, |(_, shown)| *shown)
    }
}

/// Returns true if a topic is part of a target such as `cloudron_provision::ssh::remote`: a crate, with or
/// without `cloudron`, or a module. A final `*` matches any text.
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
                .filter(|level| Filter::new(verbose, "").shows(SSH, level))
                .count()
        };
        assert_eq!([0, 1, 2, 3, 4].map(shown), [0, 1, 2, 3, 3]);
        assert!(Filter::new(0, "").is_nothing() && Filter::new(0, "-ssh").is_nothing());
    }

    #[test]
    fn topics_are_crates_and_modules() {
        for topic in
            ["*", "ssh", "provision", "cloudron_provision", "cloudron:*", "cloudron*", "dns,ssh", "prov*"]
        {
            assert!(Filter::new(0, topic).shows(SSH, &Level::TRACE), "{topic}");
        }
        for topic in ["dns", "*,-ssh", "s", "cloudron_dns"] {
            assert!(!Filter::new(0, topic).shows(SSH, &Level::ERROR), "{topic}");
        }
    }

    #[test]
    fn crates_of_others_are_never_shown() {
        for target in ["hyper::client", "aws_smithy_runtime", "rustls::conn"] {
            assert!(!Filter::new(9, "*").shows(target, &Level::ERROR), "{target}");
        }
    }
}
