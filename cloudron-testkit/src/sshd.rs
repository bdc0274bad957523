//! An OpenSSH server for a test: on loopback, with fresh keys, without root.
//!
//! ```no_run
//! use cloudron_testkit::sshd::Sshd;
//!
//! let Some(server) = Sshd::start() else { return };
//! println!("ssh -p {} -i {} {}@127.0.0.1", server.port(), server.key_path().display(), server.user());
//! ```

use std::fs::{self, File};
use std::io::{self, Read};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
use sha2::{Digest, Sha256};

use crate::require;

/// A running server, which ends when dropped.
#[derive(Debug)]
pub struct Sshd {
    child: Child,
    port: u16,
    folder: tempfile::TempDir,
    program: PathBuf,
}

/// The settings of a server to start.
#[derive(Debug, Default)]
pub struct Builder {
    config: Vec<String>,
    port: Option<u16>,
    more: Vec<Ipv4Addr>,
}

impl Builder {
    /// Adds a line to `sshd_config`; for a repeated keyword the first line counts, and these come first.
    #[must_use]
    pub fn config(mut self, line: &str) -> Self {
        self.config.push(line.to_owned());
        self
    }

    /// Listens on this port instead of any free one.
    #[must_use]
    pub fn port(mut self, port: u16) -> Self {
        self.port = Some(port);
        self
    }

    /// Also listens on this address of loopback, where there is one.
    #[must_use]
    pub fn also_at(mut self, address: Ipv4Addr) -> Self {
        self.more.push(address);
        self
    }

    /// Starts the server and waits until it answers. Returns `None` if OpenSSH is not installed; see [`require`].
    ///
    /// # Panics
    ///
    /// If OpenSSH is installed but does not serve within 10 seconds; the message contains its log.
    #[must_use]
    #[track_caller]
    pub fn start(self) -> Option<Sshd> {
        let program = require::tool("sshd")?;
        require::tool("ssh-keygen")?;
        let folder = tempfile::Builder::new().prefix("sshd-").tempdir().expect("a temporary folder");
        keygen(&folder.path().join("host_key"), "", "host");
        keygen(&folder.path().join("user_key"), "", "user");
        fs::copy(folder.path().join("user_key.pub"), folder.path().join("authorized_keys"))
            .expect("two files");
        if rustix::process::geteuid().is_root() {
            // Only root's sshd insists on its empty folder, which packages make at boot.
            fs::create_dir_all("/run/sshd").expect("the folder /run/sshd for sshd run by root");
        }
        for _ in 0..5 {
            let port = self.port.unwrap_or_else(free_port);
            let more = self.more.iter().map(|address| format!("ListenAddress {address}:{port}"));
            let config: Vec<String> = self.config.iter().cloned().chain(more).collect();
            write_config(folder.path(), port, &config);
            let mut child = spawn(&program, folder.path());
            if greets(port, &mut child) {
                return Some(Sshd { child, port, folder, program });
            }
            // Most likely another program took the port in between.
            let _ = (child.kill(), child.wait());
        }
        panic!("sshd does not start:\n{}", log(folder.path()));
    }
}

impl Sshd {
    /// Starts a server with defaults, or returns `None` after a message that OpenSSH is missing.
    ///
    /// # Panics
    ///
    /// Same as [`Builder::start`].
    #[must_use]
    #[track_caller]
    pub fn start() -> Option<Self> {
        Self::builder().start()
    }

    /// Creates a server with settings.
    #[must_use]
    pub fn builder() -> Builder {
        Builder::default()
    }

    /// Returns the port on 127.0.0.1.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Returns the address with the port.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.port).into()
    }

    /// Returns the only user who can log in: the user who runs the test.
    ///
    /// # Panics
    ///
    /// If `id` fails.
    #[must_use]
    pub fn user(&self) -> String {
        let output = Command::new("id").arg("-un").output().expect("id runs");
        String::from_utf8(output.stdout).expect("a user's name is text").trim().to_owned()
    }

    /// Returns the path of the private key (ed25519, OpenSSH format, no passphrase, mode 0600) that the server accepts.
    #[must_use]
    pub fn key_path(&self) -> PathBuf {
        self.folder.path().join("user_key")
    }

    /// Generates another accepted key pair, with a passphrase unless it is empty, and returns the path of its private
    /// key.
    ///
    /// # Panics
    ///
    /// If the name is in use.
    #[must_use]
    pub fn add_key(&self, name: &str, passphrase: &str) -> PathBuf {
        let path = self.folder.path().join(name);
        keygen(&path, passphrase, name);
        let public = fs::read_to_string(path.with_extension("pub")).expect("ssh-keygen wrote it");
        self.authorize(&public);
        path
    }

    /// Also accepts this public key (one line of `authorized_keys`).
    ///
    /// # Panics
    ///
    /// If the file cannot be written.
    pub fn authorize(&self, public_key: &str) {
        let path = self.folder.path().join("authorized_keys");
        let known = fs::read_to_string(&path).unwrap_or_default();
        fs::write(path, format!("{known}{}\n", public_key.trim())).expect("authorized_keys is ours");
    }

    /// Returns the host key as `ssh-ed25519 AAAA…`, without a comment.
    ///
    /// # Panics
    ///
    /// If the server's folder does not exist any more.
    #[must_use]
    pub fn host_public_key(&self) -> String {
        let line = fs::read_to_string(self.folder.path().join("host_key.pub")).expect("ssh-keygen wrote it");
        line.split_whitespace().take(2).collect::<Vec<_>>().join(" ")
    }

    /// Returns the host key's fingerprint in OpenSSH's form: `SHA256:` and 43 characters.
    #[must_use]
    pub fn host_key_fingerprint(&self) -> String {
        fingerprint(&self.host_public_key())
    }

    /// Restarts on the same port with another host key, as after a reinstallation or a takeover.
    ///
    /// # Panics
    ///
    /// If the server does not start again.
    pub fn change_host_key(&mut self) {
        let _ = (self.child.kill(), self.child.wait());
        let key = self.folder.path().join("host_key");
        fs::remove_file(&key).expect("the old key");
        keygen(&key, "", "host");
        self.child = spawn(&self.program, self.folder.path());
        assert!(greets(self.port, &mut self.child), "sshd does not come back:\n{}", self.log());
    }

    /// Returns the server's log so far, at level VERBOSE.
    #[must_use]
    pub fn log(&self) -> String {
        log(self.folder.path())
    }
}

impl Drop for Sshd {
    fn drop(&mut self) {
        // Sessions are separate processes, and end when their client does.
        let _ = (self.child.kill(), self.child.wait());
    }
}

/// Returns the fingerprint of a public key line, in OpenSSH's form (RFC 4648 base64 of SHA-256, no padding).
///
/// # Panics
///
/// If the second word of `public_key` is not base64.
#[must_use]
pub fn fingerprint(public_key: &str) -> String {
    let blob = public_key.split_whitespace().nth(1).expect("a public key has two words");
    let blob = STANDARD.decode(blob).expect("the second word is base64");
    format!("SHA256:{}", STANDARD_NO_PAD.encode(Sha256::digest(blob)))
}

/// Generates an ed25519 key pair in OpenSSH's format at `path` and `path.pub`.
///
/// # Panics
///
/// If `ssh-keygen` fails, for example because `path` exists.
pub fn keygen(path: &Path, passphrase: &str, comment: &str) {
    let mut command = Command::new("ssh-keygen");
    command.args(["-q", "-t", "ed25519", "-N", passphrase, "-C", comment, "-f"]).arg(path);
    let output = command.stdin(Stdio::null()).output().expect("ssh-keygen runs");
    assert!(output.status.success(), "ssh-keygen: {}", String::from_utf8_lossy(&output.stderr));
}

fn write_config(folder: &Path, port: u16, extra: &[String]) {
    let place = folder.display();
    let mut config = extra.join("\n");
    config.push_str(&format!(
        "\nListenAddress 127.0.0.1:{port}\nHostKey {place}/host_key\nAuthorizedKeysFile {place}/authorized_keys\n\
         PidFile none\nUsePAM no\nStrictModes no\nPasswordAuthentication no\nKbdInteractiveAuthentication no\n\
         PermitRootLogin yes\nLogLevel VERBOSE\nMaxStartups 100\nSubsystem sftp internal-sftp\n"
    ));
    fs::write(folder.join("sshd_config"), config).expect("the folder is ours");
}

fn spawn(program: &Path, folder: &Path) -> Child {
    let log = File::options().create(true).append(true).open(folder.join("log")).expect("the folder is ours");
    let mut command = Command::new(program);
    command.arg("-D").arg("-e").arg("-f").arg(folder.join("sshd_config"));
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log).spawn().expect("sshd runs")
}

/// Returns whether the server on `port` sends its version within 10 seconds and is still our child.
fn greets(port: u16, child: &mut Child) -> bool {
    let end = Instant::now() + Duration::from_secs(10);
    while Instant::now() < end && matches!(child.try_wait(), Ok(None)) {
        if greeting(port).is_ok_and(|text| &text == b"SSH-") {
            return matches!(child.try_wait(), Ok(None));
        }
        thread::sleep(Duration::from_millis(20));
    }
    false
}

fn greeting(port: u16) -> io::Result<[u8; 4]> {
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
    stream.set_read_timeout(Some(Duration::from_secs(2)))?;
    let mut text = [0; 4];
    stream.read_exact(&mut text)?;
    Ok(text)
}

fn free_port() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("loopback has a free port");
    listener.local_addr().expect("a bound socket has an address").port()
}

fn log(folder: &Path) -> String {
    String::from_utf8_lossy(&fs::read(folder.join("log")).unwrap_or_default()).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ssh(server: &Sshd, key: &Path, known: &str) -> std::process::Output {
        let hosts = server.folder.path().join("known_hosts");
        fs::write(&hosts, format!("[127.0.0.1]:{} {known}\n", server.port())).unwrap();
        let mut command = Command::new("ssh");
        command.args([
            "-F",
            "none",
            "-o",
            "BatchMode=yes",
            "-o",
            "IdentitiesOnly=yes",
            "-o",
            "IdentityAgent=none",
        ]);
        command
            .args(["-o", "StrictHostKeyChecking=yes", "-o"])
            .arg(format!("UserKnownHostsFile={}", hosts.display()));
        command.arg("-p").arg(server.port().to_string()).arg("-i").arg(key);
        command
            .arg(format!("{}@127.0.0.1", server.user()))
            .arg("echo hello from $((40 + 2))")
            .output()
            .unwrap()
    }

    #[test]
    fn the_systems_ssh_logs_in_with_the_key_and_runs_a_command() {
        let Some(server) = Sshd::start() else { return };
        let output = ssh(&server, &server.key_path(), &server.host_public_key());
        assert_eq!(
            String::from_utf8_lossy(&output.stdout),
            "hello from 42\n",
            "{output:?}\n{}",
            server.log()
        );
        assert!(server.host_key_fingerprint().starts_with("SHA256:"));
    }

    #[test]
    fn another_key_is_accepted_only_after_it_was_added() {
        let Some(server) = Sshd::start() else { return };
        let stranger = server.folder.path().join("stranger");
        keygen(&stranger, "", "stranger");
        assert!(!ssh(&server, &stranger, &server.host_public_key()).status.success());
        let added = server.add_key("second", "");
        assert!(ssh(&server, &added, &server.host_public_key()).status.success(), "{}", server.log());
    }

    #[test]
    fn a_changed_host_key_is_another_key_on_the_same_port() {
        let Some(mut server) = Sshd::start() else { return };
        let (port, before) = (server.port(), server.host_public_key());
        server.change_host_key();
        assert_eq!(server.port(), port);
        assert_ne!(server.host_public_key(), before);
        assert!(!ssh(&server, &server.key_path(), &before).status.success());
        assert!(
            ssh(&server, &server.key_path(), &server.host_public_key()).status.success(),
            "{}",
            server.log()
        );
    }

    #[test]
    fn the_fingerprint_is_the_one_that_openssh_prints() {
        let Some(server) = Sshd::start() else { return };
        let key = server.folder.path().join("host_key.pub");
        let output = Command::new("ssh-keygen").arg("-lf").arg(key).output().unwrap();
        assert!(String::from_utf8_lossy(&output.stdout).contains(&server.host_key_fingerprint()));
    }

    #[test]
    fn dropping_the_server_closes_its_port() {
        let Some(server) = Sshd::start() else { return };
        let address = server.address();
        drop(server);
        assert!(TcpStream::connect(address).is_err());
    }
}
