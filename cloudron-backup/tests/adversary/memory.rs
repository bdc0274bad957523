//! Measures the memory that honest operations use, with a limit: an operation that reaches it is aborted. Memory that the
//! adversary allocates, for its objects and while it makes them, does not count.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::sync::Mutex;
use std::sync::atomic::{AtomicIsize, Ordering::Relaxed};

/// The memory limit of an operation in bytes, so that a failing test does not exhaust the machine's memory.
const CEILING: isize = 1 << 30;

/// Bytes in use, less those that honest threads freed of the adversary's.
static NOW: AtomicIsize = AtomicIsize::new(0);
static MOST: AtomicIsize = AtomicIsize::new(0);
/// Bytes in use when the operation began.
static BEFORE: AtomicIsize = AtomicIsize::new(0);

thread_local! {
    /// True while the adversary acts on this thread.
    static UNCOUNTED: Cell<bool> = const { Cell::new(false) };
}

/// Runs the adversary's work, which does not count.
pub fn uncounted<T>(work: impl FnOnce() -> T) -> T {
    let before = UNCOUNTED.replace(true);
    let result = work();
    UNCOUNTED.set(before);
    result
}

fn count(change: isize) -> isize {
    if UNCOUNTED.try_with(Cell::get).unwrap_or(false) {
        return BEFORE.load(Relaxed);
    }
    NOW.fetch_add(change, Relaxed) + change
}

/// The operation being measured, for the message when it reaches the limit.
static RUN: Mutex<String> = Mutex::new(String::new());

struct Counting;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

// SAFETY: all calls are passed to the system's allocator unchanged, or refused.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let now = count(layout.size().cast_signed());
        MOST.fetch_max(now, Relaxed);
        if now - BEFORE.load(Relaxed) > CEILING {
            refused();
            return std::ptr::null_mut();
        }
        // SAFETY: the caller guarantees the same conditions.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        count(-layout.size().cast_signed());
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
    BEFORE.store(before, Relaxed);
    MOST.store(before, Relaxed);
    let result = work();
    ((MOST.load(Relaxed) - before).max(0).cast_unsigned(), result)
}
