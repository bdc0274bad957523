//! What the check of a connection and the service that answers its requests tell each other.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::Waker;

use super::Refusal;

/// What the stream and the service of one connection tell each other.
#[derive(Debug, Default)]
pub(crate) struct Exchange(Mutex<Talk>);

#[derive(Debug, Default)]
pub(super) struct Talk {
    /// Heads that were handed on.
    pub(super) heads: u64,
    /// Requests that the service began.
    requests: u64,
    /// The refusal, and the number of the head that stands in for it.
    pub(super) refusal: Option<(u64, Refusal)>,
    pub(super) next: Next,
    pub(super) waker: Option<Waker>,
}

/// What the bytes after a message are.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) enum Next {
    /// The next request.
    #[default]
    Request,
    /// Not known before the response.
    Unknown,
    /// Those of another protocol.
    Tunnel,
}

impl Exchange {
    pub(super) fn talk(&self) -> MutexGuard<'_, Talk> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Begins the next request. Returns the refusal if it stands in for one that is refused.
    pub(crate) fn begin(&self) -> Option<Refusal> {
        let mut talk = self.talk();
        talk.requests += 1;
        talk.refusal.filter(|(number, _)| *number == talk.requests).map(|(_, refusal)| refusal)
    }

    /// Says that the protocol stays: after the message comes the next request.
    pub(crate) fn stay(&self) {
        self.decide(Next::Request);
    }

    /// Says that the protocol changes with the response that follows.
    pub(crate) fn switch(&self) {
        self.decide(Next::Tunnel);
    }

    fn decide(&self, next: Next) {
        let mut talk = self.talk();
        if talk.next == Next::Unknown {
            talk.next = next;
            if let Some(waker) = talk.waker.take() {
                waker.wake();
            }
        }
    }
}
