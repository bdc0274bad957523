//! The provider `local`: the server is a process on this machine, with everything under one folder.

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

/// Makes machines that are a folder on this one.
#[derive(Debug, Clone)]
pub struct Local {
    root: PathBuf,
}

impl Local {
    /// A machine whose files are all under `root`, which is made when needed.
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    /// The server that is in the folder already, if there is one.
    pub fn installed(&self) -> Option<Installed> {
        folder::installed(&self.root)
    }

    /// The folder.
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
