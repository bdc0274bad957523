//! Writing tracing events as log lines.

use std::fmt::Error as FormatError;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::SystemTime;

use cloudron_core::escape;
use serde_json::{Map, Value};
use tracing::{Event, Subscriber};
use tracing_subscriber::fmt::format::{JsonFields, Writer};
use tracing_subscriber::fmt::{self, FmtContext, FormatEvent, FormatFields, FormattedFields, MakeWriter};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::{EnvFilter, Layer};

use super::rotate::Rotating;
use crate::Result;
use crate::api::LogLine;
use crate::time::{millis, timestamp};

/// Size at which the log file is rotated, in bytes.
const LIMIT: u64 = 4 * 1024 * 1024;

/// The default filter. Detailed events of the libraries are for debugging.
const DEFAULT: &str =
    "info,cloudron_core=warn,cloudron_backup=warn,cloudron_provision=warn,cloudron_dns=warn";

/// The log file of one server: JSON lines, each a [`LogLine`]. The server that is given this opens it, and closes it when
/// it stops; lines before and after go nowhere.
#[derive(Debug, Clone, Default)]
pub struct Log(Arc<Mutex<Weak<Mutex<Rotating>>>>);

impl Log {
    /// Makes a log without a file yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Returns the layer that writes the events of a subscriber to this log.
    pub fn layer<S: Subscriber + for<'a> LookupSpan<'a>>(&self) -> impl Layer<S> + use<S> {
        let log = self.clone();
        lines(move || log.clone())
    }

    /// Opens the file. It is open for as long as the result lives.
    pub(crate) fn open(&self, path: &Path) -> Result<Opened> {
        let file = Arc::new(Mutex::new(Rotating::open(path, LIMIT)?));
        *lock(&self.0) = Arc::downgrade(&file);
        Ok(Opened { path: path.to_owned(), _file: file })
    }
}

/// The layer calls this once for each event.
impl Write for Log {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let file = lock(&self.0).upgrade();
        if let Some(file) = file {
            lock(&file).write(line);
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A log with an open file.
#[derive(Debug)]
pub(crate) struct Opened {
    path: PathBuf,
    _file: Arc<Mutex<Rotating>>,
}

impl Opened {
    /// Returns the path of the current file.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The layer that writes JSON lines.
pub(crate) fn lines<S, W>(writer: W) -> impl Layer<S> + use<S, W>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    W: for<'w> MakeWriter<'w> + 'static,
{
    fmt::layer().fmt_fields(JsonFields::new()).event_format(JsonLines).with_writer(writer)
}

/// Makes this process log what the server does: to the log file, and as text to stderr, which systemd's journal keeps,
/// unless stderr is a file that nobody would rotate. `filter` is one of `tracing_subscriber`, such as `debug` or
/// `cloudron_box=trace`; by default `info`. Has no effect if the process has a subscriber already; that one needs the
/// [layer](Log::layer).
pub fn init(log: &Log, filter: Option<&str>) {
    let filter = filter.and_then(|f| EnvFilter::try_new(f).ok()).unwrap_or_else(|| EnvFilter::new(DEFAULT));
    let text = fmt::layer().with_writer(|| Journal).with_ansi(false).with_target(false);
    let text = (!stderr_is_a_file()).then_some(text);
    let subscriber = tracing_subscriber::registry().with(filter).with(log.layer()).with(text);
    // Fails only if there is a subscriber already, which is kept.
    let _ = tracing::subscriber::set_global_default(subscriber);
}

/// Standard error, which may be shown on a terminal: each call writes one line, with line breaks escaped.
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

/// Formats an event as a [`LogLine`]. Its fields are those of the event and of the spans around it; where two have the
/// same name, the inner one counts.
struct JsonLines;

impl<S, N> FormatEvent<S, N> for JsonLines
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut out: Writer<'_>,
        event: &Event<'_>,
    ) -> Result<(), FormatError> {
        let mut text = String::new();
        context.format_fields(Writer::new(&mut text), event)?;
        let mut fields = parse(&text)?;
        let message = match fields.remove("message") {
            Some(Value::String(message)) => message,
            other => other.map(|value| value.to_string()).unwrap_or_default(),
        };
        for span in context.event_scope().into_iter().flatten() {
            let extensions = span.extensions();
            let Some(of_span) = extensions.get::<FormattedFields<N>>() else { continue };
            for (name, value) in parse(of_span)? {
                fields.entry(name).or_insert(value);
            }
        }
        let metadata = event.metadata();
        let line = LogLine {
            time: timestamp(millis(SystemTime::now())),
            level: metadata.level().to_string(),
            target: metadata.target().to_owned(),
            message,
            fields,
        };
        let text = serde_json::to_string(&line).map_err(|_| FormatError)?;
        writeln!(out, "{}", escape::json(&text))
    }
}

/// Parses what [`JsonFields`] wrote; a span without fields may have no text.
fn parse(fields: &str) -> Result<Map<String, Value>, FormatError> {
    if fields.is_empty() { Ok(Map::new()) } else { serde_json::from_str(fields).map_err(|_| FormatError) }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The lines that a log has of what is done.
    fn lines_of(work: impl FnOnce()) -> Vec<LogLine> {
        let home = tempfile::tempdir().unwrap();
        let log = Log::new();
        let opened = log.open(&home.path().join("box.log")).unwrap();
        tracing::subscriber::with_default(tracing_subscriber::registry().with(log.layer()), work);
        let text = std::fs::read_to_string(opened.path()).unwrap();
        assert!(!text.contains(|c| escape::is_unsafe(c) && c != '\n'), "{text:?}");
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    #[test]
    fn an_event_becomes_a_line_that_reads_back() {
        let lines = lines_of(|| {
            let hook = "\u{9b}2J";
            tracing::info!(files = 3_u64, part = 0.5, hook, "A backup was made\nin {} lines", "two");
            tracing::warn!(files = 4_u64);
        });
        let [line, bare] = &lines[..] else { panic!("{lines:?}") };
        assert_eq!((line.level.as_str(), line.message.as_str()), ("INFO", "A backup was made\nin two lines"));
        assert_eq!(line.target, module_path!());
        assert_eq!(
            Value::from(line.fields.clone()),
            serde_json::json!({"files": 3, "part": 0.5, "hook": "\u{9b}2J"})
        );
        assert_eq!(
            (bare.level.as_str(), bare.message.as_str(), &bare.fields["files"]),
            ("WARN", "", &4.into())
        );
    }

    #[test]
    fn a_line_has_the_fields_of_the_spans_around_its_event() {
        let lines = lines_of(|| {
            let _job = tracing::info_span!("job", id = 7_u64, kind = "backup").entered();
            let _plain = tracing::info_span!("plain").entered();
            let step = tracing::info_span!("step", id = 8_u64, late = tracing::field::Empty).entered();
            step.record("late", "yes");
            tracing::info!(kind = "own", "inside");
        });
        let expected = serde_json::json!({"id": 8, "kind": "own", "late": "yes"});
        assert_eq!(Value::from(lines[0].fields.clone()), expected);
    }

    #[test]
    fn a_log_writes_while_its_file_is_open() {
        let home = tempfile::tempdir().unwrap();
        let (log, path) = (Log::new(), home.path().join("box.log"));
        let subscriber = tracing_subscriber::registry().with(log.layer());
        tracing::subscriber::with_default(subscriber, || {
            tracing::info!("before");
            let opened = log.open(&path).unwrap();
            tracing::info!("between");
            drop(opened);
            tracing::info!("after");
        });
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(text.lines().count() == 1 && text.contains("between"), "{text}");
    }
}
