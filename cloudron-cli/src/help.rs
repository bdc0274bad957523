//! Wrapping of help text to the width of the terminal.

use clap::Command;

/// Joins the paragraphs of the command's after-help, and of all its subcommands, so that they wrap.
pub(crate) fn flowing(command: Command) -> Command {
    let text = command.get_after_help().map(|text| paragraphs(&text.to_string()));
    let command = match text {
        Some(text) => command.after_help(text),
        None => command,
    };
    command.mut_subcommands(flowing)
}

/// Joins the lines of each paragraph. Indented examples are left unchanged.
fn paragraphs(text: &str) -> String {
    let prose = |line: &str| !line.is_empty() && !line.starts_with(' ');
    let mut joined = String::new();
    let mut before = "";
    for line in text.lines() {
        if !joined.is_empty() {
            joined.push(if prose(before) && prose(line) { ' ' } else { '\n' });
        }
        joined += line;
        before = line;
    }
    joined
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prose_is_joined_and_examples_are_not() {
        let text = "Examples:\n  one \\\n      more\n  two\n\nA paragraph that\ngoes on.\n\nAnother.";
        let joined = "Examples:\n  one \\\n      more\n  two\n\nA paragraph that goes on.\n\nAnother.";
        assert_eq!(paragraphs(text), joined);
    }
}
