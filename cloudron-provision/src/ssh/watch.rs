//! A deadline for blocking exchanges with a server.
//!
//! libssh2 only limits the time of waiting: a server that always sends something, such as lines before its version,
//! never lets it wait. Therefore a separate thread shuts the socket down when the time is over.

use std::net::{Shutdown, TcpStream};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use cloudron_core::{Error, Result};

/// Shuts a connection down when its time is over. Dropping it stops the watch.
pub(super) struct Watch {
    shared: Arc<Shared>,
    limit: Duration,
}

struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

enum State {
    Until(Instant),
    Paused,
    Over,
    Ended,
}

impl Watch {
    /// Watches a connection, with the time limit starting now.
    pub(super) fn over(socket: &TcpStream, limit: Duration) -> Result<Self> {
        let failed = |e| Error::io("a connection's deadline", e);
        let socket = socket.try_clone().map_err(failed)?;
        let state = Mutex::new(State::Until(Instant::now() + limit));
        let shared = Arc::new(Shared { state, changed: Condvar::new() });
        let theirs = shared.clone();
        let work = move || theirs.watch(&socket);
        std::thread::Builder::new().name("ssh deadline".into()).spawn(work).map_err(failed)?;
        Ok(Self { shared, limit })
    }

    /// Does work that does not depend on the server, such as asking the user. Afterwards the time limit starts again.
    pub(super) fn paused<T>(&self, work: impl FnOnce() -> T) -> T {
        self.shared.set(State::Paused);
        let done = work();
        self.shared.set(State::Until(Instant::now() + self.limit));
        done
    }

    /// Returns whether the connection was shut down.
    pub(super) fn is_over(&self) -> bool {
        matches!(*self.shared.lock(), State::Over)
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.shared.set(State::Ended);
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes the state; a state that is over does not change any more.
    fn set(&self, new: State) {
        let mut state = self.lock();
        if !matches!(*state, State::Over) {
            *state = new;
        }
        drop(state);
        self.changed.notify_all();
    }

    fn watch(&self, socket: &TcpStream) {
        let mut state = self.lock();
        loop {
            state = match *state {
                State::Over | State::Ended => return,
                State::Paused => self.changed.wait(state).unwrap_or_else(PoisonError::into_inner),
                State::Until(end) => {
                    let left = end.saturating_duration_since(Instant::now());
                    if left.is_zero() {
                        *state = State::Over;
                        // A connection that is already closed needs nothing more.
                        let _ = socket.shutdown(Shutdown::Both);
                        return;
                    }
                    let waited = self.changed.wait_timeout(state, left);
                    waited.unwrap_or_else(PoisonError::into_inner).0
                }
            };
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;
    use std::net::TcpListener;

    use super::*;

    fn pair() -> (TcpStream, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let here = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        (here, listener.accept().unwrap().0)
    }

    #[test]
    fn a_connection_ends_at_its_deadline_and_not_while_the_user_is_asked() {
        let (mut here, _there) = pair();
        let begun = Instant::now();
        let watch = Watch::over(&here, Duration::from_millis(100)).unwrap();
        watch.paused(|| std::thread::sleep(Duration::from_millis(300)));
        assert!(!watch.is_over());
        assert_eq!(here.read(&mut [0]).unwrap(), 0);
        assert!(watch.is_over());
        assert!(begun.elapsed() >= Duration::from_millis(400) && begun.elapsed() < Duration::from_secs(5));
    }

    #[test]
    fn a_watch_that_is_dropped_leaves_the_connection() {
        let (mut here, there) = pair();
        drop(Watch::over(&here, Duration::from_millis(50)).unwrap());
        here.set_read_timeout(Some(Duration::from_millis(200))).unwrap();
        assert!(here.read(&mut [0]).is_err(), "the connection was ended");
        drop(there);
    }
}
