//! References to secrets: `file:PATH`, `env:NAME`, `cmd:PROGRAM`, `-` or a literal.

use std::io::BufRead;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use zeroize::Zeroizing;

use crate::{Error, Result, Secret, codes};

/// A reference to a secret, as a user types it on a command line.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum SecretRef {
    /// `file:PATH`: the content of a file, without its final newline.
    File(PathBuf),
    /// `env:NAME`: an environment variable.
    Env(String),
    /// `cmd:PROGRAM ARGS`: the first line of a program's output. The program is run by `sh -c`.
    Command(String),
    /// `-`: one line of standard input.
    Stdin,
    /// The secret itself, which other users can see in the process list.
    Literal(Secret),
}

/// How other users of a computer can get at a secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exposure<'a> {
    /// They see it in the list of processes.
    Arguments,
    /// They may read its file.
    File(&'a Path),
}

impl SecretRef {
    /// Parses a reference. Text without one of the prefixes is a literal.
    pub fn parse(text: &str) -> Self {
        if text == "-" {
            Self::Stdin
        } else if let Some(path) = text.strip_prefix("file:") {
            Self::File(PathBuf::from(path))
        } else if let Some(name) = text.strip_prefix("env:") {
            Self::Env(name.to_owned())
        } else if let Some(command) = text.strip_prefix("cmd:") {
            Self::Command(command.to_owned())
        } else {
            Self::Literal(Secret::new(text))
        }
    }

    /// Returns how other users of this computer can get at the secret, which deserves a warning.
    pub fn exposure(&self) -> Option<Exposure<'_>> {
        let is_open = |path: &Path| {
            std::fs::metadata(path).is_ok_and(|file| file.is_file() && file.mode() & 0o077 != 0)
        };
        match self {
            Self::Literal(_) => Some(Exposure::Arguments),
            Self::File(path) if is_open(path) => Some(Exposure::File(path)),
            _ => None,
        }
    }

    /// Returns whether the argument list contains the secret itself.
    pub fn is_literal(&self) -> bool {
        matches!(self, Self::Literal(_))
    }

    /// Reads the secret. It may block, because it reads a file, runs a program or reads `stdin`. A leading byte order
    /// mark and one final newline are not part of the secret.
    ///
    /// # Errors
    /// `file-missing`, `permission` or `io` for a file; `secret-ref` for an unset variable or an empty secret;
    /// `secret-command` for a program that failed. No error quotes the secret.
    pub fn resolve(&self, stdin: &mut dyn BufRead) -> Result<Secret> {
        let (text, from) = match self {
            Self::File(path) => (read(path)?, format!("the file {}", path.display())),
            Self::Env(name) => {
                let text = std::env::var(name).map_err(|_| {
                    Error::new(&codes::SECRET_REF, format!("the environment variable {name} is not set"))
                })?;
                (text, format!("the environment variable {name}"))
            }
            Self::Command(command) => (run(command)?, "the program given as cmd:".to_owned()),
            Self::Stdin => {
                let mut line = String::new();
                stdin.read_line(&mut line).map_err(|e| Error::io("standard input", e))?;
                (line, "standard input".to_owned())
            }
            Self::Literal(secret) => (secret.expose().to_owned(), "the option".to_owned()),
        };
        let text = Zeroizing::new(text);
        // Windows editors write a byte order mark, which users neither see nor type.
        let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
        let trimmed = text.strip_suffix('\n').map_or(text, |t| t.strip_suffix('\r').unwrap_or(t));
        if trimmed.is_empty() {
            return Err(Error::new(&codes::SECRET_REF, format!("the secret from {from} is empty")));
        }
        Ok(Secret::new(trimmed))
    }
}

/// Reads a file, which must be UTF-8 text.
fn read(path: &Path) -> Result<String> {
    let content = std::fs::read(path).map_err(|e| Error::io(path, e))?;
    String::from_utf8(content).map_err(|e| {
        let _ = Zeroizing::new(e.into_bytes());
        let text = format!("the file {} is not text in UTF-8", path.display());
        Error::new(&codes::SECRET_REF, text).with_hint("save it as plain text in UTF-8")
    })
}

fn run(command: &str) -> Result<String> {
    // The program's text is not quoted in errors, because it may contain a secret.
    let failed = |what: String| Error::new(&codes::SECRET_COMMAND, what);
    let output = Command::new("sh")
        .args(["-c", command])
        .stdin(Stdio::inherit())
        .stderr(Stdio::inherit())
        .output()
        .map_err(|e| failed(format!("the program given as cmd: could not be started: {e}")))?;
    if !output.status.success() {
        return Err(failed(format!("the program given as cmd: ended with {}", output.status)));
    }
    let text = String::from_utf8(output.stdout)
        .map_err(|_| failed("the program given as cmd: printed something that is not text".into()))?;
    Ok(text.lines().next().unwrap_or_default().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resolve(text: &str, stdin: &str) -> Result<String> {
        SecretRef::parse(text).resolve(&mut stdin.as_bytes()).map(|s| s.expose().to_owned())
    }

    #[test]
    fn every_form_of_reference_gives_its_secret() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("key");
        std::fs::write(&file, "from file\n").unwrap();
        assert_eq!(resolve(&format!("file:{}", file.display()), "").unwrap(), "from file");
        assert_eq!(resolve("cmd:echo one; echo two", "").unwrap(), "one");
        assert_eq!(resolve("-", "line\nrest").unwrap(), "line");
        assert_eq!(resolve("it's literal", "").unwrap(), "it's literal");
        assert!(resolve("env:PATH", "").is_ok());
    }

    #[test]
    fn a_byte_order_mark_is_no_part_of_a_secret_and_another_encoding_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("key");
        let from = || resolve(&format!("file:{}", file.display()), "");
        std::fs::write(&file, "\u{feff}from file\r\n").unwrap();
        assert_eq!(from().unwrap(), "from file");
        assert_eq!(resolve("-", "\u{feff}line\n").unwrap(), "line");
        std::fs::write(&file, b"\xff\xfek\0e\0y\0").unwrap();
        let refused = from().unwrap_err();
        assert!(refused.is(&codes::SECRET_REF) && refused.to_string().contains("UTF-8"), "{refused}");
        std::fs::write(&file, "\u{feff}\n").unwrap();
        assert!(from().unwrap_err().is(&codes::SECRET_REF));
    }

    #[test]
    fn a_file_that_others_may_read_and_an_argument_are_exposed() {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("key");
        std::fs::write(&file, "secret").unwrap();
        let exposed = |mode| {
            std::fs::set_permissions(&file, PermissionsExt::from_mode(mode)).unwrap();
            SecretRef::parse(&format!("file:{}", file.display())).exposure() == Some(Exposure::File(&file))
        };
        assert!(exposed(0o640) && exposed(0o604) && !exposed(0o600));
        assert_eq!(SecretRef::parse("secret").exposure(), Some(Exposure::Arguments));
        assert!(SecretRef::parse("env:PATH").exposure().is_none());
    }

    #[test]
    fn only_one_final_newline_is_dropped() {
        assert_eq!(resolve("-", "spaces  \r\n").unwrap(), "spaces  ");
    }

    #[test]
    fn an_empty_or_missing_secret_is_refused() {
        assert!(resolve("-", "\n").unwrap_err().is(&codes::SECRET_REF));
        assert!(resolve("env:CLOUDRON_SURELY_UNSET", "").unwrap_err().is(&codes::SECRET_REF));
        assert!(resolve("file:/nowhere/key", "").unwrap_err().is(&codes::FILE_MISSING));
        assert!(resolve("cmd:exit 3", "").unwrap_err().is(&codes::SECRET_COMMAND));
    }
}
