//! Limits on connections, and the choice of the connection to close when there are too many.
//!
//! Idle connections do not cause a new one to be refused: the one that has been idle for the longest time is closed, of the
//! network with the most connections. If that network has at least two more than the new one's, a busy connection is closed
//! too. So neither one client nor many can keep others out, and one route does not take the place of another.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::watch;

use super::activity::Activity;

/// Minimum idle time before a connection is closed in favour of a network with as many connections.
const IDLE: Duration = Duration::from_secs(2);

/// The first 64 bits of an address of version 6, or an address of version 4: what one client usually has.
type Network = u64;

fn network(address: IpAddr) -> Network {
    match address.to_canonical() {
        IpAddr::V4(v4) => u64::from(u32::from(v4)),
        IpAddr::V6(v6) => u64::try_from(u128::from(v6) >> 64).unwrap_or_default() | 1 << 63,
    }
}

/// All connections of one port.
#[derive(Debug, Default)]
pub(super) struct Seats(Mutex<Members>);

#[derive(Debug, Default)]
struct Members {
    next: u64,
    by_number: HashMap<u64, Member>,
}

#[derive(Debug)]
struct Member {
    network: Network,
    /// The route, from the end of the handshake.
    route: Option<Place>,
    activity: Arc<Activity>,
    leave: watch::Sender<bool>,
}

/// A route's share of the connections.
#[derive(Debug, Clone)]
pub(super) struct Place {
    pub(super) host: Arc<str>,
    pub(super) privileged: bool,
}

/// The numbers of connections that a route may have: of its own, and in all.
#[derive(Debug, Clone, Copy)]
pub(super) struct Most {
    pub(super) own: usize,
    pub(super) total: usize,
    pub(super) reserve: usize,
}

/// The slot of a connection. Dropping it frees the slot.
#[derive(Debug)]
pub(super) struct Seat {
    seats: Arc<Seats>,
    number: u64,
    leave: watch::Receiver<bool>,
}

impl Seat {
    /// Waits until the connection must be closed in favour of another one.
    pub(super) async fn lost(&self) {
        // The sender is dropped when the connection was chosen.
        let _ = self.leave.clone().wait_for(|leave| *leave).await;
    }

    /// Moves the connection to a route after its handshake, if necessary in the place of an idle one. Returns whether there
    /// is a place.
    pub(super) fn promote(&self, place: Place, most: Most) -> bool {
        let mut members = self.seats.members();
        let Some(newcomer) = members.by_number.get(&self.number).map(|m| m.network) else { return false };
        let of_route = |m: &Member| m.route.as_ref().is_some_and(|p| p.host == place.host);
        let of_strangers = |m: &Member| m.route.as_ref().is_some_and(|p| !p.privileged);
        let of_all = |m: &Member| m.route.is_some();
        let made_room = members.make_room(of_route, most.own, newcomer)
            && (place.privileged
                || members.make_room(of_strangers, most.total.saturating_sub(most.reserve), newcomer))
            && members.make_room(of_all, most.total, newcomer);
        if made_room && let Some(member) = members.by_number.get_mut(&self.number) {
            member.route = Some(place);
            return true;
        }
        false
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.seats.members().by_number.remove(&self.number);
    }
}

impl Seats {
    fn members(&self) -> MutexGuard<'_, Members> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns a slot for a connection before its handshake, if necessary that of an idle one. Returns `None` if all `most`
    /// are busy.
    pub(super) fn admit(
        self: &Arc<Self>,
        address: IpAddr,
        most: usize,
        activity: &Arc<Activity>,
    ) -> Option<Seat> {
        let newcomer = network(address);
        let mut members = self.members();
        if !members.make_room(|m| m.route.is_none(), most, newcomer) {
            return None;
        }
        let number = members.next;
        members.next += 1;
        let (leave, left) = watch::channel(false);
        let member = Member { network: newcomer, route: None, activity: activity.clone(), leave };
        members.by_number.insert(number, member);
        Some(Seat { seats: self.clone(), number, leave: left })
    }
}

impl Members {
    /// Makes sure that there are fewer than `most` of these connections.
    fn make_room(&mut self, which: impl Fn(&Member) -> bool, most: usize, newcomer: Network) -> bool {
        let count = self.by_number.values().filter(|m| which(m)).count();
        if count < most {
            return true;
        }
        let Some(victim) = self.victim(which, newcomer) else { return false };
        if let Some(member) = self.by_number.remove(&victim) {
            let _ = member.leave.send(true);
        }
        true
    }

    /// Returns the connection to close: of the network with the most of them, the one that has been idle for longest.
    fn victim(&self, which: impl Fn(&Member) -> bool, newcomer: Network) -> Option<u64> {
        let mut networks: HashMap<Network, (usize, Duration, u64)> = HashMap::new();
        for (number, member) in self.by_number.iter().filter(|(_, m)| which(m)) {
            let (count, idle, victim) = networks.entry(member.network).or_default();
            *count += 1;
            let own = member.activity.unused();
            if *count == 1 || own > *idle {
                (*idle, *victim) = (own, *number);
            }
        }
        let own = networks.get(&newcomer).map_or(0, |(count, ..)| *count);
        let (count, idle, victim) = networks.into_values().max_by_key(|(count, idle, _)| (*count, *idle))?;
        (idle >= IDLE || count > own + 1).then_some(victim)
    }
}

/// Returns an address as it is passed on: that of version 4 for one that is mapped into version 6.
pub(super) fn plain_address(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V6(v6) if v6 == Ipv6Addr::LOCALHOST => address,
        address => address.to_canonical(),
    }
}

#[cfg(test)]
mod tests {
    use cloudron_core::SystemClock;

    use super::*;

    fn fill(
        seats: &Arc<Seats>,
        address: &str,
        most: usize,
        limit: usize,
    ) -> Vec<(Seat, super::super::activity::Open)> {
        let take = |_| {
            let activity = Activity::new(Arc::new(SystemClock));
            let seat = seats.admit(address.parse().unwrap(), limit, &activity)?;
            Some((seat, activity.open()))
        };
        (0..most).map_while(take).collect()
    }

    fn place(host: &str, privileged: bool) -> Place {
        Place { host: host.into(), privileged }
    }

    const MOST: Most = Most { own: 4, total: 10, reserve: 3 };

    #[tokio::test]
    async fn a_client_with_fewer_connections_gets_the_place_of_one_with_many() {
        let seats = Arc::<Seats>::default();
        let greedy = fill(&seats, "192.0.2.1", 100, 8);
        assert_eq!(greedy.len(), 8, "all busy, and nobody else has fewer");
        let other = fill(&seats, "192.0.2.2", 100, 8);
        assert_eq!(other.len(), 4, "both have as many now");
        let mut lost = 0;
        for (seat, _) in &greedy {
            lost += usize::from(*seat.leave.borrow());
        }
        assert_eq!(lost, 4);
        drop((greedy, other));
        assert!(seats.members().by_number.is_empty());
    }

    #[test]
    fn a_route_has_its_budget_and_the_privileged_one_a_reserve() {
        let seats = Arc::<Seats>::default();
        let crowd = fill(&seats, "192.0.2.1", 20, 100);
        let promoted = |n: usize, host: &str, privileged: bool| {
            (0..n).filter(|i| crowd[*i].0.promote(place(host, privileged), MOST)).count()
        };
        // Each time the same connections, of one client, so that nothing is closed for another.
        assert_eq!(promoted(5, "a.test", false), 4);
        let rest = |from: usize, to: usize, host: &str, privileged: bool| {
            (from..to).filter(|i| crowd[*i].0.promote(place(host, privileged), MOST)).count()
        };
        assert_eq!(rest(5, 10, "b.test", false), 3, "seven of ten are for all");
        assert_eq!(rest(10, 12, "c.test", false), 0);
        assert_eq!(rest(12, 20, "my.test", true), 3, "the reserve");
    }

    #[test]
    fn networks_are_what_one_client_has() {
        let of = |text: &str| network(text.parse().unwrap());
        assert_eq!(of("2001:db8::1"), of("2001:db8::ffff:1"));
        assert_ne!(of("2001:db8::1"), of("2001:db8:0:1::1"));
        assert_eq!(of("192.0.2.1"), of("::ffff:192.0.2.1"));
        assert_ne!(of("192.0.2.1"), of("192.0.2.2"));
    }
}
