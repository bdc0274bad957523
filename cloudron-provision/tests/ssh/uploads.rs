//! Uploads are complete, and resumed without sending data again.

use std::os::unix::fs::PermissionsExt;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use cloudron_core::{Cancel, Event, Progress};
use cloudron_provision::Remote;
use cloudron_provision::ssh::{Auth, HostKeyPolicy, connect};
use cloudron_testkit::proxy::{Faults, Proxy};
use cloudron_testkit::sshd::Sshd;

use crate::common::{self, login_with, pin, target};

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
