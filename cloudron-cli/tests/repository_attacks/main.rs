//! Attacks on a repository, each against the built program: somebody who can write to the store, with no key or with
//! the keys of one machine, adds objects that the format knows and that its owner never wrote.

#![allow(unreachable_pub, reason = "the modules are this test's own")]

#[path = "../common/mod.rs"]
mod common;
mod costly;
mod deletion;
mod listing;
mod repo;
mod rubbish;
