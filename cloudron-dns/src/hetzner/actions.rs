//! Changes that continue after their response.

use std::time::Duration;

use super::client::{ACTIONS, Client, meaning};
use super::types::Action;
use crate::rest::Failure;
use crate::{Error, RecordKey, RecordType, codes};

/// Time limit of an action.
const LIMIT: Duration = Duration::from_secs(120);

/// The sets with running actions, and those that are done.
#[derive(Default)]
pub(super) struct Progress {
    running: Vec<(RecordKey, u64)>,
    pub(super) done: Vec<RecordKey>,
}

impl Progress {
    /// Records that a change of a set was started; without an action it is done.
    pub(super) fn started(&mut self, key: &RecordKey, action: Option<&Action>) {
        match action {
            Some(action) => self.running.push((key.clone(), action.id)),
            None => self.done.push(key.clone()),
        }
    }

    /// Returns whether a running change must end before this set changes: a CNAME excludes other sets.
    pub(super) fn hinders(&self, key: &RecordKey) -> bool {
        let cname = |key: &RecordKey| key.rtype == RecordType::CNAME;
        self.running.iter().any(|(other, _)| other.name == key.name && (cname(other) || cname(key)))
    }

    /// Waits until no change is running.
    ///
    /// # Errors
    /// The error of a failed action, and `timed-out`.
    pub(super) async fn settle(&mut self, client: &Client) -> Result<(), Failure> {
        let running = std::mem::take(&mut self.running);
        let ids: Vec<u64> = running.iter().map(|(_, id)| *id).collect();
        // After any failure to ask, the outcome of the actions is not known.
        wait(client, &ids).await.map_err(|failure| Failure { unknown: true, ..failure })?;
        self.done.extend(running.into_iter().map(|(key, _)| key));
        Ok(())
    }
}

/// Waits until actions have succeeded.
pub(super) async fn wait(client: &Client, ids: &[u64]) -> Result<(), Failure> {
    let clock = &client.rest.clock;
    let (start, mut pause) = (clock.monotonic(), Duration::from_millis(250));
    let mut waiting = ids.to_vec();
    while !waiting.is_empty() {
        let asked: Vec<u64> = waiting.iter().copied().take(ACTIONS).collect();
        let actions = client.actions(&asked).await?;
        for action in &actions {
            succeeded(action)?;
        }
        let done = |id: &u64| actions.iter().any(|a| a.id == *id && a.status == "success");
        let before = waiting.len();
        waiting.retain(|id| !done(id));
        if waiting.len() == before {
            if clock.monotonic().saturating_sub(start) > LIMIT {
                let message =
                    format!("Hetzner had not carried out a change after {} seconds", LIMIT.as_secs());
                let error = Error::new(&cloudron_core::codes::TIMED_OUT, message);
                return Err(Failure { unknown: true, ..error.into() });
            }
            clock.sleep(pause).await;
            pause = (pause * 2).min(Duration::from_secs(5));
        }
    }
    Ok(())
}

/// Checks that an action has not failed.
fn succeeded(action: &Action) -> Result<(), Failure> {
    if action.status != "error" {
        return Ok(());
    }
    let complaint = action.error.clone().unwrap_or_default();
    let code = meaning(&complaint.code).unwrap_or(&codes::REFUSED);
    let message = format!("action {} failed: {} ({})", action.id, complaint.message, complaint.code);
    // The progress of the action is not reported.
    Err(Failure { unknown: true, ..Error::new(code, message).into() })
}
