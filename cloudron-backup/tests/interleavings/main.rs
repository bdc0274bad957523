//! Concurrent backups and prunes of one repository, with their calls to the store in an order chosen by a seed.
//!
//! After each round every listed backup must restore completely. `CLOUDRON_TEST_ROUNDS` sets the number of
//! rounds; `CLOUDRON_TEST_SEED` runs a single one, with the number that a failure names.

#![allow(unreachable_pub, reason = "the modules are this test's own")]

#[path = "../common/mod.rs"]
mod common;
mod round;
mod store;

use round::{Kind, Stats, round};

fn rounds(kind: Kind, default: u64) -> Stats {
    let number = |name: &str| std::env::var(name).ok().and_then(|n| n.parse::<u64>().ok());
    let mut stats = Stats::default();
    match number("CLOUDRON_TEST_SEED") {
        Some(seed) => round(kind, seed, &mut stats),
        None => {
            (0..number("CLOUDRON_TEST_ROUNDS").unwrap_or(default)).for_each(|s| round(kind, s, &mut stats))
        }
    }
    #[expect(clippy::print_stdout, reason = "what the rounds came to is for whoever runs more of them")]
    {
        println!("{kind:?}: {stats:?}");
    }
    stats
}

/// Checks whether there were enough rounds to expect that every event happened.
fn enough(stats: &Stats) -> bool {
    stats.rounds >= 40
}

#[test]
fn two_backups_and_a_prune_lose_nothing_in_any_order() {
    let stats = rounds(Kind::Plain, 60);
    assert!(!enough(&stats) || (stats.swept > 0 && stats.prevented > 0), "{stats:?}");
}

#[test]
fn a_backup_that_slept_through_a_prune_fails_or_is_whole() {
    let stats = rounds(Kind::Sleep, 70);
    assert!(!enough(&stats) || (stats.fenced > 0 && stats.aborted > 0 && stats.swept > 0), "{stats:?}");
}

#[test]
fn two_prunes_at_once_even_if_one_slept_lose_nothing() {
    let stats = rounds(Kind::TwoPrunes, 70);
    assert!(!enough(&stats) || (stats.busy > 0 && stats.swept > 0), "{stats:?}");
}

#[test]
fn prunes_and_backups_that_are_killed_anywhere_and_made_again_lose_nothing() {
    let stats = rounds(Kind::Killed, 60);
    assert!(!enough(&stats) || (stats.killed > 0 && stats.swept > 0), "{stats:?}");
}

#[test]
fn a_store_that_lists_late_loses_nothing_if_the_grace_is_longer_than_that() {
    let stats = rounds(Kind::Late, 60);
    assert!(!enough(&stats) || stats.swept > 0, "{stats:?}");
}
