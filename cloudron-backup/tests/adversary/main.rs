//! An adversary with write access to the store, alongside honest backups, prunes, repairs, copies and restores.
//!
//! Before, between and during all of them the adversary does random things with well-formed and malformed objects
//! of every kind. After each round every honest backup must restore byte for byte; nobody who can only add keeps
//! an honest run from succeeding, in bounded time and memory. `CLOUDRON_TEST_ROUNDS` is the number of rounds,
//! `CLOUDRON_TEST_SEED` the number of the first: alone, it runs the single round that a failure names.

#![allow(unreachable_pub, reason = "the modules are this test's own")]

mod acts;
mod adversary;
#[path = "../common/mod.rs"]
mod common;
mod honest;
mod memory;
mod round;
mod store;

use std::sync::{Mutex, PoisonError};

use adversary::Rights;
use round::{Stats, round};

/// Memory is measured for the whole process: one test at a time.
static ALONE: Mutex<()> = Mutex::new(());

fn rounds(rights: Rights, default: u64) {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let number = |name: &str| std::env::var(name).ok().and_then(|n| n.parse::<u64>().ok());
    let mut stats = Stats::default();
    let first = number("CLOUDRON_TEST_SEED");
    let many = number("CLOUDRON_TEST_ROUNDS").unwrap_or(if first.is_some() { 1 } else { default });
    let first = first.unwrap_or_default();
    (first..first + many).for_each(|seed| round(rights, seed, &mut stats));
    #[expect(clippy::print_stdout, reason = "what the rounds came to is for those who run more of them")]
    {
        println!("{rights:?}: {stats:?}");
    }
    let enough = stats.rounds >= 20;
    assert!(!enough || (stats.backups > 40 && stats.acts > 500 && stats.during > 100), "{stats:?}");
    assert!(!enough || (stats.prunes > 10 && stats.restored > 60), "{stats:?}");
}

#[test]
fn who_can_only_add_objects_harms_nothing_and_stops_nothing() {
    rounds(Rights::Add, 8);
}

#[test]
fn who_can_only_add_objects_and_stole_a_writers_keys_harms_nothing_that_is_stored() {
    rounds(Rights::AddWithKeys, 8);
}

#[test]
fn who_can_overwrite_objects_harms_nothing_unsaid() {
    rounds(Rights::Overwrite, 8);
}
