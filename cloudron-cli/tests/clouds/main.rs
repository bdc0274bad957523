//! Machines at a cloud by the program: the cloud is a double, the machine an SSH server on loopback on which this program
//! runs as the server.

#[path = "../common/mod.rs"]
mod common;
#[path = "../cloud_machines/machine.rs"]
#[allow(dead_code, reason = "the tests of the library use more of it")]
mod machine;

mod bad_input;
mod bench;
mod offers;
mod story;
