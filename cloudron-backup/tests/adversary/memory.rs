//! Measures the memory of the process, with a limit: an honest operation that reaches it is aborted.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

/// The memory limit of these tests in bytes, so that a failing test does not exhaust the machine's memory.
const CEILING: usize = 1 << 30;

static NOW: AtomicUsize = AtomicUsize::new(0);
static MOST: AtomicUsize = AtomicUsize::new(0);

/// The operation being measured, for the message when it reaches the limit.
static RUN: Mutex<String> = Mutex::new(String::new());

struct Counting;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

// SAFETY: all calls are passed to the system's allocator unchanged, or refused.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let now = NOW.fetch_add(layout.size(), Relaxed) + layout.size();
        MOST.fetch_max(now, Relaxed);
        if now > CEILING {
            refused();
            return std::ptr::null_mut();
        }
        // SAFETY: the caller guarantees the same conditions.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        NOW.fetch_sub(layout.size(), Relaxed);
        // SAFETY: the caller guarantees the same conditions.
        unsafe { System.dealloc(pointer, layout) }
    }
}

/// Prints which operation exceeded the limit, without allocating memory. The process is aborted afterwards.
fn refused() {
    if let Ok(run) = RUN.try_lock() {
        let _ = std::io::Write::write_all(&mut std::io::stderr(), run.as_bytes());
    }
}

/// Sets the operation being measured.
pub fn about(run: String) {
    if let Ok(mut about) = RUN.lock() {
        *about = run;
    }
}

/// Returns the maximum number of bytes that the process allocated at once during `work`, beyond its initial amount.
pub fn peak<T>(work: impl FnOnce() -> T) -> (usize, T) {
    let before = NOW.load(Relaxed);
    MOST.store(before, Relaxed);
    let result = work();
    (MOST.load(Relaxed).saturating_sub(before), result)
}
