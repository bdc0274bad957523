//! Everything that reaches the terminal: data on stdout, progress, prompts and errors on stderr.

mod error;
mod progress;
mod prompt;
mod stream;
mod table;

use std::io::{IsTerminal, Write};
use std::sync::Arc;

use cloudron_core::{Error, Progress, Result};
use serde::Serialize;
use serde_json::{Value, json};

pub(crate) use stream::printable;
pub(crate) use table::{Table, ago, bytes};

/// How the user wants data printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Format {
    /// For people.
    Text,
    /// One JSON object with a `schema` number.
    Json,
}

/// Where and how a command prints. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Output {
    format: Format,
    yes: bool,
    bars: Arc<progress::Bars>,
}

impl Output {
    pub(crate) fn new(format: Format, yes: bool) -> Self {
        Self { format, yes, bars: Arc::new(progress::Bars::new()) }
    }

    pub(crate) fn is_json(&self) -> bool {
        self.format == Format::Json
    }

    /// Prints data: as text, or as `{"schema": 1, "<name>": <data>}`.
    pub(crate) fn data(
        &self,
        name: &str,
        data: &impl Serialize,
        text: impl FnOnce() -> String,
    ) -> Result<()> {
        match self.format {
            Format::Text => self.text(&text()),
            Format::Json => self.json(name, data),
        }
    }

    /// Prints one JSON object with the data under its name.
    pub(crate) fn json(&self, name: &str, data: &impl Serialize) -> Result<()> {
        let data = serde_json::to_value(data)
            .map_err(|e| Error::new(&cloudron_core::codes::FAILED, format!("the answer is not JSON: {e}")))?;
        self.text(&json!({ "schema": 1, name: data }).to_string())
    }

    /// Prints a JSON object whose fields stand beside the `schema` number.
    pub(crate) fn json_object(&self, mut object: Value) -> Result<()> {
        object["schema"] = 1.into();
        self.text(&object.to_string())
    }

    /// Prints text on stdout, with a newline unless it is empty or has one. A reader that went away is no error.
    pub(crate) fn text(&self, text: &str) -> Result<()> {
        if text.is_empty() {
            return Ok(());
        }
        let newline = if text.ends_with('\n') { "" } else { "\n" };
        self.raw(format!("{text}{newline}").as_bytes())
    }

    /// Writes bytes to stdout. A reader that went away is no error.
    pub(crate) fn raw(&self, bytes: &[u8]) -> Result<()> {
        let written = self.bars.hidden(|| {
            let mut stdout = std::io::stdout().lock();
            stdout.write_all(bytes).and_then(|()| stdout.flush())
        });
        match written {
            Err(e) if e.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
            other => other.map_err(|e| Error::io("standard output", e)),
        }
    }

    /// Tells the user something on stderr.
    pub(crate) fn say(&self, text: &str) {
        self.bars.hidden(|| eprint_line(text));
    }

    /// Warns the user on stderr.
    pub(crate) fn warn(&self, text: &str) {
        self.say(&format!("{} {text}", paint("warning:", YELLOW)));
    }

    /// Where libraries report their progress: bars on a terminal, a line per task elsewhere.
    pub(crate) fn progress(&self) -> Progress {
        let bars = self.bars.clone();
        Progress::to(move |event| bars.show(event))
    }

    /// Prints an error: what was being done, what went wrong, what to do next, and the code.
    pub(crate) fn error(&self, failure: &Error) {
        self.bars.hidden(|| match self.format {
            Format::Text => eprint_line(&error::text(failure)),
            Format::Json => eprint_line(&error::json(failure).to_string()),
        });
    }

    /// Asks a yes or no question; `--yes` answers it.
    ///
    /// # Errors
    /// `needs-answer` when nobody can be asked.
    pub(crate) fn confirm(&self, question: &str) -> Result<bool> {
        if self.yes { Ok(true) } else { self.bars.hidden(|| prompt::confirm(question)) }
    }

    /// Asks a yes or no question that only a person may answer.
    ///
    /// # Errors
    /// `needs-answer` when nobody can be asked.
    pub(crate) fn confirm_in_person(&self, question: &str) -> Result<bool> {
        self.bars.hidden(|| prompt::confirm(question))
    }

    /// Whether somebody is there to answer.
    pub(crate) fn can_ask() -> bool {
        prompt::terminal()
    }

    /// Asks for a secret without echo; `option` is what gives it without a question.
    ///
    /// # Errors
    /// `needs-answer` when nobody can be asked.
    pub(crate) fn ask_secret(&self, question: &str, option: &str) -> Result<cloudron_core::Secret> {
        self.bars.hidden(|| prompt::secret(question, option))
    }
}

pub(crate) const RED: &str = "31";
pub(crate) const YELLOW: &str = "33";
pub(crate) const BOLD: &str = "1";

/// Colours a text for stderr: only on a terminal, and never with `NO_COLOR` (no-color.org).
pub(crate) fn paint(text: &str, code: &str) -> String {
    let wanted = std::env::var_os("NO_COLOR").is_none_or(|v| v.is_empty());
    if wanted && std::io::stderr().is_terminal() {
        format!("\x1b[{code}m{text}\x1b[0m")
    } else {
        text.to_owned()
    }
}

fn eprint_line(text: &str) {
    // Nowhere is left to report that stderr is closed.
    let _ = writeln!(std::io::stderr().lock(), "{text}");
}
