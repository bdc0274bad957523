//! The client of EC2: on the wire, against Amazon's description of its interface, and against a server.

mod bench;
mod gate;
mod life;
mod limits;
mod model;
mod retries;
mod samples;
mod secrets;
