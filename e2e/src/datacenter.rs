//! The servers behind a double of a cloud.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use cloudron_testkit::clouds::{Boot, Hypervisor};

use crate::server::Server;

/// Boots a Debian server with real cloud-init for each machine that a double makes. Clones are the same.
#[derive(Debug, Clone, Default)]
pub struct Datacenter {
    servers: Arc<Mutex<BTreeMap<String, Arc<Server>>>>,
}

impl Datacenter {
    /// Returns a data centre without servers.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
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

    /// Switches the servers off with all their data, and the cloud does not know it.
    pub fn burn(&self) {
        for server in self.servers() {
            server.burn();
        }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Arc<Server>>> {
        self.servers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Hypervisor for Datacenter {
    fn boot(&self, boot: &Boot) -> Ipv4Addr {
        let name: String =
            boot.name.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).collect();
        let server = Server::boot_at_cloud(&name, &boot.user_data);
        let address = server.ip().parse().expect("Docker gives an address");
        self.lock().insert(boot.id.clone(), Arc::new(server));
        address
    }

    fn destroy(&self, id: &str) {
        self.lock().remove(id);
    }
}
