//! Machines at a cloud by the program: the cloud is a double, the machine an SSH server on loopback on which this program
//! runs as the server.

#[path = "../../../cloudron-dns/tests/support/clock.rs"]
#[allow(unreachable_pub, missing_docs, reason = "of the DNS library's own tests")]
mod clock;
#[path = "../common/mod.rs"]
mod common;
#[path = "../../../cloudron-dns/tests/hetzner/model.rs"]
#[allow(dead_code, unreachable_pub, missing_docs, reason = "the model of the DNS library's own tests")]
mod hetzner;
#[path = "../cloud_machines/machine.rs"]
#[allow(dead_code, reason = "the tests of the library use more of it")]
mod machine;
#[path = "../../../cloudron-dns/tests/support/mod.rs"]
mod name_server;
#[path = "../../../cloudron-dns/tests/support/rest.rs"]
#[allow(dead_code, unreachable_pub, missing_docs, reason = "of the DNS library's own tests")]
mod rest;
#[path = "../../../cloudron-dns/tests/support/task.rs"]
#[allow(dead_code, unreachable_pub, missing_docs, reason = "of the DNS library's own tests")]
mod task;

mod bad_input;
mod bench;
mod buckets;
mod offers;
mod own_dns;
mod site;
mod story;
