//! The provider `local`: the server is a process on this machine, with all its files in one folder.

mod folder;
mod port;
mod remote;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use cloudron_core::{Error, Result};

pub use port::free_port;
pub use remote::LocalRemote;

use crate::facts::Installed;
use crate::provider::CloudProvider;
use crate::remote::Remote;
use crate::steps::{Outputs, Step};

/// Creates machines that are folders on this machine.
#[derive(Debug, Clone)]
pub struct Local {
    root: PathBuf,
}

impl Local {
    /// Creates a machine with all its files below `root`, which is created when needed.
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    /// Returns the server that is already installed in the folder, if any.
    pub fn installed(&self) -> Option<Installed> {
        folder::installed(&self.root)
    }

    /// Returns the folder.
    pub fn root(&self) -> &Path {
        &self.root
    }
}

#[async_trait]
impl CloudProvider for Local {
    fn name(&self) -> &'static str {
        "local"
    }

    async fn preflight(&self, fqdn: &str) -> Result<()> {
        folder::check(&self.root)?;
        folder::check_server(&self.root, fqdn, "")
    }

    fn steps(&self, fqdn: &str) -> Vec<Arc<dyn Step>> {
        vec![Arc::new(folder::Folder { root: self.root.clone(), fqdn: fqdn.into() })]
    }

    async fn connect(&self, _: &Outputs) -> Result<Arc<dyn Remote>> {
        Ok(Arc::new(LocalRemote::new()))
    }
}

fn io(path: &Path) -> impl FnOnce(std::io::Error) -> Error {
    move |e| Error::io(path, e)
}
