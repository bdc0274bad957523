//! Asking the helper.

use std::path::PathBuf;
use std::time::Duration;

use cloudron_api::helper::{Facts, HookEnd, Moment, Part, Verb};
use serde::de::DeserializeOwned;
use tokio::io::BufReader;
use tokio::net::UnixStream;

use super::hooks;
use super::root::Answer;
use crate::parts::stream::{self, unavailable};
use crate::{Error, Include, Result, codes};

/// Maximum size of an answer, in bytes.
const LINE: u64 = 1024 * 1024;

/// The helper, as other parts of the server see it.
#[derive(Debug, Clone)]
pub(crate) enum Client {
    /// Nobody: hooks are run by this process, within a time limit.
    Here(Duration),
    /// The helper of root, behind a socket.
    Socket(PathBuf),
}

impl Client {
    /// Runs a command of an included folder. Ends it when this is dropped.
    ///
    /// # Errors
    /// `hook-failed` if it cannot be started or takes too long, and `part-unavailable`.
    pub(crate) async fn hook(&self, include: &Include, when: Moment) -> Result<Option<HookEnd>> {
        let command = match when {
            Moment::Before => &include.before,
            Moment::After => &include.after,
        };
        let Some(command) = command else { return Ok(None) };
        match self {
            Self::Here(limit) => {
                hooks::run(hooks::shell(command, &include.path), when, &include.path, *limit).await
            }
            Self::Socket(_) => self.ask(&Verb::Hook { folder: include.path.clone(), when }).await,
        }
        .map(Some)
    }

    /// Returns facts about the machine, or `None` if there is no helper.
    ///
    /// # Errors
    /// `part-unavailable`.
    pub(crate) async fn facts(&self) -> Result<Option<Facts>> {
        match self {
            Self::Here(_) => Ok(None),
            Self::Socket(_) => self.ask(&Verb::Facts).await.map(Some),
        }
    }

    /// Restarts a part of the server, or the machine.
    ///
    /// # Errors
    /// `no-helper` if there is no helper; `install-command`, `part-unavailable`.
    pub(crate) async fn restart(&self, part: Option<Part>) -> Result<()> {
        self.ask(&part.map_or(Verb::Reboot, |part| Verb::Restart { part })).await
    }

    async fn ask<T: DeserializeOwned>(&self, verb: &Verb) -> Result<T> {
        let Self::Socket(path) = self else {
            let text =
                "this server is a process of yours, and changes nothing of the machine that it runs on";
            return Err(Error::new(&codes::NO_HELPER, text));
        };
        let failed = |e: std::io::Error| {
            let text = format!("the helper does not answer at {}: {e}", path.display());
            Error::new(&codes::PART_UNAVAILABLE, text).with_source(e)
        };
        let (from, mut to) = tokio::io::split(UnixStream::connect(path).await.map_err(failed)?);
        stream::write(&mut to, verb).await?;
        let answer = stream::read::<Answer>(&mut BufReader::new(from), LINE).await?;
        match answer.ok_or_else(|| unavailable("the helper ended before it had answered"))? {
            Answer::Done(value) => serde_json::from_value(value)
                .map_err(|_| unavailable("the helper answered something else than it was asked")),
            Answer::Failed(failure) => Err(failure.into_error(&cloudron_core::codes::FAILED)),
        }
    }
}
