//! Connections that break, become silent or cannot be made.

use std::sync::Arc;
use std::time::{Duration, Instant};

use cloudron_provision::ssh::{Auth, HostKeyPolicy, SshTarget, connect};
use cloudron_provision::{Command, Remote, codes};
use cloudron_testkit::proxy::Proxy;
use cloudron_testkit::require;
use cloudron_testkit::sshd::Sshd;

use crate::common::{self, LIMIT, login_with, pin, target};

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_connection_is_a_retryable_error_and_the_next_command_connects_anew() {
    let Some(server) = Sshd::start() else { return };
    let proxy = Proxy::start(server.address()).unwrap();
    let remote = Arc::new(login_with(&server, target(&server).on_port(proxy.port())).await);
    let running = tokio::spawn({
        let remote = remote.clone();
        async move { remote.exec(Command::new(["sleep", "30"])).await }
    });
    tokio::time::sleep(Duration::from_millis(300)).await;
    proxy.cut_all();
    let error = running.await.unwrap().unwrap_err();
    assert!(error.is(&codes::SSH_LOST) && error.is_retryable(), "{error:?}");
    assert!(remote.exec(Command::new(["true"])).await.unwrap().success());
    // Also when it broke while nothing was under way.
    proxy.cut_all();
    assert!(remote.exec(Command::new(["true"])).await.unwrap().success());
    assert_eq!(proxy.accepted(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_long_silent_command_is_not_taken_for_a_dead_server() {
    let Some(server) = Sshd::start() else { return };
    let auth = Auth::key(server.key_path().to_str().unwrap()).without_agent();
    let policy = HostKeyPolicy::Pinned(vec![pin(&server)]);
    let remote = connect(target(&server), &auth, policy, Duration::from_secs(2)).await.unwrap();
    assert!(remote.exec(Command::new(["sleep", "10"])).await.unwrap().success());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_reached_is_said_within_the_limit() {
    let key = tempfile::tempdir().unwrap();
    let Some(_) = require::tool("ssh-keygen") else { return };
    let auth = Auth::key(common::keygen(key.path(), "k", &["-t", "ed25519"], "").to_str().unwrap());
    let policy = || HostKeyPolicy::KnownHostsThenAsk(None);
    let port = cloudron_provision::local::free_port(None).unwrap();
    let error =
        connect(SshTarget::new("127.0.0.1").on_port(port), &auth, policy(), LIMIT).await.err().unwrap();
    assert_eq!((error.code().name, error.kind().exit_code()), ("ssh-refused", 7));

    // A server that takes the connection and says nothing.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let begun = Instant::now();
    let silent_target = SshTarget::new("127.0.0.1").on_port(silent.local_addr().unwrap().port());
    let error = connect(silent_target, &auth, policy(), Duration::from_secs(2)).await.err().unwrap();
    assert_eq!((error.code().name, error.kind().exit_code()), ("ssh-timeout", 8), "{error:?}");
    assert!(error.message().contains("2 s"), "{error}");
    assert!(begun.elapsed() < Duration::from_secs(4));

    // A server that is no SSH server.
    let web = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let web_port = web.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for mut stream in web.incoming().flatten() {
            let _ = std::io::Write::write_all(&mut stream, b"HTTP/1.1 400 Bad Request\r\n\r\n");
        }
    });
    let error =
        connect(SshTarget::new("127.0.0.1").on_port(web_port), &auth, policy(), Duration::from_secs(3))
            .await
            .err()
            .unwrap();
    assert!(matches!(error.code().name, "ssh-protocol" | "ssh-unreachable" | "ssh-timeout"), "{error:?}");
}
