//! A Debian server for a test: a container with systemd as process 1.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use cloudron_testkit::{require, sshd};

use crate::wait::until;

/// Capabilities that systemd, OpenSSH and a server's units need. Not `--privileged`: that requests capabilities which a
/// machine that is itself a guest may not have (most notably `SYS_RESOURCE`), and fails.
const CAPABILITIES: [&str; 22] = [
    "AUDIT_WRITE",
    "CHOWN",
    "DAC_OVERRIDE",
    "DAC_READ_SEARCH",
    "FOWNER",
    "FSETID",
    "IPC_LOCK",
    "KILL",
    "LEASE",
    "MKNOD",
    "NET_ADMIN",
    "NET_BIND_SERVICE",
    "NET_RAW",
    "SETFCAP",
    "SETGID",
    "SETPCAP",
    "SETUID",
    "SYS_ADMIN",
    "SYS_BOOT",
    "SYS_CHROOT",
    "SYS_NICE",
    "SYS_PTRACE",
];

/// Time limit for a boot; it takes about one second.
const BOOT: Duration = Duration::from_secs(60);

/// Returns whether this machine can run servers; prints that the test is skipped if not.
///
/// # Panics
///
/// If it cannot and `CLOUDRON_TEST_STRICT` is `1`.
#[must_use]
#[track_caller]
pub fn available() -> bool {
    let root = Command::new("id").arg("-u").output().is_ok_and(|output| output.stdout == b"0\n");
    require::that(root, "servers in containers need root")
        && require::tools(["docker", "dockerd", "debootstrap", "ssh-keygen"]).is_some()
}

/// The result of a command on the server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Output {
    /// Its standard output, with invalid UTF-8 replaced.
    pub stdout: String,
    /// Its standard error.
    pub stderr: String,
    /// Its exit code; 128 and more after a signal.
    pub code: i32,
}

/// A running server; dropping it removes it with all its data.
#[derive(Debug)]
pub struct Server {
    container: String,
    /// systemd's process ID as seen by this machine; it changes after [`Self::reboot`].
    pid: AtomicU32,
    keys: tempfile::TempDir,
}

impl Server {
    /// Boots a new server that accepts root with [`Self::key_path`], on port 22 of its own address. `name` is its host
    /// name and helps to find it in `docker ps`.
    ///
    /// # Panics
    ///
    /// If the image cannot be built or the server does not start within a minute; see [`available`].
    #[must_use]
    pub fn boot(name: &str) -> Self {
        Self::boot_with(name, true)
    }

    /// Boots a server like [`Self::boot`], on a machine where IPv6 is disabled, including `::1`.
    ///
    /// # Panics
    ///
    /// Same as [`Self::boot`].
    #[must_use]
    pub fn boot_without_ipv6(name: &str) -> Self {
        Self::boot_with(name, false)
    }

    /// Switches on a new server of a cloud, which finds this user-data at its first boot, and the public keys in its
    /// metadata. It does not wait: see [`Self::booted`]. They log in as root, or only as `user`, who may use `sudo`.
    ///
    /// # Panics
    ///
    /// If the image cannot be built or Docker fails.
    #[must_use]
    pub fn boot_at_cloud(name: &str, user_data: &str, keys: &[String], user: Option<&str>) -> Self {
        let server = Self::new(name);
        docker(&arguments("create", &server.container, name, true, image(Image::Cloud)));
        let seed = server.keys.path().join("nocloud");
        std::fs::create_dir(&seed).expect("a new folder");
        std::fs::write(seed.join("user-data"), user_data).expect("the folder is ours");
        let meta = serde_json::json!({ "instance-id": server.container, "local-hostname": name,
            "public-keys": keys });
        std::fs::write(seed.join("meta-data"), meta.to_string()).expect("the folder is ours");
        if let Some(user) = user {
            let user = serde_json::json!({ "disable_root": true, "system_info": { "default_user": { "name": user,
                "lock_passwd": true, "shell": "/bin/bash", "sudo": ["ALL=(ALL) NOPASSWD:ALL"] } } });
            let file = server.keys.path().join("99_user.cfg");
            std::fs::write(&file, user.to_string()).expect("the folder is ours");
            let inside = format!("{}:/etc/cloud/cloud.cfg.d/", server.container);
            docker(&["cp".into(), file.display().to_string(), inside]);
        }
        let inside = format!("{}:/var/lib/cloud/seed/", server.container);
        docker(&["cp".into(), seed.display().to_string(), inside]);
        docker(&["start".into(), server.container.clone()]);
        server
    }

    fn new(name: &str) -> Self {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let container = format!("cloudron-e2e-{name}-{}-{number}", std::process::id());
        let keys = tempfile::Builder::new().prefix("e2e-keys-").tempdir().expect("a temporary folder");
        Self { container, pid: AtomicU32::new(0), keys }
    }

    fn boot_with(name: &str, ipv6: bool) -> Self {
        let server = Self::new(name);
        sshd::keygen(&server.key_path(), "", "e2e");
        let mut run = arguments("run", &server.container, name, ipv6, image(Image::Bare));
        run.insert(1, "--detach".into());
        docker(&run);
        server.booted();
        let public = std::fs::read(server.key_path().with_extension("pub")).expect("ssh-keygen wrote it");
        server.exec_ok("install -d -m 700 /root/.ssh");
        server.exec_with("umask 077; cat >/root/.ssh/authorized_keys", &public);
        server
    }

    /// Returns the address, reachable from this machine.
    #[must_use]
    pub fn ip(&self) -> String {
        self.inspect("{{.NetworkSettings.IPAddress}}")
    }

    /// Returns the address at which the server reaches this machine.
    #[must_use]
    pub fn gateway(&self) -> String {
        self.inspect("{{.NetworkSettings.Gateway}}")
    }

    /// Returns the address with a port.
    ///
    /// # Panics
    ///
    /// If Docker gave the server no address.
    #[must_use]
    pub fn address(&self, port: u16) -> SocketAddr {
        SocketAddr::new(self.ip().parse().expect("Docker gives an address"), port)
    }

    /// Returns the path of the private key (ed25519, no passphrase, mode 0600) with which root may log in.
    #[must_use]
    pub fn key_path(&self) -> PathBuf {
        self.keys.path().join("id_ed25519")
    }

    /// Generates another key with which root may log in, encrypted with `passphrase`, and returns the path of its
    /// private half.
    #[must_use]
    pub fn add_key(&self, name: &str, passphrase: &str) -> PathBuf {
        let path = self.keys.path().join(name);
        sshd::keygen(&path, passphrase, name);
        let public = std::fs::read(path.with_extension("pub")).expect("ssh-keygen wrote it");
        self.exec_with("cat >>/root/.ssh/authorized_keys", &public);
        path
    }

    /// Returns the fingerprint of the ed25519 host key: `SHA256:` and 43 characters.
    #[must_use]
    pub fn host_key_fingerprint(&self) -> String {
        sshd::fingerprint(&self.exec_ok("cat /etc/ssh/ssh_host_ed25519_key.pub"))
    }

    /// Runs a shell command as root on the server, without SSH.
    #[must_use]
    pub fn exec(&self, line: &str) -> Output {
        self.exec_with(line, b"")
    }

    /// Runs a command like [`Self::exec`], and returns its output.
    ///
    /// # Panics
    ///
    /// If it fails, with all its output.
    #[track_caller]
    pub fn exec_ok(&self, line: &str) -> String {
        let output = self.exec(line);
        assert_eq!(output.code, 0, "`{line}` on {}: {output:#?}", self.container);
        output.stdout
    }

    /// Runs a command like [`Self::exec`], with `input` on its standard input.
    ///
    /// # Panics
    ///
    /// If `docker` cannot be run.
    pub fn exec_with(&self, line: &str, input: &[u8]) -> Output {
        let mut command = Command::new("docker");
        command.args(["exec", "-i", &self.container, "/bin/sh", "-c", line]);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("docker runs");
        // A command need not read all of its input.
        let _ = child.stdin.take().map(|mut stdin| stdin.write_all(input));
        let output = child.wait_with_output().expect("docker ends");
        Output {
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
            code: output.status.code().unwrap_or(-1),
        }
    }

    /// Returns the path under which this machine sees the server's `path` (which is absolute), including mounts inside
    /// the server. Absolute symbolic links in it would lead out of the server: give the path without them.
    #[must_use]
    pub fn path(&self, path: &str) -> PathBuf {
        let root = PathBuf::from(format!("/proc/{}/root", self.pid.load(Ordering::Relaxed)));
        root.join(path.trim_start_matches('/'))
    }

    /// Copies a file or folder of this machine to `inside` (which must not exist), with all attributes.
    ///
    /// # Panics
    ///
    /// If the copy fails.
    pub fn copy_in(&self, outside: &Path, inside: &str) {
        copy(outside, &self.path(inside));
    }

    /// Copies a file or folder of the server to `outside` (which must not exist), with all attributes.
    ///
    /// # Panics
    ///
    /// If the copy fails.
    pub fn copy_out(&self, inside: &str, outside: &Path) {
        copy(&self.path(inside), outside);
    }

    /// Mounts an empty file system of `megabytes` at the folder `inside`, created if missing, so that it can become
    /// full. If called again, it changes the size and keeps the files.
    pub fn limit(&self, inside: &str, megabytes: u64) {
        let mounted = self.exec(&format!("mountpoint -q {inside}")).code == 0;
        if mounted {
            self.exec_ok(&format!("mount -o remount,size={megabytes}m {inside}"));
        } else {
            self.exec_ok(&format!(
                "mkdir -p {inside} && mount -t tmpfs -o mode=755,size={megabytes}m e2e {inside}"
            ));
        }
    }

    /// Returns whether something accepts connections on this port of the server's address.
    #[must_use]
    pub fn listens(&self, port: u16) -> bool {
        TcpStream::connect_timeout(&self.address(port), Duration::from_secs(2)).is_ok()
    }

    /// Returns whether an SSH server answers on this port.
    #[must_use]
    pub fn greets(&self, port: u16) -> bool {
        let limit = Duration::from_secs(2);
        let Ok(mut stream) = TcpStream::connect_timeout(&self.address(port), limit) else { return false };
        let mut greeting = [0; 4];
        stream.set_read_timeout(Some(limit)).is_ok()
            && stream.read_exact(&mut greeting).is_ok()
            && &greeting == b"SSH-"
    }

    /// Switches the server off and on again. Memory file systems, including those of [`Self::limit`], are lost.
    pub fn reboot(&self) {
        docker(&["restart".into(), "--time".into(), "20".into(), self.container.clone()]);
        self.booted();
    }

    /// Switches the server off and on like [`Self::reboot`], although nobody may get in by SSH afterwards.
    pub fn reboot_without_ssh(&self) {
        docker(&["restart".into(), "--time".into(), "20".into(), self.container.clone()]);
        self.started();
    }

    /// Returns the system's journal, for a failed test.
    #[must_use]
    pub fn journal(&self) -> String {
        self.exec("journalctl --no-pager -n 80").stdout
    }

    /// Destroys the server without a shutdown, as a fire does.
    pub fn destroy(self) {
        drop(self);
    }

    /// Waits until systemd has started everything and an SSH server answers.
    ///
    /// # Panics
    ///
    /// If it takes longer than a minute.
    pub fn booted(&self) {
        self.started();
        until("an SSH server greets", BOOT, || (self.greets(22) || self.greets(202)).then_some(()));
    }

    /// Waits until systemd has started everything.
    fn started(&self) {
        let state = until("systemd has started everything", BOOT, || {
            let state = self.exec("systemctl is-system-running").stdout;
            matches!(state.trim(), "running" | "degraded").then_some(state)
        });
        if state.trim() == "degraded" {
            // The host may lack something that a unit of Debian needs. Report it without failing.
            say(&format!(
                "{}: {}",
                self.container,
                self.exec("systemctl --failed --plain --no-legend").stdout
            ));
        }
        self.pid.store(self.inspect("{{.State.Pid}}").parse().expect("a process id"), Ordering::Relaxed);
    }

    fn inspect(&self, format: &str) -> String {
        docker(&["inspect".into(), "--format".into(), format.into(), self.container.clone()])
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if std::thread::panicking() {
            say(&format!("journal of {}:\n{}", self.container, self.journal()));
        }
        let _ = Command::new("docker").args(["rm", "--force", "--volumes", &self.container]).output();
    }
}

/// Returns the arguments with which Docker runs or creates a server.
fn arguments(verb: &str, container: &str, hostname: &str, ipv6: bool, image: &str) -> Vec<String> {
    let mut arguments: Vec<String> =
        [verb, "--name", container, "--hostname", hostname].map(Into::into).into();
    arguments.extend(["--label", "cloudron-e2e", "--cap-drop", "ALL"].map(Into::into));
    for capability in CAPABILITIES {
        arguments.extend(["--cap-add".into(), capability.into()]);
    }
    // systemd restricts its units with seccomp and mounts by itself; programs may run from a server's /tmp.
    arguments.extend(
        ["--security-opt", "seccomp=unconfined", "--security-opt", "apparmor=unconfined"].map(Into::into),
    );
    arguments.extend(["--tmpfs", "/run:exec,mode=755", "--tmpfs", "/tmp:exec,mode=1777"].map(Into::into));
    if Path::new("/sys/fs/cgroup/cgroup.controllers").exists() {
        arguments
            .extend(["--cgroupns", "host", "--volume", "/sys/fs/cgroup:/sys/fs/cgroup:rw"].map(Into::into));
    } else {
        arguments.extend(["--volume", "/sys/fs/cgroup/systemd:/sys/fs/cgroup/systemd"].map(Into::into));
    }
    // Docker disables IPv6 by default; Debian does not.
    arguments.extend(["--sysctl".into(), format!("net.ipv6.conf.all.disable_ipv6={}", u8::from(!ipv6))]);
    // Otherwise systemd takes the machine ID from the firmware, which is the same for all servers here.
    let uuid = std::fs::read_to_string("/proc/sys/kernel/random/uuid").expect("the kernel has random UUIDs");
    arguments.extend(["--env".into(), format!("container_uuid={}", uuid.trim())]);
    arguments.extend(
        ["--env", "container=docker", "--stop-signal", "SIGRTMIN+3", image, "/sbin/init"].map(Into::into),
    );
    arguments
}

/// Returns the address of this machine in the network of the servers.
pub(crate) fn gateway() -> String {
    // Building the image starts Docker.
    let _ = image(Image::Cloud);
    let format = "{{(index .IPAM.Config 0).Gateway}}";
    docker(&["network", "inspect", "bridge", "--format", format].map(Into::into))
}

/// The images of servers.
#[derive(Clone, Copy)]
enum Image {
    /// A server with SSH and nothing else.
    Bare,
    /// A server as clouds offer it, with cloud-init.
    Cloud,
}

/// Returns the image's name; the image is built once in each run of tests if it does not exist yet.
fn image(image: Image) -> &'static str {
    static IMAGES: [OnceLock<String>; 2] = [OnceLock::new(), OnceLock::new()];
    IMAGES[image as usize].get_or_init(|| {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/image.sh");
        let variant: &[&str] = if matches!(image, Image::Cloud) { &["cloud"] } else { &[] };
        let output =
            Command::new("sh").arg(script).args(variant).stderr(Stdio::inherit()).output().expect("sh runs");
        assert!(output.status.success(), "{script} failed, see above");
        String::from_utf8(output.stdout).expect("an image's name is text").trim().to_owned()
    })
}

/// Copies with modes, owners, times, links, attributes and holes.
fn copy(from: &Path, to: &Path) {
    let mut command = Command::new("cp");
    command.args(["-a", "--sparse=always", "-T"]).arg(from).arg(to);
    let output = command.output().expect("cp runs");
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
}

#[track_caller]
fn docker(arguments: &[String]) -> String {
    let output = Command::new("docker").args(arguments).output().expect("docker runs");
    assert!(output.status.success(), "docker {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

/// Writes to the test's own output, which is shown with the test if it fails.
#[expect(clippy::print_stderr, reason = "a test harness talks to the person who reads a failure")]
fn say(line: &str) {
    eprintln!("{line}");
}
