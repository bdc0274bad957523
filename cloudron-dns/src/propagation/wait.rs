//! Waits until all authoritative servers agree.

use std::collections::BTreeSet;
use std::time::Duration;

use cloudron_core::Progress;
use cloudron_core::progress::Unit;
use tokio::time::Instant;

use super::check::check_until;
use super::{Authority, Lookup, Report};
use crate::{Error, Intent, Name, Result, codes};

/// Delays between rounds, in seconds; the last one repeats.
const WAITS: [u64; 8] = [1, 2, 3, 5, 8, 13, 20, 30];

/// Time before the end at which the last round begins, or a tenth of the total time if that is less.
const LAST_ROUND: Duration = Duration::from_secs(1);

/// How long to wait, and where progress is reported.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct WaitOptions {
    /// Total time limit, including all queries and delays.
    pub limit: Duration,
    /// Delays between rounds; the last one repeats.
    pub waits: Vec<Duration>,
    /// Reports when a server agrees.
    pub progress: Progress,
}

impl Default for WaitOptions {
    /// Waits up to ten minutes.
    fn default() -> Self {
        Self {
            limit: Duration::from_secs(600),
            waits: WAITS.map(Duration::from_secs).to_vec(),
            progress: Progress::none(),
        }
    }
}

impl WaitOptions {
    /// Sets another time limit.
    pub fn within(self, limit: Duration) -> Self {
        Self { limit, ..self }
    }

    /// Sets other delays between rounds; the last one repeats.
    pub fn with_waits(self, waits: impl IntoIterator<Item = Duration>) -> Self {
        Self { waits: waits.into_iter().collect(), ..self }
    }

    /// Sets the destination of progress events.
    pub fn with_progress(self, progress: Progress) -> Self {
        Self { progress, ..self }
    }
}

/// Queries all authoritative servers of a zone repeatedly until all have the desired records.
///
/// # Errors
/// `dns-not-propagated` if the time limit passes, with the answer of each server; if the servers were not even found,
/// the error of [`Lookup::authority`].
pub async fn wait(lookup: &Lookup, zone: &Name, desired: &[Intent], options: &WaitOptions) -> Result<Report> {
    let deadline = Instant::now() + options.limit;
    let mut waits = Waits { options, round: 0, deadline };
    let authority = find(lookup, zone, &mut waits).await?;
    let addresses: usize = authority.servers.iter().map(|s| s.addresses.len().max(1)).sum();
    let label = format!("Asking the name servers of {zone}");
    let task = options.progress.task(label, Unit::Items, Some(addresses as u64));
    let mut agreed = BTreeSet::new();
    loop {
        let report = check_until(lookup, &authority, desired, deadline).await;
        for (at, server) in report.servers.iter().enumerate().filter(|(_, s)| s.agrees()) {
            if agreed.insert(at) {
                task.advance(1);
                let address = server.address.map(|a| format!(" at {a}")).unwrap_or_default();
                options.progress.note(format!("{}{address} has the records", server.server));
            }
        }
        if report.agrees() {
            task.finish();
            return Ok(report);
        }
        if !waits.next().await {
            return Err(not_propagated(&report, options.limit));
        }
    }
}

async fn find(lookup: &Lookup, zone: &Name, waits: &mut Waits<'_>) -> Result<Authority> {
    loop {
        match lookup.zone_until(zone, waits.deadline).await {
            Err(error) if error.is_retryable() && waits.next().await => {}
            done => return done,
        }
    }
}

struct Waits<'a> {
    options: &'a WaitOptions,
    round: usize,
    deadline: Instant,
}

impl Waits<'_> {
    /// Waits before the next round. Returns `false` after the last one, which begins shortly before the deadline.
    async fn next(&mut self) -> bool {
        let waits = &self.options.waits;
        let wait = waits.get(self.round).or(waits.last()).copied().unwrap_or(Duration::from_secs(1));
        self.round += 1;
        let asking = (self.options.limit / 10).min(LAST_ROUND);
        let left = self.deadline.saturating_duration_since(Instant::now()).saturating_sub(asking);
        if left.is_zero() {
            return false;
        }
        tokio::time::sleep(wait.min(left)).await;
        true
    }
}

fn not_propagated(report: &Report, limit: Duration) -> Error {
    let problems = report.to_string().trim_end().replace('\n', "; ");
    let message = format!(
        "after {} s, {} of {} name server addresses of {} have the records: {problems}",
        limit.as_secs(),
        report.agreeing(),
        report.servers.len(),
        report.zone
    );
    Error::new(&codes::NOT_PROPAGATED, message)
        .with_hint("set the records at your DNS host as shown, then run the command again")
}
