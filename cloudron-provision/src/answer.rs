//! Conversion of a command's outcome into a value or an error.

use cloudron_core::{Code, Error, ErrorKind, Event, Progress, Result};
use serde::Deserialize;
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use crate::{Command, Output, Remote, codes};

/// The form of an error that the server's program prints.
#[derive(Debug, Deserialize)]
struct Told {
    code: String,
    message: String,
    #[serde(default)]
    hint: Option<String>,
    #[serde(default)]
    details: BTreeMap<String, String>,
}

/// Runs a command that must succeed.
///
/// # Errors
/// As [`Remote::exec`]; the error that the command printed as `{"error":{…}}`; `remote-command` if its exit status is
/// not 0.
pub async fn run(remote: &dyn Remote, command: Command) -> Result<Output> {
    let (name, more) = (command.name(), command.codes.clone());
    let output = remote.exec(command).await?;
    checked(&name, output, &more)
}

/// Returns the output of a finished command, or the error that it printed. `name` names the command in the message.
///
/// # Errors
/// The error that the command printed as `{"error":{…}}`; `remote-command` if its exit status is not 0; `no-space` if
/// it reports a full disk.
pub fn check(name: &str, output: Output) -> Result<Output> {
    checked(name, output, &[])
}

/// Runs a command that prints one JSON value.
///
/// # Errors
/// As [`run`]; `remote-answer` if it printed something else.
pub async fn json(remote: &dyn Remote, command: Command) -> Result<Value> {
    let name = command.name();
    let output = run(remote, command).await?;
    let line = last_line(&output.stdout);
    serde_json::from_str(line)
        .map_err(|e| Error::new(&codes::REMOTE_ANSWER, format!("`{name}` did not answer with JSON: {e}")))
}

/// Runs a command that prints progress events as JSON lines and then `{"result":…}` or `{"error":…}`. The events are
/// reported to `progress`, with new task numbers.
///
/// # Errors
/// As [`run`]; `remote-answer` if there was no result line.
pub async fn events(remote: &dyn Remote, command: Command, progress: &Progress) -> Result<Value> {
    let (name, more) = (command.name(), command.codes.clone());
    let last = Arc::new(Mutex::new(None));
    let sink = last.clone();
    let mut relay = Relay::new(progress.clone());
    let command = command.each_line(move |line| {
        if !relay.line(line) && line.starts_with('{') {
            *sink.lock().expect("nothing panics while holding this lock") = Some(line.to_string());
        }
    });
    let mut output = remote.exec(command).await?;
    let last = last.lock().expect("nothing panics while holding this lock").take();
    output.stdout = last.unwrap_or_default().into_bytes();
    let output = checked(&name, output, &more)?;
    let missing = || Error::new(&codes::REMOTE_ANSWER, format!("`{name}` ended without saying its result"));
    let mut value: Value = serde_json::from_slice(&output.stdout).map_err(|_| missing())?;
    value.get_mut("result").map(Value::take).ok_or_else(missing)
}

/// Maximum number of concurrent tasks of another process that are shown.
const TASKS: usize = 1000;

/// Passes on events of another process, and translates its task numbers.
struct Relay {
    progress: Progress,
    tasks: std::collections::HashMap<u64, u64>,
}

impl Relay {
    fn new(progress: Progress) -> Self {
        Self { progress, tasks: Default::default() }
    }

    /// Handles a line if it is an event, and returns whether it is one.
    fn line(&mut self, line: &str) -> bool {
        let Ok(mut event) = serde_json::from_str::<Event>(line) else { return false };
        let finished = matches!(event, Event::Finished { .. } | Event::Left { .. });
        if let Event::Started { task, .. }
        | Event::Advanced { task, .. }
        | Event::Finished { task, .. }
        | Event::Left { task } = &mut event
        {
            if self.tasks.len() >= TASKS && !self.tasks.contains_key(task) {
                return true;
            }
            let progress = &self.progress;
            let theirs = *task;
            *task = *self.tasks.entry(theirs).or_insert_with(|| progress.fresh_id());
            if finished {
                self.tasks.remove(&theirs);
            }
        }
        self.progress.emit(&event);
        true
    }
}

/// Returns the error that a command printed as `{"error":{…}}`.
pub(crate) fn told_by(output: &Output, more: &[&'static Code]) -> Option<Error> {
    let known = known(more);
    [&output.stdout, &output.stderr].into_iter().find_map(|stream| told(last_line(stream), &known))
}

fn known(more: &[&'static Code]) -> Vec<&'static Code> {
    cloudron_core::codes::ALL.iter().chain(codes::ALL).chain(more).copied().collect()
}

fn last_line(bytes: &[u8]) -> &str {
    let text = std::str::from_utf8(bytes).unwrap_or_default();
    text.lines().rev().find(|l| !l.trim().is_empty()).unwrap_or_default()
}

/// Returns the output of a command that succeeded, or the error that it printed.
fn checked(name: &str, output: Output, more: &[&'static Code]) -> Result<Output> {
    if let Some(error) = told_by(&output, more) {
        return Err(error);
    }
    if output.success() {
        return Ok(output);
    }
    let said = String::from_utf8_lossy(&output.stderr);
    let tail: Vec<&str> = said.lines().rev().filter(|l| !l.trim().is_empty()).take(3).collect();
    let tail = tail.into_iter().rev().collect::<Vec<_>>().join("; ");
    let ending = if tail.is_empty() { String::new() } else { format!(": {tail}") };
    let code = if tail.contains("No space left on device") {
        &cloudron_core::codes::NO_SPACE
    } else {
        &codes::REMOTE_COMMAND
    };
    Err(Error::new(code, format!("`{name}` ended with status {}{ending}", output.status)))
}

/// Parses the error in a line `{"error":{code,message,hint,details}}`. A code that this program does not know appears in the
/// message.
fn told(line: &str, known: &[&'static Code]) -> Option<Error> {
    let mut value: Value = serde_json::from_str(line).ok()?;
    let told: Told = serde_json::from_value(value.get_mut("error")?.take()).ok()?;
    let error = match known.iter().find(|c| c.name == told.code) {
        Some(code) => Error::new(code, told.message).retryable(code.kind == ErrorKind::Unavailable),
        None => Error::new(&codes::REMOTE_COMMAND, format!("{} [{}]", told.message, told.code)),
    };
    let error = error.with_details(told.details);
    Some(match told.hint {
        Some(hint) => error.with_hint(hint),
        None => error,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_told_in_json_keeps_its_code_message_hint_and_details() {
        let line =
            br#"{"error":{"code":"no-space","message":"full","hint":"delete","details":{"disk":"/"}}}"#
                .to_vec();
        let error = checked("x", Output::new(1, line, ""), &[]).unwrap_err();
        assert!(error.is(&cloudron_core::codes::NO_SPACE));
        assert_eq!((error.message(), error.hint()), ("full", Some("delete")));
        assert_eq!(error.detail("disk"), Some("/"));
    }

    #[test]
    fn an_unknown_code_is_named_in_the_message() {
        let line = br#"{"error":{"code":"lamp-off","message":"dark"}}"#.to_vec();
        let error = checked("x", Output::new(1, line, ""), &[]).unwrap_err();
        assert_eq!(error.message(), "dark [lamp-off]");
    }

    #[test]
    fn a_bad_status_says_the_last_lines_of_standard_error() {
        let error = checked("df /", Output::new(3, "", "a\nb\nc\nd\n"), &[]).unwrap_err();
        assert_eq!(error.message(), "`df /` ended with status 3: b; c; d");
    }

    #[test]
    fn events_of_another_process_get_task_numbers_of_their_own() {
        let seen = Arc::new(Mutex::new(Vec::new()));
        let sink = seen.clone();
        let progress = Progress::to(move |e| sink.lock().unwrap().push(e.clone()));
        let _taken = progress.fresh_id();
        let mut relay = Relay::new(progress);
        assert!(relay.line(r#"{"event":"started","task":0,"label":"x","unit":"none","total":null}"#));
        assert!(relay.line(r#"{"event":"finished","task":0,"done":0,"ok":true}"#));
        assert!(!relay.line(r#"{"result":{}}"#));
        assert!(matches!(seen.lock().unwrap()[1], Event::Finished { task: 1, .. }));
    }
}
