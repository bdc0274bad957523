//! The SSH layer against a real OpenSSH server on loopback.
#![cfg(feature = "ssh")]

mod commands;
#[path = "../common/mod.rs"]
mod common;
mod connection;
mod host_keys;
mod logins;
mod uploads;
