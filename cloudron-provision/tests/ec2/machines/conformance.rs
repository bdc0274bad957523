//! The checks for every provider.

use std::sync::Arc;

use async_trait::async_trait;
use cloudron_provision::conformance::{Ground, check};
use cloudron_provision::{CloudProvider, Context};

use super::bench::{Bench, SECRET, SESSION};
use crate::common::process::Hurried;

struct Here(Bench);

#[async_trait]
impl Ground for Here {
    fn provider(&self) -> Arc<dyn CloudProvider> {
        Arc::new(self.0.provider())
    }

    async fn existing(&self) -> Vec<String> {
        tokio::task::block_in_place(|| std::thread::scope(|s| s.spawn(|| self.0.resources()).join().unwrap()))
    }

    fn context(&self, provider: Arc<dyn CloudProvider>) -> Context {
        Context::new(self.fqdn(), provider).clock(Arc::new(Hurried::default()))
    }

    fn secrets(&self) -> Vec<String> {
        vec![SECRET.into(), SESSION.into(), "PRIVATE KEY".into()]
    }
}

#[test]
fn ec2_keeps_the_contract_of_a_provider() {
    let Some(mut bench) = Bench::new() else { return };
    bench.settings.own_vpc = true;
    bench.settings.elastic_ip = true;
    let here = Here(bench);
    let home = here.0.home();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let report = runtime.block_on(check(&here, home.path()));
    assert_eq!(report.failed, [""; 0]);
    assert!(report.passed.len() > 20);
}
