//! Attacks on a repository, each against the built program: an attacker who can write to the store, without a
//! key or with the keys of one machine, adds objects in valid formats that the owner never wrote.

#![allow(unreachable_pub, reason = "the modules are this test's own")]

#[path = "../common/mod.rs"]
mod common;
mod costly;
mod deletion;
mod listing;
mod repo;
mod rubbish;
