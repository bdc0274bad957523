//! Commands and forwards over one session.

use std::io::Read;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use cloudron_core::{Cancel, Secret};
use cloudron_provision::{Command, Remote, Stdin, codes};
use cloudron_testkit::proxy::Proxy;
use cloudron_testkit::sshd::Sshd;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::common::{self, login, login_with, target};

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
