//! Waits until a condition is met, with a limit.

use std::thread;
use std::time::{Duration, Instant};

/// Calls `probe` every 50 ms until it returns a value.
///
/// # Panics
///
/// After `limit`, with the message that `what` did not happen.
#[track_caller]
pub fn until<T>(what: &str, limit: Duration, mut probe: impl FnMut() -> Option<T>) -> T {
    let end = Instant::now() + limit;
    loop {
        if let Some(value) = probe() {
            return value;
        }
        assert!(Instant::now() < end, "after {limit:?} still not: {what}");
        thread::sleep(Duration::from_millis(50));
    }
}
