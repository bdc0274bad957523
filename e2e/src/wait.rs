//! Waiting for something to become true, with an end.

use std::thread;
use std::time::{Duration, Instant};

/// Asks again every 50 ms until `probe` gives a value.
///
/// # Panics
///
/// After `limit`, saying `what` did not happen.
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
