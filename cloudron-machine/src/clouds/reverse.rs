//! The step `reverse-names`: the names of the machine's addresses (PTR records).

use std::sync::Arc;

use async_trait::async_trait;
use cloudron_core::{Domain, ErrorKind, Result};
use cloudron_provision::cloud::CloudHost;
use cloudron_provision::steps::{Check, Context, Step, Undo};
use serde_json::{Value, json};

/// Names the machine's addresses. A refusal does not fail the run, since only mail depends on these names.
pub(crate) struct ReverseNames {
    pub host: Arc<dyn CloudHost>,
    pub domain: Domain,
}

#[async_trait]
impl Step for ReverseNames {
    fn id(&self) -> &'static str {
        "reverse-names"
    }

    fn plan(&self) -> String {
        format!("Name the machine's addresses {}", self.domain.admin_fqdn())
    }

    async fn check(&self, context: &Context) -> Result<Check> {
        Ok(context.previous(self.id()).map_or(Check::Absent, Check::Done))
    }

    async fn apply(&self, context: &Context) -> Result<Value> {
        let name = self.domain.admin_fqdn();
        match self.host.set_reverse_names(&context.outputs(), Some(&name)).await {
            Ok(()) => Ok(json!({ "name": name })),
            Err(error) if error.kind() == ErrorKind::Interrupted => Err(error),
            Err(error) => {
                context.progress.warn(format!("the machine's addresses have no name yet: {error}"));
                Ok(json!({ "name": null }))
            }
        }
    }

    async fn undo(&self, _: &Context, _: Option<&Value>) -> Result<Undo> {
        // The addresses go with the machine.
        Ok(Undo::Undone)
    }

    fn reached(&self, output: &Value) -> bool {
        output["name"].is_string()
    }
}
