//! How much memory the process has at once, with a ceiling: an honest run that reaches it is ended.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

/// More than any run of these tests may need, in bytes. A machine is not to be brought down by a test that fails.
const CEILING: usize = 1 << 30;

static NOW: AtomicUsize = AtomicUsize::new(0);
static MOST: AtomicUsize = AtomicUsize::new(0);

/// What is being measured, for the message of a run that reaches the ceiling.
static RUN: Mutex<String> = Mutex::new(String::new());

struct Counting;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

// SAFETY: everything is handed on to the system's allocator as it came, or refused.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let now = NOW.fetch_add(layout.size(), Relaxed) + layout.size();
        MOST.fetch_max(now, Relaxed);
        if now > CEILING {
            refused();
            return std::ptr::null_mut();
        }
        // SAFETY: the caller's promises are the same.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        NOW.fetch_sub(layout.size(), Relaxed);
        // SAFETY: the caller's promises are the same.
        unsafe { System.dealloc(pointer, layout) }
    }
}

/// Says which run asked for too much, without allocating anything. The process is ended next.
fn refused() {
    if let Ok(run) = RUN.try_lock() {
        let _ = std::io::Write::write_all(&mut std::io::stderr(), run.as_bytes());
    }
}

/// Notes what is measured from here on.
pub fn about(run: String) {
    if let Ok(mut about) = RUN.lock() {
        *about = run;
    }
}

/// The most that the process had at once during `work`, over what it had before, in bytes.
pub fn peak<T>(work: impl FnOnce() -> T) -> (usize, T) {
    let before = NOW.load(Relaxed);
    MOST.store(before, Relaxed);
    let result = work();
    (MOST.load(Relaxed).saturating_sub(before), result)
}
