//! Terminal output. Nothing else in this program writes to standard output or standard error.
#![expect(clippy::disallowed_methods, reason = "this is the one place that may")]

use std::fmt::Display;
use std::io::{BufWriter, IsTerminal, Stdout, Write};

use cloudron_core::{Error, Result, escape};

/// Style of a text on a terminal.
#[derive(Debug, Clone, Copy)]
pub(super) enum Style {
    Bold = 1,
    Red = 31,
    Yellow = 33,
}

/// Text that is safe for a terminal: outside text is escaped, and styles are added afterwards. It has no
/// other constructors, and only this type is written.
#[derive(Debug, Default, Clone)]
pub(super) struct Text(String);

impl Text {
    /// Returns a text that may contain line breaks.
    pub(super) fn of(text: &str) -> Self {
        Self(escape::text(text).into_owned())
    }

    /// Returns a text of one line. Line breaks are escaped.
    pub(super) fn line(text: &str) -> Self {
        Self(escape::line(text).into_owned())
    }

    /// Returns a JSON document.
    pub(super) fn json(document: &str) -> Self {
        Self(escape::json(document).into_owned())
    }

    /// Returns words of this program, with a style if stderr shows colours.
    pub(super) fn styled(words: &'static str, style: Style) -> Self {
        match coloured() {
            true => Self(format!("\x1b[{}m{words}\x1b[0m", style as u8)),
            false => Self(words.into()),
        }
    }

    /// Appends a space and a line.
    pub(super) fn then(mut self, line: impl Display) -> Self {
        self.0.push(' ');
        self.0 += &escape::line(&line.to_string());
        self
    }

    /// Appends another text on a new line, indented by two spaces.
    pub(super) fn below(mut self, text: Self) -> Self {
        self.0 += "\n  ";
        self.0 += &text.0;
        self
    }

    /// Appends a newline unless the text is empty or ends with one.
    pub(super) fn ended(mut self) -> Self {
        if !self.0.is_empty() && !self.0.ends_with('\n') {
            self.0.push('\n');
        }
        self
    }

    pub(super) fn into_string(self) -> String {
        self.0
    }
}

/// Returns true if stderr shows colours: on a terminal, and without `NO_COLOR` (no-color.org).
fn coloured() -> bool {
    std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|v| v.is_empty())
}

/// Returns true if stderr is a terminal.
pub(super) fn stderr_is_terminal() -> bool {
    std::io::stderr().is_terminal()
}

/// Writes to stderr. Errors are ignored, since they cannot be reported anywhere.
pub(super) fn tell(text: &Text) {
    let mut stderr = std::io::stderr().lock();
    let _ = stderr.write_all(text.0.as_bytes()).and_then(|()| stderr.flush());
}

/// Standard output.
pub(super) struct Data(BufWriter<Stdout>);

impl Data {
    pub(super) fn new() -> Self {
        Self(BufWriter::with_capacity(64 << 10, std::io::stdout()))
    }

    /// Writes text. Returns false if stdout is closed, which is not an error.
    pub(super) fn write(&mut self, text: &Text) -> Result<bool> {
        wanted(self.0.write_all(text.0.as_bytes()))
    }

    /// Flushes the output. Returns false if stdout is closed.
    pub(super) fn flush(&mut self) -> Result<bool> {
        wanted(self.0.flush())
    }
}

fn wanted(written: std::io::Result<()>) -> Result<bool> {
    match written {
        Ok(()) => Ok(true),
        Err(e) if e.kind() == std::io::ErrorKind::BrokenPipe => Ok(false),
        Err(e) => Err(Error::io("standard output", e)),
    }
}

/// Returns standard output for binary data. Fails on a terminal.
pub(super) fn binary() -> Result<Stdout> {
    let stdout = std::io::stdout();
    if stdout.is_terminal() {
        let message = "standard output is a terminal, and the data is not text";
        return Err(Error::new(&cloudron_core::codes::USAGE, message)
            .with_hint("name a file with `-o FILE`, or pipe the output into a program"));
    }
    Ok(stdout)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_comes_from_outside_never_reaches_the_terminal_raw() {
        let hostile = "a\u{1b}]0;title\u{7}\r\u{9b}2J\u{202e}\nnext: rm";
        let text = Text::of(hostile).then(hostile).below(Text::line(hostile)).ended().into_string();
        assert!(!text.contains(|c| escape::is_unsafe(c) && c != '\n'), "{text:?}");
        assert_eq!(text.matches('\n').count(), 3, "{text:?}");
    }

    #[test]
    fn a_line_end_is_added_once() {
        assert_eq!(Text::of("a").ended().into_string(), "a\n");
        assert_eq!(Text::of("a\n").ended().into_string(), "a\n");
        assert_eq!(Text::of("").ended().into_string(), "");
    }
}
