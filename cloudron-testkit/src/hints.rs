//! Executes the hints of errors: a `next:` line is a promise, and a test can check that the program keeps it.

/// One alternative of a `next:` line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Hint {
    /// A complete command.
    Command(Vec<String>),
    /// The failed command with these additional words.
    Add(Vec<String>),
    /// The failed command without this option.
    Leave(String),
}

/// Returns the alternatives in the error on standard error, in their order. Commands are in backticks. So are options,
/// which are added to the failed command, or removed if the hint says `leave`. The word `SECRET` stands for a backup
/// key and is replaced by `key`.
#[must_use]
pub fn hints(stderr: &str, key: &str) -> Vec<Hint> {
    let Some(text) = stderr.lines().find_map(|line| line.trim_start().strip_prefix("next: ")) else {
        return Vec::new();
    };
    let mut found = Vec::new();
    let parts: Vec<&str> = text.split('`').collect();
    for (n, part) in parts.iter().enumerate().filter(|(n, _)| n % 2 == 1) {
        let words = words(part, key);
        if parts[n - 1].ends_with("leave ") {
            found.push(Hint::Leave(words[0].clone()));
        } else if words[0] == "cloudron" {
            found.push(Hint::Command(words[1..].to_vec()));
        } else if words[0].starts_with("--") {
            found.push(Hint::Add(words));
        }
    }
    if found.is_empty() && text.contains("with --backup-key as") {
        found.push(Hint::Add(words("--backup-key SECRET", key)));
    }
    found
}

/// Splits a command into words, and inserts the key.
fn words(text: &str, key: &str) -> Vec<String> {
    text.split_whitespace().map(|word| word.trim_matches('\'').replace("SECRET", key)).collect()
}

/// Returns the command to execute after `failed`; questions are answered with yes.
#[must_use]
pub fn next(failed: &[String], hint: &Hint) -> Vec<String> {
    let mut command = failed.to_vec();
    match hint {
        Hint::Command(words) => return [words.as_slice(), &["--yes".into()]].concat(),
        Hint::Add(words) => command.extend(words.iter().cloned()),
        Hint::Leave(option) => {
            let Some(at) = command.iter().position(|word| word == option) else { return command };
            let value = command.get(at + 1).is_some_and(|word| !word.starts_with("--"));
            command.drain(at..=at + usize::from(value));
        }
    }
    command
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_way_that_a_hint_names_is_found() {
        let stderr = "error: x\n  next: add `--backup latest` or `--backup-key SECRET`, `cloudron machine status a.b` shows it; \
                  leave `--resume` out\n  code: y";
        let list = |text: &str| text.split(' ').map(str::to_owned).collect::<Vec<_>>();
        assert_eq!(
            hints(stderr, "file:key"),
            [
                Hint::Add(list("--backup latest")),
                Hint::Add(list("--backup-key file:key")),
                Hint::Command(list("machine status a.b")),
                Hint::Leave("--resume".into()),
            ]
        );
        assert_eq!(next(&list("a --resume --yes"), &Hint::Leave("--resume".into())), list("a --yes"));
        assert_eq!(next(&list("a --backup latest --yes"), &Hint::Leave("--backup".into())), list("a --yes"));
    }
}
