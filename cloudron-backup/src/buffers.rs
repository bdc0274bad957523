//! Reusable buffers. Allocating large ones repeatedly is expensive, and how much memory an allocator keeps
//! after several threads free them is not predictable.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A pool of free buffers. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Pool {
    free: Arc<Mutex<Vec<Vec<u8>>>>,
    kept: usize,
    longest: usize,
}

impl Pool {
    /// Creates a pool that keeps up to `kept` buffers of at most `longest` bytes. Every buffer is allocated
    /// with that length, so that any of them fits; pages that are not written take no memory.
    pub(crate) fn new(kept: usize, longest: usize) -> Self {
        Self { free: Arc::default(), kept, longest }
    }

    /// Returns an empty buffer for at least `capacity` bytes.
    pub(crate) fn take(&self, capacity: usize) -> Vec<u8> {
        let mut buffer = lock(&self.free).pop().unwrap_or_default();
        buffer.reserve_exact(capacity.max(self.longest));
        buffer
    }

    /// Returns a buffer to the pool.
    pub(crate) fn give(&self, mut buffer: Vec<u8>) {
        buffer.clear();
        let mut free = lock(&self.free);
        if free.len() < self.kept && buffer.capacity() > 0 && buffer.capacity() <= self.longest {
            free.push(buffer);
        }
    }

    /// Turns the content into shared bytes. The buffer returns to the pool when the last of them is dropped.
    pub(crate) fn share(&self, buffer: Vec<u8>) -> Bytes {
        Bytes::from_owner(Shared { buffer, pool: self.clone() })
    }
}

struct Shared {
    buffer: Vec<u8>,
    pool: Pool,
}

impl AsRef<[u8]> for Shared {
    fn as_ref(&self) -> &[u8] {
        &self.buffer
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        self.pool.give(std::mem::take(&mut self.buffer));
    }
}

/// A limit on the number of bytes in flight.
#[derive(Debug)]
pub(crate) struct Budget {
    state: Mutex<State>,
    changed: Condvar,
    limit: usize,
}

#[derive(Debug, Default)]
struct State {
    used: usize,
    closed: bool,
}

impl Budget {
    pub(crate) fn new(limit: usize) -> Self {
        Self { state: Mutex::default(), changed: Condvar::new(), limit }
    }

    /// Waits until there is room; an item larger than the limit passes alone. Returns false once the budget
    /// is closed.
    pub(crate) fn take(&self, size: usize) -> bool {
        let mut state = lock(&self.state);
        while !state.closed && state.used > 0 && state.used + size > self.limit {
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        state.used += size;
        !state.closed
    }

    pub(crate) fn give(&self, size: usize) {
        lock(&self.state).used -= size;
        self.changed.notify_all();
    }

    /// Ends all waiting: the consumer has failed.
    pub(crate) fn close(&self) {
        lock(&self.state).closed = true;
        self.changed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_buffer_comes_back_when_the_last_share_is_gone() {
        let pool = Pool::new(2, 100);
        let mut buffer = pool.take(50);
        buffer.extend_from_slice(b"content");
        let at = buffer.as_ptr();
        let shared = pool.share(buffer);
        let part = shared.slice(2..4);
        drop(shared);
        assert_eq!(&*part, b"nt");
        drop(part);
        let again = pool.take(10);
        assert_eq!((again.as_ptr(), again.len()), (at, 0));
        pool.give(Vec::with_capacity(1000));
        assert!(pool.take(1).capacity() < 1000, "a long one is not kept");
    }

    #[test]
    fn a_budget_lets_no_more_through_than_it_has_and_nobody_waits_for_what_failed() {
        let budget = Budget::new(10);
        assert!(budget.take(100), "alone, anything goes");
        std::thread::scope(|scope| {
            let waiting = scope.spawn(|| budget.take(5));
            std::thread::sleep(std::time::Duration::from_millis(20));
            assert!(!waiting.is_finished());
            budget.give(100);
            assert!(waiting.join().unwrap());
            let waiting = scope.spawn(|| budget.take(6));
            budget.close();
            assert!(!waiting.join().unwrap());
        });
    }
}
