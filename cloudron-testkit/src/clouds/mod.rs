//! Doubles of the interfaces of clouds: HTTP servers on loopback that keep what was made, and misbehave on request.

mod door;
pub mod hetzner;

pub use door::{Answer, Call};

pub use crate::fault::Fault;
