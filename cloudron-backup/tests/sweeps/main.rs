//! Whatever fails during a backup or a restore: every listed backup restores, and no existing one is lost.
//!
//! The sweeps run a few rounds by default; `CLOUDRON_TEST_ROUNDS` sets their number, `CLOUDRON_TEST_SEED` the seed.

#![allow(unreachable_pub, reason = "modules of one test program")]

#[path = "../common/mod.rs"]
mod common;

mod child;
mod damage;
mod faults;
mod inject;
mod kill;
mod odd;
mod world;
