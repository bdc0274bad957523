//! Lists printed item by item, because they may be larger than memory.

use std::sync::{Arc, Mutex, PoisonError};

use cloudron_core::Result;
use serde::Serialize;

use super::terminal::{Data, Text};
use super::{Format, Output, no_json};

/// A list printed to stdout: a line per item, or one JSON object with the items under `name`.
#[derive(Clone)]
pub(crate) struct Stream {
    format: Format,
    state: Arc<Mutex<State>>,
}

struct State {
    out: Data,
    name: &'static str,
    items: u64,
    /// Stdout is closed: no more items are printed.
    closed: bool,
}

impl Output {
    /// Starts a list with this name.
    pub(crate) fn stream(&self, name: &'static str) -> Stream {
        let state = State { out: Data::new(), name, items: 0, closed: false };
        Stream { format: self.format, state: Arc::new(Mutex::new(state)) }
    }
}

impl Stream {
    /// Prints an item; its text is one line.
    pub(crate) fn item(&self, item: &impl Serialize, text: impl FnOnce() -> String) -> Result<()> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let line = match self.format {
            Format::Text => Text::line(&text()).ended(),
            Format::Json => {
                let json = serde_json::to_string(item).map_err(|e| no_json(&e))?;
                let before = if state.items == 0 { state.begin() } else { ",".to_owned() };
                Text::json(&(before + &json))
            }
        };
        state.items += 1;
        state.write(&line)
    }

    /// Ends the list, with a report on all of it.
    pub(crate) fn finish(self, report: &impl Serialize, text: impl FnOnce() -> String) -> Result<()> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let end = match self.format {
            Format::Text => Text::of(&text()),
            Format::Json => {
                let begin = if state.items == 0 { state.begin() } else { String::new() };
                let report = serde_json::to_string(report).unwrap_or_else(|_| "null".into());
                Text::json(&format!("{begin}],\"report\":{report}}}\n"))
            }
        };
        state.write(&end)?;
        state.out.flush().map(drop)
    }
}

impl State {
    fn begin(&self) -> String {
        format!("{{\"schema\":1,\"{}\":[", self.name)
    }

    fn write(&mut self, text: &Text) -> Result<()> {
        if !self.closed {
            self.closed = !self.out.write(text)?;
        }
        Ok(())
    }
}
