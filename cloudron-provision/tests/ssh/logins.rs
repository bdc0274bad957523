//! Keys that can log in, and the errors of those that cannot.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use cloudron_core::Secret;
use cloudron_provision::ssh::{Auth, HostKeyPolicy, connect};
use cloudron_provision::{Command, Remote};
use cloudron_testkit::require;
use cloudron_testkit::sshd::Sshd;

use crate::common::{self, LIMIT, pin, target};

#[tokio::test(flavor = "multi_thread")]
async fn keys_in_openssh_and_pem_formats_are_taken() {
    let Some(server) = Sshd::start() else { return };
    let folder = tempfile::tempdir().unwrap();
    for (name, options) in [
        ("ed25519", &["-t", "ed25519"][..]),
        ("rsa_openssh", &["-t", "rsa", "-b", "2048"]),
        ("rsa_pem", &["-t", "rsa", "-b", "2048", "-m", "PEM"]),
        ("rsa_pkcs8", &["-t", "rsa", "-b", "2048", "-m", "PKCS8"]),
        ("ecdsa", &["-t", "ecdsa"]),
        ("ecdsa_pem", &["-t", "ecdsa", "-m", "PEM"]),
    ] {
        for passphrase in ["", "canary passphrase"] {
            let name = format!("{name}{}", passphrase.len());
            let path = common::keygen(folder.path(), &name, options, passphrase);
            server.authorize(&std::fs::read_to_string(path.with_extension("pub")).unwrap());
            let auth = Auth::key(path.to_str().unwrap()).without_agent();
            let auth = auth.ask_passphrase(Arc::new(|_: &Path| Some(Secret::new("canary passphrase"))));
            let remote =
                connect(target(&server), &auth, HostKeyPolicy::Pinned(vec![pin(&server)]), LIMIT).await;
            let remote = remote.unwrap_or_else(|e| panic!("{name}: {e:?}"));
            assert!(remote.exec(Command::new(["true"])).await.unwrap().success());
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_encrypted_key_needs_its_passphrase() {
    let Some(server) = Sshd::start() else { return };
    let path = server.add_key("locked", "right");
    let auth = Auth::key(path.to_str().unwrap()).without_agent();
    let pinned = || HostKeyPolicy::Pinned(vec![pin(&server)]);
    let error = connect(target(&server), &auth, pinned(), LIMIT).await.err().unwrap();
    assert_eq!((error.code().name, error.kind().exit_code()), ("ssh-key-encrypted", 4));

    let asked = Arc::new(AtomicUsize::new(0));
    let count = asked.clone();
    let wrong = auth.clone().ask_passphrase(Arc::new(move |_: &Path| {
        count.fetch_add(1, Ordering::SeqCst);
        Some(Secret::new("wrong"))
    }));
    let error = connect(target(&server), &wrong, pinned(), LIMIT).await.err().unwrap();
    assert_eq!((error.code().name, asked.load(Ordering::SeqCst)), ("ssh-key-passphrase", 3));

    asked.store(0, Ordering::SeqCst);
    let count = asked.clone();
    let second_time = auth.ask_passphrase(Arc::new(move |_: &Path| {
        Some(Secret::new(if count.fetch_add(1, Ordering::SeqCst) == 0 { "wrong" } else { "right" }))
    }));
    let remote = connect(target(&server), &second_time, pinned(), LIMIT).await.unwrap();
    remote.connect_on(server.port()).await.unwrap();
    assert_eq!(asked.load(Ordering::SeqCst), 2, "connecting anew asked again");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_the_server_does_not_know_or_that_others_may_read_is_refused() {
    let Some(server) = Sshd::start() else { return };
    let folder = tempfile::tempdir().unwrap();
    let stranger = common::keygen(folder.path(), "stranger", &["-t", "ed25519"], "");
    let auth = Auth::key(stranger.to_str().unwrap()).without_agent();
    let pinned = || HostKeyPolicy::Pinned(vec![pin(&server)]);
    let error = connect(target(&server), &auth, pinned(), LIMIT).await.err().unwrap();
    assert_eq!((error.code().name, error.kind().exit_code()), ("ssh-auth", 4), "{error:?}");
    std::fs::set_permissions(&stranger, std::fs::Permissions::from_mode(0o644)).unwrap();
    let error = connect(target(&server), &auth, pinned(), LIMIT).await.err().unwrap();
    assert_eq!(error.code().name, "ssh-key-mode");
    assert!(error.hint().unwrap().starts_with("chmod 600 "));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_logs_in_with_the_key_that_is_encrypted_on_disk() {
    let Some(agent) = require::tool("ssh-agent") else { return };
    let Some(server) = Sshd::start() else { return };
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("agent");
    let mut child = std::process::Command::new(agent)
        .arg("-D")
        .arg("-a")
        .arg(&socket)
        .stdout(std::process::Stdio::null())
        .spawn()
        .unwrap();
    while !socket.exists() {
        std::thread::sleep(Duration::from_millis(20));
    }
    let add = std::process::Command::new("ssh-add")
        .arg(server.key_path())
        .env("SSH_AUTH_SOCK", &socket)
        .output()
        .unwrap();
    assert!(add.status.success(), "{add:?}");
    // The same key, encrypted: only the agent can use it.
    let locked = folder.path().join("locked");
    std::fs::copy(server.key_path(), &locked).unwrap();
    let encrypted = std::process::Command::new("ssh-keygen")
        .args(["-p", "-q", "-P", "", "-N", "secret", "-f"])
        .arg(&locked)
        .output()
        .unwrap();
    assert!(encrypted.status.success());
    let auth = Auth::key(locked.to_str().unwrap()).agent_at(&socket);
    let outcome = connect(target(&server), &auth, HostKeyPolicy::Pinned(vec![pin(&server)]), LIMIT).await;
    let _ = (child.kill(), child.wait());
    outcome.unwrap();
}
