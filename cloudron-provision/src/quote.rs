//! Quoting of an argument list for a POSIX shell: an SSH server passes each command to one.

/// Quotes one argument so that `sh` reads it as exactly that text.
///
/// ```
/// use cloudron_provision::quote;
///
/// assert_eq!(quote::argument("plain-1.0"), "plain-1.0");
/// assert_eq!(quote::argument("it's"), r"'it'\''s'");
/// ```
pub fn argument(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "%+,-./:=@_".contains(c);
    // A leading `=` is special in zsh, and an empty argument would vanish.
    if !text.is_empty() && !text.starts_with('=') && text.chars().all(plain) {
        return text.to_string();
    }
    format!("'{}'", text.replace('\'', r"'\''"))
}

/// Formats a whole argument list as one shell command.
pub fn command<S: AsRef<str>>(argv: &[S]) -> String {
    argv.iter().map(|a| argument(a.as_ref())).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use proptest::prelude::*;

    use super::*;

    fn through_a_shell(argv: &[String]) -> Vec<String> {
        let script = format!("printf '%s\\0' {}", command(argv));
        let output = Command::new("sh").arg("-c").arg(script).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let text = String::from_utf8(output.stdout).unwrap();
        text.strip_suffix('\0').unwrap().split('\0').map(String::from).collect()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn a_shell_sees_exactly_the_arguments_given(argv in prop::collection::vec("[^\0]{0,20}", 1..5)) {
            prop_assert_eq!(through_a_shell(&argv), argv);
        }
    }

    #[test]
    fn what_shells_find_special_survives() {
        let argv: Vec<String> = [
            "", " ", "'", "\"", "\\", "$HOME", "`id`", "$(id)", "*", "~", "a\nb", "=ls", "!x", "#", "-n", "é",
        ]
        .iter()
        .map(|s| s.to_string())
        .collect();
        assert_eq!(through_a_shell(&argv), argv);
    }
}
