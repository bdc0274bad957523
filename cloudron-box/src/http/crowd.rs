//! Limits on concurrent connections, and the choice of the connection to close when there are too many.
//!
//! Idle connections do not cause a new one to be refused: the connection that has received no data for the
//! longest time is closed, of the network with the most connections. If that network has at least two more
//! than the new one's, a busy connection is closed too. So neither one client nor many can keep others out.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;

use super::network::Network;
use super::watched::Progress;

/// Maximum number of connections.
pub(super) const TOTAL: usize = 512;

/// The number of connections reserved for this machine itself.
const RESERVED: usize = 64;

/// Maximum number of connections per network. This machine itself has no limit.
const EACH: usize = 32;

/// Minimum idle time before a connection is closed in favour of a network with as many connections.
const IDLE: Duration = Duration::from_secs(2);

/// All connections.
#[derive(Debug, Default)]
pub(super) struct Crowd(Mutex<Members>);

#[derive(Debug, Default)]
struct Members {
    next: u64,
    by_number: HashMap<u64, Member>,
}

#[derive(Debug)]
struct Member {
    network: Network,
    progress: Arc<Progress>,
    leave: Arc<Notify>,
}

/// The slot of a connection. Dropping it frees the slot.
#[derive(Debug)]
pub(super) struct Seat {
    crowd: Arc<Crowd>,
    number: u64,
    leave: Arc<Notify>,
}

impl Seat {
    /// Waits until the connection must be closed in favour of another one.
    pub(super) async fn lost(&self) {
        self.leave.notified().await;
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.crowd.members().by_number.remove(&self.number);
    }
}

impl Crowd {
    fn members(&self) -> MutexGuard<'_, Members> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns a slot for a connection from this network, if necessary that of an idle one. Returns `None` if
    /// all are busy.
    pub(super) fn admit(self: &Arc<Self>, network: Network, progress: &Arc<Progress>) -> Option<Seat> {
        let mut members = self.members();
        if let Some(choose) = members.too_many(network) {
            let victim = members.most_idle(choose, network)?;
            if let Some(member) = members.by_number.remove(&victim) {
                member.leave.notify_one();
            }
        }
        let number = members.next;
        members.next += 1;
        let leave = Arc::<Notify>::default();
        let member = Member { network, progress: progress.clone(), leave: leave.clone() };
        members.by_number.insert(number, member);
        Some(Seat { crowd: self.clone(), number, leave })
    }
}

/// The connections among which the one to close is chosen.
#[derive(Debug, Clone, Copy)]
enum Among {
    Network(Network),
    Strangers,
    All,
}

impl Members {
    fn count(&self, mut which: impl FnMut(Network) -> bool) -> usize {
        self.by_number.values().filter(|m| which(m.network)).count()
    }

    /// Returns the connections among which one must be closed before this network gets another one.
    fn too_many(&self, network: Network) -> Option<Among> {
        if !network.is_loopback() {
            if self.count(|n| n == network) >= EACH {
                return Some(Among::Network(network));
            }
            if self.count(|n| !n.is_loopback()) >= TOTAL - RESERVED {
                return Some(Among::Strangers);
            }
        }
        (self.by_number.len() >= TOTAL).then_some(Among::All)
    }

    /// Returns the connection to close for one of the network `newcomer`.
    fn most_idle(&self, among: Among, newcomer: Network) -> Option<u64> {
        let network = match among {
            Among::Network(network) => network,
            Among::Strangers => self.largest(|n| !n.is_loopback())?,
            Among::All => self.largest(|_| true)?,
        };
        let own = self.by_number.iter().filter(|(_, m)| m.network == network);
        let idle = own.map(|(number, m)| (m.progress.idle(), *number)).max();
        let unfair = self.count(|n| n == network) > self.count(|n| n == newcomer) + 1;
        idle.filter(|(time, _)| unfair || *time >= IDLE).map(|(_, number)| number)
    }

    /// Returns, of the networks with the most connections, the one whose connection has been idle for the
    /// longest time.
    fn largest(&self, which: impl Fn(Network) -> bool) -> Option<Network> {
        let mut networks: HashMap<Network, (usize, Duration)> = HashMap::new();
        for member in self.by_number.values().filter(|m| which(m.network)) {
            let (count, idle) = networks.entry(member.network).or_default();
            (*count, *idle) = (*count + 1, member.progress.idle().max(*idle));
        }
        networks.into_iter().max_by_key(|(_, rank)| *rank).map(|(network, _)| network)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn network(text: &str) -> Network {
        Network::of(text.parse().unwrap())
    }

    /// Takes slots until there are none left.
    fn fill(crowd: &Arc<Crowd>, address: &str, most: usize) -> Vec<Seat> {
        let progress = Progress::new();
        (0..most).map_while(|_| crowd.admit(network(address), &progress)).collect()
    }

    #[test]
    fn one_stranger_gets_a_few_places_and_many_leave_some_for_the_machine_itself() {
        let crowd = Arc::<Crowd>::default();
        let mut seats = vec![fill(&crowd, "192.0.2.1", 1000)];
        assert_eq!(seats[0].len(), EACH);
        for n in 0..100 {
            seats.push(fill(&crowd, &format!("2001:db8:0:{n:x}::1"), EACH));
        }
        let strangers = |crowd: &Arc<Crowd>| crowd.members().count(|n| !n.is_loopback());
        assert_eq!(strangers(&crowd), TOTAL - RESERVED);
        let own = fill(&crowd, "127.0.0.1", RESERVED);
        assert_eq!((own.len(), strangers(&crowd)), (RESERVED, TOTAL - RESERVED));
        // Each of a hundred networks has some connections.
        let members = crowd.members();
        let held = (0..100).map(|n| network(&format!("2001:db8:0:{n:x}::1")));
        let held: Vec<usize> = held.map(|one| members.count(|n| n == one)).collect();
        assert!(held.iter().all(|n| (2..=6).contains(n)), "{held:?}");
    }

    #[tokio::test]
    async fn a_newcomer_gets_the_place_of_the_one_that_is_idle_for_longest() {
        let crowd = Arc::<Crowd>::default();
        let (old, busy) = (Progress::new(), Progress::new());
        let stalled = crowd.admit(network("192.0.2.1"), &old).unwrap();
        let others = fill(&crowd, "192.0.2.1", EACH - 1);
        assert!(crowd.admit(network("192.0.2.1"), &busy).is_none(), "nobody is idle yet");
        tokio::time::sleep(IDLE + Duration::from_millis(50)).await;
        let seat = crowd.admit(network("192.0.2.1"), &busy).unwrap();
        tokio::time::timeout(Duration::from_secs(1), stalled.lost()).await.unwrap();
        drop((seat, stalled, others));
        assert!(crowd.members().by_number.is_empty());
    }
}
