//! The error type of every crate.

use std::collections::BTreeMap;
use std::error::Error as StdError;
use std::fmt;

use crate::code::{Code, ErrorKind};
use crate::codes;

/// The result type of all cloudron crates.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// An error: the operation, what went wrong, and what to do next.
///
/// Its `Display` is `<operation>: <what went wrong>` on one line. The hint and the code have their own methods, so that
/// a program can lay them out. None of the texts may contain a secret.
///
/// A library knows no command line, so its hints name no command and no option of a program. What a program needs to say
/// more, such as the fingerprint of a host key, is a [detail](Self::detail).
#[derive(thiserror::Error)]
#[error(transparent)]
pub struct Error(Box<Inner>);

#[derive(Debug, thiserror::Error)]
#[error("{}{message}", doing.iter().map(|doing| format!("{doing}: ")).collect::<String>())]
struct Inner {
    code: &'static Code,
    message: String,
    doing: Vec<String>,
    hint: Option<String>,
    details: BTreeMap<String, String>,
    retryable: bool,
    request_id: Option<String>,
    source: Option<Box<dyn StdError + Send + Sync>>,
}

impl Error {
    /// Creates an error with a stable code and a message that says what went wrong and names the object.
    pub fn new(code: &'static Code, message: impl Into<String>) -> Self {
        Self(Box::new(Inner {
            code,
            message: message.into(),
            doing: Vec::new(),
            hint: None,
            details: BTreeMap::new(),
            retryable: matches!(code.kind, ErrorKind::Unavailable),
            request_id: None,
            source: None,
        }))
    }

    /// Creates an error for a failed file operation, with the matching code: no space, no permission, no such file, or
    /// I/O.
    pub fn io(path: impl AsRef<std::path::Path>, error: std::io::Error) -> Self {
        use std::io::ErrorKind as Io;
        let code = match error.kind() {
            Io::NotFound => &codes::FILE_MISSING,
            Io::PermissionDenied => &codes::PERMISSION,
            Io::StorageFull | Io::QuotaExceeded => &codes::NO_SPACE,
            _ => &codes::IO,
        };
        Self::new(code, format!("{}: {error}", path.as_ref().display())).with_source(error)
    }

    /// Adds the operation in front of the message. Several levels may add one; the outermost comes first.
    pub fn while_doing(mut self, doing: impl Into<String>) -> Self {
        self.0.doing.insert(0, doing.into());
        self
    }

    /// Adds what the user should do next: a sentence, or a command to run.
    pub fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.0.hint = Some(hint.into());
        self
    }

    /// Adds a value by its name, for a program that says what to do next. The documentation of the code names the values.
    pub fn with_detail(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.0.details.insert(name.into(), value.into());
        self
    }

    /// Adds values by their names, such as those of an error that another process reported.
    pub fn with_details(mut self, details: impl IntoIterator<Item = (String, String)>) -> Self {
        self.0.details.extend(details);
        self
    }

    /// Adds the cause, which [`source`](StdError::source) returns.
    pub fn with_source(mut self, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        self.0.source = Some(source.into());
        self
    }

    /// Marks the error as worth retrying or not. By default only `Unavailable` is.
    pub fn retryable(mut self, retryable: bool) -> Self {
        self.0.retryable = retryable;
        self
    }

    /// Adds the ID that the remote service gave to the failed request.
    pub fn with_request_id(mut self, id: impl Into<String>) -> Self {
        self.0.request_id = Some(id.into());
        self
    }

    /// Returns the class of failure.
    pub fn kind(&self) -> ErrorKind {
        self.0.code.kind
    }

    /// Returns the stable code.
    pub fn code(&self) -> &'static Code {
        self.0.code
    }

    /// Returns whether the error has that code.
    pub fn is(&self, code: &Code) -> bool {
        self.0.code == code
    }

    /// Returns whether the same call may succeed if it is repeated later.
    pub fn is_retryable(&self) -> bool {
        self.0.retryable
    }

    /// Returns the remote service's ID of the failed request, if there is one.
    pub fn request_id(&self) -> Option<&str> {
        self.0.request_id.as_deref()
    }

    /// Returns what went wrong, without the operation.
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// Returns what lies behind it and is not said by its message already, the nearest first.
    pub fn causes(&self) -> Vec<String> {
        let mut said = self.to_string();
        let mut causes = Vec::new();
        let mut next = self.source();
        while let Some(cause) = next {
            let text = cause.to_string();
            if !said.contains(&text) {
                said.push_str(&text);
                causes.push(text);
            }
            next = cause.source();
        }
        causes
    }

    /// Returns the operations, outermost first.
    pub fn doing(&self) -> &[String] {
        &self.0.doing
    }

    /// Returns what to do next, if known.
    pub fn hint(&self) -> Option<&str> {
        self.0.hint.as_deref()
    }

    /// Returns the value of that name, if the error has it.
    pub fn detail(&self, name: &str) -> Option<&str> {
        self.0.details.get(name).map(String::as_str)
    }

    /// Returns all values by their names.
    pub fn details(&self) -> &BTreeMap<String, String> {
        &self.0.details
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "[{}] {self}", self.0.code.name)?;
        if let Some(hint) = &self.0.hint {
            write!(f, " (hint: {hint})")?;
        }
        Ok(())
    }
}

/// Formats another library's error with its causes on one line: `<error>: <cause>: <its cause>`. A cause is skipped if
/// the text before it already ends with it.
pub fn with_causes(error: &(dyn StdError + 'static)) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(next) = cause {
        let more = next.to_string();
        if !text.ends_with(&more) {
            text = format!("{text}: {more}");
        }
        cause = next.source();
    }
    text
}

/// Adds the operation to an error that passes through.
pub trait ResultExt<T> {
    /// Adds the operation in front of the error. The text is built only on failure.
    ///
    /// # Errors
    /// The original [`Error`], with the operation added.
    fn doing(self, text: impl FnOnce() -> String) -> Result<T>;
    /// Adds what to do next, unless the error already has a hint.
    ///
    /// # Errors
    /// The original [`Error`], with the hint added.
    fn hint(self, text: impl FnOnce() -> String) -> Result<T>;
}

impl<T> ResultExt<T> for Result<T> {
    fn doing(self, text: impl FnOnce() -> String) -> Result<T> {
        self.map_err(|e| e.while_doing(text()))
    }

    fn hint(self, text: impl FnOnce() -> String) -> Result<T> {
        self.map_err(|e| if e.hint().is_some() { e } else { e.with_hint(text()) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_says_what_was_being_done_outermost_first() {
        let inner: Result<()> = Err(Error::new(&codes::FAILED, "the lamp is off"));
        let error = inner.doing(|| "reading".into()).doing(|| "learning".into()).unwrap_err();
        assert_eq!(error.to_string(), "learning: reading: the lamp is off");
    }

    #[test]
    fn a_full_disk_and_a_missing_file_have_their_own_codes() {
        let full = Error::io("/x", std::io::Error::from(std::io::ErrorKind::StorageFull));
        assert!(full.is(&codes::NO_SPACE));
        let missing = Error::io("/x", std::io::Error::from(std::io::ErrorKind::NotFound));
        assert_eq!(missing.kind().exit_code(), 3);
        assert!(missing.source().is_some());
    }

    #[test]
    fn causes_follow_their_error_and_are_said_once() {
        #[derive(Debug)]
        struct Layer(&'static str, Option<Box<Layer>>);
        impl fmt::Display for Layer {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.0)
            }
        }
        impl StdError for Layer {
            fn source(&self) -> Option<&(dyn StdError + 'static)> {
                self.1.as_deref().map(|e| e as _)
            }
        }
        let refused = Layer("connection refused", None);
        let dispatch = Layer("sending: connection refused", Some(Box::new(refused)));
        assert_eq!(
            with_causes(&Layer("request", Some(Box::new(dispatch)))),
            "request: sending: connection refused"
        );
    }

    #[test]
    fn what_the_message_says_is_no_cause_any_more() {
        let first = || Error::new(&codes::FAILED, "no current");
        assert_eq!(
            Error::new(&codes::FAILED, "the lamp is off").with_source(first()).causes(),
            ["no current"]
        );
        assert!(Error::new(&codes::FAILED, "off: no current").with_source(first()).causes().is_empty());
    }

    #[test]
    fn a_detail_is_found_by_its_name_and_is_no_part_of_the_text() {
        let error = Error::new(&codes::FAILED, "x").with_detail("place", "/srv").while_doing("looking");
        assert_eq!((error.detail("place"), error.detail("port")), (Some("/srv"), None));
        assert_eq!(error.to_string(), "looking: x");
        let copy = Error::new(&codes::FAILED, "y").with_details(error.details().clone());
        assert_eq!(copy.details(), error.details());
    }

    #[test]
    fn a_hint_that_exists_is_kept() {
        let error: Result<()> = Err(Error::new(&codes::FAILED, "x").with_hint("first"));
        assert_eq!(error.hint(|| "second".into()).unwrap_err().hint(), Some("first"));
    }
}
