//! Failed logins in the event log: one entry for each source and hour, with their number. So an attacker does not fill the
//! disk with entries.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::json;

use super::App;
use super::auth::Address;
use super::network::Network;
use crate::api::EventSource;
use crate::db::events;

/// The number of sources per hour with an entry of their own. All others share one.
const SOURCES: usize = 1000;

const HOUR: Duration = Duration::from_secs(3600);

/// The failures of the last hour.
#[derive(Debug, Default)]
pub(crate) struct Failures(Mutex<Counts>);

#[derive(Debug, Default)]
struct Counts {
    /// By network; `None` stands for all that have no entry of their own.
    of: HashMap<Option<Network>, Count>,
    /// Entries whose hour is over, and whose last number is not stored yet.
    over: Vec<(i64, u64)>,
}

#[derive(Debug)]
struct Count {
    begun: Duration,
    /// The entry in the event log, once it is there.
    entry: Option<i64>,
    count: u64,
    stored: u64,
}

impl Failures {
    fn counts(&self) -> MutexGuard<'_, Counts> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts a failure. Returns the key of its entry if there is none yet.
    fn count(&self, network: Network, now: Duration) -> Option<Option<Network>> {
        let mut counts = self.counts();
        counts.forget(now);
        let own = counts.of.contains_key(&Some(network)) || counts.of.len() < SOURCES;
        let key = own.then_some(network);
        if let Some(count) = counts.of.get_mut(&key) {
            count.count += 1;
            return None;
        }
        counts.of.insert(key, Count { begun: now, entry: None, count: 1, stored: 1 });
        Some(key)
    }

    fn entered(&self, key: Option<Network>, entry: i64) {
        if let Some(count) = self.counts().of.get_mut(&key) {
            count.entry = Some(entry);
        }
    }

    /// Returns the entries whose number has changed since this was called last.
    fn changed(&self, now: Duration) -> Vec<(i64, u64)> {
        let mut counts = self.counts();
        counts.forget(now);
        let mut changed = std::mem::take(&mut counts.over);
        for count in counts.of.values_mut() {
            changed.extend(count.change());
        }
        changed
    }
}

impl Counts {
    /// Removes what is older than an hour.
    fn forget(&mut self, now: Duration) {
        let over = &mut self.over;
        self.of.retain(|_, count| {
            let current = now.saturating_sub(count.begun) < HOUR;
            if !current {
                over.extend(count.change());
            }
            current
        });
    }
}

impl Count {
    fn change(&mut self) -> Option<(i64, u64)> {
        let entry = self.entry.filter(|_| self.stored != self.count)?;
        self.stored = self.count;
        Some((entry, self.count))
    }
}

/// Notes a failed login.
pub(super) async fn note(app: &App, address: Address) {
    tracing::warn!(address = address.text(), "A login failed");
    let Some(key) = app.failures.count(address.network(), app.tuning.clock.monotonic()) else { return };
    let ip = key.is_some().then(|| address.text());
    let (source, now) = (EventSource { ip, ..EventSource::default() }, app.now());
    let data = json!({"reason": "wrong user name or password", "count": 1});
    let added = app.db.write_async(move |c| {
        events::add(c, now, events::LOGIN_FAILED, &source, &data)?;
        Ok(c.last_insert_rowid())
    });
    match added.await {
        Ok(entry) => app.failures.entered(key, entry),
        Err(error) => tracing::warn!(%error, "The event could not be written"),
    }
}

/// Stores the numbers of failures that changed.
pub(crate) async fn store(app: &App) {
    let changed = app.failures.changed(app.tuning.clock.monotonic());
    if changed.is_empty() {
        return;
    }
    let stored = app.db.write_async(move |c| {
        changed.iter().try_for_each(|(entry, count)| events::set_count(c, *entry, *count))
    });
    if let Err(error) = stored.await {
        tracing::warn!(%error, "The number of failed logins could not be stored");
    }
}

/// Does so while the server runs.
pub(crate) async fn keep(app: Arc<App>) {
    loop {
        tokio::time::sleep(app.tuning.tick).await;
        store(&app).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn network(n: u32) -> Network {
        Network::of(std::net::IpAddr::from(n.to_be_bytes()))
    }

    #[test]
    fn an_hour_of_guesses_from_one_source_is_one_entry_with_their_number() {
        let (failures, now) = (Failures::default(), Duration::from_secs(77));
        let entries = (0..5000).filter_map(|_| failures.count(network(1), now)).collect::<Vec<_>>();
        assert_eq!(entries, [Some(network(1))]);
        assert!(failures.changed(now).is_empty(), "the entry is not there yet");
        failures.entered(Some(network(1)), 7);
        assert_eq!(failures.changed(now), [(7, 5000)]);
        assert!(failures.changed(now).is_empty());
        failures.count(network(1), now);
        assert_eq!(failures.count(network(1), now + HOUR), Some(Some(network(1))), "a new hour");
        assert_eq!(failures.changed(now + HOUR), [(7, 5001)], "the number of the hour before is not lost");
    }

    #[test]
    fn many_sources_share_an_entry_and_the_memory_is_bounded() {
        let (failures, now) = (Failures::default(), Duration::from_secs(1));
        let entries = (0..20_000).filter_map(|n| failures.count(network(n), now)).count();
        assert_eq!(entries, SOURCES + 1);
        assert_eq!(failures.counts().of.len(), SOURCES + 1);
        assert_eq!(failures.counts().of[&None].count, 20_000 - SOURCES as u64);
        failures.changed(now + HOUR);
        assert!(failures.counts().of.is_empty());
    }
}
