//! Moving SSH to another port: it comes back when the run is undone, and by itself when nobody finishes.

use std::sync::Arc;
use std::time::Duration;

use cloudron_e2e::{Server, available};
use cloudron_provision::facts::{Facts, Requirements};
use cloudron_provision::generic::Generic;
use cloudron_provision::ssh::port::{self, Move};
use cloudron_provision::ssh::{Auth, HostKeyPolicy, SshTarget};
use cloudron_provision::steps::ready::MoveSsh;
use cloudron_provision::{CloudProvider, Command, Context, Runner, Spec, Step, codes};

fn provider(server: &Server) -> Arc<Generic> {
    let mut target = SshTarget::new(server.ip());
    target.known_hosts.clear();
    let policy = HostKeyPolicy::fingerprint(&server.host_key_fingerprint()).unwrap();
    let auth = Auth::key(server.key_path().display().to_string()).without_agent();
    Arc::new(Generic::new(target, auth, policy).may_move_to(202))
}

fn steps(provider: &Generic, last: Vec<Arc<dyn Step>>) -> Vec<Arc<dyn Step>> {
    provider.steps("example.com").into_iter().chain(last).collect()
}

fn spec() -> Spec {
    Spec {
        op: "create".into(),
        fqdn: "example.com".into(),
        provider: "generic".into(),
        inputs: Default::default(),
    }
}

struct Fails;

#[async_trait::async_trait]
impl Step for Fails {
    fn id(&self) -> &'static str {
        "fails"
    }

    fn plan(&self) -> String {
        "Fail".into()
    }

    async fn check(&self, _: &Context) -> cloudron_core::Result<cloudron_provision::steps::Check> {
        Ok(cloudron_provision::steps::Check::Absent)
    }

    async fn apply(&self, _: &Context) -> cloudron_core::Result<serde_json::Value> {
        Err(cloudron_core::Error::new(&codes::UNHEALTHY, "on purpose"))
    }

    async fn undo(
        &self,
        _: &Context,
        _: Option<&serde_json::Value>,
    ) -> cloudron_core::Result<cloudron_provision::steps::Undo> {
        Ok(cloudron_provision::steps::Undo::Undone)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn ssh_moves_comes_back_when_undone_and_by_itself_when_nobody_finishes() {
    if !available() {
        return;
    }
    let server = Server::boot("ssh-port");
    let provider = provider(&server);
    let folder = tempfile::tempdir().unwrap();
    let runner = Runner::new(folder.path());
    provider.preflight("example.com").await.unwrap();

    // A run that fails after the move puts it back.
    let context = Context::new("example.com", provider.clone());
    let failing = steps(&provider, vec![Arc::new(MoveSsh::new(Move::to(202))), Arc::new(Fails)]);
    let error = runner.run(spec(), &failing, &context).await.unwrap_err();
    assert!(error.is(&codes::UNHEALTHY), "{error:?}");
    let remote = context.remote().await.unwrap();
    assert_eq!(port::look(&*remote).await.unwrap().ports, [22]);

    // What is not finished is taken back by the server itself.
    let context = Context::new("example.com", provider.clone());
    context.cancel.cancel();
    let remote = context.remote().await.unwrap();
    let wanted = Move::to(202).revert_after(Duration::from_secs(5));
    port::shift(&*remote, &wanted, &context).await.unwrap_err();
    let mut during = port::look(&*remote).await.unwrap().ports;
    during.sort();
    assert_eq!(during, [22, 202]);
    tokio::time::sleep(Duration::from_secs(8)).await;
    assert_eq!(port::look(&*remote).await.unwrap().ports, [22]);

    // And a run that is done leaves the new port alone, with what the machine is.
    let context = Context::new("example.com", provider.clone());
    let good = steps(&provider, vec![Arc::new(MoveSsh::new(Move::to(202)))]);
    let outputs = runner.run(spec(), &good, &context).await.unwrap();
    let facts: Facts = serde_json::from_value(outputs["first-contact"]["facts"].clone()).unwrap();
    facts.check(&Requirements::default(), "example.com", "").unwrap();
    let remote = context.remote().await.unwrap();
    assert!(remote.describe().ends_with("(port 202)"));
    let timers = Command::sh("systemctl list-timers --all | grep -c cloudron-ssh-revert || true", [""; 0]);
    assert_eq!(remote.exec(timers).await.unwrap().text(), "0");
    assert!(provider.connect_on(22, &outputs).await.err().unwrap().is(&codes::SSH_REFUSED));
    // A new process finds it there.
    let again = self::provider(&server).connect(&outputs).await.unwrap();
    assert!(again.describe().ends_with("(port 202)"));
    // Doing it again changes nothing.
    port::shift(&*again, &Move::to(202), &context).await.unwrap();
    port::take_back(&*again).await.unwrap();
}
