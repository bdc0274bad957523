//! Questions, asked only if a user can be prompted.

use std::io::{BufRead, IsTerminal};

use cloudron_core::{Error, Result, Secret};

use super::terminal::{Text, stderr_is_terminal, tell};
use crate::codes;

pub(super) fn terminal() -> bool {
    std::io::stdin().is_terminal() && stderr_is_terminal()
}

pub(super) fn confirm(question: &str) -> Result<bool> {
    if !terminal() {
        return Err(Error::new(
            &codes::NEEDS_ANSWER,
            format!("cannot ask \"{question}\": standard input is not a terminal"),
        )
        .with_hint("add --yes to answer every question with yes"));
    }
    tell(&Text::line(question).then("[y/N] "));
    let mut answer = String::new();
    std::io::stdin().lock().read_line(&mut answer).map_err(|e| Error::io("standard input", e))?;
    Ok(matches!(answer.trim().to_ascii_lowercase().as_str(), "y" | "yes"))
}

pub(super) fn secret(question: &str, option: &str) -> Result<Secret> {
    if !terminal() {
        return Err(Error::new(
            &codes::NEEDS_ANSWER,
            format!("{question} is required: standard input is not a terminal"),
        )
        .with_hint(format!(
            "give it with {option} as file:PATH, env:NAME, cmd:PROGRAM or - for standard input"
        )));
    }
    let shown = Text::line(&format!("{question}: ")).into_string();
    let text = rpassword::prompt_password(shown).map_err(|e| match e.kind() {
        // Ctrl-C, which the prompt reads as a key press.
        std::io::ErrorKind::Interrupted => Error::new(&cloudron_core::codes::INTERRUPTED, "interrupted"),
        _ => Error::io("the terminal", e),
    })?;
    if text.is_empty() {
        return Err(Error::new(&codes::NEEDS_ANSWER, format!("{question} was left empty")));
    }
    Ok(Secret::new(text))
}
