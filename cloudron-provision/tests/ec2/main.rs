//! EC2: the client on the wire, against Amazon's description of its interface and against a server, and machines.
#![allow(clippy::print_stdout, reason = "the numbers are shown")]

mod bench;
#[path = "../common/cloud/mod.rs"]
mod common;
mod gate;
mod life;
mod limits;
mod machines;
mod model;
mod retries;
mod samples;
mod secrets;
