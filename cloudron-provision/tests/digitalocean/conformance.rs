//! The checks for every provider.

use std::sync::Arc;

use async_trait::async_trait;
use cloudron_provision::conformance::{Ground, check};
use cloudron_provision::{CloudProvider, Context};

use crate::bench::{Bench, TOKEN};
use crate::common::process::Hurried;

struct Here(Bench);

#[async_trait]
impl Ground for Here {
    fn provider(&self) -> Arc<dyn CloudProvider> {
        Arc::new(self.0.provider())
    }

    async fn existing(&self) -> Vec<String> {
        self.0.cloud.resources()
    }

    fn context(&self, provider: Arc<dyn CloudProvider>) -> Context {
        Context::new(self.fqdn(), provider).clock(Arc::new(Hurried::default()))
    }

    fn secrets(&self) -> Vec<String> {
        vec![TOKEN.into(), "PRIVATE KEY".into()]
    }
}

#[test]
fn digitalocean_keeps_the_contract_of_a_provider() {
    let here = Here(Bench::new());
    let home = here.0.home();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let report = runtime.block_on(check(&here, home.path()));
    assert_eq!(report.failed, [""; 0]);
    assert!(report.passed.len() > 10);
}
