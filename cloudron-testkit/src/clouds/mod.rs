//! Doubles of the interfaces of clouds: HTTP servers on loopback that keep what was made, and misbehave on request.

pub mod digitalocean;
mod door;
pub mod hetzner;

pub use door::{Answer, Call};

pub use crate::fault::Fault;

/// A machine that was just made, as a double hands it to the function of the test that boots it.
#[derive(Debug, Clone)]
pub struct Boot {
    /// The machine's ID at the cloud.
    pub id: String,
    /// Its name.
    pub name: String,
    /// The user-data, as it was given.
    pub user_data: String,
    /// The public keys that were given.
    pub ssh_keys: Vec<String>,
}
