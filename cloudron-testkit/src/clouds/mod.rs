//! Doubles of the interfaces of clouds: HTTP servers on loopback that keep what was made, and misbehave on request.

pub mod digitalocean;
mod door;
pub mod hetzner;

use std::net::Ipv4Addr;

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

/// Boots the machines that a double makes. A function that returns the address of a new machine is one, too.
pub trait Hypervisor: Send + Sync {
    /// Boots a machine with its user-data, and returns its address.
    fn boot(&self, boot: &Boot) -> Ipv4Addr;

    /// Destroys a machine, of which it gets the ID.
    fn destroy(&self, id: &str) {
        let _ = id;
    }
}

impl<F: Fn(&Boot) -> Ipv4Addr + Send + Sync> Hypervisor for F {
    fn boot(&self, boot: &Boot) -> Ipv4Addr {
        self(boot)
    }
}
