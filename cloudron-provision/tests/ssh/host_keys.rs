//! Host keys and policies.

use std::sync::{Arc, Mutex};

use cloudron_provision::codes;
use cloudron_provision::ssh::{Auth, HostKeyPolicy, connect};
use cloudron_testkit::require;
use cloudron_testkit::sshd::Sshd;

use crate::common::{self, LIMIT, pin, target};

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_host_key_is_refused_before_any_login() {
    let Some(mut server) = Sshd::start() else { return };
    let known = pin(&server);
    let wrong = "SHA256:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
    server.change_host_key();
    let auth = Auth::key(server.key_path().to_str().unwrap());
    for (policy, code) in [
        (HostKeyPolicy::Pinned(vec![known]), "host-key-changed"),
        (HostKeyPolicy::fingerprint(wrong).unwrap(), "host-key-mismatch"),
        (HostKeyPolicy::KnownHostsThenAsk(None), "host-key-unknown"),
        (HostKeyPolicy::KnownHostsThenAsk(Some(Arc::new(|_| false))), "host-key-refused"),
    ] {
        let refused = connect(target(&server), &auth, policy, LIMIT).await;
        let error = refused.err().expect("it must be refused");
        assert_eq!((error.code().name, error.kind().exit_code()), (code, 4), "{error:?}");
    }
    let log = server.log();
    assert!(!log.contains("Accepted") && !log.contains("Failed"), "somebody logged in:\n{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_key_is_trusted_by_fingerprint_by_known_hosts_or_by_the_user() {
    let Some(server) = Sshd::start() else { return };
    let auth = Auth::key(server.key_path().to_str().unwrap());
    let by_fingerprint = HostKeyPolicy::fingerprint(&server.host_key_fingerprint()).unwrap();
    let remote = connect(target(&server), &auth, by_fingerprint, LIMIT).await.unwrap();
    assert_eq!(remote.host_key().fingerprint(), server.host_key_fingerprint());

    let asked = Arc::new(Mutex::new(Vec::new()));
    let sink = asked.clone();
    let ask: cloudron_provision::ssh::AskHostKey = Arc::new(move |question| {
        sink.lock().unwrap().push(question.key.fingerprint());
        true
    });
    let policy = HostKeyPolicy::KnownHostsThenAsk(Some(ask));
    connect(target(&server), &auth, policy.clone(), LIMIT).await.unwrap();
    assert_eq!(*asked.lock().unwrap(), [server.host_key_fingerprint()]);

    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), format!("[127.0.0.1]:{} {}\n", server.port(), server.host_public_key()))
        .unwrap();
    let mut known = target(&server);
    known.known_hosts = vec![file.path().into()];
    connect(known.clone(), &auth, policy.clone(), LIMIT).await.unwrap();
    assert_eq!(asked.lock().unwrap().len(), 1, "a known host was asked about");

    let other = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl";
    std::fs::write(file.path(), format!("[127.0.0.1]:{} {other}\n", server.port())).unwrap();
    let error = connect(known.clone(), &auth, policy.clone(), LIMIT).await.err().unwrap();
    assert!(error.is(&codes::HOST_KEY_CHANGED), "{error:?}");
    std::fs::write(file.path(), format!("@revoked * {}\n", server.host_public_key())).unwrap();
    let error = connect(known, &auth, policy, LIMIT).await.err().unwrap();
    assert!(error.is(&codes::HOST_KEY_REVOKED), "{error:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_fingerprint_may_be_of_any_of_the_servers_keys() {
    let Some(_) = require::tool("ssh-keygen") else { return };
    let folder = tempfile::tempdir().unwrap();
    let rsa = common::keygen(folder.path(), "host_rsa", &["-t", "rsa", "-b", "2048"], "");
    let Some(server) = Sshd::builder().config(&format!("HostKey {}", rsa.display())).start() else { return };
    let public = std::fs::read_to_string(rsa.with_extension("pub")).unwrap();
    let policy = HostKeyPolicy::fingerprint(&cloudron_testkit::sshd::fingerprint(&public)).unwrap();
    let auth = Auth::key(server.key_path().to_str().unwrap());
    let remote = connect(target(&server), &auth, policy, LIMIT).await.unwrap();
    assert_eq!(remote.host_key().algorithm(), "ssh-rsa");
    // And connecting anew trusts that same key, although the server has others.
    remote.connect_on(server.port()).await.unwrap();
}
