//! DigitalOcean, against a double of its interface and a machine that obeys the user-data.
#![allow(clippy::print_stdout, reason = "the numbers are shown")]

mod bench;
#[path = "../common/cloud/mod.rs"]
mod common;
mod conformance;
mod faults;
mod foreign;
mod kill;
mod life;
