//! From tracing events to lines.

use std::fmt::{self, Write as _};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use cloudron_core::escape;
use jiff::Timestamp;
use serde_json::{Map, Value};
use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::layer::{Context, SubscriberExt};
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::{EnvFilter, Layer};

use super::rotate::Rotating;
use crate::Result;
use crate::api::LogLine;
use crate::time::{millis, timestamp};

/// The size at which the log file is rotated.
const LIMIT: u64 = 4 * 1024 * 1024;

/// What is logged by default. What the libraries say of their work is for people who look for a fault.
const DEFAULT: &str =
    "info,cloudron_core=warn,cloudron_backup=warn,cloudron_provision=warn,cloudron_dns=warn";

/// The files that lines go to: one for each server of this process, which is one outside of tests.
static SINKS: Mutex<Vec<Arc<Mutex<Rotating>>>> = Mutex::new(Vec::new());

/// The log file of a running server. Lines go to it until this is dropped.
#[derive(Debug)]
pub(crate) struct Sink {
    path: PathBuf,
    file: Arc<Mutex<Rotating>>,
}

impl Sink {
    /// Where the lines are.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Sink {
    fn drop(&mut self) {
        SINKS.lock().unwrap_or_else(PoisonError::into_inner).retain(|f| !Arc::ptr_eq(f, &self.file));
    }
}

/// Has lines written to a file.
pub(crate) fn open(path: &Path) -> Result<Sink> {
    let file = Arc::new(Mutex::new(Rotating::open(path, LIMIT)?));
    SINKS.lock().unwrap_or_else(PoisonError::into_inner).push(file.clone());
    Ok(Sink { path: path.to_owned(), file })
}

/// Has this process log what the server does: JSON lines to the file of the server that runs, and text to
/// stderr, which systemd's journal keeps, unless stderr is a file that nobody would rotate. `filter` is one of
/// `tracing_subscriber`, such as `debug` or `cloudron_box=trace`; by default `info`. Without effect when the
/// process logs already.
pub fn init(filter: Option<&str>) {
    let filter = filter.and_then(|f| EnvFilter::try_new(f).ok()).unwrap_or_else(|| EnvFilter::new(DEFAULT));
    let text = tracing_subscriber::fmt::layer().with_writer(|| Journal).with_ansi(false).with_target(false);
    let text = (!stderr_is_a_file()).then_some(text);
    let subscriber = tracing_subscriber::registry().with(filter).with(layer()).with(text);
    // An error means that there is one already, which then stays.
    let _ = tracing::subscriber::set_global_default(subscriber);
}

/// Standard error, which a terminal shows sooner or later: each call is one line, whatever it holds.
struct Journal;

impl Write for Journal {
    fn write(&mut self, line: &[u8]) -> std::io::Result<usize> {
        let text = String::from_utf8_lossy(line);
        let safe = format!("{}\n", escape::line(text.trim_end()));
        std::io::stderr().lock().write_all(safe.as_bytes()).map(|()| line.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

fn stderr_is_a_file() -> bool {
    use rustix::fs::{FileType, fstat};
    fstat(std::io::stderr()).is_ok_and(|s| FileType::from_raw_mode(s.st_mode) == FileType::RegularFile)
}

/// The part that writes the server's log file, for a program with a subscriber of its own.
pub fn layer<S: Subscriber + for<'a> LookupSpan<'a>>() -> impl Layer<S> {
    Lines
}

struct Lines;

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Lines {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let mut values = Values::default();
        event.record(&mut values);
        let line = LogLine {
            time: now(),
            level: event.metadata().level().to_string(),
            target: event.metadata().target().to_owned(),
            message: values.message,
            fields: values.fields,
        };
        let Ok(text) = serde_json::to_string(&line) else { return };
        let text = format!("{}\n", escape::json(&text));
        let sinks = SINKS.lock().unwrap_or_else(PoisonError::into_inner).clone();
        for sink in sinks {
            sink.lock().unwrap_or_else(PoisonError::into_inner).write(text.as_bytes());
        }
    }
}

fn now() -> Timestamp {
    timestamp(millis(SystemTime::now()))
}

#[derive(Default)]
struct Values {
    message: String,
    fields: Map<String, Value>,
}

impl Values {
    fn put(&mut self, field: &Field, value: Value) {
        self.fields.insert(field.name().to_owned(), value);
    }
}

impl Visit for Values {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        if field.name() == "message" {
            let _ = write!(self.message, "{value:?}");
        } else {
            self.put(field, format!("{value:?}").into());
        }
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        match field.name() {
            "message" => self.message.push_str(value),
            _ => self.put(field, value.into()),
        }
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.put(field, value.into());
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.put(field, value.into());
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.put(field, value.into());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_becomes_a_line_that_reads_back() {
        let home = tempfile::tempdir().unwrap();
        let sink = open(&home.path().join("box.log")).unwrap();
        let subscriber = tracing_subscriber::registry().with(layer());
        tracing::subscriber::with_default(subscriber, || {
            tracing::info!(
                files = 3_u64,
                id = "backup_x",
                hook = "\u{9b}2J",
                "A backup was made\nin two lines"
            );
        });
        let text = std::fs::read_to_string(sink.path()).unwrap();
        assert!(!text.contains(|c| escape::is_unsafe(c) && c != '\n'), "{text:?}");
        let line = text.lines().find(|l| l.contains("backup_x")).unwrap();
        let line: LogLine = serde_json::from_str(line).unwrap();
        assert_eq!((line.level.as_str(), line.message.as_str()), ("INFO", "A backup was made\nin two lines"));
        assert_eq!((&line.fields["files"], &line.fields["hook"]), (&3.into(), &"\u{9b}2J".into()));
    }
}
