//! Whatever happens while a backup or a restore runs: what is listed restores, and what was made is kept.
//!
//! The sweeps do a few rounds by default; `CLOUDRON_TEST_ROUNDS` says how many, `CLOUDRON_TEST_SEED` which.

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
