//! A zone of 10,000 record sets is planned fast and with little memory.

#![allow(missing_docs, unsafe_code, clippy::print_stdout)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use cloudron_dns::{
    Intent, Name, Observed, Ownership, PlanOptions, RecordSet, RecordType, Snapshot, Ttl, Zone, plan,
};

/// Counts the bytes in use, and their maximum.
struct Counting;

static NOW: AtomicUsize = AtomicUsize::new(0);
static MOST: AtomicUsize = AtomicUsize::new(0);

// SAFETY: everything is done by the system's allocator.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let now = NOW.fetch_add(layout.size(), Ordering::Relaxed) + layout.size();
        MOST.fetch_max(now, Ordering::Relaxed);
        // SAFETY: the caller keeps to the contract of `alloc`.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        NOW.fetch_sub(layout.size(), Ordering::Relaxed);
        // SAFETY: the caller keeps to the contract of `dealloc`.
        unsafe { System.dealloc(at, layout) }
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

const SETS: usize = 10_000;

fn set(n: usize, address: &str) -> RecordSet {
    let name = Name::parse(&format!("host{n}.example.com")).unwrap();
    RecordSet::parse(name, Ttl::DEFAULT, RecordType::A, [address]).unwrap()
}

/// Returns the shortest planning time of five, the additional memory in bytes, and the number of changes.
fn measured(
    wishes: &[Intent],
    current: &Snapshot,
    ours: &Ownership,
    prune: bool,
) -> (Duration, usize, usize) {
    let options = PlanOptions::default().prune(prune).allow_mass_deletion(true);
    let once = || {
        let before = NOW.load(Ordering::Relaxed);
        MOST.store(before, Ordering::Relaxed);
        let start = Instant::now();
        let plan = plan(wishes, current, ours, &options);
        let took = start.elapsed();
        assert!(plan.conflicts.is_empty());
        (took, MOST.load(Ordering::Relaxed) - before, plan.changes.len())
    };
    (0..if cfg!(debug_assertions) { 1 } else { 5 }).map(|_| once()).min().unwrap()
}

#[test]
fn a_zone_of_10000_sets_is_planned_in_less_than_100_milliseconds_and_50_megabytes() {
    let zone = Zone::new("z", Name::parse("example.com").unwrap());
    let old: Vec<RecordSet> = (0..SETS).map(|n| set(n, "192.0.2.1")).collect();
    let ours = Ownership::from(old.clone());
    let current = Snapshot::new(zone.clone(), old.iter().cloned().map(Observed::Plain), true);
    let empty = Snapshot::new(zone, [], true);
    let same: Vec<Intent> = old.iter().cloned().map(Intent::Exactly).collect();
    let moved: Vec<Intent> = (0..SETS).map(|n| Intent::Exactly(set(n, "192.0.2.2"))).collect();
    // Without optimisation only the memory counts.
    let limit = if cfg!(debug_assertions) { Duration::MAX } else { Duration::from_millis(100) };
    let cases = [
        ("nothing changes", measured(&same, &current, &ours, true), 0),
        ("all are created", measured(&same, &empty, &Ownership::none(), false), SETS),
        ("all are replaced", measured(&moved, &current, &ours, false), SETS),
        ("all are deleted", measured(&[], &current, &ours, true), SETS),
        ("eight are replaced", measured(&moved[..8], &current, &ours, false), 8),
    ];
    for (what, (took, more, changes), wanted) in cases {
        println!("{what}: {took:?}, {:.1} MB", more as f64 / 1e6);
        assert_eq!(changes, wanted, "{what}");
        assert!(took < limit && more < 50_000_000, "{what}: {took:?} and {more} bytes");
    }
}
