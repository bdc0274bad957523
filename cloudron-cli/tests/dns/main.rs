//! `cloudron dns` as a user types it, against servers of the tests' own.
#![allow(unreachable_pub, reason = "the parts of one test program")]

#[path = "../common/mod.rs"]
mod common;
#[path = "../../../cloudron-dns/tests/digitalocean/model.rs"]
#[allow(dead_code, unreachable_pub, missing_docs, reason = "the model of the DNS library's own tests")]
mod model;
#[path = "../../../cloudron-dns/tests/support/mod.rs"]
mod name_server;

mod bad_input;
mod digitalocean;
mod host;
mod propagation;
mod route53;
