//! The checks for providers: `local` passes them, and a provider that leaves things does not.

use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use cloudron_core::Result;
use cloudron_provision::conformance::{Ground, check};
use cloudron_provision::local::Local;
use cloudron_provision::steps::{Check, Outputs, Undo};
use cloudron_provision::{CloudProvider, Context, Remote, Step};
use serde_json::Value;

struct Here {
    root: PathBuf,
    /// True if nothing is ever undone.
    leaky: bool,
}

#[async_trait]
impl Ground for Here {
    fn provider(&self) -> Arc<dyn CloudProvider> {
        let local = Local::new(&self.root);
        if self.leaky { Arc::new(Leaky(local)) } else { Arc::new(local) }
    }

    async fn existing(&self) -> Vec<String> {
        if self.root.exists() { vec!["the folder".into()] } else { Vec::new() }
    }
}

/// Makes machines and leaves them.
struct Leaky(Local);

#[async_trait]
impl CloudProvider for Leaky {
    fn name(&self) -> &'static str {
        "leaky"
    }

    async fn preflight(&self, fqdn: &str) -> Result<()> {
        self.0.preflight(fqdn).await
    }

    fn steps(&self, fqdn: &str) -> Vec<Arc<dyn Step>> {
        self.0.steps(fqdn).into_iter().map(|step| Arc::new(Left(step)) as Arc<dyn Step>).collect()
    }

    async fn connect(&self, outputs: &Outputs) -> Result<Arc<dyn Remote>> {
        self.0.connect(outputs).await
    }
}

struct Left(Arc<dyn Step>);

#[async_trait]
impl Step for Left {
    fn id(&self) -> &'static str {
        self.0.id()
    }

    fn plan(&self) -> String {
        self.0.plan()
    }

    async fn check(&self, context: &Context) -> Result<Check> {
        self.0.check(context).await
    }

    async fn apply(&self, context: &Context) -> Result<Value> {
        self.0.apply(context).await
    }

    async fn undo(&self, _: &Context, _: Option<&Value>) -> Result<Undo> {
        Ok(Undo::Undone)
    }
}

#[tokio::test]
async fn local_keeps_the_contract_of_a_provider() {
    let folder = tempfile::tempdir().unwrap();
    let here = Here { root: folder.path().join("machine"), leaky: false };
    assert_eq!(check(&here, &folder.path().join("runs")).await.failed, [""; 0]);
}

#[tokio::test]
async fn a_provider_that_leaves_its_machines_is_found_out() {
    let folder = tempfile::tempdir().unwrap();
    let here = Here { root: folder.path().join("machine"), leaky: true };
    let failed = check(&here, &folder.path().join("runs")).await.failed;
    assert!(failed.iter().any(|reason| reason.contains("became")), "{failed:?}");
}
