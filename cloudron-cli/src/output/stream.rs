//! Lists that are printed as they come, because they may be longer than memory.

use std::io::{BufWriter, Stdout, Write};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use cloudron_core::{Error, Result};
use serde::Serialize;

use super::{Format, Output};

/// A list on its way to stdout: a line for each item, or one JSON object with all of them under their name.
#[derive(Clone)]
pub(crate) struct Stream {
    format: Format,
    state: Arc<Mutex<State>>,
}

struct State {
    out: BufWriter<Stdout>,
    name: &'static str,
    items: u64,
    /// The reader went away: nothing more is wanted.
    closed: bool,
}

impl Output {
    /// A list under this name.
    pub(crate) fn stream(&self, name: &'static str) -> Stream {
        let out = BufWriter::with_capacity(64 << 10, std::io::stdout());
        let state = State { out, name, items: 0, closed: false };
        Stream { format: self.format, state: Arc::new(Mutex::new(state)) }
    }
}

impl Stream {
    /// Prints an item.
    pub(crate) fn item(&self, item: &impl Serialize, text: impl FnOnce() -> String) -> Result<()> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let line = match self.format {
            Format::Text => text() + "\n",
            Format::Json => {
                let json = serde_json::to_string(item).map_err(|e| {
                    Error::new(&cloudron_core::codes::FAILED, format!("the answer is not JSON: {e}"))
                })?;
                let before = if state.items == 0 { state.begin() } else { ",".to_owned() };
                before + &json
            }
        };
        state.items += 1;
        state.write(&line)
    }

    /// Ends the list, with what is known of all of it.
    pub(crate) fn finish(self, report: &impl Serialize, text: impl FnOnce() -> String) -> Result<()> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let end = match self.format {
            Format::Text => text(),
            Format::Json => {
                let begin = if state.items == 0 { state.begin() } else { String::new() };
                let report = serde_json::to_string(report).unwrap_or_else(|_| "null".into());
                format!("{begin}],\"report\":{report}}}\n")
            }
        };
        state.write(&end)?;
        match state.out.flush() {
            Err(e) if e.kind() != std::io::ErrorKind::BrokenPipe => Err(Error::io("standard output", e)),
            _ => Ok(()),
        }
    }
}

impl State {
    fn begin(&self) -> String {
        format!("{{\"schema\":1,\"{}\":[", self.name)
    }

    fn write(&mut self, text: &str) -> Result<()> {
        if self.closed {
            return Ok(());
        }
        match self.out.write_all(text.as_bytes()) {
            Err(e) if e.kind() == std::io::ErrorKind::BrokenPipe => {
                self.closed = true;
                Ok(())
            }
            other => other.map_err(|e| Error::io("standard output", e)),
        }
    }
}

/// A path for people: control characters, with which a name could fool a terminal, are escaped.
pub(crate) fn printable(path: &Path) -> String {
    let text = path.to_string_lossy();
    if !text.contains(char::is_control) {
        return text.into_owned();
    }
    text.chars().map(|c| if c.is_control() { c.escape_default().to_string() } else { c.into() }).collect()
}
