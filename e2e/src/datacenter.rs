//! The servers behind a double of a cloud.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use cloudron_testkit::clouds::{Boot, Hypervisor};

use crate::server::{self, Server};

/// Boots a Debian server with real cloud-init for each machine that a double makes. Clones are the same.
#[derive(Debug, Clone, Default)]
pub struct Datacenter {
    servers: Arc<Mutex<BTreeMap<String, Arc<Server>>>>,
    user: Option<&'static str>,
}

impl Datacenter {
    /// Returns a data centre without servers.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Returns the data centre with images where nobody logs in as root, but this user, as at Amazon.
    #[must_use]
    pub fn with_user(mut self, user: &'static str) -> Self {
        self.user = Some(user);
        self
    }

    /// Returns the address at which servers reach this machine, before the first one runs.
    ///
    /// # Panics
    ///
    /// If the image cannot be built or Docker fails.
    #[must_use]
    pub fn gateway() -> String {
        server::gateway()
    }

    /// Returns the servers that run.
    #[must_use]
    pub fn servers(&self) -> Vec<Arc<Server>> {
        self.lock().values().cloned().collect()
    }

    /// Returns the only server that runs, after its boot.
    ///
    /// # Panics
    ///
    /// If there is none, or several.
    #[must_use]
    #[track_caller]
    pub fn server(&self) -> Arc<Server> {
        let mut servers = self.servers();
        assert_eq!(servers.len(), 1, "one server runs");
        let server = servers.remove(0);
        server.booted();
        server
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Arc<Server>>> {
        self.servers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Hypervisor for Datacenter {
    fn boot(&self, boot: &Boot) -> Ipv4Addr {
        let name: String =
            boot.name.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).collect();
        let server = Server::boot_at_cloud(&name, &boot.user_data, &boot.ssh_keys, self.user);
        let address = server.ip().parse().expect("Docker gives an address");
        self.lock().insert(boot.id.clone(), Arc::new(server));
        address
    }

    fn destroy(&self, id: &str) {
        self.lock().remove(id);
    }
}
