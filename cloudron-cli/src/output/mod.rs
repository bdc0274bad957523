//! Everything that reaches the terminal: data on stdout, progress, prompts and errors on stderr.

mod error;
mod progress;
mod prompt;
mod stream;
mod terminal;

use std::io::Write;
use std::sync::Arc;

use cloudron_core::{Error, Progress, Result, escape};
use serde::Serialize;
use serde::de::IgnoredAny;
use serde_json::{Value, json};
use terminal::{Data, Style, Text};

pub(crate) use cloudron_core::human::bytes;
pub(crate) use cloudron_core::table::Table;

/// How the user wants data printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Format {
    /// For people.
    Text,
    /// One JSON object with a `schema` number.
    Json,
}

/// The format and destination of a command's output. Cheap to clone.
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
        let data = serde_json::to_value(data).map_err(|e| no_json(&e))?;
        self.json_line(&json!({ "schema": 1, name: data }))
    }

    /// Prints a JSON object with its fields next to the `schema` number.
    pub(crate) fn json_object(&self, mut object: Value) -> Result<()> {
        object["schema"] = 1.into();
        self.json_line(&object)
    }

    /// Prints a value as one line of JSON.
    pub(crate) fn json_line(&self, value: &impl Serialize) -> Result<()> {
        let text = serde_json::to_string(value).map_err(|e| no_json(&e))?;
        self.print(&Text::json(&text))
    }

    /// Prints a line of JSON that another program wrote. A line that is not JSON is wrapped as a message.
    pub(crate) fn json_of_another(&self, line: &str) -> Result<()> {
        match serde_json::from_str::<IgnoredAny>(line) {
            Ok(_) => self.print(&Text::json(line)),
            Err(_) => self.json_line(&json!({ "message": line })),
        }
    }

    /// Prints text on stdout, with a newline unless it is empty or ends with one. A closed stdout is not an
    /// error.
    pub(crate) fn text(&self, text: &str) -> Result<()> {
        self.print(&Text::of(text))
    }

    /// Prints one line on stdout. Line breaks in the text are escaped.
    pub(crate) fn line(&self, text: &str) -> Result<()> {
        self.print(&Text::line(text))
    }

    fn print(&self, text: &Text) -> Result<()> {
        self.bars.hidden(|| {
            let mut stdout = Data::new();
            stdout.write(&text.clone().ended())?;
            stdout.flush().map(drop)
        })
    }

    /// Returns standard output for binary data.
    ///
    /// # Errors
    /// `usage` if it is a terminal.
    pub(crate) fn binary(&self) -> Result<impl Write + Send + use<>> {
        terminal::binary()
    }

    /// Prints a message to the user on stderr.
    pub(crate) fn say(&self, text: &str) {
        self.tell(Text::of(text));
    }

    /// Prints a warning on stderr, as one line.
    pub(crate) fn warn(&self, text: &str) {
        self.tell(warning(text));
    }

    fn tell(&self, text: Text) {
        self.bars.hidden(|| terminal::tell(&text.ended()));
    }

    /// Returns the writer for traces.
    pub(crate) fn traces(&self) -> Traces {
        Traces(self.bars.clone())
    }

    /// Returns the receiver of library progress: bars on a terminal, otherwise a line per task.
    pub(crate) fn progress(&self) -> Progress {
        let bars = self.bars.clone();
        Progress::to(move |event| bars.show(event))
    }

    /// Prints an error: context, problem, hint and code.
    pub(crate) fn error(&self, failure: &Error) {
        self.tell(match self.format {
            Format::Text => error::text(failure),
            Format::Json => Text::json(&error::json(failure).to_string()),
        });
    }

    /// Asks a yes or no question; `--yes` answers it.
    ///
    /// # Errors
    /// `needs-answer` if no user can be prompted.
    pub(crate) fn confirm(&self, question: &str) -> Result<bool> {
        if self.yes { Ok(true) } else { self.bars.hidden(|| prompt::confirm(question)) }
    }

    /// Ends the command unless a yes or no question is answered with yes.
    ///
    /// # Errors
    /// `interrupted`, with what did not happen; `needs-answer` when nobody can be asked.
    pub(crate) fn agreed(&self, question: &str, otherwise: &str) -> Result<()> {
        match self.confirm(question)? {
            true => Ok(()),
            false => Err(Error::new(&cloudron_core::codes::INTERRUPTED, otherwise)),
        }
    }

    /// Asks a yes or no question that `--yes` does not answer.
    ///
    /// # Errors
    /// `needs-answer` if no user can be prompted.
    pub(crate) fn confirm_in_person(&self, question: &str) -> Result<bool> {
        self.bars.hidden(|| prompt::confirm(question))
    }

    /// Returns true if a user can be prompted.
    pub(crate) fn can_ask() -> bool {
        prompt::terminal()
    }

    /// Asks for a secret without echo. `option` is the option that supplies it without a prompt.
    ///
    /// # Errors
    /// `needs-answer` if no user can be prompted.
    pub(crate) fn ask_secret(&self, question: &str, option: &str) -> Result<cloudron_core::Secret> {
        self.bars.hidden(|| prompt::secret(question, option))
    }
}

/// Writes traces to stderr: each call is one trace.
#[derive(Clone)]
pub(crate) struct Traces(Arc<progress::Bars>);

impl Write for Traces {
    fn write(&mut self, trace: &[u8]) -> std::io::Result<usize> {
        let text = Text::line(String::from_utf8_lossy(trace).trim_end()).ended();
        self.0.hidden(|| terminal::tell(&text));
        Ok(trace.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// Joins lines and escapes line breaks inside each of them.
pub(crate) fn lines<T: AsRef<str>>(lines: impl IntoIterator<Item = T>) -> String {
    lines.into_iter().map(|line| escape::line(line.as_ref()).into_owned()).collect::<Vec<_>>().join("\n")
}

/// Prints a usage error or help text, and exits. Quoted arguments are escaped, since they may come from
/// outside.
pub(crate) fn usage(error: &clap::Error) -> ! {
    let said = error.render().to_string();
    if error.use_stderr() && said.contains(|c| escape::is_unsafe(c) && c != '\n') {
        terminal::tell(&Text::of(&said).ended());
        std::process::exit(error.exit_code());
    }
    error.exit()
}

/// Reports panics in the same way as other errors.
pub(crate) fn tell_panics() {
    std::panic::set_hook(Box::new(|panic| {
        let backtrace = std::backtrace::Backtrace::capture();
        let text = format!("{panic}\nThis is a fault of cloudron itself: please report it.\n{backtrace}");
        terminal::tell(&Text::styled("error:", Style::Red).below(Text::of(&text)).ended());
    }));
}

fn warning(text: &str) -> Text {
    Text::styled("warning:", Style::Yellow).then(text)
}

fn no_json(error: &serde_json::Error) -> Error {
    Error::new(&cloudron_core::codes::FAILED, format!("the answer is not JSON: {error}"))
}
