//! The helper as a unit of root.

use std::path::Path;
use std::time::Duration;

use cloudron_api::helper::{Asker, Moment, Part, Verb};
use cloudron_core::Cancel;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::io::{AsyncReadExt, BufReader};
use tokio::net::UnixStream;

use super::{HOOK_LIMIT, facts, hooks};
use crate::db::blocking;
use crate::failure::Failure;
use crate::layout::{USER, WORKER_USER};
use crate::parts::{self, stream};
use crate::system::command::command;
use crate::system::peer;
use crate::{Error, Layout, Result, codes, include};

/// Maximum size of a verb, in bytes.
const VERB: u64 = 16 * 1024;

/// Time limit for a verb to arrive.
const PATIENCE: Duration = Duration::from_secs(10);

/// What the helper says.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) enum Answer {
    Done(Value),
    Failed(Failure),
}

/// Runs the helper until it is told to stop, or nobody asks.
///
/// # Errors
/// `usage` if systemd passed no socket; file errors.
pub(crate) async fn run(layout: &Layout, stop: &Cancel) -> Result<()> {
    let listener = parts::activated()?;
    let (interface, worker) = (peer::uid_of(USER)?, peer::uid_of(WORKER_USER)?);
    let know = move |uid: u32| match uid {
        0 => Some(Asker::Root),
        uid if Some(uid) == interface => Some(Asker::Interface),
        uid if Some(uid) == worker => Some(Asker::Worker),
        _ => None,
    };
    let answer = |stream, asker| serve(layout.clone(), stream, asker, stop.clone());
    parts::listen(listener, stop, parts::IDLE, know, answer).await;
    Ok(())
}

/// Answers one verb. The asker takes it back by ending the connection.
async fn serve(layout: Layout, stream: UnixStream, asker: Asker, stop: Cancel) {
    let (from, mut to) = tokio::io::split(stream);
    let mut from = BufReader::new(from);
    let read = tokio::time::timeout(PATIENCE, stream::read::<Verb>(&mut from, VERB)).await;
    let answered = match read {
        Ok(Ok(Some(verb))) => {
            tracing::info!(verb = verb.name(), ?asker, asked = ?verb, "The helper was asked");
            let mut end = [0; 1];
            let answered = tokio::select! {
                answered = carry_out(&layout, &verb, asker) => answered,
                _ = from.read(&mut end) => Err(taken_back()),
                () = stop.cancelled() => Err(taken_back()),
            };
            match &answered {
                Ok(_) => tracing::info!(verb = verb.name(), ?asker, "The helper did it"),
                Err(error) => tracing::warn!(verb = verb.name(), ?asker, %error, "The helper did not do it"),
            }
            answered
        }
        Ok(Err(error)) => Err(error),
        Ok(Ok(None)) | Err(_) => return,
    };
    let answer = answered.map_or_else(|error| Answer::Failed(Failure::from(&error)), Answer::Done);
    let _ = stream::write(&mut to, &answer).await;
}

fn taken_back() -> Error {
    Error::new(&cloudron_core::codes::INTERRUPTED, "nobody waits for it any more")
}

async fn carry_out(layout: &Layout, verb: &Verb, asker: Asker) -> Result<Value> {
    if !verb.is_for(asker) {
        let text = format!("this part of the server may not ask for `{}`", verb.name());
        return Err(Error::new(&cloudron_core::codes::PERMISSION, text));
    }
    match verb {
        Verb::Hook { folder, when } => value(hook(layout, folder, *when).await?),
        Verb::Facts => value(blocking(facts::read).await?),
        Verb::Restart { part } => {
            let part = *part;
            value(blocking(move || systemctl(&["restart", unit(part)])).await?)
        }
        Verb::Reboot => value(blocking(|| systemctl(&["reboot"])).await?),
    }
}

/// A part that restarts its asker answers nobody, so this does not wait.
fn systemctl(words: &[&str]) -> Result<()> {
    command("systemctl", &[words, &["--no-block"]].concat()).map(drop)
}

fn unit(part: Part) -> &'static str {
    match part {
        Part::Interface => crate::layout::UNIT,
        Part::Worker => crate::layout::WORKER_UNIT,
    }
}

/// Runs the command that root configured, and no other.
async fn hook(layout: &Layout, folder: &Path, when: Moment) -> Result<cloudron_api::helper::HookEnd> {
    let found = include::roots_list(layout)?.into_iter().find(|include| include.path == folder);
    let command = found.and_then(|include| match when {
        Moment::Before => include.before,
        Moment::After => include.after,
    });
    let command = command.ok_or_else(|| {
        let text = format!("root configured no command {} the backup of that folder", when.as_str());
        Error::new(&codes::HOOK_FAILED, text)
    })?;
    let own = hooks::Unit::new(layout, &command, folder, HOOK_LIMIT)?;
    // It takes a moment to notice its own limit.
    hooks::run(own.shell(), when, folder, HOOK_LIMIT + PATIENCE).await
}

fn value(answer: impl Serialize) -> Result<Value> {
    serde_json::to_value(answer)
        .map_err(|e| Error::new(&cloudron_core::codes::FAILED, format!("an answer is not JSON: {e}")))
}
