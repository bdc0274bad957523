//! Removing backups and their content.

#![allow(unreachable_pub, reason = "the modules are this test's own")]

#[path = "../common/mod.rs"]
mod common;
mod condemned;
mod full;
mod order;
mod removal;
mod repair;
mod rollback;
mod steps;
