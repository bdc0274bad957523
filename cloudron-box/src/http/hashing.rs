//! A thread that hashes passwords in one block of memory, with short queues.
//!
//! Hashing deliberately takes 19 MiB and much time. An attacker who sends many passwords fills the queue of
//! unknown clients, but no memory. Addresses that have logged in before, and holders of the setup token, wait
//! in a separate queue, and the two queues alternate.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use cloudron_core::Secret;
use tokio::sync::oneshot;

use super::network::Network;
use crate::password::Workplace;
use crate::{Error, Result, codes};

/// Maximum length of each queue.
const WAITING: usize = 16;

/// Maximum number of entries per network in a queue.
const WAITING_EACH: usize = 8;

/// Idle time after which the memory is freed.
const IDLE: Duration = Duration::from_secs(20);

/// The queue in which a password waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Queue {
    /// For addresses that have logged in before, and holders of the setup token.
    Known = 0,
    /// For all other clients.
    Strangers = 1,
}

/// A task for the thread.
type Work = Box<dyn FnOnce(&mut Workplace) + Send>;

struct Waiting {
    network: Network,
    work: Work,
}

#[derive(Default)]
struct State {
    queues: [VecDeque<Waiting>; 2],
    /// The queue that is served first.
    turn: usize,
    closed: bool,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

/// The hashing thread. It ends when this is dropped.
pub(crate) struct Hashing(Arc<Shared>);

impl Hashing {
    /// Starts the thread.
    ///
    /// # Errors
    /// If the system cannot create a thread.
    pub(crate) fn start() -> Result<Self> {
        let shared = Arc::<Shared>::default();
        let own = shared.clone();
        std::thread::Builder::new()
            .name("passwords".to_owned())
            .spawn(move || own.run())
            .map_err(|e| Error::io("a thread", e).while_doing("starting to hash passwords"))?;
        Ok(Self(shared))
    }

    /// Hashes a new password.
    ///
    /// # Errors
    /// `login-busy` if the queue is full.
    pub(crate) async fn hash(&self, queue: Queue, network: Network, password: Secret) -> Result<String> {
        self.work(queue, network, move |place| place.hash(&password)).await?
    }

    /// Returns true if the password matches the hash. Takes the same time if there is no hash.
    ///
    /// # Errors
    /// `login-busy` if the queue is full.
    pub(crate) async fn verify(
        &self,
        queue: Queue,
        network: Network,
        password: Secret,
        hash: Option<String>,
    ) -> Result<bool> {
        let work = move |place: &mut Workplace| match hash {
            Some(hash) => place.verify(&password, &hash),
            None => {
                place.pretend(&password);
                false
            }
        };
        self.work(queue, network, work).await
    }

    async fn work<T: Send + 'static>(
        &self,
        queue: Queue,
        network: Network,
        work: impl FnOnce(&mut Workplace) -> T + Send + 'static,
    ) -> Result<T> {
        let (answer, answered) = oneshot::channel();
        let work: Work = Box::new(move |place| {
            // The client may have disconnected.
            if !answer.is_closed() {
                let _ = answer.send(work(place));
            }
        });
        self.0.put(queue, Waiting { network, work })?;
        answered
            .await
            .map_err(|_| Error::new(&cloudron_core::codes::FAILED, "the password could not be checked"))
    }
}

impl Drop for Hashing {
    fn drop(&mut self) {
        self.0.state().closed = true;
        self.0.changed.notify_all();
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn put(&self, queue: Queue, waiting: Waiting) -> Result<()> {
        let mut state = self.state();
        let queue = &mut state.queues[queue as usize];
        let own = queue.iter().filter(|w| w.network == waiting.network).count();
        if queue.len() >= WAITING || own >= WAITING_EACH {
            let text = "many log in at this moment; try again in a few seconds";
            return Err(Error::new(&codes::LOGIN_BUSY, text));
        }
        queue.push_back(waiting);
        self.changed.notify_one();
        Ok(())
    }

    fn run(&self) {
        let mut place = Workplace::default();
        let mut state = self.state();
        loop {
            if let Some(waiting) = state.next() {
                drop(state);
                (waiting.work)(&mut place);
                state = self.state();
            } else if state.closed {
                return;
            } else {
                let waited = self.changed.wait_timeout(state, IDLE);
                let (back, timeout) = waited.unwrap_or_else(PoisonError::into_inner);
                state = back;
                if timeout.timed_out() {
                    place = Workplace::default();
                }
            }
        }
    }
}

impl State {
    /// Removes the next task from the queue whose turn it is.
    fn next(&mut self) -> Option<Waiting> {
        let turn = self.turn;
        let queue = [turn, 1 - turn].into_iter().find(|queue| !self.queues[*queue].is_empty())?;
        self.turn = 1 - queue;
        self.queues[queue].pop_front()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn network(n: u8) -> Network {
        Network::of([192, 0, 2, n].into())
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_full_queue_of_strangers_refuses_and_does_not_hold_the_owner_up() {
        let hashing = Arc::new(Hashing::start().unwrap());
        let password = Secret::new("a password");
        let mut strangers = Vec::new();
        for n in 0..200 {
            let (hashing, password) = (hashing.clone(), password.clone());
            strangers.push(tokio::spawn(async move {
                hashing.verify(Queue::Strangers, network(n), password, None).await
            }));
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
        let hash = hashing.hash(Queue::Known, network(250), password.clone()).await.unwrap();
        assert!(hashing.verify(Queue::Known, network(250), password, Some(hash)).await.unwrap());
        let mut busy = 0;
        for stranger in strangers {
            match stranger.await.unwrap() {
                Ok(fits) => assert!(!fits),
                Err(error) => {
                    assert!(error.is(&codes::LOGIN_BUSY), "{error:?}");
                    busy += 1;
                }
            }
        }
        assert!(busy > 0);
    }

    #[test]
    fn the_queues_take_turns_and_one_network_does_not_fill_its_queue() {
        let shared = Shared::default();
        let waiting = |n| Waiting { network: network(n), work: Box::new(|_| {}) };
        for _ in 0..WAITING_EACH {
            shared.put(Queue::Strangers, waiting(1)).unwrap();
        }
        assert!(shared.put(Queue::Strangers, waiting(1)).unwrap_err().is(&codes::LOGIN_BUSY));
        shared.put(Queue::Strangers, waiting(2)).unwrap();
        shared.put(Queue::Known, waiting(3)).unwrap();
        shared.put(Queue::Known, waiting(3)).unwrap();
        let mut state = shared.state();
        let order: Vec<Network> = std::iter::from_fn(|| state.next().map(|w| w.network)).take(4).collect();
        assert_eq!(order, [network(3), network(1), network(3), network(1)]);
    }
}
