//! Non-blocking calls of libssh2, and the order that it requires.

use std::task::{Poll, Waker};

use ssh2::{BlockDirections, Session};

use super::error;
use super::meter::Meter;

/// Maximum payload of one libssh2 packet, in bytes.
pub(super) const PACKET: usize = 32_700;

/// Operations, as recorded in the session's note of what stalled.
pub(super) mod op {
    pub(in crate::ssh) const OPEN: u8 = 0;
    pub(in crate::ssh) const REQUEST: u8 = 1;
    pub(in crate::ssh) const WRITE: u8 = 2;
    pub(in crate::ssh) const EOF: u8 = 3;
    /// Reading of stream N is `READ + N`.
    pub(in crate::ssh) const READ: u8 = 4;
    pub(in crate::ssh) const WAIT: u8 = 6;
    pub(in crate::ssh) const CLOSE: u8 = 7;
}

/// The session's state, as passed to a channel for its turn.
pub(super) struct Turn<'a> {
    pub(super) session: &'a Session,
    pub(super) meter: &'a Meter,
    pub(super) stalled: &'a mut Option<(u64, u8)>,
    pub(super) waker: &'a Waker,
}

impl Turn<'_> {
    /// Makes a non-blocking call. After an operation stopped in the middle of a packet, it must be the next one that
    /// sends (libssh2 refuses others until then), so all others wait for it.
    pub(super) fn call<T>(
        &mut self,
        id: (u64, u8),
        call: impl FnOnce(&Session) -> Result<T, ssh2::Error>,
    ) -> Poll<Result<T, ssh2::Error>> {
        if self.stalled.is_some_and(|s| s != id) {
            return Poll::Pending;
        }
        let outcome = call(self.session);
        *self.stalled = None;
        match outcome {
            Err(e) if error::is_again(&e) => {
                let sending = matches!(
                    self.session.block_directions(),
                    BlockDirections::Outbound | BlockDirections::Both
                );
                *self.stalled = sending.then_some(id);
                Poll::Pending
            }
            outcome => Poll::Ready(outcome),
        }
    }
}
