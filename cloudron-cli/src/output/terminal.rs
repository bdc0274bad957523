//! The one way to the terminal: nothing else of this program writes to standard output or standard error.
#![expect(clippy::disallowed_methods, reason = "this is the one place that may")]

use std::fmt::Display;
use std::io::{BufWriter, IsTerminal, Stdout, Write};

use cloudron_core::{Error, Result, escape};

/// How a piece of text looks on a terminal.
#[derive(Debug, Clone, Copy)]
pub(super) enum Style {
    Bold = 1,
    Red = 31,
    Yellow = 33,
}

/// Text that a terminal can be given: all that came from outside is escaped, and styles were added behind that. It
/// cannot be made in another way, and only such text is written.
#[derive(Debug, Default, Clone)]
pub(super) struct Text(String);

impl Text {
    /// Text of any number of lines.
    pub(super) fn of(text: &str) -> Self {
        Self(escape::text(text).into_owned())
    }

    /// Text that is one line, whatever it holds.
    pub(super) fn line(text: &str) -> Self {
        Self(escape::line(text).into_owned())
    }

    /// A JSON document.
    pub(super) fn json(document: &str) -> Self {
        Self(escape::json(document).into_owned())
    }

    /// Words of this program, with a style where stderr shows it.
    pub(super) fn styled(words: &'static str, style: Style) -> Self {
        match coloured() {
            true => Self(format!("\x1b[{}m{words}\x1b[0m", style as u8)),
            false => Self(words.into()),
        }
    }

    /// The same with a line behind it, after a blank.
    pub(super) fn then(mut self, line: impl Display) -> Self {
        self.0.push(' ');
        self.0 += &escape::line(&line.to_string());
        self
    }

    /// The same with another text below it, indented by two blanks.
    pub(super) fn below(mut self, text: Self) -> Self {
        self.0 += "\n  ";
        self.0 += &text.0;
        self
    }

    /// The same with a line end, unless it is empty or has one.
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

/// Whether stderr shows colours: only a terminal, and never with `NO_COLOR` (no-color.org).
fn coloured() -> bool {
    std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|v| v.is_empty())
}

/// Whether stderr is a terminal.
pub(super) fn stderr_is_terminal() -> bool {
    std::io::stderr().is_terminal()
}

/// Writes to stderr. Nowhere is left to report that it is closed.
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

    /// Writes text; false when the reader went away, which is no error.
    pub(super) fn write(&mut self, text: &Text) -> Result<bool> {
        wanted(self.0.write_all(text.0.as_bytes()))
    }

    /// Has all of it written; false when the reader went away.
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

/// Standard output for bytes that are no text, which a terminal is never given.
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
