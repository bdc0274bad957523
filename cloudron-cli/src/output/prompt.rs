//! Questions, asked only when a person can answer.

use std::io::{BufRead, IsTerminal, Write};

use cloudron_core::{Error, Result, Secret};

use crate::codes;

pub(super) fn terminal() -> bool {
    std::io::stdin().is_terminal() && std::io::stderr().is_terminal()
}

pub(super) fn confirm(question: &str) -> Result<bool> {
    if !terminal() {
        return Err(Error::new(&codes::NEEDS_ANSWER, format!("{question} Nobody can be asked"))
            .with_hint("add --yes to answer every question with yes"));
    }
    let mut stderr = std::io::stderr().lock();
    // A prompt that cannot be shown is answered by the missing answer.
    let _ = write!(stderr, "{question} [y/N] ").and_then(|()| stderr.flush());
    let mut answer = String::new();
    std::io::stdin().lock().read_line(&mut answer).map_err(|e| Error::io("standard input", e))?;
    Ok(matches!(answer.trim().to_ascii_lowercase().as_str(), "y" | "yes"))
}

pub(super) fn secret(question: &str, option: &str) -> Result<Secret> {
    if !terminal() {
        return Err(Error::new(
            &codes::NEEDS_ANSWER,
            format!("{question} is needed, and nobody can be asked"),
        )
        .with_hint(format!(
            "give it with {option} as file:PATH, env:NAME, cmd:PROGRAM or - for standard input"
        )));
    }
    let text =
        rpassword::prompt_password(format!("{question}: ")).map_err(|e| Error::io("the terminal", e))?;
    if text.is_empty() {
        return Err(Error::new(&codes::NEEDS_ANSWER, format!("{question} was left empty")));
    }
    Ok(Secret::new(text))
}
