//! Upload speed to a machine, against an OpenSSH server on loopback: `cargo bench -p cloudron-provision --features
//! ssh`.

use std::io::Write;
use std::time::{Duration, Instant};

use cloudron_core::{Cancel, Progress};
use cloudron_provision::ssh::{Auth, HostKeyPolicy, SshTarget, connect};
use cloudron_provision::{Command, Remote, Stdin};
use cloudron_testkit::sshd::Sshd;
use cloudron_testkit::tree::Rng;

const MIB: usize = 256;

fn main() {
    let Some(server) = Sshd::start() else { return };
    let runtime = tokio::runtime::Runtime::new().expect("a runtime starts");
    let report = runtime.block_on(measure(&server));
    std::io::stdout().write_all(report.as_bytes()).expect("standard output is open");
}

async fn measure(server: &Sshd) -> String {
    let mut target = SshTarget::new("127.0.0.1").on_port(server.port()).as_user(server.user());
    target.sudo = false;
    let policy = HostKeyPolicy::fingerprint(&server.host_key_fingerprint()).expect("sshd has a host key");
    let auth = Auth::key(server.key_path().display().to_string()).without_agent();
    let remote = connect(target, &auth, policy, Duration::from_secs(15)).await.expect("sshd lets us in");

    let folder = tempfile::tempdir().expect("a temporary folder");
    let (local, there) = (folder.path().join("program"), folder.path().join("there"));
    let mut content = vec![0; MIB << 20];
    Rng::new(1).fill(&mut content);
    std::fs::write(&local, content).expect("the disk has room");
    let there = there.display().to_string();

    let begun = Instant::now();
    remote.upload(&local, &there, 0o755, &Progress::none(), &Cancel::new()).await.expect("the upload works");
    let upload = begun.elapsed();
    let begun = Instant::now();
    let sink = Command::sh("cat >/dev/null", [""; 0]).stdin(Stdin::File(local, 0));
    remote.exec(sink.within(Duration::from_secs(120))).await.expect("cat reads");
    let stream = begun.elapsed();
    let begun = Instant::now();
    for _ in 0..20 {
        remote.exec(Command::new(["true"])).await.expect("true runs");
    }
    format!(
        "upload with both hashes {:.0} MiB/s, bare stream {:.0} MiB/s, one command {:?}\n",
        MIB as f64 / upload.as_secs_f64(),
        MIB as f64 / stream.as_secs_f64(),
        begun.elapsed() / 20
    )
}
