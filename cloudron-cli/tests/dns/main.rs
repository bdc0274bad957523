//! `cloudron dns` as typed by a user, against test servers.
#![allow(unreachable_pub, reason = "the parts of one test program")]

#[path = "../../../cloudron-dns/tests/support/clock.rs"]
#[allow(missing_docs, reason = "of the DNS library's own tests")]
mod clock;
#[path = "../../../cloudron-dns/tests/cloudflare/model.rs"]
#[allow(dead_code, missing_docs, reason = "the model of the DNS library's own tests")]
mod cloudflare;
#[path = "../common/mod.rs"]
mod common;
#[path = "../../../cloudron-dns/tests/hetzner/model.rs"]
#[allow(dead_code, missing_docs, reason = "the model of the DNS library's own tests")]
mod hetzner;
#[path = "../../../cloudron-dns/tests/digitalocean/model.rs"]
#[allow(dead_code, unreachable_pub, missing_docs, reason = "the model of the DNS library's own tests")]
mod model;
#[path = "../../../cloudron-dns/tests/support/mod.rs"]
mod name_server;
#[path = "../../../cloudron-dns/tests/support/rest.rs"]
#[allow(dead_code, missing_docs, reason = "the models of the DNS library's own tests")]
mod rest;
#[path = "../../../cloudron-dns/tests/support/task.rs"]
#[allow(dead_code, missing_docs, reason = "of the DNS library's own tests")]
mod task;

mod adopt;
mod bad_input;
mod destroy;
mod digitalocean;
mod dkim;
mod host;
mod mail;
mod others;
mod propagation;
mod proxied;
mod records;
mod rfc2136;
mod route53;
