//! The SSH layer against a real OpenSSH server on loopback.
#![cfg(feature = "ssh")]

mod common;

use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use cloudron_core::{Cancel, Event, Progress, Secret};
use cloudron_provision::ssh::{Auth, HostKeyPolicy, SshTarget, connect};
use cloudron_provision::{Command, Remote, Stdin, codes};
use cloudron_testkit::proxy::{Faults, Proxy};
use cloudron_testkit::require;
use cloudron_testkit::sshd::Sshd;
use common::{LIMIT, login, login_with, pin, target};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

#[tokio::test(flavor = "multi_thread")]
async fn a_command_gives_its_output_and_its_exit_status() {
    let Some(server) = Sshd::start() else { return };
    let remote = login(&server).await;
    let output = remote.exec(Command::sh("echo out; echo err >&2; exit 7", [""; 0])).await.unwrap();
    assert_eq!((output.status, output.text().as_str(), &*output.stderr), (7, "out", &b"err\n"[..]));
    let killed = remote.exec(Command::sh("kill -TERM $$", [""; 0])).await.unwrap();
    assert_eq!(killed.status, 143);
    let odd = ["it's", "a b", "$HOME", "", "*", "new\nline"];
    let told = remote.exec(Command::new(["printf", "<%s>"].into_iter().chain(odd))).await.unwrap();
    assert_eq!(String::from_utf8(told.stdout).unwrap(), "<it's><a b><$HOME><><*><new\nline>");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_reads_what_it_is_given_to_the_end() {
    let Some(server) = Sshd::start() else { return };
    let remote = login(&server).await;
    let secret = Secret::new("canary\n");
    let output = remote.exec(Command::new(["cat"]).stdin_secret(&secret)).await.unwrap();
    assert_eq!(output.stdout, b"canary\n");
    let file = tempfile::NamedTempFile::new().unwrap();
    let content = common::noise(3 << 20);
    std::fs::write(file.path(), &content).unwrap();
    let echoed =
        remote.exec(Command::new(["cat"]).stdin(Stdin::File(file.path().into(), 1000))).await.unwrap();
    assert!(echoed.stdout == content[1000..]);
    // A command that reads nothing of a large input ends all the same.
    let ended =
        remote.exec(Command::new(["true"]).stdin(Stdin::Reader(Box::new(std::io::repeat(1))))).await.unwrap();
    assert!(ended.success());
    // One that closed its output still reads its input.
    let quiet = Command::sh("exec >&- 2>&-; [ $(wc -c) = 2000000 ]", [""; 0]);
    let ended =
        remote.exec(quiet.stdin(Stdin::Reader(Box::new(std::io::repeat(1).take(2_000_000))))).await.unwrap();
    assert_eq!(ended.status, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn large_output_arrives_whole_and_in_order() {
    let Some(server) = Sshd::start() else { return };
    let remote = login(&server).await;
    let output = remote
        .exec(Command::sh("head -c 20000000 /dev/zero; echo end; head -c 200000 /dev/zero >&2", [""; 0]))
        .await
        .unwrap();
    assert_eq!(output.stdout.len(), 20_000_004);
    assert!(output.stdout.ends_with(b"\0end\n"));
    assert_eq!(output.stderr.len(), 65536);
    let lines = Arc::new(AtomicUsize::new(0));
    let (count, last) = (lines.clone(), Arc::new(Mutex::new(String::new())));
    let seen = last.clone();
    let command = Command::new(["seq", "200000"]).each_line(move |line| {
        count.fetch_add(1, Ordering::Relaxed);
        *seen.lock().unwrap() = line.into();
    });
    assert!(remote.exec(command).await.unwrap().stdout.is_empty());
    assert_eq!((lines.load(Ordering::Relaxed), last.lock().unwrap().as_str()), (200_000, "200000"));
}

#[tokio::test(flavor = "multi_thread")]
async fn several_commands_and_a_forward_share_one_session() {
    let Some(server) = Sshd::start() else { return };
    let proxy = Proxy::start(server.address()).unwrap();
    let remote = Arc::new(login_with(&server, target(&server).on_port(proxy.port())).await);
    let echo = common::echo_server().await;
    let slow = tokio::spawn({
        let remote = remote.clone();
        async move { remote.exec(Command::sh("sleep 1; echo slow", [""; 0])).await.unwrap().text() }
    });
    let mut work = Vec::new();
    for n in 0..6u32 {
        let remote = remote.clone();
        work.push(tokio::spawn(async move {
            let content = common::noise(1_000_000 + n as usize);
            let command = Command::new(["cat"]).stdin(Stdin::Bytes(content.clone().into()));
            assert!(remote.exec(command).await.unwrap().stdout == content);
        }));
    }
    let mut stream = remote.forward(echo).await.unwrap();
    for round in 0..50u8 {
        stream.write_all(&[round; 1000]).await.unwrap();
        let mut back = [0; 1000];
        stream.read_exact(&mut back).await.unwrap();
        assert_eq!(back, [round; 1000]);
    }
    stream.shutdown().await.unwrap();
    assert_eq!(stream.read(&mut [0; 10]).await.unwrap(), 0);
    for work in work {
        work.await.unwrap();
    }
    assert_eq!(slow.await.unwrap(), "slow");
    assert_eq!(proxy.accepted(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_forward_to_a_port_where_nothing_listens_is_refused_and_the_session_lives() {
    let Some(server) = Sshd::start() else { return };
    let remote = login(&server).await;
    let port = cloudron_provision::local::free_port(None).unwrap();
    let Err(error) = remote.forward(port).await else { panic!("something listens on {port}") };
    assert!(error.is(&codes::SSH_REFUSED), "{error:?}");
    assert!(remote.exec(Command::new(["true"])).await.unwrap().success());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_is_given_up_after_its_limit_and_when_cancelled() {
    let Some(server) = Sshd::start() else { return };
    let remote = login(&server).await;
    let begun = Instant::now();
    let error =
        remote.exec(Command::new(["sleep", "30"]).within(Duration::from_millis(300))).await.unwrap_err();
    assert_eq!(error.kind().exit_code(), 8);
    let cancel = Cancel::new();
    let raise = cancel.clone();
    tokio::spawn(async move {
        tokio::time::sleep(Duration::from_millis(200)).await;
        raise.cancel();
    });
    let error = remote.exec(Command::new(["sleep", "30"]).cancelled_by(&cancel)).await.unwrap_err();
    assert_eq!(error.kind().exit_code(), 130);
    assert!(begun.elapsed() < Duration::from_secs(8));
    // Channels that were given up are closed: more of them than a server allows at once (MaxSessions, 10).
    for _ in 0..20 {
        let _ = remote
            .exec(
                Command::new(["cat"])
                    .stdin(Stdin::Reader(Box::new(common::Never)))
                    .within(Duration::from_millis(30)),
            )
            .await;
    }
    assert!(remote.exec(Command::new(["true"])).await.unwrap().success());
}

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
async fn an_upload_that_is_cut_goes_on_where_it_stopped() {
    let Some(server) = Sshd::start() else { return };
    let proxy = Proxy::start(server.address()).unwrap();
    let remote = login_with(&server, target(&server).on_port(proxy.port())).await;
    let folder = tempfile::tempdir().unwrap();
    let (local, there) = (folder.path().join("program"), folder.path().join("there/program"));
    let content = common::noise(30 << 20);
    std::fs::write(&local, &content).unwrap();
    proxy.set(Faults { cut_up_after: Some(20 << 20), ..Faults::default() });
    let before = proxy.bytes_up();
    let events = Arc::new(Mutex::new(Vec::new()));
    let sink = events.clone();
    let progress = Progress::to(move |e| sink.lock().unwrap().push(e.clone()));
    remote.upload(&local, there.to_str().unwrap(), 0o755, &progress, &Cancel::new()).await.unwrap();
    assert!(std::fs::read(&there).unwrap() == content);
    let last = events.lock().unwrap().pop();
    assert_eq!(last, Some(Event::Finished { task: 0, done: 30 << 20, ok: true }));
    assert_eq!(std::fs::metadata(&there).unwrap().permissions().mode() & 0o777, 0o755);
    assert_eq!(proxy.cuts(), 1);
    let sent = proxy.bytes_up() - before;
    assert!(sent < (34 << 20), "{sent} bytes were sent for a file of {}", content.len());
    assert_eq!(std::fs::read_dir(there.parent().unwrap()).unwrap().count(), 1, "a partial file was left");
    // Sending it again sends nothing.
    proxy.set(Faults::default());
    let before = proxy.bytes_up();
    remote.upload(&local, there.to_str().unwrap(), 0o755, &Progress::none(), &Cancel::new()).await.unwrap();
    assert!(proxy.bytes_up() - before < 10_000);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_goes_on_in_a_later_session_and_a_bad_part_is_replaced() {
    let Some(server) = Sshd::start() else { return };
    let proxy = Proxy::start(server.address()).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let (local, there) = (folder.path().join("program"), folder.path().join("there/program"));
    let content = common::noise(8 << 20);
    std::fs::write(&local, &content).unwrap();
    let remote = login_with(&server, target(&server).on_port(proxy.port())).await;
    proxy.set(Faults { cut_up_after: Some(5 << 20), refuse_after_cut: true, ..Faults::default() });
    let (progress, cancel) = (Progress::none(), Cancel::new());
    let upload = remote.upload(&local, there.to_str().unwrap(), 0o755, &progress, &cancel);
    assert!(tokio::time::timeout(Duration::from_secs(3), upload).await.is_err() || !there.exists());
    drop(remote);
    proxy.set(Faults::default());
    let part = std::fs::read_dir(there.parent().unwrap()).unwrap().next().unwrap().unwrap().path();
    // What is there is damaged: it is found out at the end, and everything is sent again.
    let mut damaged = std::fs::read(&part).unwrap();
    assert!(damaged.len() > (2 << 20), "{}", damaged.len());
    damaged[100] ^= 1;
    std::fs::write(&part, damaged).unwrap();
    let remote = login_with(&server, target(&server).on_port(proxy.port())).await;
    remote.upload(&local, there.to_str().unwrap(), 0o700, &Progress::none(), &Cancel::new()).await.unwrap();
    assert!(std::fs::read(&there).unwrap() == content);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_falls_silent_is_noticed_and_the_upload_goes_on_over_a_new_connection() {
    let Some(server) = Sshd::start() else { return };
    let proxy = Proxy::start(server.address()).unwrap();
    let auth = Auth::key(server.key_path().to_str().unwrap()).without_agent();
    let policy = HostKeyPolicy::Pinned(vec![pin(&server)]);
    let limit = Duration::from_secs(3);
    let remote = connect(target(&server).on_port(proxy.port()), &auth, policy, limit).await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let (local, there) = (folder.path().join("program"), folder.path().join("there"));
    let content = common::noise(8 << 20);
    std::fs::write(&local, &content).unwrap();
    // Nothing is closed: the connection only carries nothing any more.
    proxy.set(Faults { cut_up_after: Some(5 << 20), stall: true, ..Faults::default() });
    let begun = Instant::now();
    remote.upload(&local, there.to_str().unwrap(), 0o755, &Progress::none(), &Cancel::new()).await.unwrap();
    assert!(std::fs::read(&there).unwrap() == content);
    assert!(begun.elapsed() > limit * 3 && proxy.cuts() >= 1);
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
