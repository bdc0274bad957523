//! Changing the SSH port: the settings are restored when the run is undone, and by the server itself if no one
//! completes it; with `ssh.service` and with `ssh.socket`.

use std::sync::Arc;
use std::time::Duration;

use cloudron_e2e::{Server, available, until};
use cloudron_provision::facts::{Facts, Requirements};
use cloudron_provision::generic::Generic;
use cloudron_provision::ssh::port::{self, Move};
use cloudron_provision::ssh::{Auth, HostKeyPolicy, SshTarget};
use cloudron_provision::steps::ready::MoveSsh;
use cloudron_provision::{CloudProvider, Command, Context, Runner, Spec, Step, codes};
use cloudron_testkit::proxy::Proxy;

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

    // A run that fails after the move restores the port.
    let context = Context::new("example.com", provider.clone());
    let failing = steps(&provider, vec![Arc::new(MoveSsh::new(Move::to(202))), Arc::new(Fails)]);
    let error = runner.run(spec(), &failing, &context).await.unwrap_err();
    assert!(error.is(&codes::UNHEALTHY), "{error:?}");
    let remote = context.remote().await.unwrap();
    assert_eq!(port::look(&*remote).await.unwrap().ports, [22]);

    // The server itself reverts a move that is not completed.
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

    // A completed run keeps the new port.
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
    // A new process connects to it there.
    let again = self::provider(&server).connect(&outputs).await.unwrap();
    assert!(again.describe().ends_with("(port 202)"));
    // Repeating the move has no effect.
    port::shift(&*again, &Move::to(202), &context).await.unwrap();
    port::take_back(&*again).await.unwrap();
}

/// Returns the server's SSH state: enabled and active units, the files with settings, ports that answer.
fn state(server: &Server) -> String {
    // A connection starts the service of a socket, so whether it runs only tells when the last client
    // connected.
    let look = "systemctl is-enabled ssh.socket ssh.service; systemctl is-active ssh.socket; \
                find /etc/systemd/system/ssh* /etc/ssh/sshd_config.d | sort; cat /etc/ssh/sshd_config | sha256sum; \
                systemctl list-units --all --no-legend 'cloudron-ssh*'";
    let said = server.exec(look).stdout;
    format!("{said}22: {}, 202: {}", server.greets(22), server.greets(202))
}

/// Makes the socket listen, like `systemctl enable --now ssh.socket` on a server that was rebooted afterwards.
fn use_socket(server: &Server, required: bool) {
    server.exec_ok(
        "systemctl disable -q ssh.service; systemctl stop ssh.service; systemctl enable -q ssh.socket",
    );
    if required {
        // As on Ubuntu.
        server.exec_ok(
            "mkdir /etc/systemd/system/ssh.service.requires && \
             ln -s /lib/systemd/system/ssh.socket /etc/systemd/system/ssh.service.requires/ && \
             systemctl daemon-reload",
        );
    }
    server.exec_ok("systemctl start ssh.socket");
    assert!(server.greets(22));
}

/// Moves SSH on a server whose socket listens, fails, and moves it back.
async fn moves_under_a_socket(name: &str, required: bool) {
    let server = Server::boot(name);
    use_socket(&server, required);
    let before = state(&server);

    // Another program uses the port: nothing of the try is left, and SSH answers on its old port.
    server.exec_ok("systemd-run -q --unit=other systemd-socket-activate -l 202 --accept /bin/cat");
    until("the other program listens", Duration::from_secs(10), || server.listens(202).then_some(()));
    let taken = self::provider(&server);
    taken.preflight("example.com").await.unwrap();
    let context = Context::new("example.com", taken.clone());
    let remote = context.remote().await.unwrap();
    let error = port::shift(&*remote, &Move::to(202), &context).await.unwrap_err();
    assert!(error.is(&codes::SSH_PORT), "{error:?}");
    assert!(error.message().ends_with("the settings were restored"), "{error}");
    server.exec_ok("systemctl stop other");
    assert_eq!(state(&server), before);

    let provider = self::provider(&server);
    provider.preflight("example.com").await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let context = Context::new("example.com", provider.clone());
    let good = steps(&provider, vec![Arc::new(MoveSsh::new(Move::to(202)))]);
    let outputs = Runner::new(folder.path()).run(spec(), &good, &context).await.unwrap();
    assert_eq!(outputs["ssh-port"]["unit"], "ssh.socket");
    assert!(server.greets(202) && !server.greets(22), "{}", state(&server));
    let remote = context.remote().await.unwrap();
    assert_eq!(port::look(&*remote).await.unwrap().ports, [202]);

    server.reboot();
    until("SSH answers on its port", Duration::from_secs(30), || server.greets(202).then_some(()));
    assert!(!server.greets(22));

    let again = self::provider(&server).connect(&outputs).await.unwrap();
    port::take_back(&*again).await.unwrap();
    assert_eq!(state(&server), before);
}

#[tokio::test(flavor = "multi_thread")]
async fn ssh_moves_under_the_socket_of_debian_and_a_failed_move_leaves_it_as_it_was() {
    if available() {
        moves_under_a_socket("ssh-socket-debian", false).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn ssh_moves_under_the_socket_of_ubuntu_and_a_failed_move_leaves_it_as_it_was() {
    if available() {
        moves_under_a_socket("ssh-socket-ubuntu", true).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_port_that_a_firewall_blocks_is_named_with_the_option_that_needs_it_not() {
    if !available() {
        return;
    }
    let server = Server::boot("ssh-blocked");
    let before = state(&server);
    // Only port 22 of this address leads to the server.
    let address = "127.77.0.5";
    let _open = Proxy::start_at(format!("{address}:22").parse().unwrap(), server.address(22)).unwrap();
    let mut target = SshTarget::new(address);
    target.known_hosts.clear();
    let policy = HostKeyPolicy::fingerprint(&server.host_key_fingerprint()).unwrap();
    let auth = Auth::key(server.key_path().display().to_string()).without_agent();
    let provider = Arc::new(Generic::new(target, auth, policy).may_move_to(202));
    provider.preflight("example.com").await.unwrap();
    let context = Context::new("example.com", provider.clone());
    let remote = context.remote().await.unwrap();
    let error = port::shift(&*remote, &Move::to(202), &context).await.unwrap_err();
    assert!(error.is(&codes::SSH_PORT), "{error:?}");
    assert_eq!(error.detail("blocked"), Some("202"), "{error:?}");
    assert_eq!(state(&server), before);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_whose_ssh_no_known_unit_starts_is_left_alone_with_the_advice_to_keep_the_port() {
    if !available() {
        return;
    }
    let server = Server::boot("ssh-foreign");
    server.exec_ok("mkdir -p /run/sshd; systemctl disable -q ssh; systemctl stop ssh; mkdir -p /run/sshd");
    server.exec_ok("systemd-run -q --unit=foreign /usr/sbin/sshd -D");
    until("the other sshd greets", Duration::from_secs(10), || server.greets(22).then_some(()));
    let before = state(&server);
    let provider = provider(&server);
    provider.preflight("example.com").await.unwrap();
    let context = Context::new("example.com", provider.clone());
    let remote = context.remote().await.unwrap();
    let error = port::shift(&*remote, &Move::to(202), &context).await.unwrap_err();
    assert!(error.is(&codes::SSH_PORT), "{error:?}");
    assert_eq!(error.detail("blocked"), None, "{error:?}");
    assert_eq!(state(&server), before);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_move_leaves_no_complaint_in_the_journal_of_the_server() {
    if !available() {
        return;
    }
    let server = Server::boot("ssh-journal");
    let provider = provider(&server);
    provider.preflight("example.com").await.unwrap();
    let context = Context::new("example.com", provider.clone());
    let remote = context.remote().await.unwrap();
    port::shift(&*remote, &Move::to(202), &context).await.unwrap();
    let journal = server.exec_ok("journalctl --no-pager -b");
    let complaints: Vec<&str> = journal.lines().filter(|l| l.contains("cloudron-ssh-revert")).collect();
    assert!(complaints.iter().all(|l| !l.contains("Missing") && !l.contains("ignoring")), "{complaints:#?}");
    assert!(journal.contains("Restore the SSH port"), "{journal}");
}
