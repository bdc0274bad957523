//! Machines at a cloud by the library: the cloud is a double, the machine an SSH server on loopback on which this
//! program runs as the server.
#![allow(clippy::print_stderr, reason = "the numbers are shown")]

mod bench;
mod clouds;
mod create;
mod destroy;
mod elsewhere;
mod machine;
#[path = "../../../cloudron-provision/tests/common/cloud/process.rs"]
#[allow(dead_code, unreachable_pub, reason = "the tests of the clouds use more of it")]
mod process;
mod script;
